//! The `[flow.source.format]` table of fixed-width lines.

use std::collections::HashSet;

use serde::Deserialize;

use super::FIELDS_MAX;
use crate::RECORD_BYTES_MAX;
use crate::csv::Encoding;
use crate::typed::{self, CountConfig, Definition, Otherwise, Texts, TotalConfig};

/// How fixed-width lines become records.
///
/// ```toml
/// kind = "fixed"
///
/// [[record]]
/// name = "H"
/// match = [{ at = 1, text = "H" }]
/// emit = false
/// field = [{ name = "DATE", at = 2, width = 8 }, { name = "SITE", width = 3 }]
///
/// [[record]]
/// name = "D"
/// match = [{ at = 1, text = "D" }]
/// parent = "H"
/// field = [{ name = "SKU", at = 2, width = 10 }, { name = "AMOUNT", width = 8, decimals = 2, sign = "overpunch" }]
///
/// [[record]]
/// name = "T"
/// match = [{ at = 1, text = "T" }]
/// parent = "H"
/// trailer = true
/// required = true
/// field = [{ name = "LINES", at = 2, width = 6 }, { name = "AMOUNT", width = 9, decimals = 2 }]
/// counts = [{ field = "LINES", of = "D" }]
/// totals = [{ field = "AMOUNT", of = "D", sum = "AMOUNT" }]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedConfig {
    /// How text is encoded, UTF-8 unless said.
    #[serde(default)]
    pub encoding: Encoding,
    /// So many bytes each, and no line ends; lines unless said.
    pub record_bytes: Option<usize>,
    /// What becomes of a line that ends before its layout does.
    #[serde(default)]
    pub short: Short,
    /// What becomes of a line that goes on behind its layout.
    #[serde(default)]
    pub long: Long,
    /// What becomes of a line that is of none of the types.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// Where blanks are taken off a text, unless its field says.
    #[serde(default)]
    pub trim: Trim,
    /// The types of records. A line is of the first that it matches.
    #[serde(default)]
    pub record: Vec<RecordConfig>,
}

/// A type of record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordConfig {
    /// What it is called. Needed where there are several.
    #[serde(default)]
    pub name: String,
    /// By which it is told: all of them hold. Each line is of a type without any.
    #[serde(default, rename = "match")]
    pub matches: Vec<MatchConfig>,
    /// The type of record that it belongs to, and whose cells it carries as `NAME.FIELD`.
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
    /// Its fields.
    #[serde(default)]
    pub field: Vec<FieldConfig>,
    /// Fields that say how many records there are.
    #[serde(default)]
    pub counts: Vec<CountConfig>,
    /// Fields that say what others add up to.
    #[serde(default)]
    pub totals: Vec<TotalConfig>,
}

/// Text at a column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchConfig {
    /// From 1.
    pub at: usize,
    /// The text that stands there, or a list of which one does.
    pub text: Texts,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldConfig {
    /// What it is called.
    pub name: String,
    /// Its first character, from 1; behind the field before it unless said.
    pub at: Option<usize>,
    /// How many characters.
    pub width: usize,
    /// Where blanks are taken off, unless as the format says.
    pub trim: Option<Trim>,
    /// A number whose last digits, so many, are decimals: with 2, `0001250` is 12.50.
    pub decimals: Option<usize>,
    /// A number with a sign, and where that stands.
    pub sign: Option<Sign>,
    /// Whether all of it must be digits.
    #[serde(default)]
    pub digits: bool,
}

impl FieldConfig {
    /// Whether it is read as a number.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.decimals.is_some() || self.sign.is_some()
    }
}

/// What becomes of a short line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Short {
    /// It is read as if blanks followed.
    #[default]
    Pad,
    /// It is a bad record.
    Reject,
}

/// What becomes of a long line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Long {
    /// It is a bad record, unless only blanks follow.
    #[default]
    Reject,
    /// What follows is not looked at.
    Ignore,
}

/// Where blanks are taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trim {
    /// On both sides.
    #[default]
    Both,
    /// Before the text.
    Left,
    /// Behind it.
    Right,
    /// Nowhere.
    None,
}

/// Where a number's sign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// `-`, `+` or nothing before the digits.
    Leading,
    /// `-`, `+` or nothing behind them.
    Trailing,
    /// In the last digit: `{ABCDEFGHI` are 0 to 9, `}JKLMNOPQR` the same below zero. As COBOL's zoned numbers.
    Overpunch,
    /// The same in the first digit.
    OverpunchLeading,
}

