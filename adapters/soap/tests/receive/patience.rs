//! Callers who connect and do nothing.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use dray_soap::receive::Patience;

use crate::caller::{SOAP_11, TEXT_XML, enveloped, movements, shown};
use crate::endpoint::{Endpoint, lay_out_for};

const MOMENT: Duration = Duration::from_millis(200);
/// Longer than any test may take: what is waited for so long fails it.
const AGES: Patience = Patience {
    first: Duration::from_secs(3_600),
    idle: Duration::from_secs(3_600),
    unread: Duration::from_secs(3_600),
};

#[test]
fn who_connects_and_does_not_ask_gives_his_place_to_the_next() {
    let patience = Patience {
        first: MOMENT,
        ..AGES
    };
    let laid = lay_out_for("limits = { connections_max = 2 }", patience);
    let endpoint = Endpoint::over(laid);
    let (mut silent, mut halting) = (endpoint.caller(), endpoint.caller());
    halting
        .stream()
        .write_all(b"POST /wms HTTP/1.1\r\nHost:")
        .expect("sent");
    let text = enveloped(SOAP_11, "", &movements("B1", 1));
    assert_eq!(endpoint.post(&[TEXT_XML], &text).status, 200);
    for caller in [&mut silent, &mut halting] {
        assert!(caller.answer().is_err(), "nothing is said to him");
    }
    assert_eq!(endpoint.log(), shown("B1", 1));
}

#[test]
fn who_has_called_may_keep_his_connection_longer() {
    let patience = Patience {
        first: MOMENT,
        ..AGES
    };
    let endpoint = Endpoint::over(lay_out_for("", patience));
    let mut caller = endpoint.caller();
    let mut call = |batch: &str| {
        let text = enveloped(SOAP_11, "", &movements(batch, 1));
        let answer = caller.post("/wms", &[TEXT_XML], text.as_bytes());
        answer.expect("an answer").status
    };
    assert_eq!(call("B1"), 200);
    // He came later: when he is sent away, the first one's time is over too.
    let mut silent = endpoint.caller();
    assert!(silent.answer().is_err(), "he is sent away");
    assert_eq!(call("B2"), 200);
}

#[test]
fn an_answer_that_its_caller_does_not_read_is_given_up() {
    let patience = Patience {
        unread: MOMENT,
        ..AGES
    };
    let settings = "wsdl = \"FOLDER/wms.wsdl\"\nlimits = { connections_max = 1 }";
    let laid = lay_out_for(settings, patience);
    // More than both ends of a connection keep of it.
    let long = format!("<a>{}</a>", "x".repeat(900_000));
    std::fs::write(laid.folder.path().join("wms.wsdl"), long).expect("a file");
    let endpoint = Endpoint::over(laid);
    let mut deaf = endpoint.caller();
    for _ in 0..32 {
        deaf.head("GET", "/wms?wsdl", &[]).expect("sent");
    }
    let text = enveloped(SOAP_11, "", &movements("B1", 1));
    assert_eq!(endpoint.post(&[TEXT_XML], &text).status, 200);
    let mut read = Vec::new();
    let whole = deaf.stream().read_to_end(&mut read);
    assert!(
        whole.is_err() || read.len() < 32 * 900_000,
        "all of it was there"
    );
}
