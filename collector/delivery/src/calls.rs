//! A delivery as a conversation: named calls, and rules that lead from an answer to the next call.
//!
//! ```toml
//! [target.calls]
//! first = "find"
//! verify = "find"                       # how a try begins whose forerunner's reply was lost
//! [target.calls.call.find]
//! method = "GET"
//! url = "items?code={{ data.item_number | urlencode }}"
//! [[target.calls.call.find.rule]]
//! when = [{ at = "/0/id" }]
//! capture = { erp_id = "/0/id" }
//! go = "change"
//! [[target.calls.call.find.rule]]
//! status = ["200"]
//! go = "create"
//! ```
//! Upsert, create-if-absent, find-then-write, submit-and-poll and confirm-and-resend are all written like this: see
//! `presets/`. Pure: what is sent comes out of [`Talk::request`], what came back goes into [`Talk::hear`].

mod foreseen;
pub mod lacking;
pub mod rule;
pub mod soap;
mod talk;

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, Method};
use serde::Deserialize;

use crate::calls::rule::{RULES_MAX, Rule, RuleConfig};
use crate::config::soap::SoapConfig;
use crate::template::Templates;

pub use rule::Ruling;
pub use talk::{Later, Request, Talk, Turn};

/// Calls of one conversation, at most: a rule that leads in a circle ends there.
pub const CALLS_MAX: u32 = 20;
/// The longest [`CallsConfig::verify_after`]: what waits takes a place among the target's requests in flight.
pub const VERIFY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Calls that can be defined.
const CALL_NAMES_MAX: usize = 50;

/// `[target.calls]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallsConfig {
    /// Where a delivery begins.
    pub first: String,
    /// Where it begins if an earlier try of the event may have had its effect; empty: as always.
    pub verify: String,
    /// Where it begins if something is kept of the event's key; empty: as always.
    pub first_kept: String,
    /// How long a target may be at work on a request whose caller is gone: so long after a lost reply, or a start of the
    /// collector, nothing is looked up. At most [`VERIFY_AFTER_MAX`].
    #[serde(with = "humantime_serde")]
    pub verify_after: Duration,
    /// How long a target may work on an event that it accepted, and be asked about it, before that is a dead letter.
    #[serde(with = "humantime_serde")]
    pub give_up_after: Duration,
    /// The calls by name.
    pub call: BTreeMap<String, CallConfig>,
}

impl Default for CallsConfig {
    fn default() -> Self {
        Self {
            first: String::new(),
            verify: String::new(),
            first_kept: String::new(),
            verify_after: Duration::ZERO,
            give_up_after: Duration::from_secs(24 * 3600),
            call: BTreeMap::new(),
        }
    }
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallConfig {
    /// GET, POST, ...
    #[serde(default = "post")]
    pub method: String,
    /// A template; relative to the target's `url`, and that itself where it is empty.
    #[serde(default)]
    pub url: String,
    /// Templates by header. One that comes out empty is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A template of what SOAP calls the action; empty: the target's. Only for `kind = "soap"`.
    #[serde(default)]
    pub action: String,
    /// A template; none: the event's JSON for POST, PUT and PATCH, and nothing else.
    #[serde(default)]
    pub body: Option<String>,
    /// It changes nothing, though its method isn't GET or HEAD: a flow in shadow may make it.
    #[serde(default)]
    pub reads: bool,
    /// What the answers mean; the target's rules and HTTP's own words come after these.
    #[serde(default)]
    pub rule: Vec<RuleConfig>,
}

fn post() -> String {
    "POST".into()
}

/// A target's compiled calls.
#[derive(Debug)]
pub struct Program {
    calls: Vec<Call>,
    first: usize,
    verify: usize,
    first_kept: usize,
    verify_after: Duration,
    /// Rules after each call's own.
    rules: Vec<Rule>,
    templates: Templates,
    soap: Option<Soap>,
}

/// What makes its calls SOAP.
#[derive(Debug)]
struct Soap {
    version: soap::Version,
    /// Templates go by these names.
    header: Option<String>,
}

#[derive(Debug)]
struct Call {
    name: String,
    method: Method,
    /// Templates go by these names.
    url: Option<String>,
    headers: Vec<(HeaderName, String)>,
    body: Body,
    /// It changes nothing.
    reads: bool,
    action: Option<String>,
    rules: Vec<Rule>,
}

#[derive(Debug)]
enum Body {
    None,
    Event,
    Template(String),
}

impl Program {
    /// Compiles it. `rules`: the target's own, after each call's. `bodies`: what the templates are tried with. `soap`: its calls
    /// are SOAP.
    ///
    /// # Errors
    /// A sentence that begins with the setting.
    pub fn compile(
        config: &CallsConfig,
        rules: &[RuleConfig],
        vars: &toml::Table,
        bodies: &[String],
        soap: Option<&SoapConfig>,
    ) -> Result<Self, String> {
        if config.call.len() > CALL_NAMES_MAX {
            return Err(format!("calls: at most {CALL_NAMES_MAX} calls"));
        }
        if config.verify_after > VERIFY_AFTER_MAX {
            return Err("calls.verify_after: write at most \"5m\"".into());
        }
        let names: Vec<&str> = config.call.keys().map(String::as_str).collect();
        let named = |setting: &str, name: &str| {
            number_of(name, &names).map_err(|reason| format!("calls.{setting}: {reason}"))
        };
        let first = named("first", &config.first)?;
        let verify = match config.verify.as_str() {
            "" => first,
            name => named("verify", name)?,
        };
        let first_kept = match config.first_kept.as_str() {
            "" => first,
            name => named("first_kept", name)?,
        };
        let mut templates = match soap {
            None => Templates::new(vars),
            Some(_) => Templates::xml(vars),
        };
        let all_rules = config
            .call
            .values()
            .flat_map(|call| &call.rule)
            .chain(rules);
        for rule in all_rules {
            rule.capture
                .keys()
                .for_each(|name| templates.captures(name));
            rule.keep.keys().for_each(|name| templates.keeps(name));
        }
        let mut calls = Vec::new();
        for (name, call) in &config.call {
            let compiled = Call::compile(name, call, &names, &mut templates, soap)
                .map_err(|reason| format!("calls.call.{name}.{reason}"))?;
            calls.push(compiled);
        }
        let soap = match soap {
            None => None,
            Some(soap) => Some(Soap::compile(soap, &mut templates)?),
        };
        let program = Self {
            soap,
            rules: compile_rules(rules, &names)?,
            calls,
            first,
            verify,
            first_kept,
            verify_after: config.verify_after,
            templates,
        };
        program.templates.try_samples(bodies)?;
        Ok(program)
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.calls
            .binary_search_by(|call| call.name.as_str().cmp(name))
            .ok()
    }

