//! A table of SQLite as a source runs the suite of every source.

mod columns;
mod queues;
mod times;

use std::time::{Duration, Instant};

use dray_adapter::conformance::{self, Agent, Pace, Place, PolledOnce};
use dray_adapter::{Polled, Source, SourceError};
use dray_change_log::table::SqlConfig;
use rusqlite::Connection;

/// A file with a table, of which three units come: few rows, more than a page, and ids with gaps.
struct Table {
    folder: tempfile::TempDir,
    connection: Connection,
    mode: &'static str,
    unit: u64,
}

impl Table {
    fn new(mode: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = Connection::open(folder.path().join("wms.db")).expect("a database");
        let sql = "PRAGMA journal_mode = WAL; CREATE TABLE stock (id INTEGER PRIMARY KEY, sku TEXT, written INTEGER)";
        connection.execute_batch(sql).expect("a table");
        Self {
            folder,
            connection,
            mode,
            unit: 0,
        }
    }
}

impl Place for Table {
    fn source(&self) -> Box<dyn Source> {
        let file = self.folder.path().join("wms.db");
        let table = match self.mode.contains("query =") {
            true => "record_type",
            false => "table",
        };
        let text = format!(
            "kind = 'sql'\ndriver = 'sqlite'\nfile = '{}'\n{table} = 'stock'\nid = 'id'\nevery = '50ms'\n{}",
            file.display(),
            self.mode
        );
        let config: SqlConfig = toml::from_str(&text).expect("a configuration");
        assert_eq!(config.faults(), []);
        config.make("north/stock", &self.folder.path().join("own"))
    }

    fn add(&mut self) -> Option<Vec<String>> {
        let ids: Vec<u64> = match self.unit {
            0 => (1..4).collect(),
            1 => (4..2_504).collect(),
            2 => (2_504..2_604).filter(|id| id % 3 == 0).collect(),
            _ => return None,
        };
        self.unit += 1;
        let values: Vec<_> = ids
            .iter()
            .map(|id| format!("({id}, 'S{id}', {})", 1_000 + id))
            .collect();
        let sql = format!("INSERT INTO stock VALUES {}", values.join(", "));
        self.connection.execute_batch(&sql).expect("rows");
        let shown = ids
            .iter()
            .map(|id| format!(":0: {id}|S{id}|{}|read|{id}", 1_000 + id));
        Some(shown.collect())
    }
}

#[test]
fn a_table_by_its_ids_conforms() {
    conformance::run(|| Table::new("mode = 'overlap'"));
}

/// Their ids are made of where a page begins, so units that come one by one would have others: what is shown stays.
#[test]
fn rows_that_are_marked_come_once_whatever_was_done_when_the_source_died() {
    let mode = "mode = 'delete-after-read'";
    let expected = |table: &mut Table| -> Vec<String> {
        std::iter::from_fn(|| table.add()).flatten().collect()
    };
    for steps in 1..12 {
        let mut table = Table::new(mode);
        let expected = expected(&mut table);
        let mut agent = conformance::Agent::open(table.source());
        for _ in 0..steps {
            agent.poll();
            agent.append();
        }
        agent.reopen(table.source());
        agent.finish(expected.len(), conformance::Pace::default());
        assert_eq!(conformance::shown(&agent.log), expected, "{steps} steps");
    }
}

impl Table {
    fn sql(&self, sql: &str) {
        self.connection.execute_batch(sql).expect(sql);
    }

    fn count(&self) -> i64 {
        self.count_of("1 = 1")
    }

    fn count_of(&self, filter: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM stock WHERE {filter}");
        let count = self.connection.query_row(&sql, [], |row| row.get(0));
        count.expect("a number")
    }

    /// Waits until so many rows are so.
    fn wait_count(&self, filter: &str, count: i64) {
        let end = Instant::now() + PATIENCE;
        while self.count_of(filter) != count {
            assert!(
                Instant::now() < end,
                "{} are {filter}",
                self.count_of(filter)
            );
            std::thread::yield_now();
        }
    }

