//! Row changes as records.
//!
//! A record of table `public.stock` has the table's columns, the same again as they were before, named `before.qty`, and what is known of the change:
//!
//! | column | what it holds |
//! |---|---|
//! | `_op` | `create`, `update`, `delete` or `truncate`; `read` of a row that was there before |
//! | `_transaction` | the transaction's number |
//! | `_position` | where its commit stands in the log, as the database writes it |
//! | `_committed_at` | when it was committed: ISO 8601, UTC |
//! | `_ordinal` | the change's number within the transaction, from 0 |
//!
//! What the database did not say is *unchanged*: a large value that was not touched, or what a row held before where its table does not
//! log that.

use std::fmt::Write as _;
use std::mem;
use std::sync::Arc;

use dray_adapter::{RawAt, RecordView, Records, Shape};

use crate::columns::Taken;

/// Names behind those of the table.
pub(crate) const ABOUT: [&str; 5] = [
    "_op",
    "_transaction",
    "_position",
    "_committed_at",
    "_ordinal",
];
/// Before the name of a column as it was.
const BEFORE: &str = "before.";

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Nothing: it was there before.
    Read,
    Create,
    Update,
    Delete,
    Truncate,
}

impl Op {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }
}

/// A table's records.
pub(crate) fn shape(table: &str, taken: &[Taken]) -> Arc<Shape> {
    let now = taken.iter().map(|column| column.name.clone());
    let before = taken
        .iter()
        .map(|column| format!("{BEFORE}{}", column.name));
    let about = ABOUT.map(str::to_owned);
    Arc::new(Shape {
        record_type: table.to_owned(),
        columns: now.chain(before).chain(about).collect(),
    })
}

/// What is known of a change besides its row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) op: Op,
    /// Empty: there is none.
    pub(crate) transaction: &'a str,
    pub(crate) position: &'a str,
    pub(crate) committed_at: &'a str,
    pub(crate) ordinal: u64,
}

#[derive(Debug, Clone, Copy)]
enum Cell {
    Null,
    Unchanged,
    Text(usize, usize),
}

/// Records being made, one cell after the other.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    records: Records,
    /// The record at hand.
    text: String,
    cells: Vec<Cell>,
}

impl Rows {
    /// The next cell: what `put` writes, where it says that there is a value.
    pub(crate) fn value(&mut self, put: impl FnOnce(&mut String) -> bool) {
        let start = self.text.len();
        let cell = match put(&mut self.text) {
            true => Cell::Text(start, self.text.len()),
            false => Cell::Null,
        };
        self.cells.push(cell);
        // A dead letter shows the row as one text.
        self.text.push('\t');
    }

    pub(crate) fn null(&mut self) {
        self.cells.push(Cell::Null);
    }

    pub(crate) fn unchanged(&mut self) {
        self.cells.push(Cell::Unchanged);
    }

    /// The record is whole but for what is known of the change.
    pub(crate) fn end(&mut self, shape: &Arc<Shape>, about: &About<'_>) {
        let row_bytes = self.row_bytes();
        self.texts(&[
            about.op.word(),
            about.transaction,
            about.position,
            about.committed_at,
        ]);
        self.value(|out| write!(out, "{}", about.ordinal).is_ok());
        self.finish(shape, about.ordinal, row_bytes);
    }

    /// The record is whole but for its last cells: these texts, or NULL where one is empty.
    pub(crate) fn end_with(&mut self, shape: &Arc<Shape>, ordinal: u64, texts: &[&str]) {
        let row_bytes = self.row_bytes();
        self.texts(texts);
        self.finish(shape, ordinal, row_bytes);
    }

    fn row_bytes(&self) -> usize {
        self.text.trim_end_matches('\t').len()
    }

    fn texts(&mut self, texts: &[&str]) {
        for text in texts {
            self.value(|out| {
                out.push_str(text);
                !text.is_empty()
            });
        }
    }

    fn finish(&mut self, shape: &Arc<Shape>, ordinal: u64, row_bytes: usize) {
        debug_assert_eq!(self.cells.len(), shape.columns.len());
        let all = self.records.push_text(&self.text);
        let raw = RawAt::Text(all.part(0, row_bytes));
        self.records.begin(shape, ordinal, 0, raw);
        for cell in self.cells.drain(..) {
            match cell {
                Cell::Null => self.records.cell_null(),
                Cell::Unchanged => self.records.cell_unchanged(),
                Cell::Text(start, end) => self.records.cell(all.part(start, end)),
            }
        }
        self.text.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.records.bytes()
    }

    /// Records from this one on, from 0.
    pub(crate) fn since(&self, first: usize) -> impl Iterator<Item = RecordView<'_>> {
        (first..self.records.len()).filter_map(|at| self.records.get(at))
    }

    /// The records so far.
    pub(crate) fn take(&mut self) -> Records {
        mem::take(&mut self.records)
    }
}

#[cfg(test)]
mod tests {
    use dray_adapter::Value;

    use super::*;

    #[test]
    fn a_change_has_the_row_as_it_is_as_it_was_and_what_is_known_of_it() {
        let column = |at, name: &str| Taken {
            at,
            name: name.into(),
            mask: None,
        };
        let shape = shape("public.stock", &[column(0, "sku"), column(2, "qty")]);
        assert_eq!(
            shape.columns.join(" "),
            "sku qty before.sku before.qty _op _transaction _position _committed_at _ordinal"
        );
        let mut rows = Rows::default();
        let about = About {
            op: Op::Update,
            transaction: "731",
            position: "0/16B3748",
            committed_at: "",
            ordinal: 12,
        };
        for _ in 0..2 {
            rows.value(|out| {
                out.push_str("A\t1");
                true
            });
            rows.unchanged();
            rows.value(|_| false);
            rows.null();
            rows.end(&shape, &about);
        }
        assert_eq!(rows.len(), 2);
        let records = rows.take();
        for record in records.iter() {
            let values: Vec<_> = (0..record.len()).map(|at| record.value(at)).collect();
            let expected = [
                Value::Text("A\t1"),
                Value::Unchanged,
                Value::Null,
                Value::Null,
                Value::Text("update"),
                Value::Text("731"),
                Value::Text("0/16B3748"),
                Value::Null,
                Value::Text("12"),
            ];
            assert_eq!(values, expected);
            assert_eq!((record.raw(), record.row().ordinal), (&b"A\t1"[..], 12));
        }
        assert!(rows.take().is_empty());
    }
}
