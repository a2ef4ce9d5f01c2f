//! Files that are truncated, rewritten, replaced and deleted.

use std::fs;

use crate::inodes::{make_again, until_used_again};
use crate::support::{Logs, cells, ids_differ, texts, until, work};

#[test]
fn a_truncated_file_is_read_from_its_beginning_under_new_ids() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntwo\n");
    work(&mut agent, 2);
    logs.truncate("app.log");
    agent.nothing_more("it is empty");
    logs.append("app.log", "one\ntwo\nthree\n");
    work(&mut agent, 5);
    assert_eq!(cells(&agent), ["one", "two", "one", "two", "three"]);
    ids_differ(&agent);
}

#[test]
fn a_file_truncated_and_rewritten_to_more_than_it_had_is_read_from_its_beginning() {
    for running in [true, false] {
        let logs = Logs::new("");
        let mut agent = logs.agent();
        logs.create("app.log", "one\ntwo\n");
        work(&mut agent, 2);
        if !running {
            agent.kill();
        }
        logs.rewrite("app.log", "uno\ndos\ntres\n");
        if !running {
            agent.reopen(logs.source());
        }
        work(&mut agent, 5);
        assert_eq!(cells(&agent), ["one", "two", "uno", "dos", "tres"]);
        ids_differ(&agent);
    }
}

#[test]
fn a_rewrite_that_only_adds_goes_on() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntwo\n");
    work(&mut agent, 2);
    logs.rewrite("app.log", "one\ntwo\nthree\n");
    assert_eq!(work(&mut agent, 3)[2..], ["app.log:3: three"]);
}

#[test]
fn bytes_that_were_there_and_not_read_are_told_when_a_file_is_begun_again() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntwo without its e");
    work(&mut agent, 1);
    logs.rewrite("app.log", "1\n");
    work(&mut agent, 3);
    assert_eq!(
        texts(&agent),
        ["app.log:1: one", "app.log:2! source", "app.log:1: 1"]
    );
    ids_differ(&agent);
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    until_used_again(|| {
        let logs = Logs::new("");
        let mut agent = logs.agent();
        logs.create("app.log", "one\ntwo\n");
        work(&mut agent, 2);
        agent.kill();
        let again = make_again(&logs.at("app.log"), || {
            logs.create("app.log", "one\ntwo\nthree\nfour\n");
        });
        agent.reopen(logs.source());
        work(&mut agent, 6);
        assert_eq!(cells(&agent), ["one", "two", "one", "two", "three", "four"]);
        ids_differ(&agent);
        again
    });
}

#[test]
fn two_files_with_the_same_first_4_kib_stay_two() {
    let logs = Logs::new("pattern = \"*.log\"\n");
    let mut agent = logs.agent();
    let same: String = (0..1_000).map(|line| format!("line {line}\n")).collect();
    assert!(same.len() > 2 * 4_096);
    logs.create("a.log", &same);
    logs.create("b.log", &same);
    work(&mut agent, 2_000);
    agent.reopen(logs.source());
    logs.append("b.log", "of b\n");
    logs.append("a.log", "of a\n");
    let all = work(&mut agent, 2_002);
    assert!(all[2_000..].contains(&"a.log:1001: of a".to_owned()));
    assert!(all[2_000..].contains(&"b.log:1001: of b".to_owned()));
    ids_differ(&agent);
}

#[test]
fn a_deleted_file_is_read_to_its_end_while_it_is_open_and_told_of_if_a_line_was_not_whole() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\n");
    work(&mut agent, 1);
    let mut writer = fs::File::options()
        .append(true)
        .open(logs.at("app.log"))
        .expect("the file");
    logs.remove("app.log");
    logs.create("other", "");
    std::io::Write::write_all(&mut writer, b"two\nthr").expect("it is written");
    work(&mut agent, 2);
    // Another file shows that the folder is there.
    logs.create("app.log", "new\n");
    until(&mut agent, |agent| agent.log.len() == 4);
    assert_eq!(cells(&agent)[..2], ["one", "two"]);
    let mut rest = texts(&agent)[2..].to_vec();
    rest.sort();
    assert_eq!(rest, ["app.log:1: new", "app.log:3! source"]);
}

#[test]
fn a_file_deleted_while_the_agent_was_down_is_told_of_only_if_bytes_were_seen_and_not_read() {
    for (content, expected) in [("one\n", 2), ("one\ntw", 3)] {
        let logs = Logs::new("");
        let mut agent = logs.agent();
        logs.create("app.log", content);
        work(&mut agent, 1);
        agent.kill();
        logs.remove("app.log");
        logs.create("app.log", "new\n");
        agent.reopen(logs.source());
        until(&mut agent, |agent| agent.log.len() == expected);
        agent.nothing_more("all of it was told");
        assert_eq!(
            cells(&agent).iter().filter(|cell| *cell == "!").count(),
            expected - 2
        );
    }
}

#[test]
fn a_header_that_cannot_be_read_is_told_once_and_the_file_is_read_when_it_is_begun_again() {
    let logs =
        Logs::new("format.kind = \"csv\"\nformat.header = true\nformat.columns = [\"SKU\"]\n");
    let mut agent = logs.agent();
    logs.create("app.log", "A,B\n1,2\n");
    assert_eq!(work(&mut agent, 1), ["app.log:1! source"]);
    logs.append("app.log", "3,4\n");
    agent.nothing_more("the header still is what it was");
    agent.reopen(logs.source());
    agent.nothing_more("it was told");
    logs.rewrite("app.log", "SKU,B\n5,6\n");
    assert_eq!(work(&mut agent, 2)[1..], ["app.log:2: 5|6"]);
}
