//! `state.db`: cursors, exceptions, replays, settings, tokens, agents.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, mpsc};

use bytes::Bytes;
use dray_proto::{FlowName, Offset};
use roaring::RoaringBitmap;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params_from_iter};

mod agents;
mod audit;
mod remembered;
mod replays;
mod shadow;
mod steps;

use self::steps::{Stepping, write_steps};
use super::{failed, log_file};
use crate::api::{Cursor, Exception, ExceptionQuery, ExceptionState, Receipt, Step, StoreError};

/// Steps that wait for the writer, at most.
const QUEUE: usize = 256;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS cursor (
        consumer TEXT NOT NULL, flow TEXT NOT NULL, through INTEGER NOT NULL, above BLOB NOT NULL,
        PRIMARY KEY (consumer, flow)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sent (
        consumer TEXT NOT NULL, flow TEXT NOT NULL, through INTEGER NOT NULL, PRIMARY KEY (consumer, flow)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS exception (
        id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, flow TEXT NOT NULL, event_offset INTEGER NOT NULL,
        key TEXT NOT NULL, state INTEGER NOT NULL, reason TEXT NOT NULL, at_us INTEGER NOT NULL, event BLOB NOT NULL,
        detail TEXT NOT NULL DEFAULT '', UNIQUE (target, flow, event_offset)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS exception_by_key ON exception (target, flow, key, id);
    CREATE TABLE IF NOT EXISTS token (
        secret_sha256 TEXT PRIMARY KEY, site TEXT NOT NULL, ends_s INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS agent (
        agent TEXT PRIMARY KEY, site TEXT NOT NULL, key_sha256 TEXT NOT NULL, certificate_ends_s INTEGER NOT NULL,
        revoked INTEGER NOT NULL, last_seen_s INTEGER NOT NULL, version TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
        subject TEXT NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL DEFAULT x''
    ) STRICT;
    CREATE TABLE IF NOT EXISTS replay (
        id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, planned_by TEXT NOT NULL, at_us INTEGER NOT NULL,
        expires_us INTEGER NOT NULL, state INTEGER NOT NULL, plan TEXT NOT NULL, selection BLOB NOT NULL, hash BLOB NOT NULL,
        approved_by TEXT NOT NULL, approved_us INTEGER NOT NULL, ended_us INTEGER NOT NULL, through INTEGER NOT NULL,
        above BLOB NOT NULL, delivered INTEGER NOT NULL, accepted INTEGER NOT NULL, refused INTEGER NOT NULL,
        overtaken INTEGER NOT NULL, held INTEGER NOT NULL, gone INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS replay_note (
        replay INTEGER NOT NULL, id INTEGER NOT NULL, flow TEXT NOT NULL, event_offset INTEGER NOT NULL, key TEXT NOT NULL,
        reason TEXT NOT NULL, PRIMARY KEY (replay, id)
    ) STRICT, WITHOUT ROWID;
";

/// Stands as `user_version` in `state.db`, for the log's files too. Another one: a change that today's code can't read.
const FORMAT: u32 = 3;

/// What a file of format 1 lacks.
const FROM_1: &str = "
    ALTER TABLE exception ADD COLUMN detail TEXT NOT NULL DEFAULT '';
    ALTER TABLE audit ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
";

/// The state's connection for questions, and its writer for steps.
pub(crate) struct State {
    folder: PathBuf,
    connection: Mutex<Connection>,
    queue: Option<mpsc::SyncSender<Stepping>>,
    writer: Option<std::thread::JoinHandle<()>>,
}

fn connect(folder: &Path) -> rusqlite::Result<Connection> {
    let connection = log_file::connect(
        &folder.join("state.db"),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )?;
    // Where it may not write, SQLite opens for reading only, and stays so when the rights are mended.
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
    Ok(connection)
}

/// Makes the tables of a new file. The inner error: it was written in a format that is not known here.
fn prepare(connection: &Connection) -> rusqlite::Result<Result<(), StoreError>> {
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format > FORMAT {
        return Ok(Err(StoreError::Newer {
            format,
            known: FORMAT,
        }));
    }
    // Of one piece: a cut between table and number would have the next start alter the table once more.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    if format == 1 {
        connection.execute_batch(FROM_1)?;
    }
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch(shadow::SCHEMA)?;
    connection.execute_batch(remembered::SCHEMA)?;
    if format < FORMAT {
        connection.pragma_update(None, "user_version", FORMAT)?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(Ok(()))
}

impl State {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let said = |error: &dyn std::fmt::Display| failed(folder, format!("state.db: {error}"));
        let connection = connect(folder).map_err(|error| {
            said(&format!(
                "{error}. The collector's user must own it and state.db-wal and state.db-shm beside it, and have room"
            ))
        })?;
        prepare(&connection).map_err(|error| {
            said(&format!("{error}. If it is damaged, restore the folder from a backup; the log's files are beside it"))
        })??;
        if let Ok(opened) = std::fs::File::open(folder) {
            opened.sync_all().map_err(|error| said(&error))?;
        }
        let (queue, steps) = mpsc::sync_channel::<Stepping>(QUEUE);
        let own = connect(folder).map_err(|error| said(&error))?;
        let of = folder.to_owned();
        let writer = std::thread::Builder::new()
            .name("state".into())
            .spawn(move || write_steps(own, &of, &steps))
            .map_err(|error| said(&error))?;
        Ok(Self {
            folder: folder.to_owned(),
            connection: Mutex::new(connection),
            queue: Some(queue),
            writer: Some(writer),
        })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("state.db")
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().expect("nobody panics holding it")
    }

    /// Runs a question; its failure names the file.
    fn ask<T>(
        &self,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        question(&mut self.lock())
            .map_err(|error| failed(&self.folder, format!("state.db: {error}")))
    }

    /// The store's random id, made at its first opening; it stands in every file of the log.
    pub(crate) fn id(&self) -> Result<u64, StoreError> {
        match self.number("store")? {
            Some(known) => Ok(known),
            None => self.make_number("store"),
        }
    }

    /// The id of the log's offsets: another one once it was restored.
    pub(crate) fn incarnation(&self) -> Result<u64, StoreError> {
        match self.number("incarnation")? {
            Some(known) => Ok(known),
            None => self.make_number("incarnation"),
        }
    }

    pub(crate) fn renew_incarnation(&self) -> Result<u64, StoreError> {
        self.make_number("incarnation")
    }

    fn number(&self, setting: &str) -> Result<Option<u64>, StoreError> {
        let text = self.setting(setting)?;
        Ok(text.and_then(|text| u64::from_str_radix(&text, 16).ok()))
    }

    fn make_number(&self, setting: &str) -> Result<u64, StoreError> {
        let made = rand::random::<u64>() | 1;
        self.set(setting, Some(&format!("{made:016x}")))?;
        Ok(made)
    }

    /// Sets cursors back that stand behind the log's end, which happens when the log was restored from an older
    /// state than this file; whether there were any. Exceptions from behind the end keep their bytes and get a number that no
    /// event will have.
    pub(crate) fn cut_back(
        &self,
        newest: impl Fn(&FlowName) -> Offset,
    ) -> Result<bool, StoreError> {
        let mut any = false;
        for consumer in self.consumers()? {
            for (flow, cursor) in self.cursors(&consumer)? {
                let end = newest(&flow);
                let highest = cursor.above.max().map_or(0, u64::from);
                if cursor.through.0 + highest <= end.0 {
                    continue;
                }
                any = true;
                tracing::error!(consumer, %flow, finished = cursor.through.0, log_ends = end.0, "the log was restored from an older state than state.db: events from its end on are handed out again");
                let through = cursor.through.min(end);
                self.ask(|connection| {
                    connection.execute(
                        "UPDATE cursor SET through = ?3, above = ?4 WHERE consumer = ?1 AND flow = ?2",
                        rusqlite::params![consumer, flow.as_str(), through.0 as i64, empty()],
                    )?;
                    connection.execute(
                        "UPDATE exception SET event_offset = -id WHERE flow = ?1 AND event_offset > ?2",
                        rusqlite::params![flow.as_str(), end.0 as i64],
                    )
                })?;
            }
        }
        Ok(any)
    }

    pub(crate) fn step(&self, step: Step) -> Receipt<Result<(), StoreError>> {
        let (answer, receipt) = Receipt::new();
        if let Some(queue) = &self.queue {
            // An error means that the writer ended: the receipt says so by itself.
            let _ = queue.send((step, answer));
        }
        receipt
    }

    pub(crate) fn cursors(&self, consumer: &str) -> Result<Vec<(FlowName, Cursor)>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT flow, through, above FROM cursor WHERE consumer = ?1 ORDER BY flow",
            )?;
            let rows = statement.query_map([consumer], |row| {
                let cursor = Cursor {
                    through: offset(row, 1)?,
                    above: bitmap(row, 2)?,
                };
                Ok((flow(row, 0)?, cursor))
            })?;
            rows.collect()
        })
    }

    pub(crate) fn sent(&self, consumer: &str) -> Result<Vec<(FlowName, Offset)>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT flow, through FROM sent WHERE consumer = ?1 AND through > 0",
            )?;
            let rows =
                statement.query_map([consumer], |row| Ok((flow(row, 0)?, offset(row, 1)?)))?;
            rows.collect()
        })
    }

    pub(crate) fn consumers(&self) -> Result<Vec<String>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT DISTINCT consumer FROM cursor ORDER BY consumer")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    pub(crate) fn detach(&self, consumer: &str) -> Result<(), StoreError> {
        let target = consumer.strip_prefix("target:");
        self.ask(|connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM cursor WHERE consumer = ?1", [consumer])?;
            transaction.execute("DELETE FROM sent WHERE consumer = ?1", [consumer])?;
            if let Some(target) = target {
                transaction.execute("DELETE FROM exception WHERE target = ?1", [target])?;
                shadow::clear(&transaction, target)?;
                remembered::forget(&transaction, target)?;
            }
            transaction.commit()
        })
    }

    pub(crate) fn exceptions(&self, query: &ExceptionQuery) -> Result<Vec<Exception>, StoreError> {
        let (sql, values) = select(query);
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement
                .query_map(params_from_iter(values), exception)?
                .collect()
        })
    }

    pub(crate) fn exception_count(&self, target: Option<&str>) -> Result<u64, StoreError> {
        self.ask(|connection| {
            let count: i64 = match target {
                Some(target) => connection
                    .prepare_cached("SELECT count(*) FROM exception WHERE target = ?1")?
                    .query_row([target], |row| row.get(0))?,
                None => connection
                    .prepare_cached("SELECT count(*) FROM exception")?
                    .query_row([], |row| row.get(0))?,
            };
            Ok(count as u64)
        })
    }

    pub(crate) fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()
        })
    }

    pub(crate) fn set(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.ask(|connection| match value {
            Some(value) => connection.execute(SET, [name, value]),
            None => connection.execute("DELETE FROM setting WHERE name = ?1", [name]),
        })
        .map(drop)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Sets a setting.
const SET: &str = "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";

/// A bitmap of nothing, as it stands on disk.
fn empty() -> Vec<u8> {
    bitmap_bytes(&RoaringBitmap::new())
}

fn bitmap_bytes(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).expect("memory takes it");
    bytes
}

