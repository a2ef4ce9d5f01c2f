//! A chunk that waits for its place in the stream, and what the stream makes of its rows meanwhile. Pure.

use std::collections::HashMap;
use std::mem;

use dray_adapter::{BATCH_BYTES_MAX, Shape, Value};

use super::chunk::Chunk;
use super::join::View;
use super::seen::{Said, Seen, key_of};

/// What the stream makes of a chunk's rows may be so much larger than these: beyond that the chunk is read again.
pub(crate) const HELD_BYTES_MAX: usize = 4 * BATCH_BYTES_MAX;

/// What becomes of a chunk's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It comes as it was read.
    Comes,
    /// The stream has told it whole, or that it is gone.
    Gone,
    /// It comes as the stream has made it: its cells.
    Now(Vec<Option<Box<str>>>),
}

impl Fate {
    /// What it takes in memory, about.
    fn bytes(&self) -> usize {
        match self {
            Self::Comes | Self::Gone => 0,
            Self::Now(cells) => {
                let cells = cells.iter();
                cells
                    .map(|cell| 16 + cell.as_ref().map_or(0, |text| text.len()))
                    .sum()
            }
        }
    }
}

/// A chunk that waits for its place.
#[derive(Debug)]
pub(super) struct Held<V> {
    pub(super) view: V,
    pub(super) chunk: Chunk,
    by_key: HashMap<String, usize>,
    pub(super) fates: Vec<Fate>,
    /// What the stream made of its rows.
    now_bytes: usize,
    pub(super) is_emptied: bool,
    pub(super) is_spoilt: bool,
}

impl<V: View> Held<V> {
    pub(super) fn new(chunk: Chunk, view: V) -> Self {
        let key = &chunk.key;
        let keys = chunk.records.iter().enumerate();
        let by_key = keys.filter_map(|(at, record)| Some((key_of(&record, key, 0)?, at)));
        Self {
            by_key: by_key.collect(),
            fates: vec![Fate::Comes; chunk.records.len()],
            chunk,
            view,
            now_bytes: 0,
            is_emptied: false,
            is_spoilt: false,
        }
    }

    pub(super) fn take(&mut self, transaction: u64, seen: Seen) {
        if self.is_spoilt || self.view.has(transaction) {
            return;
        }
        match seen {
            Seen::Told(keys) => keys.iter().for_each(|key| self.drop_row(key)),
            Seen::Emptied => self.is_emptied = true,
            Seen::Unknown => self.spoil(),
            Seen::Shape(columns) if columns != self.chunk.columns => self.spoil(),
            Seen::Shape(_) => {}
            Seen::Partly {
                before,
                now,
                cells,
                shape,
            } => {
                let row = self.by_key.remove(&before);
                self.drop_row(&now);
                if let Some(at) = row {
                    self.by_key.insert(now, at);
                    self.change(at, &cells, &shape);
                }
            }
        }
    }

    fn drop_row(&mut self, key: &str) {
        if let Some(at) = self.by_key.remove(key) {
            self.now_bytes -= self.fates[at].bytes();
            self.fates[at] = Fate::Gone;
        }
    }

    fn change(&mut self, at: usize, cells: &[Said], shape: &Shape) {
        let Some(record) = self.chunk.records.get(at) else {
            return;
        };
        if record.shape().columns != shape.columns {
            return self.spoil();
        }
        let read = |at| match record.value(at) {
            Value::Text(text) => Some(text.into()),
            _ => None,
        };
        let before = mem::replace(&mut self.fates[at], Fate::Gone);
        self.now_bytes -= before.bytes();
        let now = match before {
            Fate::Now(now) => now,
            _ => (0..cells.len()).map(read).collect(),
        };
        let now = now.into_iter().zip(cells);
        let now = now.map(|(before, said)| match said {
            Said::Unchanged => before,
            Said::Now(value) => value.clone(),
        });
        let now = Fate::Now(now.collect());
        self.now_bytes += now.bytes();
        self.fates[at] = now;
        if self.now_bytes > self.chunk.records.bytes() + HELD_BYTES_MAX {
            self.spoil();
        }
    }

    /// It is to be read again.
    pub(super) fn spoil(&mut self) {
        self.is_spoilt = true;
        self.by_key.clear();
        self.fates.clear();
        self.chunk = Chunk::default();
    }
}
