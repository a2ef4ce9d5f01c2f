//! Calls without an envelope.

use dray_adapter::{CallOutcome, Value};
use dray_formats::{Format, Gather, Sink as _};
use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::config::HookConfig;
use super::signature::Signature;
use crate::content::Content;
use crate::envelope::Version;
use crate::fresh::Fresh;
use crate::key::composed;
use crate::reading::Fault;
use crate::receive::exchange::{Answer, UNREADABLE};
use crate::receive::make::{ELSEWHERE, IDLESS, Places, elsewhere};
use crate::receive::{Call, Dialect, Identity, Reply, Trouble};
use crate::security::{self, Account, Denied};

/// One kind of call.
pub(super) struct Hook {
    pub(super) config: HookConfig,
    pub(super) format: Format,
    pub(super) places: Places,
}

impl Hook {
    /// The caller learns what is wrong with his call, and the operator by which setting.
    fn refused(&self, reason: &str) -> Reply {
        Reply {
            reason: self.places.told(reason),
            ..failed(422, reason)
        }
    }
}

/// JSON or XML by POST.
pub(super) struct Webhook {
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) hooks: Vec<Hook>,
    pub(super) signature: Option<Fresh<Signature>>,
    /// A header, and what it must say.
    pub(super) api_key: Option<Fresh<(String, String)>>,
    pub(super) basic: Option<Fresh<Account>>,
}

/// `{"error":"..."}`.
fn failed(status: u16, reason: &str) -> Reply {
    Reply {
        status,
        content_type: "application/json",
        body: format!("{{\"error\":{}}}", quoted(reason)),
        later: false,
        challenge: None,
        outcome: CallOutcome::Refused,
        reason: reason.into(),
    }
}

/// A JSON text.
fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            control if control < ' ' => json.push_str(&format!("\\u{:04x}", control as u32)),
            letter => json.push(letter),
        }
    }
    json.push('"');
    json
}

fn later(why: &str) -> Reply {
    Reply {
        later: true,
        outcome: CallOutcome::Later,
        reason: why.into(),
        ..failed(
            503,
            "the call can't be stored now; please send it again later",
        )
    }
}

fn broken(reason: &str) -> Reply {
    Reply {
        outcome: CallOutcome::Broken,
        ..failed(408, reason)
    }
}

fn header<'r>(request: &'r Parts, name: &str) -> Option<&'r str> {
    let value = request.headers.get(name).map(HeaderValue::to_str);
    value.and_then(Result::ok).map(str::trim)
}

impl Webhook {
    fn hook(&self, request: &Parts) -> Option<usize> {
        self.hooks.iter().position(|hook| {
            let when = hook.config.when.as_ref();
            when.is_none_or(|when| header(request, &when.header) == Some(when.value.as_str()))
        })
    }

    /// Why no hook takes a call: the header that tells them apart is missing, or says something else.
    fn no_hook(&self, request: &Parts) -> String {
        let mut names: Vec<&str> = Vec::new();
        for when in self
            .hooks
            .iter()
            .filter_map(|hook| hook.config.when.as_ref())
        {
            if !names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&when.header))
            {
                names.push(&when.header);
            }
        }
        let (here, missing): (Vec<&str>, Vec<&str>) = names
            .into_iter()
            .partition(|name| request.headers.contains_key(*name));
        match (here.as_slice(), missing.as_slice()) {
            ([], missing) => format!(
                "no hook takes it: the header {} is missing, by which hooks are told apart",
                missing.join(" or ")
            ),
            (here, _) => format!(
                "no hook takes it: none has what the header {} says",
                here.join(" or ")
            ),
        }
    }

    fn denied(&self, denied: Denied) -> Reply {
        Reply {
            challenge: self
                .basic
                .as_ref()
                .map(|_| "Basic realm=\"dray\", charset=\"UTF-8\""),
            outcome: CallOutcome::Denied,
            reason: denied.sentence().into(),
            ..failed(401, "the caller is not known, or the call is too old")
        }
    }

    /// What tells the call from others.
    fn identity(
        &self,
        hook: &Hook,
        request: &Parts,
        content: &mut Content,
    ) -> Result<Option<Identity>, Fault> {
        let config = &hook.config;
        if !config.knows_repeats() {
            return Ok(None);
        }
        let mut hash = Sha256::new();
        content.read::<Fault>(&mut |window, end| {
            hash.update(window);
            Ok((window.len(), end && window.is_empty()))
        })?;
        content.rewind()?;
        let digest: [u8; 32] = hash.finalize().into();
        let missing = || Fault::Call(IDLESS.into());
        let id = if let Some(name) = &config.id_header {
            let is_given = request.headers.contains_key(name);
            if is_given && header(request, name).is_none() {
                return Err(Fault::Call(format!(
                    "its id is not readable: the header {name} holds more than ASCII"
                )));
            }
            let id = header(request, name).filter(|id| !id.is_empty());
            id.ok_or_else(missing)?.to_owned()
        } else if config.key.is_empty() {
            hex::encode(digest)
        } else {
            first(&hook.format, content, &config.key)?.ok_or_else(missing)?
        };
        Ok(Some(Identity {
            id: format!("{}/{id}", config.name),
            content: digest,
        }))
    }
}

