//! Each delivery is one POST: a batch of events as a JSON array, or one as an object. A webhook is one too, and what its
//! receiver answers means what Standard Webhooks say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;

use super::http::{Ask, Connection, Reply};
use super::{Connector, Delivery, Promise, Rendered, Told, Verdict};
use crate::calls::Ruling;
use crate::config::{Kind, TargetConfig};
use crate::outcome::Outcome;

/// What an answer means, and what is kept of it.
type Meaning = (Outcome, BTreeMap<String, String>);

/// See the module.
#[derive(Debug)]
pub(super) struct Post {
    connection: Connection,
    rules: Ruling,
    /// The header that carries the one event's id.
    id_header: Option<HeaderName>,
}

impl Post {
    pub(super) fn new(connection: Connection, config: &TargetConfig) -> Result<Self, String> {
        let id_header = (config.batch == 1 && !config.id_header.is_empty())
            .then(|| HeaderName::try_from(config.id_header.as_str()))
            .transpose()
            .map_err(|_| {
                format!(
                    "id_header: {:?} is not the name of a header",
                    config.id_header
                )
            })?;
        Ok(Self {
            connection,
            rules: match config.kind {
                Kind::Webhook => Ruling::of_webhooks(&config.rules)?,
                _ => Ruling::compile(&config.rules)?,
            },
            id_header,
        })
    }

    fn request(&self, delivery: Delivery) -> Ask {
        let first = delivery.events[0].id;
        let mut ask = Ask::new(Method::POST, first);
        if let Some(name) = &self.id_header
            && let Ok(value) = HeaderValue::try_from(first.to_string())
        {
            ask.headers.push((name.clone(), value));
        }
        ask.body = delivery.body;
        ask
    }

    async fn post(&self, delivery: Delivery) -> Told {
        let ask = self.request(delivery);
        match self.ask(&ask).await {
            Ok((reply, (outcome, kept))) => {
                let exchange = outcome
                    .concerns_events()
                    .then(|| self.connection.exchange(&ask, &reply));
                Told {
                    verdict: Verdict::All(outcome),
                    has_begun: false,
                    exchange,
                    kept,
                }
            }
            Err(outcome) => outcome.into(),
        }
    }

    /// The answer and what it means; asked again, once, where a rule says that the target does not know us.
    async fn ask(&self, ask: &Ask) -> Result<(Reply, Meaning), Outcome> {
        let meaning = |reply: &Reply| self.rules.outcome(&reply.answer(), Timestamp::now());
        let reply = self.connection.ask(ask).await?;
        let meant = meaning(&reply);
        if let Outcome::Auth(_) = meant.0
            && let Some(reply) = self.connection.again(ask, &reply).await?
        {
            let meant = meaning(&reply);
            return Ok((reply, meant));
        }
        Ok((reply, meant))
    }
}

impl Connector for Post {
    fn deliver(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Told> {
        Box::pin(async move { self.post(delivery).await })
    }

    fn render(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Result<Rendered, Outcome>> {
        let document = delivery.document();
        let request = self.connection.shown(&self.request(delivery));
        Box::pin(std::future::ready(Ok(Rendered {
            request,
            document: Some(document),
        })))
    }

    fn reads_events(&self) -> bool {
        false
    }

    fn knock(&self, wait: Duration) -> Promise<'_, bool> {
        Box::pin(self.connection.knock(wait))
    }
}
