//! Calls over SOAP, by programs of other libraries: see `tests/peers/soap`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use dray_tests::site::{FlowSpec, Site, free_port};
use dray_tests::target::Target;
use dray_tests::wms::{self, Asked, Style};
use rand::RngExt as _;

use crate::{PATIENCE, folder, kill_one, soak, target_table, these_arrive_whole};

/// The clients, and whether a client of this library sends messages over a connection of each.
const CLIENTS: [&str; 5] = ["zeep", "suds", "node", "gsoap", "jaxws"];
pub(crate) const MOVEMENTS: u64 = 3;

pub(crate) const ANSWER: &str = "<PutMovementsResponse xmlns=\"urn:example:wms\"><Accepted>{{ records }}</Accepted></PutMovementsResponse>";

/// Movements of a message arrive in their order, under its number.
const MAPPING: &str = r#"
[[flow.mapping]]
record_type = "PutMovements"
body = "inventory_movement"
key = "BATCH"
[flow.mapping.fields]
movement_number = { from = "MOVE_NO", required = true }
item_number = "SKU"
location = "LOC"
quantity = "QTY"
reference = { expr = "(rec.MOVE_NO | split('-'))[2]" }
moved_at = { from = "TS", format = "iso8601" }
[[flow.mapping]]
record_type = "ReportShipment"
body = "generic"
key = "SHIP_NO"
fields = { "*" = "*" }
"#;

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/soap")
}

/// The programs, made when they are first needed.
pub(crate) fn programs() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("soap-peers");
        let made = Command::new(peers().join("install")).arg(&folder).output();
        let made = made.expect("a shell runs");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(
            made.status.success(),
            "the SOAP peers could not be made: {said}"
        );
        folder.join("bin")
    })
}

/// A site whose agent is called.
pub(crate) struct Called {
    pub(crate) site: Site,
    pub(crate) erp: Target,
    pub(crate) port: u16,
    pub(crate) url: String,
}

/// What a site is called by.
pub(crate) struct Endpoint<'a> {
    /// One of `tests/peers/soap`.
    pub(crate) wsdl: &'a str,
    pub(crate) scheme: &'a str,
    /// Lines of `[flow.source]`.
    pub(crate) source: &'a str,
    /// The template of an answer.
    pub(crate) answer: &'a str,
}

impl Called {
    fn start(folder: &Path) -> Self {
        let endpoint = Endpoint {
            wsdl: "wms.wsdl",
            scheme: "http",
            source: &wms::endpoint(Style::Document, ""),
            answer: ANSWER,
        };
        Self::start_at(folder, &endpoint)
    }

    pub(crate) fn start_at(folder: &Path, endpoint: &Endpoint<'_>) -> Self {
        fs::copy(peers().join(endpoint.wsdl), folder.join("wms.wsdl")).expect("the WSDL");
        fs::write(folder.join("answer.xml"), endpoint.answer).expect("a file");
        let erp = Target::start(false).expect("a target");
        let port = free_port().expect("a port");
        let flow = FlowSpec {
            name: "calls".into(),
            source: endpoint
                .source
                .replace("PORT", &port.to_string())
                .replace("FOLDER", &folder.display().to_string()),
            format: String::new(),
            mapping: MAPPING.into(),
            timeliness: "normal",
        };
        let target = target_table("erp", &erp.url(), "");
        let site = Site::start(folder, &[flow], &target).expect("a site");
        let called = Self {
            site,
            erp,
            port,
            url: format!("{}://127.0.0.1:{port}/wms?wsdl", endpoint.scheme),
        };
        called.wait_listening();
        called
    }

    fn wait_listening(&self) {
        let agent = self.site.agent.as_ref().expect("it runs");
        agent.wait_log("listening").expect("it listens");
    }

    fn push(&self, program: &Path, first: u64, count: u64) -> Child {
        let mut command = push(program, &self.url, first, count);
        command.spawn().expect("it starts")
    }
}

