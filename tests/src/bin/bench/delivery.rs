//! Delivery by itself: one event a request, many lanes, a long backlog, a neighbour that is dead.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dray_tests::counter::Counter;
use dray_tests::site::{Site, free_port};

use crate::Arguments;
use crate::load;
use crate::probe;
use crate::row::{Figure, Row, thousands};

/// Events of the row with one event a request.
const SINGLE: u64 = 200_000;
/// Of so many events the target of the lanes takes one.
const TAKEN_OF: u64 = 50;
/// What is refused in a row doesn't open its breaker: an answer "taken" may wait for a processor while others overtake it.
const REFUSED_ON: &str = "[target.breaker]\nrejects = 10000\n";
/// How often a dead neighbour is there and is not.
const TURNS: usize = 5;
const LINES_A_FILE: u64 = 100_000;
const LIMIT: Duration = Duration::from_secs(900);

/// One event a request, with its id in a header.
pub(crate) fn single(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let counter = Counter::start()?;
    let targets = target("erp", &counter.url(), 1, 16);
    deliver(folder, &targets, SINGLE, arguments.keys, |site, began| {
        let arrived = counter.wait(SINGLE, LIMIT);
        let rate = SINGLE as f64 / began.elapsed().as_secs_f64();
        ensure!(arrived == SINGLE, "{arrived} of {SINGLE} arrived");
        let mut row = Row::of(
            format!(
                "{} events of {} keys, one a request",
                thousands(SINGLE),
                thousands(arguments.keys)
            ),
            SINGLE,
        );
        row.count_in(site)?;
        row.headline = rate;
        row.at_least("", Figure::new(rate, 0, "deliveries/s"), 5_000.0);
        row.judge_memory();
        Ok(row)
    })
}

/// As many keys as there are events, nearly each of them refused: each key is closed behind its dead letter, and the
/// collector knows all of them again after a kill.
pub(crate) fn lanes(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let counter = Counter::start()?;
    counter.take_one_of(TAKEN_OF);
    let events = arguments.lanes;
    let targets = target("erp", &counter.url(), 1, 16) + REFUSED_ON;
    let dead = events - events / TAKEN_OF;
    let refused = |site: &Site| -> anyhow::Result<bool> {
        Ok(probe::metric(site, 1, "dray_collector_target_dead_letters")? as u64 >= dead)
    };
    deliver(folder, &targets, events, events, |site, began| {
        probe::until(LIMIT, || refused(site))?;
        let rate = dead as f64 / began.elapsed().as_secs_f64();
        let mut row = Row::of(
            format!(
                "{} keys, {} of them closed behind a dead letter; kill -9",
                thousands(events),
                thousands(dead)
            ),
            events,
        );
        row.count_in(site)?;
        site.collector.as_mut().context("it runs")?.kill()?;
        let opening = Instant::now();
        site.start_collector()?;
        probe::until(LIMIT, || refused(site))?;
        let opened = opening.elapsed().as_secs_f64();
        row.count_collector(site.collector.as_ref())?;
        row.say(format!("{} refusals/s", thousands(rate as u64)));
        row.say(format!("all known again after {opened:.1} s"));
        row.must("collector ≤ 300 MiB", true, "");
        row.judge_memory();
        Ok(row)
    })
}

/// A target that was away for long, a collector that is killed meanwhile, and how soon delivery goes on.
pub(crate) fn reopened(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let events = arguments.waiting;
    let targets = target("erp", &format!("http://{address}/events"), 1_000, 4);
    let mut site = Site::lay_out(folder, &[load::movements_flow()], &targets)?;
    site.start_collector()?;
    site.enrol()?;
    site.start_agent()?;
    fill(&site, events, arguments.keys)?;
    let mut row = Row::of(
        format!(
            "{} events wait for a target that is away; kill -9",
            thousands(events)
        ),
        events,
    );
    row.count_collector(site.collector.as_ref())?;
    site.collector.as_mut().context("it runs")?.kill()?;
    let counter = Counter::start_at(address)?;
    let opening = Instant::now();
    site.start_collector()?;
    ensure!(counter.wait(1, LIMIT) > 0, "nothing arrived");
    let opened = opening.elapsed().as_secs_f64();
    let arrived = counter.wait(events, LIMIT);
    let took = opening.elapsed().as_secs_f64();
    let repeats = counter.with(|counts| counts.repeats);
    ensure!(
        arrived == events && repeats == 0,
        "{arrived} of {events} arrived, {repeats} of them twice"
    );
    row.count_in(&site)?;
    row.at_most("first delivery after", Figure::new(opened, 2, "s"), 5.0);
    row.say(format!(
        "all delivered at {} events/s",
        thousands((events as f64 / took) as u64)
    ));
    row.judge_memory();
    Ok(row)
}

