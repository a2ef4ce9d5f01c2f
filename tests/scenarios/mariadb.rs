//! MariaDB's binary log, of a private server of each test.

use std::collections::BTreeMap;

use dray_tests::mariadb::Server;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use tempfile::TempDir;

use crate::logs::{arrives_whoever_is_killed, as_it_is, numbers, reads_some, rows_of};
use crate::{PATIENCE, folder, is_small, soak, target_table, these_arrive_whole, wait};

/// A site that reads the server's log, and its target.
pub(crate) fn site(server: &Server, folder: &TempDir) -> (Site, Target) {
    of_flow(server, folder, server.flow())
}

pub(crate) fn of_flow(server: &Server, folder: &TempDir, flow: FlowSpec) -> (Site, Target) {
    let erp = Target::start(false).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[flow], &table).expect("a site");
    wait("the log is read", || is_streaming(server));
    (site, erp)
}

/// Whether a replica reads the server's log.
pub(crate) fn is_streaming(server: &Server) -> bool {
    server.sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'")
        != "0"
}

/// A flow that reads this table as it is.
pub(crate) fn plain_flow(server: &Server, table: &str) -> FlowSpec {
    FlowSpec {
        source: server.source(&format!("wms.{table}")),
        mapping: as_it_is(&format!("wms.{table}")),
        ..server.flow()
    }
}

#[test]
fn what_is_committed_arrives_once_and_in_order_whoever_is_killed() {
    let mut server = Server::start();
    let folder = folder("maria");
    let (mut site, erp) = site(&server, &folder);
    arrives_whoever_is_killed(&mut server, &mut site, &erp);
}

#[test]
fn a_transaction_that_is_rolled_back_says_nothing_and_a_long_one_comes_in_parts() {
    let server = Server::start();
    let folder = folder("maria-long");
    let (mut site, erp) = site(&server, &folder);
    server.sql("BEGIN; INSERT INTO wms.movement (number, sku) VALUES ('MV9999999999', 'X'); ROLLBACK; BEGIN; SAVEPOINT a; INSERT INTO wms.movement (number, sku) VALUES ('MV9999999998', 'X'); ROLLBACK TO a; COMMIT");
    let rows = if soak() { 1_000_000 } else { 200_000 };
    server.insert(0..rows);
    for _ in 0..3 {
        let before = erp.events();
        wait("some more come", || {
            erp.events() > before || erp.events() == rows
        });
        let agent = site.agent.as_mut().expect("it runs");
        agent.kill().expect("a kill");
        site.start_agent().expect("an agent");
    }
    these_arrive_whole(
        &site,
        &erp,
        &numbers(0..rows),
        "one transaction, killed within it",
    );
    is_small(&site);
}

#[test]
fn the_log_goes_on_in_other_files_and_after_a_restart_of_the_server() {
    let mut server = Server::start();
    let folder = folder("maria-files");
    let (site, erp) = site(&server, &folder);
    for round in 0..5 {
        server.insert(round * 10..round * 10 + 10);
        match round {
            3 => {
                server.stop();
                server.start_again(&[]);
            }
            _ => drop(server.sql("FLUSH BINARY LOGS")),
        }
    }
    these_arrive_whole(&site, &erp, &numbers(0..50), "rotation and restart");
}

#[test]
fn what_was_there_comes_once_and_before_what_is_written_meanwhile() {
    let (before, kills) = if soak() {
        (2_000_000, 20)
    } else {
        (240_000, 3)
    };
    let server = Server::start();
    server.insert(0..before);
    let folder = folder("maria-first");
    let erp = Target::start(false).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let mut site = Site::start(folder.path(), &[server.flow()], &table).expect("a site");
    for _ in 0..kills {
        reads_some(&site, before / (kills + 3));
        let agent = site.agent.as_mut().expect("it runs");
        agent.kill().expect("a kill");
        assert!(
            !is_streaming(&server),
            "it was killed while it read what was there"
        );
        site.start_agent().expect("an agent");
    }
    wait("the log is read", || is_streaming(&server));
    server.insert(before..before + 500);
    these_arrive_whole(
        &site,
        &erp,
        &numbers(0..before + 500),
        "a first load, killed again and again",
    );
}

