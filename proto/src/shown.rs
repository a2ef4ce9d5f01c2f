//! What others wrote, on a person's terminal: it moves no cursor, sets no colour, and looks like nothing that a program says.
//!
//! Keys, names, reasons and answers come from files, databases and servers that somebody else writes to. A line break in one
//! would be a row of its own in a list, an escape sequence would hide one, a direction mark would turn one around. Whatever a
//! command prints of them goes through here; JSON for programs has [`json`].

use std::fmt::Write as _;

/// As one line: what is no letter for the eye is escaped, `\n` too.
#[must_use]
pub fn line(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same as several lines: line breaks stay.
#[must_use]
pub fn lines(text: &str) -> String {
    escaped(text, |letter| letter == '\n')
}

/// One line of JSON, still JSON: what its writer left as it was and a terminal obeys is escaped.
#[must_use]
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_obeyed(letter) {
            let _ = write!(out, "\\u{:04x}", u32::from(letter));
        } else {
            out.push(letter);
        }
    }
    out
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_obeyed(letter) && !stays(letter) {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

/// Controls (C0, DEL, C1), line and paragraph separators, marks of direction, and what has no width.
#[must_use]
pub fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_one_line_and_moves_no_cursor() {
        for (text, expected) in [
            ("Grüße, 東京 \"1\" \\n", "Grüße, 東京 \"1\" \\n"),
            ("K1\n99  dead", "K1\\n99  dead"),
            (
                "\u{1b}[2J\t\u{7f}\u{9b}31m",
                "\\u{1b}[2J\\t\\u{7f}\\u{9b}31m",
            ),
            ("1\u{202e}2\u{200b}", "1\\u{202e}2\\u{200b}"),
        ] {
            assert_eq!(line(text), expected);
        }
        assert_eq!(lines("a\r\nb\u{1b}"), "a\\r\nb\\u{1b}");
    }

    #[test]
    fn json_stays_json_and_says_the_same() {
        let shown = json("{\"key\":\"a\u{9b}31m\u{202e}\u{7f}\"}");
        assert_eq!(shown, "{\"key\":\"a\\u009b31m\\u202e\\u007f\"}");
    }
}
