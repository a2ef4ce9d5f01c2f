//! Who takes what a decoder finds.

use std::sync::Arc;

use dray_adapter::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, REJECT_BYTES_MAX, RawAt, Records, Reject, RejectStage,
    Shape,
};
use sha2::{Digest as _, Sha256};

/// Why a whole file cannot be read: a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault(pub String);

/// A cell's place in the text of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldAt {
    /// The first byte.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

impl FieldAt {
    /// A cell that is not there, which is not the same as an empty one.
    pub const NULL: Self = Self {
        start: u32::MAX,
        end: u32::MAX,
    };
}

/// A record as a decoder sees it.
#[derive(Debug, Clone, Copy)]
pub struct GoodRecord<'a> {
    /// Its names.
    pub shape: &'a Arc<Shape>,
    /// Its number among records and bad records, from 0.
    pub ordinal: u64,
    /// The line on which it starts, from 1.
    pub line: u64,
    /// The record in UTF-8; where it has quotes, its cells without them, one behind the other.
    pub text: &'a str,
    /// Its bytes, where they differ from `text`.
    pub raw: Option<&'a [u8]>,
    /// The cells; empty for a sink that wants none.
    pub fields: &'a [FieldAt],
}

/// Bytes that are not a record.
#[derive(Debug, Clone, Copy)]
pub struct BadRecord<'a> {
    /// Its number among records and bad records, from 0.
    pub ordinal: u64,
    /// The line on which it starts, from 1.
    pub line: u64,
    /// A sentence for a person.
    pub reason: &'a str,
    /// Its first bytes, at most [`REJECT_BYTES_MAX`].
    pub raw: &'a [u8],
    /// All its bytes, counted.
    pub raw_bytes: u64,
    /// SHA-256 of all its bytes, where `raw` is cut.
    pub raw_sha256: Option<[u8; 32]>,
}

/// Takes records and bad records in the file's order.
pub trait Sink {
    /// Whether it looks at the cells.
    const FIELDS: bool;

    /// Whether it takes no more for now: the decoder stops after the record at hand.
    fn full(&self) -> bool;

    /// The next record.
    fn record(&mut self, record: &GoodRecord<'_>);

    /// The next bad record.
    fn reject(&mut self, bad: &BadRecord<'_>);
}

/// Hands bytes out as a bad record: the first of them, and what tells the whole.
pub(crate) fn reject<S: Sink>(sink: &mut S, ordinal: u64, line: u64, reason: &str, raw: &[u8]) {
    let raw_sha256 = (raw.len() > REJECT_BYTES_MAX).then(|| Sha256::digest(raw).into());
    sink.reject(&BadRecord {
        ordinal,
        line,
        reason,
        raw: &raw[..raw.len().min(REJECT_BYTES_MAX)],
        raw_bytes: raw.len() as u64,
        raw_sha256,
    });
}

/// Counts, and is full once there are too many bad records.
#[derive(Debug)]
pub struct Tally {
    /// Good ones.
    pub records: u64,
    /// Bad ones.
    pub rejects: u64,
    /// The first bad one: `line 7: a NUL at byte 3`.
    pub first_bad: Option<String>,
    rejects_max: u64,
}

impl Tally {
    /// Up to `rejects_max` bad records are fine.
    #[must_use]
    pub fn new(rejects_max: u64) -> Self {
        Self {
            records: 0,
            rejects: 0,
            first_bad: None,
            rejects_max,
        }
    }

    /// Whether there were more bad records than allowed.
    #[must_use]
    pub fn is_too_bad(&self) -> bool {
        self.rejects > self.rejects_max
    }
}

impl Sink for Tally {
    const FIELDS: bool = false;

    fn full(&self) -> bool {
        self.is_too_bad()
    }

    #[inline]
    fn record(&mut self, _: &GoodRecord<'_>) {
        self.records += 1;
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.rejects += 1;
        if self.first_bad.is_none() {
            self.first_bad = Some(format!("line {}: {}", bad.line, bad.reason));
        }
    }
}

/// Bytes of a record's column names that are not counted.
const NAMES_BYTES_FREE: usize = 1_024;

/// What long column names add to each record: a generic event holds them all, and a header decides how long they are.
#[derive(Debug, Default)]
pub struct Names {
    of: Option<Arc<Shape>>,
    bytes: usize,
}

impl Names {
    /// Bytes of this shape's names beyond the first 1,024.
    #[inline]
    pub fn bytes(&mut self, shape: &Arc<Shape>) -> usize {
        let known = self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, shape));
        if !known {
            let bytes: usize = shape.columns.iter().map(String::len).sum();
            self.bytes = bytes.saturating_sub(NAMES_BYTES_FREE);
            self.of = Some(Arc::clone(shape));
        }
        self.bytes
    }
}

