//! The tasks that talk to the target.

use std::sync::Arc;

use super::KNOCK_EVERY;
use crate::batch::{Batch, LeftOut, Renderer, Shape};
use crate::connectors::{Connector, Told};
use crate::outcome::Outcome;
use crate::shadow::Seen;
use crate::vet::{Unfit, Vetting};

/// A request that is over.
pub(super) struct Sent {
    pub(super) batch: Batch,
    pub(super) era: u64,
    pub(super) left_out: LeftOut,
    /// What may not be sent.
    pub(super) unfit: Unfit,
    /// `None`: nothing was left to send.
    pub(super) told: Option<Told>,
    /// Of an event in shadow, where anything was left of it.
    pub(super) seen: Option<Result<Seen, Outcome>>,
}

/// Looks at the events and writes the body, unless it was sent before, and sends it.
pub(super) async fn send(
    connector: Arc<dyn Connector>,
    renderer: Arc<Renderer>,
    vetting: Arc<Vetting>,
    shape: Shape,
    bytes_max: usize,
    mut batch: Batch,
    era: u64,
) -> Sent {
    let mut unfit = Unfit::default();
    if !batch.is_encoded() {
        unfit = vetting.look_at(&mut batch).await;
    }
    let (batch, left_out) = encoded(renderer, shape, bytes_max, batch).await;
    let told = match batch.delivery(connector.reads_events()) {
        Some(delivery) => Some(connector.deliver(delivery).await),
        None => None,
    };
    Sent {
        batch,
        era,
        left_out,
        unfit,
        told,
        seen: None,
    }
}

/// Writes the body, unless it was sent before.
pub(super) async fn encoded(
    renderer: Arc<Renderer>,
    shape: Shape,
    bytes_max: usize,
    mut batch: Batch,
) -> (Batch, LeftOut) {
    let mut left_out = LeftOut::default();
    if !batch.is_encoded() {
        if let Renderer::Template(_) = *renderer {
            // Templates take milliseconds a batch: not on a thread that serves sockets.
            let encoding = tokio::task::spawn_blocking(move || {
                let left_out = batch.encode(&renderer, shape, bytes_max);
                (batch, left_out)
            });
            match encoding.await {
                Ok(encoded) => (batch, left_out) = encoded,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        } else {
            left_out = batch.encode(&renderer, shape, bytes_max);
        }
    }
    (batch, left_out)
}

/// Knocks until somebody opens; true: at the first knock.
pub(super) async fn knock(connector: Arc<dyn Connector>) -> bool {
    let mut at_once = true;
    let mut every = tokio::time::interval(KNOCK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if connector.knock(KNOCK_EVERY * 4).await {
            return at_once;
        }
        at_once = false;
    }
}
