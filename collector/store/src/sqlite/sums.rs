//! Checksums of what SQLite keeps without any: a flipped bit is damage, never another number.
//!
//! Each is a CRC-32C, over text with its length before it and numbers little-endian. A payload has its own in its block's
//! header.

use dray_proto::{FlowName, Offset};

use crate::api::Held;

#[derive(Default)]
struct Sum(u32);

impl Sum {
    fn number(self, number: u64) -> Self {
        Self(crc32c::crc32c_append(self.0, &number.to_le_bytes()))
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let sum = self.number(bytes.len() as u64);
        Self(crc32c::crc32c_append(sum.0, bytes))
    }
}

/// Of a file's first line.
pub(super) fn meta(id: u64) -> u32 {
    Sum::default().number(id).0
}

/// Of a block's row.
pub(super) fn block(
    flow: &FlowName,
    first_offset: Offset,
    epoch: u64,
    first_sequence: u64,
    header: &[u8],
) -> u32 {
    let sum = Sum::default().bytes(flow.as_str().as_bytes());
    let sum = sum.number(first_offset.0).number(epoch);
    sum.number(first_sequence).bytes(header).0
}

/// Of a flow's standing.
pub(super) fn standing(flow: &FlowName, opened_at: Offset, held: &Held) -> u32 {
    let sum = Sum::default().bytes(flow.as_str().as_bytes());
    let sum = sum.number(opened_at.0).number(held.epoch);
    let sum = sum.number(held.next_sequence.0).number(held.chain);
    let sum = sum.bytes(&held.position).number(held.newest_offset.0);
    let sum = sum.number(held.last_captured_us as u64);
    sum.bytes(held.agent.as_bytes())
        .number(held.epoch_since_us as u64)
        .0
}
