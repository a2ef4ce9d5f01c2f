//! One file of the log.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dray_proto::v1::{Block, BlockHeader};
use dray_proto::{FlowName, Offset, Sequence};
use prost::Message as _;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::api::{Held, LogBlock};
use crate::recent::take_while_fits;

/// Rows that one read fetches, at most.
const READ_ROWS_MAX: i64 = 256;

const SCHEMA: &str = "
    CREATE TABLE meta (incarnation INTEGER NOT NULL) STRICT;
    CREATE TABLE flow (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, opened_at INTEGER NOT NULL,
        epoch INTEGER NOT NULL, next_sequence INTEGER NOT NULL, chain INTEGER NOT NULL, position BLOB NOT NULL,
        newest_offset INTEGER NOT NULL, last_captured_us INTEGER NOT NULL, agent TEXT NOT NULL,
        epoch_since_us INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE block (
        id INTEGER PRIMARY KEY, flow INTEGER NOT NULL, first_offset INTEGER NOT NULL,
        epoch INTEGER NOT NULL, first_sequence INTEGER NOT NULL, header BLOB NOT NULL, payload BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX block_by_offset ON block (flow, first_offset);
    CREATE INDEX block_by_sequence ON block (flow, epoch, first_sequence);
";

/// What is remembered of a file while the store is open.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    pub(crate) number: u64,
    /// Per flow, the newest offset when the file was begun.
    opened_at: HashMap<FlowName, Offset>,
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

/// Opens a connection as all of ours are: WAL, and a commit returns after its sync.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "page_size", 16_384)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // In pages: about 32 MiB of WAL before it is copied into the file.
    connection.pragma_update(None, "wal_autocheckpoint", 2_000)?;
    connection.pragma_update(None, "cache_size", -2_048)?;
    Ok(connection)
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
    let made: Option<String> = connection
        .query_row(
            "SELECT name FROM sqlite_schema WHERE name = 'meta'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if made.is_none() {
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute("INSERT INTO meta VALUES (?1)", params![incarnation as i64])?;
        for (flow, held) in heads {
            put_head(&transaction, flow, held)?;
        }
        transaction.execute("UPDATE flow SET opened_at = newest_offset", [])?;
        transaction.commit()?;
        // The file's name must be on stable storage before an answer rests on it.
        if let Ok(folder) = fs::File::open(folder) {
            folder
                .sync_all()
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        }
    }
    Ok(connection)
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

/// All files, ascending, and what is held; an empty folder has none.
pub(crate) fn open_all(
    folder: &Path,
    incarnation: u64,
) -> Result<(Vec<LogFile>, HashMap<FlowName, Held>), String> {
    let mut numbers: Vec<u64> = fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_prefix("log-")?
                .strip_suffix(".db")?
                .parse()
                .ok()
        })
        .collect();
    numbers.sort_unstable();
    let mut files: Vec<LogFile> = Vec::new();
    let mut heads = HashMap::new();
    let mut oldest: HashMap<FlowName, Offset> = HashMap::new();
    for number in numbers {
        let path = path(folder, number);
        let damaged = |error: rusqlite::Error| {
            format!(
                "{}: {error}. Restore the file from a backup, or move it away and accept that what it held is missing",
                path.display()
            )
        };
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(damaged)?;
        // After a kill the kernel may still hold what the disk does not: nobody reads it before.
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(damaged)?;
        let found: Option<i64> = connection
            .query_row("SELECT incarnation FROM meta", [], |row| row.get(0))
            .optional()
            .map_err(damaged)?;
        if found != Some(incarnation as i64) {
            return Err(format!(
                "{} belongs to another store than state.db: they were restored from different times. Restore both from one backup",
                path.display()
            ));
        }
        let flows = standings(&connection).map_err(damaged)?;
        let mut opened_at = HashMap::new();
        let mut last_captured_us = 0;
        for (flow, opened, held) in flows {
            last_captured_us = held.last_captured_us.max(last_captured_us);
            oldest.entry(flow.clone()).or_insert(Offset(opened.0 + 1));
            opened_at.insert(flow.clone(), opened);
            heads.insert(flow, held);
        }
        files.push(LogFile {
            number,
            opened_at,
            last_captured_us,
        });
    }
    for (flow, held) in &mut heads {
        held.oldest_offset = oldest[flow];
    }
    Ok((files, heads))
}

