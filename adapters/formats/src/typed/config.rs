//! The settings of a record type that all formats share.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

/// One text, or several of which one must fit: `"H"` or `["27", "37"]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes, or a list of such")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Texts, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = texts.next_element()? {
                    all.push(text);
                }
                Ok(Texts(all))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

/// A field that says how many records there are.
///
/// ```toml
/// counts = [{ field = "LINES", of = "D" }]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountConfig {
    /// The field of this record.
    pub field: String,
    /// Which types it counts; all lines, this one among them, unless said.
    #[serde(default)]
    pub of: Texts,
}

/// A field that says what the numbers of other records add up to.
///
/// ```toml
/// totals = [{ field = "AMOUNT", of = "D", sum = "AMOUNT" }]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotalConfig {
    /// The field of this record.
    pub field: String,
    /// Which types are added up.
    pub of: Texts,
    /// Their field: whatever it identifies, in a hash total.
    pub sum: String,
    /// Of which of their records; of all unless said.
    #[serde(rename = "where")]
    pub only: Option<OnlyConfig>,
    /// Only so many digits of the sum are kept, the last ones: 10 in the entry hash of an ACH file.
    pub last_digits: Option<u32>,
}

/// Records of which a field is one of some texts.
///
/// ```toml
/// where = { field = "CODE", is = ["27", "37"] }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnlyConfig {
    /// The field of the records that are added up.
    pub field: String,
    /// What it is, or a list of which one it is.
    pub is: Texts,
}

/// What becomes of a line of no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Otherwise {
    /// It is a bad record.
    #[default]
    Reject,
    /// It is passed over.
    Skip,
}
