//! Calls that mean harm.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::caller::{SOAP_11, TEXT_XML, enveloped, movements, shown};
use crate::endpoint::Endpoint;

#[test]
fn soap_11_doctypes_entities_and_depth_are_refused_before_anything_is_kept() {
    let endpoint = Endpoint::start("");
    let call = enveloped(SOAP_11, "", &movements("B1", 1));
    let with = |doctype: &str| call.replace("\n<s:Envelope", &format!("\n{doctype}<s:Envelope"));
    let laughs =
        (1..10).map(|n| format!("<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(10)));
    let deep = format!("{}{}", "<a>".repeat(9_000), "</a>".repeat(9_000));
    let wide: String = (0..300).map(|n| format!(" a{n}=\"\"")).collect();
    for (text, rule) in [
        (with("<!DOCTYPE x>"), "a DOCTYPE"),
        (
            with("<!DOCTYPE x SYSTEM \"file:///etc/passwd\">"),
            "a DOCTYPE",
        ),
        (
            with(&format!(
                "<!DOCTYPE x [<!ENTITY a0 \"lol\">{}]>",
                laughs.collect::<String>()
            )),
            "a DOCTYPE",
        ),
        (enveloped(SOAP_11, "", &deep), "more than 256 deep"),
        (
            enveloped(SOAP_11, "", &format!("<a{wide}/>")),
            "more than 256 attributes",
        ),
        (
            enveloped(
                SOAP_11,
                "",
                &movements("B1", 1)
                    .replace("<BatchNo>", &format!("<BatchNo>{}", "x".repeat(5_000))),
            ),
            "longer than 4096 bytes",
        ),
        (
            enveloped(SOAP_11, "", &movements(&"x".repeat(600), 1)),
            "longer than 512 bytes",
        ),
        (
            call.replace("<s:Body>", "<s:Body><s:Body/>"),
            "Body stands where none may",
        ),
    ] {
        let answer = endpoint.post(&[TEXT_XML], &text);
        assert_eq!(answer.fault(), (500, "Client", false), "{rule}: {answer:?}");
        assert!(answer.body.contains(rule), "{rule}: {answer:?}");
        assert!(
            !answer.body.contains("passwd") && !answer.body.contains("/tmp"),
            "{answer:?}"
        );
    }
    assert_eq!(endpoint.log(), [""; 0]);
    assert!(!endpoint.laid.own().exists(), "something was kept");
}

#[test]
fn soap_12_fifty_megabytes_in_chunks_arrive_and_leave_no_file() {
    // Without optimization, and beside other tests, it takes a while.
    let endpoint = Endpoint::start("limits = { answer_within = \"5m\" }");
    let count = 800_000;
    let text = enveloped(SOAP_11, "", &movements("B1", count));
    assert!(text.len() > 50_000_000, "{}", text.len());
    let mut caller = endpoint.caller();
    let headers = [TEXT_XML, ("Transfer-Encoding", "chunked")];
    caller.head("POST", "/wms", &headers).expect("sent");
    for chunk in text.as_bytes().chunks(70_000) {
        write!(caller.stream(), "{:x}\r\n", chunk.len()).expect("sent");
        caller.stream().write_all(chunk).expect("sent");
        caller.stream().write_all(b"\r\n").expect("sent");
    }
    caller.stream().write_all(b"0\r\n\r\n").expect("sent");
    let answer = caller.answer().expect("an answer");
    assert!(
        answer
            .body
            .contains(&format!("<Accepted>{count}</Accepted>")),
        "{answer:?}"
    );
    assert_eq!(endpoint.log(), shown("B1", count));
    let left = std::fs::read_dir(endpoint.laid.own())
        .expect("a folder")
        .count();
    assert_eq!(left, 0, "a file is left");
}

#[test]
fn more_bytes_than_are_taken_are_refused_packed_and_unpacked() {
    let endpoint = Endpoint::start("limits = { message_bytes_max = \"100KiB\" }");
    let text = enveloped(SOAP_11, "", &movements("B1", 3_000));
    let answer = endpoint.post(&[TEXT_XML], &text);
    assert_eq!(answer.fault(), (413, "Client", false), "{answer:?}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 50_000_000]).expect("memory");
    let bomb = gzip.finish().expect("memory");
    assert!(bomb.len() < 100_000);
    let headers = [TEXT_XML, ("Content-Encoding", "gzip")];
    let answer = endpoint
        .caller()
        .post("/wms", &headers, &bomb)
        .expect("an answer");
    assert_eq!(answer.fault(), (413, "Client", false), "{answer:?}");
    let mut caller = endpoint.caller();
    caller
        .head(
            "POST",
            "/wms",
            &[TEXT_XML, ("Content-Length", "99999999999")],
        )
        .expect("sent");
    assert_eq!(
        caller.answer().expect("an answer").status,
        413,
        "before a byte of it came"
    );
}

#[test]
fn who_sends_too_much_is_answered_when_all_is_sent() {
    let endpoint = Endpoint::start("limits = { message_bytes_max = \"64KiB\" }");
    let mut caller = endpoint.caller();
    let length = 8 * 1024 * 1024;
    let headers = [TEXT_XML, ("Content-Length", &length.to_string())];
    caller.head("POST", "/wms", &headers).expect("sent");
    let body = vec![b' '; length];
    caller.stream().write_all(&body).expect("nobody hangs up");
    assert_eq!(caller.answer().expect("an answer").status, 413);
}

#[test]
fn chunks_that_are_none_are_the_callers_fault() {
    let endpoint = Endpoint::start("");
    let mut caller = endpoint.caller();
    let headers = [TEXT_XML, ("Transfer-Encoding", "chunked")];
    caller.head("POST", "/wms", &headers).expect("sent");
    caller.stream().write_all(b"zz\r\nxx\r\n").expect("sent");
    let answer = caller.answer().expect("an answer");
    assert_eq!(answer.fault(), (400, "Client", false), "{answer:?}");
}

#[test]
fn a_body_that_does_not_come_is_given_up_and_others_are_served_meanwhile() {
    let endpoint = Endpoint::start("limits = { body_within = \"1s\" }");
    let mut slow: Vec<_> = (0..20).map(|_| endpoint.caller()).collect();
    for caller in &mut slow {
        caller
            .head("POST", "/wms", &[TEXT_XML, ("Content-Length", "1000")])
            .expect("sent");
        caller.stream().write_all(b"<s:Env").expect("sent");
    }
    let began = Instant::now();
    let answer = endpoint.post(&[TEXT_XML], &enveloped(SOAP_11, "", &movements("B1", 1)));
    assert_eq!(answer.status, 200, "{answer:?}");
    for caller in &mut slow {
        let answer = caller.answer().expect("an answer");
        assert_eq!(answer.fault(), (408, "Server", true), "{answer:?}");
    }
    assert!(
        began.elapsed() > Duration::from_millis(900),
        "they were given their time"
    );
    assert_eq!(endpoint.log(), shown("B1", 1));
}

#[test]
fn what_is_not_http_or_not_here_is_answered_and_changes_nothing() {
    let endpoint = Endpoint::start("");
    let mut odd = endpoint.caller();
    odd.stream()
        .write_all(b"\x16\x03\x01 hello\r\n\r\n")
        .expect("sent");
    let _ = odd.answer();
    let text = enveloped(SOAP_11, "", &movements("B1", 1));
    let other = endpoint
        .caller()
        .post("/other", &[TEXT_XML], text.as_bytes());
    assert_eq!(other.expect("an answer").status, 404);
    let mut caller = endpoint.caller();
    caller.head("DELETE", "/wms", &[]).expect("sent");
    assert_eq!(caller.answer().expect("an answer").status, 405);
    assert_eq!(endpoint.log(), [""; 0]);
}
