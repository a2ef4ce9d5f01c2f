//! Files that are complete once their companion is there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dray_adapter::Source;
use dray_adapter::conformance::{self, Agent, Pace, Place};
use dray_file_drop::preview;

use crate::conforms::Folder;
use crate::readiness::{go, opened, told, waits};
use crate::support::{Drops, acking, table, work};

/// The pattern `*.txt` of these tests fits such companions too.
const DONE: &str = "quiet = \"0s\"\ndone.name = \"{name}.done.txt\"\n";
const A_WHILE: Duration = Duration::from_millis(150);

/// Files with companions that are called as files are.
struct WithCompanions(Folder);

impl Place for WithCompanions {
    fn source(&self) -> Box<dyn Source> {
        self.0.source()
    }

    fn add(&mut self) -> Option<Vec<String>> {
        let (name, expected) = self.0.add_named()?;
        self.0.drops.put(&format!("{name}.done.txt"), "complete");
        Some(expected)
    }
}

#[test]
fn a_folder_of_files_with_companions_conforms() {
    conformance::run(|| WithCompanions(Folder::light_with("done.name = \"{name}.done.txt\"\n")));
}

#[test]
fn what_is_not_acked_is_read_again_without_its_companions_being_taken_for_files() {
    let drops = Drops::new(DONE);
    for name in ["a.txt", "b.txt"] {
        drops.put(name, table(&[&format!("{name}|1")]));
        drops.put(&format!("{name}.done.txt"), "complete");
    }
    let mut agent = Agent::open(drops.source());
    agent.finish(2, Pace::default());
    agent.kill();
    let mut agent = Agent::open(drops.source());
    assert_eq!(
        work(&mut agent, 2),
        ["a.txt:2: a.txt|1", "b.txt:2: b.txt|1"]
    );
    let all = ["a.txt", "a.txt.done.txt", "b.txt", "b.txt.done.txt"];
    assert_eq!(drops.files("archive"), all);
}

#[test]
fn a_done_file_before_its_data_waits_and_both_go_to_the_archive() {
    let drops = Drops::new(DONE);
    let mut agent = Agent::open(drops.source());
    fs::write(drops.at("a.txt.done.txt"), "").expect("a companion");
    waits(&mut agent, A_WHILE, "there is no data");
    drops.put("a.txt", table(&["A|1"]));
    agent.finish(1, Pace::default());
    assert_eq!(
        drops.files("archive/pending"),
        ["a.txt", "a.txt.done.txt"],
        "the companion goes where its file goes"
    );
    agent.ack();
    assert_eq!(drops.files("archive"), ["a.txt", "a.txt.done.txt"]);
    assert!(drops.files("").is_empty() && drops.files("archive/pending").is_empty());
}

#[test]
fn data_waits_for_its_done_file_and_what_comes_after_it_waits_too() {
    let drops = Drops::new("quiet = \"0s\"\ndone.name = \"{stem}.ctl\"\n");
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", table(&["B|1"]));
    fs::write(drops.at("b.ctl"), "").expect("a companion");
    let mut agent = Agent::open(drops.source());
    waits(&mut agent, A_WHILE, "a.ctl is not there");
    fs::write(drops.at("a.ctl"), "").expect("a companion");
    assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "b.txt:2: B|1"]);
    assert_eq!(drops.files("archive"), ["a.ctl", "a.txt", "b.ctl", "b.txt"]);
}

#[test]
fn a_done_file_that_is_still_written_is_waited_for() {
    let drops = Drops::new("quiet = \"300ms\"\nready = \"quiet\"\ndone.name = \"{name}.done\"\n");
    drops.put("a.txt", table(&["A|1"]));
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("it has no companion");
    for _ in 0..4 {
        let mut text = fs::read(drops.at("a.txt.done")).unwrap_or_default();
        text.push(b'x');
        fs::write(drops.at("a.txt.done"), text).expect("a companion");
        waits(&mut agent, A_WHILE, "the companion grows");
    }
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
}

