//! What settled, to stable storage: one operation at a time, and what settles meanwhile goes into the next.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_edges::edge;
use dray_proto::{FlowName, Offset};
use dray_store::{
    Change, Exception, ExceptionQuery, ExceptionState, Remember, ShadowNote, Step, Store,
    StoreError,
};

use super::holding::Looked;
use super::opening::load_keys;
use super::redo::REDO_LIVE_MAX;
use super::replaying::Written;
use super::{Engine, STORE_RETRY, paused_setting};
use crate::lanes::Slot;
use crate::policy::{Counts, KeyId, Loader, OLDER, Redo};
use crate::status::Shared;

/// How long a cursor that only passed over events that the target doesn't take may lag on disk.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// Exceptions that are read at once.
const PAGE: usize = 200;

/// Exceptions that one step adds or changes, and bytes of what it adds, at about which nothing more is formed until it is under way:
/// what is refused before it is sent comes as fast as it is read, and a step is held twice.
const STEP_EXCEPTIONS_MAX: usize = 2_000;
const STEP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the next step holds.
#[derive(Debug, Default)]
pub(super) struct Pending {
    add: Vec<(KeyId, Exception)>,
    add_bytes: usize,
    change: Vec<Change>,
    pub(super) remove: Vec<u64>,
    /// What was compared, not sent.
    pub(super) shadow: Vec<(FlowName, ShadowNote)>,
    /// What the target knows, waits for and told.
    pub(super) remember: Remember,
    /// Keys with parked exceptions of which this offset was delivered.
    pub(super) overtaken: Vec<(FlowName, String, Offset)>,
    /// Flows whose cursor moved.
    pub(super) dirty: Vec<usize>,
    /// How far events of a flow may be sent once the step is on disk.
    pub(super) sent: BTreeMap<usize, Offset>,
    /// Lanes that open once the step is on disk.
    opens: Vec<Slot>,
    /// Exceptions to load once the step is on disk.
    pub(super) then_load: Vec<Redo>,
    /// Why the target is paused.
    pub(super) pause: Option<String>,
    /// Somebody waits for it.
    pub(super) urgent: bool,
    /// How many exceptions there are once the step is on disk.
    counts: Counts,
    /// When the first cursor moved.
    pub(super) since: Option<Instant>,
}

impl Pending {
    pub(super) fn add(&mut self, key: KeyId, exception: Exception) {
        self.add_bytes += exception.event.len() + exception.detail.len();
        self.add.push((key, exception));
        self.urgent = true;
    }

    pub(super) fn change(&mut self, change: Change) {
        self.change.push(change);
        self.urgent = true;
    }

    pub(super) fn open(&mut self, slot: Slot) {
        self.opens.push(slot);
        self.urgent = true;
    }

    /// Whether it is better on its way before there is more of it.
    pub(super) fn is_full(&self) -> bool {
        self.add.len() + self.change.len() >= STEP_EXCEPTIONS_MAX
            || self.add_bytes >= STEP_BYTES_MAX
    }

    /// Whether an exception of this key is on its way to the disk.
    pub(super) fn adds(&self, key: KeyId) -> bool {
        self.add.iter().any(|(other, _)| *other == key)
    }
}

/// The operation under way.
pub(super) type Op = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What an operation comes back with.
pub(super) enum Done {
    Stepped {
        opens: Vec<Slot>,
        then_load: Vec<Redo>,
        counts: Counts,
        sent: BTreeMap<usize, Offset>,
        /// How many references the target knows, where some were added.
        known: Option<u64>,
        /// Something that waits may be due.
        look: bool,
        through: Vec<(FlowName, Offset)>,
    },
    Looked(Looked),
    Loaded {
        found: Vec<(Redo, Vec<Exception>)>,
        left: Vec<Redo>,
    },
    Reloaded(Loader),
    /// Reading exceptions failed; it is tried again.
    Failed {
        reason: String,
        left: Vec<Redo>,
    },
    /// The store's writer ended.
    Gone,
}

impl Engine {
    pub(super) fn has_pending(&self) -> bool {
        let pending = &self.pending;
        pending.urgent || !pending.dirty.is_empty() || pending.pause.is_some()
    }

