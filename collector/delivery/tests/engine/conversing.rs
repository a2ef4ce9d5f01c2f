//! Deliveries that are conversations: what leads to the next call, what waits, what asks, what is looked up first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::erp::{Erp, Reply};
use crate::support::{append, exceptions, id_of, open, start, states, wait};
use dray_delivery::actions;
use dray_delivery::detail::Detail;
use dray_delivery::outcome::Class;
use dray_store::ExceptionState::{Accepted, Confirm, Dead, Held};
use tokio::sync::{Barrier, Notify};

/// Finds, then creates or changes; a reply that was lost is looked up.
const FIND_THEN_WRITE: &str = r#"
batch = 1
concurrency = 1
[calls]
first = "find"
[calls.call.find]
method = "GET"
url = "items?code={{ key | urlencode }}"
rule = [
    { when = [{ at = "/0/id" }], capture = { id = "/0/id" }, go = "change" },
    { status = ["200"], go = "create" },
]
[calls.call.create]
url = "items"
[calls.call.change]
method = "PATCH"
url = "items/{{ got.id }}"
headers = { "If-Match" = "*" }
"#;

fn json(body: &str) -> Reply {
    Reply::With(200, "x-a", "b".into(), body.into())
}

#[tokio::test]
async fn what_was_found_decides_which_call_comes_next() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| match ask.method.as_str() {
        "GET" if ask.path.ends_with("=O%27K") => json(r#"[{"id": 12}]"#),
        "GET" => json("[]"),
        _ => Reply::Status(200),
    });
    let target = start(&store, &erp.url(), FIND_THEN_WRITE);
    append(&store, "north/items", &["new", "O'K"]).await;
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    assert_eq!(
        erp.lines(),
        [
            "GET /items?code=new",
            "POST /items",
            "GET /items?code=O%27K",
            "PATCH /items/12"
        ]
    );
    let last = erp.kept_asks().pop().expect("a request");
    assert_eq!(last.headers["if-match"], "*");
    assert_eq!(last.events[0]["key"], "O'K");
    assert!(exceptions(&store).is_empty());
}

