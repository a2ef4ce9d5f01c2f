//! Local times of a time zone, with the current offset remembered.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// Wider than any offset from UTC (a day and two hours): a local time further than this from both
/// neighbouring transitions exists once and has the offset between them.
const MARGIN_S: i64 = 26 * 3_600;

/// A time zone and the stretch of local time whose offset is known.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    zone: TimeZone,
    /// Local seconds, as if they were UTC: from here ...
    from_s: i64,
    /// ... and before this the offset holds. Empty at first.
    until_s: i64,
    offset_s: i64,
}

impl Zone {
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            from_s: 0,
            until_s: 0,
            offset_s: 0,
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z of a local time given in seconds as if it were UTC.
    /// `None` beyond the years that `jiff` knows.
    #[inline]
    pub(crate) fn utc_seconds(&mut self, local_s: i64) -> Option<i64> {
        if self.from_s <= local_s && local_s < self.until_s {
            return Some(local_s - self.offset_s);
        }
        self.ask(local_s)
    }

    /// Of a local time that occurs twice the first, of one that doesn't occur the one moved by the
    /// gap: what `jiff` calls compatible, after RFC 5545.
    #[cold]
    fn ask(&mut self, local_s: i64) -> Option<i64> {
        let local = Offset::UTC.to_datetime(Timestamp::from_second(local_s).ok()?);
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let certain = !ambiguous.is_ambiguous();
        let utc = ambiguous.compatible().ok()?;
        if certain {
            // A transition at this very second lies before it: `preceding` is exclusive.
            let just_after = Timestamp::from_second(utc.as_second() + 1).ok()?;
            let before = self.zone.preceding(just_after).next();
            let after = self.zone.following(utc).next();
            self.from_s = before.map_or(i64::MIN, |at| at.timestamp().as_second() + MARGIN_S);
            self.until_s = after.map_or(i64::MAX, |at| at.timestamp().as_second() - MARGIN_S);
            self.offset_s = local_s - utc.as_second();
        }
        Some(utc.as_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(zone: &TimeZone, local_s: i64) -> i64 {
        let local = Offset::UTC.to_datetime(Timestamp::from_second(local_s).expect("in range"));
        zone.to_timestamp(local).expect("in range").as_second()
    }

    fn seconds(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a timestamp").as_second()
    }

    #[test]
    fn gaps_and_folds_follow_the_documented_rule() {
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
        let mut zone = Zone::new(berlin);
        for (local, expected) in [
            ("2026-11-23T07:15:00Z", "2026-11-23T06:15:00Z"),
            ("2026-07-01T07:15:00Z", "2026-07-01T05:15:00Z"),
            // The clocks go forward from 02:00 to 03:00: 02:30 doesn't occur.
            ("2026-03-29T01:59:59Z", "2026-03-29T00:59:59Z"),
            ("2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"),
            ("2026-03-29T03:00:00Z", "2026-03-29T01:00:00Z"),
            // The clocks go back from 03:00 to 02:00: 02:30 occurs twice, the first is meant.
            ("2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"),
            ("2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z"),
        ] {
            assert_eq!(
                zone.utc_seconds(seconds(local)),
                Some(seconds(expected)),
                "{local}"
            );
        }
    }

    #[test]
    fn every_hour_of_ten_years_is_that_of_jiff_in_odd_zones() {
        for name in [
            "Europe/Berlin",
            "America/New_York",
            "Africa/Casablanca",
            "Pacific/Apia",
            "Asia/Kolkata",
            "UTC",
        ] {
            let truly = TimeZone::get(name).expect("a zone");
            let mut zone = Zone::new(truly.clone());
            let from = seconds("2010-01-01T00:30:00Z");
            for hour in (0..10 * 366 * 24).step_by(1) {
                let local = from + hour * 3_600;
                assert_eq!(
                    zone.utc_seconds(local),
                    Some(truth(&truly, local)),
                    "{name} at {local}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn times_in_any_order_are_those_of_jiff(locals in proptest::collection::vec(-5_000_000_000_i64..5_000_000_000, 1..40)) {
            let truly = TimeZone::get("America/Sao_Paulo").expect("a zone");
            let mut zone = Zone::new(truly.clone());
            for local in locals {
                proptest::prop_assert_eq!(zone.utc_seconds(local), Some(truth(&truly, local)));
            }
        }
    }
}
