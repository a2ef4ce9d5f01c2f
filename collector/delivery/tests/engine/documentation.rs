//! The tables that `docs/delivery.md` and the pages of presets show are good ones.

use std::collections::HashSet;
use std::path::Path;

use crate::own_preset::put_beside;

use dray_delivery::budget::Budgets;
use dray_delivery::{AccountConfig, FlowConfig, TargetConfig, catalogue, presets, references};
use serde::Deserialize;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

#[derive(Debug, Deserialize)]
struct Shown {
    #[serde(default)]
    account: Vec<AccountConfig>,
    #[serde(default)]
    target: Vec<TargetConfig>,
    #[serde(default)]
    flow: Vec<FlowConfig>,
    #[serde(default)]
    budgets: Budgets,
}

/// The targets that a page shows.
fn shown(page: &Path) -> Vec<TargetConfig> {
    let page = std::fs::read_to_string(page).expect("the page");
    let blocks = page.split("```toml\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    // What stands at the head of the collector's configuration is no target's; a preset stands in a file of its own, a mapping
    // in the agent's.
    let elsewhere = ["operators", "about", "[delivery]", "[[flow.mapping]]"];
    let blocks = blocks.filter(|block| !elsewhere.iter().any(|head| block.starts_with(head)));
    let beside = tempfile::tempdir().expect("a folder");
    put_beside(beside.path());
    let mut seen = Vec::new();
    for block in blocks {
        let is_whole = ["[[target]]", "[budgets"]
            .iter()
            .any(|head| block.contains(head));
        let whole = if is_whole {
            block.to_owned()
        } else {
            // A part of one.
            let head = match block {
                block if block.contains("batch =") => "url = \"https://erp.example/api/\"\n",
                block if block.starts_with("[target.file.") => {
                    "kind = \"file\"\n[target.file]\nfolder = \"/srv/outbox\"\nformat = \"jsonl\"\n"
                }
                _ => "url = \"https://erp.example/api/\"\nbatch = 1\n",
            };
            format!("[[target]]\nname = \"erp\"\n{head}{block}")
        };
        let mut shown: Shown = presets::merged(&whole, beside.path())
            .unwrap_or_else(|error| panic!("{error}\n{block}"));
        let names: Vec<_> = shown
            .target
            .iter()
            .map(|target| target.name.as_str())
            .collect();
        assert_eq!(catalogue::validate(&shown.flow, &names), [], "{block}");
        assert_eq!(shown.budgets.validate(), [], "{block}");
        assert_eq!(references::link(&mut shown.target), [], "{block}");
        for account in shown.account {
            assert_eq!(account.validate(), [""; 0], "{block}");
        }
        for target in shown.target {
            assert_eq!(target.validate(), [""; 0], "{block}");
            assert_eq!(target.doubts(), [""; 0], "{block}");
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

/// All that tests of the repository are called.
fn names_of_tests(folder: &Path, names: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            names_of_tests(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            let functions = text.split("fn ").skip(1);
            names.extend(functions.filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
}

#[test]
fn what_the_page_says_was_tried_is_a_test() {
    let page = std::fs::read_to_string(Path::new(DOCS).join("delivery.md")).expect("the page");
    let (_, tried) = page.split_once("## What was tried").expect("its section");
    let mut names = HashSet::new();
    for folder in [
        "../../tests/scenarios",
        "tests",
        "../server/tests",
        "src/engine/fault",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        names_of_tests(&folder, &mut names);
    }
    let rows = tried.lines().filter(|line| line.starts_with("| "));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let said: Vec<&str> = quoted.filter(|name| name.contains('_')).collect();
    assert!(said.len() > 30, "{said:?}");
    for name in said {
        assert!(names.contains(name), "{name} is no test");
    }
}
