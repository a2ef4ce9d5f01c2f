//! What a source does and when it is asked to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{Calls, KeptLog, LoadRequest, Records, Reported};

/// A batch's records, at most: what one append may carry at once.
pub const BATCH_RECORDS_MAX: usize = 40_000;
/// A batch's bytes, at which a source ends it. One record may go past.
pub const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a bad record that are kept; of the rest, length and SHA-256 are.
pub const REJECT_BYTES_MAX: usize = 64 * 1024;

/// A place in a source. Opaque: only the adapter that made it reads it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Position(pub Bytes);

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({})", self.0.escape_ascii())
    }
}

/// The part of an event's id that names the unit it was read from: 80 bits of SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdScope(pub [u8; 10]);

impl IdScope {
    /// From what identifies the unit for ever: the flow's name, a file's hash and size, a message's
    /// id. Each part is hashed with its length, so `["ab", "c"]` and `["a", "bc"]` differ.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut scope = [0; 10];
        scope.copy_from_slice(&hash.finalize()[..10]);
        Self(scope)
    }
}

/// An identity that a source wants remembered, e.g. a file's content hash. At most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark(pub Vec<u8>);

/// What became of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkState {
    /// Never appended, or forgotten after 7 days.
    New,
    /// Appended; not everything appended with or before it is acked.
    Pending,
    /// Appended and acked.
    Done,
}

/// Answers whether a mark was appended.
pub trait Seen: Send + Sync {
    /// The state of `mark` for this source.
    fn seen(&self, mark: &Mark) -> MarkState;
}

/// Where all records of a batch come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The unit's part of every event id.
    pub scope: IdScope,
    /// The file's name in the drop folder; empty where there is none.
    pub file: Arc<str>,
    /// The message's id; empty where there is none.
    pub message_id: Arc<str>,
    /// The place in a change log; empty where there is none.
    pub change_position: Arc<str>,
}

/// How far a rejected record came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectStage {
    /// A whole file or message was set aside.
    Source,
    /// The bytes are not a record.
    Decode,
    /// Files or documents that should be there are not: there are no bytes of them.
    Sequence,
}

/// Something that is not a record: it becomes an agent's dead letter in the same stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// How many of the batch's records stand before it.
    pub after: usize,
    /// Its number among records and rejects of the unit, from 0.
    pub ordinal: u64,
    /// The line on which it starts, from 1; 0 where there are no lines.
    pub line: u64,
    /// How far it came.
    pub stage: RejectStage,
    /// A sentence for a person.
    pub reason: String,
    /// Its bytes, at most [`REJECT_BYTES_MAX`].
    pub raw: Vec<u8>,
    /// Its whole length in bytes.
    pub raw_bytes: u64,
    /// SHA-256 of the whole, where `raw` is cut.
    pub raw_sha256: Option<[u8; 32]>,
}

/// Records and rejects that are appended together or not at all.
#[derive(Debug)]
pub struct Batch {
    /// Where they come from.
    pub origin: Origin,
    /// The records, in the source's order.
    pub records: Records,
    /// What is no record, in the source's order, each with its place among the records.
    pub rejects: Vec<Reject>,
    /// Identities to remember from this append on.
    pub marks: Vec<Mark>,
    /// The place in the source after this batch.
    pub position: Position,
    /// When the source read it: microseconds since 1970-01-01T00:00:00Z.
    pub captured_us: i64,
    /// Whether a file, message or transaction ends here.
    pub ends_unit: bool,
    /// What is said besides, in the source's order, each with its place among the records.
    pub reports: Vec<Reported>,
}

/// What a poll found.
#[derive(Debug)]
pub enum Polled {
    /// Append this, then say [`Source::commit`].
    Batch(Box<Batch>),
    /// Nothing now. Poll again after this time, or when woken.
    Idle(Duration),
}

/// Why a source cannot go on. What a bad record is stands in [`Reject`], not here.
#[derive(Debug, Error)]
pub enum SourceError {
    /// It may pass by itself: a share that is away, a file that is locked. Polled again after the
    /// time given; the message is shown in `status` and logged once.
    #[error("{reason}")]
    Retry {
        /// Names the file or setting, and what to do if it lasts.
        reason: String,
        /// When to try again.
        after: Duration,
    },
    /// A person is needed; the flow stops until the agent is restarted.
    #[error("{reason}")]
    Operator {
        /// Names the file or setting, and the way out.
        reason: String,
    },
}

/// Something that records come from.
///
/// One thread owns a source and makes all calls. `poll` may be called again before the batch before
/// it is committed, so that reading and syncing overlap; batches are appended in the order polled.
pub trait Source: Send {
    /// What becomes of calls, where the source serves or makes any. Called once, before [`Source::open`]; the agent looks at it from
    /// other threads until it ends, so it must stay the same one when the source is opened again.
    fn calls(&self) -> Option<Arc<Calls>> {
        None
    }

    /// How much of its log a database keeps for the flow, where it does. Called once, before [`Source::open`]; the agent looks at it from other
    /// threads until it ends, also after the flow stopped.
    fn kept_log(&self) -> Option<Arc<KeptLog>> {
        None
    }

    /// Called once, first. `resume` is the position of the newest batch that was appended in this
    /// buffer's life, `seen` answers for marks, `wake` may be called from any thread to be polled
    /// before an idle time ends.
    ///
    /// # Errors
    /// [`SourceError`]; after `Retry` it is called again.
    fn open(
        &mut self,
        resume: Option<Position>,
        seen: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError>;

    /// The next batch. Must return within about a second.
    ///
    /// # Errors
    /// [`SourceError`]; nothing that was returned before is lost by it.
    fn poll(&mut self) -> Result<Polled, SourceError>;

    /// Everything up to `position` is on this machine's stable storage. Only now may a file move, a
    /// reply leave or a log position be confirmed. In order; positions may be skipped, and repeat after a restart.
    ///
    /// # Errors
    /// [`SourceError`]; the batch stays appended.
    fn commit(&mut self, position: &Position) -> Result<(), SourceError>;

    /// Whether somebody waits for [`Self::commit`], as callers do for their answer: it is then called as soon as there is something
    /// to say. For others a call may stand for what was appended within 10 ms.
    fn is_waited_for(&self) -> bool {
        false
    }

    /// Everything up to `position` is on the collector's stable storage. Only now may what the
    /// source kept as a second copy go. In order; positions may be skipped, and repeat after a
    /// restart.
    ///
    /// # Errors
    /// [`SourceError`].
    fn acked(&mut self, position: &Position) -> Result<(), SourceError>;

    /// The append cannot be made now; a receiver answers its caller with a fault. Polled batches
    /// stay with the agent and are appended later.
    fn refuse(&mut self, why: &str);

    /// All rows of one table are to come once more, joined to what comes anyway. Between `open` and `close`, at any time; it is answered
    /// when the request stands in a position that is committed, or refused in words.
    fn load_again(&mut self, request: LoadRequest) {
        request.refuse("a source of this kind can't give a table's rows again: PostgreSQL's and MariaDB's change logs can (kind = \"postgres\", \"mariadb\")");
    }

    /// What it does besides reading on, in a sentence for `status`. Asked after [`Self::commit`].
    fn doing(&self) -> Option<String> {
        None
    }

    /// Called once, last.
    fn close(&mut self);
}
