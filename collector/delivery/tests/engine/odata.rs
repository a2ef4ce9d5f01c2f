//! Entities of an OData service: which part of a $batch means what, and what of it is sent again. What a real service
//! does with it is shown by the scenarios against SAP CAP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use dray_store::ExceptionState::Dead;
use dray_store::ShadowQuery;
use serde_json::{Value, json};

use crate::support::erp::{Ask, Erp, Reply};
use crate::support::{append, exceptions, open, start, start_agreed, states, wait};

/// Upserts of `{"sku": KEY}`, 50 a $batch.
fn table(more: &str, odata: &str) -> String {
    format!(
        "kind = \"odata\"\nbatch = 50\nconcurrency = 1\n{more}\n[odata]\nentity = \"Items\"\n\
         body = '{{\"sku\": {{{{ key | tojson }}}}}}'\nkey = [\"sku\"]\n{odata}\n"
    )
}

/// The parts of a JSON $batch; a single request is one.
fn parts(ask: &Ask) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&ask.body).unwrap_or_default();
    match body["requests"].as_array() {
        Some(requests) => requests.clone(),
        None => vec![json!({"method": ask.method.as_str(), "url": ask.path, "body": body})],
    }
}

fn key(part: &Value) -> String {
    let url = part["url"].as_str().unwrap_or_default();
    let quoted = url.split('\'').nth(1);
    quoted.map_or_else(
        || part["body"]["sku"].as_str().unwrap_or_default().to_owned(),
        str::to_owned,
    )
}

fn answered(responses: &[Value]) -> Reply {
    let body = json!({ "responses": responses }).to_string();
    Reply::With(200, "x-a", "b".into(), body)
}

/// An answer a part, with the status that `status` gives it.
fn each(ask: &Ask, status: impl Fn(&Value) -> u16) -> Reply {
    let parts = parts(ask);
    if !ask.path.ends_with("$batch") {
        return Reply::Status(status(&parts[0]));
    }
    let response = |part: &Value| json!({"id": part["id"], "status": status(part)});
    answered(&parts.iter().map(response).collect::<Vec<_>>())
}

/// How often each key was written.
type Written = Arc<Mutex<HashMap<String, u32>>>;

fn count(written: &Written, ask: &Ask) {
    let mut written = written.lock().expect("nobody panics holding it");
    for part in parts(ask) {
        *written.entry(key(&part)).or_default() += 1;
    }
}

fn times(written: &Written, key: &str) -> u32 {
    let written = written.lock().expect("nobody panics holding it");
    written.get(key).copied().unwrap_or(0)
}

#[tokio::test]
async fn of_independent_parts_only_those_that_failed_are_sent_again_or_refused() {
    let (store, erp) = (open(), Erp::start().await);
    let written = Written::default();
    let counting = Arc::clone(&written);
    erp.script(move |ask| {
        count(&counting, ask);
        let is_first = ask.number == 0;
        each(ask, move |part| match key(part).as_str() {
            "bad" | "worse" => 400,
            "late" if is_first => 503,
            _ => 204,
        })
    });
    let target = start(&store, &erp.url(), &table("", ""));
    append(&store, "north/items", &["a", "bad", "worse", "late", "b"]).await;
    wait(&target, "the good ones", |metrics| {
        metrics.delivered == 3 && metrics.dead == 2
    })
    .await;
    assert_eq!(states(&store), [(2, Dead), (3, Dead)]);
    let sent = ["a", "bad", "worse", "late", "b"].map(|key| times(&written, key));
    assert_eq!(sent, [1, 1, 1, 2, 1]);
    let dead = exceptions(&store);
    assert!(dead[0].detail.contains("PATCH"), "{}", dead[0].detail);
    assert!(
        dead[0].detail.contains("Items('bad')"),
        "its own request: {}",
        dead[0].detail
    );
}

#[tokio::test]
async fn parts_that_fail_beside_others_that_are_taken_stop_nobody() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        each(
            ask,
            |part| if key(part).contains("bad") { 503 } else { 204 },
        )
    });
    let patient = "[retry]\nfirst = \"1h\"\nmax = \"1h\"";
    let target = start(&store, &erp.url(), &table(patient, ""));
    for n in 0..7 {
        append(
            &store,
            "north/items",
            &[&format!("bad-{n}"), &format!("a-{n}")],
        )
        .await;
        wait(&target, "the good one", |metrics| {
            metrics.delivered == n + 1
        })
        .await;
    }
    wait(&target, "the bad ones", |metrics| metrics.failing == 7).await;
    let metrics = target.status();
    assert_eq!((metrics.broken, metrics.breaker_opened), (None, 0));
}

