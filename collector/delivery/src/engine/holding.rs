//! Events that name what the target has not got: on disk, until it has, or for so long that somebody must look.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use dray_store::{Change, DueWait, ExceptionState, Kept, Reference, StoreError, Wait, Waits};

use super::Engine;
use super::persist::{Done, Op, failed};
use crate::batch::{Batch, Item};
use crate::connectors::Exchange;
use crate::detail::{Awaited, Detail};
use crate::outcome::{Class, Missing};
use crate::policy::Redo;

/// Keys that are looked for at once.
const PAGE: usize = 200;
/// How often it is counted how many wait too long.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// More than these are counted less often: 50 ms a million.
const MANY: u64 = 100_000;
/// The longest time without a look: a clock that was set shows itself soon.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long after a warning that events wait too long the next one may follow.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// Bytes of a value that is kept, at most: a longer one is none, as the part of an id is another id.
pub const KEPT_VALUE_BYTES_MAX: usize = 1_024;

/// What is looked at next.
#[derive(Debug)]
pub(super) struct Holding {
    /// Something may be due.
    look_due: bool,
    /// Where the look goes on.
    after: u64,
    /// When the next one is due, or overdue, microseconds since 1970-01-01T00:00:00Z.
    next_us: Option<i64>,
    /// When it is to be counted again how many wait too long, the same.
    count_us: Option<i64>,
    counted: Option<Instant>,
    warned: Option<Instant>,
}

impl Default for Holding {
    fn default() -> Self {
        Self {
            look_due: true,
            after: 0,
            next_us: None,
            count_us: None,
            counted: None,
            warned: None,
        }
    }
}

/// What a look found.
pub(super) struct Looked {
    /// `None`: it was only counted.
    due: Option<Vec<DueWait>>,
    waits: Option<Waits>,
    /// How much the target knows: another one may have told it.
    known: u64,
}

impl Engine {
    /// An event waits for what it names. Its key is closed meanwhile, whatever the policy.
    pub(super) fn hold_for(
        &mut self,
        batch: &Batch,
        item: &Item,
        missing: Missing,
        exchange: Option<&Exchange>,
    ) {
        let (loaded, meta) = batch.event(item);
        let (loaded, meta) = (Arc::clone(loaded), *meta);
        if let Some(replayed) = loaded.replayed {
            // A replay makes no exceptions: its report says why it was not sent.
            let (_, reason) = self.masked_of(&loaded, &meta, exchange, missing.reason);
            self.replay_refused(&loaded, &meta, replayed, reason);
            self.shared.rejected.fetch_add(1, Relaxed);
            self.pending.open(item.slot);
            return;
        }
        if self.has_let_go(item, &loaded, &meta) {
            return;
        }
        let now_us = jiff::Timestamp::now().as_microsecond();
        let before = loaded.told.as_ref();
        let awaited = before.and_then(|told| told.awaits.as_ref());
        let since_us = match (before, awaited) {
            (Some(told), Some(_)) if told.since_us > 0 => told.since_us,
            _ => now_us,
        };
        let end_us = since_us.saturating_add(micros(self.config.holds.give_up_after));
        if now_us >= end_us {
            let reason = format!(
                "it waited for {}, which never came: {}; deliver what it names, or see that the target has it, then retry",
                humantime::format_duration(self.config.holds.give_up_after),
                missing.reason
            );
            self.reject(batch, item, Class::MissingReference, reason, exchange);
            return;
        }
        if loaded.redo.is_none() && !self.has_room_for_exception() {
            self.wait_for_room(batch, item, batch.in_doubt);
            return;
        }
        let tries = awaited.map_or(0, |awaited| awaited.tries);
        let asked_us = now_us.saturating_add(micros(self.config.holds.interval(tries)));
        let due_us = if missing.told {
            asked_us.min(end_us)
        } else {
            end_us
        };
        let reference = missing.reference;
        let own = self.own_values(&loaded, &meta);
        let (exchange, said) = self.masked_with(&own, exchange, missing.reason);
        let (of, name) = match &reference {
            Some(Reference { of, name }) => (of.clone(), name.clone()),
            None => Default::default(),
        };
        let name = self.masked_with(&own, None, name).1;
        let attempts = if missing.told {
            self.attempts(batch, &loaded)
        } else {
            before.map_or(0, |told| told.attempts)
        };
        let detail = Detail {
            attempts,
            since_us,
            awaits: Some(Awaited {
                of,
                name,
                tries: tries.saturating_add(1),
            }),
            edited: loaded.edited(),
            ..Detail::default()
        }
        .told(exchange.as_ref());
        self.pending.remember.wait.push(Wait {
            flow: loaded.place.flow.clone(),
            offset: loaded.offset(&meta),
            reference,
            due_us,
            alarm_us: since_us.saturating_add(micros(self.config.holds.alarm_after)),
            // It is the target that said so: that it was delivered once changes nothing.
            unless_known: !missing.told,
        });
        let key = self.keys.id(&loaded.place.flow, loaded.key(&meta));
        let reason = format!("{said}: it waits for that");
        match loaded.redo {
            None => {
                let state = ExceptionState::Awaits;
                let exception = self.exception(&loaded, &meta, state, reason, detail.text());
                self.keys.put_off(key);
                self.pending.add(key, exception);
                self.finish(&loaded, &meta);
            }
            Some(again) => {
                self.pending.change(Change {
                    detail: Some(detail.text()),
                    ..Change::new(again.id, ExceptionState::Awaits, reason)
                });
                self.redoing.remove(&again.id);
                self.keys.put_off_again(key, again.pass > 0, again.was);
            }
        }
        self.pending.open(item.slot);
    }

