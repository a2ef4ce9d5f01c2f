//! What callers do, and what becomes of it.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use dray_adapter::Source;
use dray_soap::receive::SoapReceiveConfig;

use crate::caller::{SOAP_11, SOAP_12, TEXT_XML, enveloped, movements, shown};
use crate::endpoint::{Endpoint, Laid, OPERATIONS, free_port, lay_out, lay_out_with};

const SOAP_12_TYPE: (&str, &str) = ("Content-Type", "application/soap+xml; charset=utf-8");
const SHIPMENT: &str =
    "<ReportShipment xmlns=\"urn:example:wms\"><ShipNo>S1</ShipNo></ReportShipment>";

#[test]
fn a_call_is_answered_once_it_is_appended_and_a_repeat_changes_nothing() {
    let endpoint = Endpoint::start("");
    let mut caller = endpoint.caller();
    let mut call = |batch: &str, count| {
        let text = enveloped(SOAP_11, "", &movements(batch, count));
        caller
            .post("/wms", &[TEXT_XML], text.as_bytes())
            .expect("an answer")
    };
    let answer = call("B1", 3);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("text/xml; charset=utf-8")
    );
    assert!(
        answer
            .body
            .contains("<Accepted>3</Accepted><Again>false</Again>"),
        "{answer:?}"
    );
    assert_eq!(endpoint.log(), shown("B1", 3));
    let again = call("B1", 3);
    assert!(
        again
            .body
            .contains("<Accepted>3</Accepted><Again>true</Again>"),
        "{again:?}"
    );
    let other = call("B1", 2);
    assert_eq!(other.fault(), (500, "Client", false), "{other:?}");
    assert!(other.body.contains("used before"), "{other:?}");
    call("B2", 1);
    assert_eq!(endpoint.log(), [shown("B1", 3), shown("B2", 1)].concat());
}

#[test]
fn two_tries_at_once_of_a_large_call_are_one() {
    let endpoint = Endpoint::start("");
    let text = enveloped(SOAP_11, "", &movements("B1", 5_000));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let call = || endpoint.post(&[TEXT_XML], &text);
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("an answer"))
            .collect()
    });
    for answer in &answers {
        assert!(
            answer.body.contains("<Accepted>5000</Accepted>"),
            "{answer:?}"
        );
    }
    let first = answers
        .iter()
        .filter(|answer| answer.body.contains("<Again>false"))
        .count();
    assert_eq!(first, 1, "{answers:?}");
    assert_eq!(endpoint.log(), shown("B1", 5_000));
}

#[test]
fn soap_03_a_full_buffer_is_a_server_fault_and_the_retry_succeeds() {
    let endpoint = Endpoint::start("limits = { answer_within = \"1s\" }");
    endpoint.holds(true);
    let text = enveloped(SOAP_11, "", &movements("B1", 2));
    let mut refused = 0;
    while refused < 3 {
        let answer = endpoint.post(&[TEXT_XML], &text);
        assert_eq!(answer.fault(), (500, "Server", true), "{answer:?}");
        refused += 1;
    }
    assert_eq!(endpoint.log(), [""; 0]);
    endpoint.holds(false);
    let mut answer = endpoint.post(&[TEXT_XML], &text);
    while answer.status == 500 {
        assert_eq!(answer.fault(), (500, "Server", true), "{answer:?}");
        answer = endpoint.post(&[TEXT_XML], &text);
    }
    assert!(answer.body.contains("<Accepted>2</Accepted>"), "{answer:?}");
    assert_eq!(endpoint.log(), shown("B1", 2));
}

#[test]
fn a_long_call_that_is_turned_away_in_its_middle_goes_on_with_its_next_try() {
    let endpoint = Endpoint::over(lay_out_with("", 10));
    endpoint.holds(true);
    let text = enveloped(SOAP_11, "", &movements("B1", 50));
    let answer = endpoint.post(&[TEXT_XML], &text);
    assert_eq!(answer.fault(), (500, "Server", true), "{answer:?}");
    endpoint.holds(false);
    // Nobody is held up by what is left of it.
    let other = enveloped(SOAP_11, "", &movements("B2", 1));
    let mut answer = endpoint.post(&[TEXT_XML], &other);
    while answer.status == 500 {
        answer = endpoint.post(&[TEXT_XML], &other);
    }
    let appended = endpoint.log();
    assert_eq!(appended, [&shown("B1", 50)[..10], &shown("B2", 1)].concat());
    let answer = endpoint.post(&[TEXT_XML], &text);
    assert!(
        answer.body.contains("<Accepted>50</Accepted>"),
        "{answer:?}"
    );
    let rest = &shown("B1", 50)[10..];
    assert_eq!(endpoint.log(), [&appended[..], rest].concat());
}

