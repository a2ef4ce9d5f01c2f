//! What failed and may pass: the target as a whole waits, or only what it can't take.
//!
//! What fails has waits of its own from then on, while everything else goes on; a batch that fails again is unrolled
//! down to the event that does. Whether it is the target that is ill show the others: each that fails, too, counts for
//! its breaker, the same again does not ([`crate::gate`]). Once the target takes something else a failure is the event's:
//! it is tried as long as its class's budget lets it ([`crate::budget`]). An outage spends nobody's budget.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Engine;
use crate::batch::Batch;
use crate::budget::Then;
use crate::connectors::Exchange;
use crate::gate::Cause;
use crate::outcome::{Class, Outcome};
use crate::window::{Loaded, Spot};

/// Events that wait on their own, at most: are there more, it is the target's failure again.
const APART_MAX: usize = 1_000;

/// What a batch went through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trials {
    /// How much the target had taken when it first failed.
    taken_then: Option<u64>,
    /// When it first failed although the target took others since.
    since: Option<Instant>,
    failures: u32,
    /// The gate's run of failures in which it counts already.
    counted: Option<u64>,
    /// Faults of dray's own that it met while it stood alone.
    pub(super) faults: u32,
    /// It waits on its own until then.
    pub(crate) not_before: Option<Instant>,
    /// That its budget is spent was said.
    told: bool,
}

impl Trials {
    /// It failed in a request of which the target took something else: before that it had taken so much.
    pub(super) fn fails_alone(&mut self, taken_before: u64) {
        self.taken_then.get_or_insert(taken_before);
    }

    /// The target was not sent to from then until now: that spends nothing.
    fn pass_over(&mut self, from: Instant, now: Instant) {
        if let Some(since) = &mut self.since {
            *since += now.saturating_duration_since(from.max(*since));
        }
    }

    /// Whether it was sent, and failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }
}

impl Engine {
    /// A try failed and may do better later.
    pub(super) fn failed_for_now(
        &mut self,
        mut batch: Batch,
        era: u64,
        outcome: &Outcome,
        exchange: Option<&Exchange>,
    ) {
        let (Outcome::Transient(why) | Outcome::Unknown(why)) = outcome else {
            return;
        };
        let (now, taken) = (Instant::now(), self.taken);
        batch.in_doubt = true;
        let trials = &mut batch.trials;
        let taken_then = *trials.taken_then.get_or_insert(taken);
        trials.failures += 1;
        let apart = self
            .again
            .iter()
            .filter(|batch| batch.trials.not_before.is_some());
        let is_broken = self.gate.broken().is_some();
        let is_crowded = apart.count() >= APART_MAX;
        if taken_then == taken {
            self.failed_at = Some(taken);
        }
        if is_broken || taken_then == taken || is_crowded {
            self.failed_perhaps_for_all(batch, era, why, is_crowded);
            return;
        }
        self.gate.unsent(era);
        if batch.trials.since.is_none() {
            batch.trials.failures = 1;
        }
        let since = *batch.trials.since.get_or_insert(now);
        if batch.items.len() > 1 {
            self.again.extend(batch.apart());
            return;
        }
        let Some(item) = batch.items.first().copied() else {
            return;
        };
        let flow = batch.event(&item).0.place.flow.clone();
        let agreed = self.config.catalogue.of(&flow);
        let budget = self.config.catalogue.budget(agreed.class);
        let spent = now - since >= budget.retry;
        if spent && batch.shadow {
            self.unread(&batch, why);
            return;
        }
        let tried = humantime::format_duration(Duration::from_secs(budget.retry.as_secs()));
        // What is replayed had its time: what is live of its key must not wait behind it.
        let gives_up = budget.then == Then::DeadLetter || batch.event(&item).0.replayed.is_some();
        if spent && gives_up {
            let reason = format!(
                "no good answer within {tried}, while the target took others; it said last: {why}"
            );
            self.reject(&batch, &item, Class::Unanswered, reason, exchange);
            return;
        }
        if spent && !std::mem::replace(&mut batch.trials.told, true) {
            let (owner, runbook) = (agreed.owner, agreed.runbook);
            tracing::error!(%flow, owner, runbook, %tried, "an event is tried longer than its budget: its key waits");
        }
        let left = budget.retry.saturating_sub(now - since);
        let mut wait = self.own_wait(&batch);
        if gives_up {
            // No longer than its budget lasts: then it is tried a last time.
            wait = wait.min(left);
        }
        batch.trials.not_before = Some(now + wait);
        self.try_later(batch);
    }

