//! A folder is bound to its flows: what waits in `archive/pending` is sent by the flow that appended it.
//!
//! ```text
//! archive/.dray/flows   a line a flow that reads here: its full name, a tab, its pattern
//! ```
//! Without it two flows whose folders were exchanged, or a flow with another name, would take the files of
//! the other for their own second copies, and send them a second time. A flow that is not named and meets
//! waiting files that a named one may have appended stops. One that is named, or meets none, writes itself
//! down; it takes the line of a flow with the very same pattern, as two such can't share a folder.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use globset::Glob;

use crate::archive::{OWN, PENDING, is_ours, make, sync};
use crate::matcher::Matcher;
use crate::plain;

const FLOWS: &str = "flows";
/// Bytes that are read of it: hundreds of flows. Nobody writes more.
const BYTES_MAX: u64 = 64 * 1024;

/// Flows of one agent that share a folder may open it at once.
static WRITING: Mutex<()> = Mutex::new(());

/// Files of another flow that wait where this flow is to read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    flow: String,
    files: usize,
}

impl Foreign {
    /// What is wrong, and the ways out.
    pub(crate) fn sentence(&self, root: &Path, flow: &str) -> String {
        let Self { flow: other, files } = self;
        let pending = root.join(PENDING);
        let files = match files {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        format!(
            "{files} in {} may have been appended by flow {other}: {flow} would send them a second time. Give {other} its name and folder back until they \
             are acked and gone from there; or move them out of that folder; or, if {flow} is to send them, delete {}",
            pending.display(),
            root.join(OWN).join(FLOWS).display()
        )
    }
}

/// A flow that reads here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    flow: String,
    pattern: String,
}

/// Files that wait here and may be another flow's; `None` where this flow is named, or none is.
///
/// # Errors
/// `archive/pending` can't be read.
pub(crate) fn foreign(root: &Path, flow: &str, matcher: &Matcher) -> io::Result<Option<Foreign>> {
    let owners = read(root);
    if owners.is_empty() || owners.iter().any(|owner| owner.flow == flow) {
        return Ok(None);
    }
    let mut waiting: Vec<OsString> = Vec::new();
    for entry in fs::read_dir(root.join(PENDING))? {
        let entry = entry?;
        if entry.file_type()?.is_file() && is_ours(matcher, &entry.file_name()) {
            waiting.push(entry.file_name());
        }
    }
    let foreign = owners.into_iter().find_map(|owner| {
        let theirs = Glob::new(&owner.pattern).map(|glob| Matcher::new(&glob, None, None));
        // A pattern that can't be read fits all.
        let fits = |name: &&OsString| theirs.as_ref().map_or(true, |theirs| is_ours(theirs, name));
        let files = waiting.iter().filter(fits).count();
        (files > 0).then_some(Foreign {
            flow: owner.flow,
            files,
        })
    });
    Ok(foreign)
}

/// Writes down that this flow reads here, if it does not stand there.
///
/// # Errors
/// It can't be written. A folder whose files can't move would say so soon enough.
pub(crate) fn bind(root: &Path, flow: &str, pattern: &str) -> io::Result<()> {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = read(root);
    let mut owners = before.clone();
    owners.retain(|owner| owner.flow != flow && owner.pattern != pattern);
    owners.push(Owner {
        flow: flow.to_owned(),
        pattern: pattern.to_owned(),
    });
    owners.sort_by(|one, other| one.flow.cmp(&other.flow));
    if owners == before {
        return Ok(());
    }
    let lines: String = owners
        .iter()
        .map(|owner| format!("{}\t{}\n", owner.flow, owner.pattern))
        .collect();
    make(root, OWN)?;
    let own = root.join(OWN);
    // It lasts before the first file moves: whoever finds that file finds whose it is.
    let new = own.join(format!("{FLOWS}-{}", std::process::id()));
    let mut file = File::create(&new)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, own.join(FLOWS))?;
    sync(&own)?;
    if let Some(other) = before
        .iter()
        .find(|owner| owner.flow != flow && owner.pattern == pattern)
    {
        tracing::info!(folder = %root.display(), was = other.flow, "the folder is this flow's now; nothing of the other waited");
    }
    Ok(())
}

/// Nothing, where it is not there or can't be read: then nobody is told apart, as before it was written.
fn read(root: &Path) -> Vec<Owner> {
    let mut bytes = Vec::new();
    if let Ok(file) = plain::open(&root.join(OWN).join(FLOWS)) {
        let _ = file.take(BYTES_MAX).read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let owner = |line: &str| {
        let (flow, pattern) = line.split_once('\t')?;
        let owner = Owner {
            flow: flow.to_owned(),
            pattern: pattern.to_owned(),
        };
        (!flow.is_empty()).then_some(owner)
    };
    text.lines().filter_map(owner).collect()
}