fn bitmap(row: &Row<'_>, index: usize) -> rusqlite::Result<RoaringBitmap> {
    RoaringBitmap::deserialize_from(row.get_ref(index)?.as_blob()?)
        .map_err(|_| rusqlite::Error::InvalidQuery)
}

/// Exceptions of a query, in ascending id.
fn select(query: &ExceptionQuery) -> (String, Vec<Value>) {
    let event = if query.without_events { "x''" } else { "event" };
    let mut sql = format!(
        "SELECT id, target, flow, event_offset, key, state, reason, at_us, {event}, detail FROM exception WHERE id > ?"
    );
    let mut values = vec![Value::from(query.after as i64)];
    let mut and = |condition: &str, value: Option<String>| {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(Value::from(value));
        }
    };
    // Those of a key are found by their index. All of a target or flow are passed in the order of their ids: by an index of
    // targets each page would sort all of a million that is left (the "+" keeps SQLite from it).
    let (target, flow) = match query.key {
        Some(_) => (" AND target = ?", " AND flow = ?"),
        None => (" AND +target = ?", " AND +flow = ?"),
    };
    and(target, query.target.clone());
    and(flow, query.flow.as_ref().map(ToString::to_string));
    and(" AND key = ?", query.key.clone());
    if !query.states.is_empty() {
        let states: Vec<String> = query
            .states
            .iter()
            .map(|state| number(*state).to_string())
            .collect();
        sql.push_str(&format!(" AND state IN ({})", states.join(", ")));
    }
    sql.push_str(" ORDER BY id LIMIT ?");
    values.push(Value::from(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    (sql, values)
}

/// Every cursor: consumer, flow, through.
pub(crate) fn all_cursors(path: &Path) -> rusqlite::Result<Vec<(String, FlowName, Offset)>> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    let mut statement = connection.prepare("SELECT consumer, flow, through FROM cursor")?;
    statement
        .query_map([], |row| Ok((row.get(0)?, flow(row, 1)?, offset(row, 2)?)))?
        .collect()
}

