//! Calendar arithmetic on plain numbers, for the fast ways; `jiff` is what the tests hold it to.

/// Seconds of a day.
pub(crate) const DAY_S: i64 = 86_400;

/// A date and a time of day that a fast way read, checked by [`Civil::is_valid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) micros: i64,
}

impl Civil {
    /// Midnight of no day: the month and day must be set.
    pub(crate) const EMPTY: Self = Self {
        year: 0,
        month: 0,
        day: 0,
        hour: 0,
        minute: 0,
        second: 0,
        micros: 0,
    };

    /// Whether there is such a day and time. A leap second is for the slow way.
    #[inline]
    pub(crate) fn is_valid(&self) -> bool {
        (1..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && self.day >= 1
            && (self.day <= 28 || self.day <= days_of(self.year, self.month))
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }

    /// Seconds since 1970-01-01T00:00:00, were this UTC.
    #[inline]
    pub(crate) fn seconds(&self) -> i64 {
        days_since_1970(self.year, self.month, self.day) * DAY_S
            + self.hour * 3_600
            + self.minute * 60
            + self.second
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
#[inline]
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The number that `count` ASCII digits at the front of `text` say, and what follows them.
#[inline]
pub(crate) fn digits(text: &[u8], count: usize) -> Option<(i64, &[u8])> {
    if text.len() < count {
        return None;
    }
    let (front, rest) = text.split_at(count);
    let mut value = 0_i64;
    for byte in front {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some((value, rest))
}

/// Microseconds from the 1 to 9 digits of a second's fraction at the front of `text`; what is finer
/// is cut off.
pub(crate) fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text
        .iter()
        .take(9)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 {
        return None;
    }
    let (value, rest) = digits(text, count)?;
    let micros = match count {
        0..=6 => value * 10_i64.pow(6 - count as u32),
        _ => value / 10_i64.pow(count as u32 - 6),
    };
    Some((micros, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;

    proptest::proptest! {
        #[test]
        fn seconds_are_those_of_jiff(
            year in -5_i64..10_005, month in 0_i64..14, day in 0_i64..33, hour in 0_i64..25, minute in 0_i64..61,
            second in 0_i64..61,
        ) {
            let civil = Civil { year, month, day, hour, minute, second, micros: 0 };
            let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(|n| n as i8);
            let truth = DateTime::new(year as i16, month, day, hour, minute, second, 0);
            let truth = truth.ok().filter(|_| (1..=9999).contains(&year));
            proptest::prop_assert_eq!(civil.is_valid(), truth.is_some());
            if let Some(truth) = truth {
                let truth = TimeZone::UTC.to_timestamp(truth).expect("in range").as_second();
                proptest::prop_assert_eq!(civil.seconds(), truth);
            }
        }
    }

    #[test]
    fn fractions_are_microseconds() {
        for (input, expected) in [
            ("5", Some((500_000, ""))),
            ("000456", Some((456, ""))),
            ("123456789", Some((123_456, ""))),
            ("1234567891", Some((123_456, "1"))),
            ("12Z", Some((120_000, "Z"))),
            ("", None),
            ("x", None),
        ] {
            let expected = expected.map(|(micros, rest): (i64, &str)| (micros, rest.as_bytes()));
            assert_eq!(fraction(input.as_bytes()), expected, "{input}");
        }
    }
}