#[test]
fn soap_04_a_wrong_body_is_a_client_fault_with_the_rule_and_nothing_is_stored() {
    let endpoint = Endpoint::start("");
    let bad = "<PutMovements xmlns=\"urn:example:wms\"><BatchNo>B1</BatchNo><Movement><Id>&nbsp;</Id></Movement></PutMovements>";
    for (body, rule) in [
        (
            "<PutMovements xmlns=\"urn:example:wms\"><BatchNo>B1</BatchNo></PutMovements>"
                .to_owned(),
            "it holds no record",
        ),
        (movements("", 1), "its key is missing or empty"),
        (
            "<Other xmlns=\"urn:example:wms\"/>".to_owned(),
            "no operation here takes Other of the namespace urn:example:wms",
        ),
        (
            movements("B1", 1).replace("urn:example:wms", "urn:other"),
            "no operation here takes PutMovements of the namespace urn:other: it is configured with the namespace urn:example:wms",
        ),
        (
            movements("B1", 1).replace("</Id>", ""),
            "stands where &lt;/Id&gt; is expected",
        ),
        (bad.to_owned(), "line 2: &amp;nbsp; stands for nothing"),
        (
            movements("B1&nbsp;", 1),
            "line 2: &amp;nbsp; stands for nothing",
        ),
        (String::new(), "the Body calls no operation"),
    ] {
        let answer = endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, "", &body));
        assert_eq!(answer.fault(), (500, "Client", false), "{body}: {answer:?}");
        assert!(answer.body.contains(rule), "{body}: {answer:?}");
    }
    assert_eq!(endpoint.log(), [""; 0]);
}

#[test]
fn bad_records_are_dead_letters_where_the_flow_says_so() {
    let endpoint = Endpoint::start("bad_records = \"dead-letter\"");
    let large = movements("B1", 3_000).replace("B1-1<", "B1-1&unknown;<");
    let answer = endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, "", &large));
    assert!(
        answer.body.contains("<Accepted>3000</Accepted>"),
        "{answer:?}"
    );
    let mut all = shown("B1", 3_000);
    all[1] = "PutMovements/B1:4! decode".into();
    assert_eq!(endpoint.log(), all);
    let long = movements("B2", 2).replace("B2-1<", &format!("{}<", "x".repeat(1_100_000)));
    let answer = endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, "", &long));
    assert!(answer.body.contains("<Accepted>2</Accepted>"), "{answer:?}");
    let expected = [
        all,
        shown("B2", 1),
        vec!["PutMovements/B2:4! decode".into()],
    ]
    .concat();
    assert_eq!(endpoint.log(), expected);
    let refusing = Endpoint::start("");
    let answer = refusing.post(&[TEXT_XML], &enveloped(SOAP_11, "", &long));
    assert_eq!(answer.fault(), (500, "Client", false), "{answer:?}");
    assert_eq!(refusing.log(), [""; 0]);
}

#[test]
fn soap_05_content_type_and_envelope_are_of_one_soap() {
    let endpoint = Endpoint::start("");
    let new = enveloped(SOAP_12, "", &movements("B1", 1));
    let old = enveloped(SOAP_11, "", &movements("B2", 1));
    let answer = endpoint.post(&[SOAP_12_TYPE], &new);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/soap+xml; charset=utf-8")
    );
    assert!(answer.body.contains(SOAP_12), "{answer:?}");
    let crossed = endpoint.post(&[SOAP_12_TYPE], &old);
    assert_eq!(
        crossed.fault(),
        (500, "VersionMismatch", false),
        "{crossed:?}"
    );
    let crossed = endpoint.post(&[TEXT_XML], &new);
    assert_eq!(
        crossed.fault(),
        (500, "VersionMismatch", false),
        "{crossed:?}"
    );
    let json = endpoint.post(&[("Content-Type", "application/json")], &old);
    assert_eq!(json.fault(), (415, "Client", false), "{json:?}");
    let wrong = endpoint.post(&[SOAP_12_TYPE], &enveloped(SOAP_12, "", "<a/>"));
    assert_eq!(wrong.fault(), (400, "Sender", false), "{wrong:?}");
    assert_eq!(endpoint.log(), shown("B1", 1));
}

