//! A table as the log describes it, and its rows as records.

use std::sync::Arc;

use dray_adapter::Shape;

use super::cells::Bad;
use super::event::{Change, Rows as RowsEvent};
use super::reading::{Reading, Short, bit, bit_bytes};
use super::table_map::{Column, TableMap};
use crate::columns::{Taken, Wanted};
use crate::rows::{About, Op, Rows, shape};

/// A table that is read.
#[derive(Debug)]
pub(super) struct Table {
    name: String,
    columns: Vec<Column>,
    taken: Vec<Taken>,
    shape: Arc<Shape>,
}

/// A column of a row.
#[derive(Debug, Clone, Copy)]
enum Cell<'r> {
    /// The log does not say it.
    Absent,
    Null,
    Value(&'r [u8]),
}

/// What every row of a transaction has in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) transaction: &'a str,
    pub(super) committed_at: &'a str,
}

impl Table {
    /// # Errors
    /// A sentence: its columns are not named, or one is wanted that it does not have.
    pub(super) fn new(map: TableMap, wanted: Wanted<'_>) -> Result<Self, String> {
        let name = map.name;
        let columns = map.columns.ok_or_else(|| {
            format!("the log does not name the columns of {name}: let the DBA run SET GLOBAL binlog_row_metadata = 'FULL'; rows that were written before can't be read")
        })?;
        let names: Vec<_> = columns.iter().map(|column| &*column.name).collect();
        let taken = wanted.of(&name, &names)?;
        for column in &taken {
            if let Some(why) = columns[column.at].kind.unread() {
                return Err(format!(
                    "{name}: {} {why}; leave it out by `without`",
                    column.name
                ));
            }
        }
        let shape = shape(&name, &taken);
        Ok(Self {
            name,
            columns,
            taken,
            shape,
        })
    }

    /// One of whose columns nothing is known yet.
    pub(super) fn unknown(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            columns: Vec::new(),
            taken: Vec::new(),
            shape: shape(name, &[]),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Puts the rows of an event, numbered from `ordinal` on; how many.
    ///
    /// # Errors
    /// A sentence: a row or a value is not understood.
    pub(super) fn put(
        &self,
        rows: &mut Rows,
        event: &RowsEvent<'_>,
        known: Known<'_>,
        ordinal: u64,
    ) -> Result<u64, String> {
        if event.columns != self.columns.len() {
            return Err(format!(
                "a row of {} has {} columns, and the table has {}",
                self.name,
                event.columns,
                self.columns.len()
            ));
        }
        let is_empty = |present: &[u8]| (0..event.columns).all(|at| !bit(present, at));
        if is_empty(event.present) && is_empty(event.present_after) {
            return Err(format!("a row of {} has no columns", self.name));
        }
        let op = match event.change {
            Change::Write => Op::Create,
            Change::Update => Op::Update,
            Change::Delete => Op::Delete,
        };
        let mut data = Reading(event.data.bytes());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let mut count = 0;
        while !data.is_empty() {
            self.image(&mut first, &mut data, event.present)?;
            if event.change == Change::Update {
                self.image(&mut second, &mut data, event.present_after)?;
            }
            let about = About {
                op,
                transaction: known.transaction,
                position: known.transaction,
                committed_at: known.committed_at,
                ordinal: ordinal + count,
            };
            self.put_row(rows, op, &first, &second, &about)?;
            count += 1;
        }
        Ok(count)
    }

    /// How many rows an event has.
    ///
    /// # Errors
    /// As of [`Self::put`].
    pub(super) fn count(&self, event: &RowsEvent<'_>) -> Result<u64, String> {
        let mut none = Rows::default();
        let known = Known {
            transaction: "",
            committed_at: "",
        };
        self.put(&mut none, event, known, 0)
    }

    /// All of its rows are gone.
    pub(super) fn put_truncated(&self, rows: &mut Rows, known: Known<'_>, ordinal: u64) {
        for _ in 0..2 * self.taken.len() {
            rows.null();
        }
        let about = About {
            op: Op::Truncate,
            transaction: known.transaction,
            position: known.transaction,
            committed_at: known.committed_at,
            ordinal,
        };
        rows.end(&self.shape, &about);
    }

    fn put_row(
        &self,
        rows: &mut Rows,
        op: Op,
        first: &[Cell<'_>],
        second: &[Cell<'_>],
        about: &About<'_>,
    ) -> Result<(), String> {
        for column in &self.taken {
            let said = match (op, second.get(column.at)) {
                (Op::Update, Some(Cell::Absent) | None) => first[column.at],
                (Op::Update, Some(after)) => *after,
                _ => first[column.at],
            };
            self.cell(rows, column, said)?;
        }
        for column in &self.taken {
            match op {
                Op::Create => rows.null(),
                _ => self.cell(rows, column, first[column.at])?,
            }
        }
        rows.end(&self.shape, about);
        Ok(())
    }

    /// Where the values of a row are.
    fn image<'r>(
        &self,
        cells: &mut Vec<Cell<'r>>,
        data: &mut Reading<'r>,
        present: &[u8],
    ) -> Result<(), Short> {
        cells.clear();
        let count = (0..self.columns.len()).filter(|at| bit(present, *at));
        let nulls = data.bytes(bit_bytes(count.count()))?;
        let mut number = 0;
        for (at, column) in self.columns.iter().enumerate() {
            if !bit(present, at) {
                cells.push(Cell::Absent);
                continue;
            }
            let is_null = bit(nulls, number);
            number += 1;
            cells.push(match is_null {
                true => Cell::Null,
                false => {
                    let before = data.0;
                    column.kind.skip(data)?;
                    Cell::Value(&before[..before.len() - data.0.len()])
                }
            });
        }
        Ok(())
    }

    fn cell(&self, rows: &mut Rows, column: &Taken, said: Cell<'_>) -> Result<(), String> {
        let value = match said {
            Cell::Absent => {
                rows.unchanged();
                return Ok(());
            }
            Cell::Null => {
                rows.null();
                return Ok(());
            }
            Cell::Value(value) => value,
        };
        let kind = &self.columns[column.at].kind;
        let mut put = Ok(());
        rows.value(|out| {
            let Some(mask) = column.mask else {
                put = kind.put(out, &mut Reading(value));
                return true;
            };
            let mut hidden = String::new();
            put = kind.put(&mut hidden, &mut Reading(value));
            mask.put(out, &hidden)
        });
        put.map_err(|bad| match bad {
            Bad::Short => Short.into(),
            Bad::Value(what) => format!(
                "{}: a value of {} {what}; leave the column out by `without`",
                self.name, column.name
            ),
        })
    }
}
