//! Flows in shadow: rendered, compared, and never sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::erp::{Ask, Erp, Reply};
use crate::support::{
    append, append_as, append_block, block_of, event, exceptions, flow, open, start, start_agreed,
    wait,
};
use dray_delivery::shadow::Detail;
use dray_store::{ShadowQuery, ShadowRow, Store};
use serde_json::json;

const SHADOW: &str = "[[flow]]\nname = \"*\"\nphase = \"shadow\"\n";
const NORTH_LIVE: &str =
    "[[flow]]\nname = \"*\"\nphase = \"shadow\"\n[[flow]]\nname = \"north/*\"\nphase = \"live\"\n";
const NORTH_BACK: &str = "[[flow]]\nname = \"*\"\nphase = \"shadow\"\n[[flow]]\nname = \"north/*\"\nphase = \"rollback\"\n";

/// Compares what the ERP has of the key with the number in our document.
const BY_CALL: &str = r#"
batch = 1
[shadow]
at = "/0"
fields = { "/data/shipment_number" = "/number", "/key" = "/code" }
[shadow.call]
method = "GET"
url = "items?code={{ key | urlencode }}"
"#;

fn rows(store: &Arc<dyn Store>) -> Vec<(String, ShadowRow)> {
    let query = ShadowQuery {
        target: "erp".into(),
        limit: 100_000,
        ..ShadowQuery::default()
    };
    let rows = store.shadow_rows(&query).expect("the store answers");
    rows.into_iter()
        .map(|(flow, row)| (flow.to_string(), row))
        .collect()
}

fn counts(store: &Arc<dyn Store>) -> BTreeMap<String, u64> {
    let counts = store.shadow_counts("erp").expect("the store answers");
    counts
        .into_iter()
        .map(|count| (format!("{} {}", count.flow, count.what), count.count))
        .collect()
}

/// "KEY verdict", by offset.
fn verdicts(store: &Arc<dyn Store>) -> Vec<String> {
    let mut rows = rows(store);
    rows.sort_by_key(|(flow, row)| (flow.clone(), row.offset));
    rows.iter()
        .map(|(_, row)| format!("{} {}", row.key, row.verdict))
        .collect()
}

/// What the ERP has of the key that is asked for.
fn have(ask: &Ask) -> Reply {
    let body = match ask.path.rsplit('=').next().unwrap_or("") {
        // As the events have it: see `support::event`.
        "same" => r#"[{"number": "same 1", "code": "same", "more": 1}]"#,
        "other" => r#"[{"number": "OTHER", "code": "other"}]"#,
        "broken" => "<html>",
        "gone" => return Reply::Status(404),
        _ => "[]",
    };
    Reply::With(200, "x-a", "b".into(), body.into())
}

