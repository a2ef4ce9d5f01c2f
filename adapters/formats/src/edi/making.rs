//! Makes a plan of a set's loops and of the columns' addresses.

use std::sync::Arc;

use dray_adapter::Shape;

use super::Syntax;
use super::address::{Address, Test};
use super::plan::{Column, Entry, LoopPlan, NONE, Place, Plan, RecordPlan, Slot, TreePlan, key};
use super::schema::{Mark, Schema};

/// Columns of a record, its ancestors' among them, at most.
const COLUMNS_MAX: usize = 1_000;

/// Makes a plan.
pub(super) struct Making {
    pub schema: Schema,
    plan: Plan,
    /// By loop.
    columns: Vec<Vec<Address>>,
    conditions: Vec<Vec<(usize, Test)>>,
}

/// Where an address leads.
struct Found {
    holder: usize,
    loop_: usize,
    /// Loops on the way and what they must be.
    tests: Vec<(usize, Test)>,
    own: Option<Test>,
}

impl Making {
    /// Begins with a set's loops; segments of the envelope belong to the document itself.
    pub(super) fn new<S: Syntax>(set: &str, mut schema: Schema) -> Self {
        for tag in S::OUTER.iter().chain([&S::END]) {
            let outer = &mut schema.loops[0].segments;
            if !outer.iter().any(|(known, _)| known == tag) {
                outer.push(((*tag).to_owned(), Mark::Any));
            }
        }
        let count = schema.loops.len();
        Self {
            schema,
            plan: Plan {
                set: set.to_owned(),
                tags: Vec::new(),
                loops: Vec::new(),
                entries: Vec::new(),
                places: Vec::new(),
                slots: Vec::new(),
                records: Vec::new(),
                tree: None,
            },
            columns: vec![Vec::new(); count],
            conditions: vec![Vec::new(); count],
        }
    }

    /// What a record is called.
    pub(super) fn type_name(&self, record: &str) -> String {
        let dot = if record.is_empty() { "" } else { "." };
        format!("{}{dot}{record}", self.plan.set)
    }

