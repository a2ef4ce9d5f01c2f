//! The source takes requests: at its scans, and so at its start.
//!
//! A request goes when what it asks for lasts. Killed before that, it is done again: files that are back already are
//! passed over, and records are told by their marks.

use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dray_adapter::SourceError;
use dray_edges::edge;

use super::records::{WHOLE, mark};
use super::request::{self, Records, Request};
use crate::archive::{self, FAILED};
use crate::scan::takes;
use crate::source::FileDrop;

/// Requests that are looked at in one scan; the others wait for the next one.
const REQUESTS_MAX: usize = 16;

/// What the source knows of requests.
#[derive(Debug, Default)]
pub(crate) struct Taking {
    /// Of records, and not begun.
    pub(super) waiting: VecDeque<(PathBuf, Records)>,
    /// Of records, and begun in this life.
    pub(super) begun: HashSet<OsString>,
}

impl FileDrop {
    pub(crate) fn take_requests(&mut self) -> Result<(), SourceError> {
        let Some(own) = self.own.clone() else {
            return Ok(());
        };
        let paths =
            request::waiting(&own, REQUESTS_MAX).map_err(|error| self.no_request(&own, &error))?;
        self.taking.waiting.clear();
        for path in paths {
            let request = request::read(&path).map_err(|error| self.no_request(&path, &error))?;
            match request {
                None => {
                    tracing::warn!(request = %path.display(), "a request to read something again can't be understood; it is dropped");
                    request::remove(&path).map_err(|error| self.no_request(&path, &error))?;
                }
                Some(Request::Files(files)) => {
                    self.put_back(files)?;
                    edge!("file_drop.before_request_removal");
                    request::remove(&path).map_err(|error| self.no_request(&path, &error))?;
                }
                Some(Request::Records(records)) => {
                    let name = path.file_name().unwrap_or_default().to_owned();
                    if self.is_marked(&mark(&name, WHOLE)) {
                        request::remove(&path).map_err(|error| self.no_request(&path, &error))?;
                    } else if !self.taking.begun.contains(&name) {
                        self.taking.waiting.push_back((path, records));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn no_request(&self, path: &Path, error: &io::Error) -> SourceError {
        self.retry(format!(
            "{}, which holds requests to read something again: {error}; data_dir must belong to the agent's user",
            path.display()
        ))
    }

    fn put_back(&mut self, mut files: Vec<OsString>) -> Result<(), SourceError> {
        files.sort();
        if self.keeps() {
            for name in files {
                self.forget_failed(&name)?;
            }
            return Ok(());
        }
        let root = self.config.folder.clone();
        let failed = root.join(FAILED);
        let mut moved = false;
        for name in files {
            if moved {
                edge!("file_drop.between_redrives");
            }
            moved |= self.put_back_one(&failed, &name)?;
        }
        if moved {
            edge!("file_drop.before_redrive_sync");
            // The folder that they came to first: there twice rather than nowhere.
            let synced = archive::sync(&root).and_then(|()| archive::sync(&failed));
            synced.map_err(|error| self.folder_away(&error))?;
        }
        Ok(())
    }

    /// The companion goes first: a file that came back without it would wait for it.
    fn put_back_companion(
        &self,
        failed: &Path,
        name: &OsStr,
        own: &OsStr,
    ) -> Result<(), SourceError> {
        let root = &self.config.folder;
        let done = (self.matcher.done_of(name), self.matcher.done_of(own));
        let (Some(before), Some(after)) = done else {
            return Ok(());
        };
        let is_there = |path: PathBuf| fs::symlink_metadata(path).is_ok();
        if !is_there(failed.join(name)) || is_there(root.join(own)) {
            return Ok(());
        }
        match archive::rename_new(&failed.join(before), &root.join(&after)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                tracing::info!(file = ?after, "a newer companion waits in the folder: the one in failed/ stays there");
                Ok(())
            }
            moved => moved.map_err(|error| self.no_move(&root.join(after), "the folder", &error)),
        }
    }

    fn put_back_one(&self, failed: &Path, name: &OsStr) -> Result<bool, SourceError> {
        // A name that was taken when the file was set aside need not fit the pattern.
        let own = archive::original(name)
            .map(|(own, _)| own)
            .filter(|_| !takes(&self.matcher, name));
        let own = own.as_deref().unwrap_or(name);
        let to = self.config.folder.join(own);
        self.put_back_companion(failed, name, own)?;
        match archive::rename_new(&failed.join(name), &to) {
            Ok(()) => {
                tracing::info!(file = %to.display(), "the file is read again, as was asked");
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && failed.is_dir() => {
                tracing::info!(file = ?name, "the file is not in failed/ any more");
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                tracing::warn!(file = %to.display(), "a file of this name waits in the folder: the other one stays in failed/; ask again when that is read");
                Ok(false)
            }
            Err(error) => Err(self.retry(format!(
                "{} can't be moved back into the folder: {error}; give the agent's user the right to write in {}",
                failed.join(name).display(),
                self.config.folder.display()
            ))),
        }
    }
}
