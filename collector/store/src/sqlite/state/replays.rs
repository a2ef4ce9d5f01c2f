//! Replays: planned, approved by somebody else, run.

use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, Row, Transaction, params, params_from_iter};

use super::audit::{begin, put_entry};
use super::{State, bitmap, bitmap_bytes, flow, offset};
use crate::api::{
    Approval, AuditEntry, REPLAY_NOTES_MAX, REPLAYS_MAX, Replay, ReplayMove, ReplayNote,
    ReplayProgress, ReplayState, ReplayStep, StoreError,
};

/// All of a replay but its selection, which may be megabytes.
const COLUMNS: &str = "id, target, planned_by, at_us, expires_us, state, plan, hash, approved_by, approved_us, ended_us, \
                       through, above, delivered, accepted, refused, overtaken, held, gone";

impl State {
    pub(crate) fn add_replay(
        &self,
        replay: &Replay,
        entry: &AuditEntry,
    ) -> Result<u64, StoreError> {
        self.ask(|connection| {
            let transaction = begin(connection)?;
            transaction.execute(
                "INSERT INTO replay (target, planned_by, at_us, expires_us, state, plan, selection, hash, approved_by,
                     approved_us, ended_us, through, above, delivered, accepted, refused, overtaken, held, gone)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', 0, 0, 0, ?9, 0, 0, 0, 0, 0, 0)",
                params![
                    replay.target,
                    replay.by,
                    replay.at_us,
                    replay.expires_us,
                    number(ReplayState::Planned),
                    replay.plan,
                    replay.selection.as_ref(),
                    replay.hash,
                    super::empty(),
                ],
            )?;
            let id = transaction.last_insert_rowid();
            forget_oldest(&transaction)?;
            let subject = format!("replay {id}");
            put_entry(&transaction, &AuditEntry { subject, ..entry.clone() })?;
            transaction.commit()?;
            Ok(id as u64)
        })
    }

    pub(crate) fn replays(
        &self,
        target: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError> {
        let (condition, mut values) = match target {
            Some(target) => ("WHERE target = ?", vec![Value::from(target.to_owned())]),
            None => ("", Vec::new()),
        };
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        let sql = format!("SELECT {COLUMNS} FROM replay {condition} ORDER BY id DESC LIMIT ?");
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), replay)?;
            let mut replays: Vec<Replay> = rows.collect::<rusqlite::Result<_>>()?;
            replays.reverse();
            Ok(replays)
        })
    }

    pub(crate) fn replay(&self, id: u64) -> Result<Option<Replay>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, selection FROM replay WHERE id = ?1"
                ))?
                .query_row([id as i64], |row| {
                    let selection = Bytes::from(row.get::<_, Vec<u8>>(19)?);
                    Ok(Replay {
                        selection,
                        ..replay(row)?
                    })
                })
                .optional()
        })
    }

    pub(crate) fn approve_replay(
        &self,
        approval: &Approval,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        self.ask(|connection| {
            let transaction = begin(connection)?;
            let changed = transaction.execute(
                "UPDATE replay SET state = ?1, approved_by = ?2, approved_us = ?3
                 WHERE id = ?4 AND hash = ?5 AND state = ?6 AND planned_by <> ?2 AND expires_us > ?3",
                params![
                    number(ReplayState::Approved),
                    approval.by,
                    approval.at_us,
                    approval.id as i64,
                    approval.hash,
                    number(ReplayState::Planned)
                ],
            )?;
            if changed == 0 {
                return Ok(false);
            }
            put_entry(&transaction, entry)?;
            transaction.commit()?;
            Ok(true)
        })
    }

    pub(crate) fn move_replay(
        &self,
        change: &ReplayMove,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let from: Vec<String> = change
            .from
            .iter()
            .map(|state| number(*state).to_string())
            .collect();
        let ended_us = if change.to.is_over() { change.at_us } else { 0 };
        let sql = format!(
            "UPDATE replay SET state = ?1, ended_us = ?2 WHERE id = ?3 AND state IN ({})",
            from.join(", ")
        );
        self.ask(|connection| {
            let transaction = begin(connection)?;
            let values = params![number(change.to), ended_us, change.id as i64];
            if transaction.execute(&sql, values)? == 0 {
                return Ok(false);
            }
            put_entry(&transaction, entry)?;
            transaction.commit()?;
            Ok(true)
        })
    }

    pub(crate) fn replay_notes(
        &self,
        id: u64,
        limit: usize,
    ) -> Result<Vec<ReplayNote>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT flow, event_offset, key, reason FROM replay_note WHERE replay = ?1 ORDER BY id LIMIT ?2",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map([id as i64, limit], |row| {
                Ok(ReplayNote {
                    flow: flow(row, 0)?,
                    offset: offset(row, 1)?,
                    key: row.get(2)?,
                    reason: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }
}

