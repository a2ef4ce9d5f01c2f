//! What is held, without the bytes: numbers, chains, positions and marks. Pure.
//!
//! The writer numbers an append with a [`Numbering`] of its own; the [`Ledger`] that readers see gets
//! it only once it is on stable storage.

mod numbering;
mod renewing;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::api::{Append, Depth, Loss, MarkState, Sequence, StoredBlock};
use crate::layout::Standing;
use crate::marks::{self, MarkHash, Marks};

pub(crate) use numbering::Numbering;

/// Blocks of a flow that keep their position in memory, however many are held.
const POSITIONS_HELD: usize = 1_024;
/// Beyond them, one in so many does: positions of small files are longer than all else that is kept of their blocks.
const POSITION_EVERY: u32 = 64;

/// A block that is held.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) first: Sequence,
    pub(crate) count: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) chain: u64,
    pub(crate) chain_after: u64,
    pub(crate) first_captured_us: i64,
    /// Empty where only those of other blocks are kept: the flow stands as it did before it.
    pub(crate) position: Bytes,
}

impl Entry {
    pub(crate) fn new(number: u64, stored: &StoredBlock, payload_bytes: u32) -> Self {
        Self {
            number,
            first: stored.first_sequence,
            count: stored.block.count,
            payload_bytes,
            chain: stored.chain,
            chain_after: stored.chain_after,
            first_captured_us: stored.block.first_captured_us,
            position: stored.block.position.clone(),
        }
    }

    fn last(&self) -> Sequence {
        Sequence(self.first.0 + u64::from(self.count) - 1)
    }

    /// The block as it is sent: under the numbers that it has now.
    pub(crate) fn place(&self, epoch: u64, mut stored: StoredBlock) -> StoredBlock {
        stored.epoch = epoch;
        stored.first_sequence = self.first;
        stored.chain = self.chain;
        stored.chain_after = self.chain_after;
        stored
    }
}

#[derive(Debug, Default)]
struct Flow {
    next: u64,
    chain: u64,
    acked: u64,
    /// The number of the newest block.
    newest: u64,
    position: Option<Bytes>,
    held: VecDeque<Entry>,
    held_bytes: u64,
    /// Blocks since the newest one, the last left out, whose position is kept.
    thinned: u32,
}

impl Flow {
    /// Before a block is held: of a long row, not each keeps its position. An ack within it then tells the source of one
    /// before; the newest block's is always there.
    fn thin(&mut self) {
        let is_long = self.held.len() >= POSITIONS_HELD;
        let Some(before) = self.held.back_mut().filter(|_| is_long) else {
            return;
        };
        self.thinned += 1;
        if before.position.is_empty() {
            return;
        }
        // Many have none by themselves: what counts is how far it is from the one before.
        if self.thinned < POSITION_EVERY {
            before.position = Bytes::new();
        } else {
            self.thinned = 0;
        }
    }
}

/// Marks behind a part that can't be read, the first ones of each flow: their files may have begun in it.
#[derive(Debug, Default)]
struct Torn {
    passed: HashSet<Arc<str>>,
    marks: Vec<(Arc<str>, MarkHash, u64, u64)>,
}

impl Torn {
    /// Whether these are a flow's first.
    fn takes(&mut self, flow: &Arc<str>, marks: &[MarkHash], newest: u64, at_s: u64) -> bool {
        let first = !marks.is_empty() && self.passed.insert(Arc::clone(flow));
        if first {
            let all = marks
                .iter()
                .map(|mark| (Arc::clone(flow), *mark, newest, at_s));
            self.marks.extend(all);
        }
        first
    }
}

/// All flows.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) epoch: u64,
    flows: HashMap<Arc<str>, Flow>,
    marks: Marks,
    torn: Option<Torn>,
    /// What is missing since the newest renewal; only while a buffer is opened or mended.
    pub(crate) losses: Vec<Loss>,
}

