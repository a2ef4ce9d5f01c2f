//! What lets go of events that wait: what another target gets, a rule that is taken out, somebody's word for all of them.

use std::sync::Arc;

use crate::holding::{LINES, items, ship, waiting};
use crate::support::erp::{Erp, Reply};
use crate::support::{config, exceptions, open, start, wait};
use dray_delivery::actions::Which;
use dray_delivery::select::Pattern;
use dray_delivery::{Target, TargetConfig, TargetHandle, actions, references};
use dray_store::ExceptionState::{Awaits, Confirm, Dead};
use dray_store::Store;

/// Starts targets whose rules look at each other.
fn start_linked(store: &Arc<dyn Store>, mut configs: Vec<TargetConfig>) -> Vec<TargetHandle> {
    assert_eq!(references::link(&mut configs), []);
    let start = |config| Target::start(config, Arc::clone(store)).expect("a good configuration");
    configs.into_iter().map(start).collect()
}

fn named(name: &str, url: &str, more: &str) -> TargetConfig {
    let mut config = config(url, more);
    config.name = name.into();
    config
}

#[tokio::test]
async fn a_shipment_waits_for_the_item_that_another_target_gets() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| Reply::Status(if ask.has_key("SKU-2") { 422 } else { 200 }));
    let at = format!("bodies = [\"shipment\"]\n{LINES}at = \"erp-items\"\n");
    let configs = |mut rule: &str| {
        rule = if rule.is_empty() {
            "bodies = [\"shipment\"]"
        } else {
            rule
        };
        vec![
            named("erp-shipments", &erp.url(), rule),
            named("erp-items", &erp.url(), "bodies = [\"item\"]"),
        ]
    };
    // What the other target got before the rule came, and what it did not.
    let targets = start_linked(&store, configs(""));
    items(&store, &["SKU-1", "SKU-2"]).await;
    wait(&targets[1], "one item", |metrics| {
        (metrics.delivered, metrics.dead) == (1, 1)
    })
    .await;
    for target in targets {
        target.stop().await;
    }
    let targets = start_linked(&store, configs(&at));
    let lines = [
        ("S1", "SKU-1"),
        ("S2", "SKU-2"),
        ("S3", "SKU-3"),
        ("S3", "SKU-1"),
    ];
    ship(&store, "north/shipments", &lines).await;
    wait(&targets[0], "the first", |metrics| metrics.delivered == 1).await;
    waiting(&targets[0], 2, 1).await;
    let found = exceptions(&store);
    let awaits = found.iter().find(|one| one.state == Awaits).expect("one");
    assert_eq!(
        awaits.reason,
        "it names item \"SKU-2\" (line.item_number), which target erp-items has not got: it waits for that"
    );
    // A kill of both, and what comes then wakes what waits.
    for target in targets {
        target.kill().await;
    }
    let targets = start_linked(&store, configs(&at));
    items(&store, &["SKU-3"]).await;
    wait(&targets[0], "the third key", |metrics| {
        metrics.delivered == 2
    })
    .await;
    assert_eq!(erp.offsets("S3"), [3, 4], "in order");
    erp.script(|_| Reply::Status(200));
    let dead = exceptions(&store).into_iter().find(|one| one.state == Dead);
    let dead = dead.expect("the item").id;
    actions::retry(&store, dead, false, None)
        .await
        .expect("it is dead");
    targets[1].wake().await;
    wait(&targets[0], "the second key", |metrics| {
        (metrics.delivered, metrics.waiting) == (3, 0)
    })
    .await;
    assert_eq!(exceptions(&store), []);
}

#[test]
fn a_rule_that_looks_at_no_target_or_at_one_that_takes_none_is_refused() {
    let said = |at: &str, bodies: &str| {
        let rule = format!("{LINES}at = \"{at}\"\n");
        let mut targets = [
            named("erp", "http://erp.example/", &rule),
            named("other", "http://erp.example/", bodies),
        ];
        let mut wrong = references::link(&mut targets);
        wrong.pop().map(|(index, said)| {
            assert_eq!(index, 0);
            said
        })
    };
    for (at, bodies, expected) in [
        ("nobody", "", Some("there is no target \"nobody\"")),
        ("erp", "", Some("that is this target itself: leave at out")),
        (
            "other",
            "bodies = [\"order\"]",
            Some("target \"other\" takes no item"),
        ),
        ("other", "bodies = [\"item\"]", None),
        ("other", "", None),
    ] {
        let expected = expected.map(|said| format!("reference 1 (line.item_number): at: {said}"));
        assert_eq!(said(at, bodies), expected, "{at} {bodies}");
    }
}

