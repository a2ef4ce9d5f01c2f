//! Requests: which events leave together, and that they leave.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use dray_edges::{Plant, is_planted};

use super::send::send;
use super::{Engine, shadow};
use crate::batch::{Batch, Shape};

impl Engine {
    pub(super) fn start_requests(&mut self) {
        while self.sending.len() < self.config.concurrency && self.gate.is_open() {
            let Some(mut batch) = self.next_batch(Instant::now()) else {
                break;
            };
            let era = self.gate.sent();
            batch.attempts += 1;
            let shape = if self.config.batch == 1 {
                Shape::Single
            } else {
                Shape::Array
            };
            let (connector, renderer) = (Arc::clone(&self.connector), Arc::clone(&self.renderer));
            let vetting = Arc::clone(&self.vetting);
            let bytes_max = self.config.batch_bytes.as_u64() as usize;
            if batch.shadow {
                batch.has_later = self.has_later(&batch);
                let looks = (Arc::clone(&self.shadow), vetting);
                self.sending.spawn(shadow::look(
                    connector, looks, renderer, shape, bytes_max, batch, era,
                ));
                continue;
            }
            self.shared.requests.fetch_add(1, Relaxed);
            let sending = send(connector, renderer, vetting, shape, bytes_max, batch, era);
            self.sending.spawn(sending);
        }
    }

    /// The next batch of what may leave; `None` if nothing may.
    pub(super) fn form(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        let (mut bytes, bytes_max) = (0, self.config.batch_bytes.as_u64() as usize);
        while batch.items.len() < self.batch_now && bytes < bytes_max {
            let Some((slot, spot)) = self.lanes.take() else {
                break;
            };
            let Some(loaded) = self.window.get(spot.block).map(Arc::clone) else {
                debug_assert!(
                    false,
                    "an event's block is in the window until its lane is opened"
                );
                continue;
            };
            let meta = &loaded.events[spot.event as usize];
            if self.is_in_shadow(&loaded) {
                if batch.items.is_empty() {
                    batch.shadow = true;
                    batch.push(slot, &loaded, spot.event);
                } else {
                    self.lanes.put_back(slot);
                }
                break;
            }
            if self.is_outdated(slot, &loaded, meta) {
                // Written down before what is newer, or with it: no restart sends it after that.
                self.finish(&loaded, meta);
                self.shared.outdated.fetch_add(1, Relaxed);
                self.open(slot);
                continue;
            }
            if !self.may_send(&loaded, meta) {
                self.lanes.put_back(slot);
                break;
            }
            let is_plain = loaded.is_plain();
            if self.keys.is_quiet() && is_plain || self.admit(slot, &loaded, meta) {
                // JSON is about twice as long as the wire format; the writer cuts exactly.
                bytes += (meta.end - meta.start) as usize * 2 + 256;
                // What is replayed had its effect once: who can look, looks.
                batch.in_doubt |= loaded.replayed.is_some() || self.is_doubtful(&loaded, meta);
                batch.push(slot, &loaded, spot.event);
                if is_planted(Plant::CursorTooSoon) {
                    self.finish(&loaded, meta);
                    self.pending.urgent = true;
                }
            } else if !self.gate.is_open() {
                break;
            }
        }
        (!batch.items.is_empty()).then_some(batch)
    }
}
