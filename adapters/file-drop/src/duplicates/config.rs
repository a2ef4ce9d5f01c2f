//! `[flow.source.duplicates]`.

use dray_formats::FormatConfig;
use serde::Deserialize;

/// Columns that name a document, at most.
const COLUMNS_MAX: usize = 16;

/// ```toml
/// [flow.source.duplicates]
/// by = "interchange"
/// then = "drop"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuplicatesConfig {
    /// What names a document.
    pub by: By,
    /// What becomes of one that was there before.
    #[serde(default)]
    pub then: Then,
}

/// What names a document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "\"interchange\", \"documents\" or a list of columns such as [\"ORDER_NO\"]"
)]
pub enum By {
    /// What stands in the envelope.
    Named(Named),
    /// Columns of the records: those that have all of them belong to the document that these name together.
    Columns(Vec<String>),
}

/// What stands in the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Named {
    /// ISA06, ISA08 and ISA13; UNB's sender, recipient and 0020.
    Interchange,
    /// An IDoc's DOCNUM.
    Documents,
}

/// What becomes of a document that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// It is sent, and the file's report says so.
    #[default]
    Flag,
    /// It is sent, and counted in the report.
    Pass,
    /// It is not sent, and the file's report says so.
    Drop,
}

impl DuplicatesConfig {
    /// What is wrong with it: the setting, and a sentence with the way out.
    pub(crate) fn faults(&self, format: &FormatConfig) -> Vec<(String, String)> {
        let is_edi = matches!(format, FormatConfig::X12(_) | FormatConfig::Edifact(_));
        let is_idoc = matches!(format, FormatConfig::Idoc(_));
        let sentence = match &self.by {
            By::Named(Named::Interchange) if !is_edi => {
                "only X12 and EDIFACT have interchanges; name the columns that name a document, e.g. by = [\"ORDER_NO\"]"
            }
            By::Named(Named::Documents) if !is_idoc => {
                "only IDocs have numbers of their own (DOCNUM); write by = \"interchange\" for EDI, or the columns that name a document, e.g. by = [\"ORDER_NO\"]"
            }
            By::Columns(columns) if columns.is_empty() || columns.len() > COLUMNS_MAX => {
                "name one to 16 columns, e.g. by = [\"ORDER_NO\"]"
            }
            _ => return Vec::new(),
        };
        vec![("by".into(), sentence.into())]
    }
}
