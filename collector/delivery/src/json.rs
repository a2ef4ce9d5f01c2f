//! JSON's small parts, appended to bytes without a value between.

use dray_proto::wire::{WireError, utf8};
use jiff::Timestamp;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Appends a string with its quotes.
///
/// # Errors
/// Where the bytes are not UTF-8.
#[inline]
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) -> Result<(), WireError> {
    out.push(b'"');
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        utf8(text)?;
        put_escaped(out, text);
    }
    out.push(b'"');
    Ok(())
}

/// Whether the text is ASCII without anything to escape: eight bytes at a time.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    // The usual bit tricks: a byte's high bit is set where it is below 0x20, or equal to the wanted.
    let odd = |word: u64| {
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        let control = word.wrapping_sub(ONES * 0x20);
        (control | quote.wrapping_sub(ONES) | slash.wrapping_sub(ONES) | word) & HIGH
    };
    let mut chunks = text.chunks_exact(8);
    for chunk in chunks.by_ref() {
        // Borrows between bytes only ever raise a false alarm, and `put_escaped` is right for any text.
        let Ok(bytes) = chunk.try_into() else {
            return false;
        };
        if odd(u64::from_le_bytes(bytes)) != 0 {
            return false;
        }
    }
    chunks
        .remainder()
        .iter()
        .all(|byte| (0x20..0x80).contains(byte) && *byte != b'"' && *byte != b'\\')
}

#[cold]
fn put_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                put_hex(out, &[*byte]);
                continue;
            }
            other => {
                out.push(*other);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
}

/// Appends lower-case hexadecimal digits.
#[inline]
pub(crate) fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]);
    }
}

/// Appends a number.
#[inline]
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes times; remembers the last date, since neighbours share it.
#[derive(Debug)]
pub(crate) struct Clockface {
    day: i64,
    date: String,
}

impl Default for Clockface {
    fn default() -> Self {
        Self {
            day: i64::MIN,
            date: String::new(),
        }
    }
}

/// A time that RFC 3339 cannot write: its year is not one of 0000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfRange;

impl Clockface {
    /// Appends RFC 3339 with quotes, in UTC; microseconds only where there are any.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, micros: i64) -> Result<(), OutOfRange> {
        let (day, rest) = (
            micros.div_euclid(86_400_000_000),
            micros.rem_euclid(86_400_000_000),
        );
        if day != self.day {
            let date =
                Timestamp::from_second(day.saturating_mul(86_400)).map_err(|_| OutOfRange)?;
            let date = date.strftime("%Y-%m-%d").to_string();
            if date.len() != 10 {
                return Err(OutOfRange);
            }
            (self.day, self.date) = (day, date);
        }
        let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
        let two = |number: i64| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        let [h, m, s] = [
            two(seconds / 3_600),
            two(seconds / 60 % 60),
            two(seconds % 60),
        ];
        out.push(b'"');
        out.extend_from_slice(self.date.as_bytes());
        out.extend_from_slice(&[b'T', h[0], h[1], b':', m[0], m[1], b':', s[0], s[1]]);
        if fraction != 0 {
            let [a, b, c] = [
                two(fraction / 10_000),
                two(fraction / 100 % 100),
                two(fraction % 100),
            ];
            out.extend_from_slice(&[b'.', a[0], a[1], b[0], b[1], c[0], c[1]]);
        }
        out.extend_from_slice(b"Z\"");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_rfc_3339() {
        let mut clock = Clockface::default();
        for (micros, expected) in [
            (0, Some("1970-01-01T00:00:00Z")),
            (-1, Some("1969-12-31T23:59:59.999999Z")),
            (1_700_000_000_000_005, Some("2023-11-14T22:13:20.000005Z")),
            (951_782_400_120_000, Some("2000-02-29T00:00:00.120000Z")),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            let mut out = Vec::new();
            let put = clock.put(&mut out, micros).ok();
            assert_eq!(
                put.map(|()| String::from_utf8(out).expect("ASCII")),
                expected.map(|text| format!("\"{text}\""))
            );
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(text in any::<String>(), tail in "[ -~\n\"\\\\]{0,30}") {
            for text in [text.clone(), tail.clone(), tail + &text] {
                let mut out = Vec::new();
                put_text(&mut out, text.as_bytes()).expect("it is UTF-8");
                prop_assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
            }
        }

        #[test]
        fn numbers_read_back(number in any::<u64>()) {
            let mut out = Vec::new();
            put_number(&mut out, number);
            prop_assert_eq!(serde_json::from_slice::<u64>(&out).expect("JSON"), number);
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused() {
        assert!(put_text(&mut Vec::new(), b"abc\xff").is_err());
        assert!(put_text(&mut Vec::new(), b"abcdefgh\xff").is_err());
    }
}
