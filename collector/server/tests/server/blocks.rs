//! Blocks to send.

use dray_proto::v1::{Block, BlockHeader, Codec};
use dray_proto::{EventId, block, event, wire};

/// Events `first..first + count`, of the body and key that `first` and its followers give.
pub(crate) fn block_of(flow: &str, first: u64, count: u32) -> Block {
    build(flow, first, count, "shipment")
}

/// Dead letters.
pub(crate) fn dead_letters_of(flow: &str, first: u64, count: u32) -> Block {
    build(flow, first, count, "dead_letter")
}

/// When event `sequence` of [`block_of`] was captured.
pub(crate) fn captured_us(sequence: u64) -> i64 {
    1_795_000_000_000_000 + sequence as i64 * 1_000_000
}

fn build(flow: &str, first: u64, count: u32, body: &str) -> Block {
    let mut builder = block::Builder::default();
    for sequence in first..first + u64::from(count) {
        let mut bytes = Vec::new();
        wire::put_bytes(
            &mut bytes,
            event::number::ID,
            EventId::new([9; 10], sequence, 0).as_bytes(),
        );
        wire::put_text(
            &mut bytes,
            event::number::KEY,
            &format!("K-{}", sequence % 3),
        );
        wire::put_integer(&mut bytes, event::number::OPERATION, 1);
        wire::put_timestamp(
            &mut bytes,
            event::number::CAPTURED_AT,
            captured_us(sequence),
        );
        wire::put_integer(&mut bytes, event::number::SCHEMA_VERSION, 1);
        let number = dray_proto::schema::body(body).expect("a body").number;
        wire::put_message(&mut bytes, number, |out| match body {
            "dead_letter" => {
                wire::put_text(out, 2, "column 7 (QTY): \"1O\" is not a decimal number")
            }
            _ => wire::put_text(out, 1, &format!("SHP-{sequence}")),
        });
        match body {
            "dead_letter" => builder.push_dead_letter(&bytes, captured_us(sequence)),
            _ => builder.push(&bytes, captured_us(sequence)),
        }
    }
    close(flow, first, count, &mut builder)
}

/// One event, which nobody here opens.
pub(crate) fn block_of_one(flow: &str, first: u64, event: &[u8]) -> Block {
    let mut bytes = Vec::new();
    wire::put_bytes(&mut bytes, 1, event);
    Block {
        header: Some(BlockHeader {
            codec: Codec::Plain as i32,
            decoded_bytes: bytes.len() as u32,
            crc32c: crc32c::crc32c(&bytes),
            ..block_of(flow, first, 1).header.expect("a header")
        }),
        payload: bytes.into(),
    }
}

/// Bytes that don't compress: splitmix64 from 1.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)).to_le_bytes()
    };
    std::iter::repeat_with(&mut next)
        .flatten()
        .take(length)
        .collect()
}

fn close(flow: &str, first: u64, count: u32, builder: &mut block::Builder) -> Block {
    let encoded = builder.close().expect("at least one event");
    // Any chain will do, as long as one block's end is the next one's beginning.
    let chain = |sequence: u64| if sequence == 1 { 0 } else { sequence * 1_000 };
    Block {
        header: Some(BlockHeader {
            flow: flow.into(),
            epoch: 7,
            first_sequence: first,
            count,
            first_captured_us: encoded.first_captured_us,
            last_captured_us: encoded.last_captured_us,
            codec: encoded.codec as i32,
            decoded_bytes: encoded.decoded_bytes,
            crc32c: encoded.crc32c,
            position: format!("after {}", first + u64::from(count) - 1).into(),
            chain: chain(first),
            chain_after: chain(first + u64::from(count)),
            dead_letters: encoded.dead_letters,
        }),
        payload: encoded.payload,
    }
}
