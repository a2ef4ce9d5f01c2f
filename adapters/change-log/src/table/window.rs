//! Rows by the time at which they were changed. Pure: the database's clock is told.
//!
//! Whoever writes a row takes the time first and commits later, so that rows come up behind others. Only what is older than `lag` is read: a
//! transaction that takes longer than that is missed, and nobody learns of it. So this never says that it is exact.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use super::place::{ROWS_BYTES_MAX, written_bytes};

/// Rows of one time, at most, that are known one by one. Of more, those with lower ids that come late are missed.
pub(super) const EDGE_MAX: usize = 500;
/// How far the database's clock may go back beyond `lag` and be taken for a rounding: a millisecond.
const ROUNDING_US: i64 = 1_000;

/// How far rows are read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Window {
    /// The newest time that was read, as the database writes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) through: Option<String>,
    /// The rows of that time that were read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) edge: Vec<String>,
    /// What they take in a position.
    #[serde(skip)]
    edge_bytes: usize,
    /// Of more than that: the last of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) last: Option<String>,
    /// The latest that the database's clock has been: microseconds since 1970.
    #[serde(default)]
    clock: i64,
}

impl Window {
    /// The next row, in the order of time and id.
    pub(super) fn read(&mut self, time: &str, id: &str) {
        if self.through.as_deref() != Some(time) {
            self.through = Some(time.to_owned());
            self.edge.clear();
            self.edge_bytes = 0;
            self.last = None;
        }
        if self.last.is_some() {
            self.last = Some(id.to_owned());
            return;
        }
        self.edge_bytes += written_bytes(id);
        self.edge.push(id.to_owned());
        if self.edge.len() > EDGE_MAX || self.edge_bytes > ROWS_BYTES_MAX {
            self.last = self.edge.pop();
            self.edge.clear();
            self.edge_bytes = 0;
        }
    }

    /// Whether a row of this time is known one by one.
    pub(super) fn knows(&self, time: &str, id: &str) -> bool {
        self.through.as_deref() == Some(time) && self.edge.iter().any(|one| one == id)
    }

    /// Reckons what they take anew, where they were read from a position.
    pub(super) fn reckon(&mut self) {
        self.edge_bytes = self.edge.iter().map(|id| written_bytes(id)).sum();
    }

    /// What the database's clock says now.
    ///
    /// # Errors
    /// How far it went back, in microseconds: rows that are written now may have times that were read already.
    pub(super) fn clock(&mut self, now_us: i64, lag_us: i64) -> Result<(), i64> {
        let back_us = self.clock - now_us;
        if back_us > lag_us + ROUNDING_US {
            return Err(back_us);
        }
        self.clock = self.clock.max(now_us);
        Ok(())
    }

    /// Takes the clock as it is, wherever it stood.
    pub(super) fn set_clock(&mut self, now_us: i64) {
        self.clock = now_us;
    }
}

/// Until when rows are read, in a zone's own time, where it is `until`.
///
/// In the hour that a zone has twice in autumn, times of the second pass are lower than those of the first: nothing of that hour is read until
/// both have gone by.
pub(super) fn bound(until: Timestamp, zone: &TimeZone) -> jiff::civil::DateTime {
    for turn in near(until, zone) {
        let before = zone.to_offset(turn - jiff::SignedDuration::from_secs(1));
        let after = zone.to_offset(turn);
        let twice = i64::from(before.seconds() - after.seconds());
        let from = turn.as_second() - twice;
        let to = turn.as_second() + twice;
        if twice > 0 && (from..to).contains(&until.as_second()) {
            return Offset::to_datetime(after, turn);
        }
    }
    zone.to_datetime(until)
}

/// The zone's changes of its offset just before and just after.
fn near(until: Timestamp, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
    let before = zone.preceding(until).next();
    // One that is now belongs to neither.
    let after = zone
        .following(until - jiff::SignedDuration::from_secs(1))
        .next();
    [before, after]
        .into_iter()
        .flatten()
        .map(|turn| turn.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_newest_time_are_known_one_by_one() {
        let mut window = Window::default();
        window.read("08:00", "1");
        window.read("08:01", "2");
        window.read("08:01", "3");
        assert_eq!(window.through.as_deref(), Some("08:01"));
        assert_eq!((window.edge.join(" "), &window.last), ("2 3".into(), &None));
        for id in 4..=EDGE_MAX + 2 {
            window.read("08:01", &id.to_string());
        }
        assert_eq!(
            (window.edge.len(), window.last.as_deref()),
            (0, Some("502"))
        );
        window.read("08:01", "503");
        assert_eq!(window.last.as_deref(), Some("503"));
        window.read("08:02", "9");
        assert_eq!((window.edge.join(" "), window.last), ("9".into(), None));
    }

    #[test]
    fn a_clock_that_goes_back_by_more_than_the_lag_is_told() {
        let mut window = Window::default();
        let lag = 5_000_000;
        assert_eq!(window.clock(100_000_000, lag), Ok(()));
        assert_eq!(
            window.clock(95_000_000, lag),
            Ok(()),
            "no row may be below what was read"
        );
        assert_eq!(window.clock(94_000_000, lag), Err(6_000_000));
        assert_eq!(
            window.clock(94_000_000, lag),
            Err(6_000_000),
            "it does not get used to it"
        );
        window.set_clock(94_000_000);
        assert_eq!(window.clock(94_000_001, lag), Ok(()));
    }

    #[test]
    fn the_hour_that_comes_twice_is_read_when_it_is_over() {
        let berlin = TimeZone::get("Europe/Berlin").expect("the zone");
        for (until, zone, expected) in [
            ("2026-10-24T23:59:59Z", &berlin, "2026-10-25T01:59:59"),
            ("2026-10-25T00:00:00Z", &berlin, "2026-10-25T02:00:00"),
            ("2026-10-25T00:30:00Z", &berlin, "2026-10-25T02:00:00"),
            ("2026-10-25T01:00:00Z", &berlin, "2026-10-25T02:00:00"),
            ("2026-10-25T01:59:59Z", &berlin, "2026-10-25T02:00:00"),
            ("2026-10-25T02:00:00Z", &berlin, "2026-10-25T03:00:00"),
            ("2026-03-29T00:59:59Z", &berlin, "2026-03-29T01:59:59"),
            ("2026-03-29T01:00:00Z", &berlin, "2026-03-29T03:00:00"),
            (
                "2026-10-25T00:30:00Z",
                &TimeZone::UTC,
                "2026-10-25T00:30:00",
            ),
        ] {
            let until: Timestamp = until.parse().expect("a time");
            assert_eq!(bound(until, zone).to_string(), expected, "{until}");
        }
    }

    #[test]
    fn no_time_that_may_still_be_written_is_below_the_bound() {
        let berlin = TimeZone::get("Europe/Berlin").expect("the zone");
        let start: Timestamp = "2026-10-24T20:00:00Z".parse().expect("a time");
        let at = |minute: i64| start + jiff::SignedDuration::from_mins(minute);
        let mut highest = bound(start, &berlin);
        for minute in 0..600 {
            let written = berlin.to_datetime(at(minute));
            assert!(written >= highest, "{written} after {highest} was read");
            highest = highest.max(bound(at(minute), &berlin));
        }
    }
}
