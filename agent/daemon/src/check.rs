//! `dray-agent check`: is the configuration right, and is what it names there?

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dray_adapter::{KnownShape, Shape};
use dray_mapping::{Mapper, MappingConfig};

use crate::config::{Config, FlowConfig, Otherwise};
use crate::config_flows::shared;
use crate::{identity, out};

/// How long the collector may take to answer a bare connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A certificate that ends sooner is worth a word.
const ENDS_SOON_S: i64 = 14 * 86_400;

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// A sentence; where it isn't fine, with the way out.
    pub sentence: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Fine,
    /// The agent would run, and somebody should know.
    Warning,
    /// The agent or the flow would not run.
    Wrong,
}

impl Finding {
    /// As it should be.
    #[must_use]
    pub fn fine(sentence: impl Into<String>) -> Self {
        Self {
            level: Level::Fine,
            sentence: sentence.into(),
        }
    }

    /// The agent would run.
    #[must_use]
    pub fn warning(sentence: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            sentence: sentence.into(),
        }
    }

    /// The agent or a flow would not run.
    #[must_use]
    pub fn wrong(sentence: impl Into<String>) -> Self {
        Self {
            level: Level::Wrong,
            sentence: sentence.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.level {
            Level::Fine => '✓',
            Level::Warning => '!',
            Level::Wrong => '✗',
        };
        write!(f, "{sign} {}", self.sentence)
    }
}

/// Runs the command: prints what it finds; 78 if anything is wrong.
#[must_use]
pub fn command(file: &Path) -> ExitCode {
    let findings = match Config::load(file) {
        Ok(config) => look(&config),
        Err(error) => {
            eprintln!("{error}");
            let count = error.mistakes().len();
            out::put(&format!(
                "✗ {}: {count} mistake{}; nothing was started\n",
                file.display(),
                if count == 1 { "" } else { "s" }
            ));
            return ExitCode::from(78);
        }
    };
    for finding in &findings {
        out::put(&format!("{finding}\n"));
    }
    let wrong = findings.iter().any(|finding| finding.level == Level::Wrong);
    ExitCode::from(if wrong { 78 } else { 0 })
}

/// Everything that a configuration names.
#[must_use]
pub fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::fine(format!(
        "{}: site \"{}\", {} flow{}",
        config.file.display(),
        config.site,
        config.flows.len(),
        if config.flows.len() == 1 { "" } else { "s" }
    ))];
    findings.push(data_dir(config));
    for flow in &config.flows {
        let prefixed = |finding: Finding| Finding {
            sentence: format!("flow \"{}\": {}", flow.name.flow(), finding.sentence),
            ..finding
        };
        let own = config.source_dir(&flow.name);
        let checked = flow.source.check(&flow.name, &own);
        let is_wrong = checked.iter().any(|one| one.level == Level::Wrong);
        findings.extend(checked.into_iter().map(prefixed));
        let known = match is_wrong {
            // It may not answer.
            true => Ok(flow.source.shapes().into_iter().map(Into::into).collect()),
            false => flow.source.known(),
        };
        let unfit = match known {
            Ok(known) => unfit(flow, &known),
            Err(reason) => vec![Finding::wrong(reason)],
        };
        findings.extend(unfit.into_iter().map(prefixed));
    }
    findings.extend(one_by_links(config));
    findings.extend(config.metrics.and_then(metrics));
    findings.push(identity(config));
    findings.push(collector(&config.collector));
    findings
}

