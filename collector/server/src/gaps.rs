//! Events that an agent has forgotten, because they were acked, and that the log does not have: it was restored from an
//! older state, or lost. The flow waits until a person accepts that they are missing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dray_proto::event::number;
use dray_proto::v1::{DeadLetterStage, FlowState, Hello, Operation};
use dray_proto::{EventId, FlowName, Sequence, schema, wire};
use dray_store::{Gap, Held, Store, StoreError};
use sha2::{Digest as _, Sha256};

use crate::core::{Shared, ask, now_us};

/// A flow's gap, as its agent's Hello shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    agent: String,
    epoch: u64,
    /// The first that is missing.
    first: u64,
    /// The first that the agent still holds, and the chain before it.
    next: u64,
    chain: u64,
}

impl Missing {
    /// As a person is told.
    pub(crate) fn sentence(&self, flow: &FlowName) -> String {
        format!(
            "events {} to {} of epoch {:016x} were acked once and are not in the log, which was restored or lost: restore a newer one, \
             or go on without them: dray-collector resume {flow} --accept-gap",
            self.first,
            self.next - 1,
            self.epoch
        )
    }
}

/// All gaps.
#[derive(Debug, Default)]
pub(crate) struct Gaps(Mutex<HashMap<FlowName, Missing>>);

impl Gaps {
    pub(crate) fn get(&self, flow: &FlowName) -> Option<Missing> {
        self.lock().get(flow).cloned()
    }

    /// The flows that have one.
    pub(crate) fn flows(&self) -> Vec<FlowName> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FlowName, Missing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what an agent says of a flow; whether that shows that the log was restored, which was not known yet.
    pub(crate) fn note(&self, flow: &FlowName, missing: Option<Missing>) -> bool {
        let mut gaps = self.lock();
        let known = gaps.remove(flow);
        let Some(missing) = missing else {
            return false;
        };
        let news = known.as_ref() != Some(&missing);
        gaps.insert(flow.clone(), missing);
        news
    }
}

/// What is missing between the log and what an agent holds. Pure.
pub(crate) fn missing(
    agent: &str,
    epoch: u64,
    state: &FlowState,
    held: &Held,
    knows_epoch: bool,
) -> Option<Missing> {
    let first = if held.epoch == epoch {
        held.next_sequence.0
    } else if knows_epoch {
        // The agent is the one that was restored.
        return None;
    } else {
        1
    };
    (state.oldest_sequence > first).then(|| Missing {
        agent: agent.to_owned(),
        epoch,
        first,
        next: state.oldest_sequence,
        chain: state.oldest_chain,
    })
}

/// Compares an agent's Hello with the log; a gap that was not known means that the log is another one than it was.
pub(crate) async fn compare(
    shared: &Shared,
    agent: &str,
    hello: &Hello,
    held: &[(FlowName, Held, bool)],
) -> Result<(), StoreError> {
    let mut restored = false;
    for (flow, held, knows_epoch) in held {
        let Some(state) = hello.flows.iter().find(|state| state.flow == flow.flow()) else {
            continue;
        };
        let missing = missing(agent, hello.epoch, state, held, *knows_epoch);
        let said = missing.as_ref().map(|missing| missing.sentence(flow));
        if shared.gaps.note(flow, missing) {
            tracing::error!(%flow, agent, reason = said, "a flow is stopped by a gap");
            restored |= is_news(&shared.store, flow, hello.epoch, state.oldest_sequence).await?;
        }
    }
    if restored {
        let incarnation = ask(&shared.store, |store| store.was_restored()).await?;
        tracing::warn!(
            incarnation = format!("{incarnation:016x}"),
            "the log lost events that it had acked: it is another one from now on, and readers are told so"
        );
    }
    Ok(())
}

/// Whether this gap was not met before the collector's restart either.
async fn is_news(
    store: &Arc<dyn Store>,
    flow: &FlowName,
    epoch: u64,
    next: u64,
) -> Result<bool, StoreError> {
    let (name, value) = (format!("gap:{flow}"), format!("{epoch:016x}:{next}"));
    ask(store, move |store| {
        let known = store.setting(&name)?.is_some_and(|known| known == value);
        if !known {
            store.set(&name, Some(&value))?;
        }
        Ok(!known)
    })
    .await
}

