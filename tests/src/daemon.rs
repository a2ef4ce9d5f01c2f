//! A daemon as a real process: started, watched by its log, killed.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// How long a process may take for what should take a moment.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Stands in the kept log after a daemon's last line.
const LOG_ENDED: &str = "(its log ended)";

/// How much of its log a daemon shows when the test that holds it fails.
const SHOWN_LINES: usize = 40;

/// Where a daemon's program stands: beside this one, or where `DRAY_BIN_DIR` says.
///
/// # Errors
/// If it isn't there: it must be built first.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("DRAY_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let own = std::env::current_exe()?;
            let folder = own.parent().context("a program stands in a folder")?;
            if folder.ends_with("deps") {
                folder.join("..")
            } else {
                folder.to_owned()
            }
        }
    };
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "{} is not built: run \"cargo build --bins\" first (make test does)",
        path.display()
    );
    Ok(path.canonicalize()?)
}

/// A running daemon whose log is kept. It is killed with its value.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    child: Child,
    log: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Daemon {
    /// Starts `program run --config CONFIG`, its log also written beside the configuration.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start(name: &'static str, config: &Path) -> anyhow::Result<Self> {
        Self::start_with(Command::new(program(name)?), name, config)
    }

    /// The same with these variables in its environment.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start_in(
        name: &'static str,
        config: &Path,
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program(name)?);
        command.envs(environment.iter().cloned());
        Self::start_with(command, name, config)
    }

    /// The same with at most so many descriptors.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start_with_descriptors(
        name: &'static str,
        config: &Path,
        descriptors: u64,
    ) -> anyhow::Result<Self> {
        let mut few = Command::new("sh");
        few.arg("-c")
            .arg(format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""))
            .arg(program(name)?);
        Self::start_with(few, name, config)
    }

    /// The same behind another command, e.g. `strace … dray-agent`.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start_with(
        mut command: Command,
        name: &'static str,
        config: &Path,
    ) -> anyhow::Result<Self> {
        let mut child = command
            .args(["run", "--log", "json", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let log = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let stderr = child.stderr.take().context("stderr was asked for")?;
        let kept = Arc::clone(&log);
        let mut copy = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(config.with_extension("log"))?;
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = writeln!(copy, "{line}");
                kept.0.lock().expect("nobody panics holding it").push(line);
                kept.1.notify_all();
            }
            kept.0
                .lock()
                .expect("nobody panics holding it")
                .push(LOG_ENDED.into());
            kept.1.notify_all();
        });
        Ok(Self { name, child, log })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a log line that holds `text` and returns it.
    ///
    /// # Errors
    /// When the process ends, or [`PATIENCE`] does, before it.
    pub fn wait_log(&self, text: &str) -> anyhow::Result<String> {
        let end = Instant::now() + PATIENCE;
        let mut log = self.log.0.lock().expect("nobody panics holding it");
        let mut read = 0;
        loop {
            if let Some(line) = log[read..].iter().find(|line| line.contains(text)) {
                return Ok(line.clone());
            }
            read = log.len();
            let ended = log.last().is_some_and(|line| line == LOG_ENDED);
            let left = end
                .checked_duration_since(Instant::now())
                .filter(|_| !ended);
            let Some(left) = left else {
                let tail = log[log.len().saturating_sub(15)..].join("\n");
                bail!(
                    "{} never logged \"{text}\"; its last lines:\n{tail}",
                    self.name
                );
            };
            log = self
                .log
                .1
                .wait_timeout(log, left)
                .expect("nobody panics holding it")
                .0;
        }
    }

    /// All that it logged so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.0.lock().expect("nobody panics holding it").clone()
    }

    /// What a failed test is understood by: its last lines, on standard error.
    fn show_log(&self) {
        let log = self
            .log
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let tail = log[log.len().saturating_sub(SHOWN_LINES)..].join("\n");
        eprintln!("the last lines of {}:\n{tail}", self.name);
    }

    /// kill -9, and waits until it is gone.
    ///
    /// # Errors
    /// If the process can't be waited for.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let _ = self.child.kill();
        self.child.wait()?;
        Ok(())
    }

    /// How it ended, if it does by itself before `limit` passes.
    ///
    /// # Errors
    /// If the process can't be waited for.
    pub fn wait_end(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let log = self.log.0.lock().expect("nobody panics holding it");
        let goes_on = |log: &mut Vec<String>| log.last().is_none_or(|line| line != LOG_ENDED);
        let waited = self.log.1.wait_timeout_while(log, limit, goes_on);
        let in_time = !waited.expect("nobody panics holding it").1.timed_out();
        in_time
            .then(|| self.child.wait())
            .transpose()
            .map_err(Into::into)
    }

    /// SIGTERM, and its exit code.
    ///
    /// # Errors
    /// If it does not end within [`PATIENCE`].
    pub fn terminate(&mut self) -> anyhow::Result<Option<i32>> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.wait_log(LOG_ENDED)?;
        Ok(self.child.wait()?.code())
    }

    /// Seconds of CPU and peak resident bytes so far, from `/proc`.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.pid())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_log();
        }
        let _ = self.kill();
    }
}

/// What a process used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time together, in seconds.
    pub cpu_s: f64,
    /// The most memory that was resident at once, in bytes.
    pub peak_bytes: u64,
    /// What is resident now, in bytes.
    pub resident_bytes: u64,
}

impl Usage {
    /// Of process `pid`.
    ///
    /// # Errors
    /// If it is gone.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .context("stat has a name")?
            .1
            .split_whitespace()
            .collect();
        let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
                .unwrap_or(0)
        };
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        Ok(Self {
            cpu_s: ticks / per_second,
            peak_bytes: kib("VmHWM:") * 1024,
            resident_bytes: kib("VmRSS:") * 1024,
        })
    }
}
