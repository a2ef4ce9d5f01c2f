//! Exact sums.

use std::fmt;

/// Digits of a number, at most: so many always fit.
const DIGITS_MAX: u32 = 38;

/// A decimal number, exact: `units` divided by ten to the power of `scale`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Decimal {
    units: i128,
    scale: u32,
}

impl Decimal {
    pub(crate) fn whole(units: u64) -> Self {
        Self {
            units: i128::from(units),
            scale: 0,
        }
    }

    /// `-12.50`, `12.50-`, `+5` and `.5` are numbers; blanks may stand around. `None` for anything else, or over 38 digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(' ').as_bytes();
        let (digits, negative) = match text {
            [b'-', rest @ ..] | [rest @ .., b'-'] => (rest, true),
            [b'+', rest @ ..] | [rest @ .., b'+'] => (rest, false),
            all => (all, false),
        };
        let (mut units, mut scale, mut significant) = (0_i128, 0, 0);
        let (mut any, mut point) = (false, false);
        for byte in digits {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    scale += u32::from(point);
                    significant += u32::from(significant > 0 || *byte != b'0');
                    if significant.max(scale) > DIGITS_MAX {
                        return None;
                    }
                    units = units * 10 + i128::from(byte - b'0');
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        let units = if negative { -units } else { units };
        any.then_some(Self { units, scale })
    }

    /// `None` where the result has too many digits.
    pub(crate) fn checked_add(self, other: Self) -> Option<Self> {
        let (one, two, scale) = self.aligned(other)?;
        let units = one.checked_add(two)?;
        Some(Self { units, scale })
    }

    /// `None` where the result has too many digits.
    pub(crate) fn checked_sub(self, other: Self) -> Option<Self> {
        let units = other.units.checked_neg()?;
        self.checked_add(Self { units, ..other })
    }

    /// Only its last digits, as a hash total keeps them.
    pub(crate) fn last_digits(self, digits: u32) -> Self {
        match 10_i128.checked_pow(digits) {
            Some(modulus) => Self {
                units: self.units % modulus,
                ..self
            },
            None => self,
        }
    }

    pub(crate) fn is_same(self, other: Self) -> bool {
        self.aligned(other).is_some_and(|(one, two, _)| one == two)
    }

    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        if self.scale == other.scale {
            return Some((self.units, other.units, self.scale));
        }
        let scale = self.scale.max(other.scale);
        let raise = |number: Self| {
            let factor = 10_i128.checked_pow(scale - number.scale)?;
            number.units.checked_mul(factor)
        };
        Some((raise(self)?, raise(other)?, scale))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.units.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let sign = if self.units < 0 { "-" } else { "" };
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let shown = Decimal::parse(text).map(|number| number.to_string());
        assert_eq!(shown.as_deref(), expected, "{text}");
    }

    #[test]
    fn numbers_are_read_to_the_digit() {
        check("12.50", Some("12.50"));
        check(" -0012.50 ", Some("-12.50"));
        check("7-", Some("-7"));
        check("+.05", Some("0.05"));
        check("3.", Some("3"));
        check(&"9".repeat(38), Some(&"9".repeat(38)));
        check(&"0".repeat(60), Some("0"));
        for none in ["", " ", "-", ".", "1,5", "1.2.3", "--1", "1e3", "٣"] {
            check(none, None);
        }
        check(&"9".repeat(39), None);
        check(&format!(".{}", "0".repeat(39)), None);
    }

    #[test]
    fn sums_are_exact_or_none() {
        let of = |text: &str| Decimal::parse(text).expect("a number");
        let sum = of("0.1").checked_add(of("0.25")).expect("it fits");
        assert_eq!(sum.to_string(), "0.35");
        assert!(sum.is_same(of("0.3500")) && !sum.is_same(of("0.3501")));
        let rest = of("1").checked_sub(of("1.001")).expect("it fits");
        assert_eq!(rest.to_string(), "-0.001");
        let most = of(&"9".repeat(38));
        let twice = most.checked_add(most);
        assert!(twice.is_none() || twice.and_then(|sum| sum.checked_add(most)).is_none());
        assert!(most.checked_add(of("0.1")).is_none());
        assert_eq!(of("20046276020").last_digits(10).to_string(), "46276020");
        assert_eq!(of("12").last_digits(60).to_string(), "12");
    }
}
