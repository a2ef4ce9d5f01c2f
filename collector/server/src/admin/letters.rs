//! Dead letters: listing, trying again, giving up.

use std::collections::HashMap;
use std::sync::Arc;

use dray_delivery::actions;
use dray_delivery::detail::Detail;
use dray_delivery::mask::Mask;
use dray_proto::FlowName;
use dray_proto::v1::dead_letter_act_request::Act;
use dray_proto::v1::{
    DeadLetterActReply, DeadLetterActRequest, DeadLetterEntry, DeadLettersReply, DeadLettersRequest,
};
use dray_store::{Exception, ExceptionQuery, ExceptionState, Step, Store, StoreError};
use tonic::Status;

use super::failed;
use crate::core::{Shared, ask, take};
use crate::dead_letters::CONSUMER;
use crate::json;

/// How the commands call those that agents sent; the store's target is "".
const AGENTS: &str = "agents";
/// Entries of an answer.
const LIMIT_MAX: usize = 10_000;
const LIMIT_DEFAULT: usize = 100;
/// Dead letters that are discarded between two looks.
const PAGE: usize = 200;

/// Which ones a request means: all, or a target's.
fn target_of(name: &str) -> Option<String> {
    match name {
        "" => None,
        AGENTS => Some(String::new()),
        name => Some(name.to_owned()),
    }
}

pub(super) async fn list(
    shared: &Arc<Shared>,
    request: DeadLettersRequest,
) -> Result<DeadLettersReply, Status> {
    let named = request.target.clone();
    let mut keys = ShownKeys::new(shared);
    let answer = ask(&shared.store, move |store| {
        if request.id > 0 {
            let found = one(store, request.id)?;
            let shown = |found: Exception| {
                let key = keys.of(store, &found)?;
                Ok(DeadLetterEntry {
                    key,
                    ..entry(store, &found)?
                })
            };
            let entries = found.map(shown).transpose()?;
            return Ok(DeadLettersReply {
                total: u64::from(entries.is_some()),
                entries: entries.into_iter().collect(),
            });
        }
        let limit = if request.limit == 0 {
            LIMIT_DEFAULT
        } else {
            (request.limit as usize).min(LIMIT_MAX)
        };
        let query = ExceptionQuery {
            target: target_of(&request.target),
            limit,
            without_events: true,
            ..ExceptionQuery::default()
        };
        let total = store.exception_count(query.target.as_deref())?;
        let found = store.exceptions(&query)?;
        let mut behind: HashMap<(String, String, String), u64> = HashMap::new();
        for held in found.iter().filter(|one| one.state == ExceptionState::Held) {
            *behind.entry(lane(held)).or_default() += 1;
        }
        let shown = found.iter().map(|one| {
            Ok(DeadLetterEntry {
                held_behind: if closes(one) {
                    behind.get(&lane(one)).copied().unwrap_or(0)
                } else {
                    0
                },
                key: keys.of(store, one)?,
                ..plain(one)
            })
        });
        Ok(DeadLettersReply {
            entries: shown.collect::<Result<_, StoreError>>()?,
            total,
        })
    });
    let mut reply = answer.await.map_err(failed)?;
    let is_nobody = reply.total == 0 && !matches!(named.as_str(), "" | AGENTS);
    // One that was taken out of the configuration may have some still.
    if is_nobody && !shared.targets.is_known(&named) {
        return Err(Status::not_found(format!(
            "there is no target {named}; \"dray-collector status\" lists them"
        )));
    }
    for entry in &mut reply.entries {
        for json in [&mut entry.event_json, &mut entry.edited_json] {
            *json = shared.targets.masked(&entry.target, json);
        }
        for (name, value) in &mut entry.kept {
            let shown = format!("{name} = {value}");
            let mut shown = shared.targets.masked_change(&entry.target, &shown);
            *value = shown.split_off(name.len() + " = ".len());
        }
    }
    Ok(reply)
}

/// Keys as they may be read: one that is made of a masked field is hidden as that is.
struct ShownKeys {
    shared: Arc<Shared>,
    masks: HashMap<String, Mask>,
}

impl ShownKeys {
    fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            masks: HashMap::new(),
        }
    }

    fn of(&mut self, store: &dyn Store, found: &Exception) -> Result<String, StoreError> {
        let targets = &self.shared.targets;
        let mask = self
            .masks
            .entry(found.target.clone())
            .or_insert_with(|| targets.mask(&found.target));
        if mask.is_empty() || found.key.is_empty() {
            return Ok(found.key.clone());
        }
        let event = match found.event.is_empty() {
            true => one(store, found.id)?.map_or_else(Default::default, |found| found.event),
            false => found.event.clone(),
        };
        let (site, flow) = (found.flow.site(), found.flow.flow());
        let json = json::of_event(&event, site, flow, found.offset.0);
        Ok(mask.values(&json).key(&found.key))
    }
}

/// Says of each who answers for its flow.
pub(super) fn name_owners(shared: &Shared, entries: &mut [DeadLetterEntry]) {
    for entry in entries {
        if let Some(flow) = FlowName::parse(&entry.flow) {
            let agreed = shared.catalogue.of(&flow);
            (entry.owner, entry.runbook) = (agreed.owner, agreed.runbook);
        }
    }
}

/// Whether others of its key wait behind it.
fn closes(one: &Exception) -> bool {
    use ExceptionState::{Accepted, Awaits, Confirm, Dead};
    matches!(one.state, Dead | Accepted | Awaits | Confirm)
}

fn lane(one: &Exception) -> (String, String, String) {
    (one.target.clone(), one.flow.to_string(), one.key.clone())
}

