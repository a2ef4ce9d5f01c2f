//! What a store does, whatever it is made of.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use dray_proto::v1::{Block, BlockHeader, Codec};
use dray_proto::{FlowName, Offset, Sequence};
use roaring::RoaringBitmap;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

mod audit;
mod exceptions;
mod remembered;
mod replays;
mod shadow;

pub use audit::AuditEntry;
pub use exceptions::{Change, Exception, ExceptionQuery, ExceptionState};
pub use remembered::{
    DueWait, KEPT_MAX, KNOWN_MAX, Kept, Reference, Remember, Remembers, Wait, Waits,
};
pub use replays::{
    Approval, REPLAY_NOTES_MAX, REPLAYS_MAX, Replay, ReplayMove, ReplayNote, ReplayProgress,
    ReplayState, ReplayStep,
};
pub use shadow::{
    SHADOW_FIELDS_MAX, SHADOW_FIELDS_REST, SHADOW_ROWS_MAX, ShadowCount, ShadowNote, ShadowQuery,
    ShadowRow,
};

/// Exceptions a target may have before it pauses.
pub const EXCEPTIONS_MAX: u64 = 1_000_000;
/// How far above its cursor a consumer may finish events.
pub const CURSOR_SPAN_MAX: u64 = 1_000_000;

/// Entries of the audit trail that are kept.
pub const AUDIT_MAX: u64 = 100_000;

/// What the store holds of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// The epoch of the newest block; 0 where there is none.
    pub epoch: u64,
    /// The sequence expected next in that epoch; 1 where there is none.
    pub next_sequence: Sequence,
    /// `chain_after` of the newest block.
    pub chain: u64,
    /// The position of the newest block that has one.
    pub position: Bytes,
    /// The newest offset; 0 where there is none.
    pub newest_offset: Offset,
    /// The oldest offset still in the log; 1 where none was dropped.
    pub oldest_offset: Offset,
    /// When the newest event was captured: microseconds since 1970-01-01T00:00:00Z; 0 for none.
    pub last_captured_us: i64,
    /// The agent that writes it; empty where there is none.
    pub agent: String,
    /// When its epoch took the place of another one: microseconds since 1970-01-01T00:00:00Z; 0 for the flow's first.
    pub epoch_since_us: i64,
}

/// Events that are missing for good, in an agent's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The agent's epoch.
    pub epoch: u64,
    /// The oldest sequence that the agent still holds.
    pub next: Sequence,
    /// The chain before it.
    pub chain: u64,
    /// An encoded event that tells of the gap: an agent's dead letter.
    pub event: Bytes,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub at_us: i64,
}

/// A block in the log.
#[derive(Debug, Clone)]
pub struct LogBlock {
    /// The first event's offset; the following ones count up from it.
    pub first_offset: Offset,
    /// Header and payload as they came.
    pub block: Block,
}

impl LogBlock {
    /// Stands for offsets that the log's disk lost: a header that counts them and opens to nothing.
    #[must_use]
    pub fn hole(flow: &FlowName, first: Offset, count: u32) -> Self {
        let header = BlockHeader {
            flow: flow.flow().to_owned(),
            count,
            ..BlockHeader::default()
        };
        Self {
            first_offset: first,
            block: Block {
                header: Some(header),
                payload: Bytes::new(),
            },
        }
    }

    /// In words, what the log's disk lost here; `None` where it lost nothing.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        let header = self.block.header.as_ref()?;
        let first = self.first_offset.0;
        let last = first + u64::from(header.count.max(1)) - 1;
        let is_hole = header.codec == Codec::Unspecified as i32 && header.chain_after == 0;
        is_hole
            .then(|| format!("the offsets {first} to {last} are damaged on the collector's disk"))
    }
}

