//! PostgreSQL's log, of a private server of each test.

use std::collections::BTreeMap;

use dray_tests::postgres::Server;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use tempfile::TempDir;

use crate::logs::{arrives_whoever_is_killed, as_it_is, numbers, reads_some, rows_of};
use crate::{
    PATIENCE, certificates, folder, is_small, kill_one, soak, target_table, these_arrive_whole,
    wait,
};

/// A site that reads the server's log, and its target.
fn site(server: &Server, folder: &TempDir) -> (Site, Target) {
    let erp = Target::start(false).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[server.flow()], &table).expect("a site");
    wait("the log is read", || is_streaming(server));
    (site, erp)
}

/// Whether the flow's slot is streamed from: until what was there is read it is not. While it is made it is in use too.
pub(crate) fn is_streaming(server: &Server) -> bool {
    server.sql("SELECT EXISTS (SELECT FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = 'dray_movements' AND r.state <> 'startup')") == "t"
}

#[test]
fn what_is_committed_arrives_once_and_in_order_whoever_is_killed() {
    arrives_once(Server::start());
}

pub(crate) fn arrives_once(mut server: Server) {
    let folder = folder("log");
    let (mut site, erp) = site(&server, &folder);
    arrives_whoever_is_killed(&mut server, &mut site, &erp);
}

#[test]
fn a_transaction_that_is_rolled_back_says_nothing_and_a_long_one_comes_in_parts() {
    let server = Server::start();
    let folder = folder("long");
    let (site, erp) = site(&server, &folder);
    server.sql("BEGIN; INSERT INTO movement (number, sku) VALUES ('MV9999999999', 'X'); ROLLBACK; BEGIN; SAVEPOINT a; INSERT INTO movement (number, sku) VALUES ('MV9999999998', 'X'); ROLLBACK TO a; COMMIT");
    let rows = if soak() { 1_000_000 } else { 100_000 };
    server.insert(0..rows);
    these_arrive_whole(&site, &erp, &numbers(0..rows), "one transaction");
    is_small(&site);
}

#[test]
fn what_was_there_comes_once_and_before_what_is_written_meanwhile() {
    what_was_there_comes_once(&Server::start());
}

pub(crate) fn what_was_there_comes_once(server: &Server) {
    let (before, kills) = if soak() {
        (2_000_000, 20)
    } else {
        (240_000, 3)
    };
    server.insert(0..before);
    let folder = folder("first");
    let erp = Target::start(false).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let mut site = Site::start(folder.path(), &[server.flow()], &table).expect("a site");
    let mut sent = before;
    for _ in 0..kills {
        reads_some(&site, before / (kills + 3));
        let agent = site.agent.as_mut().expect("it runs");
        agent.kill().expect("a kill");
        assert!(
            !is_streaming(server),
            "it was killed while it read what was there"
        );
        server.insert(sent..sent + 500);
        sent += 500;
        site.start_agent().expect("an agent");
    }
    these_arrive_whole(
        &site,
        &erp,
        &numbers(0..sent),
        "a first load, killed again and again beside a writer",
    );
}

