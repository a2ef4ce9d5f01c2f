//! What stands in a start tag after its name.

use super::names::{self, Reference};

/// Names and values as they are written, one after the other; a sentence where they are not written right.
pub(super) struct Attributes<'t> {
    rest: &'t str,
}

impl<'t> Attributes<'t> {
    /// `rest`: what follows the element's name.
    pub(super) fn new(rest: &'t str) -> Self {
        Self { rest }
    }

    fn attribute(&mut self) -> Result<Option<(&'t str, &'t str)>, String> {
        let rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        if rest.is_empty() {
            return Ok(None);
        }
        if rest.len() == self.rest.len() {
            return Err("white space is missing before an attribute".into());
        }
        let Some(length) = rest
            .bytes()
            .position(|byte| names::is_space(byte) || byte == b'=')
        else {
            return Err(format!("attribute {} has no value", shown(rest)));
        };
        let (name, rest) = rest.split_at(length);
        if !names::is_name(name) {
            return Err(format!("\"{}\" is no name of an attribute", shown(name)));
        }
        let rest = names::trimmed(rest);
        let Some(rest) = rest
            .strip_prefix('=')
            .map(|rest| rest.trim_start_matches([' ', '\t', '\n', '\r']))
        else {
            return Err(format!("attribute {name} has no value"));
        };
        let quote = rest
            .bytes()
            .next()
            .filter(|quote| matches!(quote, b'"' | b'\''));
        let end = quote.and_then(|quote| memchr::memchr(quote, &rest.as_bytes()[1..]));
        let Some(end) = end else {
            return Err(format!("the value of attribute {name} is not in quotes"));
        };
        let value = &rest[1..=end];
        if memchr::memchr(b'<', value.as_bytes()).is_some() {
            return Err(format!(
                "a < stands in the value of attribute {name}; it is written &lt;"
            ));
        }
        self.rest = &rest[end + 2..];
        Ok(Some((name, value)))
    }
}

impl<'t> Iterator for Attributes<'t> {
    type Item = Result<(&'t str, &'t str), String>;

    fn next(&mut self) -> Option<Self::Item> {
        let attribute = self.attribute().transpose();
        if let Some(Err(_)) = attribute {
            self.rest = "";
        }
        attribute
    }
}

/// The first letters of something broken.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The first reference in a value that is unknown.
///
/// # Errors
/// One that is not written right.
pub(super) fn unknown_reference(value: &str) -> Result<Option<&str>, String> {
    let mut unknown = None;
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        rest = &rest[at + 1..];
        let end = memchr::memchr(b';', rest.as_bytes()).unwrap_or(0);
        match names::reference(&rest[..end]) {
            Reference::Letter(_) => {}
            Reference::Unknown => unknown = unknown.or(Some(&rest[..end])),
            Reference::Broken => return Err(broken_reference(&rest[..end])),
        }
        rest = &rest[end..];
    }
    Ok(unknown)
}

pub(super) fn broken_reference(name: &str) -> String {
    match name {
        "" => "an & stands where none may; it is written &amp;".into(),
        name => format!("&{}; stands for no character", shown(name)),
    }
}

/// Appends a value: references resolved, white space made blanks (XML 1.0, section 3.3.3).
pub(super) fn push_value(value: &str, text: &mut String) {
    let mut rest = value;
    while let Some(at) = rest
        .bytes()
        .position(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r'))
    {
        text.push_str(&rest[..at]);
        let from = &rest[at..];
        rest = &from[1..];
        if from.starts_with('&') {
            let end = memchr::memchr(b';', rest.as_bytes()).unwrap_or(0);
            if let Reference::Letter(letter) = names::reference(&rest[..end]) {
                text.push(letter);
            }
            rest = rest.get(end + 1..).unwrap_or("");
        } else {
            text.push(' ');
            rest = from.strip_prefix("\r\n").unwrap_or(rest);
        }
    }
    text.push_str(rest);
}
