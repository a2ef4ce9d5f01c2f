//! What comes of a replay's events, and what is written down of it.

use std::sync::atomic::Ordering::Relaxed;

use dray_proto::{FlowName, Offset};
use dray_store::{AuditEntry, ReplayNote, ReplayState, ReplayStep};

use super::run::{End, Replaying};
use crate::engine::Engine;
use crate::lanes::Slot;
use crate::phase::passed::setting;
use crate::replay::REFUSED_MAX;
use crate::window::{Loaded, Meta, Replayed};

impl Engine {
    /// One of a replay came to the head of its lane: whether it is sent. Else it is settled, or passed over.
    pub(in crate::engine) fn admit_replayed(
        &mut self,
        slot: Slot,
        loaded: &Loaded,
        meta: &Meta,
        replayed: Replayed,
    ) -> bool {
        let key = self.keys.id(&loaded.place.flow, loaded.key(meta));
        let offset = loaded.offset(meta);
        let Some(replay) = self.current(replayed).filter(|replay| !replay.stopped) else {
            self.open(slot); // Nothing changed: where the replay goes on it is read again.
            return false;
        };
        let newer = replay.newest.get(&key).copied().unwrap_or(0);
        let end = if self.keys.blocks(key) {
            End::Held
        } else if newer > offset.0 {
            End::Overtaken(newer)
        } else {
            return true;
        };
        let shown = self.shown_key(loaded, meta);
        let note = (loaded.place.flow.clone(), offset, shown);
        self.settle_replayed(replayed.number, note, end);
        self.pending.open(slot);
        false
    }

    /// Whether it is of a replay that sends nothing more.
    pub(in crate::engine) fn is_stopped(&self, loaded: &Loaded) -> bool {
        loaded
            .replayed
            .is_some_and(|replayed| self.current(replayed).is_none_or(|replay| replay.stopped))
    }

    fn current(&self, replayed: Replayed) -> Option<&Replaying> {
        self.replay
            .as_ref()
            .filter(|replay| replay.run == replayed.run)
    }

    /// The target took one of a replay.
    pub(in crate::engine) fn replay_delivered(
        &mut self,
        loaded: &Loaded,
        meta: &Meta,
        replayed: Replayed,
    ) {
        self.replay_ends(loaded, meta, replayed, End::Delivered);
    }

    /// It works on it: from now on it waits as what is live does.
    pub(in crate::engine) fn replay_accepted(
        &mut self,
        loaded: &Loaded,
        meta: &Meta,
        replayed: Replayed,
    ) {
        self.replay_ends(loaded, meta, replayed, End::Accepted);
    }

    /// It refused it. No dead letter: a document that the target has already must not close its key to what is live.
    pub(in crate::engine) fn replay_refused(
        &mut self,
        loaded: &Loaded,
        meta: &Meta,
        replayed: Replayed,
        reason: String,
    ) {
        self.replay_ends(loaded, meta, replayed, End::Refused(reason));
        let Some(replay) = &mut self.replay else {
            return;
        };
        replay.refused_in_row += 1;
        if replay.refused_in_row >= REFUSED_MAX && !replay.stopped {
            let why = format!(
                "{REFUSED_MAX} events were refused one after the other; see why (dray-collector replay show {}), then resume or cancel it",
                replay.id
            );
            tracing::error!(replay = replay.id, "a replay paused itself: it is refused");
            self.shared.note_error(&why);
            replay.becomes(ReplayState::Paused, "replay pause", &why);
        }
    }

    fn replay_ends(&mut self, loaded: &Loaded, meta: &Meta, replayed: Replayed, end: End) {
        if self.current(replayed).is_some() {
            // Only what was not taken leaves a note, with its key.
            let key = match end {
                End::Delivered | End::Accepted => String::new(),
                _ => self.shown_key(loaded, meta),
            };
            let note = (loaded.place.flow.clone(), loaded.offset(meta), key);
            self.settle_replayed(replayed.number, note, end);
        }
    }

    pub(super) fn settle_replayed(
        &mut self,
        number: u64,
        (flow, offset, key): (FlowName, Offset, String),
        end: End,
    ) {
        let Some(replay) = &mut self.replay else {
            return;
        };
        if !replay.settled.contains(Offset(number)) {
            if matches!(end, End::Delivered | End::Accepted) {
                replay.sent(&flow, offset);
            }
            replay.settled.finish(Offset(number));
            if let Some(reason) = replay.count(end) {
                replay.notes.push(ReplayNote {
                    flow,
                    offset,
                    key,
                    reason,
                });
            }
        }
        replay.dirty = true;
        self.pending.urgent = true;
    }

    /// The target got a live event, or a dead letter: what a replay sends of its key must not be older.
    pub(in crate::engine) fn note_newer(&mut self, loaded: &Loaded, meta: &Meta) {
        let Some(replay) = self.replay.as_mut().filter(|replay| !replay.plan.older) else {
            return;
        };
        let key = self.keys.id(&loaded.place.flow, loaded.key(meta));
        let offset = loaded.offset(meta).0;
        match replay.newest.get_mut(&key) {
            Some(newest) => *newest = (*newest).max(offset),
            // Until it is surveyed nobody knows which keys it has.
            None if !replay.is_surveyed => drop(replay.newest.insert(key, offset)),
            None => {}
        }
    }

    /// One of a replay left its lane.
    pub(in crate::engine) fn replay_left(&mut self, loaded: &Loaded) {
        if let (Some(replayed), Some(replay)) = (loaded.replayed, &mut self.replay)
            && replay.run == replayed.run
        {
            replay.busy.remove(&loaded.events[0].lane);
        }
    }

    /// What the next step says of it; the settings of what passed by no longer are with it.
    pub(in crate::engine) fn replay_step(
        &mut self,
        now_us: i64,
    ) -> (Option<ReplayStep>, Vec<AuditEntry>, Vec<(String, String)>) {
        let Some(replay) = self.replay.as_mut().filter(|replay| replay.dirty) else {
            return Default::default();
        };
        let sent = std::mem::take(&mut replay.passed_dirty).into_iter();
        let settings = sent.filter_map(|flow| {
            let passed = replay.passed.get(&flow)?.text();
            Some((setting(&self.config.name, &flow), passed))
        });
        let settings = settings.collect();
        replay.dirty = false;
        let cursor = replay.settled.cursor();
        replay.progress.through = cursor.through.0;
        replay.progress.above = cursor.above;
        let (becomes, audit) = match replay.becomes.take() {
            Some((state, entry)) => (
                Some((state, now_us)),
                vec![AuditEntry {
                    at_us: now_us,
                    ..entry
                }],
            ),
            None => (None, Vec::new()),
        };
        let step = ReplayStep {
            id: replay.id,
            progress: replay.progress.clone(),
            notes: std::mem::take(&mut replay.notes),
            becomes,
        };
        self.show_replay();
        (Some(step), audit, settings)
    }

    pub(super) fn show_replay(&self) {
        let shown = self
            .replay
            .as_ref()
            .map(|replay| (replay.id, replay.settled_count(), replay.total));
        let (id, settled, total) = shown.unwrap_or_default();
        self.shared.replay_id.store(id, Relaxed);
        self.shared.replay_settled.store(settled, Relaxed);
        self.shared.replay_total.store(total, Relaxed);
    }
}
