//! A table of SQLite as a source runs the suite of every source.

use dray_adapter::Source;
use dray_adapter::conformance::{self, Place};
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
        let text = format!(
            "kind = 'sql'\ndriver = 'sqlite'\nfile = '{}'\ntable = 'stock'\nid = 'id'\nevery = '50ms'\n{}",
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
        let found = |id: &u64| match self.mode.contains("timestamp") {
            true => 1_000 + id,
            false => *id,
        };
        let shown = ids
            .iter()
            .map(|id| format!(":0: {id}|S{id}|{}|read|{}", 1_000 + id, found(id)));
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
