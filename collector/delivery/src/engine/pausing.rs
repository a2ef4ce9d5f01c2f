//! A target that waits for an operator, durably.

use std::sync::Arc;

use dray_store::EXCEPTIONS_MAX;

use super::{Engine, finished};
use crate::batch::{Batch, Item};

/// The durable setting that says that a target is paused, and why.
pub(crate) fn paused_setting(target: &str) -> String {
    format!("paused:{target}")
}

impl Engine {
    /// Whether the target may have one more exception; pauses it where not.
    pub(super) fn has_room_for_exception(&mut self) -> bool {
        let room = self.keys.counts.total < EXCEPTIONS_MAX;
        if !room {
            self.pause(&format!(
                "it has {EXCEPTIONS_MAX} dead letters; retry or discard some (dray-collector dead-letters)"
            ));
        }
        room
    }

    /// An event that would become an exception, and for which there is no room: it leaves again once somebody made some. That it
    /// may have had its effect stays with it.
    pub(super) fn wait_for_room(&mut self, batch: &Batch, item: &Item, in_doubt: bool) {
        if in_doubt {
            let mut alone = batch.alone(item);
            alone.in_doubt = true;
            self.again.push_back(alone);
        } else {
            self.lanes.put_back(item.slot);
        }
    }

    /// Pauses; written down with the next step.
    pub(super) fn pause(&mut self, why: &str) {
        if !self.gate.is_paused() {
            let resume = format!("dray-collector target resume {}", self.config.name);
            tracing::error!(resume, "target paused: it waits for an operator");
            let why = format!("{why}; put it right, then \"{resume}\": no restart does that");
            self.shared.note_error(&why);
            self.gate.pause(&why);
            self.pending.pause = Some(why);
        }
    }

    pub(super) async fn pause_durably(&mut self, why: &str) -> Result<(), String> {
        self.write_setting(Some(why.to_owned())).await?;
        tracing::info!("target paused by an operator");
        self.gate.pause(why);
        Ok(())
    }

    pub(super) async fn write_setting(&mut self, value: Option<String>) -> Result<(), String> {
        // A step under way may hold a pause of its own: it goes first.
        if self.op.is_some() {
            let done = finished(&mut self.op).await;
            self.op = None;
            self.op_done(done);
        }
        let (store, name) = (Arc::clone(&self.store), paused_setting(&self.config.name));
        let written = tokio::task::spawn_blocking(move || store.set(&name, value.as_deref())).await;
        written
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        // Only now: what could not be written leaves the target paused, and that is still to be written down.
        self.pending.pause = None;
        Ok(())
    }
}
