//! Identities that sources want remembered.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::api::{MARK_DAYS, MARKS_MAX, Sequence};

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
    through: HashMap<MarkHash, Sequence>,
    by_age: HashMap<Arc<str>, VecDeque<(u64, MarkHash)>>,
}

impl Marks {
    /// Remembers a mark that was appended at `at_s` with the flow's newest sequence `through`.
    pub(crate) fn add(&mut self, flow: &Arc<str>, hash: MarkHash, through: Sequence, at_s: u64) {
        if self.through.insert(hash, through).is_some() {
            return;
        }
        let ages = self.by_age.entry(Arc::clone(flow)).or_default();
        ages.push_back((at_s, hash));
        let too_many = ages.len() > MARKS_MAX;
        while let Some((age, oldest)) = ages.front().copied() {
            let old = age + MARK_SECONDS < at_s;
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

    /// The flow's newest sequence when the mark was appended.
    pub(crate) fn get(&self, hash: &MarkHash) -> Option<Sequence> {
        self.through.get(hash).copied()
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
        marks.add(&a, hash("a", b"1"), Sequence(5), 1_000);
        marks.add(&b, hash("b", b"1"), Sequence(9), 1_000);
        assert_eq!(marks.get(&hash("a", b"1")), Some(Sequence(5)));
        marks.add(&a, hash("a", b"2"), Sequence(6), 1_001 + MARK_SECONDS);
        assert_eq!(marks.get(&hash("a", b"1")), None);
        assert_eq!(marks.get(&hash("b", b"1")), Some(Sequence(9)));
    }
}
