//! `dray-collector check`: tries what the configuration names.

use std::fs::{self, OpenOptions};
use std::net::{TcpListener, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use dray_delivery::select::Pattern;
use dray_delivery::{Accounts, Phase, Target, TargetConfig};
use dray_proto::FlowName;

use crate::config::{At, Config, Problem};
use crate::local;
use crate::targets::removed;

/// How long a target may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should be.
    Fine,
    /// It may be mended while the collector runs.
    Warning,
    /// The collector would not start, or could not do this.
    Wrong,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// What was tried, e.g. `listen 0.0.0.0:7443`.
    pub(crate) what: String,
    /// How it went, with the way out.
    pub(crate) said: String,
}

impl Finding {
    fn new(verdict: Verdict, what: impl Into<String>, said: impl Into<String>) -> Self {
        Self {
            verdict,
            what: what.into(),
            said: said.into(),
        }
    }
}

/// Tries everything; waits on disk and network. `sent`: the flows that a collector has which runs with this configuration.
pub(crate) fn try_all(config: &Config, sent: &[FlowName]) -> Vec<Finding> {
    let running = UnixStream::connect(config.admin_socket()).is_ok();
    let mut findings = vec![
        data_dir(&config.data_dir),
        listen("listen", config.listen, running),
    ];
    findings.extend(config.socket.as_deref().map(socket));
    findings.extend(
        config
            .metrics
            .map(|metrics| listen("metrics", metrics, running)),
    );
    findings.extend(left_over(config));
    findings.extend(config.names.iter().map(|name| resolve(name)));
    for account in &config.accounts {
        let files = account.auth.files();
        findings.extend(files.into_iter().map(|(setting, path)| {
            let of = format!("account {}", account.name);
            readable(&of, setting, path)
        }));
    }
    let accounts = Accounts::new(&config.accounts).unwrap_or_else(|said| {
        findings.push(Finding::new(Verdict::Wrong, "", said));
        Accounts::default()
    });
    let unsent = unsent(config, sent);
    findings.extend(config.doubts.iter().chain(&unsent).map(|doubt| {
        let said = doubt.to_string();
        Finding::new(Verdict::Warning, "", said)
    }));
    for (index, target) in config.targets.iter().enumerate() {
        let secrets = secrets(target);
        if secrets
            .iter()
            .all(|finding| finding.verdict == Verdict::Fine)
        {
            let wrong = Target::check(target, &accounts);
            findings.extend(wrong.into_iter().map(|said| {
                let problem = config.written().of_target(index, &said);
                Finding::new(Verdict::Wrong, "", problem.to_string())
            }));
        }
        findings.extend(secrets);
        findings.extend(connect(target));
        findings.extend(shadow_file(target));
    }
    findings
}

/// Flows that are named and that no agent has sent: most likely their names are others.
fn unsent(config: &Config, sent: &[FlowName]) -> Vec<Problem> {
    let is_unsent = |pattern: &&String| {
        let takes = |pattern: Pattern| sent.iter().any(|flow| pattern.takes(flow));
        !sent.is_empty() && Pattern::parse(pattern).is_some_and(|pattern| !takes(pattern))
    };
    let problem = |path: &[At<'_>], pattern: &str| {
        let what = format!("no agent has sent a flow \"{pattern}\" yet");
        let way_out = "\"dray-collector status\" lists those that there are";
        config.written().problem(path, what, way_out)
    };
    let of_targets = config
        .targets
        .iter()
        .enumerate()
        .flat_map(|(index, target)| {
            let path = [At::Key("target"), At::Index(index), At::Key("flows")];
            let unsent = target.flows.iter().filter(is_unsent);
            unsent.map(move |pattern| problem(&path, pattern))
        });
    let agreed = config.flows.iter().enumerate();
    let agreed = agreed.filter(|(_, flow)| is_unsent(&&flow.name));
    let agreed = agreed.map(|(index, flow)| {
        let path = [At::Key("flow"), At::Index(index), At::Key("name")];
        problem(&path, &flow.name)
    });
    of_targets.chain(agreed).collect()
}

fn data_dir(folder: &Path) -> Finding {
    let what = format!("data_dir {}", folder.display());
    let trial = folder.join(".check");
    let tried = fs::create_dir_all(folder)
        .and_then(|()| {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&trial)?
                .sync_all()
        })
        .and_then(|()| fs::remove_file(&trial));
    match tried {
        Ok(()) => Finding::new(Verdict::Fine, what, "can be written"),
        Err(error) => {
            let way_out = "create it, owned by the user that runs the collector";
            Finding::new(
                Verdict::Wrong,
                what,
                format!("cannot be written: {error}; {way_out}"),
            )
        }
    }
}

