//! An approved replay, among the lanes: one at a time, behind what is live.
//!
//! ```text
//! look (which is next; is it what was approved) → survey (what is newer of its keys) → pages → lanes, at its pace
//!     → head of a lane: may it be sent? → settle → the next step on disk → its lane opens
//! ```
//! One event of a key is in its lane at a time, before what waits there: older events first. What is live leaves first where
//! both could; after a start nothing is put before what the run before it may have sent. What came of each event stands in the replay's progress, by its number, with the step that opens its
//! lane: after a kill the run goes on with what is not settled.

mod outcomes;
mod run;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use dray_proto::FlowName;
use dray_store::{Change, Exception, ExceptionState, Replay, ReplayState, Store};
use tokio::task::JoinError;

use super::flow::has_read_what_was_sent;
use super::{Engine, STORE_RETRY};
use crate::body::Place;
use crate::config::TargetConfig;
use crate::detail::Detail;
use crate::phase::passed::Passed;
use crate::policy::{KeyHasher, KeyId, OLDER, RETRY, Redo};
use crate::replay::{
    Filter, Ground, Item, Pages, Picked, Picker, Plan, Question, What, hash, survey,
};
use crate::window::Spot;

use run::End;
pub(super) use run::{Replaying, Written};

/// Replays of a target that are looked at to find the next.
const LOOKED_AT: usize = 1_000;
/// A page is read when fewer of the one before are left.
const PAGE_LOW: usize = 250;
/// Events of a replay among the lanes, at most.
const IN_LANES_MAX: usize = 1_000;

/// What is done on a thread that may wait for the disk.
pub(super) enum Work {
    /// What became of the one that runs, and, where none does, which is next.
    Looked(Option<ReplayState>, Option<Box<Next>>),
    Surveyed(HashMap<KeyId, u64>, HashMap<FlowName, Passed>),
    Paged(Box<Pages>, Vec<Item>),
    Failed(String),
    /// Reading a page failed: it is read again.
    PageFailed(Box<Pages>, String),
}

/// A replay whose turn it is.
pub(super) struct Next {
    replay: Replay,
    plan: Plan,
    picked: Option<Picked>,
}

impl Engine {
    /// Takes a replay on; true: there is more in the lanes.
    pub(super) fn start_replaying(&mut self, now: Instant) -> bool {
        self.replay_wait = None;
        if self.stopping.is_some() || self.reload_due || self.detached {
            return false;
        }
        if self.replay_work.is_none() && self.replay_after.is_none_or(|after| after <= now) {
            self.replay_after = None;
            self.start_work();
        } else if self.replay_work.is_none() {
            self.replay_wait = self.replay_after;
        }
        let any = self.hand_over(now);
        self.end_replay();
        any
    }

    fn start_work(&mut self) {
        if std::mem::take(&mut self.replay_look) {
            let (store, target) = (Arc::clone(&self.store), self.config.name.clone());
            let current = self.replay.as_ref().map(|replay| replay.id);
            self.replay_work = Some(tokio::task::spawn_blocking(move || {
                look(&*store, &target, current).unwrap_or_else(Work::Failed)
            }));
            return;
        }
        let Some(replay) = self.replay.as_mut().filter(|replay| !replay.stopped) else {
            return;
        };
        if !replay.is_surveyed {
            // What passed by is written down with the first scan, which finds the flows.
            if replay.ground != Written::Whole || !self.scanned {
                self.pending.urgent |= replay.ground == Written::Not;
                return;
            }
            let Some(picked) = replay.unread.clone() else {
                return;
            };
            let older = replay.plan.older;
            let (store, hasher) = (Arc::clone(&self.store), self.keys.hasher());
            let config = self.config.clone();
            self.replay_work = Some(tokio::task::spawn_blocking(move || {
                surveyed(&*store, &config, &hasher, &picked, older).unwrap_or_else(Work::Failed)
            }));
        } else if replay.page.len() < PAGE_LOW
            && !replay.all_read
            && let Some(mut pages) = replay.pages.take()
        {
            self.replay_work = Some(tokio::task::spawn_blocking(move || {
                match pages.next_page() {
                    Ok(page) => Work::Paged(pages, page),
                    Err(reason) => Work::PageFailed(pages, reason),
                }
            }));
        }
    }

    /// A step begins, or is on disk: for the replay that is not surveyed yet.
    pub(super) fn ground_moves(&mut self, from: Written, to: Written) {
        if let Some(replay) = self.replay.as_mut()
            && replay.ground == from
        {
            replay.ground = to;
        }
    }

