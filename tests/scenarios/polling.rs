//! Tables that are asked again and again.

use std::path::{Path, PathBuf};

use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{folder, kill_one, soak, target_table, these_arrive_whole, wait};

/// What becomes of a movement.
const MAPPING: &str = r#"
[[flow.mapping]]
body = "inventory_movement"
key = "sku"
[flow.mapping.fields]
movement_number = { from = "number", required = true }
item_number = "sku"
quantity = "quantity"
"#;

/// A file of SQLite with a table of movements.
struct Sqlite {
    file: PathBuf,
    connection: Connection,
}

impl Sqlite {
    fn in_folder(folder: &TempDir) -> Self {
        let file = folder.path().join("wms.db");
        let connection = open(&file);
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE movement (id INTEGER PRIMARY KEY, number TEXT NOT NULL, sku TEXT, quantity NUMERIC, state TEXT DEFAULT 'N', version INTEGER DEFAULT 1)")
            .expect("a table");
        Self { file, connection }
    }

    fn run(&self, sql: &str) {
        self.connection
            .execute_batch(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn insert(&self, ids: std::ops::Range<u64>) {
        self.run(&format!(
            "WITH RECURSIVE n(n) AS (SELECT {} UNION ALL SELECT n + 1 FROM n WHERE n < {}) \
             INSERT INTO movement (id, number, sku, quantity) SELECT n, printf('MV%010d', n), 'SKU-' || (n % 97), n % 1000 FROM n",
            ids.start,
            ids.end - 1
        ));
    }

    fn source(&self, mode: &str) -> String {
        format!(
            "kind = \"sql\"\ndriver = \"sqlite\"\nfile = \"{}\"\ntable = \"movement\"\nid = \"id\"\nevery = \"50ms\"\n{mode}\n",
            self.file.display()
        )
    }
}

fn open(file: &Path) -> Connection {
    let connection = Connection::open(file).expect("a database");
    let waits = connection.busy_timeout(crate::PATIENCE);
    waits.expect("a limit");
    connection
}

fn flow(source: String) -> FlowSpec {
    FlowSpec {
        name: "movements".into(),
        source,
        format: String::new(),
        mapping: MAPPING.into(),
        timeliness: "normal",
    }
}

fn site(source: String, folder: &TempDir) -> (Site, Target) {
    let erp = Target::start(false).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let place = folder.path().join("site");
    std::fs::create_dir_all(&place).expect("a folder");
    let site = Site::start(&place, &[flow(source)], &table).expect("a site");
    (site, erp)
}

fn numbers(ids: impl Iterator<Item = u64>) -> Vec<String> {
    ids.map(|id| format!("MV{id:010}")).collect()
}

#[test]
fn rows_above_the_highest_id_and_late_ones_below_it_come_once_whoever_is_killed() {
    let (rounds, rows) = if soak() { (60, 2_000) } else { (9, 500) };
    let folder = folder("overlap");
    let table = Sqlite::in_folder(&folder);
    let (mut site, erp) = site(table.source("mode = \"overlap\""), &folder);
    let mut expected = Vec::new();
    let mut sent = 1;
    for _ in 0..rounds {
        // Every tenth id is given to somebody who commits later, and every hundredth to nobody.
        table.insert(sent..sent + rows);
        table.run(&format!(
            "DELETE FROM movement WHERE id >= {sent} AND id % 10 = 0"
        ));
        expected.extend((sent..sent + rows).filter(|id| id % 10 != 0));
        let arrived = expected.len() as u64;
        assert!(
            erp.wait(crate::PATIENCE, |events| events >= arrived),
            "round"
        );
        kill_one(&mut site, 0.7);
        for late in (sent..sent + rows).filter(|id| id % 10 == 0 && id % 100 != 0) {
            table.insert(late..late + 1);
            expected.push(late);
        }
        sent += rows;
    }
    these_arrive_whole(
        &site,
        &erp,
        &numbers(expected.iter().copied()),
        "late ids and kills",
    );
}

#[test]
fn a_table_that_was_restored_stops_the_flow_in_words() {
    let folder = folder("restored-table");
    let table = Sqlite::in_folder(&folder);
    let (mut site, erp) = site(table.source("mode = \"overlap\""), &folder);
    table.insert(1..101);
    these_arrive_whole(&site, &erp, &numbers(1..101), "before");
    site.agent
        .as_mut()
        .expect("it runs")
        .terminate()
        .expect("it ends");
    table.run("DELETE FROM movement WHERE id > 50");
    site.start_agent().expect("an agent");
    let agent = site.agent.as_ref().expect("it runs");
    let told = agent.wait_log("the flow stopped").expect("it stops");
    assert!(
        told.contains("the highest id of movement is 50, and 100 was read already"),
        "{told}"
    );
    wait("nothing more comes", || erp.events() == 100);
}
