//! What a buffer does, whatever it is made of.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

/// One append's payloads together, at most.
pub const APPEND_BYTES_MAX: usize = 16 * 1024 * 1024 + 64 * 1024;
/// A mark's length in bytes, at most.
pub const MARK_BYTES_MAX: usize = 255;
/// A position's length in bytes, at most.
pub const POSITION_BYTES_MAX: usize = 32 * 1024;
/// How long a mark is remembered.
pub const MARK_DAYS: u64 = 7;
/// How many marks are remembered a flow.
pub const MARKS_MAX: usize = 2_000_000;

/// An event's number in its flow and epoch, from 1, without gaps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A block as its maker hands it over.
#[derive(Debug, Clone)]
pub struct NewBlock {
    /// How many events, at least 1.
    pub count: u32,
    /// When the first was captured: microseconds since 1970-01-01T00:00:00Z.
    pub first_captured_us: i64,
    /// When the last was captured.
    pub last_captured_us: i64,
    /// The maker's number for how the payload is compressed.
    pub codec: u8,
    /// The payload's length once decoded.
    pub decoded_bytes: u32,
    /// CRC-32C of the payload; checked again at each read.
    pub crc32c: u32,
    /// How many of the events are dead letters.
    pub dead_letters: u32,
    /// The place in the source after this block, at most [`POSITION_BYTES_MAX`]. Empty: the flow stands where it stood before, as in all blocks
    /// of an append but the last. Read back it may be empty too: of appends of a flow that were committed together the last one's is kept.
    pub position: Bytes,
    /// The events.
    pub payload: Bytes,
}

/// A block as it is held.
#[derive(Debug, Clone)]
pub struct StoredBlock {
    /// The buffer's epoch.
    pub epoch: u64,
    /// The first event's sequence; the last is `first_sequence + count - 1`.
    pub first_sequence: Sequence,
    /// Checksum over the flow's earlier headers; 0 before the first.
    pub chain: u64,
    /// The same, with this block's.
    pub chain_after: u64,
    /// What was appended.
    pub block: NewBlock,
}

/// What is appended together or not at all.
#[derive(Debug, Clone)]
pub struct Append {
    /// The flow; its source's position and marks go by the same name.
    pub flow: Arc<str>,
    /// In order; may be empty when only position or marks move. At most [`APPEND_BYTES_MAX`].
    pub blocks: Vec<NewBlock>,
    /// The source's position after all of it.
    pub position: Bytes,
    /// Identities to remember, each at most [`MARK_BYTES_MAX`].
    pub marks: Vec<Vec<u8>>,
}

/// The answer to an append: it is on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The flow's newest sequence; 0 when it has none yet.
    pub through: Sequence,
}

/// What became of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkState {
    /// Not remembered.
    New,
    /// Appended; not everything up to its append is acked.
    Pending,
    /// Appended, and everything up to its append is acked.
    Done,
}

/// How much of a flow is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// The newest sequence appended; 0 for none.
    pub appended: Sequence,
    /// The newest sequence acked; 0 for none.
    pub acked: Sequence,
    /// The chain before the oldest event that is held, or the next one where none is; 0 before the first.
    pub oldest_chain: u64,
    /// Bytes of payload between.
    pub bytes: u64,
    /// When the oldest event not acked was captured.
    pub oldest_captured_us: Option<i64>,
}

/// Events that can't be read any more: the disk lost or changed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Their flow; empty where that can't be read either.
    pub flow: Arc<str>,
    /// The epoch that they were numbered in.
    pub epoch: u64,
    /// The first one's sequence.
    pub first: Sequence,
    /// The last one's; `None` where nobody knows how many there were.
    pub last: Option<Sequence>,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            flow, epoch, first, ..
        } = self;
        match self.last {
            Some(last) => write!(
                f,
                "events {first} to {last} of flow {flow}, epoch {epoch:016x}"
            ),
            None => write!(
                f,
                "events from {first} on of flow {flow}, epoch {epoch:016x}"
            ),
        }
    }
}

/// The buffer's room on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes allocated on disk, all told.
    pub bytes: u64,
    /// The cap.
    pub bytes_max: u64,
    /// Why appends wait, as a sentence; `None` while they don't.
    pub waiting: Option<String>,
}

