//! What is masked stands nowhere that somebody reads.

use crate::support::erp::{Ask, Erp, Reply};
use crate::support::{
    append, append_block, block_of, event_with, exceptions, flow, open, start, start_agreed, wait,
};
use dray_delivery::State;
use dray_store::ShadowQuery;

const MASK: &str = "batch = 1\nmask = [\"iban\", \"/data/shipment_number\"]\n";

/// Echoes what it was sent in plain words, and says a number of its own.
fn answer(status: u16) -> impl Fn(&Ask) -> Reply + Send {
    move |_| {
        let said = "{\"error\": \"SECRET-7 1 is locked\", \"iban\": \"DE12345\"}".to_owned();
        Reply::With(status, "x-a", "b".into(), said)
    }
}

fn assert_hidden(text: &str) {
    for secret in ["SECRET-7 1", "DE12345"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn masked_fields_stand_in_no_state_of_a_target() {
    for (status, state) in [
        (500, State::Waiting),
        (401, State::Waiting),
        (403, State::Paused),
    ] {
        let (store, erp) = (open(), Erp::start().await);
        erp.script(answer(status));
        append(&store, "north/shipments", &["SECRET-7"]).await;
        let target = start(&store, &erp.url(), MASK);
        let metrics = wait(&target, "the state", |metrics| {
            metrics.state == state && (metrics.broken.is_some() || status != 401)
        })
        .await;
        target.stop().await;
        let of_status = format!("{status}");
        assert!(metrics.detail.contains(&of_status), "{}", metrics.detail);
        let kept = store.setting("paused:erp").expect("the store answers");
        assert_eq!(kept.is_some(), state == State::Paused);
        for text in [
            &metrics.detail,
            &metrics.last_error,
            &kept.unwrap_or_default(),
        ] {
            assert_hidden(text);
        }
        assert_hidden(&format!("{:?}", metrics.broken));
    }
}

#[tokio::test]
async fn masked_fields_stand_in_no_report_of_shadow() {
    const SHADOW: &str = r#"
[shadow]
at = "/0"
fields = { "/data/shipment_number" = "/number", "/key" = "/code" }
[shadow.call]
method = "GET"
url = "items?code={{ key | urlencode }}"
"#;
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| {
        let theirs = "[{\"number\": \"DE12345\", \"code\": \"other\"}]".to_owned();
        Reply::With(200, "x-a", "b".into(), theirs)
    });
    append(&store, "north/shipments", &["SECRET-7"]).await;
    let agreed = "[[flow]]\nname = \"*\"\nphase = \"shadow\"\n";
    let target = start_agreed(&store, &erp.url(), &format!("{MASK}{SHADOW}"), agreed);
    wait(&target, "the look", |metrics| {
        metrics.shadowed == 1 && metrics.backlog == 0
    })
    .await;
    target.stop().await;
    let query = ShadowQuery {
        target: "erp".into(),
        limit: 10,
        ..ShadowQuery::default()
    };
    let rows = store.shadow_rows(&query).expect("the store answers");
    let row = &rows[0].1;
    assert_eq!(row.verdict, "differs");
    assert_hidden(&row.request);
    assert_hidden(&row.detail);
    assert!(row.detail.contains("other"), "{}", row.detail);
    assert!(row.request.contains("***"), "{}", row.request);
}

#[tokio::test]
async fn masked_fields_stand_in_no_word_about_what_was_not_sent() {
    const RULES: &str = r#"
batch = 1
mask = ["unit", "/data/line/item_number"]
[holds]
alarm_after = "1ms"
[[demand]]
body = "shipment"
field = "line.unit"
one_of = ["EA"]
[[reference]]
body = "shipment"
field = "line.item_number"
of = "item"
"#;
    let (store, erp) = (open(), Erp::start().await);
    let target = start(&store, &erp.url(), RULES);
    let name = flow("north/shipments");
    let events = [
        event_with(1, "S1", "shipment", &[(10, 4, "SECRET-7 1")]),
        event_with(2, "S2", "shipment", &[(10, 2, "DE12345")]),
    ];
    append_block(&store, &name, block_of(&**store, &name, &events)).await;
    let metrics = wait(&target, "both", |metrics| {
        (metrics.dead, metrics.waiting, metrics.missing_overdue) == (1, 1, 1)
    })
    .await;
    target.stop().await;
    for kept in exceptions(&store) {
        assert!(kept.reason.contains("***"), "{}", kept.reason);
        assert_hidden(&kept.reason);
        assert_hidden(&kept.detail);
    }
    assert_hidden(&metrics.last_error);
}
