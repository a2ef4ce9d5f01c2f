//! Sees that tables change. Of no particular database.
//!
//! The first row of a table, and the first one of another shape, comes behind a report of the shape. Which shape was told last is part of a
//! flow's place, by its print alone, as a place is written with every append; what stands behind the print, `shapes.rs` knows.

use std::collections::BTreeMap;

use dray_adapter::{SchemaColumn, SchemaReport, SchemaSeen};
use serde::{Deserialize, Serialize};

use crate::columns::TableConfig;
use crate::policy::OnSchemaChange;
use crate::schema::{Described, Drift, differences, fingerprint, print};
use crate::shapes::Shapes;

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
    use crate::schema::tests::{STOCK, columns};

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
