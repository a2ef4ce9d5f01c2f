use bytes::Bytes;

use super::*;
use crate::api::{NewBlock, Sequence};

fn block(payload: usize) -> Record {
    let payload = Bytes::from(vec![9; payload]);
    let block = NewBlock {
        count: 3,
        first_captured_us: 5,
        last_captured_us: 7,
        codec: 2,
        decoded_bytes: 99,
        crc32c: crc32c::crc32c(&payload),
        dead_letters: 0,
        position: Bytes::from_static(b"here"),
        payload,
    };
    let block = StoredBlock {
        epoch: 8,
        first_sequence: Sequence(11),
        chain: 4,
        chain_after: 5,
        block,
    };
    let flow = "shipments".to_owned();
    Record::Block { flow, block }
}

fn note() -> Record {
    Record::Note(Note {
        flow: "shipments".into(),
        through: Sequence(13),
        at_s: 6,
        position: Bytes::new(),
        marks: vec![[7; 16]],
    })
}

#[test]
fn records_are_found_by_number_whether_they_share_a_value_or_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("g");
    let generation = Generation::make(&path).expect("an empty one");
    let commits = [
        vec![block(10), note(), block(20), note()],
        vec![block(30)],
        vec![block(70_000), note()],
        vec![note(), block(40)],
    ];
    let mut next = 100;
    for commit in &commits {
        next += generation.commit(next, commit).expect("a commit").numbers;
    }
    // 70,000 bytes are two values.
    let expected = [
        (100, 1, 10),
        (101, 1, 0),
        (102, 1, 20),
        (103, 1, 0),
        (104, 1, 30),
        (105, 2, 70_000),
        (107, 1, 0),
        (108, 1, 0),
        (109, 1, 40),
    ];
    drop(generation);
    let generation = Generation::open(&path).expect("it is there");
    let placed = generation.scan(100).expect("whole");
    let places: Vec<_> = placed
        .iter()
        .map(|one| (one.number, one.values, one.payload_bytes))
        .collect();
    assert_eq!(places, expected);
    assert_eq!(generation.end().expect("readable"), Some(110));
    for (number, values, payload_bytes) in expected {
        let (record, used) = generation.readable(number).expect("readable");
        assert_eq!(used, values);
        let block = generation.block(number);
        assert_eq!(
            block.is_ok(),
            matches!(record, Record::Block { .. }),
            "{number}"
        );
        if let Ok(block) = block {
            assert_eq!(block.block.payload.len(), payload_bytes as usize);
        }
    }
    for number in [99, 106, 110, 1_000] {
        assert!(generation.readable(number).is_none(), "{number}");
        assert!(generation.block(number).is_err(), "{number}");
    }
}

#[test]
fn many_commits_are_found_with_and_without_gaps() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("g");
    let generation = Generation::make(&path).expect("an empty one");
    let mut next = 7;
    // More than sled keeps in one leaf, in groups of one to five.
    for n in 0..200_usize {
        let mut commit = vec![block(n)];
        commit.extend((0..n % 5).map(|_| note()));
        next += generation.commit(next, &commit).expect("a commit").numbers;
    }
    drop(generation);
    let generation = Generation::open(&path).expect("it is there");
    let placed = generation.scan(7).expect("whole");
    assert_eq!((placed.len(), next), (600, 607));
    assert_eq!(generation.end().expect("readable"), Some(next));
    let mut blocks = 0;
    for one in &placed {
        let (record, _) = generation.readable(one.number).expect("readable");
        if matches!(record, Record::Block { .. }) {
            let block = generation.block(one.number).expect("a block");
            assert_eq!(block.block.payload.len(), blocks);
            blocks += 1;
        }
    }
    assert_eq!(blocks, 200);
}

#[test]
fn of_a_group_what_is_whole_can_be_read_and_what_is_not_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let generation = Generation::make(folder.path()).expect("an empty one");
    let mut bad = block(10);
    if let Record::Block { block, .. } = &mut bad {
        block.block.crc32c ^= 1;
    }
    let commit = [block(10), bad, note()];
    generation.commit(1, &commit).expect("a commit");
    let why = generation.scan(1).expect_err("a bad one");
    assert!(matches!(why, Unreadable::Damaged(_)), "{why:?}");
    assert!(why.reason().contains("number 2"), "{why:?}");
    let read = [1, 2, 3].map(|number| generation.readable(number).is_some());
    assert_eq!(read, [true, false, true]);
}

#[test]
fn what_a_newer_version_wrote_is_not_taken_for_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let generation = Generation::make(folder.path()).expect("an empty one");
    generation.commit(1, &[block(10)]).expect("a commit");
    let unknown = vec![vec![99, 0, 0, 0, 0]];
    generation.insert(2, unknown).expect("a value");
    let why = generation.scan(1).expect_err("it can't be read");
    assert!(matches!(why, Unreadable::Failed(_)), "{why:?}");
    assert!(why.reason().contains("newer version"), "{why:?}");
    // A later piece and a group are known: where a record should begin they are damage, and mended.
    for known in [vec![0, 0, 0, 0, 0], vec![7, 7, 0, 0, 0, 0]] {
        let folder = tempfile::tempdir().expect("a folder");
        let generation = Generation::make(folder.path()).expect("an empty one");
        generation.insert(1, vec![known]).expect("a value");
        let why = generation.scan(1).expect_err("it is no record");
        assert!(matches!(why, Unreadable::Damaged(_)), "{why:?}");
    }
}
