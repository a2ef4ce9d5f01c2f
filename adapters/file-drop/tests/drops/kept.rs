//! A folder in which nothing is touched.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use dray_adapter::conformance::{self, Agent, Pace};
use dray_adapter::{BATCH_RECORDS_MAX, Polled, SourceError};

use crate::conforms::Folder;
use crate::readiness::{go, opened};
use crate::support::{Drops, Nothing, age, bytes_read, table, until, work};

const KEEP: &str = "after = \"keep\"\n";

/// Names, inodes and times of what is in the folder, and the folder's own.
fn shape(drops: &Drops) -> Vec<(String, u64, i64, i64)> {
    let mut paths = vec![drops.path.clone()];
    paths.extend(
        fs::read_dir(&drops.path)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path()),
    );
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let metadata = fs::symlink_metadata(path).expect("it is there");
            let name = path.display().to_string();
            let nanoseconds = metadata.ctime_nsec() + metadata.mtime_nsec();
            (
                name,
                metadata.ino(),
                metadata.ctime() + metadata.mtime(),
                nanoseconds,
            )
        })
        .collect()
}

/// The lines of the ledger, without its head: how each ended, and its name.
fn ledger(drops: &Drops) -> Vec<String> {
    let text = fs::read_to_string(drops.own().join("ledger")).expect("the ledger");
    let told = |line: &str| {
        let parts: Vec<&str> = line.split('\t').collect();
        let name = parts[parts.len().min(10) - 1].trim_end_matches('$');
        format!("{} {name}", parts[0])
    };
    text.lines().skip(1).map(told).collect()
}

#[test]
fn a_folder_that_stays_as_it_is_conforms() {
    conformance::run(|| Folder::light_with(KEEP));
}

#[test]
fn what_is_not_acked_is_read_again_from_a_folder_that_stays_as_it_is() {
    conformance::run_second_copy(|| Folder::new(KEEP).without_set_aside());
}

#[test]
fn nothing_in_a_kept_folder_is_renamed_made_or_locked() {
    let drops = Drops::new(KEEP);
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", "SKU|SKU\nB|1\n");
    drops.put("c.txt", table(&["A|1"]));
    let before = shape(&drops);
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "b.txt:0! source"]);
    until(&mut agent, || {
        ledger(&drops).contains(&"repeated c.txt".into())
    });
    agent.ack();
    agent.reopen(drops.source());
    agent.nothing_more("all of it stands in the ledger");
    assert_eq!(
        ledger(&drops),
        ["acked a.txt", "failed b.txt", "repeated c.txt"]
    );
    assert_eq!(shape(&drops), before);
}

#[test]
fn scenario_2_a_kill_between_commit_and_ledger_reads_nothing_twice() {
    for settings in ["", "repeat = \"send\"\n"] {
        let drops = Drops::new(&[KEEP, settings].concat());
        drops.put("a.txt", table(&["A|1"]));
        drops.put("b.txt", table(&["B|1"]));
        let mut agent = Agent::open(drops.source());
        while agent.log.is_empty() {
            agent.poll();
            agent.append();
        }
        assert!(ledger(&drops).is_empty(), "it is not committed");
        agent.reopen(drops.source());
        assert_eq!(ledger(&drops), ["appended a.txt"], "it is made up for");
        assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "b.txt:2: B|1"]);
        agent.reopen(drops.source());
        agent.nothing_more("both stand in the ledger");
    }
}

#[test]
fn a_line_that_a_crash_tore_costs_nothing() {
    let drops = Drops::new(KEEP);
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 1);
    agent.kill();
    drops.put("b.txt", table(&["B|1"]));
    let path = drops.own().join("ledger");
    let mut text = fs::read(&path).expect("the ledger");
    text.truncate(text.len() - 9);
    fs::write(&path, text).expect("the ledger");
    agent.reopen(drops.source());
    assert_eq!(work(&mut agent, 2)[1..], ["b.txt:2: B|1"]);
    agent.reopen(drops.source());
    agent.nothing_more("every line is whole again");
}

