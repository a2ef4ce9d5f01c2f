//! A table of PostgreSQL, read whole, and then a backlog of changes of its rows; and how long a transaction takes to the target.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use dray_tests::postgres::Server;
use dray_tests::site::Site;
use dray_tests::target::Target;

use crate::Arguments;
use crate::load;
use crate::probe;
use crate::row::{Figure, Row, thousands};
use crate::whole_log::{self, Goals, Steps, TRANSACTIONS};

const LIMIT: Duration = Duration::from_secs(300);

const TABLE: &str = "CREATE TABLE stock (id bigint PRIMARY KEY, sku text NOT NULL, location text, lot text, quantity numeric(12,3), reserved numeric(12,3), status text, changed_at timestamptz, note text)";

const GOALS: Goals = Goals {
    load: 300_000.0,
    load_us: 4.0,
    stream: 120_000.0,
    stream_us: 6.0,
};

/// The collector is away meanwhile: what is measured ends on the agent's disk. Server and agent share the processors.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let rows = arguments.rows;
    let mut server = Server::start();
    server.sql(&stock(rows));
    server.sql("VACUUM ANALYZE stock");
    server.sql("CHECKPOINT");
    let write = |server: &Server| {
        server.sql(&changes(rows));
        server.sql("CHECKPOINT");
    };
    let (source, goals) = (server.source("public.stock"), GOALS);
    let steps = Steps {
        name: "PostgreSQL",
        flow: whole_log::flow(source, "public.stock"),
        stop: Server::stop,
        start: Server::start_again,
        write: &write,
        goals,
    };
    whole_log::measure(folder, rows, &mut server, steps)
}

/// Makes the table and its rows.
pub(crate) fn stock(rows: u64) -> String {
    format!(
        "{TABLE}; ALTER TABLE stock OWNER TO dray; \
         INSERT INTO stock SELECT n, 'SKU-' || lpad((n % 50000)::text, 6, '0'), 'A-01-' || n % 97, 'L' || n % 1009, n % 1000 + 0.5, n % 7, 'AVAILABLE', '2026-11-27T08:15:00Z'::timestamptz + n * interval '1 ms', 'counted' \
         FROM generate_series(1, {rows}) n"
    )
}

/// Changes each row once.
pub(crate) fn changes(rows: u64) -> String {
    let each = rows / TRANSACTIONS;
    format!(
        "DO $$ BEGIN FOR t IN 0..{} LOOP UPDATE stock SET quantity = quantity + 1, changed_at = changed_at + interval '1 s' WHERE id > t * {each} AND id <= (t + 1) * {each}; COMMIT; END LOOP; END $$",
        TRANSACTIONS - 1
    )
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
