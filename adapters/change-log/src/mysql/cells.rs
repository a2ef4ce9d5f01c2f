//! Values of a row, as a row event holds them and as records hold them.
//!
//! Sizes and layouts: `Field::pack` and the temporal and decimal formats of MySQL 5.6 and MariaDB 10.1 and later.

use std::fmt::Write as _;

use super::charset::Charset;
use super::reading::{Reading, Short, bit_bytes};
use super::texts::{
    put_address, put_bits, put_date, put_double, put_float, put_hex, put_integer, put_label,
    put_labels, put_time, put_timestamp, put_uuid, put_year,
};

/// What a column is, as far as its values need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Integer {
        bytes: usize,
        is_unsigned: bool,
    },
    Float,
    Double,
    Decimal {
        precision: usize,
        scale: usize,
    },
    Year,
    Date,
    /// Three bytes, without fractions: of before MySQL 5.6.
    OldTime,
    OldDatetime,
    OldTimestamp,
    Time {
        digits: usize,
    },
    Datetime {
        digits: usize,
    },
    Timestamp {
        digits: usize,
    },
    Bit {
        bits: usize,
    },
    Enum {
        bytes: usize,
        labels: Vec<String>,
    },
    Set {
        bytes: usize,
        labels: Vec<String>,
    },
    /// An enumeration or a set whose labels are not known as texts.
    Unlabelled {
        bytes: usize,
    },
    /// With so many bytes that say how long each is.
    Text {
        length_bytes: usize,
        charset: Charset,
    },
    /// `pad`: what a value is filled up to, with zeros.
    Binary {
        length_bytes: usize,
        pad: usize,
    },
    /// `uuid` of MariaDB.
    Uuid,
    /// `inet4`, `inet6` of MariaDB.
    Inet {
        bytes: usize,
    },
    /// What this version can't read: why.
    Unread {
        length_bytes: usize,
        why: &'static str,
    },
}

/// A value that can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Short,
    /// What is wrong with it.
    Value(&'static str),
}

impl From<Short> for Bad {
    fn from(_: Short) -> Self {
        Self::Short
    }
}

/// Numbers of the bytes that hold so many decimal digits, from 0.
const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