/// SAP CAP 10.1 answers 201 for what stood beside a part that failed, and rolls it back.
#[tokio::test]
async fn of_a_group_with_a_part_that_failed_nothing_is_delivered_and_the_bad_one_is_found() {
    let (store, erp) = (open(), Erp::start().await);
    let stands = Written::default();
    let counting = Arc::clone(&stands);
    erp.script(move |ask| {
        let parts = parts(ask);
        let is_group =
            parts.len() == 1 || parts.iter().all(|part| part["atomicityGroup"].is_string());
        assert!(is_group);
        if parts.iter().all(|part| key(part) != "bad") {
            count(&counting, ask);
        }
        each(ask, |part| if key(part) == "bad" { 400 } else { 201 })
    });
    let target = start(&store, &erp.url(), &table("", "atomic = true"));
    append(&store, "north/items", &["a", "b", "bad", "c", "d"]).await;
    wait(&target, "the good ones", |metrics| {
        metrics.delivered == 4 && metrics.dead == 1
    })
    .await;
    assert_eq!(states(&store), [(3, Dead)]);
    for good in ["a", "b", "c", "d"] {
        assert_eq!(times(&stands, good), 1, "{good}");
    }
}

#[tokio::test]
async fn a_part_without_an_answer_is_unknown_and_a_create_looks_before_it_comes_again() {
    let (store, erp) = (open(), Erp::start().await);
    let made = Written::default();
    let counting = Arc::clone(&made);
    erp.script(move |ask| {
        let parts = parts(ask);
        if parts[0]["method"] == "GET" {
            let response = |part: &Value| match times(&counting, &key(part)) {
                0 => json!({"id": part["id"], "status": 404}),
                _ => json!({"id": part["id"], "status": 200, "body": {"sku": key(part)}}),
            };
            if !ask.path.ends_with("$batch") {
                let body = json!({"sku": key(&parts[0])}).to_string();
                return Reply::With(200, "x-a", "b".into(), body);
            }
            return answered(&parts.iter().map(response).collect::<Vec<_>>());
        }
        count(&counting, ask);
        let some = parts
            .iter()
            .filter(|part| ask.number > 0 || key(part) == "a");
        let some: Vec<_> = some
            .map(|part| json!({"id": part["id"], "status": 201}))
            .collect();
        answered(&some)
    });
    let create = "write = \"create\"\nsettle = \"0s\"";
    let target = start(&store, &erp.url(), &table("", create));
    append(&store, "north/items", &["a", "b", "c"]).await;
    wait(&target, "all", |metrics| metrics.delivered == 3).await;
    assert_eq!(["a", "b", "c"].map(|key| times(&made, key)), [1, 1, 1]);
    assert!(exceptions(&store).is_empty());
}

#[tokio::test]
async fn creates_that_a_503_with_retry_after_answered_are_looked_for_before_they_come_again() {
    let (store, erp) = (open(), Erp::start().await);
    let made = Written::default();
    let counting = Arc::clone(&made);
    let mut is_first = true;
    erp.script(move |ask| {
        let parts = parts(ask);
        if parts[0]["method"] == "GET" {
            let response = |part: &Value| match times(&counting, &key(part)) {
                0 => json!({"id": part["id"], "status": 404}),
                _ => json!({"id": part["id"], "status": 200, "body": {"sku": key(part)}}),
            };
            return answered(&parts.iter().map(response).collect::<Vec<_>>());
        }
        count(&counting, ask);
        match std::mem::replace(&mut is_first, false) {
            true => Reply::With(503, "retry-after", "0".into(), "busy".into()),
            false => each(ask, |_| 201),
        }
    });
    let create = "write = \"create\"\nsettle = \"0s\"";
    append(&store, "north/items", &["a", "b", "c"]).await;
    let target = start(&store, &erp.url(), &table("", create));
    wait(&target, "all", |metrics| metrics.delivered == 3).await;
    assert_eq!(["a", "b", "c"].map(|key| times(&made, key)), [1, 1, 1]);
}

