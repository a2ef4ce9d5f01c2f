//! Scenarios of the design's note, by number.

use std::collections::BTreeSet;

use dray_adapter::conformance::{Agent, Pace, PolledOnce, shown};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::messages::{answer, body, fault, movement, page};
use super::service::{Asked, Served, Service};
use super::{Driven, Flow, ids};
use crate::fault::Fault;

const SINCE: &str = "<w:List xmlns:w=\"urn:example:wms\"><Since>{{ watermark }}</Since></w:List>";
const BY_TOKEN: &str = "<w:List xmlns:w=\"urn:example:wms\"><Since>{{ watermark }}</Since><Page>{{ token }}</Page></w:List>";
const BY_COLUMN: &str = "key = 'ID'\n[watermark]\ncolumn = 'SEQ'\nstart = '0'\n";
const TOKEN: &str = "[pages]\nby = 'token'\npath = 'w:Next'\n";

/// As spyne's in tests/peers: at or behind the watermark, three a second, the next page's number as a token.
fn like_spyne(asked: &Asked, total: u64) -> Served {
    let since: Timestamp = asked.value("Since").parse().expect("a time");
    let start: Timestamp = "2024-01-01T00:00:00Z".parse().expect("a time");
    let first = u64::try_from(since.duration_since(start).as_secs()).unwrap_or(0) * 3;
    let page: u64 = asked.value("Page").parse().unwrap_or(1);
    let from = first + (page - 1) * 7;
    let to = (from + 7).min(total);
    let next = if to < total && from < to {
        (page + 1).to_string()
    } else {
        String::new()
    };
    let mut records = String::new();
    for number in from..to {
        let moved = start
            .saturating_add(std::time::Duration::from_secs(number / 3))
            .expect("a time");
        records += &format!("<w:Movement><w:Id>{number}</w:Id><w:Seq>{moved}</w:Seq></w:Movement>");
    }
    let last = start
        .saturating_add(std::time::Duration::from_secs(to.saturating_sub(1) / 3))
        .expect("a time");
    let watermark = if from < to { last } else { since };
    Served::new(
        200,
        body(&format!(
            "<w:ListResponse xmlns:w=\"urn:example:wms\">{records}<w:Next>{next}</w:Next><w:Mark>{watermark}</w:Mark></w:ListResponse>"
        )),
    )
}

#[test]
fn scenario_14_watermark_and_pages_go_on_across_restarts() {
    const TOTAL: u64 = 100;
    let service = Service::new(|asked| like_spyne(asked, TOTAL));
    let settings = format!(
        "key = 'ID'\n[watermark]\npath = 'w:Mark'\nstart = '2024-01-01T00:00:00Z'\noverlap = '2s'\n{TOKEN}"
    );
    let flow = Flow::new(&service, BY_TOKEN, &settings);
    let mut agent = Agent::open(Box::new(flow.source()));
    let mut polled = 0;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while agent.log.len() < TOTAL as usize {
        assert!(
            std::time::Instant::now() < end,
            "stuck at {:?}, {} requests: {:?}",
            agent.position,
            service.asked().len(),
            service.asked().last()
        );
        if agent.poll() == PolledOnce::Batch {
            polled += 1;
        }
        agent.append();
        if polled % 3 == 2 {
            agent.reopen(Box::new(flow.source()));
            polled += 1;
        }
    }
    agent.nothing_more("all of it came");
    let found: BTreeSet<&str> = shown(&agent.log)
        .iter()
        .map(|text| text.split(['|', ' ']).nth(1).unwrap_or_default())
        .collect();
    assert_eq!(found.len(), TOTAL as usize, "each once");
}

#[test]
fn scenario_15_a_page_that_repeats_a_record_is_one_event() {
    for behind in [0, 1] {
        let service = Service::one_by_one(vec![
            page([1, 2, 3, 2], "b"),
            page([3, 4, 1], "c"),
            page([5], ""),
            page([], ""),
        ]);
        let flow = Flow::new(&service, BY_TOKEN, &format!("{BY_COLUMN}{TOKEN}"));
        let mut agent = Agent::open(Box::new(flow.source()));
        let pace = Pace {
            append_behind: behind,
            commit_behind: behind,
            ..Pace::default()
        };
        agent.finish(5, pace);
        agent.nothing_more("each came once");
        let cells: Vec<&str> = shown(&agent.log)
            .iter()
            .filter_map(|text| text.split(' ').nth(1))
            .collect();
        assert_eq!(
            cells,
            [
                "mv-001|1|1",
                "mv-002|2|2",
                "mv-003|3|3",
                "mv-004|4|4",
                "mv-005|5|5"
            ]
        );
    }
}

