//! From bytes to text, a line at a time.

use std::borrow::Cow;

use crate::FileFault;
use crate::csv::Encoding;

/// The bytes that windows-1252 leaves undefined. The web's table makes control characters of them; in a
/// drop they mean another code page: 0x81 is "ü" in those of DOS.
const UNDEFINED_1252: [u8; 5] = [0x81, 0x8D, 0x8F, 0x90, 0x9D];

/// An encoding whose byte order is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Utf8,
    Utf16 { big: bool },
    Windows1252,
    Latin1,
}

/// Looks at a file's first bytes (at least 3 unless it is shorter): its charset, and how long its
/// byte order mark is.
pub(crate) fn begin(declared: Encoding, bytes: &[u8]) -> Result<(Charset, usize), FileFault> {
    let mark = match bytes {
        [0xEF, 0xBB, 0xBF, ..] => Some(("UTF-8", Charset::Utf8, 3)),
        [0xFF, 0xFE, ..] => Some(("UTF-16LE", Charset::Utf16 { big: false }, 2)),
        [0xFE, 0xFF, ..] => Some(("UTF-16BE", Charset::Utf16 { big: true }, 2)),
        _ => None,
    };
    let charset = match declared {
        Encoding::Utf8 => Charset::Utf8,
        Encoding::Utf16 => match mark {
            Some((_, charset @ Charset::Utf16 { .. }, _)) => charset,
            _ => Charset::Utf16 { big: false },
        },
        Encoding::Utf16Le => Charset::Utf16 { big: false },
        Encoding::Utf16Be => Charset::Utf16 { big: true },
        Encoding::Windows1252 => Charset::Windows1252,
        Encoding::Iso88591 => Charset::Latin1,
    };
    match mark {
        None => Ok((charset, 0)),
        Some((_, marked, length)) if marked == charset => Ok((charset, length)),
        Some((name, ..)) => Err(FileFault(format!(
            "the file begins with the byte order mark of {name}, but encoding = \"{}\"; write encoding = \"{}\"",
            declared.name(),
            name.to_lowercase()
        ))),
    }
}

impl Charset {
    /// Bytes of a code unit.
    pub(crate) fn width(self) -> usize {
        if matches!(self, Self::Utf16 { .. }) {
            2
        } else {
            1
        }
    }

    /// Where the ASCII character `letter` next stands, at or after `from`.
    pub(crate) fn find(self, letter: u8, bytes: &[u8], from: usize) -> Option<usize> {
        let Self::Utf16 { big } = self else {
            return memchr::memchr(letter, &bytes[from..]).map(|at| from + at);
        };
        let (low, high) = if big { (1, 0) } else { (0, 1) };
        let mut search = from & !1;
        while let Some(found) = memchr::memchr(letter, &bytes[search..]) {
            let unit = (search + found) & !1;
            if bytes.get(unit + low) == Some(&letter) && bytes.get(unit + high) == Some(&0) {
                return Some(unit);
            }
            search = unit + 2;
            if search >= bytes.len() {
                return None;
            }
        }
        None
    }

    /// Whether `bytes` end with the ASCII character `letter`.
    pub(crate) fn ends_with(self, bytes: &[u8], letter: u8) -> bool {
        match self {
            Self::Utf16 { big: false } => {
                bytes.len().is_multiple_of(2) && bytes.ends_with(&[letter, 0])
            }
            Self::Utf16 { big: true } => {
                bytes.len().is_multiple_of(2) && bytes.ends_with(&[0, letter])
            }
            _ => bytes.last() == Some(&letter),
        }
    }

    /// The text, borrowed where it is the bytes themselves; or why it is none.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, String> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
                let at = error.valid_up_to();
                format!("byte {} (0x{:02X}) is not UTF-8; if all files of this system are so, set encoding to what it writes, e.g. \"windows-1252\"", at + 1, bytes[at])
            }),
            Self::Latin1 => Ok(encoding_rs::mem::decode_latin1(bytes)),
            Self::Windows1252 => {
                if let Some(at) = undefined_1252(bytes) {
                    return Err(format!("byte {} (0x{:02X}) means nothing in windows-1252; the system may write another code page", at + 1, bytes[at]));
                }
                Ok(encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0)
            }
            Self::Utf16 { big } => {
                let encoding = if big { encoding_rs::UTF_16BE } else { encoding_rs::UTF_16LE };
                let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
                text.ok_or_else(|| "it is not UTF-16: a unit is cut or half of a pair is missing; check encoding".into())
            }
        }
    }
}

fn undefined_1252(bytes: &[u8]) -> Option<usize> {
    if bytes.is_ascii() {
        return None;
    }
    bytes.iter().position(|byte| UNDEFINED_1252.contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_exactly_or_refused() {
        let le = Charset::Utf16 { big: false };
        let be = Charset::Utf16 { big: true };
        assert_eq!(
            Charset::Windows1252.decode(b"\x80 \xFC").as_deref(),
            Ok("€ ü")
        );
        assert_eq!(
            Charset::Latin1.decode(b"\x80 \xFC").as_deref(),
            Ok("\u{80} ü")
        );
        assert_eq!(le.decode(b"\xFC\0\x3D\xD8\0\xDE").as_deref(), Ok("ü😀"));
        assert_eq!(be.decode(b"\0\xFC").as_deref(), Ok("ü"));
        for (charset, bytes, word) in [
            (Charset::Utf8, &b"ab\xFC"[..], "byte 3 (0xFC)"),
            (Charset::Windows1252, b"\x81", "0x81"),
            (le, b"a", "UTF-16"),
            (le, b"\x3D\xD8a\0", "UTF-16"),
        ] {
            let said = charset.decode(bytes).expect_err("it is broken");
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn letters_are_found_at_units_only() {
        let le = Charset::Utf16 { big: false };
        let be = Charset::Utf16 { big: true };
        // U+0A0A, U+0A00 and U+000A in both orders.
        assert_eq!(le.find(b'\n', b"\x0A\x0A\0\x0A\x0A\0", 0), Some(4));
        assert_eq!(be.find(b'\n', b"\x0A\x0A\x0A\0\0\x0A", 0), Some(4));
        assert_eq!(le.find(b'\n', b"\x0A", 0), None);
        assert_eq!(Charset::Utf8.find(b'\n', b"a\nb\n", 2), Some(3));
        assert!(le.ends_with(b"a\0\r\0", b'\r') && !be.ends_with(b"a\0\r\0", b'\r'));
    }

    #[test]
    fn byte_order_marks_are_taken_or_disagree() {
        assert_eq!(
            begin(Encoding::Utf8, b"\xEF\xBB\xBFa"),
            Ok((Charset::Utf8, 3))
        );
        assert_eq!(begin(Encoding::Utf8, b""), Ok((Charset::Utf8, 0)));
        assert_eq!(
            begin(Encoding::Utf16, b"\xFE\xFF\0a"),
            Ok((Charset::Utf16 { big: true }, 2))
        );
        assert_eq!(
            begin(Encoding::Utf16, b"a\0b\0"),
            Ok((Charset::Utf16 { big: false }, 0))
        );
        for declared in [Encoding::Utf8, Encoding::Windows1252, Encoding::Utf16Be] {
            let FileFault(said) = begin(declared, b"\xFF\xFEa\0").expect_err("they disagree");
            assert!(
                said.contains("utf-16le") && said.contains(declared.name()),
                "{said}"
            );
        }
    }
}
