//! A table whose rows come: its shape, and what is taken of it.

use std::sync::Arc;

use dray_adapter::Shape;

use super::message::{Cell, Old, Relation, Tuple};
use super::texts;
use crate::columns::{Taken, Wanted};
use crate::rows::{self, About, Op, Rows};

/// A table as its rows are written now.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) relation: Relation,
    pub(super) shape: Arc<Shape>,
    taken: Vec<Taken>,
}

/// `public.stock`.
pub(super) fn full_name(relation: &Relation) -> String {
    let schema = match &*relation.schema {
        "" => "pg_catalog",
        schema => schema,
    };
    format!("{schema}.{}", relation.name)
}

impl Table {
    /// # Errors
    /// A sentence: a column is wanted that it does not have.
    pub(super) fn new(relation: Relation, wanted: Wanted<'_>) -> Result<Self, String> {
        let name = full_name(&relation);
        let columns = relation.columns.iter();
        let columns: Vec<&str> = columns.map(|column| &*column.name).collect();
        let taken = wanted.of(&name, &columns)?;
        Ok(Self {
            shape: rows::shape(&name, &taken),
            relation,
            taken,
        })
    }

    /// Its columns; `None`: not taken.
    pub(super) fn taken(&self) -> impl Iterator<Item = Option<&str>> {
        let is_taken = |at| self.taken.iter().any(|column| column.at == at);
        let columns = self.relation.columns.iter().enumerate();
        columns.map(move |(at, column)| is_taken(at).then_some(&*column.name))
    }

    /// Whether a column of this name is taken as it is.
    pub(super) fn shows(&self, name: &str) -> bool {
        let mut taken = self.taken.iter();
        taken.any(|column| column.name == name && column.mask.is_none())
    }

