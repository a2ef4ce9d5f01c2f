//! How texts of times are written, where nothing but their form puts them in an order: SQLite's.

use jiff::civil::DateTime;

/// What stands between a date and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// There is no time: a row is read when its day is over.
    Date,
    Space,
    T,
}

impl Form {
    /// That of a text.
    pub(super) fn of(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let date = bytes.get(..10)?;
        let is_date = date.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        match (is_date, bytes.get(10)) {
            (false, _) => None,
            (true, None) => Some(Self::Date),
            (true, Some(b' ')) => Some(Self::Space),
            (true, Some(b'T')) => Some(Self::T),
            (true, Some(_)) => None,
        }
    }

    /// A time in it, which texts of the same form are compared with.
    pub(super) fn write(self, time: DateTime) -> String {
        let date = time.date();
        let between = match self {
            Self::Date => return date.to_string(),
            Self::Space => ' ',
            Self::T => 'T',
        };
        let text = format!("{date}{between}{:.6}", time.time());
        // No text of this time is below it, however many digits that has.
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_its_table_writes_them() {
        let time: DateTime = "2026-11-27T08:15:00.5".parse().expect("a time");
        for (text, expected) in [
            ("2026-11-27", Some("2026-11-27")),
            ("2026-11-27 08:00:00", Some("2026-11-27 08:15:00.5")),
            ("2026-11-27T08:00Z", Some("2026-11-27T08:15:00.5")),
            ("20261127T0800", None),
            ("1795767300", None),
            ("27.11.2026", None),
            ("2026-11-27_08", None),
            ("", None),
        ] {
            let written = Form::of(text).map(|form| form.write(time));
            assert_eq!(written.as_deref(), expected, "{text}");
        }
    }
}
