//! Which of a table's columns are taken, and what is hidden of them before anything touches the disk.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::policy::OnSchemaChange;

/// What stands in a value's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mask {
    /// Nothing: it is NULL.
    Null,
    /// Its SHA-256, as 64 hexadecimal digits: equal values stay equal.
    Sha256,
}

/// A table that is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// With its schema: `public.stock`.
    pub name: String,
    /// The columns that are taken; default: all.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Columns that are not.
    #[serde(default)]
    pub without: Vec<String>,
    /// Columns whose values are hidden before anything touches the disk.
    #[serde(default)]
    pub mask: BTreeMap<String, Mask>,
    /// What the flow does when it is another than it was.
    #[serde(default)]
    pub on_schema_change: OnSchemaChange,
    /// The shape with which a flow goes on that stopped for it: the sentence names it.
    pub accepted_schema: Option<String>,
}

impl TableConfig {
    /// What is taken of it.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            columns: &self.columns,
            without: &self.without,
            mask: &self.mask,
        }
    }
}

/// What is wrong with the names of tables: the setting and a sentence. `example`: a good one.
pub(crate) fn faults(tables: &[TableConfig], example: &str) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    if tables.is_empty() {
        let sentence =
            format!("none is named; add [[flow.source.table]] with name = \"{example}\"");
        faults.push(("table".to_owned(), sentence));
    }
    for (number, table) in tables.iter().enumerate() {
        let setting = || format!("table {}", number + 1);
        let parts = table.name.split('.').filter(|part| !part.is_empty());
        if parts.count() != 2 {
            let sentence = format!(
                "\"{}\" is no table with its schema; write e.g. name = \"{example}\"",
                table.name
            );
            faults.push((setting(), sentence));
        }
        if tables[..number]
            .iter()
            .any(|other| other.name == table.name)
        {
            faults.push((setting(), format!("{} stands twice", table.name)));
        }
    }
    faults
}

/// What is taken of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'c> {
    /// These alone; empty: all.
    pub(crate) columns: &'c [String],
    /// All but these.
    pub(crate) without: &'c [String],
    /// Hidden ones.
    pub(crate) mask: &'c BTreeMap<String, Mask>,
}

/// A column that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Its number among the table's, from 0.
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) mask: Option<Mask>,
}

impl Wanted<'_> {
    /// The columns that are taken, in the table's order.
    ///
    /// # Errors
    /// A sentence: one is named that the table does not have.
    pub(crate) fn of(&self, table: &str, columns: &[&str]) -> Result<Vec<Taken>, String> {
        let named = self
            .columns
            .iter()
            .chain(self.without)
            .chain(self.mask.keys());
        for name in named {
            if !columns.contains(&name.as_str()) {
                return Err(format!(
                    "{table} has no column {name}, which columns, without or mask name; it has {}",
                    columns.join(", ")
                ));
            }
        }
        let is_taken = |name: &str| {
            let is_named = |list: &[String]| list.iter().any(|one| one == name);
            (self.columns.is_empty() || is_named(self.columns)) && !is_named(self.without)
        };
        let all = columns.iter().enumerate();
        let taken = all.filter(|(_, name)| is_taken(name));
        Ok(taken
            .map(|(at, name)| Taken {
                at,
                name: (*name).to_owned(),
                mask: self.mask.get(*name).copied(),
            })
            .collect())
    }
}

impl Mask {
    /// Puts what stands in a value's place; whether it is a value at all.
    pub(crate) fn put(self, out: &mut String, value: &str) -> bool {
        match self {
            Self::Null => false,
            Self::Sha256 => {
                out.push_str(&hex::encode(Sha256::digest(value)));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(columns: &[&str], without: &[&str], mask: &[(&str, Mask)]) -> Result<String, String> {
        let owned = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let mask = mask.iter().map(|(name, mask)| ((*name).to_owned(), *mask));
        let wanted = Wanted {
            columns: &owned(columns),
            without: &owned(without),
            mask: &mask.collect(),
        };
        let taken = wanted.of("public.stock", &["sku", "qty", "owner"])?;
        let shown = taken.iter().map(|one| match one.mask {
            None => format!("{}:{}", one.at, one.name),
            Some(mask) => format!("{}:{}={mask:?}", one.at, one.name),
        });
        Ok(shown.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn columns_are_taken_as_they_are_wanted() {
        let masks = [("owner", Mask::Sha256), ("qty", Mask::Null)];
        for (found, expected) in [
            (taken(&[], &[], &[]), "0:sku 1:qty 2:owner"),
            (taken(&["qty", "sku"], &[], &[]), "0:sku 1:qty"),
            (taken(&[], &["sku"], &[]), "1:qty 2:owner"),
            (taken(&[], &[], &masks), "0:sku 1:qty=Null 2:owner=Sha256"),
        ] {
            assert_eq!(found, Ok(expected.into()));
        }
        for found in [
            taken(&["SKU"], &[], &[]),
            taken(&[], &["SKU"], &[]),
            taken(&[], &[], &[("SKU", Mask::Null)]),
        ] {
            let told = found.expect_err("there is none");
            assert!(told.starts_with("public.stock has no column SKU"), "{told}");
        }
    }

    #[test]
    fn a_hidden_value_is_its_hash_or_nothing() {
        let mut out = String::new();
        assert!(!Mask::Null.put(&mut out, "Smith"));
        assert!(out.is_empty());
        assert!(Mask::Sha256.put(&mut out, "abc"));
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            out,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