#[test]
fn a_file_is_taken_at_once_when_the_last_of_both_is_closed() {
    for name in ["{name}.done", "{stem}.done"] {
        let drops = Drops::new(&format!("quiet = \"1h\"\ndone.name = \"{name}\"\n"));
        let mut agent = Agent::open(drops.source());
        agent.nothing_more("the folder is empty");
        let write = |name: &str, text: &str| fs::write(drops.at(name), text).expect("a file");
        let done = |stem: &str| {
            name.replace("{name}", &format!("{stem}.txt"))
                .replace("{stem}", stem)
        };
        write("a.txt", &table(&["A|1"]));
        agent.nothing_more("it has no companion");
        write(&done("a"), "");
        assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"], "{name}");
        write(&done("b"), "");
        agent.nothing_more("there is no file");
        write("b.txt", &table(&["B|1"]));
        assert_eq!(work(&mut agent, 2)[1], "b.txt:2: B|1", "{name}");
        write("c.txt", &table(&["C|1"]));
        write(&done("c"), "");
        assert_eq!(work(&mut agent, 3)[2], "c.txt:2: C|1", "{name}");
    }
}

#[test]
fn a_file_that_changed_in_the_archive_takes_its_companion_to_failed() {
    let drops = Drops::new(DONE);
    drops.put("a.txt", table(&["A|1"]));
    drops.put("a.txt.done.txt", "complete");
    let mut agent = Agent::open(drops.source());
    agent.finish(1, Pace::default());
    drops.append("archive/pending/a.txt", "late|1\n");
    assert_eq!(work(&mut agent, 2)[1], "a.txt:0! source");
    assert_eq!(drops.files("failed"), ["a.txt", "a.txt.done.txt"]);
    assert!(drops.files("archive/pending").is_empty());
}

#[test]
fn one_without_the_other_is_told_of_after_its_time_and_holds_nothing_up() {
    let drops =
        Drops::new("quiet = \"0s\"\ndone = { name = \"{name}.done\", alarm_after = \"300ms\" }\n");
    drops.put("a.txt", table(&["A|1"]));
    fs::write(drops.at("c.txt.done"), "").expect("a companion");
    drops.put("b.txt", table(&["B|1"]));
    fs::write(drops.at("b.txt.done"), "").expect("a companion");
    let (mut agent, status) = opened(&drops);
    go(&mut agent, |agent| agent.log.len() == 1);
    assert_eq!(told(&agent), ["b.txt:2: B|1"]);
    go(&mut agent, |_| {
        status.has(&["a.txt: ", "a.txt.done does not come", "300ms", "1 more"])
    });
    fs::write(drops.at("a.txt.done"), "").expect("a companion");
    go(&mut agent, |agent| agent.log.len() == 2);
    go(&mut agent, |_| {
        status.has(&["c.txt.done: ", "that file does not come"]) && !status.has(&["more"])
    });
    drops.put("c.txt", table(&["C|1"]));
    go(&mut agent, |agent| agent.log.len() == 3);
    go(&mut agent, |_| !status.has(&["c.txt"]));
    work(&mut agent, 3);
}

#[test]
fn a_companion_of_two_files_is_told_of_and_neither_is_taken() {
    let drops = Drops::with_pattern(
        "*.{csv,txt}",
        "quiet = \"0s\"\ndone.name = \"{stem}.ctl\"\n",
    );
    drops.put("a.txt", table(&["A|1"]));
    drops.put("a.csv", table(&["A|2"]));
    fs::write(drops.at("a.ctl"), "").expect("a companion");
    let (mut agent, status) = opened(&drops);
    go(&mut agent, |_| {
        status.has(&["a.ctl speaks of another file too", "{name}"])
    });
    waits(&mut agent, A_WHILE, "nobody knows which");
    fs::rename(drops.at("a.csv"), drops.at(".a.csv")).expect("a rename");
    go(&mut agent, |agent| agent.log.len() == 1);
    assert_eq!(told(&agent), ["a.txt:2: A|1"]);
}

