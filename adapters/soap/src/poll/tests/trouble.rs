//! What else a service may do, and what it is told.

use std::io::Write as _;

use dray_adapter::conformance::Agent;
use dray_adapter::{CallOutcome, Source as _};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::messages::{answer, body, movement, page};
use super::service::{Served, Service};
use super::{Driven, Flow, ids};
use crate::Finding;

const SINCE: &str = "<w:List xmlns:w=\"urn:example:wms\"><Since>{{ watermark }}</Since></w:List>";
const BY_COLUMN: &str = "key = 'ID'\n[watermark]\ncolumn = 'SEQ'\nstart = '0'\n";

fn trouble(served: Served, more: &str) -> (String, u64) {
    let service = Service::one_by_one(vec![served]);
    let flow = Flow::new(&service, SINCE, &format!("{more}\n{BY_COLUMN}"));
    let (reason, after) = Driven::open(flow.source(), None).trouble();
    (reason, after.as_secs())
}

#[test]
fn each_trouble_is_told_with_the_way_out() {
    let refused = 15 * 60;
    let ok = |text: String| Served::new(200, text);
    for (served, more, expected, after) in [
        (
            Served::new(302, "").with("Location", "https://b/"),
            "",
            "redirects to https://b/",
            refused,
        ),
        (Served::new(401, "who?"), "", "username_token", refused),
        (Served::new(404, ""), "", "look at url", refused),
        (
            Served::new(503, "").with("Retry-After", "77"),
            "",
            "HTTP 503",
            77,
        ),
        (Served::new(429, ""), "", "HTTP 429", 0),
        (
            ok(body("<w:Other xmlns:w='urn:example:wms'/>")),
            "",
            "root element is Other of the namespace urn:example:wms, and w:ListResponse",
            0,
        ),
        (
            ok(body("<w:ListResponse xmlns:w='urn:x'/>")),
            "",
            "root element is ListResponse of the namespace urn:x, and w:ListResponse of the namespace urn:example:wms is configured: look at root and namespaces",
            0,
        ),
        (ok(answer(&[], "")), "empty = 'error'", "holds no record", 0),
        (
            ok(answer(&[movement(1)], "").replace("</w:ListResponse>", "")),
            "",
            "no SOAP message: line",
            0,
        ),
        (
            ok("x".repeat(5_000)),
            "limits = { message_bytes_max = '1KiB' }",
            "raise limits.message_bytes_max",
            0,
        ),
        (
            ok(String::new()).with("Content-Encoding", "br"),
            "",
            "packed as br",
            0,
        ),
        (
            ok("no gzip".into()).with("Content-Encoding", "gzip"),
            "",
            "can't be unpacked",
            0,
        ),
        (
            ok("--b".into()).with("Content-Type", "multipart/related; boundary=b"),
            "",
            "not closed",
            0,
        ),
    ] {
        let (reason, waits) = trouble(served, more);
        assert!(reason.contains(expected), "{expected}: {reason}");
        assert_eq!(waits, after, "{expected}");
    }
}

#[test]
fn a_service_that_is_not_there_is_tried_again_soon() {
    let service = Service::one_by_one(vec![page([], "")]);
    let mut flow = Flow::new(&service, SINCE, BY_COLUMN);
    // Nobody listens at the port of a listener that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|gone| gone.local_addr())
        .expect("a port");
    flow.text = flow
        .text
        .replace(&service.url(), &format!("http://{gone}/"));
    let (reason, after) = Driven::open(flow.source(), None).trouble();
    assert!(
        reason.contains("can't be reached") && reason.contains("look whether it runs"),
        "{reason}"
    );
    assert!(after.as_secs_f64() <= 1.0);
    let findings = flow.config().check();
    assert!(findings.iter().any(|found| matches!(found, Finding::Warning(text) if text.contains("can't be connected to"))), "{findings:?}");
}

#[test]
fn a_service_that_does_not_answer_is_left_after_the_timeout() {
    // The kernel takes the connection, and nobody the request.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let service = Service::one_by_one(vec![page([], "")]);
    let mut flow = Flow::new(&service, SINCE, &format!("timeout = '1s'\n{BY_COLUMN}"));
    let address = mute.local_addr().expect("an address");
    flow.text = flow
        .text
        .replace(&service.url(), &format!("http://{address}/"));
    let (reason, _) = Driven::open(flow.source(), None).trouble();
    assert!(
        reason.contains("no whole answer within 1s") && reason.contains("raise timeout"),
        "{reason}"
    );
}

