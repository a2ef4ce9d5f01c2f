//! From a document's loops to a record's cells.

use std::borrow::Cow;
use std::sync::Arc;

use super::document::{Document, Held};
use super::plan::{Column, NONE, Plan};
use super::{Characters, Syntax, View};
use crate::FieldAt;

/// The columns of one loop.
#[derive(Debug, Default)]
struct Cache {
    /// Of which loop of the document; `None` at first.
    of: Option<u32>,
    text: String,
    fields: Vec<FieldAt>,
}

/// A record's cells, and those of its ancestors, which mostly stay the same from one record to the next.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub text: String,
    pub fields: Vec<FieldAt>,
    /// The record's bytes.
    pub raw: Vec<u8>,
    /// By slot.
    caches: Vec<Cache>,
    /// Of which record and which loop above the ancestors' cells stand in `text`, and how far.
    above: Option<(u16, u32, usize, usize)>,
    flags: Vec<(bool, u16)>,
    seen: Vec<u16>,
    whole: Vec<u8>,
}

impl Cells {
    /// Another document.
    pub(super) fn begin(&mut self) {
        self.caches.iter_mut().for_each(|cache| cache.of = None);
        self.above = None;
    }

    /// Fills in the record of a loop.
    pub(super) fn record<S: Syntax>(
        &mut self,
        document: &Document,
        plan: &Arc<Plan>,
        syntax: &mut S,
        characters: Characters,
        instance: u32,
    ) {
        let of = document.instances[instance as usize];
        let Some(number) = plan.loops[usize::from(of.loop_)].record else {
            return;
        };
        let record = &plan.records[usize::from(number)];
        if self.caches.len() < plan.slots.len() {
            self.caches.resize_with(plan.slots.len(), Cache::default);
        }
        let (own, ancestors) = record
            .slots
            .split_last()
            .expect("a record has a slot of its own");
        match self.above {
            Some((known, parent, text, fields)) if (known, parent) == (number, of.parent) => {
                self.text.truncate(text);
                self.fields.truncate(fields);
            }
            _ => {
                self.text.clear();
                self.fields.clear();
                for slot in ancestors {
                    let found = ancestor(document, plan, instance, *slot);
                    self.append(document, plan, syntax, characters, *slot, found);
                }
                self.above = Some((number, of.parent, self.text.len(), self.fields.len()));
            }
        }
        self.append(document, plan, syntax, characters, *own, Some(instance));
        self.raw.clear();
        self.raw(document, plan, instance);
    }

    /// The bytes of a record's segments, and before them those of loops around it that are no records.
    fn raw(&mut self, document: &Document, plan: &Plan, instance: u32) {
        let mut chain = [instance; 16];
        let mut length = 1;
        let mut at = document.instances[instance as usize].parent;
        while length < chain.len()
            && !plan.loops[usize::from(document.instances[at as usize].loop_)].is_record
        {
            chain[length] = at;
            length += 1;
            at = document.instances[at as usize].parent;
        }
        for of in chain[..length].iter().rev() {
            for number in document.held_by(*of) {
                if number >= document.outer {
                    self.raw.extend_from_slice(document.ended_segment(number));
                }
            }
        }
    }

    /// Appends the columns of a loop.
    fn append<S: Syntax>(
        &mut self,
        document: &Document,
        plan: &Plan,
        syntax: &mut S,
        characters: Characters,
        slot: u16,
        instance: Option<u32>,
    ) {
        let Some(instance) = instance else {
            let holder = plan.slots[usize::from(slot)].holder;
            let columns = plan.loops[usize::from(holder)].columns;
            self.fields
                .extend(std::iter::repeat_n(FieldAt::NULL, columns));
            return;
        };
        if self.caches[usize::from(slot)].of != Some(instance) {
            self.fill(document, plan, syntax, characters, slot, instance);
        }
        let cache = &self.caches[usize::from(slot)];
        let base = self.text.len() as u32;
        self.text.push_str(&cache.text);
        let moved = |at: &FieldAt| match *at {
            FieldAt::NULL => FieldAt::NULL,
            FieldAt { start, end } => FieldAt {
                start: base + start,
                end: base + end,
            },
        };
        self.fields.extend(cache.fields.iter().map(moved));
    }

