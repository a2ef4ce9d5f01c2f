//! What a table looks like, and how that differs from what it was. Of no particular database, and pure.

use std::fmt;

use dray_adapter::{SchemaClass, SchemaDifference};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Digits of a fingerprint that a place holds and an operator writes: nobody makes shapes to collide.
const PRINT_DIGITS: usize = 16;

/// A column as its database describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    pub(crate) name: String,
    /// The type as the database writes it, e.g. `numeric(12,3)`.
    pub(crate) kind: String,
    /// Whether it is of what tells rows apart.
    pub(crate) is_key: bool,
}

/// What changed in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Drift {
    Added(String),
    Dropped(String),
    /// One is gone and one of the same type stands in its place.
    Renamed {
        from: String,
        to: String,
    },
    Retyped {
        name: String,
        from: String,
        to: String,
    },
    /// Other columns tell its rows apart.
    Key,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(name) => write!(f, "column {name} was added"),
            Self::Dropped(name) => write!(f, "column {name} was dropped"),
            Self::Renamed { from, to } => write!(
                f,
                "column {from} is called {to} now, or was dropped and {to} added"
            ),
            Self::Retyped { name, from, to } => {
                write!(f, "column {name} was {from} and is {to}")
            }
            Self::Key => write!(f, "its rows are told apart by other columns"),
        }
    }
}

impl Drift {
    pub(crate) fn difference(&self) -> SchemaDifference {
        let (class, column) = match self {
            Self::Added(name) => (SchemaClass::Added, &**name),
            Self::Dropped(name) => (SchemaClass::Dropped, &**name),
            Self::Renamed { from, .. } => (SchemaClass::Renamed, &**from),
            Self::Retyped { name, .. } => (SchemaClass::Retyped, &**name),
            Self::Key => (SchemaClass::Key, ""),
        };
        SchemaDifference {
            class,
            column: column.to_owned(),
            sentence: self.to_string(),
        }
    }
}

/// How a table's columns differ from what they were.
pub(crate) fn differences(old: &[Described], new: &[Described]) -> Vec<Drift> {
    let mut drifts = Vec::new();
    let mut added: Vec<_> = new
        .iter()
        .enumerate()
        .filter(|(_, column)| old.iter().all(|known| known.name != column.name))
        .collect();
    for (at, known) in old.iter().enumerate() {
        let Some(column) = new.iter().find(|column| column.name == known.name) else {
            let same =
                |(place, column): &(usize, &Described)| *place == at && column.kind == known.kind;
            drifts.push(match added.iter().position(same) {
                Some(renamed) => Drift::Renamed {
                    from: known.name.clone(),
                    to: added.remove(renamed).1.name.clone(),
                },
                None => Drift::Dropped(known.name.clone()),
            });
            continue;
        };
        if column.kind != known.kind {
            drifts.push(Drift::Retyped {
                name: known.name.clone(),
                from: known.kind.clone(),
                to: column.kind.clone(),
            });
        }
    }
    let names = added.into_iter().map(|(_, column)| column.name.clone());
    drifts.extend(names.map(Drift::Added));
    // Under the names that the old ones have now.
    let now = |name: &str| {
        let renamed = drifts.iter().find_map(|drift| match drift {
            Drift::Renamed { from, to } if from == name => Some(to.clone()),
            _ => None,
        });
        renamed.unwrap_or_else(|| name.to_owned())
    };
    let keys = |columns: &[Described]| -> Vec<String> {
        let keys = columns.iter().filter(|column| column.is_key);
        keys.map(|column| column.name.clone()).collect()
    };
    let were: Vec<_> = keys(old).iter().map(|name| now(name)).collect();
    if were != keys(new) {
        drifts.push(Drift::Key);
    }
    drifts
}

/// 64 hexadecimal digits that are equal for equal columns, and for no others.
pub(crate) fn fingerprint(columns: &[Described]) -> String {
    let mut hash = Sha256::new();
    for column in columns {
        for text in [&column.name, &column.kind] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.update([u8::from(column.is_key)]);
    }
    hex::encode(hash.finalize())
}

/// The part of a fingerprint that a place holds.
pub(crate) fn print(columns: &[Described]) -> String {
    let mut digits = fingerprint(columns);
    digits.truncate(PRINT_DIGITS);
    digits
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `sku text key, qty integer`.
    pub(crate) fn columns(text: &str) -> Vec<Described> {
        let columns = text.split(", ").map(|column| {
            let mut words = column.split(' ');
            Described {
                name: words.next().unwrap_or_default().into(),
                kind: words.next().unwrap_or_default().into(),
                is_key: words.next().is_some(),
            }
        });
        columns.collect()
    }

    pub(crate) const STOCK: &str = "sku text key, qty integer, note text";

    #[test]
    fn how_a_table_changed_is_named() {
        for (next, expected) in [
            (STOCK, ""),
            (
                "sku text key, qty integer, note text, lot text",
                "column lot was added",
            ),
            ("sku text key, note text", "column qty was dropped"),
            (
                "sku text key, qty numeric, note text",
                "column qty was integer and is numeric",
            ),
            (
                "sku text key, quantity integer, note text",
                "column qty is called quantity now, or was dropped and quantity added",
            ),
            (
                "sku text key, quantity bigint, note text",
                "column qty was dropped; column quantity was added",
            ),
            (
                "sku text key, qty integer key, note text",
                "its rows are told apart by other columns",
            ),
            (
                "item text key, qty integer, note text",
                "column sku is called item now, or was dropped and item added",
            ),
            (
                "item text, qty integer key, note text",
                "column sku is called item now, or was dropped and item added; its rows are told apart by other columns",
            ),
        ] {
            let drifts = differences(&columns(STOCK), &columns(next));
            let told: Vec<_> = drifts.iter().map(ToString::to_string).collect();
            assert_eq!(told.join("; "), expected);
            let is_same = fingerprint(&columns(STOCK)) == fingerprint(&columns(next));
            assert_eq!(is_same, expected.is_empty(), "{next}");
        }
    }
}
