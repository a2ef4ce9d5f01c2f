//! Long values around many records, each of which takes them.

use std::path::Path;
use std::sync::Arc;

use dray_adapter::{CallOutcome, Source};
use dray_soap::receive::SoapReceiveConfig;

use crate::caller::{SOAP_11, TEXT_XML, enveloped};
use crate::endpoint::{Endpoint, Laid, free_port};
use crate::webhooks;

/// About the longest value that a record may take from around it.
const NOTE_BYTES: usize = 60_000;

fn start(settings: &str) -> Endpoint {
    let port = free_port();
    let text = format!(
        "kind = \"soap-receive\"\nlisten = \"127.0.0.1:{port}\"\npath = \"/wms\"\n{settings}\n\
         [[operation]]\nname = \"Put\"\nroot = \"Put\"\nrecord = \"Line\"\nkey = \"No\"\nfields = {{ ID = \"Id\", NOTE = \"../Note\" }}\n"
    );
    let config: SoapReceiveConfig = toml::from_str(&text).expect("a configuration");
    assert_eq!(config.faults(), [], "{text}");
    let make = move |own: &Path| -> Box<dyn Source> {
        let source = config.make("north/calls").expect("a good configuration");
        Box::new(source.with_own_folder(own.to_owned()))
    };
    let folder = tempfile::tempdir().expect("a folder");
    Endpoint::over(Laid::new(folder, port, Arc::new(make)))
}

#[test]
fn records_that_would_be_too_much_with_a_value_from_around_them_are_refused_and_none_is_kept() {
    // The first waits in a file, the others in memory.
    for (settings, records, is_taken) in [
        ("", 1_200, false),
        ("limits = { records_bytes_max = \"2MiB\" }", 40, false),
        ("", 40, true),
    ] {
        let endpoint = start(settings);
        let note = "x".repeat(NOTE_BYTES);
        let lines = "<Line><Id>1</Id></Line>".repeat(records);
        let body = format!("<Put><No>B1</No><Note>{note}</Note>{lines}</Put>");
        let answer = endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, "", &body));
        if is_taken {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(endpoint.log().len(), records);
            continue;
        }
        assert_eq!(answer.fault(), (500, "Client", false), "{answer:?}");
        assert!(
            answer.body.contains("its records are more than"),
            "{answer:?}"
        );
        assert!(!answer.body.contains("limits."), "{answer:?}");
        let reason = endpoint.last(CallOutcome::Refused).reason;
        assert!(reason.contains("limits.records_bytes_max"), "{reason}");
        assert_eq!(endpoint.log(), [""; 0]);
    }
}

#[test]
fn a_webhooks_records_are_measured_with_what_each_takes_too() {
    let endpoint = webhooks::start("");
    let note = "x".repeat(NOTE_BYTES);
    let lines = ["{\"sku\": \"A\"}"; 1_200].join(",");
    let body = format!("{{\"number\": \"{note}\", \"lines\": [{lines}]}}");
    let answer = webhooks::order(&endpoint, "w1", &body);
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(
        answer.body.contains("its records are more than"),
        "{answer:?}"
    );
    assert_eq!(endpoint.log(), [""; 0]);
}
