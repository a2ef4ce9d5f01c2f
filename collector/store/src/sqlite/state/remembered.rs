//! The tables of what targets remember: `known`, `awaited` and `kept`, and `remembered`, which counts two of them.

use std::collections::{BTreeMap, BTreeSet};

use dray_proto::FlowName;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{SET, State, flow};
use crate::api::{
    DueWait, Kept, Reference, Remember, Remembers, Step, StoreError, Wait, Waits, alarm_setting,
};
use crate::sqlite::SqliteStore;

/// Made where they are missing, in files of any format: nothing of an older one is changed.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS known (
        target TEXT NOT NULL, of TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (target, of, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS awaited (
        exception INTEGER PRIMARY KEY, target TEXT NOT NULL, of TEXT NOT NULL, name TEXT NOT NULL,
        due_us INTEGER NOT NULL, alarm_us INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS awaited_by_reference ON awaited (target, of, name);
    CREATE INDEX IF NOT EXISTS awaited_by_due ON awaited (target, due_us);
    CREATE INDEX IF NOT EXISTS awaited_by_alarm ON awaited (target, alarm_us);
    CREATE TABLE IF NOT EXISTS kept (
        id INTEGER PRIMARY KEY, target TEXT NOT NULL, flow TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
        value TEXT NOT NULL, UNIQUE (target, flow, key, name)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS kept_by_age ON kept (target, id);
    CREATE TABLE IF NOT EXISTS remembered (
        target TEXT PRIMARY KEY, known INTEGER NOT NULL, kept INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Of so many kept values one goes when there are too many: room is made for a while at once.
const FORGET_SHARE: u64 = 100;

/// Takes in what a step says of exceptions that wait, and what it remembers. After the step's own exceptions are written.
pub(super) fn write(transaction: &Transaction<'_>, step: &Step) -> rusqlite::Result<()> {
    let mut over = transaction.prepare_cached("DELETE FROM awaited WHERE exception = ?1")?;
    let changed = step.change.iter().map(|change| change.id);
    for id in changed.chain(step.remove.iter().copied()) {
        over.execute([id as i64])?;
    }
    let remember = &step.remember;
    if remember.is_empty() {
        return Ok(());
    }
    release(transaction, remember)?;
    move_alarms(transaction, remember)?;
    let target = &remember.target;
    let (known, kept) = counts(transaction, target)?;
    let known = learn(
        transaction,
        target,
        &remember.learn,
        known,
        remember.known_max,
    )?;
    for wait in &remember.wait {
        put_wait(transaction, target, wait)?;
    }
    let kept = keep(transaction, remember, kept)?;
    put_counts(transaction, target, known, kept)?;
    teach(transaction, remember)
}

/// What other targets know by what this one got.
fn teach(transaction: &Transaction<'_>, remember: &Remember) -> rusqlite::Result<()> {
    let targets: BTreeSet<&str> = remember.teach.iter().map(|(target, _)| &**target).collect();
    for target in targets {
        let taught = remember.teach.iter().filter(|(of, _)| of == target);
        let taught = taught.map(|(_, reference)| reference);
        let (known, kept) = counts(transaction, target)?;
        let known = learn(transaction, target, taught, known, remember.known_max)?;
        put_counts(transaction, target, known, kept)?;
    }
    Ok(())
}

fn release(transaction: &Transaction<'_>, remember: &Remember) -> rusqlite::Result<()> {
    let mut wake = transaction
        .prepare_cached("UPDATE awaited SET due_us = 0 WHERE target = ?1 AND of = ?2")?;
    for of in &remember.release {
        wake.execute(params![remember.target, of])?;
    }
    Ok(())
}

/// `alarm_us` holds the hour, not the span: the span that it was made with is kept beside it.
fn move_alarms(transaction: &Transaction<'_>, remember: &Remember) -> rusqlite::Result<()> {
    let Some(after_us) = remember.alarm_after_us else {
        return Ok(());
    };
    let name = alarm_setting(&remember.target);
    let before: Option<String> = transaction
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([&name], |row| row.get(0))
        .optional()?;
    let before = before.and_then(|before| before.parse::<i64>().ok());
    let by_us = before.map_or(0, |before| after_us.saturating_sub(before));
    if by_us != 0 {
        // No sum may leave the range of an integer.
        transaction
            .prepare_cached(
                "UPDATE awaited SET alarm_us = max(0, min(alarm_us, 9000000000000000000 - max(?2, 0)) + ?2)
                 WHERE target = ?1",
            )?
            .execute(params![remember.target, by_us])?;
    }
    transaction
        .prepare_cached(SET)?
        .execute(params![name, after_us.to_string()])?;
    Ok(())
}

/// A target knows these from now on. Returns how many it knows; `known`: how many it knew.
fn learn<'a>(
    transaction: &Transaction<'_>,
    target: &str,
    references: impl IntoIterator<Item = &'a Reference>,
    mut known: u64,
    known_max: u64,
) -> rusqlite::Result<u64> {
    let mut put = transaction.prepare_cached("INSERT OR IGNORE INTO known VALUES (?1, ?2, ?3)")?;
    let mut wake = transaction.prepare_cached(
        "UPDATE awaited SET due_us = 0 WHERE target = ?1 AND of = ?2 AND name = ?3",
    )?;
    for Reference { of, name } in references {
        if known < known_max {
            known += put.execute(params![target, of, name])? as u64;
        }
        wake.execute(params![target, of, name])?;
    }
    Ok(known)
}

fn put_wait(transaction: &Transaction<'_>, target: &str, wait: &Wait) -> rusqlite::Result<()> {
    let (of, name) = match &wait.reference {
        Some(Reference { of, name }) => (of.as_str(), name.as_str()),
        None => ("", ""),
    };
    let is_known = wait.unless_known && is_known(transaction, target, of, name)?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO awaited SELECT id, ?1, ?4, ?5, ?6, ?7 FROM exception
             WHERE target = ?1 AND flow = ?2 AND event_offset = ?3",
        )?
        .execute(params![
            target,
            wait.flow.as_str(),
            wait.offset.0 as i64,
            of,
            name,
            if is_known { 0 } else { wait.due_us },
            wait.alarm_us
        ])?;
    Ok(())
}

fn is_known(connection: &Connection, target: &str, of: &str, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM known WHERE target = ?1 AND of = ?2 AND name = ?3")?
        .exists([target, of, name])
}

/// A value written again is as young as a new one.
fn keep(
    transaction: &Transaction<'_>,
    remember: &Remember,
    mut kept: u64,
) -> rusqlite::Result<u64> {
    let mut before = transaction.prepare_cached(
        "DELETE FROM kept WHERE target = ?1 AND flow = ?2 AND key = ?3 AND name = ?4",
    )?;
    let mut put = transaction.prepare_cached(
        "INSERT INTO kept (target, flow, key, name, value) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for Kept {
        flow,
        key,
        name,
        value,
    } in &remember.keep
    {
        let was = before.execute([&remember.target, flow.as_str(), key, name])? as u64;
        put.execute([&remember.target, flow.as_str(), key, name, value])?;
        kept = (kept + 1).saturating_sub(was);
    }
    if kept <= remember.kept_max {
        return Ok(kept);
    }
    let left = remember.kept_max - remember.kept_max / FORGET_SHARE;
    let gone = transaction.execute(
        "DELETE FROM kept WHERE id IN (SELECT id FROM kept WHERE target = ?1 ORDER BY id LIMIT ?2)",
        params![remember.target, (kept - left) as i64],
    )?;
    tracing::warn!(
        target = remember.target,
        forgotten = gone,
        "so much is kept of answers that the oldest is forgotten"
    );
    Ok(kept.saturating_sub(gone as u64))
}

fn counts(connection: &Connection, target: &str) -> rusqlite::Result<(u64, u64)> {
    let found = connection
        .prepare_cached("SELECT known, kept FROM remembered WHERE target = ?1")?
        .query_row([target], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    Ok(found.map_or((0, 0), |(known, kept)| (known as u64, kept as u64)))
}

fn put_counts(
    connection: &Connection,
    target: &str,
    known: u64,
    kept: u64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO remembered VALUES (?1, ?2, ?3) ON CONFLICT (target) DO UPDATE SET known = ?2, kept = ?3",
        )?
        .execute(params![target, known as i64, kept as i64])?;
    Ok(())
}

/// A target is detached.
pub(super) fn forget(transaction: &Transaction<'_>, target: &str) -> rusqlite::Result<()> {
    for table in ["known", "awaited", "kept", "remembered"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE target = ?1"), [target])?;
    }
    transaction.execute(
        "DELETE FROM setting WHERE name = ?1",
        [alarm_setting(target)],
    )?;
    Ok(())
}

impl State {
    fn waits(&self, target: &str, now_us: i64) -> Result<Waits, StoreError> {
        self.ask(|connection| {
            let count = |sql: &str| -> rusqlite::Result<u64> {
                let mut statement = connection.prepare_cached(sql)?;
                let counted = statement.query_row(params![target, now_us], |row| row.get::<_, i64>(0));
                Ok(counted? as u64)
            };
            let first = |sql: &str| -> rusqlite::Result<Option<i64>> {
                let mut statement = connection.prepare_cached(sql)?;
                statement.query_row(params![target, now_us], |row| row.get(0))
            };
            // The parameter that each of the statements has, whether it compares with it or not.
            let total = count("SELECT count(*) FROM awaited WHERE target = ?1 AND ?2 IS NOT NULL")?;
            if total == 0 {
                return Ok(Waits::default());
            }
            let overdue =
                count("SELECT count(*) FROM awaited WHERE target = ?1 AND alarm_us <= ?2")?;
            let due = first("SELECT min(due_us) FROM awaited WHERE target = ?1 AND due_us > ?2")?;
            let alarm =
                first("SELECT min(alarm_us) FROM awaited WHERE target = ?1 AND alarm_us > ?2")?;
            let oldest = connection
                .prepare_cached(
                    "SELECT of, name FROM awaited WHERE target = ?1 AND alarm_us <= ?2 AND of <> '' ORDER BY alarm_us LIMIT 1",
                )?
                .query_row(params![target, now_us], |row| {
                    Ok(Reference {
                        of: row.get(0)?,
                        name: row.get(1)?,
                    })
                })
                .optional()?;
            Ok(Waits {
                total,
                overdue,
                next_us: due.into_iter().chain(alarm).min(),
                oldest,
            })
        })
    }
}

impl Remembers for SqliteStore {
    fn knows(&self, target: &str, references: &[Reference]) -> Result<Vec<bool>, StoreError> {
        self.state.ask(|connection| {
            let each = references
                .iter()
                .map(|Reference { of, name }| is_known(connection, target, of, name));
            each.collect()
        })
    }

    fn due_waits(
        &self,
        target: &str,
        now_us: i64,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DueWait>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.state.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT e.id, e.flow, e.key FROM awaited a JOIN exception e ON e.id = a.exception
                 WHERE a.target = ?1 AND a.due_us <= ?2 AND a.exception > ?3 ORDER BY a.exception LIMIT ?4",
            )?;
            let rows = statement.query_map(params![target, now_us, after as i64, limit], |row| {
                Ok(DueWait {
                    id: row.get::<_, i64>(0)? as u64,
                    flow: flow(row, 1)?,
                    key: row.get(2)?,
                })
            })?;
            rows.collect()
        })
    }

    fn waits(&self, target: &str, now_us: i64) -> Result<Waits, StoreError> {
        self.state.waits(target, now_us)
    }

    fn kept(
        &self,
        target: &str,
        flow: &FlowName,
        key: &str,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        self.state.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, value FROM kept WHERE target = ?1 AND flow = ?2 AND key = ?3",
            )?;
            let rows = statement.query_map([target, flow.as_str(), key], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect()
        })
    }

    fn remembered(&self, target: &str) -> Result<(u64, u64), StoreError> {
        self.state.ask(|connection| counts(connection, target))
    }
}