/// The same work with and without a second target that takes the same events and is away, in turns.
pub(crate) fn dead_target(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let events = arguments.lines / 2;
    let mut rates = [Vec::new(), Vec::new()];
    let mut costs = [Vec::new(), Vec::new()];
    let work = format!(
        "{} events beside a target that refuses connections, and without it",
        thousands(events)
    );
    let mut row = Row::of(work, events * 2 * TURNS as u64);
    for turn in 0..TURNS {
        for (with_dead, (rates, costs)) in rates.iter_mut().zip(&mut costs).enumerate() {
            let counter = Counter::start()?;
            let mut targets = target("erp", &counter.url(), 1_000, 4);
            if with_dead == 1 {
                let nobody = format!("http://127.0.0.1:{}/events", free_port()?);
                targets.push_str(&target("dead", &nobody, 1_000, 4));
            }
            let folder = folder.join(format!("{turn}-{with_dead}"));
            deliver(&folder, &targets, events, arguments.keys, |site, began| {
                let arrived = counter.wait(events, LIMIT);
                rates.push(events as f64 / began.elapsed().as_secs_f64());
                ensure!(arrived == events, "{arrived} of {events} arrived");
                row.count_in(site)?;
                let mut own = Row::of("", events);
                own.count_collector(site.collector.as_ref())?;
                costs.push(own.cpu_us());
                Ok(())
            })?;
            std::fs::remove_dir_all(&folder)?;
        }
    }
    let [alone, beside] = rates.map(median);
    let [cpu_alone, cpu_beside] = costs.map(median);
    let lost = (1.0 - beside / alone) * 100.0;
    row.headline = lost;
    row.at_most("rate lost", Figure::new(lost, 1, "%"), 5.0);
    row.say(format!(
        "{} and {} events/s, collector {cpu_alone:.2} and {cpu_beside:.2} µs of CPU an event (medians of {TURNS})",
        thousands(alone as u64),
        thousands(beside as u64)
    ));
    row.judge_memory();
    Ok(row)
}

/// Lets a site deliver files that are there before its agent starts, at the moment that `until` is told; it waits for
/// what is to come.
fn deliver<T>(
    folder: &Path,
    targets: &str,
    events: u64,
    keys: u64,
    until: impl FnOnce(&mut Site, Instant) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    std::fs::create_dir_all(folder)?;
    let mut site = Site::lay_out(folder, &[load::waiting_flow()], targets)?;
    load::drop_all(&site.drops("movements"), 0, events, LINES_A_FILE, keys)?;
    site.start_collector()?;
    site.enrol()?;
    rustix::fs::sync();
    let began = Instant::now();
    site.start_agent()?;
    until(&mut site, began)
}

/// Drops files until so many events wait for the target.
fn fill(site: &Site, events: u64, keys: u64) -> anyhow::Result<()> {
    let drops = site.drops("movements");
    // It is not there before the first event.
    let waiting = || -> anyhow::Result<u64> {
        Ok(probe::metric(site, 1, "dray_collector_target_backlog_events").unwrap_or(0.0) as u64)
    };
    let mut first = 0;
    while first < events {
        let lines = (10 * LINES_A_FILE).min(events - first);
        load::drop_all(&drops, first, lines, LINES_A_FILE, keys)?;
        first += lines;
        // The drops do not run far ahead: it is the log that is to be long, not the folder.
        probe::until(LIMIT, || Ok(waiting()? + LINES_A_FILE >= first))?;
    }
    probe::until(LIMIT, || Ok(waiting()? == events)).map(drop)
}

fn target(name: &str, url: &str, batch: u32, concurrency: u32) -> String {
    format!(
        "[[target]]\nname = \"{name}\"\nurl = \"{url}\"\nbatch = {batch}\nconcurrency = {concurrency}\n"
    )
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