    /// The target lacks what one of the events names, or all. Halves find out which.
    pub(super) fn lacks(&mut self, batch: Batch, missing: Missing, exchange: Option<&Exchange>) {
        if batch.items.len() > 1 && batch.is_encoded() {
            self.again.extend(batch.halves());
            return;
        }
        for item in &batch.items {
            self.hold_for(&batch, item, missing.clone(), exchange);
        }
    }

    /// What an answer told is kept with the next step, whatever the answer means.
    pub(super) fn keep(
        &mut self,
        batch: &mut Batch,
        told: std::collections::BTreeMap<String, String>,
    ) {
        let Some(item) = batch.items.first() else {
            return;
        };
        let (loaded, meta) = batch.event(item);
        let (flow, key) = (loaded.place.flow.clone(), loaded.key(meta).to_owned());
        for (name, value) in told {
            if value.len() > KEPT_VALUE_BYTES_MAX {
                let reason = format!(
                    "the answer's {name:?} has {} bytes, at most {KEPT_VALUE_BYTES_MAX} are kept: it was not",
                    value.len()
                );
                tracing::warn!(
                    name,
                    bytes = value.len(),
                    "a value of an answer is too long to be kept"
                );
                self.shared.note_error(&reason);
                continue;
            }
            batch.kept.insert(name.clone(), value.clone());
            self.pending.remember.keep.push(Kept {
                flow: flow.clone(),
                key: key.clone(),
                name,
                value,
            });
            self.pending.urgent = true;
        }
    }

    /// A step is on disk that may have made something due.
    pub(super) fn look_again(&mut self) {
        (self.holding.look_due, self.holding.after) = (true, 0);
    }

    /// When to look next, where nothing asks for it at once.
    pub(super) fn hold_deadline(&self, now: Instant) -> Option<Instant> {
        let waits_for_more = self.holding.look_due || self.op.is_some() || self.reload_due;
        if waits_for_more || self.stopping.is_some() || !self.gate.is_up() {
            return None;
        }
        let times = [self.holding.next_us, self.holding.count_us];
        let next_us = times.into_iter().flatten().min()?;
        let left_us = next_us - jiff::Timestamp::now().as_microsecond();
        let left = Duration::from_micros(u64::try_from(left_us).unwrap_or(0));
        let counted = self.holding.counted.map(|counted| counted + COUNT_EVERY);
        // A millisecond more: the timer is no finer, and what looks too early looks twice.
        let due = now + left.min(LOOK_EVERY) + Duration::from_millis(1);
        Some(counted.map_or(due, |counted| due.max(counted)))
    }

    pub(super) fn is_look_due(&mut self, now: Instant) -> bool {
        if self.stopping.is_some() || self.reload_due {
            return false;
        }
        let now_us = jiff::Timestamp::now().as_microsecond();
        let is_past = |time: Option<i64>| time.is_some_and(|time| time <= now_us);
        let may_count = self
            .holding
            .counted
            .is_none_or(|counted| now >= counted + COUNT_EVERY);
        self.holding.look_due |= may_count && is_past(self.holding.next_us);
        let counts = may_count && is_past(self.holding.count_us);
        // What was found is loaded first: there may be very much.
        (self.holding.look_due || counts) && self.redo.len() < PAGE && self.gate.is_up()
    }