/// Targets that were taken out of the configuration, and pin the log. What cannot be read is told by [`data_dir`].
fn left_over(config: &Config) -> Vec<Finding> {
    let is_known = |name: &str| config.targets.iter().any(|target| target.name == name);
    let consumers = dray_store::consumers_in(&config.data_dir).unwrap_or_default();
    let targets = consumers
        .iter()
        .filter_map(|consumer| dray_delivery::target_of(consumer));
    targets
        .filter(|name| !is_known(name))
        .map(|name| Finding::new(Verdict::Warning, format!("target {name}"), removed(name)))
        .collect()
}

/// Another socket than the one in `data_dir`: who binds it writes in its folder.
fn socket(path: &Path) -> Finding {
    let what = format!("admin_socket {}", path.display());
    let folder = path.parent().unwrap_or(path);
    let trial = folder.join(".dray-check");
    match fs::File::create(&trial).and_then(|_| fs::remove_file(&trial)) {
        Ok(()) => Finding::new(Verdict::Fine, what, "can be made"),
        Err(error) => Finding::new(Verdict::Wrong, "", local::unbound(path, &error)),
    }
}

fn listen(setting: &str, address: std::net::SocketAddr, running: bool) -> Finding {
    let what = format!("{setting} {address}");
    match TcpListener::bind(address) {
        Ok(_) => Finding::new(Verdict::Fine, what, "is free"),
        Err(error) if running && error.kind() == std::io::ErrorKind::AddrInUse => Finding::new(
            Verdict::Fine,
            what,
            "is in use, by the collector that runs with this data_dir",
        ),
        Err(error) => {
            let way_out = "choose another address or port, or stop what uses it";
            Finding::new(
                Verdict::Wrong,
                what,
                format!("cannot be used: {error}; {way_out}"),
            )
        }
    }
}

fn resolve(name: &str) -> Finding {
    let what = format!("name {name}");
    match (name, 0_u16)
        .to_socket_addrs()
        .map(|mut found| found.next())
    {
        Ok(Some(address)) => {
            Finding::new(Verdict::Fine, what, format!("resolves to {}", address.ip()))
        }
        Ok(None) => Finding::new(
            Verdict::Warning,
            what,
            "resolves to nothing here; it must where the agents are",
        ),
        Err(error) => Finding::new(
            Verdict::Warning,
            what,
            format!("does not resolve here: {error}; it must where the agents are"),
        ),
    }
}

fn secrets(target: &TargetConfig) -> Vec<Finding> {
    let more = [
        ("ca_file", &target.ca_file),
        ("cert_file", &target.cert_file),
        ("key_file", &target.key_file),
    ];
    let named = more
        .into_iter()
        .filter(|(_, path)| !path.as_os_str().is_empty());
    target
        .auth
        .files()
        .into_iter()
        .chain(named)
        .map(|(setting, path)| (setting, path.as_path()))
        .chain(target.secret_files())
        .map(|(setting, path)| readable(&format!("target {}", target.name), setting, path))
        .collect()
}

fn readable(of: &str, setting: &str, path: &Path) -> Finding {
    let what = format!("{of}: {setting} {}", path.display());
    match fs::read(path) {
        Ok(content) if content.trim_ascii().is_empty() => {
            Finding::new(Verdict::Wrong, what, "is empty; write the secret in it")
        }
        Ok(_) => Finding::new(Verdict::Fine, what, "can be read"),
        Err(error) => {
            let way_out = "create it, readable by the user that runs the collector";
            Finding::new(
                Verdict::Wrong,
                what,
                format!("cannot be read: {error}; {way_out}"),
            )
        }
    }
}

/// What the old way sent, where flows in shadow are compared with that.
fn shadow_file(target: &TargetConfig) -> Option<Finding> {
    let path = &target.shadow.file;
    if !target.shadow.has_file() || !target.catalogue.may_have(&target.name, Phase::Shadow) {
        return None;
    }
    let what = format!("target {}: shadow.file {}", target.name, path.display());
    Some(match fs::File::open(path) {
        Ok(_) => Finding::new(Verdict::Fine, what, "can be read"),
        Err(error) => Finding::new(
            Verdict::Warning,
            what,
            format!("cannot be read: {error}; the report of shadow waits for it"),
        ),
    })
}

/// `None`: the target is no server.
fn connect(target: &TargetConfig) -> Option<Finding> {
    let (host, port) = target.server()?;
    let place = match target.url.as_str() {
        "" => format!("{host}:{port}"),
        url => url.to_owned(),
    };
    let what = format!("target {}: {place}", target.name);
    let Err(said) = reach(&host, port) else {
        return Some(Finding::new(Verdict::Fine, what, "accepts a connection"));
    };
    let said = format!("{said}; events wait in the log until it can be reached");
    Some(Finding::new(Verdict::Warning, what, said))
}

