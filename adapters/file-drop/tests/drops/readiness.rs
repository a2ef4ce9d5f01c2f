//! When a file is complete: the signs that writers give, and those that they do not.

use std::fs::{self, File};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dray_adapter::conformance::Agent;
use dray_adapter::{Polled, Position, Seen, Source, SourceError};
use dray_file_drop::Finding;

use crate::support::{Drops, age, table, work};

/// What the status says while nothing else is to be done.
#[derive(Clone, Default)]
pub(crate) struct Status(Arc<Mutex<String>>);

impl Status {
    pub(crate) fn has(&self, words: &[&str]) -> bool {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.iter().all(|word| said.contains(word))
    }

    fn is_empty(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }
}

/// A source whose status a test can read while an agent drives it.
struct Telling(Box<dyn Source>, Status);

impl Source for Telling {
    fn open(
        &mut self,
        resume: Option<Position>,
        seen: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError> {
        self.0.open(resume, seen, wake)
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        let polled = self.0.poll();
        let mut said = self.1.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &polled {
            Err(error) => *said = error.to_string(),
            // Still at it.
            Ok(Polled::Idle(Duration::ZERO)) => {}
            Ok(_) => said.clear(),
        }
        drop(said);
        polled
    }

    fn commit(&mut self, position: &Position) -> Result<(), SourceError> {
        self.0.commit(position)
    }

    fn acked(&mut self, position: &Position) -> Result<(), SourceError> {
        self.0.acked(position)
    }

    fn refuse(&mut self, why: &str) {
        self.0.refuse(why);
    }

    fn close(&mut self) {
        self.0.close();
    }
}

pub(crate) fn opened(drops: &Drops) -> (Agent, Status) {
    let status = Status::default();
    let agent = Agent::open(Box::new(Telling(drops.source(), status.clone())));
    (agent, status)
}

/// Works until it is so.
pub(crate) fn go(agent: &mut Agent, mut done: impl FnMut(&Agent) -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done(agent) {
        assert!(Instant::now() < end, "it never is so: {:#?}", agent.log);
        agent.poll();
        while agent.append() {}
        while agent.commit() {}
        agent.ack();
    }
}

/// Works for a while, and expects that nothing is appended.
pub(crate) fn waits(agent: &mut Agent, time: Duration, because: &str) {
    let (since, had) = (Instant::now(), agent.log.len());
    go(agent, |_| since.elapsed() >= time);
    let more = &agent.log[had..];
    assert!(more.is_empty(), "{because}, and yet: {more:#?}");
}

const A_WHILE: Duration = Duration::from_millis(150);

pub(crate) fn told(agent: &Agent) -> Vec<&str> {
    dray_adapter::conformance::shown(&agent.log)
}

#[test]
fn a_slow_writer_with_long_pauses_is_waited_for_until_it_closes() {
    // The quiet time is to a pause what the usual 2 s are to 10 s.
    let drops = Drops::new("quiet = \"20ms\"\n");
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("the folder is empty");
    let mut file = File::create(drops.at("a.txt")).expect("a file");
    for line in ["SKU|QTY\n", "A|1\n", "B|2\n", "C|3\n"] {
        file.write_all(line.as_bytes()).expect("a write");
        waits(&mut agent, Duration::from_millis(100), "it is still open");
    }
    drop(file);
    assert_eq!(work(&mut agent, 3).len(), 3);
}

#[test]
fn a_slow_writer_on_a_share_is_waited_for_by_size_and_time_and_taken_when_they_stand_still() {
    // No close is seen there, so a pause must be shorter than the quiet time.
    let drops = Drops::new("ready = \"quiet\"\nquiet = \"400ms\"\n");
    let mut agent = Agent::open(drops.source());
    fs::write(drops.at("a.txt"), "SKU|QTY\n").expect("a file");
    for line in ["A|1\n", "B|2\n", "C|3\n"] {
        drops.append("a.txt", line);
        waits(&mut agent, A_WHILE, "it grows");
    }
    assert_eq!(work(&mut agent, 3).len(), 3);
}

#[test]
fn a_slow_writer_with_long_pauses_is_waited_for_by_its_trailer_where_no_close_is_seen() {
    let drops = Drops::new("ready = \"quiet\"\ntrailer.pattern = '^TRL\\|'\n");
    let mut agent = Agent::open(drops.source());
    fs::write(drops.at("a.txt"), "SKU|QTY\nA|1\n").expect("a file");
    waits(
        &mut agent,
        A_WHILE,
        "it stood still for long, and is not whole",
    );
    drops.append("a.txt", "TR");
    waits(&mut agent, A_WHILE, "its last line is half written");
    drops.append("a.txt", "L|1\r\n\r\n");
    assert_eq!(
        work(&mut agent, 2),
        ["a.txt:2: A|1", "a.txt:3: TRL|1"],
        "what a trailer says is the format's to read"
    );
}

#[test]
fn a_file_whose_trailer_never_comes_is_told_of_and_holds_others_up_for_that_time_only() {
    let drops = Drops::new("trailer = { pattern = '^T', alarm_after = \"300ms\" }\n");
    drops.put("a.txt", table(&["A|1"]));
    drops.put("b.txt", table(&["B|1", "T|1"]));
    let (mut agent, status) = opened(&drops);
    waits(&mut agent, A_WHILE, "b.txt comes after a.txt");
    go(&mut agent, |agent| agent.log.len() == 2);
    assert_eq!(told(&agent), ["b.txt:2: B|1", "b.txt:3: T|1"]);
    go(&mut agent, |_| status.has(&["a.txt", "last line", "300ms"]));
    drops.append("a.txt", "T|1\n");
    go(&mut agent, |agent| agent.log.len() == 4);
    go(&mut agent, |_| status.is_empty());
    assert_eq!(drops.files("archive"), ["a.txt", "b.txt"]);
}

#[test]
fn with_rename_a_file_is_taken_as_soon_as_it_has_its_name_and_not_before() {
    let drops = Drops::new("ready = \"rename\"\nquiet = \"1h\"\n");
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("the folder is empty");
    fs::write(drops.at("a.txt.tmp"), table(&["A|1"])).expect("a file");
    agent.nothing_more("it has not its name yet");
    fs::rename(drops.at("a.txt.tmp"), drops.at("a.txt")).expect("a rename");
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
}

#[test]
fn with_rename_a_ready_folder_that_is_only_seen_by_scans_is_taken_at_the_next_one() {
    // Hard links make no event that says that a file is whole: as on a share, only the scan finds it.
    let drops = Drops::new("ready = \"rename\"\nquiet = \"1h\"\n");
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("the folder is empty");
    let inbox = drops.path.with_file_name("inbox");
    fs::create_dir(&inbox).expect("a folder");
    fs::write(inbox.join("a.txt"), table(&["A|1"])).expect("a file");
    fs::hard_link(inbox.join("a.txt"), drops.at("a.txt")).expect("a link");
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
}

#[test]
fn a_file_that_is_written_under_another_name_and_renamed_is_taken_at_once() {
    let drops = Drops::new("quiet = \"1h\"\n");
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("the folder is empty");
    for hidden in ["a.txt.tmp", "a.txt.part", ".a.txt"] {
        fs::write(drops.at(hidden), table(&[&format!("{hidden}|1")])).expect("a file");
        agent.nothing_more("it has not its name yet");
        fs::rename(drops.at(hidden), drops.at("a.txt")).expect("a rename");
        let had = agent.log.len();
        work(&mut agent, had + 1);
    }
    assert_eq!(
        told(&agent)[0],
        "a.txt:2: a.txt.tmp|1",
        "each with its content"
    );
}

#[test]
fn a_folder_that_is_only_visible_by_polling_is_read_once_its_files_stand_still() {
    let drops = Drops::new("ready = \"quiet\"\nquiet = \"200ms\"\n");
    let mut agent = Agent::open(drops.source());
    agent.nothing_more("the folder is empty");
    // With "quiet" nothing that notify tells of counts; a link is not even told of as closed.
    fs::write(drops.at(".a"), table(&["A|1"])).expect("a file");
    fs::hard_link(drops.at(".a"), drops.at("a.txt")).expect("a link");
    let since = Instant::now();
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
    assert!(since.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_copy_that_keeps_an_old_time_is_found_and_not_taken_before_it_is_whole() {
    let drops = Drops::new("ready = \"quiet\"\nquiet = \"400ms\"\n");
    drops.put("z.txt", table(&["Z|1"]));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 1);
    // As Windows copies: all of its size first, or little by little, under the time of the original.
    for text in ["SKU|QTY\nA|", "1\nB|2\n"] {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(drops.at("a.txt"))
            .expect("a file");
        file.write_all(text.as_bytes()).expect("a write");
        drop(file);
        age(&drops.at("a.txt"), Duration::from_secs(30 * 24 * 3_600));
        waits(&mut agent, A_WHILE, "its age proves nothing");
    }
    assert_eq!(work(&mut agent, 3)[1..], ["a.txt:2: A|1", "a.txt:3: B|2"]);
}

#[test]
fn while_a_lock_is_there_nothing_is_taken_and_afterwards_all_of_it_in_order() {
    for (name, lock) in [("850_LOCK", "850_LOCK"), ("{name}.lck", "a.txt.lck")] {
        let drops = Drops::new(&format!("quiet = \"0s\"\nlock.name = \"{name}\"\n"));
        let mut agent = Agent::open(drops.source());
        agent.nothing_more("the folder is empty");
        fs::write(drops.at(lock), "").expect("a lock");
        drops.put("a.txt", table(&["A|1"]));
        drops.put("b.txt", table(&["B|1"]));
        waits(&mut agent, A_WHILE, "it is locked");
        fs::remove_file(drops.at(lock)).expect("it is there");
        assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "b.txt:2: B|1"]);
        assert!(!drops.has(lock), "a lock is its writer's");
    }
}

