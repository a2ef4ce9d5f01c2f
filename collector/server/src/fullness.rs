//! An alarm while the log fills: somebody who reads nothing keeps it from being trimmed, and at the
//! cap ingest stops.

use std::sync::Arc;
use std::time::Duration;

use crate::core::{Shared, ask};
use crate::targets;

/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Percent of the cap at which somebody is told.
const ALARMS: [u64; 2] = [50, 80];

/// The highest alarm that `bytes` of `bytes_max` has passed, in percent; 0: none.
fn alarm(bytes: u64, bytes_max: u64) -> u64 {
    let percent = bytes
        .saturating_mul(100)
        .checked_div(bytes_max)
        .unwrap_or(0);
    ALARMS
        .into_iter()
        .filter(|alarm| percent >= *alarm)
        .max()
        .unwrap_or(0)
}

/// Runs until the collector stops.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let mut stopping = shared.stopping();
    let mut told = 0;
    loop {
        let store = Arc::clone(&shared.store);
        let Ok((bytes, bytes_max)) = tokio::task::spawn_blocking(move || store.log_bytes()).await
        else {
            return;
        };
        let reached = alarm(bytes, bytes_max);
        if reached > told {
            tell(&shared, reached, bytes, bytes_max).await;
        } else if reached < told {
            tracing::info!(bytes, bytes_max, "the log has room again");
        }
        told = reached;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stopping.wait() => return,
        }
    }
}

async fn tell(shared: &Shared, percent: u64, bytes: u64, bytes_max: u64) {
    let consumers = ask(&shared.store, targets::consumers)
        .await
        .unwrap_or_default();
    let furthest = consumers
        .into_iter()
        .max_by_key(|consumer| consumer.backlog)
        .unwrap_or_default();
    tracing::error!(
        percent,
        bytes,
        bytes_max,
        furthest_behind = furthest.consumer,
        backlog = furthest.backlog,
        "the log is filling: at 100 % ingest stops; mend or detach who is furthest behind, or raise log.bytes_max"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarms_stand_at_half_and_at_four_fifths() {
        for (bytes, expected) in [
            (0, 0),
            (499, 0),
            (500, 50),
            (799, 50),
            (800, 80),
            (5_000, 80),
        ] {
            assert_eq!(alarm(bytes, 1_000), expected, "{bytes}");
        }
        assert_eq!(alarm(5, 0), 0);
    }
}
