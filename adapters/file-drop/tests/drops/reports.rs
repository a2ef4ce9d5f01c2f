//! What is reported of each file.

use std::collections::HashSet;
use std::fs;

use dray_adapter::FileOutcome;

use crate::support::{Drops, table};
use crate::telling::Runner;

/// Lines with a trailer that counts and sums them.
const WITH_TRAILER: &str = "format.header = false\nformat.delimiter = \"|\"\nformat.type_column = 1\n\
    format.record = [{ name = \"D\", columns = [\"T\", \"SKU\", \"QTY\"] },\n\
    { name = \"T\", columns = [\"T\", \"LINES\", \"SUM\"], trailer = true, required = true, counts = [{ field = \"LINES\", of = \"D\" }], totals = [{ field = \"SUM\", of = \"D\", sum = \"QTY\" }] }]\n";

#[test]
fn each_file_ends_with_a_report_of_what_was_read() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1", "x", "B|2"]));
    drops.put("b.txt", "");
    let mut runner = Runner::open(&drops);
    assert_eq!(
        runner.work(2),
        [
            "a.txt:2: A|1",
            "a.txt:3! decode",
            "a.txt:4: B|2",
            "a.txt = sent 2/1",
            "b.txt = sent 0/0"
        ]
    );
    let report = runner.reports()[0];
    assert_eq!(report.bytes, table(&["A|1", "x", "B|2"]).len() as u64);
    assert!(report.read_us > report.modified_us && report.modified_us > 0);
    assert!(report.reason.is_empty() && report.checks.made == 0);
}

#[test]
fn a_report_can_be_done_without() {
    let drops = Drops::new("report = false\n");
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", table(&["A|1"]));
    drops.put("c.txt", "SKU|SKU\n");
    let mut runner = Runner::open(&drops);
    runner.until("all are put away", |_| {
        drops.files("archive/repeated") == ["b.txt"] && drops.files("failed") == ["c.txt"]
    });
    assert!(runner.reports().is_empty());
}

#[test]
fn a_repeat_is_reported_under_an_id_of_its_own() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", table(&["A|1"]));
    drops.put("c.txt", table(&["A|1"]));
    let mut runner = Runner::open(&drops);
    let told = runner.work(3);
    assert_eq!(told[..2], ["a.txt:2: A|1", "a.txt = sent 1/0"]);
    let rest: HashSet<&str> = told[2..].iter().map(String::as_str).collect();
    assert_eq!(
        rest,
        HashSet::from(["b.txt = repeated 1/0", "c.txt = repeated 1/0"])
    );
    assert_eq!(drops.files("archive/repeated"), ["b.txt", "c.txt"]);
    let scopes: HashSet<_> = runner
        .batches
        .iter()
        .map(|batch| batch.origin.scope.0)
        .collect();
    assert_eq!(scopes.len(), 3);
    assert!(runner.letters().is_empty(), "nobody has to act");
}

#[test]
fn a_repeat_that_was_reported_and_not_moved_is_not_reported_again() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", table(&["A|1"]));
    let mut runner = Runner::open(&drops);
    runner.until("a.txt", |runner| !runner.batches.is_empty());
    runner.append_and_die();
    assert_eq!(runner.told().last().expect("told"), "b.txt = repeated 1/0");
    assert!(drops.has("b.txt"), "it died before the move");
    runner.reopen(&drops);
    runner.work(2);
    assert_eq!(drops.files("archive/repeated"), ["b.txt"]);
}

#[test]
fn scenario_16_a_trailer_that_counts_wrong_leaves_a_report_and_nothing_else() {
    let drops = Drops::new(WITH_TRAILER);
    drops.put("a.txt", "D|A|1\nD|B|2.5\nT|2|3.5\n");
    drops.put("b.txt", "D|A|1\nD|B|2.5\nT|3|3.5\n");
    let mut runner = Runner::open(&drops);
    let told = runner.work(2);
    assert_eq!(
        told[2..],
        [
            "a.txt = sent 2/0",
            "b.txt:0! source",
            "b.txt = setaside 2/0"
        ]
    );
    let checks = |at: usize| -> Vec<String> {
        let checks = runner.reports()[at].checks.first.iter();
        checks
            .map(|check| format!("{}: {} {}", check.name, check.expected, check.found))
            .collect()
    };
    assert_eq!(
        checks(0),
        ["LINES of T, line 3: 2 2", "SUM of T, line 3: 3.5 3.5"]
    );
    assert_eq!(checks(1), ["LINES of T, line 3: 3 2"]);
    assert!(
        runner.reports()[1]
            .reason
            .contains("says 3, but there are 2")
    );
    assert_eq!(drops.files("failed"), ["b.txt"]);
}