    /// The records' names and loops.
    pub(super) fn records(&self) -> impl Iterator<Item = (String, usize)> + '_ {
        let named = self.schema.loops.iter().enumerate();
        named.filter_map(|(at, of)| Some((self.type_name(of.record.as_deref()?), at)))
    }

    /// Adds a segment to the loop of a record.
    pub(super) fn add_segment(&mut self, loop_: usize, tag: &str) -> Result<(), String> {
        let of = &mut self.schema.loops[loop_];
        if of.begin.tag == tag || of.segments.iter().any(|(known, _)| known == tag) {
            return Err(format!("the loop of {} has {tag} already", of.begin.tag));
        }
        of.segments.push((tag.to_owned(), Mark::Any));
        Ok(())
    }

    /// Compiles the loops: from here on addresses can be resolved.
    pub(super) fn compile(&mut self) {
        let loops = &self.schema.loops;
        let mut tags: Vec<u32> = loops
            .iter()
            .flat_map(|of| {
                let own = of.segments.iter().map(|(tag, _)| tag);
                own.chain([&of.begin.tag]).map(|tag| key(tag.as_bytes()))
            })
            .collect();
        tags.sort_unstable();
        tags.dedup();
        let empty = Entry {
            own: NONE,
            begins: Vec::new(),
        };
        self.plan.entries = vec![empty; tags.len() * loops.len()];
        self.plan.tags = tags;
        for (at, of) in loops.iter().enumerate() {
            self.plan.places.push(Place::default());
            self.plan.loops.push(LoopPlan {
                tag: of.begin.tag.clone(),
                place: at as u16,
                test: of.begin.test.clone(),
                bit: 0,
                is_single: of.mark.is_single(),
                required: Vec::new(),
                is_holder: of.record.is_some(),
                is_record: of.record.is_some(),
                record: None,
                is_tree: self.schema.is_tree(at),
                columns: 0,
                flags: 0,
            });
        }
        for at in (0..self.plan.loops.len()).rev() {
            self.compile_loop(at);
            // Loops stand behind those around them.
            if self.plan.loops[at].is_holder {
                self.plan.loops[self.schema.loops[at].parent].is_holder = true;
            }
        }
        self.plan.tree = self.schema.tree.as_ref().map(|tree| TreePlan {
            id: (tree.id.element, tree.id.component),
            parent: (tree.parent.element, tree.parent.component),
        });
    }

    fn compile_loop(&mut self, at: usize) {
        let of = &self.schema.loops[at];
        let plan = &mut self.plan;
        let row = at * plan.tags.len();
        let mut bits = 0..;
        let mut bit = |mark: Mark, name: &str, required: &mut Vec<(u64, String)>| {
            if mark == Mark::Any {
                return 0;
            }
            let bit = 1_u64 << bits.next().unwrap_or(0);
            if mark.is_required() {
                required.push((bit, name.to_owned()));
            }
            bit
        };
        let mut required = Vec::new();
        for (tag, mark) in &of.segments {
            let number = plan.tag(tag.as_bytes()).expect("all names are known");
            plan.entries[row + number].own = plan.places.len() as u16;
            plan.places.push(Place {
                bit: bit(*mark, tag, &mut required),
                is_single: mark.is_single(),
                ..Place::default()
            });
        }
        for (inner, within) in self.schema.loops.iter().enumerate().skip(1) {
            if within.parent == at {
                let tag = &within.begin.tag;
                let number = plan.tag(tag.as_bytes()).expect("all names are known");
                plan.entries[row + number].begins.push(inner as u16);
                plan.loops[inner].bit = bit(within.mark, tag, &mut required);
            }
        }
        plan.loops[at].required = required;
    }

    /// Adds a column to a record.
    pub(super) fn add_column(&mut self, record: usize, address: Address) -> Result<(), String> {
        let found = self.resolve(record, &address)?;
        let columns = &mut self.columns[found.holder];
        if let Some(known) = columns.iter().find(|known| known.name == address.name) {
            // A loop between two records has its columns once for all records in it.
            if found.holder != record && *known == address {
                return Ok(());
            }
            return Err(format!("two columns are called {}", address.name));
        }
        if columns.len() == COLUMNS_MAX {
            return Err(format!("there are more than {COLUMNS_MAX} columns"));
        }
        let field = columns.len() as u16;
        let conditions = &mut self.conditions[found.holder];
        let mut flags = Vec::new();
        for (loop_, test) in found.tests {
            let known = conditions
                .iter()
                .position(|known| *known == (loop_, test.clone()));
            flags.push(known.unwrap_or(conditions.len()) as u16);
            if known.is_none() {
                let place = self.plan.loops[loop_].place;
                let flag = conditions.len() as u16;
                self.plan.places[usize::from(place)]
                    .flags
                    .push((flag, test.clone()));
                conditions.push((loop_, test));
            }
        }
        let of = &self.plan.loops[found.loop_];
        let place = if of.tag == address.segment.tag {
            of.place
        } else {
            let tag = self.plan.tag(address.segment.tag.as_bytes());
            self.plan
                .entry(found.loop_ as u16, tag.expect("it was found"))
                .own
        };
        self.plan.places[usize::from(place)].columns.push(Column {
            field,
            element: address.element,
            component: address.component,
            test: found.own,
            pair: address.pair.clone(),
            nth: address.nth,
            flags,
        });
        self.columns[found.holder].push(address);
        Ok(())
    }

    /// Where an address leads from a record: within its loop and the loops in it that are no records; else within loops around it up to
    /// the next record.
    fn resolve(&self, record: usize, address: &Address) -> Result<Found, String> {
        let mut holder = record;
        loop {
            if let Some(found) = self.within(holder, address)? {
                return Ok(found);
            }
            holder = self.schema.loops[holder].parent;
            if self.schema.loops[holder].record.is_some() {
                let begin = &self.schema.loops[record].begin.tag;
                return Err(format!(
                    "\"{}\": {} is not among the segments of the loop of {begin}; if documents have it there, write segments = [\"{}\"]",
                    address.name, address.segment.tag, address.segment.tag
                ));
            }
        }
    }

    fn within(&self, holder: usize, address: &Address) -> Result<Option<Found>, String> {
        let mut tests = Vec::new();
        let mut at = holder;
        for (index, step) in address.steps.iter().enumerate() {
            let begins = |loop_: usize| self.schema.loops[loop_].begin.tag == step.tag;
            if index > 0 || !begins(holder) {
                let Some(inner) = self.outermost(at, &step.tag, &address.name, begins)? else {
                    return Ok(None);
                };
                at = inner;
            }
            tests.extend(step.test.clone().map(|test| (at, test)));
        }
        let tag = &address.segment.tag;
        let lists = |loop_: usize| {
            let of = &self.schema.loops[loop_];
            of.begin.tag == *tag || of.segments.iter().any(|(known, _)| known == tag)
        };
        let mut own = address.segment.test.clone();
        if !lists(at) {
            let Some(inner) = self.outermost(at, tag, &address.name, lists)? else {
                return Ok(None);
            };
            at = inner;
            if self.schema.loops[at].begin.tag != *tag {
                tests.extend(own.take().map(|test| (at, test)));
            }
        }
        Ok(Some(Found {
            holder,
            loop_: at,
            tests,
            own,
        }))
    }

    /// The one loop within a loop that fits, outside of other holders; of several the outermost.
    fn outermost(
        &self,
        around: usize,
        tag: &str,
        name: &str,
        fits: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, String> {
        let mut level = vec![around];
        while !level.is_empty() {
            let is_within = |at: &usize| {
                level.contains(&self.schema.loops[*at].parent) && !self.plan.loops[*at].is_holder
            };
            let next: Vec<usize> = (1..self.schema.loops.len()).filter(is_within).collect();
            let mut fitting: Vec<usize> = next.iter().copied().filter(|at| fits(*at)).collect();
            // A loop that begins with the segment is meant rather than one that only lists it.
            let begins = |at: &usize| self.schema.loops[*at].begin.tag == tag;
            if fitting.iter().filter(|at| begins(at)).count() == 1 {
                fitting.retain(begins);
            }
            if let Some(&found) = fitting.first() {
                return match fitting.get(1).copied() {
                    None => Ok(Some(found)),
                    Some(other) => Err(format!(
                        "\"{name}\" may stand in the loop of {} and in that of {}; write which, e.g. {}.{name}",
                        self.schema.loops[found].begin.tag,
                        self.schema.loops[other].begin.tag,
                        self.schema.loops[found].begin.tag
                    )),
                };
            }
            level = next;
        }
        Ok(None)
    }

    /// The plan. `wanted`: whether records of a type are to be made.
    pub(super) fn finish(mut self, wanted: impl Fn(&str) -> bool) -> Result<Plan, String> {
        for at in 0..self.plan.loops.len() {
            self.plan.loops[at].columns = self.columns[at].len();
            self.plan.loops[at].flags = self.conditions[at].len();
        }
        let records: Vec<(String, usize)> = self.records().collect();
        for (name, at) in records {
            let slots = self.slots(at);
            let mut columns = Vec::new();
            for slot in &slots {
                let of = &self.schema.loops[usize::from(slot.holder)];
                let up = match slot.up {
                    0 => String::new(),
                    up => format!(".up{up}"),
                };
                let prefix = match &of.record {
                    Some(record) if (usize::from(slot.holder), slot.up) != (at, 0) => {
                        format!("{}{up}.", self.type_name(record))
                    }
                    _ => String::new(),
                };
                let own = &self.columns[usize::from(slot.holder)];
                columns.extend(own.iter().map(|column| format!("{prefix}{}", column.name)));
            }
            if columns.len() > COLUMNS_MAX {
                return Err(format!("a {name} has more than {COLUMNS_MAX} columns"));
            }
            let mut names: Vec<&String> = columns.iter().collect();
            names.sort_unstable();
            if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
                return Err(format!("two columns of {name} are called {}", twice[0]));
            }
            if wanted(&name) {
                self.plan.loops[at].record = Some(self.plan.records.len() as u16);
            }
            let slots = slots.into_iter().map(|slot| self.slot(slot)).collect();
            self.plan.records.push(RecordPlan {
                shape: Arc::new(Shape {
                    record_type: name,
                    columns,
                }),
                slots,
            });
        }
        Ok(self.plan)
    }

    fn slot(&mut self, slot: Slot) -> u16 {
        let slots = &mut self.plan.slots;
        let known = slots.iter().position(|known| *known == slot);
        known.unwrap_or_else(|| {
            slots.push(slot);
            slots.len() - 1
        }) as u16
    }

    /// Whose columns a record has, from the outside; its own last. In a tree, anything may be above anything.
    fn slots(&self, record: usize) -> Vec<Slot> {
        let slot = |holder: usize, up| Slot {
            holder: holder as u16,
            up,
        };
        let mut chain = vec![record];
        let mut at = record;
        while at != 0 {
            at = self.schema.loops[at].parent;
            chain.push(at);
        }
        let ups = self.schema.tree.as_ref().map_or(0, |tree| tree.up);
        let mut slots = Vec::new();
        for at in chain.into_iter().rev() {
            if !self.schema.is_tree(at) {
                slots.push(slot(at, 0));
                continue;
            }
            let of_tree = (1..self.schema.loops.len()).filter(|other| self.schema.is_tree(*other));
            for other in of_tree {
                let nearest = u8::from(other == record);
                slots.extend((nearest..=ups).rev().map(|up| slot(other, up)));
            }
            if at == record {
                slots.push(slot(at, 0));
            }
        }
        slots
    }
}
