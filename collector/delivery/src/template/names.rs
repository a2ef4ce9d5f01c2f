//! Which names a template may use: a typing error is refused at load, where it would else print nothing for ever.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use dray_proto::schema::{self, Kind, Message};

/// Names beside `data`, `vars` and `got`: the default JSON's, and minijinja's own functions.
const PLAIN: [&str; 18] = [
    "id",
    "site",
    "flow",
    "phase",
    "offset",
    "key",
    "correlation_id",
    "operation",
    "occurred_at",
    "captured_at",
    "schema_version",
    "type",
    "provenance",
    "event",
    "range",
    "dict",
    "namespace",
    "debug",
];

/// What there is of `vars` and `got`.
#[derive(Debug, Clone)]
pub(super) struct Known {
    vars: BTreeSet<String>,
    got: BTreeSet<String>,
    kept: BTreeSet<String>,
}

impl Known {
    pub(super) fn new(vars: &toml::Table) -> Self {
        Self {
            vars: vars.keys().cloned().collect(),
            got: BTreeSet::new(),
            kept: BTreeSet::new(),
        }
    }

    pub(super) fn captures(&mut self, name: &str) {
        self.got.insert(name.to_owned());
    }

    pub(super) fn keeps(&mut self, name: &str) {
        self.kept.insert(name.to_owned());
    }

    /// Something for each name, to try templates with.
    pub(super) fn sample_captures(&self) -> BTreeMap<String, String> {
        sample(&self.got)
    }

    /// The same of what is kept.
    pub(super) fn sample_kept(&self) -> BTreeMap<String, String> {
        sample(&self.kept)
    }

    /// `names`: dotted, as a template uses them. `bodies`: what the target takes; none: any.
    pub(super) fn check(&self, names: HashSet<String>, bodies: &[String]) -> Result<(), String> {
        let names: BTreeSet<_> = names.into_iter().collect();
        for name in &names {
            let (root, rest) = name.split_once('.').unwrap_or((name, ""));
            let second = rest.split('.').next().unwrap_or("");
            match root {
                "data" => {
                    let taken = schema::BODIES.iter().filter(|body| {
                        bodies.is_empty() || bodies.iter().any(|name| name == body.name)
                    });
                    let taken: Vec<_> = taken.collect();
                    if !taken.iter().any(|body| has(body.message, rest)) {
                        return Err(format!(
                            "no event of this target has {name:?}; {}",
                            listed(&taken, rest)
                        ));
                    }
                }
                "vars" if !second.is_empty() && !self.vars.contains(second) => {
                    return Err(format!("[vars] has no {second:?}"));
                }
                "got" if !second.is_empty() && !self.got.contains(second) => {
                    return Err(format!("no rule captures {second:?}"));
                }
                "kept" if !second.is_empty() && !self.kept.contains(second) => {
                    return Err(format!("no rule keeps {second:?}"));
                }
                "vars" | "got" | "kept" => {}
                root if PLAIN.contains(&root) => {}
                root => {
                    return Err(format!(
                        "there is no {root:?}; an event has id, site, flow, key, type, data, ..."
                    ));
                }
            }
        }
        Ok(())
    }
}

fn sample(names: &BTreeSet<String>) -> BTreeMap<String, String> {
    names
        .iter()
        .map(|name| (name.clone(), "1".to_owned()))
        .collect()
}

/// Bodies whose fields one sentence lists, at most.
const LISTED_MAX: usize = 3;

/// What there is, as far down as a path leads.
fn listed(bodies: &[&schema::Body], path: &str) -> String {
    if bodies.len() > LISTED_MAX {
        return "bodies = [\"...\"] says which events it takes, and then their fields are listed here"
            .into();
    }
    let of = |body: &&schema::Body| {
        let (mut at, mut message, mut rest) = (body.name, body.message, path);
        while let Some((name, below)) = rest.split_once('.')
            && let Some((name, inner)) = message.field(name).and_then(|field| match field.kind {
                Kind::Message(inner) => Some((field.name, inner)),
                _ => None,
            })
        {
            (at, message, rest) = (name, inner, below);
        }
        let names: Vec<_> = message.fields.iter().map(|field| field.name).collect();
        format!("{at} has {}", names.join(", "))
    };
    bodies.iter().map(of).collect::<Vec<_>>().join("; ")
}

/// Whether a message has a field at a dotted path. What stands in a map is anybody's guess.
fn has(message: &Message, path: &str) -> bool {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    if name.is_empty() {
        return true;
    }
    match message.field(name).map(|field| field.kind) {
        None => false,
        Some(Kind::TextMap | Kind::Texts | Kind::Messages(_)) => true,
        Some(Kind::Message(inner)) => has(inner, rest),
        Some(_) => rest.is_empty(),
    }
}