/// One answer for a changeset, or the same for each of its parts: neither says whose fault it is.
#[tokio::test]
async fn a_group_whose_answer_blames_nobody_or_all_is_halved_until_the_bad_one_is_found() {
    for format in ["json", "multipart"] {
        let (store, erp) = (open(), Erp::start().await);
        let made = Written::default();
        let counting = Arc::clone(&made);
        erp.script(move |ask| {
            let text = String::from_utf8_lossy(&ask.body).into_owned();
            let is_bad = text.contains("\"bad\"");
            if ask.method == "GET" || text.contains("GET ") || text.contains("\"GET\"") {
                let looks = text.matches("GET Items(").count();
                let piece = "--b\r\ncontent-type: application/http\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n\r\n";
                return match (ask.method == "GET", format) {
                    (true, _) => Reply::Status(404),
                    (_, "json") => each(ask, |_| 404),
                    _ => multipart(&format!("{}--b--", piece.repeat(looks))),
                };
            }
            if !is_bad {
                let keys = text.split("\"sku\": \"").skip(1);
                let mut made = counting.lock().expect("nobody panics holding it");
                for key in keys.filter_map(|rest| rest.split('"').next()) {
                    *made.entry(key.to_owned()).or_default() += 1;
                }
            }
            match (ask.path.ends_with("$batch"), is_bad) {
                (false, _) => Reply::Status(if is_bad { 400 } else { 201 }),
                (_, true) if format == "json" => each(ask, |_| 400),
                (_, true) => multipart("--b\r\ncontent-type: application/http\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n\r\n--b--"),
                _ if format == "json" => each(ask, |_| 201),
                _ => {
                    let piece = "--c\r\ncontent-type: application/http\r\n\r\nHTTP/1.1 201 Created\r\n\r\n\r\n";
                    let parts = piece.repeat(text.matches("POST Items").count());
                    multipart(&format!("--b\r\ncontent-type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n--b--"))
                }
            }
        });
        let odata = format!(
            "write = \"create\"\nsettle = \"0s\"\natomic = true\nbatch_format = \"{format}\""
        );
        let target = start(&store, &erp.url(), &table("", &odata));
        append(&store, "north/items", &["a", "b", "bad", "c", "d"]).await;
        wait(&target, "the good ones", |metrics| {
            metrics.delivered == 4 && metrics.dead == 1
        })
        .await;
        assert_eq!(states(&store), [(3, Dead)], "{format}");
        assert_eq!(
            ["a", "b", "c", "d"].map(|key| times(&made, key)),
            [1; 4],
            "{format}"
        );
    }
}

/// A rule takes what is there already for delivered. What stood beside it in a changeset was undone all the same.
#[tokio::test]
async fn a_failure_that_a_rule_takes_for_delivered_undid_its_group_nevertheless() {
    for blames_all in [false, true] {
        let (store, erp) = (open(), Erp::start().await);
        let stands = Written::default();
        let counting = Arc::clone(&stands);
        erp.script(move |ask| {
            let is_good = parts(ask).iter().all(|part| key(part) != "twice");
            if is_good {
                count(&counting, ask);
            }
            each(ask, |part| match (is_good, key(part).as_str()) {
                (false, "twice") => 409,
                (false, _) if blames_all => 409,
                _ => 201,
            })
        });
        let rule = "[[rule]]\nstatus = [\"409\"]\noutcome = \"done\"";
        let target = start(&store, &erp.url(), &table(rule, "atomic = true"));
        append(&store, "north/items", &["a", "twice", "b", "c"]).await;
        wait(&target, "all", |metrics| metrics.delivered == 4).await;
        let sent = ["a", "b", "c", "twice"].map(|key| times(&stands, key));
        assert_eq!(sent, [1, 1, 1, 0], "{blames_all}");
        assert!(exceptions(&store).is_empty());
    }
}

