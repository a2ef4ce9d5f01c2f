//! What a chunk sees of the stream: transactions by their numbers. Pure.

use std::collections::HashSet;

use pgwire_replication::Lsn;

use super::place::Place;
use super::snapshot::Snapshot;
use crate::again::{FLIGHT_TRANSACTIONS_MAX, Track, View};

/// What a question sees.
pub(super) struct Sight {
    pub(super) snapshot: Snapshot,
    /// Where the log ended just then.
    pub(super) end: Lsn,
    /// Where a table is looked at: transactions that had written and were open.
    pub(super) open: Vec<u32>,
}

/// What a chunk sees.
#[derive(Debug)]
pub(super) struct Seen {
    snapshot: Snapshot,
    end: Lsn,
}

impl View for Seen {
    type Place = Place;

    fn has(&self, transaction: u64) -> bool {
        self.snapshot.has(transaction as u32)
    }

    fn is_reached(&self, place: &Place) -> bool {
        place.end >= self.end
    }
}

/// Transactions by their numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Told before the chunk at hand was asked for, or perhaps, and not known to be seen.
    doubtful: HashSet<u32>,
    /// Told since.
    since: HashSet<u32>,
    /// What was seen last: what it has, all later ones have.
    seen: Option<Snapshot>,
}

impl Numbers {
    /// The stream has told one.
    pub(super) fn told(&mut self, transaction: u32) {
        let seen = self.seen.as_ref();
        if !seen.is_some_and(|seen| seen.has(transaction)) {
            self.since.insert(transaction);
        }
    }
}

impl Track for Numbers {
    type Place = Place;
    type Sight = Sight;
    type View = Seen;

    fn begin(&mut self, sight: &Sight) {
        self.doubtful.extend(&sight.open);
        self.seen = Some(sight.snapshot.clone());
    }

    fn depart(&mut self, _: &Place) {
        self.doubtful.extend(self.since.drain());
    }

    fn is_full(&self) -> bool {
        self.since.len() >= FLIGHT_TRANSACTIONS_MAX
    }

    fn settle(&mut self, sight: Sight) -> Option<Seen> {
        let Sight { snapshot, end, .. } = sight;
        // One that was open at the beginning and is told only now was not told before.
        self.doubtful
            .retain(|one| !snapshot.has(*one) && !self.since.contains(one));
        self.seen = Some(snapshot.clone());
        self.doubtful.is_empty().then_some(Seen { snapshot, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(text: &str) -> Sight {
        Sight {
            snapshot: Snapshot::read(text).expect("a snapshot"),
            end: Lsn(0x30),
            open: Vec::new(),
        }
    }

    #[test]
    fn a_chunk_that_does_not_see_what_was_told_before_it_is_of_no_use() {
        let place = Place::at("73", 1, "dray_stock", Lsn(0x10));
        let mut numbers = Numbers::default();
        // Two are open, and perhaps told; a snapshot names only those before the last one that has ended.
        let open = vec![100, 110];
        numbers.begin(&Sight {
            open,
            ..sight("100:110:100")
        });
        numbers.depart(&place);
        assert!(numbers.settle(sight("100:110:100")).is_none());
        numbers.depart(&place);
        assert!(numbers.settle(sight("100:111:100")).is_none());
        numbers.depart(&place);
        // One ends and is told while the chunk is read, which does not see it.
        numbers.told(100);
        let seen = numbers.settle(sight("100:112:100")).expect("it is of use");
        assert!(!seen.has(100) && seen.has(110) && !seen.has(112));
        assert!(!seen.is_reached(&place));
        // It is told before the next, which must see it.
        numbers.depart(&place);
        assert!(numbers.settle(sight("100:113:100")).is_none());
        numbers.depart(&place);
        assert!(numbers.settle(sight("113:113:")).is_some());
        assert!(numbers.doubtful.is_empty(), "nothing is kept");
    }
}
