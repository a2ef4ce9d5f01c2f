//! Values of elements around records, which stand before them.

use super::AROUND_BYTES_MAX;
use super::attributes::push_value;
use super::names::trimmed;
use super::plan::{Column, Plan};

/// A column's value.
#[derive(Debug, Default)]
struct Slot {
    value: String,
    set: bool,
    nil: bool,
}

/// An open element that records may be in.
#[derive(Debug, Default)]
struct Around {
    slots: Vec<Slot>,
    /// There was a record in it: a value that comes now is too late.
    records: bool,
}

/// The open elements around records, by their depth.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    open: Vec<Around>,
    bytes: usize,
    too_long: bool,
}

impl Surroundings {
    /// An element opens at `depth`, from 1.
    pub(super) fn open(&mut self, depth: usize, columns: usize) {
        if self.open.len() < depth {
            self.open.resize_with(depth, Around::default);
        }
        let around = &mut self.open[depth - 1];
        around.records = false;
        around.slots.resize_with(columns, Slot::default);
    }

    /// The element at `depth` ended.
    pub(super) fn close(&mut self, depth: usize) {
        for slot in self
            .open
            .get_mut(depth - 1)
            .into_iter()
            .flat_map(|around| &mut around.slots)
        {
            self.bytes -= slot.value.len();
            slot.value.clear();
            (slot.set, slot.nil) = (false, false);
        }
    }

    /// A record begins at `depth`.
    pub(super) fn has_record(&mut self, depth: usize) {
        self.open
            .iter_mut()
            .take(depth - 1)
            .for_each(|around| around.records = true);
    }

    fn slot(&mut self, column: &Column, depth: u16) -> &mut Slot {
        &mut self.open[depth as usize - 1].slots[column.around.unwrap_or(0)]
    }

    /// Where a value begins that is gathered from now on.
    pub(super) fn start(&mut self, column: &Column, depth: u16) -> u32 {
        self.slot(column, depth).value.len() as u32
    }

    /// More of a value.
    pub(super) fn push(&mut self, column: &Column, depth: u16, push: impl FnOnce(&mut String)) {
        let slot = self.slot(column, depth);
        if slot.set && column.join.is_none() {
            return;
        }
        let before = slot.value.len();
        push(&mut slot.value);
        self.bytes += self.slot(column, depth).value.len() - before;
        if self.bytes > AROUND_BYTES_MAX {
            // Told at the value's end, which is the same place in any windows.
            self.too_long = true;
            let slot = self.slot(column, depth);
            let more = slot.value.len() - before;
            slot.value.truncate(before);
            self.bytes -= more;
        }
    }

    /// A whole value.
    pub(super) fn attribute(
        &mut self,
        plan: &Plan,
        column: u16,
        depth: u16,
        value: &str,
    ) -> Result<(), String> {
        let of = &plan.columns[column as usize];
        let start = self.start(of, depth);
        self.push(of, depth, |text| push_value(value, text));
        self.end(plan, column, depth, start, false)
    }

    /// A value that began at `start` is whole.
    pub(super) fn end(
        &mut self,
        plan: &Plan,
        column: u16,
        depth: u16,
        start: u32,
        nil: bool,
    ) -> Result<(), String> {
        let column = &plan.columns[column as usize];
        let late = self.open[depth as usize - 1].records;
        let taken = self.slot(column, depth).set && column.join.is_none();
        if taken {
            return Ok(());
        }
        if self.too_long {
            return Err(format!(
                "the values around the records are longer than {AROUND_BYTES_MAX} bytes; is a path with .. too high up?"
            ));
        }
        if late {
            return Err(format!(
                "\"{}\", column {}, stands behind records that need it; a file is read from front to end, so leave the column out, or let the system write the value before them",
                column.path, column.name
            ));
        }
        let slot = self.slot(column, depth);
        let before = slot.value.len();
        let start = start as usize;
        if plan.trim {
            let value = trimmed(&slot.value[start..]).to_owned();
            slot.value.truncate(start);
            slot.value.push_str(&value);
        }
        if let Some(join) = column
            .join
            .as_ref()
            .filter(|_| slot.set && !slot.nil && !nil)
        {
            slot.value.insert_str(start, join);
        }
        slot.nil = nil && (slot.nil || !slot.set);
        slot.set = true;
        let after = slot.value.len();
        self.bytes = self.bytes + after - before;
        Ok(())
    }

    /// The value for a record at `depth`; `None`: there is none.
    pub(super) fn value(&self, column: &Column, depth: usize) -> Option<&str> {
        let around = self.open.get(depth.checked_sub(column.up + 1)?)?;
        let slot = around.slots.get(column.around?)?;
        (slot.set && !slot.nil).then_some(slot.value.as_str())
    }
}