/// Columns of the first record, put together; `None` where one has no value.
fn first(
    format: &Format,
    content: &mut Content,
    columns: &[String],
) -> Result<Option<String>, Fault> {
    let mut decoder = format.decoder(0);
    let mut gather = Gather::with_limits(1, 1);
    content.read::<Fault>(&mut |window, end| {
        let decoded = decoder.decode(window, end, &mut gather)?;
        Ok((decoded.bytes, decoded.done || gather.full()))
    })?;
    content.rewind()?;
    let Some(record) = gather.records.get(0) else {
        return Ok(None);
    };
    let names = &record.shape().columns;
    let mut parts = Vec::new();
    for column in columns {
        let at = names.iter().position(|name| name == column);
        match at.map(|at| record.value(at)) {
            Some(Value::Text(text)) if !text.is_empty() => parts.push(text),
            _ => return Ok(None),
        }
    }
    Ok(Some(composed(&parts)))
}

impl Dialect for Webhook {
    fn page(&self, request: &Parts) -> Option<Reply> {
        if request.uri.path() != self.path {
            return Some(Reply {
                reason: elsewhere(request.uri.path(), &self.path),
                ..failed(404, ELSEWHERE)
            });
        }
        (request.method != Method::POST).then(|| failed(405, "calls are made by POST"))
    }

    fn admit(&self, request: &Parts) -> Result<(), Reply> {
        if let Some(key) = &self.api_key {
            let (name, wanted) = &*key.get();
            let given = header(request, name).ok_or_else(|| self.denied(Denied::Missing))?;
            if !security::same(given.as_bytes(), wanted.trim().as_bytes()) {
                return Err(self.denied(Denied::Wrong));
            }
        }
        if let Some(account) = &self.basic {
            let given = request.headers.get(AUTHORIZATION).map(HeaderValue::to_str);
            security::basic(&account.get(), given.and_then(Result::ok))
                .map_err(|denied| self.denied(denied))?;
        }
        Ok(())
    }

    fn read(&self, request: &Parts, content: &mut Content, now_us: i64) -> Result<Call, Reply> {
        if let Some(signature) = &self.signature {
            let holds = signature.get().holds(&request.headers, content, now_us);
            holds.map_err(|denied| {
                denied.map_or_else(|| later(UNREADABLE), |denied| self.denied(denied))
            })?;
        }
        let Some(number) = self.hook(request) else {
            return Err(failed(422, &self.no_hook(request)));
        };
        let hook = &self.hooks[number];
        let identity = self
            .identity(hook, request, content)
            .map_err(|fault| match fault {
                Fault::Call(reason) => hook.refused(&reason),
                Fault::Disk(_) => later(UNREADABLE),
            })?;
        let id = hook.config.id_header.as_ref();
        Ok(Call {
            operation: number,
            identity,
            version: Version::V11,
            message_id: id.and_then(|name| header(request, name)).map(str::to_owned),
        })
    }

    fn reply(&self, call: &Call, answer: &Answer) -> Reply {
        match answer {
            Answer::Stored { records, repeated } => Reply {
                status: self.status,
                content_type: "application/json",
                // No content, by its name.
                body: match self.status {
                    204 => String::new(),
                    _ => format!("{{\"accepted\":{records},\"repeated\":{repeated}}}"),
                },
                later: false,
                challenge: None,
                outcome: answer.outcome(),
                reason: String::new(),
            },
            Answer::Refused(reason) => self.hooks[call.operation].refused(reason),
            Answer::Later(why) => later(why),
        }
    }

    fn trouble(&self, _: &Parts, trouble: Trouble) -> Reply {
        match trouble {
            Trouble::TooLarge => failed(413, "the body is larger than is taken"),
            Trouble::Packing => failed(
                415,
                "the body is not packed as it says; gzip is taken, or none",
            ),
            Trouble::Framing => failed(400, "the body's chunks are not as HTTP has them"),
            Trouble::Slow => broken("the body did not come in time"),
            Trouble::Broken => broken("the connection ended before the whole body came"),
            Trouble::Busy => later("the call can't be kept now"),
        }
    }
}
