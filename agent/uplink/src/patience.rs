//! How long the uplink waits, and for what.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The waits of an uplink. The defaults are what an agent uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a connection may take to be made, and its handshake as well: 10 s.
    pub connect: Duration,
    /// How long the collector may take to say Welcome: 20 s.
    pub welcome: Duration,
    /// The first wait between two tries, at most: 100 ms, so that a collector that is restarted is
    /// found at once.
    pub retry_min: Duration,
    /// The longest wait between two tries: 30 s.
    pub retry_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            welcome: Duration::from_secs(20),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// The waits between tries. Jitter adds up to as much again, so half of each bound is grown from:
    /// agents that lost their collector together must not come back together, at the longest either.
    pub(crate) fn waits(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.retry_min / 2)
            .with_max_delay(self.retry_max / 2)
            .with_jitter()
            .without_max_times()
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_differ_and_stay_within_their_bounds() {
        let patience = Patience::default();
        for _ in 0..50 {
            let waits: Vec<_> = patience.waits().take(30).collect();
            assert_eq!(waits.len(), 30, "it never gives up");
            assert!(waits[0] <= patience.retry_min, "{waits:?}");
            assert!(
                waits.iter().all(|wait| *wait <= patience.retry_max),
                "{waits:?}"
            );
            assert!(waits[29] >= patience.retry_max / 2, "{waits:?}");
            assert!(
                waits[20..].windows(2).any(|pair| pair[0] != pair[1]),
                "{waits:?}"
            );
        }
    }
}
