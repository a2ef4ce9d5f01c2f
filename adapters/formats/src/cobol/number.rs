//! Numbers as COBOL keeps them, exact to the digit: zoned, packed and binary.
//!
//! ```text
//! PIC S9(3)V99 COMP-3   01 23 4D            -12.34    two digits a byte, the sign in the last half
//! PIC S9(3)V99          F0 F1 F2 F3 D4      -12.34    a digit a byte, the sign in the last one's upper half (EBCDIC)
//! PIC S9(3)V99          0  1  2  3  M       -12.34    the same in ASCII
//! PIC S9(4) COMP        FF F4               -12       two's complement, big-endian
//! ```
//! Source: IBM Enterprise COBOL for z/OS, Programming Guide, "Formats for numeric data".

/// Where a zoned number's sign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// There is none.
    Unsigned,
    /// In the last digit.
    Trailing,
    /// In the first digit.
    Leading,
    /// A character behind the digits.
    TrailingSeparate,
    /// A character before the digits.
    LeadingSeparate,
}

/// How the bytes of a zoned number stand for digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zones {
    /// F0 to F9; C or D in the upper half is a sign.
    Ebcdic,
    /// `0` to `9`; `{ABCDEFGHI` and `}JKLMNOPQR` are digits with a sign, as are Micro Focus's `p` to `y` (minus).
    Ascii,
}

/// Digits that a number has at most: 31 with `ARITH(EXTEND)`, and a bit.
pub const DIGITS_MAX: usize = 38;

/// Digits as they are found, and then their text.
struct Digits {
    digits: [u8; DIGITS_MAX],
    count: usize,
    negative: bool,
}

impl Digits {
    fn new(negative: bool) -> Self {
        Self {
            digits: [0; DIGITS_MAX],
            count: 0,
            negative,
        }
    }

    fn push(&mut self, digit: u8) -> Result<(), String> {
        let place = self.digits.get_mut(self.count);
        *place.ok_or_else(|| format!("it has more than {DIGITS_MAX} digits"))? = b'0' + digit;
        self.count += 1;
        Ok(())
    }

    /// Appends e.g. `-12.34`. No leading zeros, and no sign before zero.
    fn write(&self, decimals: usize, text: &mut String) {
        let digits = &self.digits[..self.count];
        let (whole, fraction) = digits.split_at(self.count.saturating_sub(decimals));
        let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
        let is_zero = digits.iter().all(|digit| *digit == b'0');
        if self.negative && !is_zero {
            text.push('-');
        }
        if zeros == whole.len() {
            text.push('0');
        }
        text.extend(whole[zeros..].iter().copied().map(char::from));
        if decimals > 0 {
            text.push('.');
            // PIC VP(2)9: there are decimals before the first digit.
            (self.count..decimals).for_each(|_| text.push('0'));
            text.extend(fraction.iter().copied().map(char::from));
        }
    }
}

/// Appends a packed number's text.
///
/// # Errors
/// A sentence: which half of which byte is no digit or no sign.
pub fn packed(bytes: &[u8], decimals: usize, text: &mut String) -> Result<(), String> {
    let mut found = Digits::new(false);
    let last = bytes.len().saturating_sub(1);
    for (at, byte) in bytes.iter().enumerate() {
        let (upper, lower) = (byte >> 4, byte & 0x0F);
        let wrong = |half: &str| {
            format!(
                "the {half} half of byte {} (0x{byte:02X}) is no digit of a packed number",
                at + 1
            )
        };
        if upper > 9 {
            return Err(wrong("upper"));
        }
        found.push(upper)?;
        match lower {
            _ if at < last && lower > 9 => return Err(wrong("lower")),
            _ if at < last => found.push(lower)?,
            0xA | 0xC | 0xE | 0xF => {}
            0xB | 0xD => found.negative = true,
            _ => {
                return Err(format!(
                    "a packed number ends with 0x{byte:02X}, whose lower half is no sign"
                ));
            }
        }
    }
    found.write(decimals, text);
    Ok(())
}

