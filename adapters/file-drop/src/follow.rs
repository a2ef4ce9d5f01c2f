//! A companion goes where its file goes, also where a crash came between.
//!
//! The file moves first: it is what the position names. A companion that is left behind belongs to the file that is in the
//! archive by its name, without one of its own, and moved there after the companion was written; so it is no alarm, and never the companion of the
//! next file of that name.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dray_adapter::SourceError;

use crate::archive::{
    self, ARCHIVE, FAILED, PENDING, REPEATED, is_done_of_ours, is_ours, move_as, original,
};
use crate::known::changed_ns;
use crate::matcher::Matcher;
use crate::position::Content;
use crate::source::FileDrop;

/// Moves the companion of a file that moved from `from` to `to`; a folder below `root`. [`archive::sync`] both
/// folders afterwards.
pub(crate) fn follow(
    matcher: &Matcher,
    root: &Path,
    folder: &str,
    from: &Path,
    to: &Path,
    sha256: &[u8; 32],
) -> io::Result<()> {
    let Some((companion, name)) = companion(matcher, from, to) else {
        return Ok(());
    };
    let is_there = fs::symlink_metadata(&companion).is_ok_and(|metadata| metadata.is_file());
    if is_there {
        move_as(&companion, root, folder, &name, sha256)?;
    }
    Ok(())
}

/// Where the companion of a file lay before it moved, and what it is called beside the file.
fn companion(matcher: &Matcher, from: &Path, to: &Path) -> Option<(PathBuf, OsString)> {
    let before = matcher.done_of(from.file_name()?)?;
    let after = matcher.done_of(to.file_name()?)?;
    Some((from.with_file_name(before), after))
}

/// Whether a companion that was left behind is the one of a file that moved here.
fn is_left_by(companion: &Path, file: &Path, beside: &Path) -> bool {
    let changed = |path: &Path| fs::symlink_metadata(path).map(|metadata| changed_ns(&metadata));
    let is_older = || match (changed(companion), changed(file)) {
        // Renaming sets a file's change time.
        (Ok(companion), Ok(file)) => companion <= file,
        _ => false,
    };
    fs::symlink_metadata(beside).is_err() && is_older()
}

impl FileDrop {
    /// The companion of a file that just moved goes with it.
    pub(crate) fn follow(
        &self,
        path: &Path,
        folder: &str,
        to: &Path,
        content: &Content,
    ) -> Result<(), SourceError> {
        let root = &self.config.folder;
        follow(&self.matcher, root, folder, path, to, &content.sha256)
            .map_err(|error| self.no_move(path, folder, &error))
    }

    /// Moves a companion that did not move with its file.
    pub(crate) fn follow_late(
        &self,
        from: &Path,
        folder: &str,
        to: &Path,
        content: &Content,
    ) -> Result<(), SourceError> {
        let Some((companion, name)) = companion(&self.matcher, from, to) else {
            return Ok(());
        };
        if is_left_by(&companion, to, &to.with_file_name(name)) {
            return self.follow(from, folder, to, content);
        }
        Ok(())
    }

    /// At the start: brings the companions that an earlier run left behind to their files.
    pub(crate) fn gather_left_behind(&self) -> io::Result<()> {
        if self.matcher.done_of(OsStr::new("")).is_none() {
            return Ok(());
        }
        let root = &self.config.folder;
        let left = self.without_file(root)?;
        let mut moved = false;
        for folder in [PENDING, ARCHIVE, FAILED, REPEATED] {
            if !left.is_empty() && root.join(folder).is_dir() {
                moved |= self.gather_in(folder, &left)?;
            }
        }
        // Their files are acked.
        for companion in self.without_file(&root.join(PENDING))? {
            let path = root.join(PENDING).join(&companion);
            move_as(&path, root, ARCHIVE, &companion, &[0; 32])?;
            moved = true;
        }
        if moved {
            tracing::info!(folder = %root.display(), "companions of files that moved before the restart moved after them");
            archive::sync_all(root)?;
        }
        Ok(())
    }

    /// Brings those that files in this folder left behind; whether there were any.
    fn gather_in(&self, folder: &str, left: &HashSet<OsString>) -> io::Result<bool> {
        let root = &self.config.folder;
        let mut moved = false;
        for entry in fs::read_dir(root.join(folder))? {
            let file = entry?.path();
            let name = file.file_name().unwrap_or_default();
            if !is_ours(&self.matcher, name) {
                continue;
            }
            let own = original(name).map(|(own, _)| own);
            let mut dones = [Some(name.to_owned()), own]
                .into_iter()
                .flatten()
                .filter_map(|name| self.matcher.done_of(&name));
            let Some(done) = dones.find(|done| left.contains(done)) else {
                continue;
            };
            let (companion, name) = (
                root.join(done),
                self.matcher.done_of(name).unwrap_or_default(),
            );
            if is_left_by(&companion, &file, &file.with_file_name(&name)) {
                move_as(&companion, root, folder, &name, &[0; 32])?;
                moved = true;
            }
        }
        archive::sync(&root.join(folder))?;
        Ok(moved)
    }

    /// The companions in a folder whose files are not there.
    fn without_file(&self, folder: &Path) -> io::Result<HashSet<OsString>> {
        let (mut companions, mut claimed) = (HashSet::new(), HashSet::new());
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            if is_done_of_ours(&self.matcher, &name) {
                companions.insert(name);
            } else if is_ours(&self.matcher, &name) {
                claimed.extend(self.matcher.done_of(&name));
            }
        }
        companions.retain(|name| !claimed.contains(name));
        Ok(companions)
    }
}
