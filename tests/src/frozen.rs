//! Processes that are stopped where they are, as a power cut stops them.
//!
//! Where a disk dies under a running process, ext4 (Linux 6.18) now and then answers a sync that was under way with
//! success, and the process would pass that on. After a power cut nobody passes anything on.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::PATIENCE;

/// Stopped processes. They are killed with their value.
#[derive(Debug)]
pub struct Frozen(Vec<Pid>);

impl Frozen {
    /// Stops all processes that were started with this configuration file, commands too. When this returns, no thread of
    /// them runs; one that waits for a disk gets its answer and does not come back with it.
    ///
    /// # Errors
    /// If they do not stop within [`PATIENCE`].
    pub fn all_of(config: &Path) -> anyhow::Result<Self> {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = started_with(config);
            let mut still = true;
            for pid in &found {
                // One that has just ended is as good as stopped.
                let _ = kill_process(*pid, Signal::STOP);
                still &= !runs(*pid).unwrap_or(false);
            }
            if still {
                return Ok(Self(found));
            }
            ensure!(Instant::now() < end, "{found:?} do not stop");
            std::thread::yield_now();
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill_process(*pid, Signal::KILL);
        }
    }
}

fn started_with(config: &Path) -> Vec<Pid> {
    let own = rustix::process::getpid();
    let wanted = config.as_os_str().as_encoded_bytes();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let is_it = line.split(|byte| *byte == 0).any(|word| word == wanted);
        (is_it && pid != own).then_some(pid)
    })
    .collect()
}

/// Whether a thread of it is neither stopped nor waiting for a disk.
fn runs(pid: Pid) -> anyhow::Result<bool> {
    for task in fs::read_dir(format!("/proc/{}/task", pid.as_raw_pid()))? {
        let stat = fs::read_to_string(task?.path().join("stat"))?;
        let (_, after) = stat.rsplit_once(')').context("stat has a name")?;
        if !after.trim_start().starts_with(['T', 'D', 'Z', 'X']) {
            return Ok(true);
        }
    }
    Ok(false)
}