/// Appends a zoned number's text.
///
/// # Errors
/// A sentence: which byte is no digit, or no sign.
pub fn zoned(
    bytes: &[u8],
    zones: Zones,
    sign: Sign,
    decimals: usize,
    text: &mut String,
) -> Result<(), String> {
    let mut found = Digits::new(false);
    let (digits, separate) = match sign {
        Sign::TrailingSeparate => bytes.split_last().map(|(sign, rest)| (rest, Some(sign))),
        Sign::LeadingSeparate => bytes.split_first().map(|(sign, rest)| (rest, Some(sign))),
        _ => Some((bytes, None)),
    }
    .ok_or("it has no bytes")?;
    if let Some(separate) = separate {
        let (plus, minus) = match zones {
            Zones::Ebcdic => (0x4E, 0x60),
            Zones::Ascii => (b'+', b'-'),
        };
        found.negative = *separate == minus;
        if *separate != plus && *separate != minus {
            return Err(format!("0x{separate:02X} stands where a sign should"));
        }
    }
    let signed = match sign {
        Sign::Trailing => digits.len().checked_sub(1),
        Sign::Leading => Some(0),
        _ => None,
    };
    for (at, byte) in digits.iter().enumerate() {
        let (digit, negative) = digit(*byte, zones)
            .filter(|(_, negative)| negative.is_none() || signed == Some(at))
            .ok_or_else(|| format!("byte {} (0x{byte:02X}) is no digit", at + 1))?;
        found.negative |= negative.unwrap_or(false);
        found.push(digit)?;
    }
    found.write(decimals, text);
    Ok(())
}

/// A byte's digit, and the sign that it carries.
fn digit(byte: u8, zones: Zones) -> Option<(u8, Option<bool>)> {
    match zones {
        Zones::Ebcdic => {
            let digit = byte & 0x0F;
            let sign = match byte >> 4 {
                0xF => None,
                0xA | 0xC | 0xE => Some(false),
                0xB | 0xD => Some(true),
                _ => return None,
            };
            (digit <= 9).then_some((digit, sign))
        }
        Zones::Ascii => match byte {
            b'0'..=b'9' => Some((byte - b'0', None)),
            b'{' => Some((0, Some(false))),
            b'A'..=b'I' => Some((byte - b'A' + 1, Some(false))),
            b'}' => Some((0, Some(true))),
            b'J'..=b'R' => Some((byte - b'J' + 1, Some(true))),
            b'p'..=b'y' => Some((byte - b'p', Some(true))),
            _ => None,
        },
    }
}

