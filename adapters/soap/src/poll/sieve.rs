//! Gathers a batch of the records that were not handed out before.
//!
//! With a key, each record leaves a mark of all its cells: an answer that overlaps the one before, or a page that repeats a record,
//! brings it once. One that changed is another one. A mark is seen in the buffer once its batch is committed, and until then here: so
//! much is kept in memory as is on its way to the disk.
//!
//! ```text
//! 'r' + the first 16 bytes of SHA-256(cells)         a record
//! 'b' + the first 16 bytes of SHA-256(bytes)         a bad one
//! ```
//! Marks live 7 days, or 2,000,000 a source: what a service says again later than that comes again.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use dray_adapter::{BATCH_BYTES_MAX, Mark, MarkState, REJECT_BYTES_MAX, Seen};
use dray_formats::{BadRecord, Gather, GoodRecord, Sink};
use sha2::{Digest as _, Sha256};

use super::survey::{cell, hash_bad, hash_cells};

/// Records of a batch, at most: each brings a mark, and all of them are one write.
pub(super) const RECORDS_MAX: usize = 10_000;
const MARK_BYTES: usize = 16;

/// What was handed out.
#[derive(Default)]
pub(super) struct Handed {
    seen: Option<Arc<dyn Seen>>,
    /// Of batches that are not committed.
    known: HashSet<Mark>,
    batches: VecDeque<(u64, Vec<Mark>)>,
}

impl Handed {
    pub(super) fn new(seen: Arc<dyn Seen>) -> Self {
        Self {
            seen: Some(seen),
            ..Self::default()
        }
    }

    /// Whether it is seen for the first time; from now on it is known.
    fn is_new(&mut self, mark: &Mark) -> bool {
        let is_stored = || {
            let seen = self.seen.as_ref();
            seen.is_some_and(|seen| seen.seen(mark) != MarkState::New)
        };
        if self.known.contains(mark) || is_stored() {
            return false;
        }
        self.known.insert(mark.clone())
    }

    /// A batch with these marks is on its way.
    pub(super) fn out(&mut self, batch: u64, marks: &[Mark]) {
        if !marks.is_empty() {
            self.batches.push_back((batch, marks.to_vec()));
        }
    }

    /// All batches up to this one are stored.
    pub(super) fn stored(&mut self, through: u64) {
        while let Some((_, marks)) = self.batches.pop_front_if(|(batch, _)| *batch <= through) {
            self.take_back(&marks);
        }
    }

    /// What was gathered and is not handed out after all.
    pub(super) fn take_back(&mut self, marks: &[Mark]) {
        for mark in marks {
            self.known.remove(mark);
        }
    }
}

/// A batch being gathered.
pub(super) struct Sieve<'s> {
    gather: Gather,
    marks: Vec<Mark>,
    next: u64,
    /// The columns that must not be empty: names and places. None: everything goes through.
    key: &'s [(String, usize)],
    handed: &'s mut Handed,
}

impl<'s> Sieve<'s> {
    pub(super) fn new(
        key: &'s [(String, usize)],
        handed: &'s mut Handed,
        records_max: usize,
    ) -> Self {
        Self {
            gather: Gather::with_limits(records_max, BATCH_BYTES_MAX),
            marks: Vec::new(),
            next: 0,
            key,
            handed,
        }
    }

    /// The batch, its marks, and the ordinal after the last that was looked at.
    pub(super) fn into_parts(self) -> (Gather, Vec<Mark>, u64) {
        (self.gather, self.marks, self.next)
    }

    /// Whether it goes through.
    fn passes(&mut self, tag: u8, hash: Sha256) -> bool {
        let mark = Mark([&[tag][..], &hash.finalize()[..MARK_BYTES]].concat());
        let is_new = self.handed.is_new(&mark);
        if is_new {
            self.marks.push(mark);
        }
        is_new
    }

    fn lacking(&self, record: &GoodRecord<'_>) -> Option<String> {
        let is_empty = |column| cell(record, column).is_none_or(str::is_empty);
        let (name, _) = self.key.iter().find(|(_, column)| is_empty(*column))?;
        Some(format!("it has no {name}, which is of its key"))
    }
}

impl Sink for Sieve<'_> {
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        self.gather.full()
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        self.next = record.ordinal + 1;
        if let Some(reason) = self.lacking(record) {
            let raw = record.raw.unwrap_or(record.text.as_bytes());
            return self.reject(&BadRecord {
                ordinal: record.ordinal,
                line: record.line,
                reason: &reason,
                raw: &raw[..raw.len().min(REJECT_BYTES_MAX)],
                raw_bytes: raw.len() as u64,
                raw_sha256: (raw.len() > REJECT_BYTES_MAX).then(|| Sha256::digest(raw).into()),
            });
        }
        let mut hash = Sha256::new();
        hash_cells(&mut hash, record);
        if self.key.is_empty() || self.passes(b'r', hash) {
            self.gather.record(record);
        }
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.next = bad.ordinal + 1;
        let mut hash = Sha256::new();
        hash_bad(&mut hash, bad);
        if self.key.is_empty() || self.passes(b'b', hash) {
            self.gather.reject(bad);
        }
    }
}
