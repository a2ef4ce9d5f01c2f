//! Sessions and tokens that end while events are in flight: one sign-in for all of them, nothing lost, nothing twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use crate::support::erp::{Ask, Erp, Reply};
use crate::support::{append, exceptions, open, start, wait};
use dray_delivery::State;
use tokio::sync::Barrier;

const PASSWORD: &str = "agent's \"pass\"";

/// A folder with a file in it.
fn secret(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{text}\n")).expect("a file");
    (folder, path)
}

/// A login as Tryton's: what it answers goes on each request.
fn session(file: &std::path::Path, more: &str) -> String {
    format!(
        r#"batch = 1
{more}
[auth]
kind = "session"
user = "agent"
password_file = {file:?}
headers = {{ Authorization = "Session {{{{ got.token }}}}" }}
[auth.login]
url = "/login"
body = '{{"user": {{{{ user | tojson }}}}, "password": {{{{ password | tojson }}}}}}'
capture = {{ token = "/result/1" }}
"#
    )
}

fn json(body: String) -> Reply {
    Reply::With(200, "x-a", "b".into(), body)
}

fn is_login(ask: &Ask) -> bool {
    ask.path == "/login"
}

/// How often it was asked at this path.
fn asked(erp: &Erp, path: &str) -> usize {
    erp.kept_asks()
        .iter()
        .filter(|ask| ask.path == path)
        .count()
}

/// Gives out t1, t2, ...; `answer` says what becomes of the rest, told which token it wears.
fn tokens(erp: &Erp, mut answer: impl FnMut(&Ask, &str) -> Reply + Send + 'static) {
    let mut logins = 0;
    erp.script(move |ask| {
        if is_login(ask) {
            logins += 1;
            return json(format!("{{\"result\": [7, \"t{logins}\"]}}"));
        }
        let worn = ask.headers.get("authorization");
        let worn = worn.map_or("", |value| value.to_str().expect("text"));
        answer(ask, worn.strip_prefix("Session ").unwrap_or(""))
    });
}

/// Scenario 16.
#[tokio::test]
async fn a_401_in_the_middle_of_a_run_is_one_login_for_four_requests_and_loses_nothing() {
    let (store, erp) = (open(), Erp::start().await);
    let (_folder, file) = secret(PASSWORD);
    let barrier = Arc::new(Barrier::new(4));
    tokens(&erp, move |ask, token| match token {
        "t1" if !ask.has_key("first") => Reply::Meet(401, Arc::clone(&barrier)),
        "t1" | "t2" => Reply::Status(200),
        _ => Reply::Status(500),
    });
    let target = start(&store, &erp.url(), &session(&file, "concurrency = 4"));
    append(&store, "north/items", &["first"]).await;
    wait(&target, "the first", |metrics| metrics.delivered == 1).await;
    append(&store, "north/items", &["a", "b", "c", "d", "a", "b"]).await;
    wait(&target, "all", |metrics| metrics.delivered == 7).await;
    assert_eq!(asked(&erp, "/login"), 2);
    assert_eq!(
        asked(&erp, "/events"),
        7 + 4,
        "each refused one came once more"
    );
    assert_eq!(
        (erp.offsets("a"), erp.offsets("b")),
        (vec![2, 6], vec![3, 7])
    );
    let login = &erp.kept_asks()[0];
    assert_eq!(
        (&login.events[0]["user"], &login.events[0]["password"]),
        (&"agent".into(), &PASSWORD.into())
    );
    assert!(exceptions(&store).is_empty());
    assert_eq!(target.status().failures, 0);
}

#[tokio::test]
async fn who_is_refused_in_a_new_session_too_finds_the_breaker_open_until_it_is_resumed() {
    let (store, erp) = (open(), Erp::start().await);
    let (_folder, file) = secret(PASSWORD);
    let knows = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&knows);
    tokens(&erp, move |_, _| {
        Reply::Status(if known.load(SeqCst) { 200 } else { 401 })
    });
    let target = start(
        &store,
        &erp.url(),
        &session(
            &file,
            "concurrency = 1\n[retry]\nfirst = \"20ms\"\nmax = \"60s\"\n",
        ),
    );
    append(&store, "north/items", &["a", "b"]).await;
    let said = format!(
        "see auth.password_file {}: the target answered 401 Unauthorized: {{}}",
        file.display()
    );
    let broken =
        |metrics: &dray_delivery::Metrics| metrics.broken.is_some() && metrics.detail == said;
    wait(&target, "the breaker", broken).await;
    assert_eq!(
        erp.lines(),
        ["POST /login", "POST /events", "POST /login", "POST /events"]
    );
    knows.store(true, SeqCst);
    target.resume().await.expect("it runs");
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    assert_eq!(asked(&erp, "/login"), 2, "the second session serves");
}

