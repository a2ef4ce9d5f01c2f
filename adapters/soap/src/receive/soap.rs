//! SOAP calls.

use std::sync::{Arc, Mutex, PoisonError};

use dray_adapter::CallOutcome;
use dray_formats::xml::number_of;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use minijinja::{Value, context};
use sha2::{Digest as _, Sha256};

use super::config::{IdentityBy, SoapReceiveConfig};
use super::description::Description;
use super::exchange::{Answer, UNREADABLE};
use super::found::{ELSEWHERE, KEYLESS, Places, elsewhere};
use super::replies::{denied, faulted, later, plain, troubled};
use super::{Call, Dialect, Identity, Reply, Trouble};
use crate::content::Content;
use crate::envelope::{Envelope, Reader, Version, Wanted, namespace};
use crate::fault::{Fault, Special, enveloped};
use crate::fresh::Fresh;
use crate::key::composed;
use crate::security::{self, Account, Denied, Nonces, TokenRule, Use};
use crate::template::Template;

/// An operation as it is looked for.
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) root: (Option<usize>, String),
    pub(super) action: Option<String>,
    pub(super) identity: IdentityBy,
    pub(super) one_way: bool,
    pub(super) response: Option<Template>,
    /// The answer without a template.
    pub(super) plain: String,
    pub(super) places: Places,
}

impl Operation {
    /// The caller learns what is wrong with his call, and the operator by which setting.
    fn refused(&self, version: Version, reason: &str) -> Reply {
        Reply {
            reason: self.places.told(reason),
            ..faulted(version, &Fault::sender(reason), None)
        }
    }
}

/// What the template of an answer is filled with.
pub(super) fn answer_values(
    operation: &str,
    records: u64,
    repeated: bool,
    id: Option<&str>,
    message_id: Option<&str>,
) -> Value {
    context! { operation, records, repeated, id, message_id }
}

/// SOAP 1.1 and 1.2.
pub(super) struct Soap {
    pub(super) path: String,
    pub(super) namespaces: Vec<String>,
    pub(super) wanted: Arc<[Wanted]>,
    pub(super) operations: Vec<Operation>,
    pub(super) basic: Option<Fresh<Account>>,
    pub(super) token: Option<Fresh<TokenRule>>,
    pub(super) nonces: Mutex<Nonces>,
    pub(super) description: Option<Description>,
}

/// What stops the reading of a call.
enum Stopped {
    Fault(Fault),
    Denied(Denied),
    /// It lacks the key of the operation with this number.
    Keyless(usize),
    Disk,
}

impl From<std::io::Error> for Stopped {
    fn from(_: std::io::Error) -> Self {
        Self::Disk
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Denied> for Stopped {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<dray_formats::FileFault> for Stopped {
    fn from(dray_formats::FileFault(reason): dray_formats::FileFault) -> Self {
        Self::Fault(Fault::sender(reason))
    }
}

/// The media type, and the parameter `action`.
fn media(request: &Parts) -> (Option<Version>, Option<String>) {
    let header = request.headers.get(CONTENT_TYPE);
    let text = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let version = match parts
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "text/xml" => Some(Version::V11),
        "application/soap+xml" => Some(Version::V12),
        _ => None,
    };
    let action = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("action")
            .then(|| unquoted(value))
    });
    (version, action)
}

fn unquoted(value: &str) -> String {
    value.trim().trim_matches('"').to_owned()
}

/// What the transport says is called; empty says nothing.
fn action(request: &Parts) -> Option<String> {
    let (version, of_media) = media(request);
    let of_header = request.headers.get("soapaction").map(HeaderValue::to_str);
    let said = match version {
        Some(Version::V12) => of_media,
        _ => of_header.and_then(Result::ok).map(unquoted),
    };
    said.filter(|action| !action.is_empty())
}

impl Soap {
    fn envelope(&self, content: &mut Content) -> Result<Envelope, Stopped> {
        let mut reader = Reader::new(&self.namespaces, Arc::clone(&self.wanted));
        content.read::<Stopped>(&mut |window, end| Ok(reader.read(window, end)?))?;
        content.rewind()?;
        Ok(reader.finish().map_err(Fault::sender)?)
    }