#[test]
fn a_control_file_whose_values_hold_changes_nothing_of_the_events() {
    let text = table(&["A|1", "broken", "B|2"]);
    let plain = Drops::new("quiet = \"0s\"\n");
    plain.put("a.txt", &text);
    let mut without = Agent::open(plain.source());
    work(&mut without, 3);
    let drops = Drops::new(&format!(
        "{DONE}done.records = 'COUNT=(\\d+)'\ndone.bytes = 'SIZE=(\\d+)'\ndone.md5 = 'MD5=(\\w+)'\ndone.sha256 = 'SHA=(\\w+)'\n"
    ));
    drops.put("a.txt", &text);
    let (bytes, md5, sha256) = (text.len(), md5_of(&text), sha256_of(&text));
    let control = format!("COUNT=3\r\nSIZE={bytes}\r\nMD5={md5}\r\nSHA={sha256}\r\n");
    drops.put("a.txt.done.txt", control);
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 3);
    assert_eq!(agent.log, without.log, "and their ids");
}

#[test]
fn a_control_file_with_a_wrong_count_or_hash_sets_both_aside_with_both_numbers() {
    let text = table(&["A|1", "B|2"]);
    for (settings, control, words) in [
        (
            "done.records = 'COUNT=(\\d+)'",
            "COUNT=3".to_owned(),
            "says 3 records, the file has 2".to_owned(),
        ),
        (
            "done.bytes = 'SIZE=(\\d+)'",
            "SIZE=7".to_owned(),
            format!("says 7 bytes, the file has {}", text.len()),
        ),
        (
            "done.md5 = '^(\\w+)'",
            "0".repeat(32),
            format!("the file has {}", md5_of(&text)),
        ),
        (
            "done.sha256 = '^(\\w+)'",
            "0".repeat(64),
            format!("the file has {}", sha256_of(&text)),
        ),
        (
            "done.records = 'COUNT=(\\d+)'",
            String::new(),
            "does not hold what done.records looks for".to_owned(),
        ),
    ] {
        let drops = Drops::new(&format!("{DONE}{settings}\n"));
        drops.put("a.txt", &text);
        drops.put("a.txt.done.txt", &control);
        let said = preview("north/stock", &drops.config(), &drops.at("a.txt"), 3)
            .expect_err("it does not hold");
        assert!(said.contains(&words), "{words}: {said}");
        drops.put("b.txt", table(&["B|1"]));
        let mut agent = Agent::open(drops.source());
        while agent.log.is_empty() {
            agent.poll();
            agent.append();
        }
        assert_eq!(told(&agent), ["a.txt:0! source"], "{settings}");
        // It dies before the move.
        agent.reopen(drops.source());
        waits(&mut agent, A_WHILE, "b.txt has no companion");
        assert_eq!(drops.files("failed"), ["a.txt", "a.txt.done.txt"]);
        assert_eq!(drops.files(""), ["b.txt"]);
    }
}

#[test]
fn a_preview_asks_for_no_companion_and_holds_the_sample_to_one_that_lies_beside_it() {
    let drops = Drops::new(&format!(
        "{DONE}done.records = 'COUNT=(\\d+)'\nlock.name = \"LOCK\"\ntrailer.pattern = '^T'\n"
    ));
    drops.put("a.txt", table(&["A|1", "B|2"]));
    fs::write(drops.at("LOCK"), "").expect("a lock");
    let show = || preview("north/stock", &drops.config(), &drops.at("a.txt"), 3);
    assert_eq!(show().expect("a preview")[0].records.len(), 2);
    drops.put("a.txt.done.txt", "COUNT=2");
    assert_eq!(show().expect("a preview")[0].records.len(), 2);
    drops.put("a.txt.done.txt", "COUNT=4");
    let said = show().expect_err("it does not hold");
    assert!(said.contains("says 4 records, the file has 2"), "{said}");
}

/// A file that moved, with its companion still in the drop folder.
fn left_behind(settings: &str) -> (Drops, Agent) {
    let drops = Drops::new(settings);
    drops.put("a.txt", table(&["A|1"]));
    drops.put("a.txt.done.txt", "complete");
    let mut agent = Agent::open(drops.source());
    agent.finish(1, Pace::default());
    assert_eq!(drops.files("archive/pending").len(), 2);
    agent.kill();
    (drops, agent)
}

