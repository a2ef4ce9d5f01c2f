//! From a source's bytes to text.

use encoding_rs::WINDOWS_1252;

/// How a file's text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// With or without a byte order mark.
    Utf8,
    /// By its byte order mark; without one, little-endian.
    Utf16,
    /// Little-endian.
    Utf16Le,
    /// Big-endian.
    Utf16Be,
    /// Western European Windows; its five unused bytes are errors.
    Windows1252,
    /// Latin-1: each byte is the character of that number.
    Iso88591,
}

/// Names as configured.
const NAMES: [(&str, Encoding); 6] = [
    ("utf-8", Encoding::Utf8),
    ("utf-16", Encoding::Utf16),
    ("utf-16le", Encoding::Utf16Le),
    ("utf-16be", Encoding::Utf16Be),
    ("windows-1252", Encoding::Windows1252),
    ("iso-8859-1", Encoding::Iso88591),
];

impl Encoding {
    /// The encoding of this name, in any case.
    ///
    /// # Errors
    /// A sentence that lists those there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, encoding)| *encoding).ok_or_else(|| {
            let known = NAMES.map(|(known, _)| known).join(", ");
            format!("encoding \"{name}\" is not known; there are {known}")
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, encoding)| *encoding == self)
            .map_or("", |(name, _)| name)
    }

    /// What a file's first bytes say: the encoding that is meant, and how long the byte order mark is.
    pub(crate) fn begin(self, first: &[u8]) -> (Self, usize) {
        match (self, first) {
            (Self::Utf8, [0xEF, 0xBB, 0xBF, ..]) => (self, 3),
            (Self::Utf16 | Self::Utf16Le, [0xFF, 0xFE, ..]) => (Self::Utf16Le, 2),
            (Self::Utf16 | Self::Utf16Be, [0xFE, 0xFF, ..]) => (Self::Utf16Be, 2),
            (Self::Utf16, _) => (Self::Utf16Le, 0),
            _ => (self, 0),
        }
    }

    /// Bytes of a code unit.
    pub(crate) fn unit(self) -> usize {
        match self {
            Self::Utf16 | Self::Utf16Le | Self::Utf16Be => 2,
            _ => 1,
        }
    }

    /// Where the first line feed begins.
    pub(crate) fn line_feed(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Utf16 | Self::Utf16Le => find_pair(bytes, [b'\n', 0]),
            Self::Utf16Be => find_pair(bytes, [0, b'\n']),
            _ => memchr::memchr(b'\n', bytes),
        }
    }

    /// The text of a whole line. `scratch` is used where it must be made.
    ///
    /// # Errors
    /// A sentence: which byte of the line is not this encoding's.
    pub(crate) fn text<'a>(
        self,
        bytes: &'a [u8],
        scratch: &'a mut String,
    ) -> Result<&'a str, String> {
        let wrong = |at: usize| format!("it is not {}: byte {} of it", self.name(), at + 1);
        scratch.clear();
        match self {
            Self::Utf8 => {
                return std::str::from_utf8(bytes).map_err(|error| wrong(error.valid_up_to()));
            }
            Self::Iso88591 => scratch.extend(bytes.iter().map(|byte| char::from(*byte))),
            Self::Windows1252 => {
                let unused = |byte: &u8| matches!(byte, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D);
                if let Some(at) = bytes.iter().position(unused) {
                    return Err(wrong(at));
                }
                scratch.push_str(&WINDOWS_1252.decode_without_bom_handling(bytes).0);
            }
            Self::Utf16 | Self::Utf16Le | Self::Utf16Be => {
                let pairs = bytes.chunks(2).map(|pair| match (self, pair) {
                    (Self::Utf16Be, [high, low]) => u16::from_be_bytes([*high, *low]),
                    (_, [low, high]) => u16::from_le_bytes([*low, *high]),
                    // Half a unit at the end is no character.
                    _ => 0xD800,
                });
                let mut at = 0;
                for character in char::decode_utf16(pairs) {
                    let character = character.map_err(|_| wrong(at))?;
                    at += character.len_utf16() * 2;
                    scratch.push(character);
                }
            }
        }
        Ok(scratch)
    }
}

fn find_pair(bytes: &[u8], pair: [u8; 2]) -> Option<usize> {
    bytes
        .chunks_exact(2)
        .position(|found| found == pair)
        .map(|at| at * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_reads_its_own_and_says_what_is_not() {
        let check = |encoding: Encoding, bytes: &[u8], expected: Option<&str>| {
            let mut scratch = String::new();
            let found = encoding.text(bytes, &mut scratch);
            assert_eq!(
                found.as_deref().ok(),
                expected,
                "{encoding:?} {bytes:x?}: {found:?}"
            );
        };
        check(Encoding::Utf8, "Köln".as_bytes(), Some("Köln"));
        check(Encoding::Utf8, b"K\xF6ln", None);
        check(Encoding::Windows1252, b"K\xF6ln \x80", Some("Köln €"));
        check(Encoding::Windows1252, b"\x81", None);
        check(Encoding::Iso88591, b"K\xF6ln \x80", Some("Köln \u{80}"));
        check(Encoding::Utf16Le, b"K\0\xF6\0", Some("Kö"));
        check(Encoding::Utf16Be, b"\0K\0\xF6", Some("Kö"));
        check(Encoding::Utf16Le, b"\x3D\xD8\x00\xDE", Some("😀"));
        check(Encoding::Utf16Le, b"\x3D\xD8K\0", None);
        check(Encoding::Utf16Le, b"K\0\xF6", None);
        assert_eq!(Encoding::named("UTF-8"), Ok(Encoding::Utf8));
        assert!(Encoding::named("cp437").is_err_and(|error| error.contains("windows-1252")));
        assert_eq!(Encoding::Utf16Le.line_feed(b"\n\x01\n\0"), Some(2));
    }
}
