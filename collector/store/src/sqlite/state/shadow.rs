//! Reports of targets in shadow: rows up to a bound, and counts that stay exact.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use dray_proto::FlowName;
use rusqlite::types::Value;
use rusqlite::{Transaction, params, params_from_iter};

use super::{State, flow, offset};
use crate::api::{
    SHADOW_FIELDS_MAX, SHADOW_FIELDS_REST, SHADOW_ROWS_MAX, ShadowCount, ShadowNote, ShadowQuery,
    ShadowRow, StoreError,
};

/// The tables. Versions before them pass them by.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS shadow (
        id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, flow TEXT NOT NULL, event_offset INTEGER NOT NULL,
        key TEXT NOT NULL, verdict TEXT NOT NULL, at_us INTEGER NOT NULL, request TEXT NOT NULL, detail TEXT NOT NULL,
        UNIQUE (target, flow, event_offset)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS shadow_count (
        target TEXT NOT NULL, flow TEXT NOT NULL, is_field INTEGER NOT NULL, what TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (target, flow, is_field, what)
    ) STRICT, WITHOUT ROWID;
";

/// How many rows go at once when there are too many: looking for them costs, so not one by one.
const DROPPED_AT_ONCE: u64 = 500;

/// Writes a step's rows and counts each once: an offset that has a row already changes nothing.
pub(super) fn write(
    transaction: &Transaction<'_>,
    target: &str,
    notes: &[(FlowName, ShadowNote)],
) -> rusqlite::Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    let mut add = transaction.prepare_cached(
        "INSERT INTO shadow (target, flow, event_offset, key, verdict, at_us, request, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?;
    let mut count = transaction.prepare_cached(
        "INSERT INTO shadow_count VALUES (?1, ?2, ?3, ?4, 1)
         ON CONFLICT (target, flow, is_field, what) DO UPDATE SET count = count + 1",
    )?;
    let mut more = transaction.prepare_cached(
        "UPDATE shadow_count SET count = count + 1 WHERE target = ?1 AND flow = ?2 AND is_field = 1 AND what = ?3",
    )?;
    let mut names = transaction.prepare_cached(
        "SELECT count(*) FROM shadow_count WHERE target = ?1 AND flow = ?2 AND is_field = 1",
    )?;
    // How many names of fields each flow has.
    let mut named: HashMap<&FlowName, u64> = HashMap::new();
    for (flow, ShadowNote { row, counted }) in notes {
        let added = add.execute(params![
            target,
            flow.as_str(),
            row.offset.0 as i64,
            row.key,
            row.verdict,
            row.at_us,
            row.request,
            row.detail
        ])?;
        if added == 0 {
            continue;
        }
        count.execute(params![target, flow.as_str(), 0, row.verdict])?;
        for field in counted {
            if more.execute(params![target, flow.as_str(), field])? > 0 {
                continue;
            }
            let named = match named.entry(flow) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let of = [target, flow.as_str()];
                    unknown.insert(names.query_row(of, |row| row.get::<_, i64>(0))? as u64)
                }
            };
            let has_room = *named < SHADOW_FIELDS_MAX;
            *named += u64::from(has_room);
            let field = if has_room { field } else { SHADOW_FIELDS_REST };
            count.execute(params![target, flow.as_str(), 1, field])?;
        }
    }
    drop_beyond(transaction, target)
}

fn drop_beyond(transaction: &Transaction<'_>, target: &str) -> rusqlite::Result<()> {
    let rows: i64 = transaction
        .prepare_cached("SELECT count(*) FROM shadow WHERE target = ?1")?
        .query_row([target], |row| row.get(0))?;
    let beyond = (rows as u64).saturating_sub(SHADOW_ROWS_MAX);
    if beyond > 0 {
        transaction
            .prepare_cached(
                "DELETE FROM shadow WHERE id IN
                 (SELECT id FROM shadow WHERE target = ?1 ORDER BY verdict <> 'same', id LIMIT ?2)",
            )?
            .execute(params![target, (beyond + DROPPED_AT_ONCE) as i64])?;
    }
    Ok(())
}

/// Begins a target's report anew.
pub(super) fn clear(transaction: &Transaction<'_>, target: &str) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM shadow WHERE target = ?1", [target])?;
    transaction.execute("DELETE FROM shadow_count WHERE target = ?1", [target])?;
    Ok(())
}

impl State {
    pub(crate) fn shadow_rows(
        &self,
        query: &ShadowQuery,
    ) -> Result<Vec<(FlowName, ShadowRow)>, StoreError> {
        let mut sql = String::from(
            "SELECT id, flow, event_offset, key, verdict, at_us, request, detail FROM shadow WHERE id > ? AND target = ?",
        );
        let mut values = vec![
            Value::from(query.after as i64),
            Value::from(query.target.clone()),
        ];
        if let Some(flow) = &query.flow {
            sql.push_str(" AND flow = ?");
            values.push(Value::from(flow.to_string()));
        }
        if !query.verdicts.is_empty() {
            let marks = vec!["?"; query.verdicts.len()].join(", ");
            sql.push_str(&format!(" AND verdict IN ({marks})"));
            values.extend(query.verdicts.iter().cloned().map(Value::from));
        }
        sql.push_str(" ORDER BY id LIMIT ?");
        values.push(Value::from(i64::try_from(query.limit).unwrap_or(i64::MAX)));
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| {
                let found = ShadowRow {
                    id: row.get::<_, i64>(0)? as u64,
                    offset: offset(row, 2)?,
                    key: row.get(3)?,
                    verdict: row.get(4)?,
                    at_us: row.get(5)?,
                    request: row.get(6)?,
                    detail: row.get(7)?,
                };
                Ok((flow(row, 1)?, found))
            })?;
            rows.collect()
        })
    }

    pub(crate) fn shadow_counts(&self, target: &str) -> Result<Vec<ShadowCount>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT flow, is_field, what, count FROM shadow_count WHERE target = ?1 ORDER BY flow, is_field, what",
            )?;
            let rows = statement.query_map([target], |row| {
                Ok(ShadowCount {
                    flow: flow(row, 0)?,
                    is_field: row.get(1)?,
                    what: row.get(2)?,
                    count: row.get::<_, i64>(3)? as u64,
                })
            })?;
            rows.collect()
        })
    }

    pub(crate) fn clear_shadow(&self, target: &str) -> Result<(), StoreError> {
        self.ask(|connection| {
            let transaction = connection.transaction()?;
            clear(&transaction, target)?;
            transaction.commit()
        })
    }
}
