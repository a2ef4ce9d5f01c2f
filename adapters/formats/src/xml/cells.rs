//! Gathers the cells of a record, and of the elements around it.

use std::sync::Arc;

use super::AROUND_BYTES_MAX;
use super::attributes::push_value;
use super::elements::Elements;
use super::names::trimmed;
use super::plan::Plan;
use crate::{FieldAt, RECORD_BYTES_MAX};

/// Bytes of all cells of a record, at most: joined values stand there again.
const CELLS_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX + AROUND_BYTES_MAX;

/// An open element that a path has come to.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    node: u16,
    /// The depth of the element where the path begins.
    from: u16,
    /// Which of those with its name below the same element, from 1.
    number: u32,
    parent: u32,
    /// Where the numbers of its children are counted.
    counts: u32,
    /// The child that was found last: the next mostly follows it.
    hint: u16,
}

/// A value being gathered.
#[derive(Debug, Clone, Copy)]
struct Capture {
    column: u16,
    depth: u16,
    from: u16,
    start: u32,
    nil: bool,
}

/// Where a cell of the record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Unset,
    Nil,
    Text(u32, u32),
    Attribute(u32, u32),
}

/// A value of an element around records.
#[derive(Debug, Default)]
struct Slot {
    value: String,
    set: bool,
    nil: bool,
}

/// An open element around records.
#[derive(Debug, Default)]
struct Around {
    slots: Vec<Slot>,
    /// There was a record in it: a value that comes now is too late.
    records: bool,
}

#[derive(Debug)]
pub(super) struct Cells {
    plan: Arc<Plan>,
    cursors: Vec<Cursor>,
    /// For each open element, how many cursors there were before it.
    starts: Vec<u32>,
    counts: Vec<u32>,
    captures: Vec<Capture>,
    text: String,
    attributes: String,
    places: Vec<Place>,
    joined: Vec<(u16, Place)>,
    around: Vec<Around>,
    around_bytes: usize,
    /// The depth of the record, or 0.
    record: usize,
    fields: Vec<FieldAt>,
}

