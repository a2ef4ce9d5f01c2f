//! What an operator does to exceptions and targets: durable first, then [`crate::TargetHandle::wake`].
//!
//! A refusal is a sentence for the operator. A target need not run: what was asked for is done when it does. `by`: who
//! asked; it stands in the audit trail with what was done, on disk together. `None`: whoever asks notes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use dray_store::{
    AuditEntry, Change, Exception, ExceptionQuery, ExceptionState, REPLAYS_MAX, ReplayMove,
    ReplayState, Step, Store, StoreError,
};

use crate::consumer;
use crate::detail::Detail;
use crate::engine::paused_setting;
use crate::engine::seeding::seeded_setting;
use crate::phase;
use crate::policy::{OLDER, RETRY};
use crate::replay::entry;
use crate::select::Pattern;

/// How the reason of a detached target's pause begins.
pub const DETACHED: &str = "detached";
/// What a look for a reference was asked for is known by.
const AWAITED: &str = "look again";
/// Exceptions that are changed in one step.
const PAGE: usize = 1_000;

/// The durable setting that says that a target was started before.
pub(crate) fn started_setting(target: &str) -> String {
    format!("started:{target}")
}

/// Tries a dead letter again, and what is held behind it. Returns its target, to be woken.
///
/// `older`: even where a later event of its key was delivered.
///
/// # Errors
/// A sentence: there is no such exception, or it is in a state that cannot be retried.
pub async fn retry(
    store: &Arc<dyn Store>,
    id: u64,
    older: bool,
    by: Option<&str>,
) -> Result<String, String> {
    let found = find(store, id).await?;
    refuse_unreadable(&found)?;
    let reason = match found.state {
        ExceptionState::Dead => RETRY,
        ExceptionState::Overtaken if older => OLDER,
        ExceptionState::Overtaken => {
            return Err(format!(
                "a later event of its key was delivered; use --older to deliver {id} all the same"
            ));
        }
        ExceptionState::Held => return Err(held(store, &found).await?),
        ExceptionState::Retry => {
            return Err(format!(
                "dead letter {id} is about to be tried again already"
            ));
        }
        ExceptionState::Accepted => {
            return Err(format!(
                "event {id} was taken by the target and is asked about by itself: {}",
                found.reason
            ));
        }
        ExceptionState::Confirm => {
            return Err(format!(
                "event {id} waits for somebody's word: approve or discard it"
            ));
        }
        // It is looked at once more whether what it names has come.
        ExceptionState::Awaits => AWAITED,
        ExceptionState::Agent => {
            return Err(format!(
                "dead letter {id} came from an agent and was never an event: mend its cause at the site, have it read again there (dray-agent redrive FLOW says how), then discard it"
            ));
        }
    };
    let reason = match reason {
        AWAITED => format!("{RETRY}: {}", found.reason),
        reason => format!("{reason}; it was refused: {}", found.reason),
    };
    let change = vec![Change::new(id, ExceptionState::Retry, reason)];
    take(
        store,
        &found.target,
        Step {
            change,
            audit: noted(by, "retry", &found),
            ..Step::default()
        },
    )
    .await?;
    Ok(found.target)
}

/// Drops an exception for good; what is held behind it goes on. Returns its target, to be woken; empty for an agent's.
///
/// # Errors
/// A sentence, as [`retry`].
pub async fn discard(store: &Arc<dyn Store>, id: u64, by: Option<&str>) -> Result<String, String> {
    let found = find(store, id).await?;
    match found.state {
        ExceptionState::Held => return Err(held(store, &found).await?),
        ExceptionState::Retry => {
            return Err(format!(
                "dead letter {id} is about to be tried again; discard it if it is refused again"
            ));
        }
        ExceptionState::Dead
        | ExceptionState::Overtaken
        | ExceptionState::Agent
        | ExceptionState::Accepted
        | ExceptionState::Awaits
        | ExceptionState::Confirm => {}
    }
    let mut step = Step {
        remove: vec![id],
        audit: noted(by, "discard", &found),
        ..Step::default()
    };
    let closes = matches!(
        found.state,
        ExceptionState::Dead
            | ExceptionState::Accepted
            | ExceptionState::Awaits
            | ExceptionState::Confirm
    );
    if closes && !found.key.is_empty() {
        let next = list(store, of_key(&found, vec![ExceptionState::Held], 1)).await?;
        step.change = next
            .iter()
            .map(|next| Change::new(next.id, ExceptionState::Retry, RETRY))
            .collect();
    }
    take(store, &found.target, step).await?;
    Ok(found.target)
}

