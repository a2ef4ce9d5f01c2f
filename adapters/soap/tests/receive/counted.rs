//! What becomes of calls is counted, with the last reason of each kind that did not go well.

use std::io::Write as _;
use std::time::{Duration, Instant};

use dray_adapter::{CallCount, CallOutcome, LastCall};

use crate::caller::{Caller, SOAP_11, TEXT_XML, enveloped, movements};
use crate::endpoint::Endpoint;
use crate::secure::{call_over_tls, issue, with_certificates, with_password};
use crate::webhooks;

/// Longer than a connection's end takes to be noticed.
const PATIENCE: Duration = Duration::from_secs(60);

impl Endpoint {
    /// The outcomes that there were.
    fn counted(&self) -> Vec<(&'static str, u64)> {
        let counts = self.calls.counts().into_iter();
        let seen = counts.filter(|one| one.count > 0);
        seen.map(|one| (one.outcome.word(), one.count)).collect()
    }

    fn one(&self, outcome: CallOutcome) -> CallCount {
        let mut counts = self.calls.counts().into_iter();
        let found = counts.find(|one| one.outcome == outcome);
        found.expect("it serves calls")
    }

    pub(crate) fn last(&self, outcome: CallOutcome) -> LastCall {
        self.one(outcome).last.expect("there was one")
    }

    /// Where nobody is answered, nobody says when it is counted.
    fn wait_counted(&self, outcome: CallOutcome, count: u64) {
        let end = Instant::now() + PATIENCE;
        while self.one(outcome).count < count {
            assert!(Instant::now() < end, "{outcome:?}: {:?}", self.counted());
            std::thread::yield_now();
        }
    }
}

#[test]
fn each_answer_is_counted_by_what_became_of_the_call() {
    let endpoint = Endpoint::start("limits = { answer_within = \"1s\" }");
    let post = |body: &str| endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, "", body));
    post(&movements("B1", 2));
    post(&movements("B1", 2));
    post(&movements("B1", 3));
    post(&movements("", 1));
    assert_eq!(
        endpoint.counted(),
        [("stored", 1), ("repeated", 1), ("refused", 2)]
    );
    let last = endpoint.last(CallOutcome::Refused);
    assert!(last.reason.contains("its key is missing or empty"));
    assert_eq!(last.peer, Some([127, 0, 0, 1].into()));
    let age_us = jiff::Timestamp::now().as_microsecond() - last.at_us;
    assert!((0..60_000_000).contains(&age_us), "{age_us}");

    endpoint.holds(true);
    let answer = post(&movements("B2", 1));
    assert_eq!(answer.fault().1, "Server", "{answer:?}");
    assert_eq!(endpoint.one(CallOutcome::Later).count, 1);
    let later = endpoint.last(CallOutcome::Later).reason;
    assert!(
        later.contains("look why the flow waits") || later.contains("answer_within"),
        "{later}"
    );
}

#[test]
fn what_never_gets_to_the_body_is_counted_too() {
    let endpoint = Endpoint::start("limits = { message_bytes_max = \"1KiB\" }");
    let mut caller = endpoint.caller();
    caller.get("/wms").expect("an answer");
    assert_eq!(endpoint.counted(), [], "who only looks does not call");
    let mut caller = endpoint.caller();
    caller
        .post("/wsm", &[TEXT_XML], b"<a/>")
        .expect("an answer");
    let refused = || endpoint.last(CallOutcome::Refused).reason;
    assert!(refused().contains("nothing is at this path"));
    endpoint.post(&[("Content-Type", "text/plain")], "x");
    assert!(refused().contains("Content-Type"), "{}", refused());
    endpoint.post(&[TEXT_XML], &"x".repeat(2_000));
    assert!(refused().contains("larger"), "{}", refused());
    let mut odd = endpoint.caller();
    odd.stream()
        .write_all(b"\x16\x03\x01 hello\r\n\r\n")
        .expect("sent");
    endpoint.wait_counted(CallOutcome::Refused, 4);
    assert!(refused().contains("does the caller use TLS"));
}