#[test]
fn a_lock_that_is_taken_after_the_file_was_found_complete_counts() {
    let drops = Drops::new("quiet = \"0s\"\nlock.name = \"{name}.lck\"\n");
    for name in ["a", "b"] {
        drops.put(&format!("{name}.txt"), table(&[&format!("{name}|1")]));
    }
    let mut agent = Agent::open(drops.source());
    while agent.log.is_empty() {
        agent.poll();
        agent.append();
        // A folder is a lock too.
        let _ = fs::create_dir(drops.at("b.txt.lck"));
    }
    waits(&mut agent, A_WHILE, "b.txt is locked");
    fs::remove_dir(drops.at("b.txt.lck")).expect("it is there");
    assert_eq!(work(&mut agent, 2)[1], "b.txt:2: b|1");
}

#[test]
fn a_file_is_taken_at_once_when_its_lock_goes() {
    for (name, lock) in [
        ("LOCK", "LOCK"),
        ("{name}.lck", "a.txt.lck"),
        ("{stem}.lck", "a.lck"),
    ] {
        let drops = Drops::new(&format!("quiet = \"1h\"\nlock.name = \"{name}\"\n"));
        let mut agent = Agent::open(drops.source());
        agent.nothing_more("the folder is empty");
        fs::write(drops.at(lock), "").expect("a lock");
        fs::write(drops.at("a.txt"), table(&["A|1"])).expect("a file");
        waits(&mut agent, A_WHILE, "it is locked");
        fs::remove_file(drops.at(lock)).expect("it is there");
        assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"], "{name}");
    }
}

