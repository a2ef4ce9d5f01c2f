//! What events name of others: which field of which body is the key of which other event, and so must be at the target before.
//!
//! ```toml
//! [[target.reference]]
//! body  = "shipment"
//! field = "line.item_number"
//! of    = "item"             # an event of this body with that key was delivered to this target
//! at    = "erp-items"        # or to that one
//! ```

mod linking;
mod source;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use dray_proto::FlowName;
use dray_proto::event::View;
use dray_proto::v1::Operation;
use dray_store::Reference;
use serde::Deserialize;

use crate::demands::ReadFile;
use crate::demands::codes::Codes;
use crate::field::Path;

pub use linking::{Elsewhere, Lesson, link};
use source::{Source, body_named, names, source};

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
    /// The target that gets the other event; empty: this one.
    #[serde(default)]
    pub at: String,
    /// What [`link`] found of that target.
    #[serde(skip)]
    pub elsewhere: Option<Elsewhere>,
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
    /// What they make known to other targets.
    lessons: Vec<(String, Source)>,
}

#[derive(Debug)]
struct Rule {
    path: Path,
    of: String,
    at: String,
    known: Option<Codes>,
}

/// A kind of things that are known by what is delivered.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// What the store calls it.
    pub label: &'a str,
    /// What of the log is known at first.
    pub seed: Seed,
    /// The target that gets them, and what that takes; `None`: this one.
    pub at: Option<&'a (String, Elsewhere)>,
}

/// A reference that an event makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What it names.
    pub reference: Reference,
    /// The field that does.
    pub field: String,
    /// The target that should have got it; empty: this one.
    pub at: String,
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
                at: None,
            });
        }
        Ok(made)
    }

    /// Takes in what this target tells others of what it gets.
    ///
    /// # Errors
    /// A sentence.
    pub fn teach(&mut self, lessons: &[Lesson]) -> Result<(), String> {
        for Lesson { target, rule } in lessons {
            let source = source(rule)?;
            self.lessons.push((target.clone(), source));
        }
        Ok(())
    }

    fn add(
        &mut self,
        config: &ReferenceConfig,
        bodies: &[String],
        read: Option<ReadFile<'_>>,
    ) -> Result<(), String> {
        let path = Path::parse(&config.body, &config.field)?;
        let source = source(config)?;
        let takes = |name: &str| bodies.is_empty() || bodies.iter().any(|body| body == name);
        let has_file = !config.known_file.as_os_str().is_empty();
        if !config.at.is_empty() && config.seed == Seed::Log {
            return Err(
                "seed: what that target gets is known by itself; leave seed = \"log\" out, or at"
                    .into(),
            );
        }
        let is_here = config.at.is_empty();
        if is_here && !takes(&config.of) && !has_file && config.seed == Seed::Delivered {
            return Err(format!(
                "this target takes no {of}, so none would ever be known: name the target that does (at = \"...\"), or add {of} to bodies; where the target has all of them from elsewhere, say which with known_file, or with seed = \"log\": those that stand in the log when this rule is new, and none that comes later",
                of = config.of
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
        self.rules.push(Rule {
            path,
            of: source.label.clone(),
            at: config.at.clone(),
            known,
        });
        self.add_source(source);
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

    /// Whether deliveries make something known to other targets.
    #[must_use]
    pub fn teaches(&self) -> bool {
        !self.lessons.is_empty()
    }

    /// Whether what another target gets makes something known.
    #[must_use]
    pub fn looks_elsewhere(&self) -> bool {
        self.sources.iter().any(|source| source.at.is_some())
    }

    /// The names of what deliveries make known, and what of the log is known at first.
    pub fn labels(&self) -> impl Iterator<Item = Label<'_>> {
        self.sources.iter().map(|source| Label {
            label: &source.label,
            seed: source.seed,
            at: source.at.as_ref(),
        })
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
                // What another target gets has a label of its own.
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
                        at: rule.at.clone(),
                    });
                }
            }
        }
        named
    }

    /// What a delivery of this event makes known. `labels`: only of these, wherever they are delivered; `None`: of all that are
    /// delivered here.
    #[must_use]
    pub fn learnt(
        &self,
        flow: &FlowName,
        event: &[u8],
        labels: Option<&[String]>,
    ) -> Vec<Reference> {
        let sources = self.sources.iter().filter(|source| match labels {
            Some(labels) => labels.contains(&source.label),
            None => source.at.is_none(),
        });
        let named = names(sources, flow, event);
        named.into_iter().map(|(_, reference)| reference).collect()
    }

    /// What a delivery of this event makes known to which other targets.
    #[must_use]
    pub fn taught(&self, flow: &FlowName, event: &[u8]) -> Vec<(String, Reference)> {
        let sources = self.lessons.iter().map(|(_, source)| source);
        let named = names(sources, flow, event);
        let told = |(index, reference): (usize, Reference)| {
            let (target, _) = &self.lessons[index];
            (target.clone(), reference)
        };
        named.into_iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests;
