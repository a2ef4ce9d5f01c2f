//! What a refused event does to its key.
//!
//! *Hold*: the key is **blocked**. Later events of the key become exceptions too, in the state *held*, with their
//! bytes, and the cursor moves on. When somebody retries or discards the dead one, all exceptions of the key are
//! sent again in order ([`Keys::begin`]: a *pass*), and the key opens when none is left.
//!
//! *Park* and *latest*: the key is **parked**: it goes on, and the next delivery marks the dead ones overtaken.
//! One that was overtaken is sent again only where somebody asked for it with "older".
//!
//! Whatever the policy, a key is blocked while the target works on an event of it, or somebody must agree to one.
//! A key that is blocked while the policy changes to park goes on: its dead ones are parked.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use dray_proto::{FlowName, Offset};
use dray_store::ExceptionState;

use crate::config::OnReject;

/// How an exception's reason begins where a retry was asked for although a later event was delivered.
pub const OLDER: &str = "retry asked, older";
/// The same where it wasn't.
pub const RETRY: &str = "retry asked";

/// A (flow, key), as 128 bits of hash: what a million held keys can be known by in 40 MB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(u64, u64);

/// Makes [`KeyId`]s; those of two hashers have nothing to do with each other.
#[derive(Debug, Clone, Default)]
pub struct KeyHasher(RandomState, RandomState);

impl KeyHasher {
    /// A key's id.
    #[must_use]
    pub fn id(&self, flow: &FlowName, key: &str) -> KeyId {
        let pair = (flow.as_str(), key);
        KeyId(self.0.hash_one(pair), self.1.hash_one(pair))
    }
}

/// A target's keys that have exceptions.
#[derive(Debug)]
pub struct Keys {
    hold: bool,
    hashers: KeyHasher,
    // Trees: a hash map of a million keys needs twice that for the moment in which it doubles.
    blocked: BTreeMap<KeyId, Blocked>,
    parked: BTreeMap<KeyId, Parked>,
    last_pass: u32,
    /// How many exceptions there are.
    pub counts: Counts,
}

/// Exceptions by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// In any state.
    pub total: u64,
    /// Dead, overtaken or about to be retried.
    pub dead: u64,
    /// Held behind another one.
    pub held: u64,
    /// The target works on it, it lacks what it names, or somebody must agree.
    pub waiting: u64,
}

impl Counts {
    fn of(&mut self, state: ExceptionState) -> &mut u64 {
        use ExceptionState::{Accepted, Agent, Awaits, Confirm, Dead, Held, Overtaken, Retry};
        match state {
            Held => &mut self.held,
            Accepted | Awaits | Confirm => &mut self.waiting,
            Dead | Overtaken | Retry | Agent => &mut self.dead,
        }
    }

    fn take(&mut self, state: ExceptionState) {
        let count = self.of(state);
        *count = count.saturating_sub(1);
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Blocked {
    /// Exceptions of the key, those included that are not on disk yet.
    count: u32,
    /// Which pass sends them; 0: none, the key waits for somebody.
    pass: u32,
    /// How many of the pass are among the lanes.
    queued: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Parked {
    count: u32,
    /// The newest offset of the key that was delivered since this was loaded.
    delivered: u64,
    /// Its exceptions were marked overtaken; none came since.
    settled: bool,
}

/// What to do with an event of the log that may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Send it.
    Send,
    /// It becomes a held exception.
    Hold,
}

/// What follows when one of a pass is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// More of the pass is among the lanes, or nothing is to be done.
    Nothing,
    /// All that was loaded is over, the key still has exceptions: load the next.
    Load,
}

/// One exception, as far as [`Keys`] looks.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The store's id.
    pub id: u64,
    /// Its flow.
    pub flow: &'a FlowName,
    /// Its offset.
    pub offset: Offset,
    /// Its key; empty for what is not an event.
    pub key: &'a str,
    /// Its state.
    pub state: ExceptionState,
    /// Where it is accepted: when it is asked about again, microseconds since 1970-01-01T00:00:00Z.
    pub due_us: i64,
    /// A conversation about it goes on: the key's later events wait for that.
    pub goes_on: bool,
}

