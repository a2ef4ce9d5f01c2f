//! A collector and an agent as real processes in a folder of their own.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::verdict::Arrival;

/// How long a process may take for what should take a moment.
pub const PATIENCE: Duration = Duration::from_secs(60);

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
                .push("(its log ended)".into());
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
            let ended = log.last().is_some_and(|line| line == "(its log ended)");
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

    /// kill -9, and waits until it is gone.
    ///
    /// # Errors
    /// If the process can't be waited for.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let _ = self.child.kill();
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and its exit code.
    ///
    /// # Errors
    /// If it does not end within [`PATIENCE`].
    pub fn terminate(&mut self) -> anyhow::Result<Option<i32>> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.wait_log("(its log ended)")?;
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

/// A free port of the loopback. Somebody else might take it before it is used; tests run alone.
///
/// # Errors
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A flow of a site's agent.
#[derive(Debug, Clone)]
pub struct FlowSpec {
    /// Its name.
    pub name: String,
    /// Lines of `[flow.source]` besides kind and folder.
    pub source: String,
    /// Lines of `[flow.source.format]`.
    pub format: String,
    /// One or more `[[flow.mapping]]` tables.
    pub mapping: String,
    /// "urgent", "normal" or "bulk".
    pub timeliness: &'static str,
}

impl FlowSpec {
    /// Inventory movements, pipe-delimited with a header.
    #[must_use]
    pub fn movements(name: &str) -> Self {
        Self {
            name: name.into(),
            source: "pattern = \"*.txt\"\n".into(),
            format: "kind = \"csv\"\ndelimiter = \"|\"\nquote = \"\"\nheader = true\n".into(),
            mapping: crate::drops::MOVEMENT_MAPPING.into(),
            timeliness: "normal",
        }
    }
}

/// The folder of a site, its processes and how to reach them.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    /// Where the collector listens.
    pub port: u16,
    /// Where the agent and the collector show metrics.
    pub metrics: [u16; 2],
    /// The collector, while it runs.
    pub collector: Option<Daemon>,
    /// The agent, while it runs.
    pub agent: Option<Daemon>,
}

impl Site {
    /// Lays out the folder and its configurations; nothing is started.
    ///
    /// `targets`: `[[target]]` tables as TOML. The site is called "north".
    ///
    /// # Errors
    /// Those of the file system.
    pub fn lay_out(folder: &Path, flows: &[FlowSpec], targets: &str) -> anyhow::Result<Self> {
        let site = Self {
            folder: folder.to_owned(),
            port: free_port()?,
            metrics: [free_port()?, free_port()?],
            collector: None,
            agent: None,
        };
        let shown = folder.display();
        let mut agent = format!(
            "site = \"north\"\ndata_dir = \"{shown}/agent\"\ncollector = \"127.0.0.1:{}\"\nmetrics = \"127.0.0.1:{}\"\n",
            site.port, site.metrics[0]
        );
        for FlowSpec {
            name,
            source,
            format,
            mapping,
            timeliness,
        } in flows
        {
            let drops = site.drops(name);
            fs::create_dir_all(&drops)?;
            agent.push_str(&format!(
                "\n[[flow]]\nname = \"{name}\"\ntimeliness = \"{timeliness}\"\n[flow.source]\nkind = \"file-drop\"\nfolder = \"{}\"\n{source}[flow.source.format]\n{format}{mapping}",
                drops.display()
            ));
        }
        fs::write(site.agent_config(), agent)?;
        fs::write(
            site.collector_config(),
            format!(
                "data_dir = \"{shown}/collector\"\nlisten = \"127.0.0.1:{}\"\nnames = [\"127.0.0.1\"]\nmetrics = \"127.0.0.1:{}\"\n{targets}",
                site.port, site.metrics[1]
            ),
        )?;
        Ok(site)
    }

    /// Lays out, starts the collector, enrols the agent and starts it.
    ///
    /// # Errors
    /// With the sentence of what failed.
    pub fn start(folder: &Path, flows: &[FlowSpec], targets: &str) -> anyhow::Result<Self> {
        let mut site = Self::lay_out(folder, flows, targets)?;
        site.start_collector()?;
        site.enrol()?;
        site.start_agent()?;
        Ok(site)
    }

