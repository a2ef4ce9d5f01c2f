//! The objects around records, and what columns want of them.

use super::AROUND_BYTES_MAX;
use super::cells::{Cells, Place, Plan};
use super::path::Step;
use crate::FieldAt;

/// An open object on the way to records.
#[derive(Debug, Default)]
struct Object {
    /// How many objects up it is from the records.
    up: usize,
    /// Of each column; those of other objects stay empty.
    slots: Vec<Option<String>>,
    /// Members that columns want and that were there.
    seen: Vec<u16>,
    /// The member that leads on to the records was there.
    entered: bool,
    /// There was a record in it: a value that comes now is too late.
    records: bool,
}

#[derive(Debug)]
pub(super) struct Around {
    /// By the number of steps that lead to them; those of arrays stay empty.
    objects: Vec<Object>,
    /// The step that leaves the object so many up, from 1.
    steps: Vec<usize>,
    none: bool,
}

impl Around {
    pub(super) fn new(plan: &Plan, steps: &[Step]) -> Self {
        let mut around = Self {
            objects: Vec::new(),
            steps: Vec::new(),
            none: plan.ups.iter().all(|up| *up == 0),
        };
        around.objects.resize_with(steps.len(), Object::default);
        for (number, _) in steps
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, step)| **step != Step::Each)
        {
            around.steps.push(number);
            around.objects[number].up = around.steps.len();
        }
        around
    }

    /// Whether no column is of an object around.
    pub(super) fn is_none(&self) -> bool {
        self.none
    }

    /// An object opens, which so many steps lead to.
    pub(super) fn open(&mut self, number: usize) {
        let object = &mut self.objects[number];
        object.slots.clear();
        object.seen.clear();
        (object.entered, object.records) = (false, false);
    }

    /// The member that leads on.
    pub(super) fn enter(&mut self, number: usize, key: &str) -> Result<(), String> {
        if std::mem::replace(&mut self.objects[number].entered, true) {
            return Err(format!(
                "\"{key}\" stands twice in an object; which one is meant is anybody's guess"
            ));
        }
        Ok(())
    }

    pub(super) fn is_entered(&self, number: usize) -> bool {
        self.objects[number].entered
    }

    /// A record begins, in all objects that are open.
    pub(super) fn has_records(&mut self) {
        self.objects
            .iter_mut()
            .for_each(|object| object.records = true);
    }

    /// Whether columns want a member, and the tree of their paths below it.
    pub(super) fn wants(
        &mut self,
        plan: &Plan,
        number: usize,
        key: &str,
    ) -> Result<Option<u16>, String> {
        let object = &mut self.objects[number];
        let Some(node) = plan.root(object.up).and_then(|root| plan.child(root, key)) else {
            return Ok(None);
        };
        if object.seen.contains(&node) {
            return Err(format!(
                "\"{key}\" stands twice in an object; which one is meant is anybody's guess"
            ));
        }
        if object.records {
            return Err(format!(
                "\"{key}\", which columns need, stands behind the records; a file is read from front to end, so leave the columns out, or let the system write it before them"
            ));
        }
        object.seen.push(node);
        Ok(Some(node))
    }

    /// The member is whole; `None`: it is far too long.
    pub(super) fn take(
        &mut self,
        plan: &Plan,
        cells: &mut Cells,
        number: usize,
        node: u16,
        bytes: Option<&[u8]>,
    ) -> Result<(), String> {
        let Some(bytes) = bytes.filter(|bytes| bytes.len() <= AROUND_BYTES_MAX) else {
            return Err(format!(
                "a value around the records is longer than {AROUND_BYTES_MAX} bytes"
            ));
        };
        let text = std::str::from_utf8(bytes).expect("the grammar was held");
        cells.find_around(plan, text, node)?;
        let object = &mut self.objects[number];
        object.slots.resize(plan.ups.len(), None);
        for (slot, place) in object.slots.iter_mut().zip(&cells.places) {
            let value = match *place {
                Place::Null => continue,
                Place::Written(start, end) => &text[start..end],
                Place::Resolved(start, end) => &cells.resolved[start..end],
            };
            *slot = Some(value.to_owned());
        }
        Ok(())
    }

    /// Puts the cells of columns that are of objects around into their places, and their text at the end of `text`.
    pub(super) fn fields(&self, plan: &Plan, text: &mut String, fields: &mut [FieldAt]) {
        for (column, up) in plan.ups.iter().enumerate().filter(|(_, up)| **up > 0) {
            let object = &self.objects[self.steps[up - 1]];
            if let Some(Some(value)) = object.slots.get(column) {
                let start = text.len() as u32;
                text.push_str(value);
                fields[column] = FieldAt {
                    start,
                    end: text.len() as u32,
                };
            }
        }
    }
}