    /// Whether a try after a lost reply begins by looking; also where each try does, and that one only after a while.
    #[must_use]
    pub fn verifies(&self) -> bool {
        self.verify != self.first || !self.verify_after.is_zero()
    }

    /// See [`CallsConfig::verify_after`].
    #[must_use]
    pub fn verify_after(&self) -> Duration {
        self.verify_after
    }
}

/// A call by its name, of those that there are, sorted.
fn number_of(name: &str, names: &[&str]) -> Result<usize, String> {
    names.binary_search(&name).map_err(|_| {
        let known: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
        match known.is_empty() {
            true => format!("there is no call {name:?}; [target.calls] makes some"),
            false => format!("there is no call {name:?}; there are {}", known.join(", ")),
        }
    })
}

fn compile_rules(rules: &[RuleConfig], names: &[&str]) -> Result<Vec<Rule>, String> {
    if rules.len() > RULES_MAX {
        return Err(format!("rule: at most {RULES_MAX} rules"));
    }
    let compiled = rules.iter().enumerate().map(|(index, rule)| {
        Rule::compile(rule, names).map_err(|reason| format!("rule {}: {reason}", index + 1))
    });
    compiled.collect()
}

impl Soap {
    fn compile(config: &SoapConfig, templates: &mut Templates) -> Result<Self, String> {
        let header = match config.header.as_str() {
            "" => None,
            header => Some(templates.add_xml("soap.header", header)?),
        };
        Ok(Self {
            version: config.version,
            header,
        })
    }
}

impl Call {
    fn compile(
        name: &str,
        config: &CallConfig,
        names: &[&str],
        templates: &mut Templates,
        soap: Option<&SoapConfig>,
    ) -> Result<Self, String> {
        let method = Method::from_bytes(config.method.as_bytes())
            .map_err(|_| format!("method: {:?} is not a method", config.method))?;
        if foreseen::has_blank(&config.url) {
            return Err("url: a blank stands in it, which no address may have; write %20, and | urlencode behind values".into());
        }
        let url = if config.url.is_empty() {
            None
        } else {
            Some(templates.add(&format!("calls.call.{name}.url"), &config.url)?)
        };
        let mut headers = Vec::new();
        for (header, value) in &config.headers {
            let key = HeaderName::try_from(header.as_str())
                .map_err(|_| format!("headers: {header:?} is not the name of a header"))?;
            headers.push((
                key,
                templates.add(&format!("calls.call.{name}.headers.{header}"), value)?,
            ));
        }
        let reads = config.reads || method.is_safe();
        let action = match (soap, config.action.as_str()) {
            (None, "") => None,
            (None, _) => return Err("action: only kind = \"soap\" has one".into()),
            (Some(soap), "") => Some(soap.action.as_str()),
            (Some(_), action) => Some(action),
        };
        let action = action
            .map(|action| templates.add(&format!("calls.call.{name}.action"), action))
            .transpose()?;
        let takes_body = matches!(method, Method::POST | Method::PUT | Method::PATCH);
        let body = match &config.body {
            Some(text) if text.is_empty() => Body::None,
            Some(text) if soap.is_some() => {
                Body::Template(templates.add_xml(&format!("calls.call.{name}.body"), text)?)
            }
            Some(text) => Body::Template(templates.add(&format!("calls.call.{name}.body"), text)?),
            None if takes_body && soap.is_some() => {
                return Err("body: write what stands in the envelope's Body".into());
            }
            None if takes_body => Body::Event,
            None => Body::None,
        };
        Ok(Self {
            name: name.to_owned(),
            method,
            url,
            headers,
            body,
            reads,
            action,
            rules: compile_rules(&config.rule, names)?,
        })
    }
}