    pub(super) fn pending_deadline(&self) -> Option<Instant> {
        self.pending
            .since
            .filter(|_| self.op.is_none())
            .map(|since| since + FLUSH_AFTER)
    }

    pub(super) fn start_op(&mut self, now: Instant) {
        if self.op.is_some() {
            return;
        }
        let late = self
            .pending_deadline()
            .is_some_and(|deadline| deadline <= now);
        let hurry = self.reload_due || self.stopping.is_some() || self.pending.pause.is_some();
        let step_due = self.pending.urgent || late || (hurry && self.has_pending());
        let has_room = self.window.room().0 > 0 && self.redo_live < REDO_LIVE_MAX;
        let load_due = !self.redo.is_empty() && has_room && self.stopping.is_none();
        let is_turn = self.last_op_was_step || !step_due;
        if self.reload_due && !step_due {
            self.op = Some(self.reload());
        } else if is_turn && self.is_look_due(now) {
            self.op = Some(self.look_for_due());
            self.last_op_was_step = false;
        } else if load_due && !self.reload_due && is_turn {
            self.op = Some(self.load_redo());
            self.last_op_was_step = false;
        } else if step_due {
            self.op = Some(self.step());
            self.last_op_was_step = true;
        }
    }

    pub(super) fn op_done(&mut self, done: Done) {
        match done {
            Done::Stepped {
                opens,
                then_load,
                counts,
                sent,
                known,
                look,
                through,
            } => {
                self.connector.settled(&through);
                self.ground_moves(Written::Soon, Written::Whole);
                if let Some(known) = known {
                    self.vetting.counted(known);
                }
                if look {
                    self.look_again();
                }
                self.counts_on_disk = counts;
                for (flow, through) in sent {
                    if let Some(sent) = &mut self.flows[flow].sent {
                        *sent = through;
                    }
                }
                opens.into_iter().for_each(|slot| self.open(slot));
                self.redo.extend(then_load);
                self.scan_due |= std::mem::take(&mut self.scan_once_open);
            }
            Done::Loaded { found, left } => {
                self.redo.extend(left);
                found
                    .into_iter()
                    .for_each(|(redo, exceptions)| self.take_redo(redo, exceptions));
            }
            Done::Looked(looked) => self.take_looked(looked),
            Done::Reloaded(loader) => {
                self.reload_due = false;
                self.take_keys(loader);
            }
            Done::Failed { reason, left } => {
                tracing::error!(reason, "the exceptions cannot be read");
                self.shared.note_error(&reason);
                self.redo.extend(left);
                self.look_again();
            }
            Done::Gone => self.store_gone = true,
        }
    }

    fn step(&mut self) -> Op {
        self.ground_moves(Written::Not, Written::Soon);
        let mut pending = std::mem::take(&mut self.pending);
        pending.counts = self.keys.counts;
        let cursors = pending.dirty.drain(..).map(|index| {
            let flow = &mut self.flows[index];
            flow.dirty = false;
            (flow.name().clone(), flow.finished.cursor())
        });
        let cursors = cursors.collect();
        let sent = pending
            .sent
            .iter()
            .map(|(flow, through)| (self.flows[*flow].name().clone(), *through));
        let sent = sent.collect();
        let now_us = jiff::Timestamp::now().as_microsecond();
        let (replay, audit, settings) = self.replay_step(now_us);
        let step = Step {
            consumer: self.consumer.clone(),
            replay,
            audit,
            settings,
            cursors,
            sent,
            add: pending
                .add
                .drain(..)
                .map(|(_, exception)| exception)
                .collect(),
            change: std::mem::take(&mut pending.change),
            remove: std::mem::take(&mut pending.remove),
            shadow: std::mem::take(&mut pending.shadow),
            remember: Remember {
                target: self.config.name.clone(),
                ..std::mem::take(&mut pending.remember)
            },
        };
        let (store, shared) = (Arc::clone(&self.store), Arc::clone(&self.shared));
        let target = self.config.name.clone();
        Box::pin(async move { take_step(store, &shared, target, step, pending).await })
    }

    fn reload(&self) -> Op {
        let (store, name) = (Arc::clone(&self.store), self.config.name.clone());
        let in_lanes = self.window.blocks().filter_map(|loaded| loaded.redo);
        let in_lanes = in_lanes.map(|again| again.id).collect();
        let loader = Loader::beside(&self.keys, in_lanes);
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || load_keys(&*store, &name, loader)).await {
                Ok(Ok(loader)) => Done::Reloaded(loader),
                Ok(Err(error)) => failed(error.to_string(), Vec::new()).await,
                Err(error) => failed(error.to_string(), Vec::new()).await,
            }
        })
    }
}