#[test]
fn after_a_first_load_beside_writers_the_log_says_what_the_table_has() {
    let rows: u64 = 60_000;
    let server = Server::start();
    // One with a key of two columns, one without a key.
    server.sql("CREATE TABLE wms.stock (number varchar(20), lot varchar(9) CHARSET latin1, quantity bigint, note text, PRIMARY KEY (lot, number)) CHARSET utf8mb4 COLLATE utf8mb4_unicode_ci; CREATE TABLE wms.later (number varchar(20), lot varchar(9), quantity bigint, note text)");
    for table in ["stock", "later"] {
        server.sql(&format!("INSERT INTO wms.{table} SELECT CONCAT('{table}', seq), ELT(1 + seq % 7, '1', '2', '3', 'Zt', 'Ärmel', 'Ölfilter', 'Öse'), 0, IF(seq % 100 = 0, REPEAT('n', 3000), NULL) FROM wms.seq_1_to_{rows}"));
    }
    let folder = folder("maria-equal");
    let erp = Target::start(false).expect("a target");
    let source = server.source("wms.stock") + "[[flow.source.table]]\nname = \"wms.later\"\n";
    let flow = FlowSpec {
        source,
        mapping: as_it_is("wms.stock") + &as_it_is("wms.later"),
        ..server.flow()
    };
    let targets = target_table("erp", &erp.url(), "");
    let mut site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    for round in 0..4 {
        reads_some(&site, rows / 8);
        let agent = site.agent.as_mut().expect("it runs");
        agent.kill().expect("a kill");
        for table in ["stock", "later"] {
            server.sql(&format!(
                "UPDATE wms.{table} SET quantity = quantity + 1 WHERE CRC32(number) % 6 = {round}; DELETE FROM wms.{table} WHERE number LIKE '%7{round}1'; INSERT INTO wms.{table} VALUES ('{table} new {round}', {round}, 7, 'new')"
            ));
        }
        site.start_agent().expect("an agent");
    }
    server.sql("INSERT INTO wms.stock VALUES ('last', 0, 0, NULL)");
    wait("the last row comes", || {
        erp.arrivals().iter().any(|arrival| arrival.key == "last")
    });
    let mut found: BTreeMap<String, [String; 2]> = BTreeMap::new();
    for event in site.log_records().expect("the log") {
        let data = &event["data"]["fields"];
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        match data["_op"].as_str() {
            Some("delete") => drop(found.remove(&text("number"))),
            _ => drop(found.insert(text("number"), [text("quantity"), text("note")])),
        }
    }
    let mut table = BTreeMap::new();
    for name in ["stock", "later"] {
        let rows = server.sql(&format!(
            "SELECT number, quantity, COALESCE(note, '') FROM wms.{name}"
        ));
        for line in rows.lines() {
            let mut cells = line.split('\t').map(str::to_owned);
            let mut cell = || cells.next().expect("three columns");
            table.insert(cell(), [cell(), cell()]);
        }
    }
    assert_eq!(found.len(), table.len());
    for (number, row) in &table {
        assert_eq!(found.get(number), Some(row), "{number}");
    }
}

#[test]
fn rows_that_the_server_packs_are_read() {
    let server = Server::with(&["--log-bin-compress=ON", "--log-bin-compress-min-len=10"]);
    let folder = folder("maria-packed");
    let (site, erp) = site(&server, &folder);
    server.insert(0..1_000);
    these_arrive_whole(&site, &erp, &numbers(0..1_000), "packed rows");
    let newest = server.sql("SHOW BINLOG EVENTS LIMIT 100");
    assert!(newest.contains("Write_rows_compressed_v1"), "{newest}");
}

/// Each event's operation and fields, as the log has them.
fn told(site: &Site, names: &[&str]) -> Vec<String> {
    let events = site.log_records().expect("the log");
    let line = |event: &serde_json::Value| {
        let fields = &event["data"]["fields"];
        let text = |name: &&str| fields[*name].as_str().unwrap_or("-").to_owned();
        names.iter().map(text).collect::<Vec<_>>().join(" ")
    };
    events.iter().map(line).collect()
}

