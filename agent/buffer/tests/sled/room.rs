//! Disk, memory and files that a long outage takes, and what comes back after it.

use std::future::Future as _;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dray_buffer::conformance::{append, block};
use dray_buffer::{Append, Buffer, BufferError, Options, Receipt, Sequence, SledBuffer};

use crate::{generations, open, small};

const MIB: u64 = 1024 * 1024;

/// Waits for what another thread of the buffer does soon.
fn soon(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

/// Files of the folder that this process has open.
fn open_files(folder: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").expect("Linux").flatten();
    open.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|path| path.starts_with(folder)))
        .count()
}

fn positions(bytes: usize) -> Append {
    Append {
        flow: "a".into(),
        blocks: Vec::new(),
        position: Bytes::from(vec![7; bytes]),
        marks: Vec::new(),
    }
}

#[test]
fn an_outage_keeps_few_databases_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = open(folder.path());
    for _ in 0..80 {
        let made = append("a", vec![block(10, 60_000, "p")], &[]);
        buffer.append(made).wait().expect("it fits");
    }
    assert!(generations(folder.path()) > 12);
    let files = open_files(folder.path());
    assert!(files <= 12, "{files} files are open");
}

#[test]
fn appends_of_positions_alone_roll_and_go_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = open(folder.path());
    let mut most = 0;
    for _ in 0..800 {
        buffer.append(positions(32_000)).wait().expect("it fits");
        most = most.max(buffer.space().bytes);
    }
    soon("nothing of them is held", || {
        generations(folder.path()) == 1
    });
    // One that is full, the tail, and the next one; all of them together would take 48.
    assert!(most < 28 * MIB, "{most} bytes for 32,000 of position");
}

#[test]
fn at_the_cap_positions_alone_give_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        bytes_max: 24 * MIB,
        generation_bytes: 1024 * MIB,
        ..small(folder.path())
    };
    let buffer = SledBuffer::open(options).expect("a buffer");
    for _ in 0..3_000 {
        buffer.append(positions(16_000)).wait().expect("it fits");
    }
}

#[test]
fn after_a_drain_the_disk_is_back_within_64_mib() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = SledBuffer::open(Options::in_folder(folder.path())).expect("a buffer");
    let mut through = Sequence(0);
    for _ in 0..31 {
        let blocks = (0..16).map(|n| block(1_000 + n, 64_000, "p")).collect();
        through = buffer
            .append(append("a", blocks, &[]))
            .wait()
            .expect("it fits")
            .through;
    }
    let full = buffer.space().bytes;
    buffer.ack("a", buffer.epoch(), through).expect("an answer");
    soon("the disk comes back without another append", || {
        buffer.space().bytes <= 64 * MIB
    });
    assert!(full > 64 * MIB, "{full} bytes");
}

#[test]
fn what_was_held_when_it_was_opened_gives_the_disk_back_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = || Options {
        generation_bytes: 1024 * MIB,
        ..small(folder.path())
    };
    let buffer = SledBuffer::open(options()).expect("a buffer");
    let mut through = Sequence(0);
    for _ in 0..25 {
        let blocks = (0..16).map(|n| block(1_000 + n, 64_000, "p")).collect();
        let receipt = buffer.append(append("a", blocks, &[]));
        through = receipt.wait().expect("it fits").through;
    }
    drop(buffer);
    let buffer = SledBuffer::open(options()).expect("a buffer");
    let full = buffer.space().bytes;
    assert!(full > 40 * MIB, "{full} bytes");
    buffer.ack("a", buffer.epoch(), through).expect("an answer");
    soon("the disk comes back without an append", || {
        buffer.space().bytes <= 24 * MIB
    });
}

#[test]
fn what_space_says_is_what_the_disk_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut through = Sequence(0);
    for _ in 0..3 {
        let buffer = open(folder.path());
        for n in 0..40 {
            let made = append("a", vec![block(10, 60_000, "p")], &[&format!("m{n}")]);
            through = buffer.append(made).wait().expect("it fits").through;
        }
        let half = Sequence(through.0 - 200);
        buffer.ack("a", buffer.epoch(), half).expect("an answer");
        // The last full one may still be being sealed, and the next one made.
        soon("both say the same", || {
            let (said, there) = (buffer.space().bytes, allocated(folder.path()));
            said.abs_diff(there) < MIB / 4
        });
    }
}

