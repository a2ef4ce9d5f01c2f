//! What is heard of the folder between two scans, and what became of a file while it waited.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use dray_adapter::conformance::{Agent, shown};
use rustix::fs::{CWD, FileType};

use crate::support::{Drops, table, until, work};

/// Only what is heard of the folder finds files: the next scan is far away.
fn heard_alone(order: &str) -> (Drops, Agent) {
    let drops = Drops::new(&format!(
        "quiet = \"1h\"\nscan_every = \"1h\"\norder = \"{order}\"\n"
    ));
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("the folder is empty");
    (drops, agent)
}

#[test]
fn a_file_that_was_just_begun_holds_up_those_behind_it() {
    for order in ["name", "number"] {
        let (drops, mut agent) = heard_alone(order);
        let mut first = File::create(drops.at("01a.txt")).expect("a file");
        first.write_all(b"SKU|QTY\nA|1\n").expect("a write");
        drops.put("01b.txt", table(&["B|1"]));
        // What was heard is in order: with this one, the file before it was heard of.
        drops.put("00.txt", table(&["Z|1"]));
        assert_eq!(work(&mut agent, 1), ["00.txt:2: Z|1"]);
        agent.nothing_more("the first is still being written");
        first.write_all(b"A|2\n").expect("a write");
        drop(first);
        let told = work(&mut agent, 4);
        assert_eq!(
            told[1..],
            ["01a.txt:2: A|1", "01a.txt:3: A|2", "01b.txt:2: B|1"]
        );
    }
}

#[test]
fn a_file_that_was_begun_and_is_gone_holds_up_nobody() {
    let (drops, mut agent) = heard_alone("name");
    let first = File::create(drops.at("01a.txt")).expect("a file");
    drops.put("01b.txt", table(&["B|1"]));
    drops.put("00.txt", table(&["Z|1"]));
    work(&mut agent, 1);
    agent.nothing_more("the first is still being written");
    fs::remove_file(drops.at("01a.txt")).expect("it is there");
    drop(first);
    assert_eq!(work(&mut agent, 2)[1..], ["01b.txt:2: B|1"]);
}

#[test]
fn what_became_a_pipe_or_a_link_while_it_waited_is_neither_waited_for_nor_followed() {
    let (drops, mut agent) = heard_alone("name");
    let mut first = File::create(drops.at("00.txt")).expect("a file");
    first.write_all(b"SKU|QTY\nA|1\n").expect("a write");
    for name in ["01.txt", "02.txt", "03.txt"] {
        drops.put(name, table(&[&format!("{name}|1")]));
    }
    agent.nothing_more("the first is still being written");
    let elsewhere = drops.path.with_file_name("elsewhere.txt");
    fs::write(&elsewhere, table(&["nobody dropped this|1"])).expect("a file");
    for name in ["01.txt", "02.txt"] {
        fs::remove_file(drops.at(name)).expect("it is there");
    }
    let mode = 0o600.into();
    rustix::fs::mknodat(CWD, drops.at("01.txt"), FileType::Fifo, mode, 0).expect("a pipe");
    symlink(&elsewhere, drops.at("02.txt")).expect("a link");
    drop(first);
    until(&mut agent, || drops.files("archive/pending").len() == 2);
    assert_eq!(shown(&agent.log), ["00.txt:2: A|1", "03.txt:2: 03.txt|1"]);
}

#[test]
fn by_time_a_file_that_is_written_again_while_it_waits_is_read_once_and_whole() {
    let (drops, mut agent) = heard_alone("mtime");
    let mut first = File::create(drops.at("0first.txt")).expect("a file");
    first.write_all(b"SKU|QTY\nF|1\n").expect("a write");
    let earlier = SystemTime::now() - Duration::from_secs(3_600);
    first.set_modified(earlier).expect("its time is set");
    agent.nothing_more("it is still being written");
    drops.put("a.txt", table(&["A|1"]));
    agent.nothing_more("the first is still being written");
    let mut again = File::options()
        .append(true)
        .open(drops.at("a.txt"))
        .expect("a file");
    again.write_all(b"A|2\n").expect("a write");
    drop(first);
    assert_eq!(work(&mut agent, 1), ["0first.txt:2: F|1"]);
    agent.nothing_more("the other one is being written again");
    drop(again);
    assert_eq!(work(&mut agent, 3)[1..], ["a.txt:2: A|1", "a.txt:3: A|2"]);
}
