//! What is held, without the bytes: numbers, chains, positions and marks. Pure.
//!
//! The writer numbers an append with a [`Numbering`] of its own; the [`Ledger`] that readers see gets
//! it only once it is on stable storage.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::api::{Append, Depth, MarkState, Sequence, StoredBlock};
use crate::layout::{Standing, chain_after};
use crate::marks::{self, MarkHash, Marks};

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

/// A block that is held.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) first: Sequence,
    pub(crate) count: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) first_captured_us: i64,
    pub(crate) position: Bytes,
}

impl Entry {
    pub(crate) fn new(number: u64, stored: &StoredBlock, payload_bytes: u32) -> Self {
        Self {
            number,
            first: stored.first_sequence,
            count: stored.block.count,
            payload_bytes,
            first_captured_us: stored.block.first_captured_us,
            position: stored.block.position.clone(),
        }
    }

    fn last(&self) -> Sequence {
        Sequence(self.first.0 + u64::from(self.count) - 1)
    }
}

#[derive(Debug, Default)]
struct Flow {
    next: u64,
    chain: u64,
    acked: u64,
    position: Option<Bytes>,
    held: VecDeque<Entry>,
    held_bytes: u64,
}

/// All flows.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    flows: HashMap<Arc<str>, Flow>,
    marks: Marks,
}

impl Ledger {
    /// The flow's one name.
    pub(crate) fn name(&mut self, flow: &str) -> Arc<str> {
        if let Some((name, _)) = self.flows.get_key_value(flow) {
            return Arc::clone(name);
        }
        let name: Arc<str> = flow.into();
        self.flows.insert(
            Arc::clone(&name),
            Flow {
                next: 1,
                ..Flow::default()
            },
        );
        name
    }

    fn flow(&mut self, name: &str) -> &mut Flow {
        let name = self.name(name);
        self.flows.get_mut(&name).expect("it was just put there")
    }

    /// A generation says where a flow stood at its beginning. What is before is acked, or held in
    /// the generation before; those two must agree.
    pub(crate) fn stand(&mut self, standing: &Standing) -> Result<(), String> {
        let flow = self.flow(&standing.flow);
        if flow.held.is_empty() && flow.next <= standing.next.0 {
            (flow.next, flow.chain, flow.acked) =
                (standing.next.0, standing.chain, standing.next.0 - 1);
            flow.position = (!standing.position.is_empty()).then(|| standing.position.clone());
            return Ok(());
        }
        if (flow.next, flow.chain) == (standing.next.0, standing.chain) {
            return Ok(());
        }
        Err(format!(
            "flow {} continues at {}, {} was expected",
            standing.flow, standing.next, flow.next
        ))
    }

    /// A block is on stable storage.
    pub(crate) fn push(
        &mut self,
        flow: &str,
        entry: Entry,
        chain: u64,
        chain_after: u64,
    ) -> Result<(), String> {
        let held = self.flow(flow);
        if entry.first.0 != held.next || chain != held.chain || entry.count == 0 {
            return Err(format!(
                "flow {flow} continues at {}, {} was expected",
                entry.first, held.next
            ));
        }
        held.next += u64::from(entry.count);
        held.chain = chain_after;
        held.held_bytes += u64::from(entry.payload_bytes);
        held.position = Some(entry.position.clone());
        held.held.push_back(entry);
        Ok(())
    }

    /// A source's position and marks are on stable storage.
    pub(crate) fn note(
        &mut self,
        flow: &str,
        position: &Bytes,
        marks: &[MarkHash],
        through: Sequence,
        at_s: u64,
    ) {
        let name = self.name(flow);
        self.flow(flow).position = Some(position.clone());
        for mark in marks {
            self.marks.add(&name, *mark, through, at_s);
        }
    }

    /// Only the marks of a note whose generation is gone.
    pub(crate) fn remember(
        &mut self,
        flow: &str,
        marks: &[MarkHash],
        through: Sequence,
        at_s: u64,
    ) {
        let name = self.name(flow);
        for mark in marks {
            self.marks.add(&name, *mark, through, at_s);
        }
    }

