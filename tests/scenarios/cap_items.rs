//! SAP's own service by its preset.

use dray_tests::cap::{self, Cap};
use dray_tests::drops::drop_file;
use dray_tests::site::{FlowSpec, Site};

use crate::{folder, wait};

const ALL: u64 = 40;

#[test]
fn items_are_in_cap_by_its_preset_once_each_through_a_kill_and_a_token_that_ends() {
    let cap = Cap::start();
    cap.lab("csrf", r#"{"on":true}"#);
    let target = format!(
        "\n[[target]]\nname = \"erp\"\npreset = \"cap/items\"\nurl = \"{}\"\ncsrf = {{}}\n[target.auth]\nuser = \"{}\"\npassword_file = {:?}\n",
        cap.url(),
        cap::LOGIN.0,
        cap.password_file(),
    );
    let flow = FlowSpec {
        mapping: "[[flow.mapping]]\nbody = \"item\"\nkey = \"SKU\"\n[flow.mapping.fields]\nitem_number = \"SKU\"\ndescription = \"NAME\"\n".into(),
        ..FlowSpec::movements("items")
    };
    let folder = folder("cap-items");
    let mut site = Site::start(folder.path(), &[flow], &target).expect("a site");
    let created = || {
        let writes = cap.writes();
        let urls = writes
            .iter()
            .filter(|write| write["status"].as_u64() == Some(201))
            .filter_map(|write| write["url"].as_str().map(str::to_owned));
        urls.collect::<Vec<_>>()
    };
    let drop = |site: &Site, from: u64, to: u64| {
        let lines: String = (from..to)
            .map(|n| format!("O'K/{n}|Bolt \"{n}\"\n"))
            .collect();
        let text = format!("SKU|NAME\n{lines}");
        drop_file(
            &site.drops("items"),
            &format!("{from}.txt"),
            text.as_bytes(),
        )
        .expect("a drop");
    };
    drop(&site, 0, ALL / 2);
    wait("some are there", || created().len() as u64 > ALL / 4);
    let collector = site.collector.as_mut().expect("it runs");
    collector.kill().expect("a kill");
    cap.lab("csrf", r#"{"on":true}"#);
    site.start_collector().expect("a collector");
    drop(&site, ALL / 2, ALL);
    wait("all are there", || created().len() as u64 >= ALL);
    let mut urls = created();
    assert_eq!(urls.len() as u64, ALL);
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len() as u64, ALL, "an item was created twice");
    let dead = site
        .collector_command(&["dead-letters", "list"])
        .expect("a list");
    assert!(String::from_utf8_lossy(&dead.stdout).contains("No dead letters"));
}
