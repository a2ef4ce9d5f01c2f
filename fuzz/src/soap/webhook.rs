//! A call without an envelope, from its head to its answer. A case is as one of `soap-call`; where a header says `signed`, or
//! `sha256=signed`, the signature of the body is put there.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dray_soap::fuzzing::{Called, Cuts, Endpoint};
use dray_soap::webhook::WebhookConfig;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tempfile::TempDir;

use super::call::gzip;
use super::{Choice, Request, SECRET, configured, folder, says_nothing_of_the_inside};

const HOOKS: &str = r#"
kind = "webhook"
listen = "127.0.0.1:0"
path = "/shop"
limits = { message_bytes_max = "256KiB" }
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
name = "log"
when = { header = "X-Topic", value = "log" }
may_be_empty = true
format = { kind = "json-lines", fields = { A = "a", B = "b.c" } }
[[hook]]
name = "any"
same_content_is_one = true
format = { kind = "json", record = "", fields = { ID = "id" } }
"#;

const VARIANTS: [&str; 3] = [
    "signature = { header = \"X-Sign\", secret_file = \"FOLDER/secret\", prefix = \"sha256=\" }",
    "signature = { header = \"X-Sign\", secret_file = \"FOLDER/secret\", encoding = \"base64\", time_header = \"X-Time\", skew = \"36500d\" }\nbad_records = \"dead-letter\"\nstatus = 204",
    "api_key = { header = \"Authorization\", key_file = \"FOLDER/secret\", prefix = \"Bearer \" }\nbad_records = \"dead-letter\"\nstatus = 202",
];

thread_local! {
    static FOLDER: TempDir = folder(&[("secret", SECRET)]);
    static ENDPOINTS: RefCell<Vec<Endpoint>> = RefCell::new(VARIANTS.iter().map(|settings| endpoint(settings)).collect());
}

fn endpoint(settings: &str) -> Endpoint {
    FOLDER.with(|folder| {
        let config: WebhookConfig = configured(&format!("{settings}\n{HOOKS}"), folder.path());
        assert_eq!(config.faults(), [], "{settings}");
        let receiver = config.make("north/fuzz").expect("a good configuration");
        let receiver = receiver.with_own_folder(folder.path().join("own"));
        Endpoint::new(receiver.with_batches_of(3)).expect("a runtime")
    })
}

/// The signature as each variant has it; what is signed is the body as it is unpacked.
fn signed(request: &Request<'_>, variant: usize) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(SECRET.as_bytes()).expect("any key is one");
    if variant == 1 {
        mac.update(request.header("x-time").unwrap_or_default().as_bytes());
        mac.update(b".");
    }
    mac.update(request.body);
    let made = mac.finalize().into_bytes();
    match variant {
        1 => STANDARD.encode(made),
        _ => format!("sha256={}", hex::encode(made)),
    }
}

pub(super) fn check(case: &[u8], choice: Choice) {
    let mut request = Request::read(case);
    let variant = choice.variant % VARIANTS.len();
    let packs = request.header("content-encoding") == Some("gzip") && choice.other == 0;
    let is_signed = request.header("x-sign") == Some("signed");
    let signature = signed(&request, variant);
    for (name, value) in &mut request.headers {
        match (name.to_ascii_lowercase().as_str(), value.as_str()) {
            ("x-sign", "signed") => value.clone_from(&signature),
            ("authorization", "Bearer known") => *value = format!("Bearer {SECRET}"),
            _ => {}
        }
    }
    let is_known = match variant {
        2 => request.header("authorization") == Some(&format!("Bearer {SECRET}")),
        _ => is_signed || request.header("x-sign") == Some(signature.as_str()),
    };
    let packed = packs.then(|| gzip(request.body));
    let body = packed.as_deref().unwrap_or(request.body);
    let to = (request.method.as_str(), request.target.as_str());
    ENDPOINTS.with_borrow_mut(|endpoints| {
        let endpoint = &mut endpoints[variant];
        endpoint.forget();
        let mut call = |cuts| endpoint.call(to, &request.headers(), body, cuts);
        let Some(first) = call(Cuts::new(None)) else {
            return;
        };
        holds(&first, case);
        let is_stored = matches!(first.status, 200..=204);
        assert!(is_known || !is_stored, "nobody else is let in: {first:?}");
        let again = call(choice.cuts()).expect("the same request");
        holds(&again, case);
        assert_eq!(first.status, again.status, "{first:?} {again:?}");
        if !is_stored {
            assert_eq!(first.body, again.body);
        } else if request.header("x-topic") != Some("log") {
            assert_eq!(again.batches.len(), 0, "nothing is stored twice");
        }
        endpoint.forget();
        let cut = endpoint.call(to, &request.headers(), body, choice.cuts());
        let cut = cut.expect("the same request");
        assert_eq!((first.status, first.body), (cut.status, cut.body));
        assert_eq!(first.batches.len(), cut.batches.len());
    });
}

/// What must hold of each answer.
fn holds(called: &Called, case: &[u8]) {
    FOLDER.with(|folder| says_nothing_of_the_inside(&called.body, case, folder.path()));
    let known = [200, 202, 204, 401, 404, 405, 413, 415, 422];
    assert!(known.contains(&called.status), "{called:?}");
    let records = |batch: &dray_adapter::Batch| batch.records.len() + batch.rejects.len();
    let records: usize = called.batches.iter().map(records).sum();
    assert!(records <= 256 * 1024, "no more than its bytes have");
    if called.status >= 300 {
        assert!(called.batches.is_empty(), "what is refused is not stored");
    }
    if called.status == 204 {
        assert_eq!(called.body, "");
        return;
    }
    assert_eq!(called.content_type, "application/json");
    let answer: serde_json::Value = serde_json::from_str(&called.body).expect(&called.body);
    match called.status >= 300 {
        true => assert!(
            answer["error"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        ),
        false => assert!(answer["accepted"].is_u64() && answer["repeated"].is_boolean()),
    }
}
