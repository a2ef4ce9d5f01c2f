//! ISO 8601 as systems write it: RFC 3339, with or without an offset, with `T` or a space.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::civil::{Civil, digits, fraction};
use super::pattern::{Read, local_of, micros_of};

/// Reads a time.
///
/// # Errors
/// Why it isn't one, in `jiff`'s words.
#[inline]
pub(crate) fn time(text: &str) -> Result<Read, String> {
    fast(text.as_bytes()).map_or_else(|| truth(text), Ok)
}

#[cold]
fn truth(text: &str) -> Result<Read, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Read::Instant(micros_of(at)));
    }
    let said = |error: jiff::Error| error.to_string();
    let local: DateTime = text.parse().map_err(said)?;
    Ok(local_of(Offset::UTC.to_timestamp(local).map_err(said)?))
}

#[inline]
fn fast(text: &[u8]) -> Option<Read> {
    let (mut civil, rest) = day(text)?;
    let rest = rest
        .strip_prefix(b"T")
        .or_else(|| rest.strip_prefix(b" "))?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(b":")?, 2)?;
    let (second, mut rest) = digits(rest.strip_prefix(b":")?, 2)?;
    if let Some(after) = rest.strip_prefix(b".") {
        (civil.micros, rest) = fraction(after)?;
    }
    civil = Civil {
        hour,
        minute,
        second,
        ..civil
    };
    if !civil.is_valid() {
        return None;
    }
    let (seconds, micros) = (civil.seconds(), civil.micros);
    match rest {
        [] => Some(Read::Local { seconds, micros }),
        b"Z" => Some(Read::Instant(seconds * 1_000_000 + micros)),
        [sign @ (b'+' | b'-'), offset @ ..] => {
            let (hours, offset) = digits(offset, 2)?;
            let (minutes, offset) = digits(offset.strip_prefix(b":")?, 2)?;
            // What is odd (an offset of more than a day's part, "-00:00") is jiff's to judge.
            if !offset.is_empty() || hours > 14 || minutes > 59 || (hours, minutes) == (0, 0) {
                return None;
            }
            let ahead = hours * 3_600 + minutes * 60;
            let utc = if *sign == b'+' {
                seconds - ahead
            } else {
                seconds + ahead
            };
            Some(Read::Instant(utc * 1_000_000 + micros))
        }
        _ => None,
    }
}

fn day(text: &[u8]) -> Option<(Civil, &[u8])> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix(b"-")?, 2)?;
    let (day, rest) = digits(rest.strip_prefix(b"-")?, 2)?;
    Some((
        Civil {
            year,
            month,
            day,
            ..Civil::EMPTY
        },
        rest,
    ))
}

/// Reads a date; of a time, its date as written.
///
/// # Errors
/// Why it isn't one, in `jiff`'s words.
pub(crate) fn date(text: &str) -> Result<(i64, i64, i64), String> {
    if let Some((civil, [])) = day(text.as_bytes())
        && civil.is_valid()
    {
        return Ok((civil.year, civil.month, civil.day));
    }
    let date: Date = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    Ok((
        i64::from(date.year()),
        i64::from(date.month()),
        i64::from(date.day()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times_are_read_with_and_without_offset() {
        for (text, expected) in [
            ("2026-11-23T07:15:00Z", "2026-11-23T07:15:00Z"),
            (
                "2026-11-23 07:15:00.123456+02:00",
                "2026-11-23T05:15:00.123456Z",
            ),
            ("2026-11-23T07:15:00-03:30", "2026-11-23T10:45:00Z"),
            ("2026-11-23T07:15:00+0200", "2026-11-23T05:15:00Z"),
            ("20261123T071500Z", "2026-11-23T07:15:00Z"),
            ("2026-11-23T07:15+01", "2026-11-23T06:15:00Z"),
        ] {
            let at = micros_of(expected.parse().expect("a timestamp"));
            assert_eq!(time(text), Ok(Read::Instant(at)), "{text}");
        }
        for (text, expected) in [
            ("2026-11-23T07:15:00", "2026-11-23T07:15:00Z"),
            ("2026-11-23 07:15:00.5", "2026-11-23T07:15:00.5Z"),
            ("2026-11-23", "2026-11-23T00:00:00Z"),
        ] {
            assert_eq!(
                time(text),
                Ok(local_of(expected.parse().expect("a timestamp"))),
                "{text}"
            );
        }
        for text in ["23.11.2026", "2026-13-01T00:00:00", "2026-02-30", "", "now"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_are_read() {
        for (text, expected) in [
            ("2026-11-23", Ok((2026, 11, 23))),
            ("20261123", Ok((2026, 11, 23))),
            ("2026-11-23T23:59:59", Ok((2026, 11, 23))),
            ("2026-02-30", Err(())),
            ("0", Err(())),
        ] {
            assert_eq!(date(text).map_err(|_| ()), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_the_hand_reads_is_what_jiff_reads(
            y in 1_i64..9999, m in 0_i64..14, d in 0_i64..33, h in 0_i64..25, min in 0_i64..61, s in 0_i64..61,
            t in "[T ]", f in "(\\.[0-9]{1,9})?", o in "(Z|[+-][01][0-9]:[0-6][0-9])?",
        ) {
            let text = format!("{y:04}-{m:02}-{d:02}{t}{h:02}:{min:02}:{s:02}{f}{o}");
            proptest::prop_assert_eq!(time(&text).ok(), truth(&text).ok(), "{}", text);
        }
    }
}
