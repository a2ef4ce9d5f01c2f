//! How a file's characters are kept: EBCDIC or ASCII and what is built on it; and the fields that are made of characters.

use std::fmt;

use serde::Deserialize;

use super::code_page::CodePage;
use super::number::Zones;
use crate::csv::Encoding;
use crate::text::{Charset, encoding};

/// The encoding of a file that a copybook describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum CobolEncoding {
    /// EBCDIC of the United States, Canada, the Netherlands, Portugal, Brazil.
    #[default]
    #[serde(rename = "cp037")]
    Cp037,
    /// EBCDIC of Germany and Austria.
    #[serde(rename = "cp273")]
    Cp273,
    /// International EBCDIC: Belgium, Switzerland.
    #[serde(rename = "cp500")]
    Cp500,
    /// EBCDIC of open systems on z/OS.
    #[serde(rename = "cp1047")]
    Cp1047,
    /// 037 with the euro sign.
    #[serde(rename = "cp1140")]
    Cp1140,
    /// Bytes above 0x7F are errors.
    #[serde(rename = "ascii")]
    Ascii,
    /// Latin-1.
    #[serde(rename = "iso-8859-1")]
    Iso88591,
    /// Microsoft's Western European code page.
    #[serde(rename = "windows-1252")]
    Windows1252,
    /// DOS in the United States.
    #[serde(rename = "cp437")]
    Cp437,
    /// DOS in Western Europe.
    #[serde(rename = "cp850")]
    Cp850,
    /// Fields have so many bytes, not letters.
    #[serde(rename = "utf-8")]
    Utf8,
    /// As above.
    #[serde(rename = "shift-jis", alias = "cp932")]
    ShiftJis,
}

impl CobolEncoding {
    /// Whether it is one of the EBCDIC code pages.
    #[must_use]
    pub fn is_ebcdic(self) -> bool {
        self.code_page().is_some()
    }

    fn code_page(self) -> Option<CodePage> {
        Some(match self {
            Self::Cp037 => CodePage::Cp037,
            Self::Cp273 => CodePage::Cp273,
            Self::Cp500 => CodePage::Cp500,
            Self::Cp1047 => CodePage::Cp1047,
            Self::Cp1140 => CodePage::Cp1140,
            _ => return None,
        })
    }

    fn charset(self) -> Charset {
        let declared = match self {
            Self::Windows1252 => Encoding::Windows1252,
            Self::Cp437 => Encoding::Cp437,
            Self::Cp850 => Encoding::Cp850,
            Self::ShiftJis => Encoding::ShiftJis,
            Self::Ascii | Self::Utf8 => Encoding::Utf8,
            _ => Encoding::Iso88591,
        };
        encoding::begin(declared, b"").map_or(Charset::Latin1, |(charset, _)| charset)
    }
}

/// What stands in the table where a byte is no character.
const NONE: char = '\u{FFFD}';
/// What stands in the table of ASCII characters for all others.
const NOT_ASCII: u8 = 0x80;
/// Bytes that are turned into characters at a time.
const PIECE_BYTES: usize = 32;

/// Reads characters.
#[derive(Debug, Clone)]
pub(super) struct Characters {
    /// Each byte's character.
    table: Box<[char; 256]>,
    /// Each byte's character, where that is ASCII; elsewhere [`NOT_ASCII`].
    ascii: Box<[u8; 256]>,
    /// Whether each byte is one.
    complete: bool,
    /// Where characters have several bytes.
    several: Option<Charset>,
    pub(super) zones: Zones,
    pub(super) space: u8,
}

/// What is wrong with the bytes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A byte that is no character, and its place from 0.
    Byte { at: usize, byte: u8 },
    /// The bytes are no text in an encoding of several bytes.
    Several,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte { at, byte } => write!(
                f,
                "byte {} (0x{byte:02X}) is no character; check encoding",
                at + 1
            ),
            Self::Several => write!(f, "it is no text in this encoding; check encoding"),
        }
    }
}

impl Characters {
    pub(super) fn new(encoding: CobolEncoding) -> Self {
        let ebcdic = encoding.code_page().map(CodePage::characters);
        let charset = encoding.charset();
        let of = |byte: usize| {
            let byte = byte as u8;
            match &ebcdic {
                Some(characters) => characters[usize::from(byte)],
                None => charset
                    .decode(&[byte])
                    .ok()
                    .and_then(|text| text.chars().next())
                    .unwrap_or(NONE),
            }
        };
        let table: [char; 256] = std::array::from_fn(of);
        let several = matches!(encoding, CobolEncoding::Utf8 | CobolEncoding::ShiftJis);
        let ascii = |byte: usize| match table[byte] {
            letter if letter.is_ascii() => letter as u8,
            _ => NOT_ASCII,
        };
        Self {
            ascii: Box::new(std::array::from_fn(ascii)),
            complete: !table.contains(&NONE),
            table: Box::new(table),
            several: several.then_some(charset),
            zones: if ebcdic.is_some() {
                Zones::Ebcdic
            } else {
                Zones::Ascii
            },
            space: if ebcdic.is_some() { 0x40 } else { b' ' },
        }
    }

