//! Which characters an interchange is written in: the syntax identifier of its UNB says so.

use std::borrow::Cow;

use encoding_rs::Encoding;

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

    /// Of a name in a configuration, as the Encoding Standard has them: `utf-8`, `iso-8859-1`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Encoding::for_label(name.as_bytes()).map(Self)
    }

    /// The text; `None` where the bytes are none in these characters.
    #[must_use]
    pub fn text(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
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
        assert!(
            Characters::of_name("iso-8859-1").is_some() && Characters::of_name("latin9?").is_none()
        );
    }
}
