//! Business documents that come again in files with other content.

use dray_adapter::FileOutcome;

use crate::support::Drops;
use crate::telling::Runner;

fn interchange(number: &str, order: &str) -> String {
    format!(
        "UNB+UNOC:3+S:14+R:14+260101:1200+{number}'\nUNH+1+ORDERS:D:96A:UN'\nBGM+220+{order}+9'\nUNT+3+1'\nUNZ+1+{number}'\n"
    )
}

fn drops(then: &str) -> Drops {
    Drops::new(&format!(
        "format.kind = \"edifact\"\nduplicates = {{ by = \"interchange\", then = \"{then}\" }}\n"
    ))
}

#[test]
fn an_interchange_that_comes_again_with_other_content_is_not_sent() {
    let drops = drops("drop");
    let mut runner = Runner::open(&drops);
    drops.put("a.txt", interchange("R9", "PO-1"));
    runner.work(1);
    runner.reopen(&drops);
    drops.put("b.txt", interchange("R9", "PO-1 again"));
    drops.put("c.txt", interchange("R10", "PO-2"));
    runner.until("both are through", |runner| runner.reports().len() == 3);
    runner.rest();
    let outcomes: Vec<FileOutcome> = runner
        .reports()
        .iter()
        .map(|report| report.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [FileOutcome::Sent, FileOutcome::Duplicate, FileOutcome::Sent]
    );
    let report = runner.reports()[1];
    assert_eq!(report.duplicates, 1);
    assert!(
        report
            .reason
            .contains("there before: S>R R9; it is not sent"),
        "{}",
        report.reason
    );
    assert_eq!(drops.files("archive/repeated"), ["b.txt"]);
}

#[test]
fn an_interchange_that_comes_again_is_sent_and_told_where_that_is_wanted() {
    for (then, is_told) in [("flag", true), ("pass", false)] {
        let drops = drops(then);
        drops.put("a.txt", interchange("R9", "PO-1"));
        drops.put("b.txt", interchange("R9", "PO-1 again"));
        let mut runner = Runner::open(&drops);
        runner.work(2);
        let report = runner.reports()[1];
        assert_eq!((report.outcome, report.duplicates), (FileOutcome::Sent, 1));
        assert_eq!(!report.reason.is_empty(), is_told, "{}", report.reason);
    }
}

const BY_ORDER: &str = "duplicates = { by = [\"ORDER\"], then = \"drop\" }\n";

fn orders(lines: &[&str]) -> String {
    format!("ORDER|SKU\n{}\n", lines.join("\n"))
}

/// The records that were sent, in order.
fn sent(runner: &Runner) -> Vec<String> {
    let told = runner.told().into_iter();
    told.filter(|told| !told.contains(" = ")).collect()
}

#[test]
fn orders_that_were_there_before_are_left_out_of_a_file_and_the_others_are_sent() {
    let drops = Drops::new(BY_ORDER);
    drops.put("a.txt", orders(&["1|A", "1|B", "2|C"]));
    // Before the marks of the first are appended, too.
    drops.put("b.txt", orders(&["2|C2", "3|D", "2|E2", "|F", "3|G"]));
    let mut runner = Runner::open(&drops);
    runner.work(2);
    assert_eq!(
        sent(&runner),
        [
            "a.txt:2: 1|A",
            "a.txt:3: 1|B",
            "a.txt:4: 2|C",
            "b.txt:3: 3|D",
            "b.txt:5: |F",
            "b.txt:6: 3|G"
        ]
    );
    let report = runner.reports()[1];
    assert_eq!(
        (report.outcome, report.records, report.duplicates),
        (FileOutcome::Sent, 5, 1)
    );
    assert_eq!(
        report.reason,
        "1 of its 2 documents were there before: 2; their records are left out"
    );
    runner.reopen(&drops);
    drops.put("c.txt", orders(&["3|D3", "1|A3"]));
    runner.until("it is through", |runner| runner.reports().len() == 3);
    assert_eq!(runner.reports()[2].outcome, FileOutcome::Duplicate);
    assert_eq!(sent(&runner).len(), 6, "nothing of it is sent");
}

#[test]
fn a_death_in_the_middle_of_a_file_leaves_out_the_same_records() {
    let drops = Drops::new(BY_ORDER);
    drops.put("a.txt", orders(&["7|A"]));
    let mut runner = Runner::open(&drops);
    runner.work(1);
    let lines: Vec<String> = (0..100_000).map(|n| format!("{}|{n}", n / 100)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    drops.put("b.txt", orders(&lines));
    while runner.reports().len() < 2 {
        runner.append_and_die();
        runner.reopen(&drops);
    }
    runner.rest();
    let records: Vec<u64> = runner.batches[1..]
        .iter()
        .flat_map(|batch| batch.records.iter().map(|record| record.row().ordinal))
        .collect();
    let expected: Vec<u64> = (0..100_000).filter(|n| n / 100 != 7).collect();
    assert!(runner.batches.len() > 2, "it took several batches");
    assert_eq!(records, expected, "each once, in order");
}

#[test]
fn columns_that_a_file_does_not_have_are_told() {
    let drops = Drops::new("duplicates = { by = [\"ORDERNO\"] }\n");
    drops.put("a.txt", orders(&["1|A"]));
    let mut runner = Runner::open(&drops);
    runner.work(1);
    let reason = &runner.reports()[0].reason;
    assert!(
        reason.contains("none of its records has the columns"),
        "{reason}"
    );
}

#[test]
fn idocs_are_told_apart_by_their_numbers() {
    let idoc = |number: &str, text: &str| {
        format!(
            "<DELVRY03><IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"><DOCNUM>{number}</DOCNUM></EDI_DC40><E1EDL20 SEGMENT=\"1\"><VBELN>{text}</VBELN></E1EDL20></IDOC></DELVRY03>"
        )
    };
    let drops = Drops::new(
        "format.kind = \"idoc\"\nformat.records = [\"E1EDL20\"]\nduplicates = { by = \"documents\", then = \"drop\" }\n",
    );
    drops.put("a.txt", idoc("0000000000000041", "1"));
    drops.put("b.txt", idoc("0000000000000041", "2"));
    let mut runner = Runner::open(&drops);
    runner.work(2);
    let outcomes: Vec<FileOutcome> = runner
        .reports()
        .iter()
        .map(|report| report.outcome)
        .collect();
    assert_eq!(outcomes, [FileOutcome::Sent, FileOutcome::Duplicate]);
    assert_eq!(
        runner.reports()[0].identities,
        [("document".to_owned(), "0000000000000041".to_owned())]
    );
}
