//! How long is waited before something is tried again. Pure.

use std::time::Duration;

/// The wait before the database is asked again after something went wrong, at most.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The wait before a chunk is read again that was of no use, at first.
const SETTLES_AFTER: Duration = Duration::from_millis(200);
/// So often in a row something is tried again before it is said.
const QUIET_MAX: u32 = 3;
/// So often in a row a table is tried before another one that waits goes first.
const TRIES_MAX: u32 = 3;

/// Chunks in a row that were of no use, and why.
#[derive(Debug, Default)]
pub(super) struct Pace {
    unseen: u32,
    spoilt: u32,
    failed: u32,
}

impl Pace {
    /// One came through.
    pub(super) fn goes_on(&mut self) {
        (self.spoilt, self.failed) = (0, 0);
    }

    /// It saw all. The wait shrinks slowly: what keeps transactions from being seen is there for the next chunk too.
    pub(super) fn seen(&mut self) {
        self.unseen = self.unseen.saturating_sub(1);
    }

    /// It did not see all that was told before it. That passes in a moment, and then there is more that it does not see: so the wait comes between the
    /// place that it is asked for at and the question. Whether it is to be said.
    pub(super) fn unseen(&mut self) -> bool {
        self.unseen += 1;
        self.unseen >= QUIET_MAX
    }

    /// How long the question waits behind its place.
    pub(super) fn lead(&self) -> Duration {
        match self.unseen {
            0 => Duration::ZERO,
            tries => after(tries - 1),
        }
    }

    /// The table is not what it was when it was read. How long to wait, and whether it is to be said.
    pub(super) fn spoilt(&mut self) -> (Duration, bool) {
        self.spoilt += 1;
        (after(self.spoilt - 1), self.spoilt >= QUIET_MAX)
    }

    /// It could not be read; whether another table goes first.
    pub(super) fn failed(&mut self) -> bool {
        self.failed += 1;
        let gives_way = self.failed >= TRIES_MAX;
        if gives_way {
            self.failed = 0;
        }
        gives_way
    }
}

fn after(tries: u32) -> Duration {
    (SETTLES_AFTER * (1 << tries.min(10))).min(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_up_to_its_limit_and_is_none_where_all_goes_well() {
        let mut pace = Pace::default();
        assert_eq!(pace.lead(), Duration::ZERO);
        let mut leads = Vec::new();
        for _ in 0..40 {
            pace.unseen();
            leads.push(pace.lead().as_millis());
        }
        assert_eq!(leads[..6], [200, 400, 800, 1_600, 3_200, 5_000]);
        assert_eq!(leads[39], 5_000);
        (0..40).for_each(|_| pace.seen());
        assert_eq!(pace.lead(), Duration::ZERO);
    }

    #[test]
    fn what_lasts_is_said_and_another_table_goes_first() {
        let mut pace = Pace::default();
        let said: Vec<_> = (0..4).map(|_| pace.unseen()).collect();
        assert_eq!(said, [false, false, true, true]);
        let said: Vec<_> = (0..4).map(|_| pace.spoilt().1).collect();
        assert_eq!(said, [false, false, true, true]);
        let way: Vec<_> = (0..6).map(|_| pace.failed()).collect();
        assert_eq!(way, [false, false, true, false, false, true]);
    }
}
