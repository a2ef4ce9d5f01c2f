//! Files with something wrong in them.

use std::sync::Arc;

use dray_adapter::conformance::Agent;
use dray_adapter::{Batch, Mark, MarkState, Polled, RejectStage, Seen, Source};
use dray_file_drop::preview;

use crate::support::{Drops, table, work};

struct Nothing;

impl Seen for Nothing {
    fn seen(&self, _: &Mark) -> MarkState {
        MarkState::New
    }
}

fn batch(source: &mut dyn Source) -> Batch {
    for _ in 0..1_000_000 {
        if let Polled::Batch(batch) = source.poll().expect("a poll") {
            return *batch;
        }
        std::thread::yield_now();
    }
    panic!("there was no batch");
}

/// What is said of a file that is set aside whole.
fn set_aside(settings: &str, content: &[u8], words: &[&str]) {
    let drops = Drops::new(settings);
    drops.put("a.txt", content);
    drops.put("b.txt", table(&["B|1"]));
    let mut source = drops.source();
    source
        .open(None, Arc::new(Nothing), Arc::new(|| ()))
        .expect("it opens");
    let batch = batch(source.as_mut());
    assert!(batch.ends_unit && batch.records.is_empty() && batch.rejects.len() == 1);
    let reject = &batch.rejects[0];
    assert_eq!(
        (reject.stage, reject.raw_bytes),
        (RejectStage::Source, content.len() as u64)
    );
    assert_eq!(reject.raw, &content[..content.len().min(reject.raw.len())]);
    for word in [&["a.txt", "failed"], words].concat() {
        assert!(
            reject.reason.contains(word),
            "\"{word}\" is missing: {}",
            reject.reason
        );
    }
    source.commit(&batch.position).expect("a commit");
    assert_eq!(drops.files("failed"), ["a.txt"]);
    let mut agent = Agent::open(drops.source());
    assert_eq!(
        work(&mut agent, 1),
        ["b.txt:2: B|1"],
        "the next one goes on"
    );
}

#[test]
fn whole_files_are_set_aside_in_words() {
    set_aside(
        "bad_lines_max = 1\n",
        b"SKU|QTY\nA|1\nx\ny\n",
        &["more than 1", "line 3: 1 column"],
    );
    set_aside(
        "bad_lines_max = 0\n",
        b"SKU|QTY\nA|\xFC\n",
        &["line 2", "not UTF-8"],
    );
    set_aside("", b"SKU|SKU\nA|1\n", &["header", "\"SKU\" twice"]);
    set_aside("", b"SKU||QTY\nA|1\n", &["header", "no name for column 2"]);
    set_aside("", b"\xFF\xFES\0K\0", &["encoding = \"utf-16le\""]);
    set_aside(
        "bad_lines_max = 0\n",
        &[b"SKU|QTY\n".to_vec(), vec![b'x'; 2_000_000]].concat(),
        &["2000000 bytes long"],
    );
    set_aside(
        "",
        b"SKU|QTY\nA;1\nB;2\n",
        &[
            "not one of its 2 records",
            "another format",
            "line 2: 1 column",
        ],
    );
    let bad_lines = b"x\n".repeat(600_000);
    set_aside(
        "",
        &[b"SKU|QTY\n".to_vec(), bad_lines].concat(),
        &["more than 100", "line 2"],
    );
}

#[test]
fn bad_lines_up_to_the_limit_are_dead_letters() {
    let drops = Drops::new("bad_lines_max = 2\n");
    drops.put("a.txt", "SKU|QTY\nA|1\nx\n\"y|2\nB|2\n");
    let mut agent = Agent::open(drops.source());
    assert_eq!(
        work(&mut agent, 4),
        [
            "a.txt:2: A|1",
            "a.txt:3! decode",
            "a.txt:4! decode",
            "a.txt:5: B|2"
        ]
    );
}

#[test]
fn one_record_by_itself_may_be_bad() {
    let drops = Drops::new("");
    drops.put("a.txt", "SKU|QTY\nx\n");
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 1), ["a.txt:2! decode"]);
    assert_eq!(drops.files("archive"), ["a.txt"]);
}

#[test]
fn empty_files_and_headers_alone_are_archived() {
    let drops = Drops::new("");
    drops.put("a.txt", "");
    drops.put("b.txt", "SKU|QTY\n");
    drops.put("c.txt", table(&["C|1"]));
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 1), ["c.txt:2: C|1"]);
    assert_eq!(drops.files("archive"), ["a.txt", "b.txt", "c.txt"]);
}

#[test]
fn only_files_of_the_pattern_are_taken() {
    let drops = Drops::new("");
    for name in ["a.csv", ".b.txt", "c.txt.tmp", "d.txt.part"] {
        std::fs::write(drops.at(name), table(&["X|1"])).expect("a file");
    }
    std::fs::create_dir(drops.at("e.txt")).expect("a folder");
    std::os::unix::fs::symlink(drops.at("a.csv"), drops.at("f.txt")).expect("a link");
    drops.put("g.txt", table(&["G|1"]));
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 1), ["g.txt:2: G|1"]);
}

#[test]
fn files_are_taken_in_the_order_that_is_set() {
    for (order, expected) in [
        ("name", ["s10", "s9", "t1"]),
        ("number", ["t1", "s9", "s10"]),
        ("mtime", ["s9", "t1", "s10"]),
    ] {
        let drops = Drops::new(&format!("order = \"{order}\"\n"));
        for (name, seconds) in [("s9", 300), ("t1", 200), ("s10", 100)] {
            let path = drops.at(&format!("{name}.txt"));
            std::fs::write(&path, table(&[&format!("{name}|1")])).expect("a file");
            crate::support::age(&path, std::time::Duration::from_secs(seconds));
        }
        let mut agent = Agent::open(drops.source());
        let told = work(&mut agent, 3);
        let names: Vec<&str> = told
            .iter()
            .map(|told| told.split('.').next().unwrap_or_default())
            .collect();
        assert_eq!(names, expected, "{order}");
    }
}

#[test]
fn a_preview_shows_records_and_rejects_and_moves_nothing() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1", "x", "B|2", "C|3"]));
    let file = drops.at("a.txt");
    let batches = preview("north/stock", &drops.config(), &file, 3).expect("a preview");
    let (records, rejects) = batches.iter().fold((0, 0), |(records, rejects), batch| {
        (records + batch.records.len(), rejects + batch.rejects.len())
    });
    assert_eq!((records, rejects), (2, 1));
    assert!(file.exists() && !drops.has("archive") && !drops.has("failed"));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 4);
    assert_eq!(
        batches[0].origin.scope.0, agent.log[0].id.0,
        "the ids are those that would be sent"
    );
    drops.put("b.txt", "A|A\n");
    let said = preview("north/stock", &drops.config(), &drops.at("b.txt"), 3)
        .expect_err("it is unreadable");
    assert!(said.contains("b.txt") && said.contains("twice"), "{said}");
    let said = preview("north/stock", &drops.config(), &drops.at("none.txt"), 3)
        .expect_err("there is none");
    assert!(said.contains("none.txt"), "{said}");
}
