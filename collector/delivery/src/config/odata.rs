//! `[target.odata]`: entities of an OData service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::{TIMEOUT_MAX, TargetConfig};

/// Events of a $batch, at most: what services take that say how many (Dataverse: 1,000, Business Central: 100).
pub const PARTS_MAX: usize = 1_000;
/// Properties of a key, at most.
const KEY_MAX: usize = 16;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OdataConfig {
    /// 2 or 4.
    #[serde(default)]
    pub version: Version,
    /// A template of the entity set: `Items`.
    pub entity: String,
    /// A template of the entity's JSON.
    pub body: String,
    /// The properties that address an entity.
    #[serde(default)]
    pub key: Vec<String>,
    /// They are an alternate key: its value has its name too where there is but one.
    #[serde(default)]
    pub alternate_key: bool,
    /// What the types of properties in `key` and `find` are, where JSON does not tell.
    #[serde(default)]
    pub key_types: BTreeMap<String, KeyType>,
    /// Properties by which an entity is looked up that cannot be addressed by them.
    #[serde(default)]
    pub find: Vec<String>,
    /// What an event does.
    #[serde(default)]
    pub write: Write,
    /// `PATCH`, `PUT` or `MERGE`; none: `PATCH`, of version 2 `MERGE`.
    pub method: Option<ChangeMethod>,
    /// What a change says of the state that it changes.
    #[serde(default)]
    pub if_match: IfMatch,
    /// What `write = "create"` makes of an entity that is there.
    #[serde(default)]
    pub if_there: IfThere,
    /// How long a create that is in doubt waits before it looks: what broke off may still be worked on.
    #[serde(default = "default_settle", with = "humantime_serde")]
    pub settle: Duration,
    /// The events of a request stand or fall together.
    #[serde(default)]
    pub atomic: bool,
    /// How several events travel; none: `json`, of version 2 `multipart`.
    pub batch_format: Option<BatchFormat>,
    /// How the body's decimals are written.
    #[serde(default)]
    pub decimals: Decimals,
    /// What each request has beside its own headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn default_settle() -> Duration {
    Duration::from_secs(2)
}

/// The protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "u8")]
pub enum Version {
    /// As SAP's Gateway has it.
    V2,
    /// OData 4.0 and 4.01.
    #[default]
    V4,
}

impl TryFrom<u8> for Version {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            2 => Ok(Self::V2),
            4 => Ok(Self::V4),
            _ => Err("odata.version: write 2 or 4"),
        }
    }
}

/// The type of a key's property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// `'O''Neill'`.
    String,
    /// A number without a suffix: Edm.Byte, Edm.Int16, Edm.Int32.
    Number,
    /// Edm.Int64: of version 2 with an `L`.
    Int64,
    /// Edm.Decimal: of version 2 with an `M`.
    Decimal,
    /// Edm.Guid.
    Guid,
    /// Edm.Date; of version 2 an Edm.DateTime at midnight.
    Date,
    /// Edm.DateTime of version 2, which has no zone: UTC.
    DateTime,
    /// Edm.DateTimeOffset.
    DateTimeOffset,
    /// `true` or `false`.
    Boolean,
}

/// What an event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Write {
    /// One request to the key's address makes the entity or changes it.
    #[default]
    Upsert,
    /// It makes one. After a doubt it is looked up first.
    Create,
    /// It is looked up, then made or changed.
    CreateOrPatch,
    /// It changes one that is there.
    Patch,
}

/// How an entity is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChangeMethod {
    /// What the body lacks stays.
    Patch,
    /// What the body lacks becomes its default.
    Put,
    /// Version 2's `PATCH`.
    Merge,
}

/// What a change says of the state that it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfMatch {
    /// Nothing.
    #[default]
    None,
    /// `If-Match: *`: whatever it is.
    Any,
    /// The state that was read just before.
    Read,
}

/// What `write = "create"` makes of an entity that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfThere {
    /// Delivered where it has the values that the event would give it; else a conflict.
    #[default]
    Compare,
    /// Delivered.
    Done,
    /// A conflict.
    Conflict,
}

/// How several events travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchFormat {
    /// Version 4's JSON.
    Json,
    /// `multipart/mixed`, as of version 2.
    Multipart,
}

/// How the body's decimals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decimals {
    /// As JSON's numbers.
    #[default]
    Numbers,
    /// As texts, which version 4 is told: `IEEE754Compatible=true`.
    Strings,
}

impl OdataConfig {
    /// How several events travel.
    #[must_use]
    pub fn batch_format(&self) -> BatchFormat {
        let usual = match self.version {
            Version::V2 => BatchFormat::Multipart,
            Version::V4 => BatchFormat::Json,
        };
        self.batch_format.unwrap_or(usual)
    }

