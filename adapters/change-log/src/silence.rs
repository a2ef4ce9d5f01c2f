//! How long a flow has said nothing: after a while it says that it lives, so that silence is told from health.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The silence of a flow whose source is read.
#[derive(Debug)]
pub(crate) struct Silence {
    /// Zero: it may last for ever.
    every: Duration,
    due: Instant,
}

impl Silence {
    /// It begins now. `every`: after so long it is broken.
    pub(crate) fn new(every: Duration) -> Self {
        Self {
            every,
            due: Instant::now() + every,
        }
    }

    /// Something was said.
    pub(crate) fn broken(&mut self) {
        *self = Self::new(self.every);
    }

    /// Waits until it has lasted too long. May be dropped and called again.
    pub(crate) async fn lasts(&self) {
        match self.every.is_zero() {
            true => std::future::pending().await,
            false => sleep_until(self.due).await,
        }
    }
}
