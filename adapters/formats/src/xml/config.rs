//! The `[flow.source.format]` table of an XML file.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::path::{FieldPath, Prefixes, RecordPath};
use crate::columns::Columns;
use crate::csv::Encoding;

/// Columns that join all elements of their path, at most: what they join can be as long as the record, each.
const JOINS_MAX: usize = 16;
/// Bytes of what stands between joined values, at most.
const JOIN_BYTES_MAX: usize = 8;
/// Configured namespaces, at most.
const NAMESPACES_MAX: usize = 100;

/// Which elements of a file are records, and where in them the cells are.
///
/// ```toml
/// kind = "xml"
/// record = "/w:Shipments/w:Shipment/w:Line"
/// namespaces = { w = "urn:example:wms" }
/// [fields]
/// SHIP_NO = "../w:ShipNo"
/// SKU = "Item/@sku"
/// QTY = "Qty"
/// LOTS = { path = "Lot", join = "," }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XmlConfig {
    /// `/Shipments/Shipment/Line` from the root, or `//Line` at any depth. `*` is any element.
    pub record: String,
    /// What prefixes in the paths stand for. A name without a prefix is taken in any namespace.
    #[serde(default)]
    pub namespaces: BTreeMap<String, String>,
    /// The columns.
    pub fields: Columns<XmlField>,
    /// Whether white space around a value is left out. Default: yes.
    #[serde(default = "yes")]
    pub trim: bool,
    /// How text is encoded, where the file's own declaration is wrong.
    pub encoding: Option<Encoding>,
}

/// Where a column's value is: `"path"`, or `{ path = "path", join = "," }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlField {
    /// Seen from the record.
    pub path: String,
    /// What is put between the values where there are several. Without it, the first is taken.
    pub join: Option<String>,
}

impl XmlConfig {
    /// What is wrong with it: the setting's path, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = self.columns_faults();
        faults.extend(
            self.record_path()
                .err()
                .map(|sentence| ("record".into(), sentence)),
        );
        if self.namespaces.len() > NAMESPACES_MAX {
            let sentence = format!(
                "{} namespaces, at most {NAMESPACES_MAX} are possible",
                self.namespaces.len()
            );
            faults.push(("namespaces".into(), sentence));
        }
        faults
    }

    pub(super) fn record_path(&self) -> Result<RecordPath, String> {
        Prefixes(&self.namespaces).record(&self.record)
    }

    pub(super) fn field_path(&self, field: &XmlField) -> Result<FieldPath, String> {
        Prefixes(&self.namespaces).field(&field.path)
    }

    fn columns_faults(&self) -> Vec<(String, String)> {
        let mut faults = self.fields.faults();
        let depth = self
            .record_path()
            .ok()
            .filter(|path| !path.anywhere)
            .map(|path| path.steps.len());
        for (name, field) in &self.fields.0 {
            let mut fault = |sentence: String| faults.push((format!("fields.{name}"), sentence));
            match self.field_path(field) {
                Err(sentence) => fault(sentence),
                Ok(path) if depth.is_some_and(|depth| path.up >= depth) => {
                    fault(format!(
                        "\"{}\" goes up beyond the root: the record is {} elements deep",
                        field.path,
                        depth.unwrap_or(0)
                    ));
                }
                Ok(_) => {}
            }
            if field
                .join
                .as_ref()
                .is_some_and(|join| join.len() > JOIN_BYTES_MAX)
            {
                fault(format!(
                    "what joins values is longer than {JOIN_BYTES_MAX} bytes"
                ));
            }
        }
        let joins = self
            .fields
            .0
            .iter()
            .filter(|(_, field)| field.join.is_some())
            .count();
        if joins > JOINS_MAX {
            faults.push((
                "fields".into(),
                format!("{joins} columns join values, at most {JOINS_MAX} may"),
            ));
        }
        faults
    }
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldTable {
    path: String,
    join: Option<String>,
}

impl<'de> Deserialize<'de> for XmlField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PathOrTable)
    }
}

struct PathOrTable;

impl<'de> Visitor<'de> for PathOrTable {
    type Value = XmlField;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .write_str("a path such as \"Item/@sku\", or a table { path = \"Lot\", join = \",\" }")
    }

    fn visit_str<E>(self, path: &str) -> Result<XmlField, E> {
        Ok(XmlField {
            path: path.to_owned(),
            join: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<XmlField, A::Error> {
        let table = FieldTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(XmlField {
            path: table.path,
            join: table.join,
        })
    }
}
