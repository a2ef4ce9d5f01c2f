//! Who did what.

use rusqlite::{OptionalExtension as _, params};

use super::State;
use crate::api::{AUDIT_MAX, AuditEntry, StoreError};

impl State {
    pub(crate) fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.ask(|connection| {
            let transaction = connection.transaction()?;
            let newest = transaction
                .query_row("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", [], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
                })
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