#[test]
fn after_a_first_load_beside_writers_the_log_says_what_the_table_has() {
    let rows: u64 = 60_000;
    let server = Server::start();
    server.sql("CREATE TABLE stock (number text PRIMARY KEY, n bigint, quantity bigint, note text); ALTER TABLE stock OWNER TO dray; ALTER TABLE stock ALTER note SET STORAGE EXTERNAL; CREATE TABLE later (LIKE stock INCLUDING ALL); ALTER TABLE later OWNER TO dray");
    // Every hundredth has a value that the log does not repeat when another column changes; and there is room for rows to move to.
    for table in ["stock", "later"] {
        server.sql(&format!(
            "INSERT INTO {table} SELECT '{table}' || n, n, 0, CASE n % 100 WHEN 0 THEN repeat('n', 3000) || n END FROM generate_series(1, {rows}) n; DELETE FROM {table} WHERE n % 10 = 1"
        ));
        server.sql(&format!("VACUUM {table}"));
    }
    let folder = folder("equal");
    let erp = Target::start(false).expect("a target");
    let source = server.source("public.stock") + "[[flow.source.table]]\nname = \"public.later\"\n";
    let flow = FlowSpec {
        source,
        mapping: as_it_is("public.stock") + &as_it_is("public.later"),
        ..server.flow()
    };
    let targets = target_table("erp", &erp.url(), "");
    let mut site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    for round in 0..4 {
        reads_some(&site, rows / 8);
        let agent = site.agent.as_mut().expect("it runs");
        agent.kill().expect("a kill");
        assert!(
            !is_streaming(&server),
            "it was killed while it read what was there"
        );
        for table in ["stock", "later"] {
            server.sql(&format!(
                "UPDATE {table} SET quantity = quantity + 1 WHERE n % 6 = {round}; DELETE FROM {table} WHERE n % 1000 = {}; INSERT INTO {table} VALUES ('{table} new {round}', {round}, 7, 'new')",
                500 + round
            ));
        }
        // Of a table that is not begun yet: its rows have another writer then, of which the log says nothing.
        server.sql("ALTER TABLE later ALTER n TYPE numeric; ALTER TABLE later ALTER n TYPE bigint");
        site.start_agent().expect("an agent");
    }
    // Before that it may be read before others.
    wait("the log is read", || is_streaming(&server));
    server.sql("INSERT INTO stock VALUES ('last', 0, 0, NULL)");
    wait("the last row comes", || {
        erp.arrivals().iter().any(|arrival| arrival.key == "last")
    });
    let mut found: BTreeMap<String, [String; 2]> = BTreeMap::new();
    for event in site.log_records().expect("the log") {
        let data = &event["data"]["fields"];
        let text = |name: &str| data[name].as_str().map(str::to_owned);
        let number = text("number").unwrap_or_else(|| panic!("{event}"));
        match data["_op"].as_str() {
            Some("delete") => {
                found.remove(&number);
            }
            _ => {
                let row = found.entry(number).or_default();
                row[0] = text("quantity").unwrap_or_default();
                // What is not told is as it was.
                if let Some(note) = text("note") {
                    row[1] = note;
                }
            }
        }
    }
    let mut table = BTreeMap::new();
    for name in ["stock", "later"] {
        let rows = server.sql(&format!("SELECT number, quantity, note FROM {name}"));
        for line in rows.lines() {
            let mut cells = line.split('|').map(str::to_owned);
            let mut cell = || cells.next().expect("three columns");
            table.insert(cell(), [cell(), cell()]);
        }
    }
    let missing: Vec<_> = table
        .keys()
        .filter(|key| !found.contains_key(*key))
        .collect();
    let first = &missing[..missing.len().min(5)];
    assert!(
        missing.is_empty(),
        "{} are missing: {first:?}",
        missing.len()
    );
    assert_eq!(found.len(), table.len());
    for (number, row) in &table {
        assert_eq!(found.get(number), Some(row), "{number}");
    }
}

#[test]
fn every_type_is_what_the_documentation_says_by_first_load_and_by_log() {
    types_are_as_documented(&Server::start());
}

