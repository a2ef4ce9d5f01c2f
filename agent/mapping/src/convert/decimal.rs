//! Exact decimals, by their text.
//!
//! Legacy hosts write `0000012`, `12-`, `+5`, `.5` and `12.`; what comes out is the grammar of
//! `Decimal` in `event.proto`: an optional `-`, digits, optionally `.` and digits. Zeros after the
//! point are kept (they say how exactly it was measured); a negative zero is zero.

/// Characters of a decimal, at most, as `event.proto` says.
pub(crate) const DECIMAL_CHARS_MAX: usize = 64;
/// `implied_decimals`, at most: more cannot fit.
pub(crate) const IMPLIED_DECIMALS_MAX: u32 = 60;

/// How a field's decimals are written at the source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DecimalRule {
    /// How many of a whole number's last digits are decimals.
    pub(crate) implied: Option<u32>,
    /// `,` is the decimal sign and `.` groups thousands.
    pub(crate) comma: bool,
}

/// Why a text is no decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalFault {
    NotDecimal,
    TooLong,
    /// There is a point although the decimals are implied.
    Point,
    /// It would be one with `decimal_comma`.
    Comma,
}

impl DecimalRule {
    /// The decimal's digits: a part of `text` where that is in order already, else made in `room`.
    /// `text` has no white space around it and isn't empty.
    #[inline]
    pub(crate) fn digits<'a>(
        self,
        text: &'a str,
        room: &'a mut String,
    ) -> Result<&'a str, DecimalFault> {
        if self.implied.is_none() && !self.comma && is_in_order(text.as_bytes()) {
            return Ok(text);
        }
        self.put_in_order(text, room)?;
        Ok(room)
    }

    fn put_in_order(self, text: &str, room: &mut String) -> Result<(), DecimalFault> {
        room.clear();
        let (negative, number) = unsigned(text).ok_or(DecimalFault::NotDecimal)?;
        let sign = if self.comma { ',' } else { '.' };
        let (whole, fraction) = match number.split_once(sign) {
            Some(_) if self.implied.is_some() => return Err(DecimalFault::Point),
            Some((whole, fraction)) => (whole, fraction),
            None => (number, ""),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(DecimalFault::NotDecimal);
        }
        let grouped = self.comma && whole.contains('.');
        if !(all_digits(whole) || grouped && is_grouped(whole)) || !all_digits(fraction) {
            return Err(self.fault_of(number));
        }
        if negative && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
            room.push('-');
        }
        let digits = whole
            .trim_start_matches(['0', '.'])
            .chars()
            .filter(|digit| *digit != '.');
        put(room, digits, fraction, self.implied.unwrap_or(0) as usize)
    }

    fn fault_of(self, number: &str) -> DecimalFault {
        let with_comma = Self {
            comma: true,
            ..self
        };
        let is_comma = number.contains(',')
            && !self.comma
            && with_comma.put_in_order(number, &mut String::new()).is_ok();
        if is_comma {
            DecimalFault::Comma
        } else {
            DecimalFault::NotDecimal
        }
    }

    /// What is wrong, as the end of a sentence that begins with the value.
    #[cold]
    pub(crate) fn explain(self, fault: DecimalFault) -> String {
        match fault {
            DecimalFault::NotDecimal => "is not a decimal number".into(),
            DecimalFault::TooLong => {
                format!("has more than the {DECIMAL_CHARS_MAX} characters that a decimal may have")
            }
            DecimalFault::Point => format!(
                "has a decimal sign, but implied_decimals = {} counts decimals from the right; one of the two is wrong",
                self.implied.unwrap_or(0)
            ),
            DecimalFault::Comma => {
                "is not a decimal number; if the comma is the decimal sign, set decimal_comma = true".into()
            }
        }
    }
}

/// Writes digits (without leading zeros) and fraction; the last `implied` digits are the fraction.
fn put(
    room: &mut String,
    digits: impl Iterator<Item = char> + Clone,
    fraction: &str,
    implied: usize,
) -> Result<(), DecimalFault> {
    let count = digits.clone().count();
    if count + fraction.len() + implied > DECIMAL_CHARS_MAX * 2 {
        return Err(DecimalFault::TooLong);
    }
    let whole = count.saturating_sub(implied);
    if whole == 0 {
        room.push('0');
    }
    let mut digits = digits;
    room.extend(digits.by_ref().take(whole));
    if implied > 0 {
        room.push('.');
        room.extend(std::iter::repeat_n('0', implied.saturating_sub(count)));
        room.extend(digits);
    } else if !fraction.is_empty() {
        room.push('.');
        room.push_str(fraction);
    }
    if room.len() > DECIMAL_CHARS_MAX {
        Err(DecimalFault::TooLong)
    } else {
        Ok(())
    }
}

/// Whether the text is what `event.proto` asks for as it stands.
#[inline]
fn is_in_order(text: &[u8]) -> bool {
    let number = text.strip_prefix(b"-").unwrap_or(text);
    if text.len() > DECIMAL_CHARS_MAX {
        return false;
    }
    let whole = number
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, rest) = number.split_at(whole);
    let leads_well = match digits {
        [] => false,
        [b'0'] => true,
        [first, ..] => *first != b'0',
    };
    let ends_well = match rest {
        [] => true,
        [b'.', fraction @ ..] => !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let zero_is_plain = number.len() == text.len()
        || digits != b"0"
        || rest.iter().any(|byte| (b'1'..=b'9').contains(byte));
    leads_well && ends_well && zero_is_plain
}

