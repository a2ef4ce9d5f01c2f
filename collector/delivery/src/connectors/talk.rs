//! Each delivery is a conversation about one event: see [`crate::calls`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;

use super::http::{Ask, Connection, Reply};
use super::{Connector, Delivery, Promise, Rendered, Told, Verdict, json_or};
use crate::calls::{Program, Talk, Turn};
use crate::outcome::Outcome;
use crate::template::Fields;

/// See the module.
#[derive(Debug)]
pub(super) struct Conversation {
    connection: Connection,
    program: Program,
    /// When something may last have been sent whose outcome nobody knows: at first, before this start.
    doubt_at: Mutex<Instant>,
}

impl Conversation {
    pub(super) fn new(connection: Connection, program: Program) -> Self {
        Self {
            connection,
            program,
            doubt_at: Mutex::new(Instant::now()),
        }
    }

    /// Until the target must have ended what was sent before: what it is still at work on, nobody can find.
    async fn let_it_end(&self) {
        let doubt_at = *self.doubt_at.lock().unwrap_or_else(PoisonError::into_inner);
        let end = doubt_at + self.program.verify_after();
        tokio::time::sleep_until(end.into()).await;
    }

    fn is_in_doubt(&self) {
        *self.doubt_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn hold(&self, delivery: Delivery) -> Told {
        let mut heard = Heard::default();
        if delivery.in_doubt && self.program.verifies() {
            self.let_it_end().await;
        }
        let outcome = self.turns(&delivery, &mut heard, false).await;
        if heard.may_go_on(&outcome) {
            self.is_in_doubt();
        }
        let kept = std::mem::take(&mut heard.kept);
        let has_begun = heard.led_on || heard.may_stand(&outcome);
        let last = heard.last.filter(|_| outcome.concerns_events());
        Told {
            verdict: Verdict::All(outcome),
            has_begun,
            exchange: last.map(|(ask, reply)| self.connection.exchange(&ask, &reply)),
            kept,
        }
    }

    /// `dry`: it ends before the first request that may change something.
    async fn turns(&self, delivery: &Delivery, heard: &mut Heard, dry: bool) -> Outcome {
        let event = &delivery.events[0];
        let plain = delivery.body.slice(event.json.clone());
        let begun = Fields::of(&plain).and_then(|mut fields| {
            fields.keep(&delivery.kept);
            let (later, knows) = (delivery.later.as_ref(), !delivery.kept.is_empty());
            Ok((fields, self.program.talk(delivery.in_doubt, later, knows)?))
        });
        let (mut fields, mut talk) = match begun {
            Ok(begun) => begun,
            Err(poison) => return Outcome::Poison(poison.0),
        };
        loop {
            let request = match talk.request(&fields) {
                Ok(request) => request,
                Err(poison) => return Outcome::Poison(poison.0),
            };
            let mut ask = Ask::new(request.method, event.id);
            ask.headers = request.headers;
            ask.body = request.body.map_or_else(|| plain.clone(), Bytes::from);
            if let Some(url) = &request.url {
                match self.connection.resolve(url) {
                    Ok(url) => ask.url = Some(url),
                    Err(reason) => return Outcome::Poison(reason),
                }
            }
            if dry && !talk.reads() {
                heard.would_send = Some(ask);
                return Outcome::Done;
            }
            let turn = self.turn(&mut talk, ask, heard).await;
            let told = talk.take_kept();
            if !told.is_empty() {
                heard.kept.extend(told);
                let mut kept = delivery.kept.clone();
                kept.extend(heard.kept.clone());
                fields.keep(&kept);
            }
            match turn {
                Ok(Turn::Again) => heard.led_on = true,
                Ok(Turn::End(outcome)) | Err(outcome) => return outcome,
            }
        }
    }

    /// One call; again, once, where its answer means that the target does not know us.
    async fn turn(
        &self,
        talk: &mut Talk<'_>,
        ask: Ask,
        heard: &mut Heard,
    ) -> Result<Turn, Outcome> {
        let mut reply = self.connection.ask(&ask).await?;
        let mut turn = talk.hear(&reply.answer(), Timestamp::now());
        if let Turn::End(Outcome::Auth(_)) = turn
            && let Some(fresh) = self.connection.again(&ask, &reply).await?
        {
            turn = talk.hear(&fresh.answer(), Timestamp::now());
            reply = fresh;
        }
        heard.last = Some((ask, reply));
        Ok(turn)
    }
}

/// What was heard in a conversation.
#[derive(Default)]
struct Heard {
    /// The last request that was answered, and its answer.
    last: Option<(Ask, Reply)>,
    /// An answer led to another call.
    led_on: bool,
    /// Where it was dry: what would have been sent next.
    would_send: Option<Ask>,
    /// What is to be kept of the key.
    kept: BTreeMap<String, String>,
}

impl Conversation {
    async fn dry(&self, delivery: Delivery) -> Result<Rendered, Outcome> {
        let mut heard = Heard::default();
        let outcome = self.turns(&delivery, &mut heard, true).await;
        if let Some(ask) = heard.would_send {
            return Ok(Rendered {
                request: self.connection.shown(&ask),
                document: Some(json_or(ask.body, &delivery)),
            });
        }
        match outcome {
            Outcome::Done => Ok(Rendered {
                request: String::new(),
                document: None,
            }),
            other => Err(other),
        }
    }
}

impl Heard {
    /// Whether the target may still be at work on a request: one that it answered itself, it has ended.
    fn may_go_on(&self, outcome: &Outcome) -> bool {
        let ended = |(_, reply): &(Ask, Reply)| reply.answer().status < 500;
        match outcome {
            Outcome::Unknown(_) => true,
            Outcome::Transient(_) => !self.last.as_ref().is_some_and(ended),
            Outcome::Throttled(..) => self.broke_down(),
            _ => false,
        }
    }

    /// Whether the last request may have had its effect although its answer asks for time, or for somebody: what stands in front
    /// of a server says 503 of a request that the server goes on with. A 429 says that nothing was begun.
    fn may_stand(&self, outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Throttled(..) | Outcome::Misconfigured(_)) && self.broke_down()
    }

    fn broke_down(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|(_, reply)| reply.answer().status >= 500)
    }
}

impl Connector for Conversation {
    fn deliver(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Told> {
        Box::pin(async move { self.hold(delivery).await })
    }

    fn render(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Result<Rendered, Outcome>> {
        Box::pin(async move { self.dry(delivery).await })
    }

    fn verifies(&self) -> bool {
        self.program.verifies()
    }

    fn knock(&self, wait: Duration) -> Promise<'_, bool> {
        Box::pin(self.connection.knock(wait))
    }
}
