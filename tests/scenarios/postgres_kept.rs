//! How much of its log a server keeps for a flow: in the agent's log, its status and its metrics.

use std::thread;

use dray_tests::database::Database as _;
use dray_tests::postgres::Server;
use dray_tests::site::Site;

use crate::postgres_reports::{Watched, flow, insert};
use crate::wait;

/// A figure of the agent's metrics page; `None`: it is not there.
fn figure(site: &Site, name: &str) -> Option<u64> {
    let page = site.metrics_text(0).ok()?;
    let line = page.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ')
        .next()?
        .parse::<f64>()
        .ok()
        .map(|it| it as u64)
}

const KEPT: &str = "dray_agent_source_log_kept_bytes";
const LEFT: &str = "dray_agent_source_log_left_bytes";
const MIB: u64 = 1024 * 1024;

fn status(site: &Site) -> String {
    let told = site.agent_command(&["status"]).expect("it answers");
    String::from_utf8_lossy(&told.stdout).into_owned()
}

/// Some 20 MiB of log that no flow wants.
fn write_much(server: &Server) {
    server.sql("INSERT INTO neighbour SELECT n FROM generate_series(1, 300000) n");
}

#[test]
fn what_the_server_keeps_for_a_flow_is_shown_and_told_when_it_grows_and_when_it_is_well_again() {
    let server = Server::start();
    server.set("max_slot_wal_keep_size", "96MB");
    server.sql("CREATE TABLE neighbour (n bigint)");
    let mut watched = Watched::start("kept", flow(&server, "", ""));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    wait("a figure", || figure(&watched.site, KEPT).is_some());
    let told = status(&watched.site);
    assert!(
        told.contains("of its log for the flow, and drops it after"),
        "{told}"
    );
    // A transaction that stays open: the log from its beginning on must be kept.
    let (client, other) = (server.client(), server.client());
    let open = thread::spawn(move || {
        client("BEGIN; INSERT INTO neighbour VALUES (0); SELECT pg_sleep(600)")
    });
    let is_open = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'BEGIN; INSERT%' AND wait_event = 'PgSleep'";
    wait("it is open", || other(is_open).as_deref() == Ok("1"));
    for _ in 0..3 {
        write_much(&server);
    }
    let agent = watched.site.agent.as_ref().expect("it runs");
    let told = agent.wait_log("the server keeps much of its log");
    let told = told.expect("it is told");
    assert!(told.contains("half of max_slot_wal_keep_size"), "{told}");
    let kept = figure(&watched.site, KEPT).expect("a figure");
    let left = figure(&watched.site, LEFT).expect("a limit");
    assert!(kept > 48 * MIB && left < 64 * MIB, "{kept} and {left}");
    let told = status(&watched.site);
    assert!(
        told.contains("more than half of max_slot_wal_keep_size"),
        "{told}"
    );
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; INSERT%'",
    );
    assert!(open.join().expect("no panic").is_err(), "it was ended");
    wait("it goes", || {
        server.sql("CHECKPOINT");
        figure(&watched.site, KEPT).is_some_and(|kept| kept < 24 * MIB)
    });
    let agent = watched.site.agent.as_ref().expect("it runs");
    agent
        .wait_log("keeps little of its log for the flow again")
        .expect("it is told");
    watched.stop();
}

#[test]
fn what_the_server_keeps_is_watched_while_the_flow_stands_still() {
    let server = Server::start();
    server.set("max_slot_wal_keep_size", "64MB");
    server.sql("CREATE TABLE neighbour (n bigint)");
    let stop = "on_schema_change = \"stop\"";
    let mut watched = Watched::start("stands", flow(&server, "", stop));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    server.sql("ALTER TABLE movement ADD lot text");
    insert(&server, "B");
    let agent = watched.agent();
    agent.wait_log("the flow stopped").expect("it stops");
    for _ in 0..2 {
        write_much(&server);
    }
    agent
        .wait_log("the server keeps much of its log")
        .expect("it is told");
    let told = status(&watched.site);
    assert!(
        told.contains("stopped") && told.contains("more than half of max_slot_wal_keep_size"),
        "{told}"
    );
    // Beyond the limit nothing is left.
    for _ in 0..3 {
        write_much(&server);
    }
    wait("it is dropped", || {
        server.sql("CHECKPOINT");
        figure(&watched.site, LEFT) == Some(0)
    });
}
