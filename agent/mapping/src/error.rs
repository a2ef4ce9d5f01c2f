//! What is wrong with a mapping, at load; and with a record, later.

use std::fmt;
use std::ops::Range;

use dray_proto::v1::DeadLetterStage;
use thiserror::Error;

/// Characters of a value that a sentence shows.
const SHOWN_CHARS_MAX: usize = 80;

/// Why a mapping cannot be used. `Display` gives the whole sentence; file and line are the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct MappingError {
    /// Which of the flow's mappings, from 0.
    pub mapping: usize,
    /// The field or setting, e.g. `line.quantity` or `key`.
    pub field: Option<String>,
    /// What is wrong and the way out, without mapping and field.
    pub reason: String,
    /// Where in the configuration's text, in bytes; `None` where nothing stands.
    pub span: Option<Range<usize>>,
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mapping {}", self.mapping + 1)?;
        if let Some(field) = &self.field {
            write!(f, ", {field}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Why a record does not become its events. None of them was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct MapFailure {
    /// For the dead letter: the record does not fit, or its event is too large.
    pub stage: DeadLetterStage,
    /// A sentence for a person, naming column, field and value.
    pub reason: String,
}

impl MapFailure {
    /// The record does not fit the mapping.
    #[cold]
    pub(crate) fn map(reason: String) -> Self {
        Self {
            stage: DeadLetterStage::Map,
            reason,
        }
    }
}

/// A value in quotes, escaped and cut, as sentences show it.
#[cold]
pub(crate) fn shown(value: &str) -> String {
    let mut out = String::from("\"");
    let mut letters = value.chars();
    for letter in letters.by_ref().take(SHOWN_CHARS_MAX) {
        if letter == '\'' {
            out.push(letter);
        } else {
            out.extend(letter.escape_debug());
        }
    }
    out.push('"');
    let rest = letters.count();
    if rest > 0 {
        out.push_str(&format!(" (and {rest} characters more)"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_escaped_and_cut() {
        assert_eq!(shown("a\"b\t\0'ü"), r#""a\"b\t\0'ü""#);
        let long = shown(&"x".repeat(100));
        assert_eq!(
            long,
            format!("\"{}\" (and 20 characters more)", "x".repeat(80))
        );
    }

    #[test]
    fn a_mapping_error_is_a_sentence() {
        let error = MappingError {
            mapping: 1,
            field: Some("line.quantity".into()),
            reason: "something".into(),
            span: None,
        };
        assert_eq!(error.to_string(), "mapping 2, line.quantity: something");
    }
}
