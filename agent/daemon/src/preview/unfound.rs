//! Columns whose path finds nothing, which is easily taken for a source that says nothing.

use std::sync::Arc;

use dray_adapter::{Records, Shape, Value};

use crate::registry::Configured;

/// What was found of the columns of each type of record.
#[derive(Debug, Default)]
pub(super) struct Unfound(Vec<OfType>);

#[derive(Debug)]
struct OfType {
    shape: Arc<Shape>,
    records: u64,
    /// Whether any record had a value, by the column's place.
    found: Vec<bool>,
}

impl Unfound {
    pub(super) fn count(&mut self, records: &Records) {
        for record in records.iter() {
            let shape = record.shape();
            let known = self.0.iter().position(|known| known.shape == *shape);
            let at = known.unwrap_or_else(|| {
                self.0.push(OfType {
                    shape: Arc::clone(shape),
                    records: 0,
                    found: vec![false; shape.columns.len()],
                });
                self.0.len() - 1
            });
            let of_type = &mut self.0[at];
            of_type.records += 1;
            for (column, found) in of_type.found.iter_mut().enumerate() {
                *found |= record.value(column) != Value::Null;
            }
        }
    }

    /// A sentence for each column that a path looks for and that no record had.
    pub(super) fn sentences(&self, source: &dyn Configured) -> Vec<String> {
        let mut sentences = Vec::new();
        for of_type in &self.0 {
            let record_type = of_type.shape.record_type.as_str();
            let columns = of_type.shape.columns.iter().zip(&of_type.found);
            for (column, _) in columns.filter(|(_, found)| !**found) {
                let Some(path) = source.path(record_type, column) else {
                    continue;
                };
                let records = match of_type.records {
                    1 => "the one record that was".to_owned(),
                    count => format!("all {count} records that were"),
                };
                let of = match record_type {
                    "" => String::new(),
                    name => format!(" of \"{name}\""),
                };
                // JSON has none, and without one a name of XML is taken in any namespace.
                let prefixes = match path.contains(':') {
                    true => ", with their prefixes,",
                    false => ",",
                };
                sentences.push(format!(
                    "column {column}{of} was empty in {records} read: nothing stands at \"{path}\"; look at the names in it{prefixes} and whether it begins at the record"
                ));
            }
        }
        sentences
    }
}
