//! From a file's close to the body at the target.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use dray_tests::drops::{self, drop_file, now_us};
use dray_tests::site::Site;
use dray_tests::target::Target;

use crate::Arguments;
use crate::load::{self, ten_a_second};
use crate::probe::{self, READING};
use crate::row::{Figure, Row};

/// 10 files a second of 100 lines each; each line carries the time at which its file was written.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let lines = arguments.seconds * 1_000;
    let target = Target::start(false)?;
    target.reference_is_time();
    let targets = load::target(&target.url(), 200, "");
    let site = Site::start(folder, &[load::movements_flow()], &targets)?;
    let agent = site.agent.as_ref().context("it was started")?;
    // A file that was there before the source was watched waits for its quiet time.
    agent.wait_log(READING)?;
    let files = lines / 100;
    ten_a_second(|file| {
        let now = now_us();
        let mut text = drops::MOVEMENT_COLUMNS.join("|") + "\n";
        for n in file * 100..(file + 1) * 100 {
            drops::movement(&mut text, n, n % arguments.keys, now);
        }
        let name = format!("{file:06}.txt");
        drop_file(&site.drops("movements"), &name, text.as_bytes())?;
        Ok(file + 1 < files)
    })?;
    ensure!(
        target.wait(Duration::from_secs(60), |events| events >= lines),
        "{} of {lines} lines arrived",
        target.events()
    );
    let times = probe::latencies(&target)?;
    let quantile = |part| Figure::quantile(&times, part);
    let work = format!(
        "1,000 lines/s in 10 files/s for {} s, file closed → body at the target",
        arguments.seconds
    );
    let mut row = Row::of(work, lines);
    row.count_in(&site)?;
    row.headline = quantile(0.99).value;
    row.at_most("p50", quantile(0.5), 6.0);
    row.say(format!("p95 {:.1} ms", quantile(0.95).value));
    row.at_most("p99", quantile(0.99), 12.0);
    row.say(format!("max {:.1} ms", quantile(1.0).value));
    Ok(row)
}
