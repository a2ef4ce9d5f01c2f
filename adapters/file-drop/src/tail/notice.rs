//! What is said of a file, as a dead letter that the centre sees.

use std::sync::Arc;

use dray_adapter::{
    Batch, IdScope, Origin, Position, REJECT_BYTES_MAX, Records, Reject, RejectStage,
};

use super::place::{Entry, Node};
use crate::notice::{WHOLE_FILE, now_us};

/// Something to say, and what is so once it is said: a crash before says it again.
pub(super) struct Notice {
    pub(super) node: Node,
    pub(super) change: Change,
    pub(super) reason: String,
    /// What is known of the bytes that it is about.
    pub(super) raw: Vec<u8>,
    pub(super) raw_bytes: u64,
    pub(super) line: u64,
}

/// What is so once it is said.
pub(super) enum Change {
    /// The file was begun again.
    Again(Entry),
    /// It is not there any more, and out of mind.
    Gone,
    /// It is not there; should it come back, it is known.
    Missed,
    /// It can't be read.
    Refused,
    /// Its place was not known; it goes on behind what was there.
    Passed,
}

impl Notice {
    /// As the agent appends it; `number` is its own.
    pub(super) fn batch(
        mut self,
        flow: &str,
        name: &str,
        number: u64,
        position: Position,
    ) -> Batch {
        self.raw.truncate(REJECT_BYTES_MAX);
        let scope = IdScope::of(&[
            flow.as_bytes(),
            b"notice",
            name.as_bytes(),
            &number.to_le_bytes(),
        ]);
        Batch {
            origin: origin(scope, name),
            records: Records::default(),
            rejects: vec![Reject {
                after: 0,
                ordinal: WHOLE_FILE,
                line: self.line,
                stage: RejectStage::Source,
                reason: self.reason,
                raw: self.raw,
                raw_bytes: self.raw_bytes,
                raw_sha256: None,
            }],
            marks: Vec::new(),
            position,
            captured_us: now_us(),
            ends_unit: true,
            reports: Vec::new(),
        }
    }
}

pub(super) fn origin(scope: IdScope, name: &str) -> Origin {
    Origin {
        scope,
        file: Arc::from(name),
        message_id: Arc::from(""),
        change_position: Arc::from(""),
    }
}

/// The generation's part of every id: its number in the flow, the name under which its records are sent, and the first
/// record's bytes. All of that is so again when what was not appended is read again, and stands in the position from the
/// first append on. Inode and birth are no part of it: a folder that was copied back has others.
pub(super) fn scope_of(flow: &str, name: &str, number: u64, first_record: &[u8]) -> IdScope {
    let number = number.to_le_bytes();
    IdScope::of(&[
        flow.as_bytes(),
        b"tail",
        name.as_bytes(),
        &number,
        first_record,
    ])
}

/// `1 byte`, `7 bytes`.
pub(super) fn bytes(count: u64) -> String {
    format!("{count} byte{}", if count == 1 { "" } else { "s" })
}
