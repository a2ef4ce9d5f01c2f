//! A target that repeats what it was sent: secrets stand nowhere that somebody reads.

use std::path::Path;
use std::sync::Arc;

use dray_delivery::Metrics;
use dray_store::{Options, SqliteStore, Store};

use crate::support::erp::{Ask, Erp, Reply};
use crate::support::{append, exceptions, start, wait};

const PASSWORD: &str = "p<ss & w/rd:ö\"7";
const TOKEN: &str = "t0k3n-of-a-session";
const COOKIE: &str = "c00kie-of-a-session";
const CSRF: &str = "csrf-t0k3n==";

/// The password as it may come back.
const FORMS: [&str; 9] = [
    PASSWORD,
    "p%3Css%20%26%20w%2Frd%3A%C3%B6%227",
    "p%3css%20%26%20w%2frd%3a%c3%b6%227",
    "p%3Css+%26+w%2Frd%3A%C3%B6%227",
    "p&lt;ss &amp; w/rd:ö&quot;7",
    "p&lt;ss &amp; w/rd:ö\"7",
    "p<ss & w/rd:ö\\\"7",
    "p<ss & w\\/rd:\\u00f6\\\"7",
    "p\\u003css \\u0026 w/rd:ö\\\"7",
];

/// All of a request, and the password in all forms.
fn repeated(ask: &Ask) -> String {
    let values = ask.headers.values();
    let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut said: Vec<String> = values.collect();
    said.extend(FORMS.map(str::to_owned));
    said.push(String::from_utf8_lossy(&ask.body).into_owned());
    said.join(" | ")
}

/// Signs in, gives out cookie and token, and refuses all else with what it was sent.
fn answer(ask: &Ask) -> Reply {
    let own = vec![
        ("x-csrf-token", CSRF.to_owned()),
        ("set-cookie", format!("SESSION={COOKIE}")),
    ];
    match (ask.path.as_str(), ask.method.as_str()) {
        ("/login", _) => Reply::Whole(200, own, format!("{{\"token\": \"{TOKEN}\"}}")),
        (_, "GET") => Reply::Whole(200, own, "{}".into()),
        _ => Reply::Whole(422, Vec::new(), repeated(ask)),
    }
}

/// What must stand nowhere.
fn secrets() -> Vec<String> {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let mut secrets: Vec<String> = FORMS.map(str::to_owned).into();
    secrets.extend([TOKEN, COOKIE, CSRF].map(str::to_owned));
    secrets.push(encode(&format!("dray:{PASSWORD}")));
    // As RFC 6749 has it.
    secrets.push(encode(&format!("dray:{}", FORMS[3])));
    secrets
}

fn assert_hidden(text: &str) {
    for secret in secrets() {
        assert!(!text.contains(&secret), "{secret:?} stands in {text}");
    }
}

/// Whatever a store has on disk.
fn assert_hidden_in(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_hidden_in(&path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            assert_hidden(&String::from_utf8_lossy(&bytes));
        }
    }
}

fn assert_hidden_everywhere(metrics: &Metrics, store: &Arc<dyn Store>, folder: &Path) {
    assert_hidden(&format!("{metrics:?}"));
    for letter in exceptions(store) {
        assert_hidden(&format!("{} {}", letter.reason, letter.detail));
    }
    assert_hidden_in(folder);
}

/// Runs a target with this configuration until something is told of the event.
async fn run(erp: &Erp, auth: &str, more: &str, enough: impl Fn(&Metrics) -> bool) -> String {
    let (kept, files) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let file = files.path().join("secret");
    std::fs::write(&file, PASSWORD).expect("a file");
    let auth = auth.replace("FILE", &format!("{file:?}"));
    let opened = SqliteStore::open(Options::in_folder(kept.path())).expect("an empty folder");
    let store: Arc<dyn Store> = Arc::new(opened);
    append(&store, "north/items", &["a"]).await;
    let config = format!("batch = 1\n{more}\n[auth]\n{auth}");
    let target = start(&store, &erp.url(), &config);
    let metrics = wait(&target, "its end", enough).await;
    target.stop().await;
    assert_hidden_everywhere(&metrics, &store, kept.path());
    let letter = exceptions(&store).pop();
    letter.map_or(metrics.last_error, |letter| letter.reason + &letter.detail)
}

