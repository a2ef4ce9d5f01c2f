//! Dead letters: listing, trying again, giving up.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_delivery::actions::{self, Which};
use dray_delivery::detail::Detail;
use dray_delivery::select::Pattern;
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
const PAGE: usize = 1_000;
/// How often a target is told while its dead letters are discarded.
const TELL_EVERY: Duration = Duration::from_secs(10);

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
    let asked = Arc::clone(shared);
    let answer = ask(&shared.store, move |store| {
        if request.id > 0 {
            let found = one(store, request.id)?;
            let shown = |found: Exception| {
                Ok(DeadLetterEntry {
                    key: shown_key(&asked, store, &found)?,
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
                key: shown_key(&asked, store, one)?,
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

/// A key as it may be read: one that is made of a masked field is hidden as that is.
fn shown_key(shared: &Shared, store: &dyn Store, found: &Exception) -> Result<String, StoreError> {
    let mask = shared.targets.mask(&found.target);
    let Some(mask) = mask.filter(|_| !found.key.is_empty()) else {
        return Ok(found.key.clone());
    };
    let event = match found.event.is_empty() {
        true => one(store, found.id)?.map_or_else(Default::default, |found| found.event),
        false => found.event.clone(),
    };
    let (site, flow) = (found.flow.site(), found.flow.flow());
    let json = json::of_event(&event, site, flow, found.offset.0);
    Ok(mask.values(&json).key(&found.key))
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

/// What the audit calls them where all of a target are meant; `None`: each has an entry of its own.
pub(super) fn all_of(request: &DeadLetterActRequest) -> Option<String> {
    if request.id > 0 || !request.ids.is_empty() || request.target.is_empty() {
        return None;
    }
    let words = [&request.target, &request.flow, &request.state].into_iter();
    let words: Vec<&str> = words
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    Some(words.join(" "))
}

pub(super) async fn act(
    shared: &Arc<Shared>,
    request: DeadLetterActRequest,
    actor: &str,
) -> Result<DeadLetterActReply, Status> {
    let mut ids = request.ids.clone();
    ids.extend((request.id > 0).then_some(request.id));
    let (targets, done, ended) = match (ids.is_empty(), target_of(&request.target)) {
        (true, None) => {
            return Err(Status::invalid_argument(
                "name dead letters by their ids, or a target with --target",
            ));
        }
        (true, Some(target)) => {
            let mut telling = Telling::of(shared, &target);
            let (done, ended) = match act_on_all(shared, &request, &target, actor).await {
                Ok(done) => (done, Ok(())),
                Err(reason) => (0, Err(reason)),
            };
            telling.is_over = true;
            (BTreeSet::from([target]), done, ended)
        }
        (false, _) => act_on_each(&shared.store, &request, &ids, actor).await,
    };
    let named: Vec<&str> = targets.iter().map(String::as_str).collect();
    tracing::info!(act = ?request.act(), ?ids, target = named.join(", "), done, "dead letters were settled");
    for target in &targets {
        shared.targets.wake(target).await;
    }
    ended?;
    Ok(DeadLetterActReply { done })
}

/// Many steps may end in the middle, as who asked is gone: what is on disk by then is told to the target all the same.
struct Telling {
    shared: Arc<Shared>,
    target: String,
    is_over: bool,
}

impl Telling {
    fn of(shared: &Arc<Shared>, target: &str) -> Self {
        Self {
            shared: Arc::clone(shared),
            target: target.to_owned(),
            is_over: false,
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (shared, target) = (Arc::clone(&self.shared), std::mem::take(&mut self.target));
        tokio::spawn(async move { shared.targets.wake(&target).await });
    }
}

/// One after the other: whose they were, how many it was done to, and why it ended early.
async fn act_on_each(
    store: &Arc<dyn Store>,
    request: &DeadLetterActRequest,
    ids: &[u64],
    actor: &str,
) -> (BTreeSet<String>, u64, Result<(), Status>) {
    let (mut targets, mut done) = (BTreeSet::new(), 0);
    for id in ids.iter().copied() {
        let settled = match request.act() {
            Act::Retry => actions::retry(store, id, request.older, Some(actor)).await,
            Act::Approve => actions::approve(store, id, actor).await,
            Act::Discard => actions::discard(store, id, Some(actor)).await,
            Act::Unspecified => Err("no act was named".into()),
        };
        match settled {
            Ok(target) => {
                targets.insert(target);
                done += 1;
            }
            Err(reason) => {
                let reason = match done {
                    0 => reason,
                    done => format!("{done} done, then: {reason}"),
                };
                return (targets, done, Err(Status::failed_precondition(reason)));
            }
        }
    }
    (targets, done, Ok(()))
}

/// All of a target, or of one of its flows.
async fn act_on_all(
    shared: &Arc<Shared>,
    request: &DeadLetterActRequest,
    target: &str,
    actor: &str,
) -> Result<u64, Status> {
    let store = &shared.store;
    let refused = |reason: String| Status::failed_precondition(reason);
    let flow = match request.flow.as_str() {
        "" => None,
        flow => Some(Pattern::parse(flow).ok_or_else(|| {
            Status::invalid_argument(format!(
                "{flow:?} is none of \"site/flow\", \"site/*\", \"*/flow\" and \"*\""
            ))
        })?),
    };
    let which = Which {
        target: target.to_owned(),
        flow,
    };
    match request.act() {
        Act::Retry if target.is_empty() => {
            let said = "what agents sent was never an event: mend its cause at the site and have it read again there (a file: dray-agent redrive; a call: by its sender, under a new key; a row of a database's log: dray-agent load-again; a row of a table that is asked: dray-agent redrive says what can be done), then discard it. Its columns stand in it";
            Err(refused(said.into()))
        }
        Act::Retry => actions::retry_all(store, &which).await.map_err(refused),
        Act::Approve => {
            let state = match request.state.as_str() {
                "confirm" => ExceptionState::Confirm,
                "awaits" => ExceptionState::Awaits,
                _ => {
                    let said = "say which with --state: \"confirm\" agrees to all that the target asked about, \"awaits\" has all sent that waits for what it has not got";
                    return Err(Status::invalid_argument(said));
                }
            };
            let approved = actions::approve_all(store, &which, state, actor).await;
            approved.map_err(refused)
        }
        Act::Discard => discard_all(shared, &which).await,
        Act::Unspecified => Err(Status::invalid_argument("no act was named")),
    }
}

/// Gives up all that a target refused, oldest first: what is held behind each goes on.
async fn discard_all(shared: &Arc<Shared>, which: &Which) -> Result<u64, Status> {
    let store = &shared.store;
    let target = which.target.as_str();
    let is_meant = |found: &Exception| {
        let flow = which.flow.as_ref();
        flow.is_none_or(|flow| flow.takes(&found.flow))
    };
    let (mut after, mut done, mut told) = (0, 0, Instant::now());
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
        let mut page = ask(store, move |store| store.exceptions(&query))
            .await
            .map_err(failed)?;
        let Some(last) = page.last() else {
            return Ok(done);
        };
        after = last.id;
        page.retain(is_meant);
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
        actions::discard_page(store, target, page)
            .await
            .map_err(Status::failed_precondition)?;
        if told.elapsed() >= TELL_EVERY {
            // Its engine looks at all that is left: often enough to see that it goes on.
            shared.targets.wake(target).await;
            told = Instant::now();
        }
    }
}
