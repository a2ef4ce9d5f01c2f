//! One IDoc, held until it is whole: only then its records are handed out, or all of it is one bad record.

use std::sync::Arc;

use super::plan::{Field, Layout, Plan};
use super::{CONTROL_LENGTH, DOCUMENT_BYTES_MAX, DOCUMENTS_MAX};
use crate::raw::Raw;
use crate::{FieldAt, GoodRecord, Sink};

/// A segment's fields, or the control record's.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// In the text.
    start: u32,
    end: u32,
    /// Of XML: in the values.
    values: u32,
    values_end: u32,
}

/// A field's value in XML, one behind the other in the text.
#[derive(Debug, Clone, Copy)]
struct Value {
    field: u16,
    length: u32,
}

/// A record that waits for the end of its IDoc.
#[derive(Debug, Clone, Copy)]
struct Held {
    layout: u16,
    line: u64,
    raw: (u32, u32),
    /// Its own block and those that it carries: in the links.
    links: u32,
}

/// A carried segment that came last in its place.
#[derive(Debug)]
struct Latest {
    layout: u16,
    block: u32,
    /// How many segments it stands below.
    depth: usize,
}

const NOTHING: u32 = u32::MAX;

/// An IDoc. Memory is used again.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) plan: Arc<Plan>,
    pub(super) raw: Raw,
    /// The line on which it begins; 0 between IDocs.
    line: u64,
    bad: Option<String>,
    text: String,
    values: Vec<Value>,
    blocks: Vec<Block>,
    links: Vec<u32>,
    held: Vec<Held>,
    latest: Vec<Latest>,
    /// Records handed out, once it is whole.
    given: Option<usize>,
    pub(super) ordinal: u64,
    pub(super) skip: u64,
    /// The DOCNUMs of the file's first IDocs.
    pub(super) documents: Vec<String>,
    record: String,
    fields: Vec<FieldAt>,
}

impl Hold {
    pub(super) fn new(plan: Arc<Plan>, skip: u64) -> Self {
        Self {
            plan,
            raw: Raw::up_to(DOCUMENT_BYTES_MAX),
            line: 0,
            bad: None,
            text: String::new(),
            values: Vec::new(),
            blocks: Vec::new(),
            links: Vec::new(),
            held: Vec::new(),
            latest: Vec::new(),
            given: None,
            ordinal: 0,
            skip,
            documents: Vec::new(),
            record: String::new(),
            fields: Vec::new(),
        }
    }

    /// Whether an IDoc began that isn't whole.
    pub(super) fn is_open(&self) -> bool {
        self.line > 0 && self.given.is_none()
    }

    /// An IDoc begins; what was held before is handed out.
    pub(super) fn begin(&mut self, line: u64) {
        self.raw.clear();
        self.clear();
        (self.line, self.bad, self.given) = (line, None, None);
    }

