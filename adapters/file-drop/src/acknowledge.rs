//! Acknowledgements (997, CONTRL) in a folder from which something else sends them back.
//!
//! ```text
//! appended -> written as .NAME-HASH.tmp -> synced -> renamed to NAME -> folder synced -> only then the file moves
//! ```
//! So a file that has moved is acknowledged; likewise one that is noted in the ledger, where files are kept. One that has not is named
//! by the position: the next start reads it again and writes the same bytes under the same name, as names, numbers and times follow from
//! the file alone (its content, and when it was modified). If somebody took the first one away by then, it is sent twice, as the same
//! interchange.
//!
//! Nothing is overwritten: a name that stands for something else gets the beginning of the content's hash.
//! A second copy in `archive/pending` was acknowledged before it came there, and is not acknowledged again; a repeat neither.
//!
//! Limits: an interchange's place among the first [`INTERCHANGES_MAX`] of its file; some 100 bytes of memory a document, for the first
//! [`VERDICTS_MAX`](dray_formats::edi::VERDICTS_MAX) of a file that is not committed, of which there are few at a time.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dray_adapter::SourceError;
use dray_edges::edge;
use dray_formats::FileFault;
use dray_formats::edi::{Acknowledged, Acknowledgement, INTERCHANGES_MAX, acknowledgements};
use dray_formats::packed::Decoder;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::archive;
use crate::config::{FileDropConfig, Finding};
use crate::first_pass::{Checked, FirstPass};
use crate::plain;
use crate::position::{Finished, Goes};
use crate::ready::Look;
use crate::source::{FileDrop, unreadable};

/// Names tried for one acknowledgement.
const NAMES_MAX: u32 = 100;

/// `[flow.source.acknowledge]`.
///
/// ```toml
/// [flow.source.acknowledge]
/// folder = "/srv/edi/back"
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeConfig {
    /// Where they are written. It must be there: a share that is away must not be made anew.
    pub folder: PathBuf,
}

/// How a file is acknowledged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledges {
    by: Acknowledged,
    /// When the file was modified as it was first read; else as it is now.
    modified_us: Option<i64>,
}

impl Acknowledges {
    /// The acknowledgements of a file that was read to its end or to its fault.
    pub(crate) fn of(
        self,
        path: &Path,
        decoder: &Decoder,
        look: Look,
        fault: Option<&FileFault>,
    ) -> Vec<Acknowledgement> {
        let Some(receipt) = decoder.receipt() else {
            return Vec::new();
        };
        if receipt.interchanges.len() == INTERCHANGES_MAX && receipt.left_out > 0 {
            tracing::warn!(
                file = %path.display(),
                "only the first {INTERCHANGES_MAX} interchanges and groups of a file are acknowledged; have it sent in smaller ones"
            );
        }
        let modified = Timestamp::from_microsecond(self.modified_us.unwrap_or(look.modified_us));
        let modified = modified.unwrap_or(Timestamp::UNIX_EPOCH);
        let date = modified.strftime("%Y%m%d").to_string();
        let time = modified.strftime("%H%M").to_string();
        acknowledgements(self.by, &receipt, (&date, &time), fault)
    }
}

/// What is wrong with the setting.
pub(crate) fn fault(config: &FileDropConfig) -> Option<(&'static str, String)> {
    let folder = &config.acknowledge.as_ref()?.folder;
    if config.format.acknowledged().is_none() {
        let reason = "nobody waits for an acknowledgement of such files; leave it out, or write it with kind = \"x12\" or \"edifact\"";
        return Some(("acknowledge", reason.into()));
    }
    if !folder.is_absolute() {
        let reason = format!(
            "\"{}\" is not an absolute path; begin it with \"/\"",
            folder.display()
        );
        return Some(("acknowledge.folder", reason));
    }
    folder.starts_with(&config.folder).then(|| {
        let reason = format!(
            "\"{}\" is in the watched folder, whose files are read, archived and pruned; choose one outside of it",
            folder.display()
        );
        ("acknowledge.folder", reason)
    })
}

/// Tries the folder and leaves nothing there.
pub(crate) fn check(config: &FileDropConfig) -> Option<Finding> {
    let folder = &config.acknowledge.as_ref()?.folder;
    let trial = folder.join(format!(".dray-check-{}", std::process::id()));
    Some(match fs::write(&trial, b"") {
        Ok(()) => {
            // It is empty, and hidden.
            let _ = fs::remove_file(&trial);
            Finding::Fine(format!(
                "acknowledgements can be written to {}",
                folder.display()
            ))
        }
        Err(error) => Finding::Wrong(no_write(folder, &error)),
    })
}