    fn call(&self, request: &Parts, content: &mut Content, now_us: i64) -> Result<Call, Stopped> {
        let envelope = self.envelope(content)?;
        let (transport, _) = media(request);
        let version = envelope.version.unwrap_or(Version::V11);
        if transport.is_some_and(|transport| transport != version) {
            let text = "the envelope is of another SOAP than Content-Type says: text/xml goes with 1.1, application/soap+xml with 1.2";
            return Err(Fault {
                special: Some(Special::VersionMismatch),
                ..Fault::sender(text)
            }
            .into());
        }
        if let Some(header) = &envelope.not_understood {
            return Err(Fault {
                special: Some(Special::MustUnderstand),
                ..Fault::sender(format!("header {header} must be understood, and is not"))
            }
            .into());
        }
        let used = self.who(&envelope, now_us)?;
        if envelope.reply_elsewhere.is_some() {
            let text = "ReplyTo names another address; answers go to the caller alone";
            return Err(Fault::sender(text).into());
        }
        let Some((namespace, name)) = &envelope.root else {
            return Err(Fault::sender("the Body calls no operation").into());
        };
        let found = self.operations.iter().position(|operation| {
            let (wanted, local) = &operation.root;
            local == name && (wanted.is_none() || wanted == namespace)
        });
        let Some(number) = found else {
            return Err(Fault::sender(self.unknown(name, content)).into());
        };
        let operation = &self.operations[number];
        for said in [action(request), envelope.action.clone()]
            .into_iter()
            .flatten()
        {
            if operation
                .action
                .as_ref()
                .is_some_and(|action| *action != said)
            {
                let text = "the action is not that of the operation that the Body calls";
                return Err(Fault::sender(text).into());
            }
        }
        let identity = self.identity(number, &envelope)?;
        // Without it the message would be taken a second time.
        if used == Use::Again && identity.is_none() {
            return Err(Denied::Replayed.into());
        }
        Ok(Call {
            operation: number,
            identity,
            version,
            message_id: envelope.message_id,
        })
    }

    /// That a Body calls nothing of these; where it is for its namespace, with both.
    fn unknown(&self, name: &str, content: &mut Content) -> String {
        let came = namespace::of_body(content);
        let mut roots = self.operations.iter().map(|operation| &operation.root);
        let same = roots.find(|(_, local)| local == name);
        match same.and_then(|(number, _)| self.namespaces.get((*number)?)) {
            Some(uri) => format!(
                "no operation here takes {name} of {came}: it is configured with {}",
                namespace::shown(Some(uri))
            ),
            None => format!("no operation here takes {name} of {came}"),
        }
    }

    fn identity(&self, number: usize, envelope: &Envelope) -> Result<Option<Identity>, Stopped> {
        let operation = &self.operations[number];
        let content = envelope.body_sha256;
        let with = |id: String| Identity {
            id: format!("{}/{id}", operation.name),
            content,
        };
        if !envelope.values.is_empty() {
            let values: Option<Vec<&str>> = envelope.values.iter().map(Option::as_deref).collect();
            let Some(values) = values else {
                return Err(Stopped::Keyless(number));
            };
            return Ok(Some(with(composed(&values))));
        }
        Ok(match operation.identity {
            IdentityBy::MessageId => envelope.message_id.clone().map(with),
            IdentityBy::Content => Some(with(hex::encode(content))),
        })
    }

    /// Whether the caller is who he must be.
    fn who(&self, envelope: &Envelope, now_us: i64) -> Result<Use, Denied> {
        let Some(rule) = self.token.as_ref().map(Fresh::get) else {
            return Ok(Use::First);
        };
        if let Some(times) = &envelope.timestamp {
            security::timestamp(times, now_us, rule.skew_us)?;
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        security::token(
            &rule,
            envelope.token.as_ref(),
            said(envelope),
            &mut nonces,
            now_us,
        )
    }
}

/// All by which a message is told from others.
fn said(envelope: &Envelope) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(envelope.body_sha256);
    hash.update(envelope.message_id.as_deref().unwrap_or_default());
    hash.finalize().into()
}

impl Soap {
    fn described(&self, request: &Parts) -> Reply {
        let query = request.uri.query().unwrap_or_default();
        let Some(description) = &self.description else {
            if !query.is_empty() {
                return plain(404, "no description of this endpoint is given here");
            }
            return plain(405, "this is a SOAP endpoint: calls are made by POST");
        };
        let Some(address) = description.address(request) else {
            return plain(400, "the request names no host");
        };
        match description.document(&address, query) {
            Ok(Some(body)) => Reply {
                content_type: Version::V11.content_type(),
                body,
                ..plain(200, "")
            },
            Ok(None) => plain(404, "the description of this endpoint is at ?wsdl"),
            Err(reason) => {
                tracing::warn!(reason, "the description could not be served");
                plain(500, "the description can't be served")
            }
        }
    }
}

