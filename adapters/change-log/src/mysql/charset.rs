//! What the bytes of a text column are.

use encoding_rs::Encoding;

/// A character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// UTF-8, or ASCII.
    Utf8,
    Other(&'static Encoding),
    /// None that this version knows.
    Unknown,
}

/// MySQL's names of character sets, and those of the WHATWG Encoding Standard.
const NAMES: [(&str, &str); 26] = [
    // The server's `latin1` is windows-1252.
    ("latin1", "windows-1252"),
    ("latin2", "iso-8859-2"),
    ("latin5", "windows-1254"),
    ("latin7", "iso-8859-13"),
    ("greek", "iso-8859-7"),
    ("hebrew", "iso-8859-8"),
    ("tis620", "windows-874"),
    ("cp1250", "windows-1250"),
    ("cp1251", "windows-1251"),
    ("cp1256", "windows-1256"),
    ("cp1257", "windows-1257"),
    ("cp866", "ibm866"),
    ("koi8r", "koi8-r"),
    ("koi8u", "koi8-u"),
    ("macroman", "macintosh"),
    ("sjis", "shift_jis"),
    ("cp932", "shift_jis"),
    ("ujis", "euc-jp"),
    ("eucjpms", "euc-jp"),
    ("gb2312", "gbk"),
    ("gbk", "gbk"),
    ("gb18030", "gb18030"),
    ("big5", "big5"),
    ("euckr", "euc-kr"),
    ("ucs2", "utf-16be"),
    ("utf16le", "utf-16le"),
];

impl Charset {
    /// By the server's name.
    pub(super) fn named(name: &str) -> Self {
        if matches!(name, "utf8mb4" | "utf8mb3" | "utf8" | "ascii") {
            return Self::Utf8;
        }
        let label = match name {
            "utf16" => Some("utf-16be"),
            _ => NAMES
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, label)| *label),
        };
        let found = label.and_then(|label| Encoding::for_label(label.as_bytes()));
        found.map_or(Self::Unknown, Self::Other)
    }

    /// Puts these bytes as text behind what is there; whether they are one.
    pub(super) fn put(self, out: &mut String, bytes: &[u8]) -> bool {
        match self {
            Self::Utf8 => {
                let text = std::str::from_utf8(bytes);
                out.push_str(text.unwrap_or_default());
                text.is_ok()
            }
            Self::Other(encoding) => {
                let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
                let is_text = text.is_some();
                out.push_str(&text.unwrap_or_default());
                is_text
            }
            Self::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_texts_of_their_character_set() {
        for (name, bytes, expected) in [
            ("utf8mb4", &b"K\xc3\xa4"[..], Some("Kä")),
            ("utf8mb4", b"\xe4", None),
            ("ascii", b"a", Some("a")),
            ("latin1", b"\xe4\x80", Some("ä€")),
            ("cp1251", b"\xd1", Some("С")),
            ("sjis", b"\x93\xfa", Some("日")),
            ("ucs2", b"\x00a\x20\xac", Some("a€")),
            ("utf16le", b"a\x00", Some("a")),
            ("dec8", b"a", None),
        ] {
            let mut out = String::new();
            let is_text = Charset::named(name).put(&mut out, bytes);
            assert_eq!(is_text.then_some(&*out), expected, "{name}");
        }
        for (name, _) in NAMES {
            assert_ne!(Charset::named(name), Charset::Unknown, "{name}");
        }
    }
}
