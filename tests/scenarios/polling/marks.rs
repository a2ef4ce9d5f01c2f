//! Rows that are marked or deleted once they are appended.

use dray_tests::site::Site;

use super::databases::{By, Database};
use super::{MAPPING, arrived, flow, kill_agent, numbers, site, table_insert};
use crate::{folder, these_arrive_whole, wait};

const MARK: &str = "mode = \"mark-processed\"\nprocessed = { column = \"state\", unread = \"N\", done = \"P\" }\nversion = \"version\"";
const DELETE: &str = "mode = \"delete-after-read\"";

/// The agent is killed after it appended rows and before it could mark them, because somebody holds them. `hold` writes the rows 1 to 1,500
/// as well.
fn killed_before_it_marks(
    table: &Database,
    by: By,
    mode: &str,
    hold: impl FnOnce(),
    release: impl FnOnce(),
) {
    let folder = folder("mark");
    let (mut site, erp) = site(&table.moved(by, mode), MAPPING, &folder);
    let agent = site.agent.as_ref().expect("it runs");
    agent.wait_log("the table is read").expect("it may mark");
    hold();
    arrived(&erp, 100, "a page is appended");
    kill_agent(&mut site);
    let left = "SELECT COUNT(*) FROM moved WHERE state = 'N'";
    assert_eq!(table.ask(left), "1500", "nothing is marked");
    release();
    site.start_agent().expect("an agent");
    wait("all are marked", || table.ask(left) == "0");
    table.insert(2_001..2_101);
    let expected = numbers((1..1_501).chain(2_001..2_101));
    let what = format!("killed before it marked, {by:?} {mode}");
    these_arrive_whole(&site, &erp, &expected, &what);
    wait("all are marked", || table.ask(left) == "0");
    let kept = if mode.contains("delete") { "0" } else { "1600" };
    assert_eq!(table.ask("SELECT COUNT(*) FROM moved"), kept);
}

const MARKS: [(By, &str); 4] = [
    (By::ItsOwnDriver, MARK),
    (By::Odbc, MARK),
    (By::ItsOwnDriver, DELETE),
    (By::Odbc, DELETE),
];

#[test]
fn rows_of_a_file_are_marked_or_deleted_once_they_are_appended() {
    for (by, mode) in MARKS {
        let folder = folder("mark-sqlite");
        let table = Database::sqlite(&folder);
        // Nobody else gets in between.
        let hold = || {
            table.run(&format!(
                "{}COMMIT; BEGIN IMMEDIATE",
                table_insert(1, 1_500)
            ));
        };
        killed_before_it_marks(&table, by, mode, hold, || table.run("COMMIT"));
    }
}

#[test]
fn rows_of_postgresql_are_marked_or_deleted_once_they_are_appended() {
    for (by, mode) in MARKS {
        let table = Database::postgres();
        table.run("GRANT UPDATE (state), DELETE ON moved TO dray");
        // Whoever marks a row waits here, while one is held elsewhere.
        table.run("CREATE TABLE gate (n integer); INSERT INTO gate VALUES (1); CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN UPDATE gate SET n = n + 1; RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END; END $$; CREATE TRIGGER pass BEFORE UPDATE OR DELETE ON moved FOR EACH ROW EXECUTE FUNCTION pass()");
        table.begin("hold", "UPDATE gate SET n = 0");
        let hold = || table.insert(1..1_501);
        let release = || {
            gone(
                &table,
                "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'dray'",
                "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'dray'",
            );
            table.end("hold", false);
        };
        killed_before_it_marks(&table, by, mode, hold, release);
    }
}

/// A server goes on with what a client that is dead asked for: its session must end as well.
fn gone(table: &Database, end: &str, count: &str) {
    table.run(end);
    wait("the dead agent's session ends", || table.ask(count) == "0");
}

#[test]
fn rows_of_mariadb_are_marked_or_deleted_once_they_are_appended() {
    for (by, mode) in MARKS {
        let table = Database::maria();
        table.run("GRANT UPDATE, DELETE ON wms.moved TO dray@'127.0.0.1'");
        table.run("CREATE TABLE wms.gate (n integer); INSERT INTO wms.gate VALUES (1); CREATE TRIGGER wms.pass BEFORE UPDATE ON wms.moved FOR EACH ROW UPDATE wms.gate SET n = n + 1; CREATE TRIGGER wms.pass_too BEFORE DELETE ON wms.moved FOR EACH ROW UPDATE wms.gate SET n = n + 1");
        table.begin("hold", "UPDATE wms.gate SET n = 0");
        let hold = || table.insert(1..1_501);
        let release = || {
            gone(
                &table,
                "KILL USER dray",
                "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'dray'",
            );
            table.end("hold", false);
        };
        killed_before_it_marks(&table, by, mode, hold, release);
    }
}

#[test]
fn a_row_that_changed_before_it_could_be_marked_comes_again_as_what_it_is() {
    let folder = folder("version");
    let table = Database::postgres();
    table.run("GRANT UPDATE (state) ON moved TO dray");
    table.insert(1..3);
    // Both are seen as they were, and one of them can't be marked before it is another.
    table.begin(
        "next",
        "UPDATE moved SET version = 2, number = 'MV0000000009' WHERE id = 1",
    );
    let (_site, erp) = site(&table.moved(By::ItsOwnDriver, MARK), MAPPING, &folder);
    arrived(&erp, 2, "both are appended");
    table.end("next", true);
    arrived(&erp, 3, "its next version comes");
    let numbers: Vec<_> = erp.arrivals().into_iter().map(|one| one.number).collect();
    assert_eq!(numbers, ["MV0000000001", "MV0000000002", "MV0000000009"]);
    wait("all are marked", || {
        table.ask("SELECT COUNT(*) FROM moved WHERE state = 'N'") == "0"
    });
}

#[test]
fn who_may_not_mark_reads_nothing_and_is_told_the_statement() {
    let postgres = Database::postgres();
    let maria = Database::maria();
    let on_postgres = "GRANT UPDATE (\"state\") ON \"moved\" TO dray;";
    let on_maria = "GRANT UPDATE (`state`) ON `wms`.`moved` TO `dray`@`127.0.0.1`;";
    postgres.insert(1..10);
    maria.insert(1..10);
    for (table, by, expected) in [
        (&postgres, By::ItsOwnDriver, on_postgres),
        (&postgres, By::Odbc, on_postgres),
        (&maria, By::ItsOwnDriver, on_maria),
        (&maria, By::Odbc, on_maria),
    ] {
        let folder = folder("read-only");
        let source = table.moved(by, MARK);
        let (site, erp) = site(&source, MAPPING, &folder);
        let agent = site.agent.as_ref().expect("it runs");
        agent.wait_log("rows can't be marked").expect("it says so");
        let told = format!(
            "{:#}",
            site.agent_command(&["check"]).expect_err("it is wrong")
        );
        assert!(told.contains(expected), "{told}");
        assert_eq!(erp.events(), 0);
    }
    let folder = folder("no-grant");
    postgres.run("REVOKE SELECT ON moved FROM dray");
    let place = folder.path().join("site");
    std::fs::create_dir_all(&place).expect("a folder");
    let source = postgres.moved(By::ItsOwnDriver, "mode = \"overlap\"");
    let site = Site::lay_out(&place, &[flow(&source, MAPPING)], "").expect("a site");
    let told = format!(
        "{:#}",
        site.agent_command(&["check"]).expect_err("it is wrong")
    );
    assert!(
        told.contains("GRANT SELECT ON \"moved\" TO dray;"),
        "{told}"
    );
}
