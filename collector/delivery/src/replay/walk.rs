//! Events of the log one after the other, as what reads them again needs them. Blocks.

use std::ops::{ControlFlow, Range};

use dray_proto::v1::BlockHeader;
use dray_proto::{FlowName, Offset, block};
use dray_store::{LogBlock, Store, StoreError};

/// Payload bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;

/// An event where it stands.
pub(super) struct Found<'a> {
    pub(super) offset: Offset,
    pub(super) event: &'a [u8],
}

/// A block's header, its bytes, and where its events stand in them.
type Opened<'b> = (&'b BlockHeader, Vec<u8>, Vec<Range<u32>>);

/// Opens a block.
pub(super) fn open(stored: &LogBlock) -> Result<Opened<'_>, String> {
    if let Some(lost) = stored.lost() {
        return Err(lost);
    }
    let (first, block) = (stored.first_offset, &stored.block);
    let header = block.header.as_ref().filter(|header| header.count > 0);
    let header = header.ok_or_else(|| format!("the block at offset {first} has no header"))?;
    let mut bytes = Vec::new();
    block::check_crc(&block.payload, header.crc32c)
        .and_then(|()| {
            block::open(
                &block.payload,
                header.codec,
                header.decoded_bytes,
                &mut bytes,
            )
        })
        .and_then(|()| block::split(&bytes, header.count))
        .map(|ranges| (header, bytes, ranges))
        .map_err(|error| format!("the block at offset {first} does not open: {error}"))
}

/// Takes a flow's events from `from` on, up to what is the newest now, or to where `take` breaks off; blocks that `skip`
/// says so of stay closed. Returns how many offsets could not be read.
pub(super) fn walk(
    store: &dyn Store,
    flow: &FlowName,
    from: Offset,
    skip: impl Fn(&BlockHeader, Offset) -> bool,
    mut take: impl FnMut(&Found<'_>) -> ControlFlow<()>,
) -> Result<u64, StoreError> {
    let newest = store.held(flow).newest_offset.0;
    let (mut next, mut lost) = (from.0.max(1), 0);
    while next <= newest {
        let blocks = match store.read(flow, Offset(next), READ_BYTES) {
            Ok(blocks) => blocks,
            Err(StoreError::Dropped { oldest, .. }) if oldest.0 > next => {
                next = oldest.0;
                continue;
            }
            Err(error) => return Err(error),
        };
        if blocks.is_empty() {
            break;
        }
        for stored in blocks {
            let count = stored
                .block
                .header
                .as_ref()
                .map_or(1, |header| header.count.max(1));
            let end = stored.first_offset.0 + u64::from(count);
            let is_skipped = stored
                .block
                .header
                .as_ref()
                .is_some_and(|header| skip(header, stored.first_offset));
            if !is_skipped {
                match open(&stored) {
                    Ok((_, bytes, ranges)) => {
                        for (ordinal, range) in (0_u32..).zip(ranges) {
                            let offset = Offset(stored.first_offset.0 + u64::from(ordinal));
                            if offset < from {
                                continue;
                            }
                            let event = &bytes[range.start as usize..range.end as usize];
                            if take(&Found { offset, event }).is_break() {
                                return Ok(lost);
                            }
                        }
                    }
                    Err(_) => lost += u64::from(count),
                }
            }
            next = end.max(next + 1);
        }
    }
    Ok(lost)
}
