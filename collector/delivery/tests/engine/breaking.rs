//! Breakers: what opens one, what it tries, what closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::support::erp::{Erp, Reply};
use crate::support::{append, config, exceptions, open, start, start_agreed, states, wait};
use dray_delivery::detail::Detail;
use dray_delivery::outcome::Class;
use dray_delivery::{State, Target};
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
async fn many_keys_that_fail_keep_no_breaker_open_for_the_others() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        let is_bad = (0..150).any(|n| ask.has_key(&format!("BAD{n}")));
        Reply::Status(if is_bad { 500 } else { 200 })
    });
    // The bad ones first, as after a start: more of them than open a breaker, and than it could try one after the other.
    let bad = (0..150).map(|n| format!("BAD{n}"));
    let keys: Vec<String> = bad.chain((0..300).map(|n| format!("K{n}"))).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    append(&store, "north/stock", &keys).await;
    let more = "batch = 1\nconcurrency = 16\n[retry]\nfirst = \"20ms\"\nmax = \"60s\"\n";
    let target = start(&store, &erp.url(), more);
    wait(&target, "the good ones", |metrics| metrics.delivered == 300).await;
    assert_eq!(exceptions(&store), []);
    target.stop().await;
    assert_eq!(erp.check_order(), 300);
}

#[tokio::test]
async fn one_event_that_fails_on_quiet_traffic_stops_and_slows_no_other_key() {
    for more in ["batch = 1\nconcurrency = 1", "batch = 1", ""] {
        let (store, erp) = (open(), Erp::start().await);
        erp.script(|ask| Reply::Status(if ask.has_key("BAD") { 500 } else { 200 }));
        append(&store, "north/stock", &["BAD"]).await;
        // Whoever waits because of the bad one waits too long for this test.
        let patient = format!("{more}\n[retry]\nfirst = \"1h\"\nmax = \"1h\"");
        let target = start(&store, &erp.url(), &patient);
        erp.wait_asks(1).await;
        for n in 0..8 {
            append(&store, "north/stock", &[&format!("OK-{n}")]).await;
            wait(&target, "the good one", |metrics| {
                metrics.delivered == n + 1
            })
            .await;
        }
        let metrics = target.status();
        assert_eq!((metrics.broken, metrics.breaker_opened), (None, 0));
        // Its first failure may have been the target's, which took something since: it is tried at once, and then waits.
        erp.wait_asks(10).await;
        let bad = erp
            .kept_asks()
            .iter()
            .filter(|ask| ask.has_key("BAD"))
            .count();
        assert_eq!(bad, 2, "{more}");
    }
}

#[tokio::test]
async fn a_batch_with_a_bad_event_is_unrolled_although_nothing_else_comes() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| Reply::Status(if ask.has_key("BAD") { 500 } else { 200 }));
    append(
        &store,
        "north/stock",
        &["A", "B", "BAD", "C", "D", "E", "F"],
    )
    .await;
    let target = start(&store, &erp.url(), "");
    let metrics = wait(&target, "the good ones", |metrics| metrics.delivered == 6).await;
    assert_eq!((metrics.broken, metrics.breaker_opened), (None, 0));
    assert_eq!(exceptions(&store), []);
}