#[test]
fn a_stale_lock_is_told_of_and_still_honoured() {
    let drops = Drops::new("quiet = \"0s\"\nlock = { name = \"LOCK\", stale_after = \"1h\" }\n");
    fs::write(drops.at("LOCK"), "").expect("a lock");
    drops.put("a.txt", table(&["A|1"]));
    let (mut agent, status) = opened(&drops);
    waits(&mut agent, A_WHILE, "it is locked");
    assert!(status.is_empty(), "it is young");
    age(&drops.at("LOCK"), Duration::from_secs(3_601));
    go(&mut agent, |_| {
        status.has(&["LOCK", "older than 1h", "delete it"])
    });
    waits(&mut agent, A_WHILE, "it is there");
    fs::remove_file(drops.at("LOCK")).expect("it is there");
    go(&mut agent, |agent| agent.log.len() == 1);
    go(&mut agent, |_| status.is_empty());
}

#[test]
fn check_says_what_the_signs_come_to_here() {
    let drops = Drops::new(
        "done = { name = \"{stem}.ctl.txt\", records = 'N=(\\d+)' }\nlock.name = \"LOCK\"\ntrailer.pattern = '^T'\n",
    );
    drops.put("a.txt", "");
    drops.put("b.txt", "");
    drops.put("b.ctl.txt", "");
    fs::write(drops.at("LOCK"), "").expect("a lock");
    let findings = drops.config().check();
    let said = |word: &str| {
        findings.iter().find(|finding| match finding {
            Finding::Fine(text) | Finding::Warning(text) | Finding::Wrong(text) => {
                text.contains(word)
            }
        })
    };
    for words in [
        "\"1.txt\" is taken once \"1.ctl.txt\" is there, and held to what that says (records)",
        "the pattern fits that name too, but it is never read itself",
        "of 2 files now there, 1 have theirs",
        "last line fits '^T'",
    ] {
        assert!(
            matches!(said(words), Some(Finding::Fine(_))),
            "{words}: {findings:#?}"
        );
    }
    assert!(matches!(
        said("\"LOCK\" is there now"),
        Some(Finding::Warning(_))
    ));
}