#[tokio::test]
async fn a_login_that_is_refused_is_tried_once_for_all_and_its_password_is_not_told() {
    let (store, erp) = (open(), Erp::start().await);
    let (_folder, file) = secret(PASSWORD);
    erp.script(|ask| match is_login(ask) {
        true => Reply::With(
            401,
            "x-a",
            "b".into(),
            format!("no user agent with {PASSWORD}"),
        ),
        false => Reply::Status(200),
    });
    append(&store, "north/items", &["a", "b", "c", "d"]).await;
    let target = start(
        &store,
        &erp.url(),
        &session(
            &file,
            "concurrency = 4\n[retry]\nfirst = \"20ms\"\nmax = \"60s\"\n",
        ),
    );
    let said = format!(
        "see auth.password_file {}: sign-in: the target answered 401 Unauthorized: no user agent with ***",
        file.display()
    );
    let broken =
        |metrics: &dray_delivery::Metrics| metrics.broken.is_some() && metrics.detail == said;
    wait(&target, "the breaker", broken).await;
    target.stop().await;
    assert_eq!(
        erp.lines(),
        ["POST /login"],
        "an account is not locked by four tries"
    );
}

#[tokio::test]
async fn a_password_that_makes_no_address_is_not_told() {
    let (store, erp) = (open(), Erp::start().await);
    let (_folder, file) = secret(PASSWORD);
    let config = session(&file, "").replace("\"/login\"", "\"/login?p={{ password }}\"");
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a"]).await;
    let metrics = wait(&target, "the pause", |metrics| {
        metrics.state == State::Paused
    })
    .await;
    let said = &metrics.detail;
    assert!(said.contains("auth.login.url"), "{said}");
    assert!(!said.contains("pass"), "{said}");
    assert!(erp.kept_asks().is_empty());
}