#[test]
fn scenario_3_the_same_content_under_a_new_name_is_one_ingestion_and_a_report() {
    let drops = Drops::new(KEEP);
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 1);
    drops.put("b.txt", table(&["A|1"]));
    until(&mut agent, || {
        ledger(&drops).contains(&"repeated b.txt".into())
    });
    // A buffer forgets marks after seven days; the ledger has them as long as the file stands there.
    agent.kill();
    drops.put("c.txt", table(&["A|1"]));
    let mut later = Agent::open(drops.source());
    later.nothing_more("the ledger knows the content");
    until(&mut later, || {
        ledger(&drops).contains(&"repeated c.txt".into())
    });
}

#[test]
fn scenario_4_the_same_name_with_new_content_is_read_too() {
    let drops = Drops::new(KEEP);
    let mut agent = Agent::open(drops.source());
    for day in 1..=3 {
        drops.put("stock.txt", table(&[&format!("A|{day}")]));
        age(
            &drops.at("stock.txt"),
            Duration::from_secs(100 * (9 - day as u64)),
        );
        assert_eq!(
            work(&mut agent, day)[day - 1],
            format!("stock.txt:2: A|{day}")
        );
        agent.reopen(drops.source());
    }
    agent.nothing_more("each day was read once");
    // It grows in its place.
    drops.append("stock.txt", "B|9\n");
    assert_eq!(
        work(&mut agent, 5)[3..],
        ["stock.txt:2: A|3", "stock.txt:3: B|9"]
    );
}

#[test]
fn a_kept_file_that_fails_is_told_once_and_read_when_it_is_mended() {
    let drops = Drops::new(&[KEEP, "bad_lines_max = 0\n"].concat());
    drops.put("a.txt", table(&["A|1", "x"]));
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 1), ["a.txt:0! source"]);
    agent.reopen(drops.source());
    agent.nothing_more("it was told");
    assert!(drops.has("a.txt"));
    let text = fs::read_to_string(drops.own().join("ledger")).expect("the ledger");
    assert!(
        text.contains("bad_lines_max"),
        "the reason stands there: {text}"
    );
    drops.put("a.txt", table(&["A|1"]));
    age(&drops.at("a.txt"), Duration::from_secs(90));
    assert_eq!(work(&mut agent, 2)[1], "a.txt:2: A|1");
}

/// The same files with other inodes, as a share has that was mounted again.
fn copy_all(drops: &Drops) {
    for name in drops.files("") {
        let metadata = fs::metadata(drops.at(&name)).expect("a file");
        let copy = drops.at(&format!(".{name}"));
        fs::copy(drops.at(&name), &copy).expect("a copy");
        let file = fs::File::options().append(true).open(&copy).expect("it");
        file.set_modified(metadata.modified().expect("a time"))
            .expect("its time");
        fs::rename(&copy, drops.at(&name)).expect("a rename");
    }
}

#[test]
fn scenario_38_kept_files_with_other_inodes_are_known_by_their_content() {
    for (settings, reads) in [("", true), ("inodes = \"changing\"\n", false)] {
        let drops = Drops::new(&[KEEP, settings].concat());
        let filling = "x".repeat(20_000);
        for number in 0..20 {
            drops.put(
                &format!("{number:02}.txt"),
                table(&[&format!("{number}|{filling}")]),
            );
        }
        let mut agent = Agent::open(drops.source());
        work(&mut agent, 20);
        agent.kill();
        copy_all(&drops);
        let before = bytes_read();
        agent.reopen(drops.source());
        agent.nothing_more("they are what they were");
        let read = bytes_read() - before;
        assert_eq!(read > 400_000, reads, "{read} bytes");
        assert!(
            ledger(&drops).iter().all(|line| line.starts_with("acked")),
            "none is a repeat: {:?}",
            ledger(&drops)
        );
        let before = bytes_read();
        agent.reopen(drops.source());
        agent.nothing_more("they are known");
        assert!(bytes_read() - before < 100_000, "and not read any more");
    }
}

#[test]
fn what_a_lost_buffer_held_goes_before_new_files_in_the_order_in_which_it_was_taken() {
    let drops = Drops::new(KEEP);
    let mut first = Agent::open(drops.source());
    for (number, name) in ["c", "b", "d"].into_iter().enumerate() {
        drops.put(&format!("{name}.txt"), table(&[&format!("{name}|1")]));
        first.finish(number + 1, Pace::default());
    }
    first.kill();
    drops.put("a.txt", table(&["new|1"]));
    fs::remove_file(drops.at("b.txt")).expect("it was there");
    let mut second = Agent::open(drops.source());
    let told = work(&mut second, 4);
    assert_eq!(
        told,
        [
            "b.txt:0! source",
            "c.txt:2: c|1",
            "d.txt:2: d|1",
            "a.txt:2: new|1"
        ]
    );
    let ids = |agent: &Agent, shown: &str| {
        let entry = agent.log.iter().find(|entry| entry.shown == shown);
        entry.expect("it was sent").id
    };
    assert_eq!(ids(&first, "c.txt:2: c|1"), ids(&second, "c.txt:2: c|1"));
    second.reopen(drops.source());
    second.nothing_more("what is gone was told once");
}

