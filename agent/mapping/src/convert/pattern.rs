//! Times written after a pattern such as `%Y%m%d%H%M%S`.
//!
//! `jiff` says what a pattern means. The common ones, digits at fixed places, are read by hand
//! because that is ten times faster; what the hand doesn't take is `jiff`'s to read or to refuse.

use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::Offset;
use jiff::{Timestamp, ZonedDateTime};

use super::civil::{Civil, digits, fraction};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    format: String,
    fast: Option<Vec<Item>>,
    /// The text's length where the pattern is digits alone: a shorter text lost some.
    packed: Option<usize>,
    /// Whether it reads an offset, a zone or seconds since 1970.
    pub(crate) names_instant: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// `%f`: 1 to 9 digits.
    Fraction,
    /// `%.f`: nothing, or a point and 1 to 9 digits.
    PointFraction,
    Byte(u8),
}

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// A local time: seconds as if it were UTC, and microseconds.
    Local { seconds: i64, micros: i64 },
    /// Microseconds since 1970-01-01T00:00:00Z.
    Instant(i64),
}

/// A moment whose every part differs, for trying patterns.
const SAMPLE: &str = "2026-11-23T17:45:09.123456+01:00[Europe/Berlin]";

impl Pattern {
    /// Compiles a pattern after trying it on a sample.
    ///
    /// # Errors
    /// Why it can't be used, in `jiff`'s words.
    pub(crate) fn compile(format: &str) -> Result<Self, String> {
        let said = |error: jiff::Error| error.to_string();
        let sample: ZonedDateTime = SAMPLE.parse().map_err(said)?;
        let text = BrokenDownTime::from(&sample)
            .to_string(format)
            .map_err(said)?;
        let read = BrokenDownTime::parse(format, &text).map_err(said)?;
        let names_instant = read.timestamp().is_some()
            || read.offset().is_some()
            || read.iana_time_zone().is_some();
        if read.timestamp().is_none() {
            read.to_datetime().map_err(said)?;
        }
        let fast = items(format);
        let packed = fast.as_deref().and_then(packed);
        Ok(Self {
            format: format.to_owned(),
            fast,
            packed,
            names_instant,
        })
    }

