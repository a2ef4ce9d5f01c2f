//! A sample as the source would read it.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use dray_adapter::{Batch, Position};

use crate::FileDropConfig;
use crate::companions::said_beside;
use crate::first_pass::{Checked, FirstPass};
use crate::notice::{now_us, origin};
use crate::position::shown;
use crate::reading::Part;

/// A file's first records and rejects, at most `records_max` in all; nothing moves. The ids are those
/// of a first drop.
///
/// # Errors
/// A sentence: the file can't be read, or would be set aside whole.
pub fn preview(
    flow: &str,
    config: &FileDropConfig,
    file: &Path,
    records_max: usize,
) -> Result<Vec<Batch>, String> {
    let failed = |error: std::io::Error| format!("{} can't be read: {error}", file.display());
    let mut format = config.format()?;
    // Who asks for it may name a link or a pipe.
    let opened = File::open(file).map_err(failed)?;
    let pass = FirstPass::begin(file, opened, &format, config.bad_lines_max).map_err(failed)?;
    // A sample may come without its companion.
    let said = said_beside(config.control()?.as_ref(), &config.matcher()?, file).unwrap_or(None);
    let mut pass = pass.held_to(said);
    while !pass.step(later()).map_err(failed)? {}
    let mut reading = match pass.end(&mut format).map_err(failed)? {
        Checked::Changing => {
            return Err(format!(
                "{} changes while it is read; wait until it is complete",
                file.display()
            ));
        }
        Checked::Bad(bad) => {
            return Err(format!(
                "{} would be set aside whole: {}",
                file.display(),
                bad.reason
            ));
        }
        Checked::Good(reading) => reading,
    };
    reading.limit(records_max, &format).map_err(failed)?;
    let mut next = || loop {
        match reading.step(later()).map_err(failed)? {
            Part::Batch(gather, last) => break Ok((gather, last)),
            Part::More => {}
            Part::Changed => return Err(format!("{} changed while it was read", file.display())),
        }
    };
    let (gather, mut last) = next()?;
    if !last {
        // A file that holds just so many ends here, too.
        let (more, ended) = next()?;
        last = ended && more.records.is_empty() && more.rejects.is_empty();
    }
    Ok(vec![Batch {
        origin: origin(flow, &shown(&reading.name()), &reading.content),
        records: gather.records,
        rejects: gather.rejects,
        marks: Vec::new(),
        position: Position::default(),
        captured_us: now_us(),
        ends_unit: last,
        reports: Vec::new(),
    }])
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(1)
}
