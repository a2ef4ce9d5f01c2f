//! How much of a collector's memory a target may have: one budget, shared evenly.
//!
//! A target that hangs holds what it was given until it answers, and there may be forty of them. So none has more than its
//! share, and needs no more: what it does not hold stays in the log.

use crate::window::{BYTES_MAX, EVENTS_MAX};

/// What all targets together may hold, where the configuration says nothing: of 300 MiB for the whole collector.
pub const IN_FLIGHT_DEFAULT: u64 = 128 * 1024 * 1024;
/// What each has at least, however many there are: some requests' worth of events.
pub const SHARE_MIN: u64 = 1024 * 1024;

/// A target's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Decoded blocks with events that are not finished; one read more may come.
    pub window_bytes: usize,
    /// The events in them.
    pub events: usize,
    /// Requests in flight; one is, however large.
    pub request_bytes: usize,
}

impl Share {
    /// Of so much for so many: three quarters for events, one for requests.
    #[must_use]
    pub fn of(in_flight: u64, targets: usize) -> Self {
        let each = (in_flight / targets.max(1) as u64).max(SHARE_MIN);
        let each = usize::try_from(each).unwrap_or(usize::MAX);
        let window_bytes = (each / 4 * 3).min(BYTES_MAX);
        Self {
            window_bytes,
            // As many as the window has bytes for where they are small.
            events: EVENTS_MAX / 1_024 * (window_bytes / (BYTES_MAX / 1_024)),
            request_bytes: each / 4,
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::of(IN_FLIGHT_DEFAULT, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_targets_have_full_windows_and_many_hold_no_more_than_the_budget() {
        let alone = Share::default();
        assert_eq!(alone.window_bytes, BYTES_MAX);
        assert!(alone.events > EVENTS_MAX * 99 / 100, "{alone:?}");
        for targets in [2, 8, 40, 128] {
            let share = Share::of(IN_FLIGHT_DEFAULT, targets);
            let all = (share.window_bytes + share.request_bytes) * targets;
            assert!(all as u64 <= IN_FLIGHT_DEFAULT, "{targets}: {share:?}");
            assert!(
                share.events * targets <= EVENTS_MAX * 4,
                "{targets}: {share:?}"
            );
        }
        let least = Share::of(IN_FLIGHT_DEFAULT, 10_000);
        assert_eq!(least.window_bytes, 768 * 1024);
        assert!(least.events >= 4_000);
    }
}
