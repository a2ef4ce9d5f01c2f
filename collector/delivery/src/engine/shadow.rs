//! Events of flows in shadow: rendered and compared in place of being sent, one a request.

use std::sync::Arc;

use dray_store::{ShadowNote, ShadowRow};

use super::Engine;
use super::fault::caught;
use super::send::{Sent, encoded};
use crate::batch::{Batch, Renderer, Shape};
use crate::connectors::{Connector, Exchange};
use crate::mask::{HIDDEN, Values};
use crate::shadow::{Seen, Shadow, Subject, Verdict};
use crate::vet::Vetting;

/// Renders and compares the one event of a batch.
pub(super) async fn look(
    connector: Arc<dyn Connector>,
    (shadow, vetting): (Arc<Shadow>, Arc<Vetting>),
    renderer: Arc<Renderer>,
    shape: Shape,
    bytes_max: usize,
    mut batch: Batch,
    era: u64,
) -> Sent {
    let items = batch.items.clone();
    if !batch.is_encoded() {
        // What was told while it was live, or in parallel, stands in what would be sent now.
        if caught(vetting.remind(&mut batch)).await.is_none() {
            return Sent::fault(batch, items, era);
        }
    }
    let (batch, left_out) = encoded(renderer, shape, bytes_max, batch).await;
    let Some(left_out) = left_out else {
        return Sent::fault(batch, items, era);
    };
    let looking = async {
        match (batch.delivery(true), batch.plain()) {
            (Some(delivery), Ok(plain)) => {
                let subject = Subject {
                    delivery,
                    plain,
                    has_later: batch.has_later,
                };
                Some(shadow.look(connector, subject).await)
            }
            (Some(_), Err(poison)) => Some(Ok(Seen::new(Verdict::Poison, String::new(), poison.0))),
            (None, _) => None,
        }
    };
    match caught(looking).await {
        // What a target demands and waits for is looked at where something is sent.
        Some(seen) => Sent {
            seen,
            ..Sent::new(batch, era, left_out)
        },
        None => Sent::fault(batch, items, era),
    }
}

impl Engine {
    /// What came of a look.
    pub(super) fn take_seen(&mut self, sent: Sent) {
        let Sent {
            batch,
            era,
            left_out,
            seen,
            ..
        } = sent;
        for (item, poison) in left_out.poisoned {
            let seen = Seen::new(Verdict::Poison, String::new(), poison.0);
            self.note_seen(&batch, &item, seen);
        }
        match seen {
            Some(Ok(seen)) => {
                if self.shadow.asks() && seen.verdict != Verdict::Superseded {
                    // Nothing was delivered.
                    self.undecided(era);
                } else {
                    self.gate.unsent(era);
                }
                if let Some(item) = batch.items.first().copied() {
                    self.note_seen(&batch, &item, seen);
                }
            }
            Some(Err(outcome)) => self.take_outcome(batch, era, outcome, None),
            None => self.gate.unsent(era),
        }
    }

    /// Its tries are over, as far as they go in shadow: that is what the report says.
    pub(super) fn unread(&mut self, batch: &Batch, why: &str) {
        if let Some(item) = batch.items.first().copied() {
            let seen = Seen::new(Verdict::Unread, String::new(), why);
            self.note_seen(batch, &item, seen);
        }
    }

    /// What the report keeps.
    fn masked_seen(&self, mut seen: Seen, own: &Values) -> Seen {
        if self.mask.is_empty() {
            return seen;
        }
        let exchange = Exchange {
            request: seen.request,
            answer: String::new(),
        };
        let (exchange, reason) = self.masked_with(own, Some(&exchange), seen.detail.reason);
        seen.request = exchange.map_or_else(String::new, |exchange| exchange.request);
        seen.detail.reason = reason;
        let is_hidden = |ours: &String| own.has(ours.trim_matches('"'));
        for found in &mut seen.detail.differences {
            let hides = self.mask.hides(&found.field) || found.ours.as_ref().is_some_and(is_hidden);
            for value in [&mut found.ours, &mut found.theirs] {
                *value = value.take().map(|value| match hides {
                    true => HIDDEN.to_owned(),
                    false => own.text(&value),
                });
            }
        }
        seen
    }

    fn note_seen(&mut self, batch: &Batch, item: &crate::batch::Item, seen: Seen) {
        let (loaded, meta) = batch.event(item);
        let (loaded, meta) = (Arc::clone(loaded), *meta);
        let own = self.own_values(&loaded, &meta);
        let seen = self.masked_seen(seen, &own);
        let row = ShadowRow {
            id: 0,
            offset: loaded.offset(&meta),
            key: own.key(loaded.key(&meta)),
            verdict: seen.verdict.as_str().to_owned(),
            at_us: jiff::Timestamp::now().as_microsecond(),
            request: seen.request,
            detail: serde_json::to_string(&seen.detail).unwrap_or_default(),
        };
        let note = ShadowNote {
            row,
            counted: seen.fields,
        };
        self.shared
            .shadowed
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.pending.shadow.push((loaded.place.flow.clone(), note));
        self.finish(&loaded, &meta);
        self.pending.open(item.slot);
    }
}
