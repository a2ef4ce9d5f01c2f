//! Cells to rows, and rows to records.

use std::sync::Arc;

use calamine::XlsxCellFormulaMetadataRecord;
use dray_adapter::Shape;

use super::held::Held;
use super::values;
use crate::csv::COLUMNS_MAX;
use crate::{FieldAt, RECORD_BYTES_MAX};

/// Columns and rows of a sheet, at most (ECMA-376 allows no more).
const SHEET_COLUMNS: u32 = 16_384;
const SHEET_ROWS: u32 = 1_048_576;

/// The row at hand.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// As Excel counts, from 1; 0 before the first.
    line: u64,
    text: String,
    /// The cells that have a value: column from 0, place in the text.
    cells: Vec<(u32, FieldAt)>,
    fault: Option<String>,
}

impl Row {
    /// Whether a cell belongs to it.
    pub(super) fn has(&self, cell: &XlsxCellFormulaMetadataRecord<'_>) -> bool {
        self.line == u64::from(cell.pos.0) + 1
    }

    /// The next row begins.
    pub(super) fn begin(&mut self, row: u32) {
        self.line = u64::from(row) + 1;
        self.text.clear();
        self.cells.clear();
        self.fault = None;
    }

    /// Takes a cell; what is wrong with it is wrong with the row.
    pub(super) fn put(
        &mut self,
        cell: &XlsxCellFormulaMetadataRecord<'_>,
        is_1904: bool,
    ) -> Result<(), String> {
        let (row, column) = cell.pos;
        if row >= SHEET_ROWS || column >= SHEET_COLUMNS {
            return Err(format!(
                "the sheet has a cell in row {row} and column {column}, which no sheet has"
            ));
        }
        if self.text.len() > RECORD_BYTES_MAX {
            return Ok(());
        }
        let tabs = match self.cells.last() {
            Some((last, _)) => column.saturating_sub(*last),
            None => 0,
        };
        let before = self.text.len();
        self.text.extend((0..tabs).map(|_| '\t'));
        let start = self.text.len();
        match values::put(&cell.value, cell.formula.is_some(), is_1904, &mut self.text) {
            Ok(true) => {
                let at = FieldAt {
                    start: start as u32,
                    end: self.text.len() as u32,
                };
                self.cells.push((column, at));
            }
            Ok(false) => self.text.truncate(before),
            Err(reason) => {
                let cell = cell_name(column, self.line);
                self.fault
                    .get_or_insert_with(|| format!("cell {cell} {reason}"));
                self.cells.push((column, FieldAt::NULL));
            }
        }
        if self.text.len() > RECORD_BYTES_MAX {
            self.fault = Some(format!(
                "the row's texts have more than {RECORD_BYTES_MAX} bytes together"
            ));
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn cell(&self, at: FieldAt) -> &str {
        self.text
            .get(at.start as usize..at.end as usize)
            .unwrap_or_default()
    }
}

/// Which column is which.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) shape: Option<Arc<Shape>>,
    /// A sheet's column to a record's; `None` where the header names nothing.
    index: Vec<Option<usize>>,
    /// The cells of the record at hand.
    fields: Vec<FieldAt>,
}

impl Columns {
    /// Columns with names from A on.
    pub(super) fn named(shape: Arc<Shape>) -> Self {
        Self {
            index: (0..shape.columns.len()).map(Some).collect(),
            shape: Some(shape),
            fields: Vec::new(),
        }
    }

    /// A row is complete: it is the header, a record or a bad one, or nothing.
    pub(super) fn take(
        &mut self,
        row: &Row,
        skip_rows: u32,
        required: &[String],
        known: Option<&Arc<Shape>>,
        held: &mut Held,
    ) -> Result<(), String> {
        if row.is_empty() || row.line <= u64::from(skip_rows) {
            return Ok(());
        }
        let Some(shape) = &self.shape else {
            return self
                .header(row, required, known)
                .map_err(|reason| format!("the header in row {}: {reason}", row.line));
        };
        if let Some(fault) = &row.fault {
            held.reject(row.line, fault.clone(), &row.text);
            return Ok(());
        }
        self.fields.clear();
        self.fields.resize(shape.columns.len(), FieldAt::NULL);
        for (column, at) in &row.cells {
            let named = self.index.get(*column as usize).copied().flatten();
            let Some(field) = named.and_then(|index| self.fields.get_mut(index)) else {
                let cell = cell_name(*column, row.line);
                let reason = format!("cell {cell} has a value, and its column has no name");
                held.reject(row.line, reason, &row.text);
                return Ok(());
            };
            *field = *at;
        }
        held.record(row.line, &row.text, &self.fields);
        Ok(())
    }

    fn header(
        &mut self,
        row: &Row,
        required: &[String],
        known: Option<&Arc<Shape>>,
    ) -> Result<(), String> {
        if let Some(fault) = &row.fault {
            return Err(fault.clone());
        }
        if row.cells.len() > COLUMNS_MAX {
            return Err(format!(
                "it names {} columns, at most {COLUMNS_MAX} are possible",
                row.cells.len()
            ));
        }
        let mut columns: Vec<String> = Vec::new();
        self.index.clear();
        for (column, at) in &row.cells {
            let name = row.cell(*at).trim();
            if name.is_empty() {
                continue;
            }
            if columns.iter().any(|known| known == name) {
                return Err(format!("it names \"{name}\" twice"));
            }
            let column = *column as usize;
            self.index.resize(self.index.len().max(column + 1), None);
            self.index[column] = Some(columns.len());
            columns.push(name.to_owned());
        }
        let missing = required.iter().filter(|name| !columns.contains(name));
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        if !missing.is_empty() || columns.is_empty() {
            return Err(format!(
                "it lacks {}; it has {}. If the names stand further below, set skip_rows",
                missing.join(", "),
                columns.join(", ")
            ));
        }
        let known = known.filter(|shape| shape.columns == columns).cloned();
        self.shape = Some(known.unwrap_or_else(|| {
            Arc::new(Shape {
                record_type: String::new(),
                columns,
            })
        }));
        Ok(())
    }
}

/// `C7`, as Excel calls a cell.
fn cell_name(column: u32, line: u64) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    letters.reverse();
    format!("{}{line}", letters.into_iter().collect::<String>())
}
