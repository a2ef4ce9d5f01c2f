//! SAP CAP as a target while three requests in ten fail: cut before anything is done, committed with a lost or broken answer,
//! 500, 503, 429 with Retry-After, an ended token, slow. Nothing missing, nothing twice, order per key kept.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use dray_tests::cap::{self, Cap};
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use serde_json::Value;

use crate::{folder, soak, wait};

/// A target's table up to `[target.odata]`, which stands in `odata` with what else there is.
pub(crate) fn table(name: &str, url: &str, cap: &Cap, more: &str, odata: &str) -> String {
    format!(
        r#"
[[target]]
name = "{name}"
kind = "odata"
url = "{url}"
bodies = ["inventory_movement"]
{more}
[target.auth]
kind = "basic"
user = "{user}"
password_file = {file:?}
[target.csrf]
[target.retry]
first = "20ms"
max = "200ms"
[target.odata]
{odata}
"#,
        user = cap::LOGIN.0,
        file = cap.password_file(),
    )
}

/// A document whose key is the service's own: one that is posted twice is there twice.
const DOCUMENT: &str = r#"
entity = "Documents"
body = '{"number": {{ data.movement_number | tojson }}, "item": {{ key | tojson }}, "quantity": {{ data.quantity | tojson }}, "place": {{ offset }}, "postedAt": {{ data.moved_at | tojson }}}'
write = "create"
find = ["number"]
decimals = "strings"
"#;

pub(crate) fn drop_movements(site: &Site, lines: u64, items: u64) {
    let text = movements(0, lines, items);
    drop_file(&site.drops("movements"), "all.txt", text.as_bytes()).expect("a drop");
}

/// Waits until all of so many events is there, and each of these targets knows that; none is refused.
pub(crate) fn all_settled(
    site: &Site,
    targets: &[&str],
    lines: u64,
    mut is_there: impl FnMut() -> bool,
) {
    // The service first: what a target says of itself may be older than what came in since.
    wait("everything is at the service", &mut is_there);
    let mut status = String::new();
    wait("everything is delivered", || {
        let output = site.collector_command(&["status"]).expect("its status");
        status = String::from_utf8(output.stdout).expect("UTF-8");
        // FLOW AGENT EVENTS, and TARGET STATE DELIVERED BACKLOG.
        let cell = |row: &str, column: usize| -> Option<u64> {
            let line = status
                .lines()
                .find(|line| line.split_whitespace().next() == Some(row))?;
            line.split_whitespace().nth(column)?.parse().ok()
        };
        cell("north/movements", 2) == Some(lines)
            && targets.iter().all(|target| cell(target, 3) == Some(0))
    });
    let dead = site
        .collector_command(&["dead-letters", "list"])
        .expect("a list");
    let dead = String::from_utf8_lossy(&dead.stdout).into_owned();
    assert!(!dead.contains("north/movements"), "{dead}");
}

/// How often the service did what to requests.
fn faults(cap: &Cap) -> BTreeMap<String, u64> {
    let mut faults = BTreeMap::new();
    for write in cap.writes() {
        if let Some(fault) = write["fault"].as_str() {
            *faults.entry(fault.to_owned()).or_default() += 1;
        }
    }
    faults
}

fn number(value: &Value) -> u64 {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    text.split('.')
        .next()
        .and_then(|text| text.parse().ok())
        .expect("a number")
}

/// Whether each of so many items is there, as the last of its movements has it.
pub(crate) fn are_newest(cap: &Cap, entity: &str, name: &str, lines: u64, items: u64) -> bool {
    let oldest = format!("MV{:010}", lines - items);
    let rows = cap.rows(entity);
    let is_newest = |row: &Value| row[name].as_str().is_some_and(|number| *number >= *oldest);
    rows.len() as u64 == items && rows.iter().all(is_newest)
}

/// No write of a key came after one of a later event of it; a repeat of the same may.
pub(crate) fn check_order(history: &[Value], key: &str, place: &str) {
    let mut newest: HashMap<&str, u64> = HashMap::new();
    for row in history {
        let data = &row["data"];
        let (key, at) = (data[key].as_str().expect("a key"), number(&data[place]));
        let newest = newest.entry(key).or_default();
        assert!(at >= *newest, "{row} was written after {newest}");
        *newest = at;
    }
}