/// Drops a page of what a target refused, in one step: what is held behind each goes on. There may be a million of them.
///
/// # Errors
/// A sentence: the store cannot read or write.
pub async fn discard_page(
    store: &Arc<dyn Store>,
    target: &str,
    page: Vec<Exception>,
) -> Result<(), String> {
    if page.is_empty() {
        return Ok(());
    }
    let reading = Arc::clone(store);
    let step = blocking(move || {
        let mut step = Step::default();
        let mut freed = BTreeSet::new();
        for found in &page {
            step.remove.push(found.id);
            if found.state == ExceptionState::Dead && !found.key.is_empty() {
                let next = reading.exceptions(&of_key(found, vec![ExceptionState::Held], 1))?;
                freed.extend(next.iter().map(|next| next.id));
            }
        }
        let freed = freed.into_iter();
        step.change = freed
            .map(|id| Change::new(id, ExceptionState::Retry, RETRY))
            .collect();
        Ok(step)
    });
    take(store, target, step.await?).await
}

/// Agrees to what an event's conversation asked about, or has an event sent although the target lacks what it names: it goes on. Returns its target, to be woken.
///
/// # Errors
/// A sentence: there is no such exception, or it asks nothing.
pub async fn approve(store: &Arc<dyn Store>, id: u64, by: &str) -> Result<String, String> {
    let found = find(store, id).await?;
    if !matches!(
        found.state,
        ExceptionState::Awaits | ExceptionState::Confirm
    ) {
        return Err(format!("event {id} does not wait for anybody's word"));
    }
    let change = approval(&found, by);
    let step = Step {
        change: vec![change],
        audit: noted(Some(by), "approve", &found),
        ..Step::default()
    };
    take(store, &found.target, step).await?;
    Ok(found.target)
}

fn approval(found: &Exception, by: &str) -> Change {
    let reason = format!("approved by {by}: {}", found.reason);
    let mut change = Change::new(found.id, ExceptionState::Retry, reason);
    if found.state == ExceptionState::Awaits {
        // It is sent whatever it names; what the target says then counts.
        let detail = Detail {
            unchecked: true,
            ..Detail::read(&found.detail)
        };
        change.detail = Some(detail.text());
    }
    change
}

/// Which exceptions of a target are meant.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// The target.
    pub target: String,
    /// Only those of these flows; `None`: of all.
    pub flow: Option<Pattern>,
}

impl Which {
    /// All of a target.
    #[must_use]
    pub fn of(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            flow: None,
        }
    }
}

/// Tries all dead letters of a target again, and looks once more for what others wait for; those are left out that a later event
/// overtook. Returns how many.
///
/// # Errors
/// A sentence.
pub async fn retry_all(store: &Arc<dyn Store>, which: &Which) -> Result<u64, String> {
    let states = vec![ExceptionState::Dead, ExceptionState::Awaits];
    change_all(store, which, states, |found| {
        let reason = match found.state {
            ExceptionState::Awaits => format!("{RETRY}: {}", found.reason),
            _ => format!("{RETRY}; it was refused: {}", found.reason),
        };
        Change::new(found.id, ExceptionState::Retry, reason)
    })
    .await
}

/// Agrees to all that a target asks about, or has all sent that waits for what the target has not got. Returns how many.
///
/// # Errors
/// A sentence: of this state nothing waits for a word.
pub async fn approve_all(
    store: &Arc<dyn Store>,
    which: &Which,
    state: ExceptionState,
    by: &str,
) -> Result<u64, String> {
    if !matches!(state, ExceptionState::Confirm | ExceptionState::Awaits) {
        return Err("only what stands in the state confirm or awaits waits for a word".into());
    }
    change_all(store, which, vec![state], |found| approval(found, by)).await
}

/// Changes a target's exceptions of these states, page by page.
async fn change_all(
    store: &Arc<dyn Store>,
    which: &Which,
    states: Vec<ExceptionState>,
    change: impl Fn(&Exception) -> Change,
) -> Result<u64, String> {
    let mut query = ExceptionQuery {
        target: Some(which.target.clone()),
        states,
        limit: PAGE,
        without_events: true,
        ..ExceptionQuery::default()
    };
    let is_meant = |found: &&Exception| {
        let of_flow = which.flow.as_ref();
        !found.key.is_empty() && of_flow.is_none_or(|flow| flow.takes(&found.flow))
    };
    let mut done = 0;
    loop {
        let page = list(store, query.clone()).await?;
        let Some(last) = page.last() else {
            return Ok(done);
        };
        query.after = last.id;
        let change: Vec<_> = page.iter().filter(is_meant).map(&change).collect();
        if change.is_empty() {
            continue;
        }
        done += change.len() as u64;
        take(
            store,
            &which.target,
            Step {
                change,
                ..Step::default()
            },
        )
        .await?;
    }
}