impl FixedConfig {
    /// What is wrong with it: the setting, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut add = |setting: String, sentence: Option<String>| {
            faults.extend(sentence.map(|said| (setting, said)));
        };
        add("record_bytes".into(), self.record_bytes_fault());
        if self.record.is_empty() {
            add("record".into(), Some("no fields are configured; write a [[record]] with field = [{ name = \"A\", at = 1, width = 10 }]".into()));
        }
        for (index, record) in self.record.iter().enumerate() {
            let last = index + 1 == self.record.len();
            add(format!("record.{index}.match"), record.match_fault(last));
            for (at, one) in record.matches.iter().enumerate() {
                add(format!("record.{index}.match.{at}.at"), place_fault(one.at));
                let empty = one.text.0.is_empty() || one.text.0.iter().any(String::is_empty);
                let sentence = || "which text stands there? Write e.g. text = \"H\"".into();
                add(
                    format!("record.{index}.match.{at}.text"),
                    empty.then(sentence),
                );
            }
            if record.field.is_empty() && !record.skip && record.handed_out() {
                add(format!("record.{index}.field"), Some("it has no fields; write field = [{ name = \"A\", at = 1, width = 10 }], or emit = false".into()));
            }
            if record.field.len() > FIELDS_MAX {
                let sentence = format!(
                    "it has {} fields, at most {FIELDS_MAX} are possible",
                    record.field.len()
                );
                add(format!("record.{index}.field"), Some(sentence));
            }
            let mut names = HashSet::new();
            for (at, field) in record.field.iter().enumerate() {
                let is_new = names.insert(field.name.as_str());
                for (setting, sentence) in field.faults(is_new) {
                    add(
                        format!("record.{index}.field.{at}.{setting}"),
                        Some(sentence),
                    );
                }
            }
        }
        let columns = self.columns();
        faults.extend(typed::faults(&self.definitions(&columns), true));
        faults
    }

    /// The names of each type's fields.
    pub(super) fn columns(&self) -> Vec<Vec<String>> {
        let names = |record: &RecordConfig| {
            let names = record.field.iter().map(|field| field.name.clone());
            names.collect()
        };
        self.record.iter().map(names).collect()
    }

    pub(super) fn definitions<'a>(&'a self, columns: &'a [Vec<String>]) -> Vec<Definition<'a>> {
        let records = self.record.iter().zip(columns);
        records
            .map(|(record, columns)| Definition {
                name: &record.name,
                columns,
                parent: record.parent.as_deref(),
                emit: record.handed_out(),
                skip: record.skip,
                trailer: record.trailer,
                required: record.required,
                counts: &record.counts,
                totals: &record.totals,
            })
            .collect()
    }

    fn record_bytes_fault(&self) -> Option<String> {
        let bytes = self.record_bytes?;
        if !(1..=RECORD_BYTES_MAX).contains(&bytes) {
            return Some(format!(
                "record_bytes is from 1 to {RECORD_BYTES_MAX}; leave it out where records are lines"
            ));
        }
        let unit = self.encoding.unit_bytes();
        (bytes % unit != 0).then(|| {
            format!(
                "a character of this encoding has {unit} bytes, so record_bytes is a multiple of that"
            )
        })
    }
}

impl RecordConfig {
    pub(super) fn handed_out(&self) -> bool {
        self.emit.unwrap_or(!self.trailer) && !self.skip
    }

    fn match_fault(&self, last: bool) -> Option<String> {
        (self.matches.is_empty() && !last).then(|| {
            "every line is of this type, and none of the types behind it; say by what it is told, e.g. match = [{ at = 1, text = \"H\" }], or put it last".into()
        })
    }
}

impl FieldConfig {
    fn faults(&self, is_new: bool) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.name.trim().is_empty() {
            faults.push(("name", "the field has no name; what nobody needs can be left out, with `at` at the next field".into()));
        } else if !is_new {
            faults.push((
                "name",
                format!(
                    "the field is called \"{}\" like an earlier one; each needs its own name",
                    self.name
                ),
            ));
        }
        faults.extend(self.at.and_then(place_fault).map(|said| ("at", said)));
        if !(1..=RECORD_BYTES_MAX).contains(&self.width) {
            faults.push((
                "width",
                format!("the width is from 1 to {RECORD_BYTES_MAX} characters"),
            ));
        }
        if self.is_number() && self.width > typed::NUMBER_WIDTH_MAX {
            faults.push((
                "width",
                format!(
                    "a number has at most {} characters",
                    typed::NUMBER_WIDTH_MAX
                ),
            ));
        }
        if self.decimals.is_some_and(|decimals| decimals > self.width) {
            faults.push((
                "decimals",
                format!(
                    "there are more decimals than the {} characters of the field",
                    self.width
                ),
            ));
        }
        if self.digits && self.is_number() {
            faults.push((
                "digits",
                "a field with decimals or sign is checked to be a number anyway; leave digits out"
                    .into(),
            ));
        }
        if self.trim.is_some() && self.is_number() {
            faults.push((
                "trim",
                "blanks are no part of a number; leave trim out".into(),
            ));
        }
        faults
    }
}

fn place_fault(at: usize) -> Option<String> {
    (!(1..=RECORD_BYTES_MAX).contains(&at))
        .then(|| format!("places count from 1, up to {RECORD_BYTES_MAX}"))
}