/// Exceptions that should be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redo {
    /// All of a blocked key, in order, up to the next dead one.
    Key(FlowName, String),
    /// One parked exception.
    One(u64),
}

impl Keys {
    /// Of a target without exceptions.
    #[must_use]
    pub fn new(policy: OnReject) -> Self {
        Self {
            hold: policy == OnReject::Hold,
            hashers: KeyHasher::default(),
            blocked: BTreeMap::new(),
            parked: BTreeMap::new(),
            last_pass: 0,
            counts: Counts::default(),
        }
    }

    /// Forgets what [`Loader::finish`] does not ask of those that were before: of a million keys one list at a time is enough.
    pub fn keep_running(&mut self) {
        self.blocked.retain(|_, blocked| blocked.pass != 0);
        self.parked.retain(|_, parked| parked.delivered > 0);
    }

    /// No key needs a look: the usual case.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.blocked.is_empty() && self.parked.is_empty()
    }

    /// Whether a dead one blocks its key.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.hold
    }

    /// A key's id.
    #[must_use]
    pub fn id(&self, flow: &FlowName, key: &str) -> KeyId {
        self.hashers.id(flow, key)
    }

    /// What makes them: what is read elsewhere has the same ids.
    #[must_use]
    pub fn hasher(&self) -> KeyHasher {
        self.hashers.clone()
    }

    /// Whether events of this key become exceptions.
    #[must_use]
    pub fn blocks(&self, key: KeyId) -> bool {
        self.blocked.contains_key(&key)
    }

    /// An event of the log may leave its lane: does it?
    pub fn admit(&mut self, key: KeyId) -> Admission {
        let Some(blocked) = self.blocked.get_mut(&key) else {
            return Admission::Send;
        };
        blocked.count += 1;
        self.counts.total += 1;
        self.counts.held += 1;
        Admission::Hold
    }

    /// An event of the log was refused and becomes a dead exception.
    pub fn rejected(&mut self, key: KeyId) {
        self.counts.total += 1;
        self.counts.dead += 1;
        if self.hold {
            self.blocked.entry(key).or_default().count += 1;
        } else {
            let parked = self.parked.entry(key).or_default();
            parked.count += 1;
            parked.settled = false;
        }
    }

    /// An event of the log waits at the target, or for somebody.
    pub fn put_off(&mut self, key: KeyId) {
        self.counts.total += 1;
        self.counts.waiting += 1;
        self.blocked.entry(key).or_default().count += 1;
    }

    /// The same of an exception that was sent again; `in_pass`: as one of its blocked key.
    pub fn put_off_again(&mut self, key: KeyId, in_pass: bool, was: ExceptionState) {
        self.counts.take(was);
        self.counts.waiting += 1;
        if in_pass {
            self.pass_ends(key);
            return;
        }
        self.unpark(key);
        self.blocked.entry(key).or_default().count += 1;
    }

    /// An exception that belongs to no key: what could not be read.
    pub fn unread(&mut self) {
        self.counts.total += 1;
        self.counts.dead += 1;
    }

    /// An event of the log was delivered; true: there are exceptions of its key that are overtaken now.
    pub fn delivered(&mut self, key: KeyId, offset: Offset) -> bool {
        let Some(parked) = self.parked.get_mut(&key) else {
            return false;
        };
        parked.delivered = parked.delivered.max(offset.0);
        !std::mem::replace(&mut parked.settled, true)
    }

    /// Whether a later event than this parked one was delivered.
    #[must_use]
    pub fn is_overtaken(&self, key: KeyId, offset: Offset) -> bool {
        self.parked
            .get(&key)
            .is_some_and(|parked| parked.delivered > offset.0)
    }

    /// A parked exception was delivered after all.
    pub fn parked_removed(&mut self, key: KeyId) {
        self.counts.total = self.counts.total.saturating_sub(1);
        self.counts.dead = self.counts.dead.saturating_sub(1);
        self.unpark(key);
    }

    fn unpark(&mut self, key: KeyId) {
        if let Some(parked) = self.parked.get_mut(&key) {
            parked.count = parked.count.saturating_sub(1);
            if parked.count == 0 {
                self.parked.remove(&key);
            }
        }
    }

    /// Somebody tries a refused exception of this key again, which was in this state; true: as one of its blocked key, else
    /// alone. It counts for what it goes with, so that the key opens no sooner than that is over.
    pub fn retried(&mut self, key: KeyId, was: ExceptionState) -> bool {
        let is_dead = was == ExceptionState::Dead;
        let is_counted = is_dead && self.hold;
        if self.hold || self.blocks(key) {
            if !is_counted {
                if is_dead {
                    self.unpark(key);
                }
                self.blocked.entry(key).or_default().count += 1;
            }
            return true;
        }
        if !is_dead {
            self.parked.entry(key).or_default().count += 1;
        }
        false
    }

    /// So many exceptions of a blocked key go among the lanes, in order: the pass that they carry.
    /// `None`: the key isn't blocked.
    pub fn begin(&mut self, key: KeyId, queued: u32) -> Option<u32> {
        let blocked = self.blocked.get_mut(&key)?;
        if blocked.pass == 0 {
            self.last_pass = self.last_pass.wrapping_add(1).max(1);
            blocked.pass = self.last_pass;
        }
        blocked.queued += queued;
        Some(blocked.pass)
    }

    /// Whether exceptions of this pass may leave.
    #[must_use]
    pub fn is_current(&self, key: KeyId, pass: u32) -> bool {
        self.blocked
            .get(&key)
            .is_some_and(|blocked| blocked.pass == pass)
    }

    /// Whether a pass of the key runs.
    #[must_use]
    pub fn is_running(&self, key: KeyId) -> bool {
        self.blocked
            .get(&key)
            .is_some_and(|blocked| blocked.pass != 0)
    }

    /// Whether some of a pass of the key are among the lanes.
    #[must_use]
    pub fn is_queued(&self, key: KeyId) -> bool {
        self.blocked
            .get(&key)
            .is_some_and(|blocked| blocked.queued > 0)
    }

    /// One of a pass was delivered. The key opens with its last exception.
    pub fn pass_delivered(&mut self, key: KeyId, was: ExceptionState) -> After {
        self.counts.total = self.counts.total.saturating_sub(1);
        self.counts.take(was);
        self.one_less(key)
    }

    /// One of a pass was discarded while it was among the lanes, and is counted no more: the pass goes on without it.
    pub fn pass_gone(&mut self, key: KeyId) -> After {
        self.one_less(key)
    }

    fn one_less(&mut self, key: KeyId) -> After {
        let Some(blocked) = self.blocked.get_mut(&key) else {
            return After::Nothing;
        };
        blocked.count = blocked.count.saturating_sub(1);
        blocked.queued = blocked.queued.saturating_sub(1);
        match (blocked.count, blocked.queued) {
            (0, _) => {
                self.blocked.remove(&key);
                After::Nothing
            }
            (_, 0) => After::Load,
            _ => After::Nothing,
        }
    }

    /// One of a pass was refused. Under *hold* the key waits for somebody, and what else is queued of the pass is void;
    /// else the refused one is parked and the pass goes on.
    pub fn pass_rejected(&mut self, key: KeyId, was: ExceptionState) -> After {
        self.counts.take(was);
        self.counts.dead += 1;
        if self.hold {
            self.pass_ends(key);
            return After::Nothing;
        }
        let parked = self.parked.entry(key).or_default();
        parked.count += 1;
        parked.settled = false;
        self.one_less(key)
    }

    /// The next exception of the key is a dead one.
    pub fn pass_ends(&mut self, key: KeyId) {
        if let Some(blocked) = self.blocked.get_mut(&key) {
            blocked.pass = 0;
            blocked.queued = 0;
        }
    }

    /// The store has no exception of this key, and none is on its way there.
    pub fn open(&mut self, key: KeyId) {
        self.blocked.remove(&key);
    }
}

mod loader;

pub use loader::{Found, Loader};

#[cfg(test)]
mod tests;
