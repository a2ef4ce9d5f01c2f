//! Events that an agent has forgotten, because they were acked, and that the log does not have: it was restored from an
//! older state, or lost. The flow waits until a person accepts that they are missing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dray_proto::event::number;
use dray_proto::v1::{DeadLetterStage, FlowState, Operation};
use dray_proto::{EventId, FlowName, Sequence, schema, wire};
use dray_store::{Gap, Held, Store, StoreError};
use sha2::{Digest as _, Sha256};

use crate::core::{Shared, ask, now_us};

/// How long an agent may take to look whether it still has what is missing: it opens its buffer again for that.
const LOOKS: Duration = Duration::from_secs(10);

/// A flow's gap, as its agent's Hello shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    agent: String,
    epoch: u64,
    /// What is missing of epochs before that.
    earlier: Option<Earlier>,
    /// The first that is missing of that epoch.
    first: u64,
    /// The first that the agent still holds, and the chain before it.
    next: u64,
    chain: u64,
}

/// Events that only the log had: their agent began a new epoch after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// The epoch and the sequence of the first.
    from: (u64, u64),
    /// The epoch and the sequence of the last.
    to: (u64, u64),
}

/// What an agent's Hello says of a flow, and what the log says of it.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) flow: FlowName,
    pub(crate) epoch: u64,
    pub(crate) state: FlowState,
    pub(crate) held: Held,
    /// Whether the log has anything of that epoch.
    pub(crate) knows_epoch: bool,
    /// Whether it has anything of the epoch that stood in it when that one began.
    pub(crate) knows_earlier: bool,
}

impl Missing {
    /// As a person is told.
    pub(crate) fn sentence(&self, flow: &FlowName) -> String {
        format!(
            "{} were acked once and are not in the log, which was restored or lost: restore a newer one, \
             or go on without them: dray-collector resume {flow} --accept-gap",
            self.events()
        )
    }

    /// Which events, e.g. "events 4 to 8 of epoch 00000000000000a7".
    fn events(&self) -> String {
        let earlier = self.earlier.map(|earlier| earlier.events());
        let own = (self.next > self.first).then(|| {
            format!(
                "events {} to {} of epoch {:016x}",
                self.first,
                self.next - 1,
                self.epoch
            )
        });
        let all: Vec<String> = earlier.into_iter().chain(own).collect();
        all.join(" and ")
    }
}

impl Earlier {
    fn events(self) -> String {
        let ((from, first), (to, last)) = (self.from, self.to);
        match from {
            0 => format!("all events up to event {last} of epoch {to:016x}"),
            _ if from == to => format!("events {first} to {last} of epoch {to:016x}"),
            _ => format!(
                "all events from event {first} of epoch {from:016x} to event {last} of epoch {to:016x}"
            ),
        }
    }
}

impl Compared {
    /// What the log held when the agent's epoch began, and lacks now.
    pub(crate) fn earlier(&self) -> Option<Earlier> {
        let (of, next) = (self.state.after_epoch, self.state.after_sequence);
        let held = &self.held;
        let lacks = if self.knows_epoch || held.epoch == self.epoch || of == 0 {
            false
        } else if held.epoch == of {
            held.next_sequence.0 < next
        } else {
            // Where it has something of that epoch, it went on behind it.
            !self.knows_earlier && next > 1
        };
        lacks.then(|| Earlier {
            from: (held.epoch, held.next_sequence.0),
            to: (of, next - 1),
        })
    }

    /// What is missing between the log and what the agent holds. Pure.
    pub(crate) fn missing(&self, agent: &str) -> Option<Missing> {
        let first = if self.held.epoch == self.epoch {
            self.held.next_sequence.0
        } else if self.knows_epoch {
            // The agent is the one that was restored.
            return None;
        } else {
            1
        };
        let earlier = self.earlier();
        let next = self.state.oldest_sequence;
        (next > first || earlier.is_some()).then(|| Missing {
            agent: agent.to_owned(),
            epoch: self.epoch,
            earlier,
            first,
            next,
            chain: self.state.oldest_chain,
        })
    }
}

