//! Protobuf's wire format, as far as an event needs it, without a struct between.
//!
//! The hot paths write and read events through these functions: mapping goes from a source's column
//! straight to bytes, delivery from bytes straight to JSON. Anything colder uses [`crate::v1`].
//! Source: the "Encoding" page of the Protocol Buffers documentation.

use thiserror::Error;

/// Appends an unsigned varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends field `number` as a varint; zero, proto3's default, is left out.
#[inline]
pub fn put_integer(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        put_varint(out, u64::from(number) << 3);
        put_varint(out, value);
    }
}

/// Appends field `number` as a length-delimited value, even if it is empty.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a string field; the empty one, proto3's default, is left out.
#[inline]
pub fn put_text(out: &mut Vec<u8>, number: u32, value: &str) {
    if !value.is_empty() {
        put_bytes(out, number, value.as_bytes());
    }
}

/// Appends field `number` as a `Decimal` with these digits.
#[inline]
pub fn put_decimal(out: &mut Vec<u8>, number: u32, digits: &str) {
    put_message(out, number, |out| put_text(out, 1, digits));
}

/// Appends field `number` as a `google.protobuf.Timestamp`.
///
/// `micros`: microseconds since 1970-01-01T00:00:00Z; negative before.
#[inline]
pub fn put_timestamp(out: &mut Vec<u8>, number: u32, micros: i64) {
    put_message(out, number, |out| {
        put_integer(out, 1, micros.div_euclid(1_000_000) as u64);
        put_integer(out, 2, micros.rem_euclid(1_000_000) as u64 * 1_000);
    });
}

/// Appends one entry of a `map<string, string>`.
#[inline]
pub fn put_entry(out: &mut Vec<u8>, number: u32, key: &str, value: &str) {
    put_message(out, number, |out| {
        put_text(out, 1, key);
        put_text(out, 2, value);
    });
}

/// Appends field `number` as a message that `write` appends.
///
/// The length goes before what it counts: one byte is kept for it, and only what turns out longer
/// than 127 bytes is moved.
#[inline]
pub fn put_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, u64::from(number) << 3 | 2);
    out.push(0);
    let start = out.len();
    write(out);
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut rest = length as u64 >> 7;
    let mut extra = 0;
    while rest > 0 {
        extra += 1;
        rest >>= 7;
    }
    out.resize(start + length + extra, 0);
    out.copy_within(start..start + length, start + extra);
    let mut rest = length as u64;
    for byte in &mut out[start - 1..start + extra] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[start + extra - 1] &= 0x7F;
}

/// Bytes that are not protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not protobuf at byte {at} of the message")]
pub struct WireError {
    /// How many bytes were read before.
    pub at: usize,
}

/// A field's value as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw<'a> {
    /// Integers, enums and booleans.
    Varint(u64),
    /// `fixed64`.
    Fixed64(u64),
    /// Strings, bytes and messages.
    Bytes(&'a [u8]),
    /// `fixed32`.
    Fixed32(u32),
}

/// The fields of a message, in the order of its bytes. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Reads `message`.
    #[must_use]
    pub fn of(message: &'a [u8]) -> Self {
        Self {
            bytes: message,
            at: 0,
        }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u32, Raw<'a>)> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0)?;
        let value = match key & 7 {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Raw::Bytes(self.take(length)?)
            }
            5 => Raw::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Raw<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.field();
        let at = self.at;
        if field.is_none() {
            self.at = self.bytes.len();
        }
        Some(field.ok_or(WireError { at }))
    }
}

/// Reads a `google.protobuf.Timestamp`: microseconds since 1970-01-01T00:00:00Z.
///
/// # Errors
/// [`WireError`] if the bytes are not a message. What lies beyond the range of `i64` saturates.
pub fn timestamp(message: &[u8]) -> Result<i64, WireError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    for field in Fields::of(message) {
        match field? {
            (1, Raw::Varint(value)) => seconds = value as i64,
            (2, Raw::Varint(value)) => nanos = value as i64,
            _ => {}
        }
    }
    Ok(seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1_000))
}

/// Reads a message whose field 1 is a string, as `Decimal` is; anything else reads as "".
///
/// # Errors
/// [`WireError`] if the bytes are not a message or the string is not UTF-8.
pub fn first_text(message: &[u8]) -> Result<&str, WireError> {
    let mut text = "";
    for field in Fields::of(message) {
        if let (1, Raw::Bytes(bytes)) = field? {
            text = utf8(bytes)?;
        }
    }
    Ok(text)
}

/// A string field's bytes as text.
///
/// # Errors
/// [`WireError`] where they are not UTF-8.
#[inline]
pub fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|error| WireError {
        at: error.valid_up_to(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_moves_its_message_only_when_it_must() {
        for length in [0_usize, 1, 127, 128, 129, 16_383, 16_384, 70_000, 3_000_000] {
            let body = vec![7_u8; length];
            let mut out = vec![9];
            put_message(&mut out, 3, |out| out.extend_from_slice(&body));
            let mut expected = vec![9];
            put_bytes(&mut expected, 3, &body);
            assert_eq!(out, expected, "length {length}");
        }
    }

    #[test]
    fn fields_come_back_as_written_and_damage_ends_them() {
        let mut out = Vec::new();
        put_integer(&mut out, 1, 300);
        put_text(&mut out, 2, "abc");
        put_timestamp(&mut out, 3, -1);
        let fields: Result<Vec<_>, _> = Fields::of(&out).collect();
        let fields = fields.expect("our own bytes");
        assert_eq!(fields[0], (1, Raw::Varint(300)));
        assert_eq!(fields[1], (2, Raw::Bytes(b"abc")));
        let Raw::Bytes(time) = fields[2].1 else {
            panic!("a message")
        };
        assert_eq!(timestamp(time), Ok(-1));
        for cut in 1..out.len() {
            let last = Fields::of(&out[..cut]).last().expect("at least one item");
            let whole = Fields::of(&out[..cut]).filter(Result::is_ok).count();
            assert!(last.is_err() || whole < 3, "cut at {cut} was not seen");
        }
        assert!(Fields::of(&[0x07, 1]).next().expect("one").is_err());
        assert!(Fields::of(&[0xFF; 11]).next().expect("one").is_err());
    }
}
