//! A set's loops and columns, compiled: names are numbers, and each segment's place knows which columns it fills.

use std::sync::Arc;

use dray_adapter::Shape;

use super::address::{Address, Test};
use super::schema::{Mark, Schema};
use super::{Syntax, View};

/// Columns of a record, its ancestors' among them, at most.
const COLUMNS_MAX: usize = 1_000;
/// No place, no loop.
pub(super) const NONE: u16 = u16::MAX;

/// A set, compiled.
#[derive(Debug)]
pub(super) struct Plan {
    /// What documents say that they are: `940`, `ORDERS`.
    pub set: String,
    /// All segments' names that loops list, sorted.
    tags: Vec<u32>,
    pub loops: Vec<LoopPlan>,
    /// By loop and then by name.
    entries: Vec<Entry>,
    pub places: Vec<Place>,
    pub slots: Vec<Slot>,
    pub records: Vec<RecordPlan>,
    pub tree: Option<TreePlan>,
}

/// A loop.
#[derive(Debug)]
pub(super) struct LoopPlan {
    /// Of its first segment.
    pub tag: String,
    /// The place of its first segment.
    pub place: u16,
    pub test: Option<Test>,
    /// Its bit in the loop around it, if it is counted, and whether one is all.
    pub bit: u64,
    pub is_single: bool,
    /// What must stand in it, by bits.
    pub required: Vec<(u64, String)>,
    /// It holds its own segments: it is a record, or one stands in it.
    pub is_holder: bool,
    /// It is a record, whether those are wanted or not.
    pub is_record: bool,
    /// The record that it makes, where those are wanted.
    pub record: Option<u16>,
    pub is_tree: bool,
    /// Columns of a holder.
    pub columns: usize,
    /// Conditions on loops within a holder.
    pub flags: usize,
}

/// What a name means in a loop.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its place, where the loop lists it.
    pub own: u16,
    /// Loops that it begins.
    pub begins: Vec<u16>,
}

/// A segment's place: a loop and a name.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub bit: u64,
    pub is_single: bool,
    pub columns: Vec<Column>,
    /// Conditions that the loop's first segment decides.
    pub flags: Vec<(u16, Test)>,
}

/// A column that a segment may fill.
#[derive(Debug)]
pub(super) struct Column {
    /// Which of its holder's.
    pub field: u16,
    pub element: u8,
    pub component: u8,
    pub test: Option<Test>,
    pub pair: Option<String>,
    pub nth: u16,
    /// Conditions on the loops around.
    pub flags: Vec<u16>,
}

/// An ancestor of a record, or the record itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub holder: u16,
    /// How many of that kind are nearer.
    pub up: u8,
}

/// A record.
#[derive(Debug)]
pub(super) struct RecordPlan {
    pub shape: Arc<Shape>,
    /// Whose columns it has; its own come last.
    pub slots: Vec<u16>,
}

/// Where a tree's numbers stand: element and component.
#[derive(Debug)]
pub(super) struct TreePlan {
    pub id: (u8, u8),
    pub parent: (u8, u8),
}

/// A segment's name as a number; 0 for what is none.
pub(super) fn key(tag: &[u8]) -> u32 {
    if tag.len() > 4 {
        return 0;
    }
    tag.iter().fold(0, |key, byte| key << 8 | u32::from(*byte))
}

impl Test {
    pub(super) fn holds<V: View>(&self, segment: &V) -> bool {
        let value = segment.value(self.element.into(), self.component.into());
        self.values
            .iter()
            .any(|expected| expected.as_bytes() == value.trim_ascii_end())
    }
}

impl Plan {
    /// What a name means in a loop.
    pub(super) fn entry(&self, loop_: u16, tag: usize) -> &Entry {
        &self.entries[usize::from(loop_) * self.tags.len() + tag]
    }

    /// The number of a name that some loop lists.
    pub(super) fn tag(&self, tag: &[u8]) -> Option<usize> {
        self.tags.binary_search(&key(tag)).ok()
    }

    /// Loops in which a name may stand, in words.
    pub(super) fn loops_with(&self, tag: usize) -> Vec<&str> {
        let holds = |at: &usize| {
            let entry = self.entry(*at as u16, tag);
            entry.own != NONE || !entry.begins.is_empty()
        };
        let loops = (0..self.loops.len()).filter(holds);
        let mut names: Vec<&str> = loops.map(|at| self.loops[at].tag.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

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
