//! From a column's text to what a field holds. Pure; each converter is held to a table.

pub(crate) mod check;
pub(crate) mod civil;
pub(crate) mod date;
pub(crate) mod decimal;
pub(crate) mod iso;
pub(crate) mod lookup;
pub(crate) mod pattern;
pub(crate) mod timestamp;
pub(crate) mod zone;

/// Text without the white space around it.
///
/// Nearly all texts begin and end with an ASCII character, which is decided without decoding.
#[inline]
pub(crate) fn trimmed(text: &str) -> &str {
    let graphic = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if graphic(bytes.first()) && graphic(bytes.last()) {
        return text;
    }
    text.trim()
}

/// A whole number from 0, as `uint64` and enums take it.
pub(crate) fn integer(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_nothing_else() {
        for (input, expected) in [
            ("abc", "abc"),
            ("  a b \t", "a b"),
            ("\u{A0}ü\u{A0}", "ü"),
            ("ü", "ü"),
            ("", ""),
            (" ", ""),
        ] {
            assert_eq!(trimmed(input), expected);
        }
    }

    #[test]
    fn whole_numbers_are_read() {
        for (input, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("+5", Some(5)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("++1", None),
            ("1.0", None),
            ("", None),
        ] {
            assert_eq!(integer(input), expected, "{input}");
        }
    }
}
