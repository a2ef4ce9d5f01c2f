//! What is said of PostgreSQL besides rows: shapes of tables and signs of life; and what the flow does about them.

use std::collections::BTreeSet;

use dray_tests::daemon::Daemon;
use dray_tests::postgres::Server;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use serde_json::Value;
use tempfile::TempDir;

use crate::logs::as_it_is;
use crate::{PATIENCE, folder, target_table, wait};

/// A flow of movements as they are, with more settings of its source and of its table.
pub(crate) fn flow(server: &Server, source: &str, table: &str) -> FlowSpec {
    let head = "[[flow.source.table]]\nname = \"public.movement\"\n";
    let settings = server.source("public.movement");
    FlowSpec {
        source: settings.replace(head, &format!("{source}\n{head}{table}\n")),
        mapping: as_it_is("public.movement"),
        ..server.flow()
    }
}

/// A site with a target that takes all rows, and one that takes what is said besides.
pub(crate) struct Watched {
    pub(crate) site: Site,
    pub(crate) rows: Target,
    pub(crate) said: Target,
    flow: FlowSpec,
    _folder: TempDir,
}

impl Watched {
    pub(crate) fn start(name: &str, flow: FlowSpec) -> Self {
        let folder = folder(name);
        let (rows, said) = (Target::start(false), Target::start(false));
        let (rows, said) = (rows.expect("a target"), said.expect("a target"));
        let chosen = "bodies = [\"source_gap\", \"schema_change\", \"heartbeat\"]";
        let targets =
            target_table("rows", &rows.url(), "") + &target_table("said", &said.url(), chosen);
        let site = Site::start(folder.path(), std::slice::from_ref(&flow), &targets);
        Self {
            site: site.expect("a site"),
            rows,
            said,
            flow,
            _folder: folder,
        }
    }

    pub(crate) fn agent(&mut self) -> &mut Daemon {
        self.site.agent.as_mut().expect("it runs")
    }

    pub(crate) fn stop(&mut self) {
        self.agent().terminate().expect("it ends");
    }

    pub(crate) fn start_again(&mut self) {
        self.site.start_agent().expect("an agent");
    }

    /// Waits until the agent reads the log: what is written from then on comes from there.
    pub(crate) fn reads(&mut self) {
        self.agent().wait_log("the log is read").expect("it is");
    }

    /// Writes other settings into the flow's source.
    pub(crate) fn write(&mut self, old: &str, new: &str) {
        let file = self.site.agent_config();
        let text = std::fs::read_to_string(&file).expect("a file");
        assert!(text.contains(old), "{text}");
        std::fs::write(&file, text.replace(old, new)).expect("a file");
        self.flow.source = self.flow.source.replace(old, new);
    }

    /// Waits for a row.
    pub(crate) fn row(&self, number: &str) {
        wait(number, || {
            self.rows.arrivals().iter().any(|one| one.key == number)
        });
    }

    /// All that stands in the log, in words.
    pub(crate) fn told(&self) -> Vec<String> {
        let events = self.site.log_events().expect("the log");
        events.iter().map(shown).collect()
    }
}

fn shown(event: &Value) -> String {
    let data = &event["data"];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    match event["type"].as_str() {
        Some("source_gap") => format!("gap {} {}", text(&data["reason"]), text(&data["course"])),
        Some("schema_change") => {
            let none = Vec::new();
            let differences = data["differences"].as_array().unwrap_or(&none).iter();
            let told: Vec<_> = differences.map(|one| text(&one["sentence"])).collect();
            format!("{} {}", text(&data["seen"]), told.join("; "))
        }
        Some("heartbeat") => "heartbeat".into(),
        _ => {
            let fields = &data["fields"];
            format!("{} {}", text(&fields["_op"]), text(&fields["number"]))
        }
    }
}

pub(crate) fn insert(server: &Server, number: &str) {
    server.sql(&format!(
        "INSERT INTO movement (number, sku) VALUES ('{number}', 'X')"
    ));
}

