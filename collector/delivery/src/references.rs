//! What events name of others: which field of which body is the key of which other event, and so must be at the target before.
//!
//! ```toml
//! [[target.reference]]
//! body  = "shipment"
//! field = "line.item_number"
//! of    = "item"             # an event of this body with that key was delivered to this target
//! ```

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use dray_proto::event::View;
use dray_proto::v1::Operation;
use dray_proto::{FlowName, schema};
use dray_store::Reference;
use serde::Deserialize;

use crate::demands::ReadFile;
use crate::demands::codes::Codes;
use crate::field::Path;
use crate::select::Pattern;

/// Rules of a target, at most.
pub const REFERENCES_MAX: usize = 50;
/// Bytes of a name, at most, as of a key: a longer one names nothing that could come.
pub const NAME_BYTES_MAX: usize = 1_024;

/// One `[[target.reference]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceConfig {
    /// Events with this body ...
    pub body: String,
    /// ... name in this field ...
    pub field: String,
    /// ... the key of an event with this body.
    pub of: String,
    /// What names the other event where that is not its key: a field of it.
    #[serde(default)]
    pub by: String,
    /// The other event comes from one of these flows; none: from any.
    #[serde(default)]
    pub flows: Vec<String>,
    /// What is known before anything is delivered.
    #[serde(default)]
    pub seed: Seed,
    /// Names that are known too, a line each.
    #[serde(default)]
    pub known_file: PathBuf,
}

/// What of the log is known when a rule is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seed {
    /// What this target got already.
    #[default]
    Delivered,
    /// All that stands in the log by then: the target has it from elsewhere.
    Log,
}

/// `[target.holds]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoldsConfig {
    /// When an event that waits for a reference is somebody's business.
    #[serde(with = "humantime_serde")]
    pub alarm_after: Duration,
    /// When it becomes a dead letter.
    #[serde(with = "humantime_serde")]
    pub give_up_after: Duration,
    /// How long after the target said that it lacks something the event is sent once more; doubled each time.
    #[serde(with = "humantime_serde")]
    pub ask_first: Duration,
    /// The longest such time.
    #[serde(with = "humantime_serde")]
    pub ask_max: Duration,
}

impl Default for HoldsConfig {
    fn default() -> Self {
        Self {
            alarm_after: Duration::from_secs(3600),
            give_up_after: Duration::from_secs(7 * 24 * 3600),
            ask_first: Duration::from_secs(5),
            ask_max: Duration::from_secs(3600),
        }
    }
}

impl HoldsConfig {
    /// What is wrong with the table.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        if self.ask_first.is_zero() || self.ask_first > self.ask_max {
            return Some("holds: ask_first must be above zero and at most ask_max".into());
        }
        (self.alarm_after > self.give_up_after || self.give_up_after.is_zero())
            .then(|| "holds: give_up_after must be above zero and at least alarm_after".to_owned())
    }

    /// How long to wait before the target is asked for the `tries`th time more.
    #[must_use]
    pub fn interval(&self, tries: u32) -> Duration {
        let factor = 2_u32.saturating_pow(tries.min(31));
        self.ask_first.saturating_mul(factor).min(self.ask_max)
    }
}

/// A target's compiled rules.
#[derive(Debug, Default)]
pub struct References {
    rules: Vec<Rule>,
    /// What deliveries of these bodies make known.
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Rule {
    path: Path,
    of: String,
    known: Option<Codes>,
}

/// Events that others name. Two rules that mean the same share one.
#[derive(Debug)]
struct Source {
    /// What the store calls it: "item", "item.barcode", "item@north/*".
    label: String,
    body: u32,
    by: Option<Path>,
    flows: Vec<Pattern>,
    seed: Seed,
}

/// A reference that an event makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What it names.
    pub reference: Reference,
    /// The field that does.
    pub field: String,
}

impl References {
    /// Compiles them. `bodies`: what the target takes; none: all. `plain`: bodies that rules over answers name. `read`: reads a file;
    /// where it is `None`, files are not looked at.
    ///
    /// # Errors
    /// A sentence that begins with the setting.
    pub fn compile(
        configs: &[ReferenceConfig],
        bodies: &[String],
        plain: &[&str],
        read: Option<ReadFile<'_>>,
    ) -> Result<Self, String> {
        if configs.len() > REFERENCES_MAX {
            return Err(format!("reference: at most {REFERENCES_MAX} references"));
        }
        let mut made = Self::default();
        for (index, config) in configs.iter().enumerate() {
            let said =
                |reason: String| format!("reference {} ({}): {reason}", index + 1, config.field);
            made.add(config, bodies, read).map_err(said)?;
        }
        for of in plain {
            let body = body_named(of)?;
            made.add_source(Source {
                label: (*of).to_owned(),
                body,
                by: None,
                flows: Vec::new(),
                seed: Seed::Delivered,
            });
        }
        Ok(made)
    }

