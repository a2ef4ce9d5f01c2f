//! Dates and times among a column's values, in the formats that a mapping takes.

use super::ColumnType;

/// What is tried, the likelier first. Patterns are as for `strptime`.
const DATES: [&str; 14] = [
    "%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d",
    "%Y.%m.%d", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d%m%Y", "%d-%b-%Y",
];
const TIMES: [&str; 20] = [
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d-%H.%M.%S",
    "%Y-%m-%d %H:%M",
    "%Y%m%d%H%M%S",
    "%Y%m%d%H%M",
    "%Y%m%dT%H%M%S",
    "%Y%m%d %H%M%S",
    "%Y%m%d %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%Y/%m/%dT%H:%M:%S%z",
    "%Y/%m/%d %H:%M:%S",
    "%d-%m-%Y %H:%M:%S",
    "%d%m%Y%H%M%S",
];
/// What a mapping reads as `iso8601`.
const ISO: [&str; 4] = [
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
];
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Dates or times, if all values are that in one format.
pub(super) fn of(name: &str, values: &[&str]) -> Option<ColumnType> {
    let all = |format: &&&str| values.iter().all(|value| fits(format, value));
    if let Some(format) = DATES.iter().find(all) {
        return Some(ColumnType::Date {
            format: shown(format),
            ambiguous: other(format).is_some_and(|other| all(&&other)),
        });
    }
    if let Some(format) = TIMES.iter().find(all) {
        return Some(ColumnType::Timestamp {
            format: shown(format),
            ambiguous: other(format).is_some_and(|other| all(&&other)),
        });
    }
    unix(name, values)
}

fn shown(format: &&'static str) -> &'static str {
    if ISO.contains(format) {
        return "iso8601";
    }
    format
}

/// The format with day and month the other way round.
fn other(format: &str) -> Option<&'static str> {
    let other = if let Some(rest) = format.strip_prefix("%m/%d") {
        format!("%d/%m{rest}")
    } else {
        format!("%d-%m{}", format.strip_prefix("%m-%d")?)
    };
    let mut all = DATES.iter().chain(&TIMES);
    all.find(|known| **known == other).copied()
}

/// Seconds or milliseconds since 1970, where the column's name says time.
fn unix(name: &str, values: &[&str]) -> Option<ColumnType> {
    let name = name.to_ascii_lowercase();
    let says = ["time", "date", "stamp", "_at", "_ts", "epoch"];
    if !says.iter().any(|word| name.contains(word)) {
        return None;
    }
    let format = [(10, "unix"), (13, "unix_ms")];
    let found = format.iter().find(|(digits, _)| {
        let is = |value: &&str| {
            value.len() == *digits
                && value.starts_with('1')
                && value.bytes().all(|b| b.is_ascii_digit())
        };
        values.iter().all(is)
    });
    found.map(|(_, format)| ColumnType::Timestamp {
        format,
        ambiguous: false,
    })
}

/// Whether a text is written so, and its parts are a day's and a clock's.
fn fits(format: &str, text: &str) -> bool {
    let (mut format, mut rest) = (format.bytes(), text.as_bytes());
    while let Some(byte) = format.next() {
        let part = if byte == b'%' { format.next() } else { None };
        let left = match part {
            None => rest.strip_prefix(&[byte]),
            Some(b'z') => return offset(rest),
            Some(b'b') => month(rest),
            Some(b'Y') => number(rest, 4, 1900..=2099),
            Some(b'y') => number(rest, 2, 0..=99),
            Some(b'm') => number(rest, 2, 1..=12),
            Some(b'd') => number(rest, 2, 1..=31),
            Some(b'H') => number(rest, 2, 0..=23),
            Some(b'M') => number(rest, 2, 0..=59),
            Some(b'S') => number(rest, 2, 0..=60).map(fraction),
            Some(_) => None,
        };
        match left {
            Some(left) => rest = left,
            None => return false,
        }
    }
    rest.is_empty()
}

fn number(text: &[u8], digits: usize, within: std::ops::RangeInclusive<u32>) -> Option<&[u8]> {
    let (number, rest) = text.split_at_checked(digits)?;
    let mut value = 0;
    for digit in number {
        value = 10 * value + char::from(*digit).to_digit(10)?;
    }
    within.contains(&value).then_some(rest)
}

fn month(text: &[u8]) -> Option<&[u8]> {
    let (name, rest) = text.split_at_checked(3)?;
    let is = |month: &&str| month.as_bytes().eq_ignore_ascii_case(name);
    MONTHS.iter().any(is).then_some(rest)
}

/// A point and digits may follow the seconds.
fn fraction(text: &[u8]) -> &[u8] {
    match text {
        [b'.', digit, ..] if digit.is_ascii_digit() => {
            let digits = text[1..].iter().take_while(|byte| byte.is_ascii_digit());
            &text[1 + digits.count()..]
        }
        _ => text,
    }
}

fn offset(text: &[u8]) -> bool {
    let Some((b'+' | b'-', digits)) = text.split_first() else {
        return text == b"Z";
    };
    let minutes = |rest: &[u8]| number(rest, 2, 0..=59).is_some_and(<[u8]>::is_empty);
    match number(digits, 2, 0..=14) {
        Some([]) => true,
        Some([b':', rest @ ..] | rest) => minutes(rest),
        None => false,
    }
}