/// A client that sends so many messages, and what it says kept.
pub(crate) fn push(program: &Path, url: &str, first: u64, count: u64) -> Command {
    let arguments = [first, count, MOVEMENTS].map(|number| number.to_string());
    let mut command = Command::new(program);
    command.arg(url).args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A client's last word, once it is done.
pub(crate) fn sent(name: &str, child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = &complaint[complaint.len().saturating_sub(2_000)..];
    assert!(output.status.success(), "{name}: {said} {complaint}");
    said
}

pub(crate) fn numbers(
    client: &str,
    messages: std::ops::Range<u64>,
) -> impl Iterator<Item = String> {
    let each = move |message| (1..=MOVEMENTS).map(move |movement| (message, movement));
    messages
        .flat_map(each)
        .map(move |(message, movement)| format!("{client}-{message}-{movement}"))
}

#[test]
fn soap_01_five_real_clients_push_and_every_message_arrives_once() {
    let messages = if soak() { 1_000 } else { 200 };
    let bin = programs();
    let folder = folder("soap");
    let called = Called::start(folder.path());
    let push = |name: &str| called.push(&bin.join(format!("push_{name}")), 0, messages);
    let children = CLIENTS.map(|name| (name, push(name)));
    for (name, child) in children {
        let said = sent(name, child);
        println!("{name}: {said}");
        assert!(
            said.starts_with(&format!("sent {messages} ")),
            "{name}: {said}"
        );
    }
    let all: Vec<String> = CLIENTS
        .iter()
        .flat_map(|name| numbers(name, 0..messages))
        .collect();
    these_arrive_whole(&called.site, &called.erp, &all, "five clients");
}

#[test]
fn soap_02_kill_9_before_the_answer_and_a_client_that_tries_again_is_taken_once() {
    let bin = programs();
    let folder = folder("soap-kill");
    let mut called = Called::start(folder.path());
    called
        .site
        .agent
        .as_mut()
        .expect("it runs")
        .kill()
        .expect("a kill");
    let rounds = if soak() { 10 } else { 3 };
    for round in 0..rounds {
        let passing = rand::rng().random_range(1..=5);
        called.site.environment = vec![(
            "DRAY_KILL_AT".into(),
            format!("soap.before_answer:{passing}"),
        )];
        called.site.start_agent().expect("an agent");
        called.wait_listening();
        let children = ["zeep", "gsoap", "jaxws"].map(|name| {
            (
                name,
                called.push(&bin.join(format!("push_{name}")), round * 20, 20),
            )
        });
        let mut agent = called.site.agent.take().expect("it runs");
        agent.wait_end(PATIENCE).expect("it dies at its edge");
        called.site.environment.clear();
        called.site.start_agent().expect("an agent");
        for (name, child) in children {
            println!("{name}: {}", sent(name, child));
        }
        called
            .site
            .agent
            .as_mut()
            .expect("it runs")
            .kill()
            .expect("a kill");
    }
    called.site.start_agent().expect("an agent");
    let clients = ["zeep", "gsoap", "jaxws"];
    let all: Vec<String> = clients
        .iter()
        .flat_map(|name| numbers(name, 0..rounds * 20))
        .collect();
    these_arrive_whole(&called.site, &called.erp, &all, "deaths before answers");
}

const REQUEST: &str = "<ListMovements xmlns=\"urn:example:wms\"><Since>{{ watermark }}</Since>\
{% if token %}<Page>{{ token }}</Page>{% endif %}<PageSize>{{ page_size }}</PageSize></ListMovements>";

const MAPPING_ASKED: &str = r#"
[[flow.mapping]]
body = "inventory_movement"
key = "SKU"
[flow.mapping.fields]
movement_number = { from = "MOVE_NO", required = true }
item_number = "SKU"
quantity = "QTY"
reference = { expr = "(rec.MOVE_NO | split('-'))[1]" }
moved_at = { from = "TS", format = "iso8601" }
"#;

/// A service that is asked. It is killed with its value.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service of one of the libraries, and where it listens.
fn serve(name: &str, movements: u64) -> (Service, u16) {
    let mut command = Command::new(programs().join(format!("serve_{name}")));
    command.arg("0").env("TOTAL", movements.to_string());
    command.env("FAULTS", "3:Server,6:empty,9:html");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let out = child.stdout.as_mut().expect("it was asked for");
    BufReader::new(out).read_line(&mut line).expect("a line");
    let port = line
        .trim()
        .strip_prefix("listening ")
        .and_then(|port| port.parse().ok());
    (
        Service(child),
        port.unwrap_or_else(|| panic!("{name} says {line}")),
    )
}

#[test]
fn soap_14_real_services_are_asked_by_pages_across_faults_and_kills_and_each_record_comes_once() {
    let movements: u64 = if soak() { 3_000 } else { 300 };
    for (name, path) in [("spyne", "/"), ("node", "/movements")] {
        let folder = folder("soap-poll");
        let (_service, port) = serve(name, movements);
        fs::write(folder.path().join("list.xml"), REQUEST).expect("a file");
        let erp = Target::start(false).expect("a target");
        let action = match name {
            "spyne" => "ListMovements",
            _ => "urn:example:wms/ListMovements",
        };
        let asked = Asked {
            action,
            every: "1s",
            record: "w:Movements/w:Movement",
            watermark: "start = \"2000-01-01T00:00:00Z\"",
            page: 7,
        };
        let flow = FlowSpec {
            name: "asked".into(),
            source: asked
                .table()
                .replace("URL", &format!("http://127.0.0.1:{port}{path}"))
                .replace("FOLDER", &folder.path().display().to_string()),
            format: String::new(),
            mapping: MAPPING_ASKED.into(),
            timeliness: "normal",
        };
        let target = target_table("erp", &erp.url(), "");
        let mut site = Site::start(folder.path(), &[flow], &target).expect("a site");
        for kill in 1..=3 {
            let reached = erp.wait(PATIENCE, |events| events >= kill * movements / 5);
            assert!(reached, "{name}: stuck at {}", erp.events());
            kill_one(&mut site, 1.0);
        }
        let all: Vec<String> = (1..=movements)
            .map(|number| format!("mv-{number:06}"))
            .collect();
        these_arrive_whole(&site, &erp, &all, name);
    }
}

#[test]
fn soap_06_the_served_description_makes_clients_by_wsdl2h_and_wsimport() {
    programs();
    let folder = folder("soap-wsdl");
    let called = Called::start(folder.path());
    for name in ["gsoap", "jaxws"] {
        let made = folder.path().join(name);
        let script = peers().join(format!("{name}_from_wsdl"));
        let output = Command::new(script).arg(&called.url).arg(&made).output();
        let output = output.expect("a shell runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        let child = called.push(&made.join(format!("push_{name}")), 0, 10);
        assert!(sent(name, child).starts_with("sent 10 "), "{name}");
    }
    let all: Vec<String> = ["gsoap", "jaxws"]
        .iter()
        .flat_map(|name| numbers(name, 0..10))
        .collect();
    these_arrive_whole(
        &called.site,
        &called.erp,
        &all,
        "clients made from the served WSDL",
    );
}
