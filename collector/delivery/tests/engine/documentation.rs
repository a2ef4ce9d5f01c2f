//! The tables that `docs/delivery.md` shows are good ones.

use dray_delivery::TargetConfig;
use serde::Deserialize;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/delivery.md");

#[derive(Debug, Deserialize)]
struct Shown {
    target: Vec<TargetConfig>,
}

#[test]
fn every_table_of_the_page_is_read_and_found_good() {
    let page = std::fs::read_to_string(PAGE).expect("the page");
    let blocks = page.split("```toml\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    let mut seen = 0;
    for block in blocks.filter(|block| block.contains("target")) {
        let whole = if block.contains("[[target]]") {
            block.to_owned()
        } else {
            // A part of one.
            let batch = if block.contains("batch = ") {
                ""
            } else {
                "batch = 1\n"
            };
            format!(
                "[[target]]\nname = \"erp\"\nurl = \"https://erp.example/api/\"\n{batch}{block}"
            )
        };
        let shown: Shown =
            toml::from_str(&whole).unwrap_or_else(|error| panic!("{error}\n{block}"));
        for target in shown.target {
            assert_eq!(target.validate(), [""; 0], "{block}");
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen} tables");
}
