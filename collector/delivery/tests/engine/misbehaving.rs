//! Targets that hang, reset, redirect, ask for time, or are not there: nothing is lost, and a person reads why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::erp::{Erp, Reply};
use crate::support::{append, exceptions, open, start, wait};
use dray_delivery::State;
use tokio::io::AsyncWriteExt;

/// Does this once, then says 200.
fn once(mut first: Option<Reply>) -> impl FnMut(&crate::support::erp::Ask) -> Reply {
    move |_| first.take().unwrap_or(Reply::Status(200))
}

#[tokio::test]
async fn whatever_goes_wrong_once_is_sent_again_with_the_same_bytes() {
    let text = String::new;
    for (name, reply) in [
        ("500", Reply::Status(500)),
        ("408", Reply::Status(408)),
        ("503 without a time", Reply::Status(503)),
        ("a reset", Reply::Reset),
        ("a lost reply", Reply::TakeAndReset),
        ("a hang", Reply::Hang),
        ("a body without an end", Reply::Trickle),
        (
            "429 with a time",
            Reply::With(429, "retry-after", "0".into(), text()),
        ),
        (
            "a retry-after that is none",
            Reply::With(503, "retry-after", "soon".into(), text()),
        ),
        ("an informal status", Reply::Status(599)),
    ] {
        let (store, erp) = (open(), Erp::start().await);
        let taken = matches!(reply, Reply::TakeAndReset);
        erp.script(once(Some(reply)));
        append(&store, "north/shipments", &["A", "B"]).await;
        let target = start(&store, &erp.url(), "timeout = \"300ms\"");
        let metrics = wait(&target, name, |metrics| {
            metrics.delivered == 2 && metrics.state == State::Running
        })
        .await;
        assert_eq!(
            (metrics.failures, metrics.last_error.as_str()),
            (1, ""),
            "{name}: it passed"
        );
        let asks = erp.kept_asks();
        assert_eq!((asks.len(), &asks[0].body), (2, &asks[1].body), "{name}");
        assert_eq!(erp.check_order(), 2, "{name}");
        assert_eq!(erp.arrivals().len(), if taken { 4 } else { 2 }, "{name}");
        assert_eq!(exceptions(&store), [], "{name}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_an_unknown_outcome() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let garbage = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream
                .write_all(b"\x15\x03\x01 this is no HTTP\r\n\r\n")
                .await;
        }
    });
    let store = open();
    append(&store, "north/shipments", &["A"]).await;
    let target = start(&store, &format!("http://{address}/"), "");
    let metrics = wait(&target, "failures", |metrics| metrics.failures >= 2).await;
    assert!(
        metrics.last_error.contains("broke before the answer"),
        "{}",
        metrics.last_error
    );
    garbage.abort();
    let _ = garbage.await;
    let erp = Erp::start_at(address).await;
    wait(&target, "the event", |metrics| metrics.delivered == 1).await;
    assert_eq!(erp.arrivals().len(), 1);
}

#[tokio::test]
async fn scenario_12_a_503_with_retry_after_is_waited_for() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(once(Some(Reply::With(
        503,
        "retry-after",
        "1".into(),
        "busy".into(),
    ))));
    append(&store, "north/shipments", &["A"]).await;
    let begin = Instant::now();
    let target = start(&store, &erp.url(), "");
    let metrics = wait(&target, "the wait", |metrics| {
        metrics.state == State::Waiting
    })
    .await;
    assert_eq!(
        metrics.detail,
        "the target answered 503 Service Unavailable: busy"
    );
    assert!(metrics.oldest_undelivered_us.is_some());
    wait(&target, "the event", |metrics| metrics.delivered == 1).await;
    assert!(
        begin.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
}

/// Also where it says so to a sign-in: it is no wait, and a server whose clock is behind says nothing else.
#[tokio::test]
async fn a_retry_after_of_no_time_is_a_backoff_and_not_a_storm() {
    for asked in ["0", "Mon, 23 Nov 2020 08:00:00 GMT"] {
        let (store, erp) = (open(), Erp::start().await);
        erp.script(move |ask| match ask.number {
            0..4 => Reply::With(429, "retry-after", asked.into(), "busy".into()),
            _ => Reply::Status(200),
        });
        append(&store, "north/shipments", &["A"]).await;
        let begin = Instant::now();
        let target = start(
            &store,
            &erp.url(),
            "[retry]\nfirst = \"50ms\"\nmax = \"200ms\"",
        );
        wait(&target, "the event", |metrics| metrics.delivered == 1).await;
        let waited = Duration::from_millis(50 + 100 + 200 + 200);
        assert!(begin.elapsed() >= waited, "{asked}: {:?}", begin.elapsed());
        assert_eq!(erp.kept_asks().len(), 5);
    }
}

