//! One conversation about one event.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};

use super::{Body, CALLS_MAX, Program, Rule, soap};
use crate::answer::Answer;
use crate::body::Poison;
use crate::outcome::Outcome;
use crate::template::Fields;
use jiff::Timestamp;

/// Values that one conversation may keep.
const CAPTURED_MAX: usize = 50;

/// Where a conversation goes on after a wait, or once somebody agreed. Kept on disk meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    /// The call, by name: numbers change with the configuration.
    pub call: String,
    /// How long to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after_ms: u64,
    /// What was captured so far.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub got: BTreeMap<String, String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// GET, POST, ...
    pub method: Method,
    /// Relative to the target's; `None`: that itself.
    pub url: Option<String>,
    /// Beside the ones that every request has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `None`: the event's JSON; empty: nothing.
    pub body: Option<Vec<u8>>,
}

/// What follows an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Another request.
    Again,
    /// It is over for now.
    End(Outcome),
}

/// A conversation: what was captured, and which call is next.
#[derive(Debug)]
pub struct Talk<'p> {
    program: &'p Program,
    at: usize,
    got: BTreeMap<String, String>,
    /// What the last answer told for good.
    kept: Vec<(String, String)>,
    calls: u32,
}

impl Program {
    /// Begins. `in_doubt`: an earlier try may have had its effect. `later`: where it was left. `knows`:
    /// something is kept of the event's key.
    ///
    /// # Errors
    /// A sentence: it was left at a call that the configuration no longer has.
    pub fn talk(
        &self,
        in_doubt: bool,
        later: Option<&Later>,
        knows: bool,
    ) -> Result<Talk<'_>, Poison> {
        let looks = in_doubt && self.verifies();
        let at = match later.filter(|_| !looks) {
            Some(later) => self.number(&later.call).ok_or_else(|| {
                Poison(format!(
                    "it was left at the call {:?}, which the configuration no longer has: add the call again, then retry",
                    later.call
                ))
            })?,
            None if looks => self.verify,
            None if knows => self.first_kept,
            None => self.first,
        };
        Ok(Talk {
            program: self,
            at,
            got: later.map(|later| later.got.clone()).unwrap_or_default(),
            kept: Vec::new(),
            calls: 0,
        })
    }
}

impl Talk<'_> {
    /// The next request about an event.
    ///
    /// # Errors
    /// [`Poison`] where a template fails, or makes what no header or address can hold.
    pub fn request(&self, fields: &Fields) -> Result<Request, Poison> {
        let call = &self.program.calls[self.at];
        let render = |name: &str| self.program.templates.render(name, fields, &self.got);
        let mut headers = Vec::new();
        for (name, template) in &call.headers {
            let value = render(template)?;
            if !value.trim().is_empty() {
                let value = HeaderValue::try_from(value.trim())
                    .map_err(|_| Poison(format!("{template} makes what no header may hold")))?;
                headers.push((name.clone(), value));
            }
        }
        let mut body = match &call.body {
            Body::Event => None,
            Body::None => Some(Vec::new()),
            Body::Template(_) if self.program.soap.is_some() => None,
            Body::Template(template) => Some(render(template)?.trim().to_owned().into_bytes()),
        };
        if let (Some(soap), Body::Template(template)) = (&self.program.soap, &call.body) {
            let xml = |name: &str| self.program.templates.render_xml(name, fields, &self.got);
            let header = soap.header.as_deref().map(xml).transpose()?;
            let made = xml(template)?;
            body = Some(soap.version.envelope(&header.unwrap_or_default(), &made));
            let action = call.action.as_deref().map(render).transpose()?;
            let action = action.unwrap_or_default();
            let named = soap.version.headers(&action);
            let named = named.ok_or_else(|| Poison(format!("{action:?} is no action")))?;
            drop(headers.splice(0..0, named));
        }
        Ok(Request {
            method: call.method.clone(),
            url: call
                .url
                .as_deref()
                .map(render)
                .transpose()?
                .map(|url| url.trim().to_owned()),
            headers,
            body,
        })
    }

    /// Whether the next request changes nothing.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.program.calls[self.at].reads
    }

    /// Takes an answer in. `now`: what a `Retry-After` with a date is held against.
    pub fn hear(&mut self, answer: &Answer<'_>, now: Timestamp) -> Turn {
        let program = self.program;
        let call = &program.calls[self.at];
        let rule = match Rule::first(call.rules.iter().chain(&program.rules), answer) {
            Ok(Some(rule)) => rule,
            Ok(None) => return Turn::End(self.unruled(answer, now)),
            Err(outcome) => return Turn::End(outcome),
        };
        for (name, value) in rule.captured(answer) {
            if self.got.len() < CAPTURED_MAX || self.got.contains_key(&name) {
                self.got.insert(name, value);
            }
        }
        self.kept.extend(rule.kept(answer));
        match (rule.outcome, rule.go) {
            (None, Some(next)) => {
                self.calls += 1;
                if self.calls >= CALLS_MAX {
                    return Turn::End(Outcome::Misconfigured(format!(
                        "the rules lead from call to call without an end: {} was the {CALLS_MAX}th",
                        call.name
                    )));
                }
                self.at = next;
                Turn::Again
            }
            (Some(name), next) => {
                let later = next.map(|call| self.later(call, rule.after));
                Turn::End(rule.end(name, later, answer, now))
            }
            (None, None) => Turn::End(self.plain(answer, now)),
        }
    }

    /// What an answer means that no rule knows. A call that reads and leads to others asks a question; a success that
    /// none of them knows is no answer to it: nothing was sent of the event, or nobody says how it ended.
    fn unruled(&self, answer: &Answer<'_>, now: Timestamp) -> Outcome {
        let call = &self.program.calls[self.at];
        let asks = call.reads && call.rules.iter().any(|rule| rule.go.is_some());
        match self.plain(answer, now) {
            Outcome::Done if asks => {
                let name = &call.name;
                let said = format!(
                    "calls.call.{name} asks, and no rule knows this answer; write one for it"
                );
                Outcome::Transient(answer.reason(Some(&said)))
            }
            other => other,
        }
    }

    /// What an answer means by itself.
    fn plain(&self, answer: &Answer<'_>, now: Timestamp) -> Outcome {
        match &self.program.soap {
            None => Outcome::of(answer, now),
            Some(_) => soap::outcome(answer, now),
        }
    }

    /// What was told to be kept of the event's key since this was last asked.
    pub fn take_kept(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.kept)
    }

    /// What was captured so far.
    #[must_use]
    pub fn got(&self) -> &BTreeMap<String, String> {
        &self.got
    }

    fn later(&self, call: usize, after: Duration) -> Later {
        Later {
            call: self.program.calls[call].name.clone(),
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            got: self.got.clone(),
        }
    }
}