fn standings(connection: &Connection) -> rusqlite::Result<Vec<(FlowName, Offset, Held)>> {
    let mut statement = connection.prepare(
        "SELECT name, opened_at, epoch, next_sequence, chain, position, newest_offset, last_captured_us, agent, epoch_since_us FROM flow",
    )?;
    let rows = statement.query_map([], |row| {
        let name: String = row.get(0)?;
        let unsigned = |index: usize| row.get::<_, i64>(index).map(|value| value as u64);
        let flow = FlowName::parse(&name).ok_or(rusqlite::Error::InvalidQuery)?;
        let held = Held {
            epoch: unsigned(2)?,
            next_sequence: Sequence(unsigned(3)?),
            chain: unsigned(4)?,
            position: Bytes::from(row.get::<_, Vec<u8>>(5)?),
            newest_offset: Offset(unsigned(6)?),
            oldest_offset: Offset(1),
            last_captured_us: row.get(7)?,
            agent: row.get(8)?,
            epoch_since_us: row.get(9)?,
        };
        Ok((flow, Offset(unsigned(1)?), held))
    })?;
    rows.collect()
}

/// Writes what is held of a flow.
pub(crate) fn put_head(
    connection: &Connection,
    flow: &FlowName,
    held: &Held,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO flow (name, opened_at, epoch, next_sequence, chain, position, newest_offset, last_captured_us, agent, epoch_since_us)
         VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (name) DO UPDATE SET epoch = ?2, next_sequence = ?3, chain = ?4, position = ?5,
             newest_offset = ?6, last_captured_us = ?7, agent = ?8, epoch_since_us = ?9",
    )?;
    statement.execute(params![
        flow.as_str(),
        held.epoch as i64,
        held.next_sequence.0 as i64,
        held.chain as i64,
        held.position.as_ref(),
        held.newest_offset.0 as i64,
        held.last_captured_us,
        held.agent,
        held.epoch_since_us,
    ])?;
    Ok(())
}

/// The flow's number in this file.
pub(crate) fn flow_id(connection: &Connection, flow: &FlowName) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT id FROM flow WHERE name = ?1")?
        .query_row([flow.as_str()], |row| row.get(0))
}

/// Writes a block.
pub(crate) fn put_block(
    connection: &Connection,
    flow_id: i64,
    first_offset: Offset,
    header: &BlockHeader,
    payload: &[u8],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO block (flow, first_offset, epoch, first_sequence, header, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    statement.execute(params![
        flow_id,
        first_offset.0 as i64,
        header.epoch as i64,
        header.first_sequence as i64,
        header.encode_to_vec(),
        payload,
    ])?;
    Ok(())
}

/// The header of the block that begins at this sequence.
pub(crate) fn header_at(
    connection: &Connection,
    flow: &FlowName,
    epoch: u64,
    first: u64,
) -> rusqlite::Result<Option<BlockHeader>> {
    let mut statement = connection.prepare_cached(
        "SELECT header FROM block WHERE flow = (SELECT id FROM flow WHERE name = ?1) AND epoch = ?2 AND first_sequence = ?3",
    )?;
    let bytes: Option<Vec<u8>> = statement
        .query_row(params![flow.as_str(), epoch as i64, first as i64], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(bytes.and_then(|bytes| BlockHeader::decode(bytes.as_slice()).ok()))
}

/// Whether there is a block of this epoch.
pub(crate) fn has_epoch(
    connection: &Connection,
    flow: &FlowName,
    epoch: u64,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM block WHERE flow = (SELECT id FROM flow WHERE name = ?1) AND epoch = ?2)",
        )?
        .query_row(params![flow.as_str(), epoch as i64], |row| row.get(0))
}

/// Blocks from the one that holds `from`.
pub(crate) fn read(
    connection: &Connection,
    flow: &FlowName,
    from: Offset,
    bytes_max: usize,
) -> rusqlite::Result<Vec<LogBlock>> {
    let id = flow_id(connection, flow)?;
    let mut statement = connection.prepare_cached(
        "SELECT first_offset, header, payload FROM block WHERE flow = ?1 AND first_offset >=
             (SELECT max(first_offset) FROM block WHERE flow = ?1 AND first_offset <= ?2)
         ORDER BY first_offset LIMIT ?3",
    )?;
    let mut failure = None;
    let rows = statement.query_map(params![id, from.0 as i64, READ_ROWS_MAX], |row| {
        let header = BlockHeader::decode(row.get_ref(1)?.as_blob()?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                1,
                rusqlite::types::Type::Blob,
                Box::new(error),
            )
        })?;
        let payload = Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?);
        let first_offset = Offset(row.get::<_, i64>(0)? as u64);
        Ok(LogBlock {
            first_offset,
            block: Block {
                header: Some(header),
                payload,
            },
        })
    })?;
    let good = rows.map_while(|row| row.map_err(|error| failure = Some(error)).ok());
    let blocks = take_while_fits(good, from, bytes_max);
    failure.map_or(Ok(blocks), Err)
}
