//! A memory cgroup around the agent, where the machine allows one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use dray_tests::daemon::{Daemon, program};

/// A cgroup inside this program's own, so that its limits hold too. It goes with its value.
#[derive(Debug)]
pub(crate) struct Fence {
    group: PathBuf,
}

impl Fence {
    /// A group that may use so many bytes, the page cache of its files counted.
    ///
    /// # Errors
    /// Why there is none: no rights, or no memory controller here.
    pub(crate) fn of(bytes: u64) -> anyhow::Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let own = |controller: &str| {
            groups.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                (controllers == controller).then(|| path.trim_start_matches('/').to_owned())
            })
        };
        let (root, limit, own) = match (own("memory"), own("")) {
            (Some(own), _) => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", own),
            (None, Some(own)) => ("/sys/fs/cgroup", "memory.max", own),
            (None, None) => anyhow::bail!("no memory cgroup here"),
        };
        let name = format!("dray-bench-{}", std::process::id());
        let group = Path::new(root).join(own).join(name);
        fs::create_dir(&group).context("no memory cgroup can be made")?;
        let fence = Self { group };
        fs::write(fence.group.join(limit), bytes.to_string())
            .context("a memory cgroup cannot be limited")?;
        Ok(fence)
    }

    /// Starts a daemon inside.
    pub(crate) fn start(&self, name: &'static str, config: &Path) -> anyhow::Result<Daemon> {
        // The shell enters and becomes the daemon: nothing of it runs outside.
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(self.group.join("cgroup.procs"))
            .arg(program(name)?);
        Daemon::start_with(shell, name, config)
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        // Its processes have ended: a site is dropped before its fence.
        let _ = fs::remove_dir(&self.group);
    }
}
