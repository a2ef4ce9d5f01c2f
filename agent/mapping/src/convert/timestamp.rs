//! A text to a moment: microseconds since 1970-01-01T00:00:00Z.

use super::iso;
use super::pattern::{Pattern, Read};
use super::zone::Zone;

/// 0001-01-01T00:00:00Z, the first moment of protobuf's `Timestamp`.
const MICROS_MIN: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999Z, the last one.
const MICROS_MAX: i64 = 253_402_300_799_999_999;

/// How a field's times are written.
#[derive(Debug, Clone)]
pub(crate) enum TimeFormat {
    Pattern(Pattern),
    Iso8601,
    /// Seconds since 1970-01-01T00:00:00Z.
    Unix,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    UnixMs,
}

/// A field's format and zone.
#[derive(Debug, Clone)]
pub(crate) struct TimestampRule {
    pub(crate) format: TimeFormat,
    /// For times that don't name one.
    pub(crate) zone: Option<Zone>,
}

impl TimeFormat {
    /// Whether a zone is of use: not every text names its instant.
    pub(crate) fn takes_zone(&self) -> bool {
        match self {
            Self::Pattern(pattern) => !pattern.names_instant,
            Self::Iso8601 => true,
            Self::Unix | Self::UnixMs => false,
        }
    }

    /// As it stands in the configuration.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Pattern(pattern) => pattern.as_str(),
            Self::Iso8601 => "iso8601",
            Self::Unix => "unix",
            Self::UnixMs => "unix_ms",
        }
    }

    fn read(&self, text: &str) -> Result<Read, String> {
        let whole = || {
            text.parse::<i64>()
                .map_err(|_| "it is not a whole number".to_owned())
        };
        match self {
            Self::Pattern(pattern) => pattern.read(text),
            Self::Iso8601 => iso::time(text),
            Self::Unix => Ok(Read::Instant(whole()?.saturating_mul(1_000_000))),
            Self::UnixMs => Ok(Read::Instant(whole()?.saturating_mul(1_000))),
        }
    }
}

impl TimestampRule {
    /// The moment that a text says. It has no white space around it and isn't empty.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the value.
    #[inline]
    pub(crate) fn micros(&mut self, text: &str) -> Result<i64, String> {
        let micros = match self.format.read(text) {
            Ok(Read::Instant(micros)) => Some(micros),
            Ok(Read::Local { seconds, micros }) => match &mut self.zone {
                Some(zone) => zone
                    .utc_seconds(seconds)
                    .map(|utc| utc * 1_000_000 + micros),
                None => {
                    return Err("names no time zone; add one, e.g. zone = \"Europe/Berlin\"".into());
                }
            },
            Err(reason) => return Err(self.explain(&reason)),
        };
        micros
            .filter(|micros| (MICROS_MIN..=MICROS_MAX).contains(micros))
            .ok_or_else(|| "lies outside the years 1 to 9999".into())
    }

    #[cold]
    fn explain(&self, reason: &str) -> String {
        format!("is not a time as {}: {reason}", self.format.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    fn rule(format: TimeFormat, zone: Option<&str>) -> TimestampRule {
        let zone = zone.map(|name| Zone::new(TimeZone::get(name).expect(name)));
        TimestampRule { format, zone }
    }

    fn check(rule: &mut TimestampRule, text: &str, expected: Result<&str, &str>) {
        let expected = expected
            .map(|at| {
                at.parse::<Timestamp>()
                    .expect("a timestamp")
                    .as_microsecond()
            })
            .map_err(str::to_owned);
        assert_eq!(rule.micros(text), expected, "{text}");
    }

    #[test]
    fn moments_are_read_in_their_zone() {
        let pattern = TimeFormat::Pattern(Pattern::compile("%Y%m%d%H%M%S").expect("a pattern"));
        let mut berlin = rule(pattern, Some("Europe/Berlin"));
        check(&mut berlin, "20261123071500", Ok("2026-11-23T06:15:00Z"));
        check(&mut berlin, "20260701071500", Ok("2026-07-01T05:15:00Z"));
        check(&mut berlin, "20260329023000", Ok("2026-03-29T01:30:00Z"));
        check(&mut berlin, "20261025023000", Ok("2026-10-25T00:30:00Z"));
        let mut iso = rule(TimeFormat::Iso8601, Some("America/New_York"));
        check(&mut iso, "2026-11-23T07:15:00", Ok("2026-11-23T12:15:00Z"));
        check(&mut iso, "2026-11-23T07:15:00Z", Ok("2026-11-23T07:15:00Z"));
        let mut unix = rule(TimeFormat::Unix, None);
        check(&mut unix, "1795418100", Ok("2026-11-23T07:15:00Z"));
        check(&mut unix, "-1", Ok("1969-12-31T23:59:59Z"));
        check(
            &mut unix,
            "1.5",
            Err("is not a time as unix: it is not a whole number"),
        );
        check(
            &mut unix,
            "999999999999999",
            Err("lies outside the years 1 to 9999"),
        );
        check(
            &mut rule(TimeFormat::UnixMs, None),
            "1795418100250",
            Ok("2026-11-23T07:15:00.25Z"),
        );
    }

    #[test]
    fn a_time_without_a_zone_is_refused_with_the_way_out() {
        let mut iso = rule(TimeFormat::Iso8601, None);
        check(
            &mut iso,
            "2026-11-23T07:15:00",
            Err("names no time zone; add one, e.g. zone = \"Europe/Berlin\""),
        );
    }
}
