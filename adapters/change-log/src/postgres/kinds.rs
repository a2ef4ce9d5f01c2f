//! What types are called. The log names them by number alone, so the server is asked once for each.

use std::collections::HashMap;

use pgwire_replication::Lsn;

use super::answer::{query, text};
use super::config::PostgresConfig;
use super::message::Relation;
use super::session::{Names, connect};
use super::sql;
use crate::reader::Trouble;
use crate::schema::Described;

/// Types by number and modifier, as a statement would name them.
#[derive(Debug, Default)]
pub(super) struct Kinds(HashMap<(u32, i32), String>);

impl Kinds {
    /// Those of a table that are not known.
    pub(super) fn unknown(&self, relation: &Relation) -> Vec<(u32, i32)> {
        let types = relation.columns.iter();
        let mut types: Vec<_> = types
            .map(|column| (column.type_oid, column.modifier))
            .filter(|kind| !self.0.contains_key(kind))
            .collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    /// Asks the server for those of a table.
    pub(super) async fn learn(
        &mut self,
        config: &PostgresConfig,
        names: &Names,
        relation: &Relation,
    ) -> Result<(), Trouble> {
        let unknown = self.unknown(relation);
        if unknown.is_empty() {
            return Ok(());
        }
        let mut client = connect(config, names, Lsn::ZERO).await?;
        query(config, &mut client, sql::FULL_NAMES).await?;
        for row in query(config, &mut client, &sql::kinds(&unknown)).await? {
            let number = |at| text(&row, at)?.parse::<i64>().ok();
            if let (Some(oid), Some(modifier), Some(kind)) = (number(0), number(1), text(&row, 2)) {
                self.note(oid as u32, modifier as i32, kind);
            }
        }
        Ok(())
    }

    pub(super) fn note(&mut self, oid: u32, modifier: i32, kind: &str) {
        self.0.insert((oid, modifier), kind.to_owned());
    }

    /// A table's columns in words.
    pub(super) fn describe(&self, relation: &Relation) -> Vec<Described> {
        let columns = relation.columns.iter();
        let described = columns.map(|column| Described {
            name: column.name.clone(),
            kind: self.kind(column.type_oid, column.modifier),
            is_key: column.is_key,
        });
        described.collect()
    }

    fn kind(&self, oid: u32, modifier: i32) -> String {
        match self.0.get(&(oid, modifier)).map(String::as_str) {
            // What PostgreSQL calls a type that was dropped since.
            None | Some("???") => format!("type {oid}"),
            Some(kind) => kind.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Column, Identity};
    use super::*;

    #[test]
    fn a_type_is_asked_for_once_and_has_its_number_where_it_is_gone() {
        let column = |name: &str, type_oid, modifier| Column {
            name: name.into(),
            type_oid,
            modifier,
            is_key: name == "sku",
        };
        let relation = Relation {
            oid: 7,
            schema: "public".into(),
            name: "stock".into(),
            identity: Identity::Default,
            columns: vec![
                column("sku", 25, -1),
                column("qty", 1_700, 786_439),
                column("note", 25, -1),
                column("state", 16_999, -1),
            ],
        };
        let mut kinds = Kinds::default();
        kinds.note(25, -1, "text");
        kinds.note(16_999, -1, "???");
        assert_eq!(kinds.unknown(&relation), [(1_700, 786_439)]);
        kinds.note(1_700, 786_439, "numeric(12,3)");
        assert!(kinds.unknown(&relation).is_empty());
        let columns = kinds.describe(&relation);
        let told: Vec<_> = columns
            .iter()
            .map(|column| format!("{} {} {}", column.name, column.kind, column.is_key))
            .collect();
        let expected = [
            "sku text true",
            "qty numeric(12,3) false",
            "note text false",
            "state type 16999 false",
        ];
        assert_eq!(told, expected);
    }
}
