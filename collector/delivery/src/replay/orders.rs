//! What people do with replays. A refusal is a sentence; what was done stands in the audit trail with the same commit.

mod pick;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dray_store::{
    Approval, AuditEntry, ExceptionQuery, ExceptionState, Replay, ReplayMove, ReplayProgress,
    ReplayState, Store, StoreError,
};

use self::pick::{pick_events, pick_letters};
use super::pages::content;
use super::{
    EDITED_BYTES_MAX, EXPIRES_MAX, Filter, Picked, Plan, PlannedFlow, RATE_MAX, hash, why_not,
};
use crate::config::TargetConfig;
use crate::detail::Detail;
use crate::edit;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which events.
    pub filter: Filter,
    /// Also what is overtaken.
    pub older: bool,
    /// Events a second.
    pub rate: u32,
    /// How long it can be approved.
    pub expires: Duration,
    /// Who asks, e.g. "uid 1001".
    pub by: String,
}

impl Asked {
    fn wrong(&self) -> Option<String> {
        if !(1..=RATE_MAX).contains(&self.rate) {
            return Some(format!("--rate: write 1 to {RATE_MAX} events a second"));
        }
        if self.expires.is_zero() || self.expires > EXPIRES_MAX {
            return Some("--expires: write at most \"7days\"".into());
        }
        self.filter.wrong()
    }
}

/// Plans a replay; returns its id.
///
/// # Errors
/// A sentence: the filter is wrong, nothing can be sent, or too much.
pub async fn plan(
    store: &Arc<dyn Store>,
    target: &TargetConfig,
    asked: Asked,
    now_us: i64,
) -> Result<u64, String> {
    if let Some(wrong) = asked.wrong() {
        return Err(wrong);
    }
    let target = target.clone();
    blocking(store, move |store| {
        let (picked, plan) = if asked.filter.dead_letters {
            pick_letters(store, &target, &asked)?
        } else {
            pick_events(store, &target, &asked)?
        };
        keep(store, &target.name, &asked, picked, plan, now_us)
    })
    .await
}

/// Plans to send a dead letter otherwise than it was: `changes` are fields of its body and their new values.
///
/// # Errors
/// A sentence, as [`plan`].
pub async fn edit(
    store: &Arc<dyn Store>,
    id: u64,
    changes: Vec<(String, String)>,
    asked: Asked,
    now_us: i64,
) -> Result<u64, String> {
    blocking(store, move |store| {
        let query = ExceptionQuery {
            after: id.saturating_sub(1),
            limit: 1,
            ..ExceptionQuery::default()
        };
        let found = store.exceptions(&query).map_err(said)?;
        let found = found
            .into_iter()
            .find(|found| found.id == id)
            .ok_or_else(|| format!("there is no dead letter {id}"))?;
        let takes = match found.state {
            ExceptionState::Dead => !found.key.is_empty(),
            ExceptionState::Overtaken => asked.older,
            _ => false,
        };
        if !takes {
            return Err(format!(
                "dead letter {id} cannot be edited: only what a target refused can (state \"dead\"; with --older also \"overtaken\")"
            ));
        }
        if changes.is_empty() {
            return Err("say what to change, e.g. --set line.quantity=5".into());
        }
        // What was edited before is edited further.
        let before = Detail::read(&found.detail).edited();
        let mut edited = before.unwrap_or_else(|| found.event.to_vec());
        for (path, text) in &changes {
            edited = edit::set(&edited, path, text)?;
        }
        if edited.len() > EDITED_BYTES_MAX {
            return Err(format!("an edited event has at most {EDITED_BYTES_MAX} bytes"));
        }
        let picked = Picked {
            letters: [id].into_iter().collect(),
            edited,
            ..Picked::default()
        };
        let named = changes.iter().map(|(path, text)| format!("{path} = {text}"));
        let plan = Plan {
            edits: id,
            changes: named.collect(),
            keys: 1,
            flows: vec![PlannedFlow {
                flow: found.flow.to_string(),
                first: found.offset.0,
                last: found.offset.0,
                events: 1,
            }],
            ..Plan::default()
        };
        keep(store, &found.target, &asked, picked, plan, now_us)
    })
    .await
}

/// What was planned can never be approved.
fn void(store: &Arc<dyn Store>, id: u64, by: &str, why: &str, now_us: i64) -> Result<(), String> {
    let void = ReplayMove {
        id,
        from: vec![ReplayState::Planned],
        to: ReplayState::Void,
        at_us: now_us,
    };
    let note = entry(by, "replay void", id, why, now_us);
    store.move_replay(&void, &note).map_err(said)?;
    Ok(())
}

