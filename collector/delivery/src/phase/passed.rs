//! What a cursor passed by while its flow was off, in shadow or rolled back, or not among the target's: it was left to the old way and
//! never sent to the target.
//!
//! A setting of the store (`passed:TARGET:FLOW`) has the ranges of the times that are over, and where the present one began. Of a cursor
//! alone nobody could tell what was delivered. A replay that sends one of them takes it out, in the step that says that it was sent.
//!
//! Limit: a range for each gap between lanes that were busy when that changed, at most half of what a cursor spans; those that
//! the log has dropped go with the next change.

use dray_proto::{FlowName, Offset};
use dray_store::{Cursor, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::standing;

/// First and last offset.
type Range = (u64, u64);

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Passed {
    /// Of times that are over; in order, none touches the next.
    left: Vec<Range>,
    /// Since where nothing is sent; 0: it is sent.
    from: u64,
    /// What was over above that already, as it was sent.
    over: Vec<Range>,
}

/// What the store calls it.
pub(crate) fn setting(target: &str, flow: &FlowName) -> String {
    format!("passed:{target}:{flow}")
}

/// A flow is found: its events are sent from now on, or pass by. Where that is another thing than before it is written down, before
/// the phase is, of which what was not written down yet is known. A kill in between changes nothing.
pub(crate) fn note(
    store: &dyn Store,
    target: &str,
    flow: &FlowName,
    sends: bool,
    cursor: &Cursor,
) -> Result<(), StoreError> {
    let mut passed = Passed::read(store, target, flow)?;
    if passed.turn(sends, cursor, store.held(flow).oldest_offset) {
        store.set(&setting(target, flow), Some(&passed.text()))?;
    }
    Ok(())
}

impl Passed {
    /// As it stands on disk.
    pub(crate) fn read(
        store: &dyn Store,
        target: &str,
        flow: &FlowName,
    ) -> Result<Self, StoreError> {
        let text = store.setting(&setting(target, flow))?;
        if let Some(passed) = text.and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(passed);
        }
        // A phase that began before this was written down.
        let standing = standing(store, target, flow)?.filter(|standing| !standing.phase.sends());
        Ok(standing.map_or_else(Self::default, |standing| Self {
            left: Vec::new(),
            from: standing.from,
            over: standing.over,
        }))
    }

    /// As it is to stand there.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether nothing passed by, and nothing does.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.from == 0
    }

    /// Whether an event that the cursor has passed was never sent.
    pub(crate) fn has(&self, offset: Offset) -> bool {
        let is_in_present = self.from > 0 && offset.0 >= self.from && !has(&self.over, offset.0);
        is_in_present || has(&self.left, offset.0)
    }

    /// From where the cursor stands it is sent, or it is not. What is below `oldest` is in the log no longer. False: it was so before.
    fn turn(&mut self, sends: bool, cursor: &Cursor, oldest: Offset) -> bool {
        if sends == (self.from == 0) {
            return false;
        }
        let above = ranges_above(cursor);
        if self.from > 0 {
            let through = (self.from <= cursor.through.0).then_some((self.from, cursor.through.0));
            for range in through.into_iter().chain(above.iter().copied()) {
                self.left.extend(without(range, &self.over));
            }
        }
        self.left.retain(|(_, last)| *last >= oldest.0);
        self.left = joined(std::mem::take(&mut self.left));
        (self.from, self.over) = (0, Vec::new());
        if !sends {
            self.from = cursor.through.0 + 1;
            let sent = above
                .into_iter()
                .flat_map(|range| without(range, &self.left));
            self.over = sent.collect();
        }
        true
    }

    /// It was sent after all; false: it is none of these.
    pub(crate) fn take_out(&mut self, offset: Offset) -> bool {
        let at = self.left.partition_point(|(_, last)| *last < offset.0);
        let Some(range) = self
            .left
            .get(at)
            .copied()
            .filter(|(first, _)| *first <= offset.0)
        else {
            return false;
        };
        let rest = without(range, &[(offset.0, offset.0)]);
        drop(self.left.splice(at..=at, rest));
        true
    }
}

/// In order, none touches another.
fn has(ranges: &[Range], offset: u64) -> bool {
    let at = ranges.partition_point(|(_, last)| *last < offset);
    ranges.get(at).is_some_and(|(first, _)| *first <= offset)
}

fn ranges_above(cursor: &Cursor) -> Vec<Range> {
    let offsets = cursor.above.iter();
    let offsets = offsets.map(|above| cursor.through.0 + u64::from(above));
    joined(offsets.map(|offset| (offset, offset)).collect())
}

/// The same offsets in as few ranges as can be, in order.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= *end + 1 => *end = (*end).max(last),
            _ => joined.push((first, last)),
        }
    }
    joined.shrink_to_fit();
    joined
}

/// A range without those that are taken, which are in order.
fn without((first, last): Range, taken: &[Range]) -> Vec<Range> {
    let (mut left, mut next) = (Vec::new(), first);
    let within = taken
        .iter()
        .filter(|(from, to)| *from <= last && *to >= first);
    for (from, to) in within {
        if *from > next {
            left.push((next, from - 1));
        }
        next = next.max(to + 1);
    }
    if next <= last {
        left.push((next, last));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(through: u64, above: &[u32]) -> Cursor {
        Cursor {
            through: Offset(through),
            above: above.iter().copied().collect(),
        }
    }

    /// The offsets up to 20 that passed by.
    fn all(passed: &Passed) -> Vec<u64> {
        (1..=20)
            .filter(|offset| passed.has(Offset(*offset)))
            .collect()
    }

    #[test]
    fn what_came_while_nothing_was_sent_passed_by_and_what_was_sent_above_did_not() {
        let mut passed = Passed::default();
        assert!(!passed.turn(true, &cursor(1, &[]), Offset(1)), "as before");
        assert!(passed.turn(false, &cursor(2, &[2, 3]), Offset(1)));
        assert_eq!(all(&passed)[..3], [3, 6, 7], "as far as the cursor goes");
        // From one phase to the next that sends nothing, or a kill before the phase was written down.
        assert!(!passed.turn(false, &cursor(3, &[]), Offset(1)));
        assert!(passed.turn(true, &cursor(8, &[]), Offset(1)));
        assert_eq!(all(&passed), [3, 6, 7, 8]);
        assert!(!passed.turn(true, &cursor(8, &[]), Offset(1)));
        // In shadow some are compared above the cursor, then it is live: what is below is sent.
        assert!(passed.turn(false, &cursor(10, &[]), Offset(1)));
        assert!(passed.turn(true, &cursor(11, &[3, 4]), Offset(7)));
        assert_eq!(
            all(&passed),
            [6, 7, 8, 11, 14, 15],
            "what the log dropped is forgotten"
        );
        // What is over above the cursor, and was never sent, is not what was sent.
        assert!(passed.turn(false, &cursor(11, &[3, 4, 6]), Offset(7)));
        assert_eq!(passed.over, [(17, 17)]);
        let text = passed.text();
        assert_eq!(serde_json::from_str::<Passed>(&text).expect("JSON"), passed);
    }

    #[test]
    fn what_is_sent_after_all_is_taken_out_once() {
        let mut passed = Passed {
            left: vec![(3, 5), (8, 8), (10, 12)],
            ..Passed::default()
        };
        let taken = [4, 8, 10, 12, 7, 4, 1].map(|offset| passed.take_out(Offset(offset)));
        assert_eq!(taken, [true, true, true, true, false, false, false]);
        assert_eq!(passed.left, [(3, 3), (5, 5), (11, 11)]);
    }
}