/// Sign and number; `None` where there are two signs.
fn unsigned(text: &str) -> Option<(bool, &str)> {
    let leading = text.strip_prefix(['+', '-']);
    let trailing = text.strip_suffix(['+', '-']);
    match (leading, trailing) {
        (None, None) => Some((false, text)),
        (Some(rest), None) => Some((text.starts_with('-'), rest.trim_start())),
        (None, Some(rest)) => Some((text.ends_with('-'), rest.trim_end())),
        (Some(_), Some(_)) => None,
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1.234.567`: one to three digits, then threes.
fn is_grouped(whole: &str) -> bool {
    let mut groups = whole.split('.');
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len())
        && all_digits(first)
        && groups.all(|group| group.len() == 3 && all_digits(group))
}

#[cfg(test)]
mod tests {
    use super::*;
    use DecimalFault::{Comma, NotDecimal, Point, TooLong};

    fn check(rule: DecimalRule, input: &str, expected: Result<&str, DecimalFault>) {
        let mut room = String::from("left over");
        assert_eq!(
            rule.digits(input, &mut room),
            expected,
            "{input} under {rule:?}"
        );
    }

    #[test]
    fn decimals_keep_their_value_and_their_exactness() {
        let plain = DecimalRule::default();
        for (input, expected) in [
            ("12", "12"),
            ("-3", "-3"),
            ("0.001", "0.001"),
            ("12.50", "12.50"),
            ("+7", "7"),
            ("12-", "-12"),
            ("12.5 -", "-12.5"),
            ("12+", "12"),
            ("- 4", "-4"),
            ("0000012", "12"),
            ("-0012.0", "-12.0"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("12.", "12"),
            ("0", "0"),
            ("000", "0"),
            ("-0", "0"),
            ("0.00-", "0.00"),
            ("-0.10", "-0.10"),
            ("00.5", "0.5"),
            (
                "123456789012345678901234567890.123456789",
                "123456789012345678901234567890.123456789",
            ),
        ] {
            check(plain, input, Ok(expected));
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        let plain = DecimalRule::default();
        for (input, expected) in [
            ("1O", NotDecimal),
            ("1e5", NotDecimal),
            ("-", NotDecimal),
            (".", NotDecimal),
            ("--1", NotDecimal),
            ("-1-", NotDecimal),
            ("1.2.3", NotDecimal),
            ("1 2", NotDecimal),
            ("\u{2212}5", NotDecimal),
            ("٣", NotDecimal),
            ("NaN", NotDecimal),
            ("1,5", Comma),
            ("1.234,50", Comma),
            ("1,234.50", NotDecimal),
        ] {
            check(plain, input, Err(expected));
        }
    }

    #[test]
    fn implied_decimals_count_from_the_right() {
        let three = DecimalRule {
            implied: Some(3),
            comma: false,
        };
        for (input, expected) in [
            ("12500", Ok("12.500")),
            ("00012500", Ok("12.500")),
            ("5", Ok("0.005")),
            ("0", Ok("0.000")),
            ("125-", Ok("-0.125")),
            ("1234", Ok("1.234")),
            ("-0", Ok("0.000")),
            ("1.5", Err(Point)),
            ("x", Err(NotDecimal)),
        ] {
            check(three, input, expected);
        }
        check(
            DecimalRule {
                implied: Some(0),
                comma: false,
            },
            "012",
            Ok("12"),
        );
        check(
            DecimalRule {
                implied: Some(2),
                comma: true,
            },
            "1.234",
            Ok("12.34"),
        );
    }

    #[test]
    fn the_comma_is_the_decimal_sign_where_said() {
        let comma = DecimalRule {
            implied: None,
            comma: true,
        };
        for (input, expected) in [
            ("1.234,50", Ok("1234.50")),
            ("1234,5", Ok("1234.5")),
            ("1.234.567", Ok("1234567")),
            (",5", Ok("0.5")),
            ("12", Ok("12")),
            ("0.012,5-", Ok("-12.5")),
            ("1.23,4", Err(NotDecimal)),
            ("1234.567,8", Err(NotDecimal)),
            ("1,2,3", Err(NotDecimal)),
            (".123,4", Err(NotDecimal)),
        ] {
            check(comma, input, expected);
        }
    }

    #[test]
    fn sixty_four_characters_fit_and_no_more() {
        let plain = DecimalRule::default();
        let longest = "9".repeat(64);
        check(plain, &longest, Ok(&longest));
        check(plain, &"9".repeat(65), Err(TooLong));
        check(plain, &format!("-{longest}"), Err(TooLong));
        let padded = format!("{}7", "0".repeat(500));
        check(plain, &padded, Ok("7"));
        check(plain, &"9".repeat(100_000), Err(TooLong));
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_out_is_the_grammar_of_event_proto(
            text in "[-+ ]?[0-9]{0,8}[.,]?[0-9]{0,8}[-+ ]?",
            implied in proptest::option::of(0_u32..6),
            comma: bool,
        ) {
            let mut room = String::new();
            let text = super::super::trimmed(&text);
            if text.is_empty() {
                return Ok(());
            }
            if let Ok(digits) = (DecimalRule { implied, comma }).digits(text, &mut room) {
                proptest::prop_assert!(is_in_order(digits.as_bytes()), "{text} became {digits}");
                let again = digits.to_owned();
                let mut room = String::new();
                let twice = DecimalRule::default().digits(&again, &mut room);
                proptest::prop_assert_eq!(twice, Ok(again.as_str()));
            }
        }
    }
}
