//! Which characters an interchange is written in: in EDIFACT the syntax identifier of its UNB says so, in X12 the partners agree.

use std::borrow::Cow;

use encoding_rs::Encoding;

/// Bytes that windows-1252 leaves undefined; in a drop they mean another code page.
const UNDEFINED_1252: [u8; 5] = [0x81, 0x8D, 0x8F, 0x90, 0x9D];

/// The characters of an interchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Characters(&'static Encoding);

impl Characters {
    /// Of a syntax identifier, e.g. `UNOC`; `None` for private ones, e.g. IATA's.
    #[must_use]
    pub fn of_syntax(identifier: &[u8]) -> Option<Self> {
        // UNOA and UNOB are parts of ASCII; files say so and hold Latin-1, which is the same where they are right.
        let encoding = match identifier {
            b"UNOA" | b"UNOB" | b"UNOC" => encoding_rs::WINDOWS_1252,
            b"UNOD" => encoding_rs::ISO_8859_2,
            b"UNOE" => encoding_rs::ISO_8859_5,
            b"UNOF" => encoding_rs::ISO_8859_7,
            b"UNOG" => encoding_rs::ISO_8859_3,
            b"UNOH" => encoding_rs::ISO_8859_4,
            b"UNOI" => encoding_rs::ISO_8859_6,
            b"UNOJ" => encoding_rs::ISO_8859_8,
            b"UNOK" => encoding_rs::WINDOWS_1254,
            b"UNOW" | b"UNOY" => encoding_rs::UTF_8,
            _ => return None,
        };
        Some(Self(encoding))
    }

    /// What most systems write today.
    pub const UTF_8: Self = Self(encoding_rs::UTF_8);

    /// What Western European systems write that say UNOA, and mean no UTF-8.
    pub(crate) const WINDOWS_1252: Self = Self(encoding_rs::WINDOWS_1252);

    /// Of a name in a configuration, as the Encoding Standard has them: `utf-8`, `iso-8859-1`. Only those in which a separator's byte is
    /// never a part of another character.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Encoding::for_label(name.as_bytes())
            .filter(|known| known.is_single_byte() || *known == encoding_rs::UTF_8)
            .map(Self)
    }

    /// What they are called.
    #[must_use]
    pub fn name(self) -> String {
        self.0.name().to_ascii_lowercase()
    }

    /// The first byte that means nothing.
    pub(crate) fn wrong(self, bytes: &[u8]) -> Option<usize> {
        if self == Self::UTF_8 {
            return std::str::from_utf8(bytes)
                .err()
                .map(|error| error.valid_up_to());
        }
        let ascii = Encoding::ascii_valid_up_to(bytes);
        let means = |byte: &u8| {
            let undefined = self == Self::WINDOWS_1252 && UNDEFINED_1252.contains(byte);
            !undefined && self.text(std::slice::from_ref(byte)).is_some()
        };
        let wrong = bytes[ascii..].iter().position(|byte| !means(byte));
        wrong.map(|at| ascii + at)
    }

    /// The text; `None` where the bytes are none in these characters.
    #[must_use]
    pub fn text(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        // Cells are short and mostly ASCII, which is the same in all of them.
        if self == Self::UTF_8 || bytes.is_ascii() {
            return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
        }
        self.0
            .decode_without_bom_handling_and_without_replacement(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(identifier: &str, bytes: &[u8], expected: Option<&str>) {
        let text = Characters::of_syntax(identifier.as_bytes()).and_then(|known| known.text(bytes));
        assert_eq!(text.as_deref(), expected, "{identifier}");
    }

    #[test]
    fn the_syntax_identifier_says_which_characters_they_are() {
        check("UNOA", b"ABC", Some("ABC"));
        check("UNOC", b"M\xFCller", Some("Müller"));
        check("UNOD", b"\xB3", Some("ł"));
        check("UNOE", b"\xB0", Some("А"));
        check("UNOF", b"\xE1", Some("α"));
        check("UNOK", b"\xFE", Some("ş"));
        check("UNOY", "ü".as_bytes(), Some("ü"));
        check("UNOY", b"\xFC", None);
        check("IATB", b"A", None);
        for (name, known) in [
            ("iso-8859-1", true),
            ("latin9?", false),
            ("shift_jis", false),
        ] {
            assert_eq!(Characters::of_name(name).is_some(), known, "{name}");
        }
        assert_eq!(Characters::UTF_8.wrong(b"ab\xFCc"), Some(2));
        assert_eq!(Characters::WINDOWS_1252.wrong(b"\xFC\x81"), Some(1));
        assert_eq!(Characters::WINDOWS_1252.wrong(b"\xFCb"), None);
    }
}
