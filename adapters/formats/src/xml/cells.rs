//! Gathers the cells of a record, and of the elements around it.

use super::AROUND_BYTES_MAX;
use super::around::Surroundings;
use super::attributes::push_value;
use super::elements::Elements;
use super::names::trimmed;
use super::plan::Plan;
use crate::{FieldAt, RECORD_BYTES_MAX};

/// Bytes of a record's values, at most: no encoding has a byte that takes more than three in UTF-8.
const VALUES_BYTES_MAX: usize = 3 * RECORD_BYTES_MAX;
/// Values of a record that are joined, at most: of its elements, the shortest of which take four bytes, by all columns.
const JOINED_MAX: usize = 1_000_000;
/// Bytes of all cells of a record, at most: joined values stand there again.
const CELLS_BYTES_MAX: usize = 4 * RECORD_BYTES_MAX + AROUND_BYTES_MAX;

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

/// Memory is used again.
#[derive(Debug, Default)]
pub(super) struct Cells {
    cursors: Vec<Cursor>,
    /// For each open element, how many cursors there were before it.
    starts: Vec<u32>,
    counts: Vec<u32>,
    captures: Vec<Capture>,
    text: String,
    attributes: String,
    places: Vec<Place>,
    joined: Vec<(u16, Place)>,
    /// There are more values than may be.
    is_over: bool,
    around: Surroundings,
    /// The depth of the record, or 0.
    record: usize,
    fields: Vec<FieldAt>,
}

impl Cells {
    /// An element began that is no record.
    #[inline]
    pub(super) fn open(
        &mut self,
        plan: &Plan,
        elements: &Elements,
        tag: &str,
    ) -> Result<(), String> {
        let depth = elements.depth();
        let before = self.cursors.len();
        let parents = self.starts.last().map_or(before, |start| *start as usize);
        self.starts.push(before as u32);
        if parents < before {
            let (namespace, name) = elements.name(depth);
            for parent in parents..before {
                self.descend(plan, parent, namespace, name);
            }
            for cursor in before..self.cursors.len() {
                self.begin(plan, cursor, elements, tag)?;
            }
        }
        if self.record == 0 && plan.around > 0 {
            self.open_around(plan, elements, tag)?;
        }
        Ok(())
    }

    /// A record began. `wanted`: its cells.
    pub(super) fn open_record(
        &mut self,
        plan: &Plan,
        elements: &Elements,
        tag: &str,
        wanted: bool,
    ) -> Result<(), String> {
        self.record = elements.depth();
        self.starts.push(self.cursors.len() as u32);
        self.around.has_record(self.record);
        self.text.clear();
        self.attributes.clear();
        self.joined.clear();
        self.is_over = false;
        self.places.clear();
        self.places.resize(plan.columns.len(), Place::Unset);
        match plan.roots.first() {
            Some(Some(root)) if wanted => self.begin_path(plan, *root, elements, tag),
            _ => Ok(()),
        }
    }

    fn open_around(&mut self, plan: &Plan, elements: &Elements, tag: &str) -> Result<(), String> {
        self.around.open(elements.depth(), plan.around);
        for (up, root) in plan.roots.iter().enumerate().skip(1) {
            if let Some(root) = root
                && plan.is_at(elements, up)
            {
                self.begin_path(plan, *root, elements, tag)?;
            }
        }
        Ok(())
    }

    fn begin_path(
        &mut self,
        plan: &Plan,
        root: u16,
        elements: &Elements,
        tag: &str,
    ) -> Result<(), String> {
        self.push(plan, root, elements.depth() as u16, 1, u32::MAX);
        self.begin(plan, self.cursors.len() - 1, elements, tag)
    }

    fn push(&mut self, plan: &Plan, node: u16, from: u16, number: u32, parent: u32) {
        let counts = self.counts.len();
        self.counts
            .resize(counts + plan.nodes[node as usize].children.len(), 0);
        self.cursors.push(Cursor {
            node,
            from,
            number,
            parent,
            counts: counts as u32,
            hint: 0,
        });
    }

    /// Goes down from an element to its child, if paths do: to all that its name fits where there may be several.
    #[inline]
    fn descend(&mut self, plan: &Plan, parent: usize, namespace: u16, name: &str) {
        let cursor = self.cursors[parent];
        let children = &plan.nodes[cursor.node as usize].children;
        let hint = cursor.hint as usize;
        for index in (hint..children.len()).chain(0..hint) {
            let node = children[index];
            if !plan.nodes[node as usize].name.is(namespace, name) {
                continue;
            }
            self.cursors[parent].hint = index as u16;
            let count = &mut self.counts[cursor.counts as usize + index];
            *count += 1;
            let number = *count;
            self.push(plan, node, cursor.from, number, parent as u32);
            if !plan.has_patterns {
                return;
            }
        }
    }

