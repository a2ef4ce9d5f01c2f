//! Who did what.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::State;
use crate::api::{AUDIT_MAX, AuditEntry, StoreError};

impl State {
    pub(crate) fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.ask(|connection| {
            let transaction = begin(connection)?;
            put_entry(&transaction, entry)?;
            transaction.commit()
        })
    }

    pub(crate) fn audit_entries(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, at_us, actor, action, subject, detail, hash FROM audit ORDER BY id DESC LIMIT ?1",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map([limit], |row| {
                Ok(AuditEntry {
                    id: row.get::<_, i64>(0)? as u64,
                    at_us: row.get(1)?,
                    actor: row.get(2)?,
                    action: row.get(3)?,
                    subject: row.get(4)?,
                    detail: row.get(5)?,
                    hash: row.get(6)?,
                })
            })?;
            let mut entries: Vec<AuditEntry> = rows.collect::<rusqlite::Result<_>>()?;
            entries.reverse();
            Ok(entries)
        })
    }
}

/// A transaction that reads and then writes: one that takes its turn at once, as the writer of steps has a connection of
/// its own, and what was read before its commit could not be written after it.
pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Chains an entry to the newest one; the oldest beyond [`AUDIT_MAX`] go.
pub(super) fn put_entry(transaction: &Transaction<'_>, entry: &AuditEntry) -> rusqlite::Result<()> {
    let newest = transaction
        .query_row(
            "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
        )
        .optional()?;
    let (last, before) = newest.unwrap_or_default();
    let mut entry = entry.clone();
    entry.id = last as u64 + 1;
    let hash = entry.hash_after(&before);
    transaction.execute(
        "INSERT INTO audit (id, at_us, actor, action, subject, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            last + 1,
            entry.at_us,
            entry.actor,
            entry.action,
            entry.subject,
            entry.detail,
            hash
        ],
    )?;
    let oldest = last + 1 - AUDIT_MAX as i64;
    transaction.execute("DELETE FROM audit WHERE id <= ?1", [oldest])?;
    Ok(())
}
