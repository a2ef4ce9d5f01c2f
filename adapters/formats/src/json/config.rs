//! The `[flow.source.format]` tables of JSON files.

use serde::Deserialize;

use super::path::{self, Step};
use crate::columns::Columns;

/// A file of one JSON value: which array in it holds the records, and where in them the cells are.
///
/// ```toml
/// kind = "json"
/// record = "/orders/*/lines"
/// [fields]
/// ORDER = "../number"
/// SKU = "/item/sku"
/// QTY = "qty"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonConfig {
    /// The way to the array; `*` is each element of an array. Default: the file is the array.
    #[serde(default)]
    pub record: String,
    /// The columns: a JSON pointer from the record (`/item/sku`), names with dots (`item.sku`), or from an object around it (`../number`).
    pub fields: Columns<String>,
}

/// A file whose every line is a JSON value.
///
/// ```toml
/// kind = "json-lines"
/// [fields]
/// SKU = "item.sku"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonLinesConfig {
    /// The columns: a JSON pointer from the line's value (`/item/sku`), or names with dots (`item.sku`).
    pub fields: Columns<String>,
}

impl JsonConfig {
    /// What is wrong with it: the setting's path, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        match path::record(&self.record) {
            Ok(steps) => faults.extend(fields_faults(&self.fields, &steps)),
            Err(sentence) => faults.push(("record".into(), sentence)),
        }
        faults
    }
}

impl JsonLinesConfig {
    /// What is wrong with it: the setting's path, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        fields_faults(&self.fields, &[])
    }
}

fn fields_faults(fields: &Columns<String>, record: &[Step]) -> Vec<(String, String)> {
    let mut faults = fields.faults();
    let keys: Vec<&String> = record
        .iter()
        .rev()
        .filter_map(|step| match step {
            Step::Key(key) => Some(key),
            Step::Each => None,
        })
        .collect();
    for (name, field) in &fields.0 {
        let sentence = match path::field(field) {
            Err(sentence) => sentence,
            Ok(path) if path.up > keys.len() => format!(
                "\"{field}\" goes up {} objects, and there are {} around the record",
                path.up,
                keys.len()
            ),
            Ok(path) if path.up > 0 && path.steps.first() == Some(keys[path.up - 1]) => {
                format!(
                    "\"{field}\" goes down to the records again; write the path from the record, with fewer .."
                )
            }
            Ok(_) => continue,
        };
        faults.push((format!("fields.{name}"), sentence));
    }
    faults
}
