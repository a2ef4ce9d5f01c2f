//! A change table that is asked page by page, of SQLite and of PostgreSQL: the whole way to the collector's log.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dray_tests::postgres::Server;
use dray_tests::site::Site;
use rusqlite::Connection;

use crate::Arguments;
use crate::probe;
use crate::row::{Figure, Row, thousands};
use crate::whole_log;

const LIMIT: Duration = Duration::from_secs(300);
/// Rows a second.
const GOAL: f64 = 50_000.0;
/// What the collector has.
const INGESTED: &str = "dray_collector_ingested_events_total";

/// Agent, collector and database share the processors; nothing is delivered.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let rows = arguments.rows;
    let work = format!(
        "{} rows of 9 columns that wait in a change table of SQLite, and in one of PostgreSQL, asked for by mode = \"overlap\", to the collector's log",
        thousands(rows)
    );
    let mut row = Row::of(work, 2 * rows);
    let file = folder.join("wms.db");
    sqlite(&file, rows)?;
    let source = format!("driver = \"sqlite\"\nfile = \"{}\"\n", file.display());
    let from_sqlite = read(&folder.join("sqlite"), source, rows, &mut row)?;
    let server = Server::start();
    server.sql(&format!(
        "CREATE TABLE stock (id bigint PRIMARY KEY, sku text NOT NULL, location text, lot text, quantity numeric(12,3), reserved numeric(12,3), status text, changed_at timestamptz, note text); \
         GRANT SELECT ON stock TO dray; \
         INSERT INTO stock SELECT n, 'SKU-' || lpad((n % 50000)::text, 6, '0'), 'A-01-' || n % 97, 'L' || n % 1009, n % 1000 + 0.5, n % 7, 'AVAILABLE', '2026-11-27T08:15:00Z'::timestamptz + n * interval '1 ms', 'counted' \
         FROM generate_series(1, {rows}) n"
    ));
    server.sql("VACUUM ANALYZE stock");
    server.sql("CHECKPOINT");
    let source = server
        .source("")
        .replace("kind = \"postgres\"\n", "driver = \"postgres\"\n");
    let (source, _) = source.split_once("[[").context("its tables")?;
    let from_postgres = read(&folder.join("postgres"), source.to_owned(), rows, &mut row)?;
    row.headline = from_sqlite.0.min(from_postgres.0);
    for (name, (a_second, us)) in [("SQLite", from_sqlite), ("PostgreSQL", from_postgres)] {
        row.at_least(name, Figure::new(a_second, 0, "rows/s"), GOAL);
        let us = Figure::new(us, 1, "µs of the agent's CPU a row");
        row.at_most("", us, 8.0);
    }
    row.must("agent ≤ 128 MiB", true, "");
    row.judge_memory();
    Ok(row)
}

fn sqlite(file: &Path, rows: u64) -> anyhow::Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; \
         CREATE TABLE stock (id INTEGER PRIMARY KEY, sku TEXT NOT NULL, location TEXT, lot TEXT, quantity NUMERIC, reserved NUMERIC, status TEXT, changed_at DATETIME, note TEXT); \
         WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) \
         INSERT INTO stock SELECT n, printf('SKU-%06d', n % 50000), 'A-01-' || n % 97, 'L' || n % 1009, n % 1000 + 0.5, n % 7, 'AVAILABLE', \
         strftime('%Y-%m-%d %H:%M:%f', 1795767300 + n / 1000.0, 'unixepoch'), 'counted' FROM s"
    ))?;
    Ok(())
}

/// Rows a second from the first that are in the log on, and microseconds of the agent's CPU a row.
fn read(folder: &Path, driver: String, rows: u64, row: &mut Row) -> anyhow::Result<(f64, f64)> {
    fs::create_dir_all(folder)?;
    let source =
        format!("kind = \"sql\"\n{driver}table = \"stock\"\nid = \"id\"\nmode = \"overlap\"\n");
    let flow = whole_log::flow(source, "stock");
    let site = Site::start(folder, &[flow], "")?;
    let agent = site.agent.as_ref().context("it runs")?;
    // Before its first event a flow has no such metric.
    let held = || anyhow::Ok(probe::metric(&site, 1, INGESTED).unwrap_or_default() as u64);
    probe::until(LIMIT, || Ok(held()? > 0))?;
    let (from, began, before) = (held()?, Instant::now(), agent.usage()?.cpu_s);
    probe::until(LIMIT, || Ok(held()? >= rows))?;
    let took = began.elapsed().as_secs_f64();
    let cpu_s = agent.usage()?.cpu_s - before;
    ensure!(held()? == rows, "{} events of {rows} rows", held()?);
    row.count_in(&site)?;
    let count = (rows - from) as f64;
    Ok((count / took, cpu_s * 1e6 / count))
}
