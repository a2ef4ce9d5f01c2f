//! Scenarios: real processes, killed and cut off, and then nothing lost, doubled or out of order.
//!
//! `DRAY_SOAK=1` makes the counts long; without it they fit into a build.

mod arrows;
mod audit;
mod commands;
mod damage;
mod deaths;
mod dying;
mod edges;
mod kills;
mod planted;
mod restored;
mod syncs;
mod targets;
mod trace;
mod whole;

use std::time::{Duration, Instant};

/// How long a scenario waits for what should take seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether the long counts were asked for.
fn soak() -> bool {
    std::env::var_os("DRAY_SOAK").is_some()
}

/// Waits for something that only the file system tells.
fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A target's table for a collector's configuration.
fn target_table(name: &str, url: &str, more: &str) -> String {
    format!(
        "\n[[target]]\nname = \"{name}\"\nurl = \"{url}\"\nbatch = 200\nconcurrency = 4\n{more}\n"
    )
}

/// A folder that is kept when the test fails, so that its logs can be read.
fn folder(name: &str) -> tempfile::TempDir {
    let mut folder = tempfile::Builder::new()
        .prefix(&format!("dray-{name}-"))
        .tempdir()
        .expect("a temporary folder");
    folder.disable_cleanup(std::env::var_os("DRAY_KEEP").is_some());
    folder
}