    pub(super) fn take_replay_work(&mut self, done: Result<Work, JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        match done {
            Work::Looked(current, next) => {
                if let (Some(replay), Some(state)) = (&mut self.replay, current) {
                    replay.stopped |= state != ReplayState::Approved;
                }
                if let Some(next) = next.filter(|_| self.replay.is_none()) {
                    self.begin_replay(*next);
                }
            }
            Work::Surveyed(newest, passed) => {
                let (store, lanes) = (Arc::clone(&self.store), self.lane_hash.clone());
                let (catalogue, target) =
                    (Arc::clone(&self.config.catalogue), self.config.name.clone());
                let phase = move |flow: &FlowName| catalogue.phase(flow, &target);
                if let Some(replay) = &mut self.replay {
                    replay.passed = passed;
                    // What was delivered since it began stands there already.
                    for (key, offset) in newest {
                        let known = replay.newest.entry(key).or_insert(0);
                        *known = (*known).max(offset);
                    }
                    let picked = replay.unread.take().unwrap_or_default();
                    let settled = replay.settled.clone();
                    replay.pages = Some(Box::new(Pages::new(
                        store, lanes, replay.run, picked, settled, phase,
                    )));
                    replay.is_surveyed = true;
                }
            }
            Work::Paged(pages, page) => {
                if let Some(replay) = &mut self.replay {
                    replay.all_read = page.is_empty();
                    replay.page.extend(page);
                    replay.pages = Some(pages);
                }
            }
            Work::Failed(reason) => {
                self.replay_look = self.replay.is_none();
                self.replay_failed(&reason);
            }
            Work::PageFailed(pages, reason) => {
                if let Some(replay) = &mut self.replay {
                    replay.pages = Some(pages);
                }
                self.replay_failed(&reason);
            }
        }
    }

    fn replay_failed(&mut self, reason: &str) {
        tracing::error!(reason, "a replay cannot be read; it is tried again");
        self.shared.note_error(reason);
        self.replay_after = Some(Instant::now() + STORE_RETRY);
    }

    fn begin_replay(&mut self, next: Next) {
        let Next {
            replay,
            plan,
            picked,
        } = next;
        self.replay_run = self.replay_run.wrapping_add(1);
        let is_good = picked.is_some()
            && plan.incarnation == self.store.incarnation()
            && hash(&replay.target, &replay.plan, &replay.selection) == replay.hash;
        let mut replaying =
            Replaying::new(self.replay_run, replay, plan, picked.unwrap_or_default());
        if is_good {
            tracing::info!(
                replay = replaying.id,
                events = replaying.total,
                "a replay runs"
            );
        } else {
            let why = "what stands in the store is not what was approved, or the log was restored since; plan it anew";
            tracing::error!(
                replay = replaying.id,
                "a replay is void: it is not what was approved"
            );
            self.shared
                .note_error(&format!("replay {} is void: {why}", replaying.id));
            replaying.becomes(ReplayState::Void, "replay void", why);
            self.pending.urgent = true;
        }
        self.replay = Some(replaying);
        self.show_replay();
    }

    /// Puts into the lanes what is due; true: there was something.
    fn hand_over(&mut self, now: Instant) -> bool {
        let mut any = false;
        let room = self.window.room();
        // While a breaker is open too: it is not to be one and the same event that is tried again and again.
        let is_sent_to = self.gate.is_open() || self.gate.broken().is_some();
        if !is_sent_to || room.0 == 0 || room.1 == 0 {
            return any;
        }
        loop {
            // What is live leaves first; what waits for it is woken with its outcomes.
            let live = self.lanes.ready();
            let Some(replay) = self.replay.as_mut().filter(|replay| !replay.stopped) else {
                return any;
            };
            if replay.page.is_empty()
                || replay.busy.len() >= IN_LANES_MAX
                || live >= self.batch_now.saturating_mul(self.config.concurrency)
            {
                return any;
            }
            if !replay.pace.is_due(now) {
                self.replay_wait = replay.pace.next();
                return any;
            }
            let flows = &self.flows;
            let Some(item) = replay.next_item(|flow| has_read_what_was_sent(flows, flow)) else {
                return any;
            };
            replay.pace.take(now);
            match item.what {
                What::Event(loaded) if !loaded.place.phase.sends() => {
                    let meta = &loaded.events[0];
                    let key = self.shown_key(&loaded, meta);
                    let note = (loaded.place.flow.clone(), loaded.offset(meta), key);
                    let end = End::Closed(loaded.place.phase);
                    self.settle_replayed(item.number, note, end);
                }
                What::Event(loaded) => {
                    let lane = loaded.events[0].lane;
                    replay.busy.insert(lane);
                    let block = self.window.add(*loaded, 1);
                    self.push_before(Spot { block, event: 0 });
                    any = true;
                }
                What::Letter(letter) => self.retry_letter(item.number, *letter),
                What::Gone(flow, offset, reason) => {
                    let note = (flow, offset, String::new());
                    self.settle_replayed(item.number, note, End::Gone(reason));
                }
            }
            self.stale = true;
        }
    }

