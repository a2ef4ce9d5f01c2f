//! A flow that nobody acks beside others that go on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use dray_buffer::conformance::{append, block};
use dray_buffer::{Append, Buffer, MarkState, Options, Receipt, Sequence, SledBuffer};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::small;

const MIB: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

fn options(folder: &Path, cap: u64) -> Options {
    Options {
        bytes_max: cap,
        // sled takes at least 8 MiB for each.
        generation_bytes: 4 * MIB,
        ..small(folder)
    }
}

fn open(folder: &Path, cap: u64) -> SledBuffer {
    SledBuffer::open(options(folder, cap)).expect("a buffer")
}

/// Waits for an answer; fails rather than hangs.
fn answered(receipt: Receipt) -> Sequence {
    let (sender, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(receipt.wait()));
    let answer = answer.recv_timeout(PATIENCE).expect("an answer in time");
    answer.expect("it fits").through
}

/// The positions of a flow's blocks, as they are held.
fn positions(buffer: &SledBuffer, flow: &str) -> Vec<String> {
    let blocks = buffer
        .read(flow, Sequence(1), usize::MAX)
        .expect("they can be read");
    let mut chain = buffer.depth(flow).oldest_chain;
    let mut next = buffer.depth(flow).acked.0 + 1;
    let mut positions = Vec::new();
    for stored in blocks {
        assert_eq!((stored.first_sequence.0, stored.chain), (next, chain));
        next += u64::from(stored.block.count);
        chain = stored.chain_after;
        positions.push(String::from_utf8_lossy(&stored.block.position).into_owned());
    }
    positions
}

/// A generation whose numbers stand in the oldest one.
fn left_over(folder: &Path) -> PathBuf {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the buffer")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.starts_with("g-"))
        .collect();
    names.sort();
    let first: u64 = names[0][2..].parse().expect("a number");
    let left = folder.join(format!("g-{:020}", first + 1));
    let copied = Command::new("cp")
        .arg("-a")
        .arg(folder.join(&names[0]))
        .arg(&left)
        .status();
    assert!(copied.expect("cp runs").success());
    left
}

#[test]
fn a_slow_flow_pins_only_what_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let cap = 128 * MIB;
    let buffer = open(folder.path(), cap);
    let mut slow = Vec::new();
    // Some times the cap goes through, and a little of it stays.
    for round in 0..60 {
        for _ in 0..4 {
            let fast = append("fast", vec![block(10, 1_000_000, "f")], &[]);
            let through = answered(buffer.append(fast));
            buffer
                .ack("fast", buffer.epoch(), through)
                .expect("an answer");
        }
        if round % 2 == 0 {
            let position = format!("s{round}");
            let mark = format!("m{round}");
            let made = append("slow", vec![block(3, 20_000, &position)], &[&mark]);
            answered(buffer.append(made));
            slow.push(position);
        }
        let said = buffer.space();
        assert!(said.bytes <= cap, "{said:?}");
    }
    assert_eq!(positions(&buffer, "slow"), slow);
    drop(buffer);
    // As after a cut that came before the last of those that were put together was removed.
    let left = left_over(folder.path());
    let buffer = open(folder.path(), cap);
    assert!(!left.exists());
    assert!(buffer.losses().is_empty());
    assert_eq!(positions(&buffer, "slow"), slow);
    assert_eq!(buffer.depth("fast").appended, Sequence(2_400));
    assert_eq!(buffer.seen("slow", b"m0"), MarkState::Pending);
    let half = Sequence(3 * 20);
    buffer.ack("slow", buffer.epoch(), half).expect("an answer");
    assert_eq!(positions(&buffer, "slow"), slow[20..]);
    assert_eq!(buffer.seen("slow", b"m0"), MarkState::Done);
}

#[test]
fn a_flow_that_holds_half_of_the_buffer_waits_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = open(folder.path(), 160 * MIB);
    let fast = || append("fast", vec![block(10, 100_000, "f")], &[]);
    answered(buffer.append(fast()));
    let mut held = 0;
    let parked = loop {
        let slow = append("slow", vec![block(10, 1_000_000, "s")], &[]);
        let receipt = buffer.append(slow);
        // The writer takes appends in their order: once this one is answered, the slow one was looked at.
        let through = answered(buffer.append(fast()));
        buffer
            .ack("fast", buffer.epoch(), through)
            .expect("an answer");
        if buffer.space().waiting.is_some() {
            break receipt;
        }
        held = answered(receipt).0;
        assert!(held < 10 * 160, "it never waited");
    };
    let why = buffer.space().waiting.unwrap_or_default();
    assert!(why.contains("slow") && why.contains("half"), "{why}");
    for _ in 0..50 {
        let through = answered(buffer.append(fast()));
        buffer
            .ack("fast", buffer.epoch(), through)
            .expect("an answer");
    }
    buffer
        .ack("slow", buffer.epoch(), Sequence(held))
        .expect("an answer");
    assert_eq!(answered(parked).0, held + 10);
    assert_eq!(buffer.space().waiting, None);
}

