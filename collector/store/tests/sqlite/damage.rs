//! Damaged log files: harmless, or told with their range.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dray_proto::{Offset, Sequence};
use dray_store::conformance::{blocks, flow};
use dray_store::{SqliteStore, Store, StoreError};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::{fill, open, small};

const FLOWS: [&str; 3] = ["x", "y", "z"];
/// Events of a block.
const COUNT: u64 = 50;

/// A payload that tells where its block stands.
fn payload(name: &str, first: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(first);
    let mut payload = format!("{name} {first} ").into_bytes();
    payload.extend((0..3_000).map(|_| rng.random::<u8>()));
    payload
}

/// Appends so many blocks as an agent would that asked where to go on.
fn append_next(store: &SqliteStore, name: &str, count: usize) {
    let held = store.held(&flow(name));
    let first = held.next_sequence.0;
    let mut made = blocks(7, first, held.chain, &vec![COUNT as u32; count]);
    for (block, n) in made.iter_mut().zip(0..) {
        block.payload = payload(name, first + n * COUNT).into();
    }
    let answer = store.append("a-1", &flow(name), made).wait();
    answer.expect("it lives").expect("it goes on");
}

/// Three flows over several files of 1 MiB.
fn written(folder: &Path) {
    let store = SqliteStore::open(small(folder)).expect("a store");
    for _ in 0..10 {
        for name in FLOWS {
            append_next(&store, name, 25);
        }
    }
}

fn log_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("log"))
        .expect("the log")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file() && !path.to_string_lossy().ends_with("-shm"))
        .collect();
    files.sort();
    files
}

fn flip(path: &Path, rng: &mut StdRng) -> u64 {
    let mut bytes = fs::read(path).expect("the file");
    let at = rng.random_range(0..bytes.len());
    bytes[at] ^= 1 << rng.random_range(0..8_u8);
    fs::write(path, bytes).expect("the file");
    at as u64
}

/// What is whole and what is told to be lost, of all events that each flow ever had.
#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    whole: u64,
    told: u64,
    /// The log says that it does not hold them: their agent sends them again, or stops with a gap.
    not_held: u64,
}

fn account(store: &SqliteStore, name: &str, events: u64) -> Account {
    let held = store.held(&flow(name));
    let mut found = Account::default();
    let mut next = 1;
    while next <= held.newest_offset.0 {
        let read = match store.read(&flow(name), Offset(next), 100_000) {
            Ok(read) => read,
            Err(StoreError::Dropped { oldest, .. }) => {
                found.told += oldest.0 - next;
                next = oldest.0;
                continue;
            }
            Err(error) => panic!("{name} from {next}: {error}"),
        };
        assert!(!read.is_empty(), "{name} has {next}, and nothing holds it");
        for log in read {
            let header = log.block.header.as_ref().expect("a header");
            assert_eq!(log.first_offset.0, next, "{name}: offsets have no gap");
            let count = u64::from(header.count);
            next += count;
            if log.lost().is_some() {
                found.told += count;
                continue;
            }
            assert_eq!(header.first_sequence, log.first_offset.0, "{name}");
            // A payload has a sum of its own: its readers see to that.
            if log.block.payload == payload(name, header.first_sequence) {
                found.whole += count;
            } else {
                found.told += count;
            }
        }
    }
    assert_eq!(next, held.newest_offset.0 + 1);
    assert_eq!(
        held.next_sequence,
        Sequence(next),
        "{name} goes on behind what it has"
    );
    found.not_held = events.saturating_sub(held.newest_offset.0);
    found
}

fn flips(count: u64) {
    let whole = tempfile::tempdir().expect("a folder");
    written(whole.path());
    let events = 250 * COUNT;
    let mut told = 0;
    for seed in 0..count {
        let mut rng = StdRng::seed_from_u64(seed);
        let place = tempfile::tempdir().expect("a folder");
        let copied = Command::new("cp")
            .arg("-a")
            .arg(whole.path().join("."))
            .arg(place.path())
            .status();
        assert!(copied.expect("cp runs").success());
        let files = log_files(place.path());
        let file = &files[rng.random_range(0..files.len())];
        let at = flip(file, &mut rng);
        let what = format!("seed {seed}: {} at {at}", file.display());
        let store = SqliteStore::open(small(place.path()))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        for name in FLOWS {
            let found = account(&store, name, events);
            assert_eq!(
                found.whole + found.told + found.not_held,
                events,
                "{what}, {name}: {found:?}"
            );
            told += found.told + found.not_held;
            append_next(&store, name, 1);
        }
        // Once more: what was mended stays so.
        drop(store);
        let store = SqliteStore::open(small(place.path()))
            .unwrap_or_else(|error| panic!("{what}, again: {error}"));
        for name in FLOWS {
            append_next(&store, name, 1);
        }
    }
    println!(
        "{count} flips: {told} of {} events told",
        count * 3 * events
    );
}

#[test]
fn a_flipped_bit_in_the_log_is_harmless_or_told_with_its_range() {
    flips(if std::env::var_os("DRAY_SOAK").is_some() {
        1_000
    } else {
        30
    });
}