#[test]
fn a_caller_who_goes_before_his_answer_is_counted_once() {
    let endpoint = Endpoint::start("");
    let mut caller = endpoint.caller();
    caller
        .head("POST", "/wms", &[TEXT_XML, ("Content-Length", "1000")])
        .expect("sent");
    caller.stream().write_all(b"<s:Env").expect("sent");
    drop(caller);
    endpoint.wait_counted(CallOutcome::Broken, 1);

    endpoint.holds(true);
    let mut caller = endpoint.caller();
    let text = enveloped(SOAP_11, "", &movements("B1", 1));
    let length = text.len().to_string();
    caller
        .head("POST", "/wms", &[TEXT_XML, ("Content-Length", &length)])
        .expect("sent");
    caller.stream().write_all(text.as_bytes()).expect("sent");
    drop(caller);
    let end = Instant::now() + PATIENCE;
    // Turned away, or gone first: each is one of them.
    while endpoint.one(CallOutcome::Broken).count + endpoint.one(CallOutcome::Later).count < 2 {
        assert!(Instant::now() < end, "{:?}", endpoint.counted());
        std::thread::yield_now();
    }
    let counted: u64 = endpoint.counted().iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 2);
}

#[test]
fn who_is_not_known_is_told_less_than_the_operator() {
    let endpoint = with_password("basic = { user = \"wms\", password_file = \"FOLDER/password\" }");
    let text = enveloped(SOAP_11, "", &movements("B1", 1));
    endpoint.post(&[TEXT_XML], &text);
    let missing = endpoint.last(CallOutcome::Denied).reason;
    assert!(missing.contains("does not say who calls"), "{missing}");
    let wrong = [TEXT_XML, ("Authorization", "Basic d21zOnNlY3JldA==")];
    endpoint.post(&wrong, &text);
    assert_eq!(endpoint.counted(), [("denied", 2)]);
    let reason = endpoint.last(CallOutcome::Denied).reason;
    assert!(reason.contains("not the configured one"), "{reason}");
}

#[test]
fn a_handshake_that_fails_is_a_caller_who_is_not_known() {
    let (server, ours, theirs) = (issue(), issue(), issue());
    let endpoint = with_certificates(&server, &ours);
    drop(endpoint.caller());
    assert!(call_over_tls(&endpoint, &server, None).is_err());
    endpoint.wait_counted(CallOutcome::Denied, 1);
    assert!(call_over_tls(&endpoint, &server, Some(&theirs)).is_err());
    endpoint.wait_counted(CallOutcome::Denied, 2);
    let reason = endpoint.last(CallOutcome::Denied).reason;
    assert!(reason.contains("tls.client_ca"), "{reason}");
    let mut plain = Caller::new(endpoint.laid.address()).expect("a connection");
    let _ = plain.get("/wms");
    endpoint.wait_counted(CallOutcome::Denied, 3);
    call_over_tls(&endpoint, &server, Some(&ours)).expect("an answer");
    assert_eq!(endpoint.counted(), [("stored", 1), ("denied", 3)]);
}

#[test]
fn a_webhook_that_refuses_everything_says_so_without_what_was_sent() {
    let endpoint = webhooks::start("");
    for _ in 0..3 {
        webhooks::order(
            &endpoint,
            "w1",
            "{\"number\": \"s3cret\", \"lines\": \"s3cret\"}",
        );
    }
    assert_eq!(endpoint.counted(), [("refused", 3)]);
    let reason = endpoint.last(CallOutcome::Refused).reason;
    assert!(!reason.is_empty() && !reason.contains("s3cret"), "{reason}");
    webhooks::order(&endpoint, "w1", webhooks::ORDER);
    webhooks::order(&endpoint, "w1", webhooks::ORDER);
    assert_eq!(
        endpoint.counted(),
        [("stored", 1), ("repeated", 1), ("refused", 3)]
    );
}

#[test]
fn the_operator_reads_which_limit_a_call_went_past() {
    let endpoint =
        Endpoint::start("limits = { message_bytes_max = \"2KiB\", body_within = \"1s\" }");
    let large = enveloped(SOAP_11, "", &movements("B1", 100));
    assert_eq!(endpoint.post(&[TEXT_XML], &large).status, 413);
    let mut slow = endpoint.caller();
    slow.head("POST", "/wms", &[TEXT_XML, ("Content-Length", "1000")])
        .expect("sent");
    assert_eq!(slow.answer().expect("an answer").status, 408);
    for (outcome, limit) in [
        (CallOutcome::Refused, "limits.message_bytes_max"),
        (CallOutcome::Broken, "limits.body_within"),
    ] {
        let reason = endpoint.last(outcome).reason;
        assert!(reason.contains(limit), "{reason}");
    }
}
