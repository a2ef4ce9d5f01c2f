//! Single values of a message's body: a business key, a watermark, the number of the next page.

use std::collections::BTreeMap;

use dray_formats::xml::{Start, number_of};

use crate::envelope::{own, push_value};

/// Steps of a path, at most.
const STEPS_MAX: usize = 32;

/// A name of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// Its number in the list that a reader was given; `None`: any.
    namespace: Option<usize>,
    name: String,
}

/// The way from the body's root to a value: `w:Head/w:BatchNo`, `Head/@id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
    attribute: Option<Step>,
}

impl Path {
    /// Reads a path. `namespaces`: what prefixes stand for.
    ///
    /// # Errors
    /// A sentence.
    pub fn new(text: &str, namespaces: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut path = Self {
            steps: Vec::new(),
            attribute: None,
        };
        for part in text.split('/') {
            if path.attribute.is_some() {
                return Err(format!("\"{text}\" goes on behind an attribute"));
            }
            match part.strip_prefix('@') {
                Some(name) => path.attribute = Some(step(name, namespaces)?),
                None => path.steps.push(step(part, namespaces)?),
            }
        }
        if path.steps.len() > STEPS_MAX {
            return Err(format!("\"{text}\" has more than {STEPS_MAX} steps"));
        }
        Ok(path)
    }
}

fn step(text: &str, namespaces: &BTreeMap<String, String>) -> Result<Step, String> {
    let (prefix, name) = match text.split_once(':') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'))
    };
    if !is_name(name) {
        return Err(format!(
            "\"{text}\" is no name of an element: write a path from the body's root element, e.g. \"Head/BatchNo\""
        ));
    }
    let number = prefix.map(|prefix| number_of(prefix, namespaces));
    Ok(Step {
        namespace: number.transpose()?,
        name: name.to_owned(),
    })
}

impl Step {
    fn is(&self, namespace: Option<usize>, name: &str) -> bool {
        self.name == name && (self.namespace.is_none() || self.namespace == namespace)
    }
}

/// Follows one path through a body.
#[derive(Debug)]
pub(crate) struct Pick {
    path: Path,
    /// How many of its steps are open.
    open: usize,
    gathering: bool,
    value: Option<String>,
}

impl Pick {
    pub(crate) fn new(path: Path) -> Self {
        Self {
            path,
            open: 0,
            gathering: false,
            value: None,
        }
    }

    /// An element begins `depth` below the body's root, whose own depth is 0. Whether the value is one of its attributes.
    pub(crate) fn start(&mut self, start: &Start<'_>, depth: usize) -> bool {
        if self.value.is_some() && !self.gathering {
            return false;
        }
        if depth > 0 {
            let (namespace, name) = start.name();
            let next = self.path.steps.get(depth - 1);
            let is_next = |step: &Step| step.is(own(namespace), name);
            if self.open + 1 != depth || !next.is_some_and(is_next) {
                return false;
            }
            self.open = depth;
        }
        if self.open < self.path.steps.len() || depth != self.open {
            return false;
        }
        match &self.path.attribute {
            None => {
                self.gathering = true;
                self.value = Some(String::new());
                false
            }
            Some(wanted) => {
                let found = start
                    .attributes()
                    .find(|at| wanted.is(own(at.namespace), at.name));
                let value = found.map(|at| at.value.trim().to_owned());
                self.value = value.filter(|value| !value.is_empty());
                self.value.is_some()
            }
        }
    }

    /// An element ended `depth` below the root.
    pub(crate) fn end(&mut self, depth: usize) {
        if depth != self.open {
            return;
        }
        if self.gathering {
            self.gathering = false;
            let value = self.value.take().unwrap_or_default();
            // An empty one is none: nobody tells two messages apart by it.
            self.value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
        self.open = self.open.saturating_sub(1);
    }

    /// Characters of the innermost element, or of one within it.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), String> {
        if !self.gathering {
            return Ok(());
        }
        let value = self.value.get_or_insert_default();
        push_value(value, text)
    }

    /// Whether the characters that come are of its value.
    pub(crate) fn is_gathering(&self) -> bool {
        self.gathering
    }

    pub(crate) fn finish(self) -> Option<String> {
        self.value
    }
}