/// Why the buffer can't.
#[derive(Debug, Clone, Error)]
pub enum BufferError {
    /// The append breaks a limit or is malformed: the caller's fault; nothing was written.
    #[error("the append was refused: {0}")]
    Refused(String),
    /// A block can't be read. It is put aside, and a new epoch begins with what is left.
    #[error("the buffer is damaged and mends itself: {0}")]
    Damaged(String),
    /// A block can't be read for now, and nothing says that it is damaged: its disk is full, or its file can't be opened. It is
    /// worth another try.
    #[error("a part of the buffer can't be read for now, and is tried again: {0}")]
    Hindered(String),
    /// The disk failed, or what it holds is damaged. The buffer takes nothing more until it is opened
    /// anew; what was answered before stands.
    #[error("the buffer in {folder} stopped: {reason}")]
    Stopped {
        /// The data folder.
        folder: String,
        /// A sentence with the way out.
        reason: String,
        /// Whether to open it anew without asking anybody. Never after a failed sync: the kernel may show what the disk does not
        /// have, and a person must look at the disk first.
        reopen: bool,
    },
}

/// A promise of an answer. Wait for it in a thread or await it in a task.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<Appended, BufferError>>);

impl Receipt {
    /// The two ends.
    #[must_use]
    pub fn new() -> (oneshot::Sender<Result<Appended, BufferError>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// Blocks this thread until the append is on stable storage.
    ///
    /// # Errors
    /// [`BufferError`].
    pub fn wait(self) -> Result<Appended, BufferError> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(gone()))
    }
}

impl Future for Receipt {
    type Output = Result<Appended, BufferError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(gone())))
    }
}

pub(crate) fn gone() -> BufferError {
    BufferError::Stopped {
        folder: String::new(),
        reason: "its writer ended".into(),
        reopen: true,
    }
}

/// A durable queue of blocks for many flows.
///
/// Shared by threads and tasks. `read`, `ack`, `seen`, `depth` return quickly and may touch the
/// disk; call them where a millisecond of blocking is allowed.
pub trait Buffer: Send + Sync {
    /// The random id that sequences belong to; never 0. Another one after [`Self::begin_epoch`], and after damage.
    fn epoch(&self) -> u64;

    /// Begins a new epoch: what is held is numbered from 1 again, in its order. Returns once that is on stable
    /// storage.
    ///
    /// # Errors
    /// [`BufferError`].
    fn begin_epoch(&self) -> Result<u64, BufferError>;

    /// What damage took from the epochs before this one. The collector may have had it.
    fn losses(&self) -> Vec<Loss>;

    /// Appends all or nothing. Appends of one flow are numbered in the order of the calls; one sync
    /// may answer many. While there is no room the receipt waits: stop reading the source.
    fn append(&self, append: Append) -> Receipt;

    /// The flow's blocks from the one that holds `from`, as many as fit in `bytes_max` of payload
    /// and at least one if there is any. Only what is on stable storage is returned.
    ///
    /// # Errors
    /// [`BufferError::Damaged`] where a block can't be read: what is left is mended in a new epoch, and can be read
    /// after that.
    fn read(
        &self,
        flow: &str,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<StoredBlock>, BufferError>;

    /// Everything of the flow up to `through` in this epoch may be forgotten. Of another epoch: nothing. Repeats and older numbers do
    /// nothing; numbers inside a block count for the blocks before it. Returns, where it moved,
    /// the position after the newest acked block, or of one before. It may be empty: of appends that were committed together the last one has it,
    /// and where over 1,024 of the flow's blocks are held one of 64 and what was committed with it. Not durable by itself: after a restart the collector tells again.
    ///
    /// # Errors
    /// [`BufferError`].
    fn ack(&self, flow: &str, epoch: u64, through: Sequence) -> Result<Option<Bytes>, BufferError>;

    /// What became of a mark of this flow.
    fn seen(&self, flow: &str, mark: &[u8]) -> MarkState;

    /// The position of the newest append of this flow.
    fn position(&self, flow: &str) -> Option<Bytes>;

    /// How much of the flow is held.
    fn depth(&self, flow: &str) -> Depth;

    /// The flows that were ever appended to in this epoch.
    fn flows(&self) -> Vec<Arc<str>>;

    /// Room on disk.
    fn space(&self) -> Space;

    /// Changes with every commit, so that a sender needs no clock to learn of new blocks.
    fn watch(&self) -> watch::Receiver<u64>;
}