    pub(super) fn look_for_due(&mut self) -> Op {
        // What is overdue may only be counted: what was due before stays so where its flow is not sent.
        let looks = std::mem::take(&mut self.holding.look_due);
        let (store, target, after) = (
            Arc::clone(&self.store),
            self.config.name.clone(),
            self.holding.after,
        );
        let counts = self
            .holding
            .counted
            .is_none_or(|counted| counted.elapsed() >= COUNT_EVERY);
        Box::pin(async move {
            let look = move || {
                let now_us = jiff::Timestamp::now().as_microsecond();
                Ok::<_, StoreError>(Looked {
                    due: looks
                        .then(|| store.due_waits(&target, now_us, after, PAGE))
                        .transpose()?,
                    waits: counts.then(|| store.waits(&target, now_us)).transpose()?,
                    known: store.remembered(&target)?.0,
                })
            };
            match tokio::task::spawn_blocking(look).await {
                Ok(Ok(looked)) => Done::Looked(looked),
                Ok(Err(error)) => failed(error.to_string(), Vec::new()).await,
                Err(error) => failed(error.to_string(), Vec::new()).await,
            }
        })
    }

    pub(super) fn take_looked(&mut self, looked: Looked) {
        self.vetting.counted(looked.known);
        if let Some(due) = looked.due {
            self.holding.after = match due.last() {
                Some(last) if due.len() == PAGE => last.id,
                _ => 0,
            };
            self.holding.look_due |= self.holding.after > 0;
            // Of a flow that is not sent nothing is loaded: a start that sends it looks again.
            let (catalogue, target) = (&self.config.catalogue, &self.config.name);
            let sent = |due: &DueWait| catalogue.phase(&due.flow, target).sends();
            let keys = due.into_iter().filter(sent);
            let keys = keys.map(|due| Redo::Key(due.flow, due.key)).collect();
            self.want(keys);
        }
        match looked.waits {
            Some(waits) => self.take_waits(&waits),
            // What comes next was not asked for: soon.
            None => {
                self.holding.next_us = Some(jiff::Timestamp::now().as_microsecond());
            }
        }
    }

    fn take_waits(&mut self, waits: &Waits) {
        let now = Instant::now();
        self.holding.counted = Some(now);
        (self.holding.next_us, self.holding.count_us) = (waits.next_us, None);
        let soon = if waits.total > MANY {
            LOOK_EVERY
        } else {
            COUNT_EVERY
        };
        let soon_us = jiff::Timestamp::now().as_microsecond() + micros(soon);
        if waits.overdue > 0 {
            // Nobody says when one that is overdue waits no longer.
            self.holding.count_us = Some(soon_us);
        }
        if waits.total > 0 && self.vetting.looks_elsewhere() {
            // Nor when another target got what one waits for.
            let next_us = waits.next_us;
            self.holding.next_us = Some(next_us.map_or(soon_us, |next_us| next_us.min(soon_us)));
        }
        let before = self.shared.missing_overdue.swap(waits.overdue, Relaxed);
        self.shared.note_overdue(self.overdue_note(waits));
        let quiet = self
            .holding
            .warned
            .is_some_and(|warned| now < warned + WARN_EVERY);
        if waits.overdue <= before || quiet {
            return;
        }
        self.holding.warned = Some(now);
        tracing::warn!(
            overdue = waits.overdue,
            "events wait too long for what they name"
        );
    }

    /// What is told of those that wait too long now.
    fn overdue_note(&self, waits: &Waits) -> String {
        if waits.overdue == 0 {
            return String::new();
        }
        let after = humantime::format_duration(self.config.holds.alarm_after);
        let first = match &waits.oldest {
            // Its name may be what is masked in an event that is not at hand.
            Some(Reference { of, .. }) if !self.mask.is_empty() => {
                format!(", the first for one of {of:?}")
            }
            Some(Reference { of, name }) => format!(", the first for {of} {name:?}"),
            None => String::new(),
        };
        format!(
            "{} event(s) wait longer than {after} for what the target has not got{first}; \"dray-collector dead-letters list\" shows them",
            waits.overdue
        )
    }
}

/// A time in microseconds; one too long for that is the longest.
pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