fn no_write(folder: &Path, error: &io::Error) -> String {
    let way_out = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "make the folder or mount the share, or correct acknowledge.folder"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there",
        _ => "give the agent's user the right to write there",
    };
    format!(
        "acknowledgements can't be written to {}: {error}; {way_out}",
        folder.display()
    )
}

impl FileDrop {
    /// How this file is acknowledged, if it is.
    pub(crate) fn acknowledges(&self, path: &Path) -> Option<Acknowledges> {
        self.config.acknowledge.as_ref()?;
        let by = self.config.format.acknowledged()?;
        (!self.is_archived(path)).then_some(Acknowledges {
            by,
            modified_us: None,
        })
    }

    /// Writes what a finished file's sender is told. Call before the file moves; it may be called again.
    pub(crate) fn acknowledge(
        &self,
        file: &Finished,
        acknowledgements: &mut Vec<Acknowledgement>,
    ) -> Result<(), SourceError> {
        let Some(AcknowledgeConfig { folder }) = &self.config.acknowledge else {
            return Ok(());
        };
        if acknowledgements.is_empty() {
            return Ok(());
        }
        edge!("file_drop.before_acknowledgement");
        let written = acknowledgements
            .iter()
            .try_for_each(|one| write(folder, one))
            // All of them at once: they are there when the file moves.
            .and_then(|()| {
                edge!("file_drop.before_acknowledgement_sync");
                archive::sync(folder)
            });
        written.map_err(|error| {
            self.retry(format!(
                "{}. {} is appended, and waits for that where it is",
                no_write(folder, &error),
                file.name.to_string_lossy()
            ))
        })?;
        acknowledgements.clear();
        Ok(())
    }

    /// The acknowledgements of a file that was appended before a restart and stands where it stood: they may not have been written.
    pub(crate) fn acknowledge_again(
        &self,
        file: &Finished,
        path: &Path,
    ) -> Result<Vec<Acknowledgement>, SourceError> {
        // Nobody else is told anything, so nothing is read for it.
        let is_told = matches!(file.goes, Goes::Pending | Goes::Failed);
        let Some(acknowledges) = self.acknowledges(path).filter(|_| is_told) else {
            return Ok(Vec::new());
        };
        let acknowledges = Acknowledges {
            modified_us: Some(file.look.modified_us),
            ..acknowledges
        };
        let again = || {
            let file = plain::open(path)?;
            let pass = FirstPass::begin(path, file, &self.format, self.config.bad_lines_max)?;
            let mut pass = pass.acknowledging(Some(acknowledges));
            while !pass.step(Instant::now() + Duration::from_secs(1))? {}
            pass.end(&mut self.format.clone())
        };
        let checked = again().map_err(|error| {
            self.retry(format!(
                "{} was appended and is to be acknowledged, but {}",
                path.display(),
                unreadable(&error)
            ))
        })?;
        // Only the file that was appended, with the verdict that it had.
        Ok(match (checked, file.goes) {
            (Checked::Good(reading), Goes::Pending)
                if reading.content.is_copy_of(&file.content) =>
            {
                reading.acknowledgements
            }
            // Its companion spoke against it, or what was there before.
            (Checked::Good(reading), Goes::Failed) if reading.content.is_copy_of(&file.content) => {
                reading.refusals
            }
            (Checked::Bad(bad), Goes::Failed) if bad.content.is_copy_of(&file.content) => {
                bad.acknowledgements
            }
            _ => Vec::new(),
        })
    }
}

/// Writes one, unless it is there. Sync the folder afterwards.
fn write(folder: &Path, one: &Acknowledgement) -> io::Result<()> {
    let hash: [u8; 32] = Sha256::digest(&one.bytes).into();
    for number in 0..NAMES_MAX {
        let name = archive::candidate(OsStr::new(&one.name), &hash, number);
        let to = folder.join(&name);
        if is_there(&to, &one.bytes)? {
            return Ok(());
        }
        if fs::symlink_metadata(&to).is_ok() {
            continue;
        }
        // Another flow may write one of this name meanwhile.
        let mut hidden = OsStr::new(".").to_owned();
        hidden.push(&name);
        hidden.push(format!("-{}.tmp", hex::encode(&hash[..8])));
        let hidden = folder.join(hidden);
        let mut file = File::create(&hidden)?;
        file.write_all(&one.bytes)?;
        file.sync_all()?;
        edge!("file_drop.before_acknowledgement_name");
        match archive::rename_new(&hidden, &to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&hidden)?;
            }
            result => return result,
        }
    }
    Err(io::Error::other(format!(
        "there are {NAMES_MAX} files of the name {} already",
        one.name
    )))
}

fn is_there(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() == bytes.len() as u64 => {
            Ok(fs::read(path)? == bytes)
        }
        _ => Ok(false),
    }
}
