//! Folders and files, made to last.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Syncs a folder, so that the names in it are on stable storage.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Syncs a folder and all that is in it.
pub(crate) fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync(folder)
}

/// Writes a file so that it is there whole or not at all, after any power cut.
pub(crate) fn write_whole(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let hidden = folder.join(format!("tmp-{name}"));
    let mut file = BufWriter::new(File::create(&hidden)?);
    write(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()?;
    fs::rename(&hidden, folder.join(name))?;
    sync(folder)
}

/// Bytes allocated by a folder and all that is in it. What vanishes meanwhile counts nothing.
pub(crate) fn allocated(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => allocated(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// Bytes that an unprivileged process may still write to the folder's file system.
pub(crate) fn free(folder: &Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(u64::MAX, |found| {
        found.f_bavail.saturating_mul(found.f_frsize)
    })
}

/// What is said where there is too little of it.
pub(crate) fn lacks_room(folder: &Path, free: u64, wanted: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    format!(
        "the disk of {} has {} MiB left and {} are needed: make room",
        folder.display(),
        free / MIB,
        wanted.div_ceil(MIB)
    )
}

/// Renames a folder out of sight, to be removed: a cut in between leaves nothing half there.
pub(crate) fn put_away(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let gone = parent.join(format!(".gone-{name}"));
    fs::rename(parent.join(name), &gone)?;
    Ok(gone)
}