    /// Reads the columns of a loop from its segments.
    fn fill<S: Syntax>(
        &mut self,
        document: &Document,
        plan: &Plan,
        syntax: &mut S,
        characters: Characters,
        slot: u16,
        instance: u32,
    ) {
        let of = &plan.loops[usize::from(document.instances[instance as usize].loop_)];
        let cache = &mut self.caches[usize::from(slot)];
        cache.of = Some(instance);
        cache.text.clear();
        cache.fields.clear();
        cache.fields.resize(of.columns, FieldAt::NULL);
        self.flags.clear();
        self.flags.resize(of.flags, (false, 0));
        self.seen.clear();
        self.seen.resize(of.columns, 0);
        for number in document.held_by(instance) {
            let Held { place, .. } = document.segments[number];
            if place == NONE {
                continue;
            }
            let place = &plan.places[usize::from(place)];
            if place.columns.is_empty() && place.flags.is_empty() {
                continue;
            }
            syntax.again(document.segment(number));
            let segment = syntax.segment();
            for (flag, test) in &place.flags {
                let (holds, times) = &mut self.flags[usize::from(*flag)];
                *holds = test.holds(&segment);
                *times = times.saturating_add(u16::from(*holds));
            }
            for column in &place.columns {
                let is_first = |flag: &u16| self.flags[usize::from(*flag)] == (true, 1);
                if !column.flags.iter().all(is_first)
                    || !column.test.as_ref().is_none_or(|test| test.holds(&segment))
                {
                    continue;
                }
                let seen = &mut self.seen[usize::from(column.field)];
                *seen = seen.saturating_add(1);
                if *seen != column.nth {
                    continue;
                }
                let mut value = chosen(&segment, column);
                if number < document.outer {
                    value = value.trim_ascii();
                }
                if let Some(text) = characters.text(value).filter(|text| !text.is_empty()) {
                    cache.fields[usize::from(column.field)] = pushed(&mut cache.text, &text);
                }
            }
        }
    }

    /// Fills in the record of one segment of a set without loops.
    pub(super) fn segment<S: Syntax>(
        &mut self,
        document: &Document,
        (set, number): (&str, &str),
        syntax: &mut S,
        characters: Characters,
        index: usize,
    ) {
        self.text.clear();
        self.fields.clear();
        self.raw.clear();
        self.raw.extend_from_slice(document.ended_segment(index));
        syntax.again(document.segment(index));
        let segment = syntax.segment();
        let count = (index - document.outer + 1).to_string();
        for known in [set, number, count.as_str()] {
            self.fields.push(pushed(&mut self.text, known));
        }
        for element in 0..segment.elements() {
            self.whole.clear();
            segment.whole(element, &mut self.whole);
            let text = characters.text(&self.whole).unwrap_or(Cow::Borrowed(""));
            let is_there = !text.is_empty();
            let field = pushed(&mut self.text, &text);
            self.fields
                .push(if is_there { field } else { FieldAt::NULL });
        }
    }
}

fn pushed(text: &mut String, value: &str) -> FieldAt {
    let start = text.len() as u32;
    text.push_str(value);
    FieldAt {
        start,
        end: text.len() as u32,
    }
}

/// What a column takes of a segment.
fn chosen<'a, V: View>(segment: &'a V, column: &Column) -> &'a [u8] {
    let element = usize::from(column.element);
    if let Some(qualifier) = &column.pair {
        return segment.pair(element, qualifier.as_bytes());
    }
    segment.value(element, column.component.into())
}

/// Which loop stands in a slot of a record.
fn ancestor(document: &Document, plan: &Plan, instance: u32, slot: u16) -> Option<u32> {
    let slot = plan.slots[usize::from(slot)];
    let (mut at, mut nearer) = (instance, 0);
    loop {
        let of = document.instances[at as usize];
        if of.loop_ == slot.holder {
            if nearer == slot.up {
                return Some(at);
            }
            nearer += 1;
        }
        if of.parent == at {
            return None;
        }
        at = of.parent;
    }
}