#[tokio::test]
async fn as_long_as_there_are_others_each_try_is_another_ones() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| Reply::Status(500));
    let keys: Vec<String> = (0..9).map(|n| format!("K{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    append(&store, "north/stock", &keys).await;
    let brief = "batch = 1\nconcurrency = 1\n[retry]\nfirst = \"20ms\"\nmax = \"40ms\"";
    let target = start(&store, &erp.url(), brief);
    wait(&target, "the breaker", |metrics| {
        metrics
            .broken
            .as_ref()
            .is_some_and(|broken| broken.probes >= 4)
    })
    .await;
    let mut tried: Vec<_> = erp.kept_asks()[..9]
        .iter()
        .map(|ask| ask.events[0]["key"].to_string())
        .collect();
    tried.sort();
    tried.dedup();
    assert_eq!(tried.len(), 9, "{tried:?}");
}

#[tokio::test]
async fn an_event_s_own_wait_is_no_longer_than_what_is_left_of_its_budget() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| Reply::Status(if ask.has_key("BAD") { 500 } else { 200 }));
    append(&store, "north/stock", &["BAD"]).await;
    let more = "batch = 1\n[retry]\nfirst = \"1h\"\nmax = \"1h\"";
    let target = start_agreed(&store, &erp.url(), more, SHORT);
    erp.wait_asks(1).await;
    append(&store, "north/stock", &["OK"]).await;
    wait(&target, "the dead letter", |metrics| {
        (metrics.delivered, metrics.dead) == (1, 1)
    })
    .await;
    assert_eq!(erp.kept_asks().len(), 4);
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
async fn what_was_wrong_is_told_with_its_time_until_something_is_taken_and_nothing_fails() {
    let (store, erp) = (open(), Erp::start().await);
    let bad = Arc::new(AtomicBool::new(true));
    let is_bad = Arc::clone(&bad);
    erp.script(move |ask| {
        let fails = ask.has_key("BAD") && is_bad.load(Ordering::Relaxed);
        Reply::Status(if fails { 500 } else { 200 })
    });
    let before_us = jiff::Timestamp::now().as_microsecond();
    append(&store, "north/stock", &["BAD", "A"]).await;
    let target = start(&store, &erp.url(), "batch = 1");
    let metrics = wait(&target, "the good one, and what fails", |metrics| {
        (metrics.delivered, metrics.failing) == (1, 1)
    })
    .await;
    assert!(metrics.last_error.contains("500"), "{}", metrics.last_error);
    assert!(metrics.last_error_us >= before_us);
    bad.store(false, Ordering::Relaxed);
    wait(&target, "nothing is wrong any more", |metrics| {
        (
            metrics.delivered,
            metrics.failing,
            metrics.last_error.as_str(),
        ) == (2, 0, "")
    })
    .await;
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
async fn an_outage_in_which_an_event_that_failed_before_is_not_tried_spends_none_of_its_budget() {
    const OUTAGE_US: i64 = 2_500_000;
    let (store, erp) = (open(), Erp::start().await);
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    erp.script(move |ask| {
        let fails = ask.has_key("BAD") || is_down.load(Ordering::Relaxed);
        Reply::Status(if fails { 500 } else { 200 })
    });
    append(&store, "north/stock", &["BAD", "OK"]).await;
    // Each try of the outage is another one's, as there are so many.
    let more = "batch = 1\nconcurrency = 1\n[breaker]\nfailures = 2\n[retry]\nfirst = \"300ms\"\nmax = \"300ms\"";
    let agreed = "[budgets.normal]\nretry = \"2s\"\n";
    let target = start_agreed(&store, &erp.url(), more, agreed);
    // Its second failure is its own: from then on its budget counts.
    wait(&target, "the good one", |metrics| metrics.delivered == 1).await;
    let asks = erp.kept_asks().len();
    erp.wait_asks(asks + 1).await;
    down.store(true, Ordering::Relaxed);
    let keys: Vec<String> = (0..80).map(|n| format!("K{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    append(&store, "north/stock", &keys).await;
    wait(&target, "a long outage", |metrics| {
        let now_us = jiff::Timestamp::now().as_microsecond();
        let broken = metrics.broken.as_ref();
        broken.is_some_and(|broken| now_us - broken.since_us > OUTAGE_US)
    })
    .await;
    down.store(false, Ordering::Relaxed);
    wait(&target, "its end", |metrics| metrics.broken.is_none()).await;
    let healed = Instant::now();
    wait(&target, "the dead letter", |metrics| {
        (metrics.delivered, metrics.dead) == (81, 1)
    })
    .await;
    assert!(healed.elapsed().as_millis() > 600, "{:?}", healed.elapsed());
}

#[tokio::test]
async fn an_event_that_waits_on_its_own_does_not_keep_its_whole_block_in_the_window() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| Reply::Status(if ask.has_key("BAD") { 500 } else { 200 }));
    let mut config = config(&erp.url(), "batch = 50");
    // Two blocks are more than it may hold.
    config.share.window_bytes = 64 * 1024;
    let names: Vec<String> = (0..600)
        .map(|n| format!("K{n}-{}", "x".repeat(40)))
        .collect();
    let mut keys: Vec<&str> = names.iter().map(String::as_str).collect();
    keys.push("BAD");
    append(&store, "north/stock", &keys).await;
    let target = Target::start(config, Arc::clone(&store)).expect("a good configuration");
    wait(&target, "its neighbours", |metrics| {
        metrics.delivered == 600
    })
    .await;
    for n in 1..4 {
        append(&store, "north/stock", &keys[..600]).await;
        wait(&target, "those after it", |metrics| {
            metrics.delivered == 600 * (n + 1)
        })
        .await;
    }
    assert_eq!(target.status().dead, 0, "it is tried on");
    let came = erp.kept_asks();
    let bad = came.iter().flat_map(|ask| &ask.events);
    let bad: Vec<_> = bad.filter(|event| event["key"] == "BAD").collect();
    assert!(bad.len() > 1 && bad.iter().all(|event| event["offset"] == bad[0]["offset"]));
    erp.script(|_| Reply::Status(200));
    wait(&target, "it", |metrics| metrics.backlog == 0).await;
    assert_eq!(erp.offsets("BAD"), [601]);
}

#[tokio::test]
async fn events_that_always_fail_leave_the_only_place_to_others() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        let key = ask.events[0]["key"].as_str().unwrap_or_default().to_owned();
        Reply::Status(if key.starts_with("BAD") { 500 } else { 200 })
    });
    let bad: Vec<String> = (0..20).map(|n| format!("BAD-{n}")).collect();
    let mut keys: Vec<&str> = bad.iter().map(String::as_str).collect();
    keys.push("OK");
    append(&store, "north/stock", &keys).await;
    // One of them is always due.
    let more = "batch = 1\nconcurrency = 1\n[breaker]\nfailures = 1000\n[retry]\nfirst = \"1ms\"\nmax = \"1ms\"";
    let target = start(&store, &erp.url(), more);
    wait(&target, "the first", |metrics| metrics.delivered == 1).await;
    let asks = erp.kept_asks().len();
    erp.wait_asks(asks + 60).await;
    let others: Vec<String> = (0..20).map(|n| format!("K{n}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    append(&store, "north/stock", &others).await;
    let metrics = wait(&target, "the others", |metrics| metrics.delivered == 21).await;
    assert_eq!((metrics.broken, metrics.dead), (None, 0));
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
