use jiff::Timestamp;

use super::config::{PagesConfig, WatermarkConfig};
use super::place::Place;
use super::plan::{Ask, Facts, Plan};
use super::watermark::{Rule, TakenFrom};

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn now() -> Timestamp {
    at("2026-11-27T12:00:00Z")
}

fn rule(text: &str) -> Option<Rule> {
    let config: WatermarkConfig = toml::from_str(text).expect(text);
    let from = match (&config.column, &config.path) {
        (Some(_), _) => TakenFrom::Column(0),
        (None, Some(_)) => TakenFrom::Answer,
        (None, None) => TakenFrom::Window,
    };
    Some(Rule::new(&config, from).expect(text))
}

fn pages(text: &str) -> Option<PagesConfig> {
    Some(toml::from_str(text).expect(text))
}

const BY_COLUMN: &str = "column = 'AT'\nstart = '0'";
const BY_TOKEN: &str = "by = 'token'\npath = 'Next'";
const BY_NUMBER: &str = "by = 'number'\nsize = 2";

fn page(records: u64, content: &str, highest: &str, token: &str) -> Facts {
    Facts {
        records,
        content: content.into(),
        highest: Some(highest.to_owned()).filter(|text| !text.is_empty()),
        token: Some(token.to_owned()).filter(|text| !text.is_empty()),
        ..Facts::default()
    }
}

fn ask(plan: &mut Plan) -> Ask {
    plan.ask(now()).expect("a request")
}

fn since(plan: &mut Plan) -> String {
    ask(plan).window.expect("a window").since
}

/// Takes a page whole; whether the watermark moved.
fn take(plan: &mut Plan, facts: &Facts) -> bool {
    ask(plan);
    let turn = plan.answered(facts).expect("a page");
    plan.turn(&turn)
}

fn resumed(plan: &mut Plan, watermark: Option<Rule>, of_pages: Option<PagesConfig>) -> Plan {
    let place = Place::read(&plan.position()).expect("a place");
    Plan::new(watermark, of_pages, Some(place)).expect("it goes on")
}

#[test]
fn the_watermark_moves_with_the_last_page_alone() {
    let mut plan = Plan::new(rule(BY_COLUMN), pages(BY_TOKEN), None).expect("a plan");
    assert!(!take(&mut plan, &page(2, "a", "7", "t1")));
    assert_eq!(
        (ask(&mut plan).token.as_str(), since(&mut plan)),
        ("t1", "0".into())
    );
    assert!(!take(&mut plan, &page(2, "b", "12", "t2")));
    // The largest, wherever it stood.
    assert!(take(&mut plan, &page(1, "c", "9", "")));
    assert!(!plan.is_under_way());
    assert_eq!(
        (ask(&mut plan).token.as_str(), since(&mut plan)),
        ("", "12".into())
    );
    assert_eq!(plan.cycle(), 1);
}

#[test]
fn a_restart_goes_on_with_the_page_and_the_window_that_were_asked_for() {
    let watermark = "by_time = true\nstart = '2026-11-27T11:00:00Z'\noverlap = '5m'\nlag = '10s'";
    let mut plan = Plan::new(rule(watermark), pages(BY_TOKEN), None).expect("a plan");
    take(&mut plan, &page(2, "a", "", "t1"));
    let asked = ask(&mut plan);
    let window = asked.window.clone().expect("a window");
    assert_eq!(
        (&*window.since, &*window.until),
        ("2026-11-27T10:55:00Z", "2026-11-27T11:59:50Z")
    );
    let mut plan = resumed(&mut plan, rule(watermark), pages(BY_TOKEN));
    let later = plan.ask(at("2026-11-27T13:00:00Z")).expect("a request");
    assert_eq!(
        (later.window, later.token, later.page),
        (asked.window, asked.token, asked.page)
    );
    assert!(take(&mut plan, &page(0, "b", "", "")));
    let window = plan
        .ask(at("2026-11-27T13:00:00Z"))
        .expect("a request")
        .window
        .expect("a window");
    assert_eq!(
        (&*window.since, &*window.until),
        ("2026-11-27T11:54:50Z", "2026-11-27T12:59:50Z")
    );
}

