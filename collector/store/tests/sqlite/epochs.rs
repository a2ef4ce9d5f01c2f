//! Agents and logs with another past than each other's.

use bytes::Bytes;
use dray_proto::block::{self, Builder};
use dray_proto::event::{View, number};
use dray_proto::v1::{Block, BlockHeader};
use dray_proto::{EventId, FlowName, Offset, Sequence, wire};
use dray_store::conformance::flow;
use dray_store::{AppendError, Cursor, Gap, Held, Options, SqliteStore, Step, Store};

fn event(ordinal: u64) -> Vec<u8> {
    let mut event = Vec::new();
    let id = EventId::new([3; 10], ordinal, 0);
    wire::put_bytes(&mut event, number::ID, id.as_bytes());
    wire::put_timestamp(&mut event, number::CAPTURED_AT, ordinal as i64);
    event
}

/// A block of an epoch whose events have these ordinals; `chain_after` is its own `first_sequence`.
fn block(epoch: u64, first_sequence: u64, chain: u64, ordinals: std::ops::Range<u64>) -> Block {
    let mut builder = Builder::default();
    ordinals.for_each(|ordinal| builder.push(&event(ordinal), ordinal as i64));
    let encoded = builder.close().expect("events");
    Block {
        header: Some(BlockHeader {
            epoch,
            first_sequence,
            count: encoded.count,
            codec: encoded.codec as i32,
            decoded_bytes: encoded.decoded_bytes,
            crc32c: encoded.crc32c,
            chain,
            chain_after: first_sequence + epoch * 1_000,
            position: Bytes::from(format!("{epoch}:{first_sequence}")),
            ..Default::default()
        }),
        payload: encoded.payload,
    }
}

fn append(store: &SqliteStore, blocks: Vec<Block>) -> Result<Held, AppendError> {
    let receipt = store.append("a-1", &flow("x"), blocks);
    receipt.wait().expect("the writer lives")
}

/// (offset, sequence, ordinal) of every event of the flow.
fn events(store: &SqliteStore, name: &FlowName) -> Vec<(u64, u64, u64)> {
    let mut found = Vec::new();
    let mut from = Offset(1);
    loop {
        let blocks = store.read(name, from, 1 << 20).expect("it reads");
        if blocks.is_empty() {
            return found;
        }
        for stored in blocks {
            let header = stored.block.header.expect("a header");
            let mut decoded = Vec::new();
            block::open(
                &stored.block.payload,
                header.codec,
                header.decoded_bytes,
                &mut decoded,
            )
            .expect("it opens");
            let ranges = block::split(&decoded, header.count).expect("its events");
            for (index, range) in (0..).zip(ranges) {
                let view =
                    View::of(&decoded[range.start as usize..range.end as usize]).expect("an event");
                found.push((
                    stored.first_offset.0 + index,
                    header.first_sequence + index,
                    view.captured_us as u64,
                ));
            }
            from = Offset(stored.first_offset.0 + u64::from(header.count));
        }
    }
}

#[test]
fn a_new_epoch_adds_only_what_the_log_does_not_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || SqliteStore::open(Options::in_folder(folder.path())).expect("it opens");
    let store = open();
    append(
        &store,
        vec![block(1, 1, 0, 0..10), block(1, 11, 1_001, 10..20)],
    )
    .expect("the first epoch");
    // All of the first block is known, and the end of the second is not.
    let held = append(&store, vec![block(2, 1, 0, 5..15)]).expect("the second epoch");
    assert_eq!(
        (held.epoch, held.next_sequence, held.newest_offset),
        (2, Sequence(11), Offset(20))
    );
    assert_eq!(held.position, "2:1");
    drop(store);
    let store = open();
    assert_eq!(
        store.held(&flow("x")).next_sequence,
        Sequence(11),
        "it stands without a block"
    );
    let held = append(&store, vec![block(2, 11, 2_001, 15..25)]).expect("what follows");
    assert_eq!(
        (held.next_sequence, held.newest_offset),
        (Sequence(21), Offset(25))
    );
    let expected: Vec<(u64, u64, u64)> = (0..20)
        .map(|n| (n + 1, n + 1, n))
        .chain((20..25).map(|n| (n + 1, n - 4, n)))
        .collect();
    assert_eq!(events(&store, &flow("x")), expected);
    append(
        &store,
        vec![block(2, 11, 2_001, 15..25), block(2, 21, 2_011, 25..26)],
    )
    .expect("a repeat of what was written otherwise");
    let forked = append(&store, vec![block(2, 11, 2_001, 95..105)]);
    assert!(
        matches!(forked, Err(AppendError::Forked { .. })),
        "{forked:?}"
    );
    drop(store);
    let store = open();
    append(&store, vec![block(2, 22, 2_021, 20..30)]).expect("it is watched after a restart, too");
    let ordinals: Vec<u64> = events(&store, &flow("x"))
        .iter()
        .map(|(.., ordinal)| *ordinal)
        .collect();
    assert_eq!(ordinals, (0..30).collect::<Vec<_>>());
}

