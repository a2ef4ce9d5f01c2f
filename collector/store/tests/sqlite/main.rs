//! The SQLite store: reopened, killed, rolled, damaged.

mod damage;
mod epochs;
mod golden;
mod model;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dray_proto::{Offset, Sequence};
use dray_store::conformance::{self, blocks, flow};
use dray_store::{AppendError, Cursor, Options, SqliteStore, Step, Store, StoreError};

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(Options::in_folder(folder)).expect("a store")
}

fn small(folder: &Path) -> Options {
    Options {
        file_bytes: 1024 * 1024,
        keep: Duration::from_secs(0),
        ..Options::in_folder(folder)
    }
}

#[test]
fn the_store_keeps_its_contract() {
    let folders = std::cell::RefCell::new(Vec::new());
    conformance::run(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        folders.borrow_mut().push(folder);
        store
    });
}

#[test]
fn reopening_finds_everything_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut chain = 0;
    let mut incarnation = 0;
    for round in 0..4_u64 {
        let store = open(folder.path());
        assert!(round == 0 || store.incarnation() == incarnation);
        incarnation = store.incarnation();
        assert_eq!(
            store.held(&flow("x")).next_sequence,
            Sequence(round * 30 + 1)
        );
        let made = blocks(7, round * 30 + 1, chain, &[10, 10, 10]);
        chain = store
            .append("a-1", &flow("x"), made)
            .wait()
            .expect("it lives")
            .expect("it fits")
            .chain;
        let read = store
            .read(&flow("x"), Offset(1), usize::MAX)
            .expect("all of it");
        assert_eq!(read.len() as u64, (round + 1) * 3);
    }
    let taken = SqliteStore::open(Options::in_folder(folder.path()));
    drop(taken.expect("nobody has it now"));
    let _first = open(folder.path());
    let Err(StoreError::Failed { reason, .. }) =
        SqliteStore::open(Options::in_folder(folder.path()))
    else {
        panic!("two stores in one folder")
    };
    assert!(reason.contains("another dray-collector"), "{reason}");
}

#[test]
fn a_log_file_that_was_only_just_made_is_begun_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let append = |store: &SqliteStore, first: u64, chain: u64| {
        let appended = store.append("a-1", &flow("x"), blocks(7, first, chain, &[10]));
        appended.wait().expect("it lives").expect("it fits")
    };
    let held = append(&open(folder.path()), 1, 0);
    // What a kill leaves between the file's making and its first commit.
    std::fs::write(folder.path().join("log/log-0000000002.db"), "").expect("a file");
    let store = SqliteStore::open(small(folder.path())).expect("it opens");
    assert_eq!(store.held(&flow("x")).next_sequence, held.next_sequence);
    append(&store, held.next_sequence.0, held.chain);
    drop(store);
    let read = open(folder.path()).read(&flow("x"), Offset(1), usize::MAX);
    assert_eq!(read.expect("all of it").len(), 2);
}

/// Fills about three files of 1 MiB; the number of events.
fn fill(store: &SqliteStore) -> u64 {
    let (mut first, mut chain) = (1, 0);
    for _ in 0..40 {
        let mut made = blocks(7, first, chain, &[100; 4]);
        for block in &mut made {
            block.payload = vec![5; 20_000].into();
        }
        let held = store
            .append("a-1", &flow("x"), made)
            .wait()
            .expect("it lives")
            .expect("it fits");
        (first, chain) = (held.next_sequence.0, held.chain);
    }
    first - 1
}

#[test]
fn the_oldest_offset_never_goes_back_while_files_go_and_others_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        file_bytes: 64 * 1024,
        ..small(folder.path())
    };
    let store = SqliteStore::open(options).expect("a store");
    let filled = std::sync::atomic::AtomicBool::new(false);
    let mut oldest = Offset(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            fill(&store);
            filled.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !filled.load(std::sync::atomic::Ordering::Relaxed) {
            store.retain(i64::MAX).expect("an answer");
            let now = store.held(&flow("x")).oldest_offset;
            assert!(now >= oldest, "{now} after {oldest}");
            oldest = now;
        }
    });
    assert!(oldest > Offset(1), "files went");
}

