//! What a block must be before the store sees it: pure.
//!
//! Nobody opens a payload here. Lengths, counts and the CRC are compared with the header, so that
//! what the log holds is what the agent wrote.

use dray_proto::block::{self, DECODED_BYTES_MAX, EVENT_BYTES_MAX, EVENTS_MAX};
use dray_proto::v1::{Block, BlockHeader, Codec};

/// The largest payload: one event of the largest size, uncompressed, and what stands before it.
pub(crate) const PAYLOAD_BYTES_MAX: usize = EVENT_BYTES_MAX + 64;
/// The largest position: an adapter's few numbers and names, with room.
pub(crate) const POSITION_BYTES_MAX: usize = 64 * 1024;
/// The largest message of the uplink: a block and its header.
pub(crate) const MESSAGE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + POSITION_BYTES_MAX + 4 * 1024;

/// Takes a block apart far enough to trust its header; the error is a sentence for the agent's log.
pub(crate) fn check(block: &Block) -> Result<&BlockHeader, String> {
    let header = block.header.as_ref().ok_or("the block has no header")?;
    let payload = block.payload.len();
    let within = [
        (header.epoch != 0, "its epoch is 0"),
        (
            header.first_sequence != 0,
            "its first sequence is 0; they count from 1",
        ),
        (
            header
                .first_sequence
                .checked_add(u64::from(header.count))
                .is_some(),
            "its sequences do not fit in 64 bits",
        ),
        (
            (1..=EVENTS_MAX).contains(&header.count),
            "its count is not between 1 and 1,000",
        ),
        (
            header.dead_letters <= header.count,
            "it claims more dead letters than events",
        ),
        (
            header.decoded_bytes as usize <= DECODED_BYTES_MAX,
            "it claims more than 32 MiB decoded",
        ),
        (
            (1..=PAYLOAD_BYTES_MAX).contains(&payload),
            "its payload is empty or larger than 16 MiB",
        ),
        (
            header.position.len() <= POSITION_BYTES_MAX,
            "its position is larger than 64 KiB",
        ),
        (
            matches!(header.codec(), Codec::Plain | Codec::Lz4),
            "its codec is not known here; update the collector before its agents",
        ),
        (
            header.codec() != Codec::Plain || payload == header.decoded_bytes as usize,
            "its payload is not as long as the header says",
        ),
    ];
    if let Some((_, what)) = within.iter().find(|(holds, _)| !holds) {
        return Err(place(header, what));
    }
    block::check_crc(&block.payload, header.crc32c)
        .map_err(|error| place(header, &error.to_string()))?;
    Ok(header)
}

fn place(header: &BlockHeader, what: &str) -> String {
    format!(
        "the block at sequence {} is refused: {what}; nothing of it was stored, and the agent still holds it",
        header.first_sequence
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Block {
        let mut builder = block::Builder::default();
        builder.push(b"an event", 1);
        builder.push(b"another", 2);
        let encoded = builder.close().expect("two events");
        Block {
            header: Some(BlockHeader {
                flow: "shipments".into(),
                epoch: 7,
                first_sequence: 1,
                count: encoded.count,
                codec: encoded.codec as i32,
                decoded_bytes: encoded.decoded_bytes,
                crc32c: encoded.crc32c,
                ..Default::default()
            }),
            payload: encoded.payload,
        }
    }

    #[test]
    fn a_good_block_passes_and_a_bad_one_says_what_is_wrong() {
        type Spoil = fn(&mut BlockHeader);
        let table: [(Spoil, &str); 10] = [
            (|header| header.epoch = 0, "epoch is 0"),
            (|header| header.first_sequence = 0, "first sequence is 0"),
            (|header| header.first_sequence = u64::MAX, "do not fit"),
            (|header| header.count = 0, "between 1 and 1,000"),
            (|header| header.count = 1_001, "between 1 and 1,000"),
            (|header| header.dead_letters = 3, "more dead letters"),
            (
                |header| header.decoded_bytes = 33 * 1024 * 1024,
                "more than 32 MiB",
            ),
            (|header| header.codec = 9, "codec is not known"),
            (|header| header.decoded_bytes += 1, "not as long"),
            (|header| header.crc32c ^= 1, "CRC-32C"),
        ];
        assert!(check(&good()).is_ok());
        for (spoil, expected) in table {
            let mut block = good();
            spoil(block.header.as_mut().expect("a header"));
            let said = check(&block).expect_err(expected);
            assert!(said.contains(expected), "{said}");
        }
        let headless = Block {
            header: None,
            ..good()
        };
        assert!(check(&headless).is_err());
        let flipped = Block {
            payload: vec![1; good().payload.len()].into(),
            ..good()
        };
        assert!(check(&flipped).expect_err("flipped").contains("CRC-32C"));
    }
}
