//! Two JSON documents, field by field. Pure, and exact: numbers are compared by value, digit by digit, never as floats.
//!
//! A document is its leaves by JSON pointer. What is null is as if it were not there, and so is an empty object; an
//! empty list is one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::config::ShadowConfig;

/// Leaves of a document, at most.
pub const LEAVES_MAX: usize = 10_000;
/// Differences of one event that are written down; more are only counted.
pub const SHOWN_MAX: usize = 50;
/// Letters of a value that are written down.
const VALUE_CHARS_MAX: usize = 200;

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where: a pointer into our document.
    pub field: String,
    /// JSON, cut; `None`: it isn't there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ours: Option<String>,
    /// The same of theirs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub theirs: Option<String>,
}

/// A document's leaves by pointer.
type Leaves = BTreeMap<String, Leaf>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Leaf {
    Bool(bool),
    Text(String),
    /// As it was written, and its value.
    Number(String, Decimal),
    EmptyList,
}

/// What is compared.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Pointers into ours and theirs; at least one pair.
    fields: Vec<(String, String)>,
    ignore: Vec<String>,
    numbers: Vec<String>,
}

impl Plan {
    /// Of a validated table.
    #[must_use]
    pub fn new(config: &ShadowConfig) -> Self {
        let mut fields: Vec<_> = config.fields.clone().into_iter().collect();
        if fields.is_empty() {
            fields.push((String::new(), String::new()));
        }
        Self {
            fields,
            ignore: config.ignore.clone(),
            numbers: config.numbers.clone(),
        }
    }

    /// All fields that differ, by name.
    ///
    /// # Errors
    /// A sentence: one of them is no JSON, or has too many fields.
    pub fn compare(&self, ours: &str, theirs: &str) -> Result<Vec<Difference>, String> {
        let ours = leaves(ours).map_err(|reason| format!("our document {reason}"))?;
        let theirs = leaves(theirs).map_err(|reason| format!("their document {reason}"))?;
        let mut differences = BTreeMap::new();
        for (our_root, their_root) in &self.fields {
            let tails: BTreeSet<&str> = tails(&ours, our_root)
                .chain(tails(&theirs, their_root))
                .collect();
            for tail in tails {
                let (field, their_field) =
                    (format!("{our_root}{tail}"), format!("{their_root}{tail}"));
                if self
                    .ignore
                    .iter()
                    .any(|root| is_within(&field, root) || is_within(&their_field, root))
                {
                    continue;
                }
                let (our_leaf, their_leaf) = (ours.get(&field), theirs.get(&their_field));
                if !self.is_same(&field, our_leaf, their_leaf) {
                    let found = Difference {
                        ours: our_leaf.map(Leaf::shown),
                        theirs: their_leaf.map(Leaf::shown),
                        field: field.clone(),
                    };
                    differences.insert(field, found);
                }
            }
        }
        Ok(differences.into_values().collect())
    }

    fn is_same(&self, field: &str, ours: Option<&Leaf>, theirs: Option<&Leaf>) -> bool {
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            return ours.is_none() && theirs.is_none();
        };
        if self.numbers.iter().any(|root| is_within(field, root))
            && let (Some(ours), Some(theirs)) = (ours.number(), theirs.number())
        {
            return ours == theirs;
        }
        match (ours, theirs) {
            (Leaf::Number(_, ours), Leaf::Number(_, theirs)) => ours == theirs,
            (ours, theirs) => ours == theirs,
        }
    }
}

impl Leaf {
    fn number(&self) -> Option<Decimal> {
        match self {
            Self::Number(_, value) => Some(value.clone()),
            Self::Text(text) => Decimal::parse(text.trim()),
            Self::Bool(_) | Self::EmptyList => None,
        }
    }

    fn shown(&self) -> String {
        let whole = match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(written, _) => written.clone(),
            Self::Text(text) => serde_json::to_string(text).unwrap_or_default(),
            Self::EmptyList => "[]".to_owned(),
        };
        match whole.char_indices().nth(VALUE_CHARS_MAX) {
            Some((end, _)) => format!("{}...", &whole[..end]),
            None => whole,
        }
    }
}

/// A number's value: 12.50, 12.5 and 125e-1 are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Without zeros at both ends; empty: zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if whole.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_start_matches('0').trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits,
                exponent: 0,
            });
        }
        let trailing = all.len() - all.trim_end_matches('0').len();
        Some(Self {
            negative,
            digits,
            exponent: exponent
                .checked_sub(fraction.len() as i64)?
                .checked_add(trailing as i64)?,
        })
    }
}

/// Whether a pointer is another one or stands within it.
fn is_within(pointer: &str, root: &str) -> bool {
    pointer
        .strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What follows a root in the leaves within it.
fn tails<'a>(leaves: &'a Leaves, root: &'a str) -> impl Iterator<Item = &'a str> {
    leaves
        .keys()
        .filter(|pointer| is_within(pointer, root))
        .map(|pointer| &pointer[root.len()..])
}

fn leaves(text: &str) -> Result<Leaves, String> {
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    let mut out = Leaves::new();
    flatten(raw, String::new(), &mut out)?;
    Ok(out)
}

fn flatten(raw: &RawValue, at: String, out: &mut Leaves) -> Result<(), String> {
    let text = raw.get();
    let unread = |error: serde_json::Error| format!("is no JSON: {error}");
    if out.len() > LEAVES_MAX {
        return Err(format!("has more than {LEAVES_MAX} fields"));
    }
    let leaf = match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).map_err(unread)?;
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                flatten(value, format!("{at}/{name}"), out)?;
            }
            return Ok(());
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(unread)?;
            if !items.is_empty() {
                for (index, value) in items.into_iter().enumerate() {
                    flatten(value, format!("{at}/{index}"), out)?;
                }
                return Ok(());
            }
            Leaf::EmptyList
        }
        Some(b'"') => Leaf::Text(serde_json::from_str(text).map_err(unread)?),
        Some(b't' | b'f') => Leaf::Bool(text == "true"),
        Some(b'n') | None => return Ok(()),
        Some(_) => {
            let value = Decimal::parse(text).ok_or("holds a number that is none")?;
            Leaf::Number(text.to_owned(), value)
        }
    };
    out.insert(at, leaf);
    Ok(())
}

