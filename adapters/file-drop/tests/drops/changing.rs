//! Files that change while they are read, vanish, or grow afterwards.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use dray_adapter::BATCH_RECORDS_MAX;
use dray_adapter::conformance::{Agent, Pace, PolledOnce};

use crate::inodes::{make_again, until_used_again};
use crate::support::{Drops, acking, age, table, work};

/// A file of two batches.
fn large() -> String {
    table(&vec!["A|1"; BATCH_RECORDS_MAX + 10])
}

/// Polls until the first batch of a file is appended.
fn first_batch(agent: &mut Agent) {
    while agent.log.is_empty() {
        agent.poll();
        agent.append();
        agent.commit();
    }
}

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_read_is_set_aside_with_a_word() {
    for shrink in [false, true] {
        let drops = Drops::new("");
        drops.put("a.txt", large());
        let mut agent = Agent::open(drops.source());
        first_batch(&mut agent);
        if shrink {
            let file = OpenOptions::new()
                .write(true)
                .open(drops.at("a.txt"))
                .expect("the file");
            file.set_len(100).expect("it is cut");
        } else {
            drops.append("a.txt", "late|1\n");
        }
        let told = work(&mut agent, BATCH_RECORDS_MAX + 1);
        assert_eq!(told.last().map(String::as_str), Some("a.txt:0! source"));
        assert_eq!(told.len(), BATCH_RECORDS_MAX + 1, "nothing more of it");
        assert_eq!(drops.files("failed"), ["a.txt"]);
        agent.reopen(drops.source());
        agent.nothing_more("it was set aside");
    }
}

#[test]
fn a_file_that_changed_is_set_aside_once_whenever_the_agent_dies() {
    let drops = Drops::new("");
    drops.put("a.txt", large());
    let mut agent = Agent::open(drops.source());
    first_batch(&mut agent);
    drops.append("a.txt", "late|1\n");
    while agent.log.len() == BATCH_RECORDS_MAX {
        agent.poll();
        agent.append();
    }
    assert!(drops.has("a.txt"), "not committed");
    agent.reopen(drops.source());
    agent.nothing_more("the agent died between the append and the move");
    assert_eq!(drops.files("failed"), ["a.txt"]);
}

#[test]
fn a_file_that_grew_before_it_was_moved_is_told_of() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    while agent.log.is_empty() {
        agent.poll();
        agent.append();
    }
    drops.append("a.txt", "late|1\n");
    let told = work(&mut agent, 2);
    assert_eq!(told, ["a.txt:2: A|1", "a.txt:0! source"]);
    assert_eq!(drops.files("failed"), ["a.txt"]);
    assert!(drops.files("archive").is_empty());
}

#[test]
fn a_file_that_was_touched_before_it_was_moved_is_what_it_was() {
    for restart in [false, true] {
        let drops = Drops::new("");
        drops.put("a.txt", table(&["A|1"]));
        let mut agent = Agent::open(drops.source());
        while agent.log.is_empty() {
            agent.poll();
            agent.append();
        }
        age(&drops.at("a.txt"), Duration::from_secs(3_600));
        if restart {
            agent.reopen(drops.source());
        }
        agent.finish(1, acking());
        agent.nothing_more("it is the same content");
        let kept = [drops.files("archive"), drops.files("archive/pending")].concat();
        assert_eq!(kept, ["a.txt"], "restart {restart}");
    }
}

#[test]
fn a_file_that_a_power_cut_took_is_read_on_when_it_is_dropped_again() {
    let drops = Drops::new("");
    drops.put("a.txt", large());
    let mut agent = Agent::open(drops.source());
    first_batch(&mut agent);
    // The first one stays in the way, so that the second gets another inode.
    fs::rename(drops.at("a.txt"), drops.at(".first")).expect("a rename");
    let mut first = fs::File::create(drops.at(".first")).expect("a file");
    first.write_all(b"another").expect("a write");
    drops.put("a.txt", large());
    age(&drops.at("a.txt"), Duration::from_secs(7_200));
    agent.reopen(drops.source());
    let told = work(&mut agent, BATCH_RECORDS_MAX + 10);
    assert!(
        told.iter().all(|told| !told.contains('!')),
        "nothing of it is missing"
    );
    agent.nothing_more("each record once");
}