    /// As it stands in the configuration.
    pub(crate) fn as_str(&self) -> &str {
        &self.format
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Why it isn't one.
    #[inline]
    pub(crate) fn read(&self, text: &str) -> Result<Read, String> {
        match self.fast(text.as_bytes()) {
            Some(civil) => Ok(Read::Local {
                seconds: civil.seconds(),
                micros: civil.micros,
            }),
            None => self.slow(text),
        }
    }

    #[inline]
    pub(crate) fn fast(&self, text: &[u8]) -> Option<Civil> {
        let mut rest = text;
        let mut civil = Civil::EMPTY;
        for item in self.fast.as_deref()? {
            let (part, count) = match item {
                Item::Year => (&mut civil.year, 4),
                Item::Month => (&mut civil.month, 2),
                Item::Day => (&mut civil.day, 2),
                Item::Hour => (&mut civil.hour, 2),
                Item::Minute => (&mut civil.minute, 2),
                Item::Second => (&mut civil.second, 2),
                Item::Byte(byte) => {
                    rest = rest.strip_prefix(&[*byte])?;
                    continue;
                }
                Item::Fraction => {
                    (civil.micros, rest) = fraction(rest)?;
                    continue;
                }
                Item::PointFraction => {
                    if let Some(digits) = rest.strip_prefix(b".") {
                        (civil.micros, rest) = fraction(digits)?;
                    }
                    continue;
                }
            };
            (*part, rest) = digits(rest, count)?;
        }
        (rest.is_empty() && civil.is_valid()).then_some(civil)
    }

    #[cold]
    fn slow(&self, text: &str) -> Result<Read, String> {
        if let Some(length) = self.packed.filter(|length| *length != text.len()) {
            return Err(format!(
                "it has {} characters instead of {length}",
                text.chars().count()
            ));
        }
        self.truth(text)
    }

    /// What `jiff` reads.
    pub(crate) fn truth(&self, text: &str) -> Result<Read, String> {
        let said = |error: jiff::Error| error.to_string();
        let read = strtime::parse(&self.format, text).map_err(said)?;
        if read.timestamp().is_some() || read.offset().is_some() {
            return Ok(Read::Instant(micros_of(read.to_timestamp().map_err(said)?)));
        }
        if read.iana_time_zone().is_some() {
            return Ok(Read::Instant(micros_of(
                read.to_zoned_datetime().map_err(said)?.timestamp(),
            )));
        }
        let local = read.to_datetime().map_err(said)?;
        Ok(local_of(Offset::UTC.to_timestamp(local).map_err(said)?))
    }

    /// The calendar date that a text says.
    ///
    /// # Errors
    /// Why it says none.
    pub(crate) fn date(&self, text: &str) -> Result<(i64, i64, i64), String> {
        if let Some(civil) = self.fast(text.as_bytes()) {
            return Ok((civil.year, civil.month, civil.day));
        }
        self.slow_date(text)
    }

    #[cold]
    fn slow_date(&self, text: &str) -> Result<(i64, i64, i64), String> {
        self.slow(text)?;
        let said = |error: jiff::Error| error.to_string();
        let date = strtime::parse(&self.format, text)
            .and_then(|read| read.to_date())
            .map_err(said)?;
        Ok((
            i64::from(date.year()),
            i64::from(date.month()),
            i64::from(date.day()),
        ))
    }
}

/// Microseconds since 1970; what is finer is cut off downwards.
pub(crate) fn micros_of(at: Timestamp) -> i64 {
    at.as_nanosecond().div_euclid(1_000) as i64
}

/// A local time that was read as if it were UTC.
pub(crate) fn local_of(as_utc: Timestamp) -> Read {
    let micros = micros_of(as_utc);
    Read::Local {
        seconds: micros.div_euclid(1_000_000),
        micros: micros.rem_euclid(1_000_000),
    }
}

/// The pattern as items; `None` where it has what only `jiff` reads.
fn items(format: &str) -> Option<Vec<Item>> {
    use Item::{Byte, Day, Fraction, Hour, Minute, Month, PointFraction, Second, Year};
    let mut items = Vec::new();
    let mut rest = format.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            // A run of white space matches any amount of it: only the single space is for the hand.
            let run = *first == b' ' && after.first() == Some(&b' ');
            if run || (first.is_ascii_whitespace() && *first != b' ') {
                return None;
            }
            items.push(Byte(*first));
            continue;
        }
        let (directive, after) = rest.split_first()?;
        rest = after;
        match directive {
            b'Y' => items.push(Year),
            b'm' => items.push(Month),
            b'd' => items.push(Day),
            b'H' => items.push(Hour),
            b'M' => items.push(Minute),
            b'S' => items.push(Second),
            b'F' => items.extend([Year, Byte(b'-'), Month, Byte(b'-'), Day]),
            b'T' => items.extend([Hour, Byte(b':'), Minute, Byte(b':'), Second]),
            b'R' => items.extend([Hour, Byte(b':'), Minute]),
            b'f' => items.push(Fraction),
            b'.' => {
                rest = rest.strip_prefix(b"f")?;
                items.push(PointFraction);
            }
            b'%' => items.push(Byte(b'%')),
            _ => return None,
        }
    }
    let has = |item| items.contains(&item);
    (has(Year) && has(Month) && has(Day)).then_some(items)
}