/// A gap, and whether its agent looked for what is missing.
#[derive(Debug)]
struct Noted {
    missing: Missing,
    since: Instant,
    looked: bool,
}

impl Noted {
    fn is_sure(&self) -> bool {
        self.looked || self.since.elapsed() >= LOOKS
    }
}

/// All gaps.
#[derive(Debug, Default)]
pub(crate) struct Gaps(Mutex<HashMap<FlowName, Noted>>);

impl Gaps {
    /// As a person is told: no way out is shown while the agent may fill it by itself.
    pub(crate) fn sentence(&self, flow: &FlowName) -> Option<String> {
        let gaps = self.lock();
        let noted = gaps.get(flow)?;
        Some(match noted.is_sure() {
            true => noted.missing.sentence(flow),
            false => format!(
                "{} are not in the log, which was restored or lost; their agent looks whether it still has them",
                noted.missing.events()
            ),
        })
    }

    /// What a person may accept.
    fn sure(&self, flow: &FlowName) -> Result<Missing, String> {
        match self.lock().get(flow) {
            None => Err(format!(
                "flow {flow} has no gap that its agent has told of; \"dray-collector status\" shows those that have"
            )),
            Some(noted) if !noted.is_sure() => Err(format!(
                "the agent of {flow} looks whether it still has what is missing; ask again in {} seconds",
                LOOKS.as_secs()
            )),
            Some(noted) => Ok(noted.missing.clone()),
        }
    }

    /// The flows that have one.
    pub(crate) fn flows(&self) -> Vec<FlowName> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FlowName, Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what an agent says of a flow; whether that shows that the log was restored, which was not known yet.
    pub(crate) fn note(&self, flow: &FlowName, missing: Option<Missing>) -> bool {
        let mut gaps = self.lock();
        let known = gaps.remove(flow);
        let Some(missing) = missing else {
            return false;
        };
        let news = known.as_ref().map(|known| &known.missing) != Some(&missing);
        // An agent that looked connects once more.
        let looked = known
            .as_ref()
            .is_some_and(|known| known.missing.epoch == missing.epoch);
        let noted = Noted {
            missing,
            since: known.map_or_else(Instant::now, |known| known.since),
            looked,
        };
        gaps.insert(flow.clone(), noted);
        news
    }
}

