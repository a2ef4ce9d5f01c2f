//! Each delivery is a conversation about one event: see [`crate::calls`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;

use super::http::{Ask, Connection, Reply};
use super::{Connector, Delivery, Promise, Told, Verdict};
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
        let outcome = self.turns(&delivery, &mut heard).await;
        if heard.may_go_on(&outcome) {
            self.is_in_doubt();
        }
        let last = heard.last.filter(|_| outcome.concerns_events());
        Told {
            verdict: Verdict::All(outcome),
            has_begun: heard.led_on,
            exchange: last.map(|(ask, reply)| self.connection.exchange(&ask, &reply)),
        }
    }

    async fn turns(&self, delivery: &Delivery, heard: &mut Heard) -> Outcome {
        let event = &delivery.events[0];
        let plain = delivery.body.slice(event.json.clone());
        let begun = Fields::of(&plain).and_then(|fields| {
            let later = delivery.later.as_ref();
            Ok((fields, self.program.talk(delivery.in_doubt, later)?))
        });
        let (fields, mut talk) = match begun {
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
            match self.turn(&mut talk, ask, heard).await {
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
}

impl Heard {
    /// Whether the target may still be at work on a request: one that it answered itself, it has ended.
    fn may_go_on(&self, outcome: &Outcome) -> bool {
        let ended = |(_, reply): &(Ask, Reply)| reply.answer().status < 500;
        match outcome {
            Outcome::Unknown(_) => true,
            Outcome::Transient(_) => !self.last.as_ref().is_some_and(ended),
            _ => false,
        }
    }
}

impl Connector for Conversation {
    fn deliver(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Told> {
        Box::pin(async move { self.hold(delivery).await })
    }

    fn verifies(&self) -> bool {
        self.program.verifies()
    }

    fn knock(&self, wait: Duration) -> Promise<'_, bool> {
        Box::pin(self.connection.knock(wait))
    }
}
