//! Files whose numbers should follow one another.

use std::fs;
use std::time::{Duration, SystemTime};

use dray_adapter::FileOutcome;

use crate::support::{Drops, table};
use crate::telling::Runner;

const PASS: &str = "sequence = { pattern = 'SHP_(\\d{4})' }\n";
const HOLD: &str = "sequence = { pattern = 'SHP_(\\d{4})', gap = \"hold\" }\n";

fn put(drops: &Drops, number: u32) {
    let line = format!("A|{number}");
    drops.put(&format!("SHP_{number:04}.txt"), table(&[&line]));
}

/// The second cell of each record, in order: the number of its file.
fn sent(runner: &Runner) -> Vec<String> {
    let records = runner.told().into_iter();
    let sent =
        records.filter_map(|told| told.split_once(": A|").map(|(_, number)| number.to_owned()));
    sent.collect()
}

fn until_sent(runner: &mut Runner, numbers: &[&str]) {
    runner.until("they are sent", |runner| {
        sent(runner).len() >= numbers.len()
    });
    runner.rest();
    assert_eq!(sent(runner), numbers, "{:#?}", runner.told());
}

#[test]
fn scenario_18_a_missing_number_is_told_once_and_closed_by_its_late_file() {
    let drops = Drops::new(PASS);
    put(&drops, 6);
    let mut runner = Runner::open(&drops);
    until_sent(&mut runner, &["6"]);
    put(&drops, 8);
    until_sent(&mut runner, &["6", "8"]);
    assert_eq!(runner.letters().len(), 1);
    let letter = runner.letters()[0];
    for word in ["0007 is missing", "SHP_0008.txt", "Ask the sender"] {
        assert!(letter.contains(word), "{letter}");
    }
    runner.reopen(&drops);
    put(&drops, 9);
    put(&drops, 7);
    runner.until("both are sent", |runner| sent(runner).len() == 4);
    runner.rest();
    assert_eq!(runner.letters().len(), 1, "it is told once");
    let late = runner
        .reports()
        .into_iter()
        .find(|report| !report.reason.is_empty());
    assert_eq!(
        late.map(|report| report.reason.as_str()),
        Some("0007 was missing, and came late")
    );
    put(&drops, 10);
    runner.until("it is sent", |runner| sent(runner).len() == 5);
    assert_eq!(runner.letters().len(), 1, "the gap is closed");
}

#[test]
fn scenario_18_later_files_wait_for_the_missing_one_and_keep_their_order() {
    let drops = Drops::new(HOLD);
    put(&drops, 6);
    let mut runner = Runner::open(&drops);
    until_sent(&mut runner, &["6"]);
    put(&drops, 8);
    put(&drops, 9);
    runner.until("they wait", |runner| runner.waits.is_some());
    runner.rest();
    assert_eq!(sent(&runner), ["6"]);
    let waits = runner.waits.clone().expect("they wait");
    for word in [
        "0007 is missing",
        "SHP_0008.txt and 1 more wait",
        "gap = \"pass\"",
    ] {
        assert!(waits.contains(word), "{waits}");
    }
    runner.reopen(&drops);
    runner.until("they wait again", |runner| runner.waits.is_some());
    runner.rest();
    assert_eq!(
        (sent(&runner), runner.letters().len()),
        (vec!["6".to_owned()], 1)
    );
    put(&drops, 10);
    put(&drops, 7);
    until_sent(&mut runner, &["6", "7", "8", "9", "10"]);
    assert_eq!((runner.letters().len(), runner.waits.clone()), (1, None));
}

#[test]
fn what_waited_long_enough_is_sent_and_says_so() {
    let hold = HOLD.replace("\"hold\"", "\"hold\", hold_max = \"200ms\"");
    let drops = Drops::new(&hold);
    put(&drops, 6);
    put(&drops, 8);
    put(&drops, 9);
    let mut runner = Runner::open(&drops);
    until_sent(&mut runner, &["6", "8", "9"]);
    let reasons: Vec<&str> = runner
        .reports()
        .iter()
        .map(|report| report.reason.as_str())
        .collect();
    assert_eq!(
        reasons[..2],
        ["", "it waited for 0007, which did not come in time"]
    );
    assert_eq!(runner.letters().len(), 1);
    put(&drops, 7);
    until_sent(&mut runner, &["6", "8", "9", "7"]);
    let last = runner.reports().last().map(|report| report.reason.clone());
    assert_eq!(last.as_deref(), Some("0007 was missing, and came late"));
}

#[test]
fn a_death_at_any_moment_tells_a_gap_once_and_loses_no_number() {
    for settings in [PASS, HOLD] {
        for killed_after in 0..8 {
            let drops = Drops::new(settings);
            for number in [5, 6, 8, 9] {
                put(&drops, number);
            }
            let mut runner = Runner::open(&drops);
            let first = if settings == PASS { 5 } else { 3 };
            let dies = |runner: &mut Runner, batches: usize| {
                while runner.batches.len() < batches {
                    if runner.batches.len() == killed_after {
                        runner.append_and_die();
                        runner.reopen(&drops);
                    } else {
                        let next = runner.batches.len() + 1;
                        runner.until("the next", |runner| runner.batches.len() >= next);
                    }
                }
            };
            dies(&mut runner, first);
            put(&drops, 7);
            dies(&mut runner, 6);
            runner.rest();
            let expected = if settings == PASS {
                ["5", "6", "8", "9", "7"]
            } else {
                ["5", "6", "7", "8", "9"]
            };
            assert_eq!(sent(&runner), expected, "{settings}, after {killed_after}");
            assert_eq!(
                runner.letters().len(),
                1,
                "{settings}, after {killed_after}"
            );
            put(&drops, 10);
            runner.until("the next number", |runner| sent(runner).len() == 6);
            assert_eq!(
                runner.letters().len(),
                1,
                "{settings}, after {killed_after}"
            );
        }
    }
}

