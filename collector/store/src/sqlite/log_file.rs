//! One file of the log.

pub(super) mod rows;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use dray_edges::{Plant, edge, is_planted};
use dray_proto::{FlowName, Offset};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi, params};

use super::sums;
use crate::api::Held;

const SCHEMA: &str = "
    CREATE TABLE meta (incarnation INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE flow (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, opened_at INTEGER NOT NULL,
        epoch INTEGER NOT NULL, next_sequence INTEGER NOT NULL, chain INTEGER NOT NULL, position BLOB NOT NULL,
        newest_offset INTEGER NOT NULL, last_captured_us INTEGER NOT NULL, agent TEXT NOT NULL,
        epoch_since_us INTEGER NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE block (
        id INTEGER PRIMARY KEY, flow INTEGER NOT NULL, first_offset INTEGER NOT NULL,
        epoch INTEGER NOT NULL, first_sequence INTEGER NOT NULL, header BLOB NOT NULL,
        payload BLOB NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX block_by_offset ON block (flow, first_offset);
    CREATE INDEX block_by_sequence ON block (flow, epoch, first_sequence);
";

/// What is remembered of a file while the store is open.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    pub(crate) number: u64,
    /// Per flow, the newest offset when the file was begun.
    pub(crate) opened_at: HashMap<FlowName, Offset>,
    /// When the newest event in it was captured.
    pub(crate) last_captured_us: i64,
}

impl LogFile {
    pub(crate) fn new(number: u64, heads: &HashMap<FlowName, Held>) -> Self {
        let opened_at = heads
            .iter()
            .map(|(flow, held)| (flow.clone(), held.newest_offset))
            .collect();
        Self {
            number,
            opened_at,
            last_captured_us: 0,
        }
    }

    /// The flow's newest offset when the file was begun.
    pub(crate) fn opened_at(&self, flow: &FlowName) -> Offset {
        self.opened_at.get(flow).copied().unwrap_or_default()
    }
}

pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("log-{number:010}.db"))
}

/// Bytes of a page of the files that we make.
const PAGE_BYTES: u32 = 16_384;
/// Pages of WAL at which it is copied into the file: about 32 MiB.
const WAL_PAGES: u32 = 2_000;
/// On a small volume, a WAL is copied at this part of it: one that fills the volume first can never be copied, as the file has no
/// room to grow. The log and the state have one each.
const WAL_SHARE: u64 = 16;
/// But not for every few commits.
const WAL_PAGES_MIN: u32 = 32;

/// How many pages of WAL on a volume of so many bytes; `None`: nobody knows.
fn wal_pages(volume_bytes: Option<u64>) -> u32 {
    let Some(bytes) = volume_bytes else {
        return WAL_PAGES;
    };
    let pages = bytes / WAL_SHARE / u64::from(PAGE_BYTES);
    u32::try_from(pages).map_or(WAL_PAGES, |pages| pages.clamp(WAL_PAGES_MIN, WAL_PAGES))
}

fn volume_bytes(path: &Path) -> Option<u64> {
    let volume = rustix::fs::statvfs(path.parent()?).ok()?;
    volume.f_blocks.checked_mul(volume.f_frsize)
}

/// After a failure: what stands in the WAL goes into the file as soon as there is room again, and frees its own.
pub(crate) fn shorten_wal(connection: &Connection) {
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

/// Opens a connection as all of ours are: WAL, and a commit returns after its sync.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let synchronous = if is_planted(Plant::MissingFdatasync) {
        "OFF"
    } else {
        "FULL"
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    let pages = wal_pages(volume_bytes(path));
    connection.pragma_update(None, "wal_autocheckpoint", pages)?;
    connection.pragma_update(None, "cache_size", -2_048)?;
    Ok(connection)
}

/// Whether it tells nothing of the file: room, rights, descriptors or a lock are missing for now. A sector that can't be read
/// is damage.
pub(super) fn is_passing(error: &rusqlite::Error) -> bool {
    let Some(error) = error.sqlite_error() else {
        return false;
    };
    match error.code {
        ErrorCode::DiskFull
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::OutOfMemory
        | ErrorCode::CannotOpen
        | ErrorCode::OperationInterrupted
        | ErrorCode::FileLockingProtocolFailed => true,
        ErrorCode::SystemIoFailure => !matches!(
            error.extended_code,
            ffi::SQLITE_IOERR_READ
                | ffi::SQLITE_IOERR_SHORT_READ
                | ffi::SQLITE_IOERR_DATA
                | ffi::SQLITE_IOERR_CORRUPTFS
        ),
        _ => false,
    }
}

/// For the writer; made with every flow's standing if it isn't there.
pub(crate) fn open_writer(
    folder: &Path,
    number: u64,
    incarnation: u64,
    heads: &HashMap<FlowName, Held>,
) -> rusqlite::Result<Connection> {
    let path = path(folder, number);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = connect(&path, flags)?;
    if !is_begun(&connection)? {
        edge!("store.before_file_schema");
        let transaction = connection.transaction()?;
        begin(&transaction, incarnation)?;
        for (flow, held) in heads {
            rows::put_head(&transaction, flow, held.newest_offset, held)?;
        }
        transaction.commit()?;
        edge!("store.before_file_folder_sync");
        if !is_planted(Plant::UnsyncedFolder) {
            // The file's name must be on stable storage before an answer rests on it.
            fs::File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        }
        edge!("store.after_file_folder_sync");
    }
    Ok(connection)
}

/// Makes the tables of an empty file.
pub(super) fn begin(connection: &Connection, id: u64) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    let sum = sums::meta(id);
    connection.execute("INSERT INTO meta VALUES (?1, ?2)", params![id as i64, sum])?;
    Ok(())
}

/// Whether the file says whose it is, which is the first thing that is committed to it.
pub(super) fn is_begun(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')",
        [],
        |row| row.get(0),
    )
}

/// For reading.
pub(crate) fn open_reader(folder: &Path, number: u64) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path(folder, number),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -1_024)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_volume_is_not_filled_by_what_waits_to_be_copied() {
        for (volume_mib, wal_kib) in [(24, 1_536), (160, 10_240), (1, 512), (100_000, 32_000)] {
            let pages = wal_pages(Some(volume_mib << 20));
            assert_eq!(pages * (PAGE_BYTES >> 10), wal_kib, "{volume_mib} MiB");
        }
        assert_eq!(wal_pages(None), WAL_PAGES);
        let folder = tempfile::tempdir().expect("a folder");
        assert!(volume_bytes(&folder.path().join("a.db")).is_some());
    }
}
