//! `[flow.source.format]` with `kind = "csv"`.

use std::sync::Arc;

use dray_adapter::Shape;
use serde::Deserialize;

use super::COLUMNS_MAX;
use crate::encoding::Encoding;

/// The settings; [`Self::faults`] says what is wrong with them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvConfig {
    /// "csv".
    pub kind: String,
    /// One ASCII character; default ",".
    #[serde(default = "comma")]
    pub delimiter: String,
    /// One ASCII character, or "" for none; default "\"".
    #[serde(default = "quote")]
    pub quote: String,
    /// Whether the first line names the columns. Default: true, unless `columns` is given.
    pub header: Option<bool>,
    /// The columns' names, by position.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Default "utf-8".
    #[serde(default = "utf8")]
    pub encoding: String,
}

fn comma() -> String {
    ",".into()
}

fn quote() -> String {
    "\"".into()
}

fn utf8() -> String {
    "utf-8".into()
}

impl CsvConfig {
    /// What is wrong: the setting and a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let one =
            |text: &str| text.len() == 1 && text.is_ascii() && !matches!(text, "\n" | "\r" | "\0");
        if self.kind != "csv" {
            faults.push((
                "kind",
                format!("\"{}\" is not a format; there is \"csv\"", self.kind),
            ));
        }
        if !one(&self.delimiter) {
            let reason = format!(
                "\"{}\" is not one ASCII character; write e.g. \"|\" or \"\\t\"",
                self.delimiter
            );
            faults.push(("delimiter", reason));
        }
        if !self.quote.is_empty() && !one(&self.quote) {
            faults.push((
                "quote",
                format!(
                    "\"{}\" is not one ASCII character; write \"\" for none",
                    self.quote
                ),
            ));
        }
        if self.quote == self.delimiter {
            faults.push((
                "quote",
                "quote and delimiter are the same; change one of the two".into(),
            ));
        }
        if let Err(reason) = Encoding::named(&self.encoding) {
            faults.push(("encoding", reason));
        }
        match (self.header, self.columns.is_empty()) {
            (Some(true), false) => {
                faults.push((
                    "columns",
                    "header = true takes the names from the file; leave one of the two out".into(),
                ));
            }
            (Some(false), true) => {
                faults.push((
                    "columns",
                    "without a header the columns need names: columns = [\"A\", \"B\"]".into(),
                ));
            }
            _ => {}
        }
        if let Err(reason) = shape(self.columns.iter().map(String::as_str)) {
            faults.push(("columns", reason));
        }
        faults
    }
}

/// The shape of these names, which must differ and not be empty.
pub(super) fn shape<'a>(names: impl Iterator<Item = &'a str>) -> Result<Arc<Shape>, String> {
    let columns: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
    if let Some(at) = columns.iter().position(String::is_empty) {
        return Err(format!("column {} has no name", at + 1));
    }
    if columns.len() > COLUMNS_MAX {
        return Err(format!(
            "there are {} columns, at most {COLUMNS_MAX} are read",
            columns.len()
        ));
    }
    let mut sorted: Vec<&String> = columns.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two columns are called \"{}\"", pair[0])),
        None => Ok(Arc::new(Shape {
            record_type: String::new(),
            columns,
        })),
    }
}
