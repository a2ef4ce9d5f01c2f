//! Breakers: what opens one, what it tries, what closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::support::erp::{Erp, Reply};
use crate::support::{append, exceptions, open, start, start_agreed, states, wait};
use dray_delivery::State;
use dray_delivery::detail::Detail;
use dray_delivery::outcome::Class;
use dray_store::ExceptionState::Dead;

const SHORT: &str = "[budgets.normal]\nretry = \"300ms\"\n";

#[tokio::test]
async fn it_opens_after_five_failures_tries_one_first_event_at_a_time_and_heals_itself() {
    let (store, erp) = (open(), Erp::start().await);
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    erp.script(move |_| {
        Reply::Status(if is_down.load(Ordering::Relaxed) {
            500
        } else {
            200
        })
    });
    let keys: Vec<String> = (0..100).map(|n| format!("K{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    append(&store, "north/stock", &keys).await;
    let target = start(&store, &erp.url(), "batch = 10\nconcurrency = 1");
    let metrics = wait(&target, "the breaker", |metrics| {
        metrics
            .broken
            .as_ref()
            .is_some_and(|broken| broken.probes >= 4)
    })
    .await;
    assert_eq!(metrics.state, State::Waiting);
    assert!(metrics.detail.contains("500"), "{}", metrics.detail);
    let broken = metrics.broken.expect("it is open");
    assert_eq!(broken.cause, "5 failures one after the other");
    let now_us = jiff::Timestamp::now().as_microsecond();
    assert!(
        (0..30_000_000).contains(&(now_us - broken.since_us)),
        "{broken:?}"
    );
    let asks = erp.kept_asks();
    assert!(asks[..5].iter().all(|ask| ask.events.len() == 10));
    assert!(
        asks[5..].iter().all(|ask| ask.events.len() == 1),
        "{:?}",
        asks.len()
    );
    let mut tried: Vec<_> = asks[5..9]
        .iter()
        .map(|ask| ask.events[0]["key"].to_string())
        .collect();
    tried.sort();
    tried.dedup();
    assert!(tried.len() >= 2, "each time another one: {tried:?}");
    down.store(false, Ordering::Relaxed);
    let metrics = wait(&target, "all", |metrics| metrics.delivered == 100).await;
    assert_eq!((metrics.broken, metrics.breaker_opened), (None, 1));
    assert_eq!(erp.check_order(), 100);
    assert_eq!(exceptions(&store), []);
}

#[tokio::test]
async fn an_event_that_always_fails_stops_nobody_but_its_key_and_is_a_dead_letter_once_its_budget_is_spent()
 {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| Reply::Status(if ask.has_key("BAD") { 500 } else { 200 }));
    append(
        &store,
        "north/stock",
        &["BAD", "A", "B", "BAD", "C", "D", "E"],
    )
    .await;
    let agreed = format!("{SHORT}[[flow]]\nname = \"*\"\nowner = \"wms\"\n");
    let target = start_agreed(&store, &erp.url(), "batch = 1\nconcurrency = 1", &agreed);
    let began = Instant::now();
    let metrics = wait(&target, "the others, and the dead letter", |metrics| {
        (metrics.delivered, metrics.dead, metrics.held) == (5, 1, 1)
    })
    .await;
    assert!(began.elapsed().as_millis() >= 300);
    assert_eq!((metrics.broken, metrics.state), (None, State::Running));
    let dead = exceptions(&store)
        .into_iter()
        .find(|found| found.state == Dead)
        .expect("one");
    let detail = Detail::read(&dead.detail);
    assert_eq!(detail.class, Some(Class::Unanswered));
    assert!(
        dead.reason.contains("while the target took others") && dead.reason.contains("500"),
        "{}",
        dead.reason
    );
    target.stop().await;
    assert_eq!(erp.check_order(), 5);
}

#[tokio::test]
async fn a_batch_that_fails_while_others_are_taken_is_unrolled_to_its_bad_event() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| Reply::Status(if ask.has_key("K33") { 500 } else { 200 }));
    let keys: Vec<String> = (0..200).map(|n| format!("K{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    append(&store, "north/stock", &keys).await;
    let target = start_agreed(&store, &erp.url(), "batch = 50", SHORT);
    let metrics = wait(&target, "all but one", |metrics| {
        (metrics.delivered, metrics.dead) == (199, 1)
    })
    .await;
    assert_eq!((metrics.broken, metrics.backlog), (None, 0));
    assert_eq!(states(&store), [(34, Dead)]);
    assert_eq!(erp.check_order(), 199);
}

#[tokio::test]
async fn an_outage_spends_nobodys_budget() {
    let (store, erp) = (open(), Erp::start().await);
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    erp.script(move |_| {
        Reply::Status(if is_down.load(Ordering::Relaxed) {
            502
        } else {
            200
        })
    });
    append(&store, "north/stock", &["A", "B", "C"]).await;
    let agreed = "[budgets.normal]\nretry = \"1ms\"\n";
    let target = start_agreed(&store, &erp.url(), "batch = 1", agreed);
    erp.wait_asks(12).await;
    assert_eq!(exceptions(&store), []);
    down.store(false, Ordering::Relaxed);
    wait(&target, "all", |metrics| {
        metrics.delivered == 3 && metrics.broken.is_none()
    })
    .await;
    assert_eq!(exceptions(&store), []);
}

#[tokio::test]
async fn with_hold_an_event_is_tried_on_beyond_its_budget_and_delivered_once_it_can_be() {
    let (store, erp) = (open(), Erp::start().await);
    let bad = Arc::new(AtomicBool::new(true));
    let is_bad = Arc::clone(&bad);
    erp.script(move |ask| {
        let fails = ask.has_key("BAD") && is_bad.load(Ordering::Relaxed);
        Reply::Status(if fails { 500 } else { 200 })
    });
    append(&store, "north/stock", &["A", "BAD", "BAD", "C"]).await;
    let agreed = "[budgets.normal]\nretry = \"1ms\"\nthen = \"hold\"\n";
    let target = start_agreed(&store, &erp.url(), "batch = 1\nconcurrency = 1", agreed);
    wait(&target, "the others", |metrics| metrics.delivered == 2).await;
    let before = erp.kept_asks().len();
    erp.wait_asks(before + 5).await;
    assert_eq!(exceptions(&store), []);
    bad.store(false, Ordering::Relaxed);
    wait(&target, "all", |metrics| metrics.delivered == 4).await;
    assert_eq!(erp.offsets("BAD"), [2, 3]);
}

#[tokio::test]
async fn a_target_that_is_not_there_has_an_open_breaker_until_it_takes_something() {
    let store = open();
    let erp = Erp::start().await;
    let address = erp.address;
    drop(erp);
    append(&store, "north/stock", &["A"]).await;
    let target = start(&store, &format!("http://{address}/"), "");
    let metrics = wait(&target, "the breaker", |metrics| metrics.broken.is_some()).await;
    assert_eq!(metrics.broken.expect("it is open").cause, "nobody listens");
    let _erp = Erp::start_at(address).await;
    let metrics = wait(&target, "the event", |metrics| metrics.delivered == 1).await;
    assert_eq!((metrics.broken, metrics.state), (None, State::Running));
}

/// It refused two in a row. That it lacks something, works on something or asks about something says nothing of what it refuses.
#[tokio::test]
async fn only_what_is_delivered_closes_a_breaker_that_refusals_opened() {
    const RULES: &str = r#"
batch = 1
concurrency = 1
[breaker]
rejects = 2
probe_max = "100ms"
[calls]
first = "put"
[calls.call.put]
url = "put"
rule = [
    { status = ["200"], when = [{ at = "/lacks" }], outcome = "missing_reference" },
    { status = ["202"], outcome = "accepted", go = "ask", after = "1h" },
    { status = ["409"], outcome = "confirm", go = "ask" },
]
[calls.call.ask]
method = "GET"
url = "ask"
"#;
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| match ask.events[0]["key"].as_str() {
        Some("BAD-1" | "BAD-2" | "BAD-3") => Reply::Status(422),
        Some("LACKS") => Reply::With(200, "x-a", "b".into(), "{\"lacks\": 1}".into()),
        Some("WORKS") => Reply::Status(202),
        Some("ASKS") => Reply::Status(409),
        _ => Reply::Status(200),
    });
    let target = start(&store, &erp.url(), RULES);
    // One that is not decided does not begin the count anew either.
    append(&store, "north/stock", &["BAD-1", "WORKS", "BAD-2"]).await;
    let metrics = wait(&target, "the refusals", |metrics| {
        (metrics.dead, metrics.waiting) == (2, 1)
    })
    .await;
    let cause = metrics.broken.expect("it is open").cause;
    assert_eq!(cause, "it refused 2 events one after the other");
    let keys = ["LACKS", "ASKS", "BAD-3"];
    append(&store, "north/stock", &keys).await;
    let metrics = wait(&target, "what decides nothing", |metrics| {
        (metrics.dead, metrics.waiting) == (3, 3)
    })
    .await;
    assert!(metrics.broken.is_some());
    assert_eq!(metrics.breaker_opened, 1, "it was never closed");
    append(&store, "north/stock", &["GOOD"]).await;
    let metrics = wait(&target, "the one that is taken", |metrics| {
        metrics.delivered == 1
    })
    .await;
    assert_eq!(metrics.broken, None);
}
