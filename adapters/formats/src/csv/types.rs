//! Types of records told by a column: settings, and what is compiled of them.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::CsvConfig;
use super::config::names_fault;
use crate::typed::{self, CountConfig, Definition, Rules, Texts, TotalConfig};

/// The column in which a record's type stands: its number, from 1, or its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeColumn {
    /// From 1.
    Number(usize),
    /// As the header, or each type's columns, name it.
    Name(String),
}

impl<'de> Deserialize<'de> for TypeColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrName;

        impl Visitor<'_> for NumberOrName {
            type Value = TypeColumn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column's number, from 1, or its name in quotes")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<TypeColumn, E> {
                let number = usize::try_from(number).ok().filter(|number| *number > 0);
                number
                    .map(TypeColumn::Number)
                    .ok_or_else(|| E::custom("columns count from 1"))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<TypeColumn, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<TypeColumn, E> {
                Ok(TypeColumn::Name(name.to_owned()))
            }
        }

        deserializer.deserialize_any(NumberOrName)
    }
}

/// A type of record.
///
/// ```toml
/// type_column = 1
///
/// [[record]]
/// name = "H1"
/// columns = ["TYPE", "SHIP_NO", "DATE"]
/// emit = false
///
/// [[record]]
/// name = "H2"
/// columns = ["TYPE", "SKU", "QUANTITY"]
/// parent = "H1"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvRecordConfig {
    /// What it is called.
    pub name: String,
    /// What stands in the type column, or a list of which one does; its name unless said.
    #[serde(default, rename = "match")]
    pub matches: Texts,
    /// Its columns; those of the header, or of the format, unless said.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The type of record that it belongs to, and whose cells it carries as `NAME.COLUMN`.
    pub parent: Option<String>,
    /// Whether its records are handed out; all but trailers unless said.
    pub emit: Option<bool>,
    /// Whether it is passed over wherever it stands, and counts nowhere.
    #[serde(default)]
    pub skip: bool,
    /// Whether it ends its parent; or, without one, the file.
    #[serde(default)]
    pub trailer: bool,
    /// Whether there must be one in each parent; or, without one, in the file.
    #[serde(default)]
    pub required: bool,
    /// Columns that say how many records there are.
    #[serde(default)]
    pub counts: Vec<CountConfig>,
    /// Columns that say what others add up to.
    #[serde(default)]
    pub totals: Vec<TotalConfig>,
}

impl CsvRecordConfig {
    fn definition<'a>(&'a self, common: &'a [String]) -> Definition<'a> {
        Definition {
            name: &self.name,
            columns: if self.columns.is_empty() {
                common
            } else {
                &self.columns
            },
            parent: self.parent.as_deref(),
            emit: self.emit.unwrap_or(!self.trailer) && !self.skip,
            skip: self.skip,
            trailer: self.trailer,
            required: self.required,
            counts: &self.counts,
            totals: &self.totals,
        }
    }

    fn texts(&self) -> &[String] {
        if self.matches.0.is_empty() {
            std::slice::from_ref(&self.name)
        } else {
            &self.matches.0
        }
    }
}

impl CsvConfig {
    /// Whether each type names its columns, so that nobody else need.
    pub(super) fn types_have_columns(&self) -> bool {
        !self.has_header()
            && !self.record.is_empty()
            && self
                .record
                .iter()
                .all(|record| record.skip || !record.columns.is_empty())
    }

