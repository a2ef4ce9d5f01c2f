//! Paths: of the elements that are records, and of a record's cells.

use std::collections::BTreeMap;

use super::DEPTH_MAX;

/// The namespace that no configured prefix stands for.
pub(super) const NO_NAMESPACE: u16 = u16::MAX;

/// An element's or attribute's name as a path writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// Which of the configured namespaces; `None`: any or none.
    pub(super) namespace: Option<u16>,
    /// Without a prefix; `None` is `*`.
    pub(super) local: Option<String>,
}

impl Name {
    pub(super) fn is(&self, namespace: u16, local: &str) -> bool {
        self.local.as_deref().is_none_or(|wanted| wanted == local)
            && self.namespace.is_none_or(|wanted| wanted == namespace)
    }
}

/// Which elements are records: `/Shipments/Shipment/Line`, or `//Line` at any depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordPath {
    /// It does not begin at the root.
    pub(super) anywhere: bool,
    pub(super) steps: Vec<Name>,
}

/// One element below another, and which of those with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: Name,
    /// From 1.
    pub(super) number: Option<u32>,
}

/// Where a cell is, seen from its record: `Qty`, `Item/@sku`, `../ShipNo`, `Ref[2]`, `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldPath {
    /// How many elements up.
    pub(super) up: usize,
    pub(super) steps: Vec<Step>,
    pub(super) attribute: Option<Name>,
}

/// A prefix's number among the URIs of all prefixes, in their order. Two prefixes of one namespace have the first one's.
///
/// # Errors
/// A sentence: nothing explains it.
pub fn number_of(prefix: &str, namespaces: &BTreeMap<String, String>) -> Result<usize, String> {
    let uri = namespaces.get(prefix).ok_or_else(|| {
        let known: Vec<&str> = namespaces.keys().map(String::as_str).collect();
        let known = match known.as_slice() {
            [] => "none is explained yet".to_owned(),
            known => format!("explained are {}", known.join(", ")),
        };
        format!("the prefix {prefix} is not explained: write namespaces = {{ {prefix} = \"the namespace's URI\" }}, or leave it out to take the name in any namespace; {known}")
    })?;
    let mut uris = namespaces.values();
    Ok(uris
        .position(|known| known == uri)
        .expect("it is among them"))
}

/// The prefixes that paths may use, by number.
pub(super) struct Prefixes<'a>(pub(super) &'a BTreeMap<String, String>);

impl Prefixes<'_> {
    fn name(&self, text: &str) -> Result<Name, String> {
        let (prefix, local) = match text.split_once(':') {
            Some((prefix, local)) => (Some(prefix), local),
            None => (None, text),
        };
        let namespace = match prefix {
            None => None,
            Some(prefix) => Some(self.number(prefix)?),
        };
        if local == "*" {
            return Ok(Name {
                namespace,
                local: None,
            });
        }
        if !super::names::is_name(local) || local.contains(':') {
            return Err(format!("\"{text}\" is no name of an element or attribute"));
        }
        Ok(Name {
            namespace,
            local: Some(local.to_owned()),
        })
    }

    fn number(&self, prefix: &str) -> Result<u16, String> {
        number_of(prefix, self.0).map(|number| number as u16)
    }

    pub(super) fn record(&self, text: &str) -> Result<RecordPath, String> {
        let (anywhere, rest) = match text.strip_prefix("//") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('/').ok_or_else(|| {
                format!("record = \"{text}\" does not begin with a slash: write the path from the root, e.g. \"/Shipments/Shipment/Line\", or \"//Line\"")
            })?),
        };
        let steps: Result<Vec<Name>, String> =
            rest.split('/').map(|step| self.name(step)).collect();
        let steps = steps.map_err(|what| format!("record = \"{text}\": {what}"))?;
        if steps.len() > DEPTH_MAX {
            return Err(format!(
                "record = \"{text}\" is {} elements deep, at most {DEPTH_MAX} are possible",
                steps.len()
            ));
        }
        Ok(RecordPath { anywhere, steps })
    }

    pub(super) fn field(&self, text: &str) -> Result<FieldPath, String> {
        let mut path = FieldPath {
            up: 0,
            steps: Vec::new(),
            attribute: None,
        };
        if text == "." {
            return Ok(path);
        }
        for step in text.split('/') {
            if path.attribute.is_some() {
                return Err(format!(
                    "\"{text}\" goes on after an attribute, which has nothing below it"
                ));
            }
            if step == ".." && path.steps.is_empty() {
                path.up += 1;
            } else if let Some(attribute) = step.strip_prefix('@') {
                path.attribute = Some(self.name(attribute)?);
            } else {
                path.steps.push(
                    self.step(step)
                        .map_err(|what| format!("\"{text}\": {what}"))?,
                );
            }
        }
        if path.up > 0 && path.steps.is_empty() && path.attribute.is_none() {
            return Err(format!(
                "\"{text}\" is a whole element around the record: name what is wanted of it, e.g. \"{text}/Number\" or \"{text}/@id\""
            ));
        }
        if path.up.max(path.steps.len()) > DEPTH_MAX {
            return Err(format!("\"{text}\" is longer than {DEPTH_MAX} steps"));
        }
        Ok(path)
    }

    fn step(&self, step: &str) -> Result<Step, String> {
        let (name, number) = match step.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
            None => (step, None),
            Some((name, number)) => match number.parse() {
                Ok(number) if number > 0 => (name, Some(number)),
                _ => return Err(format!("[{number}] is no number from 1")),
            },
        };
        match name {
            "" => Err("a step is empty; \"//\" is possible in record only".into()),
            "." | ".." => Err(format!("\"{name}\" can only stand at the beginning")),
            name => Ok(Step {
                name: self.name(name)?,
                number,
            }),
        }
    }
}
