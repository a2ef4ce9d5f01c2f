//! Values as a session with `DateStyle = ISO`, `TimeZone = UTC` and `IntervalStyle = iso_8601` writes them, made what they are in every
//! database's records: true and false, times as ISO 8601.
//!
//! Everything else stands as PostgreSQL writes it: numbers with all their digits, `bytea` as `\x` and hexadecimal digits, arrays and ranges
//! in its own notation.

/// `boolean`, by its number in `pg_type`.
const BOOLEAN: u32 = 16;
/// `timestamp without time zone`.
const TIMESTAMP: u32 = 1_114;
/// `timestamp with time zone`.
const TIMESTAMP_TZ: u32 = 1_184;
/// `time with time zone`.
const TIME_TZ: u32 = 1_266;

/// Puts a value of this type behind what is there.
pub(super) fn put(out: &mut String, type_oid: u32, text: &str) {
    match type_oid {
        BOOLEAN => out.push_str(match text {
            "t" => "true",
            "f" => "false",
            other => other,
        }),
        TIMESTAMP => put_time(out, text, ""),
        TIMESTAMP_TZ => put_time(out, text, "Z"),
        TIME_TZ => match text.strip_suffix("+00") {
            Some(time) => {
                out.push_str(time);
                out.push('Z');
            }
            None => out.push_str(text),
        },
        _ => out.push_str(text),
    }
}

/// `2026-11-27 08:15:00.5+00` → `2026-11-27T08:15:00.5Z`. Infinity and years before Christ have no other notation and stay.
fn put_time(out: &mut String, text: &str, zone: &str) {
    let time = match zone {
        "" => Some(text),
        _ => text.strip_suffix("+00"),
    };
    match time.and_then(|time| time.split_once(' ')) {
        Some((date, time)) if !time.contains(' ') => {
            out.push_str(date);
            out.push('T');
            out.push_str(time);
            out.push_str(zone);
        }
        _ => out.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_are_in_every_databases_records() {
        for (type_oid, text, expected) in [
            (BOOLEAN, "t", "true"),
            (BOOLEAN, "f", "false"),
            (TIMESTAMP, "2026-11-27 08:15:00", "2026-11-27T08:15:00"),
            (
                TIMESTAMP,
                "2026-11-27 08:15:00.123456",
                "2026-11-27T08:15:00.123456",
            ),
            (TIMESTAMP, "infinity", "infinity"),
            (
                TIMESTAMP,
                "0044-03-15 12:00:00 BC",
                "0044-03-15 12:00:00 BC",
            ),
            (
                TIMESTAMP,
                "294276-12-31 23:59:59.999999",
                "294276-12-31T23:59:59.999999",
            ),
            (
                TIMESTAMP_TZ,
                "2026-11-27 08:15:00.5+00",
                "2026-11-27T08:15:00.5Z",
            ),
            (TIMESTAMP_TZ, "-infinity", "-infinity"),
            (
                TIMESTAMP_TZ,
                "0044-03-15 12:00:00+00 BC",
                "0044-03-15 12:00:00+00 BC",
            ),
            (TIME_TZ, "08:15:00+00", "08:15:00Z"),
            (TIME_TZ, "08:15:00+05:30", "08:15:00+05:30"),
            (
                1_700,
                "12345678901234567890.0100",
                "12345678901234567890.0100",
            ),
            (1_700, "NaN", "NaN"),
            (25, "t", "t"),
            (17, "\\x00ff", "\\x00ff"),
            (1_007, "{1,NULL,3}", "{1,NULL,3}"),
        ] {
            let mut out = String::from("before ");
            put(&mut out, type_oid, text);
            assert_eq!(out, format!("before {expected}"), "{type_oid}");
        }
    }
}