#[tokio::test]
async fn scenario_38_shadow_sends_nothing_its_differences_are_exact_and_one_site_is_promoted_and_rolled_back()
 {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(have);
    let target = start_agreed(&store, &erp.url(), BY_CALL, SHADOW);
    append(
        &store,
        "north/shipments",
        &["same", "other", "none", "broken", "gone"],
    )
    .await;
    let metrics = wait(&target, "the looks", |metrics| {
        metrics.shadowed == 5 && metrics.backlog == 0
    })
    .await;
    assert_eq!((metrics.delivered, metrics.dead), (0, 0));
    target.stop().await;
    assert!(
        erp.kept_asks().iter().all(|ask| ask.method == "GET"),
        "{:?}",
        erp.lines()
    );
    assert_eq!(
        verdicts(&store),
        [
            "same same",
            "other differs",
            "none missing",
            "broken unread",
            "gone missing"
        ]
    );
    let all = rows(&store);
    let differs = &all
        .iter()
        .find(|(_, row)| row.verdict == "differs")
        .expect("a row")
        .1;
    let detail: Detail = serde_json::from_str(&differs.detail).expect("JSON");
    let shown: Vec<_> = detail
        .differences
        .iter()
        .map(|found| {
            (
                found.field.as_str(),
                found.ours.as_deref(),
                found.theirs.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [(
            "/data/shipment_number",
            Some("\"other 2\""),
            Some("\"OTHER\"")
        )]
    );
    let head = format!("POST {}\nidempotency-key: ", erp.url());
    assert!(differs.request.starts_with(&head), "{}", differs.request);
    assert!(
        differs.request.contains("\"shipment_number\":\"other 2\""),
        "{}",
        differs.request
    );
    let expected = [
        ("north/shipments /data/shipment_number", 1),
        ("north/shipments differs", 1),
        ("north/shipments missing", 2),
        ("north/shipments same", 1),
        ("north/shipments unread", 1),
    ];
    assert_eq!(
        counts(&store),
        expected
            .map(|(what, count)| (what.to_owned(), count))
            .into()
    );

    // One site is promoted, the other stays in shadow, and nothing of the first is sent that was only compared.
    let target = start_agreed(&store, &erp.url(), BY_CALL, NORTH_LIVE);
    append(&store, "north/shipments", &["same"]).await;
    append(&store, "south/shipments", &["same"]).await;
    erp.script(|ask| {
        if ask.method == "GET" {
            have(ask)
        } else {
            Reply::Status(200)
        }
    });
    wait(&target, "one of each", |metrics| {
        (metrics.delivered, metrics.shadowed) == (1, 1)
    })
    .await;
    target.stop().await;
    let sent: Vec<_> = erp
        .arrivals()
        .into_iter()
        .map(|arrival| (arrival.flow, arrival.offset))
        .collect();
    assert_eq!(sent, [("north/shipments".to_owned(), 6)]);

    // And back.
    let target = start_agreed(&store, &erp.url(), BY_CALL, NORTH_BACK);
    append(&store, "north/shipments", &["same"]).await;
    append(&store, "south/shipments", &["other"]).await;
    let metrics = wait(&target, "the other site's", |metrics| {
        metrics.shadowed == 1 && metrics.backlog == 0
    })
    .await;
    target.stop().await;
    assert_eq!(erp.arrivals().len(), 1);
    let north = metrics
        .flows
        .iter()
        .find(|flow| flow.flow.as_str() == "north/shipments")
        .expect("it is known");
    let said = north.standing.as_ref().expect("it was live").sentence();
    assert_eq!(said, "the old way goes on from offset 7");
    let entries = store.audit_entries(10).expect("the store answers");
    let trail: Vec<_> = entries
        .iter()
        .map(|entry| format!("{}: {}", entry.subject, entry.detail))
        .collect();
    assert_eq!(
        trail,
        [
            "north/shipments at erp: live → shadow: from offset 1",
            "north/shipments at erp: shadow → live: from offset 6",
            "south/shipments at erp: live → shadow: from offset 1",
            "north/shipments at erp: live → rollback: the old way goes on from offset 7",
        ]
    );
}

#[tokio::test]
async fn what_the_old_way_sent_is_read_from_its_file_while_it_goes_on_writing() {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sent.jsonl");
    let line = |key: &str, number: &str, stamp: u32| {
        json!({"key": key, "data": {"shipment_number": number}, "stamp": stamp}).to_string() + "\n"
    };
    std::fs::write(&path, line("A", "A 1", 1) + &line("B", "B 9", 2)).expect("a file");
    let more = format!(
        "[shadow]\nfile = \"{}\"\nkey = \"/key\"\nfields = {{ \"/data\" = \"/data\" }}",
        path.display()
    );
    let target = start_agreed(&store, &erp.url(), &more, SHADOW);
    append(&store, "north/shipments", &["A", "B", "C"]).await;
    wait(&target, "three", |metrics| metrics.shadowed == 3).await;
    let text = std::fs::read_to_string(&path).expect("a file") + &line("D", "D 4", 3);
    std::fs::write(&path, text).expect("a file");
    append(&store, "north/shipments", &["D"]).await;
    wait(&target, "the fourth", |metrics| metrics.shadowed == 4).await;
    target.stop().await;
    assert_eq!(
        verdicts(&store),
        ["A same", "B differs", "C missing", "D same"]
    );
    assert_eq!(erp.kept_asks().len(), 0);
}

#[tokio::test]
async fn kills_in_shadow_send_nothing_and_each_event_is_in_the_report_once() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(have);
    let keys: Vec<String> = (0..150).map(|n| format!("K{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    append(&store, "north/shipments", &keys).await;
    for round in 1..6 {
        let target = start_agreed(&store, &erp.url(), BY_CALL, SHADOW);
        erp.wait_asks(round * 20).await;
        target.kill().await;
    }
    let target = start_agreed(&store, &erp.url(), BY_CALL, SHADOW);
    wait(&target, "all", |metrics| {
        metrics.flows.len() == 1 && metrics.backlog == 0
    })
    .await;
    target.stop().await;
    let all = rows(&store);
    assert_eq!(all.len(), 150);
    assert_eq!(counts(&store)["north/shipments missing"], 150);
    assert!(erp.kept_asks().iter().all(|ask| ask.method == "GET"));
    assert_eq!(exceptions(&store), []);
}

#[tokio::test]
async fn a_conversation_reads_for_real_and_ends_before_its_first_change() {
    let config = r#"
batch = 1
[calls]
first = "find"
[calls.call.find]
url = "search"
reads = true
body = '{"key": {{ key | tojson }}}'
rule = [
    { when = [{ at = "/0/done" }], outcome = "done" },
    { when = [{ at = "/0/id" }], capture = { id = "/0/id" }, go = "change" },
    { status = ["200"], go = "create" },
]
[calls.call.create]
url = "items"
[calls.call.change]
method = "PATCH"
url = "items/{{ got.id }}"
headers = { "If-Match" = "*" }
body = '{"name": {{ data.shipment_number | tojson }}}'
"#;
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        let body = match ask.events[0]["key"].as_str() {
            Some("old") => r#"[{"id": 12}]"#,
            Some("done") => r#"[{"done": true}]"#,
            _ => "[]",
        };
        Reply::With(200, "x-a", "b".into(), body.into())
    });
    let target = start_agreed(&store, &erp.url(), config, SHADOW);
    append(&store, "north/items", &["new", "old", "done"]).await;
    wait(&target, "three", |metrics| metrics.shadowed == 3).await;
    target.stop().await;
    assert_eq!(erp.lines(), ["POST /search"; 3]);
    assert_eq!(
        verdicts(&store),
        ["new rendered", "old rendered", "done nothing"]
    );
    let base = erp.url().replace("/events", "");
    let old = &rows(&store)
        .into_iter()
        .find(|(_, row)| row.key == "old")
        .expect("a row")
        .1;
    assert_eq!(
        old.request,
        format!("PATCH {base}/items/12\nif-match: *\n\n{{\"name\": \"old 2\"}}")
    );
}

#[tokio::test]
async fn what_would_be_a_dead_letter_is_a_row_that_says_so() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start_agreed(&store, &erp.url(), "", SHADOW);
    append_as(&store, "north/shipments", "a body of tomorrow", &["A"]).await;
    append(&store, "north/shipments", &["B"]).await;
    let metrics = wait(&target, "both", |metrics| metrics.shadowed == 2).await;
    target.stop().await;
    assert_eq!(verdicts(&store), ["A poison", "B rendered"]);
    assert_eq!((metrics.dead, erp.kept_asks().len()), (0, 0));
}