#[test]
fn files_roll_are_read_across_and_are_dropped_below_every_cursor() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(small(folder.path())).expect("a store");
    let events = fill(&store);
    drop(store);
    let store = SqliteStore::open(small(folder.path())).expect("a store");
    let mut from = Offset(1);
    while from.0 <= events {
        let read = store.read(&flow("x"), from, 100_000).expect("it is there");
        assert_eq!(read.first().expect("at least one").first_offset, from);
        let last = read.last().expect("at least one");
        from = Offset(last.first_offset.0 + 100);
    }
    let step = |through: u64| {
        let cursor = Cursor {
            through: Offset(through),
            ..Cursor::default()
        };
        let step = Step {
            consumer: "feed:late".into(),
            cursors: vec![(flow("x"), cursor)],
            ..Step::default()
        };
        store.step(step).wait().expect("it lives").expect("it fits");
    };
    step(0);
    assert_eq!(
        store.retain(i64::MAX).expect("an answer"),
        0,
        "a late consumer pins the log"
    );
    step(events);
    assert!(store.retain(i64::MAX).expect("an answer") >= 2);
    let oldest = store.held(&flow("x")).oldest_offset;
    assert!(oldest > Offset(1));
    assert!(matches!(
        store.read(&flow("x"), Offset(1), 1),
        Err(StoreError::Dropped { .. })
    ));
    assert_eq!(
        store.read(&flow("x"), oldest, 1).expect("it is there")[0].first_offset,
        oldest
    );
    drop(store);
    let store = SqliteStore::open(small(folder.path())).expect("a store");
    assert_eq!(
        store.held(&flow("x")).oldest_offset,
        oldest,
        "known again after a restart"
    );
}

#[test]
fn at_the_cap_appends_are_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(Options {
        bytes_max: 64 * 1024,
        ..small(folder.path())
    })
    .expect("a store");
    let mut made = blocks(7, 1, 0, &[1]);
    made[0].payload = vec![1; 100_000].into();
    let answer = store
        .append("a-1", &flow("x"), made)
        .wait()
        .expect("it lives");
    let Err(AppendError::Failed(reason)) = answer else {
        panic!("it was taken")
    };
    assert!(
        reason.contains("cap") && reason.contains("bytes_max"),
        "{reason}"
    );
}

/// Not a test by itself: the process that [`what_was_answered_survives_kill_9`] kills.
#[test]
fn appender_to_be_killed() {
    let Some(folder) = std::env::var_os("DRAY_STORE_TO_KILL") else {
        return;
    };
    let store = open(Path::new(&folder));
    loop {
        let held = store.held(&flow("x"));
        let made = blocks(7, held.next_sequence.0, held.chain, &[10, 3, 70]);
        let cursor = Cursor {
            through: held.newest_offset,
            ..Cursor::default()
        };
        let step = Step {
            consumer: "target:t".into(),
            cursors: vec![(flow("x"), cursor)],
            ..Step::default()
        };
        let (append, step) = (store.append("a-1", &flow("x"), made), store.step(step));
        step.wait().expect("it lives").expect("it fits");
        println!("stepped {}", held.newest_offset);
        let held = append.wait().expect("it lives").expect("it fits");
        println!("answered {}", held.newest_offset);
    }
}

#[test]
fn what_was_answered_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..6_u64 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["appender_to_be_killed", "--exact", "--nocapture"])
            .env("DRAY_STORE_TO_KILL", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test again");
        let (mut answered, mut stepped, mut left) = (0_u64, 0_u64, 50 + round * 61 % 200);
        for line in BufReader::new(child.stdout.take().expect("it was asked for"))
            .lines()
            .map_while(Result::ok)
        {
            let number = |text: &str| text.parse().unwrap_or(0);
            if let Some((_, text)) = line.split_once("answered ") {
                answered = answered.max(number(text));
            } else if let Some((_, text)) = line.split_once("stepped ") {
                stepped = stepped.max(number(text));
            }
            left = left.saturating_sub(1);
            if left == 1 {
                child.kill().expect("our own child");
            }
        }
        child.wait().expect("our own child");
        let store = open(folder.path());
        let held = store.held(&flow("x"));
        assert!(
            held.newest_offset.0 >= answered,
            "{answered} was answered, {} is there",
            held.newest_offset
        );
        assert!(store.cursors("target:t").expect("an answer")[0].1.through.0 >= stepped);
        let (mut next, mut chain) = (1, 0);
        while next <= held.newest_offset.0 {
            for block in store
                .read(&flow("x"), Offset(next), 1_000_000)
                .expect("it is there")
            {
                let header = block.block.header.expect("a header");
                assert_eq!((block.first_offset.0, header.chain), (next, chain));
                (next, chain) = (next + u64::from(header.count), header.chain_after);
            }
        }
        assert_eq!((chain, next), (held.chain, held.newest_offset.0 + 1));
    }
}