/// Appends a binary number's text: two's complement if `signed`, big-endian, of 1 to 8 bytes.
///
/// # Errors
/// A sentence: it has another length.
pub fn binary(
    bytes: &[u8],
    signed: bool,
    decimals: usize,
    text: &mut String,
) -> Result<(), String> {
    if bytes.is_empty() || bytes.len() > 8 {
        return Err(format!(
            "a binary number has 1 to 8 bytes, not {}",
            bytes.len()
        ));
    }
    let fill = if signed && bytes[0] & 0x80 != 0 {
        0xFF
    } else {
        0
    };
    let mut wide = [fill; 16];
    wide[16 - bytes.len()..].copy_from_slice(bytes);
    let value = i128::from_be_bytes(wide);
    let mut found = Digits::new(value < 0);
    let magnitude = value.unsigned_abs().to_string();
    // Zeros before it, so that there is a digit for each decimal.
    for _ in magnitude.len()..=decimals {
        found.push(0)?;
    }
    for digit in magnitude.bytes() {
        found.push(digit - b'0')?;
    }
    found.write(decimals, text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: impl FnOnce(&mut String) -> Result<(), String>, expected: &str) {
        let mut text = String::new();
        match written(&mut text) {
            Ok(()) => assert_eq!(text, expected),
            Err(reason) => assert!(reason.contains(expected), "{reason}"),
        }
    }

    #[test]
    fn packed_numbers_are_exact() {
        for (bytes, decimals, expected) in [
            (&b"\x01\x23\x4D"[..], 2, "-12.34"),
            (b"\x01\x23\x4C", 2, "12.34"),
            (b"\x01\x23\x4F", 0, "1234"),
            (b"\x0C", 0, "0"),
            (b"\x0D", 2, "0.00"),
            (b"\x1D", 3, "-0.001"),
            (
                b"\x99\x99\x99\x99\x99\x99\x99\x99\x9C",
                2,
                "999999999999999.99",
            ),
            (b"\x01\x2A\x4D", 2, "the lower half of byte 2 (0x2A)"),
            (b"\xA1\x23\x4D", 2, "the upper half of byte 1 (0xA1)"),
            (b"\x01\x23\x45", 2, "no sign"),
            (b"\x40\x40\x40", 2, "no sign"),
            (&[0x11; 20], 0, "more than 38 digits"),
        ] {
            check(|text| packed(bytes, decimals, text), expected);
        }
    }

    #[test]
    fn zoned_numbers_are_exact() {
        use Sign::{Leading, LeadingSeparate, Trailing, TrailingSeparate, Unsigned};
        use Zones::{Ascii, Ebcdic};
        for (bytes, zones, sign, decimals, expected) in [
            (&b"\xF0\xF1\xF2\xF3\xD4"[..], Ebcdic, Trailing, 2, "-12.34"),
            (b"\xF0\xF1\xF2\xF3\xC4", Ebcdic, Trailing, 2, "12.34"),
            (b"\xF1\xF2\xF3", Ebcdic, Trailing, 0, "123"),
            (b"\xD1\xF2\xF3", Ebcdic, Leading, 0, "-123"),
            (b"\xF1\xF2\xF3\x60", Ebcdic, TrailingSeparate, 1, "-12.3"),
            (b"\x4E\xF1\xF2", Ebcdic, LeadingSeparate, 0, "12"),
            (b"0123M", Ascii, Trailing, 2, "-12.34"),
            (b"0123D", Ascii, Trailing, 2, "12.34"),
            (b"012}", Ascii, Trailing, 0, "-120"),
            (b"012{", Ascii, Trailing, 0, "120"),
            (b"012t", Ascii, Trailing, 0, "-124"),
            (b"-12", Ascii, LeadingSeparate, 0, "-12"),
            (b"12", Ascii, Unsigned, 4, "0.0012"),
            (b"1J", Ascii, Unsigned, 0, "byte 2 (0x4A) is no digit"),
            (b"J1", Ascii, Trailing, 0, "byte 1 (0x4A) is no digit"),
            (b"1 2", Ascii, Trailing, 0, "byte 2 (0x20) is no digit"),
            (b"12*", Ascii, TrailingSeparate, 0, "where a sign should"),
            (b"", Ascii, TrailingSeparate, 0, "no bytes"),
            (
                b"\x40\x40\xF1",
                Ebcdic,
                Unsigned,
                0,
                "byte 1 (0x40) is no digit",
            ),
        ] {
            check(|text| zoned(bytes, zones, sign, decimals, text), expected);
        }
    }

    #[test]
    fn binary_numbers_are_exact() {
        for (bytes, signed, decimals, expected) in [
            (&b"\xFF\xF4"[..], true, 0, "-12"),
            (b"\xFF\xF4", false, 0, "65524"),
            (b"\x00\x00\x04\xD2", true, 2, "12.34"),
            (b"\xFF\xFF\xFF\xFF", true, 2, "-0.01"),
            (b"\x00\x05", true, 3, "0.005"),
            (
                b"\x80\x00\x00\x00\x00\x00\x00\x00",
                true,
                0,
                "-9223372036854775808",
            ),
            (
                b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
                false,
                0,
                "18446744073709551615",
            ),
            (b"", true, 0, "1 to 8 bytes"),
            (&[0; 9], true, 0, "1 to 8 bytes"),
        ] {
            check(|text| binary(bytes, signed, decimals, text), expected);
        }
    }
}