#[test]
fn a_file_that_cannot_be_read_at_all_is_a_hole_and_the_log_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(small(folder.path())).expect("a store");
    let events = fill(&store);
    drop(store);
    let path = folder.path().join("log/log-0000000001.db");
    let mut bytes = fs::read(&path).expect("the file");
    bytes[..4_096].fill(0xAA);
    fs::write(&path, bytes).expect("the file");
    let store = SqliteStore::open(small(folder.path())).expect("what is left");
    assert_eq!(store.held(&flow("x")).newest_offset.0, events);
    assert!(
        folder
            .path()
            .join("log/quarantine/log-0000000001.db.1")
            .exists()
    );
    let oldest = store.held(&flow("x")).oldest_offset;
    assert!(oldest > Offset(1), "what came before is told as dropped");
    let first = store.read(&flow("x"), oldest, 1).expect("it is there");
    assert_eq!((first[0].first_offset, first[0].lost()), (oldest, None));
}

#[test]
fn damage_under_a_running_store_is_mended_when_it_is_met() {
    let folder = tempfile::tempdir().expect("a folder");
    written(folder.path());
    let store = SqliteStore::open(small(folder.path())).expect("a store");
    let path = folder.path().join("log/log-0000000001.db");
    let mut bytes = fs::read(&path).expect("the file");
    let pages = bytes.len() / 16_384;
    for page in (2..pages).step_by(7) {
        bytes[page * 16_384..page * 16_384 + 200].fill(0x55);
    }
    fs::write(&path, bytes).expect("the file");
    let mut told = 0;
    for name in FLOWS {
        let found = account(&store, name, 250 * COUNT);
        assert!(found.whole > found.told, "{name}: {found:?}");
        told += found.told;
        append_next(&store, name, 1);
    }
    assert!(told > 0);
}

#[test]
fn the_file_that_is_written_is_mended_under_its_writer() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    append_next(&store, "x", 100);
    drop(store);
    let store = open(folder.path());
    let path = folder.path().join("log/log-0000000001.db");
    let mut bytes = fs::read(&path).expect("the file");
    let pages = bytes.len() / 16_384;
    bytes[(pages - 3) * 16_384..(pages - 2) * 16_384].fill(0x55);
    fs::write(&path, bytes).expect("the file");
    let found = account(&store, "x", 100 * COUNT);
    assert!(found.told > 0 && found.whole > found.told, "{found:?}");
    for _ in 0..10 {
        append_next(&store, "x", 1);
    }
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.held(&flow("x")).newest_offset.0, 110 * COUNT);
}

#[test]
fn a_log_without_its_state_is_left_as_it_is_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    written(folder.path());
    let state = folder.path().join("state.db");
    let kept = folder.path().join("kept.db");
    fs::rename(&state, &kept).expect("it goes away");
    for _ in 0..2 {
        let error =
            SqliteStore::open(small(folder.path())).expect_err("nobody knows what was delivered");
        let said = error.to_string();
        assert!(
            said.contains("state.db is missing") && said.contains("one backup"),
            "{said}"
        );
        assert!(!state.exists(), "another one would hide what is missing");
    }
    fs::rename(&kept, &state).expect("it comes back");
    let store = open(folder.path());
    assert_eq!(
        store.held(&flow("x")).newest_offset,
        Offset(10 * 25 * COUNT)
    );
}

/// Events of all flows that can be read.
fn events(store: &SqliteStore) -> u64 {
    FLOWS
        .iter()
        .map(|name| store.held(&flow(name)).newest_offset.0)
        .sum()
}

#[test]
fn what_is_in_the_way_for_a_moment_is_no_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    written(folder.path());
    let whole = {
        let store = SqliteStore::open(small(folder.path())).expect("a store");
        events(&store)
    };
    let databases = || {
        let mut files = log_files(folder.path());
        files.retain(|file| file.extension().is_some_and(|end| end == "db"));
        files
    };
    let before = databases();
    // Neither can be opened: as with too few descriptors, or with files of another user.
    for (n, end) in [(0, "-shm"), (1, "-wal"), (before.len() - 1, "-shm")] {
        let mut beside = before[n].clone().into_os_string();
        beside.push(end);
        fs::create_dir(&beside).expect("a folder in its place");
        let error = SqliteStore::open(small(folder.path())).map(drop);
        let error = error.expect_err("it can't be opened").to_string();
        for words in ["log-", "Nothing of it is changed", "own all files"] {
            assert!(error.contains(words), "{error}");
        }
        fs::remove_dir(&beside).expect("it is empty");
        assert_eq!(databases(), before);
        assert!(!folder.path().join("log/quarantine").exists());
        let store = SqliteStore::open(small(folder.path())).expect("a store");
        assert_eq!(events(&store), whole, "{end} of {n}");
    }
}

#[test]
fn state_that_cannot_be_written_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    written(folder.path());
    fs::create_dir(folder.path().join("state.db-shm")).expect("a folder in its place");
    let error = SqliteStore::open(small(folder.path())).map(drop);
    let error = error.expect_err("it can't be opened").to_string();
    assert!(error.contains("must own it"), "{error}");
    fs::remove_dir(folder.path().join("state.db-shm")).expect("it is empty");
    SqliteStore::open(small(folder.path())).expect("a store");
}
