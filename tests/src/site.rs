//! A collector and an agent as real processes in a folder of their own.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use anyhow::{Context, bail};
use rand::RngExt as _;
use serde_json::Value;

use crate::daemon::{Daemon, PATIENCE, program};
use crate::line::Line;
use crate::places::Places;
use crate::verdict::Arrival;

/// Below the ports that the kernel gives to connections (from 32,768 on): while a daemon is down, none of them may take its
/// port, not even the agent's own attempt to reach it.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const PORT_TRIES: u32 = 1_000;

/// What an agent says of its sources: no records.
const REPORTS: [&str; 4] = ["file_report", "schema_change", "source_gap", "heartbeat"];

/// The ports that this process was given: their numbers at UDP, which nothing here uses. So nobody else is given one while it
/// lives, also while its daemon is down.
static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A free port of the loopback, which nobody else is given while this process lives.
///
/// # Errors
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let mut random = rand::rng();
    for _ in 0..PORT_TRIES {
        let port = random.random_range(PORTS);
        let Ok(held) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else {
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            HELD.lock().expect("nobody panics holding it").push(held);
            return Ok(port);
        }
    }
    bail!("there is no free port")
}

/// A flow of a site's agent.
#[derive(Debug, Clone)]
pub struct FlowSpec {
    /// Its name.
    pub name: String,
    /// Lines of `[flow.source]` besides the folder; its kind is "file-drop" unless they say another. Where there is no format, all of them.
    pub source: String,
    /// Lines of `[flow.source.format]`; empty for a source without files.
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
    places: Places,
    /// Where the collector listens.
    pub port: u16,
    /// Where the agent and the collector show metrics.
    pub metrics: [u16; 2],
    /// What both daemons find in their environment from their next start on.
    pub environment: Vec<(String, String)>,
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
        Self::lay_out_at(folder, Places::in_folder(folder), flows, targets)
    }

    /// The same with parts of it elsewhere; configurations and logs stay in the folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn lay_out_at(
        folder: &Path,
        places: Places,
        flows: &[FlowSpec],
        targets: &str,
    ) -> anyhow::Result<Self> {
        let site = Self {
            folder: folder.to_owned(),
            places,
            port: free_port()?,
            metrics: [free_port()?, free_port()?],
            environment: Vec::new(),
            collector: None,
            agent: None,
        };
        let mut agent = format!(
            "site = \"north\"\ndata_dir = \"{}\"\ncollector = \"127.0.0.1:{}\"\nmetrics = \"127.0.0.1:{}\"\n",
            site.places.agent.display(),
            site.port,
            site.metrics[0]
        );
        for FlowSpec {
            name,
            source,
            format,
            mapping,
            timeliness,
        } in flows
        {
            if format.is_empty() {
                agent.push_str(&format!(
                    "\n[[flow]]\nname = \"{name}\"\ntimeliness = \"{timeliness}\"\n[flow.source]\n{source}{mapping}"
                ));
                continue;
            }
            let drops = site.drops(name);
            fs::create_dir_all(&drops)?;
            let kind = match source.contains("kind =") {
                true => "",
                false => "kind = \"file-drop\"\n",
            };
            // Scenarios count records: what is said of whole files is left out unless one asks for it.
            let report = match source.contains("report =") || kind.is_empty() {
                true => "",
                false => "report = false\n",
            };
            agent.push_str(&format!(
                "\n[[flow]]\nname = \"{name}\"\ntimeliness = \"{timeliness}\"\n[flow.source]\n{kind}folder = \"{}\"\n{report}{source}[flow.source.format]\n{format}{mapping}",
                drops.display()
            ));
        }
        fs::write(site.agent_config(), agent)?;
        fs::write(
            site.collector_config(),
            format!(
                "data_dir = \"{}\"\nlisten = \"127.0.0.1:{}\"\nnames = [\"127.0.0.1\"]\nmetrics = \"127.0.0.1:{}\"\n{targets}",
                site.places.collector.display(),
                site.port,
                site.metrics[1]
            ),
        )?;
        Ok(site)
    }

    /// Lays out, starts the collector, enrols the agent and starts it.
    ///
    /// # Errors
    /// With the sentence of what failed.
    pub fn start(folder: &Path, flows: &[FlowSpec], targets: &str) -> anyhow::Result<Self> {
        Self::lay_out(folder, flows, targets)?.begin()
    }

    /// Starts the collector of a new site, enrols the agent and starts it.
    ///
    /// # Errors
    /// With the sentence of what failed.
    pub fn begin(mut self) -> anyhow::Result<Self> {
        self.start_collector()?;
        self.enrol()?;
        self.start_agent()?;
        if let Some(agent) = &self.agent {
            agent.wait_log("\"message\":\"started\"")?;
        }
        Ok(self)
    }

    /// The same with a [`Line`] between the agent and the collector.
    ///
    /// # Errors
    /// With the sentence of what failed.
    pub fn start_on_a_line(
        folder: &Path,
        flows: &[FlowSpec],
        targets: &str,
    ) -> anyhow::Result<(Self, Line)> {
        let mut site = Self::lay_out(folder, flows, targets)?;
        let line = Line::start(site.port)?;
        let config = fs::read_to_string(site.agent_config())?;
        let direct = format!("collector = \"127.0.0.1:{}\"", site.port);
        let by_line = format!("collector = \"127.0.0.1:{}\"", line.port());
        fs::write(site.agent_config(), config.replace(&direct, &by_line))?;
        site.start_collector()?;
        site.enrol()?;
        site.start_agent()?;
        Ok((site, line))
    }

    /// The collector is to listen at this address, and the agent to dial it there.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn listen_at(&self, address: Ipv4Addr) -> anyhow::Result<()> {
        let port = self.port;
        let moved = |text: String| {
            text.replace(&format!("127.0.0.1:{port}"), &format!("{address}:{port}"))
                .replace(
                    "names = [\"127.0.0.1\"]",
                    &format!("names = [\"{address}\"]"),
                )
        };
        for config in [self.agent_config(), self.collector_config()] {
            fs::write(&config, moved(fs::read_to_string(&config)?))?;
        }
        Ok(())
    }

    /// Where a flow's files are dropped.
    #[must_use]
    pub fn drops(&self, flow: &str) -> PathBuf {
        self.places.drops.join(flow)
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
        let collector = Daemon::start_in(
            "dray-collector",
            &self.collector_config(),
            &self.environment,
        )?;
        collector.wait_log("listening")?;
        self.collector = Some(collector);
        Ok(())
    }

    /// Starts the agent; it may connect later.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start_agent(&mut self) -> anyhow::Result<()> {
        let agent = Daemon::start_in("dray-agent", &self.agent_config(), &self.environment)?;
        self.agent = Some(agent);
        Ok(())
    }

    /// Fetches a token and enrols the agent with it.
    ///
    /// # Errors
    /// With what the commands said.
    pub fn enrol(&self) -> anyhow::Result<()> {
        let token = self.invite()?;
        self.agent_command(&["enroll", &token])?;
        Ok(())
    }

    /// Fetches a token for the agent.
    ///
    /// # Errors
    /// With what the command said.
    pub fn invite(&self) -> anyhow::Result<String> {
        let invited = self.collector_command(&["invite", "north"])?;
        let said = String::from_utf8_lossy(&invited.stdout);
        let token = said
            .split_whitespace()
            .find(|word| word.starts_with("dray1."))
            .context("invite prints a token")?;
        Ok(token.to_owned())
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

    /// Those of them that are of records: without what the agent says of its sources.
    ///
    /// # Errors
    /// With what the command said.
    pub fn log_records(&self) -> anyhow::Result<Vec<Value>> {
        let mut events = self.log_events()?;
        events.retain(|event| REPORTS.iter().all(|report| event["type"] != *report));
        Ok(events)
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
        Ok(self.log_records()?.into_iter().map(arrival).collect())
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