fn reach(host: &str, port: u16) -> Result<(), String> {
    let addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("does not resolve: {error}"))?
        .collect();
    let mut last = "resolves to nothing".to_owned();
    for address in addresses {
        match std::net::TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => return Ok(()),
            Err(error) => last = format!("does not accept a connection at {address}: {error}"),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Text;
    use dray_store::{Cursor, Options, SqliteStore, Step, Store as _};

    fn config(more: &str) -> Config {
        let folder = std::env::temp_dir();
        let text = format!(
            "data_dir = \"{}\"\nnames = [\"127.0.0.1\"]\n{more}",
            folder.display()
        );
        Config::parse(Text::of(Path::new("c.toml"), &text)).expect("a configuration")
    }

    fn of<'a>(findings: &'a [Finding], what: &str) -> &'a Finding {
        findings
            .iter()
            .find(|finding| finding.what.contains(what))
            .expect(what)
    }

    #[test]
    fn a_target_that_was_taken_out_is_named_with_the_way_to_let_it_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(Options::in_folder(folder.path())).expect("a store");
        let flow = dray_proto::FlowName::parse("north/stock").expect("a name");
        for target in ["erp", "old-erp"] {
            let step = Step {
                consumer: dray_delivery::consumer(target),
                cursors: vec![(flow.clone(), Cursor::default())],
                ..Step::default()
            };
            store.step(step).wait().expect("it lives").expect("it fits");
        }
        let text = format!(
            "data_dir = \"{}\"\nnames = [\"127.0.0.1\"]\n[[target]]\nname = \"erp\"\nurl = \"http://127.0.0.1:9/\"",
            folder.path().display()
        );
        let config = Config::parse(Text::of(Path::new("c.toml"), &text));
        let left = left_over(&config.expect("a configuration"));
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(
            (left[0].verdict, left[0].what.as_str()),
            (Verdict::Warning, "target old-erp")
        );
        assert!(
            left[0]
                .said
                .contains("dray-collector target detach old-erp")
        );
    }

    fn a_flow_that_no_agent_has_sent_is_warned_of_at_its_line() {
        let config = config(
            "[[target]]\nname = \"erp\"\nurl = \"http://127.0.0.1:9/\"\nflows = [\"north/*\", \"south/stock\"]\n[[flow]]\nname = \"north/stok\"\n[[flow]]\nname = \"*\"\n",
        );
        let sent = [FlowName::new("north", "stock").expect("a name")];
        let found = unsent(&config, &sent);
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.line, found.what.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (6, "no agent has sent a flow \"south/stock\" yet"),
                (8, "no agent has sent a flow \"north/stok\" yet")
            ]
        );
        assert_eq!(unsent(&config, &[]), [], "nobody knows");
    }

    #[test]
    fn a_socket_whose_folder_is_not_there_is_found_before_the_collector_starts() {
        let folder = std::env::temp_dir();
        let more = |socket: &Path| format!("admin_socket = \"{}\"", socket.display());
        let good = try_all(&config(&more(&folder.join("x.sock"))), &[]);
        assert_eq!(of(&good, "admin_socket").verdict, Verdict::Fine);
        let bad = try_all(&config(&more(&folder.join("no/such/x.sock"))), &[]);
        let wrong: Vec<_> = bad
            .iter()
            .filter(|finding| finding.verdict == Verdict::Wrong)
            .map(|finding| finding.said.as_str())
            .filter(|said| said.starts_with("admin_socket "))
            .collect();
        assert_eq!(wrong.len(), 1, "{bad:?}");
        assert!(wrong[0].contains("no/such must be there"), "{wrong:?}");
    }

    #[test]
    fn what_is_in_use_unreadable_or_away_is_found() {
        let bind = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = |listener: &TcpListener| listener.local_addr().expect("bound").port();
        let (taken, free) = (bind(), bind());
        let gone = port(&free);
        drop(free);
        let config = config(&format!(
            "listen = \"127.0.0.1:{}\"\nmetrics = \"127.0.0.1:0\"\n[[target]]\nname = \"erp\"\nurl = \"http://127.0.0.1:{gone}/\"\n[target.auth]\nkind = \"bearer\"\ntoken_file = \"/does/not/exist\"",
            port(&taken)
        ));
        let findings = try_all(&config, &[]);
        assert_eq!(of(&findings, "listen").verdict, Verdict::Wrong);
        assert_eq!(of(&findings, "metrics").verdict, Verdict::Fine);
        assert_eq!(of(&findings, "token_file").verdict, Verdict::Wrong);
        assert_eq!(of(&findings, "http://").verdict, Verdict::Warning);
        assert_eq!(of(&findings, "name 127.0.0.1").verdict, Verdict::Fine);
        for finding in findings
            .iter()
            .filter(|finding| finding.verdict != Verdict::Fine)
        {
            assert!(finding.said.contains(';'), "{finding:?} tells no way out");
        }
    }
}
