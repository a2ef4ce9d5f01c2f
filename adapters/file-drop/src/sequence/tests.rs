//! Tables: files come one after the other, and what becomes of each.

use std::ffi::OsStr;

use dray_formats::{Account, FormatConfig};
use jiff::Timestamp;

use super::*;

const HOUR: i64 = 3_600_000_000;

fn rules(last: Option<u64>, hold: bool) -> Rules {
    Rules {
        first: 1,
        last,
        hold_us: hold.then_some(HOUR),
    }
}

fn number(day: u32, value: u64) -> Number {
    Number {
        sender: 0,
        day,
        value,
    }
}

fn spoken(verdict: Verdict) -> String {
    match verdict {
        Verdict::Hold(missing) => format!("waits for {}", shown(missing.from, missing.to, 1)),
        Verdict::Gap { from, to } => format!("missing {from}-{to}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// A file comes at a time in minutes: what is said of it, step by step, until it is taken or waits.
fn come(state: &mut State, rules: &Rules, number: Number, minutes: i64) -> String {
    let now_us = minutes * 60_000_000;
    let mut said = Vec::new();
    loop {
        let verdict = state.look(rules, &number, &BTreeSet::new(), now_us);
        said.push(spoken(verdict));
        match verdict {
            Verdict::Gap { from, to } => {
                state.miss(rules, &number, (from, to), now_us);
            }
            Verdict::Hold(_) | Verdict::Behind => break,
            _ => {
                state.take(rules, &number);
                break;
            }
        }
        // What is encoded is what is known.
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        assert_eq!(State::decode(&bytes).as_ref(), Some(&*state));
    }
    said.join(", ")
}

fn check(rules: Rules, steps: &[(u32, u64, i64, &str)]) {
    let mut state = State::default();
    for (day, value, minutes, expected) in steps {
        let said = come(&mut state, &rules, number(*day, *value), *minutes);
        assert_eq!(
            said, *expected,
            "{day} {value} in minute {minutes}: {steps:?}"
        );
    }
}

#[test]
fn numbers_follow_one_another_from_whichever_comes_first() {
    check(
        rules(None, false),
        &[
            (0, 4_711, 0, "next"),
            (0, 4_712, 0, "next"),
            (0, 4_712, 0, "again"),
            (0, 4_700, 0, "again"),
            (0, 4_713, 0, "next"),
        ],
    );
}

#[test]
fn a_gap_is_told_once_and_closed_by_the_late_filler() {
    check(
        rules(None, false),
        &[
            (0, 6, 0, "next"),
            (0, 8, 1, "missing 7-7, next"),
            (0, 9, 2, "next"),
            (0, 7, 3, "late"),
            (0, 7, 4, "again"),
            (0, 10, 5, "next"),
            (0, 20, 6, "missing 11-19, next"),
            (0, 15, 7, "late"),
            (0, 15, 8, "again"),
            (0, 11, 9, "late"),
            (0, 19, 9, "late"),
            (0, 22, 9, "missing 21-21, next"),
        ],
    );
}

#[test]
fn later_files_wait_for_the_filler_and_keep_their_order() {
    check(
        rules(None, true),
        &[
            (0, 6, 0, "next"),
            (0, 9, 1, "missing 7-8, waits for 7 to 8"),
            (0, 10, 2, "waits for 7 to 8"),
            (0, 8, 3, "waits for 7"),
            (0, 7, 4, "late"),
            (0, 9, 4, "waits for 8"),
            (0, 8, 4, "late"),
            (0, 9, 4, "next"),
            (0, 10, 4, "next"),
        ],
    );
}

#[test]
fn files_go_on_when_they_waited_long_enough_and_the_gap_stays_open() {
    check(
        rules(None, true),
        &[
            (0, 6, 0, "next"),
            (0, 8, 1, "missing 7-7, waits for 7"),
            (0, 8, 60, "waits for 7"),
            (0, 8, 61, "next"),
            (0, 7, 90, "late"),
            (0, 9, 90, "next"),
        ],
    );
}

#[test]
fn a_file_does_not_miss_one_that_is_here_and_waits() {
    let rules = rules(None, true);
    let mut state = State::default();
    state.take(&rules, &number(0, 6));
    let here = BTreeSet::from([number(0, 8)]);
    assert_eq!(state.look(&rules, &number(0, 9), &here, 0), Verdict::Behind);
    assert_eq!(state.look(&rules, &number(0, 7), &here, 0), Verdict::Next);
}

#[test]
fn after_the_last_number_the_first_follows() {
    check(
        rules(Some(9_999), false),
        &[
            (0, 9_998, 0, "next"),
            (0, 9_999, 0, "next"),
            (0, 1, 0, "next"),
            (0, 9_999, 0, "again"),
            (0, 3, 0, "missing 2-2, next"),
            (0, 2, 0, "late"),
            (0, 10_000, 0, "outside"),
            (0, 0, 0, "outside"),
        ],
    );
    check(
        rules(Some(9_999), false),
        &[
            (0, 9_997, 0, "next"),
            (0, 2, 0, "missing 9998-1, next"),
            (0, 9_999, 0, "late"),
            (0, 1, 0, "late"),
            (0, 9_998, 0, "late"),
            (0, 9_998, 0, "again"),
        ],
    );
}

#[test]
fn each_day_begins_anew_and_a_day_before_can_still_be_completed() {
    check(
        rules(None, false),
        &[
            (20_261_123, 41, 0, "next"),
            (20_261_123, 43, 0, "missing 42-42, next"),
            (20_261_124, 1, 0, "next"),
            (20_261_123, 44, 0, "next"),
            (20_261_123, 42, 0, "late"),
            (20_261_124, 2, 0, "next"),
            (20_261_125, 2, 0, "missing 1-1, next"),
            (20_261_101, 7, 0, "next"),
            (20_261_124, 2, 0, "again"),
        ],
    );
}

#[test]
fn what_is_known_is_bounded() {
    let rules = rules(None, false);
    let mut state = State::default();
    let mut forgotten = Vec::new();
    for value in (1..400).step_by(2) {
        let number = number(0, value);
        if let Verdict::Gap { from, to } = state.look(&rules, &number, &BTreeSet::new(), 0) {
            forgotten.extend(state.miss(&rules, &number, (from, to), 0).1);
        }
        state.take(&rules, &number);
    }
    assert_eq!(state.missing().len(), MISSING_MAX);
    assert_eq!(forgotten.len(), 199 - MISSING_MAX, "each is told");
    for sender in 0..1_000 {
        let number = Number {
            sender,
            ..number(0, 5)
        };
        state.take(&rules, &number);
    }
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    assert!(bytes.len() <= 3_700, "{}", bytes.len());
    assert_eq!(State::decode(&bytes), Some(state));
    for cut in 1..bytes.len() {
        assert_eq!(State::decode(&bytes[..cut]), None, "cut after {cut}");
    }
}

fn config(settings: &str) -> SequenceConfig {
    toml::from_str(settings).expect(settings)
}

/// The day and the number of a file.
fn of(settings: &str, name: &str, modified: &str) -> Result<(u32, u64), String> {
    let watch = config(settings).compile().expect(settings);
    let modified: Timestamp = modified.parse().expect(modified);
    let name = OsStr::new(name);
    let found = watch.numbers(name, modified.as_microsecond(), &Account::default())?;
    Ok((found[0].number.day, found[0].number.value))
}

#[test]
fn scenario_19_a_day_ends_at_the_sites_midnight_also_when_clocks_change() {
    let chicago = "pattern = 'SHP_(\\d{4})'\nresets = \"daily\"\ntime_zone = \"America/Chicago\"\n";
    for (modified, day) in [
        // In summer midnight is 05:00 UTC, in winter 06:00.
        ("2026-10-31T04:59:59Z", 20_261_030),
        ("2026-10-31T05:00:00Z", 20_261_031),
        // On the first of November the clocks go back: the day has 25 hours.
        ("2026-11-01T04:59:59Z", 20_261_031),
        ("2026-11-01T05:00:00Z", 20_261_101),
        ("2026-11-02T05:59:59Z", 20_261_101),
        ("2026-11-02T06:00:00Z", 20_261_102),
        // On the eighth of March they go forward: it has 23.
        ("2026-03-08T05:59:59Z", 20_260_307),
        ("2026-03-08T06:00:00Z", 20_260_308),
        ("2026-03-09T04:59:59Z", 20_260_308),
        ("2026-03-09T05:00:00Z", 20_260_309),
    ] {
        assert_eq!(
            of(chicago, "SHP_0007.txt", modified),
            Ok((day, 7)),
            "{modified}"
        );
    }
    let named = "pattern = 'SHP_(?<date>\\d{8})_(\\d{4})'\nresets = \"daily\"\n";
    let name = "SHP_20261031_0012.txt";
    assert_eq!(
        of(named, name, "2026-11-02T12:00:00Z"),
        Ok((20_261_031, 12))
    );
}

#[test]
fn what_has_no_number_is_told_in_a_sentence() {
    let settings = "pattern = 'SHP_(?:\\d{8})_([0-9A-Z]+)'\n";
    let modified = "2026-11-02T12:00:00Z";
    for (name, words) in [
        ("OTHER.txt", "does not fit the pattern"),
        ("SHP_20261031_00A1.txt", "\"00A1\" is no number"),
        ("SHP_20261031_1234567890123456789.txt", "is no number"),
    ] {
        let said = of(settings, name, modified).expect_err(name);
        assert!(said.contains(words), "{said}");
    }
    let dated = "pattern = '(?<date>\\d{8})_(\\d+)'\nresets = \"daily\"\n";
    let said = of(dated, "20261332_1.txt", modified).expect_err("there is no such day");
    assert!(said.contains("20261332 in its name is no date"), "{said}");
}

#[test]
fn settings_that_cannot_be_are_refused_in_words() {
    let csv: FormatConfig = toml::from_str("kind = \"csv\"").expect("a format");
    let x12: FormatConfig = toml::from_str("kind = \"x12\"").expect("a format");
    for (settings, format, setting, words) in [
        ("", &csv, "pattern", "needs one of"),
        (
            "pattern = '(\\d+)'\nfrom = \"interchange\"",
            &x12,
            "pattern",
            "needs one of",
        ),
        ("pattern = '('", &csv, "pattern", "no regular expression"),
        ("pattern = 'A\\d+'", &csv, "pattern", "0 groups"),
        ("pattern = '(\\d+)_(\\d+)'", &csv, "pattern", "2 groups"),
        (
            "pattern = '(?<date>\\d{8})_(\\d+)'",
            &csv,
            "pattern",
            "resets = \"daily\"",
        ),
        (
            "from = \"interchange\"",
            &csv,
            "from",
            "only X12, EDIFACT and IDocs",
        ),
        (
            "from = \"interchange\"\nresets = \"daily\"",
            &x12,
            "resets",
            "leave it out",
        ),
        (
            "pattern = '(\\d+)'\nwrap_after = 1",
            &csv,
            "wrap_after",
            "larger than first",
        ),
        (
            "pattern = '(\\d+)'\ntime_zone = \"Chicago\"",
            &csv,
            "time_zone",
            "America/Chicago",
        ),
    ] {
        let faults = config(settings).faults(format);
        assert_eq!(faults.len(), 1, "{settings}: {faults:?}");
        assert_eq!(faults[0].0, setting, "{settings}");
        assert!(faults[0].1.contains(words), "{}", faults[0].1);
    }
    assert_eq!(config("from = \"interchange\"").faults(&x12), []);
}

#[test]
fn the_example_of_the_documentation_is_good() {
    let page = include_str!("../../../../docs/files.md");
    let (_, rest) = page
        .split_once("[flow.source.sequence]\n")
        .expect("an example");
    let example = rest.split("```").next().expect("it ends");
    let csv: FormatConfig = toml::from_str("kind = \"csv\"").expect("a format");
    assert_eq!(config(example).faults(&csv), []);
    assert_eq!(
        of(example, "SHP_20261123_0007.txt", "2026-11-24T12:00:00Z"),
        Ok((20_261_123, 7))
    );
}
