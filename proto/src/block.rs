//! Blocks: events encoded together once.
//!
//! The agent builds a block and its bytes never change again: they are what its disk, the wire and
//! the collector's log hold. Whoever needs the events opens the block with [`open`].

use bytes::Bytes;
use thiserror::Error;

use crate::v1::Codec;
use crate::wire::{self, Fields, Raw};

/// A block's events, at most: what the collector's exceptions and a reader's batch are sized for.
pub const EVENTS_MAX: u32 = 1_000;
/// A block is closed once its events reach this many bytes before compression; at the ratio that
/// real drops show (2 to 4) it is then at most 64 KiB, one piece on the agent's disk.
pub const EVENT_BYTES_CLOSE: usize = 128 * 1024;
/// The largest event, encoded. Larger ones become dead letters.
pub const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest decoded block. Readers refuse more before they allocate.
pub const DECODED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What the header says of the payload, made with it.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// How many events.
    pub count: u32,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub first_captured_us: i64,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub last_captured_us: i64,
    /// How the payload is compressed.
    pub codec: Codec,
    /// The payload's length once decoded.
    pub decoded_bytes: u32,
    /// CRC-32C of `payload`.
    pub crc32c: u32,
    /// How many of the events are dead letters.
    pub dead_letters: u32,
    /// As it travels.
    pub payload: Bytes,
}

/// Collects events and closes them into a block. Its memory is used again.
#[derive(Debug, Default)]
pub struct Builder {
    events: Vec<u8>,
    count: u32,
    first_captured_us: i64,
    last_captured_us: i64,
    dead_letters: u32,
}

impl Builder {
    /// Adds one event, encoded, at most [`EVENT_BYTES_MAX`] long.
    ///
    /// Call [`Self::close`] first when [`Self::takes`] says no.
    pub fn push(&mut self, event: &[u8], captured_us: i64) {
        debug_assert!(event.len() <= EVENT_BYTES_MAX);
        if self.count == 0 {
            self.first_captured_us = captured_us;
        }
        self.last_captured_us = captured_us;
        self.count += 1;
        wire::put_bytes(&mut self.events, 1, event);
    }

    /// Adds an event whose body is a dead letter.
    pub fn push_dead_letter(&mut self, event: &[u8], captured_us: i64) {
        self.push(event, captured_us);
        self.dead_letters += 1;
    }

    /// Whether one more event of this length belongs in the same block.
    #[must_use]
    pub fn takes(&self, event_bytes: usize) -> bool {
        self.count == 0
            || (self.count < EVENTS_MAX && self.events.len() + event_bytes <= EVENT_BYTES_CLOSE)
    }

    /// Whether there is nothing to close.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The block, or `None` when no event waits. The builder is empty afterwards.
    pub fn close(&mut self) -> Option<Encoded> {
        if self.count == 0 {
            return None;
        }
        let packed = lz4_flex::block::compress(&self.events);
        let (codec, payload) = if packed.len() < self.events.len() {
            (Codec::Lz4, Bytes::from(packed))
        } else {
            (Codec::Plain, Bytes::copy_from_slice(&self.events))
        };
        let encoded = Encoded {
            count: self.count,
            first_captured_us: self.first_captured_us,
            last_captured_us: self.last_captured_us,
            codec,
            decoded_bytes: self.events.len() as u32,
            crc32c: crc32c::crc32c(&payload),
            dead_letters: self.dead_letters,
            payload,
        };
        self.events.clear();
        self.count = 0;
        self.dead_letters = 0;
        Some(encoded)
    }
}

/// Why a block does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BlockError {
    /// The payload is not the one that the header was made for.
    #[error("the payload's CRC-32C is {found:08x}, the header says {said:08x}")]
    Crc {
        /// As computed.
        found: u32,
        /// As said.
        said: u32,
    },
    /// The header claims more than a block may hold.
    #[error("the header claims {0} bytes decoded, at most {DECODED_BYTES_MAX} are allowed")]
    TooLarge(u32),
    /// A codec that this version does not read.
    #[error("codec {0} is not known; a newer dray may read it")]
    Codec(i32),
    /// The payload does not decompress to the length said.
    #[error("the payload does not decompress to {0} bytes")]
    Decompress(u32),
    /// The events in it are not as many as said, or not protobuf.
    #[error("the payload does not hold {0} events")]
    Count(u32),
}

/// Checks the CRC of a payload against its header.
///
/// # Errors
/// [`BlockError::Crc`].
pub fn check_crc(payload: &[u8], said: u32) -> Result<(), BlockError> {
    let found = crc32c::crc32c(payload);
    if found == said {
        Ok(())
    } else {
        Err(BlockError::Crc { found, said })
    }
}