/// Why blocks are not taken. Nothing of the call was stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppendError {
    /// Another agent owns the flow.
    #[error(
        "flow {flow} is written by agent {owner}; where that one is gone for good: dray-collector sites move {flow} --to AGENT"
    )]
    NotOwner {
        /// The flow.
        flow: FlowName,
        /// The agent that owns it.
        owner: String,
    },
    /// The first sequence is past the one expected.
    #[error("flow {flow} continues at sequence {found}, {expected} was expected")]
    Gap {
        /// The flow.
        flow: FlowName,
        /// What the log expects.
        expected: Sequence,
        /// What came.
        found: Sequence,
    },
    /// What came differs from what is held under the same numbers, or its chain does.
    #[error(
        "flow {flow} differs from the log at sequence {at}: the agent's disk was restored or copied"
    )]
    Forked {
        /// The flow.
        flow: FlowName,
        /// The first sequence of the differing block.
        at: Sequence,
    },
    /// The disk failed or is full. May pass.
    #[error("the store cannot write: {0}")]
    Failed(String),
}

/// Why the store can't answer.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The disk failed, or what it holds is damaged.
    #[error("the store in {folder} failed: {reason}")]
    Failed {
        /// The data folder.
        folder: String,
        /// A sentence with the way out.
        reason: String,
    },
    /// A newer dray-collector wrote the store.
    #[error(
        "the store was written in format {format}, and this dray-collector knows formats up to {known}: install the newer one again"
    )]
    Newer {
        /// Of the store.
        format: u32,
        /// The newest that is known.
        known: u32,
    },
    /// What was asked for is no longer in the log.
    #[error("flow {flow}: offset {asked} is no longer in the log; the oldest is {oldest}")]
    Dropped {
        /// The flow.
        flow: FlowName,
        /// What was asked for.
        asked: Offset,
        /// What there is.
        oldest: Offset,
    },
}

/// A promise of an answer from the store's writer.
#[derive(Debug)]
pub struct Receipt<T>(oneshot::Receiver<T>);

impl<T> Receipt<T> {
    /// The two ends.
    #[must_use]
    pub fn new() -> (oneshot::Sender<T>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// Blocks this thread until the answer is there; `None` if the writer ended.
    #[must_use]
    pub fn wait(self) -> Option<T> {
        self.0.blocking_recv().ok()
    }
}

impl<T> Future for Receipt<T> {
    /// `None` if the writer ended.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}

/// How far a consumer is in a flow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cursor {
    /// Everything up to and with this offset is finished; 0 for nothing.
    pub through: Offset,
    /// What is finished above it: offset minus `through`, at most [`CURSOR_SPAN_MAX`]. Never 1: that
    /// would raise `through`.
    pub above: RoaringBitmap,
}

/// One durable step of a consumer: all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// The consumer, e.g. "target:erp" or "feed:lakehouse".
    pub consumer: String,
    /// Its new cursors.
    pub cursors: Vec<(FlowName, Cursor)>,
    /// How far events of a flow may have been sent from now on, for a consumer that must know after a kill; 0: none is
    /// in flight.
    pub sent: Vec<(FlowName, Offset)>,
    /// New exceptions; `id` is ignored. One with the same (target, flow, offset) is replaced.
    pub add: Vec<Exception>,
    /// Exceptions that get another state and reason; one that is gone is passed over.
    pub change: Vec<Change>,
    /// Exceptions that are over.
    pub remove: Vec<u64>,
    /// How far a replay is.
    pub replay: Option<ReplayStep>,
    /// Entries of the audit trail; what a step does and that it did stand on disk together. None where its replay should
    /// become something and was not approved any more.
    pub audit: Vec<AuditEntry>,
    /// What was rendered and compared, not sent, for the report of a target ("target:erp"). Each offset is counted once.
    pub shadow: Vec<(FlowName, ShadowNote)>,
    /// What its target remembers from now on.
    pub remember: Remember,
    /// Durable settings, as [`Store::set`] writes them.
    pub settings: Vec<(String, String)>,
}

/// An agent that was enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Unique, e.g. "a-7f3c91".
    pub agent: String,
    /// Its site.
    pub site: String,
    /// SHA-256 of the certificate's public key, hex.
    pub key_sha256: String,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub certificate_ends_s: i64,
    /// Whether it may no longer connect.
    pub revoked: bool,
    /// Seconds since 1970-01-01T00:00:00Z; 0: never.
    pub last_seen_s: i64,
    /// As it last said; may be empty.
    pub version: String,
}

