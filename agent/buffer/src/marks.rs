//! Identities that sources want remembered.
//!
//! A flow remembers up to two million of them, so each takes little: its hash, 16 bytes, in order of age, and an index to find it by,
//! 5 bytes a slot. When it came and whether its blocks are acked stands once for all that came together.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use sha2::{Digest, Sha256};

use crate::api::{MARK_DAYS, MARKS_MAX};

/// 16 bytes of SHA-256 over the flow's name, its length before it, and the mark.
pub(crate) type MarkHash = [u8; 16];

/// How long a mark is remembered, in seconds.
pub(crate) const MARK_SECONDS: u64 = MARK_DAYS * 24 * 3600;

/// How long no more is said of marks that are forgotten.
const QUIET_S: u64 = 60;
/// Beyond as many as there are marks, so many numbers may be of marks that came again, before all are numbered anew.
const REPEATED_MAX: usize = 4_096;

/// The hash under which a flow's mark is remembered.
pub(crate) fn hash(flow: &str, mark: &[u8]) -> MarkHash {
    let mut sha = Sha256::new();
    sha.update((flow.len() as u64).to_le_bytes());
    sha.update(flow);
    sha.update(mark);
    let mut hash = [0; 16];
    hash.copy_from_slice(&sha.finalize()[..16]);
    hash
}

/// The marks of all flows.
#[derive(Debug)]
pub(crate) struct Marks {
    flows: HashMap<Arc<str>, OfFlow>,
    /// Of each flow.
    max: usize,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            flows: HashMap::new(),
            max: MARKS_MAX,
        }
    }
}

impl Marks {
    /// Remembers a mark that was appended at `at_s`, when `through` was the number of the flow's newest block; 0: all of that was acked.
    /// `held`: of its oldest block that is held. What is not acked does not age: its file may be read again.
    pub(crate) fn add(
        &mut self,
        flow: &Arc<str>,
        hash: MarkHash,
        through: u64,
        at_s: u64,
        held: Option<u64>,
    ) {
        let marks = self.flows.entry(Arc::clone(flow)).or_default();
        marks.settle(held);
        if !marks.push(hash, through, at_s) {
            return;
        }
        while marks.has_aged(at_s) {
            marks.pop();
        }
        marks.forgotten += marks.index.len().saturating_sub(self.max) as u64;
        while marks.index.len() > self.max {
            marks.pop();
        }
        if marks.forgotten > 0 && marks.told_s.is_none_or(|told_s| told_s + QUIET_S <= at_s) {
            marks.told_s = Some(at_s);
            let forgotten = std::mem::take(&mut marks.forgotten);
            tracing::warn!(
                flow = &**flow,
                limit = self.max,
                forgotten,
                "marks were forgotten before their time: a repeat of what they stand for would be sent again"
            );
        }
    }

    /// The number of the flow's newest block when the mark was appended; 0 where all of that is known to be acked.
    pub(crate) fn get(&self, flow: &str, hash: &MarkHash) -> Option<u64> {
        self.flows.get(flow)?.through(hash)
    }

    /// What was appended with a flow's blocks before `held` is acked, and known from now on whatever becomes of them.
    pub(crate) fn settle(&mut self, flow: &str, held: Option<u64>) {
        if let Some(marks) = self.flows.get_mut(flow) {
            marks.settle(held);
        }
    }

    /// Forgets the marks that were appended with blocks of these numbers and are not known to be acked.
    pub(crate) fn forget(&mut self, numbers: std::ops::Range<u64>) {
        for marks in self.flows.values_mut() {
            let mut waiting = marks.waiting.iter();
            if waiting.any(|run| numbers.contains(&run.through)) {
                marks.keep(|through| !numbers.contains(&through));
            }
        }
    }

