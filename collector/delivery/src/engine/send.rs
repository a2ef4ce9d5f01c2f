//! The tasks that talk to the target.

use std::sync::Arc;

use dray_proto::EventId;
use dray_proto::event::View;

use super::KNOCK_EVERY;
use crate::batch::{Batch, LeftOut, Renderer, Shape};
use crate::http::Connection;
use crate::outcome::Outcome;

/// A request that is over.
pub(super) struct Sent {
    pub(super) batch: Batch,
    pub(super) era: u64,
    pub(super) left_out: LeftOut,
    /// `None`: nothing was left to send.
    pub(super) outcome: Option<Outcome>,
}

/// Writes the body, unless it was sent before, and sends it.
pub(super) async fn send(
    connection: Arc<Connection>,
    renderer: Arc<Renderer>,
    shape: Shape,
    bytes_max: usize,
    mut batch: Batch,
    era: u64,
) -> Sent {
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
    let first = batch.items.first().map(|item| {
        let (loaded, meta) = batch.event(item);
        View::of(loaded.event(meta)).map_or(EventId::new([0xFF; 10], 0, 0), |view| view.id)
    });
    let outcome = match first {
        Some(first) => Some(connection.post(batch.body(), first).await),
        None => None,
    };
    Sent {
        batch,
        era,
        left_out,
        outcome,
    }
}

/// Knocks until somebody opens; true: at the first knock.
pub(super) async fn knock(connection: Arc<Connection>) -> bool {
    let mut at_once = true;
    let mut every = tokio::time::interval(KNOCK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if connection.knock(KNOCK_EVERY * 4).await {
            return at_once;
        }
        at_once = false;
    }
}
