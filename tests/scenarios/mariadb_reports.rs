//! What is said of MariaDB besides rows: gaps, shapes of tables, signs of life; and what the flow does about them.

use dray_tests::mariadb::Server;
use dray_tests::site::FlowSpec;

use crate::logs::as_it_is;
use crate::mariadb::is_streaming;
use crate::postgres_reports::Watched;
use crate::{PATIENCE, wait};

/// A flow of movements as they are, with more settings of its source and of its table.
fn flow(server: &Server, source: &str, table: &str) -> FlowSpec {
    let head = "[[flow.source.table]]\nname = \"wms.movement\"\n";
    let settings = server.source("wms.movement");
    FlowSpec {
        source: settings.replace(head, &format!("{source}\n{head}{table}\n")),
        mapping: as_it_is("wms.movement"),
        ..server.flow()
    }
}

fn insert(server: &Server, number: &str) {
    server.sql(&format!(
        "INSERT INTO wms.movement (number, sku) VALUES ('{number}', 'X')"
    ));
}

/// Drops the log so far.
fn purge(server: &Server) {
    server.sql("FLUSH BINARY LOGS");
    insert(server, "newer");
    server.sql("FLUSH BINARY LOGS");
    let newest = server.sql("SHOW MASTER STATUS");
    let newest = newest.split('\t').next().expect("a file");
    server.sql(&format!("PURGE BINARY LOGS TO '{newest}'"));
}

/// A flow that is started where the log behind its place is dropped.
fn behind_a_gap() -> (Server, Watched) {
    let server = Server::start();
    let mut watched = Watched::start("maria-gap", flow(&server, "", ""));
    wait("the log is read", || is_streaming(&server));
    insert(&server, "A");
    watched.row("A");
    watched.stop();
    insert(&server, "gone");
    purge(&server);
    watched.start_again();
    (server, watched)
}

#[test]
fn at_a_gap_the_flow_stops_or_does_what_its_policy_says_and_says_it_once() {
    for (policy, expected) in [
        (
            "go-on",
            &["first -", "create A", "gap log_dropped went_on", "create B"][..],
        ),
        (
            "load-again",
            &[
                "first -",
                "create A",
                "gap log_dropped loads_again",
                "read A",
                "read gone",
                "read newer",
                "create B",
            ],
        ),
    ] {
        let (server, mut watched) = behind_a_gap();
        let told = watched.agent().wait_log("the flow stopped");
        let told = told.expect("it stops");
        assert!(told.contains("write on_gap = "), "{told}");
        assert_eq!(watched.told().len(), 2, "the shape and the row");
        watched.stop();
        watched.write(
            "kind = \"mariadb\"",
            &format!("on_gap = \"{policy}\"\nkind = \"mariadb\""),
        );
        watched.start_again();
        watched.reads();
        // Once more, as if nothing had been told.
        watched.agent().kill().expect("a kill");
        watched.start_again();
        wait("the log is read", || is_streaming(&server));
        insert(&server, "B");
        watched.row("B");
        let told: Vec<_> = watched
            .told()
            .iter()
            .map(|told| told.trim().to_owned())
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|told| told.trim_end_matches(" -").to_owned())
            .collect();
        assert_eq!(told, expected, "{policy}");
        let came = watched.said.wait(PATIENCE, |events| events == 2);
        assert!(came, "what is said comes to who wants it");
    }
}

#[test]
fn how_a_table_changes_is_said_before_its_first_row_also_while_the_agent_is_away() {
    let server = Server::start();
    let mut watched = Watched::start("maria-shapes", flow(&server, "", ""));
    wait("the log is read", || is_streaming(&server));
    insert(&server, "A");
    server.sql("ALTER TABLE wms.movement ADD lot varchar(9)");
    insert(&server, "B");
    watched.row("B");
    watched.stop();
    server
        .sql("ALTER TABLE wms.movement MODIFY quantity decimal(14,3), RENAME COLUMN lot TO batch");
    insert(&server, "C");
    watched.start_again();
    watched.row("C");
    let told: Vec<_> = watched
        .told()
        .iter()
        .map(|told| told.trim().to_owned())
        .collect();
    assert_eq!(
        told,
        [
            "first",
            "create A",
            "changed column lot was added",
            "create B",
            "changed column quantity was decimal(12,3) and is decimal(14,3); column lot is called batch now, or was dropped and batch added",
            "create C",
        ]
    );
}

#[test]
fn a_flow_that_is_to_stop_at_other_shapes_stops_before_the_row_and_goes_on_when_it_is_accepted() {
    let server = Server::start();
    let table = "on_schema_change = \"stop\"";
    let mut watched = Watched::start("maria-strict", flow(&server, "", table));
    wait("the log is read", || is_streaming(&server));
    insert(&server, "A");
    server.sql("ALTER TABLE wms.movement ADD lot varchar(9)");
    insert(&server, "B");
    let told = watched
        .agent()
        .wait_log("the flow stopped")
        .expect("it stops");
    let (_, rest) = told
        .split_once("accepted_schema = \\\"")
        .expect("the way out");
    let print = rest.split('\\').next().expect("a print").to_owned();
    assert_eq!(watched.rows.events(), 1);
    watched.stop();
    watched.write(table, &format!("{table}\naccepted_schema = \"{print}\""));
    watched.start_again();
    watched.row("B");
}

#[test]
fn a_flow_that_has_nothing_says_that_it_lives() {
    let server = Server::start();
    let watched = Watched::start("maria-beats", flow(&server, "heartbeat_every = \"1s\"", ""));
    assert!(
        watched.said.wait(PATIENCE, |events| events >= 2),
        "it says so"
    );
    let told = watched.told();
    assert!(told.iter().all(|told| told == "heartbeat"), "{told:?}");
    let beat = watched.site.log_events().expect("the log").remove(0);
    assert_eq!(beat["data"]["position"], beat["data"]["end"], "{beat}");
}

#[test]
fn a_table_that_takes_the_name_of_another_is_said_and_what_comes_then_comes() {
    let server = Server::start();
    let mut watched = Watched::start("maria-renamed", flow(&server, "", ""));
    wait("the log is read", || is_streaming(&server));
    insert(&server, "A");
    watched.row("A");
    server.sql("CREATE TABLE wms.new LIKE wms.movement; INSERT INTO wms.new (number, sku) VALUES ('before', 'X'); RENAME TABLE wms.movement TO wms.old, wms.new TO wms.movement");
    insert(&server, "B");
    watched.row("B");
    let told = watched.agent().wait_log("a table took this name (RENAME)");
    let told = told.expect("it is said");
    assert!(
        told.contains("wms.movement") && told.contains("dray-agent load-again"),
        "{told}"
    );
    assert_eq!(watched.told(), ["first ", "create A", "create B"]);
}
