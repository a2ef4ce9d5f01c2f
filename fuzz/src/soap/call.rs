//! A SOAP call, from its head to its answer.
//!
//! A case is a request as HTTP writes it: a method and target, headers, an empty line, the body. Where it says
//! `Content-Encoding: gzip` and the last byte is a 0, the body is packed before it is sent.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::Arc;

use dray_soap::envelope::{Reader, Version};
use dray_soap::fuzzing::{Called, Cuts, Endpoint};
use dray_soap::receive::SoapReceiveConfig;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::{Choice, Request, SECRET, configured, folder, says_nothing_of_the_inside};

/// Bytes that a call may have in these configurations.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

const OPERATIONS: &str = r#"
kind = "soap-receive"
listen = "127.0.0.1:0"
path = "/wms"
wsdl = "FOLDER/wms.wsdl"
limits = { message_bytes_max = "256KiB" }
namespaces = { w = "urn:example:wms" }
[[operation]]
name = "PutMovements"
root = "w:PutMovements"
action = "urn:example:wms/PutMovements"
record = "w:Movement"
response = "FOLDER/answer.xml"
fields = { ID = "w:Id", QTY = "w:Quantity", BATCH = "../w:BatchNo" }
IDENTITY
[[operation]]
name = "ReportShipment"
root = "w:ReportShipment"
one_way = true
may_be_empty = true
record = "w:Line"
fields = { NO = "../w:ShipNo", SKU = "w:Sku" }
"#;

const ANSWER: &str = "<PutMovementsResponse xmlns=\"urn:example:wms\"><Accepted>{{ records }}</Accepted><Again>{{ repeated | lower }}</Again><Id>{{ id }}</Id><For>{{ message_id }}</For></PutMovementsResponse>";

/// What stands before the operations, and what tells calls apart. A clock may be wrong by a century, so that a case stays good.
const VARIANTS: [(&str, &str); 3] = [
    ("", "key = [\"w:BatchNo\"]"),
    (
        "bad_records = \"dead-letter\"\nusername_token = { user = \"wms\", password_file = \"FOLDER/secret\", text = true, skew = \"36500d\" }",
        "key = [\"w:BatchNo\", \"w:Head/@id\"]",
    ),
    (
        "bad_records = \"dead-letter\"\nbasic = { user = \"wms\", password_file = \"FOLDER/secret\" }",
        "identity = \"content\"",
    ),
];

thread_local! {
    static FOLDER: TempDir = folder(&[
        ("secret", SECRET),
        ("answer.xml", ANSWER),
        ("wms.wsdl", include_str!("../../../tests/peers/soap/wms.wsdl")),
    ]);
    static ENDPOINTS: RefCell<Vec<Endpoint>> = RefCell::new((0..VARIANTS.len()).map(endpoint).collect());
}

fn endpoint(variant: usize) -> Endpoint {
    let (settings, identity) = VARIANTS[variant];
    let text = format!("{settings}\n{}", OPERATIONS.replace("IDENTITY", identity));
    FOLDER.with(|folder| {
        let config: SoapReceiveConfig = configured(&text, folder.path());
        assert_eq!(config.faults(), [], "{text}");
        let receiver = config.make("north/fuzz").expect("a good configuration");
        let receiver = receiver.with_own_folder(folder.path().join("own"));
        Endpoint::new(receiver.with_batches_of(3)).expect("a runtime")
    })
}

pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

pub(super) fn check(case: &[u8], choice: Choice) {
    let request = Request::read(case);
    let variant = choice.variant % VARIANTS.len();
    let packs = request.header("content-encoding") == Some("gzip") && choice.other == 0;
    let packed = packs.then(|| gzip(request.body));
    let body = packed.as_deref().unwrap_or(request.body);
    let to = (request.method.as_str(), request.target.as_str());
    ENDPOINTS.with_borrow_mut(|endpoints| {
        if variant == 1 {
            // It remembers nonces, and a case must not depend on those before.
            endpoints[1] = endpoint(1);
        }
        let endpoint = &mut endpoints[variant];
        endpoint.forget();
        let mut call = |cuts| endpoint.call(to, &request.headers(), body, cuts);
        let Some(first) = call(Cuts::new(None)) else {
            return;
        };
        holds(&first, case);
        let again = call(choice.cuts()).expect("the same request");
        holds(&again, case);
        repeats(&first, &again, variant);
        if variant != 1 {
            endpoint.forget();
            let cut = endpoint.call(to, &request.headers(), body, choice.cuts());
            let cut = cut.expect("the same request");
            assert_eq!((first.status, first.body), (cut.status, cut.body));
            assert_eq!(first.batches.len(), cut.batches.len());
        }
    });
}

/// Who calls again is answered the same, and changes nothing.
fn repeats(first: &Called, again: &Called, variant: usize) {
    let is_stored = |called: &Called| matches!(called.status, 200 | 202);
    // A digest is taken once.
    let is_same_caller = variant != 1 || is_stored(again);
    if !is_stored(first) {
        assert!(!is_same_caller || (first.status, &first.body) == (again.status, &again.body));
        return;
    }
    let is_one_way = first.status == 202;
    if is_same_caller && !is_one_way {
        assert_eq!(again.batches.len(), 0, "nothing is stored twice");
    }
    assert!(!is_same_caller || again.status == first.status);
}

/// What must hold of each answer.
fn holds(called: &Called, case: &[u8]) {
    FOLDER.with(|folder| says_nothing_of_the_inside(&called.body, case, folder.path()));
    let known = [200, 202, 400, 401, 404, 405, 413, 415, 500];
    assert!(known.contains(&called.status), "{called:?}");
    let records = |batch: &dray_adapter::Batch| batch.records.len() + batch.rejects.len();
    let records: usize = called.batches.iter().map(records).sum();
    assert!(records <= MESSAGE_BYTES_MAX, "no more than its bytes have");
    if called.status >= 300 {
        assert!(called.batches.is_empty(), "what is refused is not stored");
    }
    let ends: Vec<bool> = called.batches.iter().map(|batch| batch.ends_unit).collect();
    let last = ends.iter().position(|ends| *ends);
    assert_eq!(
        last,
        ends.len().checked_sub(1),
        "a call ends with its last batch"
    );
    let version = [Version::V11, Version::V12]
        .into_iter()
        .find(|version| version.content_type() == called.content_type);
    let Some(version) = version else {
        assert!(matches!(called.status, 202 | 400 | 404 | 405), "{called:?}");
        return;
    };
    if called.body.contains("definitions>") {
        // The description; what it is the target wsdl sees to.
        return;
    }
    let read = Reader::new(&[], Arc::default()).whole(called.body.as_bytes());
    let answer = read.unwrap_or_else(|error| panic!("{error}: {}", called.body));
    assert_eq!(answer.version, Some(version), "{}", called.body);
    match answer.fault {
        None => assert_eq!(called.status, 200),
        Some(fault) => {
            assert!(called.status >= 400 && !fault.code.is_empty() && !fault.text.is_empty());
            assert_eq!(
                called.later,
                matches!(fault.code.as_str(), "Server" | "Receiver")
            );
        }
    }
}
