//! What a target demands of events: looked at before one is sent, so that what it would refuse is never tried.
//!
//! ```toml
//! [[target.demand]]
//! body     = "shipment"
//! field    = "line.quantity"
//! required = true
//! min      = "0.001"
//! max      = "99999"
//! ```
//! A value that is not there breaks `required` alone. An event that deletes is not looked at: it often has a key only.

pub mod codes;

use std::cmp::Ordering;
use std::path::{Path as File, PathBuf};

use dray_proto::decimal;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::field::{Holds, Path, shown};

use codes::Codes;

/// How a file of codes or names is read; an error is a sentence.
pub(crate) type ReadFile<'r> = &'r dyn Fn(&File) -> Result<String, String>;

/// Demands of a target, at most.
pub const DEMANDS_MAX: usize = 500;
/// Bytes of a pattern as it is written, at most.
pub const PATTERN_BYTES_MAX: usize = 1_000;
/// Bytes of a pattern as it is compiled, at most; the time to match is linear in the value in any case.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// One `[[target.demand]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandConfig {
    /// Of events with this body.
    pub body: String,
    /// The field, from the body down, e.g. `line.quantity`.
    pub field: String,
    /// There must be a value.
    #[serde(default)]
    pub required: bool,
    /// Of a number.
    #[serde(default)]
    pub min: Option<Number>,
    /// The same.
    #[serde(default)]
    pub max: Option<Number>,
    /// Characters.
    #[serde(default)]
    pub min_length: Option<usize>,
    /// The same.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// The value is one of these.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// The same out of a file, a code a line.
    #[serde(default)]
    pub one_of_file: PathBuf,
    /// A regular expression that the whole value matches.
    #[serde(default)]
    pub pattern: Option<String>,
}

/// A number as it may be written: `"0.001"` or `5`. A float is refused: it is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "neither a whole number nor a decimal in quotes, as in \"0.001\""
)]
pub enum Number {
    /// A decimal.
    Text(String),
    /// A whole number.
    Whole(i64),
}

