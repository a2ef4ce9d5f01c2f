//! How fast dropped files become batches, how soon after the close, and how long a scan takes. One
//! thread; appends and acks are played at once.
//!
//! `cargo run --release -p dray-file-drop --example drop_rate [FOLDER]`: an empty folder on the disk to measure.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dray_adapter::{Mark, MarkState, Polled, Seen, Source};
use dray_file_drop::{FileDrop, FileDropConfig};

const FILES: u64 = 20;
const LINES: u64 = 100_000;
const DROPS: usize = 300;
const SCANNED: usize = 100_000;

#[derive(Default)]
struct Done(Mutex<std::collections::HashSet<Mark>>);

impl Seen for Done {
    fn seen(&self, mark: &Mark) -> MarkState {
        let known = self.0.lock().expect("one thread").contains(mark);
        if known {
            MarkState::Done
        } else {
            MarkState::New
        }
    }
}

fn source(folder: &Path, done: &Arc<Done>, wake: Arc<dyn Fn() + Send + Sync>) -> FileDrop {
    let text = format!(
        "kind = \"file-drop\"\nfolder = \"{}\"\npattern = \"*.txt\"\nquiet = \"1ms\"\nformat = {{ kind = \"csv\", delimiter = \"|\", header = false, columns = [{}] }}",
        folder.display(),
        (0..14)
            .map(|n| format!("\"C{n}\""))
            .collect::<Vec<_>>()
            .join(",")
    );
    let config: FileDropConfig = toml::from_str(&text).expect("a configuration");
    let mut source = FileDrop::new("north/rate", config).expect("a source");
    source
        .open(None, Arc::clone(done) as Arc<dyn Seen>, wake)
        .expect("it opens");
    source
}

/// One batch's records; whether there was one.
fn step(source: &mut FileDrop, done: &Done) -> Option<u64> {
    match source.poll().expect("a poll") {
        Polled::Batch(batch) => {
            done.0
                .lock()
                .expect("one thread")
                .extend(batch.marks.iter().cloned());
            source.commit(&batch.position).expect("a commit");
            source.acked(&batch.position).expect("an ack");
            Some(batch.records.len() as u64)
        }
        Polled::Idle(_) => None,
    }
}

fn write(path: &Path, from: u64, lines: u64) {
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    for n in from..from + lines {
        writeln!(
            file,
            "MV{n:010}|IN|WH1|A-01-{:03}|SKU-{:06}|20261123101500|{:>8}|EA|L2406|PALLET-A7|PICK|SO-{:07}|OPERATOR-17|20261123101500 some text here to fill",
            n % 1_000,
            n % 50_000,
            n % 97,
            n % 500_000
        )
        .expect("a line");
    }
    file.flush().expect("a file");
}

fn fresh(root: &Path, name: &str) -> PathBuf {
    let folder = root.join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn main() {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let temporary = tempfile::tempdir().expect("a folder");
    let root = given.unwrap_or_else(|| temporary.path().to_owned());
    let done = Arc::new(Done::default());

    let folder = fresh(&root, "rate");
    for file in 0..FILES {
        write(&folder.join(format!("{file:03}.txt")), file * LINES, LINES);
    }
    let mut drops = source(&folder, &done, Arc::new(|| ()));
    let (start, mut records, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while records < FILES * LINES {
        let poll = Instant::now();
        records += step(&mut drops, &done).unwrap_or(0);
        slowest = slowest.max(poll.elapsed());
    }
    let took = start.elapsed();
    println!(
        "{records} lines in {FILES} files: {:.2} M lines/s, both passes, moves synced; slowest poll {slowest:.1?}",
        records as f64 / took.as_secs_f64() / 1e6
    );

    let folder = fresh(&root, "latency");
    let (ring, rung) = mpsc::channel();
    let mut drops = source(
        &folder,
        &done,
        Arc::new(move || ring.send(()).unwrap_or(())),
    );
    while step(&mut drops, &done).is_some() {}
    let mut times = Vec::new();
    for n in 0..DROPS as u64 {
        write(
            &folder.join(format!("{n:06}.txt")),
            10_000_000 + n * 100,
            100,
        );
        let closed = Instant::now();
        loop {
            rung.recv().expect("the source rings");
            if let Polled::Batch(batch) = drops.poll().expect("a poll") {
                times.push(closed.elapsed());
                source_done(&mut drops, &done, &batch);
                break;
            }
        }
        while rung.try_recv().is_ok() {}
    }
    times.sort();
    println!(
        "closed to batch, {DROPS} files of 100 lines: p50 {:.0?}, p99 {:.0?}",
        times[DROPS / 2],
        times[DROPS * 99 / 100]
    );

    let folder = fresh(&root, "scan");
    for n in 0..SCANNED {
        File::create(folder.join(format!("{n}.txt.tmp"))).expect("a file");
        fs::rename(
            folder.join(format!("{n}.txt.tmp")),
            folder.join(format!("{n}.txt")),
        )
        .expect("a rename");
    }
    let mut drops = source(&folder, &done, Arc::new(|| ()));
    let start = Instant::now();
    let _ = drops.poll().expect("a poll");
    println!("first poll with {SCANNED} files: {:.0?}", start.elapsed());
}

fn source_done(source: &mut FileDrop, done: &Done, batch: &dray_adapter::Batch) {
    done.0
        .lock()
        .expect("one thread")
        .extend(batch.marks.iter().cloned());
    source.commit(&batch.position).expect("a commit");
    source.acked(&batch.position).expect("an ack");
}
