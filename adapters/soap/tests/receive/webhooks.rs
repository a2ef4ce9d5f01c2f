//! Calls without an envelope.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dray_adapter::Source;
use dray_soap::webhook::WebhookConfig;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::caller::Answer;
use crate::endpoint::{Endpoint, Laid, becomes, free_port};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const HOOKS: &str = r#"
[[hook]]
name = "order"
when = { header = "X-Topic", value = "orders/create" }
id_header = "X-Id"
format = { kind = "json", record = "/lines", fields = { ORDER = "../number", SKU = "sku" } }
[[hook]]
name = "shipment"
when = { header = "X-Topic", value = "shipments" }
key = ["NO", "EVENT"]
format = { kind = "xml", record = "//Line", fields = { NO = "../No", EVENT = "../@event", SKU = "Sku" } }
[[hook]]
name = "any"
same_content_is_one = true
format = { kind = "json", record = "", fields = { ID = "id" } }
"#;

fn lay_out(settings: &str) -> Laid {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), "s3cret\n").expect("a file");
    let port = free_port();
    let text = format!(
        "kind = \"webhook\"\nlisten = \"127.0.0.1:{port}\"\npath = \"/wms\"\n{settings}\n{HOOKS}"
    );
    let text = text.replace("FOLDER", &folder.path().display().to_string());
    let config: WebhookConfig =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(config.faults(), [], "{text}");
    let make = move |own: &Path| -> Box<dyn Source> {
        let source = config.make("north/hooks").expect("a good configuration");
        Box::new(source.with_own_folder(own.to_owned()))
    };
    Laid::new(folder, port, Arc::new(make))
}

pub(crate) fn start(settings: &str) -> Endpoint {
    Endpoint::over(lay_out(settings))
}

fn topic<'h>(topic: &'h str, more: &[(&'h str, &'h str)]) -> Vec<(&'h str, &'h str)> {
    [&[JSON, ("X-Topic", topic)], more].concat()
}

pub(crate) const ORDER: &str = r#"{"number": "SO-1", "lines": [{"sku": "A"}, {"sku": "B"}]}"#;

pub(crate) fn order(endpoint: &Endpoint, id: &str, body: &str) -> Answer {
    endpoint.post(&topic("orders/create", &[("X-Id", id)]), body)
}

#[test]
fn webhook_01_an_array_is_split_to_records_and_answered_after_the_append() {
    let endpoint = start("");
    let answer = order(&endpoint, "w1", ORDER);
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "{\"accepted\":2,\"repeated\":false}")
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(endpoint.log(), ["w1:1: SO-1|A", "w1:1: SO-1|B"]);
}

#[test]
fn webhook_02_a_retry_under_the_same_id_is_taken_once_and_other_content_is_refused() {
    let endpoint = start("");
    order(&endpoint, "w1", ORDER);
    let again = order(&endpoint, "w1", ORDER);
    assert_eq!(
        (again.status, again.body.as_str()),
        (200, "{\"accepted\":2,\"repeated\":true}")
    );
    let other = order(&endpoint, "w1", &ORDER.replace("SO-1", "SO-2"));
    assert_eq!(other.status, 422, "{other:?}");
    let missing = endpoint.post(&topic("orders/create", &[]), ORDER);
    assert_eq!(missing.status, 422, "{missing:?}");
    assert!(missing.body.contains("its id is missing"), "{missing:?}");
    let strange = endpoint.post(&topic("orders/create", &[("X-Id", "ä")]), ORDER);
    let told = "its id is not readable: the header X-Id holds more than ASCII";
    assert_eq!(strange.status, 422, "{strange:?}");
    assert!(strange.body.contains(told), "{strange:?}");
    assert_eq!(endpoint.log().len(), 2);
}