#[tokio::test]
async fn a_session_that_a_200_calls_ended_is_begun_anew_in_a_conversation_and_in_a_post() {
    let rule =
        r#"rule = [{ when = [{ at = "/error/0", equals = "SessionExpired" }], outcome = "auth" }]"#;
    let calls = format!(
        "[calls]\nfirst = \"find\"\n[calls.call.find]\nmethod = \"GET\"\nurl = \"items\"\nrule = [{{ when = [{{ at = \"/id\" }}], capture = {{ id = \"/id\" }}, go = \"change\" }}]\n\
         [calls.call.change]\nmethod = \"PATCH\"\nurl = \"items/{{{{ got.id }}}}\"\n{rule}\n"
    );
    for (more, lines) in [
        (
            rule.to_owned(),
            &["POST /login", "POST /events", "POST /login", "POST /events"][..],
        ),
        (
            calls,
            &[
                "POST /login",
                "GET /items",
                "PATCH /items/12",
                "POST /login",
                "PATCH /items/12",
            ],
        ),
    ] {
        let (store, erp) = (open(), Erp::start().await);
        let (_folder, file) = secret(PASSWORD);
        tokens(&erp, |ask, token| match (ask.method.as_str(), token) {
            ("GET", _) => json("{\"id\": 12}".into()),
            (_, "t1") => Reply::With(
                200,
                "x-a",
                "b".into(),
                "{\"error\": [\"SessionExpired\"]}".into(),
            ),
            _ => json("{}".into()),
        });
        let target = start(&store, &erp.url(), &session(&file, &more));
        append(&store, "north/items", &["a"]).await;
        wait(&target, "it", |metrics| metrics.delivered == 1).await;
        assert_eq!(erp.lines(), lines);
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_an_outage_of_its_server_costs_only_time() {
    let (store, erp, ids) = (open(), Erp::start().await, Erp::start().await);
    let (_folder, file) = secret("p:w d!");
    let given = AtomicUsize::new(0);
    ids.script(move |_| match given.fetch_add(1, SeqCst) {
        0 => Reply::Status(503),
        count => json(format!(
            "{{\"access_token\": \"t{count}\", \"token_type\": \"Bearer\", \"expires_in\": 1}}"
        )),
    });
    // Before the second try the first token is to be renewed.
    erp.script(|ask| match ask.number {
        0 => Reply::With(429, "retry-after", "1".into(), "busy".into()),
        _ => Reply::Status(200),
    });
    let config = format!(
        "batch = 1\nconcurrency = 1\n[auth]\nkind = \"oauth2\"\ntoken_url = {:?}\nclient_id = \"dray\"\nclient_secret_file = {file:?}\nscope = \"erp\"\n",
        ids.url()
    );
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a"]).await;
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    let worn: Vec<_> = erp
        .kept_asks()
        .iter()
        .map(|ask| ask.headers["authorization"].clone())
        .collect();
    assert_eq!(worn, ["Bearer t1", "Bearer t2"]);
    let asks = ids.kept_asks();
    assert_eq!(asks.len(), 3);
    assert_eq!(
        &asks[0].body[..],
        b"grant_type=client_credentials&scope=erp"
    );
    assert_eq!(
        asks[0].headers["authorization"],
        "Basic ZHJheTpwJTNBdytkJTIx"
    );
    assert_eq!(target.status().rejected, 0);
}

#[tokio::test]
async fn a_server_of_tokens_that_nobody_listens_at_is_knocked_at_and_not_the_target() {
    let (store, erp, ids) = (open(), Erp::start().await, Erp::start().await);
    let (_folder, file) = secret("p");
    let (address, token_url) = (ids.address, ids.url());
    drop(ids);
    // Whoever waits as for an answer waits too long for this test.
    let config = format!(
        "batch = 1\n[retry]\nfirst = \"1h\"\nmax = \"1h\"\n[auth]\nkind = \"oauth2\"\ntoken_url = {token_url:?}\nclient_id = \"dray\"\nclient_secret_file = {file:?}\n"
    );
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a", "b", "c"]).await;
    let metrics = wait(&target, "the breaker", |metrics| metrics.broken.is_some()).await;
    assert_eq!(metrics.broken.expect("it is open").cause, "nobody listens");
    let said = format!("sign-in: no connection to {token_url}: ");
    assert!(metrics.detail.starts_with(&said), "{}", metrics.detail);
    let ids = Erp::start_at(address).await;
    ids.script(|_| json("{\"access_token\": \"t\", \"token_type\": \"Bearer\"}".into()));
    let metrics = wait(&target, "all", |metrics| metrics.delivered == 3).await;
    assert_eq!((metrics.broken, metrics.breaker_opened), (None, 1));
}

/// Scenario 17.
#[tokio::test]
async fn a_csrf_token_that_ended_is_fetched_again_and_the_request_sent_once_more() {
    let (store, erp) = (open(), Erp::start().await);
    let (_folder, file) = secret("agent-pw");
    let mut fetched = 0;
    let ended = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&ended);
    erp.script(move |ask| {
        let header = |name| {
            ask.headers
                .get(name)
                .map_or("", |value| value.to_str().expect("text"))
        };
        assert_eq!(header("authorization"), "Basic YWdlbnQ6YWdlbnQtcHc=");
        if ask.method == "GET" {
            assert_eq!(
                (header("x-csrf-token"), ask.path.as_str()),
                ("fetch", "/odata/")
            );
            fetched += 1;
            return Reply::Many(
                200,
                vec![
                    ("x-csrf-token", format!("tok-{fetched}")),
                    (
                        "set-cookie",
                        format!("SAP_SESSIONID=s{fetched}; path=/; HttpOnly"),
                    ),
                    ("set-cookie", "sap-usercontext=100; path=/".into()),
                ],
            );
        }
        if ends.swap(false, SeqCst) {
            return Reply::Many(403, vec![("x-csrf-token", "Required".into())]);
        }
        assert_eq!(header("x-csrf-token"), format!("tok-{fetched}"));
        let mut cookies: Vec<_> = header("cookie").split("; ").collect();
        cookies.sort_unstable();
        assert_eq!(
            cookies,
            [
                format!("SAP_SESSIONID=s{fetched}"),
                "sap-usercontext=100".into()
            ]
        );
        Reply::Status(200)
    });
    let config = format!(
        "batch = 1\nconcurrency = 1\n[csrf]\nurl = \"/odata/\"\n[auth]\nkind = \"basic\"\nuser = \"agent\"\npassword_file = {file:?}\n"
    );
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a", "b"]).await;
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    ended.store(true, SeqCst);
    append(&store, "north/items", &["c"]).await;
    wait(&target, "the third", |metrics| metrics.delivered == 3).await;
    assert_eq!(
        erp.lines(),
        [
            "GET /odata/",
            "POST /events",
            "POST /events",
            "POST /events",
            "GET /odata/",
            "POST /events"
        ]
    );
    assert_eq!(target.status().failures, 0);
}

#[tokio::test]
async fn a_token_that_is_refused_each_time_pauses_the_target_and_so_does_a_service_without_one() {
    for (gives, said, asks) in [
        (true, "the target answered 403 Forbidden", 4),
        (
            false,
            "csrf: the target answered 200 to a GET without an x-csrf-token",
            1,
        ),
    ] {
        let (store, erp) = (open(), Erp::start().await);
        erp.script(move |ask| match ask.method.as_str() {
            "GET" if gives => Reply::Many(200, vec![("x-csrf-token", "tok".into())]),
            "GET" => Reply::Status(200),
            _ => Reply::Many(403, vec![("x-csrf-token", "Required".into())]),
        });
        let target = start(&store, &erp.url(), "concurrency = 1\n[csrf]\n");
        append(&store, "north/items", &["a"]).await;
        let paused = |metrics: &dray_delivery::Metrics| metrics.state == State::Paused;
        let metrics = wait(&target, "the pause", paused).await;
        assert!(metrics.detail.starts_with(said), "{}", metrics.detail);
        assert_eq!(erp.lines().len(), asks);
    }
}