#[tokio::test]
async fn a_target_that_was_not_there_gets_its_first_event_within_a_second() {
    let store = open();
    let erp = Erp::start().await;
    let address = erp.address;
    drop(erp);
    append(&store, "north/shipments", &["A", "B"]).await;
    let target = start(
        &store,
        &format!("http://{address}/"),
        "[retry]\nfirst = \"60s\"\nmax = \"60s\"",
    );
    let metrics = wait(&target, "the refusal", |metrics| {
        metrics.state == State::Waiting
    })
    .await;
    assert!(metrics.detail.contains("refused"), "{}", metrics.detail);
    // The first knock, at once, must have failed: a second target of the same address shows that time went by.
    let other = open();
    let second = start(&other, &format!("http://{address}/"), "");
    second.stop().await;
    let erp = Erp::start_at(address).await;
    let begin = Instant::now();
    erp.wait_arrivals(2).await;
    assert!(
        begin.elapsed() < Duration::from_millis(1500),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_pauses_the_target_until_it_is_resumed() {
    let (store, erp, elsewhere) = (open(), Erp::start().await, Erp::start().await);
    let url = elsewhere.url();
    erp.script(move |_| Reply::With(302, "location", url.clone(), String::new()));
    append(&store, "north/shipments", &["A"]).await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "the pause", |metrics| {
        metrics.state == State::Paused
    })
    .await;
    target.stop().await;
    let target = start(&store, &erp.url(), "");
    let metrics = wait(&target, "the pause, after a restart", |metrics| {
        metrics.state == State::Paused
    })
    .await;
    assert_eq!(
        metrics.detail,
        "the target answered 302 Found; put it right, then \"dray-collector target resume erp\": no restart does that"
    );
    assert_eq!(elsewhere.kept_asks().len(), 0);
    erp.script(|_| Reply::Status(200));
    target.resume().await.expect("it is paused");
    wait(&target, "the event", |metrics| metrics.delivered == 1).await;
    target.stop().await;
    assert_eq!(
        store.setting("paused:erp").expect("the store answers"),
        None
    );
}

#[tokio::test]
async fn forbidden_not_found_and_not_allowed_pause_and_lose_nothing() {
    for status in [403, 404, 405, 415] {
        let (store, erp) = (open(), Erp::start().await);
        erp.script(move |_| Reply::Status(status));
        append(&store, "north/shipments", &["A", "B"]).await;
        let target = start(&store, &erp.url(), "");
        wait(&target, "the pause", |metrics| {
            metrics.state == State::Paused
        })
        .await;
        erp.script(|_| Reply::Status(200));
        target.resume().await.expect("it is paused");
        wait(&target, "the events", |metrics| metrics.delivered == 2).await;
        assert_eq!(exceptions(&store), [], "{status}");
    }
}

#[tokio::test]
async fn a_paused_target_tells_of_all_that_waits_in_each_flow_and_takes_it_once_it_is_resumed() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start(&store, &erp.url(), "");
    target.pause("for the night").await.expect("it runs");
    // More than a look reads at once, in each flow.
    let keys = ["A", "B", "C", "D", "E"].repeat(100);
    for _ in 0..8 {
        for flow in ["north/shipments", "north/stock", "south/stock"] {
            append(&store, flow, &keys).await;
        }
    }
    let tells_all = |metrics: &dray_delivery::Metrics| {
        let tells = |flow: &dray_delivery::FlowMetrics| {
            (flow.backlog, flow.oldest_undelivered_us) == (4_000, Some(crate::support::CAPTURED_US))
        };
        metrics.flows.len() == 3 && metrics.flows.iter().all(tells)
    };
    wait(&target, "backlog and age of each flow", tells_all).await;
    target.stop().await;
    // Nothing comes any more that it could hear of.
    let target = start(&store, &erp.url(), "");
    wait(&target, "both again", tells_all).await;
    assert_eq!(erp.kept_asks().len(), 0);
    target.resume().await.expect("it is paused");
    wait(&target, "the events", |metrics| {
        metrics.delivered == 12_000 && metrics.backlog == 0
    })
    .await;
    assert_eq!(erp.check_order(), 12_000);
}

#[tokio::test]
async fn the_backlog_is_told_beyond_what_a_target_holds_in_memory() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| Reply::Hang);
    let target = start(&store, &erp.url(), "concurrency = 1");
    let keys = vec!["A"; 1_000];
    let mut newest = 0;
    while newest < 2 * dray_delivery::window::EVENTS_MAX as u64 {
        newest = append(&store, "north/stock", &keys).await;
    }
    wait(&target, "the backlog", |metrics| metrics.backlog == newest).await;
    assert_eq!(target.status().delivered, 0);
}

