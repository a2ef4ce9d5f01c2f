//! SAP CAP as a target: what it says that is not so, what it refuses, version 2, kills.

use dray_tests::cap::Cap;
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};

use crate::odata_faults::{all_settled, are_newest, check_order, drop_movements, table};
use crate::{folder, wait};

const ITEM: &str = r#"
entity = "Items"
key = ["sku"]
"#;

/// `dead-letters list` of a target once it has so many lines.
fn dead_letters(site: &Site, target: &str, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    wait(&format!("{count} dead letters of {target}"), || {
        let output = site
            .collector_command(&["dead-letters", "list"])
            .expect("a list");
        let list = String::from_utf8(output.stdout).expect("UTF-8");
        let of = |line: &&str| line.contains("north/movements") && line.contains(target);
        lines = list.lines().filter(of).map(str::to_owned).collect();
        lines.len() == count
    });
    lines
}

/// Scenarios 19, 20 and 21, against SAP's own service.
#[test]
fn what_a_group_rolls_back_or_a_duplicate_hides_is_not_taken_for_delivered() {
    let cap = Cap::start();
    // One in 20 holds more than the service allows.
    let one_is_bad = |name: &str| {
        format!(
            r#"body = '{{"sku": "{name}-{{{{ key }}}}", "name": {{{{ data.movement_number | tojson }}}}, "onHand": {{{{ 9000000 if key == "SKU-0000013" else 5 }}}}}}'"#
        )
    };
    let batch = "batch = 20\nconcurrency = 1";
    let targets = [
        (
            "group",
            format!("{ITEM}method = \"PUT\"\natomic = true\n{}", one_is_bad("G")),
        ),
        (
            "each",
            format!("{ITEM}method = \"PUT\"\n{}", one_is_bad("E")),
        ),
        (
            "new",
            format!(
                "{ITEM}write = \"create\"\nsettle = \"0s\"\n{}",
                one_is_bad("N")
            ),
        ),
    ];
    let targets: String = targets
        .iter()
        .map(|(name, odata)| table(name, &cap.url(), &cap, batch, odata))
        .collect();
    // Two that "new" would make are there already: one as it would be, one that is another.
    cap.put(
        "Items('N-SKU-0000003')",
        r#"{"name":"MV0000000003","onHand":"5.000"}"#,
    );
    cap.put("Items('N-SKU-0000007')", r#"{"name":"another","onHand":5}"#);
    cap.lab("csrf", r#"{"on":true}"#);
    let folder = folder("odata-refused");
    let site = Site::start(folder.path(), &[FlowSpec::movements("movements")], &targets);
    let site = site.expect("a site");
    drop_movements(&site, 20, 20);
    let group = dead_letters(&site, " group ", 1);
    let each = dead_letters(&site, " each ", 1);
    let new = dead_letters(&site, " new ", 2);
    for (line, said) in [(&group[0], "ASSERT_RANGE"), (&each[0], "ASSERT_RANGE")] {
        assert!(line.contains("SKU-0000013"), "{line}");
        let id = line.split_whitespace().next().expect("an id");
        let shown = site
            .collector_command(&["dead-letters", "show", id])
            .expect("it");
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(said) && shown.contains("onHand"), "{shown}");
    }
    assert!(
        new.iter().any(|line| line.contains("SKU-0000013")),
        "{new:?}"
    );
    assert!(
        new.iter()
            .any(|line| line.contains("SKU-0000007") && line.contains("another name")),
        "{new:?}"
    );
    wait("all good ones are there", || {
        let rows = cap.rows("Items");
        let of = |begin: &str| {
            rows.iter()
                .filter(|row| {
                    row["sku"]
                        .as_str()
                        .is_some_and(|sku| sku.starts_with(begin))
                })
                .count()
        };
        (of("G-"), of("E-"), of("N-")) == (19, 19, 19)
    });
    let rows = cap.rows("Items");
    assert!(
        rows.iter()
            .all(|row| row["sku"] != "G-SKU-0000013" && row["sku"] != "E-SKU-0000013")
    );
    assert!(
        rows.iter()
            .any(|row| row["sku"] == "N-SKU-0000007" && row["name"] == "another"),
        "it was not written over"
    );
    // What is refused of independent parts is that part: it is not sent again, nor is what stood beside it.
    let history = cap.history("Items");
    let each: Vec<_> = history
        .iter()
        .filter(|row| {
            row["data"]["sku"]
                .as_str()
                .is_some_and(|sku| sku.starts_with("E-"))
        })
        .collect();
    assert_eq!(each.len(), 19, "once each");
}

#[test]
fn version_2_takes_changesets_dates_and_states_while_three_requests_in_ten_fail() {
    let (lines, items) = (200, 40);
    let cap = Cap::start();
    cap.lab("csrf", r#"{"on":true}"#);
    cap.lab("chaos", r#"{"share":0.3,"seed":3}"#);
    let batch = "batch = 20\nconcurrency = 2";
    let make = r#"
version = 2
entity = "Documents"
body = '{"number": {{ data.movement_number | tojson }}, "item": {{ key | tojson }}, "quantity": {{ data.quantity | tojson }}, "place": {{ offset }}, "postedAt": {{ data.moved_at | msdate | tojson }}}'
write = "create"
find = ["number"]
atomic = true
settle = "0s"
"#;
    let change = r#"
version = 2
entity = "Shipments"
body = '{"shipmentNo": {{ key | tojson }}, "orderNo": {{ data.movement_number | tojson }}, "weight": "{{ offset }}", "shippedAt": {{ data.moved_at | msdate | tojson }}}'
key = ["shipmentNo"]
write = "create-or-patch"
if_match = "read"
"#;
    let targets = table("documents", &cap.old_url(), &cap, batch, make)
        + &table("shipments", &cap.old_url(), &cap, batch, change);
    let folder = folder("odata-v2");
    let site = Site::start(folder.path(), &[FlowSpec::movements("movements")], &targets);
    let site = site.expect("a site");
    drop_movements(&site, lines, items);
    all_settled(&site, &["documents", "shipments"], lines, || {
        cap.rows("Documents").len() as u64 >= lines
            && are_newest(&cap, "Shipments", "orderNo", lines, items)
    });
    let rows = cap.rows("Documents");
    assert_eq!(rows.len() as u64, lines, "once each");
    let first = rows
        .iter()
        .find(|row| row["number"] == "MV0000000000")
        .expect("the first");
    assert_eq!(first["postedAt"], "2026-11-23T09:00:00.000Z", "{first}");
    check_order(&cap.history("Documents"), "item", "place");
    let shipments = cap.rows("Shipments");
    assert_eq!(shipments.len() as u64, items);
    check_order(&cap.history("Shipments"), "shipmentNo", "weight");
    assert!(
        shipments.iter().all(|row| row["orderNo"]
            .as_str()
            .is_some_and(|number| number >= "MV0000000160")),
        "{shipments:?}"
    );
}

#[test]
fn documents_are_there_once_each_through_kills_of_the_collector() {
    let (lines, items) = (300, 100);
    let cap = Cap::start();
    cap.lab("csrf", r#"{"on":true}"#);
    let make = r#"
entity = "Documents"
body = '{"number": {{ data.movement_number | tojson }}, "item": {{ key | tojson }}, "place": {{ offset }}}'
write = "create"
find = ["number"]
settle = "1s"
"#;
    let target = table(
        "documents",
        &cap.url(),
        &cap,
        "batch = 20\nconcurrency = 2",
        make,
    );
    let folder = folder("odata-kills");
    let site = Site::start(folder.path(), &[FlowSpec::movements("movements")], &target);
    let mut site = site.expect("a site");
    let text = movements(0, lines, items);
    drop_file(&site.drops("movements"), "all.txt", text.as_bytes()).expect("a drop");
    for reached in [40, 160] {
        wait("some are there", || cap.rows("Documents").len() >= reached);
        site.collector
            .as_mut()
            .expect("it runs")
            .kill()
            .expect("a kill");
        site.start_collector().expect("a collector");
    }
    all_settled(&site, &["documents"], lines, || {
        cap.rows("Documents").len() as u64 >= lines
    });
    assert_eq!(cap.rows("Documents").len() as u64, lines, "once each");
    check_order(&cap.history("Documents"), "item", "place");
}
