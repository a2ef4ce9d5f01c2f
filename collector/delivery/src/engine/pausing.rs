//! A target that waits for an operator, durably.

use std::sync::Arc;

use dray_store::EXCEPTIONS_MAX;

use super::{Engine, finished};

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
        self.pending.pause = None;
        let (store, name) = (Arc::clone(&self.store), paused_setting(&self.config.name));
        let written = tokio::task::spawn_blocking(move || store.set(&name, value.as_deref())).await;
        written
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }
}
