//! Replays: planning, approving, and what came of them.

use std::sync::Arc;
use std::time::Duration;

use dray_delivery::replay::{self, Asked, Filter, Picked, Plan};
use dray_proto::v1::replay_act_request::Act;
use dray_proto::v1::{
    PlanReplayRequest, ReplayActRequest, ReplayEntry, ReplayFlow, ReplayNewer, ReplayNote,
    ReplaysReply, ReplaysRequest,
};
use dray_store::{ExceptionQuery, Replay, ReplayState, Store, StoreError};
use tonic::Status;

use super::failed;
use crate::audit;
use crate::core::{Shared, ask, now_us};
use crate::json;

/// Entries of an answer.
const LIMIT_MAX: usize = 1_000;
const LIMIT_DEFAULT: usize = 100;
/// What was not delivered, of one replay.
const NOTES_MAX: usize = 1_000;

pub(super) async fn list(
    shared: &Arc<Shared>,
    request: ReplaysRequest,
) -> Result<ReplaysReply, Status> {
    if request.id > 0 {
        let one = show(shared, request.id).await?;
        return Ok(ReplaysReply { replays: vec![one] });
    }
    let limit = match request.limit {
        0 => LIMIT_DEFAULT,
        limit => (limit as usize).min(LIMIT_MAX),
    };
    let found = ask(&shared.store, move |store| {
        let target = Some(request.target.as_str()).filter(|target| !target.is_empty());
        store.replays(target, limit)
    });
    let replays = found.await.map_err(failed)?;
    let hidden = |replay: &Replay| hide_changes(shared, plain(replay));
    Ok(ReplaysReply {
        replays: replays.iter().map(hidden).collect(),
    })
}

fn hide_changes(shared: &Shared, mut entry: ReplayEntry) -> ReplayEntry {
    for change in &mut entry.changes {
        *change = shared.targets.masked_change(&entry.target, change);
    }
    entry
}

async fn show(shared: &Arc<Shared>, id: u64) -> Result<ReplayEntry, Status> {
    let found = ask(&shared.store, move |store| {
        let Some(replay) = store.replay(id)? else {
            return Ok(None);
        };
        whole(store, &replay).map(Some)
    });
    let found = found.await.map_err(failed)?.ok_or_else(|| {
        Status::not_found(format!(
            "there is no replay {id}; \"dray-collector replay list\" shows those there are"
        ))
    })?;
    let hide = |json: &str| shared.targets.masked(&found.target, json);
    let (before_json, after_json) = (hide(&found.before_json), hide(&found.after_json));
    Ok(ReplayEntry {
        before_json,
        after_json,
        ..hide_changes(shared, found)
    })
}

pub(super) async fn plan(
    shared: &Arc<Shared>,
    request: PlanReplayRequest,
    actor: &str,
) -> Result<ReplayEntry, Status> {
    let asked = Asked {
        filter: Filter {
            flows: request.flows,
            bodies: request.bodies,
            keys: request.keys,
            from: request.from_offset,
            to: request.to_offset,
            since_us: request.since_us,
            until_us: request.until_us,
            dead_letters: request.dead_letters,
        },
        older: request.older,
        rate: match request.rate {
            0 => replay::RATE_DEFAULT,
            rate => rate,
        },
        expires: match request.expires_s {
            0 => replay::EXPIRES_DEFAULT,
            seconds => Duration::from_secs(seconds),
        },
        by: actor.to_owned(),
    };
    let planned = if request.edit > 0 {
        let changes = request.changes.into_iter();
        let changes = changes.map(|change| (change.field, change.value)).collect();
        replay::edit(&shared.store, request.edit, changes, asked, now_us()).await
    } else {
        let target = shared.targets.config(&request.target)?;
        replay::plan(&shared.store, target, asked, now_us()).await
    };
    let id = planned.map_err(Status::failed_precondition)?;
    tracing::info!(replay = id, "a replay is planned");
    show(shared, id).await
}

