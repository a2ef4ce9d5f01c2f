//! The one writer of the state: steps of many consumers, one commit.

use std::path::Path;
use std::sync::mpsc;

use dray_edges::edge;
use rusqlite::{Connection, Transaction, params};
use tokio::sync::oneshot;

use super::audit::put_entry;
use super::replays::put_step;
use super::{SET, bitmap_bytes, number, remembered, shadow};
use crate::api::{Step, StoreError};
use crate::sqlite::failed;

/// Steps that one commit takes in, at most.
const COMMIT_STEPS_MAX: usize = 256;

/// A step, and who waits for it.
pub(super) type Stepping = (Step, oneshot::Sender<Result<(), StoreError>>);

pub(super) fn write_steps(
    mut connection: Connection,
    folder: &Path,
    steps: &mpsc::Receiver<Stepping>,
) {
    while let Ok(first) = steps.recv() {
        let mut group = vec![first];
        while group.len() < COMMIT_STEPS_MAX {
            let Ok(more) = steps.try_recv() else { break };
            group.push(more);
        }
        let result = write_group(&mut connection, &group);
        if let Err(error) = &result {
            tracing::error!(%error, "the state cannot be written");
        }
        for (_, answer) in group {
            let said = match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(failed(folder, format!("state.db: {error}"))),
            };
            let _ = answer.send(said);
        }
    }
}

fn write_group(connection: &mut Connection, group: &[Stepping]) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for (step, _) in group {
        write_step(&transaction, step)?;
    }
    edge!("store.before_step_commit");
    transaction.commit()?;
    edge!("store.after_step_commit");
    Ok(())
}

fn write_step(transaction: &Transaction<'_>, step: &Step) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO cursor VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (consumer, flow) DO UPDATE SET through = ?3, above = ?4",
    )?;
    for (flow, cursor) in &step.cursors {
        put.execute(params![
            step.consumer,
            flow.as_str(),
            cursor.through.0 as i64,
            bitmap_bytes(&cursor.above)
        ])?;
    }
    let mut sent = transaction.prepare_cached(
        "INSERT INTO sent VALUES (?1, ?2, ?3) ON CONFLICT (consumer, flow) DO UPDATE SET through = ?3",
    )?;
    for (flow, through) in &step.sent {
        sent.execute(params![step.consumer, flow.as_str(), through.0 as i64])?;
    }
    let mut add = transaction.prepare_cached(
        "INSERT INTO exception (target, flow, event_offset, key, state, reason, at_us, event, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (target, flow, event_offset) DO UPDATE SET key = ?4, state = ?5, reason = ?6, at_us = ?7, event = ?8,
             detail = ?9",
    )?;
    for one in &step.add {
        add.execute(params![
            one.target,
            one.flow.as_str(),
            one.offset.0 as i64,
            one.key,
            number(one.state),
            one.reason,
            one.at_us,
            one.event.as_ref(),
            one.detail
        ])?;
    }
    let mut change = transaction.prepare_cached(
        "UPDATE exception SET state = ?2, reason = ?3, detail = coalesce(?4, detail) WHERE id = ?1",
    )?;
    for one in &step.change {
        change.execute(params![
            one.id as i64,
            number(one.state),
            one.reason,
            one.detail
        ])?;
    }
    let mut remove = transaction.prepare_cached("DELETE FROM exception WHERE id = ?1")?;
    for id in &step.remove {
        remove.execute([*id as i64])?;
    }
    let mut set = transaction.prepare_cached(SET)?;
    for (name, value) in &step.settings {
        set.execute([name, value])?;
    }
    // Somebody may have ended or paused the replay first: what was not done is not told.
    let is_done = match &step.replay {
        Some(replay) => put_step(transaction, replay)?,
        None => true,
    };
    for entry in step.audit.iter().filter(|_| is_done) {
        put_entry(transaction, entry)?;
    }
    let target = step.consumer.strip_prefix("target:").unwrap_or("");
    shadow::write(transaction, target, &step.shadow)?;
    remembered::write(transaction, step)
}
