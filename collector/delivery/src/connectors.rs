//! What a target's engine hands events to, one module a kind.
//!
//! A connector never fails: whatever went wrong is an [`Outcome`]. It keeps nothing that must survive: the engine writes
//! down what came of a delivery, and hands over again what it has no outcome of.

mod apart;
mod connection;
mod file;
pub mod http;
mod nats;
mod odata;
mod place;
mod post;
mod read;
pub(crate) mod sign_in;
mod sql;
mod talk;
mod tls;
mod trust;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dray_proto::{EventId, FlowName, Offset};

use crate::account::Account;
use crate::calls::Later;
use crate::config::{Kind, TargetConfig};
use crate::outcome::Outcome;

use self::http::Connection;
use self::post::Post;
pub(crate) use self::read::Reads;
use self::talk::Conversation;

/// Bytes of a request or an answer that a dead letter keeps.
pub const KEPT_BYTES_MAX: usize = 4 * 1024;

/// Events to deliver together.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Their JSON: an object for one, else an array.
    pub body: Bytes,
    /// Each event, in order; at least one. Where [`Connector::reads_events`] says no, the first alone.
    pub events: Vec<Piece>,
    /// An earlier try may have had its effect.
    pub in_doubt: bool,
    /// Where a conversation about the one event was left.
    pub later: Option<Later>,
    /// What is kept of the one event's key.
    pub kept: BTreeMap<String, String>,
}

impl Delivery {
    /// The first event's JSON.
    #[must_use]
    pub fn document(&self) -> Bytes {
        let json = self.events.first().map_or(0..0, |event| event.json.clone());
        self.body.slice(json)
    }
}

/// One event of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its id.
    pub id: EventId,
    /// Where its JSON stands in the body.
    pub json: Range<usize>,
    /// It was an exception: such ones come again whatever [`Connector::settled`] said.
    pub again: bool,
    /// It is of a replay: such ones come whatever [`Connector::settled`] said, and that the target has had it must not keep it away.
    pub replayed: bool,
}

/// What came of a delivery.
#[derive(Debug)]
pub struct Told {
    /// See [`Verdict`].
    pub verdict: Verdict,
    /// Something of it may have had its effect: an earlier call of the conversation was answered, or the last answer was a 5xx.
    pub has_begun: bool,
    /// The last request and its answer, where it may matter to a person.
    pub exchange: Option<Exchange>,
    /// Of a delivery of one event: what is to be kept of its key from now on.
    pub kept: BTreeMap<String, String>,
}

/// Of all the events, or of each.
#[derive(Debug)]
pub enum Verdict {
    /// The same for all: refused, the batch is unrolled to find its bad event.
    All(Outcome),
    /// One an event, in the order of the delivery: refused, it is that event that was.
    Each(Vec<Fate>),
}

/// What came of one event of several.
#[derive(Debug)]
pub struct Fate {
    /// What it means.
    pub outcome: Outcome,
    /// Its own request and answer, where it may matter to a person.
    pub exchange: Option<Exchange>,
}

impl From<Outcome> for Fate {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            exchange: None,
        }
    }
}

/// A request and its answer as a dead letter keeps them: no secret stands in them, and at most [`KEPT_BYTES_MAX`] each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exchange {
    /// "POST http://erp.example/api", and the body.
    pub request: String,
    /// "422 Unprocessable Entity", and the body.
    pub answer: String,
}

impl From<Outcome> for Told {
    fn from(outcome: Outcome) -> Self {
        Self {
            verdict: Verdict::All(outcome),
            has_begun: false,
            exchange: None,
            kept: BTreeMap::new(),
        }
    }
}

/// What a delivery of one event would send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Whole, as far as it holds no secret.
    pub request: String,
    /// The document in it, JSON; `None`: nothing would be sent.
    pub document: Option<Bytes>,
}

/// The document of what would be sent: the event's JSON where that is no JSON itself.
fn json_or(sent: Bytes, delivery: &Delivery) -> Bytes {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&sent).is_ok();
    if is_json { sent } else { delivery.document() }
}

