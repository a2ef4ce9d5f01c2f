//! What every buffer does, whatever it is made of: one suite for all.

use bytes::Bytes;

use crate::api::{
    APPEND_BYTES_MAX, Append, Buffer, BufferError, MarkState, NewBlock, POSITION_BYTES_MAX,
    Sequence,
};

/// A block of `count` events whose payload is `bytes` long, standing at `position`.
#[must_use]
pub fn block(count: u32, bytes: usize, position: &str) -> NewBlock {
    let payload: Bytes = (0..bytes)
        .map(|at| (at * 31 + count as usize) as u8)
        .collect();
    NewBlock {
        count,
        first_captured_us: i64::from(count),
        last_captured_us: i64::from(count) + 1,
        codec: 1,
        decoded_bytes: bytes as u32,
        crc32c: crc32c::crc32c(&payload),
        dead_letters: 0,
        position: Bytes::copy_from_slice(position.as_bytes()),
        payload,
    }
}

/// An append to `flow` of these blocks; its position is the last block's, or "none".
#[must_use]
pub fn append(flow: &str, blocks: Vec<NewBlock>, marks: &[&str]) -> Append {
    let position = blocks
        .last()
        .map_or(Bytes::from_static(b"none"), |block| block.position.clone());
    let marks = marks.iter().map(|mark| mark.as_bytes().to_vec()).collect();
    Append {
        flow: flow.into(),
        blocks,
        position,
        marks,
    }
}

/// Runs the suite; `make` gives an empty buffer each time.
///
/// # Panics
/// Where the buffer breaks its contract.
pub fn run<B: Buffer>(mut make: impl FnMut() -> B) {
    numbers_have_no_gaps_and_chains_join(&make());
    reads_begin_in_the_block_that_holds_the_number(&make());
    acks_forget_whole_blocks_and_give_the_position(&make());
    marks_are_new_pending_and_done(&make());
    blocks_of_any_length_come_back(&make());
    refused_appends_leave_nothing(&make());
    every_commit_is_announced(&make());
    a_new_epoch_numbers_what_is_held_anew(&make());
}

fn a_new_epoch_numbers_what_is_held_anew(buffer: &impl Buffer) {
    let old = buffer.epoch();
    for n in 1..=4_u32 {
        let made = append(
            "a",
            vec![block(n, 200, &format!("p{n}"))],
            &[&format!("m{n}")],
        );
        buffer.append(made).wait().expect("it fits");
    }
    buffer
        .append(append("b", vec![block(7, 70_000, "q")], &[]))
        .wait()
        .expect("it fits");
    buffer.ack("a", old, Sequence(3)).expect("an answer");
    let epoch = buffer.begin_epoch().expect("an epoch");
    assert!(epoch != old && epoch != 0 && buffer.epoch() == epoch);
    assert_eq!(
        buffer.ack("a", old, Sequence(7)).expect("an answer"),
        None,
        "numbers of an epoch that is over"
    );
    let depth = buffer.depth("a");
    assert_eq!((depth.acked, depth.appended), (Sequence(0), Sequence(7)));
    let marks = |n: u32| buffer.seen("a", format!("m{n}").as_bytes());
    assert_eq!((marks(2), marks(3)), (MarkState::Done, MarkState::Pending));
    assert_eq!(buffer.position("a").expect("a position"), "p4");
    buffer
        .append(append("a", vec![block(5, 100, "p5")], &[]))
        .wait()
        .expect("it fits");
    let read = buffer.read("a", Sequence(1), usize::MAX).expect("blocks");
    let shape: Vec<_> = read
        .iter()
        .map(|stored| (stored.first_sequence.0, stored.block.count))
        .collect();
    assert_eq!(shape, [(1, 3), (4, 4), (8, 5)]);
    assert_eq!(read[0].chain, 0);
    let joined = |pair: &[crate::StoredBlock]| pair[0].chain_after == pair[1].chain;
    assert!(read.windows(2).all(joined) && read.iter().all(|stored| stored.epoch == epoch));
    assert_eq!(
        buffer.read("b", Sequence(1), usize::MAX).expect("blocks")[0]
            .block
            .payload
            .len(),
        70_000
    );
    assert_eq!(
        buffer.ack("a", epoch, Sequence(3)).expect("an answer"),
        Some("p3".into())
    );
    assert_eq!(marks(3), MarkState::Done);
    let third = buffer.begin_epoch().expect("another");
    assert_eq!(
        buffer.read("a", Sequence(1), 0).expect("blocks")[0].epoch,
        third
    );
    assert_eq!(buffer.depth("a").appended, Sequence(9));
}