pub(crate) fn types_are_as_documented(server: &Server) {
    let rows = rows_of(
        include_str!("../../docs/change-logs.md"),
        "| type | SQL | record |",
    );
    assert!(rows.len() > 50, "{} types", rows.len());
    server.sql(
        "CREATE TYPE stock_state AS ENUM ('free', 'held'); CREATE DOMAIN stock_code AS text; CREATE TYPE stock_place AS (aisle text, bin text)",
    );
    let columns: String = (1..)
        .zip(&rows)
        .fold(String::new(), |all, (at, [kind, ..])| {
            format!("{all}, v{at} {kind}")
        });
    let values: String = rows.iter().fold(String::new(), |all, [_, sql, _]| {
        format!("{all}, '{}'", sql.replace('\'', "''"))
    });
    server.sql(&format!(
        "CREATE TABLE everything (number text PRIMARY KEY{columns}); ALTER TABLE everything OWNER TO dray; INSERT INTO everything VALUES ('1'{values})"
    ));
    let folder = folder("types");
    let erp = Target::start(true).expect("a target");
    let flow = FlowSpec {
        source: server.source("public.everything"),
        mapping: as_it_is("public.everything"),
        ..server.flow()
    };
    let targets = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    assert!(erp.wait(PATIENCE, |events| events == 1), "it is loaded");
    server.sql(&format!("INSERT INTO everything VALUES ('2'{values})"));
    assert!(erp.wait(PATIENCE, |events| events == 2), "it is streamed");
    let events = site.log_records().expect("the log");
    let ops: Vec<_> = events
        .iter()
        .map(|event| &event["data"]["fields"]["_op"])
        .collect();
    assert_eq!(ops, ["read", "create"], "{events:?}");
    for event in &events {
        for (at, [kind, sql, expected]) in (1..).zip(&rows) {
            let found = event["data"]["fields"][format!("v{at}")].as_str();
            assert_eq!(found, Some(*expected), "{kind} {sql} in {event}");
        }
    }
}

#[test]
fn check_names_what_the_server_or_the_role_lacks_and_the_statement_that_gives_it() {
    let server = Server::start();
    server.sql("CREATE ROLE plain LOGIN PASSWORD 'it''s a secret'; CREATE ROLE reader LOGIN REPLICATION PASSWORD 'it''s a secret'; CREATE VIEW shown AS SELECT * FROM movement; CREATE TABLE secret (number text)");
    let folder = folder("lacks");
    let as_role = |role: &str, more: &str| {
        let source = server.source("public.movement");
        let source = source.replace("user = \"dray\"", &format!("user = \"{role}\"{more}"));
        FlowSpec {
            source,
            ..server.flow()
        }
    };
    let table = |name: &str| FlowSpec {
        source: server.source(name),
        ..server.flow()
    };
    for (flow, expected) in [
        (as_role("plain", ""), "ALTER ROLE ... REPLICATION"),
        (
            as_role("reader", ""),
            "GRANT SELECT ON \"public\".\"movement\" TO \"reader\";",
        ),
        (table("public.nothing"), "has no table public.nothing"),
        (table("public.secret"), "GRANT SELECT ON"),
        (as_role("dray", ""), "SET max_slot_wal_keep_size"),
        (as_role("dray", "\nunlimited_wal = true"), ""),
    ] {
        let place = folder.path().join("site");
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir(&place).expect("a folder");
        let site = Site::lay_out(&place, &[flow], "").expect("a site");
        let told = site.agent_command(&["check"]);
        match expected {
            "" => assert!(told.is_ok(), "{told:?}"),
            _ => {
                let told = format!("{:#}", told.expect_err(expected));
                assert!(told.contains(expected), "{told}");
            }
        }
    }
}

#[test]
fn a_neighbours_changes_do_not_pile_up_for_a_flow_that_has_none() {
    let server = Server::start();
    let folder = folder("idle");
    let (_site, erp) = site(&server, &folder);
    server.sql("CREATE TABLE neighbour (n bigint)");
    let kept = || {
        let bytes = server.sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint FROM pg_replication_slots WHERE slot_name = 'dray_movements'");
        bytes.parse::<i64>().expect("a number")
    };
    server.sql("INSERT INTO neighbour SELECT n FROM generate_series(1, 200000) n");
    assert!(kept() > 10_000_000, "{} bytes are behind it", kept());
    wait("the slot follows", || kept() < 100_000);
    assert_eq!(erp.events(), 0);
}

