//! An outage of the collector: what piles up at the agent, and how it goes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dray_tests::counter::Counter;
use dray_tests::daemon::{Daemon, PATIENCE};
use dray_tests::site::Site;

use crate::Arguments;
use crate::fence::Fence;
use crate::load;
use crate::probe::{self, CONNECTED, READING};
use crate::row::{Figure, Row, mib, thousands};

/// What the agent may use under load.
const AGENT_BYTES_MAX: u64 = 128 * 1024 * 1024;
const LINES_A_FILE: u64 = 100_000;
const LIMIT: Duration = Duration::from_secs(300);

/// Fills the buffer while the collector is away, kills the agent, reopens, and drains.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let fence = Fence::of(AGENT_BYTES_MAX);
    let counter = Counter::start()?;
    let targets = load::target(&counter.url(), 1_000, "");
    // Declared after the fence, so that its processes end before it.
    let mut site = Site::lay_out(folder, &[load::movements_flow()], &targets)?;
    site.start_collector()?;
    site.enrol()?;

    let events = arguments.backlog;
    let mut row = Row::of(
        format!("{} events of outage of the collector", thousands(events)),
        events,
    );
    row.say(match &fence {
        Ok(_) => "agent in a memory cgroup of 128 MiB".into(),
        Err(error) => format!("no memory cgroup around the agent ({error:#})"),
    });
    let start = |site: &Site| start_agent(site, fence.as_ref().ok());
    site.agent = Some(start(&site)?);
    // An agent with a new buffer asks the collector first where its flows stand.
    site.agent.as_ref().context("it runs")?.wait_log(READING)?;
    site.collector = None;
    let data = folder.join("agent");
    let before = probe::disk_bytes(&data)?;
    fill(&site, events, arguments.keys)?;
    let full = probe::disk_bytes(&data)?;

    row.count_agent(site.agent.as_ref())?;
    site.agent.as_mut().context("it runs")?.kill()?;
    let opening = Instant::now();
    site.agent = Some(start(&site)?);
    wait_started(&site)?;
    let opened = opening.elapsed().as_secs_f64();

    site.start_collector()?;
    let agent = site.agent.as_ref().context("it runs")?;
    agent.wait_log(CONNECTED)?;
    let draining = Instant::now();
    probe::until(LIMIT, || Ok(waiting(&site)? == 0))?;
    let acked = draining.elapsed().as_secs_f64();
    let arrived = counter.wait(events, LIMIT);
    let delivered = draining.elapsed().as_secs_f64();
    let repeats = counter.with(|counts| counts.repeats);
    ensure!(
        arrived == events && repeats == 0,
        "{arrived} of {events} arrived, {repeats} of them twice"
    );
    row.count_in(&site)?;
    let allowed = before + 64 * 1024 * 1024;
    let shrunk = probe::until(PATIENCE, || Ok(probe::disk_bytes(&data)? <= allowed));
    let after = probe::disk_bytes(&data)?;

    row.at_most(
        "reopened after kill -9 in",
        Figure::new(opened, 2, "s"),
        1.0,
    );
    let rate = Figure::new(events as f64 / delivered, 0, "events/s");
    row.at_least("drained and delivered at", rate, 400_000.0);
    row.say(format!("all acked after {acked:.1} s"));
    let disk = format!(
        "disk {:.0} → {:.0} → {:.0} MiB",
        mib(before),
        mib(full),
        mib(after)
    );
    row.must("disk back within 64 MiB", shrunk.is_ok(), disk);
    row.must("agent ≤ 128 MiB", true, "");
    row.judge_memory();
    row.headline = rate.value;
    Ok(row)
}

fn start_agent(site: &Site, fence: Option<&Fence>) -> anyhow::Result<Daemon> {
    let config = site.agent_config();
    match fence {
        Some(fence) => fence.start("dray-agent", &config),
        None => Daemon::start("dray-agent", &config),
    }
}

/// The agent says so once its buffer is open and its flows run.
fn wait_started(site: &Site) -> anyhow::Result<()> {
    let agent = site.agent.as_ref().context("it runs")?;
    agent.wait_log("\"message\":\"started\"")?;
    Ok(())
}

fn fill(site: &Site, events: u64, keys: u64) -> anyhow::Result<()> {
    let drops = site.drops("movements");
    let mut first = 0;
    while first < events {
        let lines = (10 * LINES_A_FILE).min(events - first);
        load::drop_all(&drops, first, lines, LINES_A_FILE, keys)?;
        first += lines;
        // The drops do not run far ahead: it is the buffer that is to be full, not the folder.
        probe::until(LIMIT, || Ok(waiting(site)? + LINES_A_FILE >= first))?;
    }
    probe::until(LIMIT, || Ok(waiting(site)? == events))
        .with_context(|| format!("{:?} of {events} are in the buffer", waiting(site)))?;
    Ok(())
}

fn waiting(site: &Site) -> anyhow::Result<u64> {
    Ok(probe::metric(site, 0, "dray_agent_backlog_events")? as u64)
}