/// What the mappings ask of records that they don't have, where the configuration, or what is read, tells what those have.
fn unfit(flow: &FlowConfig, known: &[KnownShape]) -> Vec<Finding> {
    let shapes: Vec<&Shape> = known.iter().map(|one| &*one.shape).collect();
    let Ok(mapper) = Mapper::compile(&flow.mappings, flow.schema_version) else {
        return Vec::new();
    };
    let errors = shapes.iter().flat_map(|shape| mapper.check_columns(shape));
    let mut findings: Vec<Finding> = errors
        .map(|error| {
            let field = error.field.unwrap_or_default();
            let reason = error.reason;
            Finding::wrong(format!("mapping {}, {field}: {reason}", error.mapping + 1))
        })
        .collect();
    findings.extend(known.iter().flat_map(|one| without_key(&mapper, one)));
    let types: Vec<&str> = shapes.iter().map(|one| &*one.record_type).collect();
    let typed = types.iter().any(|name| !name.is_empty());
    let wanted = |mapping: &MappingConfig| {
        mapping
            .record_type
            .as_ref()
            .map(|one| one.get_ref().clone())
    };
    for (number, mapping) in flow.mappings.iter().enumerate().filter(|_| typed) {
        if let Some(name) = wanted(mapping).filter(|name| !types.contains(&&**name)) {
            findings.push(Finding::wrong(format!(
                "mapping {}, record_type: no record is a \"{name}\"; they are {}",
                number + 1,
                types.join(", ")
            )));
        }
    }
    for name in types.iter().filter(|name| !name.is_empty()) {
        let takes = |mapping: &MappingConfig| wanted(mapping).is_none_or(|wanted| wanted == **name);
        if flow.otherwise == Otherwise::DeadLetter && !flow.mappings.iter().any(takes) {
            findings.push(Finding::warning(format!(
                "no mapping takes a \"{name}\": each becomes a dead letter; add a [[flow.mapping]] for it, or set otherwise = \"skip\""
            )));
        }
    }
    findings
}

/// Keys that a deleted row does not say: its record can't become an event.
fn without_key(mapper: &Mapper, known: &KnownShape) -> Vec<Finding> {
    let keys = mapper.key_columns(&known.shape).into_iter();
    let unsaid = keys.filter(|(_, name)| known.unsaid_of_deleted.iter().any(|one| one == name));
    let told = unsaid.map(|(mapping, name)| {
        let way_out = match known.way_out.as_str() {
            "" => String::new(),
            way_out => format!(", or {way_out}"),
        };
        Finding::warning(format!(
            "mapping {}, key: of a deleted row of {} the source does not say {name}, so each becomes a dead letter; take a key that it says{way_out}",
            mapping + 1,
            known.shape.record_type
        ))
    });
    told.collect()
}

/// Flows whose folders are one by a link: who reads the configuration alone does not look at the disk.
fn one_by_links(config: &Config) -> Vec<Finding> {
    let found = |folder: &Path| std::fs::canonicalize(folder).ok();
    let is_same = |one: &Path, two: &Path| found(one).is_some_and(|one| found(two) == Some(one));
    let mut findings = Vec::new();
    for (index, flow) in config.flows.iter().enumerate() {
        let mut before = config.flows[..index].iter();
        if let Some(sentence) = before.find_map(|other| shared(other, flow, is_same)) {
            findings.push(Finding::wrong(format!(
                "flow \"{}\": {sentence}",
                flow.name.flow()
            )));
        }
    }
    findings
}

fn data_dir(config: &Config) -> Finding {
    let dir = &config.data_dir;
    let shown = dir.display();
    let existing = dir
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    if !existing.is_dir() {
        return Finding::wrong(format!(
            "data_dir {shown}: {} is not a folder; choose another data_dir",
            existing.display()
        ));
    }
    if let Err(error) = rustix::fs::access(existing, access) {
        return Finding::wrong(format!(
            "data_dir {shown}: this user may not write to {} ({error}); run check as the agent's user, or: chown -R USER {shown}",
            existing.display()
        ));
    }
    if existing == dir {
        Finding::fine(format!("data_dir {shown} can be written"))
    } else {
        Finding::fine(format!("data_dir {shown} will be made"))
    }
}