    pub(super) fn type_faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut add = |setting: String, sentence: Option<String>| {
            faults.extend(sentence.map(|said| (setting, said)));
        };
        add("type_column".into(), self.type_column_fault());
        if self.type_column.is_some() && self.record.is_empty() {
            add(
                "record".into(),
                Some(
                    "a type column is named, but no types; write a [[record]] with a name for each"
                        .into(),
                ),
            );
        }
        let mut seen: Vec<&str> = Vec::new();
        for (index, record) in self.record.iter().enumerate() {
            add(
                format!("record.{index}.columns"),
                names_fault(&record.columns),
            );
            if !record.columns.is_empty() && self.header.is_none() {
                add(format!("record.{index}.columns"), Some("columns are given, but is the first line data or names? Write header = false (data), or header = true".into()));
            }
            for text in record.texts() {
                let twice = seen.contains(&text.as_str());
                let sentence =
                    || format!("\"{text}\" in the type column stands for an earlier type already");
                add(format!("record.{index}.match"), twice.then(sentence));
                seen.push(text);
            }
        }
        let definitions = self.definitions(&self.columns);
        faults.extend(typed::faults(&definitions, !self.has_header()));
        faults
    }

    fn definitions<'a>(&'a self, common: &'a [String]) -> Vec<Definition<'a>> {
        let records = self.record.iter();
        let common = if self.has_header() && std::ptr::eq(common, self.columns.as_slice()) {
            // The header is not there yet, and has more than the names that it must have.
            &[]
        } else {
            common
        };
        records.map(|record| record.definition(common)).collect()
    }

    fn type_column_fault(&self) -> Option<String> {
        let Some(column) = &self.type_column else {
            return (!self.record.is_empty())
                .then(|| "there are types of records; in which column do they stand? Write e.g. type_column = 1".into());
        };
        let TypeColumn::Name(name) = column else {
            return None;
        };
        if self.has_header() {
            return None;
        }
        self.type_place(&self.columns).err().map(|_| {
            format!("\"{name}\" is not the same column in all types; write its number, e.g. type_column = 1")
        })
    }

    /// Where the type stands, from 0.
    fn type_place(&self, common: &[String]) -> Result<usize, String> {
        let name = match &self.type_column {
            Some(TypeColumn::Number(number)) => return Ok(number - 1),
            Some(TypeColumn::Name(name)) => name,
            None => return Ok(0),
        };
        let mut lists: Vec<&[String]> = self
            .record
            .iter()
            .map(|record| record.columns.as_slice())
            .filter(|columns| !columns.is_empty())
            .collect();
        lists.push(common);
        lists.retain(|columns| !columns.is_empty());
        let mut places = lists
            .iter()
            .map(|columns| columns.iter().position(|column| column == name));
        let first = places.next().flatten();
        match first {
            Some(place) if self.has_header() || places.all(|other| other == first) => Ok(place),
            _ => Err(format!(
                "no column is called \"{name}\", in which the type should stand"
            )),
        }
    }
}

/// All types, compiled for the columns that a file has.
#[derive(Debug)]
pub(super) struct Types {
    /// The names that the header gave, or the format.
    pub(super) common: Vec<String>,
    /// Where a record's type stands, from 0.
    pub(super) column: usize,
    /// What stands there, and the type's number.
    texts: Vec<(String, usize)>,
    pub(super) rules: Arc<Rules>,
    /// Columns of the type that has most.
    pub(super) columns_max: usize,
}

impl Types {
    /// `None` where there are no types.
    pub(super) fn new(config: &CsvConfig, common: &[String]) -> Result<Option<Self>, String> {
        if config.record.is_empty() {
            return Ok(None);
        }
        let definitions: Vec<Definition<'_>> = config
            .record
            .iter()
            .map(|record| record.definition(common))
            .collect();
        if let Some((setting, sentence)) = typed::faults(&definitions, true).into_iter().next() {
            return Err(format!("{setting}: {sentence}"));
        }
        let records = config.record.iter().enumerate();
        let texts = records.flat_map(|(kind, record)| {
            let texts = record.texts().iter().cloned();
            texts.map(move |text| (text, kind))
        });
        Ok(Some(Self {
            column: config.type_place(common)?,
            texts: texts.collect(),
            columns_max: definitions
                .iter()
                .map(|one| one.columns.len())
                .max()
                .unwrap_or(0),
            rules: Arc::new(Rules::new(&definitions)),
            common: common.to_vec(),
        }))
    }

    /// The type that stands for a cell.
    pub(super) fn find(&self, cell: &str) -> Option<usize> {
        let cell = cell.trim();
        let found = self.texts.iter().find(|(text, _)| text == cell);
        found.map(|(_, kind)| *kind)
    }

    /// All types' names, for a sentence.
    pub(super) fn known(&self) -> String {
        let texts: Vec<&str> = self.texts.iter().map(|(text, _)| text.as_str()).collect();
        texts.join(", ")
    }
}