#[test]
fn soap_06_the_description_is_served_with_the_address_that_was_asked_for() {
    let wsdl = r#"<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" targetNamespace="urn:example:wms">
<types><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:include schemaLocation="parts/types.xsd"/></xs:schema></types>
<service name="S"><port name="P" binding="B"><soap:address location="http://localhost/old"/></port></service></definitions>"#;
    let laid = lay_out("wsdl = \"FOLDER/wms.wsdl\"");
    let folder = laid.folder.path();
    std::fs::create_dir(folder.join("parts")).expect("a folder");
    std::fs::write(folder.join("wms.wsdl"), wsdl).expect("a file");
    let types = "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"/>";
    std::fs::write(folder.join("parts/types.xsd"), types).expect("a file");
    let endpoint = Endpoint::over(laid);
    let mut caller = endpoint.caller();
    let answer = caller.get("/wms?wsdl").expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.body.contains("location=\"http://wms.test/wms\""),
        "{answer:?}"
    );
    let link = "http://wms.test/wms?xsd=";
    let at = answer.body.find(link).expect("a link") + link.len();
    let name = answer.body[at..].split('"').next().expect("its end");
    let linked = caller.get(&format!("/wms?xsd={name}")).expect("an answer");
    assert_eq!((linked.status, linked.body.as_str()), (200, types));
    assert_eq!(
        caller
            .get("/wms?xsd=../answer.xml")
            .expect("an answer")
            .status,
        404
    );
    assert_eq!(caller.get("/wms").expect("an answer").status, 404);
    assert_eq!(caller.get("/").expect("an answer").status, 404);
}

#[test]
fn soap_07_a_one_way_call_is_answered_202() {
    let endpoint = Endpoint::start("");
    let answer = endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, "", SHIPMENT));
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (202, ""),
        "{answer:?}"
    );
    assert_eq!(endpoint.log(), [":2: S1"]);
}

#[test]
fn a_message_id_tells_calls_apart_where_there_is_no_key() {
    let endpoint = Endpoint::start("");
    let header = |id: &str| {
        format!(
            "<s:Header><a:MessageID xmlns:a=\"http://www.w3.org/2005/08/addressing\">{id}</a:MessageID></s:Header>"
        )
    };
    for id in ["m1", "m1", "m2", "m1"] {
        let answer = endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, &header(id), SHIPMENT));
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    assert_eq!(endpoint.log(), ["m1:2: S1", "m2:2: S1"]);
    // With neither, nobody can tell.
    for _ in 0..2 {
        endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, "", SHIPMENT));
    }
    assert_eq!(endpoint.log().len(), 4);
}

#[test]
fn who_waits_when_the_endpoint_closes_is_told_to_come_again() {
    let endpoint = Endpoint::start("");
    endpoint.holds(true);
    let mut caller = endpoint.caller();
    let waits = std::thread::spawn(move || {
        let text = enveloped(SOAP_11, "", SHIPMENT);
        caller.post("/wms", &[TEXT_XML], text.as_bytes())
    });
    // Nothing tells the two apart for its caller, so it waits; this one is told at once.
    let answer = endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, "", &movements("B1", 1)));
    assert_eq!(answer.fault(), (500, "Server", true), "{answer:?}");
    drop(endpoint);
    let answer = waits.join().expect("no panic").expect("an answer");
    assert_eq!(answer.fault(), (500, "Server", true), "{answer:?}");
}

#[test]
fn a_template_that_makes_no_answer_is_told_before_it_is_needed() {
    let laid = lay_out("");
    let file = laid.folder.path().join("answer.xml");
    let text = format!(
        "kind = \"soap-receive\"\nlisten = \"127.0.0.1:0\"\n{}",
        OPERATIONS.replace("FOLDER", &laid.folder.path().display().to_string())
    );
    let config: SoapReceiveConfig = toml::from_str(&text).expect("a configuration");
    for (template, expected) in [
        (
            "<a>{{ recrods }}</a>",
            "answer.xml: line 1: nothing stands for recrods; it may name id, message_id, operation, records, repeated",
        ),
        ("<a>{{ records }}</b>", "can't stand in a Body"),
        ("<?xml version=\"1.0\"?><a/>", "can't stand in a Body"),
        (
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body/></s:Envelope>",
            "Envelope stands where none may",
        ),
    ] {
        std::fs::write(&file, template).expect("a file");
        let made = config.make("north/calls");
        let reason = made.err().expect("it can't be an answer");
        assert!(reason.contains(expected), "{template}: {reason}");
    }
}

