//! Messages of a JetStream stream, in order per key.
//!
//! Each event is published with its id as `Nats-Msg-Id` and is delivered when the stream has acknowledged it: the server
//! drops a repeat within its window (`duplicate_window`, 2 minutes by default). What may be there for longer, after a kill
//! or a lost reply, is looked up first: where the last message of the event's subject has its id, it is in. That is exact
//! for subjects that have the event's key in them, as of a key one event is on its way at a time.
//!
//! Only subjects of the stream are published at: a key is not let say something to the server or to anybody else.

mod link;
mod subject;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Connector, Delivery, Piece, Promise, Rendered, Told, Verdict, json_or};
use crate::config::TargetConfig;
use crate::config::nats::NatsConfig;
use crate::outcome::Outcome;
use crate::template::{Fields, Templates};

use link::{Link, Way};

/// Messages of a delivery that are on their way at once.
const AT_ONCE: usize = 500;
/// Messages that are looked for at once.
const LOOKS_AT_ONCE: usize = 50;
/// What the server knows a repeat by.
const ID_HEADER: &str = "Nats-Msg-Id";
const SUBJECT: &str = "nats.subject";
/// Bytes of a subject, at most. A server ends the connection, with all that is on its way, at a line of more than its
/// `max_control_line` (4,096 unless it says otherwise); the rest is for the reply's subject.
const SUBJECT_BYTES_MAX: usize = 2_048;
const PAYLOAD: &str = "nats.payload";

/// See the module.
#[derive(Debug)]
struct Nats {
    config: NatsConfig,
    way: Way,
    templates: Templates,
    timeout: Duration,
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
    /// The stream has taken a subject of ours: one that it doesn't take is its event's fault, and not the configuration's.
    fits: AtomicBool,
}

/// An event as it is published.
#[derive(Debug)]
struct Message {
    subject: String,
    payload: Bytes,
    id: String,
}

/// The templates of a message, compiled and tried.
pub(super) fn templates(config: &TargetConfig) -> Result<Templates, String> {
    let nats = config.nats.as_ref().ok_or("nats: its table is missing")?;
    let mut templates = Templates::new(&config.vars);
    let setting = |setting: &str, reason: String| format!("{setting}: {reason}");
    templates
        .add(SUBJECT, &nats.subject)
        .map_err(|reason| setting(SUBJECT, reason))?;
    if !nats.payload.is_empty() {
        templates
            .add(PAYLOAD, &nats.payload)
            .map_err(|reason| setting(PAYLOAD, reason))?;
    }
    templates.try_samples(&config.bodies)?;
    Ok(templates)
}

/// The connector of a target; reads its secret and authorities.
pub(super) fn build(config: &TargetConfig) -> Result<Arc<dyn Connector>, String> {
    let nats = config.nats.as_ref().ok_or("nats: its table is missing")?;
    let templates = templates(config)?;
    Ok(Arc::new(Nats {
        config: nats.clone(),
        way: Way::new(config, nats, config.concurrency * AT_ONCE)?,
        templates,
        timeout: config.timeout,
        link: tokio::sync::Mutex::default(),
        fits: AtomicBool::new(false),
    }))
}

impl Nats {
    async fn tell(&self, delivery: &Delivery) -> Told {
        let link = match self.link().await {
            Ok(link) => link,
            Err(outcome) => return outcome.into(),
        };
        let in_doubt = delivery.in_doubt && self.config.verify;
        let mut outcomes = Vec::with_capacity(delivery.events.len());
        for pieces in delivery.events.chunks(AT_ONCE) {
            let messages: Vec<_> = pieces
                .iter()
                .map(|piece| self.message(delivery, piece))
                .collect();
            let publish = self.publish(&link, messages, in_doubt);
            match timeout(self.timeout, publish).await {
                Ok(told) => outcomes.extend(told),
                Err(_) => outcomes.extend(pieces.iter().map(|_| {
                    Outcome::Unknown(format!("no acknowledgement within {:?}", self.timeout))
                })),
            }
        }
        if link.is_lost() {
            self.drop_link(&link).await;
        }
        Told {
            kept: std::collections::BTreeMap::new(),
            verdict: Verdict::Each(outcomes.into_iter().map(Into::into).collect()),
            has_begun: false,
            exchange: None,
        }
    }

    fn message(&self, delivery: &Delivery, piece: &Piece) -> Result<Message, Outcome> {
        let json = delivery.body.slice(piece.json.clone());
        let fields = Fields::of(&json).map_err(|poison| Outcome::Poison(poison.0))?;
        let render = |name| {
            let made = self.templates.render(name, &fields, &BTreeMap::new());
            made.map_err(|poison| Outcome::Poison(poison.0))
        };
        let subject = render(SUBJECT)?;
        if subject.len() > SUBJECT_BYTES_MAX {
            return Err(Outcome::Poison(format!(
                "{SUBJECT}: it has {} bytes, and at most {SUBJECT_BYTES_MAX} are published: let the template make it shorter",
                subject.len()
            )));
        }
        if !subject::is_one(&subject) {
            return Err(Outcome::Poison(format!(
                "{SUBJECT}: {subject:?} is no subject; it has an empty part, white space, \"*\" or \">\": let the template replace it"
            )));
        }
        let payload = match self.config.payload.is_empty() {
            true => json.clone(),
            false => render(PAYLOAD)?.into(),
        };
        Ok(Message {
            subject,
            payload,
            id: piece.id.to_string(),
        })
    }

