//! What cannot go on becomes an event of its own, so that the centre sees it.

use dray_adapter::{Origin, REJECT_BYTES_MAX, RecordView, Reject, RejectStage, Value};
use dray_proto::event::number;
use dray_proto::v1::{DeadLetterStage, Operation};
use dray_proto::{EventId, schema, wire};
use sha2::{Digest, Sha256};

use crate::mapper::Mapper;
use crate::write::{Head, operation_told, put_tail};

/// The last byte of a dead letter's id; mappings have those before it.
const OUTPUT: u8 = 255;
/// Bytes of the columns as read, at most: as many as of the record's own.
const FIELDS_BYTES_MAX: usize = REJECT_BYTES_MAX;
/// Bytes of a reason, at most.
const REASON_BYTES_MAX: usize = 2_048;

/// What could not go on.
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    /// Its number in the unit that it was read from.
    pub ordinal: u64,
    /// From 1; 0 where there are no lines.
    pub line: u64,
    /// Empty where the source knows none.
    pub record_type: &'a str,
    /// How far it came.
    pub stage: DeadLetterStage,
    /// A sentence for a person.
    pub reason: &'a str,
    /// Its bytes, or the first of them.
    pub raw: &'a [u8],
    /// Its whole length.
    pub raw_bytes: u64,
    /// Of the whole, where `raw` is cut.
    pub raw_sha256: Option<[u8; 32]>,
    /// What was read of it, if that much worked.
    pub record: Option<RecordView<'a>>,
}

impl Mapper {
    /// The event of something that could not go on. The same record gives the same id each time.
    #[must_use]
    pub fn dead_letter(&self, origin: &Origin, captured_us: i64, letter: &Letter<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(letter.raw.len() + 512);
        let id = EventId::new(origin.scope.0, letter.ordinal, OUTPUT);
        wire::put_bytes(&mut out, number::ID, id.as_bytes());
        wire::put_text(&mut out, number::KEY, &key(origin, letter));
        // A target or reader that goes by operations meets a deleted row's among the deletions.
        let operation = letter.record.map_or(Operation::Create, operation_told);
        wire::put_integer(&mut out, number::OPERATION, operation as u64);
        let head = Head {
            origin,
            captured_us,
            schema_version: self.schema_version,
        };
        put_tail(head, letter.line, letter.record_type, &mut out);
        // The numbers of `DeadLetter`; a test compares with prost.
        let number = schema::body("dead_letter").map_or(29, |body| body.number);
        wire::put_message(&mut out, number, |out| {
            wire::put_integer(out, 1, letter.stage as u64);
            wire::put_text(out, 2, cut(letter.reason));
            if !letter.raw.is_empty() {
                wire::put_bytes(out, 3, letter.raw);
            }
            wire::put_integer(out, 4, letter.raw_bytes);
            if let Some(hash) = &letter.raw_sha256 {
                wire::put_bytes(out, 5, hash);
            }
            if let Some(record) = letter.record {
                put_fields(record, out);
            }
        });
        out
    }

    /// Of a record that did not become its events, or that no mapping takes.
    #[must_use]
    pub fn dead_letter_of_record(
        &self,
        origin: &Origin,
        captured_us: i64,
        record: RecordView<'_>,
        stage: DeadLetterStage,
        reason: &str,
    ) -> Vec<u8> {
        let whole = record.raw();
        let raw = &whole[..whole.len().min(REJECT_BYTES_MAX)];
        let is_cut = raw.len() < whole.len();
        let letter = Letter {
            ordinal: record.row().ordinal,
            line: record.row().line,
            record_type: &record.shape().record_type,
            stage,
            reason,
            raw,
            raw_bytes: whole.len() as u64,
            raw_sha256: is_cut.then(|| Sha256::digest(whole).into()),
            record: Some(record),
        };
        self.dead_letter(origin, captured_us, &letter)
    }

    /// Of what a source could not read.
    #[must_use]
    pub fn dead_letter_of_reject(
        &self,
        origin: &Origin,
        captured_us: i64,
        reject: &Reject,
    ) -> Vec<u8> {
        let letter = Letter {
            ordinal: reject.ordinal,
            line: reject.line,
            record_type: "",
            stage: match reject.stage {
                RejectStage::Source => DeadLetterStage::Source,
                RejectStage::Decode => DeadLetterStage::Decode,
                RejectStage::Sequence => DeadLetterStage::Sequence,
            },
            reason: &reject.reason,
            raw: &reject.raw,
            raw_bytes: reject.raw_bytes,
            raw_sha256: reject.raw_sha256,
            record: None,
        };
        self.dead_letter(origin, captured_us, &letter)
    }
}

/// The columns as read: `raw` lacks what a column took from around its record. A column is there whole or not at all.
fn put_fields(record: RecordView<'_>, out: &mut Vec<u8>) {
    let mut left = FIELDS_BYTES_MAX;
    for (index, name) in record.shape().columns.iter().enumerate() {
        let Value::Text(value) = record.value(index) else {
            continue;
        };
        let bytes = name.len() + value.len();
        if !value.is_empty() && bytes <= left {
            wire::put_entry(out, 6, name, value);
            left -= bytes;
        }
    }
}

/// `<file>:<line>`, or as much of a place as the source knows. Each dead letter has a key of its
/// own, so none holds back another.
fn key(origin: &Origin, letter: &Letter<'_>) -> String {
    let place = [&origin.file, &origin.message_id, &origin.change_position]
        .into_iter()
        .find(|place| !place.is_empty());
    match (place, letter.line) {
        (Some(place), 0) if !origin.file.is_empty() && letter.stage == DeadLetterStage::Source => {
            place.to_string()
        }
        (Some(place), 0) if letter.stage == DeadLetterStage::Sequence => {
            format!("{place}#sequence")
        }
        (Some(place), 0) => format!("{place}#{}", letter.ordinal),
        (Some(place), line) => format!("{place}:{line}"),
        (None, _) => EventId::new(origin.scope.0, letter.ordinal, OUTPUT).to_string(),
    }
}

/// The beginning of a sentence that is too long.
pub(crate) fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
}