#[test]
fn without_a_key_a_later_page_that_is_refused_says_what_would_help() {
    let request = "<w:List xmlns:w=\"urn:example:wms\"><Page>{{ token }}</Page></w:List>";
    let refused = crate::fault::Fault::sender("the page has ended");
    let refused = Served::new(500, refused.written(crate::envelope::Version::V11));
    let service = Service::one_by_one(vec![page([1], "old"), refused]);
    let flow = Flow::new(
        &service,
        request,
        "[pages]\nby = 'token'\npath = 'w:Next'\n",
    );
    let mut source = Driven::open(flow.source(), None);
    assert_eq!(ids(&source.next().expect("a batch")), ["mv-001"]);
    let (reason, after) = source.trouble();
    assert!(
        reason.contains("with a key its cycle could begin again"),
        "{reason}"
    );
    assert_eq!(after.as_secs(), 15 * 60);
}

#[test]
fn a_large_packed_answer_is_unpacked_within_its_limit() {
    let movements: Vec<_> = (1..=5_000).map(movement).collect();
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer
        .write_all(answer(&movements, "").as_bytes())
        .expect("it is packed");
    let served =
        Served::new(200, packer.finish().expect("it is packed")).with("Content-Encoding", "gzip");
    let (reason, _) = trouble(served.clone(), "limits = { message_bytes_max = '100KiB' }");
    assert!(reason.contains("larger than 100"), "{reason}");
    let service = Service::one_by_one(vec![served, page([], "")]);
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let mut agent = Agent::open(Box::new(
        flow.source()
            .hurried(std::time::Duration::from_millis(1), 1_000),
    ));
    agent.finish(5_000, dray_adapter::conformance::Pace::default());
    assert_eq!(agent.log.len(), 5_000);
    assert!(flow.path().join("own").is_dir(), "it was kept in a file");
}

#[test]
fn an_answer_whose_records_are_too_much_with_a_value_from_around_them_is_not_taken() {
    let movements: Vec<_> = (1..=40).map(movement).collect();
    let note = format!("<w:Note>{}</w:Note>\n<w:Movement>", "x".repeat(60_000));
    let long = answer(&movements, "").replacen("<w:Movement>", &note, 1);
    let taken = |more: &str| {
        let service = Service::one_by_one(vec![Served::new(200, long.clone())]);
        let mut flow = Flow::new(&service, SINCE, &format!("{more}\n{BY_COLUMN}"));
        flow.text = flow.text.replace("ID = ", "NOTE = '../w:Note', ID = ");
        Driven::open(flow.source(), None).next()
    };
    assert!(taken("").is_ok());
    let (reason, _) = taken("limits = { records_bytes_max = '2MiB' }").expect_err("too much");
    assert!(reason.contains("limits.records_bytes_max"), "{reason}");
}

#[test]
fn a_request_says_who_asks_and_what() {
    let service = Service::one_by_one(vec![page([1], "")]);
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let password = flow.path().join("password");
    std::fs::write(&password, "s3cret\n").expect("a file");
    let account = format!("user = 'wms', password_file = '{}'", password.display());
    for soap in ["1.1", "1.2"] {
        let settings = format!(
            "soap = '{soap}'\naddressing = true\nbasic = {{ {account} }}\nusername_token = {{ {account}, timestamp = '5m' }}\n{BY_COLUMN}"
        );
        let flow = Flow::new(&service, SINCE, &settings);
        Driven::open(flow.source(), None).next().expect("a batch");
        let asked = service.asked().pop().expect("a request");
        let action = (asked.header("soapaction"), asked.header("content-type"));
        match soap {
            "1.1" => assert_eq!(
                action,
                (
                    Some("\"urn:example:wms/List\""),
                    Some("text/xml; charset=utf-8")
                )
            ),
            _ => assert_eq!(
                action,
                (
                    None,
                    Some("application/soap+xml; charset=utf-8; action=\"urn:example:wms/List\"")
                )
            ),
        }
        assert_eq!(
            asked.header("authorization"),
            Some("Basic d21zOnMzY3JldA==")
        );
        for part in [
            "<o:Username>wms</o:Username>",
            "#PasswordDigest",
            "<u:Expires>",
            "<a:MessageID",
            "<Since>0</Since>",
        ] {
            assert!(asked.body.contains(part), "{part}: {}", asked.body);
        }
        assert!(!asked.body.contains("s3cret"));
        let findings = flow.config().check();
        assert!(
            findings.iter().any(
                |found| matches!(found, Finding::Warning(text) if text.contains("clear text"))
            ),
            "{findings:?}"
        );
    }
}

