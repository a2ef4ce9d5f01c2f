//! The line that names the columns.

use std::collections::HashSet;

use super::COLUMNS_MAX;
use crate::{FieldAt, FileFault};

/// The names in a header, without blanks around them.
pub(super) fn names(text: &str, fields: &[FieldAt]) -> Vec<String> {
    let cell = |field: &FieldAt| &text[field.start as usize..field.end as usize];
    fields
        .iter()
        .map(|field| cell(field).trim().to_owned())
        .collect()
}

/// The names of several lines, joined by a blank; a line may lack some.
pub(super) fn joined(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let name = |column: usize| {
        let parts: Vec<&str> = rows
            .iter()
            .filter_map(|row| row.get(column).map(String::as_str))
            .filter(|part| !part.is_empty())
            .collect();
        parts.join(" ")
    };
    (0..columns).map(name).collect()
}

/// Refuses a header by which nobody could say which column is meant. The last name may be empty: many
/// systems end each line with a delimiter.
pub(super) fn check(
    names: &[String],
    required: &[String],
    line: u64,
    delimiter: char,
) -> Result<(), FileFault> {
    if names.len() > COLUMNS_MAX {
        return Err(FileFault(format!(
            "the header on line {line} names {} columns, at most {COLUMNS_MAX} are possible",
            names.len()
        )));
    }
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() && (index + 1 < names.len() || index == 0) {
            return Err(FileFault(format!(
                "the header on line {line} has no name for column {}; write header = false and columns = [...] if the first line is data",
                index + 1
            )));
        }
        if !seen.insert(name.as_str()) {
            return Err(FileFault(format!(
                "the header on line {line} names \"{name}\" twice; each column needs its own name"
            )));
        }
    }
    let missing: Vec<&str> = required
        .iter()
        .map(String::as_str)
        .filter(|name| !seen.contains(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(FileFault(format!(
        "the header on line {line} lacks {}; it names {} (split at \"{}\")",
        missing.join(", "),
        names.join(", "),
        delimiter.escape_debug()
    )))
}
