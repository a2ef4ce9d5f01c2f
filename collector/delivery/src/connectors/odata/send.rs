//! Requests on their way: one as it is, several as a $batch, and what their answers mean.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ACCEPT, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use dray_proto::EventId;
use jiff::Timestamp;

use super::make::Maker;
use super::part::{Part, Request};
use super::write::Meaning;
use super::{json_batch, multipart};
use crate::account::Account;
use crate::answer::A_PAGE;
use crate::calls::Ruling;
use crate::config::TargetConfig;
use crate::config::odata::{BatchFormat, OdataConfig};
use crate::connectors::Exchange;
use crate::connectors::apart::apart;
use crate::connectors::http::{ANSWER_BYTES_MAX, Ask, Connection, Reply};
use crate::connectors::sign_in::csrf;
use crate::outcome::Outcome;

/// How much an answer may have for each part of a $batch.
const PART_BYTES: usize = 16 * 1024;
/// How much of the answer to a $batch is read; one that is longer makes the next ones smaller.
const BATCH_ANSWER_MAX: usize = 16 * 1024 * 1024;
/// How much of all that a target answers at once: it is in memory twice while it is taken apart.
const BATCH_ANSWERS_MAX: usize = 64 * 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Service {
    connection: Connection,
    rules: Ruling,
    maker: Arc<Maker>,
    format: BatchFormat,
    /// How much of an answer is read.
    answer_max: usize,
    /// Of the outer request of a $batch.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What came of requests that were sent together.
pub(super) enum Sent {
    /// Each was answered, or not.
    Parts(Vec<Option<Part>>),
    /// The same for all.
    Whole {
        outcome: Outcome,
        /// It may have had its effect.
        has_begun: bool,
        exchange: Option<Exchange>,
    },
}

impl Service {
    pub(super) fn new(
        config: &TargetConfig,
        odata: &OdataConfig,
        account: Option<Arc<Account>>,
        maker: Arc<Maker>,
    ) -> Result<Self, String> {
        Ok(Self {
            connection: Connection::new(config, account)?,
            rules: Ruling::compile(&config.rules)?,
            headers: maker.batch_headers(),
            maker,
            format: odata.batch_format(),
            answer_max: BATCH_ANSWER_MAX.min(BATCH_ANSWERS_MAX / config.concurrency.max(1)),
        })
    }

    pub(super) async fn knock(&self, wait: Duration) -> bool {
        self.connection.knock(wait).await
    }

    /// What an answer means; no answer: *unknown*.
    pub(super) fn meaning(&self, part: Option<&Part>) -> Meaning {
        let Some(part) = part else {
            return Meaning {
                outcome: Outcome::Unknown("the answer to the $batch says nothing of it".into()),
                is_ruled: false,
            };
        };
        let (answer, now) = (part.answer(), Timestamp::now());
        let ruled = self.rules.ruled(&answer, now);
        Meaning {
            is_ruled: ruled.is_some(),
            outcome: ruled.map_or_else(
                || match part.status {
                    // Nothing was done: a token ended that was fetched just before, as in a storm of them.
                    403 if says_required(&part.headers) => Outcome::Transient(answer.reason(None)),
                    // Nor here, as another one failed.
                    424 => Outcome::Transient(answer.reason(None)),
                    200..=299 if answer.is_page() => Outcome::Unknown(answer.reason(Some(A_PAGE))),
                    _ => Outcome::of(&answer, now),
                },
                |(outcome, _)| outcome,
            ),
        }
    }

    /// What a rule keeps of an answer.
    pub(super) fn kept(&self, part: &Part) -> BTreeMap<String, String> {
        let ruled = self.rules.ruled(&part.answer(), Timestamp::now());
        ruled.map(|(_, kept)| kept).unwrap_or_default()
    }

    /// Sends one as it is, several as a $batch. Once more, where all were told that the service does not know us.
    pub(super) async fn send(&self, requests: &[Request], atomic: bool, event: EventId) -> Sent {
        let items = multipart::items(requests, self.maker.version(), atomic);
        let ask = match requests {
            [one] => self.single(one, event),
            all => self.batch(all, &items, atomic, event),
        };
        let ask = match ask {
            Ok(ask) => ask,
            Err(reason) => return whole(Outcome::Poison(reason)),
        };
        let mut reply = match self.connection.ask(&ask).await {
            Ok(reply) => reply,
            Err(outcome) => return whole(outcome),
        };
        let sent = self.read(requests, &items, &ask, &mut reply).await;
        let is_unknown_to = |part: &Option<Part>| {
            let part = part.as_ref();
            part.is_some() && matches!(self.meaning(part).outcome, Outcome::Auth(_))
        };
        let nobody_knows_us = match &sent {
            Sent::Parts(parts) => parts.iter().all(is_unknown_to),
            Sent::Whole { outcome, .. } => matches!(outcome, Outcome::Auth(_)),
        };
        if !nobody_knows_us {
            return sent;
        }
        match self.connection.again(&ask, &reply).await {
            Ok(Some(mut reply)) => self.read(requests, &items, &ask, &mut reply).await,
            Ok(None) => sent,
            Err(outcome) => whole(outcome),
        }
    }

    fn single(&self, request: &Request, event: EventId) -> Result<Ask, String> {
        let url = self.connection.resolve(&self.maker.url(&request.path))?;
        let mut ask = Ask::new(request.method.clone(), event);
        ask.url = Some(url);
        ask.headers.clone_from(&request.headers);
        ask.body = request.body.clone().unwrap_or_default().into();
        Ok(ask)
    }

    fn batch(
        &self,
        requests: &[Request],
        items: &[multipart::Item],
        atomic: bool,
        event: EventId,
    ) -> Result<Ask, String> {
        let mut ask = Ask::new(Method::POST, event);
        ask.url = Some(self.connection.resolve(&self.maker.url("$batch"))?);
        ask.headers.clone_from(&self.headers);
        ask.answer_max = (ANSWER_BYTES_MAX + requests.len() * PART_BYTES).min(self.answer_max);
        let (accept, kind, body) = match self.format {
            BatchFormat::Json => (
                "application/json",
                "application/json".to_owned(),
                json_batch::write(requests, atomic),
            ),
            BatchFormat::Multipart => {
                let boundary = format!("batch{:016x}", rand::random::<u64>());
                let body = multipart::write(requests, items, &boundary);
                let kind = format!("multipart/mixed; boundary={boundary}");
                ("multipart/mixed", kind, body)
            }
        };
        let kind = HeaderValue::try_from(kind).map_err(|error| error.to_string())?;
        ask.headers.push((ACCEPT, HeaderValue::from_static(accept)));
        ask.headers.push((CONTENT_TYPE, kind));
        ask.body = body.into();
        Ok(ask)
    }

    /// Takes an answer apart, and its body out of it where it is that of a $batch.
    async fn read(
        &self,
        requests: &[Request],
        items: &[multipart::Item],
        ask: &Ask,
        reply: &mut Reply,
    ) -> Sent {
        let part = || Part {
            status: reply.status,
            headers: reply.headers.clone(),
            body: reply.body.clone(),
            of_all: false,
        };
        if requests.len() == 1 {
            return Sent::Parts(vec![Some(part())]);
        }
        // Rules speak of parts: where there are some, each is asked of by itself.
        let holds_parts = (200..300).contains(&reply.status) && !reply.answer().is_page();
        let outcome = match holds_parts {
            true => Outcome::Done,
            false => self.meaning(Some(&part())).outcome,
        };
        if outcome != Outcome::Done {
            let exchange = Some(self.connection.exchange(ask, reply));
            return Sent::Whole {
                outcome: self.of_batch(reply.status, outcome),
                // What stands in front of a service says 503 of a request that the service goes on with.
                has_begun: reply.status >= 500,
                exchange,
            };
        }
        if reply.body.len() >= ask.answer_max {
            return Sent::Whole {
                outcome: Outcome::TooLarge(format!(
                    "the answer to a $batch of {} is longer than {} bytes",
                    requests.len(),
                    ask.answer_max
                )),
                has_begun: true,
                exchange: None,
            };
        }
        let (format, count, items) = (self.format, requests.len(), items.to_vec());
        let (headers, body) = (reply.headers.clone(), std::mem::take(&mut reply.body));
        let body_bytes = body.len();
        let read = move || match format {
            BatchFormat::Json => json_batch::read(&body, count),
            BatchFormat::Multipart => {
                let kind = headers.get(CONTENT_TYPE);
                let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
                multipart::read(kind, &body, &items, count)
            }
        };
        let read = apart(body_bytes, read).await;
        match read {
            Ok(parts) => Sent::Parts(parts),
            Err(reason) => whole(Outcome::Unknown(reason)),
        }
    }

    /// What a refusal of the whole $batch means.
    fn of_batch(&self, status: u16, outcome: Outcome) -> Outcome {
        let is_strange = matches!(status, 404 | 405 | 406 | 415 | 501);
        match outcome {
            Outcome::Misconfigured(said) | Outcome::Transient(said) if is_strange => {
                let other = match self.format {
                    BatchFormat::Json => "odata.batch_format = \"multipart\", or ",
                    BatchFormat::Multipart => "",
                };
                Outcome::Misconfigured(format!(
                    "{said}; it was asked for a $batch: see that url is the service's root, or write {other}batch = 1"
                ))
            }
            other => other,
        }
    }

    /// A request as it would be sent alone.
    ///
    /// # Errors
    /// A sentence: it has no address.
    pub(super) fn shown(&self, request: &Request, event: EventId) -> Result<String, String> {
        let ask = self.single(request, event)?;
        Ok(self.connection.shown(&ask))
    }

    pub(super) fn exchange(&self, request: &Request, part: &Part, event: EventId) -> Exchange {
        let Ok(ask) = self.single(request, event) else {
            return Exchange::default();
        };
        let reply = Reply {
            status: part.status,
            headers: part.headers.clone(),
            body: part.body.clone(),
            worn: None,
        };
        self.connection.exchange(&ask, &reply)
    }
}

fn whole(outcome: Outcome) -> Sent {
    Sent::Whole {
        outcome,
        has_begun: false,
        exchange: None,
    }
}

/// Whether a request was refused for its token against cross-site request forgery.
fn says_required(headers: &HeaderMap) -> bool {
    let said = headers.get(csrf::TOKEN);
    said.is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(b"required"))
}
