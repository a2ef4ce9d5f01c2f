//! More files than are followed at once, and what is there at the very first start.

use std::time::{Duration, Instant};

use dray_adapter::Polled;

use crate::support::{Logs, acking, cells, ids_differ, texts, work};

#[test]
fn a_thousand_files_are_each_read_once_and_the_position_stays_small() {
    let logs = Logs::new("pattern = \"*.log\"\n");
    for file in 0..1_000 {
        let path = logs.at(&format!("f{file:04}.log"));
        std::fs::write(path, format!("{file}\n")).expect("a file");
    }
    let mut agent = logs.agent();
    agent.finish(1_000, acking());
    let mut all = cells(&agent);
    all.sort_by_key(|cell| cell.parse::<u32>().expect("a number"));
    let expected: Vec<String> = (0..1_000).map(|file| file.to_string()).collect();
    assert_eq!(all, expected);
    ids_differ(&agent);
    let bytes = agent
        .position
        .as_ref()
        .map_or(0, |position| position.0.len());
    assert!(bytes < 5 * 1_024, "{bytes}");
    for _ in 0..3 {
        agent.reopen(logs.source());
        agent.nothing_more("all of them were read");
    }
    // Files of which the position says nothing go on where they were.
    for file in [0, 500, 999] {
        logs.append(&format!("f{file:04}.log"), "more\n");
    }
    agent.finish(1_003, acking());
    assert_eq!(cells(&agent)[1_000..], ["more", "more", "more"]);
    ids_differ(&agent);
}

#[test]
fn a_file_out_of_mind_that_grew_while_the_agent_was_down_is_read_on_at_its_end_and_told() {
    let logs = Logs::new("pattern = \"*.log\"\n");
    for file in 0..60 {
        logs.create(&format!("f{file:02}.log"), "x\n");
    }
    let mut agent = logs.agent();
    work(&mut agent, 60);
    agent.kill();
    logs.append("f00.log", "unknown\n");
    agent.reopen(logs.source());
    let all = work(&mut agent, 61);
    assert_eq!(all[60..], ["f00.log:3! source"]);
    logs.append("f00.log", "known\n");
    assert_eq!(work(&mut agent, 62)[61..], ["f00.log:3: known"]);
    agent.reopen(logs.source());
    agent.nothing_more("it was told");
}

#[test]
fn with_begin_at_the_end_only_what_comes_after_the_very_first_start_is_sent() {
    let logs = Logs::new("begin = \"end\"\npattern = \"*.log\"\n");
    logs.create("a.log", "old\n\"quoted\nold\"\nhalf");
    logs.create("b.log", "old\n");
    let mut agent = logs.agent();
    agent.nothing_more("all of it was there");
    agent.kill();
    logs.append("a.log", " new\nnew\n");
    logs.create("c.log", "all new\n");
    agent.reopen(logs.source());
    assert_eq!(
        work(&mut agent, 3),
        ["a.log:4: half new", "a.log:5: new", "c.log:1: all new"]
    );
    logs.append("b.log", "new\n");
    assert_eq!(work(&mut agent, 4)[3..], ["b.log:2: new"]);
}

#[test]
fn with_begin_at_the_end_an_empty_folder_is_a_first_start_too() {
    let logs = Logs::new("begin = \"end\"\n");
    let mut agent = logs.agent();
    agent.nothing_more("there is nothing");
    assert!(agent.position.is_some(), "the first start is over");
    agent.kill();
    logs.create("app.log", "new\n");
    agent.reopen(logs.source());
    assert_eq!(work(&mut agent, 1), ["app.log:1: new"]);
}

#[test]
fn a_poll_returns_within_a_second_whatever_there_is_to_read() {
    let logs = Logs::new("");
    logs.create("app.log", "a line that is read\n".repeat(2_000_000));
    let mut source = logs.source();
    struct Nothing;
    impl dray_adapter::Seen for Nothing {
        fn seen(&self, _: &dray_adapter::Mark) -> dray_adapter::MarkState {
            dray_adapter::MarkState::New
        }
    }
    source
        .open(
            None,
            std::sync::Arc::new(Nothing),
            std::sync::Arc::new(|| ()),
        )
        .expect("it opens");
    let mut records = 0;
    while records < 2_000_000 {
        let began = Instant::now();
        if let Polled::Batch(batch) = source.poll().expect("a poll") {
            records += batch.records.len();
        }
        // A quarter of a second is meant; a busy machine may add to it.
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }
}

#[test]
fn a_file_that_is_no_text_for_the_pattern_is_left_alone() {
    let logs = Logs::new("");
    logs.create("other.log", "x\n");
    logs.create("app.log.tmp", "x\n");
    logs.create(".app.log.1", "x\n");
    let mut agent = logs.agent();
    agent.nothing_more("none of them fits");
    assert_eq!(texts(&agent), [""; 0]);
}