/// The document that stands at a pointer; `None`: there is none, or null.
#[must_use]
pub fn at<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
    let mut raw: &RawValue = serde_json::from_str(text).ok()?;
    for name in pointer.split('/').skip(1) {
        let text = raw.get();
        raw = if text.starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            items.get(name.parse::<usize>().ok()?).copied()?
        } else {
            let name = name.replace("~1", "/").replace("~0", "~");
            let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            members.remove(&name)?
        };
    }
    Some(raw.get()).filter(|text| *text != "null")
}

/// The text or number at a pointer, as a name to look by.
#[must_use]
pub fn name_at(text: &str, pointer: &str) -> Option<String> {
    let found = at(text, pointer)?;
    match found.as_bytes().first()? {
        b'"' => serde_json::from_str(found).ok(),
        b'{' | b'[' => None,
        _ => Some(found.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(more: &str) -> Plan {
        Plan::new(&toml::from_str(more).expect("a table"))
    }

    fn compared(more: &str, ours: &str, theirs: &str) -> Vec<(String, String, String)> {
        let found = plan(more).compare(ours, theirs).expect("JSON");
        let words = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        found
            .into_iter()
            .map(|found| (found.field, words(found.ours), words(found.theirs)))
            .collect()
    }

    #[test]
    fn each_field_that_differs_is_named_with_both_values() {
        let ours = r#"{"id":"S1","lines":[{"qty":12.50,"sku":"A"},{"qty":3}],"note":"x","gone":null,"tags":[]}"#;
        let theirs = r#"{"id":"S1","lines":[{"qty":12.5,"sku":"B"}],"note":"x","extra":true}"#;
        let found = compared("", ours, theirs);
        let row =
            |field: &str, ours: &str, theirs: &str| (field.into(), ours.into(), theirs.into());
        assert_eq!(
            found,
            [
                row("/extra", "-", "true"),
                row("/lines/0/sku", "\"A\"", "\"B\""),
                row("/lines/1/qty", "3", "-"),
                row("/tags", "[]", "-"),
            ]
        );
        let some = compared(
            "ignore = [\"/lines/1\", \"/extra\", \"/tags\"]",
            ours,
            theirs,
        );
        assert_eq!(some.len(), 1);
        assert_eq!(compared("", ours, ours), []);
    }

    #[test]
    fn fields_go_by_other_names_at_the_other_side() {
        let fields = "fields = { \"/data/qty\" = \"/Quantity\", \"/data/lines\" = \"/Items\" }\nnumbers = [\"/data/qty\"]";
        let ours = r#"{"data":{"qty":"12.50","lines":[{"a":1},{"a":2}]},"id":7}"#;
        assert_eq!(
            compared(
                fields,
                ours,
                r#"{"Quantity":12.5,"Items":[{"a":1},{"a":2}],"Stamp":9}"#
            ),
            []
        );
        let found = compared(fields, ours, r#"{"Quantity":12.51,"Items":[{"a":1}]}"#);
        let names: Vec<_> = found.iter().map(|found| found.0.as_str()).collect();
        assert_eq!(names, ["/data/lines/1/a", "/data/qty"]);
    }

    #[test]
    fn numbers_are_compared_by_value_however_long_they_are() {
        for (ours, theirs, same) in [
            ("1", "1.0", true),
            ("125e-1", "12.50", true),
            ("-0", "0.00", true),
            ("100", "1E2", true),
            ("-1", "1", false),
            ("12345678901234567890.1", "12345678901234567890.2", false),
            ("0.1", "0.10000000000000000001", false),
            ("1", "\"1\"", false),
            ("true", "1", false),
        ] {
            assert_eq!(
                compared("", ours, theirs).is_empty(),
                same,
                "{ours} {theirs}"
            );
        }
        assert_eq!(compared("numbers = [\"\"]", "\"1.50\"", "1.5"), []);
        assert_eq!(compared("numbers = [\"\"]", "\"A\"", "\"A\""), []);
    }

    #[test]
    fn what_stands_at_a_pointer_is_found_and_null_is_nothing() {
        let text = r#"{"value":[{"a/b":1},{"name":"X","id":12,"no":null}]}"#;
        assert_eq!(at(text, "/value/0/a~1b"), Some("1"));
        assert_eq!(at(text, "/value/1/no"), None);
        assert_eq!(at(text, "/value/2"), None);
        assert_eq!(at(text, ""), Some(text));
        assert_eq!(name_at(text, "/value/1/name").as_deref(), Some("X"));
        assert_eq!(name_at(text, "/value/1/id").as_deref(), Some("12"));
        assert_eq!(name_at(text, "/value/1"), None);
        assert!(plan("").compare("{", "{}").is_err());
    }
}
