//! Ids that are odd, tables that change under a flow, and large rows.

use dray_tests::site::{FlowSpec, Site};

use super::databases::{By, Database};
use super::{AS_IT_IS, MAPPING, fields, numbers, site};
use crate::{folder, is_small, these_arrive_whole, wait};

const MARK: &str =
    "mode = \"mark-processed\"\nprocessed = { column = \"state\", unread = \"N\", done = \"P\" }";

/// What becomes of a large row: all but its text.
const LARGE: &str = r#"
[[flow.mapping]]
body = "inventory_movement"
key = "number"
[flow.mapping.fields]
movement_number = { from = "number", required = true }
item_number = "number"
quantity = "quantity"
"#;

/// A type, and values of it as SQL.
type Ids<'i> = (&'i str, &'i [&'i str]);

const TEXTS: &[&str] = &[
    "'a''b'",
    "'a\\b'",
    "'\"'",
    "''",
    "' x'",
    "'ä€'",
    "'--'",
    "'%'",
    "'?'",
    "'{ts ''1''}'",
    "'7'",
];

const POSTGRES: [Ids<'_>; 11] = [
    ("text", TEXTS),
    ("char(7)", &["'a'", "'a''b'", "'\\'"]),
    (
        "uuid",
        &[
            "'6ecd8c99-4036-403d-bf84-cf8400f67836'",
            "'00000000-0000-0000-0000-000000000000'",
        ],
    ),
    ("numeric(20,4)", &["1", "-0.0001", "9007199254740993.1234"]),
    ("numeric", &["12345678901234567890.10", "1e-20"]),
    (
        "bigint",
        &["-9223372036854775808", "-1", "9223372036854775807"],
    ),
    (
        "timestamptz",
        &[
            "'2026-11-27 08:15:00.123456+02'",
            "'-infinity'",
            "'0044-03-15 12:00:00 BC'",
        ],
    ),
    ("timestamp", &["'2026-11-27 08:15:00.5'"]),
    ("date", &["'2026-11-27'"]),
    ("bytea", &["'\\x00ff'", "''"]),
    ("text COLLATE \"C\"", TEXTS),
];

const MARIA: [Ids<'_>; 12] = [
    (
        "varchar(40) CHARSET utf8mb4",
        &[
            "'a''b'", "'a\\\\b'", "'\"'", "''", "' x'", "'ä€'", "'--'", "'%'", "'?'",
        ],
    ),
    ("varchar(40) CHARSET latin1", &["'a''b'", "'a\\\\b'", "'ä'"]),
    (
        "varchar(40) CHARSET utf8mb4 COLLATE utf8mb4_bin",
        &["'a'", "'A'", "'\\\\'"],
    ),
    ("char(7)", &["'a'", "'b'"]),
    ("bigint unsigned", &["0", "18446744073709551615"]),
    ("bigint", &["-9223372036854775808", "-1"]),
    ("decimal(20,4)", &["-0.0001", "9007199254740993.1234"]),
    ("datetime(6)", &["'2026-11-27 08:15:00.123456'"]),
    ("timestamp(6)", &["'2026-11-27 08:15:00.123456'"]),
    ("varbinary(9)", &["x'00ff'", "''", "x'5c27'"]),
    ("uuid", &["'6ecd8c99-4036-403d-bf84-cf8400f67836'"]),
    ("enum('x','y')", &["'x'", "'y'"]),
];

