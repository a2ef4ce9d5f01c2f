//! Rows that are read and not handed out yet.

use std::sync::Arc;

use dray_adapter::{REJECT_BYTES_MAX, Shape};
use sha2::{Digest as _, Sha256};

use super::HELD_BYTES_MAX;
use crate::{BadRecord, FieldAt, GoodRecord, Sink};

/// What a row takes besides text and cells, about.
const ROW_BYTES: usize = 64;

/// Rows in the sheet's order. Its memory is used again.
#[derive(Debug, Default)]
pub(super) struct Held {
    text: String,
    fields: Vec<FieldAt>,
    rows: Vec<Row>,
    given: usize,
}

#[derive(Debug)]
struct Row {
    line: u64,
    text: usize,
    fields: usize,
    bad: Option<Box<Bad>>,
}

/// What is said of a bad row besides its first bytes.
#[derive(Debug)]
struct Bad {
    reason: String,
    bytes: u64,
    sha256: Option<[u8; 32]>,
}

impl Held {
    pub(super) fn is_full(&self) -> bool {
        let cells = self.fields.len() * size_of::<FieldAt>();
        self.text.len() + cells + self.rows.len() * ROW_BYTES >= HELD_BYTES_MAX
    }

    /// A record; its cells are places in its text.
    pub(super) fn record(&mut self, line: u64, text: &str, fields: &[FieldAt]) {
        self.row(line, None);
        self.text.push_str(text);
        self.fields.extend_from_slice(fields);
    }

    /// A bad row, of which the first bytes are kept.
    pub(super) fn reject(&mut self, line: u64, reason: String, text: &str) {
        let mut first = text.len().min(REJECT_BYTES_MAX);
        while !text.is_char_boundary(first) {
            first -= 1;
        }
        let cut = first < text.len();
        let sha256 = cut.then(|| Sha256::digest(text).into());
        let bytes = text.len() as u64;
        self.row(
            line,
            Some(Box::new(Bad {
                reason,
                bytes,
                sha256,
            })),
        );
        self.text.push_str(&text[..first]);
    }

    fn row(&mut self, line: u64, bad: Option<Box<Bad>>) {
        self.rows.push(Row {
            line,
            text: self.text.len(),
            fields: self.fields.len(),
            bad,
        });
    }

    /// Hands rows out while there is room; whether all are. `ordinal` is the next row's.
    pub(super) fn give<S: Sink>(
        &mut self,
        shape: &Arc<Shape>,
        ordinal: &mut u64,
        skip: u64,
        sink: &mut S,
    ) -> bool {
        while self.given < self.rows.len() {
            if sink.full() {
                return false;
            }
            let row = &self.rows[self.given];
            let next = self.rows.get(self.given + 1);
            let text = &self.text[row.text..next.map_or(self.text.len(), |next| next.text)];
            let fields = &self.fields[row.fields..next.map_or(self.fields.len(), |n| n.fields)];
            let number = *ordinal;
            self.given += 1;
            *ordinal += 1;
            if number < skip {
                continue;
            }
            match &row.bad {
                None => sink.record(&GoodRecord {
                    shape,
                    ordinal: number,
                    line: row.line,
                    text,
                    raw: None,
                    fields,
                }),
                Some(bad) => sink.reject(&BadRecord {
                    ordinal: number,
                    line: row.line,
                    reason: &bad.reason,
                    raw: text.as_bytes(),
                    raw_bytes: bad.bytes,
                    raw_sha256: bad.sha256,
                }),
            }
        }
        self.text.clear();
        self.fields.clear();
        self.rows.clear();
        self.given = 0;
        true
    }
}
