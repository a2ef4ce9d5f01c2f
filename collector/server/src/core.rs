//! What the collector's services share, and how it is told to stop.

use std::sync::Arc;

use dray_delivery::Catalogue;
use dray_store::{Step, Store, StoreError};
use tokio::sync::{mpsc, watch};

use crate::audit::Refusals;
use crate::gaps::Gaps;
use crate::identity::{AllowList, Authority};
use crate::metrics::Metrics;
use crate::seats::Seats;
use crate::targets::Targets;

/// Shared by all services of one collector.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) authority: Authority,
    pub(crate) certificate_days: u32,
    pub(crate) allow: AllowList,
    /// Live uplinks, by agent.
    pub(crate) uplinks: Arc<Seats>,
    /// Live subscriptions of durable consumers, by consumer.
    pub(crate) readers: Arc<Seats>,
    pub(crate) targets: Targets,
    /// What is agreed about flows.
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) gaps: Gaps,
    pub(crate) refusals: Refusals,
    pub(crate) metrics: Metrics,
    pub(crate) stopping: Stopping,
    /// Closed once nobody shares this any longer; the last field, so that the store is put away before.
    pub(crate) _alive: mpsc::Sender<()>,
}

impl Shared {
    pub(crate) fn stopping(&self) -> Stopping {
        self.stopping.clone()
    }
}

/// Tells the collector to stop. Dropping it does the same.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// The two ends.
    #[must_use]
    pub fn new() -> (Self, Stopping) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stopping(receiver))
    }

    /// Says so; may be repeated.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Learns that the collector is to stop.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Returns when the collector is to stop.
    pub async fn wait(&mut self) {
        // An error means that the sender is gone, which is a stop too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether it is to stop.
    pub(crate) fn is_told(&self) -> bool {
        *self.0.borrow()
    }
}

/// Asks the store on a thread that may wait for the disk.
pub(crate) async fn ask<T: Send + 'static>(
    store: &Arc<dyn Store>,
    question: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = Arc::clone(store);
    let answer = tokio::task::spawn_blocking(move || question(&*store)).await;
    answer.unwrap_or_else(|panic| {
        Err(StoreError::Failed {
            folder: "the data folder".into(),
            reason: format!("its reader ended: {panic}; restart the collector"),
        })
    })
}

/// Takes a step to stable storage.
pub(crate) async fn take(store: &Arc<dyn Store>, step: Step) -> Result<(), StoreError> {
    store.step(step).await.unwrap_or_else(|| {
        Err(StoreError::Failed {
            folder: "the data folder".into(),
            reason: "its writer has ended; restart the collector".into(),
        })
    })
}

/// Seconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_s() -> i64 {
    now_us() / 1_000_000
}

/// Microseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as i64)
}
