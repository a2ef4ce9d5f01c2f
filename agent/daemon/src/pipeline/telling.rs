//! What the source is told, and when: what is appended, so that its files may move, and what is acked.
//!
//! Each telling may cost the source syncs. So one stands for several small batches, while others are polled or appended.

use std::time::{Duration, Instant};

use dray_adapter::Position;

use super::appends::LARGE_BYTES;
use super::{Ended, Pipeline, SMALL_IN_FLIGHT_MAX};

/// Small batches that are answered and not told of: as many as may be appended meanwhile.
const BATCHES: usize = SMALL_IN_FLIGHT_MAX / 2;
/// How long the source waits to be told while there is other work; a poll that is under way then is ended first.
const WITHIN: Duration = Duration::from_millis(10);

/// What the source was not told of.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// The newest position that is answered.
    commit: Option<Position>,
    /// The batches that it stands for.
    pub(super) batches: usize,
    /// Whether one of them is large.
    large: bool,
    /// The newest acked position.
    ack: Option<Position>,
    /// When the first of all that came.
    since: Option<Instant>,
    /// It could not commit or ack: when to tell it again.
    again: Option<Instant>,
}

impl Untold {
    pub(super) fn answered(&mut self, position: Position, batches: usize, bytes: u64) {
        self.commit = Some(position);
        self.batches += batches;
        self.large |= bytes >= LARGE_BYTES;
        self.since.get_or_insert_with(Instant::now);
    }

    /// `position` is empty where only others of that row are known.
    pub(super) fn acked(&mut self, position: Position) {
        if !position.0.is_empty() {
            self.ack = Some(position);
        }
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether batches are to wait until the source has moved what it gave before.
    pub(super) fn holds_up(&self) -> bool {
        self.commit.is_some() && self.again.is_some()
    }

    /// When to tell; `None`: there is nothing to tell. `busy`: more may soon be told with it, and nobody waits.
    pub(super) fn due(&self, busy: bool) -> Option<Instant> {
        let since = self.since?;
        let waits = busy && !self.large && self.batches < BATCHES;
        let due = if waits { since + WITHIN } else { since };
        Some(self.again.unwrap_or(due))
    }
}

impl Pipeline {
    /// When the source is to be told of something.
    pub(super) fn tell_due(&self) -> Option<Instant> {
        let polls = self.may_poll() && Instant::now() >= self.next_poll;
        let busy = polls || !self.appending.is_empty();
        self.untold.due(busy && !self.source.is_waited_for())
    }

    /// Tells the source what is appended, then what is acked.
    pub(super) fn tell_source(&mut self) -> Result<(), Ended> {
        if self
            .untold
            .again
            .is_some_and(|again| Instant::now() < again)
        {
            return Ok(());
        }
        self.untold.again = None;
        if let Some(position) = &self.untold.commit {
            if let Err(error) = self.source.commit(position) {
                self.untold.again = Some(self.held_up(error)?);
                return Ok(());
            }
            (self.untold.commit, self.untold.batches) = (None, 0);
            self.state.set_doing(self.source.doing());
            self.untold.large = false;
            // It may have waited for that.
            self.next_poll = Instant::now();
        }
        self.tell_acked()?;
        // An ack that is left waits for an answer, which comes by itself.
        if self.untold.again.is_none() {
            self.untold.since = None;
        }
        Ok(())
    }

    fn tell_acked(&mut self) -> Result<(), Ended> {
        // The collector can be faster than this thread: never ack what is not committed.
        let is_uncommitted = |acked: &Position| {
            let mut appending = self.appending.iter();
            appending.any(|append| append.position == *acked)
        };
        let acked = || self.buffer.depth(&self.flow).acked;
        let known = self.untold.ack.take_if(|acked| !is_uncommitted(acked));
        let without_events = self
            .without_events
            .take_if(|(through, _)| *through <= acked());
        // All that is answered comes before it.
        let newest = without_events.map(|(_, position)| position).or(known);
        let Some(newest) = newest else {
            return Ok(());
        };
        if let Err(error) = self.source.acked(&newest) {
            self.untold.again = Some(self.held_up(error)?);
            self.untold.ack.get_or_insert(newest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_at_once_and_others_when_more_may_be_told_with_it() {
        let mut untold = Untold::default();
        assert_eq!(untold.due(false), None);
        untold.answered(Position::default(), 1, 100);
        let since = untold.since.expect("something is answered");
        assert_eq!(untold.due(false), Some(since));
        assert_eq!(untold.due(true), Some(since + WITHIN));
        untold.answered(Position::default(), BATCHES - 1, 100);
        assert_eq!(untold.due(true), Some(since), "enough for one telling");
    }
}
