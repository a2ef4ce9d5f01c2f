//! The columns of a sample's records, by the records' types.

use std::sync::Arc;

use dray_adapter::{Batch, Shape, Value};
use dray_formats::suggest::{Column, column};

/// Types that are told apart, at most; a flow may have 255 mappings.
const TYPES_MAX: usize = 50;

/// The records of one type.
#[derive(Debug)]
pub(super) struct Records {
    /// As the source calls it; empty where it has only one.
    pub(super) record_type: String,
    /// In the order of the file.
    pub(super) columns: Vec<Column>,
}

/// In the order in which the types come.
pub(super) fn by_type(batches: &[Batch]) -> Vec<Records> {
    let mut shapes: Vec<(&Arc<Shape>, Vec<Vec<&str>>)> = Vec::new();
    for record in batches.iter().flat_map(|batch| batch.records.iter()) {
        let shape = record.shape();
        let known = shapes
            .iter()
            .position(|(known, _)| known.record_type == shape.record_type);
        let at = known.unwrap_or(shapes.len());
        if at == TYPES_MAX {
            continue;
        }
        if at == shapes.len() {
            shapes.push((shape, vec![Vec::new(); shape.columns.len()]));
        }
        for (index, values) in shapes[at].1.iter_mut().enumerate() {
            values.push(match record.value(index) {
                Value::Text(text) => text,
                _ => "",
            });
        }
    }
    let told = |(shape, values): (&Arc<Shape>, Vec<Vec<&str>>)| Records {
        record_type: shape.record_type.clone(),
        columns: shape
            .columns
            .iter()
            .zip(values)
            .map(|(name, values)| column(name, values.into_iter()))
            .collect(),
    };
    shapes.into_iter().map(told).collect()
}
