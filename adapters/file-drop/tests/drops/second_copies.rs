//! What waits in `archive/pending` goes before what is dropped, whatever the buffer lost.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use dray_adapter::conformance::{Agent, Pace, entries};
use dray_adapter::{
    BATCH_RECORDS_MAX, Mark, MarkState, Polled, Position, Seen, Source, SourceError,
};

use crate::support::{Drops, bytes_read, table};

/// A buffer's memory that a test can damage.
#[derive(Default)]
struct Memory(Mutex<HashMap<Mark, MarkState>>);

impl Memory {
    fn with<T>(&self, use_it: impl FnOnce(&mut HashMap<Mark, MarkState>) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen for Memory {
    fn seen(&self, mark: &Mark) -> MarkState {
        self.with(|marks| marks.get(mark).copied().unwrap_or(MarkState::New))
    }
}

/// An open source, what was appended of it, and the marks by file.
struct Run {
    source: Box<dyn Source>,
    memory: Arc<Memory>,
    log: Vec<String>,
    positions: Vec<Position>,
    marks: HashMap<String, Mark>,
}

impl Run {
    fn open(drops: &Drops, position: Option<Position>, memory: &Arc<Memory>) -> Self {
        let mut source = drops.source();
        let seen = Arc::clone(memory) as Arc<dyn Seen>;
        source
            .open(position, seen, Arc::new(|| ()))
            .expect("it opens");
        Self {
            source,
            memory: Arc::clone(memory),
            log: Vec::new(),
            positions: Vec::new(),
            marks: HashMap::new(),
        }
    }

    /// Polls once and appends.
    fn poll(&mut self) -> Result<bool, SourceError> {
        let Polled::Batch(batch) = self.source.poll()? else {
            return Ok(false);
        };
        let shown = entries(&batch).into_iter().map(|entry| entry.shown);
        self.log.extend(shown);
        for mark in batch.marks {
            self.marks
                .insert(batch.origin.file.to_string(), mark.clone());
            self.memory
                .with(|marks| marks.insert(mark, MarkState::Pending));
        }
        self.source.commit(&batch.position).expect("a commit");
        self.positions.push(batch.position);
        Ok(true)
    }

    /// Polls until so much is appended and nothing more comes.
    fn until(&mut self, count: usize) -> &[String] {
        let mut idle = 0;
        for _ in 0..100_000 {
            match self.poll() {
                Ok(true) => idle = 0,
                Ok(false) => idle += 1,
                Err(error) => panic!("{error}"),
            }
            if self.log.len() >= count && idle > 3 {
                return &self.log;
            }
            std::thread::yield_now();
        }
        panic!("stuck with {:#?}", self.log.last());
    }

    fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = self
            .log
            .iter()
            .map(|told| told.split(".txt").next().unwrap_or_default())
            .collect();
        files.dedup();
        files
    }
}

/// Files that are appended and not acked, each of one line but the large ones.
fn pending(drops: &Drops, names: &[&str], large: &str) -> (Run, Arc<Memory>) {
    for name in names {
        let line = format!("{name}|1");
        let lines = if *name == large {
            BATCH_RECORDS_MAX + 10
        } else {
            1
        };
        drops.put(&format!("{name}.txt"), table(&vec![&*line; lines]));
    }
    let memory = Arc::default();
    let mut run = Run::open(drops, None, &memory);
    let more = if names.contains(&large) {
        BATCH_RECORDS_MAX + 9
    } else {
        0
    };
    run.until(names.len() + more);
    assert_eq!(drops.files("archive/pending").len(), names.len());
    (run, memory)
}

#[test]
fn a_new_buffer_that_goes_on_where_the_collector_says_reads_what_waits_first() {
    let drops = Drops::new("");
    let (run, _) = pending(&drops, &["b", "c", "d"], "");
    let position = run.positions[0].clone();
    drop(run);
    drops.put("a.txt", table(&["new|1"]));
    let mut run = Run::open(&drops, Some(position), &Arc::default());
    run.until(4);
    assert_eq!(run.files(), ["b", "c", "d", "a"]);
}

#[test]
fn the_file_that_the_collector_holds_a_half_of_keeps_its_place() {
    for waits in [true, false] {
        let drops = Drops::new("");
        let (run, _) = pending(&drops, &["b", "c", "d"], "c");
        let position = run.positions[1].clone();
        drop(run);
        if !waits {
            // Its move was not on stable storage, and those behind it were not read.
            fs::rename(drops.at("archive/pending/c.txt"), drops.at("c.txt")).expect("a rename");
            fs::rename(drops.at("archive/pending/d.txt"), drops.at("d.txt")).expect("a rename");
        }
        drops.put("a.txt", table(&["new|1"]));
        let mut run = Run::open(&drops, Some(position), &Arc::default());
        run.until(13);
        let expected = if waits {
            ["b", "c", "d", "a"]
        } else {
            ["b", "c", "a", "d"]
        };
        assert_eq!(run.files(), expected, "waits {waits}");
        assert_eq!(run.log.len(), 13, "of the half-read one the other half");
    }
}

#[test]
fn the_half_read_file_is_not_forgotten_while_a_second_copy_is_read() {
    let drops = Drops::new("");
    let large = |name: &str| table(&vec![&*format!("{name}|1"); BATCH_RECORDS_MAX + 10]);
    drops.put("b.txt", large("b"));
    drops.put("c.txt", large("c"));
    let mut run = Run::open(&drops, None, &Arc::default());
    while run.positions.len() < 3 {
        run.poll().expect("a poll");
    }
    assert_eq!(run.files(), ["b", "c"]);
    let position = run.positions.pop();
    drop(run);
    let memory = Arc::default();
    let mut run = Run::open(&drops, position, &memory);
    while run.positions.is_empty() {
        run.poll().expect("a poll");
    }
    let (position, mut files) = (run.positions.pop(), run.log.clone());
    drop(run);
    let mut run = Run::open(&drops, position, &memory);
    run.until(20);
    files.append(&mut run.log);
    assert_eq!(files.len(), BATCH_RECORDS_MAX + 20);
    assert!(files.is_sorted_by_key(|told| told.as_bytes()[0]));
}

#[test]
fn what_lost_its_mark_is_read_before_what_is_dropped() {
    let drops = Drops::new("");
    let (run, memory) = pending(&drops, &["b", "c", "d", "e", "f"], "");
    for name in ["c.txt", "e.txt"] {
        memory.with(|marks| marks.remove(&run.marks[name]));
    }
    let position = run.positions.last().cloned();
    drop(run);
    drops.put("a.txt", table(&["new|1"]));
    let mut run = Run::open(&drops, position, &memory);
    run.until(3);
    assert_eq!(run.files(), ["c", "e", "a"]);
}

#[test]
fn what_the_position_names_and_the_buffer_does_not_know_is_read_again() {
    let drops = Drops::new("");
    let (run, _) = pending(&drops, &["b", "c"], "");
    let position = run.positions[0].clone();
    drop(run);
    // The move was not on stable storage.
    fs::rename(drops.at("archive/pending/b.txt"), drops.at("b.txt")).expect("a rename");
    let memory = Arc::default();
    let mut run = Run::open(&drops, Some(position), &memory);
    run.until(2);
    let mut files = run.files();
    files.sort();
    assert_eq!(files, ["b", "c"]);
    memory.with(|marks| {
        marks
            .values_mut()
            .for_each(|state| *state = MarkState::Done)
    });
    let position = run.positions[1].clone();
    run.source.acked(&position).expect("an ack");
    assert_eq!(
        drops.files("archive"),
        ["b.txt", "c.txt"],
        "nothing blocks them"
    );
}

#[test]
fn a_second_copy_that_cannot_be_read_is_waited_for() {
    let drops = Drops::new("");
    let (run, _) = pending(&drops, &["b", "c", "d"], "");
    drop(run);
    drops.put("a.txt", table(&["new|1"]));
    let mut run = Run::open(&drops, None, &Arc::default());
    let file = drops.at("archive/pending/c.txt");
    fs::rename(&file, drops.at(".kept")).expect("a rename");
    fs::create_dir(&file).expect("a folder");
    let said = (0..100).find_map(|_| run.poll().err());
    match said {
        Some(SourceError::Retry { reason, .. }) => {
            let words = ["archive/pending/c.txt", "wait for it", "move it away"];
            assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
        }
        other => panic!("a retry was expected: {other:?}"),
    }
    assert_eq!(run.files(), ["b"], "nothing passes it");
    fs::remove_dir(&file).expect("it is empty");
    fs::rename(drops.at(".kept"), &file).expect("a rename");
    while run.log.len() < 4 {
        let _ = run.poll();
    }
    assert_eq!(run.files(), ["b", "c", "d", "a"]);
}

#[test]
fn what_the_buffer_knows_is_not_read_at_the_start() {
    let drops = Drops::new("");
    let filling = "x".repeat(20_000);
    for number in 0..200 {
        drops.put(
            &format!("{number:03}.txt"),
            table(&[&format!("{number}|{filling}")]),
        );
    }
    let mut agent = Agent::open(drops.source());
    agent.finish(200, Pace::default());
    agent.kill();
    drops.put("new.txt", table(&["N|1"]));
    let before = bytes_read();
    agent.reopen(drops.source());
    agent.finish(201, Pace::default());
    let read = bytes_read() - before;
    assert!(read < 200_000, "{read} of 4,000,000 bytes");
    // One that was touched is another file until it is read.
    let touched = drops.at("archive/pending/007.txt");
    let metadata = fs::metadata(&touched).expect("the file");
    fs::set_permissions(&touched, metadata.permissions()).expect("its rights are set");
    let before = bytes_read();
    agent.reopen(drops.source());
    agent.nothing_more("all of it is known");
    let read = bytes_read() - before;
    assert!((20_000..200_000).contains(&read), "{read} bytes");
    assert_eq!(drops.files("archive").len(), 201, "acks are taken as ever");
}
