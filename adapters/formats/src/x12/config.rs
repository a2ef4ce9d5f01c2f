//! The `[flow.source.format]` table of an X12 file.

use serde::Deserialize;

use super::decoder::Interchanges;
use super::sets::SETS;
use crate::edi::{Otherwise, Plans, RecordConfig, SetConfig, Settings};

/// How a file's documents become records. `kind = "x12"` alone is enough for the built-in sets.
///
/// ```toml
/// kind = "x12"
/// records = ["940", "940.line"]                 # all records unless said
///
/// [[record]]                                    # more columns
/// type = "940.line"
/// columns = ["W0115", "PALLET = LX01"]
///
/// [[set]]                                       # a set that is not built in
/// set = "214"
/// loops = "B10! L11 (N1 N3 N4) (LX+ status:(AT7 MS1 MS2) L11)"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct X12Config {
    /// How text is encoded, UTF-8 unless said.
    pub encoding: Option<String>,
    /// What becomes of documents of other sets.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// The types of record that are wanted; all where none is named.
    #[serde(default)]
    pub records: Vec<String>,
    /// Sets that are not built in.
    #[serde(default)]
    pub set: Vec<SetConfig>,
    /// Columns beyond the built-in ones.
    #[serde(default)]
    pub record: Vec<RecordConfig>,
}

impl X12Config {
    /// What is wrong with it: the setting, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        self.compile().err().unwrap_or_default()
    }

    pub(super) fn compile(&self) -> Result<Plans, Vec<(String, String)>> {
        let settings = Settings {
            known: SETS,
            encoding: self.encoding.as_deref(),
            otherwise: self.otherwise,
            records: &self.records,
            sets: &self.set,
            record: &self.record,
        };
        settings.compile::<Interchanges>()
    }
}
