//! Moves: after the append, at the ack, of repeats; and what age deletes.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dray_adapter::{FileOutcome, MarkState, SourceError};
use dray_edges::edge;

use crate::archive::{self, ARCHIVE, FAILED, PENDING, REPEATED};
use crate::follow::follow;
use crate::notice::Notice;
use crate::position::{Content, Finished, Goes};
use crate::ready::Look;
use crate::report::Facts;
use crate::scan::look_of;
use crate::source::FileDrop;
use crate::start::has_hash;
use crate::under_way::{Moving, Renamed, Repeated, Waiting};

/// How often the archive is pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// Repeats that are told of at once; the others follow when these are appended.
const REPEATS_MAX: usize = 8;

impl FileDrop {
    /// Moves a file whose last batch is appended. Where it was renamed, [`Self::end_moves`] makes that last.
    pub(crate) fn move_finished(&mut self, moving: &mut Moving) -> Result<(), SourceError> {
        self.acknowledge(&moving.file, &mut moving.acknowledgements)?;
        if moving.file.goes == Goes::Pending && moving.path.is_some() {
            self.is_whole(&moving.file.content);
        }
        if self.keeps() {
            return self.note_finished(moving);
        }
        let Moving {
            file,
            path: Some(path),
            renamed,
            ..
        } = moving
        else {
            return Ok(());
        };
        if let Some(renamed) = renamed {
            let Renamed {
                file,
                folder,
                path: to,
            } = renamed;
            return self.follow_late(path, folder, to, &file.content);
        }
        let folder = self.folder_of(file);
        let path = &*path;
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && self.config.folder.is_dir() =>
            {
                tracing::warn!(file = %path.display(), "the file was appended, and somebody else took it before it could move");
                return Ok(());
            }
            Err(error) => return Err(self.no_move(path, PENDING, &error)),
        };
        self.ready.forget(&file.name);
        let look = look_of(&metadata);
        if !look.is_same_file(&file.look) || !metadata.is_file() {
            tracing::warn!(file = %path.display(), "the file was appended, and another one has its name now; that is read by itself");
            self.next_scan = Instant::now();
            return Ok(());
        }
        let is_pending = self.is_pending(path);
        // One that was touched, or written again as it was, is what was sent.
        let is_same = look == file.look
            || (file.goes == Goes::Pending && has_hash(path, &file.content.sha256));
        let moved = Finished {
            look: if is_same { look } else { file.look },
            ..file.clone()
        };
        match file.goes {
            Goes::Repeated if !is_same => {
                // It is a file of its own by now.
                self.next_scan = Instant::now();
            }
            Goes::Pending if !is_same => {
                let reason = "it changed after it was read and appended. What it was then was sent, what it is now was not; \
                              compare, and drop what is missing as a new file";
                self.notices.push_back(Notice::set_aside(
                    moved,
                    path.clone(),
                    is_pending,
                    reason,
                    Vec::new(),
                ));
                self.ring();
            }
            Goes::Pending if is_pending => self.wait_for_ack(&moved, path),
            // It was read on there, and the collector was faster again.
            Goes::Pending if folder == ARCHIVE && self.is_archived(path) => {}
            Goes::Pending | Goes::Failed | Goes::FailedFromPending | Goes::Repeated => {
                if file.goes == Goes::Pending {
                    edge!("file_drop.before_pending");
                }
                let to = self.rename(path, folder, &moved.content)?;
                // From here on it is there, though a sync may fail and be tried again.
                let to = Renamed {
                    file: moved,
                    folder,
                    path: to,
                };
                *renamed = Some(to.clone());
                self.follow(path, folder, &to.path, &to.file.content)?;
            }
        }
        Ok(())
    }

    /// Finished files are renamed: their moves are made to last, together, before anything is said that rests on them.
    pub(crate) fn end_moves(&mut self, moved: &[Moving]) -> Result<(), SourceError> {
        let renamed = || moved.iter().filter_map(|moving| moving.renamed.as_ref());
        // What is acked by now goes on, so that the same syncs are for both. What hinders that is told when the ack is.
        let _ = self.release_acked();
        let mut to: BTreeSet<&str> = renamed().map(|to| to.folder).collect();
        let mut from: BTreeSet<&str> = renamed().map(|to| came_from(to.file.goes)).collect();
        if self.released {
            edge!("file_drop.before_archive_sync");
            // It stands before what these came from, in this order too.
            to.insert(ARCHIVE);
            if !to.contains(PENDING) {
                from.insert(PENDING);
            }
        }
        if to.is_empty() {
            return Ok(());
        }
        self.sync_moves(&to, &from).map_err(|error| {
            let first = renamed().next().map(|to| (to.path.clone(), to.folder));
            let acked = || (self.config.folder.join(PENDING), ARCHIVE);
            let (path, folder) = first.unwrap_or_else(acked);
            self.no_move(&path, folder, &error)
        })?;
        self.released = false;
        for Renamed { file, folder, path } in renamed() {
            if *folder == PENDING {
                self.wait_for_ack(file, path);
            }
        }
        Ok(())
    }

    /// Where a finished file goes.
    fn folder_of(&self, file: &Finished) -> &'static str {
        match file.goes {
            // The collector was faster than the move: nothing is left to wait for.
            Goes::Pending if self.state(&file.content) == MarkState::Done => ARCHIVE,
            Goes::Pending => PENDING,
            Goes::Failed | Goes::FailedFromPending => FAILED,
            Goes::Repeated => REPEATED,
        }
    }

    fn wait_for_ack(&mut self, file: &Finished, path: &Path) {
        self.known.add(path, &file.content);
        let name = path.file_name().unwrap_or_default();
        self.pending
            .push_back(Waiting::new(name, file.content, file.look));
    }

    pub(crate) fn pending_path(&self, name: &OsStr) -> PathBuf {
        self.config.folder.join(PENDING).join(name)
    }

    pub(crate) fn no_move(&self, path: &Path, folder: &str, error: &io::Error) -> SourceError {
        let root = self.config.folder.display();
        let way_out = match error.kind() {
            io::ErrorKind::StorageFull => format!("make room on the disk of {root}"),
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                format!(
                    "let nothing but folders be called \"{ARCHIVE}\" and \"{FAILED}\" in {root}"
                )
            }
            _ => format!("give the agent's user the right to write in {root}"),
        };
        self.retry(format!(
            "{} can't be moved to {folder}: {error}; {way_out}",
            path.display()
        ))
    }

    fn rename(&self, path: &Path, folder: &str, content: &Content) -> Result<PathBuf, SourceError> {
        archive::move_to(path, &self.config.folder, folder, &content.sha256)
            .map_err(|error| self.no_move(path, folder, &error))
    }

    /// The folders that they came to first: where only one of both lasts, a file is there twice rather than nowhere.
    fn sync_moves(&self, to: &BTreeSet<&str>, from: &BTreeSet<&str>) -> io::Result<()> {
        let sync = |folder: &&str| archive::sync(&self.config.folder.join(folder));
        edge!("file_drop.before_folder_sync");
        to.iter().try_for_each(sync)?;
        edge!("file_drop.between_folder_syncs");
        from.iter().try_for_each(sync)
    }

    /// The file has the content of an earlier one. It stays until it has stood still for the quiet time:
    /// who writes in two steps may have written the first one only.
    pub(crate) fn note_repeat(&mut self, path: &Path, facts: &Facts) {
        let name = path.file_name().unwrap_or_default().to_owned();
        self.ready.forget(&name);
        let reason = "the same content was dropped before: it is not sent again; set repeat = \"send\" if that is wanted";
        self.repeats.insert(
            name,
            Repeated {
                content: facts.content,
                look: facts.look,
                since: Instant::now(),
                report: facts.report(FileOutcome::Repeated, reason),
            },
        );
    }

    /// How long until a file that was found to be a repeat may move; `None` where it is none, or changed.
    pub(crate) fn repeat_waits(&mut self, name: &OsStr, look: Look) -> Option<Duration> {
        let repeated = self.repeats.get(name)?;
        if repeated.look != look {
            self.repeats.remove(name);
            return None;
        }
        Some(self.config.quiet.saturating_sub(repeated.since.elapsed()))
    }

    /// Has repeats put beside that stood still; how long until the next may.
    pub(crate) fn put_repeats(&mut self) -> Duration {
        let mut soonest = Duration::MAX;
        let names: Vec<OsString> = self.repeats.keys().cloned().collect();
        for name in names {
            let path = self.config.folder.join(&name);
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                self.repeats.remove(&name);
                continue;
            };
            let Some(wait) = self.repeat_waits(&name, look_of(&metadata)) else {
                // It changed: it is a file of its own.
                self.next_scan = Instant::now();
                continue;
            };
            if !wait.is_zero() {
                soonest = soonest.min(wait);
                continue;
            }
            let Some(Repeated {
                content,
                look,
                report,
                ..
            }) = self.repeats.remove(&name)
            else {
                continue;
            };
            tracing::warn!(file = %path.display(), reason = report.reason, "a file is put beside");
            let file = Finished {
                name,
                content,
                look,
                goes: Goes::Repeated,
            };
            let report = Some(report).filter(|_| self.config.report);
            self.notices.push_back(Notice::repeated(file, path, report));
            soonest = Duration::ZERO;
            if self.notices.len() >= REPEATS_MAX {
                break;
            }
        }
        soonest
    }

    /// Moves what is acked from `archive/pending` to `archive`, from the oldest on, and makes that last: now, or with the next moves.
    pub(crate) fn release(&mut self) -> Result<(), SourceError> {
        self.release_acked()?;
        if self.released && self.finished.is_empty() {
            edge!("file_drop.before_archive_sync");
            for folder in [ARCHIVE, PENDING] {
                let folder = self.config.folder.join(folder);
                archive::sync(&folder).map_err(|error| self.no_move(&folder, ARCHIVE, &error))?;
            }
            self.released = false;
        }
        Ok(())
    }

    fn release_acked(&mut self) -> Result<(), SourceError> {
        for before in [true, false] {
            loop {
                let files = if before {
                    &self.pending_before
                } else {
                    &self.pending
                };
                let Some(first) = files
                    .front()
                    .filter(|first| self.state(&first.content) == MarkState::Done)
                else {
                    break;
                };
                let released = self.release_one(first)?;
                let files = if before {
                    &mut self.pending_before
                } else {
                    &mut self.pending
                };
                files.pop_front();
                match released {
                    Released::Moved => self.released = true,
                    Released::Gone => {}
                    Released::Changed(notice) => {
                        self.notices.push_back(*notice);
                        self.ring();
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves one.
    fn release_one(&self, waiting: &Waiting) -> Result<Released, SourceError> {
        let path = &self.pending_path(&waiting.name);
        let gone = |error: &io::Error| {
            error.kind() == io::ErrorKind::NotFound && self.config.folder.is_dir()
        };
        let result = fs::symlink_metadata(path).and_then(|metadata| {
            let look = look_of(&metadata);
            if !waiting.is_unchanged(look) {
                let reason = "it changed after it was appended and moved to archive/pending. What it was then was sent, \
                              what it is now was not; compare, and drop what is missing as a new file";
                let notice = Notice::set_aside(as_it_was(waiting, look), path.clone(), true, reason, Vec::new());
                return Ok(Released::Changed(Box::new(notice)));
            }
            if self.released {
                edge!("file_drop.between_archive_moves");
            }
            edge!("file_drop.before_archive");
            let root = &self.config.folder;
            let to = archive::move_to(path, root, ARCHIVE, &waiting.content.sha256)?;
            let followed = follow(&self.matcher, root, ARCHIVE, path, &to, &waiting.content.sha256);
            if let Err(error) = followed {
                tracing::warn!(file = %path.display(), %error, "the companion of this file can't be moved to the archive; the next start tries again");
            }
            Ok(Released::Moved)
        });
        match result {
            Err(error) if gone(&error) => {
                tracing::warn!(file = %path.display(), "an acked file was taken by somebody else");
                Ok(Released::Gone)
            }
            result => result.map_err(|error| self.no_move(path, ARCHIVE, &error)),
        }
    }

    pub(crate) fn prune(&mut self) {
        let now = Instant::now();
        if now < self.next_prune {
            return;
        }
        self.next_prune = now + PRUNE_EVERY;
        if self.keeps() {
            return self.tidy_ledger();
        }
        match archive::prune(&self.config.folder, &self.matcher, self.config.archive_days) {
            Ok((0, _)) => {}
            Ok((files, more)) => {
                tracing::info!(files, "old files were deleted from the archive");
                if more {
                    self.next_prune = now + self.config.scan_every;
                }
            }
            Err(error) => tracing::warn!(%error, "old files can't be deleted from the archive"),
        }
    }
}

/// What became of a file that is acked.
enum Released {
    Moved,
    /// Somebody else took it.
    Gone,
    /// It changed since it was appended.
    Changed(Box<Notice>),
}

/// The folder, below the drop folder, in which a file was until it moved.
fn came_from(goes: Goes) -> &'static str {
    match goes {
        Goes::FailedFromPending => PENDING,
        Goes::Pending | Goes::Failed | Goes::Repeated => "",
    }
}

/// The file of which something else has become `look` by now.
fn as_it_was(waiting: &Waiting, look: Look) -> Finished {
    Finished {
        name: waiting.name.to_os_string(),
        content: waiting.content,
        look: Look {
            bytes: waiting.bytes,
            modified_us: waiting.modified_us,
            ..look
        },
        goes: Goes::Pending,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dray_adapter::{Mark, MarkState, Polled, Seen, Source};

    use super::*;

    struct Nothing;

    impl Seen for Nothing {
        fn seen(&self, _: &Mark) -> MarkState {
            MarkState::New
        }
    }

    /// A source over a folder with one file, which is appended.
    fn appended(root: &Path) -> (FileDrop, dray_adapter::Position) {
        fs::write(root.join("a.txt"), "A|1\n").expect("a file");
        let config = format!(
            "kind = \"file-drop\"\nfolder = \"{}\"\nquiet = \"0s\"\nscan_every = \"10ms\"\nformat = {{ kind = \"csv\", delimiter = \"|\" }}",
            root.display()
        );
        let config = toml::from_str(&config).expect("a configuration");
        let mut source = FileDrop::new("north/stock", config).expect("a source");
        source
            .open(None, Arc::new(Nothing), Arc::new(|| ()))
            .expect("it opens");
        loop {
            if let Polled::Batch(batch) = source.poll().expect("a poll") {
                return (source, batch.position);
            }
        }
    }

    #[test]
    fn a_move_whose_sync_failed_is_ended_by_the_next_commit() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let (mut source, position) = appended(root);
        let moving = source.finished.front_mut().expect("a file that is to move");
        let to = root.join(PENDING).join("a.txt");
        fs::rename(root.join("a.txt"), &to).expect("a rename");
        moving.renamed = Some(Renamed {
            file: moving.file.clone(),
            folder: PENDING,
            path: to,
        });
        // The folder can't be synced.
        let away = root.join("archive/away");
        fs::rename(root.join(PENDING), &away).expect("a rename");
        source
            .commit(&position)
            .expect_err("its move does not last yet");
        assert!(
            source.pending.is_empty(),
            "and it does not wait for its ack"
        );
        fs::rename(away, root.join(PENDING)).expect("a rename");
        source.commit(&position).expect("it is synced");
        assert_eq!((source.finished.len(), source.pending.len()), (0, 1));
    }
}