/// The store. Shared by threads and tasks; reads may touch the disk.
pub trait Store: Remembers + Send + Sync {
    /// The log's random id; another one after a restore: offsets given out before may now name other events.
    fn incarnation(&self) -> u64;

    /// The log turned out to be restored from an older state: it gets another incarnation, which is returned.
    ///
    /// # Errors
    /// [`StoreError`].
    fn was_restored(&self) -> Result<u64, StoreError>;

    /// Appends blocks of one flow, in order, all or none. A block whose numbers are held with the same chain and CRC
    /// is an exact repeat and changes nothing. A first block with another epoch starts at sequence
    /// 1 with chain 0; for [`crate::WATCH`] from then on, events whose ids stand among the flow's last
    /// [`crate::IDS_MAX`] are left out. One commit may answer many calls, of many agents.
    fn append(
        &self,
        agent: &str,
        flow: &FlowName,
        blocks: Vec<Block>,
    ) -> Receipt<Result<Held, AppendError>>;

    /// Goes on behind events that nobody can send any more: writes the gap's own event in their place, and expects the
    /// agent's next block at `gap.next`.
    fn accept_gap(
        &self,
        agent: &str,
        flow: &FlowName,
        gap: Gap,
    ) -> Receipt<Result<Held, AppendError>>;

    /// From now on this agent writes the flow, and the one before it does not any more. Answered once that is on stable
    /// storage; false where there is no such flow.
    fn move_flow(&self, flow: &FlowName, agent: &str) -> Receipt<Result<bool, AppendError>>;

    /// What is held of a flow; the default where there is nothing.
    fn held(&self, flow: &FlowName) -> Held;

    /// Whether the log has blocks of this epoch of a flow.
    ///
    /// # Errors
    /// [`StoreError`].
    fn knows_epoch(&self, flow: &FlowName, epoch: u64) -> Result<bool, StoreError>;

    /// All flows, by name.
    fn flows(&self) -> Vec<FlowName>;

    /// Blocks from the one that holds `from`, as many as fit in `bytes_max` of payload and at least
    /// one if there is any. Only what is on stable storage. What the disk lost comes as [`LogBlock::hole`]s.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read(
        &self,
        flow: &FlowName,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<LogBlock>, StoreError>;

    /// Changes with every commit of the log.
    fn watch(&self) -> watch::Receiver<u64>;

    /// A consumer's cursors.
    ///
    /// # Errors
    /// [`StoreError`].
    fn cursors(&self, consumer: &str) -> Result<Vec<(FlowName, Cursor)>, StoreError>;

    /// How far a consumer's events may have been sent: [`Step::sent`].
    ///
    /// # Errors
    /// [`StoreError`].
    fn sent(&self, consumer: &str) -> Result<Vec<(FlowName, Offset)>, StoreError>;

    /// All consumers that have a cursor.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consumers(&self) -> Result<Vec<String>, StoreError>;

    /// Takes a consumer's step to stable storage. One commit may answer many calls.
    fn step(&self, step: Step) -> Receipt<Result<(), StoreError>>;

    /// Forgets a consumer's cursors and, of a target, its exceptions and its report of shadow.
    ///
    /// # Errors
    /// [`StoreError`].
    fn detach(&self, consumer: &str) -> Result<(), StoreError>;

    /// Lists exceptions.
    ///
    /// # Errors
    /// [`StoreError`].
    fn exceptions(&self, query: &ExceptionQuery) -> Result<Vec<Exception>, StoreError>;

    /// How many exceptions a target has (`None`: all).
    ///
    /// # Errors
    /// [`StoreError`].
    fn exception_count(&self, target: Option<&str>) -> Result<u64, StoreError>;

