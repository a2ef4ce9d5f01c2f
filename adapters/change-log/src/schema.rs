//! What tables look like, and how that differs from what it was. Of no particular database, and pure.
//!
//! The first row of a table, and the first one of another shape, comes behind a report of the shape. Which shape was told last is part of a
//! flow's place, by its print alone, as a place is written with every append; what stands behind the print, `shapes.rs` knows.

use std::collections::BTreeMap;
use std::fmt;

use dray_adapter::{SchemaClass, SchemaColumn, SchemaDifference, SchemaReport, SchemaSeen};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::columns::TableConfig;
use crate::policy::OnSchemaChange;
use crate::shapes::Shapes;

/// Bytes of a fingerprint that a place holds and an operator writes: nobody makes shapes to collide.
const PRINT_BYTES: usize = 8;

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
    fn difference(&self) -> SchemaDifference {
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

/// Equal for equal columns, and for no others.
pub(crate) fn fingerprint(columns: &[Described]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for column in columns {
        for text in [&column.name, &column.kind] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.update([u8::from(column.is_key)]);
    }
    hash.finalize().into()
}

/// The part of a fingerprint that a place holds.
pub(crate) fn print(columns: &[Described]) -> String {
    hex::encode(&fingerprint(columns)[..PRINT_BYTES])
}

/// The shape of each table that was told last: its print. Part of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Prints(BTreeMap<String, String>);

impl Prints {
    /// Whether no table's is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Looks at the shapes of a flow's tables.
#[derive(Debug)]
pub(crate) struct Watch {
    database: &'static str,
    tables: BTreeMap<String, Policy>,
    shapes: Shapes,
}

#[derive(Debug)]
struct Policy {
    on_change: OnSchemaChange,
    accepted: Option<String>,
}

impl Watch {
    /// `database`: its kind. `shapes`: what was seen before.
    pub(crate) fn new(database: &'static str, tables: &[TableConfig], shapes: Shapes) -> Self {
        let policies = tables.iter().map(|table| {
            let policy = Policy {
                on_change: table.on_schema_change,
                accepted: table.accepted_schema.clone(),
            };
            (table.name.clone(), policy)
        });
        Self {
            database,
            tables: policies.collect(),
            shapes,
        }
    }

    /// A row of this shape comes: what is to be said before it, and `prints` are then those behind that.
    ///
    /// # Errors
    /// A sentence: the flow is to stop before the row.
    pub(crate) fn meet(
        &mut self,
        prints: &mut Prints,
        table: &str,
        columns: &[Described],
    ) -> Result<Option<SchemaReport>, String> {
        let print = print(columns);
        let before = prints.0.get(table);
        let known = before.and_then(|before| self.shapes.behind(table, before));
        if before == Some(&print) {
            if known.is_none() {
                self.shapes.note(table, columns);
            }
            return Ok(None);
        }
        let drifts = known.map_or_else(Vec::new, |known| differences(known, columns));
        if before.is_some() {
            let said: Vec<_> = drifts.iter().map(ToString::to_string).collect();
            let said = match &*said {
                [] => "it is not known any more what it was".to_owned(),
                said => said.join("; "),
            };
            self.may_change(table, &print, &said)?;
            tracing::warn!(table, changes = said, "a table changed");
        }
        let seen = match before {
            None => SchemaSeen::First,
            Some(_) => SchemaSeen::Changed,
        };
        prints.0.insert(table.to_owned(), print);
        self.shapes.note(table, columns);
        Ok(Some(SchemaReport {
            database: self.database,
            table: table.to_owned(),
            seen,
            fingerprint: fingerprint(columns),
            columns: told(columns),
            differences: drifts.iter().map(Drift::difference).collect(),
        }))
    }

    fn may_change(&self, table: &str, print: &str, said: &str) -> Result<(), String> {
        let Some(policy) = self.tables.get(table) else {
            return Ok(());
        };
        let is_accepted = policy.accepted.as_deref() == Some(print);
        match policy.on_change {
            OnSchemaChange::Stop if !is_accepted => Err(format!(
                "{table} changed ({said}), and on_schema_change is \"stop\": to go on, look whether the mappings fit, write accepted_schema = \"{print}\" for this table, and restart the agent"
            )),
            _ => Ok(()),
        }
    }
}

fn told(columns: &[Described]) -> Vec<SchemaColumn> {
    let mut keys = 0;
    let told = columns.iter().map(|column| {
        keys += u32::from(column.is_key);
        SchemaColumn {
            name: column.name.clone(),
            kind: column.kind.clone(),
            key: if column.is_key { keys } else { 0 },
        }
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sku text key, qty integer`.
    fn columns(text: &str) -> Vec<Described> {
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

    const STOCK: &str = "sku text key, qty integer, note text";

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

    fn watch(more: &str) -> Watch {
        let table = toml::from_str(&format!("name = 'public.stock'\n{more}")).expect("a table");
        Watch::new("postgres", &[table], Shapes::default())
    }

    fn meet(watch: &mut Watch, prints: &mut Prints, text: &str) -> String {
        match watch.meet(prints, "public.stock", &columns(text)) {
            Ok(None) => String::new(),
            Ok(Some(report)) => {
                let told: Vec<_> = report
                    .differences
                    .iter()
                    .map(|one| &*one.sentence)
                    .collect();
                format!("{:?}: {}", report.seen, told.join("; "))
            }
            Err(sentence) => sentence,
        }
    }

    #[test]
    fn a_shape_is_told_once_also_when_the_agent_was_away() {
        let (mut prints, more) = (Prints::default(), "sku text key");
        let mut first = watch("");
        assert_eq!(meet(&mut first, &mut prints, STOCK), "First: ");
        assert_eq!(meet(&mut first, &mut prints, STOCK), "");
        // Another life of the agent that has the place alone.
        let mut second = watch("");
        assert_eq!(meet(&mut second, &mut prints, STOCK), "");
        let dropped = "Changed: column qty was dropped; column note was dropped";
        assert_eq!(meet(&mut second, &mut prints, more), dropped);
        assert_eq!(meet(&mut watch(""), &mut prints, STOCK), "Changed: ");
    }

    #[test]
    fn a_flow_that_is_to_stop_goes_on_with_the_shape_that_is_accepted_and_no_other() {
        let mut prints = Prints::default();
        let mut strict = watch("on_schema_change = 'stop'");
        assert_eq!(meet(&mut strict, &mut prints, STOCK), "First: ");
        let before = prints.clone();
        let told = meet(&mut strict, &mut prints, "sku text key, qty integer");
        let (_, rest) = told
            .split_once("column note was dropped")
            .unwrap_or_else(|| panic!("{told}"));
        let (_, rest) = rest
            .split_once("accepted_schema = \"")
            .expect("the way out");
        let print = rest.split('"').next().expect("a print");
        assert_eq!(prints, before, "it stands where it stood");
        let accepting = format!("on_schema_change = 'stop'\naccepted_schema = '{print}'");
        let mut accepting = watch(&accepting);
        let told = meet(&mut accepting, &mut prints, "sku text key, qty integer");
        assert_eq!(told, "Changed: ");
        let told = meet(&mut accepting, &mut prints, "sku text key");
        assert!(told.contains("on_schema_change is \"stop\""), "{told}");
    }
}