#[test]
fn documents_are_there_once_each_and_in_order_while_three_requests_in_ten_fail() {
    let (lines, items, batch) = if soak() {
        (10_000, 1_000, 50)
    } else {
        (1_000, 200, 20)
    };
    let cap = Cap::start();
    cap.lab("csrf", r#"{"on":true}"#);
    cap.lab("chaos", r#"{"share":0.3,"seed":6}"#);
    // The service answers or breaks off when it has done what it does: nothing to wait for.
    let odata = format!("{DOCUMENT}settle = \"0s\"\n");
    let target = table(
        "documents",
        &cap.url(),
        &cap,
        &format!("batch = {batch}\nconcurrency = 4"),
        &odata,
    );
    let folder = folder("odata-faults");
    let site = Site::start(folder.path(), &[FlowSpec::movements("movements")], &target);
    let site = site.expect("a site");
    let began = Instant::now();
    drop_movements(&site, lines, items);
    all_settled(&site, &["documents"], lines, || {
        cap.rows("Documents").len() as u64 >= lines
    });
    let took = began.elapsed();
    let rows = cap.rows("Documents");
    let mut numbers: Vec<_> = rows
        .iter()
        .filter_map(|row| row["number"].as_str())
        .collect();
    numbers.sort_unstable();
    let came = numbers.len();
    numbers.dedup();
    let expected: Vec<_> = (0..lines).map(|n| format!("MV{n:010}")).collect();
    let (requests, faults) = (cap.writes().len(), faults(&cap));
    println!("{came} documents in {took:?} with {requests} requests, of which failed: {faults:?}");
    assert!(
        numbers == expected,
        "{came} came, of {} numbers",
        numbers.len()
    );
    assert_eq!(came as u64, lines, "a document is there twice");
    check_order(&cap.history("Documents"), "item", "place");
    let failed: u64 = faults.values().sum();
    // What a token that ended made of requests beside it is no fault of its own.
    assert!(
        failed * 4 >= requests as u64,
        "{failed} of {requests} requests failed"
    );
    assert_eq!(faults.len(), 8, "each kind: {faults:?}");
}

#[test]
fn groups_of_upserts_and_changes_by_state_end_with_the_newest_while_three_requests_in_ten_fail() {
    let (lines, items) = if soak() { (3_000, 100) } else { (240, 40) };
    let cap = Cap::start();
    cap.lab("csrf", r#"{"on":true}"#);
    cap.lab("chaos", r#"{"share":0.3,"seed":11}"#);
    cap.lab("touch", r#"{"count":15}"#);
    let batch = "batch = 20\nconcurrency = 2";
    let upsert = r#"
entity = "Items"
body = '{"sku": {{ key | tojson }}, "name": {{ data.movement_number | tojson }}, "onHand": {{ offset }}}'
key = ["sku"]
method = "PUT"
atomic = true
"#;
    let change = r#"
entity = "Shipments"
body = '{"shipmentNo": {{ key | tojson }}, "orderNo": {{ data.movement_number | tojson }}, "weight": {{ offset }}}'
key = ["shipmentNo"]
write = "create-or-patch"
if_match = "read"
"#;
    let targets = table("items", &cap.url(), &cap, batch, upsert)
        + &table("shipments", &cap.url(), &cap, batch, change);
    let folder = folder("odata-newest");
    let site = Site::start(folder.path(), &[FlowSpec::movements("movements")], &targets);
    let site = site.expect("a site");
    drop_movements(&site, lines, items);
    all_settled(&site, &["items", "shipments"], lines, || {
        are_newest(&cap, "Items", "name", lines, items)
            && are_newest(&cap, "Shipments", "orderNo", lines, items)
    });
    for (entity, key, name, place) in [
        ("Items", "sku", "name", "onHand"),
        ("Shipments", "shipmentNo", "orderNo", "weight"),
    ] {
        let rows = cap.rows(entity);
        assert_eq!(rows.len() as u64, items, "{entity}");
        for row in &rows {
            let item: u64 = row[key]
                .as_str()
                .and_then(|key| key[4..].parse().ok())
                .expect("an item");
            let last = lines - items + item;
            assert_eq!(row[name], format!("MV{last:010}"), "{entity}: {row}");
        }
        let history = cap.history(entity);
        check_order(&history, key, place);
        println!("{entity}: {} writes for {lines} events", history.len());
    }
    let touched = cap.rows("Shipments");
    assert!(
        touched.iter().any(|row| row["warehouse"].is_string()),
        "somebody else changed some of them in between, and what they wrote stands"
    );
    println!("faults: {:?}", faults(&cap));
}