    /// One with columns of its own.
    fn with(mode: &'static str, columns: &str) -> Self {
        let table = Self::new(mode);
        table.sql(&format!("DROP TABLE stock; CREATE TABLE stock ({columns})"));
        table
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Polls, appends and commits until the newest position is so.
fn stands(agent: &mut Agent, what: &str) {
    let end = Instant::now() + PATIENCE;
    let is_there = |agent: &Agent| {
        let position = agent.position.as_ref();
        position.is_some_and(|position| format!("{position:?}").contains(what))
    };
    while !is_there(agent) {
        assert!(Instant::now() < end, "it stands at {:?}", agent.position);
        if agent.poll() == PolledOnce::Batch {
            agent.append();
            agent.commit();
        }
    }
}

/// What the source stops with.
fn stops(source: &mut dyn Source) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "it does not stop");
        match source.poll() {
            Err(SourceError::Operator { reason }) => return reason,
            Ok(Polled::Batch(batch)) => source.commit(&batch.position).expect("it is told"),
            // What it has wakes nobody here.
            Ok(Polled::Idle(_)) | Err(SourceError::Retry { .. }) => std::thread::yield_now(),
        }
    }
}

#[test]
fn ids_that_come_again_after_a_queue_was_emptied_are_read() {
    let mut table = Table::new("mode = 'delete-after-read'");
    let mut agent = Agent::open(table.source());
    let first = table.add().expect("rows");
    agent.finish(first.len(), Pace::default());
    stands(&mut agent, "\\\"open\\\":[]");
    assert_eq!(table.count(), 0);
    agent.kill();
    // Three new rows, and their ids are 1 to 3 again.
    table.sql("INSERT INTO stock (sku, written) VALUES ('N', 1), ('N', 2), ('N', 3)");
    agent.reopen(table.source());
    agent.finish(2 * first.len(), Pace::default());
}

#[test]
fn a_row_that_would_be_lost_by_deleting_it_stops_the_flow() {
    let table = Table::new("mode = 'delete-after-read'");
    table.sql("INSERT INTO stock VALUES (1, CAST(x'ff' AS TEXT), 1)");
    let mut agent = Agent::open(table.source());
    let told = stops(agent.source());
    assert!(told.contains("the row would be lost"), "{told}");
    assert_eq!(table.count(), 1);
}

#[test]
fn a_flow_without_a_first_load_begins_where_the_table_stood_when_it_was_first_read() {
    for (mode, begun) in [
        ("first_load = false\nmode = 'overlap'", "\\\"top\\\":2"),
        (
            "first_load = false\nmode = 'full-compare'",
            "\\\"first\\\":false",
        ),
    ] {
        let table = Table::new(mode);
        table.sql("INSERT INTO stock VALUES (1, 'before', 1), (2, 'before', 2)");
        let mut agent = Agent::open(table.source());
        stands(&mut agent, begun);
        agent.kill();
        table.sql("INSERT INTO stock VALUES (3, 'after', 3)");
        agent.reopen(table.source());
        agent.finish(1, Pace::default());
        let shown = conformance::shown(&agent.log);
        assert!(shown[0].contains("3|after"), "{mode}: {shown:?}");
    }
}

#[test]
fn columns_that_move_while_rows_are_marked_are_looked_up_again() {
    let table = Table::new("mode = 'delete-after-read'");
    table.sql("DROP TABLE stock; CREATE TABLE stock (first INTEGER, id INTEGER PRIMARY KEY, sku TEXT, written INTEGER); INSERT INTO stock VALUES (7, 1, 'A', 1)");
    let mut agent = Agent::open(table.source());
    agent.finish(1, Pace::default());
    stands(&mut agent, "\\\"open\\\":[]");
    // Where the id stood stands another number now.
    table.sql(
        "ALTER TABLE stock DROP COLUMN first; INSERT INTO stock VALUES (2, 'B', 9), (9, 'C', 2)",
    );
    agent.finish(3, Pace::default());
    stands(&mut agent, "\\\"open\\\":[]");
    assert_eq!(table.count(), 0);
    let shown = conformance::shown(&agent.log);
    assert!(
        shown[1].contains("2|B|9") && shown[2].contains("9|C|2"),
        "{shown:?}"
    );
}

#[test]
fn two_rows_of_one_id_stop_the_flow_in_words() {
    let table = Table::new("mode = 'overlap'");
    table.sql("DROP TABLE stock; CREATE TABLE stock (id INTEGER, sku TEXT, written INTEGER); INSERT INTO stock VALUES (1, 'A', 1), (1, 'B', 2)");
    let told = stops(Agent::open(table.source()).source());
    assert!(told.contains("two rows have the id 1"), "{told}");
}
