//! Columns and rows that are odd, and tables that change while they are read.

use std::time::Instant;

use dray_adapter::conformance::{Agent, Pace, Place as _, shown};
use dray_adapter::{Polled, SourceError};

use super::{PATIENCE, Table, stops};

const OVERLAP: &str = "mode = 'overlap'";

#[test]
fn rows_of_megabytes_come_one_by_one_also_where_the_newest_that_was_read_fills_a_page() {
    for mode in [
        OVERLAP,
        "mode = 'full-compare'",
        "mode = 'delete-after-read'",
    ] {
        let table = Table::with(mode, "id INTEGER PRIMARY KEY, note TEXT");
        table.sql("INSERT INTO stock SELECT value, printf('%.*c', 3000000, 'x') FROM (WITH RECURSIVE s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < 5) SELECT value FROM s)");
        let mut agent = Agent::open(table.source());
        agent.finish(5, Pace::default());
        table.sql("INSERT INTO stock SELECT value, 'small' FROM (WITH RECURSIVE s(value) AS (SELECT 6 UNION ALL SELECT value + 1 FROM s WHERE value < 3000) SELECT value FROM s)");
        agent.finish(3_000, Pace::default());
        assert_eq!(agent.log.len(), 3_000, "{mode}");
    }
}

#[test]
fn a_table_of_1600_columns_is_read_as_any() {
    let columns: Vec<_> = (1..1_600)
        .map(|at| format!("c{at} TEXT DEFAULT 'v{at}'"))
        .collect();
    let columns = format!("id INTEGER PRIMARY KEY, {}", columns.join(", "));
    let table = Table::with(OVERLAP, &columns);
    table.sql("INSERT INTO stock (id) SELECT value FROM (WITH RECURSIVE s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < 300) SELECT value FROM s)");
    let mut agent = Agent::open(table.source());
    agent.finish(300, Pace::default());
    let last = shown(&agent.log)[299];
    assert!(last.starts_with(":0: 300|v1|v2|") && last.ends_with("|v1599|read|300"));
}