/// Gathers a batch.
#[derive(Debug)]
pub struct Gather {
    /// The records.
    pub records: Records,
    /// The bad ones, each with its place among the records.
    pub rejects: Vec<Reject>,
    /// Of the bad ones, and of long names.
    other_bytes: usize,
    names: Names,
    records_max: usize,
    bytes_max: usize,
    bytes_expected: usize,
}

impl Default for Gather {
    fn default() -> Self {
        Self::with_limits(BATCH_RECORDS_MAX, BATCH_BYTES_MAX)
    }
}

impl Gather {
    /// A smaller batch than the contract allows.
    #[must_use]
    pub fn with_limits(records_max: usize, bytes_max: usize) -> Self {
        Self {
            records: Records::default(),
            rejects: Vec::new(),
            other_bytes: 0,
            names: Names::default(),
            records_max: records_max.clamp(1, BATCH_RECORDS_MAX),
            bytes_max: bytes_max.clamp(1, BATCH_BYTES_MAX),
            bytes_expected: 0,
        }
    }

    /// About so many bytes are left of the file: room for them, or for a full batch, is made at once
    /// when the first record shows how long records are.
    #[must_use]
    pub fn expecting(self, bytes: u64) -> Self {
        let bytes_expected = usize::try_from(bytes)
            .unwrap_or(usize::MAX)
            .min(self.bytes_max);
        Self {
            bytes_expected,
            ..self
        }
    }

    #[cold]
    fn make_room(&mut self, record: &GoodRecord<'_>) {
        let bytes = std::mem::take(&mut self.bytes_expected);
        let length = record.text.len() + 1;
        // Later records may be shorter, and the last one may go past the limit.
        let records = (bytes / length * 9 / 8 + 1).min(self.records_max);
        self.records
            .reserve(bytes + 4 * length, records, records * record.fields.len());
    }

    /// Whether there is neither a record nor a bad one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.rejects.is_empty()
    }

    /// The ordinal after the last; `None` when empty.
    #[must_use]
    pub fn next_ordinal(&self) -> Option<u64> {
        let record = self
            .records
            .len()
            .checked_sub(1)
            .and_then(|last| self.records.get(last));
        let record = record.map(|record| record.row().ordinal);
        let reject = self.rejects.last().map(|reject| reject.ordinal);
        record.max(reject).map(|last| last + 1)
    }
}

impl Sink for Gather {
    const FIELDS: bool = true;

    #[inline]
    fn full(&self) -> bool {
        self.records.len() + self.rejects.len() >= self.records_max
            || self.records.bytes() + self.other_bytes >= self.bytes_max
    }

    #[inline]
    fn record(&mut self, record: &GoodRecord<'_>) {
        if self.bytes_expected > 0 {
            self.make_room(record);
        }
        self.other_bytes += self.names.bytes(record.shape);
        let text = self.records.push_text(record.text);
        let raw = match record.raw {
            None => RawAt::Text(text),
            Some(raw) => RawAt::Bytes(self.records.push_raw(raw)),
        };
        self.records
            .begin(record.shape, record.ordinal, record.line, raw);
        for field in record.fields {
            if *field == FieldAt::NULL {
                self.records.cell_null();
                continue;
            }
            let cell = text.part(field.start as usize, field.end as usize);
            self.records.cell(cell);
        }
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        let raw = &bad.raw[..bad.raw.len().min(REJECT_BYTES_MAX)];
        self.other_bytes += raw.len();
        self.rejects.push(Reject {
            after: self.records.len(),
            ordinal: bad.ordinal,
            line: bad.line,
            stage: RejectStage::Decode,
            reason: bad.reason.to_owned(),
            raw: raw.to_vec(),
            raw_bytes: bad.raw_bytes,
            raw_sha256: bad.raw_sha256,
        });
    }
}
