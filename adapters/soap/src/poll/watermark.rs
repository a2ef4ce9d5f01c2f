//! Watermarks: what is asked from, how they grow, and how they are written. No clock: `now` is told.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::config::{WatermarkConfig, WatermarkType};

/// A record's time that lies further ahead of the clock is a mistake, e.g. the year 2206: following it would skip everything until then.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);

/// Where the next watermark comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TakenFrom {
    /// The largest value of this column.
    Column(usize),
    /// A value of the answer.
    Answer,
    /// The end of the window that was asked for.
    Window,
}

/// How a flow's watermarks work.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) from: TakenFrom,
    pub(super) start: String,
    kind: WatermarkType,
    overlap: Duration,
    pub(super) lag: Duration,
    zone: TimeZone,
    format: Option<String>,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) since: String,
    pub(super) until: String,
}

impl Rule {
    pub(super) fn new(config: &WatermarkConfig, from: TakenFrom) -> Result<Self, String> {
        let start = config.start.clone().unwrap_or_default();
        let mut rule = Self {
            from,
            kind: WatermarkType::Time,
            overlap: config.overlap,
            lag: config.lag,
            zone: config.zone.as_deref().map_or(Ok(TimeZone::UTC), zone)?,
            format: config.format.clone(),
            start,
        };
        rule.kind = config.kind.unwrap_or_else(|| rule.guessed());
        if rule.kind == WatermarkType::Time {
            rule.written(Timestamp::UNIX_EPOCH)?;
        }
        Ok(rule)
    }

    /// What `start` looks like.
    fn guessed(&self) -> WatermarkType {
        if self.start.parse::<i128>().is_ok() {
            WatermarkType::Number
        } else if self.time(&self.start).is_some() {
            WatermarkType::Time
        } else {
            WatermarkType::Opaque
        }
    }

    pub(super) fn kind(&self) -> WatermarkType {
        self.kind
    }

    /// Whether it is a watermark at all.
    pub(super) fn reads(&self, value: &str) -> bool {
        match self.kind {
            WatermarkType::Time => self.time(value).is_some(),
            WatermarkType::Number => value.parse::<i128>().is_ok(),
            WatermarkType::Opaque => !value.is_empty(),
        }
    }

    /// Whether a time is too far ahead to be true.
    pub(super) fn is_ahead(&self, value: &str, now: Timestamp) -> bool {
        let latest = now.saturating_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
        self.kind == WatermarkType::Time && self.time(value).is_some_and(|time| time > latest)
    }

    /// Whether the watermark moves from `old` on to `new`.
    pub(super) fn grows(&self, old: &str, new: &str) -> bool {
        match self.kind {
            WatermarkType::Time => self.time(new) > self.time(old),
            WatermarkType::Number => new.parse::<i128>().ok() > old.parse().ok(),
            WatermarkType::Opaque => !new.is_empty() && new != old,
        }
    }

    /// What to ask for from watermark `from` on, to the end of the window.
    pub(super) fn window(&self, from: &str, until: Timestamp) -> Result<Window, String> {
        Ok(Window {
            since: self.since(from)?,
            until: self.written(until)?,
        })
    }

    fn since(&self, from: &str) -> Result<String, String> {
        let as_it_is = self.overlap.is_zero() && self.format.is_none();
        match self.time(from) {
            Some(time) if self.kind == WatermarkType::Time && !as_it_is => {
                let earlier = time.saturating_sub(self.overlap);
                self.written(earlier.unwrap_or(Timestamp::MIN))
            }
            _ => Ok(from.to_owned()),
        }
    }

    /// When a window ends that is asked for now.
    pub(super) fn end(&self, now: Timestamp) -> Timestamp {
        now.saturating_sub(self.lag).unwrap_or(now)
    }

    /// A time as this service wants it.
    pub(super) fn written(&self, time: Timestamp) -> Result<String, String> {
        let Some(format) = &self.format else {
            return Ok(match self.zone == TimeZone::UTC {
                true => time.to_string(),
                false => time
                    .display_with_offset(self.zone.to_offset(time))
                    .to_string(),
            });
        };
        let zoned = time.to_zoned_datetime(self.zone.clone());
        strtime::format(format, &zoned).map_err(|error| {
            format!(
                "\"{format}\" is no format of a time: {error}; write e.g. \"%Y-%m-%dT%H:%M:%S\""
            )
        })
    }