    /// A dead letter goes the way of one that somebody retries; its further fate is its own.
    fn retry_letter(&mut self, number: u64, letter: Exception) {
        let phase = self.config.catalogue.phase(&letter.flow, &self.config.name);
        let Some(replay) = &self.replay else { return };
        let place = Place::marked(letter.flow.clone(), phase);
        let values = self.mask.of_event(&place, letter.offset, &letter.event);
        let note = (letter.flow.clone(), letter.offset, values.key(&letter.key));
        if !phase.sends() {
            return self.settle_replayed(number, note, End::Closed(phase));
        }
        let reason = match letter.state {
            ExceptionState::Dead => RETRY,
            ExceptionState::Overtaken if replay.plan.older => OLDER,
            ExceptionState::Overtaken => {
                return self.settle_replayed(number, note, End::Overtaken(0));
            }
            _ => {
                let reason = "it is not dead any more".to_owned();
                return self.settle_replayed(number, note, End::Gone(reason));
            }
        };
        let by = format!("replay {}, approved by {}", replay.id, replay.approved_by);
        let was = letter.reason;
        let detail = (!replay.edited.is_empty()).then(|| {
            Detail::read(&letter.detail)
                .edited_to(&replay.edited)
                .text()
        });
        self.pending.change(Change {
            detail,
            ..Change::new(
                letter.id,
                ExceptionState::Retry,
                format!("{reason} ({by}); it was refused: {was}"),
            )
        });
        let key = self.keys.id(&letter.flow, &letter.key);
        if self.keys.retried(key, letter.state) {
            self.pending
                .then_load
                .push(Redo::Key(letter.flow, letter.key));
        } else if self.redoing.insert(letter.id) {
            self.pending.then_load.push(Redo::One(letter.id));
        }
        self.settle_replayed(number, note, End::Accepted);
    }

    /// Lets go of a replay that is over, once all of it is on disk.
    fn end_replay(&mut self) {
        let Some(replay) = &mut self.replay else {
            return;
        };
        let is_through = replay.all_read && replay.page.is_empty() && replay.busy.is_empty();
        if is_through && !replay.stopped {
            let said = replay.summary();
            tracing::info!(replay = replay.id, said, "a replay is done");
            replay.becomes(ReplayState::Done, "replay done", &said);
            self.pending.urgent = true;
            return;
        }
        if replay.stopped
            && replay.busy.is_empty()
            && !replay.dirty
            && self.op.is_none()
            && self.replay_work.is_none()
        {
            self.replay = None;
            self.replay_look = true;
            self.replay_after = None;
            self.stale = true;
            // The next look goes at once.
            self.replay_wait = Some(Instant::now());
            self.show_replay();
        }
    }
}

/// What is newer of the keys of a selection, and what of its flows was never sent.
fn surveyed(
    store: &dyn Store,
    config: &TargetConfig,
    hasher: &KeyHasher,
    picked: &Picked,
    older: bool,
) -> Result<Work, String> {
    let picker = Picker::new(&Filter::default(), config);
    let ground = Ground::read(store, &config.name).map_err(|error| error.to_string())?;
    let newest = if older {
        HashMap::new()
    } else {
        let question = Question::Set(&picker, &picked.flows);
        survey(store, &ground, hasher, &question)?.newest
    };
    Ok(Work::Surveyed(newest, ground.into_passed()))
}

/// What became of the one that runs; where none does, the one that was approved first and is not over.
fn look(store: &dyn Store, target: &str, current: Option<u64>) -> Result<Work, String> {
    let said = |error: dray_store::StoreError| error.to_string();
    let replays = store.replays(Some(target), LOOKED_AT).map_err(said)?;
    if let Some(id) = current {
        let state = replays.iter().find(|one| one.id == id).map(|one| one.state);
        return Ok(Work::Looked(state.or(Some(ReplayState::Cancelled)), None));
    }
    let next = replays
        .iter()
        .filter(|one| one.state == ReplayState::Approved)
        .min_by_key(|one| (one.approved_us, one.id));
    let Some(next) = next else {
        return Ok(Work::Looked(None, None));
    };
    let replay = store.replay(next.id).map_err(said)?;
    let next = replay.map(|replay| {
        Box::new(Next {
            plan: Plan::read(&replay.plan),
            picked: Picked::read(&replay.selection),
            replay,
        })
    });
    Ok(Work::Looked(None, next))
}