    fn try_later(&mut self, batch: Batch) {
        let batch = match batch.items.len() {
            1 => self.out_of_its_block(batch),
            _ => batch,
        };
        self.again.push_back(batch);
    }

    /// An event may wait for hours on its own, and its block counts whole in the window for as long: it gets one of its own, or a
    /// few of them would leave no room for all other keys, and nobody who could show whose failure it is.
    fn out_of_its_block(&mut self, batch: Batch) -> Batch {
        let Some(item) = batch.items.first() else {
            return batch;
        };
        let (loaded, meta) = batch.event(item);
        let Some(flow) = loaded
            .flow
            .filter(|_| loaded.bytes.len() > 2 * loaded.event(meta).len())
        else {
            return batch;
        };
        let alone = loaded.only(meta);
        self.flows[flow].bytes += alone.bytes.len();
        let block = self.window.add(alone, 1);
        let before = self.lanes.exchange(item.slot, Spot { block, event: 0 });
        if let Some(whole) = self.window.release(before.block) {
            self.flows[flow].bytes -= whole.bytes.len();
            // What had no room may be read now.
            self.scan_due = true;
        }
        match self.window.get(block).map(Arc::clone) {
            Some(alone) => batch.moved(alone),
            None => batch,
        }
    }

    /// The target has taken nothing since: the others show whose failure it is.
    fn failed_perhaps_for_all(&mut self, mut batch: Batch, era: u64, why: &str, is_crowded: bool) {
        let now = Instant::now();
        let is_broken = self.gate.broken().is_some();
        let streak = self.gate.streak();
        if is_broken || is_crowded || batch.trials.counted != Some(streak) {
            if self.gate.counts(era) {
                batch.trials.counted = Some(streak);
            }
            if self.gate.failed(era, now, rand::random(), why) {
                self.broke(now);
            }
        } else {
            self.gate.unsent(era);
        }
        if is_broken {
            // What it goes through now spends nothing: it begins anew with what the target takes after this.
            (batch.trials.taken_then, batch.trials.since) = (Some(self.taken), None);
            self.failed_at = Some(self.taken);
            self.try_later(batch);
            return;
        }
        batch.trials.not_before = Some(now + self.own_wait(&batch));
        if batch.items.len() > 1 && batch.trials.failures > 1 {
            // Nothing else may come for long, and most of its events may be good. Each part says something new.
            batch.trials.counted = None;
            batch.trials.not_before = None;
            self.again.extend(batch.apart());
        } else {
            self.try_later(batch);
        }
    }

    /// A batch leaves; keep the era with it. One that failed already says nothing new about the target: it leaves beside the
    /// one that shows how it goes.
    pub(super) fn leaves(&mut self, batch: &Batch) -> u64 {
        self.last_was_retry = batch.trials.has_failed();
        self.retrying += usize::from(self.last_was_retry);
        let trials = &batch.trials;
        let is_old = trials.since.is_some() || trials.counted == Some(self.gate.streak());
        if is_old && self.gate.broken().is_none() {
            return self.gate.era();
        }
        self.gate.sent()
    }

    /// How long what failed waits on its own: doubled with each failure, up to a bound.
    fn own_wait(&self, batch: &Batch) -> Duration {
        self.wait_after(batch.trials.failures)
    }

    pub(super) fn wait_after(&self, failures: u32) -> Duration {
        let retry = &self.config.retry;
        let doubled = retry
            .first
            .saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled
            .min(retry.max)
            .mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }

    /// The next batch to send.
    pub(super) fn next_batch(&mut self, now: Instant) -> Option<Batch> {
        loop {
            let mut batch = self.pick(now)?;
            // What waited may be of a replay that was stopped meanwhile, or be discarded.
            let is_over = |loaded: &Loaded| self.is_stopped(loaded) || self.is_gone(loaded);
            for item in batch.leave_out(is_over) {
                let (loaded, meta) = batch.event(&item);
                let (loaded, meta) = (Arc::clone(loaded), *meta);
                if !self.has_let_go(&item, &loaded, &meta) {
                    self.open(item.slot);
                }
            }
            if !batch.items.is_empty() {
                return Some(batch);
            }
        }
    }

