//! kill -9 of agent or collector under load, at random moments.

use std::path::Path;

use anyhow::{Context, ensure};
use dray_tests::daemon::PATIENCE;
use dray_tests::site::Site;
use dray_tests::target::Target;
use dray_tests::verdict::{Verdict, judge};
use rand::RngExt as _;

use crate::Arguments;
use crate::load;
use crate::row::{Row, thousands};

const KILLS: u64 = 10;
const LINES: u64 = 500_000;
const LINES_A_FILE: u64 = 2_500;
/// Few, so that many events of one key are under way when a process dies.
const KEYS: u64 = 5_000;

/// Drops, kills in the middle of what was dropped, and judges target and log.
pub(crate) fn measure(folder: &Path, _: &Arguments) -> anyhow::Result<Row> {
    let target = Target::start(false)?;
    let targets = load::target(&target.url(), 200, "");
    let mut site = Site::start(folder, &[load::movements_flow()], &targets)?;
    let work = format!(
        "kill -9 {KILLS} times in {} lines of {} keys",
        thousands(LINES),
        thousands(KEYS)
    );
    let mut row = Row::of(work, LINES);
    let mut random = rand::rng();
    let mut agents = 0;
    let slice = LINES / KILLS;
    for kill in 0..KILLS {
        let drops = site.drops("movements");
        load::drop_all(&drops, kill * slice, slice, LINES_A_FILE, KEYS)?;
        let reached = (kill + 1) * slice - random.random_range(0..slice);
        ensure!(
            target.wait(PATIENCE, |events| events >= reached),
            "stuck before kill {kill}: {} events came",
            target.events()
        );
        if random.random_bool(0.5) {
            agents += 1;
            row.count_agent(site.agent.as_ref())?;
            site.agent.as_mut().context("it runs")?.kill()?;
            site.start_agent()?;
        } else {
            row.count_collector(site.collector.as_ref())?;
            site.collector.as_mut().context("it runs")?.kill()?;
            site.start_collector()?;
        }
    }
    let at_target = all_at(&target)?;
    row.count_in(&site)?;
    let in_log = judge(numbers(), &site.log_arrivals()?);
    row.say(format!("{agents} agents, {} collectors", KILLS - agents));
    judge_row(&mut row, "target", &at_target, at_target.clean());
    let clean = in_log.clean() && in_log.repeats == 0;
    judge_row(&mut row, "log", &in_log, clean);
    Ok(row)
}

fn numbers() -> impl Iterator<Item = String> {
    (0..LINES).map(|n| format!("MV{n:010}"))
}

fn judge_row(row: &mut Row, place: &str, verdict: &Verdict, clean: bool) {
    let found = format!(
        "{place}: {} lost, {} doubled, {} out of order, {} repeats under the same id",
        verdict.lost, verdict.doubled, verdict.out_of_order, verdict.repeats
    );
    row.must(&format!("{place}: 0 / 0 / 0"), clean, found);
}

/// Waits until each number was there at least once, or nothing comes any more.
fn all_at(target: &Target) -> anyhow::Result<Verdict> {
    let mut wanted = LINES;
    loop {
        let in_time = target.wait(PATIENCE, |events| events >= wanted);
        // Counted before the arrivals are looked at: what comes in between must not be waited for.
        let events = target.events();
        let verdict = judge(numbers(), &target.arrivals());
        if verdict.lost == 0 || !in_time {
            return Ok(verdict);
        }
        wanted = events + 1;
    }
}
