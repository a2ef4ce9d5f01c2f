//! The collector's configuration: one TOML file, parsed and checked whole before anything opens.

mod asking;
mod doubts;
mod flows;
mod located;
mod problem;
mod unused;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use dray_delivery::budget::Budgets;
use dray_delivery::presets::{self, Own};
use dray_delivery::share::IN_FLIGHT_DEFAULT;
use dray_delivery::{AccountConfig, Catalogue, FlowConfig, TargetConfig, references};
use serde::{Deserialize, Deserializer};
use toml::de::DeTable;

pub use problem::{At, ConfigError, Problem, Text};

/// Where the configuration stands unless `--config` says otherwise.
pub const CONFIG_DEFAULT: &str = "/etc/dray/collector.toml";
/// The largest configuration file: what a person can have written, with room.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// What all targets may hold, at least and at most.
const IN_FLIGHT_MIN: u64 = 16 * 1024 * 1024;
const IN_FLIGHT_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// The smallest log: one file of the store and the room to start the next.
pub const LOG_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `ca/`, the log, the state and `admin.sock` stand in it.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// Where agents and readers connect.
    #[serde(default = "default_listen", deserialize_with = "address")]
    pub listen: SocketAddr,
    /// What agents dial: DNS names and IP addresses for the server's certificate.
    #[serde(default)]
    pub names: Vec<String>,
    /// Where Prometheus reads; `"off"` for nowhere.
    #[serde(default = "default_metrics", deserialize_with = "address_or_off")]
    pub metrics: Option<SocketAddr>,
    /// How long an agent's certificate is valid.
    #[serde(default = "default_certificate_days")]
    pub certificate_days: u32,
    /// Users, by uid, that may use the commands beside root and the collector's own user.
    #[serde(default, deserialize_with = "uids")]
    pub operators: Vec<u32>,
    /// Where the commands' socket stands; none: `admin.sock` in `data_dir`.
    #[serde(default, rename = "admin_socket")]
    pub socket: Option<PathBuf>,
    /// How much of the log is kept.
    #[serde(default)]
    pub log: LogConfig,
    /// What holds for all targets together.
    #[serde(default)]
    pub delivery: DeliveryConfig,
    /// What targets share.
    #[serde(default, rename = "account")]
    pub accounts: Vec<AccountConfig>,
    /// Who gets events.
    #[serde(default, rename = "target")]
    pub targets: Vec<TargetConfig>,
    /// What is agreed about flows.
    #[serde(default, rename = "flow")]
    pub flows: Vec<FlowConfig>,
    /// How long things may take, by class.
    #[serde(default)]
    pub budgets: Budgets,
    /// Both, as the targets have it.
    #[serde(skip)]
    pub catalogue: Arc<Catalogue>,
    /// What is most likely not meant; it hinders nothing.
    #[serde(skip)]
    pub doubts: Vec<Problem>,
    /// The file and its text.
    #[serde(skip)]
    source: Arc<(PathBuf, String)>,
}

/// `[delivery]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryConfig {
    /// What all targets together hold of events and requests in memory: each has an even share.
    pub in_flight: ByteSize,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            in_flight: ByteSize(IN_FLIGHT_DEFAULT),
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The cap; at it, ingest stops.
    pub bytes_max: ByteSize,
    /// How long events stay that everybody has read.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            bytes_max: ByteSize::gib(50),
            keep: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

fn default_data_dir() -> PathBuf {
    "/var/lib/dray-collector".into()
}
fn default_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7443))
}
fn default_metrics() -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], 9465)))
}
fn default_certificate_days() -> u32 {
    90
}

fn uids<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a uid is a whole number, e.g. 1001")]
    enum Uid {
        Number(u32),
        Name(String),
    }
    let all = Vec::<Uid>::deserialize(input)?;
    let uid = |uid| match uid {
        Uid::Number(uid) => Ok(uid),
        Uid::Name(name) => Err(serde::de::Error::custom(format!(
            "\"{name}\" is no uid; write the number that \"id -u {name}\" prints, e.g. operators = [1001]"
        ))),
    };
    all.into_iter().map(uid).collect()
}

fn address<'de, D: Deserializer<'de>>(input: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(input)?;
    SocketAddr::from_str(&text).map_err(|_| {
        serde::de::Error::custom(format!(
            "\"{text}\" is not an address and a port; write e.g. \"0.0.0.0:7443\" or \"[::]:7443\""
        ))
    })
}