/// Goes on behind a gap. The answer is a sentence.
pub(crate) async fn accept(shared: &Shared, flow: &FlowName) -> Result<String, String> {
    let Some(missing) = shared.gaps.get(flow) else {
        return Err(format!(
            "flow {flow} has no gap that its agent has told of; \"dray-collector status\" shows those that have"
        ));
    };
    let at_us = now_us();
    let gap = Gap {
        epoch: missing.epoch,
        next: Sequence(missing.next),
        chain: missing.chain,
        event: event(flow, &missing, at_us),
        at_us,
    };
    let written = shared.store.accept_gap(&missing.agent, flow, gap).await;
    match written {
        Some(Ok(_)) => {}
        Some(Err(error)) => return Err(error.to_string()),
        None => return Err("the store has ended; restart the collector".into()),
    }
    shared.gaps.note(flow, None);
    // Its agent begins again, and finds that it may go on.
    shared.uplinks.clear(&missing.agent);
    let (first, last) = (missing.first, missing.next - 1);
    tracing::warn!(%flow, first, last, "a gap was accepted");
    Ok(format!(
        "Flow {flow} goes on at event {}. That events {first} to {last} are missing stands in its log, as a dead letter.",
        missing.next
    ))
}

/// The event that stands in the log in place of what is missing: an agent's dead letter.
fn event(flow: &FlowName, missing: &Missing, at_us: i64) -> Bytes {
    let hash = Sha256::digest(format!(
        "gap {flow} {} {} {}",
        missing.epoch, missing.first, missing.next
    ));
    let mut scope = [0; 10];
    scope.copy_from_slice(&hash[..10]);
    let reason = format!(
        "events {} to {} of epoch {:016x} are missing: the collector's log lost them, and an operator accepted it",
        missing.first,
        missing.next - 1,
        missing.epoch
    );
    let mut out = Vec::new();
    wire::put_bytes(&mut out, number::ID, EventId::new(scope, 0, 255).as_bytes());
    wire::put_text(&mut out, number::KEY, "gap");
    wire::put_integer(&mut out, number::OPERATION, Operation::Create as u64);
    wire::put_timestamp(&mut out, number::CAPTURED_AT, at_us);
    wire::put_integer(&mut out, number::SCHEMA_VERSION, 1);
    let body = schema::body("dead_letter").map_or(29, |body| body.number);
    wire::put_message(&mut out, body, |out| {
        wire::put_integer(out, 1, DeadLetterStage::Gap as u64);
        wire::put_text(out, 2, &reason);
    });
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_what_neither_side_has() {
        let held = |epoch, next| Held {
            epoch,
            next_sequence: Sequence(next),
            ..Held::default()
        };
        let state = |oldest| FlowState {
            oldest_sequence: oldest,
            oldest_chain: 5,
            ..FlowState::default()
        };
        let range = |epoch, oldest, held: Held, knows| {
            missing("a-1", epoch, &state(oldest), &held, knows)
                .map(|missing| (missing.first, missing.next))
        };
        assert_eq!(range(7, 1, held(0, 1), false), None);
        assert_eq!(range(7, 50, held(7, 50), true), None);
        assert_eq!(range(7, 50, held(7, 80), true), None);
        assert_eq!(range(7, 50, held(7, 20), true), Some((20, 50)));
        assert_eq!(range(7, 50, held(0, 1), false), Some((1, 50)));
        assert_eq!(range(7, 50, held(9, 80), false), Some((1, 50)));
        assert_eq!(
            range(7, 50, held(9, 80), true),
            None,
            "the agent was restored"
        );
    }

    #[test]
    fn a_gap_is_news_once() {
        let gaps = Gaps::default();
        let flow = FlowName::parse("north/a").expect("a name");
        let gap = missing(
            "a-1",
            7,
            &FlowState {
                oldest_sequence: 5,
                ..FlowState::default()
            },
            &Held::default(),
            false,
        );
        assert!(gaps.note(&flow, gap.clone()));
        assert!(!gaps.note(&flow, gap.clone()));
        assert!(
            gaps.get(&flow)
                .expect("a gap")
                .sentence(&flow)
                .contains("resume north/a --accept-gap")
        );
        assert!(!gaps.note(&flow, None) && gaps.get(&flow).is_none());
        assert!(gaps.note(&flow, gap));
    }
}