    fn add(
        &mut self,
        config: &ReferenceConfig,
        bodies: &[String],
        read: Option<ReadFile<'_>>,
    ) -> Result<(), String> {
        let path = Path::parse(&config.body, &config.field)?;
        let body = body_named(&config.of)?;
        let by = match config.by.as_str() {
            "" => None,
            field => {
                Some(Path::parse(&config.of, field).map_err(|reason| format!("by: {reason}"))?)
            }
        };
        let flows: Vec<Pattern> = config
            .flows
            .iter()
            .map(|flow| {
                Pattern::parse(flow).ok_or_else(|| {
                    format!(
                        "flows: {flow:?} is none of \"site/flow\", \"site/*\", \"*/flow\" and \"*\""
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        let takes = |name: &str| bodies.is_empty() || bodies.iter().any(|body| body == name);
        let has_file = !config.known_file.as_os_str().is_empty();
        if !takes(&config.of) && !has_file && config.seed == Seed::Delivered {
            return Err(format!(
                "this target takes no {}, so none would ever be known: add it to bodies, or say what is known with known_file or seed = \"log\"",
                config.of
            ));
        }
        if !takes(&config.body) {
            return Err(format!(
                "this target takes no {}: add it to bodies",
                config.body
            ));
        }
        let known = match read.filter(|_| has_file) {
            Some(read) => Some(Codes::read(&config.known_file, &read(&config.known_file)?)?),
            None => None,
        };
        let mut label = config.of.clone();
        if by.is_some() {
            label = format!("{label}.{}", config.by);
        }
        if !config.flows.is_empty() {
            let mut flows = config.flows.clone();
            flows.sort();
            label = format!("{label}@{}", flows.join(","));
        }
        self.rules.push(Rule {
            path,
            of: label.clone(),
            known,
        });
        self.add_source(Source {
            label,
            body,
            by,
            flows,
            seed: config.seed,
        });
        Ok(())
    }

    fn add_source(&mut self, source: Source) {
        match self
            .sources
            .iter_mut()
            .find(|same| same.label == source.label)
        {
            Some(same) if source.seed == Seed::Log => same.seed = Seed::Log,
            Some(_) => {}
            None => self.sources.push(source),
        }
    }

    /// Whether events are looked at before they are sent.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether deliveries make something known.
    #[must_use]
    pub fn learns(&self) -> bool {
        !self.sources.is_empty()
    }

    /// The names of what deliveries make known, and what of the log is known at first.
    pub fn labels(&self) -> impl Iterator<Item = (&str, Seed)> {
        self.sources
            .iter()
            .map(|source| (&*source.label, source.seed))
    }

    /// What an event names that no list has: nothing twice, and not itself. Nothing, where it deletes or cannot be read.
    #[must_use]
    pub fn named(&self, event: &[u8]) -> Vec<Named> {
        let Ok(view) = View::of(event) else {
            return Vec::new();
        };
        let Some((body, bytes)) = view
            .body
            .filter(|_| view.operation != Operation::Delete as i32)
        else {
            return Vec::new();
        };
        let mut seen = BTreeSet::new();
        let mut named = Vec::new();
        for rule in self
            .rules
            .iter()
            .filter(|rule| rule.path.body == body.number)
        {
            let Ok(values) = rule.path.values(bytes) else {
                continue;
            };
            for name in values {
                let is_known = rule.known.as_ref().is_some_and(|known| known.has(&name));
                let is_itself = rule.of == body.name && name == view.key;
                let reference = Reference {
                    of: rule.of.clone(),
                    name: name.into_owned(),
                };
                let counts = !is_known && !is_itself && reference.name.len() <= NAME_BYTES_MAX;
                if counts && seen.insert(reference.clone()) {
                    named.push(Named {
                        reference,
                        field: rule.path.name.clone(),
                    });
                }
            }
        }
        named
    }

    /// What a delivery of this event makes known. `labels`: only of these; `None`: of all.
    #[must_use]
    pub fn learnt(
        &self,
        flow: &FlowName,
        event: &[u8],
        labels: Option<&[String]>,
    ) -> Vec<Reference> {
        let Ok(view) = View::of(event) else {
            return Vec::new();
        };
        let Some((body, bytes)) = view
            .body
            .filter(|_| view.operation != Operation::Delete as i32)
        else {
            return Vec::new();
        };
        let mut learnt = Vec::new();
        for source in self
            .sources
            .iter()
            .filter(|source| source.body == body.number)
        {
            let is_meant =
                source.flows.is_empty() || source.flows.iter().any(|flow_of| flow_of.takes(flow));
            if !is_meant || labels.is_some_and(|labels| !labels.contains(&source.label)) {
                continue;
            }
            let mut learn = |name: &str| {
                learnt.push(Reference {
                    of: source.label.clone(),
                    name: name.to_owned(),
                });
            };
            match &source.by {
                None => learn(view.key),
                Some(path) => {
                    let values = path.values(bytes).unwrap_or_default();
                    values.iter().for_each(|name| learn(name));
                }
            }
        }
        learnt
    }
}

fn body_named(name: &str) -> Result<u32, String> {
    let body = schema::body(name).ok_or_else(|| format!("of: there is no body {name:?}"))?;
    Ok(body.number)
}

#[cfg(test)]
mod tests;
