//! Scenarios: real processes, killed and cut off, and then nothing lost, doubled or out of order.
//!
//! `DRAY_SOAK=1` makes the counts long; without it they fit into a build.

mod arrows;
mod commands;
mod damage;
mod kills;
mod restored;
mod syncs;
mod targets;
mod whole;

use std::time::Duration;

/// How long a scenario waits for what should take seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether the long counts were asked for.
fn soak() -> bool {
    std::env::var_os("DRAY_SOAK").is_some()
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
