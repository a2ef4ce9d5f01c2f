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
            metrics.state == state && (metrics.broken.is_some() || state == State::Paused)
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

/// The key is made of a field that is masked: where it is written down to be read it is hidden as that is.
#[tokio::test]
async fn a_key_that_is_made_of_a_masked_field_is_hidden_where_it_is_read() {
    use crate::replaying::{approve, asked, becomes, found, on_disk};
    use crate::support::config;
    use dray_delivery::replay::{self, Asked, Filter, Plan};
    use dray_store::ReplayState;

    const KEYED: &str = "batch = 1\nmask = [\"/data/order_number\"]\n";
    let (store, erp) = (open(), Erp::start().await);
    let name = flow("north/shipments");
    let mut events = Vec::new();
    for (sequence, key) in (1..).zip(["DE12345", "DE12345", "K-DE12345-1", "7", "PLAIN"]) {
        let number = match key {
            "7" | "PLAIN" => "7",
            _ => "DE12345",
        };
        events.push(event_with(sequence, key, "shipment", &[(2, 0, number)]));
    }
    append_block(&store, &name, block_of(&**store, &name, &events)).await;
    let target = start(&store, &erp.url(), KEYED);
    on_disk(&store, &target, 5).await;
    let plan = |from, to, older| {
        let filter = Filter {
            flows: vec!["north/shipments".into()],
            from,
            to,
            ..Filter::default()
        };
        let asked = Asked {
            older,
            ..asked(filter)
        };
        let (config, store) = (config("http://erp.example/", KEYED), &store);
        async move {
            let planned = replay::plan(store, &config, asked, 1_790_000_000_000_000);
            planned.await.expect("a plan")
        }
    };
    // Not the newest of its key.
    let id = plan(1, 1, true).await;
    let planned = Plan::read(&found(&store, id).plan);
    assert_eq!(planned.newer_shown[0].key, "***");
    // What a run says of events that were not taken.
    let id = plan(2, 5, false).await;
    erp.script(|_| Reply::Status(422));
    approve(&store, &target, id).await;
    let progress = becomes(&store, &target, id, ReplayState::Done).await;
    assert_eq!(progress.refused, 4);
    let notes = store.replay_notes(id, 10).expect("notes");
    let mut keys: Vec<_> = notes.iter().map(|note| note.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["***", "***", "K-***-1", "PLAIN"]);
    target.stop().await;

    let agreed = "[[flow]]\nname = \"*\"\nphase = \"shadow\"\n";
    let target = start_agreed(&store, &erp.url(), KEYED, agreed);
    let event = event_with(6, "DE12345", "shipment", &[(2, 0, "DE12345")]);
    append_block(&store, &name, block_of(&**store, &name, &[event])).await;
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
    assert_eq!(rows[0].1.key, "***");
}
