//! Where a part of PostgreSQL's log is gone: what the flow says, and does about it.

use std::collections::BTreeSet;

use dray_tests::postgres::Server;

use crate::logs::reads_some;
use crate::postgres::is_streaming;
use crate::postgres_reports::{Watched, flow, insert};
use crate::{PATIENCE, wait};

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
fn at_a_gap_a_flow_stops_in_words_where_nobody_says_otherwise() {
    for (reason, words) in [
        ("slot_remade", "was made anew, or another reader used it"),
        ("slot_gone", "is gone, and with it what changed after"),
        ("log_dropped", "max_slot_wal_keep_size is smaller"),
    ] {
        let server = Server::start();
        let mut watched = Watched::start(reason, flow(&server, "", ""));
        watched.reads();
        insert(&server, "A");
        watched.row("A");
        watched.stop();
        wait("the slot is free", || !is_streaming(&server));
        insert(&server, "B");
        breaks(reason, &server);
        watched.start_again();
        let told = watched.agent().wait_log("the flow stopped");
        let told = told.expect("it stops");
        assert!(
            told.contains(words) && told.contains("write on_gap = "),
            "{told}"
        );
        assert_eq!(watched.told(), ["first ", "create A"], "{reason}");
    }
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
    let (server, other) = (Server::start(), Server::another());
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
