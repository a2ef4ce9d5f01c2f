//! What may still be at work at the target is let end before it is looked up.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