    /// Forgets a flow's first marks that were appended with a block of this number or one after it: their file may have
    /// begun before.
    pub(crate) fn forget_first(&mut self, flow: &str, number: u64) {
        let Some(marks) = self.flows.get_mut(flow) else {
            return;
        };
        if let Some(first) = marks.first_behind(number) {
            marks.keep(|through| through != first);
        }
    }
}

/// Marks that came within one minute with one newest block, the first of them by its number.
#[derive(Debug, Clone, Copy)]
struct Run {
    from: u64,
    /// When it had ended, since 1970.
    minute: u32,
    through: u64,
}

/// One flow's marks are numbered as they come. One that comes again gets another number.
#[derive(Debug, Default)]
struct OfFlow {
    hashes: Hashes,
    /// The last 32 bits of each one's number.
    index: HashTable<u32>,
    /// The older ones, whose blocks are acked: `through` is 0.
    acked: VecDeque<Run>,
    waiting: VecDeque<Run>,
    /// Before their time, and nobody was told.
    forgotten: u64,
    told_s: Option<u64>,
}

impl OfFlow {
    /// Whether it was not known so.
    fn push(&mut self, hash: MarkHash, through: u64, at_s: u64) -> bool {
        let (hashes, number) = (&self.hashes, self.hashes.next);
        let is_it = |low: &u32| hashes.get(hashes.number(*low)) == Some(&hash);
        let spread_of = |low: &u32| hashes.get(hashes.number(*low)).map_or(0, spread);
        match self.index.entry(spread(&hash), is_it, spread_of) {
            Entry::Occupied(mut known) => {
                let known_at = hashes.number(*known.get());
                if run(&self.acked, &self.waiting, known_at).through == through {
                    return false;
                }
                *known.get_mut() = number as u32;
            }
            Entry::Vacant(free) => drop(free.insert(number as u32)),
        }
        self.hashes.push(hash);
        let run = Run {
            from: number,
            minute: at_s.div_ceil(60) as u32,
            through,
        };
        let last = self.waiting.back();
        if last.is_none_or(|last| (last.minute, last.through) != (run.minute, run.through)) {
            self.waiting.push_back(run);
        }
        if self.hashes.len() > 2 * self.index.len() + REPEATED_MAX {
            self.keep(|_| true);
        }
        true
    }

    fn through(&self, hash: &MarkHash) -> Option<u64> {
        let is_it = |low: &u32| self.hashes.get(self.hashes.number(*low)) == Some(hash);
        let low = self.index.find(spread(hash), is_it)?;
        let number = self.hashes.number(*low);
        Some(run(&self.acked, &self.waiting, number).through)
    }

    /// What was appended with blocks before `held` is acked.
    fn settle(&mut self, held: Option<u64>) {
        let is_acked = |run: &mut Run| held.is_none_or(|held| run.through < held);
        while let Some(run) = self.waiting.pop_front_if(is_acked) {
            let last = self.acked.back();
            if last.is_none_or(|last| last.minute != run.minute) {
                self.acked.push_back(Run { through: 0, ..run });
            }
        }
        // Of an outage: there is one for each block that is held.
        if self.waiting.is_empty() && self.waiting.capacity() > PIECE {
            self.waiting = VecDeque::new();
        }
    }

    /// Whether the first one may go.
    fn has_aged(&self, now_s: u64) -> bool {
        let ends = |run: &Run| u64::from(run.minute) * 60 + MARK_SECONDS;
        self.acked.front().is_some_and(|run| ends(run) < now_s)
    }

    /// Forgets the first one, unless it came again and has another number by now.
    fn pop(&mut self) {
        let Some((number, hash)) = self.hashes.pop() else {
            return;
        };
        if let Ok(found) = self.index.find_entry(spread(&hash), is_number(number)) {
            found.remove();
        }
        let (first, next) = (self.hashes.first, self.hashes.next);
        let waiting = self.waiting.front().map_or(next, |run| run.from);
        leave_out(&mut self.acked, first, waiting);
        leave_out(&mut self.waiting, first, next);
    }

