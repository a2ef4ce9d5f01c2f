//! Prefixes for the namespaces of what is proposed.

use std::fmt::Write as _;
use std::sync::Arc;

use dray_formats::suggest::quoted;

use super::qname::QName;
use super::tree::XML;

/// A flow explains so many, at most; further names stand without a prefix, which takes them in any namespace.
const PREFIXES_MAX: usize = 100;

/// The namespaces that were used, in that order: `w`, `w2`, `w3`.
#[derive(Debug, Default)]
pub(super) struct Prefixes(Vec<Arc<str>>);

impl Prefixes {
    /// A name with its prefix, if it has a namespace.
    pub(super) fn write(&mut self, name: &QName) -> String {
        if name.namespace.is_empty() || &*name.namespace == XML {
            return name.name.clone();
        }
        let known = self.0.iter().position(|uri| *uri == name.namespace);
        let number = known.unwrap_or(self.0.len());
        if number == PREFIXES_MAX {
            return name.name.clone();
        }
        if known.is_none() {
            self.0.push(Arc::clone(&name.namespace));
        }
        format!("{}:{}", prefix(number), name.name)
    }

    /// `namespaces = { w = "urn:example:wms" }`; nothing where no prefix was used.
    pub(super) fn setting(&self) -> String {
        let each = self.0.iter().enumerate();
        let pairs: Vec<String> = each
            .map(|(number, uri)| format!("{} = {}", prefix(number), quoted(uri)))
            .collect();
        if pairs.is_empty() {
            return String::new();
        }
        format!("namespaces = {{ {} }}\n", pairs.join(", "))
    }

    /// ` xmlns:w="urn:example:wms"`, for a template: a brace in a URI can't begin an expression there.
    pub(super) fn declarations(&self) -> String {
        let mut out = String::new();
        for (number, uri) in self.0.iter().enumerate() {
            let uri = escaped(uri).replace('{', "&#123;");
            // Writing to a string never fails.
            let _ = write!(out, " xmlns:{}=\"{uri}\"", prefix(number));
        }
        out
    }
}

fn prefix(number: usize) -> String {
    match number {
        0 => "w".into(),
        number => format!("w{}", number + 1),
    }
}

/// As it may stand in an attribute's value between any quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                // Writing to a string never fails.
                let _ = write!(out, "&#{};", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out
}