#[tokio::test]
async fn an_operators_pause_holds_over_a_restart() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start(&store, &erp.url(), "");
    target
        .pause("paused by an operator")
        .await
        .expect("it runs");
    append(&store, "north/shipments", &["A"]).await;
    wait(&target, "the backlog", |metrics| {
        metrics.backlog == 1 && metrics.state == State::Paused
    })
    .await;
    target.stop().await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "the backlog, after a restart", |metrics| {
        metrics.backlog == 1 && metrics.state == State::Paused
    })
    .await;
    assert_eq!(erp.kept_asks().len(), 0);
    target.resume().await.expect("it is paused");
    wait(&target, "the event", |metrics| metrics.delivered == 1).await;
}

#[tokio::test]
async fn scenario_16_a_401_reads_the_secret_again_once_and_then_the_breaker_is_open_until_it_is_let_in()
 {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, "old").expect("a file");
    let locked = Arc::new(AtomicBool::new(false));
    let lock = Arc::clone(&locked);
    erp.script(move |ask| {
        let good = ask
            .headers
            .get("authorization")
            .is_some_and(|value| value == "Bearer new");
        Reply::Status(if good && !lock.load(Ordering::Relaxed) {
            200
        } else {
            401
        })
    });
    let auth = format!(
        "auth = {{ kind = \"bearer\", token_file = \"{}\" }}",
        path.display()
    );
    let target = start(&store, &erp.url(), &auth);
    std::fs::write(&path, "new").expect("a file");
    append(&store, "north/shipments", &["A"]).await;
    wait(&target, "the event, with the new token", |metrics| {
        metrics.delivered == 1
    })
    .await;
    assert_eq!(erp.kept_asks().len(), 2);
    locked.store(true, Ordering::Relaxed);
    append(&store, "north/shipments", &["B"]).await;
    let is_shown = |metrics: &dray_delivery::Metrics| {
        metrics.broken.is_some() && metrics.state == State::Waiting
    };
    let metrics = wait(&target, "the breaker", is_shown).await;
    let said = format!(
        "see auth.token_file {}: the target answered 401 Unauthorized: {{}}",
        path.display()
    );
    assert_eq!(metrics.detail, said);
    let broken = metrics.broken.expect("it is open");
    assert_eq!(broken.cause, "it does not know us");
    // Asked once more each time that the wait is over, and nobody has to do anything.
    erp.wait_asks(4).await;
    locked.store(false, Ordering::Relaxed);
    let metrics = wait(&target, "the second event", |metrics| {
        metrics.delivered == 2 && metrics.broken.is_none()
    })
    .await;
    assert_eq!(metrics.state, State::Running);
    assert_eq!(metrics.breaker_opened, 1);
}

#[tokio::test]
async fn a_413_makes_batches_smaller_and_one_that_is_too_large_alone_is_a_dead_letter() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        let too_large = ask.events.len() > 10 || ask.has_key("K77");
        Reply::Status(if too_large { 413 } else { 200 })
    });
    let keys: Vec<String> = (0..200).map(|n| format!("K{n}")).collect();
    append(
        &store,
        "north/shipments",
        &keys.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    let target = start(&store, &erp.url(), "batch = 100\nconcurrency = 1");
    wait(&target, "all but one", |metrics| {
        metrics.delivered == 199 && metrics.dead == 1
    })
    .await;
    assert_eq!(exceptions(&store)[0].key, "K77");
    append(
        &store,
        "north/shipments",
        &keys[..50].iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    let before = erp.kept_asks().len();
    wait(&target, "fifty more", |metrics| metrics.delivered == 249).await;
    let later = erp.kept_asks();
    assert!(
        later[before..].iter().all(|ask| ask.events.len() <= 10),
        "it has learned what is too much"
    );
}

#[tokio::test]
async fn a_dead_target_does_not_disturb_another() {
    let (store, erp) = (open(), Erp::start().await);
    let dead = Erp::start().await;
    dead.script(|_| Reply::Hang);
    let mut config = crate::support::config(&dead.url(), "");
    config.name = "dead".into();
    let hanging =
        dray_delivery::Target::start(config, Arc::clone(&*store)).expect("a good configuration");
    let target = start(&store, &erp.url(), "");
    for _ in 0..20 {
        append(&store, "north/shipments", &["A", "B", "C"]).await;
    }
    wait(&target, "all", |metrics| metrics.delivered == 60).await;
    assert_eq!(hanging.status().delivered, 0);
}
