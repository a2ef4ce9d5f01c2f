//! Numbers as COBOL keeps them, exact to the digit: zoned, packed and binary.
//!
//! ```text
//! PIC S9(3)V99 COMP-3   01 23 4D            -12.34    two digits a byte, the sign in the last half
//! PIC S9(3)V99          F0 F1 F2 F3 D4      -12.34    a digit a byte, the sign in the last one's upper half (EBCDIC)
//! PIC S9(3)V99          0  1  2  3  M       -12.34    the same in ASCII
//! PIC S9(4) COMP        FF F4               -12       two's complement, big-endian
//! ```
//! Source: IBM Enterprise COBOL for z/OS, Programming Guide, "Formats for numeric data".

use std::fmt;

/// Where a zoned number's sign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
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
pub(crate) enum Zones {
    /// F0 to F9; C or D in the upper half is a sign.
    Ebcdic,
    /// `0` to `9`; `{ABCDEFGHI` and `}JKLMNOPQR` are digits with a sign, as are Micro Focus's `p` to `y` (minus).
    Ascii,
}

/// Digits that a number has at most: 31 with `ARITH(EXTEND)`, and a bit.
pub(crate) const DIGITS_MAX: usize = 38;

/// What is wrong with a number's bytes; bytes are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Half a byte of a packed number is no digit.
    Half { upper: bool, at: usize, byte: u8 },
    /// The last half of a packed number is no sign.
    NoPackedSign(u8),
    /// A byte is no digit, or carries a sign where none belongs.
    NoDigit { at: usize, byte: u8 },
    /// No sign stands where one should.
    NoSign(u8),
    /// There are too many digits, or no bytes.
    Length(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Half { upper, at, byte } => {
                let half = if *upper { "upper" } else { "lower" };
                let at = at + 1;
                write!(
                    f,
                    "the {half} half of byte {at} (0x{byte:02X}) is no digit of a packed number"
                )
            }
            Self::NoPackedSign(byte) => write!(
                f,
                "a packed number ends with 0x{byte:02X}, whose lower half is no sign"
            ),
            Self::NoDigit { at, byte } => write!(f, "byte {} (0x{byte:02X}) is no digit", at + 1),
            Self::NoSign(byte) => write!(f, "0x{byte:02X} stands where a sign should"),
            Self::Length(bytes) => write!(f, "a number can't have {bytes} bytes"),
        }
    }
}

/// Digits that bytes may hold: a packed number of 38 digits has half a byte before them.
const PLACES: usize = DIGITS_MAX + 1;

/// Digits as they are found, and then their text.
struct Digits {
    /// As ASCII, and room for a point.
    digits: [u8; PLACES + 1],
    count: usize,
    negative: bool,
}

impl Digits {
    fn new() -> Self {
        Self {
            digits: [b'0'; PLACES + 1],
            count: 0,
            negative: false,
        }
    }

    /// Digits beyond the last place are left out: lengths are checked before.
    #[inline]
    fn push(&mut self, digit: u8) {
        if let Some(place) = self.digits[..PLACES].get_mut(self.count) {
            *place = b'0' + digit;
            self.count += 1;
        }
    }

    /// Appends e.g. `-12.34`. No leading zeros, and no sign before zero.
    #[inline]
    fn write(&mut self, scale: Scale, text: &mut String) {
        if scale.decimals >= self.count || scale.zeros > 0 {
            return self.write_scaled(scale, text);
        }
        // Point and sign are put among the digits, so that the text grows once.
        let whole = self.count - scale.decimals;
        let digits = &mut self.digits;
        let zeros = digits[..whole - 1]
            .iter()
            .take_while(|digit| **digit == b'0');
        let mut start = zeros.count();
        let minus = self.negative && digits[start..self.count].iter().any(|digit| *digit != b'0');
        let mut end = self.count;
        if scale.decimals > 0 {
            digits.copy_within(whole..end, whole + 1);
            digits[whole] = b'.';
            end += 1;
        }
        if minus && start > 0 {
            start -= 1;
            digits[start] = b'-';
        } else if minus {
            text.push('-');
        }
        text.push_str(std::str::from_utf8(&digits[start..end]).expect("digits are ASCII"));
    }

    /// The same where the point stands outside of the digits that are kept.
    fn write_scaled(&self, scale: Scale, text: &mut String) {
        let digits = self.digits.get(..self.count).unwrap_or_default();
        let (whole, fraction) = digits.split_at(self.count.saturating_sub(scale.decimals));
        let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
        let significant = &whole[zeros..];
        if self.negative && digits.iter().any(|digit| *digit != b'0') {
            text.push('-');
        }
        let push =
            |digits: &[u8], text: &mut String| text.extend(digits.iter().copied().map(char::from));
        if significant.is_empty() {
            text.push('0');
        } else {
            push(significant, text);
            (0..scale.zeros).for_each(|_| text.push('0'));
        }
        if scale.decimals > 0 {
            text.push('.');
            // PIC VP(2)9: there are decimals before the first digit.
            (self.count..scale.decimals).for_each(|_| text.push('0'));
            push(fraction, text);
        }
    }
}

/// Where the point stands, seen from the digits that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale {
    /// Decimals.
    pub(crate) decimals: usize,
    /// Zeros that are meant before the point and not kept.
    pub(crate) zeros: usize,
}

