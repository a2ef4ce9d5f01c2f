//! Identities that sources want remembered.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::api::{MARK_DAYS, MARKS_MAX};

/// 16 bytes of SHA-256 over the flow's name, its length before it, and the mark.
pub(crate) type MarkHash = [u8; 16];

/// How long a mark is remembered, in seconds.
pub(crate) const MARK_SECONDS: u64 = MARK_DAYS * 24 * 3600;

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
pub(crate) struct Marks {
    /// The number of the flow's newest block when the mark was appended; 0 where all of that was acked.
    through: HashMap<MarkHash, u64>,
    by_age: HashMap<Arc<str>, VecDeque<(u64, MarkHash)>>,
}

impl Marks {
    /// Remembers a mark that was appended at `at_s`, when `through` was the number of the flow's newest block. `held`: of its oldest
    /// block that is held. What is not acked does not age: its file may be read again.
    pub(crate) fn add(
        &mut self,
        flow: &Arc<str>,
        hash: MarkHash,
        through: u64,
        at_s: u64,
        held: Option<u64>,
    ) {
        if self.through.insert(hash, through).is_some() {
            return;
        }
        let ages = self.by_age.entry(Arc::clone(flow)).or_default();
        ages.push_back((at_s, hash));
        let too_many = ages.len() > MARKS_MAX;
        while let Some((age, oldest)) = ages.front().copied() {
            let is_acked = held.is_none_or(|held| self.through.get(&oldest) < Some(&held));
            let old = is_acked && age + MARK_SECONDS < at_s;
            if !old && ages.len() <= MARKS_MAX {
                break;
            }
            ages.pop_front();
            self.through.remove(&oldest);
        }
        if too_many {
            tracing::warn!(
                flow = &**flow,
                limit = MARKS_MAX,
                "a mark was forgotten before its time: a repeat of it would be sent again"
            );
        }
    }

    /// The number of the flow's newest block when the mark was appended.
    pub(crate) fn get(&self, hash: &MarkHash) -> Option<u64> {
        self.through.get(hash).copied()
    }
}

impl Marks {
    /// Forgets the marks that were appended with blocks of these numbers.
    pub(crate) fn forget(&mut self, numbers: std::ops::Range<u64>) {
        let through = &mut self.through;
        through.retain(|_, number| !numbers.contains(number));
        for ages in self.by_age.values_mut() {
            ages.retain(|(_, hash)| through.contains_key(hash));
        }
    }

    /// Forgets a flow's first marks that were appended with a block of this number or one after it: their file may have
    /// begun before.
    pub(crate) fn forget_first(&mut self, flow: &str, number: u64) {
        let Some(ages) = self.by_age.get_mut(flow) else {
            return;
        };
        let through = &mut self.through;
        let behind = ages.iter().filter_map(|(_, hash)| through.get(hash));
        let Some(first) = behind.filter(|at| **at >= number).min().copied() else {
            return;
        };
        ages.retain(|(_, hash)| {
            let kept = through.get(hash) != Some(&first);
            if !kept {
                through.remove(hash);
            }
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_kept_apart_by_flow_and_forgotten_with_age() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut marks = Marks::default();
        assert_ne!(hash("a", b"1"), hash("b", b"1"));
        assert_ne!(hash("ab", b"c"), hash("a", b"bc"));
        marks.add(&a, hash("a", b"1"), 5, 1_000, None);
        marks.add(&b, hash("b", b"1"), 9, 1_000, None);
        assert_eq!(marks.get(&hash("a", b"1")), Some(5));
        marks.add(&a, hash("a", b"0"), 5, 1_001 + MARK_SECONDS, Some(5));
        assert_eq!(marks.get(&hash("a", b"1")), Some(5), "it is not acked");
        marks.add(&a, hash("a", b"2"), 6, 1_001 + MARK_SECONDS, Some(6));
        assert_eq!(marks.get(&hash("a", b"1")), None);
        assert_eq!(marks.get(&hash("b", b"1")), Some(9));
        marks.forget(5..7);
        assert_eq!(marks.get(&hash("a", b"2")), None);
        assert_eq!(marks.get(&hash("b", b"1")), Some(9));
    }

    #[test]
    fn the_first_marks_behind_a_number_are_forgotten() {
        let a: Arc<str> = "a".into();
        let mut marks = Marks::default();
        for (mark, through) in [(b"1", 5), (b"2", 8), (b"3", 8), (b"4", 9)] {
            marks.add(&a, hash("a", mark), through, 1_000, None);
        }
        marks.forget_first("a", 6);
        let left = [b"1", b"2", b"3", b"4"].map(|mark| marks.get(&hash("a", mark)));
        assert_eq!(left, [Some(5), None, None, Some(9)]);
        marks.forget_first("a", 10);
        marks.forget_first("b", 1);
        assert_eq!(marks.get(&hash("a", b"4")), Some(9));
    }
}