impl Kind {
    /// Reads a value and puts it behind what is there.
    pub(super) fn put(&self, out: &mut String, row: &mut Reading<'_>) -> Result<(), Bad> {
        match self {
            Self::Integer { bytes, is_unsigned } => {
                let number = row.little(*bytes)?;
                put_integer(out, number, *bytes, *is_unsigned);
            }
            Self::Float => {
                let bits = row.little(4)? as u32;
                put_float(out, f32::from_bits(bits));
            }
            Self::Double => {
                let bits = row.little(8)?;
                put_double(out, f64::from_bits(bits));
            }
            Self::Decimal { precision, scale } => put_decimal(out, row, *precision, *scale)?,
            Self::Year => put_year(out, row.byte()?),
            Self::Date => {
                let date = row.little(3)?;
                put_date(out, date >> 9, date >> 5 & 15, date & 31);
            }
            Self::OldTime | Self::OldDatetime | Self::OldTimestamp => self.put_old(out, row)?,
            Self::Time { digits } => {
                let bytes = fraction_bytes(*digits);
                let packed = row.big(3 + bytes)? as i64;
                let middle = 0x80_0000_i64 << (8 * bytes);
                let packed = packed - middle;
                let plain = packed.unsigned_abs();
                let fraction = plain & ((1 << (8 * bytes)) - 1);
                let time = plain >> (8 * bytes);
                put_time(
                    out,
                    packed < 0,
                    time >> 12 & 0x3ff,
                    time >> 6 & 63,
                    time & 63,
                    micros(fraction, bytes),
                );
            }
            Self::Datetime { digits } => {
                let packed = row.big(5)?.wrapping_sub(0x80_0000_0000);
                let bytes = fraction_bytes(*digits);
                let fraction = row.big(bytes)?;
                let (date, time) = (packed >> 17, packed & 0x1_ffff);
                let months = date >> 5;
                put_date(out, months / 13, months % 13, date & 31);
                out.push('T');
                let micros = micros(fraction, bytes);
                put_time(out, false, time >> 12, time >> 6 & 63, time & 63, micros);
            }
            Self::Timestamp { digits } => {
                let seconds = row.big(4)?;
                let bytes = fraction_bytes(*digits);
                let fraction = row.big(bytes)?;
                put_timestamp(out, seconds, micros(fraction, bytes));
            }
            Self::Bit { bits } => {
                let value = row.big(bit_bytes(*bits))?;
                put_bits(out, value, *bits);
            }
            Self::Enum { bytes, labels } => {
                let number = row.little(*bytes)?;
                put_label(out, number, labels);
            }
            Self::Set { bytes, labels } => put_labels(out, row.bytes(*bytes)?, labels),
            Self::Text {
                length_bytes,
                charset,
            } => {
                let bytes = counted(row, *length_bytes)?;
                let is_text = charset.put(out, bytes);
                if !is_text {
                    return Err(Bad::Value("is no text of its column's character set"));
                }
            }
            Self::Binary { length_bytes, pad } => {
                let bytes = counted(row, *length_bytes)?;
                put_hex(out, bytes);
                // A row event leaves out the zeros that a fixed length fills up with.
                for _ in bytes.len()..*pad {
                    out.push_str("00");
                }
            }
            Self::Uuid => {
                let bytes = counted(row, 1)?;
                put_uuid(out, bytes);
            }
            Self::Inet { bytes: size } => {
                let mut address = [0; 16];
                let bytes = counted(row, 1)?;
                let place = address[..*size].get_mut(..bytes.len()).ok_or(Short)?;
                place.copy_from_slice(bytes);
                put_address(out, &address[..*size]);
            }
            Self::Unread { .. } | Self::Unlabelled { .. } => {
                return Err(Bad::Value(self.unread().unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// Why its values can't be read; `None`: they can.
    pub(super) fn unread(&self) -> Option<&'static str> {
        match self {
            Self::Unread { why, .. } => Some(why),
            Self::Unlabelled { .. } => Some(
                "is an enumeration or a set whose labels are in a character set that is not known here",
            ),
            _ => None,
        }
    }

    /// Times of before MySQL 5.6.
    fn put_old(&self, out: &mut String, row: &mut Reading<'_>) -> Result<(), Short> {
        match self {
            Self::OldTime => {
                // Sign and digits: hhmmss.
                let time = (row.little(3)? << 40) as i64 >> 40;
                let plain = time.unsigned_abs();
                let (hours, minutes) = (plain / 10_000, plain / 100 % 100);
                put_time(out, time < 0, hours, minutes, plain % 100, 0);
            }
            Self::OldDatetime => {
                let both = row.little(8)?;
                let (date, time) = (both / 1_000_000, both % 1_000_000);
                put_date(out, date / 10_000, date / 100 % 100, date % 100);
                out.push('T');
                put_time(out, false, time / 10_000, time / 100 % 100, time % 100, 0);
            }
            _ => put_timestamp(out, row.little(4)?, 0),
        }
        Ok(())
    }

    /// Reads over a value.
    pub(super) fn skip(&self, row: &mut Reading<'_>) -> Result<(), Short> {
        let count = match self {
            Self::Integer { bytes, .. }
            | Self::Enum { bytes, .. }
            | Self::Set { bytes, .. }
            | Self::Unlabelled { bytes } => *bytes,
            Self::Float | Self::OldTimestamp => 4,
            Self::Double | Self::OldDatetime => 8,
            Self::Decimal { precision, scale } => decimal_bytes(*precision, *scale),
            Self::Year => 1,
            Self::Date | Self::OldTime => 3,
            Self::Time { digits } => 3 + fraction_bytes(*digits),
            Self::Datetime { digits } => 5 + fraction_bytes(*digits),
            Self::Timestamp { digits } => 4 + fraction_bytes(*digits),
            Self::Bit { bits } => bit_bytes(*bits),
            Self::Text { length_bytes, .. }
            | Self::Binary { length_bytes, .. }
            | Self::Unread { length_bytes, .. } => return counted(row, *length_bytes).map(drop),
            Self::Uuid | Self::Inet { .. } => return counted(row, 1).map(drop),
        };
        row.bytes(count).map(drop)
    }
}

fn counted<'r>(row: &mut Reading<'r>, length_bytes: usize) -> Result<&'r [u8], Short> {
    let count = row.little(length_bytes)?;
    row.bytes(usize::try_from(count).map_err(|_| Short)?)
}

/// Bytes of so many digits of a second.
fn fraction_bytes(digits: usize) -> usize {
    digits.div_ceil(2)
}

/// A fraction of so many bytes in microseconds: each byte holds two digits.
fn micros(fraction: u64, bytes: usize) -> u64 {
    match bytes {
        1 => fraction * 10_000,
        2 => fraction * 100,
        _ => fraction,
    }
}

fn decimal_bytes(precision: usize, scale: usize) -> usize {
    let whole = precision.saturating_sub(scale);
    whole / 9 * 4 + DIGIT_BYTES[whole % 9] + scale / 9 * 4 + DIGIT_BYTES[scale % 9]
}

/// Digits by nine in four bytes, the highest first; the sign is the first bit turned over, and a negative number has all bits turned over.
fn put_decimal(
    out: &mut String,
    row: &mut Reading<'_>,
    precision: usize,
    scale: usize,
) -> Result<(), Short> {
    const BYTES_MAX: usize = 40;
    let size = decimal_bytes(precision, scale);
    let mut copy = [0_u8; BYTES_MAX];
    let bytes = copy.get_mut(..size).ok_or(Short)?;
    bytes.copy_from_slice(row.bytes(size)?);
    let first = bytes.first_mut().ok_or(Short)?;
    let is_negative = *first & 0x80 == 0;
    *first ^= 0x80;
    if is_negative {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        out.push('-');
    }
    let mut groups = Reading(bytes);
    let whole = precision.saturating_sub(scale);
    let start = out.len();
    let mut put = |out: &mut String, digits: usize| {
        if digits > 0 {
            let group = groups.big(DIGIT_BYTES[digits])?;
            write!(out, "{group:0digits$}").expect("a text takes all");
        }
        Ok(())
    };
    put(out, whole % 9)?;
    for _ in 0..whole / 9 {
        put(out, 9)?;
    }
    let zeros = out[start..]
        .bytes()
        .take_while(|digit| *digit == b'0')
        .count();
    let length = out.len() - start;
    out.replace_range(start..start + zeros.min(length.saturating_sub(1)), "");
    if length == 0 {
        out.push('0');
    }
    if scale > 0 {
        out.push('.');
        for _ in 0..scale / 9 {
            put(out, 9)?;
        }
        put(out, scale % 9)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(kind: &Kind, bytes: &[u8]) -> String {
        let (mut out, mut row) = (String::new(), Reading(bytes));
        kind.put(&mut out, &mut row).expect("a value");
        assert!(row.is_empty(), "{kind:?} leaves {:?}", row.0);
        let mut row = Reading(bytes);
        kind.skip(&mut row).expect("a value");
        assert!(row.is_empty(), "{kind:?} skips all but {:?}", row.0);
        out
    }

    #[test]
    fn values_are_what_the_server_shows() {
        let integer = |bytes, is_unsigned| Kind::Integer { bytes, is_unsigned };
        let decimal = |precision, scale| Kind::Decimal { precision, scale };
        let labels = |labels: &[&str]| labels.iter().map(|one| (*one).to_owned()).collect();
        for (kind, bytes, expected) in [
            (integer(1, false), &[0x80][..], "-128"),
            (integer(1, true), &[0x80], "128"),
            (integer(3, false), &[0xff, 0xff, 0xff], "-1"),
            (integer(3, true), &[0xff, 0xff, 0xff], "16777215"),
            (integer(8, true), &[0xff; 8], "18446744073709551615"),
            (integer(8, false), &[0xff; 8], "-1"),
            (Kind::Float, &[0xcd, 0xcc, 0xcc, 0x3d], "0.1"),
            (Kind::Double, &1e-307_f64.to_le_bytes(), "1e-307"),
            (Kind::Double, &1234.5_f64.to_le_bytes(), "1234.5"),
            // The manual's own examples of DECIMAL(14,4).
            (
                decimal(14, 4),
                &[0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2],
                "1234567890.1234",
            ),
            (
                decimal(14, 4),
                &[0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d],
                "-1234567890.1234",
            ),
            (decimal(4, 2), &[0x80, 0x07], "0.07"),
            (decimal(2, 2), &[0x87], "0.07"),
            (decimal(9, 0), &[0x80, 0, 0, 0], "0"),
            (Kind::Year, &[0], "0000"),
            (Kind::Year, &[126], "2026"),
            (Kind::Date, &[0, 0, 0], "0000-00-00"),
            (Kind::Date, &[0x7b, 0xd5, 0x0f], "2026-11-27"),
            (Kind::Time { digits: 0 }, &[0x80, 0, 0], "00:00:00"),
            (Kind::Time { digits: 0 }, &[0x7f, 0xff, 0xff], "-00:00:01"),
            (Kind::Time { digits: 0 }, &[0x4b, 0x91, 0x05], "-838:59:59"),
            (
                Kind::Time { digits: 1 },
                &[0x7f, 0xff, 0xff, 0xce],
                "-00:00:00.5",
            ),
            (
                Kind::Datetime { digits: 0 },
                &[0x80, 0, 0, 0, 0],
                "0000-00-00T00:00:00",
            ),
            (
                Kind::Datetime { digits: 3 },
                &[0x99, 0xbb, 0x76, 0x83, 0xc0, 0x00, 0x32],
                "2026-11-27T08:15:00.005",
            ),
            (
                Kind::Timestamp { digits: 0 },
                &[0, 0, 0, 0],
                "0000-00-00T00:00:00",
            ),
            (
                Kind::Timestamp { digits: 6 },
                &[0, 0, 0, 1, 0x0f, 0x42, 0x3f],
                "1970-01-01T00:00:01.999999Z",
            ),
            (Kind::OldTime, &[0x9b, 0x03, 0], "00:09:23"),
            (Kind::OldTimestamp, &[1, 0, 0, 0], "1970-01-01T00:00:01Z"),
            (Kind::Bit { bits: 10 }, &[0x02, 0x05], "1000000101"),
            (
                Kind::Enum {
                    bytes: 1,
                    labels: labels(&["free", "held"]),
                },
                &[2],
                "held",
            ),
            (
                Kind::Enum {
                    bytes: 1,
                    labels: labels(&["free"]),
                },
                &[0],
                "",
            ),
            (
                Kind::Set {
                    bytes: 1,
                    labels: labels(&["a", "b", "c"]),
                },
                &[0b101],
                "a,c",
            ),
            (
                Kind::Binary {
                    length_bytes: 1,
                    pad: 3,
                },
                &[1, 0xff],
                "\\xff0000",
            ),
            (
                Kind::Text {
                    length_bytes: 2,
                    charset: Charset::named("latin1"),
                },
                &[1, 0, 0xe9],
                "é",
            ),
            (Kind::Inet { bytes: 4 }, &[3, 192, 0, 2], "192.0.2.0"),
        ] {
            assert_eq!(put(&kind, bytes), expected, "{kind:?}");
        }
    }

    #[test]
    fn what_is_no_value_is_told() {
        let text = |name| Kind::Text {
            length_bytes: 1,
            charset: Charset::named(name),
        };
        let bad = |kind: Kind, bytes: &[u8]| kind.put(&mut String::new(), &mut Reading(bytes));
        assert_eq!(bad(Kind::Float, &[1]), Err(Bad::Short));
        assert!(matches!(
            bad(text("utf8mb4"), &[1, 0xff]),
            Err(Bad::Value(_))
        ));
        assert_eq!(bad(text("utf8mb4"), &[2, b'a']), Err(Bad::Short));
    }
}
