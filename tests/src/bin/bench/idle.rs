//! What both cost while nothing happens.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use dray_tests::site::Site;
use dray_tests::target::Target;

use crate::Arguments;
use crate::load::{self, pause};
use crate::probe::CONNECTED;
use crate::row::{Figure, Row, mib};

/// Both run, are connected, and have nothing to do.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let target = Target::start(false)?;
    let targets = load::target(&target.url(), 200, "");
    let site = Site::start(folder, &[load::movements_flow()], &targets)?;
    let agent = site.agent.as_ref().context("it was started")?;
    let collector = site.collector.as_ref().context("it was started")?;
    agent.wait_log(CONNECTED)?;
    // What starting costs is no idle cost.
    pause(Duration::from_secs(3));
    let before = [agent.usage()?, collector.usage()?];
    pause(Duration::from_secs(arguments.seconds));
    let after = [agent.usage()?, collector.usage()?];
    let mut row = Row::of(format!("idle for {} s", arguments.seconds), 0);
    row.count_in(&site)?;
    let share = |at: usize| {
        let share = (after[at].cpu_s - before[at].cpu_s) / arguments.seconds as f64;
        Figure::new(share * 100.0, 2, "% of a core")
    };
    row.at_most("agent", share(0), 0.5);
    row.at_most("collector", share(1), 0.5);
    let resident = Figure::new(mib(after[0].resident_bytes), 1, "MiB");
    row.at_most("agent resident", resident, 25.0);
    let resident = mib(after[1].resident_bytes);
    row.say(format!("collector resident {resident:.1} MiB"));
    Ok(row)
}
