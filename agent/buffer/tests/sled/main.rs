//! The sled buffer: reopened, killed, full, damaged.

mod damage;
mod model;
mod room;
mod slow;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dray_buffer::conformance::{self, append, block};
use dray_buffer::{
    Append, Buffer, BufferError, MarkState, MemoryBuffer, Options, Sequence, SledBuffer,
    StoredBlock,
};

fn small(folder: &Path) -> Options {
    Options {
        generation_bytes: 256 * 1024,
        ballast_bytes: 0,
        reserve_bytes: 0,
        ..Options::in_folder(folder)
    }
}

fn open(folder: &Path) -> SledBuffer {
    SledBuffer::open(small(folder)).expect("a buffer")
}

fn generations(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("g-"))
        .count()
}

#[test]
fn both_buffers_keep_the_contract() {
    conformance::run(MemoryBuffer::new);
    let folders = std::cell::RefCell::new(Vec::new());
    conformance::run(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let buffer = open(folder.path());
        folders.borrow_mut().push(folder);
        buffer
    });
}

#[test]
fn everything_answered_is_there_after_reopening_and_numbers_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut epoch = 0;
    let mut next = 1;
    for round in 0..6_u64 {
        let buffer = open(folder.path());
        if round > 0 {
            assert_eq!(buffer.epoch(), epoch);
            assert_eq!(buffer.depth("a").appended.0, next - 1);
            assert_eq!(
                buffer.seen("a", format!("m{}", round - 1).as_bytes()),
                MarkState::Pending
            );
        }
        epoch = buffer.epoch();
        for _ in 0..8 {
            let made = append(
                "a",
                vec![block(10, 50_000, "p"), block(3, 70_000, "q")],
                &[&format!("m{round}")],
            );
            next = buffer.append(made).wait().expect("it fits").through.0 + 1;
        }
        let read = buffer
            .read("a", Sequence(1), usize::MAX)
            .expect("all of it");
        assert_eq!(read.len() as u64, (round + 1) * 16);
        assert_eq!(buffer.position("a").as_deref(), Some(&b"q"[..]));
    }
    assert!(generations(folder.path()) > 5, "it rolled");
}

#[test]
fn of_appends_that_are_committed_together_the_last_one_says_where_the_source_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = open(folder.path());
    // Some append nothing, as of files without records; so does the last.
    let receipts: Vec<_> = (1..=200)
        .map(|n| {
            let position = format!("p{n}");
            let blocks = match n % 5 {
                0 => Vec::new(),
                _ => vec![block(1, 50, &position)],
            };
            buffer.append(Append {
                position: position.into(),
                ..append("a", blocks, &[])
            })
        })
        .collect();
    for receipt in receipts {
        receipt.wait().expect("an answer");
    }
    let held = buffer.read("a", Sequence(1), usize::MAX).expect("all");
    assert_eq!(held.len(), 160);
    let says = |(at, stored): (usize, &StoredBlock)| {
        let position = &stored.block.position;
        // Four of five have a block.
        let own = at / 4 * 5 + at % 4 + 1;
        assert!(position.is_empty() || *position == format!("p{own}"));
        !position.is_empty()
    };
    let said = held.iter().enumerate().filter(|one| says(*one)).count();
    assert!((1..160).contains(&said), "{said} of 160 say it");
    assert_eq!(
        held[159].block.position, "p199",
        "the last one that travels"
    );
    let told = buffer.ack("a", buffer.epoch(), Sequence(160));
    assert_eq!(told.expect("held").as_deref(), Some(&b"p199"[..]));
    drop(buffer);
    let buffer = open(folder.path());
    assert_eq!(buffer.position("a").as_deref(), Some(&b"p200"[..]));
}

#[test]
fn acked_generations_go_and_their_marks_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = open(folder.path());
    let mut through = Sequence(0);
    for n in 0..40 {
        let made = append("a", vec![block(10, 60_000, "p")], &[&format!("m{n}")]);
        through = buffer.append(made).wait().expect("it fits").through;
    }
    assert!(generations(folder.path()) >= 8);
    let before = buffer.space().bytes;
    buffer.ack("a", buffer.epoch(), through).expect("an answer");
    // The last full one may still be being sealed; then it goes.
    let deadline = Instant::now() + Duration::from_secs(20);
    while generations(folder.path()) > 1 || buffer.space().bytes >= before / 2 {
        assert!(Instant::now() < deadline, "only the newest is left");
        std::thread::yield_now();
    }
    for reopened in [false, true] {
        let buffer = if reopened { None } else { Some(&buffer) };
        if let Some(buffer) = buffer {
            assert_eq!(buffer.seen("a", b"m0"), MarkState::Done);
        }
    }
    drop(buffer);
    let buffer = open(folder.path());
    assert_eq!(
        buffer.seen("a", b"m0"),
        MarkState::Done,
        "its generation is gone"
    );
    assert_eq!(buffer.depth("a").appended, through);
    buffer.ack("a", buffer.epoch(), through).expect("an answer");
    assert_eq!(buffer.seen("a", b"m39"), MarkState::Done);
}