/// A failure, after a wait: what is asked for again at once would fail again at once.
pub(super) async fn failed(reason: String, left: Vec<Redo>) -> Done {
    tokio::time::sleep(STORE_RETRY).await;
    Done::Failed { reason, left }
}

async fn take_step(
    store: Arc<dyn Store>,
    shared: &Shared,
    target: String,
    mut step: Step,
    mut pending: Pending,
) -> Done {
    loop {
        let reason = match prepare(&store, &target, &mut step, &mut pending).await {
            Ok(()) => match write(&store, &step).await {
                Some(Ok(())) => {
                    edge!("delivery.after_step");
                    let remember = &step.remember;
                    let known = match remember.learn.is_empty() {
                        true => None,
                        false => counted(&store, target).await,
                    };
                    return Done::Stepped {
                        known,
                        look: !remember.learn.is_empty() || !remember.wait.is_empty(),
                        opens: pending.opens,
                        then_load: pending.then_load,
                        counts: pending.counts,
                        sent: pending.sent,
                        through: step
                            .cursors
                            .into_iter()
                            .map(|(flow, cursor)| (flow, cursor.through))
                            .collect(),
                    };
                }
                Some(Err(error)) => error.to_string(),
                None => return Done::Gone,
            },
            Err(reason) => reason,
        };
        tracing::error!(
            reason,
            "the store cannot write a target's cursor; it is tried again"
        );
        shared.note_error(&reason);
        tokio::time::sleep(STORE_RETRY).await;
    }
}

/// How much the target knows; a failure shows itself with the next step.
async fn counted(store: &Arc<dyn Store>, target: String) -> Option<u64> {
    let store = Arc::clone(store);
    let asked = tokio::task::spawn_blocking(move || store.remembered(&target));
    Some(asked.await.ok()?.ok()?.0)
}

async fn write(store: &Arc<dyn Store>, step: &Step) -> Option<Result<(), StoreError>> {
    edge!("delivery.before_step");
    store.step(step.clone()).await
}

/// What goes before a step, where anything does: the pause, and finding what is overtaken.
async fn prepare(
    store: &Arc<dyn Store>,
    target: &str,
    step: &mut Step,
    pending: &mut Pending,
) -> Result<(), String> {
    if pending.pause.is_none() && pending.overtaken.is_empty() {
        return Ok(());
    }
    let (store, target) = (Arc::clone(store), target.to_owned());
    let (pause, overtaken) = (pending.pause.clone(), pending.overtaken.clone());
    let prepared = tokio::task::spawn_blocking(move || {
        if let Some(why) = pause {
            store.set(&paused_setting(&target), Some(&why))?;
        }
        mark_overtaken(&*store, &target, &overtaken)
    });
    let marks = prepared
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    step.change.extend(marks);
    (pending.pause, pending.overtaken) = (None, Vec::new());
    Ok(())
}

/// The parked exceptions of these keys that were refused before what was delivered now.
fn mark_overtaken(
    store: &dyn Store,
    target: &str,
    overtaken: &[(FlowName, String, Offset)],
) -> Result<Vec<Change>, StoreError> {
    let mut marks = Vec::new();
    for (flow, key, delivered) in overtaken {
        let query = ExceptionQuery {
            target: Some(target.to_owned()),
            flow: Some(flow.clone()),
            key: Some(key.clone()),
            states: vec![ExceptionState::Dead, ExceptionState::Retry],
            limit: PAGE,
            without_events: true,
            ..ExceptionQuery::default()
        };
        let meant = |found: &Exception| {
            found.offset < *delivered
                && !(found.state == ExceptionState::Retry && found.reason.starts_with(OLDER))
        };
        for found in store.exceptions(&query)?.into_iter().filter(meant) {
            let reason = format!(
                "{} (a later event of its key was delivered since, offset {delivered})",
                found.reason
            );
            marks.push(Change::new(found.id, ExceptionState::Overtaken, reason));
        }
    }
    Ok(marks)
}