fn flow(row: &Row<'_>, index: usize) -> rusqlite::Result<FlowName> {
    let name: String = row.get(index)?;
    FlowName::parse(&name).ok_or(rusqlite::Error::InvalidQuery)
}

fn offset(row: &Row<'_>, index: usize) -> rusqlite::Result<Offset> {
    row.get::<_, i64>(index).map(|value| Offset(value as u64))
}

fn exception(row: &Row<'_>) -> rusqlite::Result<Exception> {
    let state: i64 = row.get(5)?;
    Ok(Exception {
        id: row.get::<_, i64>(0)? as u64,
        target: row.get(1)?,
        flow: flow(row, 2)?,
        offset: offset(row, 3)?,
        key: row.get(4)?,
        state: STATES
            .iter()
            .find(|(_, number)| *number == state)
            .map(|(state, _)| *state)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(5, state))?,
        reason: row.get(6)?,
        at_us: row.get(7)?,
        event: Bytes::from(row.get::<_, Vec<u8>>(8)?),
        detail: row.get(9)?,
    })
}

/// States as they stand on disk; a number is never used again.
const STATES: [(ExceptionState, i64); 8] = [
    (ExceptionState::Dead, 1),
    (ExceptionState::Held, 2),
    (ExceptionState::Overtaken, 3),
    (ExceptionState::Retry, 4),
    (ExceptionState::Agent, 5),
    (ExceptionState::Accepted, 6),
    (ExceptionState::Confirm, 7),
    (ExceptionState::Awaits, 8),
];