/// The text of the whole is that of each of its parts too.
#[tokio::test]
async fn a_rule_that_looks_into_texts_is_asked_of_each_part_and_not_of_the_whole() {
    let (store, erp) = (open(), Erp::start().await);
    let made = Written::default();
    let counting = Arc::clone(&made);
    erp.script(move |ask| {
        if ask.method != "GET" {
            count(&counting, ask);
        }
        let is_first = ask.number == 0;
        let response = |part: &Value| match key(part).as_str() {
            "held" if is_first => {
                json!({"id": part["id"], "status": 400, "body": {"why": "it is locked"}})
            }
            _ => json!({"id": part["id"], "status": 201}),
        };
        if !ask.path.ends_with("$batch") {
            return Reply::Status(if ask.method == "GET" { 404 } else { 201 });
        }
        answered(&parts(ask).iter().map(response).collect::<Vec<_>>())
    });
    let rule =
        "[[rule]]\nwhen = [{ at = \"text\", matches = \"locked\" }]\noutcome = \"transient\"";
    let target = start(
        &store,
        &erp.url(),
        &table(rule, "write = \"create\"\nsettle = \"0s\""),
    );
    append(&store, "north/items", &["a", "held", "b"]).await;
    wait(&target, "all", |metrics| metrics.delivered == 3).await;
    assert_eq!(["a", "b"].map(|key| times(&made, key)), [1, 1]);
}

#[tokio::test]
async fn in_shadow_the_entitys_own_request_is_compared_and_what_has_no_address_is_told() {
    let (store, erp) = (open(), Erp::start().await);
    let shadow = "[[flow]]\nname = \"*\"\nphase = \"shadow\"\n";
    let config = table("", "key_types = { sku = \"number\" }");
    let target = start_agreed(&store, &erp.url(), &config, shadow);
    append(&store, "north/items", &["7", "seven"]).await;
    wait(&target, "both", |metrics| metrics.shadowed == 2).await;
    target.stop().await;
    let query = ShadowQuery {
        target: "erp".into(),
        limit: 10,
        ..ShadowQuery::default()
    };
    let mut rows = store.shadow_rows(&query).expect("the store answers");
    rows.sort_by_key(|(_, row)| row.offset);
    let rows: Vec<_> = rows
        .iter()
        .map(|(_, row)| (row.verdict.as_str(), row.request.as_str()))
        .collect();
    assert_eq!((rows[0].0, rows[1].0), ("rendered", "poison"));
    let address = format!("PATCH {}/Items(7)\n", erp.url());
    assert!(rows[0].1.starts_with(&address), "{}", rows[0].1);
    assert!(rows[0].1.ends_with("\n\n{\"sku\": \"7\"}"), "{}", rows[0].1);
    assert!(erp.kept_asks().is_empty());
}

/// As SAP's do with a sign-in, and proxies with whatever they have to say.
#[tokio::test]
async fn a_page_with_a_200_is_no_answer_of_the_service() {
    for keys in [&["a"][..], &["a", "b"]] {
        let (store, erp) = (open(), Erp::start().await);
        erp.script(|ask| {
            if ask.number == 0 {
                let kind = "Text/HTML; charset=utf-8".to_owned();
                return Reply::With(200, "content-type", kind, "<html>Sign in".into());
            }
            each(ask, |_| 204)
        });
        let target = start(&store, &erp.url(), &table("", ""));
        append(&store, "north/items", keys).await;
        let all = keys.len() as u64;
        wait(&target, "them", |metrics| metrics.delivered == all).await;
        assert_eq!(erp.lines().len(), 2, "{:?}", erp.lines());
    }
}

fn multipart(body: &str) -> Reply {
    let kind = "multipart/mixed; boundary=b".to_owned();
    Reply::With(202, "content-type", kind, body.to_owned())
}

/// As CAP does of version 2 and of multipart where it is not told to go on.
#[tokio::test]
async fn looks_that_a_service_left_out_after_one_that_found_nothing_are_made_next() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        let parts = parts(ask);
        let is_look = parts[0]["method"] == "GET";
        if !ask.path.ends_with("$batch") {
            return Reply::Status(if is_look { 404 } else { 201 });
        }
        let some = if is_look { 1 } else { parts.len() };
        let status = if is_look { 404 } else { 201 };
        let response = |part: &Value| json!({"id": part["id"], "status": status});
        answered(&parts[..some].iter().map(response).collect::<Vec<_>>())
    });
    let target = start(
        &store,
        &erp.url(),
        &table("", "write = \"create-or-patch\""),
    );
    append(&store, "north/items", &["a", "b", "c"]).await;
    let metrics = wait(&target, "all", |metrics| metrics.delivered == 3).await;
    assert_eq!((metrics.failures, metrics.requests), (0, 1), "one delivery");
    assert_eq!(
        erp.lines().len(),
        4,
        "three looks, one $batch: {:?}",
        erp.lines()
    );
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_delivers_nothing() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        if ask.number > 0 {
            return each(ask, |_| 204);
        }
        let strange = json!({"id": "7", "status": 204});
        answered(&[strange])
    });
    let target = start(&store, &erp.url(), &table("", ""));
    append(&store, "north/items", &["a", "b"]).await;
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    assert_eq!(erp.lines().len(), 2, "sent again as a whole");
}

