//! The first file is a large one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use dray_tests::counter::Counter;
use dray_tests::site::Site;

use crate::Arguments;
use crate::load;
use crate::row::{Row, thousands};

const LIMIT: Duration = Duration::from_secs(600);

/// It is there before the agent: reading it is the agent's first work.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let counter = Counter::start()?;
    let targets = load::target(&counter.url(), 1_000, "");
    let mut site = Site::lay_out(folder, &[load::waiting_flow()], &targets)?;
    let bytes = arguments.large * 1_048_576;
    let lines = load::drop_large(&site.drops("movements"), bytes, arguments.keys)?;
    site.start_collector()?;
    site.enrol()?;
    let began = Instant::now();
    site.start_agent()?;
    let arrived = counter.wait(lines, LIMIT);
    let took = began.elapsed().as_secs_f64();
    let repeats = counter.with(|counts| counts.repeats);
    ensure!(
        arrived == lines && repeats == 0,
        "{arrived} of {lines} arrived, {repeats} of them twice"
    );
    let work = format!("one file of {} MiB first", thousands(arguments.large));
    let mut row = Row::of(work, lines);
    row.count_in(&site)?;
    row.headline = lines as f64 / took;
    row.say(format!(
        "{} lines, {} events/s",
        thousands(lines),
        thousands(row.headline as u64)
    ));
    row.must("agent ≤ 128 MiB, collector ≤ 300 MiB", true, "");
    row.judge_memory();
    Ok(row)
}