    /// The smallest of the newest blocks' numbers that marks which are not acked have, from this one on.
    fn first_behind(&self, number: u64) -> Option<u64> {
        let is_there = |number: u64| {
            let hash = self.hashes.get(number);
            // One that came again stands here no more.
            hash.is_some_and(|hash| self.index.find(spread(hash), is_number(number)).is_some())
        };
        let ends = self.waiting.iter().skip(1).map(|run| run.from);
        let runs = self.waiting.iter().zip(ends.chain([self.hashes.next]));
        let behind =
            runs.filter(|(run, end)| run.through >= number && (run.from..*end).any(is_there));
        behind.map(|(run, _)| run.through).min()
    }

    /// Keeps those whose blocks' number is wanted, in their order; who came again stands where he came last. They are numbered anew.
    fn keep(&mut self, is_kept: impl Fn(u64) -> bool) {
        let mut old = std::mem::take(self);
        (self.forgotten, self.told_s) = (old.forgotten, old.told_s);
        while let Some((number, hash)) = old.hashes.pop() {
            let run = run(&old.acked, &old.waiting, number);
            let is_last = old.index.find(spread(&hash), is_number(number));
            if is_last.is_some() && is_kept(run.through) {
                self.push(hash, run.through, u64::from(run.minute) * 60);
            }
        }
        // Those who were known to be acked have none before them that are not.
        self.settle(Some(1));
    }
}

/// The run of a number that is in one.
fn run(acked: &VecDeque<Run>, waiting: &VecDeque<Run>, number: u64) -> Run {
    let is_waiting = waiting.front().is_some_and(|run| run.from <= number);
    let runs = if is_waiting { waiting } else { acked };
    runs[runs.partition_point(|run| run.from <= number) - 1]
}

/// Leaves out the runs that ended before `first`; the last one ends at `end`.
fn leave_out(runs: &mut VecDeque<Run>, first: u64, end: u64) {
    while !runs.is_empty() && runs.get(1).map_or(end, |next| next.from) <= first {
        runs.pop_front();
    }
}

/// Numbers that stand at a time are fewer than 2³², so their last bits tell them apart.
fn is_number(number: u64) -> impl Fn(&u32) -> bool {
    move |low| *low == number as u32
}

/// Of a hash, as evenly spread as any other bits of it.
fn spread(hash: &MarkHash) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(bytes)
}

/// Hashes in a row, in pieces: a row of two million that grows in one is copied, and twice there meanwhile.
#[derive(Debug, Default)]
struct Hashes {
    /// Each begins with a number that is a multiple of [`PIECE`], though the first ones of it may be gone.
    pieces: VecDeque<Vec<MarkHash>>,
    /// The number of the first.
    first: u64,
    next: u64,
}

const PIECE: usize = 4_096;

impl Hashes {
    fn len(&self) -> usize {
        (self.next - self.first) as usize
    }

    fn push(&mut self, hash: MarkHash) {
        if self.next.is_multiple_of(PIECE as u64) {
            self.pieces.push_back(Vec::new());
        }
        if let Some(piece) = self.pieces.back_mut() {
            piece.push(hash);
            self.next += 1;
        }
    }

    /// The number whose last 32 bits these are.
    fn number(&self, low: u32) -> u64 {
        self.first + u64::from(low.wrapping_sub(self.first as u32))
    }

    fn get(&self, number: u64) -> Option<&MarkHash> {
        let piece = (number / PIECE as u64).checked_sub(self.first / PIECE as u64)?;
        let piece = self.pieces.get(piece as usize)?;
        piece.get(number as usize % PIECE)
    }

    fn pop(&mut self) -> Option<(u64, MarkHash)> {
        let number = self.first;
        let hash = *self.get(number)?;
        self.first += 1;
        if self.first.is_multiple_of(PIECE as u64) {
            self.pieces.pop_front();
        }
        Some((number, hash))
    }
}