#[test]
fn webhook_03_xml_is_told_apart_by_columns_of_its_first_record() {
    let endpoint = start("");
    let body = |no: &str| {
        format!(
            "<Shipment event=\"7\"><No>{no}</No><Line><Sku>A</Sku></Line><Line><Sku>B</Sku></Line></Shipment>"
        )
    };
    for no in ["S1", "S1", "S2"] {
        let answer = endpoint.post(&topic("shipments", &[]), &body(no));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let missing = endpoint.post(&topic("shipments", &[]), &body(""));
    assert_eq!(missing.status, 422, "{missing:?}");
    assert_eq!(
        endpoint.log(),
        [
            "shipment/2:1:S1/7:1: S1|7|A",
            "shipment/2:1:S1/7:1: S1|7|B",
            "shipment/2:1:S2/7:1: S2|7|A",
            "shipment/2:1:S2/7:1: S2|7|B"
        ]
    );
}

#[test]
fn webhook_04_what_no_condition_takes_goes_to_the_last_and_one_object_is_one_record() {
    let endpoint = start("");
    for body in ["{\"id\": 1}", "{\"id\": 1}", "{\n\"id\": 2}"] {
        let answer = endpoint.post(&[JSON], body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let log = endpoint.log();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(
        log[0].ends_with(":1: 1") && log[1].ends_with(":1: 2"),
        "{log:?}"
    );
}

fn signed(parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").expect("any key");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[test]
fn webhook_05_only_bodies_that_are_signed_are_taken() {
    let endpoint = start(
        "signature = { header = \"X-Sign\", secret_file = \"FOLDER/secret\", prefix = \"sha256=\" }",
    );
    let right = format!("sha256={}", hex::encode(signed(&[ORDER.as_bytes()])));
    let wrong = right.replace("sha256=", "sha1=");
    let cut = &right[..right.len() - 2];
    for signature in ["", "sha256=", "sha256=zz", &wrong, cut] {
        let answer = endpoint.post(
            &topic("orders/create", &[("X-Id", "w1"), ("X-Sign", signature)]),
            ORDER,
        );
        assert_eq!(answer.status, 401, "{signature}: {answer:?}");
    }
    let headers = topic("orders/create", &[("X-Id", "w1"), ("X-Sign", &right)]);
    assert_eq!(
        endpoint
            .post(&headers, &ORDER.replace("SO-1", "SO-2"))
            .status,
        401
    );
    assert_eq!(endpoint.log(), [""; 0]);
    assert_eq!(endpoint.post(&headers, ORDER).status, 200);
}

#[test]
fn webhook_06_a_signature_with_its_time_holds_for_a_while() {
    let endpoint = start(
        "signature = { header = \"X-Sign\", secret_file = \"FOLDER/secret\", encoding = \"base64\", time_header = \"X-Time\", skew = \"1m\" }",
    );
    let now = jiff::Timestamp::now().as_second();
    for (time, expected) in [(now - 120, 401), (now + 120, 401), (now, 200)] {
        let time = time.to_string();
        let sign = STANDARD.encode(signed(&[time.as_bytes(), b".", ORDER.as_bytes()]));
        let headers = topic(
            "orders/create",
            &[("X-Id", "w1"), ("X-Sign", &sign), ("X-Time", &time)],
        );
        assert_eq!(endpoint.post(&headers, ORDER).status, expected, "{time}");
    }
}

#[test]
fn webhook_07_a_key_in_a_header_lets_a_caller_in() {
    let endpoint = start(
        "api_key = { header = \"Authorization\", prefix = \"Bearer \", key_file = \"FOLDER/secret\" }",
    );
    for (key, expected) in [
        ("", 401),
        ("Bearer s3cre", 401),
        ("s3cret", 401),
        ("Bearer s3cret", 200),
    ] {
        let headers = topic("orders/create", &[("X-Id", "w1"), ("Authorization", key)]);
        assert_eq!(endpoint.post(&headers, ORDER).status, expected, "{key}");
    }
    assert_eq!(
        endpoint
            .post(&topic("orders/create", &[("X-Id", "w2")]), ORDER)
            .status,
        401
    );
}

#[test]
fn webhook_08_a_wrong_body_is_refused_whole_with_the_place() {
    let endpoint = start("");
    for (body, words) in [
        (
            "{\"number\": \"SO-1\", \"lines\": [{\"sku\": \"A\"}, {\"sku\": ",
            "line 1",
        ),
        ("not json", "line 1, column 1"),
        (
            "{\"number\": \"SO-1\", \"lines\": []}",
            "it holds no record",
        ),
        (
            "{\"number\": \"SO-1\", \"lines\": [{\"sku\": \"A\"}, {\"sku\": \"B\", \"sku\": \"C\"}]}",
            "line 1",
        ),
        ("", "line 1"),
    ] {
        let answer = order(&endpoint, "w1", body);
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(answer.body.contains(words), "{body}: {answer:?}");
    }
    assert_eq!(endpoint.log(), [""; 0]);
}

#[test]
fn webhook_09_a_full_buffer_is_503_with_a_time_to_come_again() {
    let endpoint = start("limits = { answer_within = \"1s\" }");
    endpoint.holds(true);
    let answer = order(&endpoint, "w1", ORDER);
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("5")),
        "{answer:?}"
    );
    endpoint.holds(false);
    while order(&endpoint, "w1", ORDER).status != 200 {}
    assert_eq!(endpoint.log().len(), 2);
}

#[test]
fn webhook_10_the_status_that_the_caller_wants_is_answered() {
    let endpoint = start("status = 204");
    let answer = order(&endpoint, "w1", ORDER);
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (204, ""),
        "{answer:?}"
    );
    let mut caller = endpoint.caller();
    assert_eq!(caller.get("/wms").expect("an answer").status, 405);
    assert_eq!(caller.get("/other").expect("an answer").status, 404);
}

#[test]
fn webhook_11_a_changed_secret_holds_without_a_restart() {
    let endpoint = start(
        "signature = { header = \"X-Sign\", secret_file = \"FOLDER/secret\" }\napi_key = { header = \"X-Key\", key_file = \"FOLDER/secret\" }",
    );
    let is_let_in = |secret: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
        mac.update(ORDER.as_bytes());
        let sign = hex::encode(mac.finalize().into_bytes());
        let headers = [("X-Id", "w1"), ("X-Key", secret), ("X-Sign", &sign)];
        let answer = endpoint.post(&topic("orders/create", &headers), ORDER);
        answer.status == 200
    };
    assert!(is_let_in("s3cret") && !is_let_in("changed"));
    std::fs::write(endpoint.laid.folder.path().join("secret"), "changed\n").expect("a file");
    becomes("the new secret holds", || is_let_in("changed"));
    assert!(!is_let_in("s3cret"));
}

#[test]
fn a_call_that_no_hook_takes_is_told_which_header_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let text = format!(
        "kind = \"webhook\"\nlisten = \"127.0.0.1:{port}\"\npath = \"/wms\"\n{}",
        HOOKS
            .split("[[hook]]\nname = \"any\"")
            .next()
            .unwrap_or_default()
    );
    let config: WebhookConfig = toml::from_str(&text).expect("a configuration");
    let make = move |own: &Path| -> Box<dyn Source> {
        let source = config.make("north/hooks").expect("a good configuration");
        Box::new(source.with_own_folder(own.to_owned()))
    };
    let endpoint = Endpoint::over(Laid::new(folder, port, Arc::new(make)));
    let without = endpoint.post(&[JSON], ORDER);
    assert_eq!(without.status, 422, "{without:?}");
    let told = "no hook takes it: the header X-Topic is missing, by which hooks are told apart";
    assert!(without.body.contains(told), "{without:?}");
    let other = endpoint.post(&topic("refunds", &[]), ORDER);
    let told = "no hook takes it: none has what the header X-Topic says";
    assert!(other.body.contains(told), "{other:?}");
}