#[test]
fn a_gap_is_passed_only_with_an_event_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(Options::in_folder(folder.path())).expect("it opens");
    append(&store, vec![block(1, 1, 0, 0..10)]).expect("events");
    let late = block(1, 50, 777, 49..60);
    assert!(matches!(
        append(&store, vec![late.clone()]),
        Err(AppendError::Gap { .. })
    ));
    let gap = |epoch, next| Gap {
        epoch,
        next: Sequence(next),
        chain: 777,
        event: event(1_000).into(),
        at_us: 1_000,
    };
    let accept = |gap| {
        let receipt = store.accept_gap("a-1", &flow("x"), gap);
        receipt.wait().expect("the writer lives")
    };
    assert!(accept(gap(1, 11)).is_err(), "nothing is missing before 11");
    let held = accept(gap(1, 50)).expect("the gap is accepted");
    assert_eq!(
        (held.next_sequence, held.chain, held.newest_offset),
        (Sequence(50), 777, Offset(11))
    );
    append(&store, vec![late]).expect("it goes on behind the gap");
    // An epoch of which the log has nothing, as its own log is older.
    let held = accept(gap(2, 5)).expect("a gap at an epoch's beginning");
    assert_eq!((held.epoch, held.next_sequence), (2, Sequence(5)));
    let found = events(&store, &flow("x"));
    assert_eq!(found[10], (11, 11, 1_000));
    assert_eq!(found[11], (12, 50, 49));
    assert_eq!(found.last(), Some(&(23, 1, 1_000)));
}

#[test]
fn a_log_older_than_its_cursors_hands_out_again_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = || Options::in_folder(folder.path());
    let store = SqliteStore::open(options()).expect("it opens");
    append(&store, vec![block(1, 1, 0, 0..10)]).expect("events");
    let before = store.incarnation();
    let log = folder.path().join("log");
    drop(store);
    let saved: Vec<_> = std::fs::read_dir(&log)
        .expect("its files")
        .map(|entry| entry.expect("a file").path())
        .map(|path| (std::fs::read(&path).expect("its bytes"), path))
        .collect();
    let store = SqliteStore::open(options()).expect("it opens");
    assert_eq!(store.incarnation(), before);
    append(&store, vec![block(1, 11, 1_001, 10..20)]).expect("events");
    let step = |through, above: &[u32]| Step {
        consumer: "target:erp".into(),
        cursors: vec![(
            flow("x"),
            Cursor {
                through: Offset(through),
                above: above.iter().copied().collect(),
            },
        )],
        ..Step::default()
    };
    let receipt = store.step(step(12, &[3]));
    receipt.wait().expect("an answer").expect("a step");
    drop(store);
    for entry in std::fs::read_dir(&log).expect("its files") {
        std::fs::remove_file(entry.expect("a file").path()).expect("it goes");
    }
    for (bytes, path) in saved {
        std::fs::write(path, bytes).expect("it is put back");
    }
    let store = SqliteStore::open(options()).expect("it opens");
    let cursors = store.cursors("target:erp").expect("cursors");
    assert_eq!(
        cursors[0].1,
        Cursor {
            through: Offset(10),
            ..Cursor::default()
        }
    );
    assert_ne!(
        store.incarnation(),
        before,
        "its offsets may name other events"
    );
    let now = store.incarnation();
    drop(store);
    let store = SqliteStore::open(options()).expect("it opens");
    assert_eq!(store.incarnation(), now);
    assert_ne!(store.was_restored().expect("another"), now);
}
