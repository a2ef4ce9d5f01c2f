//! What may be read of what was sent, answered and said.

use super::Engine;
use crate::answer::ANSWERED;
use crate::connectors::Exchange;
use crate::mask::Values;
use crate::window::{Loaded, Meta};

impl Engine {
    /// What is kept of a request, its answer and the reason.
    pub(super) fn masked(
        &self,
        exchange: Option<&Exchange>,
        reason: String,
    ) -> (Option<Exchange>, String) {
        if self.mask.is_empty() {
            return (exchange.cloned(), reason);
        }
        let said = exchange.cloned().unwrap_or_default();
        let (said, reason) = self.mask.exchange(said, reason);
        (exchange.map(|_| said), reason)
    }

    /// The same of what is said about one event: its own masked values are hidden, too, sent or not.
    pub(super) fn masked_of(
        &self,
        loaded: &Loaded,
        meta: &Meta,
        exchange: Option<&Exchange>,
        reason: String,
    ) -> (Option<Exchange>, String) {
        let own = self.own_values(loaded, meta);
        self.masked_with(&own, exchange, reason)
    }

    /// The same, where its values are known.
    pub(super) fn masked_with(
        &self,
        own: &Values,
        exchange: Option<&Exchange>,
        reason: String,
    ) -> (Option<Exchange>, String) {
        let (exchange, reason) = self.masked(exchange, reason);
        match exchange {
            Some(exchange) => {
                let (exchange, reason) = own.exchange(exchange, reason);
                (Some(exchange), reason)
            }
            None => (None, own.text(&reason)),
        }
    }

    /// What is hidden of an event. It is written for this, so once for all that is said of it.
    pub(super) fn own_values(&self, loaded: &Loaded, meta: &Meta) -> Values {
        let (offset, event) = (loaded.offset(meta), loaded.event(meta));
        self.mask.of_event(&loaded.place, offset, event)
    }

    /// An event's key as it may be read.
    pub(super) fn shown_key(&self, loaded: &Loaded, meta: &Meta) -> String {
        self.own_values(loaded, meta).key(loaded.key(meta))
    }

    /// What is told of a failure. Without its request nobody knows what of the target's words is hidden: then its status is
    /// enough.
    pub(super) fn hidden(&self, why: String, exchange: Option<&Exchange>) -> String {
        if self.mask.is_empty() {
            return why;
        }
        match why.split_once(": ") {
            Some((status, _)) if exchange.is_none() && status.starts_with(ANSWERED) => {
                status.to_owned()
            }
            _ => self.masked(exchange, why).1,
        }
    }
}