#[test]
fn a_number_that_came_before_is_told_or_set_aside() {
    for (again, outcome) in [
        ("flag", FileOutcome::Sent),
        ("set-aside", FileOutcome::SetAside),
    ] {
        let settings =
            format!("sequence = {{ pattern = 'SHP_(\\d{{4}})', again = \"{again}\" }}\n");
        let drops = Drops::new(&settings);
        put(&drops, 6);
        let mut runner = Runner::open(&drops);
        until_sent(&mut runner, &["6"]);
        drops.put("SHP_0006.txt", table(&["B|1"]));
        runner.until("the second", |runner| runner.reports().len() == 2);
        let report = runner.reports()[1];
        assert_eq!(report.outcome, outcome);
        assert!(
            report
                .reason
                .contains("0006 came before, with other content"),
            "{}",
            report.reason
        );
        let failed = drops.files("failed").len();
        assert_eq!(failed, usize::from(again == "set-aside"));
    }
}

#[test]
fn a_file_that_is_set_aside_leaves_its_number_open() {
    let drops = Drops::new(HOLD);
    put(&drops, 6);
    drops.put("SHP_0007.txt", "SKU|SKU\n");
    put(&drops, 8);
    let mut runner = Runner::open(&drops);
    runner.until("it waits", |runner| runner.waits.is_some());
    assert_eq!(drops.files("failed"), ["SHP_0007.txt"]);
    // It is mended and dropped again.
    put(&drops, 7);
    until_sent(&mut runner, &["6", "7", "8"]);
}

/// As a system drops that wrote at this time.
fn put_at(drops: &Drops, number: u32, modified: &str) {
    let hidden = drops.at(".hidden");
    fs::write(&hidden, table(&[&format!("A|{number} {modified}")])).expect("a file");
    let modified: jiff::Timestamp = modified.parse().expect(modified);
    let since = Duration::from_secs(modified.as_second().unsigned_abs());
    let file = fs::File::options().append(true).open(&hidden);
    file.and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + since))
        .expect("its time is set");
    fs::rename(hidden, drops.at(&format!("SHP_{number:04}.txt"))).expect("a rename");
}

#[test]
fn scenario_19_numbers_begin_anew_at_the_sites_midnight_also_when_clocks_change() {
    let settings = "sequence = { pattern = 'SHP_(\\d{4})', resets = \"daily\", time_zone = \"America/Chicago\" }\n";
    let drops = Drops::new(settings);
    let mut runner = Runner::open(&drops);
    // The first of November has 25 hours there; each file comes when the one before it is through.
    for (index, (number, modified)) in [
        (41, "2026-11-01T04:59:59Z"),
        (1, "2026-11-01T05:00:00Z"),
        (2, "2026-11-02T05:59:59Z"),
        (1, "2026-11-02T06:00:00Z"),
        (2, "2026-11-02T06:00:01Z"),
    ]
    .into_iter()
    .enumerate()
    {
        put_at(&drops, number, modified);
        runner.until(modified, |runner| runner.reports().len() == index + 1);
    }
    let reasons: Vec<&str> = runner
        .reports()
        .iter()
        .map(|report| report.reason.as_str())
        .collect();
    assert_eq!((reasons, runner.letters()), (vec![""; 5], vec![]));
    put_at(&drops, 4, "2026-11-02T07:00:00Z");
    runner.until("0003 is missing", |runner| runner.letters().len() == 1);
    assert!(runner.letters()[0].contains("0003 of 20261102 is missing"));
}

#[test]
fn numbers_of_interchanges_are_watched_for_each_pair_of_parties() {
    let drops = Drops::new("format.kind = \"edifact\"\nsequence = { from = \"interchange\" }\n");
    let mut runner = Runner::open(&drops);
    for (index, (sender, number)) in [("S", 7), ("T", 40), ("S", 8), ("T", 41), ("S", 10)]
        .into_iter()
        .enumerate()
    {
        let file = format!(
            "UNB+UNOC:3+{sender}:14+R:14+260101:1200+{number}'\nUNH+1+ORDERS:D:96A:UN'\nBGM+220+PO-{number}+9'\nUNT+3+1'\nUNZ+1+{number}'\n"
        );
        drops.put(&format!("{index}.txt"), file);
        runner.until("it is through", |runner| {
            runner.reports().len() == index + 1
        });
    }
    assert_eq!(runner.letters().len(), 1);
    let letter = runner.letters()[0];
    assert!(
        letter.contains("9 of S>R is missing before 4.txt"),
        "{letter}"
    );
}
