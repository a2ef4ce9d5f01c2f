//! A fault of dray's own in what carries a batch, or in the engine: neither is lost with it in silence.
//!
//! ```text
//! a task that carries a batch panics → the batch is *unknown*: unrolled until its event stands alone, looked up before it is
//!   sent again → the same event again and again → a dead letter, and the target goes on
//! the engine panics → the target is stopped, with the reason; its place on disk stays, and what waits for it is counted
//! ```
//! What the panic says is quoted nowhere: it may hold an event's content. The log has its place in the source.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use dray_store::{Store, StoreError};

use super::{COUNT_EVERY, Engine};
use crate::batch::Batch;
use crate::catalogue::Catalogue;
use crate::outcome::Class;
use crate::select::Selection;
use crate::status::{Shared, State};

/// Times that an event which stands alone may meet a fault. What comes of chance, as of an answer, is seldom there twice; what
/// comes of the event is there each time.
const FAULTS_MAX: u32 = 3;
/// How an operator reads of it.
pub(super) const FAULT: &str = "a fault of dray's own came up at this event, and what was sent may have had its effect; the log says where: please report it";
/// The same of the engine.
pub(super) const FELL: &str = "its engine ended by a fault of dray's own; its place is kept: restart the collector, and please report what the log says";

/// What a future makes; `None`: it panicked. What it borrows must be good for use after that.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match unwound(|| future.as_mut().poll(context)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    })
    .await
}

/// The same of a call.
pub(super) fn unwound<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

impl Engine {
    /// The task of a batch panicked.
    pub(super) fn take_fault(&mut self, mut batch: Batch, era: u64) {
        self.failed(FAULT);
        self.gate.unsent(era);
        batch.in_doubt = true;
        if batch.items.len() > 1 {
            self.again.extend(batch.apart());
            return;
        }
        batch.trials.faults += 1;
        if batch.trials.faults < FAULTS_MAX {
            let wait = self.wait_after(batch.trials.faults);
            batch.trials.not_before = Some(Instant::now() + wait);
            self.again.push_back(batch);
        } else if batch.shadow {
            self.unread(&batch, FAULT);
        } else {
            self.refuse(batch, Class::Unanswered, FAULT.into(), None);
        }
    }
}

/// Runs an engine. Where it panics, says so from then on, with what waits, until this is dropped.
pub(crate) async fn guarded(engine: Engine) {
    let fallen = Arc::new(Fallen {
        store: Arc::clone(&engine.store),
        shared: Arc::clone(&engine.shared),
        consumer: engine.consumer.clone(),
        selection: Selection::new(&engine.config.flows, &engine.config.bodies),
        catalogue: Arc::clone(&engine.config.catalogue),
    });
    if caught(engine.run()).await.is_some() {
        return;
    }
    tracing::error!("{FELL}");
    fallen.shared.note_error(FELL);
    let mut log = fallen.store.watch();
    loop {
        let counting = Arc::clone(&fallen);
        // What cannot be read stays as it was counted.
        let _ = tokio::task::spawn_blocking(move || counting.count()).await;
        fallen.shared.show(State::Stopped, FELL);
        fallen.shared.changed.send_modify(|version| *version += 1);
        if log.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(COUNT_EVERY).await;
    }
}

/// What is left of an engine that panicked.
struct Fallen {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    consumer: String,
    selection: Selection,
    catalogue: Arc<Catalogue>,
}

impl Fallen {
    /// What waits, as the log and the cursors on disk have it. Blocks.
    fn count(&self) -> Result<(), StoreError> {
        let cursors: HashMap<_, _> = self.store.cursors(&self.consumer)?.into_iter().collect();
        for flow in self.store.flows() {
            if !self.selection.takes_flow(&flow) {
                continue;
            }
            let held = self.store.held(&flow);
            let (through, above) = match cursors.get(&flow) {
                Some(cursor) => (cursor.through.0, cursor.above.len()),
                None => (held.oldest_offset.0.saturating_sub(1), 0),
            };
            let waits = held.newest_offset.0.saturating_sub(through);
            self.shared
                .recount(&flow, &self.catalogue, waits.saturating_sub(above));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
