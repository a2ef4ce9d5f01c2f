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
    Utf16 {
        big: bool,
    },
    Utf32 {
        big: bool,
    },
    Windows1252,
    Latin1,
    /// ASCII and 128 characters above it.
    Dos(&'static [char; 128]),
    /// One or more bytes a character, of which only the first is ever a line end: Shift-JIS and GB18030. What comes behind the first may
    /// look like a delimiter or a quote, so these are looked for in the text alone.
    Several(&'static Multi),
}

/// An encoding of several bytes.
type Multi = encoding_rs::Encoding;

/// All that [`begin`] tells; one may be the beginning of another.
const MARKS: [&[u8]; 6] = [
    &[0xEF, 0xBB, 0xBF],
    &[0xFF, 0xFE, 0, 0],
    &[0, 0, 0xFE, 0xFF],
    &[0x84, 0x31, 0x95, 0x33],
    &[0xFF, 0xFE],
    &[0xFE, 0xFF],
];

/// Whether what follows may make these first bytes of a file a byte order mark, or a longer one. A line of one character
/// in a file that grows does not wait for more.
pub(crate) fn may_be_a_mark(bytes: &[u8]) -> bool {
    MARKS
        .iter()
        .any(|mark| mark.len() > bytes.len() && mark.starts_with(bytes))
}

/// Looks at a file's first bytes (as many as [`may_be_a_mark`] asks for, unless it is shorter): its charset, and how long
/// its byte order mark is.
pub(crate) fn begin(declared: Encoding, bytes: &[u8]) -> Result<(Charset, usize), FileFault> {
    let mark = match bytes {
        [0xEF, 0xBB, 0xBF, ..] => Some(("UTF-8", Charset::Utf8, 3)),
        [0xFF, 0xFE, 0, 0, ..] => Some(("UTF-32LE", Charset::Utf32 { big: false }, 4)),
        [0, 0, 0xFE, 0xFF, ..] => Some(("UTF-32BE", Charset::Utf32 { big: true }, 4)),
        // Elsewhere these four are letters.
        [0x84, 0x31, 0x95, 0x33, ..] if declared == Encoding::Gb18030 => {
            Some(("GB18030", Charset::Several(encoding_rs::GB18030), 4))
        }
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
        Encoding::Utf32 => match mark {
            Some((_, charset @ Charset::Utf32 { .. }, _)) => charset,
            _ => Charset::Utf32 { big: false },
        },
        Encoding::Utf32Le => Charset::Utf32 { big: false },
        Encoding::Utf32Be => Charset::Utf32 { big: true },
        Encoding::Windows1252 => Charset::Windows1252,
        Encoding::Iso88591 => Charset::Latin1,
        Encoding::Cp437 => Charset::Dos(&oem_cp::code_table::DECODING_TABLE_CP437),
        Encoding::Cp850 => Charset::Dos(&oem_cp::code_table::DECODING_TABLE_CP850),
        Encoding::ShiftJis => Charset::Several(encoding_rs::SHIFT_JIS),
        Encoding::Gb18030 => Charset::Several(encoding_rs::GB18030),
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
        match self {
            Self::Utf16 { .. } => 2,
            Self::Utf32 { .. } => 4,
            _ => 1,
        }
    }

    /// Where the line end `letter` next stands, at or after `from`, or after the beginning of the unit that `from` is in.
    pub(crate) fn find(self, letter: u8, bytes: &[u8], from: usize) -> Option<usize> {
        let width = self.width();
        if width == 1 {
            return memchr::memchr(letter, &bytes[from..]).map(|at| from + at);
        }
        let mut search = from - from % width;
        while let Some(found) = memchr::memchr(letter, bytes.get(search..)?) {
            let unit = (search + found) / width * width;
            if self.is(bytes.get(unit..unit + width)?, letter) {
                return Some(unit);
            }
            search = unit + width;
        }
        None
    }

    /// Whether a unit is an ASCII character.
    fn is(self, unit: &[u8], letter: u8) -> bool {
        let (own, rest) = match self {
            Self::Utf16 { big: true } | Self::Utf32 { big: true } => unit.split_last(),
            _ => unit.split_first(),
        }
        .unwrap_or((&0, &[]));
        *own == letter && rest.iter().all(|byte| *byte == 0)
    }

    /// Whether `bytes` end with the line end `letter`.
    pub(crate) fn ends_with(self, bytes: &[u8], letter: u8) -> bool {
        let width = self.width();
        bytes.len().is_multiple_of(width)
            && bytes.len() >= width
            && self.is(&bytes[bytes.len() - width..], letter)
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
                let text = exactly(encoding, bytes);
                text.map_err(|at| format!("byte {} is not UTF-16: a unit is cut or half of a pair is missing; check encoding", at + 1))
            }
            Self::Utf32 { big } => utf32(bytes, big).map_err(|at| format!("byte {} is not UTF-32: a unit is cut or is no character; check encoding", at + 1)),
            _ if bytes.is_ascii() => Ok(std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)),
            Self::Dos(upper) => Ok(bytes.iter().map(|byte| match byte.checked_sub(0x80) {
                None => char::from(*byte),
                Some(above) => upper[usize::from(above)],
            }).collect::<String>().into()),
            Self::Several(encoding) => exactly(encoding, bytes).map_err(|at| {
                format!("byte {} (0x{:02X}) is not {}; the system may write another encoding", at + 1, bytes[at], encoding.name())
            }),
        }
    }
}

