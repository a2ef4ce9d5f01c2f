//! `[target.breaker]`.

use std::time::Duration;

use serde::Deserialize;

/// When a target's breaker opens, and how seldom it is tried where somebody has to do something.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Failures one after the other.
    pub failures: u32,
    /// Events refused one after the other, without one that is taken in between.
    pub rejects: u32,
    /// The longest time between two tries where it does not know us, or refuses all.
    #[serde(with = "humantime_serde")]
    pub probe_max: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            rejects: 100,
            probe_max: Duration::from_secs(15 * 60),
        }
    }
}

impl BreakerConfig {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if !(1..=1_000).contains(&self.failures) {
            wrong.push("breaker.failures: write 1 to 1000; 5 is the default".into());
        }
        if !(1..=10_000).contains(&self.rejects) {
            wrong.push("breaker.rejects: write 1 to 10000; 100 is the default".into());
        }
        let most = Duration::from_secs(24 * 3600);
        if self.probe_max.is_zero() || self.probe_max > most {
            wrong.push("breaker.probe_max: write at most \"24h\"; \"15m\" is the default".into());
        }
    }
}