pub(super) async fn act(
    shared: &Arc<Shared>,
    request: ReplayActRequest,
    actor: &str,
) -> Result<String, Status> {
    let (store, id, now_us) = (&shared.store, request.id, now_us());
    let (done, action, said) = match request.act() {
        Act::Approve => {
            let done = replay::approve(store, id, &request.hash, actor, now_us).await;
            (
                done,
                "replay approve",
                format!(
                    "Replay {id} is approved and runs; \"dray-collector replay show {id}\" says how far it is."
                ),
            )
        }
        Act::Pause => {
            let done = replay::pause(store, id, actor, now_us).await;
            (done, "replay pause", format!("Replay {id} is paused."))
        }
        Act::Resume => {
            let done = replay::resume(store, id, actor, now_us).await;
            (done, "replay resume", format!("Replay {id} goes on."))
        }
        Act::Cancel => {
            let done = replay::cancel(store, id, actor, now_us).await;
            (done, "replay cancel", format!("Replay {id} is cancelled."))
        }
        Act::Unspecified => return Err(Status::invalid_argument("no act was named")),
    };
    match done {
        Ok(target) => {
            shared.targets.look_at_replays(&target).await;
            Ok(said)
        }
        Err(why) => {
            // What was refused to somebody is worth knowing, too.
            let subject = format!("replay {id}");
            let detail = format!("refused: {why}");
            audit::note(shared, actor, action, subject, detail).await;
            Err(Status::failed_precondition(why))
        }
    }
}

fn whole(store: &dyn Store, replay: &Replay) -> Result<ReplayEntry, StoreError> {
    let notes = store.replay_notes(replay.id, NOTES_MAX)?;
    let notes = notes.into_iter().map(|note| ReplayNote {
        flow: note.flow.to_string(),
        offset: note.offset.0,
        key: note.key,
        reason: note.reason,
    });
    let (before_json, after_json) = edited(store, replay)?;
    Ok(ReplayEntry {
        notes: notes.collect(),
        before_json,
        after_json,
        ..plain(replay)
    })
}

/// The event of an edited dead letter, before and after; what is over may be gone.
fn edited(store: &dyn Store, replay: &Replay) -> Result<(String, String), StoreError> {
    let plan = Plan::read(&replay.plan);
    let picked = Picked::read(&replay.selection).filter(|_| plan.edits > 0);
    let (Some(picked), Some(planned)) = (picked, plan.flows.first()) else {
        return Ok(Default::default());
    };
    let (site, flow) = planned.flow.split_once('/').unwrap_or_default();
    let after = json::of_event(&picked.edited, site, flow, planned.first);
    let query = ExceptionQuery {
        after: plan.edits - 1,
        limit: 1,
        ..ExceptionQuery::default()
    };
    let found = store.exceptions(&query)?;
    let before = found.iter().find(|found| found.id == plan.edits);
    let before = before.map(|found| json::of_event(&found.event, site, flow, planned.first));
    Ok((before.unwrap_or_default(), after))
}

fn plain(replay: &Replay) -> ReplayEntry {
    let plan = Plan::read(&replay.plan);
    let state = match replay.state {
        ReplayState::Planned if now_us() >= replay.expires_us => "expired",
        ReplayState::Planned => "planned",
        ReplayState::Approved => "approved",
        ReplayState::Paused => "paused",
        ReplayState::Done => "done",
        ReplayState::Cancelled => "cancelled",
        ReplayState::Void => "void",
    };
    let flows = plan.flows.into_iter().map(|flow| ReplayFlow {
        flow: flow.flow,
        first: flow.first,
        last: flow.last,
        events: flow.events,
    });
    let newer = plan.newer_shown.into_iter().map(|newer| ReplayNewer {
        flow: newer.flow,
        key: newer.key,
        offset: newer.offset,
        delivered: newer.delivered,
        unsent: newer.unsent,
    });
    let progress = &replay.progress;
    ReplayEntry {
        id: replay.id,
        target: replay.target.clone(),
        state: state.to_owned(),
        planned_by: replay.by.clone(),
        at_us: replay.at_us,
        expires_us: replay.expires_us,
        approved_by: replay.approved_by.clone(),
        approved_us: replay.approved_us,
        ended_us: replay.ended_us,
        hash: hex::encode(&replay.hash),
        older: plan.older,
        rate: plan.rate,
        dead_letters: plan.filter.dead_letters || plan.edits > 0,
        events: plan.events,
        unsent: plan.unsent,
        keys: plan.keys,
        flows: flows.collect(),
        newer: plan.newer,
        newer_keys: plan.newer_keys,
        newer_shown: newer.collect(),
        waiting: plan.waiting,
        exceptions: plan.exceptions,
        lost: plan.lost,
        delivered: progress.delivered,
        accepted: progress.accepted,
        refused: progress.refused,
        overtaken: progress.overtaken,
        held: progress.held,
        gone: progress.gone,
        edits: plan.edits,
        changes: plan.changes,
        ..ReplayEntry::default()
    }
}
