//! SQLite's columns without a type: nothing turns what they are compared with into what they hold, so that `7` is not `'7'` and every number is
//! below every text. What such a column holds is learned from its rows (<https://www.sqlite.org/datatype3.html>, 3.1 and 4).

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;

use super::dialect::Dialect;
use super::value::Kind;

/// What SQLite itself tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Number,
    Text,
    Bytes,
}

/// What is known of the columns by which rows are found.
#[derive(Debug)]
pub(super) struct Classes {
    found_by: Vec<String>,
    /// Those without a type.
    known: BTreeMap<String, Option<Class>>,
    mixed: Option<String>,
}

impl Classes {
    pub(super) fn new(found_by: Vec<String>) -> Self {
        Self {
            found_by,
            known: BTreeMap::new(),
            mixed: None,
        }
    }

    /// Whether a column's values are to be seen: it has no type, and rows are found by it.
    pub(super) fn watches(&mut self, name: &str, declared: &str) -> bool {
        if !self.found_by.iter().any(|one| one == name) {
            return false;
        }
        if !is_untyped(declared) {
            self.known.remove(name);
            return false;
        }
        self.known.entry(name.to_owned()).or_default();
        true
    }

    /// Columns of which no value was seen yet.
    pub(super) fn unknown(&self) -> Vec<String> {
        let unknown = self.known.iter().filter(|(_, class)| class.is_none());
        unknown.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn saw(&mut self, name: &str, value: ValueRef<'_>) {
        let class = match value {
            ValueRef::Null => return,
            ValueRef::Integer(_) | ValueRef::Real(_) => Class::Number,
            ValueRef::Text(_) => Class::Text,
            ValueRef::Blob(_) => Class::Bytes,
        };
        let known = self.known.entry(name.to_owned()).or_default();
        if *known.get_or_insert(class) != class {
            self.mixed = Some(format!(
                "the column {name} has no type, and holds values of two kinds, which have no one order: let it have a type, or write query with CAST({} AS TEXT) AS {}",
                Dialect::Sqlite.name(name),
                Dialect::Sqlite.name(name)
            ));
        }
    }

    /// What is wrong, once.
    pub(super) fn mixed(&mut self) -> Option<String> {
        self.mixed.take()
    }

    /// What a column without a type holds.
    pub(super) fn of(&self, name: &str) -> Option<Class> {
        self.known.get(name).copied().flatten()
    }
}

impl Class {
    /// A value of it, as SQL.
    ///
    /// # Errors
    /// A sentence: it is none.
    pub(super) fn value(self, text: &str) -> Result<String, String> {
        let kind = match self {
            Self::Number if text.parse::<i64>().is_ok() => Kind::Integer,
            Self::Number if text.parse::<f64>().is_ok_and(f64::is_finite) => {
                return Ok(format!("CAST('{text}' AS REAL)"));
            }
            Self::Number => return Err(format!("\"{text}\" is no number")),
            Self::Text => Kind::Text,
            Self::Bytes => Kind::Bytes,
        };
        Dialect::Sqlite.value(kind, text)
    }
}

/// Columns of expressions have none, those of BLOB mean none, and ANY keeps what it is given.
fn is_untyped(declared: &str) -> bool {
    let upper = declared.to_ascii_uppercase();
    let has = |word: &str| upper.contains(word);
    match &*upper {
        "" | "ANY" => true,
        _ => has("BLOB") && !has("INT") && !has("CHAR") && !has("CLOB") && !has("TEXT"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_compared_as_what_the_column_holds() {
        for (class, text, expected) in [
            (Class::Number, "7", Ok("7")),
            (Class::Number, "-7", Ok("-7")),
            (Class::Number, "1e-307", Ok("CAST('1e-307' AS REAL)")),
            (Class::Number, "N", Err("\"N\" is no number")),
            (Class::Text, "7", Ok("'7'")),
            (Class::Bytes, "\\x00ff", Ok("X'00ff'")),
        ] {
            let (expected, is) = (
                expected.map(str::to_owned).map_err(str::to_owned),
                class.value(text),
            );
            assert_eq!(is, expected, "{class:?} {text}");
        }
    }

    #[test]
    fn columns_without_a_type_are_told() {
        for declared in ["", "BLOB", "any", "LONGBLOB"] {
            assert!(is_untyped(declared), "{declared}");
        }
        for declared in ["INTEGER", "NUMERIC", "DATETIME", "VARCHAR(7)", "TEXT BLOB"] {
            assert!(!is_untyped(declared), "{declared}");
        }
    }
}