    /// The DOCNUM of the IDoc that began.
    pub(super) fn document(&mut self, number: &str) {
        if self.documents.len() < DOCUMENTS_MAX && !number.is_empty() {
            self.documents
                .push(number.chars().take(CONTROL_LENGTH).collect());
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.values.clear();
        self.blocks.clear();
        self.links.clear();
        self.held.clear();
        self.latest.clear();
    }

    /// The whole IDoc is bad: the first reason is told.
    pub(super) fn refuse(&mut self, line: u64, what: &str) {
        if self.bad.is_none() {
            self.bad = Some(format!("line {line}: {what}"));
            self.clear();
        }
    }

    pub(super) fn is_bad(&self) -> bool {
        self.bad.is_some() || self.raw.is_too_long()
    }

    /// Begins the control record's block (the first), or a segment's.
    pub(super) fn block(&mut self) {
        let start = self.text.len() as u32;
        let values = self.values.len() as u32;
        self.blocks.push(Block {
            start,
            end: start,
            values,
            values_end: values,
        });
    }

    /// The text of the block that was begun last, where fields have places in it.
    pub(super) fn push_text(&mut self, text: &str) {
        self.text.push_str(text);
        if let Some(block) = self.blocks.last_mut() {
            block.end = self.text.len() as u32;
        }
    }

    /// A value of the block that was begun last.
    pub(super) fn push_value(&mut self, field: u16, value: &str) {
        self.values.push(Value {
            field,
            length: value.len() as u32,
        });
        self.push_text(value);
        if let Some(block) = self.blocks.last_mut() {
            block.values_end = self.values.len() as u32;
        }
    }

    /// Whether the block that was begun last has a field already.
    pub(super) fn has_value(&self, field: u16) -> bool {
        let first = self.blocks.last().map_or(0, |block| block.values as usize);
        self.values[first..]
            .iter()
            .any(|value| value.field == field)
    }

    /// A segment begins, whose block (if it is wanted) is the last, and which stands below so many others.
    pub(super) fn segment(&mut self, layout: u16, line: u64, depth: usize) {
        let plan = Arc::clone(&self.plan);
        let this = &plan.layouts[layout as usize];
        let block = self.blocks.len().saturating_sub(1) as u32;
        if let Some(record) = &this.record {
            let links = self.links.len() as u32;
            self.links.push(block);
            for carried in &record.carry {
                let latest = self
                    .latest
                    .iter()
                    .rev()
                    .find(|latest| latest.layout == *carried);
                self.links
                    .push(latest.map_or(NOTHING, |latest| latest.block));
            }
            self.held.push(Held {
                layout,
                line,
                raw: (0, 0),
                links,
            });
        }
        if this.carried {
            self.latest
                .retain(|latest| latest.layout != layout || latest.depth != depth);
            self.latest.push(Latest {
                layout,
                block,
                depth,
            });
        }
    }

    /// What stands below the segment at `depth` is over.
    pub(super) fn leave(&mut self, depth: usize) {
        self.latest.retain(|latest| latest.depth <= depth);
    }

    /// The number of the record that was held last.
    pub(super) fn last_held(&self) -> Option<usize> {
        self.held.len().checked_sub(1)
    }

    /// Where in the IDoc's bytes a record is.
    pub(super) fn place(&mut self, held: usize, start: u64, end: u64) {
        if let Some(held) = self.held.get_mut(held) {
            held.raw = (start as u32, end as u32);
        }
    }

    /// The IDoc is whole.
    pub(super) fn finish(&mut self) {
        if self.line > 0 {
            self.given = self.given.or(Some(0));
        }
        if self.raw.is_too_long() {
            let what = format!(
                "the IDoc is {} bytes long, at most {DOCUMENT_BYTES_MAX} are possible",
                self.raw.length()
            );
            self.bad = Some(what);
            self.clear();
        }
    }

    /// Hands out what is whole; whether nothing is left.
    pub(super) fn hand_out<S: Sink>(&mut self, sink: &mut S) -> bool {
        let Some(mut given) = self.given else {
            return true;
        };
        if let Some(bad) = self.bad.take() {
            if self.ordinal >= self.skip {
                self.raw.reject(sink, self.ordinal, self.line, &bad);
            }
            self.ordinal += 1;
            self.clear();
        }
        while given < self.held.len() && !sink.full() {
            if self.ordinal >= self.skip {
                self.give(self.held[given], sink);
            }
            self.ordinal += 1;
            given += 1;
        }
        let all = given == self.held.len();
        self.given = Some(given);
        if all {
            (self.line, self.given) = (0, None);
            self.held.clear();
        }
        all
    }

    fn give<S: Sink>(&mut self, held: Held, sink: &mut S) {
        let plan = Arc::clone(&self.plan);
        let layout = &plan.layouts[held.layout as usize];
        let Some(record) = &layout.record else { return };
        self.record.clear();
        self.fields.clear();
        if S::FIELDS {
            let links = held.links as usize;
            self.cells(self.links[links], &layout.fields);
            for (link, carried) in record.carry.iter().enumerate() {
                let Layout { fields, .. } = &plan.layouts[*carried as usize];
                self.cells(self.links[links + 1 + link], fields);
            }
            self.cells(0, &plan.control);
        }
        sink.record(&GoodRecord {
            shape: &record.shape,
            ordinal: self.ordinal,
            line: held.line,
            text: &self.record,
            raw: Some(&self.raw.bytes()[held.raw.0 as usize..held.raw.1 as usize]),
            fields: &self.fields,
        });
    }

    /// The cells of a block; blank ones are no values.
    fn cells(&mut self, block: u32, fields: &[Field]) {
        let Some(Block {
            start,
            end,
            values,
            values_end,
        }) = self.blocks.get(block as usize).copied()
        else {
            self.fields.extend(fields.iter().map(|_| FieldAt::NULL));
            return;
        };
        let text = &self.text[start as usize..end as usize];
        let base = self.record.len();
        self.record.push_str(text);
        if values < values_end || text.is_empty() {
            let first = self.fields.len();
            self.fields.extend(fields.iter().map(|_| FieldAt::NULL));
            let mut at = base;
            for Value { field, length } in &self.values[values as usize..values_end as usize] {
                let end = at + *length as usize;
                if *length > 0 {
                    self.fields[first + *field as usize] = FieldAt {
                        start: at as u32,
                        end: end as u32,
                    };
                }
                at = end;
            }
        } else if text.is_ascii() {
            self.fields.extend(fields.iter().map(|field| {
                trimmed(
                    text,
                    field.start.min(text.len()),
                    field.end.min(text.len()),
                    base,
                )
            }));
        } else {
            let place = |letters: usize| {
                text.char_indices()
                    .nth(letters)
                    .map_or(text.len(), |(at, _)| at)
            };
            self.fields.extend(
                fields
                    .iter()
                    .map(|field| trimmed(text, place(field.start), place(field.end), base)),
            );
        }
    }
}

/// A cell without blanks around it.
fn trimmed(text: &str, start: usize, end: usize, base: usize) -> FieldAt {
    let bytes = &text.as_bytes()[start..end];
    let Some(first) = bytes.iter().position(|byte| *byte != b' ') else {
        return FieldAt::NULL;
    };
    let last = bytes
        .iter()
        .rposition(|byte| *byte != b' ')
        .unwrap_or(first);
    FieldAt {
        start: (base + start + first) as u32,
        end: (base + start + last + 1) as u32,
    }
}
