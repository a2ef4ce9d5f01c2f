//! Folders that are away, not ours to write in, or shared by flows.

use std::fs;
use std::sync::Arc;

use dray_adapter::conformance::{Agent, Pace};
use dray_adapter::{Mark, MarkState, Polled, Seen, SourceError};
use dray_file_drop::{FileDrop, Finding};

use crate::support::{Drops, acking, age, table, work};

struct Nothing;

impl Seen for Nothing {
    fn seen(&self, _: &Mark) -> MarkState {
        MarkState::New
    }
}

fn retry(result: Result<(), SourceError>, words: &[&str]) {
    match result {
        Err(SourceError::Retry { reason, .. }) => {
            assert!(
                words.iter().all(|word| reason.contains(word)),
                "{words:?} should be in: {reason}"
            );
        }
        other => panic!("a retry was expected: {other:?}"),
    }
}

#[test]
fn a_folder_that_is_gone_comes_back_by_itself() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 1);
    let away = drops.path.with_file_name("away");
    fs::rename(&drops.path, &away).expect("a rename");
    let polled = (0..100_000).find_map(|_| agent.source().poll().err());
    match polled {
        Some(SourceError::Retry { reason, .. }) => {
            assert!(
                reason.contains(&drops.path.display().to_string()),
                "{reason}"
            );
        }
        other => panic!("a retry was expected: {other:?}"),
    }
    // It comes back as another folder: a share that was mounted again.
    fs::create_dir(&drops.path).expect("a folder");
    drops.put("b.txt", table(&["B|1"]));
    assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "b.txt:2: B|1"]);
    fs::write(drops.at("c.txt"), table(&["C|1"])).expect("a file");
    assert_eq!(
        work(&mut agent, 3)[2],
        "c.txt:2: C|1",
        "and its closes are heard"
    );
}

#[test]
fn a_folder_that_is_not_there_at_the_start_is_waited_for_and_not_made() {
    let drops = Drops::new("");
    fs::remove_dir(&drops.path).expect("it is empty");
    let mut source = drops.source();
    retry(
        source.open(None, Arc::new(Nothing), Arc::new(|| ())),
        &[&drops.path.display().to_string()],
    );
    assert!(!drops.path.exists());
    fs::write(&drops.path, "").expect("a file where the folder should be");
    retry(
        source.open(None, Arc::new(Nothing), Arc::new(|| ())),
        &[&drops.path.display().to_string()],
    );
    fs::remove_file(&drops.path).expect("the file");
    fs::create_dir(&drops.path).expect("a folder");
    source
        .open(None, Arc::new(Nothing), Arc::new(|| ()))
        .expect("now it opens");
}

#[test]
fn a_folder_that_may_not_be_written_is_told_of_and_loses_nothing() {
    let drops = Drops::new("");
    fs::write(drops.at("archive"), "").expect("a file where a folder should be");
    let mut source = drops.source();
    retry(
        source.open(None, Arc::new(Nothing), Arc::new(|| ())),
        &["archive"],
    );
    fs::remove_file(drops.at("archive")).expect("the file");

    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    while agent.log.is_empty() {
        agent.poll();
        agent.append();
    }
    // The move that follows the append can't be made for a while.
    fs::remove_dir(drops.at("archive/pending")).expect("it is empty");
    fs::write(drops.at("archive/pending"), "").expect("a file where a folder should be");
    let position = agent.position.clone().expect("something was appended");
    retry(agent.source().commit(&position), &["a.txt", "archive"]);
    assert!(drops.has("a.txt"));
    fs::remove_file(drops.at("archive/pending")).expect("the file");
    agent.finish(1, Pace::default());
    assert_eq!(
        drops.files("archive/pending"),
        ["a.txt"],
        "the folder is made again, and the move too"
    );
    agent.nothing_more("it was appended once");
    agent.ack();
    assert_eq!(drops.files("archive"), ["a.txt"]);
}