#[test]
fn ids_that_are_no_whole_numbers_of_64_bits_are_told() {
    for (id, expected) in [
        ("NULL", "is NULL, which is no whole number"),
        ("'A-7'", "\"A-7\""),
        ("1.5", "\"1.5\""),
        ("9223372036854775808", "\"9.223372036854776e18\""),
    ] {
        let table = Table::with(OVERLAP, "id NUMERIC, sku TEXT");
        table.sql(&format!("INSERT INTO stock VALUES ({id}, 'A')"));
        let told = stops(Agent::open(table.source()).source());
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn ids_of_both_ends_of_64_bits_are_read() {
    let table = Table::with(OVERLAP, "id INTEGER PRIMARY KEY, sku TEXT");
    let mut agent = Agent::open(table.source());
    for (count, id) in (1..).zip([i64::MIN, i64::MIN + 1, -7, -1, 0, 1, i64::MAX - 1, i64::MAX]) {
        table.sql(&format!("INSERT INTO stock VALUES ({id}, 'A')"));
        agent.finish(count, Pace::default());
    }
    table.sql("INSERT INTO stock VALUES (-3, 'late')");
    agent.finish(9, Pace::default());
}

#[test]
fn an_expression_as_id_is_compared_page_by_page() {
    let mode =
        "query = 'SELECT value + 0 AS id, value % 7 AS sku FROM made'\nmode = 'full-compare'";
    let table = Table::new(mode);
    table.sql("CREATE TABLE made AS SELECT value FROM (WITH RECURSIVE s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < 4500) SELECT value FROM s)");
    let mut agent = Agent::open(table.source());
    agent.finish(4_500, Pace::default());
    table.sql("DELETE FROM made WHERE value = 4400; UPDATE made SET value = -1 WHERE value = 4401");
    agent.finish(4_503, Pace::default());
    assert_eq!(agent.log.len(), 4_503);
}

#[test]
fn a_column_without_a_type_that_holds_two_kinds_of_values_stops_the_flow() {
    let table = Table::with("mode = 'full-compare'", "id, sku TEXT");
    table.sql("INSERT INTO stock VALUES (7, 'A'), ('7', 'B')");
    let told = stops(Agent::open(table.source()).source());
    assert!(
        told.contains("the column id has no type, and holds values of two kinds"),
        "{told}"
    );
}

/// The names and values of the newest record.
fn newest(agent: &mut Agent) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "nothing comes");
        match agent.source().poll() {
            Ok(Polled::Batch(batch)) => {
                agent.source().commit(&batch.position).expect("it is told");
                if let Some(record) = batch.records.iter().last() {
                    let names = record.shape().columns.iter();
                    let cells = names.enumerate().map(|(at, name)| match record.value(at) {
                        dray_adapter::Value::Text(text) => format!("{name}={text}"),
                        other => format!("{name}={other:?}"),
                    });
                    return cells.collect();
                }
            }
            Ok(Polled::Idle(_)) | Err(SourceError::Retry { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_column_that_takes_anothers_place_has_its_own_name() {
    let table = Table::new(OVERLAP);
    let mut agent = Agent::open(table.source());
    table.sql("INSERT INTO stock VALUES (1, 'A', 5)");
    assert_eq!(newest(&mut agent)[..3], ["id=1", "sku=A", "written=5"]);
    table.sql("BEGIN; ALTER TABLE stock DROP COLUMN written; ALTER TABLE stock ADD COLUMN weight INTEGER; INSERT INTO stock VALUES (2, 'B', 9); COMMIT");
    assert_eq!(newest(&mut agent)[..3], ["id=2", "sku=B", "weight=9"]);
    table.sql("BEGIN; ALTER TABLE stock ADD COLUMN lot TEXT; INSERT INTO stock VALUES (3, 'C', 1, 'L'); COMMIT");
    assert_eq!(
        newest(&mut agent)[..4],
        ["id=3", "sku=C", "weight=1", "lot=L"]
    );
}

#[test]
fn a_table_that_is_away_for_a_while_is_waited_for() {
    let table = Table::new(OVERLAP);
    let mut agent = Agent::open(table.source());
    table.sql("INSERT INTO stock VALUES (1, 'A', 5)");
    newest(&mut agent);
    table.sql("ALTER TABLE stock RENAME TO away");
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "it is not told");
        if let Err(SourceError::Retry { reason, .. }) = agent.source().poll() {
            assert!(reason.contains("no such table"), "{reason}");
            break;
        }
    }
    table.sql("ALTER TABLE away RENAME TO stock; INSERT INTO stock VALUES (2, 'B', 5)");
    assert_eq!(newest(&mut agent)[0], "id=2");
}

#[test]
fn ids_that_begin_anew_where_rows_may_be_deleted_stop_the_flow() {
    let table = Table::new("mode = 'overlap'\nrows_are_deleted = true");
    let mut agent = Agent::open(table.source());
    table.sql("INSERT INTO stock (id, sku) SELECT value, 'A' FROM (WITH RECURSIVE s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < 100) SELECT value FROM s)");
    agent.finish(100, Pace::default());
    table.sql("DELETE FROM stock");
    agent.finish(100, Pace::default());
    table.sql("INSERT INTO stock (id, sku) VALUES (10, 'N')");
    let end = Instant::now() + PATIENCE;
    let told = loop {
        assert!(Instant::now() < end, "it does not stop");
        match agent.source().poll() {
            Ok(Polled::Batch(batch)) => assert!(batch.records.is_empty(), "1 to 100 were read"),
            Err(SourceError::Operator { reason }) => break reason,
            // 10, 20, 10, ...: whenever it is looked at, sooner or later it has grown.
            _ => table.sql("UPDATE stock SET id = 30 - id"),
        }
    };
    assert!(told.contains("its ids begin anew"), "{told}");
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let looks = ["postgres", "mysql"].map(|driver| {
        std::thread::spawn(move || {
            let text = format!("kind = 'sql'\ndriver = '{driver}'\nhost = '127.0.0.1'\nport = {port}\ndatabase = 'wms'\nuser = 'dray'\ntable = 't'\nid = 'id'\nmode = 'overlap'");
            let config: dray_change_log::table::SqlConfig = toml::from_str(&text).expect("a configuration");
            config.preflight().expect_err("it is silent")
        })
    });
    for told in looks.map(|look| look.join().expect("it ends")) {
        assert!(told.contains("did not answer within 30 s"), "{told}");
    }
}