/// Of a file that is not kept in memory from the first pass, and of which there would be several batches.
#[test]
fn scenario_16_nothing_of_a_large_file_is_sent_before_its_trailer_holds() {
    let drops = Drops::new(WITH_TRAILER);
    let lines = "D|A-0000001|1\n".repeat(100_000);
    drops.put("a.txt", format!("{lines}T|100001|100000\n"));
    let mut runner = Runner::open(&drops);
    assert_eq!(
        runner.work(1),
        ["a.txt:0! source", "a.txt = setaside 100000/0"]
    );
    assert_eq!(drops.files("failed"), ["a.txt"]);
}

#[test]
fn scenario_17_a_hash_total_that_differs_is_in_the_report() {
    let drops = Drops::new(WITH_TRAILER);
    drops.put("a.txt", "D|A|1\nD|B|2.5\nT|2|9\n");
    let mut runner = Runner::open(&drops);
    assert_eq!(runner.work(1), ["a.txt:0! source", "a.txt = setaside 2/0"]);
    let report = runner.reports()[0];
    let sum = &report.checks.first[1];
    assert_eq!(
        (sum.name.as_str(), sum.expected.as_str(), sum.found.as_str()),
        ("SUM of T, line 3", "9", "3.5")
    );
    assert_eq!(
        (report.outcome, report.checks.made),
        (FileOutcome::SetAside, 2)
    );
}

#[test]
fn an_interchange_is_named_in_the_report() {
    let drops = Drops::new("format.kind = \"edifact\"\n");
    let file = "UNB+UNOC:3+S:14+R:14+260101:1200+R9'\nUNH+M1+ORDERS:D:96A:UN'\nBGM+220+PO-1+9'\nUNT+3+M1'\nUNZ+1+R9'\n";
    drops.put("a.txt", file);
    let mut runner = Runner::open(&drops);
    runner.work(1);
    let report = runner.reports()[0];
    assert_eq!(
        report.identities,
        [("interchange".to_owned(), "S>R R9".to_owned())]
    );
    let checks: Vec<&str> = report
        .checks
        .first
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(checks, ["UNT of M1", "UNZ of R9"]);
}

#[test]
fn a_half_read_file_that_is_gone_is_reported_as_cut_short() {
    let drops = Drops::new("");
    let lines: Vec<String> = (0..60_000).map(|n| format!("SKU-{n}|1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    drops.put("a.txt", table(&lines));
    let mut runner = Runner::open(&drops);
    runner.append_and_die();
    let sent = runner.batches[0].records.len() as u64;
    fs::remove_file(drops.at("a.txt")).expect("it is removed");
    runner.reopen(&drops);
    runner.work(2);
    let report = runner.reports()[0];
    assert_eq!(
        (report.outcome, report.records),
        (FileOutcome::CutShort, sent)
    );
    assert!(report.reason.contains("not in"), "{}", report.reason);
}

#[test]
fn what_is_said_while_a_file_is_half_read_does_not_forget_it() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    let mut runner = Runner::open(&drops);
    runner.acks = false;
    runner.until("a.txt is appended", |runner| !runner.batches.is_empty());
    drops.append("archive/pending/a.txt", "B|2\n");
    let lines: Vec<String> = (0..60_000).map(|n| format!("SKU-{n}|1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    drops.put("b.txt", table(&lines));
    runner.until("b.txt is begun", |runner| runner.batches.len() == 2);
    // The ack finds that a.txt changed, which is said before b.txt goes on.
    runner.acks = true;
    runner.ack();
    runner.append_and_die();
    assert!(runner.letters()[0].contains("a.txt is set aside"));
    runner.reopen(&drops);
    runner.until("b.txt is whole", |runner| runner.reports().len() == 2);
    let of_b = |runner: &Runner| -> usize {
        let batches = runner.batches.iter();
        let batches = batches.filter(|batch| &*batch.origin.file == "b.txt");
        batches.map(|batch| batch.records.len()).sum()
    };
    assert_eq!(of_b(&runner), 60_000, "none is lost, none doubled");
}