#[test]
fn the_examples_of_the_documentation_are_good() {
    let page = include_str!("../../../../docs/files.md");
    let examples: Vec<&str> = page
        .split("```toml source\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(examples.len() >= 3, "{}", examples.len());
    for example in examples {
        let example = example.replace("[flow.source.", "[");
        let faults = Drops::new(&example).config().faults();
        assert_eq!(faults, [], "{example}");
    }
}

#[test]
fn settings_that_cannot_be_meant_are_told_by_their_path() {
    for (settings, setting, word) in [
        ("done.name = \"done\"\n", "done.name", "{name}.done"),
        ("done.name = \"{stem}.txt\"\n", "done.name", "1.txt"),
        ("lock.name = \"a/b\"\n", "lock.name", "is no name"),
        (
            "lock.name = \"archive\"\n",
            "lock.name",
            "a folder that the agent makes",
        ),
        (
            "done.name = \"{stem}.x\"\nlock.name = \"{stem}.x\"\n",
            "lock.name",
            "the done file's name too",
        ),
        (
            "done = { name = \"{name}.d\", md5 = 'x' }\n",
            "done.md5",
            "0 groups",
        ),
        (
            "trailer.pattern = '['\n",
            "trailer.pattern",
            "no regular expression",
        ),
        ("trailer.pattern = 'ü'\n", "trailer.pattern", "ASCII"),
        (
            "trailer.pattern = 'T'\nformat.encoding = \"utf-16\"\n",
            "trailer",
            "check its own trailer",
        ),
        (
            "trailer.pattern = 'T'\ncompression = \"gzip\"\n",
            "trailer",
            "packed",
        ),
    ] {
        let faults = Drops::new(settings).config().faults();
        let found = faults.iter().find(|(at, _)| at == setting);
        assert!(
            found.is_some_and(|(_, reason)| reason.contains(word)),
            "{settings}: {faults:?}"
        );
    }
}
