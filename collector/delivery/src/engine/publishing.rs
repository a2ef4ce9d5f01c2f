//! What is told of a target: its state and its figures.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::{COUNT_EVERY, Engine};
use crate::gate::Shown;
use crate::status::State;

impl Engine {
    pub(super) fn publish_now(&mut self, now: Instant) {
        let shared = &self.shared;
        match self.gate.shown() {
            Shown::Running => shared.show(State::Running, ""),
            Shown::Waiting(why) => shared.show(State::Waiting, &why),
            Shown::Paused(why) => shared.show(State::Paused, &why),
        }
        shared.dead.store(self.counts_on_disk.dead, Relaxed);
        shared.held.store(self.counts_on_disk.held, Relaxed);
        shared.waiting.store(self.counts_on_disk.waiting, Relaxed);
        shared.in_flight.store(self.sending.len() as u64, Relaxed);
        match self.gate.broken() {
            Some(broken) => shared.note_broken(broken, now),
            None => shared.note_whole(),
        }
        let counts = self
            .counted
            .is_none_or(|counted| now >= counted + COUNT_EVERY);
        for flow in &mut self.flows {
            flow.publish();
            if counts {
                flow.count_overdue();
            }
        }
        if counts {
            self.counted = Some(now);
        }
        shared.changed.send_modify(|version| *version += 1);
        (self.published, self.stale) = (now, false);
    }
}
