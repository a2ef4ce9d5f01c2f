//! The target is away for a while and comes back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dray_tests::daemon::PATIENCE;
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::Site;
use dray_tests::target::{Manner, Target};
use dray_tests::verdict::judge;

use crate::Arguments;
use crate::load::{self, pause, ten_a_second};
use crate::probe::{self, CONNECTED};
use crate::row::{Figure, Row};

const LINES_A_FILE: u64 = 500;

/// What the load and the row share.
#[derive(Debug, Default)]
struct Dropped {
    lines: AtomicU64,
    enough: AtomicBool,
}

/// 5,000 lines/s all the while; the target refuses connections in the middle.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let target = Target::start(false)?;
    let targets = load::target(&target.url(), 200, "");
    let site = Site::start(folder, &[load::movements_flow()], &targets)?;
    let agent = site.agent.as_ref().context("it was started")?;
    agent.wait_log(CONNECTED)?;
    let dropped = Dropped::default();
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            ten_a_second(|file| {
                let first = file * LINES_A_FILE;
                let text = movements(first, LINES_A_FILE, arguments.keys);
                let name = format!("{file:06}.txt");
                drop_file(&site.drops("movements"), &name, text.as_bytes())?;
                dropped.lines.store(first + LINES_A_FILE, Ordering::Relaxed);
                Ok(!dropped.enough.load(Ordering::Relaxed))
            })
        });
        let worked = away_and_back(&site, target, arguments, &dropped, || {
            dropped.enough.store(true, Ordering::Relaxed);
            load.join().expect("the load does not panic")
        });
        dropped.enough.store(true, Ordering::Relaxed);
        worked
    })
}

fn away_and_back(
    site: &Site,
    target: Target,
    arguments: &Arguments,
    dropped: &Dropped,
    end_load: impl FnOnce() -> std::io::Result<()>,
) -> anyhow::Result<Row> {
    ensure!(
        target.wait(PATIENCE, |events| events >= 5_000),
        "nothing arrives"
    );
    let address = target.address();
    // What it still takes in, it neither answers nor counts.
    target.behave(Manner::Reset);
    let mut arrivals = target.arrivals();
    drop(target);
    pause(Duration::from_secs(arguments.away));
    let waiting = backlog(site)?;
    let back = Instant::now();
    let target = Target::start_at(address, false)?;
    ensure!(
        target.wait(PATIENCE, |events| events > 0),
        "nothing came within {PATIENCE:?} of its return"
    );
    let first = back.elapsed();
    probe::until(PATIENCE, || Ok(backlog(site)? == 0))?;
    let caught_up = back.elapsed();

    end_load()?;
    let lines = dropped.lines.load(Ordering::Relaxed);
    probe::until(PATIENCE, || {
        let sent = probe::metric(site, 0, "dray_agent_appended_events_total")? as u64 == lines
            && probe::metric(site, 0, "dray_agent_backlog_events")? == 0.0;
        Ok(sent && backlog(site)? == 0)
    })?;
    arrivals.extend(target.arrivals());
    let verdict = judge((0..lines).map(|n| format!("MV{n:010}")), &arrivals);
    let work = format!("target refused for {} s at 5,000 lines/s", arguments.away);
    let mut row = Row::of(work, lines);
    row.count_in(site)?;
    let seconds = |time: Duration| Figure::new(time.as_secs_f64(), 2, "s");
    row.say(format!("{waiting} events waited"));
    row.at_most("first event after", seconds(first), 1.0);
    row.at_most("caught up after", seconds(caught_up), 3.0);
    let found = format!(
        "{} lost, {} doubled, {} out of order",
        verdict.lost, verdict.doubled, verdict.out_of_order
    );
    row.must("0 / 0 / 0", verdict.clean(), found);
    Ok(row)
}

fn backlog(site: &Site) -> anyhow::Result<u64> {
    Ok(probe::metric(site, 1, "dray_collector_target_backlog_events")? as u64)
}
