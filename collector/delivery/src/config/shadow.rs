//! `[target.shadow]`: what a rendered request is compared with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::calls::CallConfig;

/// Pointers of one setting, at most.
const POINTERS_MAX: usize = 500;
/// The longest time that the old way may need.
const AFTER_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// See the module. Pointers are JSON pointers (RFC 6901): `/lines/0/quantity`; `""` is all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShadowConfig {
    /// How long the old way may need: an event is compared so long after its capture.
    #[serde(with = "humantime_serde")]
    pub after: Duration,
    /// A call that reads what the other side has of the event's key.
    pub call: Option<CallConfig>,
    /// Where in its answer the document stands.
    pub at: String,
    /// JSON lines that the old way sent, instead of a call.
    pub file: PathBuf,
    /// Where in such a line the document's name stands.
    pub key: String,
    /// Where in our document the same name stands; empty: as `key`.
    pub our_key: String,
    /// What is compared: a pointer into our document, and one into theirs. None: all of both.
    pub fields: BTreeMap<String, String>,
    /// What isn't, with all that is within; pointers into our document, or where there are `fields` into theirs too.
    pub ignore: Vec<String>,
    /// Texts of ours that are numbers: "12.50" is 12.5.
    pub numbers: Vec<String>,
}

impl ShadowConfig {
    /// Whether there is anything to compare with.
    #[must_use]
    pub fn compares(&self) -> bool {
        self.call.is_some() || self.has_file()
    }

    /// Whether it is a file.
    #[must_use]
    pub fn has_file(&self) -> bool {
        !self.file.as_os_str().is_empty()
    }

    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        let mut say = |setting: &str, said: &str| wrong.push(format!("shadow.{setting}: {said}"));
        if self.call.is_some() && self.has_file() {
            say("file", "compare with a call or with a file, not with both");
        }
        if self.has_file() && !self.file.is_absolute() {
            say(
                "file",
                "write the whole path, e.g. \"/var/lib/old/sent.jsonl\"",
            );
        }
        if self.has_file() && self.key.is_empty() {
            say(
                "key",
                "write where a line's name stands, e.g. key = \"/shipment_number\"",
            );
        }
        if !self.at.is_empty() && self.call.is_none() {
            say("at", "it is about the answer of shadow.call; there is none");
        }
        if self.after > AFTER_MAX {
            say(
                "after",
                "write at most \"7d\": so long the events must stay in the log",
            );
        }
        let one = [
            ("at", &self.at),
            ("key", &self.key),
            ("our_key", &self.our_key),
        ];
        let fields = self
            .fields
            .iter()
            .flat_map(|(ours, theirs)| [("fields", ours), ("fields", theirs)]);
        let lists = [("ignore", &self.ignore), ("numbers", &self.numbers)];
        let lists = lists
            .iter()
            .flat_map(|(setting, list)| list.iter().map(move |text| (*setting, text)));
        for (setting, text) in one.into_iter().chain(fields).chain(lists) {
            if !text.is_empty() && !text.starts_with('/') {
                say(
                    setting,
                    &format!("{text:?} is no JSON pointer; write e.g. \"/lines/0/quantity\""),
                );
            }
        }
        for (setting, count) in [
            ("fields", self.fields.len()),
            ("ignore", self.ignore.len()),
            ("numbers", self.numbers.len()),
        ] {
            if count > POINTERS_MAX {
                say(setting, &format!("at most {POINTERS_MAX}"));
            }
        }
    }
}
