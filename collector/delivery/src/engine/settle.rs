//! What came of a request.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use dray_edges::edge;
use dray_store::{Change, ExceptionState};
use tokio::task::JoinError;

use super::send::Sent;
use super::waiting::Waits;
use super::{Engine, GROW_AFTER};
use crate::answer::ANSWERED;
use crate::batch::{Batch, Item};
use crate::connectors::{Exchange, Fate, Verdict};
use crate::detail::Detail;
use crate::outcome::{Class, Outcome};
use crate::policy::{After, Redo};
use crate::status::Tally;
use crate::window::{Again, Loaded, Meta};

impl Engine {
    /// Where somebody looks first whom the target does not know; its own words, often a page of HTML, don't say.
    fn whose_secret(&self, why: &str) -> String {
        let files = self.config.auth.files();
        let files: Vec<_> = files
            .into_iter()
            .map(|(setting, path)| format!("{setting} {}", path.display()))
            .collect();
        match (files.is_empty(), self.config.account.as_str()) {
            (false, _) => format!("see {}: {why}", files.join(" and ")),
            (true, "") => format!("no [target.auth] says who we are: {why}"),
            (true, account) => format!("see the secret of account {account}: {why}"),
        }
    }

    pub(super) fn take_sent(&mut self, joined: Result<Sent, JoinError>) {
        let sent = match joined {
            Ok(sent) => sent,
            // A lost batch would close its lanes for ever: better to end, loudly, and start from the cursor. What may panic
            // is caught within, see [`super::fault`].
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        self.sending_bytes = self.sending_bytes.saturating_sub(sent.batch.weight);
        self.retrying -= usize::from(sent.batch.trials.has_failed());
        if sent.is_fault {
            self.take_fault(sent.batch, sent.era);
            return;
        }
        if sent.batch.shadow {
            self.take_seen(sent);
            return;
        }
        let Sent {
            mut batch,
            era,
            left_out,
            unfit,
            told,
            ..
        } = sent;
        for (item, poison) in left_out.poisoned {
            self.reject(&batch, &item, Class::Poison, poison.0, None);
        }
        for (item, reason) in unfit.invalid {
            self.reject(&batch, &item, Class::Invalid, reason, None);
        }
        for (item, missing) in unfit.missing {
            self.hold_for(&batch, &item, missing, None);
        }
        for item in left_out.unsent.into_iter().rev() {
            self.lanes.put_back(item.slot);
        }
        let Some(mut told) = told else {
            self.gate.unsent(era);
            return;
        };
        if let Some(account) = &self.account {
            account.learn(&told, |why, exchange| self.hidden(why, exchange));
        }
        // Whatever stops it now: what it said before may have had its effect.
        batch.in_doubt |= told.has_begun;
        if !told.kept.is_empty() {
            self.keep(&mut batch, std::mem::take(&mut told.kept));
        }
        match told.verdict {
            Verdict::All(outcome) => {
                self.take_outcome(batch, era, outcome, told.exchange.as_ref());
            }
            Verdict::Each(fates) => self.take_each(batch.sorted(fates), era),
        }
    }

    /// What was taken goes first: then it is clear that what failed beside it failed alone.
    fn take_each(&mut self, mut parts: Vec<(Batch, Fate)>, era: u64) {
        let is_good = |fate: &Fate| matches!(fate.outcome, Outcome::Done | Outcome::Accepted(..));
        parts.sort_by_key(|(_, fate)| !is_good(fate));
        let taken_before = self.taken;
        for (mut batch, fate) in parts {
            if self.taken > taken_before {
                batch.trials.fails_alone(taken_before);
            }
            self.take_outcome(batch, era, fate.outcome, fate.exchange.as_ref());
        }
    }

    pub(super) fn take_outcome(
        &mut self,
        batch: Batch,
        era: u64,
        outcome: Outcome,
        exchange: Option<&Exchange>,
    ) {
        let now = Instant::now();
        let outcome = outcome.said_as(|why| self.hidden(why, exchange));
        match outcome {
            Outcome::Done => {
                self.heal(era);
                self.deliver(&batch);
            }
            Outcome::Accepted(later, reason) => {
                self.undecided(era);
                let state = ExceptionState::Accepted;
                self.put_off(&batch, Waits::new(state, later, reason), exchange);
            }
            Outcome::Confirm(later, reason) => {
                self.undecided(era);
                let state = ExceptionState::Confirm;
                self.put_off(&batch, Waits::new(state, later, reason), exchange);
            }
            Outcome::Missing(missing) => {
                self.undecided(era);
                self.lacks(batch, missing, exchange);
            }
            Outcome::Rejected(reason) => {
                self.refused(batch, era, Class::Rejected, reason, exchange)
            }
            Outcome::Conflict(reason) => {
                self.refused(batch, era, Class::Conflict, reason, exchange)
            }
            Outcome::Poison(reason) => self.refused(batch, era, Class::Poison, reason, exchange),
            Outcome::TooLarge(reason) => {
                self.successes = 0;
                self.batch_now = (batch.items.len() / 2).clamp(1, self.batch_now);
                self.refused(batch, era, Class::TooLarge, reason, exchange);
            }
            Outcome::Auth(why) => {
                let why = self.whose_secret(&why);
                self.failed(&why);
                if self.gate.unknown_to(era, now, rand::random(), &why) {
                    self.broke(now);
                }
                self.again.push_back(batch);
            }
            Outcome::Misconfigured(why) => {
                self.failed(&why);
                self.gate.unsent(era);
                self.again.push_back(batch);
                self.pause(&why);
            }
            Outcome::Throttled(wait, why) => {
                self.failed(&why);
                self.gate.throttled(now, wait, &why);
                self.again.push_back(batch);
            }
            Outcome::Unreachable(why) => {
                self.failed(&why);
                if self.gate.refused(era, now, &why) {
                    self.broke(now);
                }
                self.again.push_back(batch);
            }
            Outcome::Transient(ref why) | Outcome::Unknown(ref why) => {
                self.failed(why);
                self.failed_for_now(batch, era, &outcome, exchange);
            }
        }
    }

    pub(super) fn failed(&mut self, why: &str) {
        self.shared.failures.fetch_add(1, Relaxed);
        self.shared.note_failure(why);
        let Some(unsaid) = self.failures_told.happened(Instant::now()) else {
            return;
        };
        tracing::warn!(reason = to_status(why), unsaid, "a request failed");
    }

    /// The target took them all.
    fn deliver(&mut self, batch: &Batch) {
        edge!("delivery.answered");
        if self.failing() == 0 {
            self.shared.forget_failure();
        }
        self.successes += 1;
        if self.successes >= GROW_AFTER && self.batch_now < self.config.batch {
            self.successes = 0;
            self.batch_now = (self.batch_now * 2).min(self.config.batch);
        }
        self.shared
            .delivered
            .fetch_add(batch.items.len() as u64, Relaxed);
        let now_us = jiff::Timestamp::now().as_microsecond();
        let (mut tally, mut tallied) = (Tally::default(), None);
        for item in &batch.items {
            let (loaded, meta) = batch.event(item);
            if loaded.flow != tallied {
                self.add_tally(tallied, &std::mem::take(&mut tally));
                tallied = loaded.flow;
            }
            tally.note(now_us.saturating_sub(meta.captured_us));
            if self.vetting.learns() {
                let learnt = self.vetting.learnt(&loaded.place.flow, loaded.event(meta));
                self.pending.remember.learn.extend(learnt);
            }
            if self.vetting.teaches() {
                let taught = self.vetting.taught(&loaded.place.flow, loaded.event(meta));
                self.pending.remember.teach.extend(taught);
            }
            match (loaded.redo, loaded.replayed) {
                (None, None) => self.delivered_first(loaded, meta),
                (Some(again), _) => self.delivered_again(loaded, meta, again),
                (_, Some(replayed)) => self.replay_delivered(loaded, meta, replayed),
            }
            self.pending.open(item.slot);
        }
        self.add_tally(tallied, &tally);
    }

    fn add_tally(&self, flow: Option<usize>, tally: &Tally) {
        if let Some(flow) = flow {
            self.flows[flow].stats.add(tally);
        }
    }

    fn delivered_first(&mut self, loaded: &Arc<Loaded>, meta: &Meta) {
        self.finish(loaded, meta);
        self.note_newer(loaded, meta);
        if self.keys.is_quiet() {
            return;
        }
        let (flow, key, offset) = (&loaded.place.flow, loaded.key(meta), loaded.offset(meta));
        if self.keys.delivered(self.keys.id(flow, key), offset) {
            self.pending
                .overtaken
                .push((flow.clone(), key.to_owned(), offset));
        }
    }

    fn delivered_again(&mut self, loaded: &Arc<Loaded>, meta: &Meta, again: Again) {
        self.note_newer(loaded, meta);
        let (flow, key) = (&loaded.place.flow, loaded.key(meta));
        let id = self.keys.id(flow, key);
        let offset = loaded.offset(meta);
        if again.pass > 0 && self.keys.delivered(id, offset) {
            self.pending
                .overtaken
                .push((flow.clone(), key.to_owned(), offset));
        }
        if self.let_go(loaded, meta, again) {
            return;
        }
        self.pending.remove.push(again.id);
        if again.pass == 0 {
            self.keys.parked_removed(id);
            self.redone(again.id, loaded, meta);
        } else if self.keys.pass_delivered(id, again.was) == After::Load {
            self.pending
                .then_load
                .push(Redo::Key(flow.clone(), key.to_owned()));
        }
    }

    fn refused(
        &mut self,
        batch: Batch,
        era: u64,
        class: Class,
        reason: String,
        exchange: Option<&Exchange>,
    ) {
        if let Some(healed) = self.gate.answered(era) {
            self.healed(healed.cause, healed.since);
        }
        self.refuse(batch, class, reason, exchange);
    }

    /// The target does not take the batch: one of its events, or all. Halves find out which.
    pub(super) fn refuse(
        &mut self,
        batch: Batch,
        class: Class,
        reason: String,
        exchange: Option<&Exchange>,
    ) {
        if batch.items.len() > 1 {
            self.again.extend(batch.halves());
            return;
        }
        if let Some(item) = batch.items.first() {
            let (loaded, meta) = batch.event(item);
            let (exchange, said) = self.masked_of(loaded, meta, exchange, reason);
            self.shared.note_error(&said);
            // A replay counts for itself: it must not stop what is live. As a try of an open breaker it is one like any other.
            if loaded.replayed.is_none() || self.gate.broken().is_some() {
                let now = Instant::now();
                let why = format!("the last one: {said} (dray-collector dead-letters list)");
                if self.gate.rejected(now, rand::random(), &why) {
                    self.broke(now);
                }
            }
            self.reject_as(&batch, item, class, said, exchange);
        }
    }

    /// One event is refused, or cannot be written.
    pub(super) fn reject(
        &mut self,
        batch: &Batch,
        item: &Item,
        class: Class,
        reason: String,
        exchange: Option<&Exchange>,
    ) {
        let (loaded, meta) = batch.event(item);
        let (exchange, said) = self.masked_of(loaded, meta, exchange, reason);
        self.reject_as(batch, item, class, said, exchange);
    }

    /// The same, in words that may be read.
    fn reject_as(
        &mut self,
        batch: &Batch,
        item: &Item,
        class: Class,
        reason: String,
        exchange: Option<Exchange>,
    ) {
        let (loaded, meta) = batch.event(item);
        let (loaded, meta) = (Arc::clone(loaded), *meta);
        if let Some(replayed) = loaded.replayed {
            self.replay_refused(&loaded, &meta, replayed, reason);
            self.shared.rejected.fetch_add(1, Relaxed);
            self.pending.open(item.slot);
            return;
        }
        if self.has_let_go(item, &loaded, &meta) {
            self.shared.rejected.fetch_add(1, Relaxed);
            return;
        }
        let key = self.keys.id(&loaded.place.flow, loaded.key(&meta));
        let detail = Detail {
            class: Some(class),
            attempts: self.attempts(batch, &loaded),
            edited: loaded.edited(),
            ..Detail::default()
        }
        .told(exchange.as_ref())
        .text();
        match loaded.redo {
            None => {
                if !self.has_room_for_exception() {
                    self.wait_for_room(batch, item, batch.in_doubt);
                    return;
                }
                let dead = self.exception(&loaded, &meta, ExceptionState::Dead, reason, detail);
                self.keys.rejected(key);
                self.pending.add(key, dead);
                self.finish(&loaded, &meta);
            }
            Some(again) if again.pass == 0 => {
                let overtaken = again.older || self.keys.is_overtaken(key, loaded.offset(&meta));
                let state = if overtaken {
                    ExceptionState::Overtaken
                } else {
                    ExceptionState::Dead
                };
                self.pending.change(Change {
                    detail: Some(detail),
                    ..Change::new(again.id, state, reason)
                });
                self.redone(again.id, &loaded, &meta);
            }
            Some(again) => {
                self.pending.change(Change {
                    detail: Some(detail),
                    ..Change::new(again.id, ExceptionState::Dead, reason)
                });
                if self.keys.pass_rejected(key, again.was) == After::Load {
                    let (flow, key) = (loaded.place.flow.clone(), loaded.key(&meta).to_owned());
                    self.pending.then_load.push(Redo::Key(flow, key));
                }
            }
        }
        self.dying.add(class);
        self.shared.rejected.fetch_add(1, Relaxed);
        self.pending.open(item.slot);
    }
}

/// What the log has of a failure: what the target wrote may hold a record's content, so its status is enough, whatever of ours
/// stands before that.
fn to_status(why: &str) -> &str {
    let said = why.find(ANSWERED).and_then(|at| {
        let length = why[at..].find(": ")?;
        Some(&why[..at + length])
    });
    said.unwrap_or(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_status_and_none_of_the_targets_words() {
        for (why, expected) in [
            (
                "the target answered 503 Service Unavailable: for DE12345: later",
                "the target answered 503 Service Unavailable",
            ),
            (
                "see auth.token_file /etc/t: the target answered 401 Unauthorized: DE12345",
                "see auth.token_file /etc/t: the target answered 401 Unauthorized",
            ),
            (
                "the target answered 401 Unauthorized",
                "the target answered 401 Unauthorized",
            ),
            ("no reply: timed out", "no reply: timed out"),
        ] {
            assert_eq!(to_status(why), expected);
        }
    }
}