#[test]
fn a_page_that_was_under_way_goes_on_where_its_content_is_the_same() {
    for (content, skip, differs) in [("same", 400, false), ("other", 0, true)] {
        let mut plan = Plan::new(rule(BY_COLUMN), None, None).expect("a plan");
        ask(&mut plan);
        let turn = plan.answered(&page(900, "same", "7", "")).expect("a page");
        assert_eq!((turn.skip, turn.differs), (0, false));
        let position = plan.within(&turn, 400);
        let again = plan.answered(&page(900, "same", "7", "")).expect("a page");
        assert_eq!(again.skip, 400, "it could not be read to its end");
        let place = Place::read(&position).expect("a place");
        let mut plan = Plan::new(rule(BY_COLUMN), None, Some(place)).expect("it goes on");
        ask(&mut plan);
        let turn = plan.answered(&page(900, content, "7", "")).expect("a page");
        assert_eq!((turn.skip, turn.differs), (skip, differs), "{content}");
        assert_eq!(plan.batch(), 1);
    }
}

#[test]
fn pages_by_number_end_with_one_that_is_not_full() {
    for (setting, sizes, expected) in [
        (BY_NUMBER, &[2, 2, 1][..], 3),
        (BY_NUMBER, &[2, 0], 2),
        ("by = 'number'", &[2, 1, 0], 3),
    ] {
        let mut plan = Plan::new(None, pages(setting), None).expect("a plan");
        for (number, size) in sizes.iter().enumerate() {
            let asked = ask(&mut plan).page.expect("a page");
            assert_eq!(asked.0, number as u64 + 1, "{setting}");
            take(&mut plan, &page(*size, &number.to_string(), "", ""));
            assert_eq!(
                plan.is_under_way(),
                number + 1 < expected,
                "{setting}: page {number}"
            );
        }
    }
    let mut plan = Plan::new(None, pages("by = 'number'\nfirst = 0"), None).expect("a plan");
    assert_eq!(ask(&mut plan).page, Some((0, None)));
}

#[test]
fn a_service_that_turns_pages_in_a_circle_is_told_and_one_that_begins_again_is_not() {
    let mut plan = Plan::new(None, pages(BY_TOKEN), None).expect("a plan");
    take(&mut plan, &page(1, "a", "", "t"));
    take(&mut plan, &page(1, "b", "", "u"));
    ask(&mut plan);
    let wrong = plan.answered(&page(1, "c", "", "t")).expect_err("a circle");
    assert!(wrong.contains("asked for already"), "{wrong}");
    assert!(plan.begin_again());
    take(&mut plan, &page(1, "a", "", "t"));
    take(&mut plan, &page(1, "b", "", ""));
    take(&mut plan, &page(1, "a", "", "t"));
}

#[test]
fn a_service_that_does_not_turn_pages_is_told_and_not_asked_for_ever() {
    let check = |setting: &str, first: &Facts, second: &Facts, expected: &str| {
        let mut plan = Plan::new(None, pages(setting), None).expect("a plan");
        take(&mut plan, first);
        let asked = ask(&mut plan);
        let wrong = plan.answered(second).expect_err(setting);
        assert!(wrong.contains(expected), "{wrong}");
        assert_eq!(ask(&mut plan), asked, "nothing moved");
    };
    check(
        BY_NUMBER,
        &page(2, "a", "", ""),
        &page(2, "a", "", ""),
        "page 2 holds the same",
    );
    check(
        BY_TOKEN,
        &page(2, "a", "", "t"),
        &page(2, "b", "", "t"),
        "names page \"t\" as the next one",
    );
    let few = format!("{BY_TOKEN}\npages_max = 2");
    check(
        &few,
        &page(2, "a", "", "t"),
        &page(2, "b", "", "u"),
        "raise pages.pages_max",
    );
}

