//! What can be seen of calls before there is an event.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::RuleConfig;
use super::{Body, CallsConfig, Program};

impl CallsConfig {
    /// A call to another host than the target's, where it can be seen before an event is there: each would be a dead letter.
    #[must_use]
    pub fn elsewhere(&self, url: &str) -> Option<String> {
        let own = origin(url)?;
        self.call.iter().find_map(|(name, call)| {
            let other = origin(&call.url)?;
            let is_plain = !other.contains(['{', '}']);
            (is_plain && !other.eq_ignore_ascii_case(own)).then(|| {
                format!("calls.call.{name}.url: {other:?} is not the target's host, and secrets go to that alone; write it relative to url, or make it a target of its own")
            })
        })
    }

    /// Calls that no rule leads to and nothing begins with: their names.
    fn unreachable<'a>(&'a self, rules: &'a [RuleConfig]) -> Vec<&'a str> {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let begins = [&self.first, &self.verify, &self.first_kept];
        let mut next: Vec<&str> = begins.into_iter().map(String::as_str).collect();
        next.extend(rules.iter().filter_map(|rule| rule.go.as_deref()));
        while let Some(name) = next.pop() {
            let Some(call) = self.call.get(name).filter(|_| reached.insert(name)) else {
                continue;
            };
            next.extend(call.rule.iter().filter_map(|rule| rule.go.as_deref()));
        }
        let names = self.call.keys().map(String::as_str);
        names.filter(|name| !reached.contains(name)).collect()
    }

    /// What is most likely not meant, a sentence each: it hinders nothing.
    #[must_use]
    pub fn doubts(&self, rules: &[RuleConfig]) -> Vec<String> {
        let known: Vec<_> = self.call.keys().map(|name| format!("{name:?}")).collect();
        let doubt = |name: &str| {
            format!(
                "calls.call.{name}: it is never made: nothing begins with it, and no rule leads to it; a preset's call is changed under its own name, of {}",
                known.join(", ")
            )
        };
        self.unreachable(rules).into_iter().map(doubt).collect()
    }
}

impl Program {
    /// Bodies that begin as JSON does, and are none for a sample: a sentence each. It hinders nothing, as an event may have
    /// digits where the sample has words.
    #[must_use]
    pub fn doubts(&self, bodies: &[String]) -> Vec<String> {
        let templates = self.calls.iter().filter_map(|call| match &call.body {
            Body::Template(name) if self.soap.is_none() => Some(name.as_str()),
            _ => None,
        });
        let names: Vec<_> = templates.collect();
        let mut doubts = BTreeMap::new();
        for body in bodies {
            let names = names.iter().copied();
            for (name, made) in self.templates.made_of_sample(body, names) {
                if made.trim_start().starts_with(['{', '['])
                    && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&made)
                {
                    let line = made.lines().nth(error.line().saturating_sub(1));
                    doubts.entry(name).or_insert_with(|| {
                        format!(
                            "{name}: with a sample {body} it makes no JSON: {error}: {}; see that vars are what they should be, and write | tojson behind a text, | number behind digits",
                            line.unwrap_or("").trim()
                        )
                    });
                }
            }
        }
        doubts.into_values().collect()
    }
}

/// Whether a blank stands in what a template of an address says itself.
pub(super) fn has_blank(template: &str) -> bool {
    let mut plain = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{']) {
        plain.push_str(&rest[..at]);
        let end = match rest[at..].chars().nth(1) {
            Some('{') => "}}",
            Some('%') => "%}",
            Some('#') => "#}",
            _ => "{",
        };
        let after = rest[at..].find(end).map(|found| at + found + end.len());
        rest = after.map_or("", |after| &rest[after..]);
    }
    plain.push_str(rest);
    plain.trim().contains(' ')
}

/// `https://host:1` of an absolute address.
fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find('/').unwrap_or(rest.len());
    Some(&url[..scheme.len() + "://".len() + end])
}
