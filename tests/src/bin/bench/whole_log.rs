//! A table of a database, read whole, and then a backlog of changes of its rows.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dray_tests::counter::Counter;
use dray_tests::site::{FlowSpec, Site};

use crate::load;
use crate::probe::{self, CONNECTED};
use crate::row::{Figure, Row, thousands};

/// Transactions of the changes.
pub(crate) const TRANSACTIONS: u64 = 1_000;
const LIMIT: Duration = Duration::from_secs(300);

/// What is done with a server.
pub(crate) struct Steps<'s, S> {
    pub(crate) name: &'s str,
    pub(crate) flow: FlowSpec,
    pub(crate) stop: fn(&mut S),
    pub(crate) start: fn(&mut S),
    /// Makes the changes.
    pub(crate) write: &'s dyn Fn(&S),
    pub(crate) goals: Goals,
}

/// Rows a second, and microseconds of the agent's CPU a row.
pub(crate) struct Goals {
    pub(crate) load: f64,
    pub(crate) load_us: f64,
    pub(crate) stream: f64,
    pub(crate) stream_us: f64,
}

/// A flow that reads the table `stock`.
pub(crate) fn flow(source: String, record_type: &str) -> FlowSpec {
    let mapping = format!(
        r#"
[[flow.mapping]]
record_type = "{record_type}"
body = "inventory_movement"
key = "sku"
[flow.mapping.fields]
movement_number = {{ from = "id", required = true }}
item_number = "sku"
location = "location"
quantity = "quantity"
reference = "note"
moved_at = {{ from = "changed_at", format = "iso8601" }}
"#
    );
    FlowSpec {
        name: "stock".into(),
        source,
        format: String::new(),
        mapping,
        timeliness: "normal",
    }
}

/// The collector is away meanwhile: what is measured ends on the agent's disk. Server and agent share the processors.
pub(crate) fn measure<S>(
    folder: &Path,
    rows: u64,
    server: &mut S,
    steps: Steps<'_, S>,
) -> anyhow::Result<Row> {
    let counter = Counter::start()?;
    let mut site = Site::lay_out(
        folder,
        &[steps.flow],
        &load::target(&counter.url(), 1_000, ""),
    )?;
    site.start_collector()?;
    site.enrol()?;
    // An agent with a new buffer asks the collector first; it is to find nothing to read yet.
    (steps.stop)(server);
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
    (steps.start)(server);

    let work = format!(
        "first load of {} rows of 9 columns from {}, and then {} updates in {} transactions that waited there, to the agent's disk",
        thousands(rows),
        steps.name,
        thousands(rows),
        thousands(TRANSACTIONS)
    );
    let mut row = Row::of(work, 2 * rows);
    let (load, load_us) = read(&site, rows)?;
    row.count_agent(site.agent.as_ref())?;
    site.agent.as_mut().context("it runs")?.terminate()?;
    (steps.write)(server);
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
    row.at_least("load", Figure::new(load, 0, "rows/s"), steps.goals.load);
    row.at_most(
        "",
        Figure::new(load_us, 1, "µs of the agent's CPU a row"),
        steps.goals.load_us,
    );
    row.at_least(
        "stream",
        Figure::new(stream, 0, "rows/s"),
        steps.goals.stream,
    );
    row.at_most(
        "",
        Figure::new(stream_us, 1, "µs of the agent's CPU a row"),
        steps.goals.stream_us,
    );
    row.must("agent ≤ 128 MiB", true, "");
    row.judge_memory();
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
