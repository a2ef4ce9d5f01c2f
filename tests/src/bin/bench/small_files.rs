//! Many small files through few descriptors.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use dray_tests::counter::Counter;
use dray_tests::daemon::Daemon;
use dray_tests::drops;
use dray_tests::site::Site;

use crate::Arguments;
use crate::load;
use crate::probe::READING;
use crate::row::{Figure, Row, thousands};

/// Descriptors that the agent may have.
const DESCRIPTORS: u64 = 256;
const LINES_A_FILE: u64 = 2;
const LIMIT: Duration = Duration::from_secs(600);

/// The files are there before the agent; the time is from its start to the last body at the target.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let files = arguments.files;
    let counter = Counter::start()?;
    let targets = load::target(&counter.url(), 1_000, "");
    let mut site = Site::lay_out(folder, &[load::waiting_flow()], &targets)?;
    site.start_collector()?;
    site.enrol()?;
    let lines = drop_small(&site.drops("movements"), files, arguments.keys)?;
    let began = Instant::now();
    let agent = Daemon::start_with_descriptors("dray-agent", &site.agent_config(), DESCRIPTORS)?;
    agent.wait_log(READING)?;
    let first = counter.wait(1, LIMIT);
    let scanned = began.elapsed();
    site.agent = Some(agent);
    let arrived = counter.wait(lines, LIMIT);
    let took = began.elapsed().as_secs_f64();
    let repeats = counter.with(|counts| counts.repeats);
    ensure!(
        first > 0 && arrived == lines && repeats == 0,
        "{arrived} of {lines} arrived, {repeats} of them twice"
    );
    let work = format!(
        "{} files of {LINES_A_FILE} lines in one folder, {DESCRIPTORS} descriptors",
        thousands(files)
    );
    let mut row = Row::of(work, lines);
    row.count_in(&site)?;
    row.headline = files as f64 / took;
    row.at_least("", Figure::new(row.headline, 0, "files/s"), 3_000.0);
    let scanned = Figure::new(scanned.as_secs_f64(), 2, "s");
    row.at_most("start to the first body at the target", scanned, 2.0);
    row.judge_memory();
    Ok(row)
}

fn drop_small(folder: &Path, files: u64, keys: u64) -> io::Result<u64> {
    for file in 0..files {
        let text = drops::movements(file * LINES_A_FILE, LINES_A_FILE, keys);
        File::create(folder.join(format!("{file:09}.txt")))?.write_all(text.as_bytes())?;
    }
    Ok(files * LINES_A_FILE)
}
