//! The next numbers of every flow, as the writer knows them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::api::{Append, Sequence, StoredBlock};
use crate::layout::chain_after;

/// The next numbers of every flow.
#[derive(Debug, Default, Clone)]
pub(crate) struct Numbering {
    epoch: u64,
    flows: HashMap<Arc<str>, (Sequence, u64)>,
}

impl Numbering {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            flows: HashMap::new(),
        }
    }

    /// Where a flow stands.
    pub(crate) fn stand(&mut self, flow: &Arc<str>, next: Sequence, chain: u64) {
        self.flows.insert(Arc::clone(flow), (next, chain));
    }

    /// Numbers and chains an append's blocks.
    pub(crate) fn number(&mut self, append: &Append) -> Vec<StoredBlock> {
        let (next, chain) = self
            .flows
            .entry(Arc::clone(&append.flow))
            .or_insert((Sequence(1), 0));
        let mut stored = Vec::with_capacity(append.blocks.len());
        for block in &append.blocks {
            let first_sequence = *next;
            let after = chain_after(*chain, self.epoch, first_sequence, block);
            stored.push(StoredBlock {
                epoch: self.epoch,
                first_sequence,
                chain: *chain,
                chain_after: after,
                block: block.clone(),
            });
            *next = Sequence(first_sequence.0 + u64::from(block.count));
            *chain = after;
        }
        stored
    }

    /// The flow's newest sequence.
    pub(crate) fn through(&self, flow: &str) -> Sequence {
        self.flows
            .get(flow)
            .map_or(Sequence(0), |(next, _)| Sequence(next.0 - 1))
    }
}
