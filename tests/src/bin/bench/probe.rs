//! What the rows look at while daemons work.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dray_tests::site::Site;
use dray_tests::target::Target;
use hdrhistogram::Histogram;

use crate::load::pause;

/// How the agent's log says that its line is up.
pub(crate) const CONNECTED: &str = "\"message\":\"connected\"";
/// The same of a flow whose folder is watched.
pub(crate) const READING: &str = "\"message\":\"the source is open\"";

/// A metric of the agent (0) or the collector (1), summed over its labels.
pub(crate) fn metric(site: &Site, which: usize, name: &str) -> anyhow::Result<f64> {
    let page = site.metrics_text(which)?;
    let values: Vec<f64> = page
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse().ok())
        .collect();
    ensure!(!values.is_empty(), "there is no metric {name}");
    Ok(values.iter().sum())
}

/// Looks fifty times a second until it is so; the time that it took.
pub(crate) fn until(
    limit: Duration,
    mut so: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    while !so()? {
        ensure!(began.elapsed() < limit, "not so within {limit:?}");
        pause(Duration::from_millis(20));
    }
    Ok(began.elapsed())
}

/// The times of what arrived, in microseconds.
pub(crate) fn latencies(target: &Target) -> anyhow::Result<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    for time in target.latencies_us() {
        times.record(time.max(1))?;
    }
    Ok(times)
}

/// Bytes that a folder takes on the disk.
pub(crate) fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries.flatten() {
        // A file may go while it is looked at.
        let Ok(known) = entry.metadata() else {
            continue;
        };
        bytes += known.blocks() * 512;
        if known.is_dir() {
            bytes += disk_bytes(&entry.path()).unwrap_or(0);
        }
    }
    Ok(bytes)
}