#[test]
fn what_a_first_load_would_not_see_or_the_log_not_tell_is_refused() {
    for (sql, expected) in [
        (
            "CREATE PUBLICATION dray_movements FOR TABLE movement WITH (publish = 'insert')",
            "leaves out rows, columns or kinds of changes",
        ),
        (
            "CREATE PUBLICATION dray_movements FOR TABLE movement WHERE (place > 7)",
            "leaves out rows, columns or kinds of changes",
        ),
        (
            "ALTER TABLE movement ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "row-level security",
        ),
    ] {
        let server = Server::start();
        server.insert(0..10);
        server.sql(sql);
        let folder = folder("refused");
        let erp = Target::start(false).expect("a target");
        let targets = target_table("erp", &erp.url(), "");
        let site = Site::start(folder.path(), &[server.flow()], &targets).expect("a site");
        let agent = site.agent.as_ref().expect("it runs");
        agent.wait_log(expected).expect(sql);
        assert_eq!(erp.events(), 0, "{sql}");
    }
}

#[test]
fn a_server_is_read_over_tls_only_if_its_certificate_is_what_was_said() {
    let mut server = Server::start();
    server.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'");
    certificates(server.folder());
    let plain = server.flow();
    let file = |server: &Server, name: &str| server.folder().join(name).display().to_string();
    let with = |server: &Server, host: &str, ca: &str, more: &str| {
        let source = server.source("public.movement");
        let (head, table) = source.split_once("[[").expect("a table");
        let head = head.replace("127.0.0.1", host);
        FlowSpec {
            source: format!(
                "{head}[flow.source.tls]\nca_file = \"{}\"\n{more}[[{table}",
                file(server, ca)
            ),
            ..server.flow()
        }
    };
    let checked = |flow: FlowSpec| {
        let folder = folder("tls");
        let site = Site::lay_out(folder.path(), &[flow], "").expect("a site");
        site.agent_command(&["check"])
            .map_err(|error| format!("{error:#}"))
    };
    let none = checked(with(&server, "localhost", "ca.pem", "")).expect_err("it has no TLS yet");
    assert!(none.contains("has no TLS"), "{none}");
    server.secure();
    checked(plain).expect_err("the server wants TLS");
    let other =
        checked(with(&server, "localhost", "other.pem", "")).expect_err("another signed it");
    assert!(other.contains("nobody in ca_file signed"), "{other}");
    let name =
        checked(with(&server, "127.0.0.1", "ca.pem", "")).expect_err("it is of another name");
    assert!(name.contains("is not for 127.0.0.1"), "{name}");
    let named = "server_name = \"localhost\"\n";
    checked(with(&server, "127.0.0.1", "ca.pem", named)).expect("it is good");
    // The same of a table that is asked.
    let asked = |ca: &str| {
        let source = server.source("public.movement");
        let (head, _) = source.split_once("[[").expect("a table");
        let head = head.replace("127.0.0.1", "localhost").replace(
            "kind = \"postgres\"",
            "kind = \"sql\"\ndriver = \"postgres\"",
        );
        FlowSpec {
            source: format!(
                "{head}table = \"public.movement\"\nmode = \"overlap\"\nid = \"place\"\ntls = {{ ca_file = \"{}\" }}\n",
                file(&server, ca)
            ),
            ..server.flow()
        }
    };
    let other = checked(asked("other.pem")).expect_err("another signed it");
    assert!(other.contains("nobody in ca_file signed"), "{other}");
    checked(asked("ca.pem")).expect("it is good");

    server.insert(0..1_000);
    let folder = folder("secure");
    let erp = Target::start(false).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let flow = with(&server, "localhost", "ca.pem", "");
    let mut site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    wait("the log is read", || is_streaming(&server));
    server.insert(1_000..2_000);
    kill_one(&mut site, 1.0);
    server.crash();
    server.insert(2_000..3_000);
    these_arrive_whole(&site, &erp, &numbers(0..3_000), "over TLS");
}
