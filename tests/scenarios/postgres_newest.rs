//! PostgreSQL 18: what it has more than older servers, and that it is read as they are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use dray_tests::postgres::Server;
use dray_tests::site::{FlowSpec, Site};

use crate::postgres_reports::{Watched, flow, insert};
use crate::{folder, wait};

/// The newest server's programs, installed when they are first needed.
pub(crate) fn newest() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/postgres/install");
        // The server runs as another user, who may not get to where this is built.
        let folder = std::env::temp_dir().join("dray-postgres-peer");
        let made = Command::new(install).arg(&folder).output();
        let made = made.expect("a shell runs");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(
            made.status.success(),
            "PostgreSQL 18 could not be installed: {said}"
        );
        folder.join("server/bin")
    })
}

/// Waits until the follower has the flow's slot, and would keep it if it took over.
pub(crate) fn gets_the_slot(primary: &Server, follower: &Server) {
    wait("the follower has the slot", || {
        // It needs to know which transactions are open, which it is told every 15 seconds otherwise.
        primary.sql("SELECT pg_log_standby_snapshot()");
        follower.sql("SELECT synced AND NOT temporary AND invalidation_reason IS NULL FROM pg_replication_slots WHERE slot_name = 'dray_movements'") == "t"
    });
}

#[test]
fn a_slot_that_nobody_used_for_too_long_is_told_as_such() {
    let server = Server::start_from(newest());
    let mut watched = Watched::start("idle-slot", flow(&server, "", ""));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    watched.stop();
    insert(&server, "B");
    server.set("idle_replication_slot_timeout", "1s");
    wait("the slot is lost", || {
        server.sql("CHECKPOINT");
        server.sql("SELECT invalidation_reason FROM pg_replication_slots WHERE slot_name = 'dray_movements'") == "idle_timeout"
    });
    watched.start_again();
    let told = watched.agent().wait_log("the flow stopped");
    let told = told.expect("it stops");
    assert!(told.contains("idle_replication_slot_timeout"), "{told}");
    watched.stop();
    watched.write(
        "[[flow.source.table]]",
        "on_gap = \"load-again\"\n[[flow.source.table]]",
    );
    server.set("idle_replication_slot_timeout", "0");
    watched.start_again();
    watched.reads();
    insert(&server, "C");
    watched.row("C");
    assert_eq!(
        watched.told(),
        [
            "first ",
            "create A",
            "gap log_dropped loads_again",
            "read A",
            "read B",
            "create C"
        ]
    );
}

/// What `check` says of a flow, good or bad.
fn checked(flow: FlowSpec) -> String {
    let folder = folder("check");
    let site = Site::lay_out(folder.path(), &[flow], "").expect("a site");
    match site.agent_command(&["check"]) {
        Ok(told) => String::from_utf8_lossy(&told.stdout).into_owned(),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn check_says_what_a_failover_lacks_and_a_slot_that_is_there_is_let_to_standbys() {
    let settled = "unlimited_wal = true\n";
    let failover = "unlimited_wal = true\nfailover = true\n";
    let old = Server::start();
    let told = checked(flow(&old, failover, ""));
    assert!(told.contains("needs PostgreSQL 17 or later"), "{told}");
    let told = checked(flow(&old, settled, ""));
    assert!(!told.contains("standby"), "{told}");
    drop(old);

    let mut primary = Server::start_from(newest());
    let plain = checked(flow(&primary, settled, ""));
    assert!(!plain.contains("standby"), "{plain}");
    let follower = primary.follower();
    let told = checked(flow(&primary, settled, ""));
    assert!(
        told.contains("the server has standbys (slots follower)")
            && told.contains("write failover = true"),
        "{told}"
    );
    let told = checked(flow(&primary, failover, ""));
    assert!(
        told.contains("SET synchronized_standby_slots = 'follower'"),
        "{told}"
    );
    primary.set("synchronized_standby_slots", "follower");
    let told = checked(flow(&primary, failover, ""));
    assert!(!told.contains("synchronized_standby_slots"), "{told}");

    // Made without: where the agent may not make slots it is named, and where it may it is done.
    let mut watched = Watched::start("let", flow(&primary, "", ""));
    watched.reads();
    watched.stop();
    let told = checked(flow(&primary, &format!("{failover}create = false\n"), ""));
    assert!(
        told.contains("ALTER_REPLICATION_SLOT \"dray_movements\" (FAILOVER true)"),
        "{told}"
    );
    watched.write(
        "[[flow.source.table]]",
        "failover = true\n[[flow.source.table]]",
    );
    watched.start_again();
    gets_the_slot(&primary, &follower);
}

#[test]
fn on_postgresql_18_what_is_committed_arrives_once_and_in_order_whoever_is_killed() {
    crate::postgres::arrives_once(Server::start_from(newest()));
}

#[test]
fn on_postgresql_18_what_was_there_comes_once_and_before_what_is_written_meanwhile() {
    crate::postgres::what_was_there_comes_once(&Server::start_from(newest()));
}

#[test]
fn on_postgresql_18_every_type_is_what_the_documentation_says() {
    crate::postgres::types_are_as_documented(&Server::start_from(newest()));
}
