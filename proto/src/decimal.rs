//! Exact decimal numbers as texts, compared without becoming floats.

use std::cmp::Ordering;

/// Compares two decimals as [`crate::v1::Decimal`] holds them, also with a leading "+" or zeros; `None` where one is none.
#[must_use]
pub fn compare(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (Parts::of(left)?, Parts::of(right)?);
    let size = || {
        let whole = (left.whole.len().cmp(&right.whole.len())).then(left.whole.cmp(right.whole));
        whole.then(left.fraction.cmp(right.fraction))
    };
    Some(match (left.negative, right.negative) {
        (false, false) => size(),
        (true, true) => size().reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    })
}

/// Digits without zeros that say nothing: texts of equal length compare as numbers, fractions as texts.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let good = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !good(whole) || !good(fraction) || whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (whole, fraction) = (
            whole.trim_start_matches('0'),
            fraction.trim_end_matches('0'),
        );
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self {
            negative: negative && !is_zero,
            whole,
            fraction,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering::{Equal, Greater, Less};

    #[test]
    fn numbers_are_compared_as_numbers() {
        for (left, right, expected) in [
            ("1", "2", Some(Less)),
            ("10", "9", Some(Greater)),
            ("0.10", "0.1", Some(Equal)),
            ("007", "+7.000", Some(Equal)),
            ("-0", "0", Some(Equal)),
            ("-10", "-9", Some(Less)),
            ("-1", "0.5", Some(Less)),
            ("0.05", "0.5", Some(Less)),
            ("1.25", "1.3", Some(Less)),
            (
                "99999999999999999999999999999999.1",
                "99999999999999999999999999999999.10001",
                Some(Less),
            ),
            (".5", "0.5", Some(Equal)),
            ("1e3", "1", None),
            ("", "1", None),
            ("-", "1", None),
            ("1", "1,5", None),
        ] {
            assert_eq!(compare(left, right), expected, "{left} {right}");
            let reversed = expected.map(Ordering::reverse);
            assert_eq!(compare(right, left), reversed, "{right} {left}");
        }
    }
}
