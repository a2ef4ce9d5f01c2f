//! Flows that get another folder or another name while their files wait.

use std::fs;
use std::sync::Arc;

use dray_adapter::conformance::{Agent, Pace};
use dray_adapter::{Mark, MarkState, Seen, Source, SourceError};
use dray_file_drop::{FileDrop, Finding};

use crate::support::{Drops, acking, table};

struct Nothing;

impl Seen for Nothing {
    fn seen(&self, _: &Mark) -> MarkState {
        MarkState::New
    }
}

fn source(drops: &Drops, flow: &str, pattern: &str) -> Box<dyn Source> {
    let mut config = drops.config();
    config.pattern = pattern.into();
    Box::new(FileDrop::new(flow, config).expect("a good configuration"))
}

fn open(drops: &Drops, flow: &str, pattern: &str) -> Result<(), SourceError> {
    source(drops, flow, pattern).open(None, Arc::new(Nothing), Arc::new(|| ()))
}

/// Two files of north/stock that wait.
fn waiting() -> (Drops, Agent) {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", table(&["B|1"]));
    let mut agent = Agent::open(drops.source());
    agent.finish(2, Pace::default());
    (drops, agent)
}

fn said(result: Result<(), SourceError>, words: &[&str]) {
    match result {
        Err(SourceError::Operator { reason }) => assert!(
            words.iter().all(|word| reason.contains(word)),
            "{words:?} should be in: {reason}"
        ),
        other => panic!("an operator was to be asked: {other:?}"),
    }
}

#[test]
fn a_flow_with_another_name_does_not_send_what_waits_again() {
    let (drops, mut agent) = waiting();
    let pending = drops.at("archive/pending").display().to_string();
    let words = ["2 files", "north/stock", "north/levels", &*pending, "flows"];
    said(open(&drops, "north/levels", "*.txt"), &words);
    said(
        open(&drops, "north/levels", "a*"),
        &["1 file", "north/stock"],
    );
    assert_eq!(drops.files("archive/pending").len(), 2, "nothing moved");

    // The ways out: the old name until they are acked, ...
    agent.reopen(drops.source());
    agent.finish(2, acking());
    open(&drops, "north/levels", "*.txt").expect("nothing waits");
    open(&drops, "north/stock", "*.txt").expect("nothing waits here either");

    // ... or somebody takes them away, ...
    let (drops, _) = waiting();
    for name in ["a.txt", "b.txt"] {
        let file = drops.at("archive/pending").join(name);
        fs::rename(file, drops.at("archive").join(name)).expect("a rename");
    }
    open(&drops, "north/levels", "*.txt").expect("nothing waits");

    // ... or says that they are to be sent.
    let (drops, _) = waiting();
    fs::remove_file(drops.at("archive/.dray/flows")).expect("the file");
    let mut agent = Agent::open(source(&drops, "north/levels", "*.txt"));
    agent.finish(2, acking());
    assert_eq!(drops.files("archive"), ["a.txt", "b.txt"]);
}

#[test]
fn flows_that_exchange_their_folders_stop() {
    let (north, mut stock) = waiting();
    let south = Drops::new("");
    south.put("c.txt", table(&["C|1"]));
    let mut levels = Agent::open(source(&south, "north/levels", "*.txt"));
    levels.finish(1, Pace::default());
    let position = stock.position.clone();
    let exchanged =
        source(&south, "north/stock", "*.txt").open(position, Arc::new(Nothing), Arc::new(|| ()));
    said(exchanged, &["1 file", "north/levels"]);
    said(
        open(&north, "north/levels", "*.txt"),
        &["2 files", "north/stock"],
    );
    stock.reopen(north.source());
    stock.finish(2, acking());
    assert_eq!(north.files("archive").len(), 2);
}

#[test]
fn flows_that_share_a_folder_are_both_named() {
    let (drops, mut stock) = waiting();
    drops.put("x.dat", table(&["X|1"]));
    let other = || source(&drops, "north/other", "*.dat");
    let mut second = Agent::open(other());
    second.finish(1, Pace::default());
    stock.reopen(drops.source());
    second.reopen(other());
    stock.nothing_more("x.dat is the other flow's");
    second.nothing_more("a.txt is the other flow's");
    drops.put("y.dat", table(&["Y|1"]));
    second.finish(2, Pace::default());
    said(
        open(&drops, "north/new", "*.dat"),
        &["1 file", "north/other"],
    );
    said(open(&drops, "north/new", "*"), &["1 file", "north/other"]);
}

#[test]
fn who_owns_a_folder_is_a_note_and_never_in_the_way() {
    for damage in [&b""[..], b"\0\xFF\n\t", b"north/stock"] {
        let (drops, _) = waiting();
        fs::write(drops.at("archive/.dray/flows"), damage).expect("a write");
        Agent::open(drops.source()).finish(2, acking());
        assert_eq!(drops.files("archive"), ["a.txt", "b.txt"]);
    }
    // It can't be written.
    let drops = Drops::new("");
    fs::create_dir(drops.at("archive")).expect("a folder");
    fs::write(drops.at("archive/.dray"), "").expect("a file where a folder should be");
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    agent.finish(1, acking());
    agent.nothing_more("it is acked");
    assert!(drops.files("archive").contains(&"a.txt".to_owned()));
}

#[test]
fn check_tells_of_files_of_another_flow() {
    let (drops, _) = waiting();
    let wrong = |flow: &str| {
        let findings = drops.config().check_as(flow);
        let wrong = findings.into_iter().find_map(|finding| match finding {
            Finding::Wrong(sentence) => Some(sentence),
            _ => None,
        });
        wrong.unwrap_or_default()
    };
    assert_eq!(wrong("north/stock"), "");
    assert!(wrong("north/levels").contains("2 files"));
    fs::remove_dir_all(drops.at("archive")).expect("a folder");
    assert_eq!(wrong("north/levels"), "");
    assert!(!drops.has("archive"), "nothing was left behind");
}
