//! Opening the log's files: which there are, what they hold, and what is damaged.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use dray_proto::{FlowName, Offset};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::log_file::{self, LogFile, rows};
use super::{salvage, sums};
use crate::api::Held;

/// Why a file is not opened.
enum Unopened {
    /// It belongs elsewhere; a person put it there.
    Foreign(String),
    /// The disk, the system or somebody else is in the way: nothing is wrong with the file.
    Failed(String),
    /// There is no table in it.
    NotBegun,
    /// It is not what was written.
    Damaged(String),
}

impl Unopened {
    fn reason(self) -> String {
        match self {
            Self::Foreign(reason) | Self::Failed(reason) | Self::Damaged(reason) => reason,
            Self::NotBegun => "it is empty".into(),
        }
    }
}

impl From<rusqlite::Error> for Unopened {
    fn from(error: rusqlite::Error) -> Self {
        if log_file::is_passing(&error) {
            return Self::Failed(format!(
                "{error}. Nothing of it is changed. Make room, let the collector's user own all files of this folder, or raise its limit of open \
                 files; then start the collector again"
            ));
        }
        Self::Damaged(error.to_string())
    }
}

/// All files, ascending, and what is held; an empty folder has none. Damaged files are mended with what can be read of
/// them; the originals go to `quarantine/`.
pub(super) fn open_all(
    folder: &Path,
    id: u64,
) -> Result<(Vec<LogFile>, HashMap<FlowName, Held>), String> {
    let mut files: Vec<LogFile> = Vec::new();
    let mut heads: HashMap<FlowName, Held> = HashMap::new();
    let mut oldest: HashMap<FlowName, Offset> = HashMap::new();
    let numbers = numbers(folder)?;
    let newest = numbers.last().copied();
    for number in numbers {
        let named =
            |reason: String| format!("{}: {reason}", log_file::path(folder, number).display());
        salvage::finish(folder, number).map_err(|error| named(error.to_string()))?;
        let found = match open_one(folder, number, id) {
            // The process ended between the making of the file and its first commit: nothing was ever in it, and the writer
            // begins it again.
            Err(Unopened::NotBegun) if Some(number) == newest => continue,
            Err(unopened @ (Unopened::NotBegun | Unopened::Damaged(_))) => {
                let reason = unopened.reason();
                let mended = salvage::salvage(folder, number, id, &heads, &reason)
                    .map_err(|error| named(format!("{reason}; it can't be mended: {error}")))?;
                if !mended {
                    continue;
                }
                open_one(folder, number, id)
            }
            found => found,
        };
        let standings = found.map_err(|unopened| named(unopened.reason()))?;
        let mut file = LogFile::new(number, &HashMap::new());
        for rows::Standing {
            flow,
            opened_at,
            held,
            ..
        } in standings
        {
            file.last_captured_us = held.last_captured_us.max(file.last_captured_us);
            oldest
                .entry(flow.clone())
                .or_insert(Offset(opened_at.0 + 1));
            file.opened_at.insert(flow.clone(), opened_at);
            heads.insert(flow, held);
        }
        files.push(file);
    }
    for (flow, held) in &mut heads {
        held.oldest_offset = oldest[flow];
    }
    Ok((files, heads))
}

/// Whether there is any file of a log.
pub(super) fn has_files(folder: &Path) -> bool {
    numbers(folder).is_ok_and(|numbers| !numbers.is_empty())
}

fn numbers(folder: &Path) -> Result<Vec<u64>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let number = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let digits = name.to_str()?.strip_prefix("log-")?.strip_suffix(".db")?;
        digits.parse().ok()
    };
    let mut numbers: Vec<u64> = entries.flatten().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn open_one(folder: &Path, number: u64, id: u64) -> Result<Vec<rows::Standing>, Unopened> {
    let path = log_file::path(folder, number);
    let connection = log_file::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    settle(&connection, &path)?;
    if !log_file::is_begun(&connection)? {
        return Err(Unopened::NotBegun);
    }
    check_id(&connection, id)?;
    let standings = rows::standings(&connection)?;
    if let Some((standing, _)) = standings.iter().find(|(_, is_whole)| !is_whole) {
        let reason = format!("what it says of flow {} is damaged", standing.flow);
        return Err(Unopened::Damaged(reason));
    }
    Ok(standings
        .into_iter()
        .map(|(standing, _)| standing)
        .collect())
}

/// After a kill the kernel may still hold what the disk does not: nobody reads it before this.
fn settle(connection: &Connection, path: &Path) -> Result<(), Unopened> {
    let copied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    match copied {
        // There is no room for the copy; the WAL is as good, once it is synced.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            let mut wal = path.as_os_str().to_owned();
            wal.push("-wal");
            fs::File::open(wal)
                .and_then(|wal| wal.sync_all())
                .map_err(|error| Unopened::Failed(error.to_string()))
        }
        copied => Ok(copied?),
    }
}

fn check_id(connection: &Connection, id: u64) -> Result<(), Unopened> {
    let (found, sum) = connection.query_row("SELECT incarnation, sum FROM meta", [], |row| {
        Ok((row.get::<_, i64>(0)? as u64, row.get::<_, u32>(1)?))
    })?;
    if sum != sums::meta(found) {
        return Err(Unopened::Damaged("its id is damaged".into()));
    }
    if found != id {
        return Err(Unopened::Foreign(
            "it belongs to another store than state.db: they were restored from different times. Restore both from one backup".into(),
        ));
    }
    Ok(())
}
