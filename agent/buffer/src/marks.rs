//! Identities that sources want remembered.
//!
//! A flow remembers up to two million of them, so each takes little: its hash, 16 bytes, in order of age, and an index to find it by,
//! 5 bytes a slot. When it came and whether its blocks are acked stands once for all that came together.

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
#[derive(Debug, Default)]
pub(crate) struct Marks(HashMap<Arc<str>, OfFlow>);

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
        let marks = self.0.entry(Arc::clone(flow)).or_default();
        marks.settle(held);
        if !marks.push(hash, through, at_s) {
            return;
        }
        let too_many = marks.index.len() > MARKS_MAX;
        while marks.has_aged(at_s) || marks.index.len() > MARKS_MAX {
            marks.pop();
        }
        if too_many {
            tracing::warn!(
                flow = &**flow,
                limit = MARKS_MAX,
                "a mark was forgotten before its time: a repeat of it would be sent again"
            );
        }
    }

    /// The number of the flow's newest block when the mark was appended; 0 where all of that is known to be acked.
    pub(crate) fn get(&self, flow: &str, hash: &MarkHash) -> Option<u64> {
        self.0.get(flow)?.through(hash)
    }

    /// Forgets the marks that were appended with blocks of these numbers and are not known to be acked.
    pub(crate) fn forget(&mut self, numbers: std::ops::Range<u64>) {
        for marks in self.0.values_mut() {
            if marks
                .waiting
                .iter()
                .any(|run| numbers.contains(&run.through))
            {
                marks.keep(|through| !numbers.contains(&through));
            }
        }
    }

    /// Forgets a flow's first marks that were appended with a block of this number or one after it: their file may have
    /// begun before.
    pub(crate) fn forget_first(&mut self, flow: &str, number: u64) {
        let Some(marks) = self.0.get_mut(flow) else {
            return;
        };
        let behind = marks.waiting.iter().map(|run| run.through);
        if let Some(first) = behind.filter(|through| *through >= number).min() {
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
    /// The number of the first.
    first: u64,
    /// The last 32 bits of each one's number.
    index: HashTable<u32>,
    /// The older ones, whose blocks are acked: `through` is 0.
    acked: VecDeque<Run>,
    waiting: VecDeque<Run>,
}

impl OfFlow {
    fn next(&self) -> u64 {
        self.first + self.hashes.len as u64
    }

    /// Whether it was not known so.
    fn push(&mut self, hash: MarkHash, through: u64, at_s: u64) -> bool {
        let number = self.next();
        let known = self.slot(&hash);
        if known.is_some_and(|known| self.run(known).through == through) {
            return false;
        }
        let (first, hashes) = (self.first, &self.hashes);
        let is_it = |low: &u32| hashes.get(first, *low) == Some(&hash);
        let spread_of = |low: &u32| hashes.get(first, *low).map_or(0, spread);
        match self.index.entry(spread(&hash), is_it, spread_of) {
            Entry::Occupied(mut known) => *known.get_mut() = number as u32,
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
        if self.hashes.len > 2 * self.index.len() + REPEATED_MAX {
            self.keep(|_| true);
        }
        true
    }

    /// The number of a mark that is known.
    fn slot(&self, hash: &MarkHash) -> Option<u64> {
        let is_it = |low: &u32| self.hashes.get(self.first, *low) == Some(hash);
        let low = *self.index.find(spread(hash), is_it)?;
        Some(self.first + u64::from(low.wrapping_sub(self.first as u32)))
    }

    fn through(&self, hash: &MarkHash) -> Option<u64> {
        Some(self.run(self.slot(hash)?).through)
    }

    /// The run of a number that is in one.
    fn run(&self, number: u64) -> Run {
        let is_waiting = self.waiting.front().is_some_and(|run| run.from <= number);
        let runs = if is_waiting {
            &self.waiting
        } else {
            &self.acked
        };
        runs[runs.partition_point(|run| run.from <= number) - 1]
    }

    /// What was appended with blocks before `held` is acked.
    fn settle(&mut self, held: Option<u64>) {
        let is_acked = |run: &mut Run| held.is_none_or(|held| run.through < held);
        while let Some(run) = self.waiting.pop_front_if(is_acked) {
            if self
                .acked
                .back()
                .is_none_or(|last| last.minute != run.minute)
            {
                self.acked.push_back(Run { through: 0, ..run });
            }
        }
    }

    /// Whether the first one may go.
    fn has_aged(&self, now_s: u64) -> bool {
        let ends = |run: &Run| u64::from(run.minute) * 60 + MARK_SECONDS;
        self.acked.front().is_some_and(|run| ends(run) < now_s)
    }

    /// Forgets the first one.
    fn pop(&mut self) {
        let first = self.first;
        let Some(hash) = self.hashes.get(first, first as u32).copied() else {
            return;
        };
        // One that came again has another number by now.
        let is_it = |low: &u32| *low == first as u32;
        if let Ok(found) = self.index.find_entry(spread(&hash), is_it) {
            found.remove();
        }
        self.hashes.pop();
        self.first += 1;
        let (first, next) = (self.first, self.next());
        let waiting = self.waiting.front().map_or(next, |run| run.from);
        ended(&mut self.acked, first, waiting);
        ended(&mut self.waiting, first, next);
    }

    /// Keeps those whose blocks' number is wanted, in their order; who came again stands where he came last.
    fn keep(&mut self, is_kept: impl Fn(u64) -> bool) {
        let old = std::mem::take(self);
        self.first = old.first;
        for number in old.first..old.next() {
            let run = old.run(number);
            let hash = old.hashes.get(old.first, number as u32);
            let Some(hash) = hash.filter(|hash| old.slot(hash) == Some(number)) else {
                continue;
            };
            if is_kept(run.through) {
                self.push(*hash, run.through, u64::from(run.minute) * 60);
            }
        }
        let is_acked = |run: &mut Run| run.through == 0;
        while let Some(run) = self.waiting.pop_front_if(is_acked) {
            self.acked.push_back(run);
        }
    }
}

/// Leaves out the runs that ended before `first`; the last one ends at `end`.
fn ended(runs: &mut VecDeque<Run>, first: u64, end: u64) {
    while !runs.is_empty() && runs.get(1).map_or(end, |next| next.from) <= first {
        runs.pop_front();
    }
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
    pieces: VecDeque<Vec<MarkHash>>,
    /// Gone from the first piece.
    popped: usize,
    len: usize,
}

const PIECE: usize = 4_096;

impl Hashes {
    fn push(&mut self, hash: MarkHash) {
        match self.pieces.back_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => piece.push(hash),
            None => self.pieces.push_back(vec![hash]),
        }
        self.len += 1;
    }

    /// That of a number, of which the last 32 bits are given, where the first one's is `first`.
    fn get(&self, first: u64, low: u32) -> Option<&MarkHash> {
        let at = low.wrapping_sub(first as u32) as usize;
        let at = (at < self.len).then_some(at + self.popped)?;
        self.pieces.get(at / PIECE)?.get(at % PIECE)
    }

    fn pop(&mut self) {
        self.len -= 1;
        self.popped += 1;
        if self.popped == PIECE {
            self.pieces.pop_front();
            self.popped = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{Rng as _, RngExt as _, SeedableRng as _};

    use super::*;

    #[test]
    fn marks_are_kept_apart_by_flow_and_forgotten_with_age() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut marks = Marks::default();
        assert_ne!(hash("a", b"1"), hash("b", b"1"));
        assert_ne!(hash("ab", b"c"), hash("a", b"bc"));
        marks.add(&a, hash("a", b"1"), 5, 1_000, Some(5));
        marks.add(&b, hash("b", b"1"), 9, 1_000, Some(9));
        assert_eq!(marks.get(&a, &hash("a", b"1")), Some(5));
        let later = 1_100 + MARK_SECONDS;
        marks.add(&a, hash("a", b"0"), 5, later, Some(5));
        assert_eq!(marks.get(&a, &hash("a", b"1")), Some(5), "it is not acked");
        marks.add(&a, hash("a", b"2"), 6, later, Some(6));
        assert_eq!(marks.get(&a, &hash("a", b"1")), None);
        assert_eq!(marks.get(&b, &hash("b", b"1")), Some(9));
        marks.forget(5..7);
        assert_eq!(marks.get(&a, &hash("a", b"2")), None);
        assert_eq!(marks.get(&a, &hash("a", b"0")), Some(0), "it is acked");
        assert_eq!(marks.get(&b, &hash("b", b"1")), Some(9));
    }

    #[test]
    fn the_first_marks_behind_a_number_are_forgotten() {
        let a: Arc<str> = "a".into();
        let mut marks = Marks::default();
        for (mark, through) in [(b"1", 5), (b"2", 8), (b"3", 8), (b"4", 9)] {
            marks.add(&a, hash("a", mark), through, 1_000, Some(1));
        }
        marks.forget_first("a", 6);
        let left = [b"1", b"2", b"3", b"4"].map(|mark| marks.get(&a, &hash("a", mark)));
        assert_eq!(left, [Some(5), None, None, Some(9)]);
        marks.forget_first("a", 10);
        marks.forget_first("b", 1);
        assert_eq!(marks.get(&a, &hash("a", b"4")), Some(9));
    }

    #[test]
    fn random_lives_of_marks_are_as_a_map_says() {
        for seed in 0..40 {
            let mut dice = StdRng::seed_from_u64(seed);
            let flow: Arc<str> = "f".into();
            let (mut marks, mut model) = (Marks::default(), BTreeMap::<u32, u64>::new());
            let (mut held, mut newest) = (1, 1);
            for step in 0..6_000_u64 {
                newest += u64::from(dice.random_range(0..3_u32) == 0);
                held = held.max(dice.random_range(held..=newest));
                let name = dice.random_range(0..3_000_u32);
                let key = hash("f", &name.to_be_bytes());
                match dice.next_u32() % 1_000 {
                    0 => {
                        let range = held..newest.max(held + 1) - (newest - held) / 2;
                        marks.add(&flow, key, 0, step, Some(held));
                        model.insert(name, 0);
                        marks.forget(range.clone());
                        model.retain(|_, through| !range.contains(through));
                    }
                    1 => {
                        marks.add(&flow, key, 0, step, Some(held));
                        model.insert(name, 0);
                        marks.forget_first("f", held);
                        let first = model.values().copied().filter(|one| *one >= held).min();
                        model.retain(|_, through| Some(*through) != first);
                    }
                    2..100 => {
                        marks.add(&flow, key, 0, step, None);
                        model.insert(name, 0);
                        // Nothing is held: all is acked.
                        held = newest + 1;
                        newest += 1;
                    }
                    100..500 => {
                        marks.add(&flow, key, newest, step, Some(held));
                        model.insert(name, newest);
                    }
                    _ => {}
                }
                let is_acked = |through: u64| through < held;
                let seen = marks.get("f", &key).map(is_acked);
                let expected = model.get(&name).copied().map(is_acked);
                assert_eq!(seen, expected, "seed {seed}, step {step}, mark {name}");
            }
            for (name, through) in &model {
                let seen = marks.get("f", &hash("f", &name.to_be_bytes()));
                assert!(seen == Some(*through) || (seen == Some(0) && *through < held));
            }
            assert_eq!(marks.0["f"].index.len(), model.len());
        }
    }

    #[test]
    fn what_ages_leaves_nothing_behind() {
        let flow: Arc<str> = "f".into();
        let mut marks = Marks::default();
        let add = |marks: &mut Marks, number: u64, at_s: u64| {
            let key = hash("f", &number.to_be_bytes());
            marks.add(&flow, key, number + 1, at_s, Some(number + 1));
        };
        for number in 0..50_000 {
            add(&mut marks, number, number);
        }
        // Every mark comes again, and again.
        for again in 1..4 {
            for number in 0..50_000_u64 {
                let key = hash("f", &number.to_be_bytes());
                marks.add(&flow, key, 50_000 * again + number, 50_000, None);
            }
        }
        let of_flow = &marks.0["f"];
        assert_eq!(of_flow.index.len(), 50_000);
        assert!(of_flow.hashes.len <= 2 * 50_000 + REPEATED_MAX);
        let late = 50_000 + 120 + MARK_SECONDS;
        add(&mut marks, 1_000_000, late);
        let of_flow = &marks.0["f"];
        assert_eq!((of_flow.index.len(), of_flow.hashes.len), (1, 1));
        assert!(of_flow.hashes.pieces.len() <= 2 && of_flow.acked.len() <= 1);
    }

    #[test]
    fn a_week_of_calls_takes_a_few_megabytes() {
        let flow: Arc<str> = "f".into();
        let mut marks = Marks::default();
        let count: u64 = 500_000;
        for number in 0..count {
            let key = hash("f", &number.to_be_bytes());
            marks.add(&flow, key, number + 1, number, Some(number + 1));
        }
        let of_flow = &marks.0["f"];
        let bytes = of_flow.hashes.pieces.len() * PIECE * size_of::<MarkHash>()
            + of_flow.index.allocation_size()
            + (of_flow.acked.capacity() + of_flow.waiting.capacity()) * size_of::<Run>();
        assert!(bytes < 15 << 20, "{bytes}");
        // One a second; a minute's have one time.
        assert!(of_flow.acked.len() as u64 <= count / 60 + 2);
    }
}
