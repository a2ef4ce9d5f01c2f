//! The `[flow.source.format]` table of a file of IDocs.

use std::collections::HashSet;

use serde::Deserialize;

use super::SEGMENT_LENGTH;
use super::layouts::{BUILT_IN, CONTROL};
use crate::csv::Encoding;

/// Segments that are configured, and fields of one, at most.
const SEGMENTS_MAX: usize = 500;

/// Which segments of a file's IDocs are records.
///
/// ```toml
/// kind = "idoc"
/// records = ["E1EDL24", "Z1PACK"]
/// ignore = ["E1ADRM1", "E1EDT13"]
/// [[segment]]
/// name = "Z1PACK"
/// parent = "E1EDL24"
/// carry = ["E1EDL20", "E1EDL24"]
/// field = [{ name = "EXIDV", width = 20 }, { name = "VEMNG", width = 15, at = 41 }]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdocConfig {
    /// The segments that are records, by their types (`E1EDL24`).
    pub records: Vec<String>,
    /// The fields of the control record that each record carries, as `DC40.DOCNUM`.
    #[serde(default = "control")]
    pub control: Vec<String>,
    /// Segments that nobody wants; `"*"`: all that are not known. Without it, an IDoc with an unknown segment is a bad record.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Layouts besides those that are built in, or in their place.
    #[serde(default)]
    pub segment: Vec<SegmentConfig>,
    /// How a flat file's text is encoded, UTF-8 unless said. Of XML: where its own declaration is wrong.
    pub encoding: Option<Encoding>,
}

/// A segment's layout.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentConfig {
    /// Its type, e.g. `Z1PACK`; a flat file may have its definition's name instead, `Z2PACK000`.
    pub name: String,
    /// The segment that it stands below, for flat files that fill neither PSGNUM nor HLEVEL.
    pub parent: Option<String>,
    /// The segments whose fields its records carry, as `E1EDL20.VBELN`. Default: those that it stands below.
    pub carry: Option<Vec<String>>,
    /// Its fields.
    pub field: Vec<FieldConfig>,
}

/// A field of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldConfig {
    /// As XML calls it.
    pub name: String,
    /// Its characters. Only XML can do without.
    pub width: Option<usize>,
    /// Its first character in SDATA, from 1. Default: behind the one before.
    pub at: Option<usize>,
}

fn control() -> Vec<String> {
    ["DOCNUM", "MESTYP", "IDOCTYP", "SNDPRN", "CREDAT", "CRETIM"]
        .map(str::to_owned)
        .into()
}

impl IdocConfig {
    /// What is wrong with it: the setting's path, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.records.is_empty() {
            faults.push((
                "records".into(),
                "no segment is named: write records = [\"E1EDL24\"]".into(),
            ));
        }
        let mut known: HashSet<&str> = BUILT_IN.iter().map(|built_in| built_in.name).collect();
        known.extend(self.segment.iter().map(|segment| segment.name.as_str()));
        for (number, name) in self.records.iter().enumerate() {
            if !known.contains(name.as_str()) {
                let sentence = format!(
                    "no layout of segment {name} is built in: write a [[segment]] with name = \"{name}\" and its fields"
                );
                faults.push((format!("records.{number}"), sentence));
            }
            if self.records[..number].contains(name) {
                faults.push((
                    format!("records.{number}"),
                    format!("segment {name} is named twice"),
                ));
            }
        }
        for (number, name) in self.control.iter().enumerate() {
            if !CONTROL.iter().any(|(known, _)| known == name) {
                let sentence = format!(
                    "the control record EDI_DC40 has no field {name}; it has e.g. DOCNUM, MESTYP, SNDPRN"
                );
                faults.push((format!("control.{number}"), sentence));
            }
        }
        if self.segment.len() > SEGMENTS_MAX {
            faults.push((
                "segment".into(),
                format!(
                    "{} segments, at most {SEGMENTS_MAX} are possible",
                    self.segment.len()
                ),
            ));
        }
        for (number, segment) in self.segment.iter().enumerate() {
            if self.segment[..number]
                .iter()
                .any(|other| other.name == segment.name)
            {
                faults.push((
                    format!("segment.{number}.name"),
                    format!("two segments are called {}", segment.name),
                ));
            }
            segment.faults(&known, number, &mut faults);
        }
        faults
    }
}

impl SegmentConfig {
    fn faults(&self, known: &HashSet<&str>, number: usize, faults: &mut Vec<(String, String)>) {
        let mut fault = |setting: String, sentence: String| {
            faults.push((format!("segment.{number}.{setting}"), sentence))
        };
        if self.name.is_empty() || self.name.len() > 30 {
            fault(
                "name".into(),
                "a segment's name has 1 to 30 characters".into(),
            );
        }
        let named = self.parent.iter().map(|name| ("parent".to_owned(), name));
        let carried = self
            .carry
            .iter()
            .flatten()
            .enumerate()
            .map(|(at, name)| (format!("carry.{at}"), name));
        for (setting, name) in named.chain(carried) {
            if !known.contains(name.as_str()) {
                fault(
                    setting,
                    format!("segment {name} is neither built in nor configured"),
                );
            }
        }
        if self.field.is_empty() || self.field.len() > SEGMENTS_MAX {
            fault(
                "field".into(),
                format!("{} fields; there are 1 to {SEGMENTS_MAX}", self.field.len()),
            );
        }
        let mut next = 1;
        for (at, field) in self.field.iter().enumerate() {
            if field.name.is_empty()
                || self.field[..at]
                    .iter()
                    .any(|other| other.name == field.name)
            {
                fault(
                    format!("field.{at}.name"),
                    format!("\"{}\": each field needs a name of its own", field.name),
                );
            }
            let start = field.at.unwrap_or(next);
            next = start.saturating_add(field.width.unwrap_or(0));
            if field.width == Some(0) || start == 0 || next > SEGMENT_LENGTH + 1 {
                fault(
                    format!("field.{at}.width"),
                    format!(
                        "{} has characters {start} to {}; SDATA has 1 to {SEGMENT_LENGTH}",
                        field.name,
                        next - 1
                    ),
                );
            }
        }
    }
}
