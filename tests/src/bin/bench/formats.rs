//! From a file's bytes to events that are ready to be appended, for each format: what one core does.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use dray_agent::config::{Config, FlowConfig};
use dray_agent::dray_adapter::{Mark, MarkState, Polled, Seen};
use dray_tests::families::{FAMILIES, Family};
use dray_tests::site::Site;
use rustix::time::{ClockId, clock_gettime};

use crate::Arguments;
use crate::decoders;
use crate::row::{Figure, Row, thousands};

/// Movements of a file: some 40 MB of text.
const LINES: u64 = 1_000_000;
/// Where they are one document: it has at most 500,000 segments, and a workbook is read whole.
const DOCUMENT_LINES: u64 = 100_000;

struct Nothing;

impl Seen for Nothing {
    fn seen(&self, _: &Mark) -> MarkState {
        MarkState::New
    }
}

/// Reads a file of each format as a flow does: hashed and checked whole, then decoded, mapped and encoded into blocks.
/// Nothing is appended. The time is the thread's own.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let mut row = Row::of(
        "one file of each format → mapped, encoded events, by a thread's own time",
        0,
    );
    let flows = FAMILIES
        .iter()
        .map(|family| family.flow(folder))
        .collect::<Result<Vec<_>, _>>()?;
    let site = Site::lay_out(folder, &flows, "")?;
    let config = Config::load(&site.agent_config()).map_err(|error| anyhow!("{error}"))?;
    for (family, flow) in FAMILIES.iter().zip(&config.flows) {
        let lines = match family.name {
            "xlsx" | "x12" | "edifact" | "idoc" => DOCUMENT_LINES,
            _ => LINES,
        };
        let (took, bytes) = one(&site, family, flow, lines, arguments.keys)
            .with_context(|| format!("flow {}", family.name))?;
        let rate = lines as f64 / took.as_secs_f64();
        let mb_s = bytes as f64 / 1e6 / took.as_secs_f64();
        let figure = Figure::new(rate, 0, "records/s");
        match family.name {
            "csv" | "fixed" => row.at_least(family.name, figure, 1_000_000.0),
            name => row.say(format!("{name} {}", thousands(rate as u64))),
        }
        row.say(format!("({mb_s:.0} MB/s)"));
    }
    decoders::measure(&mut row)?;
    Ok(row)
}

fn one(
    site: &Site,
    family: &Family,
    flow: &FlowConfig,
    lines: u64,
    keys: u64,
) -> anyhow::Result<(Duration, u64)> {
    let file = family.file(0, lines, keys);
    let bytes = file.len() as u64;
    fs::write(site.drops(family.name).join("all"), file)?;
    let own = site.drops(family.name).join(".own");
    let source = flow.source.make(&flow.name, &own);
    let mut source = source.map_err(|why| anyhow!(why))?;
    let mut maker = flow.maker().map_err(|why| anyhow!(why))?;
    source.open(None, Arc::new(Nothing), Arc::new(|| ()))?;
    let end = Instant::now() + Duration::from_secs(120);
    let (mut took, mut events) = (Duration::ZERO, 0);
    loop {
        ensure!(Instant::now() < end, "{events} of {lines} came");
        let began = own_time();
        match source.poll()? {
            Polled::Batch(batch) => {
                let made = maker.make(&batch);
                took += own_time() - began;
                ensure!(made.dead_letters == 0, "{} dead letters", made.dead_letters);
                events += made.events;
                if batch.ends_unit {
                    break;
                }
            }
            // It waits until the file has stood still.
            Polled::Idle(wait) if wait > Duration::ZERO => std::thread::park_timeout(wait),
            Polled::Idle(_) => took += own_time() - began,
        }
    }
    // Behind its records stands the file's report.
    ensure!(events == lines + 1, "{events} of {lines} events came");
    Ok((took, bytes))
}

/// The thread's CPU time.
pub(crate) fn own_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
