//! Subjects: pure.

/// Whether something can be published there.
pub(super) fn is_one(subject: &str) -> bool {
    subject.split('.').all(|part| {
        let is_plain = |letter: char| !letter.is_whitespace() && !"*>".contains(letter);
        !part.is_empty() && part.chars().all(is_plain)
    })
}

/// Whether a stream with these patterns takes a subject, and it is nobody else's: those that begin with `$` are the server's
/// (`$JS.API`, `$SYS`), and ours only where a pattern names them, as a bucket's does (`$KV.stock.>`).
pub(super) fn is_ours(patterns: &[String], subject: &str) -> bool {
    patterns.iter().any(|pattern| {
        takes(pattern, subject) && (!subject.starts_with('$') || pattern.starts_with('$'))
    })
}

/// Whether a stream with this pattern (`*` one part, `>` all that follow) takes a subject.
pub(super) fn takes(pattern: &str, subject: &str) -> bool {
    let mut parts = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, parts.next()) {
            (">", Some(_)) => return true,
            (_, None) => return false,
            ("*", Some(_)) => {}
            (wanted, Some(part)) if wanted == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_parts_that_are_plain() {
        for subject in ["a", "a.b-c.Ä_1", "a.$b"] {
            assert!(is_one(subject), "{subject}");
        }
        for subject in ["", "a..b", ".a", "a.", "a b", "a.*", "a.>", "a\tb"] {
            assert!(!is_one(subject), "{subject:?}");
        }
    }

    #[test]
    fn a_subject_is_ours_where_the_stream_takes_it_and_it_is_not_the_servers() {
        for (patterns, subject, expected) in [
            (&["a.>"][..], "a.b", true),
            (&["b", "a.>"], "a.b", true),
            (&["a.>"], "b.c", false),
            (&[], "a", false),
            (&[">"], "a", true),
            (&[">"], "$JS.API.STREAM.PURGE.OTHER", false),
            (&["*.x"], "$SYS.x", false),
            (&["$KV.stock.>"], "$KV.stock.A", true),
            (&["$KV.stock.>"], "$KV.other.A", false),
        ] {
            let patterns: Vec<_> = patterns.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(
                is_ours(&patterns, subject),
                expected,
                "{patterns:?} {subject}"
            );
        }
    }

    #[test]
    fn a_stream_takes_what_its_patterns_say() {
        for (pattern, subject, expected) in [
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("a.*.c", "a.b.c", true),
            ("a.*", "a.b.c", false),
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.b.c", "a.b", false),
        ] {
            assert_eq!(takes(pattern, subject), expected, "{pattern} {subject}");
        }
    }
}