/// Writes what a step says of a replay; false: it is not in the state that it would leave.
pub(super) fn put_step(transaction: &Transaction<'_>, step: &ReplayStep) -> rusqlite::Result<bool> {
    let (id, progress) = (step.id as i64, &step.progress);
    transaction
        .prepare_cached(
            "UPDATE replay SET through = ?2, above = ?3, delivered = ?4, accepted = ?5, refused = ?6, overtaken = ?7,
                 held = ?8, gone = ?9 WHERE id = ?1",
        )?
        .execute(params![
            id,
            progress.through as i64,
            bitmap_bytes(&progress.above),
            progress.delivered as i64,
            progress.accepted as i64,
            progress.refused as i64,
            progress.overtaken as i64,
            progress.held as i64,
            progress.gone as i64
        ])?;
    if !step.notes.is_empty() {
        put_notes(transaction, id, &step.notes)?;
    }
    if let Some((state, at_us)) = step.becomes {
        let ended_us = if state.is_over() { at_us } else { 0 };
        let changed = transaction.execute(
            "UPDATE replay SET state = ?2, ended_us = ?3 WHERE id = ?1 AND state = ?4",
            params![id, number(state), ended_us, number(ReplayState::Approved)],
        )?;
        return Ok(changed > 0);
    }
    Ok(true)
}

fn put_notes(transaction: &Transaction<'_>, id: i64, notes: &[ReplayNote]) -> rusqlite::Result<()> {
    let last: Option<i64> = transaction
        .prepare_cached("SELECT max(id) FROM replay_note WHERE replay = ?1")?
        .query_row([id], |row| row.get(0))?;
    let last = last.unwrap_or(0);
    let room = (REPLAY_NOTES_MAX as i64 - last).max(0) as usize;
    let mut add =
        transaction.prepare_cached("INSERT INTO replay_note VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (note, number) in notes.iter().zip(last + 1..).take(room) {
        add.execute(params![
            id,
            number,
            note.flow.as_str(),
            note.offset.0 as i64,
            note.key,
            note.reason
        ])?;
    }
    Ok(())
}

fn forget_oldest(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let over = [ReplayState::Done, ReplayState::Cancelled, ReplayState::Void];
    let over = over.map(|state| number(state).to_string()).join(", ");
    // A plan that nobody approved in time is over too.
    transaction.execute(
        &format!(
            "DELETE FROM replay WHERE id IN (SELECT id FROM replay ORDER BY id DESC LIMIT -1 OFFSET {REPLAYS_MAX})
                 AND (state IN ({over}) OR state = {} AND expires_us < (SELECT max(at_us) FROM replay))",
            number(ReplayState::Planned)
        ),
        [],
    )?;
    transaction.execute(
        "DELETE FROM replay_note WHERE replay NOT IN (SELECT id FROM replay)",
        [],
    )?;
    Ok(())
}

/// Of [`COLUMNS`].
fn replay(row: &Row<'_>) -> rusqlite::Result<Replay> {
    let state: i64 = row.get(5)?;
    let count = |index| row.get::<_, i64>(index).map(|count| count as u64);
    Ok(Replay {
        id: count(0)?,
        target: row.get(1)?,
        by: row.get(2)?,
        at_us: row.get(3)?,
        expires_us: row.get(4)?,
        state: STATES
            .iter()
            .find(|(_, number)| *number == state)
            .map(|(state, _)| *state)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(5, state))?,
        plan: row.get(6)?,
        selection: Bytes::new(),
        hash: row.get(7)?,
        approved_by: row.get(8)?,
        approved_us: row.get(9)?,
        ended_us: row.get(10)?,
        progress: ReplayProgress {
            through: count(11)?,
            above: bitmap(row, 12)?,
            delivered: count(13)?,
            accepted: count(14)?,
            refused: count(15)?,
            overtaken: count(16)?,
            held: count(17)?,
            gone: count(18)?,
        },
    })
}

/// States as they stand on disk; a number is never used again.
const STATES: [(ReplayState, i64); 6] = [
    (ReplayState::Planned, 1),
    (ReplayState::Approved, 2),
    (ReplayState::Paused, 3),
    (ReplayState::Done, 4),
    (ReplayState::Cancelled, 5),
    (ReplayState::Void, 6),
];

fn number(state: ReplayState) -> i64 {
    STATES
        .iter()
        .find(|(known, _)| *known == state)
        .map_or(0, |(_, number)| *number)
}
