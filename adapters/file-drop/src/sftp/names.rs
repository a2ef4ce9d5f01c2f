//! Which names may come from a server. Pure.

use crate::archive::{ARCHIVE, FAILED};

/// A name's bytes, at most: what Linux file systems take.
const NAME_BYTES_MAX: usize = 255;

/// Why a file of this name is not picked up: whoever names files there must not name paths here.
pub(crate) fn unfit(name: &str) -> Option<&'static str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Some("it is no name of a file");
    }
    if name.chars().any(char::is_control) {
        return Some("its name has control characters; rename it there");
    }
    // The client library puts this where bytes are not UTF-8: the file can't be asked for by it.
    if name.contains(char::REPLACEMENT_CHARACTER) {
        return Some("its name is not UTF-8; rename it there");
    }
    if name.len() > NAME_BYTES_MAX {
        return Some("its name has more than 255 bytes; rename it there");
    }
    if name == ARCHIVE || name == FAILED {
        return Some("a folder here is called like it; rename it there");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_or_cannot_be_written_are_unfit() {
        for (name, word) in [
            ("", "no name"),
            ("..", "no name"),
            ("../a.txt", "no name"),
            ("/etc/passwd", "no name"),
            ("a\nb.txt", "control"),
            ("a\u{85}.txt", "control"),
            ("a\u{FFFD}.txt", "UTF-8"),
            (&"x".repeat(256), "255"),
            ("failed", "folder"),
        ] {
            let reason = unfit(name).unwrap_or_default();
            assert!(reason.contains(word), "{name:?}: {reason}");
        }
        for name in ["a.txt", "Aufträge 1.csv", &"x".repeat(255), "a\\b"] {
            assert_eq!(unfit(name), None);
        }
    }
}