#[test]
fn a_reference_that_nothing_explains_makes_one_dead_letter() {
    let text = answer(&[movement(1), movement(2), movement(3)], "");
    let text = text.replace("mv-002<", "mv-002&nbsp;<");
    let service = Service::one_by_one(vec![Served::new(200, text), page([], "")]);
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let mut source = Driven::open(flow.source(), None);
    let (first, second) = (source.next(), source.next());
    let batches = [first.expect("a batch"), second.expect("a batch")];
    let found: Vec<_> = batches.iter().flat_map(ids).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    let rejects: Vec<_> = batches.iter().flat_map(|batch| &batch.rejects).collect();
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    assert!(rejects[0].reason.contains("&nbsp; stands for nothing"));
    assert!(rejects[0].raw.starts_with(b"<w:Movement"));
}

#[test]
fn what_becomes_of_requests_is_counted() {
    let gone = |text: &str| Served::new(503, text);
    for (served, expected) in [
        (page([1], ""), CallOutcome::Answered),
        (Served::new(401, "who?"), CallOutcome::Refused),
        (gone("later"), CallOutcome::Away),
        (Served::new(200, "<html/>"), CallOutcome::Unreadable),
    ] {
        let service = Service::one_by_one(vec![served, gone("that was all")]);
        let flow = Flow::new(&service, SINCE, BY_COLUMN);
        let mut source = Driven::open(flow.source(), None);
        let trouble = source.next().err();
        let counts = source.source.calls().expect("it makes calls").counts();
        let seen = counts.iter().find(|one| one.count > 0).expect("one call");
        assert_eq!((seen.outcome, seen.count), (expected, 1));
        let reason = seen.last.as_ref().map(|last| last.reason.clone());
        let said = trouble.map(|(reason, _)| reason);
        assert!(
            said.as_ref()
                .is_none_or(|said| said.starts_with(&reason.clone().unwrap_or_default())),
            "{said:?}: {reason:?}"
        );
        assert_eq!(said.is_none(), reason.is_none());
    }
}

#[test]
fn a_secret_that_is_echoed_is_not_shown() {
    let service = Service::new(|asked| Served::new(500, asked.body.clone()));
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let password = flow.path().join("password");
    std::fs::write(&password, "s3cret\n").expect("a file");
    let settings = format!(
        "username_token = {{ user = 'wms', password_file = '{}', text = true }}\n{BY_COLUMN}",
        password.display()
    );
    let flow = Flow::new(&service, SINCE, &settings);
    let (reason, _) = Driven::open(flow.source(), None).trouble();
    assert!(
        reason.contains("***") && !reason.contains("s3cret"),
        "{reason}"
    );
}

#[test]
fn a_page_that_changed_while_it_was_taken_brings_each_record_once() {
    let service = Service::one_by_one(vec![
        page([2, 3, 4, 5, 6], ""),
        page([1, 2, 3, 4, 5, 6], ""),
        page([], ""),
    ]);
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let mut agent = Agent::open(Box::new(flow.source()));
    while !agent.append() {
        agent.poll();
    }
    assert_eq!(agent.log.len(), 2);
    agent.reopen(Box::new(flow.source()));
    agent.finish(6, dray_adapter::conformance::Pace::default());
    agent.nothing_more("each came once");
    assert_eq!(
        service.asked()[1].value("Since"),
        "0",
        "the watermark waits for the whole page"
    );
}

