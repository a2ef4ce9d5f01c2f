//! Records in the shape of their source, in one arena.
//!
//! A batch of 10,000 records is five allocations, not 140,000: texts stand one after the other in
//! one string, and a cell is a range of it. Column names stand once, in a [`Shape`]; mapping
//! resolves them to indexes once a shape and never looks at a name again.

use std::sync::Arc;

/// The column by which a source says what happened to the record: `read` (nothing: it was there before), `create`, `update`, `delete`, or
/// `truncate`. A mapping without an `operation` of its own makes the event's of it.
pub const OPERATION_COLUMN: &str = "_op";

/// The names of a record's cells.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// What the source calls this type of record, e.g. "H1" or a table's name; empty where it has
    /// only one.
    pub record_type: String,
    /// In the order of the cells.
    pub columns: Vec<String>,
}

/// A range of the arena's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

/// A cell as it is kept.
#[derive(Debug, Clone, Copy)]
enum Cell {
    Null,
    Unchanged,
    Text(Span),
}

/// A cell's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// The source says that there is no value, or has no such cell.
    Null,
    /// The source didn't say; the value is what it was (a change log's untouched large column).
    Unchanged,
    /// Text; numbers and times too stand as their source writes them.
    Text(&'a str),
}

/// Where a record's own bytes are kept, for the day that it becomes a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawAt {
    /// In the arena's text: the source is UTF-8.
    Text(Span),
    /// In the arena's raw bytes: the source is encoded otherwise.
    Bytes(Span),
}

/// What is known of a record besides its cells.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The record's number in its unit (file, message, transaction), from 0.
    pub ordinal: u64,
    /// The line on which it starts, from 1; 0 where there are no lines.
    pub line: u64,
    /// Its bytes.
    pub raw: RawAt,
    shape: u16,
    first_cell: u32,
}

/// Many records. `clear` keeps the memory.
#[derive(Debug, Default)]
pub struct Records {
    text: String,
    raw: Vec<u8>,
    cells: Vec<Cell>,
    rows: Vec<Row>,
    shapes: Vec<Arc<Shape>>,
}

impl Records {
    /// Forgets records and shapes, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.raw.clear();
        self.cells.clear();
        self.rows.clear();
        self.shapes.clear();
    }

    /// Makes room for so many more bytes of text, records and cells, so that a batch whose size is
    /// about known grows without being copied.
    pub fn reserve(&mut self, text_bytes: usize, records: usize, cells: usize) {
        self.text.reserve(text_bytes);
        self.rows.reserve(records);
        self.cells.reserve(cells);
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of text and raw bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len() + self.raw.len()
    }

    /// Puts text into the arena; cells and raw bytes then point at parts of it.
    pub fn push_text(&mut self, text: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Span {
            start,
            end: self.text.len() as u32,
        }
    }

    /// Puts bytes that are not UTF-8 into the arena.
    pub fn push_raw(&mut self, bytes: &[u8]) -> Span {
        let start = self.raw.len() as u32;
        self.raw.extend_from_slice(bytes);
        Span {
            start,
            end: self.raw.len() as u32,
        }
    }

    /// Begins a record; the cells pushed next are its cells.
    ///
    /// # Panics
    /// Never in practice: a batch would need 65,536 shapes.
    pub fn begin(&mut self, shape: &Arc<Shape>, ordinal: u64, line: u64, raw: RawAt) {
        let known = self
            .shapes
            .iter()
            .rposition(|known| Arc::ptr_eq(known, shape));
        let shape = known.unwrap_or_else(|| {
            self.shapes.push(Arc::clone(shape));
            self.shapes.len() - 1
        });
        self.rows.push(Row {
            ordinal,
            line,
            raw,
            shape: u16::try_from(shape).expect("a batch has few shapes"),
            first_cell: self.cells.len() as u32,
        });
    }

    /// The next cell: a part of what [`Self::push_text`] took.
    pub fn cell(&mut self, span: Span) {
        self.cells.push(Cell::Text(span));
    }

    /// The next cell: no value.
    pub fn cell_null(&mut self) {
        self.cells.push(Cell::Null);
    }

    /// The next cell: not said.
    pub fn cell_unchanged(&mut self) {
        self.cells.push(Cell::Unchanged);
    }

    /// Record `index`, from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<RecordView<'_>> {
        let row = self.rows.get(index)?;
        let end = self
            .rows
            .get(index + 1)
            .map_or(self.cells.len(), |next| next.first_cell as usize);
        Some(RecordView {
            records: self,
            row,
            cells: &self.cells[row.first_cell as usize..end],
        })
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = RecordView<'_>> {
        (0..self.rows.len()).filter_map(|index| self.get(index))
    }
}

impl Span {
    /// A part of this range: bytes `start..end` counted from its beginning, which must lie on
    /// character borders and inside it.
    #[must_use]
    pub fn part(self, start: usize, end: usize) -> Self {
        debug_assert!(start <= end && self.start as usize + end <= self.end as usize);
        Self {
            start: self.start + start as u32,
            end: self.start + end as u32,
        }
    }
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    records: &'a Records,
    row: &'a Row,
    cells: &'a [Cell],
}

impl<'a> RecordView<'a> {
    /// Its ordinal, line and the like.
    #[must_use]
    pub fn row(&self) -> &'a Row {
        self.row
    }

    /// Its names. The same `Arc` for all records of one shape.
    #[must_use]
    pub fn shape(&self) -> &'a Arc<Shape> {
        &self.records.shapes[self.row.shape as usize]
    }

    /// Cell `index`; [`Value::Null`] beyond the last.
    #[must_use]
    #[inline]
    pub fn value(&self, index: usize) -> Value<'a> {
        match self.cells.get(index) {
            Some(Cell::Text(span)) => {
                Value::Text(&self.records.text[span.start as usize..span.end as usize])
            }
            Some(Cell::Unchanged) => Value::Unchanged,
            Some(Cell::Null) | None => Value::Null,
        }
    }

    /// How many cells it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Its bytes as the source wrote them.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        match self.row.raw {
            RawAt::Text(span) => {
                &self.records.text.as_bytes()[span.start as usize..span.end as usize]
            }
            RawAt::Bytes(span) => &self.records.raw[span.start as usize..span.end as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_cells_lines_and_raw_bytes_apart() {
        let shape = Arc::new(Shape {
            record_type: String::new(),
            columns: vec!["A".into(), "B".into()],
        });
        let mut records = Records::default();
        for round in 0..2_u64 {
            let line = records.push_text("x|größe");
            records.begin(&shape, round, round + 1, RawAt::Text(line));
            records.cell(line.part(0, 1));
            records.cell(line.part(2, 9));
            let raw = records.push_raw(b"\xFCber");
            records.begin(&shape, round + 1, round + 2, RawAt::Bytes(raw));
            let text = records.push_text("über");
            records.cell(text);
            assert_eq!(records.len(), 2);
            let first = records.get(0).expect("the first");
            assert_eq!(
                (first.value(0), first.value(1)),
                (Value::Text("x"), Value::Text("größe"))
            );
            assert_eq!(
                (first.value(2), first.raw()),
                (Value::Null, "x|größe".as_bytes())
            );
            let second = records.get(1).expect("the second");
            assert_eq!(
                (second.value(0), second.value(1)),
                (Value::Text("über"), Value::Null)
            );
            assert_eq!(
                (second.raw(), second.row().line),
                (&b"\xFCber"[..], round + 2)
            );
            assert!(records.get(2).is_none());
            records.clear();
        }
    }
}
