//! A set's loops and columns, compiled: names are numbers, and each segment's place knows which columns it fills.

use std::sync::Arc;

use dray_adapter::Shape;

use super::View;
use super::address::Test;
/// No place, no loop.
pub(super) const NONE: u16 = u16::MAX;

/// A set, compiled.
#[derive(Debug)]
pub(super) struct Plan {
    /// What documents say that they are: `940`, `ORDERS`.
    pub set: String,
    /// All segments' names that loops list, sorted.
    pub tags: Vec<u32>,
    pub loops: Vec<LoopPlan>,
    /// By loop and then by name.
    pub entries: Vec<Entry>,
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