    /// A time as the service writes it: ISO 8601, or in the configured format. Without an offset it is of the configured zone, and
    /// the earlier one where the clock was set back: to ask for an hour again loses nothing.
    fn time(&self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        if let Ok(time) = text.parse() {
            return Some(time);
        }
        let of_zone = |time: DateTime| self.zone.to_ambiguous_timestamp(time).earlier().ok();
        if let Ok(time) = text.parse::<DateTime>() {
            return of_zone(time);
        }
        let parts = strtime::parse(self.format.as_deref()?, text).ok()?;
        parts
            .to_timestamp()
            .ok()
            .or_else(|| of_zone(parts.to_datetime().ok()?))
    }
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!("\"{name}\" is no time zone: write a name such as \"Europe/Berlin\" or \"UTC\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        let config: WatermarkConfig = toml::from_str(text).expect(text);
        Rule::new(&config, TakenFrom::Column(0)).expect(text)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    #[test]
    fn what_watermarks_are_is_told_by_the_first() {
        for (start, expected) in [
            ("2026-01-01T00:00:00Z", WatermarkType::Time),
            ("2026-01-01T00:00:00.5+01:00", WatermarkType::Time),
            ("2026-01-01T00:00:00", WatermarkType::Time),
            ("0", WatermarkType::Number),
            ("0x00A1", WatermarkType::Opaque),
            ("", WatermarkType::Opaque),
        ] {
            assert_eq!(
                rule(&format!("start = '{start}'")).kind(),
                expected,
                "{start}"
            );
        }
        let said = "start = '17'\ntype = 'opaque'";
        assert_eq!(rule(said).kind(), WatermarkType::Opaque);
    }

    #[test]
    fn a_watermark_grows_by_what_it_is_and_not_by_its_letters() {
        for (setting, old, new, expected) in [
            ("start = '9'", "9", "10", true),
            ("start = '9'", "10", "9", false),
            ("start = '9'", "10", "ten", false),
            (
                "start = '2026-01-01T00:00:00Z'",
                "2026-01-01T01:00:00+01:00",
                "2026-01-01T00:00:01Z",
                true,
            ),
            (
                "start = '2026-01-01T00:00:00Z'",
                "2026-01-01T00:00:00Z",
                "2026-01-01T00:30:00+01:00",
                false,
            ),
            ("start = ''", "b", "a", true),
            ("start = ''", "b", "", false),
        ] {
            assert_eq!(
                rule(setting).grows(old, new),
                expected,
                "{setting}: {old} to {new}"
            );
        }
    }

    /// Scenario 20: time zones around the watermark.
    #[test]
    fn what_is_asked_for_is_written_as_the_service_wants_it() {
        for (setting, from, since) in [
            (
                "",
                "2026-03-29T00:30:00.5+01:00",
                "2026-03-29T00:30:00.5+01:00",
            ),
            (
                "overlap = '5m'",
                "2026-03-29T00:30:00.5+01:00",
                "2026-03-28T23:25:00.5Z",
            ),
            (
                "zone = 'Europe/Berlin'\noverlap = '5m'",
                "2026-03-29T03:02:00",
                "2026-03-29T01:57:00+01:00",
            ),
            (
                "zone = 'Europe/Berlin'\nformat = '%Y-%m-%d %H:%M:%S'",
                "2026-11-23T08:15:00Z",
                "2026-11-23 09:15:00",
            ),
            (
                "zone = 'Europe/Berlin'\nformat = '%d.%m.%Y %H:%M'\noverlap = '1h'",
                "23.11.2026 00:15",
                "22.11.2026 23:15",
            ),
            // The clock was set back at three: it is the earlier of both.
            (
                "zone = 'Europe/Berlin'\noverlap = '1s'",
                "2026-10-25T02:30:00",
                "2026-10-25T02:29:59+02:00",
            ),
        ] {
            let rule = rule(&format!(
                "type = 'time'\nstart = '2026-01-01T00:00:00Z'\n{setting}"
            ));
            let window = rule
                .window(from, at("2026-06-01T10:00:00Z"))
                .expect("a window");
            assert_eq!(window.since, since, "{setting}: {from}");
        }
    }

    #[test]
    fn a_time_far_ahead_is_a_mistake() {
        let rule = rule("start = '2026-01-01T00:00:00Z'");
        let now = at("2026-11-27T00:00:00Z");
        assert!(!rule.is_ahead("2026-11-27T23:00:00Z", now));
        assert!(rule.is_ahead("2206-11-27T00:00:00Z", now));
    }

    #[test]
    fn a_zone_and_a_format_that_are_none_are_told() {
        for (setting, expected) in [
            ("zone = 'Berlin'", "is no time zone"),
            ("format = '%J'", "is no format of a time"),
        ] {
            let config = format!("start = '2026-01-01T00:00:00Z'\n{setting}");
            let config: WatermarkConfig = toml::from_str(&config).expect("it is TOML");
            let wrong = Rule::new(&config, TakenFrom::Column(0)).expect_err(setting);
            assert!(wrong.contains(expected), "{wrong}");
        }
    }
}
