//! Numbers whose decimals and sign the layout knows.

use super::Sign;
use crate::cobol::number::{self, Scale, Zones};

/// Appends a number as text: `0001250` with two decimals is `12.50`. Whether there is one: it is not blank.
///
/// # Errors
/// A sentence: which character is no digit, or no sign.
pub(super) fn write(
    cell: &str,
    decimals: usize,
    sign: Option<Sign>,
    text: &mut String,
) -> Result<bool, String> {
    let cell = cell.trim_matches(' ');
    if cell.is_empty() {
        return Ok(false);
    }
    let (digits, zone) = match sign {
        None => (cell, number::Sign::Unsigned),
        Some(Sign::Overpunch) => (cell, number::Sign::Trailing),
        Some(Sign::OverpunchLeading) => (cell, number::Sign::Leading),
        Some(Sign::Leading | Sign::Trailing) => {
            let is_sign = |letter| letter == '-' || letter == '+';
            let digits = if sign == Some(Sign::Leading) {
                cell.strip_prefix(is_sign)
            } else {
                cell.strip_suffix(is_sign)
            };
            let digits = digits.unwrap_or(cell).trim_matches(' ');
            let is_zero = digits.bytes().all(|digit| digit == b'0');
            let is_minus = if sign == Some(Sign::Leading) {
                cell.starts_with('-')
            } else {
                cell.ends_with('-')
            };
            if is_minus && !is_zero {
                text.push('-');
            }
            (digits, number::Sign::Unsigned)
        }
    };
    let said = |reason: String| format!("\"{cell}\" is no number: {reason}");
    if digits.is_empty() {
        return Err(said("it has no digits".into()));
    }
    let scale = Scale { decimals, zeros: 0 };
    let found = number::zoned(digits.as_bytes(), Zones::Ascii, zone, scale, text);
    found.map_err(|fault| said(fault.to_string()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cell: &str, decimals: usize, sign: Option<Sign>, expected: &str) {
        let mut text = String::new();
        let found = match write(cell, decimals, sign, &mut text) {
            Ok(true) => text,
            Ok(false) => "(none)".into(),
            Err(said) => said,
        };
        let fits = found == expected
            || (expected.ends_with('…') && found.contains(expected.trim_end_matches('…')));
        assert!(fits, "{cell}: {found} should be {expected}");
    }

    #[test]
    fn decimals_and_signs_are_exact_to_the_digit() {
        use Sign::{Leading, Overpunch, OverpunchLeading, Trailing};
        check("0001250", 2, None, "12.50");
        check("   1250", 2, None, "12.50");
        check("0000005", 2, None, "0.05");
        check("5", 2, None, "0.05");
        check("0001250", 0, None, "1250");
        check("       ", 2, None, "(none)");
        check("-001250", 2, Some(Leading), "-12.50");
        check("+001250", 2, Some(Leading), "12.50");
        check("  -1250", 2, Some(Leading), "-12.50");
        check("-  1250", 2, Some(Leading), "-12.50");
        check("0001250", 2, Some(Leading), "12.50");
        check("001250-", 2, Some(Trailing), "-12.50");
        check("001250+", 2, Some(Trailing), "12.50");
        check("001250 ", 2, Some(Trailing), "12.50");
        check("000000-", 2, Some(Trailing), "0.00");
        for (digit, (plus, minus)) in "{ABCDEFGHI".chars().zip("}JKLMNOPQR".chars()).enumerate() {
            check(
                &format!("0012{plus}"),
                2,
                Some(Overpunch),
                &format!("1.2{digit}"),
            );
            check(
                &format!("0012{minus}"),
                2,
                Some(Overpunch),
                &format!("-1.2{digit}"),
            );
            check(
                &format!("{minus}012"),
                0,
                Some(OverpunchLeading),
                &if digit == 0 {
                    "-12".into()
                } else {
                    format!("-{digit}012")
                },
            );
        }
        check("00125", 2, Some(Overpunch), "1.25");
        check("0000}", 2, Some(Overpunch), "0.00");
        check(
            "99999999999999999999999999999999999999",
            2,
            None,
            "999999999999999999999999999999999999.99",
        );
        check("12.50", 2, None, "byte 3 (0x2E) is no digit…");
        check("-1250", 2, None, "byte 1 (0x2D) is no digit…");
        check("12}50", 2, Some(Overpunch), "byte 3 (0x7D) is no digit…");
        check("--125", 2, Some(Leading), "byte 1 (0x2D) is no digit…");
        check("    -", 2, Some(Leading), "it has no digits…");
        check("12ü", 2, None, "is no digit…");
    }
}