    /// Appends the text that these bytes are.
    pub(super) fn push(&self, bytes: &[u8], text: &mut String) -> Result<(), Fault> {
        if let Some(charset) = self.several.filter(|_| !bytes.is_ascii()) {
            text.push_str(&charset.decode(bytes).map_err(|_| Fault::Several)?);
            return Ok(());
        }
        if !self.complete {
            let wrong = |byte: &u8| self.table[usize::from(*byte)] == NONE;
            if let Some(at) = bytes.iter().position(wrong) {
                let byte = bytes[at];
                return Err(Fault::Byte { at, byte });
            }
        }
        for piece in bytes.chunks(PIECE_BYTES) {
            self.push_piece(piece, text);
        }
        Ok(())
    }

    /// Mostly all are ASCII, and then they are put there at once.
    #[inline]
    fn push_piece(&self, bytes: &[u8], text: &mut String) {
        let (mut letters, mut all) = ([0; PIECE_BYTES], 0);
        for (letter, byte) in letters.iter_mut().zip(bytes) {
            *letter = self.ascii[usize::from(*byte)];
            all |= *letter;
        }
        match std::str::from_utf8(&letters[..bytes.len()]) {
            Ok(letters) if all < NOT_ASCII => text.push_str(letters),
            _ => text.extend(bytes.iter().map(|byte| self.table[usize::from(*byte)])),
        }
    }

    /// The bytes that a text would be written as, if each letter has one.
    pub(super) fn bytes_of(&self, text: &str) -> Option<Vec<u8>> {
        let byte = |letter: char| {
            let at = self.table.iter().position(|known| *known == letter)?;
            (self.several.is_none() || letter.is_ascii()).then_some(at as u8)
        };
        text.chars().map(byte).collect()
    }

    /// Without the blanks and zero bytes at the end.
    #[inline]
    pub(super) fn trimmed<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let end = bytes
            .iter()
            .rposition(|byte| *byte != self.space && *byte != 0);
        &bytes[..end.map_or(0, |last| last + 1)]
    }

    /// Blanks alone, or zero bytes (LOW-VALUES) alone.
    #[inline]
    pub(super) fn is_blank(&self, bytes: &[u8]) -> bool {
        match bytes.first() {
            None => true,
            Some(first) if *first == self.space || *first == 0 => {
                bytes.iter().all(|byte| byte == first)
            }
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoding: CobolEncoding, bytes: &[u8], expected: Result<&str, &str>) {
        let mut text = String::new();
        let said = Characters::new(encoding).push(bytes, &mut text);
        match (said, expected) {
            (Ok(()), Ok(expected)) => assert_eq!(text, expected, "{encoding:?}"),
            (Err(fault), Err(words)) => assert!(fault.to_string().contains(words), "{fault}"),
            (found, _) => panic!("{encoding:?}: {found:?}"),
        }
    }

    #[test]
    fn characters_are_those_of_the_encoding() {
        check(CobolEncoding::Cp273, b"\xC1\x4A\x40", Ok("AÄ "));
        check(CobolEncoding::Ascii, b"Abc", Ok("Abc"));
        check(
            CobolEncoding::Ascii,
            b"A\xC4",
            Err("byte 2 (0xC4) is no character"),
        );
        check(CobolEncoding::Windows1252, b"\x80\xFC", Ok("€ü"));
        check(CobolEncoding::Windows1252, b"\x81", Err("byte 1 (0x81)"));
        check(CobolEncoding::Cp850, b"\x9B", Ok("ø"));
        check(CobolEncoding::Utf8, "ü€".as_bytes(), Ok("ü€"));
        check(
            CobolEncoding::Utf8,
            b"\xC3",
            Err("no text in this encoding"),
        );
        check(CobolEncoding::ShiftJis, b"\x83\x7C", Ok("ポ"));
    }

    #[test]
    fn blanks_and_zero_bytes_are_trimmed_and_seen() {
        let characters = Characters::new(CobolEncoding::Cp037);
        assert_eq!(characters.trimmed(b"\xC1\x40\x00\x40"), b"\xC1");
        assert!(characters.is_blank(b"\x40\x40") && characters.is_blank(b"\0\0"));
        assert!(!characters.is_blank(b"\x40\0") && !characters.is_blank(b"\x40\xF1"));
        assert_eq!(characters.bytes_of("A1"), Some(vec![0xC1, 0xF1]));
        assert_eq!(characters.bytes_of("€"), None);
    }
}