#[test]
fn at_the_cap_appends_wait_and_go_on_once_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        bytes_max: 40 * 1024 * 1024,
        ..small(folder.path())
    };
    let buffer = SledBuffer::open(options).expect("a buffer");
    let (answers, answered) = std::sync::mpsc::channel();
    let mut through = Sequence(0);
    for round in 0.. {
        assert!(round < 400, "the cap was never reached");
        let receipt = buffer.append(append("a", vec![block(10, 250_000, "p")], &[]));
        let answers = answers.clone();
        std::thread::spawn(move || answers.send(receipt.wait()));
        let answer = loop {
            match answered.recv_timeout(Duration::from_millis(1)) {
                Ok(answer) => break Some(answer),
                Err(_) if buffer.space().waiting.is_some() => break None,
                Err(_) => {}
            }
        };
        match answer {
            Some(answer) => through = answer.expect("it fits").through,
            None => break,
        }
    }
    let said = buffer.space();
    // sled takes its space in segments: the cap may be passed by one.
    assert!(
        said.waiting.is_some() && said.bytes <= said.bytes_max + 8 * 1024 * 1024,
        "{said:?}"
    );
    buffer.ack("a", buffer.epoch(), through).expect("an answer");
    let answer = answered.recv().expect("an answer").expect("room came back");
    assert_eq!(answer.through.0, through.0 + 10);
    assert_eq!(buffer.space().waiting, None);
}

#[test]
fn a_second_process_is_told_that_the_folder_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = open(folder.path());
    let Err(BufferError::Stopped { reason, .. }) = SledBuffer::open(small(folder.path())) else {
        panic!("two buffers in one folder")
    };
    assert!(reason.contains("another dray-agent"), "{reason}");
}

#[test]
fn appender_to_be_killed() {
    let Some(folder) = std::env::var_os("DRAY_BUFFER_TO_KILL") else {
        return;
    };
    let buffer = open(Path::new(&folder));
    let mut acked = 0;
    loop {
        let receipts: Vec<_> = (0..4)
            .map(|n| {
                buffer.append(append(
                    ["a", "b"][n % 2],
                    vec![block(10, 30_000, "p"), block(5, 80_000, "q")],
                    &[],
                ))
            })
            .collect();
        for (n, receipt) in receipts.into_iter().enumerate() {
            let through = receipt.wait().expect("it fits").through;
            println!("answered {} {through}", ["a", "b"][n % 2]);
        }
        let depth = buffer.depth("a").appended.0;
        if depth > acked + 600 {
            acked = depth - 300;
            buffer
                .ack("a", buffer.epoch(), Sequence(acked))
                .expect("an answer");
            buffer
                .ack("b", buffer.epoch(), Sequence(acked))
                .expect("an answer");
        }
    }
}

#[test]
fn what_was_answered_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..6_u64 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["appender_to_be_killed", "--exact", "--nocapture"])
            .env("DRAY_BUFFER_TO_KILL", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test again");
        let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let mut answered = [0_u64; 2];
        let mut left = 40 + round * 57 % 300;
        for line in lines.map_while(Result::ok) {
            let mut words = line
                .split_whitespace()
                .skip_while(|word| *word != "answered")
                .skip(1);
            let (Some(flow), Some(through)) = (words.next(), words.next()) else {
                continue;
            };
            let at = usize::from(flow == "b");
            // The last line may be cut by the kill: what is left of its number is no larger.
            answered[at] = answered[at].max(through.parse().unwrap_or(0));
            left -= 1;
            if left == 0 {
                child.kill().expect("our own child");
            }
            left = left.max(1);
        }
        child.wait().expect("our own child");
        let buffer = open(folder.path());
        for (flow, answered) in ["a", "b"].into_iter().zip(answered) {
            let depth = buffer.depth(flow);
            assert!(
                depth.appended.0 >= answered,
                "{flow}: {answered} was answered, {} is there",
                depth.appended
            );
            let read = buffer
                .read(flow, Sequence(1), usize::MAX)
                .expect("all of it");
            let mut next = depth.acked.0 + 1;
            for stored in read {
                assert_eq!(stored.first_sequence.0, next, "{flow}");
                next += u64::from(stored.block.count);
            }
            assert_eq!(next, depth.appended.0 + 1, "{flow}");
        }
    }
}