    /// Where a flow's files are dropped.
    #[must_use]
    pub fn drops(&self, flow: &str) -> PathBuf {
        self.folder.join("drops").join(flow)
    }

    /// The agent's configuration file.
    #[must_use]
    pub fn agent_config(&self) -> PathBuf {
        self.folder.join("agent.toml")
    }

    /// The collector's configuration file.
    #[must_use]
    pub fn collector_config(&self) -> PathBuf {
        self.folder.join("collector.toml")
    }

    /// Starts the collector and waits until it listens.
    ///
    /// # Errors
    /// With its last log lines.
    pub fn start_collector(&mut self) -> anyhow::Result<()> {
        let collector = Daemon::start("dray-collector", &self.collector_config())?;
        collector.wait_log("listening")?;
        self.collector = Some(collector);
        Ok(())
    }

    /// Starts the agent; it may connect later.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start_agent(&mut self) -> anyhow::Result<()> {
        self.agent = Some(Daemon::start("dray-agent", &self.agent_config())?);
        Ok(())
    }

    /// Fetches a token and enrols the agent with it.
    ///
    /// # Errors
    /// With what the commands said.
    pub fn enrol(&self) -> anyhow::Result<()> {
        let invited = self.collector_command(&["invite", "north"])?;
        let said = String::from_utf8_lossy(&invited.stdout);
        let token = said
            .split_whitespace()
            .find(|word| word.starts_with("dray1."))
            .context("invite prints a token")?;
        self.agent_command(&["enroll", token])?;
        Ok(())
    }

    /// Runs a command of the agent with the site's configuration; it must succeed.
    ///
    /// # Errors
    /// With what it said.
    pub fn agent_command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        succeed(
            run("dray-agent", &self.agent_config(), arguments)?,
            arguments,
        )
    }

    /// Runs a command of the collector with the site's configuration; it must succeed.
    ///
    /// # Errors
    /// With what it said.
    pub fn collector_command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        succeed(
            run("dray-collector", &self.collector_config(), arguments)?,
            arguments,
        )
    }

    /// All events of the collector's log, as `tail` prints them, in log order per flow.
    ///
    /// # Errors
    /// With what the command said.
    pub fn log_events(&self) -> anyhow::Result<Vec<Value>> {
        let output = self.collector_command(&["tail", "--json"])?;
        output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| Ok(serde_json::from_slice(line)?))
            .collect()
    }

    /// The log's events as arrivals, for [`crate::verdict::judge`].
    ///
    /// # Errors
    /// With what the command said.
    pub fn log_arrivals(&self) -> anyhow::Result<Vec<Arrival>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let arrival = |event: Value| Arrival {
            id: text(&event["id"]),
            key: text(&event["key"]),
            number: text(&event["data"]["movement_number"]),
            order: event["data"]["reference"]
                .as_str()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
        };
        Ok(self.log_events()?.into_iter().map(arrival).collect())
    }

    /// The text of a daemon's metrics page.
    ///
    /// # Errors
    /// If it can't be fetched.
    pub fn metrics_text(&self, which: usize) -> anyhow::Result<String> {
        http_get(
            SocketAddr::from(([127, 0, 0, 1], self.metrics[which])),
            "/metrics",
        )
    }
}

fn succeed(output: Output, arguments: &[&str]) -> anyhow::Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    bail!(
        "{arguments:?} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    )
}

/// Runs `program ARGUMENTS --config CONFIG`, whatever comes of it.
///
/// # Errors
/// If it can't be started.
pub fn run(name: &str, config: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(program(name)?);
    Ok(command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .output()?)
}

/// Fetches a page over HTTP/1.0, for what a browser would show.
///
/// # Errors
/// Those of the network.
pub fn http_get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    use std::io::Read as _;
    let mut stream = std::net::TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page
        .split_once("\r\n\r\n")
        .context("an answer has a head")?
        .1
        .to_owned())
}
