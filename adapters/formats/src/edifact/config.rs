//! The `[flow.source.format]` table of an EDIFACT file.

use serde::Deserialize;

use super::decoder::Interchanges;
use super::sets::SETS;
use crate::edi::{Otherwise, Plans, RecordConfig, SetConfig, Settings};

/// How a file's documents become records. `kind = "edifact"` alone is enough for the built-in sets.
///
/// ```toml
/// kind = "edifact"
/// records = ["DESADV.line"]                     # all records unless said
///
/// [[record]]                                    # more columns
/// type = "DESADV.line"
/// columns = ["BATCH = PIA02/NB", "DTM01-2[361]"]
///
/// [[set]]                                       # a set that is not built in
/// set = "SLSRPT"
/// loops = "BGM! DTM (NAD RFF) (LOC DTM line:(LIN PIA MOA QTY))"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdifactConfig {
    /// How text is encoded where the syntax identifier does not say: private ones, and UNOA and UNOB, which promise ASCII. Unless
    /// said, the latter are UTF-8 where they can be, else windows-1252.
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

impl EdifactConfig {
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