    /// Begins what ends at an element, and takes its attributes.
    #[inline]
    fn begin(
        &mut self,
        plan: &Plan,
        cursor: usize,
        elements: &Elements,
        tag: &str,
    ) -> Result<(), String> {
        let Cursor { node, from, .. } = self.cursors[cursor];
        let node = &plan.nodes[node as usize];
        for &column in &node.texts {
            if self.is_numbered(plan, column, cursor) {
                let (depth, nil) = (elements.depth() as u16, elements.is_nil(tag));
                let start = match self.record {
                    0 => self.around.start(&plan.columns[column as usize], from),
                    _ => self.text.len() as u32,
                };
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
                    self.attribute(plan, columns, cursor, value)?;
                }
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        plan: &Plan,
        columns: &[u16],
        cursor: usize,
        value: &str,
    ) -> Result<(), String> {
        let start = self.attributes.len() as u32;
        if self.record > 0 {
            // One that several paths come to stands there several times.
            if self.attributes.len() > VALUES_BYTES_MAX {
                self.is_over = true;
                return Ok(());
            }
            push_value(value, &mut self.attributes);
        }
        let place = Place::Attribute(start, self.attributes.len() as u32);
        for &column in columns {
            if !self.is_numbered(plan, column, cursor) {
                continue;
            }
            if self.record > 0 {
                self.set(plan, column, place);
            } else {
                self.around
                    .attribute(plan, column, self.cursors[cursor].from, value)?;
            }
        }
        Ok(())
    }

    /// Whether an element is the one of several that a column wants.
    fn is_numbered(&self, plan: &Plan, column: u16, cursor: usize) -> bool {
        let mut at = cursor;
        plan.columns[column as usize].numbers.iter().all(|wanted| {
            let Cursor { number, parent, .. } = self.cursors[at];
            at = parent as usize;
            wanted.is_none_or(|wanted| wanted == number)
        })
    }

    /// Characters of the innermost element.
    #[inline]
    pub(super) fn text(&mut self, plan: &Plan, piece: &str) {
        if !self.captures.is_empty() {
            self.push_text(plan, |text| push_lines(piece, text));
        }
    }

    /// A character that was written as a reference.
    pub(super) fn letter(&mut self, plan: &Plan, letter: char) {
        self.push_text(plan, |text| text.push(letter));
    }

    #[inline]
    fn push_text(&mut self, plan: &Plan, push: impl Fn(&mut String)) {
        if self.record > 0 {
            // The record is too long in any case.
            if self.text.len() <= VALUES_BYTES_MAX {
                push(&mut self.text);
            }
            return;
        }
        for capture in &self.captures {
            self.around
                .push(&plan.columns[capture.column as usize], capture.from, &push);
        }
    }

    /// The innermost element ended, which was at `depth`.
    #[inline]
    pub(super) fn close(&mut self, plan: &Plan, depth: usize) -> Result<(), String> {
        while let Some(capture) = self
            .captures
            .pop_if(|capture| capture.depth as usize == depth)
        {
            let Capture {
                column,
                from,
                start,
                nil,
                ..
            } = capture;
            if self.record == 0 {
                self.around.end(plan, column, from, start, nil)?;
            } else {
                self.set(
                    plan,
                    column,
                    if nil {
                        Place::Nil
                    } else {
                        Place::Text(start, self.text.len() as u32)
                    },
                );
            }
        }
        if let Some(start) = self.starts.pop()
            && let Some(first) = self.cursors.get(start as usize)
        {
            self.counts.truncate(first.counts as usize);
            self.cursors.truncate(start as usize);
        }
        if self.record == 0 && plan.around > 0 {
            self.around.close(depth);
        }
        Ok(())
    }

    fn set(&mut self, plan: &Plan, column: u16, place: Place) {
        if plan.columns[column as usize].join.is_some() {
            if place == Place::Nil {
                return;
            }
            self.is_over |= self.joined.len() >= JOINED_MAX;
            if !self.is_over {
                self.joined.push((column, place));
            }
        } else if self.places[column as usize] == Place::Unset {
            self.places[column as usize] = place;
        }
    }

    /// The record ended: its text and cells.
    pub(super) fn end_record(&mut self, plan: &Plan) -> Result<(&str, &[FieldAt]), String> {
        let depth = std::mem::replace(&mut self.record, 0);
        let moved = self.text.len();
        if self.is_over {
            return Err(format!(
                "its attributes are longer than {VALUES_BYTES_MAX} bytes by all their paths, or more than {JOINED_MAX} values are joined; take fewer of them"
            ));
        }
        self.text.push_str(&self.attributes);
        self.fields.clear();
        for (number, column) in plan.columns.iter().enumerate() {
            let cell = if column.around.is_some() {
                append(&mut self.text, self.around.value(column, depth))
            } else if let Some(join) = &column.join {
                self.cell_joined(plan, number as u16, join, moved)
            } else {
                self.cell(plan, self.places[number], moved)
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

    #[inline]
    fn cell(&self, plan: &Plan, place: Place, moved: usize) -> FieldAt {
        let (start, end) = match place {
            Place::Unset | Place::Nil => return FieldAt::NULL,
            Place::Text(start, end) => (start as usize, end as usize),
            Place::Attribute(start, end) => (moved + start as usize, moved + end as usize),
        };
        if !plan.trim {
            return FieldAt {
                start: start as u32,
                end: end as u32,
            };
        }
        let value = &self.text[start..end];
        let start = start + value.len() - value.trim_start_matches([' ', '\t', '\n', '\r']).len();
        FieldAt {
            start: start as u32,
            end: (start + trimmed(value).len()) as u32,
        }
    }

    fn cell_joined(&mut self, plan: &Plan, column: u16, join: &str, moved: usize) -> FieldAt {
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
            let value = self.cell(plan, place, moved);
            self.text
                .extend_from_within(value.start as usize..value.end as usize);
            cell = FieldAt {
                start: start as u32,
                end: self.text.len() as u32,
            };
        }
        cell
    }
}

fn append(text: &mut String, value: Option<&str>) -> FieldAt {
    let start = text.len() as u32;
    let Some(value) = value else {
        return FieldAt::NULL;
    };
    text.push_str(value);
    FieldAt {
        start,
        end: text.len() as u32,
    }
}

/// Appends characters, each line end as an LF (XML 1.0, section 2.11).
#[inline]
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
