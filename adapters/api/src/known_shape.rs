//! What is known of records before there is one: `check` holds mappings against it.

use std::sync::Arc;

use crate::Shape;

/// The records of one type.
#[derive(Debug, Clone)]
pub struct KnownShape {
    /// Its names.
    pub shape: Arc<Shape>,
    /// Columns whose values the record of a deleted row does not say.
    pub unsaid_of_deleted: Vec<String>,
    /// How they come with it, in words; empty: not at all.
    pub way_out: String,
}

impl From<Shape> for KnownShape {
    /// Of records that say all that they have.
    fn from(shape: Shape) -> Self {
        Self {
            shape: Arc::new(shape),
            unsaid_of_deleted: Vec::new(),
            way_out: String::new(),
        }
    }
}
