//! The `[flow.source.format]` table of a workbook.

use serde::Deserialize;

use crate::csv::COLUMNS_MAX;

/// How a sheet's rows become records.
///
/// ```toml
/// kind = "xlsx"
/// sheet = "Orders"
/// skip_rows = 2
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XlsxConfig {
    /// The sheet; the first, unless said.
    #[serde(default)]
    pub sheet: SheetConfig,
    /// Rows at the sheet's top that are passed over, whatever is in them.
    #[serde(default)]
    pub skip_rows: u32,
    /// Whether the first row with a value names the columns. Default: yes.
    pub header: Option<bool>,
    /// The columns' names from A on, without a header; with one: names that it must have.
    #[serde(default)]
    pub columns: Vec<String>,
}

/// A sheet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a sheet's name, or its number from 1")]
pub enum SheetConfig {
    /// By its place among the worksheets, hidden ones too, from 1.
    Number(u32),
    /// By its name.
    Name(String),
}

impl Default for SheetConfig {
    fn default() -> Self {
        Self::Number(1)
    }
}

impl XlsxConfig {
    /// Whether the first row with a value names the columns.
    #[must_use]
    pub fn has_header(&self) -> bool {
        self.header.unwrap_or(true)
    }

    /// What is wrong with it: the setting, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        match &self.sheet {
            SheetConfig::Number(0) => faults.push((
                "sheet".into(),
                "sheets are counted from 1; write sheet = 1 for the first".into(),
            )),
            SheetConfig::Name(name) if name.is_empty() => faults.push((
                "sheet".into(),
                "it is empty; write the sheet's name, or its number from 1".into(),
            )),
            SheetConfig::Number(_) | SheetConfig::Name(_) => {}
        }
        let columns = self.columns_fault();
        faults.extend(columns.map(|sentence| ("columns".into(), sentence)));
        faults
    }

    fn columns_fault(&self) -> Option<String> {
        if self.columns.is_empty() {
            let sentence = "with header = false the columns need names: write columns = [\"A\", \"B\"], in their order";
            return (!self.has_header()).then(|| sentence.into());
        }
        if self.header.is_none() {
            return Some("columns are given, but is the first row data or names? Write header = false (data), or header = true (the names must be in it)".into());
        }
        if self.columns.len() > COLUMNS_MAX {
            return Some(format!(
                "{} columns are named, at most {COLUMNS_MAX} are possible",
                self.columns.len()
            ));
        }
        self.columns.iter().enumerate().find_map(|(index, name)| {
            if name.trim().is_empty() {
                let unused = format!("UNUSED_{}", index + 1);
                return Some(format!(
                    "column {} has no name; name what nobody needs too, e.g. \"{unused}\"",
                    index + 1
                ));
            }
            let twice = self.columns[..index].contains(name);
            twice.then(|| {
                format!(
                    "column {} is called \"{name}\" like an earlier one; each needs its own name",
                    index + 1
                )
            })
        })
    }
}