#[test]
fn a_file_that_grew_in_the_archive_is_told_of_and_kept() {
    for restart in [false, true] {
        let drops = Drops::new("");
        drops.put("a.txt", table(&["A|1"]));
        let mut agent = Agent::open(drops.source());
        agent.finish(1, Pace::default());
        drops.append("archive/pending/a.txt", "late|1\n");
        if restart {
            agent.reopen(drops.source());
        }
        let told = work(&mut agent, 2);
        assert_eq!(told[1], "a.txt:0! source", "restart {restart}");
        assert_eq!(drops.files("failed"), ["a.txt"]);
        assert!(drops.files("archive").is_empty() && drops.files("archive/pending").is_empty());
    }
}

#[test]
fn what_is_told_in_the_middle_of_a_file_does_not_lose_its_place() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    agent.finish(1, Pace::default());
    drops.append("archive/pending/a.txt", "late|1\n");
    drops.put("b.txt", large());
    while agent.log.len() < 2 {
        agent.poll();
        agent.append();
        agent.commit();
    }
    // The ack finds that a.txt changed, and the agent dies when that is told.
    agent.ack();
    let before = agent.log.len();
    while agent.log.len() == before {
        agent.poll();
        agent.append();
    }
    assert_eq!(agent.log[before].shown, "a.txt:0! source");
    agent.reopen(drops.source());
    let told = work(&mut agent, BATCH_RECORDS_MAX + 12);
    assert_eq!(told.len(), BATCH_RECORDS_MAX + 12, "b.txt is read on");
    assert!(!told.iter().any(|told| told.starts_with("b.txt:0")));
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_another_file() {
    let drops = Drops::new("");
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    while agent.log.is_empty() {
        agent.poll();
        agent.append();
    }
    drops.put("a.txt", table(&["B|2"]));
    assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "a.txt:2: B|2"]);
    assert_eq!(
        drops.files("archive"),
        ["a.txt"],
        "the first one is gone, and was sent"
    );
}

#[test]
fn a_file_that_vanishes_is_sent_as_far_as_it_was_open() {
    let drops = Drops::new("");
    drops.put("a.txt", large());
    drops.put("b.txt", table(&["B|1"]));
    let mut agent = Agent::open(drops.source());
    first_batch(&mut agent);
    fs::remove_file(drops.at("a.txt")).expect("it was there");
    let told = work(&mut agent, BATCH_RECORDS_MAX + 11);
    assert_eq!(told.last().map(String::as_str), Some("b.txt:2: B|1"));
    assert_eq!(drops.files("archive"), ["b.txt"]);
}

#[test]
fn a_half_read_file_goes_first_after_a_restart() {
    let drops = Drops::new("");
    drops.put("m.txt", large());
    let mut agent = Agent::open(drops.source());
    first_batch(&mut agent);
    agent.kill();
    drops.put("a.txt", table(&["A|1"]));
    drops.put("z.txt", table(&["Z|1"]));
    agent.reopen(drops.source());
    let told = work(&mut agent, BATCH_RECORDS_MAX + 12);
    assert!(
        told[..BATCH_RECORDS_MAX + 10]
            .iter()
            .all(|told| told.starts_with("m.txt"))
    );
    assert_eq!(
        told[BATCH_RECORDS_MAX + 10..],
        ["a.txt:2: A|1", "z.txt:2: Z|1"]
    );
}

#[test]
fn a_half_read_file_is_found_under_another_name() {
    let drops = Drops::new("");
    drops.put("m.txt", large());
    let mut agent = Agent::open(drops.source());
    first_batch(&mut agent);
    agent.kill();
    fs::rename(drops.at("m.txt"), drops.at("n.txt")).expect("a rename");
    agent.reopen(drops.source());
    let told = work(&mut agent, BATCH_RECORDS_MAX + 10);
    assert_eq!(told.len(), BATCH_RECORDS_MAX + 10);
    assert!(told.last().is_some_and(|told| told.starts_with("n.txt")));
}

/// A machine that lost its disk goes on where the collector last heard of a place, which may be before what it acked.
#[test]
fn a_half_read_file_that_was_acked_by_then_is_read_on_in_the_archive() {
    let drops = Drops::new("");
    drops.put("m.txt", large());
    let mut agent = Agent::open(drops.source());
    first_batch(&mut agent);
    let place = agent.position.clone();
    agent.finish(BATCH_RECORDS_MAX + 10, acking());
    assert_eq!(drops.files("archive"), ["m.txt"]);
    agent.kill();
    let mut other = Agent::open(drops.source());
    other.kill();
    other.position = place;
    other.reopen(drops.source());
    other.finish(10, acking());
    assert!(
        other.log[..] == agent.log[BATCH_RECORDS_MAX..],
        "the same ids"
    );
    assert_eq!(drops.files("archive"), ["m.txt"]);
    other.nothing_more("it is in the archive again");
}

