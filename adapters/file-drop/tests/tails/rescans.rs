//! What is done to a log while its folder is scanned: after the names are read, and before the files are looked at.

use crate::support::{Logs, between_names_and_looks, cells, ids_differ, texts, was_scanned, work};

/// As logrotate's copytruncate does with the files before.
fn copy_and_truncate(logs: &Logs) {
    for number in (1..9).rev() {
        let (from, to) = (
            format!("app.log.{number}"),
            format!("app.log.{}", number + 1),
        );
        if logs.at(&from).exists() {
            logs.rename(&from, &to);
        }
    }
    logs.copy("app.log", "app.log.1");
    logs.truncate("app.log");
}

/// A log of which `one` and `two` were sent; `deed` is done while it is scanned, once or after a restart.
fn check(deed: fn(&Logs), expected: &[&str]) {
    for restarts in [false, true] {
        let logs = Logs::new("");
        let mut agent = logs.agent();
        logs.create("app.log", "one\ntwo\n");
        work(&mut agent, 2);
        if restarts {
            agent.kill();
        }
        let there = logs.clone();
        between_names_and_looks(move || deed(&there));
        if restarts {
            agent.reopen(logs.source());
        }
        work(&mut agent, expected.len());
        assert!(was_scanned());
        assert_eq!(cells(&agent), expected, "restarts: {restarts}");
        ids_differ(&agent);
        agent.reopen(logs.source());
        agent.nothing_more("all of it was read");
    }
}

#[test]
fn a_copy_made_while_the_folder_is_scanned_is_read_on_before_the_file_begins_again() {
    check(
        |logs| {
            logs.append("app.log", "three\n");
            copy_and_truncate(logs);
        },
        &["one", "two", "three"],
    );
    check(
        |logs| {
            logs.append("app.log", "three\n");
            copy_and_truncate(logs);
            logs.append("app.log", "4\n");
        },
        &["one", "two", "three", "4"],
    );
    // By its size it still may be what it was.
    check(
        |logs| {
            logs.append("app.log", "three\n");
            copy_and_truncate(logs);
            logs.append("app.log", "four and more than there was\n");
        },
        &["one", "two", "three", "four and more than there was"],
    );
}

#[test]
fn copies_made_one_after_the_other_while_the_folder_is_scanned_are_read_in_order() {
    check(
        |logs| {
            for line in ["3\n", "4\n", "5\n"] {
                logs.append("app.log", line);
                copy_and_truncate(logs);
            }
            logs.append("app.log", "6\n");
        },
        &["one", "two", "3", "4", "5", "6"],
    );
}

#[test]
fn lines_of_which_only_the_copy_is_left_come_before_those_after_the_truncation() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\n");
    work(&mut agent, 1);
    // Nothing of it is known but that it is there, and empty.
    logs.truncate("app.log");
    agent.nothing_more("it is empty");
    let there = logs.clone();
    between_names_and_looks(move || {
        there.append("app.log", "two\n");
        copy_and_truncate(&there);
        there.append("app.log", "three\n");
    });
    work(&mut agent, 3);
    assert!(was_scanned());
    assert_eq!(cells(&agent), ["one", "two", "three"]);
    ids_differ(&agent);
}

#[test]
fn a_new_log_that_is_copied_while_the_folder_is_scanned_is_read_in_order() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "");
    let there = logs.clone();
    between_names_and_looks(move || {
        there.append("app.log", "one\n");
        copy_and_truncate(&there);
        there.append("app.log", "two\n");
    });
    work(&mut agent, 2);
    assert!(was_scanned());
    assert_eq!(cells(&agent), ["one", "two"]);
    ids_differ(&agent);
}

#[test]
fn copies_that_are_renamed_while_the_folder_is_scanned_are_not_missed() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntwo\n");
    work(&mut agent, 2);
    let there = logs.clone();
    between_names_and_looks(move || {
        there.append("app.log", "three\n");
        copy_and_truncate(&there);
        there.append("app.log", "4\n");
        // In the scan that would see the copy it is called otherwise by the time that it is looked at.
        let again = there.clone();
        between_names_and_looks(move || {
            copy_and_truncate(&again);
            again.append("app.log", "5\n");
        });
    });
    work(&mut agent, 5);
    assert!(was_scanned());
    assert_eq!(cells(&agent), ["one", "two", "three", "4", "5"]);
    ids_differ(&agent);
}

#[test]
fn a_copy_in_the_making_of_a_file_that_was_just_truncated_is_not_read_twice() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntwo\n");
    work(&mut agent, 2);
    let there = logs.clone();
    between_names_and_looks(move || {
        there.append("app.log", "three\n");
        copy_and_truncate(&there);
        there.append("app.log", "4\n5\n");
        there.rename("app.log.1", "app.log.2");
        there.create("app.log.1", "4\n5");
    });
    work(&mut agent, 5);
    assert!(was_scanned());
    let there = logs.clone();
    between_names_and_looks(move || {
        there.append("app.log.1", "\n");
        there.truncate("app.log");
        there.append("app.log", "6\n");
    });
    work(&mut agent, 6);
    assert_eq!(cells(&agent), ["one", "two", "three", "4", "5", "6"]);
    ids_differ(&agent);
}

#[test]
fn what_is_left_in_a_file_renamed_while_the_folder_is_scanned_comes_before_the_new_one() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\n");
    work(&mut agent, 1);
    agent.kill();
    logs.append("app.log", "two\n");
    let there = logs.clone();
    between_names_and_looks(move || {
        there.rename("app.log", "app.log.1");
        there.create("app.log", "three\n");
    });
    agent.reopen(logs.source());
    work(&mut agent, 3);
    assert!(was_scanned());
    assert_eq!(cells(&agent), ["one", "two", "three"]);
    ids_differ(&agent);
}

#[test]
fn a_copy_whose_last_line_has_no_end_does_not_hold_the_file_back() {
    check(
        |logs| {
            logs.append("app.log", "three\nfo");
            copy_and_truncate(logs);
            logs.append("app.log", "5\n");
        },
        &["one", "two", "three", "5"],
    );
}

#[test]
fn a_file_truncated_without_a_copy_while_the_folder_is_scanned_is_begun_again_and_told_if_bytes_were_left()
 {
    check(
        |logs| {
            logs.truncate("app.log");
            logs.append("app.log", "3\n");
        },
        &["one", "two", "3"],
    );
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntwo without its e");
    work(&mut agent, 1);
    let there = logs.clone();
    between_names_and_looks(move || there.rewrite("app.log", "1\n"));
    work(&mut agent, 3);
    assert!(was_scanned());
    assert_eq!(
        texts(&agent),
        ["app.log:1: one", "app.log:2! source", "app.log:1: 1"]
    );
}
