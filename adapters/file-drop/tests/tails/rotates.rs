//! Files that are renamed or copied away.

use crate::support::{Logs, cells, ids_differ, texts, work};

#[test]
fn what_is_left_in_a_renamed_file_is_read_before_the_new_one() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\n");
    work(&mut agent, 1);
    logs.append("app.log", "two\n");
    logs.rename("app.log", "app.log.1");
    logs.create("app.log", "three\n");
    work(&mut agent, 3);
    // What wrote to it had not yet opened the new one.
    logs.append("app.log.1", "late\n");
    work(&mut agent, 4);
    assert_eq!(
        texts(&agent),
        [
            "app.log:1: one",
            "app.log:2: two",
            "app.log:1: three",
            "app.log:3: late"
        ]
    );
    ids_differ(&agent);
}

#[test]
fn several_rotations_while_the_agent_was_down_are_read_in_order() {
    for settings in [
        "",
        "rotated = [\"app.log.?\"]\n",
        "pattern = \"app.log*\"\n",
    ] {
        let logs = Logs::new(settings);
        let mut agent = logs.agent();
        logs.create("app.log", "1\n");
        work(&mut agent, 1);
        agent.kill();
        logs.append("app.log", "2\n");
        for number in 3..6 {
            for old in (1..4).rev() {
                let (from, to) = (format!("app.log.{old}"), format!("app.log.{}", old + 1));
                if logs.at(&from).exists() {
                    logs.rename(&from, &to);
                }
            }
            logs.rename("app.log", "app.log.1");
            logs.create("app.log", format!("{number}\n"));
        }
        agent.reopen(logs.source());
        work(&mut agent, 5);
        assert_eq!(cells(&agent), ["1", "2", "3", "4", "5"], "{settings}");
        ids_differ(&agent);
        agent.reopen(logs.source());
        agent.nothing_more("all of it was read");
    }
}

#[test]
fn a_date_before_the_ending_is_a_rotation_too() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\n");
    work(&mut agent, 1);
    logs.append("app.log", "two\n");
    logs.rename("app.log", "app-2024-01-31.log");
    logs.create("app.log", "three\n");
    work(&mut agent, 3);
    assert_eq!(cells(&agent), ["one", "two", "three"]);
}

#[test]
fn a_packed_rotation_is_not_read() {
    let logs = Logs::new("pattern = \"app.log*\"\n");
    let mut agent = logs.agent();
    logs.create("app.log", "one\n");
    logs.create("app.log.1.gz", "no line\n");
    assert_eq!(work(&mut agent, 1), ["app.log:1: one"]);
}

#[test]
fn a_copy_is_read_on_where_the_truncated_file_was_left() {
    for down in [false, true] {
        let logs = Logs::new("");
        let mut agent = logs.agent();
        logs.create("app.log", "one\ntwo\n");
        work(&mut agent, 2);
        if down {
            agent.kill();
        }
        logs.append("app.log", "three\n");
        logs.copy("app.log", "app.log.1");
        logs.truncate("app.log");
        logs.append("app.log", "four\n");
        if down {
            agent.reopen(logs.source());
        }
        work(&mut agent, 4);
        assert_eq!(
            cells(&agent),
            ["one", "two", "three", "four"],
            "down: {down}"
        );
        ids_differ(&agent);
        agent.reopen(logs.source());
        agent.nothing_more("the copy was read");
        logs.rename("app.log.1", "app.log.2");
        agent.nothing_more("the copy was renamed");
    }
}

#[test]
fn several_copies_while_the_agent_was_down_are_read_in_order() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "1\n");
    work(&mut agent, 1);
    agent.kill();
    logs.append("app.log", "2\n");
    logs.copy("app.log", "app.log.1");
    logs.truncate("app.log");
    logs.append("app.log", "3\n");
    logs.rename("app.log.1", "app.log.2");
    logs.copy("app.log", "app.log.1");
    logs.truncate("app.log");
    logs.append("app.log", "4\n");
    agent.reopen(logs.source());
    work(&mut agent, 4);
    assert_eq!(cells(&agent), ["1", "2", "3", "4"]);
    ids_differ(&agent);
}

#[test]
fn a_copy_that_is_being_made_is_not_read_and_one_that_stays_is_not_either() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntwo\nthree\n");
    work(&mut agent, 3);
    logs.create("app.log.1", "");
    agent.nothing_more("the copy is empty");
    logs.append("app.log.1", "one\nt");
    agent.nothing_more("the copy is in the making");
    logs.append("app.log.1", "wo\nthree\n");
    agent.nothing_more("the copy is whole");
    agent.reopen(logs.source());
    agent.nothing_more("the copy is whole, and the file still there");
    logs.append("app.log", "four\n");
    work(&mut agent, 4);
    assert_eq!(cells(&agent), ["one", "two", "three", "four"]);
}