fn allocated(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => allocated(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

#[test]
fn a_generation_that_cannot_be_deleted_keeps_those_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = open(folder.path());
    let mut through = Sequence(0);
    for _ in 0..40 {
        let made = append("a", vec![block(10, 60_000, "p")], &[]);
        through = buffer.append(made).wait().expect("it fits").through;
    }
    // A folder that is not empty can't be renamed over.
    let in_the_way = folder.path().join(".gone-g-00000000000000000001/x");
    std::fs::create_dir_all(&in_the_way).expect("a folder");
    buffer.ack("a", buffer.epoch(), through).expect("an answer");
    drop(buffer);
    let buffer = open(folder.path());
    assert_eq!(buffer.depth("a").appended, through);
    buffer.ack("a", buffer.epoch(), through).expect("an answer");
    assert_eq!(generations(folder.path()), 1);
}

#[test]
fn reading_beside_acks_brings_no_folder_back() {
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..3 {
        let buffer = open(folder.path());
        let mut through = Sequence(0);
        for _ in 0..60 {
            let blocks = (0..4).map(|_| block(10, 64_000, "p")).collect();
            let made = append("a", blocks, &[]);
            through = buffer.append(made).wait().expect("it fits").through;
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let first = buffer.depth("a").acked.0 + 1;
                for acked in (first + 9..=through.0).step_by(10) {
                    buffer
                        .ack("a", buffer.epoch(), Sequence(acked))
                        .expect("an answer");
                    std::thread::yield_now();
                }
            });
            while buffer.depth("a").acked < through {
                let from = Sequence(buffer.depth("a").acked.0 + 1);
                let read = buffer.read("a", from, 300_000).expect("held or acked");
                assert!(read.iter().all(|stored| stored.epoch == buffer.epoch()));
            }
        });
        buffer.ack("a", buffer.epoch(), through).expect("an answer");
    }
    assert_eq!(open(folder.path()).depth("a").appended, Sequence(3 * 2_400));
}

/// A buffer at its cap, with the append that waits for room; more than is kept in memory is held.
fn full(folder: &Path) -> (SledBuffer, Receipt) {
    let options = Options {
        bytes_max: 96 * MIB,
        generation_bytes: 4 * MIB,
        ..small(folder)
    };
    let buffer = SledBuffer::open(options).expect("a buffer");
    loop {
        let blocks = (0..16).map(|_| block(10, 60_000, "p")).collect();
        let mut receipt = buffer.append(append("a", blocks, &[]));
        let mut context = Context::from_waker(Waker::noop());
        let mut answer = Poll::Pending;
        soon("it is appended, or waits for room", || {
            answer = Pin::new(&mut receipt).poll(&mut context);
            answer.is_ready() || buffer.space().waiting.is_some()
        });
        match answer {
            Poll::Ready(answer) => drop(answer.expect("it fits")),
            Poll::Pending => return (buffer, receipt),
        }
    }
}

#[test]
fn a_full_buffer_begins_a_new_epoch_and_what_waits_is_appended_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (buffer, waiting) = full(folder.path());
    let before = buffer.epoch();
    let epoch = buffer.begin_epoch().expect("it does not wait for room");
    assert_ne!(epoch, before);
    let held = buffer.depth("a").appended;
    buffer.ack("a", epoch, held).expect("an answer");
    let appended = waiting.wait().expect("there is room again");
    assert_eq!(appended.through, Sequence(held.0 + 160));
}

#[test]
fn a_full_buffer_mends_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let (buffer, waiting) = full(folder.path());
    let before = buffer.epoch();
    let oldest = folder.path().join("g-00000000000000000001");
    std::fs::remove_dir_all(oldest).expect("it is there");
    soon("it is mended in a new epoch", || {
        match buffer.read("a", Sequence(1), 1) {
            Err(BufferError::Damaged(_)) => false,
            Err(error) => panic!("{error}"),
            Ok(_) => buffer.epoch() != before,
        }
    });
    let held = buffer.depth("a").appended;
    buffer.ack("a", buffer.epoch(), held).expect("an answer");
    waiting.wait().expect("there is room again");
    assert_eq!(buffer.losses().len(), 1);
}
