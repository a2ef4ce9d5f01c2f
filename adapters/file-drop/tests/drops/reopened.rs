//! A source that is closed and opened again within one process is a new one.

use std::fs::{self, File};
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dray_adapter::conformance::{self, Agent, Pace, Place, PolledOnce};
use dray_adapter::{BATCH_RECORDS_MAX, Polled, Position, Seen, Source, SourceError};

use crate::conforms::Folder;
use crate::support::{Drops, acking, table, until, work};

/// One source, whoever opens it.
#[derive(Clone)]
struct Same(Arc<Mutex<Box<dyn Source>>>);

impl Same {
    fn of(drops: &Drops) -> Self {
        Self(Arc::new(Mutex::new(drops.source())))
    }

    fn source(&self) -> MutexGuard<'_, Box<dyn Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn boxed(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

impl Source for Same {
    fn open(
        &mut self,
        resume: Option<Position>,
        seen: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError> {
        self.source().open(resume, seen, wake)
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        self.source().poll()
    }

    fn commit(&mut self, position: &Position) -> Result<(), SourceError> {
        self.source().commit(position)
    }

    fn acked(&mut self, position: &Position) -> Result<(), SourceError> {
        self.source().acked(position)
    }

    fn refuse(&mut self, why: &str) {
        self.source().refuse(why);
    }

    fn close(&mut self) {
        self.source().close();
    }
}

struct OneSource {
    folder: Folder,
    same: Same,
    closes: bool,
}

impl Place for OneSource {
    fn source(&self) -> Box<dyn Source> {
        if self.closes {
            self.same.source().close();
        }
        self.same.boxed()
    }

    fn add(&mut self) -> Option<Vec<String>> {
        self.folder.add()
    }
}

#[test]
fn one_source_that_is_opened_again_after_each_step_conforms() {
    for closes in [true, false] {
        conformance::run(|| {
            let folder = Folder::light();
            let same = Same::of(&folder.drops);
            OneSource {
                folder,
                same,
                closes,
            }
        });
    }
}

#[test]
fn a_close_that_nobody_saw_is_not_waited_for() {
    let drops = Drops::new("quiet = \"200ms\"\n");
    let same = Same::of(&drops);
    let mut agent = Agent::open(same.boxed());
    agent.nothing_more("the folder is empty");
    let mut file = File::create(drops.at("a.txt")).expect("a file");
    file.write_all(table(&["A|1"]).as_bytes()).expect("a write");
    agent.nothing_more("it is being written");
    agent.source().close();
    drop(file);
    agent.reopen(same.boxed());
    let since = Instant::now();
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
    assert!(since.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_close_that_was_seen_says_nothing_of_what_is_written_afterwards() {
    let drops = Drops::new("quiet = \"1h\"\nready = \"close\"\n");
    let same = Same::of(&drops);
    let mut agent = Agent::open(same.boxed());
    agent.nothing_more("the folder is empty");
    // It is closed, and the source is closed before it looks.
    fs::write(drops.at("a.txt"), table(&["A|1"])).expect("a file");
    agent.source().close();
    let mut file = File::options()
        .append(true)
        .open(drops.at("a.txt"))
        .expect("the file");
    file.write_all(b"B|").expect("a write");
    agent.reopen(same.boxed());
    agent.nothing_more("it is being written");
    file.write_all(b"2\n").expect("a write");
    drop(file);
    assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "a.txt:3: B|2"]);
}

#[test]
fn what_is_appended_and_could_not_move_is_no_repeat_wherever_the_source_goes_on() {
    for settings in ["", "repeat = \"send\"\n"] {
        let drops = Drops::new(settings);
        let same = Same::of(&drops);
        drops.put("a.txt", table(&["A|1"]));
        let mut agent = Agent::open(same.boxed());
        agent.finish(1, acking());
        let older = agent.position.clone();
        drops.put("b.txt", table(&["B|1"]));
        while agent.log.len() < 2 {
            agent.poll();
            agent.append();
        }
        // The collector is restored: the source goes on where it stood, before b.txt moved.
        agent.position = older;
        agent.source().close();
        agent.reopen(same.boxed());
        agent.nothing_more("the buffer holds it");
        until(&mut agent, || drops.files("archive") == ["a.txt", "b.txt"]);
        assert!(drops.files("archive/repeated").is_empty(), "{settings}");
    }
}

#[test]
fn a_half_read_file_goes_first_in_the_next_life_too() {
    let drops = Drops::new("");
    let same = Same::of(&drops);
    drops.put("m.txt", table(&vec!["M|1"; BATCH_RECORDS_MAX + 10]));
    let mut agent = Agent::open(same.boxed());
    while agent.log.is_empty() {
        agent.poll();
        agent.append();
        agent.commit();
    }
    // Found, and forgotten with the life that found it.
    drops.put("a.txt", table(&["A|1"]));
    while agent.poll() == PolledOnce::Busy {}
    agent.source().close();
    fs::rename(drops.at("a.txt"), drops.at("z.txt")).expect("a rename");
    agent.reopen(same.boxed());
    agent.finish(BATCH_RECORDS_MAX + 11, Pace::default());
    let files: Vec<&str> = agent.log.iter().map(|entry| &entry.shown[..1]).collect();
    assert!(
        files[..BATCH_RECORDS_MAX + 10]
            .iter()
            .all(|file| *file == "m")
    );
    assert_eq!(files[BATCH_RECORDS_MAX + 10..], ["z"]);
}
