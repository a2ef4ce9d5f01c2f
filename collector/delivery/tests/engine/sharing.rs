//! Targets that share an account: who is told to wait makes all wait, the cap holds over all, one sign-in serves all.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::erp::{Erp, Reply};
use crate::support::{append, append_as, config, exceptions, open, wait};
use dray_delivery::account::HASTY;
use dray_delivery::{Accounts, State, Target, TargetHandle};
use dray_store::Store;
use tokio::sync::Barrier;

fn accounts(more: &str) -> Accounts {
    let table = format!("name = \"netsuite\"\n{more}");
    Accounts::new(&[toml::from_str(&table).expect("a table")]).expect("good accounts")
}

/// A target of the account; it takes the flow of its name.
fn start(
    store: &Arc<dyn Store>,
    accounts: &Accounts,
    (name, url): (&str, &str),
    more: &str,
) -> TargetHandle {
    let table = format!("account = \"netsuite\"\nflows = [\"north/{name}\"]\nbatch = 1\n{more}");
    let mut config = config(url, &table);
    config.name = name.into();
    Target::start_among(config, accounts, Arc::clone(store)).expect("a good configuration")
}

/// Scenarios 12 and 13.
#[tokio::test]
async fn a_429_pauses_the_account_for_all_flows_and_retry_after_is_waited_for() {
    for status in [429, 503] {
        let (store, erp) = (open(), Erp::start().await);
        let times = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&times);
        erp.script(move |ask| {
            noted.lock().expect("nobody panics").push(Instant::now());
            match ask.number {
                0 => Reply::With(status, "retry-after", "1".into(), "busy".into()),
                _ => Reply::Status(200),
            }
        });
        let accounts = accounts("");
        let url = erp.url();
        let one = start(&store, &accounts, ("one", &url), "");
        let other = start(&store, &accounts, ("other", &url), "");
        append(&store, "north/one", &["a"]).await;
        wait(&one, "the throttling", |metrics| metrics.failures == 1).await;
        append(&store, "north/other", &["a", "b"]).await;
        let waits = |metrics: &dray_delivery::Metrics| metrics.state == State::Waiting;
        let metrics = wait(&other, "the account's wait", waits).await;
        assert!(
            metrics
                .detail
                .starts_with("its account waits: the target answered"),
            "{metrics:?}"
        );
        wait(&other, "the others", |metrics| metrics.delivered == 2).await;
        wait(&one, "the first", |metrics| metrics.delivered == 1).await;
        let times = times.lock().expect("nobody panics");
        assert_eq!(times.len(), 4);
        for time in &times[1..] {
            assert!(
                *time >= times[0] + Duration::from_secs(1),
                "{status}: {:?}",
                *time - times[0]
            );
        }
        assert!(exceptions(&store).is_empty());
    }
}

#[tokio::test]
async fn what_is_masked_stands_in_no_words_of_an_account_that_waits() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| {
        let said = "{\"error\": \"SECRET-7 1 is locked\", \"iban\": \"DE12345\"}".to_owned();
        Reply::With(429, "retry-after", "600".into(), said)
    });
    let (accounts, url) = (accounts(""), erp.url());
    let masks = "mask = [\"iban\", \"/data/shipment_number\"]";
    let one = start(&store, &accounts, ("one", &url), masks);
    let other = start(&store, &accounts, ("other", &url), "");
    append_as(&store, "north/one", "shipment", &["SECRET-7"]).await;
    wait(&one, "the throttling", |metrics| metrics.failures == 1).await;
    let said = other.account_waits().expect("it waits");
    assert!(said.contains("429"), "{said}");
    for secret in ["SECRET-7 1", "DE12345"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn resuming_a_target_ends_the_wait_of_its_account() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| match ask.number {
        0 => Reply::With(429, "retry-after", "3600".into(), "busy".into()),
        _ => Reply::Status(200),
    });
    let accounts = accounts("");
    let url = erp.url();
    let one = start(&store, &accounts, ("one", &url), "");
    let other = start(&store, &accounts, ("other", &url), "");
    append(&store, "north/one", &["a"]).await;
    wait(&one, "the throttling", |metrics| metrics.failures == 1).await;
    append(&store, "north/other", &["a"]).await;
    let waits = |metrics: &dray_delivery::Metrics| metrics.state == State::Waiting;
    let metrics = wait(&other, "the account's wait", waits).await;
    assert!(
        metrics.detail.contains("(until 2") && metrics.detail.contains("target resume other"),
        "{metrics:?}"
    );
    other.resume().await.expect("it goes on");
    wait(&other, "its own", |metrics| metrics.delivered == 1).await;
    one.resume().await.expect("it goes on");
    wait(&one, "its own", |metrics| metrics.delivered == 1).await;
}

/// A clock that is behind makes every date one that has passed.
#[tokio::test]
async fn an_account_that_asks_for_no_time_is_not_asked_without_end() {
    for wait_for in ["0", "Mon, 23 Nov 2020 08:00:00 GMT"] {
        let (store, erp) = (open(), Erp::start().await);
        let times = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&times);
        erp.script(move |ask| {
            noted.lock().expect("nobody panics").push(Instant::now());
            match ask.number {
                0..2 => Reply::With(429, "retry-after", wait_for.into(), "busy".into()),
                _ => Reply::Status(200),
            }
        });
        let accounts = accounts("");
        let url = erp.url();
        let one = start(&store, &accounts, ("one", &url), "");
        append(&store, "north/one", &["a"]).await;
        wait(&one, "it", |metrics| metrics.delivered == 1).await;
        let times = times.lock().expect("nobody panics");
        assert_eq!(times.len(), 3, "{wait_for}");
        assert!(times[1] >= times[0] + HASTY, "{wait_for}");
        assert!(times[2] >= times[1] + HASTY * 2, "{wait_for}");
    }
}

