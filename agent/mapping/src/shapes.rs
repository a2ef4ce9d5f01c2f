//! Columns by index, resolved once a shape.

use std::sync::Arc;

use dray_adapter::Shape;

use crate::nearest::nearest;

/// The index of a column that a shape does not have.
pub(crate) const NO_COLUMN: u32 = u32::MAX;
/// Shapes remembered at most: a flow has one a record type; where a source makes a new one a file,
/// the oldest goes.
const SHAPES_MAX: usize = 64;

/// The columns that a mapper's tables name; a *slot* is a place in this list.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    names: Vec<String>,
}

impl Columns {
    /// The slot of a name, a new one if it is.
    pub(crate) fn slot(&mut self, name: &str) -> usize {
        if let Some(slot) = self.names.iter().position(|known| known == name) {
            return slot;
        }
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    pub(crate) fn name(&self, slot: usize) -> &str {
        self.names.get(slot).map_or("", String::as_str)
    }

    /// Each slot's index in a shape, [`NO_COLUMN`] where it has none. Of columns with the same name
    /// it is the first.
    pub(crate) fn resolve(&self, shape: &Shape) -> Vec<u32> {
        let index = |name: &String| shape.columns.iter().position(|column| column == name);
        self.names
            .iter()
            .map(|name| index(name).map_or(NO_COLUMN, |index| index as u32))
            .collect()
    }
}

/// What is known of a shape.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// Kept, so that its address stays its own.
    shape: Arc<Shape>,
    /// Index by slot.
    pub(crate) columns: Vec<u32>,
    /// By mapping: whether it takes records of this type at all.
    pub(crate) takes: Vec<bool>,
}

/// The shapes seen last.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    known: Vec<Resolved>,
    last: usize,
    oldest: usize,
}

impl Shapes {
    /// The shape's indexes, found by its address or resolved now.
    #[inline]
    pub(crate) fn of(
        &mut self,
        shape: &Arc<Shape>,
        resolve: impl FnOnce(&Shape) -> (Vec<u32>, Vec<bool>),
    ) -> &Resolved {
        let is_last = self
            .known
            .get(self.last)
            .is_some_and(|known| Arc::ptr_eq(&known.shape, shape));
        if !is_last {
            self.last = self.find(shape, resolve);
        }
        &self.known[self.last]
    }

    #[cold]
    fn find(
        &mut self,
        shape: &Arc<Shape>,
        resolve: impl FnOnce(&Shape) -> (Vec<u32>, Vec<bool>),
    ) -> usize {
        if let Some(index) = self
            .known
            .iter()
            .position(|known| Arc::ptr_eq(&known.shape, shape))
        {
            return index;
        }
        let (columns, takes) = resolve(shape);
        let resolved = Resolved {
            shape: Arc::clone(shape),
            columns,
            takes,
        };
        if self.known.len() < SHAPES_MAX {
            self.known.push(resolved);
            return self.known.len() - 1;
        }
        let index = self.oldest;
        self.known[index] = resolved;
        self.oldest = (index + 1) % SHAPES_MAX;
        index
    }
}

/// A sentence about a column that isn't there.
#[cold]
pub(crate) fn no_such_column(name: &str, shape: &Shape) -> String {
    let columns = || shape.columns.iter().map(String::as_str);
    match nearest(name, columns()) {
        Some(near) => format!("there is no column {name} in the record; did you mean {near}?"),
        None => {
            let some: Vec<&str> = columns().take(40).collect();
            format!(
                "there is no column {name} in the record; it has {}",
                some.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(columns: &[&str]) -> Arc<Shape> {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Arc::new(Shape {
            record_type: String::new(),
            columns,
        })
    }

    #[test]
    fn names_become_indexes_once_a_shape() {
        let mut columns = Columns::default();
        assert_eq!(
            (columns.slot("B"), columns.slot("X"), columns.slot("B")),
            (0, 1, 0)
        );
        let mut shapes = Shapes::default();
        let first = shape(&["A", "B", "B"]);
        let mut resolved = 0;
        for _ in 0..3 {
            let known = shapes.of(&first, |shape| {
                resolved += 1;
                (columns.resolve(shape), vec![true])
            });
            assert_eq!(known.columns, [1, NO_COLUMN]);
        }
        assert_eq!(resolved, 1);
    }

    #[test]
    fn the_number_of_shapes_is_bounded_and_all_stay_right() {
        let mut columns = Columns::default();
        columns.slot("B");
        let mut shapes = Shapes::default();
        for round in 0..3 * SHAPES_MAX {
            let here = if round % 2 == 0 {
                shape(&["A", "B"])
            } else {
                shape(&["B"])
            };
            let known = shapes.of(&here, |shape| (columns.resolve(shape), Vec::new()));
            assert_eq!(known.columns, [if round % 2 == 0 { 1 } else { 0 }]);
        }
        assert_eq!(shapes.known.len(), SHAPES_MAX);
    }
}