    /// A durable setting of the operator, e.g. "paused:erp".
    ///
    /// # Errors
    /// [`StoreError`].
    fn setting(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Sets or removes one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set(&self, name: &str, value: Option<&str>) -> Result<(), StoreError>;

    /// Keeps a token's hash until `ends_s`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn add_token(&self, secret_sha256: &str, site: &str, ends_s: i64) -> Result<(), StoreError>;

    /// Uses up a token that has not ended at `now_s` and records the agent, in one step; its site is the
    /// token's. `None`: there is no such token, it was used, or it ended.
    ///
    /// # Errors
    /// [`StoreError`].
    fn enrol(
        &self,
        secret_sha256: &str,
        now_s: i64,
        agent: Agent,
    ) -> Result<Option<Agent>, StoreError>;

    /// The site that a token that has not ended is for, without using it up.
    ///
    /// # Errors
    /// [`StoreError`].
    fn token_site(&self, secret_sha256: &str, now_s: i64) -> Result<Option<String>, StoreError>;

    /// All agents.
    ///
    /// # Errors
    /// [`StoreError`].
    fn agents(&self) -> Result<Vec<Agent>, StoreError>;

    /// Records that an agent was here (seconds since 1970-01-01T00:00:00Z), and its version where it
    /// said one. Nothing else of it changes; an unknown one is passed over.
    ///
    /// # Errors
    /// [`StoreError`].
    fn saw_agent(
        &self,
        agent: &str,
        last_seen_s: i64,
        version: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Records that an agent has a certificate that ends at `ends_s`; its key stays. `false`: there is no
    /// such agent with this key, or it is revoked, and nothing changed.
    ///
    /// # Errors
    /// [`StoreError`].
    fn renew_agent(&self, agent: &str, key_sha256: &str, ends_s: i64) -> Result<bool, StoreError>;

    /// Forbids an agent to connect, for good; whether there is one of this id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn revoke_agent(&self, agent: &str) -> Result<bool, StoreError>;

    /// Keeps an entry of the audit trail, chained to the one before it; the oldest beyond [`AUDIT_MAX`] go.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError>;

    /// The newest entries, at most `limit`, the newest last.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit_entries(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError>;

    /// Keeps a new replay; the oldest beyond [`REPLAYS_MAX`] that are over go. `entry` says so in the audit trail, with
    /// the new id as its subject, in the same commit. Returns the id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn add_replay(&self, replay: &Replay, entry: &AuditEntry) -> Result<u64, StoreError>;

    /// The newest replays, of a target or (`None`) of all, at most `limit`, the newest last, without their selections.
    ///
    /// # Errors
    /// [`StoreError`].
    fn replays(&self, target: Option<&str>, limit: usize) -> Result<Vec<Replay>, StoreError>;

    /// One, whole.
    ///
    /// # Errors
    /// [`StoreError`].
    fn replay(&self, id: u64) -> Result<Option<Replay>, StoreError>;

    /// Makes a planned replay an approved one, and keeps `entry` with it; false, and nothing is changed, where it is not
    /// planned, another hash stands, who planned it is the one who approves, or it has expired.
    ///
    /// # Errors
    /// [`StoreError`].
    fn approve_replay(&self, approval: &Approval, entry: &AuditEntry) -> Result<bool, StoreError>;

    /// Gives a replay another state, and keeps `entry` with it; false, and nothing is changed, where it is in none of
    /// the states that it may come from.
    ///
    /// # Errors
    /// [`StoreError`].
    fn move_replay(&self, change: &ReplayMove, entry: &AuditEntry) -> Result<bool, StoreError>;

    /// What was not delivered of a replay, at most `limit`, in the order in which it was found.
    ///
    /// # Errors
    /// [`StoreError`].
    fn replay_notes(&self, id: u64, limit: usize) -> Result<Vec<ReplayNote>, StoreError>;
    /// Rows of a target's report of shadow: the newest, at most [`SHADOW_ROWS_MAX`]; those that say "same" go first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn shadow_rows(&self, query: &ShadowQuery) -> Result<Vec<(FlowName, ShadowRow)>, StoreError>;

    /// What was counted in all of a target's report, rows that are gone included.
    ///
    /// # Errors
    /// [`StoreError`].
    fn shadow_counts(&self, target: &str) -> Result<Vec<ShadowCount>, StoreError>;

    /// Begins a target's report anew.
    ///
    /// # Errors
    /// [`StoreError`].
    fn clear_shadow(&self, target: &str) -> Result<(), StoreError>;

    /// Bytes of the log on disk, and its cap.
    fn log_bytes(&self) -> (u64, u64);
}