/// Forgets a target's cursors, exceptions, replays and phases, so that it pins the log no longer, and pauses it: resumed, it begins
/// where `start` says. Stop its engine before, start it after.
///
/// # Errors
/// A sentence.
pub async fn detach(store: &Arc<dyn Store>, target: &str) -> Result<(), String> {
    let (store, target) = (Arc::clone(store), target.to_owned());
    blocking(move || {
        let why = format!(
            "{DETACHED} by an operator; resumed, it begins where its setting \"start\" says"
        );
        store.set(&paused_setting(&target), Some(&why))?;
        cancel_replays(&*store, &target)?;
        for flow in store.flows() {
            store.set(&phase::setting(&target, &flow), None)?;
            store.set(&phase::passed::setting(&target, &flow), None)?;
        }
        store.detach(&consumer(&target))?;
        store.set(&seeded_setting(&target), None)?;
        store.set(&started_setting(&target), None)
    })
    .await
}

/// They speak of what it got, which nobody knows any more.
fn cancel_replays(store: &dyn Store, target: &str) -> Result<(), StoreError> {
    let at_us = jiff::Timestamp::now().as_microsecond();
    for replay in store.replays(Some(target), REPLAYS_MAX as usize)? {
        if replay.state.is_over() {
            continue;
        }
        let change = ReplayMove {
            id: replay.id,
            from: vec![
                ReplayState::Planned,
                ReplayState::Approved,
                ReplayState::Paused,
            ],
            to: ReplayState::Cancelled,
            at_us,
        };
        let why = "its target was detached";
        let note = entry("collector", "replay cancel", replay.id, why, at_us);
        store.move_replay(&change, &note)?;
    }
    Ok(())
}

/// The entry of the audit trail about one dead letter: which event it is, and what the target refused or asked. Its key is
/// not told: it may be made of what is masked.
fn noted(by: Option<&str>, action: &str, found: &Exception) -> Vec<AuditEntry> {
    let whose = match found.target.as_str() {
        "" => String::new(),
        target => format!(", {} offset {} at {target}", found.flow, found.offset.0),
    };
    let entry = |by: &str| AuditEntry {
        id: 0,
        at_us: jiff::Timestamp::now().as_microsecond(),
        actor: by.to_owned(),
        action: action.to_owned(),
        subject: format!("dead letter {}{whose}", found.id),
        detail: found.reason.clone(),
        hash: Vec::new(),
    };
    by.map(entry).into_iter().collect()
}

fn refuse_unreadable(found: &Exception) -> Result<(), String> {
    if found.key.is_empty() && found.state != ExceptionState::Agent {
        return Err(format!(
            "dead letter {} is what could not be read from the log, not an event: it can only be discarded",
            found.id
        ));
    }
    Ok(())
}

async fn held(store: &Arc<dyn Store>, found: &Exception) -> Result<String, String> {
    let before = list(
        store,
        of_key(
            found,
            vec![
                ExceptionState::Dead,
                ExceptionState::Retry,
                ExceptionState::Accepted,
                ExceptionState::Awaits,
                ExceptionState::Confirm,
            ],
            1,
        ),
    )
    .await?;
    Ok(match before.first() {
        Some(dead) => format!(
            "event {} is held behind dead letter {} of its key: retry or discard that one",
            found.id, dead.id
        ),
        None => format!("event {} is held and goes on by itself", found.id),
    })
}

fn of_key(found: &Exception, states: Vec<ExceptionState>, limit: usize) -> ExceptionQuery {
    ExceptionQuery {
        target: Some(found.target.clone()),
        flow: Some(found.flow.clone()),
        key: Some(found.key.clone()),
        states,
        limit,
        without_events: true,
        ..ExceptionQuery::default()
    }
}

async fn find(store: &Arc<dyn Store>, id: u64) -> Result<Exception, String> {
    let query = ExceptionQuery {
        after: id.saturating_sub(1),
        limit: 1,
        without_events: true,
        ..ExceptionQuery::default()
    };
    let found = list(store, query)
        .await?
        .into_iter()
        .find(|found| found.id == id);
    found.ok_or_else(|| format!("there is no dead letter {id}; \"dray-collector dead-letters list\" shows those there are"))
}

async fn list(store: &Arc<dyn Store>, query: ExceptionQuery) -> Result<Vec<Exception>, String> {
    let store = Arc::clone(store);
    blocking(move || store.exceptions(&query)).await
}

async fn take(store: &Arc<dyn Store>, target: &str, mut step: Step) -> Result<(), String> {
    step.consumer = if target.is_empty() {
        "operator".to_owned()
    } else {
        consumer(target)
    };
    let taken = store.step(step).await.ok_or("the store has ended")?;
    taken.map_err(|error| error.to_string())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}
