//! What a column holds, and its values made what they are in every database's records.

/// What a column holds, as far as that says how a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// With all its digits.
    Decimal,
    Boolean,
    Text,
    /// Written `\x` and hexadecimal digits.
    Bytes,
    /// Without a zone: `2026-11-27 08:15:00.5`.
    Time,
    /// The same in UTC, of a session whose zone that is.
    TimeUtc,
    /// A time of the day, or a span of time.
    DayTime,
    /// The same in UTC.
    DayTimeUtc,
    /// Stands as the database writes it.
    Other,
}

/// Puts a value behind what is there: true and false, times as ISO 8601, everything else as it is.
pub(super) fn put(out: &mut String, kind: Kind, text: &str) {
    match kind {
        Kind::Boolean => out.push_str(match text {
            "t" | "1" => "true",
            "f" | "0" => "false",
            other => other,
        }),
        Kind::Time => put_time(out, text, ""),
        Kind::TimeUtc => put_time(out, text.strip_suffix("+00").unwrap_or(text), "Z"),
        Kind::DayTime => out.push_str(short(text)),
        Kind::Integer => out.push_str(plain(text)),
        Kind::DayTimeUtc => match text.strip_suffix("+00") {
            Some(time) => {
                out.push_str(time);
                out.push('Z');
            }
            None => out.push_str(text),
        },
        Kind::Decimal | Kind::Text | Kind::Bytes | Kind::Other => {
            out.push_str(text);
        }
    }
}

/// `2026-11-27 08:15:00.50` → `2026-11-27T08:15:00.5`. Infinity and years before Christ have no other notation and stay; MariaDB's time that
/// is none has no zone.
fn put_time(out: &mut String, text: &str, zone: &str) {
    let is_date = |date: &str| date.starts_with(|first: char| first.is_ascii_digit());
    match text.split_once(' ') {
        Some((date, time)) if !time.contains(' ') && is_date(date) => {
            out.push_str(date);
            out.push('T');
            out.push_str(short(time));
            if date != "0000-00-00" {
                out.push_str(zone);
            }
        }
        _ => out.push_str(text),
    }
}

/// A time without zeros that say nothing.
fn short(time: &str) -> &str {
    match time.contains('.') {
        true => time.trim_end_matches('0').trim_end_matches('.'),
        false => time,
    }
}

/// A number without them (MariaDB's ZEROFILL).
fn plain(number: &str) -> &str {
    match number.trim_start_matches('0') {
        "" => &number[number.len().saturating_sub(1)..],
        plain => plain,
    }
}

/// Bytes as `\x` and hexadecimal digits.
pub(super) fn put_bytes(out: &mut String, bytes: &[u8]) {
    out.push_str("\\x");
    out.push_str(&hex::encode(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_are_in_every_databases_records() {
        for (kind, text, expected) in [
            (Kind::Boolean, "t", "true"),
            (Kind::Boolean, "0", "false"),
            (Kind::Boolean, "2", "2"),
            (Kind::Time, "2026-11-27 08:15:00.5", "2026-11-27T08:15:00.5"),
            (Kind::Time, "0000-00-00 00:00:00", "0000-00-00T00:00:00"),
            (
                Kind::Time,
                "0044-03-15 12:00:00 BC",
                "0044-03-15 12:00:00 BC",
            ),
            (
                Kind::TimeUtc,
                "2026-11-27 08:15:00+00",
                "2026-11-27T08:15:00Z",
            ),
            (Kind::TimeUtc, "2026-11-27 08:15:00", "2026-11-27T08:15:00Z"),
            (Kind::TimeUtc, "-infinity", "-infinity"),
            (Kind::DayTimeUtc, "08:15:00+00", "08:15:00Z"),
            (Kind::DayTimeUtc, "08:15:00+02", "08:15:00+02"),
            (
                Kind::Decimal,
                "12345678901234567890.0100",
                "12345678901234567890.0100",
            ),
            (Kind::Text, "t 1", "t 1"),
        ] {
            let mut out = String::new();
            put(&mut out, kind, text);
            assert_eq!(out, expected, "{kind:?} {text}");
        }
        let mut out = String::new();
        put_bytes(&mut out, b"\0\xff");
        assert_eq!(out, "\\x00ff");
    }
}