fn identity(config: &Config) -> Finding {
    match identity::load(config) {
        Ok(identity) => {
            let ends = crate::render::time(identity.ends_s.saturating_mul(1_000_000));
            let sentence = format!(
                "agent {} of site \"{}\", certificate until {ends}",
                identity.agent, identity.site
            );
            if identity.ends_s - crate::flow_state::now_us() / 1_000_000 < ENDS_SOON_S {
                Finding::warning(format!(
                    "{sentence}: soon; enrol again with a new token from \"dray-collector invite {}\"",
                    config.site
                ))
            } else {
                Finding::fine(sentence)
            }
        }
        Err(identity::IdentityError::Missing(sentence)) => Finding::warning(sentence),
        Err(error) => Finding::wrong(error.to_string()),
    }
}

/// Whether the metrics can be served there, where they can't.
fn metrics(listen: SocketAddr) -> Option<Finding> {
    let error = TcpListener::bind(listen).err()?;
    Some(match error.kind() {
        ErrorKind::AddrInUse => Finding::warning(format!(
            "metrics = \"{listen}\" is in use: by this agent, if it runs; otherwise another program has it, and the agent would not start: write another port"
        )),
        _ => Finding::wrong(format!(
            "metrics = \"{listen}\" can't be listened at: {error}; write an address of this machine and a port that is free"
        )),
    })
}

fn collector(address: &str) -> Finding {
    let reached = address.to_socket_addrs().and_then(|addresses| {
        let mut last = Err(std::io::Error::other("the name has no address"));
        for address in addresses {
            last = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
            if last.is_ok() {
                break;
            }
        }
        last
    });
    match reached {
        Ok(_) => Finding::fine(format!("collector {address} answers")),
        Err(error) => Finding::warning(format!(
            "collector {address} can't be reached now ({error}); the agent would buffer until it can. Check name, port and firewalls"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mapping: &str) -> Vec<String> {
        let text = format!(
            "site = \"north\"\ndata_dir = \"/nowhere\"\ncollector = \"localhost:1\"\n\
             [[flow]]\nname = \"shop\"\n[flow.source]\nkind = \"webhook\"\nlisten = \"127.0.0.1:0\"\n\
             [[flow.source.hook]]\nname = \"order\"\nformat = {{ kind = \"json\", record = \"\", fields = {{ ID = \"id\", QTY = \"n\" }} }}\n\
             [[flow.mapping]]\n{mapping}\n"
        );
        let config = Config::parse(Path::new("agent.toml"), &text);
        let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let flow = &config.flows[0];
        let known = flow.source.known().expect("the configuration tells it");
        let findings = unfit(flow, &known).into_iter();
        findings.map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_port_of_the_metrics_that_is_taken_is_told() {
        let held = TcpListener::bind("127.0.0.1:0").expect("a port");
        let listen = held.local_addr().expect("it is bound");
        let found = metrics(listen).expect("it is in use");
        assert_eq!(found.level, Level::Warning);
        assert!(found.sentence.contains("is in use: by this agent"));
        drop(held);
        assert_eq!(metrics(listen), None);
        // Of a documentation network: no machine has it.
        let found = metrics("192.0.2.1:9100".parse().expect("an address"));
        assert_eq!(found.map(|found| found.level), Some(Level::Wrong));
    }

    #[test]
    fn mappings_are_held_against_the_columns_and_types_that_the_source_names() {
        let fine =
            "record_type = \"order\"\nbody = \"generic\"\nkey = \"ID\"\nfields = { \"*\" = \"*\" }";
        assert_eq!(check(fine), [""; 0]);
        let movement =
            "body = \"inventory_movement\"\nkey = \"NO\"\nfields = { quantity = \"QTTY\" }";
        assert_eq!(
            check(movement),
            [
                "✗ mapping 1, key: there is no column NO in the record; it has ID, QTY",
                "✗ mapping 1, quantity: there is no column QTTY in the record; did you mean QTY?"
            ]
        );
        let other =
            "record_type = \"orders\"\nbody = \"generic\"\nkey = \"ID\"\nall_columns = true";
        assert_eq!(
            check(other),
            [
                "✗ mapping 1, record_type: no record is a \"orders\"; they are order",
                "! no mapping takes a \"order\": each becomes a dead letter; add a [[flow.mapping]] for it, or set otherwise = \"skip\""
            ]
        );
    }
}
