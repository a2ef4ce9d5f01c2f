//! Where files go: `archive/pending` once appended, `archive` at the ack, `archive/repeated` and
//! `failed` beside.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const ARCHIVE: &str = "archive";
pub(crate) const PENDING: &str = "archive/pending";
pub(crate) const REPEATED: &str = "archive/repeated";
pub(crate) const FAILED: &str = "failed";

/// Makes the folders.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    for name in [PENDING, REPEATED, FAILED] {
        fs::create_dir_all(folder.join(name))?;
    }
    Ok(())
}

/// Moves a file into a folder, under its name or, where that is taken, one beside it; overwrites
/// nothing. Both folders are synced. Returns where it is now.
pub(crate) fn move_to(file: &Path, folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut to = folder.join(&name);
    for number in 1.. {
        // Only this agent writes there, so looking first is enough.
        if !to.exists() {
            break;
        }
        to = folder.join(format!("{name}.{number}"));
    }
    fs::rename(file, &to)?;
    sync(folder)?;
    if let Some(parent) = file.parent() {
        sync(parent)?;
    }
    Ok(to)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Deletes acked files that came to the archive more than `days` ago. Renaming sets a file's change
/// time, so that is when it came.
pub(crate) fn prune(folder: &Path, days: u32) -> io::Result<u64> {
    let keep = Duration::from_secs(u64::from(days) * 24 * 3_600);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut pruned = 0;
    for entry in fs::read_dir(folder.join(ARCHIVE))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let came = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
        if metadata.is_file() && now.saturating_sub(came) > keep {
            fs::remove_file(entry.path())?;
            pruned += 1;
        }
    }
    Ok(pruned)
}