fn packed(items: &[Item]) -> Option<usize> {
    items
        .iter()
        .map(|item| match item {
            Item::Year => Some(4),
            Item::Byte(_) | Item::Fraction | Item::PointFraction => None,
            _ => Some(2),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: [&str; 9] = [
        "%Y%m%d%H%M%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S%.f",
        "%F %T.%f",
        "%d.%m.%Y %H:%M",
        "%Y%m%d",
        "%d/%m/%Y",
        "%y%m%d",
        "%b %d %Y %I:%M %p",
    ];

    #[test]
    fn patterns_read_what_they_say() {
        for (format, text, expected) in [
            ("%Y%m%d%H%M%S", "20261123071500", "2026-11-23T07:15:00Z"),
            (
                "%Y-%m-%d %H:%M:%S%.f",
                "2026-11-23 07:15:00.25",
                "2026-11-23T07:15:00.25Z",
            ),
            (
                "%Y-%m-%d %H:%M:%S%.f",
                "2026-11-23 07:15:00",
                "2026-11-23T07:15:00Z",
            ),
            ("%d.%m.%Y", "23.11.2026", "2026-11-23T00:00:00Z"),
            ("%d.%m.%Y", "1.2.2026", "2026-02-01T00:00:00Z"),
            ("%y%m%d", "261123", "2026-11-23T00:00:00Z"),
            (
                "%b %d %Y %I:%M %p",
                "Nov 23 2026 07:15 PM",
                "2026-11-23T19:15:00Z",
            ),
            ("%Y%j", "2026327", "2026-11-23T00:00:00Z"),
            ("%Y%m%d%H%M%S", "20261231235960", "2026-12-31T23:59:59Z"),
        ] {
            let read = Pattern::compile(format).expect(format).read(text);
            let expected = local_of(expected.parse().expect("a timestamp"));
            assert_eq!(read, Ok(expected), "{text} as {format}");
        }
        let zoned = Pattern::compile("%Y-%m-%d %H:%M %z").expect("a pattern");
        assert!(zoned.names_instant);
        let at: Timestamp = "2026-11-23T05:15:00Z".parse().expect("a timestamp");
        assert_eq!(
            zoned.read("2026-11-23 07:15 +0200"),
            Ok(Read::Instant(micros_of(at)))
        );
    }

    #[test]
    fn a_packed_text_that_lost_digits_is_refused() {
        let pattern = Pattern::compile("%Y%m%d%H%M%S").expect("a pattern");
        let refused = pattern.read("2026112307150").expect_err("13 digits");
        assert_eq!(refused, "it has 13 characters instead of 14");
        assert!(pattern.read("20261323071500").is_err());
        assert!(pattern.read("20260229071500").is_err());
        assert!(pattern.read("2026112324000O").is_err());
    }

    #[test]
    fn patterns_that_say_no_date_or_cannot_be_read_are_refused() {
        for format in ["%H:%M", "%Q%", "%Y-%m", "%J", "date", "", "%c", "%Y%m%d %Z"] {
            assert!(Pattern::compile(format).is_err(), "{format}");
        }
    }

    #[test]
    fn the_hand_takes_the_common_patterns() {
        for (format, by_hand) in PATTERNS
            .iter()
            .zip([true, true, true, true, true, true, true, false, false])
        {
            assert_eq!(
                Pattern::compile(format).expect(format).fast.is_some(),
                by_hand,
                "{format}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn what_the_hand_reads_is_what_jiff_reads(
            which in 0_usize..7, y in 1_i64..9999, m in 0_i64..14, d in 0_i64..33, h in 0_i64..25, min in 0_i64..61,
            s in 0_i64..61, f in "[0-9]{0,10}",
        ) {
            let pattern = Pattern::compile(PATTERNS[which]).expect("a pattern");
            let text = match which {
                0 => format!("{y:04}{m:02}{d:02}{h:02}{min:02}{s:02}"),
                1 => format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}"),
                2 | 3 => format!("{y:04}-{m:02}-{d:02} {h:02}:{min:02}:{s:02}.{f}"),
                4 => format!("{d:02}.{m:02}.{y:04} {h:02}:{min:02}"),
                5 => format!("{y:04}{m:02}{d:02}"),
                _ => format!("{d:02}/{m:02}/{y:04}"),
            };
            let read = pattern.read(&text);
            let truth = pattern.truth(&text);
            proptest::prop_assert_eq!(read.clone().ok(), truth.ok(), "{}", text);
            if let Some(civil) = pattern.fast(text.as_bytes()) {
                let by_hand = Read::Local { seconds: civil.seconds(), micros: civil.micros };
                proptest::prop_assert_eq!(read, Ok(by_hand));
            }
        }

        #[test]
        fn garbage_is_read_as_jiff_reads_it(which in 1_usize..7, text in "[0-9T:. /-]{0,20}") {
            let pattern = Pattern::compile(PATTERNS[which]).expect("a pattern");
            if let Some(civil) = pattern.fast(text.as_bytes()) {
                let by_hand = Read::Local { seconds: civil.seconds(), micros: civil.micros };
                proptest::prop_assert_eq!(pattern.truth(&text), Ok(by_hand));
            }
        }
    }
}
