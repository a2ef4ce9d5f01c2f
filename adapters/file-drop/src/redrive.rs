//! What was set aside is read again after a fix: whole files, and records of files that were read.
//!
//! A command writes a request into the source's own folder; the source takes it at its next scan, or at its start
//! (`take.rs`). So the command need not know whether the agent runs, and nothing but the source touches its folder.
//!
//! ```text
//! redrive/<microseconds since 1970>-<process>    a request: see request.rs
//! ```
//! | what stands as a dead letter | how it is read again | which ids it gets |
//! |---|---|---|
//! | a file | it goes back into the folder, or out of the ledger | those of its content, which it would have had |
//! | a record, of a format where a bad record is one record | the file is read again, and that record goes out | that of its place in the file |
//! | a document (X12, EDIFACT, IDoc), or a copybook's record | likewise, by the lines that it takes | made of the first of those lines, always the same |
//!
//! The last row: a document that can't be read counts as one, and as many once it can; so the places of those behind it
//! are not what they were, and an id made of them might be another record's.

mod ask;
mod pass;
mod records;
mod request;
mod take;

use std::path::{Path, PathBuf};

pub(crate) use records::Redriving;
pub(crate) use take::Taking;

use crate::config::{After, FileDropConfig};
use crate::ledger::{LEDGER, Ledger};
use crate::ledger_line::Ended;
use crate::position::shown;

/// A file that could be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrivable {
    /// Its name in `failed/`, or in the folder where nothing moves.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Why it was set aside, where that is known here; else its dead letter says so.
    pub reason: String,
}

/// What is to be read again.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Files, by their names.
    pub files: Vec<String>,
    /// All files that could be.
    pub all: bool,
    /// Records of the one file that is named: lines (`12`), lines of a document (`12-40`), ordinals (`#5`), or the ids of
    /// dead letters.
    pub records: Vec<String>,
}

impl FileDropConfig {
    /// The files that could be read again, by name. `own`: the source's own folder.
    ///
    /// # Errors
    /// A sentence.
    pub fn redrivable(&self, own: &Path) -> Result<Vec<Redrivable>, String> {
        match self.after {
            After::Move => self.in_failed(),
            After::Keep => self.failed_in_ledger(own),
        }
    }

    fn in_failed(&self) -> Result<Vec<Redrivable>, String> {
        let folder = self.folder.join(crate::archive::FAILED);
        let failed = |error: std::io::Error| format!("{} can't be read: {error}", folder.display());
        let matcher = self.matcher()?;
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let metadata = entry.metadata().map_err(failed)?;
            if metadata.is_file() && crate::archive::is_ours(&matcher, &entry.file_name()) {
                files.push(Redrivable {
                    name: shown(&entry.file_name()),
                    bytes: metadata.len(),
                    reason: String::new(),
                });
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }

    fn failed_in_ledger(&self, own: &Path) -> Result<Vec<Redrivable>, String> {
        let ledger = Ledger::read(&own.join(LEDGER))?;
        let mut files: Vec<Redrivable> = ledger
            .in_order()
            .into_iter()
            .filter(|(name, line)| line.ended == Ended::Failed && self.folder.join(name).is_file())
            .map(|(name, line)| Redrivable {
                name: shown(name),
                bytes: line.content.bytes,
                reason: line.reason.to_string(),
            })
            .collect();
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }
}

/// Where requests lie.
fn requests(own: &Path) -> PathBuf {
    own.join("redrive")
}