#[tokio::test]
async fn what_a_target_repeats_of_a_secret_stands_nowhere() {
    let is_dead = |metrics: &Metrics| metrics.dead == 1;
    let basic = "kind = \"basic\"\nuser = \"dray\"\npassword_file = FILE\n";
    let session = r#"
kind = "session"
user = "dray"
password_file = FILE
headers = { X-Session = "{{ got.token }}" }
[auth.login]
url = "/login"
body = '{"password": {{ password | tojson }}}'
capture = { token = "/token" }
[csrf]
url = "/csrf"
"#;
    let wsse = "kind = \"wsse\"\nuser = \"dray\"\npassword_file = FILE\n[soap]\nbody = \"<a xmlns='urn:a'/>\"\n";
    for (auth, more) in [(basic, ""), (session, ""), (wsse, "kind = \"soap\"\n")] {
        let erp = Erp::start().await;
        erp.script(answer);
        let said = run(&erp, auth, more, is_dead).await;
        assert!(said.contains("***"), "{auth}: {said}");
        let sent = erp
            .kept_asks()
            .iter()
            .map(|ask| repeated(ask))
            .collect::<String>();
        let in_clear = ["ZHJheTp", TOKEN, "<wsse:Password"];
        assert!(
            in_clear.iter().any(|one| sent.contains(one)),
            "it was sent: {sent}"
        );
    }
}

#[tokio::test]
async fn what_a_tokens_endpoint_repeats_of_a_secret_stands_nowhere() {
    for send in ["basic", "body"] {
        let erp = Erp::start().await;
        erp.script(|ask| Reply::Whole(400, Vec::new(), repeated(ask)));
        let auth = format!(
            "kind = \"oauth2\"\ntoken_url = \"http://{}/token\"\nclient_id = \"dray\"\nclient_secret_file = FILE\nsend = \"{send}\"\n",
            erp.address
        );
        let said = run(&erp, &auth, "", |metrics| metrics.broken.is_some()).await;
        assert!(said.contains("***"), "{send}: {said}");
    }
}

#[tokio::test]
async fn a_key_that_leads_out_of_its_place_is_poison_and_sent_nowhere() {
    const PUT: &str = "batch = 1\nconcurrency = 1\n[calls]\nfirst = \"put\"\n[calls.call.put]\nmethod = \"PUT\"\n";
    let keys = ["a/b?c#d", "..", ".", "../../admin/del", "a/../../x", "A.1"];
    for (url, expected) in [
        (
            "items/{{ key | urlencode }}",
            vec!["PUT /items/a%2Fb%3Fc%23d", "PUT /items/A.1"],
        ),
        ("items/{{ key }}", vec!["PUT /items/A.1"]),
        (
            "items/x{{ key | urlencode }}",
            vec![
                "PUT /items/xa%2Fb%3Fc%23d",
                "PUT /items/x..",
                "PUT /items/x.",
                "PUT /items/xA.1",
            ],
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = SqliteStore::open(Options::in_folder(folder.path())).expect("an empty folder");
        let (store, erp): (Arc<dyn Store>, _) = (Arc::new(opened), Erp::start().await);
        let target = start(&store, &erp.url(), &format!("{PUT}url = \"{url}\"\n"));
        append(&store, "north/items", &keys).await;
        wait(&target, "all", |metrics| {
            metrics.delivered + metrics.dead == 6 && metrics.backlog == 0
        })
        .await;
        target.stop().await;
        assert_eq!(erp.lines(), expected, "{url}");
        for letter in exceptions(&store) {
            assert!(
                letter.reason.contains("the call's url"),
                "{}",
                letter.reason
            );
        }
    }
}
