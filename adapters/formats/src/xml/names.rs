//! What is a name, a character and white space. XML 1.0, fifth edition, sections 2.2, 2.3 and 4.1.

/// Whether XML allows it at all.
pub(super) fn is_char(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Without white space at its ends.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

fn begins_name(letter: char) -> bool {
    matches!(letter,
        'a'..='z' | 'A'..='Z' | '_' | ':' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

pub(super) fn goes_on_name(letter: char) -> bool {
    begins_name(letter)
        || matches!(letter, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

pub(super) fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(begins_name) && letters.all(goes_on_name)
}

/// What stands for a character or a text: `&amp;`, `&#228;`, `&#xE4;`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    Letter(char),
    /// A name that only a DOCTYPE could explain.
    Unknown,
    /// It is not written as one.
    Broken,
}

/// Reads what stands between `&` and `;`.
pub(super) fn reference(name: &str) -> Reference {
    let code = match name {
        "amp" => return Reference::Letter('&'),
        "lt" => return Reference::Letter('<'),
        "gt" => return Reference::Letter('>'),
        "quot" => return Reference::Letter('"'),
        "apos" => return Reference::Letter('\''),
        name => match name.strip_prefix('#') {
            None if is_name(name) => return Reference::Unknown,
            None => return Reference::Broken,
            Some(code) => code,
        },
    };
    let digits = |digits: &str, radix| {
        let all = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        all.then(|| u32::from_str_radix(digits, radix).ok())
            .flatten()
    };
    let number = match code.strip_prefix('x') {
        Some(hex) => digits(hex, 16),
        None => digits(code, 10),
    };
    match number
        .and_then(char::from_u32)
        .filter(|letter| is_char(*letter))
    {
        Some(letter) => Reference::Letter(letter),
        None => Reference::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_characters_or_unknown_or_broken() {
        for (name, expected) in [
            ("amp", Reference::Letter('&')),
            ("#228", Reference::Letter('ä')),
            ("#xE4", Reference::Letter('ä')),
            ("#x1F600", Reference::Letter('😀')),
            ("#13", Reference::Letter('\r')),
            ("#0", Reference::Broken),
            ("#xD800", Reference::Broken),
            ("#+3", Reference::Broken),
            ("#XE4", Reference::Broken),
            ("#99999999999", Reference::Broken),
            ("", Reference::Broken),
            ("a b", Reference::Broken),
            ("nbsp", Reference::Unknown),
            ("größe", Reference::Unknown),
        ] {
            assert_eq!(reference(name), expected, "{name}");
        }
    }

    #[test]
    fn names_are_those_of_the_fifth_edition() {
        for good in ["a", "_a-1.b", "Größe", "x:y", "日本"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a b", "a<", "\u{D7}"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
