//! Whether an event that came to the head of its lane is sent, and what else may wait there for it.

use std::sync::Arc;

use dray_proto::Offset;
use dray_store::{Change, ExceptionState};

use super::Engine;
use crate::batch::Batch;
use crate::config::OnReject;
use crate::lanes::Slot;
use crate::policy::Admission;
use crate::window::{Loaded, Meta, Spot};

/// How many events of a lane are looked at for a later one of a key: others are of other flows, which are few.
const LOOKED_BEHIND: usize = 1_000;
/// How many events ahead a target that verifies says that it may send: as many it looks for after a kill, at most.
const SENT_STRIDE: u64 = 500;

impl Engine {
    /// Whether only the newest counts, and something newer of its key waits right behind it.
    pub(super) fn is_outdated(&self, slot: Slot, loaded: &Loaded, meta: &Meta) -> bool {
        if self.config.on_reject != OnReject::Latest || !loaded.is_plain() {
            return false;
        }
        let mut behind = self.lanes.behind(slot);
        behind
            .next()
            .is_some_and(|spot| self.is_of_key(spot, loaded, meta))
    }

    /// Whether a later event of its flow and key waits behind the one of a batch.
    pub(super) fn has_later(&self, batch: &Batch) -> bool {
        let Some(item) = batch.items.first() else {
            return false;
        };
        let (loaded, meta) = batch.event(item);
        let mut behind = self.lanes.behind(item.slot).take(LOOKED_BEHIND);
        behind.any(|spot| self.is_of_key(spot, loaded, meta))
    }

    /// Whether an event is of this one's flow and key, and comes for the first time. Keys of several flows may share a lane.
    fn is_of_key(&self, spot: Spot, loaded: &Loaded, meta: &Meta) -> bool {
        self.window.get(spot.block).is_some_and(|later| {
            let behind = &later.events[spot.event as usize];
            later.is_plain()
                && later.place.flow == loaded.place.flow
                && later.key(behind) == loaded.key(meta)
        })
    }

    /// Whether it is on disk that this event may be sent now; else it will be soon. Only where the target verifies: after a
    /// kill it is asked about what may have been sent.
    pub(super) fn may_send(&mut self, loaded: &Loaded, meta: &Meta) -> bool {
        let Some(flow) = loaded.flow else {
            return true;
        };
        let offset = loaded.offset(meta);
        let Some(sent) = self.flows[flow].sent else {
            return true;
        };
        // What was in doubt before stays so until it is finished.
        let doubt_to = self.flows[flow].doubt_to;
        if offset > sent {
            self.pending
                .sent
                .insert(flow, Offset(offset.0 + SENT_STRIDE).max(doubt_to));
            self.pending.urgent = true;
        }
        offset <= sent
    }

    /// The run before this one may have sent it.
    pub(super) fn is_doubtful(&self, loaded: &Loaded, meta: &Meta) -> bool {
        loaded
            .flow
            .is_some_and(|flow| loaded.offset(meta) <= self.flows[flow].doubt_to)
    }

    /// Whether an event that came to the head of its lane is sent. Else it has become something else.
    pub(super) fn admit(&mut self, slot: Slot, loaded: &Arc<Loaded>, meta: &Meta) -> bool {
        if let Some(replayed) = loaded.replayed {
            return self.admit_replayed(slot, loaded, meta, replayed);
        }
        let key = self.keys.id(&loaded.place.flow, loaded.key(meta));
        let Some(again) = loaded.redo else {
            if !self.keys.blocks(key) {
                return true;
            }
            if !self.has_room_for_exception() {
                self.lanes.put_back(slot);
                return false;
            }
            if self.keys.admit(key) == Admission::Hold {
                let reason = "it waits behind a dead letter of its key";
                let held = self.exception(
                    loaded,
                    meta,
                    ExceptionState::Held,
                    reason.into(),
                    String::new(),
                );
                self.pending.add(key, held);
                self.finish(loaded, meta);
            }
            self.pending.open(slot);
            return false;
        };
        if again.pass > 0 {
            let current = self.keys.is_current(key, again.pass);
            if !current {
                self.open(slot); // Nothing changed: it stays on disk as it is.
                return false;
            }
        }
        if self.let_go(loaded, meta, again) {
            self.pending.open(slot);
            return false;
        }
        if again.pass > 0 {
            return true;
        }
        let overtaken = !again.older && self.keys.is_overtaken(key, loaded.offset(meta));
        if overtaken {
            let reason = "a later event of its key was delivered";
            self.pending
                .change(Change::new(again.id, ExceptionState::Overtaken, reason));
            self.redone(again.id, loaded, meta);
            self.pending.open(slot);
        }
        !overtaken
    }
}
