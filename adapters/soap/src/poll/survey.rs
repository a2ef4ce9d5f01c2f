//! Looks at all records of an answer before one of them is handed out: how many there are, what tells this answer's content from
//! another's, and how far they lead the watermark.

use dray_formats::{BadRecord, FieldAt, GoodRecord, Sink};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::watermark::{Rule, TakenFrom};
use crate::measure::Bytes;

/// What a look at all records found.
#[derive(Debug)]
pub(super) struct Survey<'r> {
    pub(super) records: u64,
    pub(super) rejects: u64,
    pub(super) highest: Option<String>,
    /// Records whose watermark can't be read, or lies too far ahead to be true.
    pub(super) passed_over: u64,
    rule: Option<&'r Rule>,
    now: Timestamp,
    hash: Sha256,
    bytes: Bytes,
    bytes_max: u64,
}

impl<'r> Survey<'r> {
    /// `now`: of the clock, ours or the service's, that is ahead. `bytes_max`: of all records together.
    pub(super) fn new(rule: Option<&'r Rule>, now: Timestamp, bytes_max: u64) -> Self {
        Self {
            records: 0,
            rejects: 0,
            highest: None,
            passed_over: 0,
            rule,
            now,
            hash: Sha256::new(),
            bytes: Bytes::default(),
            bytes_max,
        }
    }

    /// Whether there are more bytes of records than may be.
    pub(super) fn is_too_much(&self) -> bool {
        self.bytes.all > self.bytes_max
    }

    /// What tells the content from another's: that of the records alone, as an answer may name the time or a session around them.
    pub(super) fn content(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }

    fn look_at_watermark(&mut self, record: &GoodRecord<'_>) {
        let Some(rule) = self.rule else {
            return;
        };
        let TakenFrom::Column(column) = rule.from else {
            return;
        };
        let value = cell(record, column).unwrap_or_default();
        if !rule.reads(value) || rule.is_ahead(value, self.now) {
            self.passed_over += 1;
        } else if self
            .highest
            .as_ref()
            .is_none_or(|highest| rule.grows(highest, value))
        {
            self.highest = Some(value.to_owned());
        }
    }
}

/// A record's cell; `None` where it has none.
pub(super) fn cell<'a>(record: &GoodRecord<'a>, column: usize) -> Option<&'a str> {
    let at = record
        .fields
        .get(column)
        .filter(|at| **at != FieldAt::NULL)?;
    record.text.get(at.start as usize..at.end as usize)
}

/// Puts all cells of a record into a hash, each told from the next and an empty one from none.
pub(super) fn hash_cells(hash: &mut Sha256, record: &GoodRecord<'_>) {
    for column in 0..record.fields.len() {
        match cell(record, column) {
            None => hash.update([0]),
            Some(text) => {
                hash.update([1]);
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
    }
}

/// Puts a bad record's bytes into a hash.
pub(super) fn hash_bad(hash: &mut Sha256, bad: &BadRecord<'_>) {
    hash.update([2]);
    hash.update(bad.raw_bytes.to_le_bytes());
    match bad.raw_sha256 {
        Some(whole) => hash.update(whole),
        None => hash.update(bad.raw),
    }
}

impl Sink for Survey<'_> {
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        self.is_too_much()
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        self.records += 1;
        self.bytes.add(record);
        hash_cells(&mut self.hash, record);
        self.look_at_watermark(record);
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.rejects += 1;
        hash_bad(&mut self.hash, bad);
    }
}