#[test]
fn a_later_page_that_is_refused_begins_the_cycle_again() {
    let request = "<w:List xmlns:w=\"urn:example:wms\"><Since>{{ watermark }}</Since><Page>{{ token }}</Page></w:List>";
    let service = Service::one_by_one(vec![
        page([1, 2], "old"),
        Served::new(
            500,
            crate::fault::Fault::sender("the page has ended")
                .written(crate::envelope::Version::V11),
        ),
        page([1, 2], "new"),
        page([3], ""),
    ]);
    let flow = Flow::new(
        &service,
        request,
        &format!("{BY_COLUMN}[pages]\nby = 'token'\npath = 'w:Next'\n"),
    );
    let mut source = Driven::open(flow.source(), None);
    assert_eq!(ids(&source.next().expect("a batch")), ["mv-001", "mv-002"]);
    let (reason, after) = source.trouble();
    assert!(
        reason.contains("asked for again") && after.as_secs() <= 1,
        "{reason}"
    );
    assert_eq!(
        ids(&source.after_trouble()),
        ["mv-003"],
        "the first page came already"
    );
    let tokens: Vec<String> = service
        .asked()
        .iter()
        .map(|asked| asked.value("Page").to_owned())
        .collect();
    assert_eq!(tokens[..4], ["", "old", "", "new"]);
}

#[test]
fn a_saved_answer_is_previewed_as_it_would_be_taken() {
    let service = Service::one_by_one(vec![page([], "")]);
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let file = flow.path().join("saved.xml");
    let preview = |text: &[u8]| {
        std::fs::write(&file, text).expect("a file");
        flow.config().preview("site/flow", &file, 10)
    };
    let batches = preview(answer(&[movement(1), movement(2)], "").as_bytes()).expect("records");
    assert_eq!(
        batches.iter().flat_map(ids).collect::<Vec<_>>(),
        ["mv-001", "mv-002"]
    );
    // Parts, as their body alone and with the head that curl -i writes; and packed.
    let message = answer(&[movement(1)], "");
    let parts = format!("--b\r\nContent-ID: <r>\r\n\r\n{message}\r\n--b--\r\n");
    let related = "multipart/related; type=\"application/xop+xml\"; start=\"<r>\"; boundary=b";
    let head = |of: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: {of}\r\n\r\n");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(message.as_bytes()).expect("memory");
    for saved in [
        parts.clone().into_bytes(),
        (head(related) + &parts).into_bytes(),
        (head("text/xml") + &message).into_bytes(),
        gzip.finish().expect("memory"),
    ] {
        let batches = preview(&saved).expect("records");
        assert_eq!(batches.iter().flat_map(ids).collect::<Vec<_>>(), ["mv-001"]);
    }
    for (text, expected) in [
        (body(""), "Body is empty"),
        (parts.replace("--b--", ""), "the last part is not closed"),
        (
            head("text/xml").replace("200 OK", "503 Away") + "<html/>",
            "503",
        ),
        ("HTTP/1.1 200 OK\r\n".into(), "its head has no end"),
        (
            crate::fault::Fault::sender("no").written(crate::envelope::Version::V11),
            "fault Client",
        ),
        ("<html/>".into(), "save the service's answer, whole"),
        (answer(&[], ""), "no record stands at record = \""),
    ] {
        let wrong = preview(text.as_bytes())
            .map(|batches| batches.len())
            .expect_err(expected);
        assert!(wrong.contains(expected), "{wrong}");
    }
}

#[test]
fn an_answer_in_which_no_record_is_found_is_told_from_one_that_holds_nothing() {
    let other = answer(&[movement(1)], "").replace("Movement>", "Item>");
    let served = [
        Served::new(200, other),
        Served::new(200, answer(&[], "")),
        Served::new(503, "that was all"),
    ];
    let service = Service::one_by_one(served.into());
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let mut source = Driven::open(flow.source(), None);
    source.trouble();
    let counts = source.source.calls().expect("it makes calls").counts();
    let empty = counts.iter().find(|one| one.outcome == CallOutcome::Empty);
    let empty = empty.expect("it is counted");
    assert_eq!(empty.count, 2);
    let last = empty.last.as_ref().expect("the first is noted");
    let expected =
        "no record stands at record = \"w:Movement\"; below the root stand: Item/Id, Item/Qty";
    assert!(last.reason.starts_with(expected), "{}", last.reason);
}