fn one(store: &dyn Store, id: u64) -> Result<Option<Exception>, StoreError> {
    let query = ExceptionQuery {
        after: id - 1,
        limit: 1,
        ..ExceptionQuery::default()
    };
    Ok(store
        .exceptions(&query)?
        .into_iter()
        .find(|found| found.id == id))
}

/// One, with its event.
fn entry(store: &dyn Store, found: &Exception) -> Result<DeadLetterEntry, StoreError> {
    let query = ExceptionQuery {
        target: Some(found.target.clone()),
        flow: Some(found.flow.clone()),
        key: Some(found.key.clone()),
        states: vec![ExceptionState::Held],
        limit: LIMIT_MAX,
        without_events: true,
        ..ExceptionQuery::default()
    };
    let held_behind = if closes(found) {
        store.exceptions(&query)?.len() as u64
    } else {
        0
    };
    let event_json = json::of_event(
        &found.event,
        found.flow.site(),
        found.flow.flow(),
        found.offset.0,
    );
    let detail = Detail::read(&found.detail);
    let edited_json = detail.edited().map(|edited| {
        let (site, flow) = (found.flow.site(), found.flow.flow());
        json::of_event(&edited, site, flow, found.offset.0)
    });
    Ok(DeadLetterEntry {
        edited_json: edited_json.unwrap_or_default(),
        event_json,
        held_behind,
        request: detail.request,
        answer: detail.answer,
        kept: store
            .kept(&found.target, &found.flow, &found.key)?
            .into_iter()
            .collect(),
        ..plain(found)
    })
}

fn plain(found: &Exception) -> DeadLetterEntry {
    let state = match found.state {
        ExceptionState::Dead => "dead",
        ExceptionState::Held => "held",
        ExceptionState::Overtaken => "overtaken",
        ExceptionState::Retry => "retry",
        ExceptionState::Agent => "agent",
        ExceptionState::Accepted => "accepted",
        ExceptionState::Confirm => "confirm",
        ExceptionState::Awaits => "awaits",
    };
    let detail = Detail::read(&found.detail);
    DeadLetterEntry {
        class: detail
            .class
            .map_or(String::new(), |class| class.to_string()),
        attempts: detail.attempts,
        id: found.id,
        target: found.target.clone(),
        flow: found.flow.to_string(),
        offset: found.offset.0,
        key: found.key.clone(),
        state: state.to_owned(),
        reason: found.reason.clone(),
        at_us: found.at_us,
        ..DeadLetterEntry::default()
    }
}

pub(super) async fn act(
    shared: &Arc<Shared>,
    request: DeadLetterActRequest,
    actor: &str,
) -> Result<DeadLetterActReply, Status> {
    let store = &shared.store;
    let refused = |reason: String| Status::failed_precondition(reason);
    let (target, done) = match (request.act(), request.id, target_of(&request.target)) {
        (Act::Unspecified, ..) | (_, 0, None) => {
            return Err(Status::invalid_argument(
                "name a dead letter by its id, or a target with --target",
            ));
        }
        (Act::Retry, 0, Some(target)) if target.is_empty() => {
            let said = "what agents sent was never an event: mend its cause at the site and have it read again there (a file: dray-agent redrive; a call: by its sender, under a new key; a row of a database's log: dray-agent load-again; a row of a table that is asked: dray-agent redrive says what can be done), then discard it. Its columns stand in it";
            return Err(Status::failed_precondition(said));
        }
        (Act::Retry, 0, Some(target)) => {
            let done = actions::retry_all(store, &target).await.map_err(refused)?;
            (target, done)
        }
        (Act::Retry, id, _) => (
            actions::retry(store, id, request.older, Some(actor))
                .await
                .map_err(refused)?,
            1,
        ),
        (Act::Approve, 0, Some(_)) => {
            let said = "approve one after the other, by its id: each asks something of its own";
            return Err(Status::invalid_argument(said));
        }
        (Act::Approve, id, _) => (
            actions::approve(store, id, actor).await.map_err(refused)?,
            1,
        ),
        (Act::Discard, 0, Some(target)) => {
            let done = discard_all(store, &target).await?;
            (target, done)
        }
        (Act::Discard, id, _) => (
            actions::discard(store, id, Some(actor))
                .await
                .map_err(refused)?,
            1,
        ),
    };
    tracing::info!(act = ?request.act(), id = request.id, target, done, "dead letters were settled");
    shared.targets.wake(&target).await;
    Ok(DeadLetterActReply { done })
}

/// Gives up all that a target refused, oldest first: what is held behind each goes on.
async fn discard_all(store: &Arc<dyn Store>, target: &str) -> Result<u64, Status> {
    let (mut after, mut done) = (0, 0);
    loop {
        let query = ExceptionQuery {
            target: Some(target.to_owned()),
            states: vec![
                ExceptionState::Dead,
                ExceptionState::Overtaken,
                ExceptionState::Agent,
            ],
            after,
            limit: PAGE,
            without_events: true,
            ..ExceptionQuery::default()
        };
        let page = ask(store, move |store| store.exceptions(&query))
            .await
            .map_err(failed)?;
        let Some(last) = page.last() else {
            return Ok(done);
        };
        after = last.id;
        done += page.len() as u64;
        if target.is_empty() {
            // Nothing is held behind these: a page is one step.
            let remove = page.iter().map(|found| found.id).collect();
            let step = Step {
                consumer: CONSUMER.to_owned(),
                remove,
                ..Step::default()
            };
            take(store, step).await.map_err(failed)?;
            continue;
        }
        for found in page {
            actions::discard(store, found.id, None)
                .await
                .map_err(Status::failed_precondition)?;
        }
    }
}
