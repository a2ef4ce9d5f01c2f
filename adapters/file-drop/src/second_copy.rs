//! Files in `archive/pending`: the second copy for the day that the buffer is lost.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use dray_adapter::{MarkState, SourceError};

use crate::archive::{self, PENDING};
use crate::config::Repeat;
use crate::decide::repeat_from;
use crate::first_pass::BadFile;
use crate::notice::Notice;
use crate::position::{Content, Finished, Goes};
use crate::reading::Reading;
use crate::ready::Look;
use crate::scan::takes;
use crate::source::{FileDrop, Pending, Work};

impl FileDrop {
    /// The files that an earlier run left there, in the order in which they came.
    pub(crate) fn list_second_copies(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.config.folder.join(PENDING))? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let known = self
                .pending
                .iter()
                .any(|pending| pending.path == entry.path());
            if metadata.is_file() && !known && archive::is_ours(&self.matcher, &entry.file_name()) {
                // Renaming sets a file's change time, so that is when it came.
                files.push((metadata.ctime(), metadata.ctime_nsec(), entry.path()));
            }
        }
        files.sort();
        Ok(files.into_iter().map(|(_, _, path)| path).collect())
    }

    /// Decides by its content what becomes of one.
    pub(crate) fn take_second_copy(
        &mut self,
        path: &Path,
        checked: Result<Box<Reading>, Box<BadFile>>,
    ) -> Result<(), SourceError> {
        let mut file = match &checked {
            Ok(reading) => reading.finished(Goes::Pending),
            Err(bad) => Finished {
                name: path.file_name().unwrap_or_default().to_owned(),
                content: bad.content,
                look: bad.look,
                goes: Goes::Pending,
            },
        };
        let own = archive::own_name(&file.name, &file.content.sha256);
        if !takes(&self.matcher, &own) {
            return Ok(());
        }
        file.content.repeat = self.repeat_of_copy(file.content, file.look);
        match (self.state(&file.content), checked) {
            (MarkState::Pending | MarkState::Done, _) => {
                self.pending_before.push_back(Pending {
                    file,
                    path: path.to_owned(),
                });
                return self.release();
            }
            (MarkState::New, _) if !self.is_new_epoch && changed_here(path) => {
                let reason = "it changed after it was appended and moved to archive/pending. What it was then was sent, \
                              what it is now was not; compare, and drop what is missing as a new file";
                self.notices.push_back(Notice::set_aside(
                    file,
                    path.to_owned(),
                    true,
                    reason,
                    Vec::new(),
                ));
            }
            (MarkState::New, Ok(mut reading)) => {
                tracing::info!(file = %path.display(), "the buffer does not know this file: it is read again");
                reading.content = file.content;
                self.work = Work::Reading(reading);
            }
            (MarkState::New, Err(bad)) => self.set_aside(*bad),
        }
        Ok(())
    }

    /// The number that the file was, or would have been, sent under.
    fn repeat_of_copy(&self, mut content: Content, look: Look) -> u64 {
        if self.config.repeat == Repeat::Report {
            return 0;
        }
        let waiting = [&self.pending, &self.pending_before];
        content.repeat = repeat_from(look);
        while waiting
            .iter()
            .any(|files| files.iter().any(|pending| pending.file.content == content))
            || self
                .finished
                .iter()
                .any(|moving| moving.file.content == content)
        {
            content.repeat += 1;
        }
        content.repeat
    }
}

/// Whether a file was written after it came here: writing sets both its times, renaming only one.
fn changed_here(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        (metadata.mtime(), metadata.mtime_nsec()) >= (metadata.ctime(), metadata.ctime_nsec())
    })
}
