//! Events that are delivered once more: somebody asked, and somebody else agreed.

use bytes::Bytes;
use dray_proto::{FlowName, Offset};
use roaring::RoaringBitmap;

/// Replays that are kept; the oldest that are over go when another one is planned.
pub const REPLAYS_MAX: u64 = 1_000;
/// Notes that a replay keeps; what follows is only counted.
pub const REPLAY_NOTES_MAX: u64 = 100_000;

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayState {
    /// It waits for somebody else's word.
    Planned,
    /// It runs, or waits for its turn.
    Approved,
    /// It runs again when somebody says so.
    Paused,
    /// All its events are settled.
    Done,
    /// Somebody ended it before.
    Cancelled,
    /// What stands is not what was approved: it is never run.
    Void,
}

impl ReplayState {
    /// Whether nothing follows any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Void)
    }
}

/// A selection of events for a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Given by the store, from 1, ascending; 0 in a new one.
    pub id: u64,
    /// The target.
    pub target: String,
    /// Who planned it, e.g. "uid 1001".
    pub by: String,
    /// When: microseconds since 1970-01-01T00:00:00Z.
    pub at_us: i64,
    /// Until when it can be approved.
    pub expires_us: i64,
    /// How far it is.
    pub state: ReplayState,
    /// What was asked and what was found: a text that the store keeps as it is.
    pub plan: String,
    /// Which events: bytes that the store keeps as they are; empty in a list.
    pub selection: Bytes,
    /// What an approval is bound to.
    pub hash: Vec<u8>,
    /// Who agreed; empty: nobody yet.
    pub approved_by: String,
    /// When; 0: not yet.
    pub approved_us: i64,
    /// When it was over; 0: not yet.
    pub ended_us: i64,
    /// What became of its events.
    pub progress: ReplayProgress,
}

/// What became of a replay's events, which are numbered from 1 in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplayProgress {
    /// All up to and with this number are settled.
    pub through: u64,
    /// What is settled above it: number minus `through`.
    pub above: RoaringBitmap,
    /// The target took them.
    pub delivered: u64,
    /// The target took them and works on them: they go on as what waits.
    pub accepted: u64,
    /// The target refused them.
    pub refused: u64,
    /// Not sent: a newer document of their key was delivered meanwhile.
    pub overtaken: u64,
    /// Not sent: an event of their key that is not settled is in the way.
    pub held: u64,
    /// Not sent: the log has them no longer, or cannot read them.
    pub gone: u64,
}

/// An event of a replay that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayNote {
    /// Its flow.
    pub flow: FlowName,
    /// Its offset.
    pub offset: Offset,
    /// Its key; empty where it could not be read.
    pub key: String,
    /// Why, a sentence.
    pub reason: String,
}

/// What a step says of a replay.
#[derive(Debug, Clone)]
pub struct ReplayStep {
    /// Which.
    pub id: u64,
    /// Takes the place of what it was.
    pub progress: ReplayProgress,
    /// More notes.
    pub notes: Vec<ReplayNote>,
    /// Its new state, where it was approved; and when, microseconds since 1970-01-01T00:00:00Z.
    pub becomes: Option<(ReplayState, i64)>,
}

/// Somebody's word for a replay.
#[derive(Debug, Clone)]
pub struct Approval {
    /// Which.
    pub id: u64,
    /// Of what was seen.
    pub hash: Vec<u8>,
    /// Who: never who planned it.
    pub by: String,
    /// When: before it expires.
    pub at_us: i64,
}

/// Another state of a replay.
#[derive(Debug, Clone)]
pub struct ReplayMove {
    /// Which.
    pub id: u64,
    /// Only from one of these.
    pub from: Vec<ReplayState>,
    /// The new one.
    pub to: ReplayState,
    /// When: microseconds since 1970-01-01T00:00:00Z.
    pub at_us: i64,
}