/// Scenario 14.
#[tokio::test]
async fn netsuites_400_of_a_reached_limit_is_throttling_and_no_dead_letter() {
    let (store, erp) = (open(), Erp::start().await);
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    erp.script(move |ask| {
        noted.lock().expect("nobody panics").push(Instant::now());
        match ask.number {
            0 => Reply::With(
                400,
                "x-a",
                "b".into(),
                r#"{"error": {"code": "SSS_REQUEST_LIMIT_EXCEEDED"}}"#.into(),
            ),
            _ => Reply::Status(200),
        }
    });
    let rule = r#"rule = [{ status = ["400"], when = [{ at = "/error/code", equals = "SSS_REQUEST_LIMIT_EXCEEDED" }], outcome = "throttled", after = "400ms" }]"#;
    let accounts = accounts("");
    let url = erp.url();
    let one = start(&store, &accounts, ("one", &url), rule);
    let other = start(&store, &accounts, ("other", &url), rule);
    append(&store, "north/one", &["a"]).await;
    wait(&one, "the throttling", |metrics| metrics.failures == 1).await;
    append(&store, "north/other", &["b"]).await;
    wait(&other, "the other", |metrics| metrics.delivered == 1).await;
    wait(&one, "the first", |metrics| metrics.delivered == 1).await;
    let times = times.lock().expect("nobody panics");
    assert!(
        times[1..]
            .iter()
            .all(|time| *time >= times[0] + Duration::from_millis(400))
    );
    assert!(exceptions(&store).is_empty());
}

/// Scenario 15, as far as one collector goes.
#[tokio::test]
async fn the_concurrency_cap_holds_over_all_targets_of_the_account() {
    let (store, erp) = (open(), Erp::start().await);
    let barrier = Arc::new(Barrier::new(3));
    // None is answered before three are in flight.
    erp.script(move |_| Reply::Meet(200, Arc::clone(&barrier)));
    let accounts = accounts("concurrency = 3");
    let url = erp.url();
    let targets =
        ["one", "other"].map(|name| start(&store, &accounts, (name, &url), "concurrency = 4"));
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    append(&store, "north/one", &keys).await;
    append(&store, "north/other", &keys).await;
    for target in &targets {
        wait(target, "all of them", |metrics| metrics.delivered == 9).await;
    }
    assert_eq!(erp.live_max(), 3);
}

#[tokio::test]
async fn month_end_bulk_that_hangs_leaves_room_for_ship_confirms() {
    let (store, erp, slow) = (open(), Erp::start().await, Erp::start().await);
    slow.script(|_| Reply::Hang);
    let accounts = accounts("concurrency = 2");
    let bulk = start(
        &store,
        &accounts,
        ("bulk", &slow.url()),
        "timeliness = \"bulk\"",
    );
    append(&store, "north/bulk", &["a", "b", "c", "d"]).await;
    slow.wait_asks(1).await;
    let urgent = start(
        &store,
        &accounts,
        ("urgent", &erp.url()),
        "timeliness = \"urgent\"",
    );
    append(&store, "north/urgent", &["a", "b", "c", "d"]).await;
    wait(&urgent, "ship confirms", |metrics| metrics.delivered == 4).await;
    assert_eq!((bulk.status().delivered, slow.kept_asks().len()), (0, 1));
}

#[tokio::test]
async fn one_sign_in_serves_all_targets_of_the_account() {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "a password").expect("a file");
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    erp.script(move |ask| {
        if ask.path == "/login" {
            let count = counted.fetch_add(1, SeqCst) + 1;
            return Reply::With(
                200,
                "set-cookie",
                format!("SID=s{count}; Path=/"),
                "{}".into(),
            );
        }
        let cookie = ask
            .headers
            .get("cookie")
            .map(|value| value.to_str().expect("text"));
        Reply::Status(match cookie {
            // The first session ends with its second request.
            Some("SID=s1") if ask.number <= 1 => 200,
            Some("SID=s2") => 200,
            _ => 401,
        })
    });
    let accounts = accounts(&format!(
        "[auth]\nkind = \"session\"\nuser = \"dray\"\npassword_file = {file:?}\n[auth.login]\nurl = \"/login\"\nbody = '{{\"p\": {{{{ password | tojson }}}}}}'\n"
    ));
    let url = erp.url();
    let one = start(&store, &accounts, ("one", &url), "");
    append(&store, "north/one", &["a"]).await;
    wait(&one, "the first", |metrics| metrics.delivered == 1).await;
    let other = start(&store, &accounts, ("other", &url), "");
    append(&store, "north/other", &["a", "b", "c", "d"]).await;
    append(&store, "north/one", &["b", "c", "d"]).await;
    wait(&other, "its own", |metrics| metrics.delivered == 4).await;
    wait(&one, "the rest", |metrics| metrics.delivered == 4).await;
    assert_eq!(logins.load(SeqCst), 2);
    assert_eq!((one.status().failures, other.status().failures), (0, 0));
}

#[tokio::test]
async fn an_account_that_there_is_not_is_refused() {
    let store = open();
    let table = config("http://erp.example/", "account = \"netsuit\"");
    let refused = Target::start_among(table, &accounts(""), Arc::clone(&*store));
    let reason = refused.expect_err("a typing error");
    assert!(reason.contains("there is no \"netsuit\""), "{reason}");
}