fn address_or_off<'de, D: Deserializer<'de>>(input: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(input)?;
    if text == "off" {
        return Ok(None);
    }
    SocketAddr::from_str(&text).map(Some).map_err(|_| {
        serde::de::Error::custom(format!(
            "\"{text}\" is not an address and a port; write e.g. \"127.0.0.1:9465\", or \"off\""
        ))
    })
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`], with every problem that can be seen at once.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = Self::text(path)?;
        Self::parse(Text::of(path, &text))
    }

    /// A file's text.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`].
    pub fn text(path: &Path) -> Result<String, ConfigError> {
        let unreadable = |reason| ConfigError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > CONFIG_BYTES_MAX {
            let reason =
                format!("{length} bytes are no configuration; at most {CONFIG_BYTES_MAX} are read");
            return Err(unreadable(std::io::Error::other(reason)));
        }
        std::fs::read_to_string(path).map_err(unreadable)
    }

    /// Parses and checks a file's text.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn parse(text: Text<'_>) -> Result<Self, ConfigError> {
        let own = Own::of(text.text, text.file.parent().unwrap_or(Path::new("")));
        let refused = |error| ConfigError::Invalid(vec![text.beneath(&own, None).refused(&error)]);
        let mut root = DeTable::parse(text.text).map_err(refused)?;
        let written = unused::written(root.get_ref());
        let missing = presets::lay_under(root.get_mut(), &own);
        if !missing.is_empty() {
            let text = text.beneath(&own, None);
            let problems = missing.iter().map(|missing| text.unsaid(missing));
            return Err(ConfigError::Invalid(problems.collect()));
        }
        let laid = root.get_ref().clone();
        let unused = unused::of(written, &laid);
        let mut config: Self = presets::of(root).map_err(refused)?;
        let text = text.beneath(&own, Some(&laid));
        let linked = references::link(&mut config.targets);
        let mut problems = config.problems(text);
        problems.extend(linked.into_iter().map(|(index, said)| {
            let name = &config.targets[index].name;
            text.of_target(index, &format!("target {name:?}: {said}"))
        }));
        if problems.is_empty() {
            config.agree();
            config.source = Arc::new((text.file.to_owned(), text.text.to_owned()));
            config.doubts = config.find_doubts(text, &unused);
            Ok(config)
        } else {
            Err(ConfigError::Invalid(problems))
        }
    }

    fn problems(&self, text: Text<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_names(text, &mut problems);
        if !self.data_dir.is_absolute() {
            let what = format!(
                "data_dir \"{}\" is not an absolute path",
                self.data_dir.display()
            );
            problems.push(text.problem(
                &[At::Key("data_dir")],
                what,
                "write the whole path, e.g. \"/var/lib/dray-collector\"",
            ));
        }
        if !(1..=825).contains(&self.certificate_days) {
            let what = format!(
                "certificate_days = {} is out of range",
                self.certificate_days
            );
            problems.push(text.problem(
                &[At::Key("certificate_days")],
                what,
                "write 1 to 825; 90 is the default",
            ));
        }
        if self.log.bytes_max.as_u64() < LOG_BYTES_MIN {
            let what = format!("a log of {} is too small to start in", self.log.bytes_max);
            problems.push(text.problem(
                &[At::Key("log"), At::Key("bytes_max")],
                what,
                "write at least \"64MiB\"; \"50GiB\" is the default",
            ));
        }
        if !(IN_FLIGHT_MIN..=IN_FLIGHT_MAX).contains(&self.delivery.in_flight.as_u64()) {
            let what = format!(
                "in_flight = \"{}\" is out of range",
                self.delivery.in_flight
            );
            problems.push(text.problem(
                &[At::Key("delivery"), At::Key("in_flight")],
                what,
                "write \"16MiB\" to \"64GiB\"; \"128MiB\" is the default",
            ));
        }
        if self
            .metrics
            .is_some_and(|metrics| metrics == self.listen && metrics.port() != 0)
        {
            let what = format!("metrics and listen are both {}", self.listen);
            problems.push(text.problem(
                &[At::Key("metrics")],
                what,
                "give metrics a port of its own, e.g. \"127.0.0.1:9465\", or \"off\"",
            ));
        }
        self.check_socket(text, &mut problems);
        self.check_accounts(text, &mut problems);
        self.check_targets(text, &mut problems);
        self.check_flows(text, &mut problems);
        problems
    }

    /// Operators must reach the socket, and nothing else of the data folder.
    fn check_socket(&self, text: Text<'_>, problems: &mut Vec<Problem>) {
        const WAY_OUT: &str = "write a path in a folder that they may enter, e.g. admin_socket = \"/run/dray-collector/admin.sock\"";
        match &self.socket {
            None if !self.operators.is_empty() => {
                let what = "operators cannot enter data_dir, where the socket stands".to_owned();
                problems.push(text.problem(&[At::Key("operators")], what, WAY_OUT));
            }
            Some(socket) if !socket.is_absolute() => {
                let what = format!(
                    "admin_socket \"{}\" is not an absolute path",
                    socket.display()
                );
                problems.push(text.problem(&[At::Key("admin_socket")], what, WAY_OUT));
            }
            Some(socket) if !self.operators.is_empty() && socket.starts_with(&self.data_dir) => {
                let what = "operators cannot enter data_dir, where admin_socket stands".to_owned();
                problems.push(text.problem(&[At::Key("admin_socket")], what, WAY_OUT));
            }
            _ => {}
        }
    }

    fn check_names(&self, text: Text<'_>, problems: &mut Vec<Problem>) {
        const WAY_OUT: &str = "write what agents dial, without a port, e.g. names = [\"collector.example\", \"10.0.0.5\"]";
        if self.names.is_empty() {
            let what =
                "names is missing: the server's certificate must hold the names that agents dial"
                    .to_owned();
            problems.push(text.problem(&[At::Key("names")], what, WAY_OUT));
        }
        for (index, name) in self.names.iter().enumerate() {
            if !is_host(name) {
                let what = format!("\"{name}\" is neither a DNS name nor an IP address");
                problems.push(text.problem(&[At::Key("names"), At::Index(index)], what, WAY_OUT));
            }
        }
    }

    fn check_accounts(&self, text: Text<'_>, problems: &mut Vec<Problem>) {
        let mut seen = HashSet::new();
        for (index, account) in self.accounts.iter().enumerate() {
            let place = [At::Key("account"), At::Index(index)];
            for sentence in account.validate() {
                problems.push(text.problem(&place, sentence, ""));
            }
            if !seen.insert(&account.name) {
                let what = format!("there are two accounts called \"{}\"", account.name);
                let name = [place[0], place[1], At::Key("name")];
                problems.push(text.problem(&name, what, "targets name it: give each its own"));
            }
        }
        for (index, target) in self.targets.iter().enumerate() {
            if !target.account.is_empty() && !seen.contains(&target.account) {
                let what = format!("there is no account \"{}\"", target.account);
                let place = [At::Key("target"), At::Index(index), At::Key("account")];
                problems.push(text.problem(&place, what, "write an [[account]] of this name"));
            }
        }
    }

    fn check_targets(&self, text: Text<'_>, problems: &mut Vec<Problem>) {
        let mut seen = HashSet::new();
        for (index, target) in self.targets.iter().enumerate() {
            let place = [At::Key("target"), At::Index(index)];
            for sentence in target.validate() {
                problems.push(text.of_target(index, &sentence));
            }
            if !seen.insert(&target.name) {
                let what = format!("there are two targets called \"{}\"", target.name);
                let name = [place[0], place[1], At::Key("name")];
                problems.push(text.problem(
                    &name,
                    what,
                    "a target's cursor goes by its name: give each its own",
                ));
            }
        }
    }

    /// The file that it was read from.
    #[must_use]
    pub fn written(&self) -> Text<'_> {
        Text::of(&self.source.0, &self.source.1)
    }

    /// The CA's folder.
    #[must_use]
    pub fn ca_dir(&self) -> PathBuf {
        self.data_dir.join("ca")
    }

    /// The socket that the commands use.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        match &self.socket {
            Some(socket) => socket.clone(),
            None => self.data_dir.join("admin.sock"),
        }
    }
}

/// Whether a certificate can hold `name`: an IP address, or labels of letters, digits and "-".
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.parse::<std::net::IpAddr>().is_ok()
        || (name.len() <= 253
            && name.split('.').all(label)
            && !name
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

#[cfg(test)]
mod tests;
