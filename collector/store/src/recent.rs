//! The newest blocks of every flow, in memory: whoever reads at the log's end reads no disk.

use std::collections::{HashMap, VecDeque};

use dray_proto::{FlowName, Offset};

use crate::api::LogBlock;

/// Bytes of payload that are kept.
const RECENT_BYTES: usize = 32 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Recent {
    flows: HashMap<FlowName, VecDeque<LogBlock>>,
    order: VecDeque<(FlowName, usize)>,
    bytes: usize,
}

impl Recent {
    /// Keeps a block that was committed; a flow's blocks come in order.
    pub(crate) fn push(&mut self, flow: &FlowName, block: LogBlock) {
        let bytes = block.block.payload.len();
        self.bytes += bytes;
        self.order.push_back((flow.clone(), bytes));
        self.flows.entry(flow.clone()).or_default().push_back(block);
        while self.bytes > RECENT_BYTES {
            let Some((oldest, bytes)) = self.order.pop_front() else {
                break;
            };
            self.bytes -= bytes;
            if let Some(blocks) = self.flows.get_mut(&oldest) {
                blocks.pop_front();
            }
        }
    }

    /// Blocks from the one that holds `from`; `None` if that one is not here any more.
    pub(crate) fn read(
        &self,
        flow: &FlowName,
        from: Offset,
        bytes_max: usize,
    ) -> Option<Vec<LogBlock>> {
        let blocks = self.flows.get(flow)?;
        if blocks.front()?.first_offset > from {
            return None;
        }
        let start = blocks
            .partition_point(|block| block.first_offset <= from)
            .saturating_sub(1);
        Some(take_while_fits(
            blocks.range(start..).cloned(),
            from,
            bytes_max,
        ))
    }
}

/// As many blocks as fit, and at least one if any holds `from` or what follows.
pub(crate) fn take_while_fits(
    blocks: impl Iterator<Item = LogBlock>,
    from: Offset,
    bytes_max: usize,
) -> Vec<LogBlock> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for block in blocks {
        let count = block.block.header.as_ref().map_or(0, |header| header.count);
        if block.first_offset.0 + u64::from(count) <= from.0 {
            continue;
        }
        bytes += block.block.payload.len();
        if !taken.is_empty() && bytes > bytes_max {
            break;
        }
        taken.push(block);
    }
    taken
}
