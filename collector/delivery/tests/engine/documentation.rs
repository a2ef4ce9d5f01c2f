//! The tables that `docs/delivery.md` shows are good ones.

use dray_delivery::budget::Budgets;
use dray_delivery::{FlowConfig, TargetConfig, catalogue};
use serde::Deserialize;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/delivery.md");

#[derive(Debug, Deserialize)]
struct Shown {
    #[serde(default)]
    target: Vec<TargetConfig>,
    #[serde(default)]
    flow: Vec<FlowConfig>,
    #[serde(default)]
    budgets: Budgets,
}

#[test]
fn every_table_of_the_page_is_read_and_found_good() {
    let page = std::fs::read_to_string(PAGE).expect("the page");
    let blocks = page.split("```toml\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    // What stands at the head of the collector's configuration is no target's.
    let blocks = blocks.filter(|block| !block.starts_with("operators"));
    let mut seen = 0;
    for block in blocks {
        let is_whole = ["[[target]]", "[budgets"]
            .iter()
            .any(|head| block.contains(head));
        let whole = if is_whole {
            block.to_owned()
        } else {
            // A part of one.
            let head = match block {
                block if block.contains("batch = ") => "url = \"https://erp.example/api/\"\n",
                block if block.starts_with("[target.file.") => {
                    "kind = \"file\"\n[target.file]\nfolder = \"/srv/outbox\"\nformat = \"jsonl\"\n"
                }
                _ => "url = \"https://erp.example/api/\"\nbatch = 1\n",
            };
            format!("[[target]]\nname = \"erp\"\n{head}{block}")
        };
        let shown: Shown =
            toml::from_str(&whole).unwrap_or_else(|error| panic!("{error}\n{block}"));
        let names: Vec<_> = shown
            .target
            .iter()
            .map(|target| target.name.as_str())
            .collect();
        assert_eq!(catalogue::validate(&shown.flow, &names), [], "{block}");
        assert_eq!(shown.budgets.validate(), [], "{block}");
        for target in shown.target {
            assert_eq!(target.validate(), [""; 0], "{block}");
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen} tables");
}