#[test]
fn a_lost_ledger_reads_again_with_the_ids_that_were_sent() {
    let drops = Drops::new(KEEP);
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", table(&["B|1"]));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 2);
    agent.kill();
    fs::remove_dir_all(drops.own()).expect("the disk is lost");
    agent.reopen(drops.source());
    agent.nothing_more("the buffer knows them");
    agent.kill();
    fs::remove_dir_all(drops.own()).expect("the disk is lost");
    let mut other = Agent::open(drops.source());
    work(&mut other, 2);
    assert_eq!(other.log, agent.log, "a collector drops them by their ids");
}

#[test]
fn a_half_read_kept_file_is_read_on() {
    let drops = Drops::new(KEEP);
    drops.put("m.txt", table(&vec!["M|1"; BATCH_RECORDS_MAX + 10]));
    let mut agent = Agent::open(drops.source());
    while agent.log.is_empty() {
        agent.poll();
        agent.append();
        agent.commit();
    }
    agent.kill();
    drops.put("a.txt", table(&["A|1"]));
    agent.reopen(drops.source());
    let told = work(&mut agent, BATCH_RECORDS_MAX + 11);
    assert_eq!(told.last().map(String::as_str), Some("a.txt:2: A|1"));
    assert!(!ledger(&drops).iter().any(|line| line.starts_with("rep")));
}

#[test]
fn a_ledger_that_cannot_be_written_is_waited_for_and_loses_nothing() {
    let drops = Drops::new(KEEP);
    let mut agent = Agent::open(drops.source());
    fs::remove_dir_all(drops.own()).expect("it is there");
    fs::write(drops.own(), "").expect("a file in its place");
    // The open file is written on; a new one can't be made.
    agent.kill();
    drops.put("a.txt", table(&["A|1"]));
    let mut source = drops.source();
    let seen = Arc::new(Nothing);
    match source.open(None, seen, Arc::new(|| ())) {
        Err(SourceError::Retry { reason, .. }) => {
            assert!(
                reason.contains("ledger") && reason.contains("data_dir"),
                "{reason}"
            );
        }
        other => panic!("a retry was expected: {other:?}"),
    }
    fs::remove_file(drops.own()).expect("the file");
    agent.reopen(drops.source());
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
}

#[test]
fn whoever_moves_again_what_was_kept_is_stopped_in_words() {
    let drops = Drops::new(KEEP);
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 1);
    agent.kill();
    let mut source = drops.source_with("");
    let seen = Arc::new(Nothing);
    let mut open = || source.open(None, Arc::clone(&seen) as _, Arc::new(|| ()));
    match open() {
        Err(SourceError::Operator { reason }) => {
            let words = ["1 files", "keep", "move what was sent"];
            assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
        }
        other => panic!("an operator was expected: {other:?}"),
    }
    fs::remove_file(drops.at("a.txt")).expect("it was there");
    open().expect("nothing would be sent again");
    assert!(matches!(source.poll(), Ok(Polled::Idle(_))));
    source.close();
}

#[test]
fn companions_of_files_that_were_taken_are_no_orphans_where_nothing_moves() {
    let drops = Drops::new(&format!(
        "{KEEP}quiet = \"0s\"\ndone = {{ name = \"{{name}}.done\", alarm_after = \"100ms\" }}\n"
    ));
    for name in ["a.txt", "b.txt"] {
        drops.put(name, table(&["A|1", name]));
        fs::write(drops.at(&format!("{name}.done")), "").expect("a companion");
    }
    fs::write(drops.at("c.txt.done"), "").expect("a companion");
    let (mut agent, status) = opened(&drops);
    go(&mut agent, |agent| agent.log.len() == 4);
    go(&mut agent, |_| status.has(&["c.txt.done: "]));
    assert!(!status.has(&["more"]), "of the others nothing is told");
}