    /// What would be published of one event.
    fn rendered(&self, delivery: &Delivery) -> Result<Rendered, Outcome> {
        let message = self.message(delivery, &delivery.events[0])?;
        let payload = String::from_utf8_lossy(&message.payload);
        Ok(Rendered {
            request: format!(
                "PUB {}\n{ID_HEADER}: {}\n\n{payload}",
                message.subject, message.id
            ),
            document: Some(json_or(message.payload, delivery)),
        })
    }

    /// Publishes messages and waits for what became of each.
    async fn publish(
        &self,
        link: &Arc<Link>,
        messages: Vec<Result<Message, Outcome>>,
        in_doubt: bool,
    ) -> Vec<Outcome> {
        let mut sent = Vec::with_capacity(messages.len());
        let messages = self.fitting(link, messages).await;
        for message in self.not_there(link, messages, in_doubt).await {
            sent.push(match message {
                Ok(message) => self.send(link, message).await,
                Err(outcome) => Sent::Not(outcome),
            });
        }
        let mut outcomes = Vec::with_capacity(sent.len());
        for sent in sent {
            outcomes.push(match sent {
                Sent::Not(outcome) => outcome,
                Sent::Acked(subject, ack) => {
                    let acked = tokio::select! {
                        biased;
                        acked = ack.into_future() => acked,
                        () = link.lost() => {
                            outcomes.push(Outcome::Unknown("the connection broke before the acknowledgement".into()));
                            continue;
                        }
                    };
                    match acked {
                        Ok(_) => Outcome::Done,
                        Err(error) => self.meaning(link, &subject, &error).await,
                    }
                }
            });
        }
        outcomes
    }

    /// What the stream doesn't take is not published: nobody knows who listens there, as the server itself does at `$JS.API`.
    async fn fitting(
        &self,
        link: &Link,
        messages: Vec<Result<Message, Outcome>>,
    ) -> Vec<Result<Message, Outcome>> {
        let fits = |message: &Message| link.takes(&message.subject);
        if messages.iter().flatten().all(fits) {
            if messages.iter().any(Result::is_ok) {
                self.fits.store(true, Relaxed);
            }
            return messages;
        }
        // It may have been changed since.
        let looked = link.look(&self.config.stream).await;
        if messages.iter().flatten().any(fits) {
            self.fits.store(true, Relaxed);
        }
        let fitting = |message: Message| match &looked {
            _ if fits(&message) => Ok(message),
            Err(outcome) => Err(outcome.clone()),
            Ok(subjects) => Err(self.unfit(&message.subject, subjects)),
        };
        messages
            .into_iter()
            .map(|message| message.and_then(&fitting))
            .collect()
    }

    fn unfit(&self, subject: &str, subjects: &[String]) -> Outcome {
        let (stream, only) = (&self.config.stream, subjects.join(", "));
        if subject.starts_with('$') || self.fits.load(Relaxed) {
            return Outcome::Poison(format!(
                "{SUBJECT}: the stream {stream} does not take the subject {subject}, only {only}: let the template replace what leads elsewhere"
            ));
        }
        Outcome::Misconfigured(format!(
            "the stream {stream} does not take the subject {subject}, only {only}: nats stream edit {stream} --subjects ...; or mend nats.subject"
        ))
    }

    /// What the stream has already is done. Looked for at once: one after the other, far away, they would outlast the time
    /// limit at each try.
    async fn not_there(
        &self,
        link: &Arc<Link>,
        messages: Vec<Result<Message, Outcome>>,
        in_doubt: bool,
    ) -> Vec<Result<Message, Outcome>> {
        if !in_doubt {
            return messages;
        }
        let good = messages.iter().flatten();
        let wanted = good.map(|message| (message.subject.clone(), message.id.clone()));
        let mut found = self.look_for(link, wanted.collect()).await.into_iter();
        let mut left = |message: Message| match found.next() {
            Some(Ok(true)) => Err(Outcome::Done),
            Some(Err(outcome)) => Err(outcome),
            Some(Ok(false)) | None => Ok(message),
        };
        messages
            .into_iter()
            .map(|message| message.and_then(&mut left))
            .collect()
    }

