//! Events that cannot go on, or not yet.

use bytes::Bytes;
use dray_proto::{FlowName, Offset};

/// Why an event is an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceptionState {
    /// The target refused it; nobody tries it again without being told to.
    Dead,
    /// It waits behind a dead one of its key.
    Held,
    /// It was refused, and a later event of its key was delivered.
    Overtaken,
    /// Somebody asked for it to be tried again.
    Retry,
    /// An agent's dead letter; it belongs to no target.
    Agent,
    /// The target took it and works on it: it is asked about again. Later events of its key wait behind it.
    Accepted,
    /// Somebody must agree before it goes on. Later events of its key wait behind it.
    Confirm,
    /// It names something that the target has not got, and waits for it ([`super::Wait`]). Later events of its key wait behind it.
    Awaits,
}

/// An event that cannot go on, with a copy of its bytes, so that it pins nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// Given by the store, from 1, ascending; 0 in a new one.
    pub id: u64,
    /// The target; empty for an agent's dead letter.
    pub target: String,
    /// The flow.
    pub flow: FlowName,
    /// Its offset.
    pub offset: Offset,
    /// Its business key.
    pub key: String,
    /// Why.
    pub state: ExceptionState,
    /// A sentence.
    pub reason: String,
    /// When: microseconds since 1970-01-01T00:00:00Z.
    pub at_us: i64,
    /// The event with its place appended (`dray_proto::event::put_place`).
    pub event: Bytes,
    /// What only its target's engine reads: a text that the store keeps as it is; may be empty.
    pub detail: String,
}

/// Another state of an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub id: u64,
    /// The new state.
    pub state: ExceptionState,
    /// The new sentence.
    pub reason: String,
    /// The new detail; `None`: it stays.
    pub detail: Option<String>,
}

impl Change {
    /// Of state and reason; the detail stays.
    #[must_use]
    pub fn new(id: u64, state: ExceptionState, reason: impl Into<String>) -> Self {
        Self {
            id,
            state,
            reason: reason.into(),
            detail: None,
        }
    }
}

/// Which exceptions to list.
#[derive(Debug, Clone, Default)]
pub struct ExceptionQuery {
    /// Of this target; `None`: of all, and the agents'.
    pub target: Option<String>,
    /// Of this flow.
    pub flow: Option<FlowName>,
    /// Of this key.
    pub key: Option<String>,
    /// In one of these states; empty: in any.
    pub states: Vec<ExceptionState>,
    /// With an id above this.
    pub after: u64,
    /// At most this many, ascending by id.
    pub limit: usize,
    /// Without their events' bytes, which come empty: a page of them can be as large as the largest events are.
    pub without_events: bool,
}
