//! Values that few expect: texts with NULs in them, and times of odd zones on servers of odd zones.

use dray_tests::database::Database;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::{mariadb, postgres};
use serde_json::Value;

use crate::{folder, target_table, wait};

/// Rows as they are; the key is the text.
fn mapping(record_type: &str) -> String {
    format!(
        "\n[[flow.mapping]]\nrecord_type = \"{record_type}\"\nbody = \"generic\"\nkey = \"t\"\nall_columns = true\n"
    )
}

/// The same row by a first load, from the log, and as a table that is asked gives it.
fn comes_as_it_is(server: &impl Database, values: &str, asked: &str, expected: &[(&str, &str)]) {
    let schema = server.schema();
    let table = format!("{schema}.odd");
    let insert = |n: u64| {
        let sql = format!("INSERT INTO {table} VALUES ({n}, {values})");
        server.client()(&sql).unwrap_or_else(|said| panic!("{sql}: {said}"));
    };
    insert(1);
    let folder = folder("odd");
    let erp = dray_tests::target::Target::start(false).expect("a target");
    let flow = |name: &str, source: String, record_type: &str| FlowSpec {
        name: name.to_owned(),
        source,
        format: String::new(),
        mapping: mapping(record_type),
        timeliness: "normal",
    };
    let log = server.source(&table);
    let (head, _) = log.split_once("[[").expect("tables");
    let kind = head.lines().next().expect("a kind");
    let asks = format!(
        "{}table = \"odd\"\nmode = \"overlap\"\nid = \"n\"\nevery = \"50ms\"\n",
        head.replace(kind, asked)
    );
    let flows = [flow("log", log.clone(), &table), flow("asked", asks, "odd")];
    let targets = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &flows, &targets).expect("a site");
    let came = |op: &str, flow: &str| {
        let events = site.log_records().expect("the log");
        let of = |event: &&Value| event["flow"] == flow && event["data"]["fields"]["_op"] == op;
        events.iter().find(of).cloned()
    };
    wait("the row is loaded", || came("read", "log").is_some());
    let agent = site.agent.as_ref().expect("it runs");
    agent.wait_log("the log is read").expect("it is");
    insert(2);
    wait("the row comes from the log", || {
        came("create", "log").is_some()
    });
    wait("the row is asked for", || came("read", "asked").is_some());
    for (op, flow) in [("read", "log"), ("create", "log"), ("read", "asked")] {
        let event = came(op, flow).expect("it came");
        let fields = &event["data"]["fields"];
        for (name, value) in expected {
            assert_eq!(fields[*name], *value, "{name}, {op} of {flow}: {event}");
        }
        assert_eq!(event["key"], expected[0].1, "{event}");
    }
    assert!(
        erp.wait(crate::PATIENCE, |events| events >= 4),
        "the target has all"
    );
}

#[test]
fn texts_with_nuls_and_times_of_a_mariadb_in_an_odd_zone_come_as_they_are() {
    let server = mariadb::Server::with(&["--default-time-zone=-11:30"]);
    server.sql(
        "CREATE TABLE wms.odd (n bigint PRIMARY KEY, t varchar(20) CHARSET utf8mb4, b varbinary(9), at timestamp(6) NULL, d datetime, u time(3)) ENGINE = InnoDB",
    );
    comes_as_it_is(
        &server,
        "CONCAT('a', CHAR(0), 'b€'), x'00FF00', '2026-03-28 15:00:00.000001', '2026-03-29 02:30:00', '-11:30:00.001'",
        "kind = \"sql\"\ndriver = \"mysql\"\ndatabase = \"wms\"",
        &[
            ("t", "a\u{0}b€"),
            ("b", "\\x00ff00"),
            ("at", "2026-03-29T02:30:00.000001Z"),
            ("d", "2026-03-29T02:30:00"),
            ("u", "-11:30:00.001"),
        ],
    );
}

#[test]
fn nuls_and_times_of_a_postgresql_in_an_odd_zone_come_as_they_are() {
    let server = postgres::Server::start();
    server.sql("ALTER DATABASE wms SET timezone = 'Asia/Kathmandu'");
    server.sql("ALTER ROLE dray SET timezone = 'America/St_Johns'; ALTER ROLE dray SET datestyle = 'German, DMY'");
    server.sql("CREATE TABLE odd (n bigint PRIMARY KEY, t text, b bytea, j json, at timestamptz, d timestamp, u timetz, v timetz); ALTER TABLE odd OWNER TO dray");
    comes_as_it_is(
        &server,
        "'a€', '\\x00ff00', '{\"a\": \"\\u0000\"}', '2026-03-29 02:30:00 Europe/Berlin', '2026-03-29 02:30:00', '24:00:00+15:59:59', '08:15:00-05:45'",
        "kind = \"sql\"\ndriver = \"postgres\"",
        &[
            ("t", "a€"),
            ("b", "\\x00ff00"),
            ("j", "{\"a\": \"\\u0000\"}"),
            // An hour that Berlin does not have: PostgreSQL takes it by the offset before.
            ("at", "2026-03-29T01:30:00Z"),
            ("d", "2026-03-29T02:30:00"),
            ("u", "24:00:00+15:59:59"),
            ("v", "08:15:00-05:45"),
        ],
    );
}
