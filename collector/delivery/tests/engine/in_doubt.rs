//! What may still be at work at the target is let end before it is looked up.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dray_delivery::{Metrics, State};

use crate::support::erp::{Erp, Reply};
use crate::support::{append, open, start, wait};

const VERIFY_AFTER: Duration = Duration::from_millis(400);

/// Each try looks first, so that only the wait is what `verify` adds.
const FIND_FIRST: &str = r#"
batch = 1
concurrency = 2
[calls]
first = "find"
verify_after = "400ms"
[calls.call.find]
method = "GET"
url = "items?code={{ key | urlencode }}"
rule = [
    { when = [{ at = "/0/id" }], outcome = "done" },
    { status = ["200"], go = "create" },
]
[calls.call.create]
url = "items"
"#;

/// When each request came.
type Times = Arc<Mutex<Vec<Instant>>>;

fn timed(erp: &Erp, mut script: impl FnMut(&str, usize) -> Reply + Send + 'static) -> Times {
    let times = Times::default();
    let kept = Arc::clone(&times);
    erp.script(move |ask| {
        let mut times = kept.lock().expect("nobody panics holding it");
        times.push(Instant::now());
        script(ask.method.as_str(), times.len())
    });
    times
}

fn json(body: &str) -> Reply {
    Reply::With(200, "x-a", "b".into(), body.into())
}

#[tokio::test]
async fn a_lost_reply_is_looked_up_only_after_the_request_must_have_ended() {
    let (store, erp) = (open(), Erp::start().await);
    let times = timed(&erp, |method, number| match (method, number) {
        ("GET", 1) => json("[]"),
        ("GET", _) => json(r#"[{"id": 1}]"#),
        _ => Reply::TakeAndReset,
    });
    let target = start(&store, &erp.url(), FIND_FIRST);
    append(&store, "north/items", &["a"]).await;
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    assert_eq!(
        erp.lines(),
        ["GET /items?code=a", "POST /items", "GET /items?code=a"]
    );
    let times = times.lock().expect("nobody panics holding it");
    assert!(
        times[2] - times[1] >= VERIFY_AFTER,
        "it was looked up at once"
    );
}

#[tokio::test]
async fn after_a_kill_what_was_in_flight_is_let_end_before_it_is_looked_up() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| match ask.method.as_str() {
        "GET" => json("[]"),
        _ => Reply::TakeAndHang,
    });
    let target = start(&store, &erp.url(), FIND_FIRST);
    append(&store, "north/items", &["a"]).await;
    erp.wait_asks(2).await;
    target.kill().await;
    let times = timed(&erp, |_, _| json(r#"[{"id": 1}]"#));
    let began = Instant::now();
    let target = start(&store, &erp.url(), FIND_FIRST);
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    let first = times.lock().expect("nobody panics holding it")[0];
    assert!(first - began >= VERIFY_AFTER, "it was looked up at once");
    assert_eq!(erp.lines()[2..], ["GET /items?code=a"]);
}

/// Only a try that may have had its effect looks first.
const VERIFY: &str = r#"
batch = 1
[calls]
first = "create"
verify = "find"
[calls.call.find]
method = "GET"
url = "items?code={{ key | urlencode }}"
rule = [
    { when = [{ at = "/0/id" }], outcome = "done" },
    { status = ["200"], go = "create" },
]
[calls.call.create]
url = "items"
"#;

/// What the first POST is answered with while its effect stands, and what is sent after it.
async fn after(first: impl Fn() -> Reply + Send + 'static, rules: &str) -> Vec<String> {
    let (store, erp) = (open(), Erp::start().await);
    let mut posts = 0;
    erp.script(move |ask| match ask.method.as_str() {
        "GET" => json(r#"[{"id": 1}]"#),
        _ => {
            posts += 1;
            if posts == 1 { first() } else { json("{}") }
        }
    });
    let target = start(&store, &erp.url(), &format!("{rules}{VERIFY}"));
    append(&store, "north/items", &["a"]).await;
    let is_over = |metrics: &Metrics| metrics.delivered == 1 || metrics.state == State::Paused;
    if wait(&target, "its end", is_over).await.state == State::Paused {
        target.resume().await.expect("it goes on");
    }
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    erp.lines()[1..].to_vec()
}

fn later(status: u16) -> impl Fn() -> Reply + Send + 'static {
    move || Reply::With(status, "retry-after", "0".into(), "busy".into())
}

#[tokio::test]
async fn a_5xx_that_asks_for_time_may_have_had_its_effect_and_is_looked_up() {
    let is_busy = "rule = [{ status = [\"500\"], outcome = \"throttled\", after = \"20ms\" }]\n";
    let is_wrong = "rule = [{ status = [\"500\"], outcome = \"misconfigured\" }]\n";
    for (status, rules) in [(503, ""), (502, ""), (500, is_busy), (500, is_wrong)] {
        let lines = after(later(status), rules).await;
        assert_eq!(lines, ["GET /items?code=a"], "{status} {rules}");
    }
}

#[tokio::test]
async fn a_429_says_that_nothing_was_begun_and_is_not_looked_up() {
    assert_eq!(after(later(429), "").await, ["POST /items"]);
}