/// Rows of each type are marked by their ids, by both drivers, each once.
fn ids_are_found_again(database: &Database, types: &[Ids<'_>]) {
    let mut flows = Vec::new();
    let mut count = 0;
    for by in [By::ItsOwnDriver, By::Odbc] {
        for (at, (kind, ids)) in types.iter().enumerate() {
            let name = format!("t{at}_{by:?}").to_lowercase();
            let grant = match database {
                Database::Maria(_) => format!("GRANT UPDATE ON wms.{name} TO dray@'127.0.0.1'"),
                _ => format!("GRANT SELECT, UPDATE ON {name} TO dray"),
            };
            let charset = if matches!(database, Database::Maria(_)) {
                " CHARSET utf8mb4"
            } else {
                ""
            };
            database.run(&format!("CREATE TABLE {name} (id {kind} PRIMARY KEY, state char(1) DEFAULT 'N'){charset}; {grant}"));
            let zone = match database {
                Database::Maria(_) => "SET time_zone = '+00:00'; ",
                _ => "",
            };
            // PostgreSQL's ODBC driver has no other times than those of years 1 to 9999.
            let is_told = |id: &str| {
                by == By::ItsOwnDriver || !(id.contains("infinity") || id.contains("BC"))
            };
            for id in ids.iter().filter(|id| is_told(id)) {
                database.run(&format!("{zone}INSERT INTO {name} (id) VALUES ({id})"));
                count += 1;
            }
            flows.push((
                name.clone(),
                FlowSpec {
                    name: name.replace('_', "-"),
                    source: database.reads(by, &name, MARK),
                    format: String::new(),
                    mapping: AS_IT_IS.into(),
                    timeliness: "normal",
                },
            ));
        }
    }
    let folder = folder("odd-ids");
    let specs: Vec<_> = flows.iter().map(|(_, flow)| flow.clone()).collect();
    let site = Site::start(folder.path(), &specs, "").expect("a site");
    for (name, _) in &flows {
        let left = format!("SELECT COUNT(*) FROM {name} WHERE state = 'N'");
        wait(&format!("{name} is marked"), || database.ask(&left) == "0");
    }
    wait("all came", || fields(&site).len() >= count);
    assert_eq!(fields(&site).len(), count, "each once");
}

#[test]
fn ids_of_every_type_of_postgresql_are_found_again() {
    ids_are_found_again(&Database::postgres(), &POSTGRES);
}

#[test]
fn ids_of_every_type_of_mariadb_are_found_again() {
    ids_are_found_again(&Database::maria(), &MARIA);
}

#[test]
fn a_table_of_postgresql_may_be_away_altered_and_read_only() {
    let folder = folder("altered");
    let table = Database::postgres();
    let (site, _erp) = site(
        &table.moved(By::ItsOwnDriver, "mode = \"overlap\""),
        AS_IT_IS,
        &folder,
    );
    let agent = site.agent.as_ref().expect("it runs");
    let comes = |sql: &str, id: usize| {
        table.run(sql);
        wait(sql, || fields(&site).len() >= id);
        fields(&site)[id - 1].clone()
    };
    comes("INSERT INTO moved (id, number) VALUES (1, 'A')", 1);
    table.run("ALTER TABLE moved RENAME TO away");
    agent
        .wait_log("\\\"moved\\\" does not exist")
        .expect("it is told");
    comes(
        "ALTER TABLE away RENAME TO moved; INSERT INTO moved (id, number) VALUES (2, 'B')",
        2,
    );
    let more = comes(
        "ALTER TABLE moved ADD COLUMN lot text; INSERT INTO moved (id, number, lot) VALUES (3, 'C', 'L')",
        3,
    );
    assert_eq!(more["lot"].as_str(), Some("L"));
    let less = comes(
        "ALTER TABLE moved DROP COLUMN sku; ALTER TABLE moved ADD COLUMN sku date DEFAULT '2026-11-27'; INSERT INTO moved (id, number) VALUES (4, 'D')",
        4,
    );
    assert_eq!(less["sku"].as_str(), Some("2026-11-27"));
    let retyped = comes(
        "ALTER TABLE moved ALTER COLUMN changed_at TYPE timestamp USING '2026-11-27 08:15:00'; INSERT INTO moved (id, number, changed_at) VALUES (5, 'E', '2026-11-27 08:16:00')",
        5,
    );
    assert_eq!(retyped["changed_at"].as_str(), Some("2026-11-27T08:16:00"));
    table.begin("lock", "LOCK TABLE moved IN ACCESS EXCLUSIVE MODE");
    agent.wait_log("lock timeout").expect("it is told");
    table.end("lock", false);
    table.run("ALTER TABLE moved ALTER COLUMN id TYPE text");
    agent
        .wait_log("operator does not exist: text >= integer")
        .expect("it is told");
    comes(
        "ALTER TABLE moved ALTER COLUMN id TYPE integer USING id::integer; INSERT INTO moved (id, number) VALUES (6, 'F')",
        6,
    );
    comes(
        "ALTER ROLE dray SET default_transaction_read_only = on; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dray'; INSERT INTO moved (id, number) VALUES (7, 'G')",
        7,
    );
    let ids: Vec<_> = fields(&site)
        .iter()
        .map(|one| one["id"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn rows_that_may_not_be_marked_for_a_while_come_once() {
    let folder = folder("may-not");
    let table = Database::postgres();
    table.let_write("moved");
    table.insert(1..1_501);
    table.run("ALTER ROLE dray SET default_transaction_read_only = on");
    let (site, erp) = site(&table.moved(By::ItsOwnDriver, MARK), MAPPING, &folder);
    let agent = site.agent.as_ref().expect("it runs");
    agent.wait_log("read-only transaction").expect("it is told");
    table.run("ALTER ROLE dray RESET default_transaction_read_only; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dray'");
    wait("all are marked", || {
        table.ask("SELECT COUNT(*) FROM moved WHERE state = 'N'") == "0"
    });
    these_arrive_whole(&site, &erp, &numbers(1..1_501), "read-only for a while");
}

#[test]
fn rows_of_megabytes_of_each_server_come_whole_and_small_ones_after_them() {
    for table in [Database::postgres(), Database::maria()] {
        for by in [By::ItsOwnDriver, By::Odbc] {
            let name = format!("large_{by:?}").to_lowercase();
            table.make(&name);
            // ODBC's drivers hold a whole answer.
            let large = if by == By::Odbc { 8 } else { 30 };
            if let Database::Maria(_) = &table {
                table.run(&format!("ALTER TABLE {name} MODIFY sku longtext"));
            }
            table.insert_into(&name, 1..large + 1);
            table.run(&format!("UPDATE {name} SET sku = repeat('x', 3000000)"));
            table.insert_into(&name, large + 1..3_001);
            let folder = folder("large-rows");
            let source = table.reads(by, &name, "mode = \"overlap\"");
            let (site, erp) = site(&source, LARGE, &folder);
            these_arrive_whole(
                &site,
                &erp,
                &numbers(1..3_001),
                &format!("large rows, {by:?}"),
            );
            is_small(&site);
        }
    }
}

#[test]
fn a_value_that_is_no_utf_8_stops_the_flow_in_words() {
    let mut database = Database::postgres();
    let server = database.server().expect("it has one");
    server.sql(
        "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    server.sql_in(
        "ascii",
        "CREATE TABLE odd (id bigint PRIMARY KEY, number text); GRANT SELECT ON odd TO dray",
    );
    for by in [By::ItsOwnDriver, By::Odbc] {
        let server = database.server().expect("it has one");
        server.sql_in(
            "ascii",
            "DELETE FROM odd; INSERT INTO odd VALUES (1, E'\\xff')",
        );
        let folder = folder("no-utf-8");
        let source = database.reads(by, "odd", "mode = \"overlap\"");
        let source = source.replace("wms", "ascii");
        let (mut site, _erp) = site(&source, AS_IT_IS, &folder);
        let agent = site.agent.as_mut().expect("it runs");
        let told = agent.wait_log("the flow stopped").expect("it stops");
        assert!(
            told.contains("a value is no UTF-8") && told.contains("correct it in its table"),
            "{told}"
        );
        agent.terminate().expect("it ends");
        let server = database.server().expect("it has one");
        server.sql_in("ascii", "UPDATE odd SET number = 'A'");
        site.start_agent().expect("an agent");
        wait("it comes", || fields(&site).len() == 1);
    }
}