#[test]
fn what_a_partial_row_does_not_say_is_unchanged() {
    let server = Server::with(&["--binlog-row-image=MINIMAL"]);
    server.sql("CREATE TABLE wms.stock (number varchar(9) PRIMARY KEY, quantity int, note text)");
    let folder = folder("maria-minimal");
    let flow = plain_flow(&server, "stock");
    let (site, erp) = of_flow(&server, &folder, flow);
    server.sql("INSERT INTO wms.stock VALUES ('A', 1, 'n'); UPDATE wms.stock SET quantity = 2; DELETE FROM wms.stock");
    assert!(erp.wait(PATIENCE, |events| events == 3), "{}", erp.events());
    let names = [
        "_op",
        "number",
        "quantity",
        "note",
        "before.number",
        "before.quantity",
    ];
    assert_eq!(
        told(&site, &names),
        ["create A 1 n - -", "update A 2 - A -", "delete A - - A -"]
    );
    let checked = site.agent_command(&["check"]).expect("it is good");
    let checked = [checked.stdout, checked.stderr].concat();
    let checked = String::from_utf8_lossy(&checked);
    assert!(checked.contains("binlog_row_image is MINIMAL"), "{checked}");
}

#[test]
fn tables_may_change_between_rows() {
    let server = Server::start();
    server.sql("CREATE TABLE wms.stock (number varchar(9) PRIMARY KEY, quantity int)");
    let folder = folder("maria-ddl");
    let flow = plain_flow(&server, "stock");
    let (site, erp) = of_flow(&server, &folder, flow);
    server.sql("INSERT INTO wms.stock VALUES ('A', 1); ALTER TABLE wms.stock ADD lot varchar(3) FIRST, RENAME COLUMN quantity TO qty; INSERT INTO wms.stock VALUES ('L1', 'B', 2); ALTER TABLE wms.stock DROP lot; INSERT INTO wms.stock VALUES ('C', 3)");
    // Others, which are not read.
    server.sql("CREATE TABLE wms.copied AS SELECT * FROM wms.stock; CREATE TEMPORARY TABLE wms.passing AS SELECT * FROM wms.stock; INSERT INTO wms.passing VALUES ('T', 0); DROP TABLE wms.passing; CREATE SEQUENCE wms.numbers; SELECT NEXTVAL(wms.numbers); ANALYZE TABLE wms.stock; CREATE OR REPLACE VIEW wms.shown AS SELECT 1");
    // As tools that change tables online do.
    server.sql("CREATE TABLE wms._new LIKE wms.stock; ALTER TABLE wms._new MODIFY qty decimal(9,2); INSERT INTO wms._new SELECT * FROM wms.stock; RENAME TABLE wms.stock TO wms._old, wms._new TO wms.stock; INSERT INTO wms.stock VALUES ('D', 4)");
    assert!(erp.wait(PATIENCE, |events| events == 4), "{}", erp.events());
    assert_eq!(
        told(&site, &["number", "quantity", "qty", "lot"]),
        ["A 1 - -", "B - 2 L1", "C - 3 -", "D - 4.00 -"]
    );
}

#[test]
fn keys_that_change_tables_without_a_key_and_truncation_come_as_they_are() {
    let server = Server::start();
    server.sql("CREATE TABLE wms.plain (number varchar(9), sku varchar(9)); INSERT INTO wms.plain VALUES ('P1', 'A'), ('P1', 'A')");
    server.insert(0..1);
    let folder = folder("maria-keys");
    let source = server.source("wms.movement") + "[[flow.source.table]]\nname = \"wms.plain\"\n";
    let flow = FlowSpec {
        source,
        mapping: as_it_is("wms.movement") + &as_it_is("wms.plain"),
        ..server.flow()
    };
    let (site, erp) = of_flow(&server, &folder, flow);
    assert!(erp.wait(PATIENCE, |events| events == 3), "they are loaded");
    server.sql("INSERT INTO wms.plain VALUES ('P2', 'B'); UPDATE wms.movement SET number = 'MV-NEW'; DELETE FROM wms.movement; TRUNCATE TABLE wms.movement; USE wms; TRUNCATE plain");
    server.insert(1..2);
    assert!(erp.wait(PATIENCE, |events| events == 7), "{}", erp.events());
    wait("the truncations are logged", || {
        site.log_records().is_ok_and(|events| events.len() == 9)
    });
    let mut told = told(&site, &["_op", "number", "before.number"]);
    told.sort();
    assert_eq!(
        told,
        [
            "create MV0000000001 -",
            "create P2 -",
            "delete MV-NEW MV-NEW",
            "read MV0000000000 -",
            "read P1 -",
            "read P1 -",
            "truncate - -",
            "truncate - -",
            "update MV-NEW MV0000000000",
        ]
    );
}