#[test]
fn a_key_of_an_attribute_that_is_empty_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let text = format!(
        "kind = \"soap-receive\"\nlisten = \"127.0.0.1:{port}\"\npath = \"/wms\"\n\
         [[operation]]\nname = \"Put\"\nroot = \"Put\"\nkey = \"@id\"\nfields = {{ ID = \"Id\" }}\n"
    );
    let config: SoapReceiveConfig = toml::from_str(&text).expect("a configuration");
    let make = move |_: &Path| -> Box<dyn Source> {
        Box::new(config.make("north/calls").expect("a good configuration"))
    };
    let endpoint = Endpoint::over(Laid::new(folder, port, Arc::new(make)));
    let body = |id: &str| enveloped(SOAP_11, "", &format!("<Put id=\"{id}\"><Id>1</Id></Put>"));
    assert_eq!(endpoint.post(&[TEXT_XML], &body("B1")).status, 200);
    let answer = endpoint.post(&[TEXT_XML], &body(" "));
    assert_eq!(answer.fault(), (500, "Client", false), "{answer:?}");
    assert!(answer.body.contains("its key is missing"), "{answer:?}");
}

#[test]
fn soap_10_an_action_that_is_not_the_bodys_is_refused() {
    let endpoint = Endpoint::start("");
    let text = enveloped(SOAP_11, "", &movements("B1", 1));
    for action in ["\"urn:example:wms/ReportShipment\"", "urn:x"] {
        let answer = endpoint.post(&[TEXT_XML, ("SOAPAction", action)], &text);
        assert_eq!(answer.fault(), (500, "Client", false), "{answer:?}");
    }
    let typed = ("Content-Type", "application/soap+xml; action=\"urn:x\"");
    let answer = endpoint.post(&[typed], &enveloped(SOAP_12, "", &movements("B1", 1)));
    assert_eq!(answer.fault(), (400, "Sender", false), "{answer:?}");
    assert_eq!(endpoint.log(), [""; 0]);
    for (batch, action) in [("B1", "\"\""), ("B2", "\"urn:example:wms/PutMovements\"")] {
        let text = enveloped(SOAP_11, "", &movements(batch, 1));
        let answer = endpoint.post(&[TEXT_XML, ("SOAPAction", action)], &text);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn soap_13_a_header_that_must_be_understood_and_is_not_is_refused() {
    let endpoint = Endpoint::start("");
    let header = "<s:Header><x:Route xmlns:x=\"urn:x\" s:mustUnderstand=\"1\"/></s:Header>";
    let answer = endpoint.post(
        &[TEXT_XML],
        &enveloped(SOAP_11, header, &movements("B1", 1)),
    );
    assert_eq!(answer.fault(), (500, "MustUnderstand", false), "{answer:?}");
    assert!(answer.body.contains("Route"), "{answer:?}");
    assert_eq!(endpoint.log(), [""; 0]);
}

#[test]
fn a_packed_call_is_unpacked() {
    let endpoint = Endpoint::start("");
    let text = enveloped(SOAP_11, "", &movements("B1", 2_000));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("memory");
    let packed = gzip.finish().expect("memory");
    let post = |encoding: &str, body: &[u8]| {
        let headers = [TEXT_XML, ("Content-Encoding", encoding)];
        endpoint
            .caller()
            .post("/wms", &headers, body)
            .expect("an answer")
    };
    assert_eq!(post("br", &packed).status, 415);
    assert_eq!(post("gzip", &packed[..packed.len() - 20]).status, 415);
    assert_eq!(post("gzip", text.as_bytes()).status, 415);
    let more = [&packed[..], b"and more"].concat();
    assert_eq!(post("gzip", &more).status, 415);
    let answer = post("gzip", &packed);
    assert!(
        answer.body.contains("<Accepted>2000</Accepted>"),
        "{answer:?}"
    );
    assert_eq!(endpoint.log(), shown("B1", 2_000));
    // As several members, and spelt otherwise.
    let member = |part: &str| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(part.as_bytes()).expect("memory");
        gzip.finish().expect("memory")
    };
    let (one, two) = text.split_at(text.len() / 2);
    let answer = post("GZIP", &[member(one), member(two)].concat());
    assert!(answer.body.contains("<Again>true</Again>"), "{answer:?}");
}

#[test]
fn who_asks_for_a_description_that_is_not_there_is_told_so() {
    let endpoint = Endpoint::start("");
    let mut caller = endpoint.caller();
    let answer = caller.get("/wms?wsdl").expect("an answer");
    assert_eq!(answer.status, 404, "{answer:?}");
    assert_eq!(
        answer.body,
        "no description of this endpoint is given here\n"
    );
    let answer = caller.get("/wms").expect("an answer");
    assert_eq!(answer.status, 405, "{answer:?}");
}