fn rename(drops: &Drops, from: &str, to: impl AsRef<Path>) {
    fs::rename(drops.at(from), drops.path.join(to)).expect("a rename");
}

#[test]
fn a_companion_that_a_crash_left_behind_goes_after_its_file() {
    let (drops, mut agent) = left_behind(DONE);
    // The data moved last, as if the companion never had.
    rename(&drops, "archive/pending/a.txt.done.txt", "a.txt.done.txt");
    rename(&drops, "archive/pending/a.txt", ".a.txt");
    rename(&drops, ".a.txt", "archive/pending/a.txt");
    agent.reopen(drops.source());
    agent.finish(1, acking());
    assert_eq!(drops.files("archive"), ["a.txt", "a.txt.done.txt"]);
    assert!(drops.files("").is_empty());
}

#[test]
fn a_companion_of_the_next_file_of_that_name_is_left_to_it_after_a_crash() {
    let (drops, mut agent) = left_behind(DONE);
    fs::remove_file(drops.at("archive/pending/a.txt.done.txt")).expect("the companion");
    // Later than the move: the clock of file times may stand still for some milliseconds.
    let moved = fs::metadata(drops.at("archive/pending/a.txt")).expect("the file");
    loop {
        fs::write(drops.at("a.txt.done.txt"), "complete").expect("a companion");
        let made = fs::metadata(drops.at("a.txt.done.txt")).expect("the companion");
        if made.modified().expect("a time") > changed(&moved) {
            break;
        }
    }
    agent.reopen(drops.source());
    agent.finish(1, acking());
    assert_eq!(drops.files(""), ["a.txt.done.txt"]);
    drops.put("a.txt", table(&["B|2"]));
    assert_eq!(work(&mut agent, 2)[1], "a.txt:2: B|2");
}

fn changed(metadata: &fs::Metadata) -> std::time::SystemTime {
    use std::os::unix::fs::MetadataExt as _;
    let seconds = u64::try_from(metadata.ctime()).expect("after 1970");
    let nanos = u32::try_from(metadata.ctime_nsec()).expect("below a second");
    std::time::UNIX_EPOCH + Duration::new(seconds, nanos)
}

#[test]
fn a_companion_that_a_crash_left_in_pending_goes_to_the_archive() {
    let (drops, mut agent) = left_behind(DONE);
    rename(&drops, "archive/pending/a.txt", "archive/a.txt");
    agent.reopen(drops.source());
    agent.nothing_more("all of it is known");
    assert_eq!(drops.files("archive"), ["a.txt", "a.txt.done.txt"]);
    assert!(drops.files("archive/pending").is_empty());
}

#[test]
fn names_that_are_taken_in_the_archive_are_changed_for_both_alike() {
    let drops = Drops::new(DONE);
    for line in ["A|1", "B|2"] {
        drops.put("a.txt", table(&[line]));
        drops.put("a.txt.done.txt", line);
        let mut agent = Agent::open(drops.source());
        work(&mut agent, 1);
    }
    let files = drops.files("archive");
    assert_eq!(files.len(), 4, "{files:?}");
    let other = files
        .iter()
        .find(|name| name.starts_with("a-") && !name.contains("done"))
        .expect("a changed name");
    for (name, line) in [("a.txt", "A|1"), (other, "B|2")] {
        let read = |name: &str| fs::read_to_string(drops.at("archive").join(name)).expect(name);
        assert!(read(name).contains(line));
        assert_eq!(read(&format!("{name}.done.txt")), line);
    }
}

#[test]
fn a_repeat_takes_its_companion_along() {
    let drops = Drops::new(DONE);
    let mut agent = Agent::open(drops.source());
    for name in ["a.txt", "b.txt"] {
        drops.put(name, table(&["A|1"]));
        drops.put(&format!("{name}.done.txt"), "");
        work(&mut agent, 1);
    }
    go(&mut agent, |_| {
        drops.files("archive/repeated") == ["b.txt", "b.txt.done.txt"]
    });
    assert!(drops.files("").is_empty());
}

fn md5_of(text: &str) -> String {
    use md5::Digest as _;
    hex::encode(md5::Md5::digest(text))
}

fn sha256_of(text: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(text))
}