#[test]
fn a_pending_file_that_cannot_move_yet_stays_and_the_next_ack_moves_it() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    agent.finish(1, Pace::default());
    fs::rename(drops.at("archive/pending/a.txt"), drops.at("kept"))
        .expect("somebody takes it away");
    agent.ack();
    agent.nothing_more("it is gone");
    fs::rename(drops.at("kept"), drops.at("archive/pending/a.txt")).expect("and puts it back");
    agent.reopen(drops.source());
    agent.finish(1, acking());
    assert_eq!(drops.files("archive"), ["a.txt"], "found at the next start");
}

#[test]
fn two_flows_may_share_a_folder() {
    let drops = Drops::new("");
    let mut other = drops.config();
    other.pattern = "*.dat".into();
    let other =
        || Box::new(FileDrop::new("north/other", other.clone()).expect("a good configuration"));
    fs::write(drops.at("x.dat"), table(&["X|1"])).expect("a file");
    age(&drops.at("x.dat"), std::time::Duration::from_secs(60));
    drops.put("a.txt", table(&["A|1"]));
    let mut first = Agent::open(drops.source());
    let mut second = Agent::open(other());
    first.finish(1, Pace::default());
    second.finish(1, Pace::default());
    assert_eq!(drops.files("archive/pending"), ["a.txt", "x.dat"]);
    first.reopen(drops.source());
    first.nothing_more("x.dat is the other flow's");
    second.reopen(other());
    second.nothing_more("a.txt is the other flow's");
    assert_eq!(drops.files("archive"), ["a.txt", "x.dat"]);
}

#[test]
fn what_is_archived_is_pruned_by_age_and_nothing_else_is() {
    let drops = Drops::new("archive_days = 0\n");
    fs::create_dir_all(drops.at("archive/pending")).expect("folders");
    fs::create_dir_all(drops.at("archive/repeated")).expect("folders");
    for name in [
        "archive/old.txt",
        "archive/theirs.csv",
        "archive/repeated/r.txt",
        "archive/old-0a1b2c3d.txt",
    ] {
        fs::write(drops.at(name), "x").expect("a file");
    }
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("there is nothing to read");
    assert_eq!(drops.files("archive"), ["theirs.csv"]);
    assert_eq!(drops.files("archive/repeated"), ["r.txt"]);
}

#[test]
fn check_tries_the_folder_and_leaves_nothing() {
    let drops = Drops::new("");
    let wrong = |findings: &[Finding]| {
        findings
            .iter()
            .any(|finding| matches!(finding, Finding::Wrong(_)))
    };
    let findings = drops.config().check();
    assert!(!wrong(&findings), "{findings:?}");
    assert_eq!(
        fs::read_dir(&drops.path).expect("the folder").count(),
        0,
        "nothing was left behind"
    );
    fs::write(drops.at("archive"), "").expect("a file where a folder should be");
    assert!(wrong(&drops.config().check()));
    fs::remove_file(drops.at("archive")).expect("the file");
    fs::remove_dir(&drops.path).expect("it is empty");
    let findings = drops.config().check();
    assert!(
        wrong(&findings) && format!("{findings:?}").contains(&drops.path.display().to_string())
    );
}

#[test]
fn a_position_of_a_newer_version_needs_an_operator() {
    let drops = Drops::new("");
    for bytes in [&b"{\"v\":99}"[..], b"nonsense", b"\xFF"] {
        let position = dray_adapter::Position(bytes.to_vec().into());
        let opened = drops
            .source()
            .open(Some(position), Arc::new(Nothing), Arc::new(|| ()));
        assert!(
            matches!(opened, Err(SourceError::Operator { .. })),
            "{opened:?}"
        );
    }
}

#[test]
fn a_hundred_thousand_files_are_scanned_within_a_poll() {
    let drops = Drops::new("quiet = \"1h\"\nready = \"quiet\"\n");
    for number in 0..20_000 {
        fs::write(drops.at(&format!("{number}.txt")), "").expect("a file");
    }
    let mut source = drops.source();
    source
        .open(None, Arc::new(Nothing), Arc::new(|| ()))
        .expect("it opens");
    assert!(matches!(source.poll(), Ok(Polled::Idle(_))));
}