#[tokio::test]
async fn a_later_event_of_the_key_makes_the_earlier_one_superseded_where_the_other_side_is_asked() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(have);
    append(&store, "north/shipments", &["other", "other"]).await;
    let target = start_agreed(&store, &erp.url(), BY_CALL, SHADOW);
    wait(&target, "both", |metrics| metrics.shadowed == 2).await;
    target.stop().await;
    assert_eq!(verdicts(&store), ["other superseded", "other differs"]);
    assert_eq!(erp.kept_asks().len(), 1);
}

#[tokio::test]
async fn an_event_is_compared_once_the_old_way_had_its_time() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(have);
    let more = BY_CALL.replace("[shadow]", "[shadow]\nafter = \"1s\"");
    let target = start_agreed(&store, &erp.url(), &more, SHADOW);
    let name = flow("north/shipments");
    let mut block = block_of(&**store, &name, &[event(1, "same", "shipment")]);
    let header = block.header.as_mut().expect("it has one");
    header.last_captured_us = jiff::Timestamp::now().as_microsecond();
    let began = Instant::now();
    append_block(&store, &name, block).await;
    wait(&target, "the look", |metrics| metrics.shadowed == 1).await;
    assert!(
        began.elapsed() >= Duration::from_millis(990),
        "{:?}",
        began.elapsed()
    );
    target.stop().await;
    assert_eq!(verdicts(&store), ["same same"]);
}

#[tokio::test]
async fn while_the_other_side_can_not_be_read_the_report_waits_for_it() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        if ask.number < 7 {
            Reply::Status(503)
        } else {
            have(ask)
        }
    });
    append(&store, "north/shipments", &["same", "other"]).await;
    let target = start_agreed(&store, &erp.url(), BY_CALL, SHADOW);
    let metrics = wait(&target, "both", |metrics| {
        metrics.shadowed == 2 && metrics.broken.is_none()
    })
    .await;
    assert_eq!(metrics.failures, 7);
    target.stop().await;
    assert_eq!(verdicts(&store), ["same same", "other differs"]);
    let target = start(&store, &erp.url(), BY_CALL);
    append(&store, "north/shipments", &["new"]).await;
    wait(&target, "live", |metrics| metrics.delivered == 1).await;
    assert_eq!(erp.arrivals().len(), 1);
}

