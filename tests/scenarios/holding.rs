//! Movements that name items which come later: they wait through kills of the collector, and then arrive in order.

use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::{Manner, Target};
use dray_tests::verdict::judge;

use crate::{PATIENCE, folder, target_table, wait};

const LINES: u64 = 4_000;
const ITEMS: u64 = 200;

const RULES: &str = r#"
[[target.reference]]
body = "inventory_movement"
field = "item_number"
of = "item"

[[target.demand]]
body = "inventory_movement"
field = "reason"
required = true
min_length = 2

[target.holds]
alarm_after = "1s"
"#;

/// A flow of items: a number a line.
fn items() -> FlowSpec {
    FlowSpec {
        mapping: "[[flow.mapping]]\nbody = \"item\"\nkey = \"SKU\"\n[flow.mapping.fields]\nitem_number = \"SKU\"\n"
            .into(),
        ..FlowSpec::movements("items")
    }
}

fn item_lines(from: u64, to: u64) -> String {
    let lines = (from..to).map(|item| format!("SKU-{item:07}\n"));
    std::iter::once("SKU\n".to_owned()).chain(lines).collect()
}

fn kill_collector(site: &mut Site) {
    let collector = site.collector.as_mut().expect("it runs");
    collector.kill().expect("a kill");
    site.start_collector().expect("a collector");
}

fn said(site: &Site, arguments: &[&str]) -> String {
    let output = site.collector_command(arguments).expect("a command");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn held(site: &Site) -> usize {
    let listed = said(site, &["dead-letters", "list", "--limit", "10000"]);
    let lines = listed.lines();
    lines
        .filter(|line| line.contains("north/movements"))
        .count()
}

#[test]
fn what_names_an_item_that_comes_later_waits_through_kills_and_arrives_once_and_in_order() {
    let folder = folder("holding");
    let erp = Target::start(false).expect("a target");
    erp.behave(Manner::Accept);
    let flows = [FlowSpec::movements("movements"), items()];
    let mut site = Site::start(
        folder.path(),
        &flows,
        &target_table("erp", &erp.url(), RULES),
    )
    .expect("a site");
    let text = movements(0, LINES, ITEMS);
    drop_file(&site.drops("movements"), "a.txt", text.as_bytes()).expect("a drop");
    for _ in 0..5 {
        kill_collector(&mut site);
    }
    wait("all of them wait", || held(&site) as u64 == LINES);
    assert_eq!(erp.events(), 0, "nothing was tried");
    wait("the alarm", || {
        said(&site, &["status"]).contains("too long")
    });
    let listed = said(&site, &["dead-letters", "list", "--limit", "10000"]);
    assert!(
        listed.contains("awaits") && listed.contains("held"),
        "{listed}"
    );
    // Half of the items come, and the collector is killed while what waited for them goes.
    let some = item_lines(0, ITEMS / 2);
    drop_file(&site.drops("items"), "a.txt", some.as_bytes()).expect("a drop");
    let half = ITEMS / 2 + LINES / 2;
    for reached in [1, half / 4, half / 2, half - 10] {
        let came = erp.wait(PATIENCE, |events| events >= reached);
        assert!(came, "{} of {reached} arrived", erp.events());
        kill_collector(&mut site);
    }
    wait("the others still wait", || held(&site) as u64 == LINES / 2);
    let rest = item_lines(ITEMS / 2, ITEMS);
    drop_file(&site.drops("items"), "b.txt", rest.as_bytes()).expect("a drop");
    wait("nothing waits", || held(&site) == 0);
    let arrivals: Vec<_> = erp
        .arrivals()
        .into_iter()
        .filter(|arrival| arrival.number.starts_with("MV"))
        .collect();
    let verdict = judge((0..LINES).map(|n| format!("MV{n:010}")), &arrivals);
    assert!(verdict.clean(), "{verdict}");
    wait("the alarm is over", || {
        !said(&site, &["status"]).contains("too long")
    });
}
