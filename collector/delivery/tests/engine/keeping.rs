//! What an answer told is kept for later events of the key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::erp::{Erp, Reply};
use crate::support::{append, exceptions, flow, open, start, wait};

/// The first event of a key creates a document, the later ones change it under the id that it was given.
const CREATE_THEN_CHANGE: &str = r#"
batch = 1
[calls]
first = "create"
first_kept = "change"
[calls.call.create]
url = "documents"
rule = [{ status = ["201"], outcome = "done", keep = { document_id = "/id", etag = "header:ETag" } }]
[calls.call.change]
method = "PATCH"
url = "documents/{{ kept.document_id }}"
headers = { "If-Match" = "{{ kept.etag }}" }
"#;

fn created(number: usize) -> Reply {
    Reply::With(
        201,
        "etag",
        format!("W/{number}"),
        format!("{{\"id\": {number}}}"),
    )
}

#[tokio::test]
async fn a_later_event_of_the_key_uses_the_id_that_its_creation_answered() {
    let (store, erp) = (open(), Erp::start().await);
    let documents = AtomicUsize::new(6);
    erp.script(move |ask| match ask.method.as_str() {
        "POST" => created(documents.fetch_add(1, Ordering::Relaxed) + 1),
        _ => Reply::Status(200),
    });
    let target = start(&store, &erp.url(), CREATE_THEN_CHANGE);
    append(&store, "north/shipments", &["a", "a"]).await;
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    assert_eq!(erp.lines(), ["POST /documents", "PATCH /documents/7"]);
    assert_eq!(erp.kept_asks()[1].headers["if-match"], "W/7");
    // Over a kill, and each key and flow by itself.
    target.kill().await;
    let target = start(&store, &erp.url(), CREATE_THEN_CHANGE);
    append(&store, "north/shipments", &["a"]).await;
    wait(&target, "the third", |metrics| metrics.delivered == 1).await;
    append(&store, "north/shipments", &["b"]).await;
    append(&store, "south/shipments", &["a"]).await;
    wait(&target, "the others", |metrics| metrics.delivered == 3).await;
    assert_eq!(
        erp.lines()[2..],
        ["PATCH /documents/7", "POST /documents", "POST /documents"]
    );
    let kept = store
        .kept("erp", &flow("north/shipments"), "a")
        .expect("an answer");
    assert_eq!(kept["document_id"], "7");
}

#[tokio::test]
async fn what_was_told_before_a_conversation_broke_off_is_kept_too() {
    let (store, erp) = (open(), Erp::start().await);
    let config = r#"
batch = 1
[calls]
first = "create"
first_kept = "lines"
[calls.call.create]
url = "documents"
rule = [{ status = ["201"], keep = { document_id = "/id" }, go = "lines" }]
[calls.call.lines]
url = "documents/{{ kept.document_id }}/lines"
"#;
    let breaks = Arc::new(AtomicUsize::new(3));
    let left = Arc::clone(&breaks);
    erp.script(move |ask| match ask.path.as_str() {
        "/documents" => created(7),
        _ if left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok() =>
        {
            Reply::Status(503)
        }
        _ => Reply::Status(200),
    });
    let target = start(&store, &erp.url(), config);
    append(&store, "north/shipments", &["a"]).await;
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    let mut expected = vec!["POST /documents"];
    expected.extend(["POST /documents/7/lines"; 4]);
    assert_eq!(erp.lines(), expected, "one document");
}

#[tokio::test]
async fn one_request_an_event_keeps_what_its_rule_says_and_its_template_uses_it() {
    let (store, erp) = (open(), Erp::start().await);
    let config = r#"
batch = 1
template = '{"key": {{ key | tojson }}, "flow": {{ flow | tojson }}, "site": {{ site | tojson }}, "offset": {{ offset }}, "id": {{ id | tojson }}, "document": {{ kept.id | default(none) | tojson }}}'
[[rule]]
status = ["2xx"]
when = [{ at = "/id" }]
outcome = "done"
keep = { id = "/id" }
"#;
    erp.script(|ask| {
        Reply::With(
            200,
            "x-a",
            "b".into(),
            format!("{{\"id\": \"D{}\"}}", ask.number),
        )
    });
    let target = start(&store, &erp.url(), config);
    append(&store, "north/shipments", &["a", "a", "a"]).await;
    wait(&target, "all", |metrics| metrics.delivered == 3).await;
    let documents: Vec<_> = erp
        .kept_asks()
        .iter()
        .map(|ask| ask.events[0]["document"].clone())
        .collect();
    assert_eq!(
        documents,
        [serde_json::Value::Null, "D0".into(), "D1".into()]
    );
}

#[tokio::test]
async fn a_value_that_is_too_long_is_not_kept_and_that_is_said() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| {
        let body = format!("{{\"id\": \"{}\"}}", "x".repeat(2_000));
        Reply::With(201, "etag", "W/1".into(), body)
    });
    let target = start(&store, &erp.url(), CREATE_THEN_CHANGE);
    append(&store, "north/shipments", &["a"]).await;
    let metrics = wait(&target, "it", |metrics| metrics.delivered == 1).await;
    assert_eq!(
        metrics.last_error,
        "the answer's \"document_id\" has 2000 bytes, at most 1024 are kept: it was not"
    );
    target.stop().await;
    let kept = store
        .kept("erp", &flow("north/shipments"), "a")
        .expect("an answer");
    assert_eq!(
        kept.into_iter().collect::<Vec<_>>(),
        [("etag".to_owned(), "W/1".to_owned())]
    );
    assert!(exceptions(&store).is_empty());
}
