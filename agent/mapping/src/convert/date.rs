//! A text to a calendar date, written as ISO 8601.

use super::iso;
use super::pattern::Pattern;

/// How a field's dates are written at the source.
#[derive(Debug, Clone)]
pub(crate) enum DateRule {
    Pattern(Pattern),
    Iso8601,
}

impl DateRule {
    /// The date as `2026-11-23`, made in `room` where the text isn't that already.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the value.
    pub(crate) fn text<'a>(&self, text: &'a str, room: &'a mut String) -> Result<&'a str, String> {
        let date = match self {
            Self::Pattern(pattern) => pattern.date(text),
            Self::Iso8601 => iso::date(text),
        };
        let (year, month, day) = date.map_err(|reason| self.explain(&reason))?;
        if !(1..=9999).contains(&year) {
            return Err("lies outside the years 1 to 9999".into());
        }
        room.clear();
        put(room, year, 4);
        room.push('-');
        put(room, month, 2);
        room.push('-');
        put(room, day, 2);
        Ok(room)
    }

    #[cold]
    fn explain(&self, reason: &str) -> String {
        match self {
            Self::Pattern(pattern) => format!("is not a date as {}: {reason}", pattern.as_str()),
            Self::Iso8601 => format!(
                "is not an ISO 8601 date: {reason}; if it is written otherwise, set type = \"date\" and a format"
            ),
        }
    }
}

/// Appends a number from 0 with this many digits.
fn put(out: &mut String, number: i64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (number / 10_i64.pow(place) % 10) as u8;
        out.push(char::from(b'0' + digit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_iso() {
        for (format, text, expected) in [
            ("%Y%m%d", "20261123", Ok("2026-11-23")),
            ("%d.%m.%Y", "23.11.2026", Ok("2026-11-23")),
            ("%d.%m.%Y", "3.1.2026", Ok("2026-01-03")),
            ("%y%m%d", "261123", Ok("2026-11-23")),
            ("%Y%j", "2026001", Ok("2026-01-01")),
            (
                "%Y%m%d",
                "2026112",
                Err("is not a date as %Y%m%d: it has 7 characters instead of 8"),
            ),
            ("%Y%m%d", "00000000", Err("is not a date as %Y%m%d: ")),
        ] {
            let rule = DateRule::Pattern(Pattern::compile(format).expect(format));
            let mut room = String::new();
            match (rule.text(text, &mut room), expected) {
                (Ok(date), Ok(expected)) => assert_eq!(date, expected),
                (Err(reason), Err(start)) => assert!(reason.starts_with(start), "{reason}"),
                (other, _) => panic!("{text} as {format}: {other:?}"),
            }
        }
        let mut room = String::new();
        assert_eq!(
            DateRule::Iso8601.text("2026-11-23", &mut room),
            Ok("2026-11-23")
        );
        let refused = DateRule::Iso8601
            .text("23.11.2026", &mut room)
            .expect_err("not ISO");
        assert!(refused.contains("set type = \"date\""), "{refused}");
    }
}
