//! How many events a second, and what each costs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use dray_tests::counter::Counter;
use dray_tests::site::Site;

use crate::Arguments;
use crate::load;
use crate::row::{Figure, Row, thousands};

/// The default document field by field, written by an operator as a template.
const TEMPLATE: &str = concat!(
    "template = '''",
    r#"{"id":{{ id | tojson }},"site":{{ site | tojson }},"flow":{{ flow | tojson }},"offset":{{ offset }},"#,
    r#""key":{{ key | tojson }},"operation":{{ operation | tojson }},"captured_at":{{ captured_at | tojson }},"#,
    r#""schema_version":{{ schema_version }},"type":{{ type | tojson }},"#,
    r#""provenance":{"file":{{ provenance.file | tojson }},"line":{{ provenance.line | tojson }}},"#,
    r#""data":{"movement_number":{{ data.movement_number | tojson }},"item_number":{{ data.item_number | tojson }},"#,
    r#""warehouse":{{ data.warehouse | tojson }},"location":{{ data.location | tojson }},"#,
    r#""quantity":{{ data.quantity | tojson }},"unit":{{ data.unit | tojson }},"lot":{{ data.lot | tojson }},"#,
    r#""reason":{{ data.reason | tojson }},"reference":{{ data.reference | tojson }},"#,
    r#""user":{{ data.user | tojson }},"moved_at":{{ data.moved_at | tojson }}}}"#,
    "'''"
);

/// How long a row may take.
const LIMIT: Duration = Duration::from_secs(600);

/// JSON by the compiled plan.
pub(crate) fn by_plan(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let (mut row, rate) = measure(folder, arguments, "JSON by the field plan", "")?;
    row.at_least("", Figure::new(rate, 0, "events/s"), 400_000.0);
    row.at_most("", Figure::new(row.cpu_us(), 2, "µs of CPU an event"), 4.5);
    row.judge_memory();
    Ok(row)
}

/// JSON by a template of the target.
pub(crate) fn by_template(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let (mut row, rate) = measure(folder, arguments, "JSON by a minijinja template", TEMPLATE)?;
    row.say(format!("{} events/s", thousands(rate as u64)));
    row.judge_memory();
    Ok(row)
}

/// The files are in the folder before the agent starts; the clock runs from its start to the last event at the target.
fn measure(
    folder: &Path,
    arguments: &Arguments,
    how: &str,
    more: &str,
) -> anyhow::Result<(Row, f64)> {
    let counter = Counter::start()?;
    let targets = load::target(&counter.url(), 1_000, more);
    let mut site = Site::lay_out(folder, &[load::waiting_flow()], &targets)?;
    let lines = arguments.lines;
    load::drop_all(
        &site.drops("movements"),
        0,
        lines,
        lines.div_ceil(20),
        arguments.keys,
    )?;
    site.start_collector()?;
    site.enrol()?;
    rustix::fs::sync();
    let began = Instant::now();
    site.start_agent()?;
    let arrived = counter.wait(lines, LIMIT);
    let took = began.elapsed().as_secs_f64();
    let mut row = Row::of(
        format!(
            "{} movements (148 B) of {} keys in 20 files, {how}",
            thousands(lines),
            thousands(arguments.keys)
        ),
        lines,
    );
    row.count_in(&site)?;
    let (repeats, bytes) = counter.with(|counts| (counts.repeats, counts.bytes));
    ensure!(
        arrived == lines && repeats == 0,
        "{arrived} of {lines} arrived, {repeats} of them twice"
    );
    let rate = lines as f64 / took;
    row.headline = rate;
    row.say(format!("{took:.2} s, {} B of JSON an event", bytes / lines));
    Ok((row, rate))
}