#[tokio::test]
async fn an_entity_in_shadow_is_looked_at_as_it_would_be_and_its_own_body_is_compared() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        let body = match ask.path.contains("$filter") {
            true => r#"{"value": [{"code": "A", "label": "other"}]}"#,
            false => r#"{"sku": "A", "@odata.etag": "W/\"7\""}"#,
        };
        Reply::With(200, "x-a", "b".into(), body.into())
    });
    let table = r#"
kind = "odata"
batch = 50
[odata]
entity = "Items"
body = '{"sku": {{ key | tojson }}, "name": {{ data.shipment_number | tojson }}}'
key = ["sku"]
write = "create-or-patch"
if_match = "read"
[shadow]
at = "/value/0"
fields = { "/sku" = "/code", "/name" = "/label" }
[shadow.call]
method = "GET"
url = "Items?$filter=sku%20eq%20'{{ key | odata | urlencode }}'"
"#;
    let target = start_agreed(&store, &erp.url(), table, SHADOW);
    append(&store, "north/shipments", &["A"]).await;
    wait(&target, "one", |metrics| metrics.shadowed == 1).await;
    target.stop().await;
    assert!(
        erp.kept_asks().iter().all(|ask| ask.method == "GET"),
        "{:?}",
        erp.lines()
    );
    assert_eq!(verdicts(&store), ["A differs"]);
    let row = &rows(&store)[0].1;
    for part in [
        "PATCH ",
        "Items('A')",
        "if-match: W/\"7\"",
        "{\"sku\": \"A\"",
    ] {
        assert!(
            row.request.contains(part),
            "{part} is not in {}",
            row.request
        );
    }
    let detail: Detail = serde_json::from_str(&row.detail).expect("JSON");
    let fields: Vec<_> = detail
        .differences
        .iter()
        .map(|found| &*found.field)
        .collect();
    assert_eq!(fields, ["/name"]);
}

/// What an answer told while the flow was live is there in shadow, too: what is rendered is what would be sent.
#[tokio::test]
async fn what_is_kept_of_a_key_stands_in_what_shadow_renders() {
    const KEEPS: &str = r#"
batch = 1
template = '{"key": {{ key | tojson }}, "document": {{ kept.id | default(none) | tojson }}}'
[[rule]]
status = ["2xx"]
when = [{ at = "/id" }]
outcome = "done"
keep = { id = "/id" }
"#;
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| Reply::With(200, "x-a", "b".into(), "{\"id\": \"D-7\"}".into()));
    append(&store, "north/shipments", &["A"]).await;
    let target = start(&store, &erp.url(), KEEPS);
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    target.stop().await;
    let target = start_agreed(&store, &erp.url(), KEEPS, SHADOW);
    append(&store, "north/shipments", &["A", "B"]).await;
    wait(&target, "both", |metrics| {
        metrics.shadowed == 2 && metrics.backlog == 0
    })
    .await;
    target.stop().await;
    let all = rows(&store);
    let request = |key: &str| {
        let found = all.iter().find(|(_, row)| row.key == key);
        found.expect("a row").1.request.clone()
    };
    assert!(request("A").contains("\"D-7\""), "{}", request("A"));
    assert!(request("B").contains("null"), "{}", request("B"));
    assert_eq!(erp.kept_asks().len(), 1);
}

/// The other side shows what its own flow has: what another one brings of the same key is another document.
#[tokio::test]
async fn only_a_later_event_of_the_same_flow_supersedes_one_in_shadow() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(have);
    append(&store, "north/shipments", &["same", "same"]).await;
    append(&store, "south/shipments", &["same"]).await;
    let target = start_agreed(&store, &erp.url(), BY_CALL, SHADOW);
    wait(&target, "the looks", |metrics| {
        metrics.shadowed == 3 && metrics.backlog == 0
    })
    .await;
    target.stop().await;
    let mut found: Vec<_> = rows(&store)
        .into_iter()
        .map(|(flow, row)| format!("{flow} {} {}", row.offset, row.verdict))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "north/shipments 1 superseded",
            "north/shipments 2 differs",
            "south/shipments 1 same"
        ]
    );
}
