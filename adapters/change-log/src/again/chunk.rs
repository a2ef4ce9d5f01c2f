//! Rows that one moment of a database sees, and how many of them are asked for.

use std::mem;

use dray_adapter::{BATCH_BYTES_MAX, Records};

use super::Key;
use crate::rows::{About, Op, Rows};
use crate::schema::Described;

/// Rows of a chunk.
pub(crate) const CHUNK_ROWS_MAX: usize = 10_000;
/// Bytes of a chunk, about: the row that goes beyond is the last one.
const CHUNK_BYTES: usize = BATCH_BYTES_MAX / 2;
/// Rows of the first chunk, before their size is known.
const CHUNK_ROWS_FIRST: usize = 64;

/// What is known of a row before its place is.
pub(crate) const READ: About<'_> = About {
    op: Op::Read,
    transaction: "",
    position: "",
    committed_at: "",
    ordinal: 0,
};

/// Rows of a table that follow each other in the order of its key, as one moment sees them.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The table's columns at that moment.
    pub(crate) columns: Vec<Described>,
    /// Its key at that moment. Where that is not what was asked for, no row is read.
    pub(crate) key: Key,
    /// The rows, as those of the stream but for what is said of the change.
    pub(crate) records: Records,
    /// The key of the last row: columns, and values as the database compares them.
    pub(crate) last: Vec<(String, String)>,
    /// No row comes behind it.
    pub(crate) is_last: bool,
}

impl Chunk {
    /// The table has another key than the one that was asked for.
    pub(crate) fn of_another_key(key: Key) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }
}

/// How many rows are asked for.
#[derive(Debug)]
pub(crate) struct Size {
    rows: usize,
    most: usize,
}

impl Size {
    /// Before any is known. `most`: what holds for the table.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            rows: CHUNK_ROWS_FIRST,
            most,
        }
    }

    /// Of a table whose first row may fill a chunk.
    pub(crate) fn of_large(most: usize) -> Self {
        Self { rows: 1, most }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Large values came to the table.
    pub(crate) fn is_at_most(&mut self, most: usize) {
        self.most = self.most.min(most);
        self.rows = self.rows.min(most);
    }

    fn learn(&mut self, taken: usize, bytes: usize) {
        let fitting = CHUNK_BYTES / (bytes / taken.max(1)).max(1);
        self.rows = fitting.clamp(1, self.most.min(2 * self.rows));
    }
}

/// A chunk whose rows come.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    pub(crate) rows: Rows,
    taken: usize,
    bytes: usize,
}

impl Filling {
    /// It holds enough: what is above is read again, as an append has an end.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= CHUNK_BYTES
    }

    /// One more row was put, of so many bytes.
    pub(crate) fn took(&mut self, bytes: usize) {
        self.taken += 1;
        self.bytes += bytes;
    }

    /// It is whole. `is_all`: no row was left that was asked for; `last`: the key of the last row, where there is one.
    ///
    /// # Errors
    /// A sentence: the last row has no key.
    pub(crate) fn end(
        mut self,
        size: &mut Size,
        is_all: bool,
        (columns, key): (Vec<Described>, Key),
        last: Option<Vec<(String, String)>>,
    ) -> Result<Chunk, String> {
        let is_last = is_all && self.taken < size.rows;
        size.learn(self.taken, self.bytes);
        let last = match (self.taken, last) {
            (0, _) => Vec::new(),
            (_, Some(last)) => last,
            (_, None) => return Err("a row has no key".into()),
        };
        Ok(Chunk {
            columns,
            key,
            records: mem::take(&mut self.rows).take(),
            last,
            is_last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_rows_are_asked_for_as_fit() {
        let mut size = Size::new(CHUNK_ROWS_MAX);
        let check = |size: &mut Size, rows: usize, bytes: usize, expected: usize| {
            size.learn(rows, rows * bytes);
            assert_eq!(size.rows(), expected, "{rows} rows of {bytes} bytes");
        };
        check(&mut size, 64, 100, 128);
        for _ in 0..7 {
            let rows = size.rows();
            size.learn(rows, rows * 10);
        }
        assert_eq!(size.rows(), CHUNK_ROWS_MAX);
        check(&mut size, 10, CHUNK_BYTES / 10, 10);
        check(&mut size, 1, 5 * CHUNK_BYTES, 1);
        let mut large = Size::of_large(2);
        check(&mut large, 1, 10, 2);
        check(&mut large, 2, 10, 2);
    }

    #[test]
    fn a_chunk_is_the_last_one_where_fewer_rows_are_there_than_were_asked_for() {
        let last = || Some(vec![("sku".to_owned(), "A".to_owned())]);
        let end = |rows: usize, is_all: bool, last| {
            let mut filling = Filling::default();
            (0..rows).for_each(|_| filling.took(10));
            let shape = (Vec::new(), Key::new());
            filling.end(&mut Size::new(CHUNK_ROWS_MAX), is_all, shape, last)
        };
        for (rows, is_all, expected) in [(64, true, false), (63, true, true), (63, false, false)] {
            let chunk = end(rows, is_all, last()).expect("a chunk");
            assert_eq!(chunk.is_last, expected, "{rows} {is_all}");
        }
        assert!(end(0, true, None).expect("a chunk").is_last);
        end(1, true, None).expect_err("no key");
    }
}
