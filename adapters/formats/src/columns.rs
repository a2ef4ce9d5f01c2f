//! The `fields` table of a format that finds its cells by paths: names of columns, in their order.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Columns, at most.
pub const FIELDS_MAX: usize = 1_000;

/// Names and what each stands for, in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns<T>(pub Vec<(String, T)>);

impl<T> Columns<T> {
    /// The names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What a name stands for.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, stands)| stands)
    }

    /// What is wrong with the names: the setting, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.0.is_empty() {
            let sentence =
                "no column is named: write a table fields with a line NAME = \"path\" for each";
            faults.push(("fields".into(), sentence.into()));
        }
        if self.0.len() > FIELDS_MAX {
            let sentence = format!(
                "{} columns are named, at most {FIELDS_MAX} are possible",
                self.0.len()
            );
            faults.push(("fields".into(), sentence));
        }
        let mut seen = HashSet::new();
        for (name, _) in &self.0 {
            if name.trim().is_empty() {
                faults.push(("fields".into(), "a column's name is blank".into()));
            }
            if !seen.insert(name) {
                faults.push((
                    format!("fields.{name}"),
                    format!("two columns are called \"{name}\"; each needs its own name"),
                ));
            }
        }
        faults
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Columns<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

struct InOrder<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
    type Value = Columns<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table of columns: NAME = \"path\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut columns = Vec::new();
        while let Some(column) = map.next_entry()? {
            columns.push(column);
        }
        Ok(Columns(columns))
    }
}
