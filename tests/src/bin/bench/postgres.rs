//! A table of PostgreSQL, read whole, and then a backlog of changes of its rows; and how long a transaction takes to the target.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dray_tests::counter::Counter;
use dray_tests::postgres::Server;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::Arguments;
use crate::load;
use crate::probe::{self, CONNECTED};
use crate::row::{Figure, Row, thousands};

/// Transactions of the changes.
const TRANSACTIONS: u64 = 1_000;
const LIMIT: Duration = Duration::from_secs(300);

const TABLE: &str = "CREATE TABLE stock (id bigint PRIMARY KEY, sku text NOT NULL, location text, lot text, quantity numeric(12,3), reserved numeric(12,3), status text, changed_at timestamptz, note text)";

const MAPPING: &str = r#"
[[flow.mapping]]
record_type = "public.stock"
body = "inventory_movement"
key = "sku"
[flow.mapping.fields]
movement_number = { from = "id", required = true }
item_number = "sku"
location = "location"
quantity = "quantity"
reference = "note"
moved_at = { from = "changed_at", format = "iso8601" }
"#;

/// The collector is away meanwhile: what is measured ends on the agent's disk. Server and agent share the processors.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let rows = arguments.rows;
    let mut server = Server::start();
    server.sql(&format!(
        "{TABLE}; ALTER TABLE stock OWNER TO dray; \
         INSERT INTO stock SELECT n, 'SKU-' || lpad((n % 50000)::text, 6, '0'), 'A-01-' || n % 97, 'L' || n % 1009, n % 1000 + 0.5, n % 7, 'AVAILABLE', '2026-11-27T08:15:00Z'::timestamptz + n * interval '1 ms', 'counted' \
         FROM generate_series(1, {rows}) n"
    ));
    server.sql("VACUUM ANALYZE stock");
    server.sql("CHECKPOINT");
    let counter = Counter::start()?;
    let flow = FlowSpec {
        name: "stock".into(),
        source: server.source("public.stock"),
        format: String::new(),
        mapping: MAPPING.into(),
        timeliness: "normal",
    };
    let mut site = Site::lay_out(folder, &[flow], &load::target(&counter.url(), 1_000, ""))?;
    site.start_collector()?;
    site.enrol()?;
    // An agent with a new buffer asks the collector first; it is to find nothing to read yet.
    server.stop();
    site.start_agent()?;
    site.agent
        .as_ref()
        .context("it runs")?
        .wait_log(CONNECTED)?;
    site.agent
        .as_ref()
        .context("it runs")?
        .wait_log("\"waiting\"")?;
    site.collector = None;
    server.start_again();

    let work = format!(
        "first load of {} rows of 9 columns from PostgreSQL, and then {} updates in {} transactions that waited there, to the agent's disk",
        thousands(rows),
        thousands(rows),
        thousands(TRANSACTIONS)
    );
    let mut row = Row::of(work, 2 * rows);
    let (load, load_us) = read(&site, rows)?;
    row.count_agent(site.agent.as_ref())?;
    site.agent.as_mut().context("it runs")?.terminate()?;
    let each = rows / TRANSACTIONS;
    server.sql(&format!(
        "DO $$ BEGIN FOR t IN 0..{} LOOP UPDATE stock SET quantity = quantity + 1, changed_at = changed_at + interval '1 s' WHERE id > t * {each} AND id <= (t + 1) * {each}; COMMIT; END LOOP; END $$",
        TRANSACTIONS - 1
    ));
    server.sql("CHECKPOINT");
    site.start_agent()?;
    site.agent
        .as_ref()
        .context("it runs")?
        .wait_log("\"message\":\"started\"")?;
    let (stream, stream_us) = read(&site, 2 * rows)?;
    row.count_agent(site.agent.as_ref())?;

    site.start_collector()?;
    let arrived = counter.wait(2 * rows, LIMIT);
    let repeats = counter.with(|counts| counts.repeats);
    ensure!(
        arrived == 2 * rows && repeats == 0,
        "{arrived} of {} arrived, {repeats} of them twice",
        2 * rows
    );
    row.count_collector(site.collector.as_ref())?;
    row.headline = stream;
    row.at_least("load", Figure::new(load, 0, "rows/s"), 300_000.0);
    row.at_most(
        "",
        Figure::new(load_us, 1, "µs of the agent's CPU a row"),
        4.0,
    );
    row.at_least("stream", Figure::new(stream, 0, "rows/s"), 120_000.0);
    row.at_most(
        "",
        Figure::new(stream_us, 1, "µs of the agent's CPU a row"),
        6.0,
    );
    row.must("agent ≤ 128 MiB", true, "");
    row.judge_memory();
    Ok(row)
}

/// Small transactions, 1,000 a second: from the moment before each commit to the target.
pub(crate) fn latency(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let server = Server::start();
    server.sql("CREATE SEQUENCE numbers");
    let target = Target::start(false)?;
    target.reference_is_time();
    let targets = load::target(&target.url(), 200, "");
    let site = Site::start(folder, &[server.flow()], &targets)?;
    probe::until(LIMIT, || {
        Ok(
            server
                .sql("SELECT active FROM pg_replication_slots WHERE slot_name = 'dray_movements'")
                == "t",
        )
    })?;
    server.pace(
        "INSERT INTO movement (number, sku, location, quantity, place) SELECT 'MV' || n, 'SKU-' || n % 50000, 'A-01', n % 1000, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM nextval('numbers') n;\n",
        1_000,
        arguments.seconds,
    );
    let made: u64 = server.sql("SELECT count(*) FROM movement").parse()?;
    ensure!(
        target.wait(LIMIT, |events| events >= made),
        "{} of {made} arrived",
        target.events()
    );
    let times = probe::latencies(&target)?;
    let quantile = |part| Figure::quantile(&times, part);
    let work = format!(
        "{} transactions of one row in {} s, row written → body at the target, PostgreSQL on the same disk",
        thousands(made),
        arguments.seconds
    );
    let mut row = Row::of(work, made);
    row.count_in(&site)?;
    row.headline = quantile(0.99).value;
    row.say(format!("p50 {:.1} ms", quantile(0.5).value));
    row.at_most("p99", quantile(0.99), 50.0);
    row.say(format!("max {:.1} ms", quantile(1.0).value));
    Ok(row)
}

/// Waits until so many events are in the buffer: rows a second from the first that were new on, and the agent's CPU of each in
/// microseconds.
fn read(site: &Site, through: u64) -> anyhow::Result<(f64, f64)> {
    let agent = site.agent.as_ref().context("it runs")?;
    let before = agent.usage()?.cpu_s;
    let held = || anyhow::Ok(probe::metric(site, 0, "dray_agent_backlog_events")? as u64);
    let mut first = None;
    probe::until(LIMIT, || {
        let now = held()?;
        let (from, _) = *first.get_or_insert((now, Instant::now()));
        Ok(now > from)
    })?;
    let (from, began) = (held()?, Instant::now());
    probe::until(LIMIT, || Ok(held()? >= through))?;
    let took = began.elapsed().as_secs_f64();
    let cpu_s = agent.usage()?.cpu_s - before;
    let rows = (through - from) as f64;
    Ok((rows / took, cpu_s * 1e6 / rows))
}
