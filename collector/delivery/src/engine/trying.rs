//! What failed and may pass: the target as a whole waits, or only what it can't take.
//!
//! A failure is the target's until it takes something else: then it is the batch's. Such a batch is unrolled down to the
//! event that fails, which has waits of its own from then on, while everything else goes on; it is tried as long as its
//! class's budget lets it ([`crate::budget`]). An outage spends nobody's budget.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Engine;
use crate::batch::Batch;
use crate::budget::Then;
use crate::connectors::Exchange;
use crate::gate::Cause;
use crate::outcome::{Class, Outcome};
use crate::window::Loaded;

/// Events that wait on their own, at most: are there more, it is the target's failure again.
const APART_MAX: usize = 64;

/// What a batch went through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trials {
    /// How much the target had taken when it first failed.
    taken_then: Option<u64>,
    /// When it first failed although the target took others since.
    since: Option<Instant>,
    failures: u32,
    /// It waits on its own until then.
    pub(crate) not_before: Option<Instant>,
    /// That its budget is spent was said.
    told: bool,
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
        let is_the_targets = is_broken || taken_then == taken || apart.count() >= APART_MAX;
        if is_the_targets {
            if is_broken {
                // What it goes through now spends nothing: it begins anew with what the target takes after this.
                (batch.trials.taken_then, batch.trials.since) = (Some(taken), None);
            }
            if self.gate.failed(era, now, rand::random(), why) {
                self.broke(now);
            }
            self.again.push_back(batch);
            return;
        }
        self.gate.unsent(era);
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
        let doubled = self
            .config
            .retry
            .first
            .saturating_mul(1 << batch.trials.failures.min(16));
        let wait = doubled
            .min(self.config.retry.max)
            .mul_f64(0.5 + rand::random::<f64>() / 2.0);
        batch.trials.not_before = Some(now + wait);
        self.again.push_back(batch);
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
        let due = |batch: &Batch| batch.trials.not_before.is_none_or(|time| time <= now);
        if let Some(broken) = self.gate.broken() {
            // A first event of a lane at a time, each time another one: one event alone must not keep it open.
            let fresh = broken.probes % 2 == 1 && self.again.len() < APART_MAX;
            let formed = if fresh { self.form() } else { None };
            let batch = formed
                .or_else(|| self.again.pop_front())
                .or_else(|| self.form())?;
            let mut parts = batch.head();
            let head = parts.next();
            self.again.extend(parts);
            return head;
        }
        match self.again.iter().position(due) {
            Some(index) => self.again.remove(index),
            None => self.form(),
        }
    }

    /// When the first that waits on its own may be tried.
    pub(super) fn apart_deadline(&self) -> Option<Instant> {
        let waits = self
            .again
            .iter()
            .filter_map(|batch| batch.trials.not_before);
        let can_send = self.gate.is_open()
            && self.sending.len() < self.config.concurrency
            && self.stopping.is_none()
            && !self.reload_due;
        waits.min().filter(|_| can_send)
    }

    /// The target has one more event.
    pub(super) fn heal(&mut self, era: u64) {
        self.taken += 1;
        if let Some(healed) = self.gate.taken(era) {
            self.healed(healed.cause, healed.since);
        }
    }

    /// The target answered well, and what is to become of the event is not decided.
    pub(super) fn undecided(&mut self, era: u64) {
        self.taken += 1;
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
        let lasted = humantime::format_duration(Duration::from_secs(since.elapsed().as_secs()));
        self.shared.note_whole();
        tracing::info!(cause = cause.to_string(), %lasted, "the breaker is closed again");
    }
}