/// Compares an agent's Hello with the log; a gap that was not known means that the log is another one than it was.
pub(crate) async fn compare(
    shared: &Shared,
    agent: &str,
    held: &[Compared],
) -> Result<(), StoreError> {
    let mut restored = false;
    for compared in held {
        let flow = &compared.flow;
        let missing = compared.missing(agent);
        let said = missing.as_ref().map(|missing| missing.sentence(flow));
        if shared.gaps.note(flow, missing) {
            tracing::error!(%flow, agent, reason = said, "a flow is stopped by a gap");
            restored |= is_news(&shared.store, compared).await?;
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
async fn is_news(store: &Arc<dyn Store>, compared: &Compared) -> Result<bool, StoreError> {
    let (name, next) = (
        format!("gap:{}", compared.flow),
        compared.state.oldest_sequence,
    );
    let value = format!("{:016x}:{next}", compared.epoch);
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
    let missing = shared.gaps.sure(flow)?;
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
    let events = missing.events();
    tracing::warn!(%flow, events, "a gap was accepted");
    Ok(format!(
        "Flow {flow} goes on at event {}. That {events} are missing stands in its log, as a dead letter.",
        missing.next
    ))
}

/// The event that stands in the log in place of what is missing: an agent's dead letter.
fn event(flow: &FlowName, missing: &Missing, at_us: i64) -> Bytes {
    let hash = Sha256::digest(format!(
        "gap {flow} {} {} {} {:?}",
        missing.epoch, missing.first, missing.next, missing.earlier
    ));
    let mut scope = [0; 10];
    scope.copy_from_slice(&hash[..10]);
    let reason = format!(
        "{} are missing: the collector's log lost them, and an operator accepted it",
        missing.events()
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

    const FLOW: &str = "north/a";

    fn flow() -> FlowName {
        FlowName::parse(FLOW).expect("a name")
    }

    fn compared(epoch: u64, oldest: u64, held: (u64, u64), knows_epoch: bool) -> Compared {
        Compared {
            flow: flow(),
            epoch,
            state: FlowState {
                oldest_sequence: oldest,
                oldest_chain: 5,
                ..FlowState::default()
            },
            held: Held {
                epoch: held.0,
                next_sequence: Sequence(held.1),
                ..Held::default()
            },
            knows_epoch,
            knows_earlier: false,
        }
    }

    #[test]
    fn a_gap_is_what_neither_side_has() {
        let range = |epoch, oldest, held, knows| {
            let missing = compared(epoch, oldest, held, knows).missing("a-1");
            missing.map(|missing| (missing.first, missing.next))
        };
        assert_eq!(range(7, 1, (0, 1), false), None);
        assert_eq!(range(7, 50, (7, 50), true), None);
        assert_eq!(range(7, 50, (7, 80), true), None);
        assert_eq!(range(7, 50, (7, 20), true), Some((20, 50)));
        assert_eq!(range(7, 50, (0, 1), false), Some((1, 50)));
        assert_eq!(range(7, 50, (9, 80), false), Some((1, 50)));
        assert_eq!(range(7, 50, (9, 80), true), None, "the agent was restored");
    }

    #[test]
    fn what_only_the_log_had_before_the_agents_epoch_is_missing_too() {
        let said = |after, held, oldest, (knows_epoch, knows_earlier)| {
            let mut compared = compared(0xe2, oldest, held, knows_epoch);
            compared.knows_earlier = knows_earlier;
            (compared.state.after_epoch, compared.state.after_sequence) = after;
            compared
                .missing("a-1")
                .map_or_else(String::new, |missing| missing.events())
        };
        let (neither, earlier) = ((false, false), (false, true));
        for (after, held, oldest, knows, expected) in [
            ((0xe1, 201), (0xe1, 201), 1, earlier, ""),
            ((0xe1, 201), (0xe1, 301), 1, earlier, ""),
            ((0xe1, 201), (0xe2, 1), 1, (true, true), ""),
            // The flow was another agent's in between.
            ((0xe1, 201), (0xf0, 5), 1, earlier, ""),
            ((0, 1), (0, 1), 1, neither, ""),
            (
                (0xe1, 201),
                (0xe1, 101),
                1,
                earlier,
                "events 101 to 200 of epoch 00000000000000e1",
            ),
            (
                (0xe1, 201),
                (0xe1, 101),
                50,
                earlier,
                "events 101 to 200 of epoch 00000000000000e1 and events 1 to 49 of epoch 00000000000000e2",
            ),
            (
                (0xe1, 201),
                (0xd9, 7),
                1,
                neither,
                "all events from event 7 of epoch 00000000000000d9 to event 200 of epoch 00000000000000e1",
            ),
            (
                (0xe1, 201),
                (0, 1),
                1,
                neither,
                "all events up to event 200 of epoch 00000000000000e1",
            ),
        ] {
            assert_eq!(
                said(after, held, oldest, knows),
                expected,
                "{after:?} {held:?}"
            );
        }
    }

    #[test]
    fn a_gap_is_news_once_and_can_be_accepted_when_its_agent_has_looked() {
        let (gaps, flow) = (Gaps::default(), flow());
        let gap = || compared(7, 5, (0, 1), false).missing("a-1");
        assert!(gaps.note(&flow, gap()));
        let said = gaps.sentence(&flow).expect("a gap");
        assert!(
            said.contains("looks whether") && !said.contains("--accept-gap"),
            "{said}"
        );
        assert!(gaps.sure(&flow).is_err());
        assert!(!gaps.note(&flow, gap()), "it connected once more");
        let said = gaps.sentence(&flow).expect("a gap");
        assert!(said.contains("resume north/a --accept-gap"), "{said}");
        assert_eq!(gaps.sure(&flow).ok(), gap());
        assert!(!gaps.note(&flow, None) && gaps.sentence(&flow).is_none());
        assert!(gaps.note(&flow, gap()));
    }
}