    async fn send(&self, link: &Link, message: Message) -> Sent {
        let publish = PublishMessage::build()
            .payload(message.payload)
            .message_id(&message.id)
            .expected_stream(&self.config.stream);
        let subject = message.subject.clone();
        match link.context.send_publish(message.subject, publish).await {
            Ok(ack) => Sent::Acked(subject, ack),
            Err(error) => Sent::Not(match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => {
                    Outcome::Rejected(format!("the server takes no message so large: {error}"))
                }
                _ => Outcome::Unknown(format!("it could not be published: {error}")),
            }),
        }
    }

    /// Of each message, whether the stream has it: whether it is the last one of its subject.
    async fn look_for(
        &self,
        link: &Arc<Link>,
        wanted: Vec<(String, String)>,
    ) -> Vec<Result<bool, Outcome>> {
        let mut found: Vec<_> = wanted.iter().map(|_| Ok(false)).collect();
        let mut looks = JoinSet::new();
        let mut wanted = wanted.into_iter().enumerate();
        loop {
            while looks.len() < LOOKS_AT_ONCE
                && let Some((at, (subject, id))) = wanted.next()
            {
                let link = Arc::clone(link);
                looks.spawn(async move { (at, is_there(&link, &subject, &id).await) });
            }
            match looks.join_next().await {
                Some(Ok((at, Ok(is_there)))) => found[at] = Ok(is_there),
                Some(Ok((at, Err(said)))) => {
                    found[at] = Err(match said {
                        None => Outcome::Unknown("the connection broke".into()),
                        Some(said) => Outcome::Transient(format!(
                            "the stream {} does not say what it has: {said}; a user without the right to ask it needs nats.verify = false",
                            self.config.stream
                        )),
                    });
                }
                Some(Err(error)) if error.is_panic() => {
                    std::panic::resume_unwind(error.into_panic())
                }
                Some(Err(_)) => {}
                None => return found,
            }
        }
    }

    async fn meaning(
        &self,
        link: &Link,
        subject: &str,
        error: &async_nats::jetstream::context::PublishError,
    ) -> Outcome {
        let said = format!("{}: {error}", self.config.stream);
        match error.kind() {
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Outcome::Unknown(said),
            // Nobody takes the subject: a person's work, or a server that has only just begun.
            PublishErrorKind::StreamNotFound => match link.look(&self.config.stream).await {
                Err(outcome) => outcome,
                Ok(_) if link.takes(subject) => Outcome::Transient(said),
                Ok(subjects) => self.unfit(subject, &subjects),
            },
            _ if said.contains("expected stream") => Outcome::Misconfigured(format!(
                "another stream than {} takes the subject {subject}: mend nats.stream or nats.subject ({said})",
                self.config.stream
            )),
            _ if said.contains("message size exceeds") => Outcome::Rejected(said),
            // Limits of a stream or an account, a leader that is being chosen.
            _ => Outcome::Transient(said),
        }
    }

    async fn link(&self) -> Result<Arc<Link>, Outcome> {
        let mut held = self.link.lock().await;
        if let Some(link) = held.as_ref().filter(|link| !link.is_lost()) {
            return Ok(Arc::clone(link));
        }
        *held = None;
        let opened = timeout(self.timeout, Link::open(&self.way, &self.config.stream)).await;
        let opened = opened.unwrap_or_else(|_| {
            Err(Outcome::Unreachable(format!(
                "no server of nats.servers answers within {:?}",
                self.timeout
            )))
        });
        let link = Arc::new(opened?);
        *held = Some(Arc::clone(&link));
        Ok(link)
    }

    async fn drop_link(&self, link: &Arc<Link>) {
        let mut held = self.link.lock().await;
        if held.as_ref().is_some_and(|same| Arc::ptr_eq(same, link)) {
            *held = None;
        }
    }
}

/// Whether the last message of a subject has this id; no words: the connection broke.
async fn is_there(link: &Link, subject: &str, id: &str) -> Result<bool, Option<String>> {
    let asked = link.stream.get_last_raw_message_by_subject(subject);
    let asked = tokio::select! {
        asked = asked => asked,
        () = link.lost() => return Err(None),
    };
    match asked {
        Ok(last) => {
            let last = last.headers.get(ID_HEADER);
            Ok(last.is_some_and(|last| last.as_str() == id))
        }
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
        Err(error) => Err(Some(error.to_string())),
    }
}

/// A message on its way, or why it is not.
#[derive(Debug)]
enum Sent {
    Not(Outcome),
    Acked(String, PublishAckFuture),
}

impl Connector for Nats {
    fn deliver(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Told> {
        Box::pin(async move { self.tell(&delivery).await })
    }

    fn render(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Result<Rendered, Outcome>> {
        Box::pin(std::future::ready(self.rendered(&delivery)))
    }

    fn verifies(&self) -> bool {
        self.config.verify
    }

    fn knock(&self, wait: Duration) -> Promise<'_, bool> {
        Box::pin(async move {
            let knocks = async {
                for server in self.config.servers() {
                    if TcpStream::connect(server).await.is_ok() {
                        return true;
                    }
                }
                false
            };
            timeout(wait, knocks).await.unwrap_or(false)
        })
    }
}