    /// How an entity is changed.
    #[must_use]
    pub fn method(&self) -> ChangeMethod {
        let usual = match self.version {
            Version::V2 => ChangeMethod::Merge,
            Version::V4 => ChangeMethod::Patch,
        };
        self.method.unwrap_or(usual)
    }

    /// What is wrong, a sentence each.
    pub(super) fn check(&self, target: &TargetConfig, wrong: &mut Vec<String>) {
        for (setting, text) in [("entity", &self.entity), ("body", &self.body)] {
            if text.trim().is_empty() {
                wrong.push(format!("odata.{setting}: write a template of it"));
            }
        }
        if target.batch > PARTS_MAX {
            wrong.push(format!("batch: a $batch has at most {PARTS_MAX} events"));
        }
        if target.url.contains(['?', '#']) {
            wrong.push(
                "url: write the service's root alone; what stands behind \"?\" may go into odata.headers (e.g. sap-client)"
                    .into(),
            );
        }
        self.check_names(wrong);
        self.check_write(wrong);
        self.check_version(wrong);
        self.check_headers(wrong);
    }

    fn check_names(&self, wrong: &mut Vec<String>) {
        let names = [("key", &self.key), ("find", &self.find)];
        for (setting, names) in names {
            let unique: BTreeSet<_> = names.iter().collect();
            if names.len() > KEY_MAX || unique.len() < names.len() {
                wrong.push(format!(
                    "odata.{setting}: at most {KEY_MAX} names, each once"
                ));
            }
            for name in names.iter().filter(|name| !is_property(name)) {
                wrong.push(format!(
                    "odata.{setting}: {name:?} is no name of a property"
                ));
            }
        }
        for name in self.key_types.keys() {
            if !self.key.contains(name) && !self.find.contains(name) {
                wrong.push(format!(
                    "odata.key_types.{name}: it is neither in odata.key nor in odata.find"
                ));
            }
        }
        let is_found = self.write == Write::Create && !self.find.is_empty();
        if self.key.is_empty() && !is_found {
            wrong.push(
                "odata.key: write the properties that address an entity; or odata.find for write = \"create\", whose key the service makes"
                    .into(),
            );
        }
    }

    fn check_write(&self, wrong: &mut Vec<String>) {
        let is_create = self.write == Write::Create;
        if self.write == Write::Upsert && !self.find.is_empty() {
            wrong.push("odata.find: what is looked up is made or changed; write = \"create-or-patch\" does that".into());
        }
        if self.write == Write::Upsert && self.if_match == IfMatch::Any {
            wrong.push(
                "odata.if_match: \"any\" makes no entity; write = \"patch\" changes those that are there"
                    .into(),
            );
        }
        if is_create && (self.method.is_some() || self.if_match != IfMatch::None) {
            wrong.push(
                "odata.write: what is only made, by POST, has neither odata.method nor odata.if_match"
                    .into(),
            );
        }
        if self.settle > TIMEOUT_MAX {
            wrong.push("odata.settle: write at most \"10m\"".into());
        }
        if !is_create && self.if_there != IfThere::Compare {
            wrong.push("odata.if_there: only write = \"create\" has it".into());
        }
    }

    fn check_version(&self, wrong: &mut Vec<String>) {
        match self.version {
            Version::V2 => {
                if self.batch_format == Some(BatchFormat::Json) {
                    wrong.push("odata.batch_format: version 2 has \"multipart\" only".into());
                }
                if self.decimals == Decimals::Strings {
                    wrong.push(
                        "odata.decimals: version 2 has no word for it; its decimals are texts in the body anyway"
                            .into(),
                    );
                }
            }
            Version::V4 => {
                if self.method == Some(ChangeMethod::Merge) {
                    wrong.push(
                        "odata.method: MERGE is version 2's; version 4 has PATCH and PUT".into(),
                    );
                }
            }
        }
    }

    fn check_headers(&self, wrong: &mut Vec<String>) {
        /// Those that requests have of their own.
        const OURS: [&str; 9] = [
            "accept",
            "authorization",
            "content-id",
            "content-length",
            "content-type",
            "cookie",
            "host",
            "if-match",
            "if-none-match",
        ];
        for (name, value) in &self.headers {
            // A part of a $batch holds letters of ASCII only.
            let is_good = HeaderName::try_from(name.as_str()).is_ok()
                && HeaderValue::from_str(value).is_ok_and(|value| value.to_str().is_ok());
            if !is_good || OURS.contains(&name.to_lowercase().as_str()) {
                wrong.push(format!(
                    "odata.headers.{name}: it is no header, or one that requests have of their own"
                ));
            }
        }
    }
}

/// A simple identifier (OData 4.01, CSDL, 15.2).
fn is_property(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters.next();
    first.is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
        && name.chars().count() <= 128
}

#[cfg(test)]
mod tests;