impl Ledger {
    /// Nothing, in this epoch.
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            ..Self::default()
        }
    }

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

    /// A generation says where a flow stood at its beginning. What is before is acked if this is the `oldest` one,
    /// and else held; what is neither is lost.
    pub(crate) fn stand(&mut self, standing: &Standing, oldest: bool) -> Result<(), String> {
        let epoch = self.epoch;
        let flow = self.flow(&standing.flow);
        let (next, found) = (flow.next, standing.next.0);
        if found < next || (found == next && flow.chain != standing.chain && !oldest) {
            return Err(format!(
                "flow {} continues at {found}, {next} was expected",
                standing.flow
            ));
        }
        (flow.next, flow.chain) = (found, standing.chain);
        if !standing.position.is_empty() {
            flow.position = Some(standing.position.clone());
        }
        if oldest {
            flow.acked = found - 1;
        } else if found > next {
            self.lost(&standing.flow, epoch, next, Some(found - 1));
        }
        Ok(())
    }

    /// Everything of a flow before this place is acked.
    pub(crate) fn settle(&mut self, standing: &Standing) {
        let flow = self.flow(&standing.flow);
        while let Some(entry) = flow.held.pop_front_if(|entry| entry.first < standing.next) {
            flow.held_bytes -= u64::from(entry.payload_bytes);
        }
        (flow.next, flow.chain) = (standing.next.0, standing.chain);
        flow.acked = standing.next.0 - 1;
        if !standing.position.is_empty() {
            flow.position = Some(standing.position.clone());
        }
    }

    /// Blocks of another epoch follow, and what began it can't be read: all that is held stays held.
    pub(crate) fn enter(&mut self, epoch: u64) {
        self.epoch = epoch;
        for flow in self.flows.values_mut() {
            (flow.next, flow.chain) = (1, 0);
        }
    }

    /// Whether no block of it was met yet, and nothing said where it stands.
    pub(crate) fn knows_nothing_of(&self, flow: &str) -> bool {
        let flow = self.flows.get(flow);
        flow.is_none_or(|flow| flow.next == 1 && flow.held.is_empty())
    }

    /// A flow begins with this block: what is before is acked.
    pub(crate) fn begin(&mut self, flow: &str, entry: &Entry) {
        let flow = self.flow(flow);
        (flow.next, flow.chain) = (entry.first.0, entry.chain);
        flow.acked = entry.first.0 - 1;
    }

    /// A block is found on disk: the flow's next, or what is between is lost.
    pub(crate) fn find(&mut self, flow: &str, entry: Entry) -> Result<(), String> {
        let epoch = self.epoch;
        let known = self.flow(flow);
        let (expected, found) = (known.next, entry.first.0);
        if found < expected || (found == expected && entry.chain != known.chain) {
            return Err(format!(
                "flow {flow} continues at {found}, {expected} was expected"
            ));
        }
        if found > expected {
            (known.next, known.chain) = (found, entry.chain);
            self.lost(flow, epoch, expected, Some(found - 1));
        }
        self.push(flow, entry)
    }

    /// A block is on stable storage.
    pub(crate) fn push(&mut self, flow: &str, entry: Entry) -> Result<(), String> {
        let held = self.flow(flow);
        if entry.first.0 != held.next || entry.chain != held.chain || entry.count == 0 {
            return Err(format!(
                "flow {flow} continues at {}, {} was expected",
                entry.first, held.next
            ));
        }
        held.next += u64::from(entry.count);
        held.chain = entry.chain_after;
        held.newest = entry.number;
        held.held_bytes += u64::from(entry.payload_bytes);
        if !entry.position.is_empty() {
            held.position = Some(entry.position.clone());
        }
        held.thin();
        held.held.push_back(entry);
        Ok(())
    }

    /// The numbers of all blocks that are held.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.held().map(|(number, _)| number)
    }

    /// All blocks that are held: number and payload bytes.
    pub(crate) fn held(&self) -> impl Iterator<Item = (u64, u32)> {
        let of = |entry: &Entry| (entry.number, entry.payload_bytes);
        self.flows
            .values()
            .flat_map(move |flow| flow.held.iter().map(of))
    }

    /// The number of a flow's oldest block that is held.
    pub(crate) fn oldest_held(&self, flow: &str) -> Option<u64> {
        let flow = self.flows.get(flow)?;
        flow.held.front().map(|entry| entry.number)
    }

    /// Payload bytes that a flow holds.
    pub(crate) fn held_bytes(&self, flow: &str) -> u64 {
        self.flows.get(flow).map_or(0, |flow| flow.held_bytes)
    }

    /// Whether a flow's block at this number is held.
    pub(crate) fn holds(&self, flow: &str, number: u64) -> bool {
        let flow = self.flows.get(flow);
        flow.is_some_and(|flow| {
            flow.held
                .binary_search_by_key(&number, |entry| entry.number)
                .is_ok()
        })
    }

    /// A source's position and marks are on stable storage, after the flow's newest block.
    pub(crate) fn note(&mut self, flow: &str, position: &Bytes, marks: &[MarkHash], at_s: u64) {
        let name = self.name(flow);
        let known = self.flow(flow);
        if !position.is_empty() {
            known.position = Some(position.clone());
        }
        let newest = known.newest;
        if let Some(torn) = &mut self.torn
            && torn.takes(&name, marks, newest, at_s)
        {
            return;
        }
        let held = self.oldest_held(flow);
        for mark in marks {
            self.marks.add(&name, *mark, newest, at_s, held);
        }
    }

    /// Marks of a generation that is gone: everything up to them is acked.
    pub(crate) fn remember(&mut self, flow: &str, marks: &[MarkHash], at_s: u64) {
        let name = self.name(flow);
        for mark in marks {
            self.marks.add(&name, *mark, 0, at_s, None);
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
            let is_kept = !entry.position.is_empty();
            let newest = position.take_if(|_| !is_kept);
            position = newest.or(Some(entry.position));
        }
        (numbers, position)
    }

    /// A planted bug: every flow's newest block is not known to have been numbered.
    pub(crate) fn forget_newest(&mut self) {
        for flow in self.flows.values_mut() {
            if let Some(newest) = flow.held.pop_back() {
                (flow.next, flow.chain) = (newest.first.0, newest.chain);
                flow.held_bytes -= u64::from(newest.payload_bytes);
            }
        }
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
        let oldest = self.flows.get(flow).and_then(|flow| flow.held.front());
        match self.marks.get(flow, &marks::hash(flow, mark)) {
            None => MarkState::New,
            Some(through) if oldest.is_none_or(|entry| entry.number > through) => MarkState::Done,
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
            oldest_chain: flow.held.front().map_or(flow.chain, |entry| entry.chain),
            bytes: flow.held_bytes,
            oldest_captured_us: flow.held.front().map(|entry| entry.first_captured_us),
        }
    }

    pub(crate) fn flow_count(&self) -> usize {
        self.flows.len()
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
    pub(crate) fn numbering(&self) -> Numbering {
        let mut numbering = Numbering::new(self.epoch);
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
