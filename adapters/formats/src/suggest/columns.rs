//! A column: its name, its type, and whether it may be a key.

use std::collections::HashSet;

use super::{dates, values};

/// A column as it seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name in the file, or one of ours (`COLUMN_3`).
    pub name: String,
    /// What its values are.
    pub kind: ColumnType,
    /// Whether every row has a value, and each its own: it may be a key.
    pub is_unique: bool,
    /// Whether a row has none.
    pub has_empty: bool,
    /// Of fixed width: the first byte's place from 0, and the width.
    pub at: Option<(usize, usize)>,
    /// Of XML and JSON: where it is, seen from the record, if that is not its name.
    pub path: Option<String>,
}

/// What a column's values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// Text; also digits that are a code (`007`).
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers with decimals.
    Decimal {
        /// How many, at most.
        decimals: usize,
        /// Whether a comma stands before them: `decimal_comma` of a mapping.
        comma: bool,
    },
    /// Days; `format` as a mapping takes it.
    Date {
        /// `%Y%m%d` and the like, or `iso8601`.
        format: &'static str,
        /// Whether days and months may be the other way round: no value of the sample tells.
        ambiguous: bool,
    },
    /// Points in time; `format` as a mapping takes it.
    Timestamp {
        /// `%Y%m%d%H%M%S` and the like, `iso8601`, `unix` or `unix_ms`.
        format: &'static str,
        /// Whether days and months may be the other way round.
        ambiguous: bool,
    },
}

/// A column of these values, one for each row; blanks around them don't count.
#[must_use]
pub fn column<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> Column {
    let (mut known, mut filled, mut count) = (HashSet::new(), Vec::new(), 0);
    for value in values {
        count += 1;
        let value = value.trim();
        if !value.is_empty() {
            known.insert(value);
            filled.push(value);
        }
    }
    let kind = kind(name, &filled);
    let may_be_key = matches!(kind, ColumnType::Text | ColumnType::Integer);
    Column {
        name: name.to_owned(),
        is_unique: may_be_key && count > 1 && known.len() == count,
        has_empty: filled.len() < count,
        kind,
        at: None,
        path: None,
    }
}

fn kind(name: &str, values: &[&str]) -> ColumnType {
    if values.is_empty() {
        return ColumnType::Text;
    }
    if let Some(found) = dates::of(name, values) {
        return found;
    }
    values::of(values)
}