impl Number {
    fn digits(&self) -> Result<String, String> {
        let digits = match self {
            Self::Text(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
        };
        match decimal::compare(&digits, "0") {
            Some(_) => Ok(digits),
            None => Err(format!("{digits:?} is not a decimal; write e.g. \"0.001\"")),
        }
    }
}

/// A target's demands.
#[derive(Debug, Default)]
pub struct Demands(Vec<Demand>);

#[derive(Debug)]
struct Demand {
    path: Path,
    required: bool,
    rules: Vec<Rule>,
}

#[derive(Debug)]
enum Rule {
    Min(String),
    Max(String),
    MinLength(usize),
    MaxLength(usize),
    OneOf(Codes),
    Pattern(Regex),
}

impl Demands {
    /// Compiles them. `read`: reads a file; where it is `None`, files are not looked at.
    ///
    /// # Errors
    /// A sentence that begins with the setting.
    pub fn compile(configs: &[DemandConfig], read: Option<ReadFile<'_>>) -> Result<Self, String> {
        if configs.len() > DEMANDS_MAX {
            return Err(format!("demand: at most {DEMANDS_MAX} demands"));
        }
        let compiled = configs.iter().enumerate().map(|(index, config)| {
            Demand::compile(config, read)
                .map_err(|reason| format!("demand {} ({}): {reason}", index + 1, config.field))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first that an event breaks, as a sentence. `number`: of the body in `Event`; `body`: its bytes.
    #[must_use]
    pub fn broken(&self, number: u32, body: &[u8]) -> Option<String> {
        let mut demands = self.0.iter().zip(1..);
        demands.find_map(|(demand, place)| {
            if demand.path.body != number {
                return None;
            }
            let (rule, reason) = demand.broken(body)?;
            Some(format!(
                "demand {place} ({}, {rule}) is broken: {reason}; it was not sent: mend it at its source, or the demand, then retry",
                demand.path.name
            ))
        })
    }
}

impl Demand {
    fn compile(config: &DemandConfig, read: Option<ReadFile<'_>>) -> Result<Self, String> {
        let path = Path::parse(&config.body, &config.field)?;
        let mut rules = Vec::new();
        let is_number = matches!(path.holds(), Holds::Integer | Holds::Decimal | Holds::Text);
        for (setting, number) in [("min", &config.min), ("max", &config.max)] {
            let Some(number) = number else { continue };
            if !is_number {
                return Err(format!(
                    "{setting} is for numbers, which {} is not",
                    path.name
                ));
            }
            let digits = number
                .digits()
                .map_err(|reason| format!("{setting}: {reason}"))?;
            rules.push(match setting {
                "min" => Rule::Min(digits),
                _ => Rule::Max(digits),
            });
        }
        if let [Rule::Min(min), Rule::Max(max)] = &rules[..]
            && decimal::compare(min, max) == Some(Ordering::Greater)
        {
            return Err(format!("min = {min} is above max = {max}"));
        }
        if config.min_length > config.max_length && config.max_length.is_some() {
            return Err("min_length is above max_length".into());
        }
        rules.extend(config.min_length.map(Rule::MinLength));
        rules.extend(config.max_length.map(Rule::MaxLength));
        rules.extend(codes_of(config, read)?.map(Rule::OneOf));
        if let Some(pattern) = &config.pattern {
            rules.push(Rule::Pattern(whole(pattern)?));
        }
        if rules.is_empty() && !config.required && config.one_of_file.as_os_str().is_empty() {
            return Err("it demands nothing; write required, min, max, min_length, max_length, one_of, one_of_file or pattern".into());
        }
        Ok(Self {
            path,
            required: config.required,
            rules,
        })
    }

    fn broken(&self, body: &[u8]) -> Option<(&'static str, String)> {
        let values = match self.path.values(body) {
            Ok(values) => values,
            Err(error) => return Some(("required", format!("it cannot be read: {error}"))),
        };
        if values.is_empty() {
            return self
                .required
                .then(|| ("required", "there is no value".to_owned()));
        }
        let all = values
            .iter()
            .flat_map(|value| self.rules.iter().map(move |rule| (value, rule)));
        let mut broken = all.filter_map(|(value, rule)| {
            let said = rule.broken(value)?;
            Some((rule.name(), format!("{} {said}", shown(value))))
        });
        broken.next()
    }
}

impl Rule {
    fn name(&self) -> &'static str {
        match self {
            Self::Min(_) => "min",
            Self::Max(_) => "max",
            Self::MinLength(_) => "min_length",
            Self::MaxLength(_) => "max_length",
            Self::OneOf(codes) => codes.setting(),
            Self::Pattern(_) => "pattern",
        }
    }

    fn broken(&self, value: &str) -> Option<String> {
        let not_a_number = || Some("is not a decimal number".to_owned());
        match self {
            Self::Min(min) => match decimal::compare(value, min) {
                None => not_a_number(),
                Some(Ordering::Less) => Some(format!("is below {min}")),
                Some(_) => None,
            },
            Self::Max(max) => match decimal::compare(value, max) {
                None => not_a_number(),
                Some(Ordering::Greater) => Some(format!("is above {max}")),
                Some(_) => None,
            },
            Self::MinLength(min) => {
                (value.chars().count() < *min).then(|| format!("has fewer than {min} characters"))
            }
            Self::MaxLength(max) => (value.len() > *max && value.chars().count() > *max)
                .then(|| format!("has more than {max} characters")),
            Self::OneOf(codes) => {
                (!codes.has(value)).then(|| format!("is not among {}", codes.told()))
            }
            Self::Pattern(pattern) => {
                (!pattern.is_match(value)).then(|| "does not match the pattern".to_owned())
            }
        }
    }
}

fn codes_of(config: &DemandConfig, read: Option<ReadFile<'_>>) -> Result<Option<Codes>, String> {
    let file = &config.one_of_file;
    match (config.one_of.is_empty(), file.as_os_str().is_empty(), read) {
        (false, false, _) => Err("write one_of or one_of_file, not both".into()),
        (false, true, _) => Ok(Some(Codes::listed(&config.one_of))),
        (true, false, Some(read)) => Codes::read(file, &read(file)?).map(Some),
        _ => Ok(None),
    }
}

/// A pattern that the whole value must match.
fn whole(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("pattern: at most {PATTERN_BYTES_MAX} bytes"));
    }
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| format!("pattern: {error}"))
}

#[cfg(test)]
mod tests;