/// Agrees to a replay. Returns its target, to be woken.
///
/// # Errors
/// A sentence: see [`why_not`]; or the log no longer holds what was planned, and the replay is void.
pub async fn approve(
    store: &Arc<dyn Store>,
    id: u64,
    seen: &str,
    by: &str,
    now_us: i64,
) -> Result<String, String> {
    let (seen, by) = (seen.to_owned(), by.to_owned());
    blocking(store, move |store| {
        let replay = find(store, id)?;
        if let Some(why) = why_not(&replay, &by, &seen, now_us) {
            if replay.state == ReplayState::Planned && now_us >= replay.expires_us {
                // For good: a clock that is set back must not let it come to life again.
                void(store, id, &by, "it expired", now_us)?;
            }
            return Err(why);
        }
        let plan = Plan::read(&replay.plan);
        let stands = Picked::read(&replay.selection)
            .ok_or_else(|| "its selection cannot be read".to_owned())
            .and_then(|picked| content(store, &picked));
        let changed = match stands {
            Ok(content) if content == plan.content && plan.incarnation == store.incarnation() => {
                None
            }
            Ok(_) => Some("its events are not those that were planned".to_owned()),
            Err(why) => Some(why),
        };
        if let Some(why) = changed {
            void(store, id, &by, &why, now_us)?;
            return Err(format!("replay {id} is void: {why}; plan it anew"));
        }
        let detail = format!(
            "{} events for {}, hash {}",
            plan.events,
            replay.target,
            hex::encode(&replay.hash)
        );
        let approval = Approval {
            id,
            hash: replay.hash.clone(),
            by: by.clone(),
            at_us: now_us,
        };
        let note = entry(&by, "replay approve", id, &detail, now_us);
        if !store.approve_replay(&approval, &note).map_err(said)? {
            return Err(format!(
                "replay {id} changed in this moment; look at it again"
            ));
        }
        Ok(replay.target)
    })
    .await
}

/// Ends a replay for good. Returns its target, to be woken.
///
/// # Errors
/// A sentence.
pub async fn cancel(
    store: &Arc<dyn Store>,
    id: u64,
    by: &str,
    now_us: i64,
) -> Result<String, String> {
    use ReplayState::{Approved, Cancelled, Paused, Planned};
    shift(
        store,
        id,
        &[Planned, Approved, Paused],
        Cancelled,
        ("replay cancel", by),
        now_us,
    )
    .await
}

/// Stops a replay until somebody resumes it. Returns its target, to be woken.
///
/// # Errors
/// A sentence.
pub async fn pause(
    store: &Arc<dyn Store>,
    id: u64,
    by: &str,
    now_us: i64,
) -> Result<String, String> {
    use ReplayState::{Approved, Paused};
    shift(store, id, &[Approved], Paused, ("replay pause", by), now_us).await
}

/// Lets a paused replay go on. Returns its target, to be woken.
///
/// # Errors
/// A sentence.
pub async fn resume(
    store: &Arc<dyn Store>,
    id: u64,
    by: &str,
    now_us: i64,
) -> Result<String, String> {
    use ReplayState::{Approved, Paused};
    shift(
        store,
        id,
        &[Paused],
        Approved,
        ("replay resume", by),
        now_us,
    )
    .await
}

async fn shift(
    store: &Arc<dyn Store>,
    id: u64,
    from: &[ReplayState],
    to: ReplayState,
    (action, by): (&'static str, &str),
    now_us: i64,
) -> Result<String, String> {
    let (from, by) = (from.to_vec(), by.to_owned());
    blocking(store, move |store| {
        let replay = find(store, id)?;
        let change = ReplayMove {
            id,
            from,
            to,
            at_us: now_us,
        };
        let note = entry(&by, action, id, "", now_us);
        if store.move_replay(&change, &note).map_err(said)? {
            return Ok(replay.target);
        }
        let state = format!("{:?}", replay.state).to_lowercase();
        Err(format!("replay {id} is {state}: {action} does nothing"))
    })
    .await
}

fn keep(
    store: &Arc<dyn Store>,
    target: &str,
    asked: &Asked,
    picked: Picked,
    plan: Plan,
    now_us: i64,
) -> Result<u64, String> {
    let plan = Plan {
        filter: asked.filter.clone(),
        older: asked.older,
        rate: asked.rate,
        incarnation: store.incarnation(),
        events: picked.len(),
        content: content(store, &picked)?,
        ..plan
    };
    let (text, selection) = (plan.text(), picked.bytes());
    let hash = hash(target, &text, &selection);
    let mut detail = format!(
        "{} events for {target}, hash {}",
        plan.events,
        hex::encode(&hash)
    );
    if plan.edits > 0 {
        // Which fields, and not their values: some may be hidden.
        let fields = plan
            .changes
            .iter()
            .filter_map(|change| change.split(" = ").next());
        let fields: Vec<_> = fields.collect();
        detail += &format!(
            "; dead letter {} with another {}",
            plan.edits,
            fields.join(", ")
        );
    }
    let replay = Replay {
        id: 0,
        target: target.to_owned(),
        by: asked.by.clone(),
        at_us: now_us,
        expires_us: now_us.saturating_add(asked.expires.as_micros() as i64),
        state: ReplayState::Planned,
        plan: text,
        selection: Bytes::from(selection),
        hash,
        approved_by: String::new(),
        approved_us: 0,
        ended_us: 0,
        progress: ReplayProgress::default(),
    };
    let note = entry(&asked.by, "replay plan", 0, &detail, now_us);
    store.add_replay(&replay, &note).map_err(said)
}

fn find(store: &Arc<dyn Store>, id: u64) -> Result<Replay, String> {
    store.replay(id).map_err(said)?.ok_or_else(|| {
        format!("there is no replay {id}; \"dray-collector replay list\" shows those there are")
    })
}

/// An entry of the audit trail.
pub(crate) fn entry(by: &str, action: &str, id: u64, detail: &str, at_us: i64) -> AuditEntry {
    AuditEntry {
        id: 0,
        at_us,
        actor: by.to_owned(),
        action: action.to_owned(),
        subject: format!("replay {id}"),
        detail: detail.to_owned(),
        hash: Vec::new(),
    }
}

fn said(error: StoreError) -> String {
    error.to_string()
}

async fn blocking<T: Send + 'static>(
    store: &Arc<dyn Store>,
    work: impl FnOnce(&Arc<dyn Store>) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || work(&store))
        .await
        .map_err(|error| error.to_string())?
}