    fn pick(&mut self, now: Instant) -> Option<Batch> {
        if self.gate.broken().is_some() {
            // A first event of a lane at a time, each time another one: one event alone must not keep it open.
            // What has not failed shows more than what has, however much of that there is.
            let batch = self.untried().or_else(|| self.again.pop_front())?;
            let mut parts = batch.head();
            let head = parts.next();
            self.again.extend(parts);
            return head;
        }
        let has_failed = |batch: &Batch| batch.trials.has_failed();
        if self.gate.is_on_trial() {
            // Whether the target is ill shows what has not failed.
            if let Some(batch) = self.untried() {
                return Some(batch);
            }
        }
        let may_retry = self.may_retry();
        // Where there is one place only, what failed and all else have it by turns.
        let is_others_turn = self.config.concurrency == 1 && self.last_was_retry;
        let is_due = |batch: &Batch| {
            let due = batch.trials.not_before.is_none_or(|time| time <= now);
            due && (may_retry || !has_failed(batch))
        };
        let is_next = |batch: &Batch| is_due(batch) && !(is_others_turn && has_failed(batch));
        let next = self.again.iter().position(is_next);
        let next = next.and_then(|index| self.again.remove(index));
        if let Some(batch) = next.or_else(|| self.form()) {
            return Some(batch);
        }
        let due = self.again.iter().position(is_due)?;
        self.again.remove(due)
    }

    /// A batch that has not failed: by turns of the oldest and of the newest lanes. After a start the oldest may be hundreds that
    /// fail each time.
    fn untried(&mut self) -> Option<Batch> {
        self.newest_next = !self.newest_next;
        if !self.newest_next {
            self.lanes.newest_first();
            if let Some(batch) = self.form() {
                return Some(batch);
            }
        }
        let untried = |batch: &Batch| !batch.trials.has_failed();
        let untried = self.again.iter().position(untried);
        let untried = untried.and_then(|index| self.again.remove(index));
        untried.or_else(|| self.form())
    }

    /// Whether one more may leave that failed before: such requests may hang, and must leave places to others.
    fn may_retry(&self) -> bool {
        self.retrying < (self.config.concurrency / 2).max(1)
    }

    /// How many events failed and are tried again.
    pub(super) fn failing(&self) -> u64 {
        let apart = self.again.iter().filter(|batch| batch.trials.has_failed());
        let waiting: usize = apart.map(|batch| batch.items.len()).sum();
        // Of those in flight it is known how many batches they are: most are of one event.
        (waiting + self.retrying) as u64
    }

    /// When the first that waits on its own may be tried.
    pub(super) fn apart_deadline(&self) -> Option<Instant> {
        let waits = self
            .again
            .iter()
            .filter_map(|batch| batch.trials.not_before);
        let can_send = self.gate.is_open()
            && self.sending.len() < self.config.concurrency
            && self.has_room_for_request()
            && self.may_retry()
            && self.stopping.is_none()
            && !self.reload_due;
        waits.min().filter(|_| can_send)
    }

    /// The target has one more event.
    pub(super) fn heal(&mut self, era: u64) {
        self.taken += 1;
        self.retry_at_once();
        if let Some(healed) = self.gate.taken(era) {
            self.healed(healed.cause, healed.since);
        }
    }

    /// What failed may have been the target's failure, and it takes again: the next try shows whose it is.
    /// What failed although it took others since waits on.
    fn retry_at_once(&mut self) {
        let before = self.taken.checked_sub(1);
        if self.failed_at != before {
            return;
        }
        for batch in &mut self.again {
            let trials = &mut batch.trials;
            if trials.since.is_none() && trials.taken_then == before {
                trials.not_before = None;
            }
        }
    }

    /// The target answered well, and what is to become of the event is not decided.
    pub(super) fn undecided(&mut self, era: u64) {
        self.taken += 1;
        self.retry_at_once();
        let healed = self.gate.undecided(era, Instant::now(), rand::random());
        if let Some(healed) = healed {
            self.healed(healed.cause, healed.since);
        }
    }

    /// The breaker opened.
    pub(super) fn broke(&mut self, now: Instant) {
        let Some(broken) = self.gate.broken() else {
            return;
        };
        self.shared.note_broken(broken, now);
        let cause = broken.cause.to_string();
        if broken.cause.needs_somebody() {
            tracing::error!(
                cause,
                "the breaker is open: somebody should look; it is tried now and then"
            );
        } else {
            tracing::warn!(
                cause,
                "the breaker is open: it is tried until something is taken"
            );
        }
    }

    pub(super) fn healed(&mut self, cause: Cause, since: Instant) {
        let now = Instant::now();
        for batch in &mut self.again {
            batch.trials.pass_over(since, now);
        }
        let lasted = humantime::format_duration(Duration::from_secs(since.elapsed().as_secs()));
        self.shared.note_whole();
        tracing::info!(cause = cause.to_string(), %lasted, "the breaker is closed again");
    }
}
