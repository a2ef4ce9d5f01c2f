//! The tasks that talk to the target.

use std::sync::Arc;

use super::KNOCK_EVERY;
use super::fault::{caught, unwound};
use crate::batch::{Batch, Item, LeftOut, Renderer, Shape};
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
    /// What carried it panicked: nothing of the above counts, the batch is as it was.
    pub(super) is_fault: bool,
}

impl Sent {
    /// With nothing said of it yet.
    pub(super) fn new(batch: Batch, era: u64, left_out: LeftOut) -> Self {
        Self {
            batch,
            era,
            left_out,
            unfit: Unfit::default(),
            told: None,
            seen: None,
            is_fault: false,
        }
    }

    /// Whatever it was at panicked. `items`: those of the batch before that.
    pub(super) fn fault(mut batch: Batch, items: Vec<Item>, era: u64) -> Self {
        batch.reset(items);
        Self {
            is_fault: true,
            ..Self::new(batch, era, LeftOut::default())
        }
    }
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
    let items = batch.items.clone();
    let mut unfit = Unfit::default();
    if !batch.is_encoded() {
        match caught(vetting.look_at(&mut batch)).await {
            Some(found) => unfit = found,
            None => return Sent::fault(batch, items, era),
        }
    }
    let (batch, left_out) = encoded(renderer, shape, bytes_max, batch).await;
    let Some(left_out) = left_out else {
        return Sent::fault(batch, items, era);
    };
    let sending = async {
        match batch.delivery(connector.reads_events()) {
            Some(delivery) => Some(connector.deliver(delivery).await),
            None => None,
        }
    };
    match caught(sending).await {
        Some(told) => Sent {
            unfit,
            told,
            ..Sent::new(batch, era, left_out)
        },
        None => Sent::fault(batch, items, era),
    }
}

/// Writes the body, unless it was sent before. What was left out; `None`: writing it panicked.
pub(super) async fn encoded(
    renderer: Arc<Renderer>,
    shape: Shape,
    bytes_max: usize,
    mut batch: Batch,
) -> (Batch, Option<LeftOut>) {
    if batch.is_encoded() {
        return (batch, Some(LeftOut::default()));
    }
    let is_slow = matches!(*renderer, Renderer::Template(_));
    let mut encode = move || {
        let left_out = unwound(|| batch.encode(&renderer, shape, bytes_max));
        (std::mem::take(&mut batch), left_out)
    };
    if !is_slow {
        return encode();
    }
    // Templates take milliseconds a batch: not on a thread that serves sockets.
    match tokio::task::spawn_blocking(encode).await {
        Ok(encoded) => encoded,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
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
