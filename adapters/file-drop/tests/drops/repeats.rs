//! The same content again.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, SystemTime};

use dray_adapter::conformance::{Agent, Pace};

use crate::support::{Drops, acking, table, until, work};

#[test]
fn the_same_content_is_reported_and_put_beside() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", table(&["A|1"]));
    drops.put("c.txt", table(&["C|1"]));
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "c.txt:2: C|1"]);
    assert_eq!(drops.files("archive"), ["a.txt", "c.txt"]);
    until(&mut agent, || drops.files("archive/repeated") == ["b.txt"]);
    drops.put("c.txt", table(&["C|1"]));
    agent.reopen(drops.source());
    agent.nothing_more("c.txt came again after a restart");
    until(&mut agent, || {
        drops.files("archive/repeated") == ["b.txt", "c.txt"]
    });
}

#[test]
fn a_repeat_that_is_still_being_written_is_another_file() {
    let drops = Drops::new("quiet = \"500ms\"\n");
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
    drops.put("b.txt", table(&["A|1"]));
    agent.nothing_more("it is a repeat, and might not be whole");
    drops.append("b.txt", "late|1\n");
    assert_eq!(
        work(&mut agent, 3)[1..],
        ["b.txt:2: A|1", "b.txt:3: late|1"]
    );
    assert_eq!(drops.files("archive"), ["a.txt", "b.txt"]);
    assert!(drops.files("archive/repeated").is_empty());
}

#[test]
fn scenario_12_two_files_that_begin_alike_are_two() {
    for settings in ["", "after = \"keep\"\n"] {
        let drops = Drops::new(settings);
        let mut lines = vec!["SAME|1"; 2_000];
        let time = SystemTime::now() - Duration::from_secs(60);
        for (name, last) in [("a.txt", "A|1"), ("b.txt", "B|2")] {
            lines.push(last);
            drops.put(name, table(&lines));
            lines.pop();
            let file = fs::File::options().append(true).open(drops.at(name));
            let file = file.expect("the file");
            file.set_modified(time).expect("its time is set");
        }
        let mut agent = Agent::open(drops.source());
        let told = work(&mut agent, 2 * 2_001);
        assert_eq!(told[2_000], "a.txt:2002: A|1");
        assert_eq!(told[2_001], "b.txt:2: SAME|1");
        assert_eq!(told[4_001], "b.txt:2002: B|2");
        let ids: HashSet<_> = agent.log.iter().map(|entry| entry.id).collect();
        assert_eq!(ids.len(), 4_002);
        agent.nothing_more("each was sent");
        assert!(drops.files("archive/repeated").is_empty());
    }
}

#[test]
fn the_same_name_with_other_content_is_another_file() {
    let drops = Drops::new("");
    let mut agent = Agent::open(drops.source());
    for day in 1..=3 {
        drops.put("stock.txt", table(&[&format!("A|{day}")]));
        work(&mut agent, day);
    }
    let files = drops.files("archive");
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(
        files
            .iter()
            .all(|name| name.starts_with("stock") && name.ends_with(".txt")),
        "{files:?}"
    );
}

#[test]
fn where_repeats_are_wanted_each_has_ids_of_its_own() {
    let drops = Drops::new("repeat = \"send\"\n");
    let mut agent = Agent::open(drops.source());
    for day in 1..=4 {
        drops.put("stock.txt", table(&["A|1"]));
        work(&mut agent, day);
        if day % 2 == 0 {
            // The position still names yesterday's file, which had this name and content.
            agent.reopen(drops.source());
        }
    }
    let mut ids: Vec<_> = agent.log.iter().map(|entry| entry.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert_eq!(drops.files("archive").len(), 4);
}

#[test]
fn repeats_dropped_while_the_agent_was_down_are_sent_too() {
    let drops = Drops::new("repeat = \"send\"\n");
    drops.put("stock.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 1);
    agent.kill();
    drops.put("stock.txt", table(&["A|1"]));
    agent.reopen(drops.source());
    assert_eq!(work(&mut agent, 2).len(), 2);
}

#[test]
fn a_crash_before_the_move_is_no_repeat() {
    for settings in ["", "repeat = \"send\"\n"] {
        let drops = Drops::new(settings);
        drops.put("a.txt", table(&["A|1"]));
        let mut agent = Agent::open(drops.source());
        agent.finish(
            1,
            Pace {
                commit_behind: 9,
                ..Pace::default()
            },
        );
        let drops = Drops::new(settings);
        drops.put("a.txt", table(&["A|1"]));
        let mut agent = Agent::open(drops.source());
        while agent.log.is_empty() {
            agent.poll();
            agent.append();
        }
        assert!(drops.has("a.txt"), "it is not committed");
        agent.reopen(drops.source());
        agent.finish(1, acking());
        assert_eq!(agent.log.len(), 1, "{settings}");
        assert_eq!(
            drops.files("archive/pending"),
            ["a.txt"],
            "the move was made up for; no ack came since"
        );
        agent.ack();
    }
}

#[test]
fn a_repeat_of_what_is_being_appended_is_one_too() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    agent.finish(
        1,
        Pace {
            append_behind: 1,
            ..Pace::default()
        },
    );
    assert_eq!(agent.log.len(), 1);
    assert_eq!(drops.files("archive/repeated"), ["b.txt"]);
}

#[test]
fn the_second_copy_of_repeats_keeps_their_ids() {
    let drops = Drops::new("repeat = \"send\"\n");
    let mut agent = Agent::open(drops.source());
    for day in 1..=3 {
        drops.put("stock.txt", table(&["A|1"]));
        agent.finish(day, Pace::default());
    }
    assert_eq!(drops.files("archive/pending").len(), 3);
    agent.kill();
    let mut second = Agent::open(drops.source());
    second.finish(3, acking());
    let ids = |agent: &Agent| {
        let mut ids: Vec<_> = agent.log.iter().map(|entry| entry.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(
        ids(&second),
        ids(&agent),
        "read again with the ids that were sent"
    );
    assert!(fs::read_dir(drops.at("archive/pending")).is_ok_and(|mut left| left.next().is_none()));
}