/// A future that a connector gives back.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// See the module.
pub trait Connector: Debug + Send + Sync {
    /// Delivers. Called for many deliveries at once, as many as `concurrency` says; each request of it within the target's
    /// time limit.
    fn deliver(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Told>;

    /// What it would send of a delivery of one event. Calls that change nothing may be made on the way; nothing else may.
    ///
    /// # Errors
    /// The outcome of a call that reads, or poison.
    fn render(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Result<Rendered, Outcome>>;

    /// Whether it looks at each event of a delivery, or takes the body as it is.
    fn reads_events(&self) -> bool {
        true
    }

    /// Whether a delivery that is [`Delivery::in_doubt`] begins by looking: then it is one after a kill too.
    fn verifies(&self) -> bool {
        false
    }

    /// Cursors are on disk: up to these offsets, nothing but what is [`Piece::again`] or [`Piece::replayed`] comes another time.
    fn settled(&self, through: &[(FlowName, Offset)]) {
        let _ = through;
    }

    /// Whether anybody listens: called every [`crate::engine::KNOCK_EVERY`] after [`Outcome::Unreachable`].
    fn knock(&self, wait: Duration) -> Promise<'_, bool>;
}

/// What [`build`] would refuse of what is written in the table: reads no file.
///
/// # Errors
/// A sentence.
pub(crate) fn check(config: &TargetConfig) -> Result<(), String> {
    match config.kind {
        Kind::Http | Kind::Soap | Kind::Webhook => Ok(()),
        Kind::Sql => sql::columns(config).map(|_| ()),
        Kind::File => file::columns(config).map(|_| ()),
        Kind::Nats => nats::templates(config).map(|_| ()),
        Kind::Odata => odata::check(config),
    }
}

/// The target's connector; reads secrets and CAs, connects to nothing.
///
/// # Errors
/// A sentence.
pub(crate) fn build(
    config: &TargetConfig,
    account: Option<Arc<Account>>,
) -> Result<Arc<dyn Connector>, String> {
    match config.kind {
        Kind::Http | Kind::Soap | Kind::Webhook => {}
        Kind::Sql => return sql::build(config),
        Kind::File => return file::build(config),
        Kind::Nats => return nats::build(config),
        Kind::Odata => return odata::build(config, account),
    }
    let connection = Connection::new(config, account)?;
    if config.calls.call.is_empty() && config.kind != Kind::Soap {
        return Ok(Arc::new(Post::new(connection, config)?));
    }
    Ok(Arc::new(Conversation::new(connection, config.program()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &[u8] = br#"{"id":"0b","site":"north","flow":"stock","offset":7,"key":"A'1","type":"item","data":{"item_number":"A'1","description":"Nut"}}"#;

    /// The request and the document of an event, on a target that nobody hears of.
    async fn rendered(table: &str) -> (String, serde_json::Value) {
        let config: TargetConfig =
            toml::from_str(&format!("name = \"erp\"\n{table}")).expect("it parses");
        assert_eq!(config.validate(), [""; 0], "{table}");
        let connector = build(&config, None).expect("it is built");
        let delivery = Delivery {
            body: Bytes::from_static(EVENT),
            events: vec![Piece {
                id: EventId::new([7; 10], 1, 0),
                json: 0..EVENT.len(),
                again: false,
                replayed: false,
            }],
            in_doubt: false,
            later: None,
            kept: BTreeMap::new(),
        };
        let rendered = connector.render(delivery).await.expect("it is rendered");
        let document = rendered.document.expect("something would be sent");
        (
            rendered.request,
            serde_json::from_slice(&document).expect("JSON"),
        )
    }

    #[tokio::test]
    async fn each_kind_renders_what_it_would_send_without_sending_it() {
        let row = serde_json::json!({"code": "A'1", "name": "Nut", "lot": null});
        for (table, requests, document) in [
            (
                "kind = \"odata\"\nurl = \"http://127.0.0.1:1/root\"\n[odata]\nentity = \"Items\"\nkey = [\"code\"]\n\
                 body = '{\"code\": {{ key | tojson }}, \"name\": {{ data.description | tojson }}, \"lot\": null}'",
                ["PATCH http://127.0.0.1:1/root/Items('A''1')", "\"Nut\""],
                &row,
            ),
            (
                "kind = \"sql\"\n[sql]\nserver = \"sqlite\"\nfile = \"/nowhere/x.db\"\ntable = \"items\"\nkey = [\"code\"]\n\
                 columns = { code = \"key\", name = \"data.description\", lot = \"data.unit\" }",
                ["INSERT INTO \"items\"", "[\"A'1\",null,\"Nut\"]"],
                &row,
            ),
            (
                "kind = \"file\"\n[file]\nfolder = \"/nowhere\"\nformat = \"csv\"\n[[file.field]]\nname = \"code\"\nvalue = \"key\"\n\
                 [[file.field]]\nname = \"name\"\nvalue = \"data.description\"\n[[file.field]]\nname = \"lot\"\nvalue = \"data.unit\"",
                ["A'1", "Nut"],
                &row,
            ),
            (
                "kind = \"nats\"\n[nats]\nservers = [\"127.0.0.1:1\"]\nin_clear_text = true\nstream = \"S\"\nsubject = \"items.{{ key | plain }}\"\n\
                 payload = '{\"code\": {{ key | tojson }}, \"name\": {{ data.description | tojson }}, \"lot\": null}'",
                ["PUB items.A_271", "\"Nut\""],
                &row,
            ),
        ] {
            let (request, made) = rendered(table).await;
            for part in requests {
                assert!(request.contains(part), "{part} is not in {request}");
            }
            assert_eq!(made, *document, "{table}");
        }
    }
}
