//! What a target's exceptions say of its keys, after a start or a change from outside.

use std::collections::{BTreeMap, HashSet};

use dray_proto::{FlowName, Offset};
use dray_store::ExceptionState;

use super::{Blocked, Counts, KeyId, Keys, Parked, Redo, Row};

/// Keys, or single exceptions, that are found to be sent again at once. Somebody may have asked for a million: the rest is
/// found by another reading, when these are over.
pub(super) const REDO_MAX: usize = 50_000;

/// Reads all of a target's exceptions, in ascending id, into [`Keys`].
#[derive(Debug)]
pub struct Loader {
    keys: Keys,
    heads: BTreeMap<KeyId, Head>,
    retries: Vec<(KeyId, u64)>,
    /// Heads that can be sent, and whether some were left out of them; how many exceptions may be sent in all.
    now: usize,
    is_more: bool,
    left: u64,
    /// Among the lanes, and not found until now.
    missing: HashSet<u64>,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The keys.
    pub keys: Keys,
    /// What should be sent again.
    pub redo: Vec<Redo>,
    /// What is to be asked about later: when, and of which key.
    pub waits: Vec<(i64, FlowName, String)>,
    /// Set where there is more to be sent again than `redo` has: how many exceptions are held or to be retried.
    pub more: Option<u64>,
    /// What is among the lanes and stands on disk no longer.
    pub gone: HashSet<u64>,
}

/// The exceptions of a key.
#[derive(Debug, Default)]
struct Head {
    dead: u32,
    retry: u32,
    /// Held, accepted, to be confirmed, confirmed: they close the key under any policy.
    closing: u32,
    /// The first that counts for the key's order; 0: none does.
    first: Offset,
    /// What can be done with that; `None`: nothing, somebody must do something. There may be a million heads, most of them so.
    go: Option<Box<Go>>,
}

#[derive(Debug)]
enum Go {
    Now(FlowName, Box<str>),
    At(i64, FlowName, Box<str>),
}

impl Loader {
    /// Starts over; key ids stay what they were.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        let fresh = Keys {
            hold: keys.hold,
            hashers: keys.hashers.clone(),
            blocked: BTreeMap::new(),
            parked: BTreeMap::new(),
            last_pass: keys.last_pass,
            counts: Counts::default(),
        };
        Self {
            keys: fresh,
            heads: BTreeMap::new(),
            retries: Vec::new(),
            now: 0,
            is_more: false,
            left: 0,
            missing: HashSet::new(),
        }
    }

    /// The same; these are among the lanes, or in flight.
    #[must_use]
    pub fn beside(keys: &Keys, in_lanes: HashSet<u64>) -> Self {
        Self {
            missing: in_lanes,
            ..Self::new(keys)
        }
    }

    /// Takes one exception.
    pub fn add(&mut self, row: &Row<'_>) {
        use ExceptionState::{Accepted, Agent, Awaits, Confirm, Dead, Held, Overtaken, Retry};
        self.missing.remove(&row.id);
        if row.state == Agent {
            return;
        }
        *self.keys.counts.of(row.state) += 1;
        self.keys.counts.total += 1;
        if row.state == Overtaken || row.key.is_empty() {
            return;
        }
        let key = self.keys.id(row.flow, row.key);
        self.left += u64::from(matches!(row.state, Held | Retry));
        // Under *hold* they go with their keys.
        if row.state == Retry && !row.goes_on && !self.keys.hold {
            match self.retries.len() < REDO_MAX {
                true => self.retries.push((key, row.id)),
                false => self.is_more = true,
            }
        }
        let head = self.heads.entry(key).or_default();
        match row.state {
            Dead => head.dead += 1,
            Retry if !row.goes_on => head.retry += 1,
            _ => head.closing += 1,
        }
        let counts = self.keys.hold || row.state != Dead;
        let is_first = head.first == Offset(0) || row.offset < head.first;
        if counts && is_first {
            head.first = row.offset;
            self.now -= usize::from(matches!(head.go.as_deref(), Some(Go::Now(..))));
            head.go = match row.state {
                Held | Retry if self.now >= REDO_MAX => {
                    self.is_more = true;
                    None
                }
                Held | Retry => {
                    self.now += 1;
                    Some(Go::Now(row.flow.clone(), row.key.into()))
                }
                Accepted => Some(Go::At(row.due_us, row.flow.clone(), row.key.into())),
                // What awaits something is found by the store when that has come.
                Dead | Awaits | Confirm | Overtaken | Agent => None,
            }
            .map(Box::new);
        }
    }

    /// What was found. `before`: what ran until now; its passes go on.
    #[must_use]
    pub fn finish(mut self, before: &Keys) -> Found {
        let (mut redo, mut waits) = (Vec::new(), Vec::new());
        let hold = self.keys.hold;
        for (key, head) in self.heads {
            let closed = hold || head.closing > 0 || before.is_running(key);
            let (count, parked) = match (closed, hold) {
                (true, true) => (head.dead + head.retry + head.closing, 0),
                (true, false) => (head.retry + head.closing, head.dead),
                (false, _) => (0, head.dead + head.retry),
            };
            if parked > 0 {
                let delivered = before.parked.get(&key).map_or(0, |parked| parked.delivered);
                let entry = Parked {
                    count: parked,
                    delivered,
                    settled: false,
                };
                self.keys.parked.insert(key, entry);
            }
            if count == 0 {
                continue;
            }
            let mut blocked = Blocked {
                count,
                ..Blocked::default()
            };
            match before.blocked.get(&key) {
                Some(running) if running.pass != 0 => {
                    (blocked.pass, blocked.queued) = (running.pass, running.queued);
                    // Somebody may have discarded what is among the lanes: the pass ends with a look at what is left.
                    blocked.count += 1;
                }
                _ => match head.go.map(|go| *go) {
                    Some(Go::Now(flow, key)) => redo.push(Redo::Key(flow, key.into())),
                    Some(Go::At(due_us, flow, key)) => waits.push((due_us, flow, key.into())),
                    None => {}
                },
            }
            self.keys.blocked.insert(key, blocked);
        }
        for (key, id) in self.retries {
            if self.keys.parked.contains_key(&key) && !self.keys.blocks(key) {
                redo.push(Redo::One(id));
            }
        }
        Found {
            keys: self.keys,
            redo,
            waits,
            more: self.is_more.then_some(self.left),
            gone: self.missing,
        }
    }
}
