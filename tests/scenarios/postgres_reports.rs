//! What is said of PostgreSQL besides rows: gaps, shapes of tables, signs of life; and what the flow does about them.

use std::collections::BTreeSet;

use dray_tests::daemon::Daemon;
use dray_tests::postgres::Server;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use serde_json::Value;
use tempfile::TempDir;

use crate::logs::{as_it_is, reads_some};
use crate::postgres::is_streaming;
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

const MAKE_ANEW: &str = "SELECT pg_drop_replication_slot('dray_movements'); SELECT pg_create_logical_replication_slot('dray_movements', 'pgoutput')";
const DROP: &str = "SELECT pg_drop_replication_slot('dray_movements')";

/// Makes the server drop the log that the flow's slot was to keep.
fn lose(server: &Server) {
    server.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
    server.sql("SELECT pg_reload_conf()");
    server.sql("CREATE TABLE neighbour (n bigint)");
    wait("the log is dropped", || {
        server.sql("INSERT INTO neighbour SELECT n FROM generate_series(1, 1000) n");
        server.sql("SELECT pg_switch_wal()");
        server.sql("CHECKPOINT");
        server.sql("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'dray_movements'")
            == "lost"
    });
}

fn breaks(reason: &str, server: &Server) {
    match reason {
        "slot_remade" => drop(server.sql(MAKE_ANEW)),
        "slot_gone" => drop(server.sql(DROP)),
        _ => lose(server),
    }
}

/// The agent is ended, a row is written that is not to be had from the log any more, and it is started again.
fn over_a_gap(policy: &str, reason: &str, dies_at: Option<&str>) -> Vec<String> {
    let server = Server::start();
    let mut watched = Watched::start(reason, flow(&server, &format!("on_gap = \"{policy}\""), ""));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    watched.stop();
    wait("the slot is free", || !is_streaming(&server));
    insert(&server, "B");
    breaks(reason, &server);
    if let Some(edge) = dies_at {
        watched.site.environment = vec![("DRAY_KILL_AT".into(), edge.into())];
        watched.start_again();
        let ended = watched.agent().wait_end(PATIENCE).expect("it ends");
        assert!(ended.is_some(), "it is killed at {edge}");
        watched.site.environment.clear();
    }
    watched.start_again();
    watched.reads();
    insert(&server, "C");
    watched.row("C");
    assert!(
        watched.said.wait(PATIENCE, |events| events == 2),
        "the first shape and the gap are told"
    );
    watched.told()
}

#[test]
fn behind_a_gap_a_flow_goes_on_and_says_what_is_missing() {
    for reason in ["slot_remade", "slot_gone", "log_dropped"] {
        let told = over_a_gap("go-on", reason, None);
        let gap = format!("gap {reason} went_on");
        assert_eq!(told, ["first ", "create A", &gap, "create C"], "{reason}");
    }
}

#[test]
fn behind_a_gap_a_flow_loads_all_tables_again_and_joins_them_to_the_log() {
    for reason in ["slot_remade", "slot_gone", "log_dropped"] {
        let told = over_a_gap("load-again", reason, None);
        let gap = format!("gap {reason} loads_again");
        assert_eq!(
            told,
            ["first ", "create A", &gap, "read A", "read B", "create C"],
            "{reason}"
        );
    }
}

#[test]
fn a_gap_within_a_first_load_has_it_begin_anew_so_that_no_row_is_missing() {
    let rows = 60_000;
    let server = Server::start();
    server.insert(0..rows);
    let mut watched = Watched::start("within", flow(&server, "on_gap = \"go-on\"", ""));
    reads_some(&watched.site, rows / 6);
    watched.agent().kill().expect("a kill");
    assert!(!is_streaming(&server), "it was killed while it loaded");
    server.sql(MAKE_ANEW);
    watched.start_again();
    watched.reads();
    insert(&server, "last");
    watched.row("last");
    let told = watched.told();
    let reads: BTreeSet<_> = told
        .iter()
        .filter(|told| told.starts_with("read "))
        .collect();
    assert_eq!(reads.len() as u64, rows);
    let gaps: Vec<_> = told
        .iter()
        .filter(|told| told.starts_with("gap "))
        .collect();
    assert_eq!(gaps, ["gap slot_remade loads_again"]);
}

#[test]
fn a_gap_is_told_once_wherever_the_agent_is_killed_meanwhile() {
    for edge in [
        "buffer.before_write",
        "buffer.before_sync",
        "buffer.before_receipts",
    ] {
        let told = over_a_gap("go-on", "slot_remade", Some(edge));
        assert_eq!(
            told,
            ["first ", "create A", "gap slot_remade went_on", "create C"],
            "{edge}"
        );
        // The slot that was lost is made again before the report is on disk: what is found then is another reason.
        let told = over_a_gap("load-again", "log_dropped", Some(edge));
        let (gaps, rest): (Vec<_>, Vec<_>) = told.iter().partition(|told| told.starts_with("gap "));
        assert_eq!(gaps.len(), 1, "{edge}: {told:?}");
        let rest: Vec<_> = rest.iter().map(|told| told.as_str()).collect();
        let expected = ["first ", "create A", "read A", "read B", "create C"];
        assert_eq!(rest, expected, "{edge}: {told:?}");
    }
}

#[test]
fn a_lost_slot_that_the_agent_may_not_make_stops_the_flow_with_the_statements() {
    let server = Server::start();
    let mut watched = Watched::start("lost", flow(&server, "on_gap = \"go-on\"", ""));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    watched.stop();
    lose(&server);
    watched.write("on_gap = \"go-on\"", "on_gap = \"go-on\"\ncreate = false");
    watched.start_again();
    let told = watched
        .agent()
        .wait_log("the flow stopped")
        .expect("it stops");
    assert!(
        told.contains("pg_drop_replication_slot('dray_movements')"),
        "{told}"
    );
    watched.stop();
    server.sql(MAKE_ANEW);
    watched.start_again();
    watched.reads();
    insert(&server, "C");
    watched.row("C");
    assert_eq!(
        watched.told(),
        ["first ", "create A", "gap slot_remade went_on", "create C"]
    );
}

#[test]
fn another_server_is_a_gap_as_well() {
    let (server, other) = (Server::start(), Server::start());
    let mut watched = Watched::start("other", flow(&server, "on_gap = \"load-again\"", ""));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    watched.stop();
    insert(&other, "B");
    let port = |server: &Server| server.source("").lines().nth(2).map(str::to_owned);
    let (old, new) = (port(&server), port(&other));
    watched.write(&old.expect("a port"), &new.expect("a port"));
    watched.start_again();
    watched.reads();
    insert(&other, "C");
    watched.row("C");
    assert_eq!(
        watched.told(),
        [
            "first ",
            "create A",
            "gap other_server loads_again",
            "read B",
            "create C"
        ]
    );
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
