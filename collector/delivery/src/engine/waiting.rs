//! Events that the target took and works on, or that somebody must agree to: on disk, until it is time.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_proto::FlowName;
use dray_store::{Change, ExceptionState};

use super::Engine;
use crate::batch::Batch;
use crate::calls::Later;
use crate::connectors::Exchange;
use crate::detail::Detail;
use crate::outcome::Class;
use crate::policy::Redo;
use crate::window::Loaded;

/// When a key's first exception is due, microseconds since 1970-01-01T00:00:00Z.
pub(super) type Due = Reverse<(i64, FlowName, String)>;

/// Longer than this nothing is slept for at once: a clock that was set shows itself soon.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What is to be written down of an event.
pub(super) struct Waits {
    pub(super) state: ExceptionState,
    pub(super) later: Later,
    pub(super) reason: String,
}

impl Waits {
    pub(super) fn new(state: ExceptionState, later: Later, reason: String) -> Self {
        Self {
            state,
            later,
            reason,
        }
    }
}

impl Engine {
    /// The one event of a batch waits. Its key is closed meanwhile, whatever the policy.
    pub(super) fn put_off(&mut self, batch: &Batch, waits: Waits, exchange: Option<&Exchange>) {
        let Some(item) = batch.items.first() else {
            return;
        };
        let (loaded, meta) = batch.event(item);
        let (loaded, meta) = (Arc::clone(loaded), *meta);
        let (flow, offset) = (loaded.place.flow.clone(), loaded.offset(&meta));
        let key = loaded.key(&meta).to_owned();
        let id = self.keys.id(&flow, &key);
        let now_us = jiff::Timestamp::now().as_microsecond();
        let wait_us = i64::try_from(waits.later.after_ms).unwrap_or(i64::MAX / 1_000) * 1_000;
        // What somebody took to agree is not the target's time.
        let was_accepted = loaded
            .redo
            .is_some_and(|again| again.was == ExceptionState::Accepted);
        let since_us = match &loaded.told {
            Some(told) if was_accepted && told.since_us > 0 => told.since_us,
            _ => now_us,
        };
        if waits.state == ExceptionState::Accepted
            && now_us - since_us > self.config.calls.give_up_after.as_micros() as i64
        {
            let reason = format!(
                "it was not finished within {}; the target said last: {}",
                humantime::format_duration(self.config.calls.give_up_after),
                waits.reason
            );
            self.reject(batch, item, Class::Unfinished, reason, exchange);
            return;
        }
        if loaded.redo.is_none() && !self.has_room_for_exception() {
            self.wait_for_room(batch, item, true);
            return;
        }
        match loaded.replayed {
            Some(replayed) => self.replay_accepted(&loaded, &meta, replayed),
            None => self.note_newer(&loaded, &meta),
        }
        if self.has_let_go(item, &loaded, &meta) {
            return;
        }
        let (exchange, reason) = self.masked_of(&loaded, &meta, exchange, waits.reason);
        let detail = Detail {
            class: None,
            attempts: self.attempts(batch, &loaded),
            edited: loaded.edited(),
            later: Some(waits.later),
            due_us: now_us.saturating_add(wait_us),
            since_us,
            ..Detail::default()
        }
        .told(exchange.as_ref());
        if waits.state == ExceptionState::Accepted {
            self.waits
                .push(Reverse((detail.due_us, flow.clone(), key.clone())));
        }
        if self.keys.delivered(id, offset) {
            self.pending.overtaken.push((flow, key, offset));
        }
        match loaded.redo {
            None => {
                let exception = self.exception(&loaded, &meta, waits.state, reason, detail.text());
                self.keys.put_off(id);
                self.pending.add(id, exception);
                self.finish(&loaded, &meta);
            }
            Some(again) => {
                self.pending.change(Change {
                    detail: Some(detail.text()),
                    ..Change::new(again.id, waits.state, reason)
                });
                self.redoing.remove(&again.id);
                self.keys.put_off_again(id, again.pass > 0, again.was);
            }
        }
        self.pending.open(item.slot);
    }

    /// Times that a batch's event was sent, before restarts too.
    pub(super) fn attempts(&self, batch: &Batch, loaded: &Loaded) -> u32 {
        let before = loaded.told.as_ref().map_or(0, |told| told.attempts);
        before.saturating_add(batch.attempts)
    }

    /// What is due is wanted.
    pub(super) fn start_due(&mut self) {
        let now_us = jiff::Timestamp::now().as_microsecond();
        while let Some(Reverse((due_us, _, _))) = self.waits.peek() {
            if *due_us > now_us {
                break;
            }
            if let Some(Reverse((_, flow, key))) = self.waits.pop() {
                self.want(vec![Redo::Key(flow, key)]);
            }
        }
    }

    /// When to look again.
    pub(super) fn due_deadline(&self, now: Instant) -> Option<Instant> {
        let Reverse((due_us, _, _)) = self.waits.peek()?;
        let left_us = due_us - jiff::Timestamp::now().as_microsecond();
        let left = Duration::from_micros(u64::try_from(left_us).unwrap_or(0));
        // A millisecond more: the timer is no finer, and what looks too early looks twice.
        Some(now + left.min(LOOK_EVERY) + Duration::from_millis(1))
    }
}
