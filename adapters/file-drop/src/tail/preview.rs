//! A sample as the source would read it.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use dray_adapter::{Batch, Position};

use super::FileTailConfig;
use super::notice::{origin, scope_of};
use super::place::{Entry, Node};
use super::reading::{Opened, Reading, Step};
use crate::notice::now_us;
use crate::position::shown;

/// A file's first records and rejects, at most `records_max` in all; a last line without its end is left out. The ids are
/// those of a flow's first file.
///
/// # Errors
/// A sentence: the file can't be read.
pub fn preview(
    flow: &str,
    config: &FileTailConfig,
    file: &Path,
    records_max: usize,
) -> Result<Vec<Batch>, String> {
    let cant =
        |reason: &dyn std::fmt::Display| format!("{} can't be read: {reason}", file.display());
    let format = config.format()?;
    let name = shown(file.file_name().unwrap_or_default());
    let node = Node {
        born_us: 0,
        inode: 0,
    };
    let text = File::open(file).map_err(|error| cant(&error))?;
    let entry = Entry::new(node, 0, name.clone());
    let opened = Reading::open(Box::new(text), &entry, 0, &format).map_err(|error| cant(&error))?;
    let mut reading = match opened {
        Opened::Open(reading) => reading,
        Opened::Refused(reason) => return Err(cant(&reason)),
        Opened::Replaced => return Err(cant(&"it changed")),
    };
    reading.limit(records_max);
    reading.begin_turn().map_err(|error| cant(&error))?;
    let (gather, last) = loop {
        let until = Instant::now() + Duration::from_secs(1);
        match reading.step(until).map_err(|error| cant(&error))? {
            Step::More => {}
            Step::Batch(gather, last) => break (gather, last),
            Step::Drained => return Ok(Vec::new()),
            Step::Replaced => return Err(cant(&"it was begun again while it was read")),
            Step::Refused(reason) => return Err(cant(&reason)),
        }
    };
    let first = super::turn::first_bytes(&gather);
    Ok(vec![Batch {
        origin: origin(scope_of(flow, &name, 0, first), &name),
        records: gather.records,
        rejects: gather.rejects,
        marks: Vec::new(),
        position: Position::default(),
        captured_us: now_us(),
        ends_unit: last,
        reports: Vec::new(),
    }])
}