impl Dialect for Soap {
    fn page(&self, request: &Parts) -> Option<Reply> {
        if request.uri.path() != self.path {
            return Some(Reply {
                reason: elsewhere(request.uri.path(), &self.path),
                ..plain(404, ELSEWHERE)
            });
        }
        match request.method {
            Method::POST => None,
            Method::GET | Method::HEAD => Some(self.described(request)),
            _ => Some(plain(405, "calls are made by POST")),
        }
    }

    fn admit(&self, request: &Parts) -> Result<(), Reply> {
        let (version, _) = media(request);
        let Some(version) = version else {
            let fault = Fault::sender(
                "Content-Type is text/xml for SOAP 1.1, application/soap+xml for 1.2",
            );
            return Err(faulted(Version::V11, &fault, Some(415)));
        };
        let Some(account) = &self.basic else {
            return Ok(());
        };
        let header = request.headers.get(AUTHORIZATION).map(HeaderValue::to_str);
        security::basic(&account.get(), header.and_then(Result::ok)).map_err(|denied| {
            let fault = Fault::sender("the caller is not known");
            Reply {
                challenge: Some("Basic realm=\"dray\", charset=\"UTF-8\""),
                outcome: CallOutcome::Denied,
                reason: denied.sentence().into(),
                ..faulted(version, &fault, Some(401))
            }
        })
    }

    fn read(&self, request: &Parts, content: &mut Content, now_us: i64) -> Result<Call, Reply> {
        let version = media(request).0.unwrap_or(Version::V11);
        self.call(request, content, now_us)
            .map_err(|stopped| match stopped {
                Stopped::Fault(fault) => faulted(version, &fault, None),
                Stopped::Denied(why) => denied(version, why),
                Stopped::Keyless(number) => self.operations[number].refused(version, KEYLESS),
                Stopped::Disk => Reply {
                    reason: UNREADABLE.into(),
                    ..self.trouble(request, Trouble::Busy)
                },
            })
    }

    fn reply(&self, call: &Call, answer: &Answer) -> Reply {
        let operation = &self.operations[call.operation];
        let (records, repeated) = match answer {
            Answer::Stored { records, repeated } => (*records, *repeated),
            Answer::Refused(reason) => return operation.refused(call.version, reason),
            Answer::Later(why) => {
                return Reply {
                    reason: (*why).into(),
                    ..faulted(call.version, &later(), None)
                };
            }
        };
        let stored = Reply {
            status: 200,
            content_type: call.version.content_type(),
            body: String::new(),
            later: false,
            challenge: None,
            outcome: answer.outcome(),
            reason: String::new(),
        };
        if operation.one_way {
            return Reply {
                status: 202,
                content_type: "",
                ..stored
            };
        }
        let id = call.identity.as_ref().map(|identity| identity.id.as_str());
        let message_id = call.message_id.as_deref();
        let values = || answer_values(&operation.name, records, repeated, id, message_id);
        let made = operation
            .response
            .as_ref()
            .map(|template| template.render(values()));
        let content = match made {
            None => &operation.plain,
            Some(Ok(ref content)) => content,
            // It is stored: who is told otherwise comes again, and again.
            Some(Err(reason)) => {
                tracing::warn!(
                    operation = operation.name,
                    reason,
                    "a call is stored, but the template of its answer fails: it is answered without it"
                );
                &operation.plain
            }
        };
        Reply {
            body: enveloped(call.version, content),
            ..stored
        }
    }

    fn trouble(&self, request: &Parts, trouble: Trouble) -> Reply {
        let version = media(request).0.unwrap_or(Version::V11);
        troubled(version, trouble)
    }
}

/// The configured root: its namespace's number, and its name.
pub(super) fn root(config: &SoapReceiveConfig, text: &str) -> (Option<usize>, String) {
    match text.split_once(':') {
        Some((prefix, name)) => {
            let number = number_of(prefix, &config.namespaces).ok();
            (number, name.to_owned())
        }
        None => (None, text.to_owned()),
    }
}
