//! Rows as a database answered: texts one after the other, as it writes them.

use super::value::Kind;

/// Bytes of a cell that are taken: an event has no more. A longer one makes its row a dead letter.
pub(super) const CELL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a page, at which a session stops reading.
pub(super) const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes behind a page that are read and let go, so that the session can go on. Of more, the session is given up.
pub(super) const BEHIND_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A cell of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell<'p> {
    Null,
    Text(&'p str),
    /// The mode does not know it.
    Unsaid,
    /// Could not be taken: so many bytes, as far as the database says that.
    Lost(Option<usize>),
}

#[derive(Debug, Clone, Copy)]
enum At {
    Null,
    Unsaid,
    Text(usize, usize),
    Lost(Option<usize>),
}

/// An answer, or as much of it as was taken.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) columns: Vec<Column>,
    text: String,
    cells: Vec<At>,
    /// There are more rows than were taken.
    pub(super) is_cut: bool,
}

impl Page {
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            ..Self::default()
        }
    }

    pub(super) fn null(&mut self) {
        self.cells.push(At::Null);
    }

    pub(super) fn unsaid(&mut self) {
        self.cells.push(At::Unsaid);
    }

    /// The next cell is what `put` writes.
    pub(super) fn value(&mut self, put: impl FnOnce(&mut String)) {
        let start = self.text.len();
        put(&mut self.text);
        match self.text.len() - start {
            bytes if bytes > CELL_BYTES_MAX => {
                self.text.truncate(start);
                self.lost(Some(bytes));
            }
            _ => self.cells.push(At::Text(start, self.text.len())),
        }
    }

    /// The next cell is a text.
    pub(super) fn text(&mut self, text: &str) {
        self.value(|out| out.push_str(text));
    }

    pub(super) fn lost(&mut self, bytes: Option<usize>) {
        self.cells.push(At::Lost(bytes));
    }

    /// Whether a session reads no further row. One alone may be known already, however large it is.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= PAGE_BYTES_MAX && self.rows() > 1
    }

    pub(super) fn rows(&self) -> usize {
        self.cells.len() / self.columns.len().max(1)
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(super) fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        match self.cells[row * self.columns.len() + column] {
            At::Null => Cell::Null,
            At::Unsaid => Cell::Unsaid,
            At::Text(start, end) => Cell::Text(&self.text[start..end]),
            At::Lost(bytes) => Cell::Lost(bytes),
        }
    }

    /// A cell that has a value.
    pub(super) fn get(&self, row: usize, column: usize) -> Option<&str> {
        match self.cell(row, column) {
            Cell::Text(text) => Some(text),
            Cell::Null | Cell::Unsaid | Cell::Lost(_) => None,
        }
    }

    /// The first cell of an answer of one row.
    pub(super) fn only(&self) -> Option<&str> {
        match self.rows() {
            0 => None,
            _ => self.get(0, 0),
        }
    }

    /// The place of a column.
    ///
    /// # Errors
    /// A sentence: there is none of this name.
    pub(super) fn place(&self, setting: &str, name: &str) -> Result<usize, String> {
        let found = self.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .collect();
            format!(
                "there is no column {name}, which {setting} names (names stand as the database writes them); there are {}",
                names.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_whole_or_lost() {
        let column = |name: &str| Column {
            name: name.into(),
            kind: Kind::Text,
        };
        let mut page = Page::new(vec![column("id"), column("note")]);
        page.text("1");
        page.text(&"x".repeat(CELL_BYTES_MAX));
        page.text("2");
        page.text(&"x".repeat(CELL_BYTES_MAX + 1));
        page.text("3");
        page.null();
        assert_eq!(page.rows(), 3);
        assert_eq!(page.get(0, 1).map(str::len), Some(CELL_BYTES_MAX));
        assert_eq!(page.cell(1, 1), Cell::Lost(Some(CELL_BYTES_MAX + 1)));
        assert_eq!((page.get(2, 0), page.cell(2, 1)), (Some("3"), Cell::Null));
        assert!(page.is_full());
        assert_eq!(page.place("id", "note"), Ok(1));
        let told = page.place("id", "ID").expect_err("there is none");
        assert!(told.contains("no column ID, which id names"), "{told}");
    }
}