#[test]
fn scenario_16_a_fault_of_the_client_waits_for_a_person_and_one_of_the_server_for_a_while() {
    let service = Service::one_by_one(vec![
        fault(&Fault::receiver("the database is away")),
        page([1], ""),
        fault(&Fault::sender("no such warehouse")),
    ]);
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let mut source = Driven::open(flow.source(), None);
    let (reason, after) = source.trouble();
    assert!(
        reason.contains("fault Server: \"the database is away\""),
        "{reason}"
    );
    assert!(after.as_secs_f64() <= 1.0, "{after:?}");
    assert_eq!(ids(&source.after_trouble()), ["mv-001"]);
    let (reason, after) = source.trouble();
    assert!(
        reason.contains("fault Client: \"no such warehouse\"") && reason.contains("template"),
        "{reason}"
    );
    assert_eq!(after.as_secs(), 15 * 60);
    let (again, after) = source.trouble();
    assert!(
        again == reason && after.as_secs() > 14 * 60,
        "it is not asked again: {after:?}"
    );
    assert_eq!(service.asked().len(), 3);
}

/// Answers that are none leave everything where it was: the same is asked for again.
fn moves_nothing(wrong: Served, expected: &str) {
    let service = Service::one_by_one(vec![page([1, 2], ""), wrong, page([3], "")]);
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let mut source = Driven::open(flow.source(), None);
    assert_eq!(ids(&source.next().expect("a batch")), ["mv-001", "mv-002"]);
    // The end of the page, where the watermark stands.
    let end = source.next().expect("its end").position;
    let (reason, after) = source.trouble();
    assert!(reason.contains(expected), "{expected}: {reason}");
    assert!(after.as_secs_f64() <= 1.0, "{after:?}");
    assert_eq!(ids(&source.after_trouble()), ["mv-003"], "{expected}");
    let asked: Vec<String> = service
        .asked()
        .iter()
        .map(|asked| asked.value("Since").to_owned())
        .collect();
    assert_eq!(asked[..3], ["0", "2", "2"], "{expected}");
    let service = Service::one_by_one(vec![page([3], "")]);
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let mut source = Driven::open(flow.source(), Some(end));
    assert_eq!(ids(&source.next().expect("a batch")), ["mv-003"]);
    assert_eq!(service.asked()[0].value("Since"), "2");
}

#[test]
fn scenario_17_an_empty_body_moves_nothing() {
    moves_nothing(
        Served::new(200, body("")),
        "Body is empty, where w:ListResponse should be",
    );
    moves_nothing(Served::new(200, ""), "no SOAP message");
}

#[test]
fn scenario_18_a_page_of_html_moves_nothing() {
    let html = "<html><head><title>502 Bad Gateway</title></head><body><hr></body></html>";
    let html = |status| Served::new(status, html).with("Content-Type", "text/html");
    moves_nothing(html(502), "HTTP 502: \"502 Bad Gateway\"");
    moves_nothing(html(200), "it begins \"502 Bad Gateway\"");
}

#[test]
fn scenario_19_an_answer_of_several_parts_is_read() {
    let include =
        "<x:Include xmlns:x=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:a%40b\"/>";
    let message = body(&format!(
        "<w:ListResponse xmlns:w=\"urn:example:wms\"><w:Movement><w:Id>{include}</w:Id><w:Seq>7</w:Seq></w:Movement></w:ListResponse>"
    ));
    let parts = format!(
        "--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <root>\r\n\r\n{message}\r\n--b\r\nContent-ID: <a@b>\r\nContent-Transfer-Encoding: binary\r\n\r\nlabel\r\n--b--\r\n"
    );
    let kind = "multipart/related; type=\"application/xop+xml\"; start=\"<root>\"; boundary=b";
    let service = Service::one_by_one(vec![Served::new(200, parts).with("Content-Type", kind)]);
    let flow = Flow::new(&service, SINCE, BY_COLUMN);
    let mut source = Driven::open(flow.source(), None);
    assert_eq!(ids(&source.next().expect("a batch")), ["bGFiZWw="]);
}

#[test]
fn scenario_20_a_service_whose_clock_is_behind_is_asked_from_its_own_time_on() {
    const BEHIND: i64 = 300;
    let service = Service::new(|asked| {
        let served = Timestamp::now()
            .saturating_sub(jiff::SignedDuration::from_secs(BEHIND))
            .expect("a time");
        let date = rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&served)
            .expect("a date");
        let number = if asked.value("Since").starts_with("2020") {
            1
        } else {
            2
        };
        Served::new(200, answer(&[movement(number)], "")).with("Date", date)
    });
    let request = "<w:List xmlns:w=\"urn:example:wms\"><Since>{{ since }}</Since><Until>{{ until }}</Until></w:List>";
    let flow = Flow::new(
        &service,
        request,
        "key = 'ID'\n[watermark]\nby_time = true\nstart = '2020-01-01T00:00:00Z'\nlag = '20s'\n",
    );
    let mut source = Driven::open(flow.source(), None);
    assert_eq!(ids(&source.next().expect("a batch")), ["mv-001"]);
    assert_eq!(ids(&source.next().expect("a batch")), ["mv-002"]);
    let asked = service.asked();
    let until: Timestamp = asked[0].value("Until").parse().expect("a time");
    let since: Timestamp = asked[1].value("Since").parse().expect("a time");
    let back = until.duration_since(since).as_secs();
    assert!((BEHIND - 5..BEHIND + 5).contains(&back), "{back}");
}