fn number(state: ExceptionState) -> i64 {
    STATES
        .iter()
        .find(|(known, _)| *known == state)
        .map_or(0, |(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite goes about a query.
    fn way(query: &ExceptionQuery) -> String {
        let connection = Connection::open_in_memory().expect("memory");
        prepare(&connection)
            .expect("a schema")
            .expect("a new format");
        let (sql, values) = select(query);
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .expect("a query");
        let rows = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
        let rows: Vec<_> = rows.expect("a plan").flatten().collect();
        rows.join("; ")
    }

    #[test]
    fn no_page_of_exceptions_sorts_what_is_left() {
        let of_target = ExceptionQuery {
            target: Some("erp".into()),
            limit: 200,
            ..ExceptionQuery::default()
        };
        let of_flow = ExceptionQuery {
            flow: FlowName::parse("north/stock"),
            ..of_target.clone()
        };
        let of_key = ExceptionQuery {
            key: Some("A".into()),
            ..of_flow.clone()
        };
        for (query, by) in [
            (of_target, "PRIMARY KEY"),
            (of_flow, "PRIMARY KEY"),
            (of_key, "exception_by_key"),
        ] {
            let way = way(&query);
            assert!(way.contains(by) && !way.contains("TEMP B-TREE"), "{way}");
        }
    }
}
