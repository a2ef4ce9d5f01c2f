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

/// How long a heartbeat asks where the log ends: nothing is read meanwhile.
pub(crate) const END_ASKED_MAX: Duration = Duration::from_secs(5);
/// How often a place is kept that only looking has reached: the database may then drop its log before it.
const LOOKED_EVERY: Duration = Duration::from_secs(10);

/// When to say how far was looked, though there was nothing.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) is_news: bool,
    pub(crate) due: Instant,
}

impl Looked {
    pub(crate) fn new() -> Self {
        Self {
            is_news: false,
            due: Instant::now() + LOOKED_EVERY,
        }
    }

    pub(crate) fn news(&mut self, is_news: bool) {
        self.is_news = is_news;
    }

    pub(crate) fn told(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn silence_lasts_too_long_after_its_time_and_never_where_it_has_none() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            Silence::new(Duration::from_millis(1)).lasts().await;
            for every in [Duration::ZERO, Duration::from_secs(60)] {
                let silence = Silence::new(every);
                let waited = pin!(silence.lasts()).poll(&mut Context::from_waker(Waker::noop()));
                assert!(waited.is_pending(), "{every:?}");
            }
        });
    }
}
