//! Names with their namespaces, and what a name is.

use std::fmt;
use std::sync::Arc;

/// A name and the namespace it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QName {
    /// The URI; empty where the name is in no namespace.
    pub namespace: Arc<str>,
    /// Without a prefix.
    pub name: String,
}

impl QName {
    pub(super) fn new(namespace: &Arc<str>, name: &str) -> Self {
        Self {
            namespace: Arc::clone(namespace),
            name: name.to_owned(),
        }
    }

    /// In no namespace.
    pub(super) fn bare(name: &str) -> Self {
        Self {
            namespace: Arc::from(""),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for QName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            return formatter.write_str(&self.name);
        }
        write!(
            formatter,
            "{{{}}}{}",
            self.namespace.escape_debug(),
            self.name
        )
    }
}

/// Bytes of a name, at most: paths and columns are made of many.
const NAME_BYTES_MAX: usize = 255;

/// Whether it is a name without a colon: Namespaces in XML 1.0, section 3. Only such ones come into what is proposed, so
/// that a description can't write lines of a configuration.
pub(super) fn is_plain_name(text: &str) -> bool {
    let begins = |letter: char| {
        matches!(letter,
            'a'..='z' | 'A'..='Z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
            | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
            | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
            | '\u{10000}'..='\u{EFFFF}')
    };
    let goes_on = |letter: char| {
        begins(letter)
            || matches!(letter, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
    };
    let mut letters = text.chars();
    text.len() <= NAME_BYTES_MAX && letters.next().is_some_and(begins) && letters.all(goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_can_hide_no_markup() {
        for good in ["a", "_a-1.b", "Größe", "日本"] {
            assert!(is_plain_name(good), "{good}");
        }
        for bad in [
            &"a".repeat(NAME_BYTES_MAX + 1),
            "",
            "1a",
            "a:b",
            "a b",
            "a<",
            "a\"",
            "a\n",
            "a{",
            "../a",
            "a/b",
            "\u{D7}",
        ] {
            assert!(!is_plain_name(bad), "{bad}");
        }
    }
}
