//! Each delivery is a conversation about one event: see [`crate::calls`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::http::{Ask, Connection, Reply};
use super::{Connector, Delivery, Exchange, Promise, Told, Verdict};
use crate::calls::{Program, Talk, Turn};
use crate::outcome::Outcome;
use crate::template::Fields;

/// See the module.
#[derive(Debug)]
pub(super) struct Conversation {
    connection: Connection,
    program: Program,
}

impl Conversation {
    pub(super) fn new(connection: Connection, program: Program) -> Self {
        Self {
            connection,
            program,
        }
    }

    async fn hold(&self, delivery: Delivery) -> Told {
        let mut last = None;
        let outcome = self.turns(&delivery, &mut last).await;
        let exchange = last.filter(|_| outcome.concerns_events());
        Told {
            verdict: Verdict::All(outcome),
            exchange,
        }
    }

    /// `last`: the last request that was answered, with its answer.
    async fn turns(&self, delivery: &Delivery, last: &mut Option<Exchange>) -> Outcome {
        let event = &delivery.events[0];
        let plain = delivery.body.slice(event.json.clone());
        let begun = Fields::of(&plain).and_then(|fields| {
            Ok((
                fields,
                self.program
                    .talk(delivery.in_doubt, delivery.later.as_ref())?,
            ))
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
            match self.turn(&mut talk, &ask, last).await {
                Ok(Turn::Again) => {}
                Ok(Turn::End(outcome)) | Err(outcome) => return outcome,
            }
        }
    }

    /// One call; again, once, where its answer means that the target does not know us.
    async fn turn(
        &self,
        talk: &mut Talk<'_>,
        ask: &Ask,
        last: &mut Option<Exchange>,
    ) -> Result<Turn, Outcome> {
        let mut hear = |reply: &Reply| {
            *last = Some(self.connection.exchange(ask, reply));
            talk.hear(&reply.answer(), Timestamp::now())
        };
        let reply = self.connection.ask(ask).await?;
        let turn = hear(&reply);
        if let Turn::End(Outcome::Auth(_)) = turn
            && let Some(reply) = self.connection.again(ask, &reply).await?
        {
            return Ok(hear(&reply));
        }
        Ok(turn)
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