#[tokio::test]
async fn a_lost_reply_is_looked_up_before_anything_is_sent_again() {
    let (store, erp) = (open(), Erp::start().await);
    let config =
        FIND_THEN_WRITE.replace("first = \"find\"", "first = \"create\"\nverify = \"find\"");
    let config = config.replace(r#"go = "change" }"#, r#"outcome = "done" }"#);
    let created = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&created);
    erp.script(move |ask| match ask.method.as_str() {
        "GET" if counting.load(Ordering::Relaxed) > 0 => json(r#"[{"id": 12}]"#),
        "GET" => json("[]"),
        // The first is lost on its way there, the second on its way back.
        _ if ask.number == 0 => Reply::Reset,
        _ => {
            counting.fetch_add(1, Ordering::Relaxed);
            Reply::TakeAndReset
        }
    });
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a"]).await;
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    assert_eq!(
        erp.lines(),
        [
            "POST /items",
            "GET /items?code=a",
            "POST /items",
            "GET /items?code=a"
        ]
    );
    assert_eq!(created.load(Ordering::Relaxed), 1, "one document");
}

/// Taken with 202 and a job that is asked about until it ends.
const SUBMIT_AND_POLL: &str = r#"
batch = 1
[calls]
first = "submit"
[calls.call.submit]
url = "jobs"
rule = [{ status = ["202"], outcome = "accepted", go = "ask", after = "5ms", capture = { job = "/job" } }]
[calls.call.ask]
method = "GET"
url = "jobs/{{ got.job }}"
rule = [
    { when = [{ at = "/state", equals = "running" }], outcome = "accepted", go = "ask", after = "5ms" },
    { when = [{ at = "/state", equals = "posted" }], outcome = "done" },
    { when = [{ at = "/state", equals = "failed" }], outcome = "rejected", reason = "/why" },
]
"#;

#[tokio::test]
async fn what_was_accepted_is_asked_about_until_it_is_posted_and_its_key_waits() {
    for policy in ["hold", "park"] {
        let (store, erp) = (open(), Erp::start().await);
        let polls = AtomicUsize::new(0);
        erp.script(move |ask| match ask.method.as_str() {
            "POST" => Reply::With(
                202,
                "x-a",
                "b".into(),
                format!("{{\"job\": {}}}", ask.number),
            ),
            _ if ask.path != "/jobs/0" || polls.fetch_add(1, Ordering::Relaxed) >= 3 => {
                json(r#"{"state": "posted"}"#)
            }
            _ => json(r#"{"state": "running"}"#),
        });
        let target = start(
            &store,
            &erp.url(),
            &format!("on_reject = \"{policy}\"\n{SUBMIT_AND_POLL}"),
        );
        append(&store, "north/orders", &["a", "a"]).await;
        wait(&target, "both", |metrics| {
            metrics.delivered == 2 && metrics.waiting == 0
        })
        .await;
        let lines = erp.lines();
        assert_eq!(
            lines[..5],
            [
                "POST /jobs",
                "GET /jobs/0",
                "GET /jobs/0",
                "GET /jobs/0",
                "GET /jobs/0"
            ]
        );
        assert_eq!(lines[5..], ["POST /jobs", "GET /jobs/5"]);
        assert!(exceptions(&store).is_empty(), "{policy}");
    }
}

#[tokio::test]
async fn what_was_accepted_is_asked_about_after_a_kill_and_not_submitted_again() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| match ask.method.as_str() {
        "POST" => Reply::With(202, "x-a", "b".into(), r#"{"job": 7}"#.into()),
        _ => json(r#"{"state": "running"}"#),
    });
    let target = start(&store, &erp.url(), SUBMIT_AND_POLL);
    append(&store, "north/orders", &["a", "a"]).await;
    wait(&target, "the first", |metrics| {
        (metrics.waiting, metrics.held) == (1, 1)
    })
    .await;
    assert_eq!(states(&store), [(1, Accepted), (2, Held)]);
    target.kill().await;
    erp.script(|ask| match ask.method.as_str() {
        "POST" => Reply::With(202, "x-a", "b".into(), r#"{"job": 8}"#.into()),
        _ if ask.path == "/jobs/7" => json(r#"{"state": "failed", "why": "the period is closed"}"#),
        _ => json(r#"{"state": "posted"}"#),
    });
    let target = start(&store, &erp.url(), SUBMIT_AND_POLL);
    wait(&target, "the failure", |metrics| metrics.dead == 1).await;
    let dead = exceptions(&store).remove(0);
    assert_eq!(
        dead.reason,
        "the target answered 200 OK: the period is closed"
    );
    let detail = Detail::read(&dead.detail);
    assert_eq!(detail.class, Some(Class::Rejected));
    assert!(detail.request.starts_with("GET http://"), "{detail:?}");
    assert_eq!(
        erp.lines()
            .iter()
            .filter(|line| *line == "POST /jobs")
            .count(),
        1
    );
    assert_eq!(states(&store), [(1, Dead), (2, Held)]);
    actions::discard(&store, id_of(&store, 1), None)
        .await
        .expect("it is dead");
    target.wake().await;
    wait(&target, "the second", |metrics| {
        (metrics.delivered, metrics.waiting, metrics.held) == (1, 0, 0)
    })
    .await;
    assert!(exceptions(&store).is_empty());
}

#[tokio::test]
async fn what_is_never_finished_becomes_a_dead_letter() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| match ask.method.as_str() {
        "POST" => Reply::With(202, "x-a", "b".into(), r#"{"job": 7}"#.into()),
        _ => json(r#"{"state": "running"}"#),
    });
    let config = SUBMIT_AND_POLL.replace("first = ", "give_up_after = \"50ms\"\nfirst = ");
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/orders", &["a"]).await;
    wait(&target, "the end", |metrics| metrics.dead == 1).await;
    let dead = exceptions(&store).remove(0);
    assert!(
        dead.reason.starts_with("it was not finished within 50ms"),
        "{}",
        dead.reason
    );
    assert_eq!(Detail::read(&dead.detail).class, Some(Class::Unfinished));
}

/// A warning that somebody must agree to, as Tryton gives it with a 200.
const WARNING: &str = r#"
batch = 1
concurrency = 1
[calls]
first = "write"
[calls.call.write]
url = "rpc"
rule = [
    { when = [{ at = "/error/0", equals = "UserWarning" }], outcome = "confirm", go = "skip", capture = { warning = "/error/1/0" }, reason = "/error/1/1" },
    { when = [{ at = "/error" }], outcome = "rejected", reason = "/error/1" },
]
[calls.call.skip]
url = "skip?name={{ got.warning }}"
rule = [{ status = ["200"], go = "write" }]
"#;

#[tokio::test]
async fn a_warning_waits_for_somebodys_word_and_then_the_call_is_sent_again() {
    let (store, erp) = (open(), Erp::start().await);
    let skipped = AtomicUsize::new(0);
    erp.script(move |ask| {
        if ask.path.starts_with("/skip") {
            skipped.fetch_add(1, Ordering::Relaxed);
        }
        let warns = ask.has_key("a") && ask.path == "/rpc" && skipped.load(Ordering::Relaxed) == 0;
        match warns {
            true => json(r#"{"error": ["UserWarning", ["w1", "Stock will be negative"]]}"#),
            false => json(r#"{"result": [1]}"#),
        }
    });
    let target = start(&store, &erp.url(), WARNING);
    append(&store, "north/moves", &["a", "b", "a"]).await;
    wait(&target, "the question", |metrics| {
        (metrics.delivered, metrics.waiting, metrics.held) == (1, 1, 1)
    })
    .await;
    assert_eq!(states(&store), [(1, Confirm), (3, Held)]);
    let id = id_of(&store, 1);
    assert!(
        exceptions(&store)[0]
            .reason
            .ends_with(": Stock will be negative")
    );
    assert!(
        actions::retry(&store, id, false, None)
            .await
            .expect_err("it asks")
            .contains("approve or discard")
    );
    assert!(
        actions::approve(&store, id_of(&store, 3), "anna")
            .await
            .is_err()
    );
    actions::approve(&store, id, "anna").await.expect("it asks");
    target.wake().await;
    wait(&target, "the rest", |metrics| {
        (metrics.delivered, metrics.waiting, metrics.held) == (3, 0, 0)
    })
    .await;
    assert_eq!(
        erp.lines(),
        [
            "POST /rpc",
            "POST /rpc",
            "POST /skip?name=w1",
            "POST /rpc",
            "POST /rpc"
        ]
    );
    assert!(exceptions(&store).is_empty());
}

#[tokio::test]
async fn an_error_within_a_200_is_a_dead_letter_with_what_was_said() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| json(r#"{"error": ["ValidationError", "no such item", "a trace"]}"#));
    let target = start(&store, &erp.url(), WARNING);
    append(&store, "north/moves", &["a"]).await;
    wait(&target, "the refusal", |metrics| metrics.dead == 1).await;
    let dead = exceptions(&store).remove(0);
    assert_eq!(dead.reason, "the target answered 200 OK: no such item");
    let detail = Detail::read(&dead.detail);
    assert_eq!((detail.class, detail.attempts), (Some(Class::Rejected), 1));
    assert!(detail.request.starts_with("POST http://") && detail.request.contains("\"key\":\"a\""));
    assert!(detail.answer.starts_with("200 OK\n{\"error\""));
}

#[tokio::test]
async fn a_long_answer_is_cut_and_its_message_is_found() {
    let (store, erp) = (open(), Erp::start().await);
    // As SAP does: the message, and then fifty kilobytes of what nobody asked for.
    let trace = "at com.example.Stack ".repeat(2_500);
    erp.script(move |_| {
        let body = format!(
            r#"{{"error": {{"code": "X1", "innererror": "{trace}", "message": "no such item"}}}}"#
        );
        Reply::Whole(
            400,
            vec![("content-type", "application/json".to_owned())],
            body,
        )
    });
    let rule = "batch = 1\n[[rule]]\nstatus = [\"400\"]\noutcome = \"rejected\"\nreason = \"/error/message\"";
    let target = start(&store, &erp.url(), rule);
    append(&store, "north/moves", &["a"]).await;
    wait(&target, "the refusal", |metrics| metrics.dead == 1).await;
    let dead = exceptions(&store).remove(0);
    assert_eq!(
        dead.reason,
        "the target answered 400 Bad Request: no such item"
    );
    let detail = Detail::read(&dead.detail);
    assert!(detail.answer.len() <= dray_delivery::connectors::KEPT_BYTES_MAX);
    assert!(
        detail
            .answer
            .starts_with("400 Bad Request\n{\"error\": {\"code\": \"X1\"")
    );
}

/// A question is not answered by a success that no rule knows: nothing was sent of the event, or nobody says how it ended.
#[tokio::test]
async fn a_question_whose_answer_no_rule_knows_is_asked_again_and_delivers_nothing() {
    let find = FIND_THEN_WRITE.replace(
        "{ status = [\"200\"]",
        "{ when = [{ at = \"text\", equals = \"[]\" }]",
    );
    for (config, lines) in [
        (
            &*find,
            &["GET /items?code=a", "GET /items?code=a", "POST /items"][..],
        ),
        (
            SUBMIT_AND_POLL,
            &["POST /jobs", "GET /jobs/7", "GET /jobs/7"],
        ),
    ] {
        let (store, erp) = (open(), Erp::start().await);
        let asked = AtomicUsize::new(0);
        erp.script(move |ask| match (ask.method.as_str(), ask.path.as_str()) {
            ("POST", "/jobs") => Reply::Whole(202, Vec::new(), r#"{"job": 7}"#.into()),
            ("GET", _) if asked.fetch_add(1, Ordering::Relaxed) == 0 => json("back soon"),
            ("GET", "/jobs/7") => json(r#"{"state": "posted"}"#),
            ("GET", _) => json("[]"),
            _ => Reply::Status(201),
        });
        let target = start(&store, &erp.url(), config);
        append(&store, "north/items", &["a"]).await;
        wait(&target, "it", |metrics| metrics.delivered == 1).await;
        assert_eq!(erp.lines(), lines);
        assert!(exceptions(&store).is_empty());
    }
}

#[tokio::test]
async fn rules_that_lead_in_a_circle_pause_the_target() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| json(r#"{"error": ["UserWarning", ["w1", "again and again"]]}"#));
    let config = WARNING.replace(r#"outcome = "confirm", "#, "");
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/moves", &["a"]).await;
    let metrics = wait(&target, "the pause", |metrics| {
        metrics.state == dray_delivery::State::Paused
    })
    .await;
    assert!(metrics.detail.contains("without an end"), "{metrics:?}");
    assert_eq!(erp.lines().len(), dray_delivery::calls::CALLS_MAX as usize);
}

#[tokio::test]
async fn what_may_have_been_sent_before_a_kill_is_looked_up_and_nothing_else() {
    let (store, erp) = (open(), Erp::start().await);
    let config =
        FIND_THEN_WRITE.replace("first = \"find\"", "first = \"create\"\nverify = \"find\"");
    let config = config.replace(r#"go = "change" }"#, r#"outcome = "done" }"#);
    erp.script(|_| Reply::TakeAndHang);
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a"]).await;
    erp.wait_asks(1).await;
    target.kill().await;
    erp.script(|ask| match ask.method.as_str() {
        "GET" => json(r#"[{"id": 12}]"#),
        _ => Reply::Status(200),
    });
    let target = start(&store, &erp.url(), &config);
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    target.stop().await;
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["b"]).await;
    wait(&target, "the next", |metrics| metrics.delivered == 1).await;
    assert_eq!(
        erp.lines(),
        ["POST /items", "GET /items?code=a", "POST /items"],
        "after a stop nothing is in doubt"
    );
}

#[tokio::test]
async fn a_call_that_was_answered_is_looked_up_when_the_next_one_is_put_off() {
    let (store, erp) = (open(), Erp::start().await);
    let config = FIND_THEN_WRITE
        .replace("first = \"find\"", "first = \"create\"\nverify = \"find\"")
        .replace(
            "url = \"items\"",
            "url = \"items\"\nrule = [{ status = [\"2xx\"], capture = { id = \"/id\" }, go = \"change\" }]",
        );
    let mut puts_off = true;
    erp.script(move |ask| match ask.method.as_str() {
        "GET" => json(r#"[{"id": 12}]"#),
        "PATCH" if std::mem::take(&mut puts_off) => {
            Reply::With(429, "retry-after", "0".into(), "later".into())
        }
        _ => json(r#"{"id": 12}"#),
    });
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a"]).await;
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    assert_eq!(
        erp.lines(),
        [
            "POST /items",
            "PATCH /items/12",
            "GET /items?code=a",
            "PATCH /items/12"
        ]
    );
}

#[tokio::test]
async fn under_park_all_that_waited_goes_on_however_many_are_refused() {
    let (store, erp) = (open(), Erp::start().await);
    let posted = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let state = Arc::clone(&posted);
    erp.script(move |ask| match ask.method.as_str() {
        "POST" if ask.number == 0 => Reply::With(202, "x-a", "b".into(), r#"{"job": 7}"#.into()),
        "POST" => Reply::Status(422),
        _ if state.load(Ordering::Relaxed) => json(r#"{"state": "posted"}"#),
        _ => json(r#"{"state": "running"}"#),
    });
    let config = format!("on_reject = \"park\"\n{SUBMIT_AND_POLL}");
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/orders", &["a"; 40]).await;
    wait(&target, "the others wait", |metrics| metrics.held == 39).await;
    posted.store(true, Ordering::Relaxed);
    wait(&target, "all are over", |metrics| {
        (metrics.dead, metrics.held, metrics.waiting) == (39, 0, 0)
    })
    .await;
    assert_eq!(erp.check_order(), 1, "and the first one came");
}

#[tokio::test]
async fn under_park_what_was_approved_goes_before_later_events_of_its_key() {
    let (store, erp) = (open(), Erp::start().await);
    let skipped = AtomicUsize::new(0);
    erp.script(move |ask| {
        if ask.path.starts_with("/skip") {
            skipped.fetch_add(1, Ordering::Relaxed);
        }
        match skipped.load(Ordering::Relaxed) {
            0 => json(r#"{"error": ["UserWarning", ["w1", "Really?"]]}"#),
            _ => json(r#"{"result": [1]}"#),
        }
    });
    let config = format!("on_reject = \"park\"\n{WARNING}");
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/moves", &["a"]).await;
    wait(&target, "the question", |metrics| metrics.waiting == 1).await;
    actions::approve(&store, id_of(&store, 1), "anna")
        .await
        .expect("it asks");
    // Later events come before the engine hears of it, as well as a restart.
    append(&store, "north/moves", &["a", "a"]).await;
    target.kill().await;
    let target = start(&store, &erp.url(), &config);
    wait(&target, "all", |metrics| {
        (metrics.delivered, metrics.held, metrics.dead) == (3, 0, 0) && metrics.waiting == 0
    })
    .await;
    erp.check_order();
    assert!(exceptions(&store).is_empty());
}

/// Somebody gives an event up while the answer about it is on its way: whatever that says, the event is gone, and nothing else is
/// counted for it.
#[tokio::test]
async fn what_is_given_up_while_it_is_asked_about_is_counted_no_more_whatever_the_answer_says() {
    for status in [200, 422, 202] {
        let (store, erp) = (open(), Erp::start().await);
        let (asked, told) = (Arc::new(Notify::new()), Arc::new(Barrier::new(2)));
        let (asks, tells) = (Arc::clone(&asked), Arc::clone(&told));
        let mut job_of_a = String::new();
        erp.script(move |ask| match ask.method.as_str() {
            "POST" => {
                if ask.has_key("a") && job_of_a.is_empty() {
                    job_of_a = format!("/jobs/{}", ask.number);
                }
                let job = format!("{{\"job\": {}}}", ask.number);
                Reply::With(202, "x-a", "b".into(), job)
            }
            _ if ask.path == job_of_a => {
                asks.notify_one();
                Reply::Meet(status, Arc::clone(&tells))
            }
            _ => json(r#"{"state": "running"}"#),
        });
        // With no words of its own that answer says "still at it".
        let config = SUBMIT_AND_POLL.replace(
            "    { when = [{ at = \"/state\", equals = \"running\" }]",
            "    { status = [\"202\"], outcome = \"accepted\", go = \"ask\", after = \"1h\" },\n    { when = [{ at = \"/state\", equals = \"running\" }]",
        );
        let target = start(&store, &erp.url(), &config);
        append(&store, "north/orders", &["a", "b"]).await;
        asked.notified().await;
        wait(&target, "both", |metrics| metrics.waiting == 2).await;
        actions::discard(&store, id_of(&store, 1), None)
            .await
            .expect("the target works on it");
        target.wake().await;
        wait(&target, "a look at what is left", |metrics| {
            metrics.waiting == 1
        })
        .await;
        told.wait().await;
        // It leaves once what is given up has left its lane.
        append(&store, "north/orders", &["a"]).await;
        wait(&target, "those that are there", |metrics| {
            (metrics.waiting, metrics.dead, metrics.held) == (2, 0, 0)
        })
        .await;
        target.stop().await;
        assert_eq!(states(&store), [(2, Accepted), (3, Accepted)], "{status}");
    }
}