#[tokio::test]
async fn an_answer_that_is_too_long_makes_the_next_requests_smaller() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        let parts = parts(ask);
        if parts.len() < 3 {
            return each(ask, |_| 204);
        }
        Reply::With(200, "x-a", "b".into(), " ".repeat(1 << 20))
    });
    let target = start(&store, &erp.url(), &table("", ""));
    append(&store, "north/items", &["a", "b", "c", "d"]).await;
    wait(&target, "all", |metrics| metrics.delivered == 4).await;
    assert_eq!(erp.lines().len(), 3, "{:?}", erp.lines());
    assert!(exceptions(&store).is_empty());
}

#[tokio::test]
async fn a_throttled_part_and_a_rule_are_heard_and_what_was_delivered_beside_them_stays() {
    let (store, erp) = (open(), Erp::start().await);
    let written = Written::default();
    let counting = Arc::clone(&written);
    erp.script(move |ask| {
        count(&counting, ask);
        let parts = parts(ask);
        if ask.number > 0 {
            return each(ask, |_| 204);
        }
        let response = |part: &Value| match key(part).as_str() {
            "busy" => json!({"id": part["id"], "status": 429, "headers": {"Retry-After": "0"}}),
            "odd" => json!({"id": part["id"], "status": 400, "body": {"error": {"code": "LATER"}}}),
            _ => json!({"id": part["id"], "status": 204}),
        };
        answered(&parts.iter().map(response).collect::<Vec<_>>())
    });
    let rule =
        "[[rule]]\nwhen = [{ at = \"/error/code\", equals = \"LATER\" }]\noutcome = \"transient\"";
    let target = start(&store, &erp.url(), &table("", rule));
    append(&store, "north/items", &["a", "busy", "odd", "b"]).await;
    wait(&target, "all", |metrics| metrics.delivered == 4).await;
    assert!(exceptions(&store).is_empty());
    assert_eq!((times(&written, "a"), times(&written, "b")), (1, 1));
}

#[tokio::test]
async fn a_service_without_json_batches_pauses_the_target_with_what_to_write() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| Reply::Status(415));
    let target = start(&store, &erp.url(), &table("", ""));
    append(&store, "north/items", &["a", "b"]).await;
    let metrics = wait(&target, "a pause", |metrics| {
        metrics.state == dray_delivery::State::Paused
    })
    .await;
    assert!(
        metrics.detail.contains("batch_format = \"multipart\""),
        "{}",
        metrics.detail
    );
}

#[tokio::test]
async fn an_event_that_makes_no_key_is_refused_alone() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| each(ask, |_| 204));
    let config = table("", "").replace(
        "{{ key | tojson }}",
        "{{ (key if key != \"none\" else \"\") | tojson }}",
    );
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a", "none", "b"]).await;
    wait(&target, "the others", |metrics| {
        metrics.delivered == 2 && metrics.dead == 1
    })
    .await;
    let dead = exceptions(&store);
    assert!(
        dead[0].reason.contains("odata.key: \"sku\" is empty"),
        "{}",
        dead[0].reason
    );
}

/// A new one for each request would be none: the one more try of the sign-in is used up, and nothing was done.
#[tokio::test]
async fn a_token_that_ends_again_at_once_is_waited_out_and_pauses_nothing() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| match (ask.method.as_str(), ask.number) {
        ("GET", _) => Reply::With(200, "x-csrf-token", "t".into(), "{}".into()),
        (_, 0..6) => Reply::With(403, "x-csrf-token", "Required".into(), String::new()),
        _ => each(ask, |_| 204),
    });
    let target = start(&store, &erp.url(), &table("", "[csrf]"));
    append(&store, "north/items", &["a", "b"]).await;
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    assert!(exceptions(&store).is_empty());
}