#[test]
fn a_row_that_no_event_can_hold_is_a_dead_letter_and_the_next_ones_come() {
    let server = Server::start();
    server.sql("CREATE TABLE wms.stock (number varchar(9) PRIMARY KEY, note longtext)");
    let folder = folder("maria-large");
    let flow = plain_flow(&server, "stock");
    let (site, erp) = of_flow(&server, &folder, flow);
    server.sql("INSERT INTO wms.stock VALUES ('A', REPEAT('n', 20 * 1024 * 1024)); INSERT INTO wms.stock VALUES ('B', REPEAT('n', 1024 * 1024)); INSERT INTO wms.stock VALUES ('C', 'n')");
    assert!(erp.wait(PATIENCE, |events| events == 2), "{}", erp.events());
    let events = site.log_records().expect("the log");
    let dead = events.iter().filter(|event| event["type"] == "dead_letter");
    assert_eq!(dead.count(), 1);
}

#[test]
fn every_type_is_what_the_documentation_says_by_first_load_and_by_log() {
    let rows = rows_of(
        include_str!("../../docs/change-logs.md"),
        "| MariaDB type | SQL | record |",
    );
    assert!(rows.len() > 50, "{} types", rows.len());
    let server = Server::start();
    let columns = (1..).zip(&rows);
    let columns = columns.fold(String::new(), |all, (at, [kind, ..])| {
        format!("{all}, v{at} {kind}")
    });
    let values = rows
        .iter()
        .fold(String::new(), |all, [_, sql, _]| format!("{all}, {sql}"));
    let insert = |number: u32| {
        server.sql(&format!(
            "SET sql_mode = ''; SET time_zone = '+00:00'; INSERT INTO wms.everything VALUES ('{number}'{values})"
        ))
    };
    server.sql(&format!(
        "SET sql_mode = ''; CREATE TABLE wms.everything (number varchar(9) PRIMARY KEY{columns}) CHARSET utf8mb4"
    ));
    insert(1);
    let folder = folder("maria-types");
    let erp = Target::start(true).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let flow = plain_flow(&server, "everything");
    let site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    assert!(erp.wait(PATIENCE, |events| events == 1), "it is loaded");
    wait("the log is read", || is_streaming(&server));
    insert(2);
    assert!(erp.wait(PATIENCE, |events| events == 2), "it is streamed");
    let events = site.log_records().expect("the log");
    let ops: Vec<_> = events
        .iter()
        .map(|event| &event["data"]["fields"]["_op"])
        .collect();
    assert_eq!(ops, ["read", "create"], "{events:?}");
    let mut wrong = Vec::new();
    for event in &events {
        let fields = &event["data"]["fields"];
        for (at, [kind, sql, expected]) in (1..).zip(&rows) {
            let found = fields[format!("v{at}")].as_str().unwrap_or_default();
            if found != *expected {
                wrong.push(format!("{} {kind} {sql}: {found}", fields["_op"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let all = site.log_events().expect("the log");
    let shapes = all.iter().filter(|event| event["type"] == "schema_change");
    let shapes: Vec<_> = shapes.collect();
    assert_eq!(
        shapes.len(),
        1,
        "load and log say the same of each: {shapes:#?}"
    );
}

#[test]
fn a_flow_that_began_without_a_first_load_has_what_was_written_while_its_agent_was_away() {
    let server = Server::start();
    server.insert(0..10);
    let folder = folder("maria-late");
    let flow = FlowSpec {
        source: server
            .source("wms.movement")
            .replace("kind =", "first_load = false\nkind ="),
        ..server.flow()
    };
    let (mut site, erp) = of_flow(&server, &folder, flow);
    let agent = site.agent.as_mut().expect("it runs");
    agent.kill().expect("a kill");
    server.insert(10..20);
    site.start_agent().expect("an agent");
    these_arrive_whole(&site, &erp, &numbers(10..20), "what was written meanwhile");
}