#[tokio::test]
async fn what_waits_goes_on_once_its_rule_is_taken_out() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start(&store, &erp.url(), LINES);
    let lines = [("S1", "SKU-1"), ("S1", "SKU-1"), ("S2", "SKU-2")];
    ship(&store, "north/shipments", &lines).await;
    waiting(&target, 2, 1).await;
    target.stop().await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "all", |metrics| metrics.delivered == 3).await;
    waiting(&target, 0, 0).await;
    assert_eq!(erp.offsets("S1"), [1, 2]);
    target.stop().await;
    // The same rule is a new one then: it knows what was got meanwhile.
    let target = start(&store, &erp.url(), "");
    items(&store, &["SKU-7"]).await;
    wait(&target, "the item", |metrics| metrics.delivered == 1).await;
    target.stop().await;
    let target = start(&store, &erp.url(), LINES);
    ship(&store, "north/shipments", &[("S3", "SKU-7")]).await;
    wait(&target, "the shipment", |metrics| metrics.delivered == 1).await;
}

#[tokio::test]
async fn all_that_waits_is_looked_at_or_sent_at_once() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start(&store, &erp.url(), LINES);
    ship(
        &store,
        "north/shipments",
        &[("S1", "SKU-1"), ("S2", "SKU-2")],
    )
    .await;
    ship(&store, "south/shipments", &[("S3", "SKU-3")]).await;
    waiting(&target, 3, 0).await;
    let which = |flow: &str| Which {
        target: "erp".into(),
        flow: Pattern::parse(flow),
    };
    let done = actions::retry_all(&store, &which("north/*")).await;
    assert_eq!(done, Ok(2));
    target.wake().await;
    waiting(&target, 3, 0).await;
    assert_eq!(erp.kept_asks().len(), 0, "what they name has not come");
    let south = which("south/shipments");
    let done = actions::approve_all(&store, &south, Confirm, "uid 1").await;
    assert_eq!(done, Ok(0), "nothing was asked");
    let done = actions::approve_all(&store, &south, Awaits, "uid 1").await;
    assert_eq!(done, Ok(1));
    target.wake().await;
    wait(&target, "the southern one", |metrics| {
        metrics.delivered == 1
    })
    .await;
    waiting(&target, 2, 0).await;
    let done = actions::approve_all(&store, &which("*"), Dead, "uid 1").await;
    assert!(done.is_err_and(|said| said.contains("confirm or awaits")));
}

#[tokio::test]
async fn an_alarm_goes_by_the_time_in_force_and_ends_with_what_waited() {
    let (store, erp) = (open(), Erp::start().await);
    let holds = |after: &str| format!("{LINES}[holds]\nalarm_after = \"{after}\"\n");
    let target = start(&store, &erp.url(), &holds("1ms"));
    ship(&store, "north/shipments", &[("S1", "SKU-1")]).await;
    wait(&target, "the alarm", |metrics| metrics.missing_overdue == 1).await;
    target.stop().await;
    let target = start(&store, &erp.url(), &holds("1h"));
    waiting(&target, 1, 0).await;
    ship(&store, "north/shipments", &[("S2", "SKU-1")]).await;
    waiting(&target, 2, 0).await;
    let metrics = target.status();
    assert_eq!(
        (metrics.missing_overdue, metrics.last_error.as_str()),
        (0, "")
    );
    target.stop().await;
    let target = start(&store, &erp.url(), &holds("1ms"));
    let metrics = wait(&target, "the alarm", |metrics| metrics.missing_overdue == 2).await;
    assert!(
        metrics
            .last_error
            .starts_with("2 event(s) wait longer than 1ms")
    );
    items(&store, &["SKU-1"]).await;
    wait(&target, "the end of it", |metrics| {
        (metrics.missing_overdue, metrics.last_error.as_str()) == (0, "")
    })
    .await;
}