impl Cells {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self {
            places: vec![Place::Unset; plan.columns.len()],
            plan,
            cursors: Vec::new(),
            starts: Vec::new(),
            counts: Vec::new(),
            captures: Vec::new(),
            text: String::new(),
            attributes: String::new(),
            joined: Vec::new(),
            around: Vec::new(),
            around_bytes: 0,
            record: 0,
            fields: Vec::new(),
        }
    }

    /// An element began that is no record.
    pub(super) fn open(&mut self, elements: &Elements, tag: &str) -> Result<(), String> {
        let depth = elements.depth();
        let before = self.cursors.len();
        let parents = self.starts.last().map_or(before, |start| *start as usize);
        self.starts.push(before as u32);
        if parents < before {
            let (namespace, name) = elements.name(depth);
            for parent in parents..before {
                self.descend(parent, namespace, name);
            }
            for cursor in before..self.cursors.len() {
                self.begin(cursor, elements, tag)?;
            }
        }
        if self.record == 0 && self.plan.around > 0 {
            self.open_around(elements, tag)?;
        }
        Ok(())
    }

    /// A record began. `wanted`: its cells.
    pub(super) fn open_record(
        &mut self,
        elements: &Elements,
        tag: &str,
        wanted: bool,
    ) -> Result<(), String> {
        let depth = elements.depth();
        self.record = depth;
        self.starts.push(self.cursors.len() as u32);
        self.around
            .iter_mut()
            .take(depth - 1)
            .for_each(|around| around.records = true);
        self.text.clear();
        self.attributes.clear();
        self.joined.clear();
        self.places.fill(Place::Unset);
        match self.plan.roots.first() {
            Some(Some(root)) if wanted => self.begin_path(*root, elements, tag),
            _ => Ok(()),
        }
    }

    fn open_around(&mut self, elements: &Elements, tag: &str) -> Result<(), String> {
        let depth = elements.depth();
        if self.around.len() < depth {
            self.around.resize_with(depth, Around::default);
        }
        let plan = Arc::clone(&self.plan);
        let around = &mut self.around[depth - 1];
        around.records = false;
        around.slots.resize_with(plan.around, Slot::default);
        for slot in &mut around.slots {
            self.around_bytes -= slot.value.len();
            slot.value.clear();
            (slot.set, slot.nil) = (false, false);
        }
        for (up, root) in plan.roots.iter().enumerate().skip(1) {
            if let Some(root) = root
                && plan.is_at(elements, up)
            {
                self.begin_path(*root, elements, tag)?;
            }
        }
        Ok(())
    }

    fn begin_path(&mut self, root: u16, elements: &Elements, tag: &str) -> Result<(), String> {
        self.push(Cursor {
            node: root,
            from: elements.depth() as u16,
            number: 1,
            parent: u32::MAX,
            counts: 0,
            hint: 0,
        });
        self.begin(self.cursors.len() - 1, elements, tag)
    }

    fn push(&mut self, cursor: Cursor) {
        let counts = self.counts.len();
        self.counts.resize(
            counts + self.plan.nodes[cursor.node as usize].children.len(),
            0,
        );
        self.cursors.push(Cursor {
            counts: counts as u32,
            ..cursor
        });
    }

    /// Goes down from an element to its child, if paths do.
    #[inline]
    fn descend(&mut self, parent: usize, namespace: u16, name: &str) {
        let cursor = self.cursors[parent];
        let children = &self.plan.nodes[cursor.node as usize].children;
        let hint = cursor.hint as usize;
        for index in (hint..children.len()).chain(0..hint) {
            let node = children[index];
            if !self.plan.nodes[node as usize].name.is(namespace, name) {
                continue;
            }
            self.cursors[parent].hint = index as u16;
            let count = &mut self.counts[cursor.counts as usize + index];
            *count += 1;
            let number = *count;
            self.push(Cursor {
                node,
                from: cursor.from,
                number,
                parent: parent as u32,
                counts: 0,
                hint: 0,
            });
            if !self.plan.has_patterns {
                return;
            }
            return self.descend_patterns(parent, index, namespace, name);
        }
    }

    /// The rest of the children, where several may have the same name: `*`, or a name in any namespace and in one.
    fn descend_patterns(&mut self, parent: usize, found: usize, namespace: u16, name: &str) {
        let cursor = self.cursors[parent];
        let plan = Arc::clone(&self.plan);
        let children = &plan.nodes[cursor.node as usize].children;
        for (index, node) in children.iter().enumerate() {
            if index != found && plan.nodes[*node as usize].name.is(namespace, name) {
                let count = &mut self.counts[cursor.counts as usize + index];
                *count += 1;
                let number = *count;
                self.push(Cursor {
                    node: *node,
                    from: cursor.from,
                    number,
                    parent: parent as u32,
                    counts: 0,
                    hint: 0,
                });
            }
        }
    }

    /// Begins what ends at an element, and takes its attributes.
    #[inline]
    fn begin(&mut self, cursor: usize, elements: &Elements, tag: &str) -> Result<(), String> {
        let Cursor { node, from, .. } = self.cursors[cursor];
        let node = &self.plan.nodes[node as usize];
        if node.texts.is_empty() && node.attributes.is_empty() {
            return Ok(());
        }
        let plan = Arc::clone(&self.plan);
        let node = &plan.nodes[self.cursors[cursor].node as usize];
        let depth = elements.depth() as u16;
        for &column in &node.texts {
            if self.is_numbered(column, cursor) {
                let nil = elements.is_nil(tag);
                let start = self.start(column, from)?;
                self.captures.push(Capture {
                    column,
                    depth,
                    from,
                    start,
                    nil,
                });
            }
        }
        if node.attributes.is_empty() {
            return Ok(());
        }
        for (namespace, name, value) in elements.attributes(tag) {
            for (wanted, columns) in &node.attributes {
                if wanted.is(namespace, name) {
                    self.attribute(columns, cursor, from, value)?;
                }
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        columns: &[u16],
        cursor: usize,
        from: u16,
        value: &str,
    ) -> Result<(), String> {
        let start = self.attributes.len() as u32;
        if self.record > 0 {
            push_value(value, &mut self.attributes);
        }
        let end = self.attributes.len() as u32;
        for &column in columns {
            if !self.is_numbered(column, cursor) {
                continue;
            }
            if self.record > 0 {
                self.set(column, Place::Attribute(start, end));
                continue;
            }
            let start = self.start(column, from)?;
            let slot = self.slot(column, from);
            push_value(value, &mut slot.value);
            let capture = Capture {
                column,
                depth: 0,
                from,
                start,
                nil: false,
            };
            self.count_around(capture)?;
            self.end_around(capture)?;
        }
        Ok(())
    }

    /// Whether an element is the one of several that a column wants.
    fn is_numbered(&self, column: u16, cursor: usize) -> bool {
        let mut at = cursor;
        self.plan.columns[column as usize]
            .numbers
            .iter()
            .all(|wanted| {
                let Cursor { number, parent, .. } = self.cursors[at];
                at = parent as usize;
                wanted.is_none_or(|wanted| wanted == number)
            })
    }

    /// Where a value begins that is gathered now.
    fn start(&mut self, column: u16, from: u16) -> Result<u32, String> {
        if self.record > 0 {
            return Ok(self.text.len() as u32);
        }
        Ok(self.slot(column, from).value.len() as u32)
    }

    fn slot(&mut self, column: u16, from: u16) -> &mut Slot {
        let around = self.plan.columns[column as usize].around.unwrap_or(0);
        &mut self.around[from as usize - 1].slots[around]
    }

    /// Characters of the innermost element.
    #[inline]
    pub(super) fn text(&mut self, piece: &str) -> Result<(), String> {
        if self.captures.is_empty() {
            return Ok(());
        }
        self.push_text(|text| push_lines(piece, text))
    }

    /// A character that was written as a reference.
    pub(super) fn letter(&mut self, letter: char) -> Result<(), String> {
        self.push_text(|text| text.push(letter))
    }

    fn push_text(&mut self, push: impl Fn(&mut String)) -> Result<(), String> {
        if self.record > 0 {
            if self.text.len() <= RECORD_BYTES_MAX {
                push(&mut self.text);
            }
            return Ok(());
        }
        for index in 0..self.captures.len() {
            let capture = self.captures[index];
            let taken = self.slot(capture.column, capture.from);
            if !taken.set || self.plan.columns[capture.column as usize].join.is_some() {
                let slot = self.slot(capture.column, capture.from);
                let before = slot.value.len();
                push(&mut slot.value);
                self.around_bytes += self.slot(capture.column, capture.from).value.len() - before;
            }
        }
        self.check_around()
    }

    fn count_around(&mut self, capture: Capture) -> Result<(), String> {
        let length = self.slot(capture.column, capture.from).value.len();
        self.around_bytes += length - capture.start as usize;
        self.check_around()
    }

    fn check_around(&self) -> Result<(), String> {
        if self.around_bytes > AROUND_BYTES_MAX {
            return Err(format!(
                "the values around the records are longer than {AROUND_BYTES_MAX} bytes; is one of the paths with .. too high up?"
            ));
        }
        Ok(())
    }

    /// The innermost element ended, which was at `depth`.
    #[inline]
    pub(super) fn close(&mut self, depth: usize) -> Result<(), String> {
        while let Some(capture) = self
            .captures
            .pop_if(|capture| capture.depth as usize == depth)
        {
            if self.record == 0 {
                self.end_around(capture)?;
            } else if self.plan.columns[capture.column as usize].up == 0 {
                let place = if capture.nil {
                    Place::Nil
                } else {
                    Place::Text(capture.start, self.text.len() as u32)
                };
                self.set(capture.column, place);
            }
        }
        if let Some(start) = self.starts.pop()
            && let Some(first) = self.cursors.get(start as usize)
        {
            self.counts.truncate(first.counts as usize);
            self.cursors.truncate(start as usize);
        }
        Ok(())
    }

    fn set(&mut self, column: u16, place: Place) {
        if self.plan.columns[column as usize].join.is_some() {
            if place != Place::Nil {
                self.joined.push((column, place));
            }
        } else if self.places[column as usize] == Place::Unset {
            self.places[column as usize] = place;
        }
    }

    /// A value of an element around records is whole.
    fn end_around(&mut self, capture: Capture) -> Result<(), String> {
        let plan = Arc::clone(&self.plan);
        let column = &plan.columns[capture.column as usize];
        let late = self.around[capture.from as usize - 1].records;
        let (trim, start) = (plan.trim, capture.start as usize);
        let slot = self.slot(capture.column, capture.from);
        let before = slot.value.len();
        if slot.set && column.join.is_none() {
            slot.value.truncate(start);
            self.around_bytes -= before - start;
            return Ok(());
        }
        if late {
            return Err(format!(
                "\"{}\", column {}, stands behind records that need it; a file is read from front to end, so leave the column out, or let the system write the value before them",
                column.path, column.name
            ));
        }
        if trim {
            let value = trimmed(&slot.value[start..]).to_owned();
            slot.value.truncate(start);
            slot.value.push_str(&value);
        }
        match &column.join {
            Some(join) if slot.set && !capture.nil => slot.value.insert_str(start, join),
            _ => {}
        }
        slot.nil = capture.nil && !slot.set;
        slot.set = true;
        let after = slot.value.len();
        self.around_bytes = self.around_bytes + after - before;
        self.check_around()
    }

    /// The record ended: its text and cells.
    pub(super) fn end_record(&mut self) -> Result<(&str, &[FieldAt]), String> {
        let depth = std::mem::replace(&mut self.record, 0);
        let plan = Arc::clone(&self.plan);
        let moved = self.text.len();
        self.text.push_str(&self.attributes);
        self.fields.clear();
        for (number, column) in plan.columns.iter().enumerate() {
            let cell = if let Some(around) = column.around {
                self.cell_around(depth, column.up, around)
            } else if let Some(join) = &column.join {
                self.cell_joined(number as u16, join, moved)
            } else {
                self.cell(self.places[number], moved)
            };
            self.fields.push(cell);
            if self.text.len() > CELLS_BYTES_MAX {
                return Err(format!(
                    "the cells are longer than {CELLS_BYTES_MAX} bytes; join fewer values"
                ));
            }
        }
        Ok((&self.text, &self.fields))
    }

    fn cell(&self, place: Place, moved: usize) -> FieldAt {
        let (start, end) = match place {
            Place::Unset | Place::Nil => return FieldAt::NULL,
            Place::Text(start, end) => (start as usize, end as usize),
            Place::Attribute(start, end) => (moved + start as usize, moved + end as usize),
        };
        let value = &self.text[start..end];
        if !self.plan.trim {
            return FieldAt {
                start: start as u32,
                end: end as u32,
            };
        }
        let before = value.len() - value.trim_start_matches([' ', '\t', '\n', '\r']).len();
        let start = start + before;
        FieldAt {
            start: start as u32,
            end: (start + trimmed(value).len()) as u32,
        }
    }

    fn cell_joined(&mut self, column: u16, join: &str, moved: usize) -> FieldAt {
        let start = self.text.len();
        let mut cell = FieldAt::NULL;
        for index in 0..self.joined.len() {
            let (of, place) = self.joined[index];
            if of != column || self.text.len() > CELLS_BYTES_MAX {
                continue;
            }
            if cell != FieldAt::NULL {
                self.text.push_str(join);
            }
            let value = self.cell(place, moved);
            self.text
                .extend_from_within(value.start as usize..value.end as usize);
            cell = FieldAt {
                start: start as u32,
                end: self.text.len() as u32,
            };
        }
        cell
    }

    fn cell_around(&mut self, depth: usize, up: usize, around: usize) -> FieldAt {
        let Some(slot) = depth
            .checked_sub(up + 1)
            .map(|at| &self.around[at].slots[around])
        else {
            return FieldAt::NULL;
        };
        if !slot.set || slot.nil {
            return FieldAt::NULL;
        }
        let start = self.text.len() as u32;
        self.text.push_str(&slot.value);
        FieldAt {
            start,
            end: self.text.len() as u32,
        }
    }
}

/// Appends characters, each line end as an LF (XML 1.0, section 2.11).
fn push_lines(piece: &str, text: &mut String) {
    let mut rest = piece;
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        text.push('\n');
        rest = &rest[at + 1..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    text.push_str(rest);
}