#[test]
fn a_half_read_file_that_vanished_is_told_of_and_others_go_on() {
    let drops = Drops::new("");
    drops.put("m.txt", large());
    let mut agent = Agent::open(drops.source());
    first_batch(&mut agent);
    agent.kill();
    fs::remove_file(drops.at("m.txt")).expect("it was there");
    drops.put("n.txt", table(&["N|1"]));
    agent.reopen(drops.source());
    let told = work(&mut agent, BATCH_RECORDS_MAX + 2);
    assert_eq!(
        told[BATCH_RECORDS_MAX..],
        ["m.txt:0! source", "n.txt:2: N|1"]
    );
}

#[test]
fn a_new_file_with_the_name_and_inode_of_a_half_read_one_is_another_file() {
    until_used_again(|| {
        let drops = Drops::new("");
        drops.put("m.txt", large());
        let mut agent = Agent::open(drops.source());
        first_batch(&mut agent);
        agent.kill();
        let again = make_again(&drops.at("m.txt"), || {
            drops.put("m.txt", table(&["N|1"]));
        });
        agent.reopen(drops.source());
        let told = work(&mut agent, BATCH_RECORDS_MAX + 2);
        assert_eq!(
            told[BATCH_RECORDS_MAX..],
            ["m.txt:0! source", "m.txt:2: N|1"]
        );
        assert_eq!(drops.files("archive"), ["m.txt"]);
        again
    });
}

#[test]
fn files_of_one_long_name_are_kept_apart_and_found_again() {
    let drops = Drops::new("");
    // As long as it may be before the test drops it under another name first.
    let name = format!("{}.txt", "q".repeat(248));
    let mut agent = Agent::open(drops.source());
    for row in 0..3 {
        drops.put(&name, table(&[&format!("x{row}|1")]));
        agent.finish(row + 1, Pace::default());
    }
    assert_eq!(drops.files("archive/pending").len(), 3);
    // The buffer is lost, and the collector has none of them.
    let mut agent = Agent::open(drops.source());
    let told = work(&mut agent, 3);
    assert!(told.iter().all(|told| told.starts_with("qqq")));
    assert_eq!(drops.files("archive").len(), 3);
    assert!(drops.files("archive/pending").is_empty());
}

#[test]
fn a_half_read_file_that_changed_meanwhile_is_set_aside() {
    let drops = Drops::new("");
    drops.put("m.txt", large());
    let mut agent = Agent::open(drops.source());
    first_batch(&mut agent);
    agent.kill();
    drops.append("m.txt", "late|1\n");
    agent.reopen(drops.source());
    let told = work(&mut agent, BATCH_RECORDS_MAX + 1);
    assert_eq!(told[BATCH_RECORDS_MAX..], ["m.txt:0! source"]);
    assert_eq!(drops.files("failed"), ["m.txt"]);
    agent.reopen(drops.source());
    agent.nothing_more("it is set aside");
}

#[test]
fn a_slow_writer_is_waited_for_until_it_closes() {
    let drops = Drops::new("quiet = \"100ms\"\n");
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("the folder is empty");
    let mut file = fs::File::create(drops.at("a.txt")).expect("a file");
    file.write_all(b"SKU|QTY\nA|1\n").expect("a write");
    for _ in 0..5 {
        agent.nothing_more("it is still open");
    }
    file.write_all(b"B|2\n").expect("a write");
    drop(file);
    assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "a.txt:3: B|2"]);
}

#[test]
fn with_quiet_time_a_close_is_not_enough() {
    let drops = Drops::new("ready = \"quiet\"\nquiet = \"1h\"\n");
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("the folder is empty");
    fs::write(drops.at("a.txt"), table(&["A|1"])).expect("a file");
    agent.nothing_more("it must stand still for an hour");
    age(&drops.at("a.txt"), Duration::from_secs(7_200));
    agent.nothing_more("its own time proves nothing for a file that came after us");
    agent.reopen(drops.source());
    assert_eq!(
        work(&mut agent, 1),
        ["a.txt:2: A|1"],
        "it was there at the start, and is old"
    );
}

#[test]
fn a_closed_file_is_taken_at_once() {
    let drops = Drops::new(
        "quiet = \"1h\"\nscan_every = \"1h\"\n"
            .replace("scan_every = \"1h\"\n", "")
            .as_str(),
    );
    let mut agent = Agent::open(drops.source());
    while agent.poll() != PolledOnce::Idle {}
    fs::write(drops.at("a.txt"), table(&["A|1"])).expect("a file");
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
    agent.finish(1, acking());
}
