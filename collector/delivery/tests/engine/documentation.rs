//! The tables that `docs/delivery.md` and the pages of presets show are good ones.

use std::path::Path;

use dray_delivery::{AccountConfig, TargetConfig, presets};
use serde::Deserialize;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

#[derive(Debug, Deserialize)]
struct Shown {
    #[serde(default)]
    account: Vec<AccountConfig>,
    target: Vec<TargetConfig>,
}

/// The targets that a page shows.
fn shown(page: &Path) -> Vec<TargetConfig> {
    let page = std::fs::read_to_string(page).expect("the page");
    let blocks = page.split("```toml\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    let mut seen = Vec::new();
    for block in blocks.filter(|block| block.contains("target")) {
        let whole = if block.contains("[[target]]") {
            block.to_owned()
        } else {
            // A part of one.
            let batch = match block.contains("batch =") {
                true => "",
                false => "batch = 1\n",
            };
            format!(
                "[[target]]\nname = \"erp\"\nurl = \"https://erp.example/api/\"\n{batch}{block}"
            )
        };
        let shown: Shown =
            presets::merged(&whole).unwrap_or_else(|error| panic!("{error}\n{block}"));
        for account in shown.account {
            assert_eq!(account.validate(), [""; 0], "{block}");
        }
        for target in shown.target {
            assert_eq!(target.validate(), [""; 0], "{block}");
            seen.push(target);
        }
    }
    seen
}

#[test]
fn every_table_of_the_page_is_read_and_found_good() {
    let seen = shown(&Path::new(DOCS).join("delivery.md")).len();
    assert!(seen >= 12, "{seen} tables");
}

#[test]
fn every_preset_has_a_page_that_shows_and_links_it_and_says_where_it_was_tried() {
    let links = std::fs::read_to_string(Path::new(DOCS).join("delivery.md")).expect("the page");
    for name in presets::names() {
        let (erp, _) = name.split_once('/').expect("an ERP and what it does");
        let preset = presets::read(name).expect(name);
        let path = Path::new(DOCS).join(format!("presets/{erp}.md"));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let shown = shown(&path);
        assert!(
            shown.iter().any(|target| target.preset.starts_with(erp)),
            "{name}"
        );
        if preset.stands_alone() {
            assert!(page.contains(&format!("`{name}`")), "{name}");
            assert!(links.contains(&format!("`{name}`")), "{name}");
        }
        assert!(links.contains(&format!("(presets/{erp}.md)")), "{name}");
        let untested = preset.tested.starts_with("untested on the real service");
        assert_eq!(
            untested,
            page.contains("**Untested on the real service**"),
            "{name}"
        );
    }
}