    /// Puts a row that is there.
    pub(super) fn put_row(&self, rows: &mut Rows, row: &[Cell<'_>], about: &About<'_>) {
        for column in &self.taken {
            self.cell(rows, column, row[column.at]);
        }
        for _ in &self.taken {
            rows.null();
        }
        rows.end(&self.shape, about);
    }

    /// Puts a change of a row of it.
    ///
    /// # Errors
    /// A sentence: the row has other columns than the table.
    pub(super) fn put(
        &self,
        rows: &mut Rows,
        new: Option<Tuple<'_>>,
        old: Option<Old<'_>>,
        about: &About<'_>,
    ) -> Result<(), String> {
        let now = new.map(|new| self.cells(new)).transpose()?;
        let (before, is_whole) = match old {
            Some(Old::Row(tuple)) => (Some(self.cells(tuple)?), true),
            Some(Old::Key(tuple)) => (Some(self.cells(tuple)?), false),
            None => (None, false),
        };
        let before = |at: usize| {
            let is_key = self.relation.columns[at].is_key;
            match (&before, &now) {
                (Some(before), _) if is_whole || is_key => before[at],
                (Some(_), _) => Cell::Unchanged,
                // The server would have said it if it had changed.
                (None, Some(now)) if about.op == Op::Update && is_key => now[at],
                (None, _) if about.op == Op::Update => Cell::Unchanged,
                (None, _) => Cell::Null,
            }
        };
        for column in &self.taken {
            let is_key = self.relation.columns[column.at].is_key;
            let said = match now.as_ref().map(|now| now[column.at]) {
                // A large value that was not touched stands in the old row, if that was logged whole, and that of a key in the old key.
                Some(Cell::Unchanged) if is_whole || is_key => before(column.at),
                Some(said) => said,
                None => before(column.at),
            };
            self.cell(rows, column, said);
        }
        for column in &self.taken {
            self.cell(rows, column, before(column.at));
        }
        rows.end(&self.shape, about);
        Ok(())
    }

    fn cells<'m>(&self, tuple: Tuple<'m>) -> Result<Vec<Cell<'m>>, String> {
        let cells: Vec<_> = tuple.cells().collect();
        let width = self.relation.columns.len();
        match cells.len() == width {
            true => Ok(cells),
            false => Err(format!(
                "a row of {} has {} columns, and the table has {width}",
                full_name(&self.relation),
                cells.len()
            )),
        }
    }

    fn cell(&self, rows: &mut Rows, column: &Taken, said: Cell<'_>) {
        let type_oid = self.relation.columns[column.at].type_oid;
        match said {
            Cell::Null => rows.null(),
            Cell::Unchanged => rows.unchanged(),
            Cell::Text(text) => rows.value(|out| match column.mask {
                Some(mask) => mask.put(out, text),
                None => {
                    texts::put(out, type_oid, text);
                    true
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dray_adapter::Value;

    use super::super::message::{Column, Identity, Message};
    use super::*;

    fn all(relation: Relation) -> Table {
        let wanted = Wanted {
            columns: &[],
            without: &[],
            mask: &BTreeMap::new(),
        };
        Table::new(relation, wanted).expect("a table")
    }

    fn column(name: &str, type_oid: u32, is_key: bool) -> Column {
        Column {
            name: name.into(),
            type_oid,
            modifier: -1,
            is_key,
        }
    }

    fn relation(identity: Identity, columns: Vec<Column>) -> Relation {
        Relation {
            oid: 7,
            schema: "public".into(),
            name: "stock".into(),
            identity,
            columns,
        }
    }

    fn stock(identity: Identity) -> Relation {
        let all = identity == Identity::Full;
        relation(
            identity,
            vec![
                column("sku", 25, true),
                column("open", 16, all),
                column("note", 25, all),
            ],
        )
    }

    /// A row: `~` stands for NULL, `=` for unchanged.
    fn tuple(cells: [&str; 3]) -> Vec<u8> {
        let mut bytes = b"\0\x03".to_vec();
        for cell in cells {
            match cell {
                "~" => bytes.push(b'n'),
                "=" => bytes.push(b'u'),
                text => {
                    bytes.push(b't');
                    bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        bytes
    }

    fn put(table: &Table, message: &[Vec<u8>]) -> String {
        let bytes = message.concat();
        let message = Message::read(&bytes).expect("a message");
        let (op, new, old) = match message {
            Message::Insert { new, .. } => (Op::Create, Some(new), None),
            Message::Update { new, old, .. } => (Op::Update, Some(new), old),
            Message::Delete { old, .. } => (Op::Delete, None, Some(old)),
            other => panic!("{other:?}"),
        };
        let about = About {
            op,
            transaction: "",
            position: "",
            committed_at: "",
            ordinal: 0,
        };
        let mut rows = Rows::default();
        table.put(&mut rows, new, old, &about).expect("a row");
        let records = rows.take();
        let record = records.get(0).expect("it was put");
        let shown = (0..6).map(|at| match record.value(at) {
            Value::Null => "~",
            Value::Text(text) => text,
            _ => "=",
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_row_is_what_the_log_says_and_no_more() {
        let table = |identity| all(stock(identity));
        let (by_key, whole) = (table(Identity::Default), table(Identity::Full));
        let head = |kind: &str| [kind.as_bytes(), b"\0\0\0\x07"].concat();
        let part = |kind: &str| kind.as_bytes().to_vec();
        let new = |cells| [part("N"), tuple(cells)].concat();
        for (table, message, expected) in [
            (
                &by_key,
                vec![head("I"), new(["A", "t", "~"])],
                "A true ~ ~ ~ ~",
            ),
            (
                &by_key,
                vec![head("U"), new(["A", "f", "="])],
                "A false = A = =",
            ),
            (
                &by_key,
                vec![
                    head("U"),
                    part("K"),
                    tuple(["B", "~", "~"]),
                    new(["A", "f", "x"]),
                ],
                "A false x B = =",
            ),
            // A key that is large is not repeated in the new row.
            (
                &by_key,
                vec![
                    head("U"),
                    part("K"),
                    tuple(["A", "~", "~"]),
                    new(["=", "f", "x"]),
                ],
                "A false x A = =",
            ),
            (
                &by_key,
                vec![head("U"), new(["=", "f", "x"])],
                "= false x = = =",
            ),
            (
                &whole,
                vec![
                    head("U"),
                    part("O"),
                    tuple(["A", "t", "long"]),
                    new(["A", "f", "="]),
                ],
                "A false long A true long",
            ),
            (
                &by_key,
                vec![head("D"), part("K"), tuple(["A", "~", "~"])],
                "A = = A = =",
            ),
            (
                &whole,
                vec![head("D"), part("O"), tuple(["A", "t", "~"])],
                "A true ~ A true ~",
            ),
        ] {
            assert_eq!(put(table, &message), expected);
        }
    }
}