#[test]
fn a_table_that_is_altered_is_told_before_its_first_row_of_the_new_shape() {
    let server = Server::start();
    insert(&server, "A");
    let mut watched = Watched::start("shape", flow(&server, "", ""));
    watched.row("A");
    watched.reads();
    insert(&server, "B");
    let mut expected = vec![
        "first ".to_owned(),
        "read A".to_owned(),
        "create B".to_owned(),
    ];
    let rounds = [
        ("ADD lot text", "column lot was added"),
        ("DROP location", "column location was dropped"),
        (
            "RENAME lot TO batch",
            "column lot is called batch now, or was dropped and batch added",
        ),
        (
            "ALTER quantity TYPE numeric(14,3)",
            "column quantity was numeric(12,3) and is numeric(14,3)",
        ),
        (
            "DROP CONSTRAINT movement_pkey, ADD PRIMARY KEY (number, sku)",
            "its rows are told apart by other columns",
        ),
    ];
    for (round, (alter, sentence)) in rounds.into_iter().enumerate() {
        watched.row(
            expected
                .last()
                .and_then(|row| row.split(' ').nth(1))
                .expect("a row"),
        );
        // Every other one while the agent is away.
        let is_away = round % 2 == 1;
        if is_away {
            watched.stop();
            insert(&server, &format!("away {round}"));
            expected.push(format!("create away {round}"));
        }
        server.sql(&format!("ALTER TABLE movement {alter}"));
        insert(&server, &format!("N{round}"));
        if is_away {
            watched.start_again();
        }
        expected.push(format!("changed {sentence}"));
        expected.push(format!("create N{round}"));
    }
    watched.row("N4");
    assert_eq!(watched.told(), expected);
    // A restart repeats nothing; and what was altered without a row of the old shape behind it is told too.
    watched.stop();
    server.sql("ALTER TABLE movement ADD last text");
    insert(&server, "Z");
    watched.start_again();
    watched.row("Z");
    let told = watched.told();
    let last = &told[expected.len()..];
    assert_eq!(last, ["changed column last was added", "create Z"]);
}

#[test]
fn a_flow_that_is_to_stop_stops_before_the_first_row_of_another_shape_and_goes_on_when_it_is_let() {
    let server = Server::start();
    let stop = "on_schema_change = \"stop\"";
    let mut watched = Watched::start("stop", flow(&server, "", stop));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    insert(&server, "B");
    server.sql("ALTER TABLE movement ADD lot text");
    insert(&server, "C");
    let told = watched.agent().wait_log("the flow stopped");
    let told = told.expect("it stops");
    assert!(told.contains("column lot was added"), "{told}");
    watched.row("B");
    let (_, rest) = told
        .split_once("accepted_schema = \\\"")
        .expect("the way out");
    let print = rest.split('\\').next().expect("a print").to_owned();
    watched.agent().kill().expect("a kill");
    watched.start_again();
    watched
        .agent()
        .wait_log("the flow stopped")
        .expect("it stops again");
    watched.stop();
    assert_eq!(watched.told(), ["first ", "create A", "create B"]);
    watched.write(stop, &format!("{stop}\naccepted_schema = \"{print}\""));
    watched.start_again();
    watched.row("C");
    let told = watched.told();
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told[3].starts_with("changed "), "{told:?}");
    assert_eq!(told[4], "create C");
    let events = watched.site.log_events().expect("the log");
    let fingerprint = events[3]["data"]["fingerprint"].as_str();
    assert!(
        fingerprint.is_some_and(|whole| whole.starts_with(&print)),
        "{}: {print}",
        events[3]
    );
}

#[test]
fn a_flow_that_has_nothing_to_say_says_that_it_lives() {
    let server = Server::start();
    let mut watched = Watched::start("beats", flow(&server, "heartbeat_every = \"1s\"", ""));
    watched.reads();
    assert!(
        watched.said.wait(PATIENCE, |events| events >= 2),
        "it says so again and again"
    );
    watched.agent().kill().expect("a kill");
    watched.start_again();
    insert(&server, "A");
    watched.row("A");
    let before = watched.said.events();
    assert!(
        watched.said.wait(PATIENCE, |events| events >= before + 2),
        "and goes on"
    );
    let events = watched.site.log_events().expect("the log");
    let beats: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "heartbeat")
        .collect();
    let ids: BTreeSet<_> = beats.iter().map(|beat| beat["id"].as_str()).collect();
    assert_eq!(ids.len(), beats.len(), "no two are one");
    for beat in &beats {
        let data = &beat["data"];
        for field in ["position", "end", "heard_at"] {
            assert!(data[field].is_string(), "{field}: {beat}");
        }
    }
    assert_eq!(watched.rows.events(), 1, "others are not told");
}

#[test]
fn a_wrong_password_and_a_database_that_is_not_there_stand_in_the_status() {
    let server = Server::start();
    for (old, new, expected) in [
        ("user = \"dray\"", "user = \"nobody\"", "password_file"),
        (
            "database = \"wms\"",
            "database = \"erp\"",
            "look at database",
        ),
    ] {
        let folder = folder("refused");
        let flow = server.flow();
        let flow = FlowSpec {
            source: flow.source.replace(old, new),
            ..flow
        };
        let site = Site::start(folder.path(), &[flow], "").expect("a site");
        wait(expected, || {
            let told = site.agent_command(&["status"]).expect("it answers");
            String::from_utf8_lossy(&told.stdout).contains(expected)
        });
    }
}