/// Random appends, acks and reopenings at a small cap, held against what should be there.
#[test]
fn whatever_is_acked_in_whatever_order_the_rest_is_there() {
    let seeds = if std::env::var_os("DRAY_SOAK").is_some() {
        30
    } else {
        3
    };
    for seed in 0..seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().expect("a folder");
        let cap = 256 * MIB;
        let mut buffer = open(folder.path(), cap);
        let flows = ["a", "b", "c", "d"];
        let mut model: HashMap<&str, (u64, Vec<String>)> = HashMap::new();
        for step in 0..400 {
            let flow = flows[rng.random_range(0..flows.len())];
            let (acked, held) = model.entry(flow).or_default();
            match rng.random_range(0..100) {
                0..60 if held.len() < 40 => {
                    let position = format!("{flow}{step}");
                    let bytes = if flow == "a" {
                        900_000
                    } else {
                        rng.random_range(100..200_000)
                    };
                    let made = append(flow, vec![block(7, bytes, &position)], &[&position]);
                    answered(buffer.append(made));
                    held.push(position);
                }
                0..98 => {
                    // The slow ones are acked seldom.
                    let most = if flow == "a" {
                        held.len()
                    } else {
                        held.len() / 4
                    };
                    let count = rng.random_range(0..=most);
                    held.drain(..count);
                    *acked += count as u64;
                    let through = Sequence(*acked * 7);
                    buffer
                        .ack(flow, buffer.epoch(), through)
                        .expect("an answer");
                }
                _ => {
                    drop(buffer);
                    buffer = open(folder.path(), cap);
                    assert!(buffer.losses().is_empty(), "seed {seed}, step {step}");
                    // The collector tells again what it has.
                    for (flow, (acked, _)) in &model {
                        let through = Sequence(*acked * 7);
                        buffer
                            .ack(flow, buffer.epoch(), through)
                            .expect("an answer");
                    }
                }
            }
            for (flow, (_, held)) in &model {
                let depth = buffer.depth(flow);
                assert_eq!(depth.appended.0 - depth.acked.0, held.len() as u64 * 7);
            }
        }
        for (flow, (_, held)) in &model {
            assert_eq!(positions(&buffer, flow), *held, "seed {seed}, flow {flow}");
        }
        // In a new epoch too.
        buffer.begin_epoch().expect("a new epoch");
        for (flow, (_, held)) in &model {
            assert_eq!(positions(&buffer, flow), *held, "seed {seed}, flow {flow}");
        }
    }
}

/// Filled some times by [`put_together`].
const CAP: u64 = 128 * MIB;

/// Fills the cap some times with what is acked at once, and a little of the flow "slow", whose positions it returns: generations of
/// which little is left are put together.
fn put_together(buffer: &SledBuffer) -> Vec<String> {
    let round = |round| {
        let position = format!("s{round}");
        answered(buffer.append(append("slow", vec![block(3, 20_000, &position)], &[])));
        for _ in 0..4 {
            let fast = append("fast", vec![block(10, 1_000_000, "f")], &[]);
            let through = answered(buffer.append(fast));
            buffer
                .ack("fast", buffer.epoch(), through)
                .expect("an answer");
        }
        position
    };
    (0..60).map(round).collect()
}

/// A buffer that holds three events of a flow in a generation of an epoch before: the one that begins an epoch is never put together with
/// others.
fn held_from_before(folder: &Path, flow: &str) -> SledBuffer {
    let buffer = open(folder, CAP);
    answered(buffer.append(append(flow, vec![block(3, 20_000, "first")], &[])));
    buffer.begin_epoch().expect("an epoch");
    buffer
}

#[test]
fn what_was_held_from_before_generations_that_were_put_together_is_no_loss_once_it_is_acked() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = held_from_before(folder.path(), "slow");
    let mut slow = vec!["first".to_owned()];
    slow.extend(put_together(&buffer));
    assert_eq!(positions(&buffer, "slow"), slow);
    let before = generations(folder.path());
    // What stands before those that were put together is acked, and goes: the first one and the one that begins the epoch.
    buffer
        .ack("slow", buffer.epoch(), Sequence(3 * 3))
        .expect("an answer");
    assert!(generations(folder.path())[0] > before[1]);
    drop(buffer);
    let buffer = open(folder.path(), CAP);
    assert_eq!(buffer.losses(), [], "nothing was lost");
    assert_eq!(positions(&buffer, "slow"), slow[3..]);
}

/// A flow that is silent, or was acked whole, while others' blocks keep what was put together.
#[test]
fn a_flow_that_nobody_names_in_what_was_put_together_is_no_loss_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = held_from_before(folder.path(), "silent");
    put_together(&buffer);
    let epoch = buffer.epoch();
    buffer.ack("silent", epoch, Sequence(3)).expect("an answer");
    buffer
        .ack("slow", epoch, Sequence(3 * 2))
        .expect("an answer");
    // A place of its own without a block, in the tail.
    answered(buffer.append(Append {
        position: Bytes::from_static(b"b"),
        ..append("silent", Vec::new(), &[])
    }));
    drop(buffer);
    let buffer = open(folder.path(), CAP);
    assert_eq!((buffer.losses(), buffer.epoch()), (Vec::new(), epoch));
    assert_eq!(buffer.depth("silent").appended, Sequence(3));
    assert_eq!(buffer.position("silent").as_deref(), Some(&b"b"[..]));
    let next = append("silent", vec![block(1, 10, "c")], &[]);
    assert_eq!(answered(buffer.append(next)), Sequence(4));
}

fn generations(folder: &Path) -> Vec<std::ffi::OsString> {
    let names = std::fs::read_dir(folder).expect("the buffer");
    let names = names.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names
        .filter(|name| name.to_string_lossy().starts_with("g-"))
        .collect();
    names.sort();
    names
}