fn numbers_have_no_gaps_and_chains_join(buffer: &impl Buffer) {
    assert_ne!(buffer.epoch(), 0);
    let mut receipts = Vec::new();
    for round in 0..20_u32 {
        for flow in ["a", "b"] {
            let blocks = (1..=round % 4)
                .map(|count| block(count, 100, &format!("{flow}{round}")))
                .collect();
            receipts.push(buffer.append(append(flow, blocks, &[])));
        }
    }
    let answers: Vec<_> = receipts
        .into_iter()
        .map(|receipt| receipt.wait().expect("it fits"))
        .collect();
    for flow in ["a", "b"] {
        let blocks = buffer
            .read(flow, Sequence(1), usize::MAX)
            .expect("they are there");
        let (mut next, mut chain) = (1, 0);
        for stored in &blocks {
            assert_eq!(
                (stored.first_sequence.0, stored.chain, stored.epoch),
                (next, chain, buffer.epoch())
            );
            next += u64::from(stored.block.count);
            chain = stored.chain_after;
        }
        let depth = buffer.depth(flow);
        assert_eq!(
            (depth.appended.0, depth.acked.0, depth.bytes),
            (next - 1, 0, blocks.len() as u64 * 100)
        );
        assert_eq!(
            buffer.position(flow).as_deref(),
            Some(format!("{flow}19").as_bytes())
        );
    }
    assert_eq!(
        answers.last().expect("many").through,
        buffer.depth("b").appended
    );
    assert_eq!(
        buffer
            .flows()
            .iter()
            .map(|name| &**name)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(buffer.depth("c").appended, Sequence(0));
}

fn reads_begin_in_the_block_that_holds_the_number(buffer: &impl Buffer) {
    let blocks = (0..5).map(|_| block(10, 1_000, "p")).collect();
    buffer
        .append(append("a", blocks, &[]))
        .wait()
        .expect("it fits");
    let firsts = |from: u64, bytes: usize| -> Vec<u64> {
        let blocks = buffer
            .read("a", Sequence(from), bytes)
            .expect("they are there");
        blocks
            .iter()
            .map(|stored| stored.first_sequence.0)
            .collect()
    };
    assert_eq!(firsts(1, usize::MAX), [1, 11, 21, 31, 41]);
    assert_eq!(firsts(15, usize::MAX), [11, 21, 31, 41]);
    assert_eq!(firsts(11, 2_000), [11, 21]);
    assert_eq!(firsts(11, 1), [11], "at least one");
    assert_eq!(firsts(51, 1), [0; 0]);
    assert!(
        buffer
            .read("other", Sequence(1), 1)
            .expect("an empty answer")
            .is_empty()
    );
}

fn acks_forget_whole_blocks_and_give_the_position(buffer: &impl Buffer) {
    for position in ["p1", "p2", "p3"] {
        buffer
            .append(append("a", vec![block(10, 10, position)], &[]))
            .wait()
            .expect("it fits");
    }
    let ack = |through: u64| {
        buffer
            .ack("a", buffer.epoch(), Sequence(through))
            .expect("an answer")
            .map(|position| position.to_vec())
    };
    assert_eq!(ack(9), None, "inside the first block");
    assert_eq!(
        ack(19),
        Some(b"p1".to_vec()),
        "inside the second: only the first is done"
    );
    assert_eq!(ack(19), None, "a repeat");
    assert_eq!(buffer.depth("a").acked, Sequence(10));
    assert_eq!(ack(1_000), Some(b"p3".to_vec()), "all there is");
    let depth = buffer.depth("a");
    assert_eq!(
        (
            depth.appended.0,
            depth.acked.0,
            depth.bytes,
            depth.oldest_captured_us
        ),
        (30, 30, 0, None)
    );
    buffer
        .append(append("a", vec![block(1, 10, "p4")], &[]))
        .wait()
        .expect("it fits");
    assert_eq!(
        buffer.read("a", Sequence(1), usize::MAX).expect("one")[0].first_sequence,
        Sequence(31)
    );
    assert_eq!(
        buffer
            .ack("other", buffer.epoch(), Sequence(9))
            .expect("an answer"),
        None
    );
}

fn marks_are_new_pending_and_done(buffer: &impl Buffer) {
    assert_eq!(buffer.seen("a", b"file"), MarkState::New);
    buffer
        .append(append("a", vec![block(5, 10, "p")], &["file"]))
        .wait()
        .expect("it fits");
    assert_eq!(buffer.seen("a", b"file"), MarkState::Pending);
    assert_eq!(
        buffer.seen("b", b"file"),
        MarkState::New,
        "marks are a flow's own"
    );
    buffer
        .ack("a", buffer.epoch(), Sequence(5))
        .expect("an answer");
    assert_eq!(buffer.seen("a", b"file"), MarkState::Done);
    buffer
        .append(append("a", Vec::new(), &["empty file"]))
        .wait()
        .expect("it fits");
    assert_eq!(
        buffer.seen("a", b"empty file"),
        MarkState::Done,
        "nothing of it waits"
    );
    assert_eq!(buffer.position("a").as_deref(), Some(&b"none"[..]));
}

fn blocks_of_any_length_come_back(buffer: &impl Buffer) {
    let lengths = [
        1,
        65_000,
        65_535,
        65_536,
        200_000,
        1_000_000,
        16 * 1024 * 1024,
    ];
    for length in lengths {
        buffer
            .append(append("a", vec![block(1, length, "p")], &[]))
            .wait()
            .expect("it fits");
    }
    let mut from = Sequence(1);
    for length in lengths {
        let read = buffer.read("a", from, 1).expect("one at a time");
        assert_eq!(
            read[0].block.payload,
            block(1, length, "p").payload,
            "length {length}"
        );
        from = Sequence(from.0 + 1);
    }
}

fn refused_appends_leave_nothing(buffer: &impl Buffer) {
    let large = vec![
        block(1, APPEND_BYTES_MAX / 2 + 1, "p"),
        block(1, APPEND_BYTES_MAX / 2 + 1, "p"),
    ];
    let long_mark = "m".repeat(256);
    let empty = NewBlock {
        count: 0,
        ..block(1, 1, "p")
    };
    let long = block(1, 1, &"p".repeat(POSITION_BYTES_MAX + 1));
    for refused in [
        append("a", large, &[]),
        append("a", vec![block(1, 1, "p")], &[&long_mark]),
        append("a", vec![block(1, 1, "p"), empty], &[]),
        append("a", vec![long], &[]),
    ] {
        assert!(matches!(
            buffer.append(refused).wait(),
            Err(BufferError::Refused(_))
        ));
    }
    assert_eq!(buffer.depth("a").appended, Sequence(0));
}

fn every_commit_is_announced(buffer: &impl Buffer) {
    let mut watch = buffer.watch();
    watch.mark_unchanged();
    buffer
        .append(append("a", vec![block(1, 1, "p")], &[]))
        .wait()
        .expect("it fits");
    assert!(watch.has_changed().expect("the buffer lives"));
}