    /// Forgets blocks; returns their numbers and the position after them.
    pub(crate) fn ack(&mut self, flow: &str, through: Sequence) -> (Vec<u64>, Option<Bytes>) {
        let Some(flow) = self.flows.get_mut(flow) else {
            return (Vec::new(), None);
        };
        let mut numbers = Vec::new();
        let mut position = None;
        while let Some(entry) = flow.held.pop_front_if(|entry| entry.last() <= through) {
            flow.acked = entry.last().0;
            flow.held_bytes -= u64::from(entry.payload_bytes);
            numbers.push(entry.number);
            position = Some(entry.position);
        }
        (numbers, position)
    }

    /// The entries from the one that holds `from`, up to `bytes_max`, at least one if there is any.
    pub(crate) fn entries(&self, flow: &str, from: Sequence, bytes_max: usize) -> Vec<Entry> {
        let Some(flow) = self.flows.get(flow) else {
            return Vec::new();
        };
        let start = flow.held.partition_point(|entry| entry.last() < from);
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.payload_bytes as usize;
            bytes == entry.payload_bytes as usize || bytes <= bytes_max
        };
        flow.held.range(start..).take_while(fits).cloned().collect()
    }

    pub(crate) fn seen(&self, flow: &str, mark: &[u8]) -> MarkState {
        let acked = self.flows.get(flow).map_or(0, |flow| flow.acked);
        match self.marks.get(&marks::hash(flow, mark)) {
            None => MarkState::New,
            Some(through) if through.0 <= acked => MarkState::Done,
            Some(_) => MarkState::Pending,
        }
    }

    pub(crate) fn position(&self, flow: &str) -> Option<Bytes> {
        self.flows.get(flow)?.position.clone()
    }

    pub(crate) fn depth(&self, flow: &str) -> Depth {
        let Some(flow) = self.flows.get(flow) else {
            return Depth::default();
        };
        Depth {
            appended: Sequence(flow.next - 1),
            acked: Sequence(flow.acked),
            bytes: flow.held_bytes,
            oldest_captured_us: flow.held.front().map(|entry| entry.first_captured_us),
        }
    }

    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.flows.keys().cloned().collect();
        names.sort();
        names
    }

    /// Where every flow stands, for a new generation.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        let standing = |(name, flow): (&Arc<str>, &Flow)| Standing {
            flow: name.to_string(),
            next: Sequence(flow.next),
            chain: flow.chain,
            position: flow.position.clone().unwrap_or_default(),
        };
        self.flows.iter().map(standing).collect()
    }

    /// Numbers as the ledger has them.
    pub(crate) fn numbering(&self, epoch: u64) -> Numbering {
        let mut numbering = Numbering::new(epoch);
        for (name, flow) in &self.flows {
            numbering.stand(name, Sequence(flow.next), flow.chain);
        }
        numbering
    }

    /// Whether everything is acked.
    pub(crate) fn is_drained(&self) -> bool {
        self.flows.values().all(|flow| flow.held.is_empty())
    }
}

/// What is wrong with an append, before anything is written.
pub(crate) fn refuse(append: &Append) -> Option<String> {
    use crate::api::{APPEND_BYTES_MAX, MARK_BYTES_MAX, POSITION_BYTES_MAX};
    let bytes: usize = append.blocks.iter().map(|block| block.payload.len()).sum();
    let long = |position: &Bytes| position.len() > POSITION_BYTES_MAX;
    if bytes > APPEND_BYTES_MAX {
        return Some(format!(
            "it has {bytes} bytes, at most {APPEND_BYTES_MAX} fit"
        ));
    }
    if append.blocks.iter().any(|block| block.count == 0) {
        return Some("a block holds no event".into());
    }
    if long(&append.position) || append.blocks.iter().any(|block| long(&block.position)) {
        return Some(format!(
            "a position is longer than {POSITION_BYTES_MAX} bytes"
        ));
    }
    if append.marks.iter().any(|mark| mark.len() > MARK_BYTES_MAX) {
        return Some(format!("a mark is longer than {MARK_BYTES_MAX} bytes"));
    }
    None
}