/// The text, or where the first bytes stand that are none.
fn exactly(encoding: &'static Multi, bytes: &[u8]) -> Result<Cow<'static, str>, usize> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    let mut text = String::with_capacity(room.unwrap_or(4 * bytes.len()));
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
    match result {
        encoding_rs::DecoderResult::InputEmpty => Ok(text.into()),
        encoding_rs::DecoderResult::Malformed(wrong, after) => {
            let back = usize::from(wrong) + usize::from(after);
            Err(read.saturating_sub(back).min(bytes.len().saturating_sub(1)))
        }
        encoding_rs::DecoderResult::OutputFull => Err(read.min(bytes.len().saturating_sub(1))),
    }
}

fn utf32(bytes: &[u8], big: bool) -> Result<Cow<'static, str>, usize> {
    let mut text = String::with_capacity(bytes.len() / 2);
    let (units, cut) = bytes.as_chunks::<4>();
    for (at, unit) in units.iter().enumerate() {
        let point = if big {
            u32::from_be_bytes(*unit)
        } else {
            u32::from_le_bytes(*unit)
        };
        text.push(char::from_u32(point).ok_or(4 * at)?);
    }
    if cut.is_empty() {
        Ok(text.into())
    } else {
        Err(bytes.len() - cut.len())
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
        let (quad_le, quad_be) = (Charset::Utf32 { big: false }, Charset::Utf32 { big: true });
        assert_eq!(
            quad_le.decode(b"\xFC\0\0\0\0\xF6\x01\0").as_deref(),
            Ok("ü😀")
        );
        assert_eq!(quad_be.decode(b"\0\0\0\xFC").as_deref(), Ok("ü"));
        // The second bytes of these are a bar, a backslash and digits.
        let (jis, gb) = (
            Charset::Several(encoding_rs::SHIFT_JIS),
            Charset::Several(encoding_rs::GB18030),
        );
        assert_eq!(jis.decode(b"\x83|\x83\\|\xB1").as_deref(), Ok("ポソ|ｱ"));
        assert_eq!(gb.decode(b"\x81|\x94\x39\xDA\x33|").as_deref(), Ok("亅💩|"));
        for (charset, bytes, word) in [
            (Charset::Utf8, &b"ab\xFC"[..], "byte 3 (0xFC)"),
            (Charset::Windows1252, b"\x81", "0x81"),
            (le, b"a", "byte 1 is not UTF-16"),
            (le, b"b\0\x3D\xD8a\0", "byte 3 is not UTF-16"),
            (
                Charset::Utf32 { big: true },
                b"\0\0\0a\0\0\0",
                "byte 5 is not UTF-32",
            ),
            (
                Charset::Utf32 { big: true },
                b"\0\0\xD8\0",
                "byte 1 is not UTF-32",
            ),
            (
                Charset::Several(encoding_rs::SHIFT_JIS),
                b"\x83\x65a\x83\x20",
                "byte 4 (0x83) is not Shift_JIS",
            ),
            (
                Charset::Several(encoding_rs::SHIFT_JIS),
                b"a\x83",
                "byte 2 (0x83)",
            ),
            (
                Charset::Several(encoding_rs::SHIFT_JIS),
                b"a\xFFb",
                "byte 2 (0xFF)",
            ),
            (
                Charset::Several(encoding_rs::GB18030),
                b"ab\x81\x30\xFF",
                "byte 3 (0x81) is not gb18030",
            ),
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
        let quad = Charset::Utf32 { big: false };
        // U+0A0A, U+000A; looked for from the midst of a unit on.
        assert_eq!(quad.find(b'\n', b"\x0A\x0A\0\0\x0A\0\0\0", 7), Some(4));
        assert_eq!(quad.find(b'\n', b"\x0A\0\0", 3), None);
        assert!(quad.ends_with(b"\r\0\0\0", b'\r') && !quad.ends_with(b"\0\0\0\r", b'\r'));
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
        assert_eq!(
            begin(Encoding::Utf32, b"\0\0\xFE\xFF\0\0\0a"),
            Ok((Charset::Utf32 { big: true }, 4))
        );
        let gb = Charset::Several(encoding_rs::GB18030);
        assert_eq!(begin(Encoding::Gb18030, b"\x84\x31\x95\x33a"), Ok((gb, 4)));
        let FileFault(said) = begin(Encoding::Utf16, b"\xFF\xFE\0\0").expect_err("they disagree");
        assert!(said.contains("utf-32le"), "{said}");
        for declared in [
            Encoding::Utf8,
            Encoding::Windows1252,
            Encoding::Utf16Be,
            Encoding::Cp437,
        ] {
            let FileFault(said) = begin(declared, b"\xFF\xFEa\0").expect_err("they disagree");
            assert!(
                said.contains("utf-16le") && said.contains(declared.name()),
                "{said}"
            );
        }
    }
}