/// Appends a packed number's text.
pub(crate) fn packed(bytes: &[u8], scale: Scale, text: &mut String) -> Result<(), Fault> {
    let mut found = Digits::new();
    let Some((last, before)) = bytes
        .split_last()
        .filter(|_| bytes.len() <= DIGITS_MAX / 2 + 1)
    else {
        return Err(Fault::Length(bytes.len()));
    };
    for (at, byte) in before.iter().copied().enumerate() {
        let (upper, lower) = (byte >> 4, byte & 0x0F);
        if upper > 9 || lower > 9 {
            let upper = upper > 9;
            return Err(Fault::Half { upper, at, byte });
        }
        found.push(upper);
        found.push(lower);
    }
    if last >> 4 > 9 {
        return Err(Fault::Half {
            upper: true,
            at: before.len(),
            byte: *last,
        });
    }
    found.push(last >> 4);
    found.negative = match last & 0x0F {
        0xA | 0xC | 0xE | 0xF => false,
        0xB | 0xD => true,
        _ => return Err(Fault::NoPackedSign(*last)),
    };
    found.write(scale, text);
    Ok(())
}

/// Appends a zoned number's text.
pub(crate) fn zoned(
    bytes: &[u8],
    zones: Zones,
    sign: Sign,
    scale: Scale,
    text: &mut String,
) -> Result<(), Fault> {
    let mut found = Digits::new();
    let (digits, separate) = match sign {
        Sign::TrailingSeparate => bytes.split_last().map(|(sign, rest)| (rest, Some(*sign))),
        Sign::LeadingSeparate => bytes.split_first().map(|(sign, rest)| (rest, Some(*sign))),
        _ => Some((bytes, None)),
    }
    .filter(|(digits, _)| !digits.is_empty() && digits.len() <= DIGITS_MAX)
    .ok_or(Fault::Length(bytes.len()))?;
    if let Some(separate) = separate {
        let (plus, minus) = match zones {
            Zones::Ebcdic => (0x4E, 0x60),
            Zones::Ascii => (b'+', b'-'),
        };
        found.negative = separate == minus;
        if separate != plus && separate != minus {
            return Err(Fault::NoSign(separate));
        }
    }
    let signed = match sign {
        Sign::Trailing => digits.len() - 1,
        Sign::Leading => 0,
        _ => usize::MAX,
    };
    for (at, byte) in digits.iter().copied().enumerate() {
        let (digit, negative) = digit(byte, zones).ok_or(Fault::NoDigit { at, byte })?;
        if let Some(negative) = negative {
            if at != signed {
                return Err(Fault::NoDigit { at, byte });
            }
            found.negative = negative;
        }
        found.push(digit);
    }
    found.write(scale, text);
    Ok(())
}

/// A byte's digit, and the sign that it carries.
#[inline]
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

/// Appends a binary number's text: two's complement if `signed`, of 1 to 8 bytes.
pub(crate) fn binary(
    bytes: &[u8],
    signed: bool,
    little: bool,
    scale: Scale,
    text: &mut String,
) -> Result<(), Fault> {
    if bytes.is_empty() || bytes.len() > 8 {
        return Err(Fault::Length(bytes.len()));
    }
    let first = if little {
        bytes[bytes.len() - 1]
    } else {
        bytes[0]
    };
    let negative = signed && first & 0x80 != 0;
    let mut wide = [if negative { 0xFF } else { 0 }; 8];
    if little {
        wide[..bytes.len()].copy_from_slice(bytes);
        wide.reverse();
    } else {
        wide[8 - bytes.len()..].copy_from_slice(bytes);
    }
    let value = u64::from_be_bytes(wide);
    let mut magnitude = if negative {
        value.wrapping_neg()
    } else {
        value
    };
    // At least a digit for each decimal, and one before them.
    let mut found = Digits::new();
    found.negative = negative;
    let needed = magnitude.checked_ilog10().map_or(1, |log| log as usize + 1);
    found.count = needed.max(scale.decimals + 1).min(PLACES);
    for place in found.digits[..found.count].iter_mut().rev() {
        *place = b'0' + (magnitude % 10) as u8;
        magnitude /= 10;
    }
    found.write(scale, text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(decimals: usize) -> Scale {
        Scale { decimals, zeros: 0 }
    }

    fn check(written: impl FnOnce(&mut String) -> Result<(), Fault>, expected: &str) {
        let mut text = String::new();
        match written(&mut text) {
            Ok(()) => assert_eq!(text, expected),
            Err(fault) => assert!(fault.to_string().contains(expected), "{fault}"),
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
            (&[0x11; 21], 0, "can't have 21 bytes"),
        ] {
            check(|text| packed(bytes, scale(decimals), text), expected);
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
            (b"", Ascii, TrailingSeparate, 0, "can't have 0 bytes"),
            (
                b"\x40\x40\xF1",
                Ebcdic,
                Unsigned,
                0,
                "byte 1 (0x40) is no digit",
            ),
        ] {
            check(
                |text| zoned(bytes, zones, sign, scale(decimals), text),
                expected,
            );
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
            (b"", true, 0, "can't have 0 bytes"),
            (&[0; 9], true, 0, "can't have 9 bytes"),
        ] {
            check(
                |text| binary(bytes, signed, false, scale(decimals), text),
                expected,
            );
        }
    }

    #[test]
    fn little_endian_numbers_and_places_that_are_not_kept_are_read() {
        check(
            |text| binary(b"\xF4\xFF", true, true, scale(0), text),
            "-12",
        );
        check(
            |text| binary(b"\x01\x00\x00\x00", true, true, scale(1), text),
            "0.1",
        );
        let thousands = Scale {
            decimals: 0,
            zeros: 2,
        };
        check(|text| packed(b"\x12\x3D", thousands, text), "-12300");
        check(|text| packed(b"\x00\x0D", thousands, text), "0");
        check(
            |text| binary(b"\x05", false, false, scale(3), text),
            "0.005",
        );
    }
}