#[test]
fn a_page_whose_token_has_ended_begins_its_cycle_again_once() {
    let mut plan = Plan::new(rule(BY_COLUMN), pages(BY_TOKEN), None).expect("a plan");
    ask(&mut plan);
    assert!(!plan.begin_again(), "the first page has no token");
    take(&mut plan, &page(2, "a", "7", "t1"));
    ask(&mut plan);
    assert!(plan.begin_again());
    assert_eq!(
        (ask(&mut plan).token.as_str(), since(&mut plan)),
        ("", "0".into())
    );
    take(&mut plan, &page(2, "a", "7", "t1"));
    assert!(!plan.begin_again(), "it would never end");
    take(&mut plan, &page(2, "b", "8", ""));
    take(&mut plan, &page(2, "c", "9", "t1"));
    assert!(plan.begin_again(), "it is another cycle");
}

#[test]
fn an_answer_without_its_watermark_moves_nothing() {
    let by_path = "path = 'W'\nstart = '0'";
    let with = |value: &str, records: u64| Facts {
        records,
        value: Some(value.to_owned()).filter(|text| !text.is_empty()),
        ..Facts::default()
    };
    let mut plan = Plan::new(rule(by_path), None, None).expect("a plan");
    ask(&mut plan);
    let wrong = |plan: &mut Plan, facts: &Facts| plan.answered(facts).expect_err("no watermark");
    assert!(wrong(&mut plan, &with("", 1)).contains("watermark.path"));
    assert!(wrong(&mut plan, &with("soon", 1)).contains("watermark.type"));
    assert!(!take(&mut plan, &with("", 0)), "nothing came");
    assert!(take(&mut plan, &with("5", 1)));
    assert!(!take(&mut plan, &with("4", 1)), "it never goes back");
    assert_eq!(since(&mut plan), "5");
    let mut plan = Plan::new(rule(BY_COLUMN), None, None).expect("a plan");
    ask(&mut plan);
    assert!(wrong(&mut plan, &page(1, "a", "", "")).contains("watermark.column"));
}

/// Scenario 20: a service whose clock is behind ours.
#[test]
fn a_window_ends_where_the_service_own_clock_leads() {
    let watermark = "by_time = true\nstart = '2026-11-27T11:00:00Z'\nlag = '10s'";
    for (served, expected) in [
        (Some("2026-11-27T11:57:00Z"), "2026-11-27T11:56:50Z"),
        (Some("2026-11-27T12:09:00Z"), "2026-11-27T11:59:50Z"),
        (Some("2026-11-27T10:00:00Z"), "2026-11-27T11:00:00Z"),
        (None, "2026-11-27T11:59:50Z"),
    ] {
        let mut plan = Plan::new(rule(watermark), None, None).expect("a plan");
        take(
            &mut plan,
            &Facts {
                served: served.map(at),
                ..Facts::default()
            },
        );
        assert_eq!(since(&mut plan), expected, "{served:?}");
    }
}

#[test]
fn what_a_changed_configuration_can_not_go_on_with_is_told_or_begun_again() {
    let mut plan = Plan::new(rule(BY_COLUMN), pages(BY_TOKEN), None).expect("a plan");
    take(&mut plan, &page(2, "a", "7", "t1"));
    for of_pages in [None, pages(BY_NUMBER)] {
        let mut plan = resumed(&mut plan, rule(BY_COLUMN), of_pages);
        assert!(!plan.is_under_way());
        assert_eq!(since(&mut plan), "0");
    }
    take(&mut plan, &page(2, "b", "8", ""));
    let place = Place::read(&plan.position()).expect("a place");
    let time = rule("column = 'AT'\nstart = '2026-01-01T00:00:00Z'");
    let wrong = Plan::new(time, None, Some(place)).expect_err("8 is no time");
    assert!(
        wrong.contains("\"8\"") && wrong.contains("another name"),
        "{wrong}"
    );
}