/// Decompresses a payload into `into`, whose former content is dropped and whose memory is used.
///
/// # Errors
/// [`BlockError`] where header and payload disagree; nothing is allocated for a header that claims
/// too much.
pub fn open(
    payload: &[u8],
    codec: i32,
    decoded_bytes: u32,
    into: &mut Vec<u8>,
) -> Result<(), BlockError> {
    if decoded_bytes as usize > DECODED_BYTES_MAX {
        return Err(BlockError::TooLarge(decoded_bytes));
    }
    into.clear();
    match Codec::try_from(codec) {
        Ok(Codec::Plain) if payload.len() == decoded_bytes as usize => {
            into.extend_from_slice(payload)
        }
        Ok(Codec::Plain) => return Err(BlockError::Decompress(decoded_bytes)),
        Ok(Codec::Lz4) => {
            into.resize(decoded_bytes as usize, 0);
            let length = lz4_flex::block::decompress_into(payload, into)
                .map_err(|_| BlockError::Decompress(decoded_bytes))?;
            if length != decoded_bytes as usize {
                return Err(BlockError::Decompress(decoded_bytes));
            }
        }
        _ => return Err(BlockError::Codec(codec)),
    }
    Ok(())
}

/// Where each event of an opened block begins and ends, as byte ranges of the block.
///
/// # Errors
/// [`BlockError::Count`] unless there are exactly `count`.
pub fn split(decoded: &[u8], count: u32) -> Result<Vec<std::ops::Range<u32>>, BlockError> {
    let mut ranges = Vec::with_capacity((count as usize).min(EVENTS_MAX as usize));
    for field in Fields::of(decoded) {
        match field {
            Ok((1, Raw::Bytes(event))) => {
                let start = (event.as_ptr() as usize - decoded.as_ptr() as usize) as u32;
                ranges.push(start..start + event.len() as u32);
            }
            Ok(_) => {}
            Err(_) => return Err(BlockError::Count(count)),
        }
    }
    if ranges.len() == count as usize {
        Ok(ranges)
    } else {
        Err(BlockError::Count(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(events: &[Vec<u8>]) -> Encoded {
        let mut builder = Builder::default();
        for (index, event) in events.iter().enumerate() {
            assert!(builder.takes(event.len()));
            builder.push(event, index as i64);
        }
        builder.close().expect("events were pushed")
    }

    #[test]
    fn a_block_opens_to_the_events_that_were_pushed() {
        let events: Vec<Vec<u8>> = (0..100_u8)
            .map(|byte| vec![byte; usize::from(byte)])
            .collect();
        let block = built(&events);
        assert_eq!((block.count, block.codec), (100, Codec::Lz4));
        assert_eq!((block.first_captured_us, block.last_captured_us), (0, 99));
        check_crc(&block.payload, block.crc32c).expect("our own CRC");
        let mut decoded = vec![1, 2, 3];
        open(
            &block.payload,
            block.codec as i32,
            block.decoded_bytes,
            &mut decoded,
        )
        .expect("our own block");
        let ranges = split(&decoded, block.count).expect("100 events");
        for (range, event) in ranges.into_iter().zip(&events) {
            assert_eq!(&decoded[range.start as usize..range.end as usize], event);
        }
    }

    #[test]
    fn what_does_not_compress_stays_plain() {
        let block = built(&[vec![1, 2, 3]]);
        assert_eq!(block.codec, Codec::Plain);
        let mut decoded = Vec::new();
        open(&block.payload, 1, block.decoded_bytes, &mut decoded).expect("our own block");
        let ranges = split(&decoded, 1).expect("one event");
        assert_eq!((ranges[0].start, ranges[0].end), (2, 5));
    }

    #[test]
    fn a_block_closes_at_its_limits() {
        let mut builder = Builder::default();
        for _ in 0..EVENTS_MAX {
            assert!(builder.takes(1));
            builder.push(&[0], 0);
        }
        assert!(!builder.takes(1));
        builder.close();
        assert!(
            builder.takes(EVENT_BYTES_MAX),
            "one larger event has a block to itself"
        );
        builder.push(&[0; 100], 0);
        assert!(!builder.takes(EVENT_BYTES_CLOSE));
    }

    #[test]
    fn a_lying_header_is_refused() {
        let block = built(&[vec![7; 500], vec![8; 500]]);
        let mut decoded = Vec::new();
        let codec = block.codec as i32;
        let mut lie = |codec, bytes| open(&block.payload, codec, bytes, &mut decoded);
        assert_eq!(lie(codec, u32::MAX), Err(BlockError::TooLarge(u32::MAX)));
        assert_eq!(lie(codec, 5), Err(BlockError::Decompress(5)));
        assert_eq!(lie(codec, 5_000), Err(BlockError::Decompress(5_000)));
        assert_eq!(lie(9, block.decoded_bytes), Err(BlockError::Codec(9)));
        assert!(check_crc(&block.payload, block.crc32c ^ 1).is_err());
        open(&block.payload, codec, block.decoded_bytes, &mut decoded).expect("the truth");
        assert_eq!(split(&decoded, 3), Err(BlockError::Count(3)));
        assert_eq!(
            split(&decoded[..decoded.len() - 1], 2),
            Err(BlockError::Count(2))
        );
    }
}
