//! A document that is being read: its bytes, and the loops that its segments belong to.
//!
//! A document is the unit of trust: nothing of it is handed out before its end has been checked. So it is held, within
//! [`DOCUMENT_BYTES_MAX`] and [`DOCUMENT_SEGMENTS_MAX`]: at most about 16 MiB of bytes, 10 MiB of places and 16 MiB of loops.

mod loops;

use std::collections::HashMap;
use std::sync::Arc;

use dray_adapter::REJECT_BYTES_MAX;
use sha2::{Digest as _, Sha256};

use super::View;
use super::config::SEGMENT_COLUMNS;
use super::plan::{NONE, Plan};
use super::receipt::{Finding, Rule};
use crate::RECORD_BYTES_MAX;

/// A document's bytes, at most.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A document's segments, at most.
pub const DOCUMENT_SEGMENTS_MAX: usize = 500_000;
/// Bytes of a number within a tree, at most.
const TREE_ID_BYTES_MAX: usize = 16;

/// A segment's place among the bytes and the loops.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub start: u32,
    /// Its terminator stands here.
    pub end: u32,
    /// In which loop.
    pub instance: u32,
    /// The next one of the loop that holds it; [`u32::MAX`] behind the last.
    next: u32,
    pub place: u16,
}

/// A loop that was begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instance {
    pub loop_: u16,
    depth: u8,
    /// The loop around it; in a tree the one above it; its own number for the document itself.
    pub parent: u32,
    /// The next loop around that holds segments, or itself.
    pub holder: u32,
    /// Its first segment, and the last that it holds.
    first: u32,
    last: u32,
    /// The line of its first, counted from the document's.
    pub line: u32,
    /// Bytes of the segments that it holds.
    bytes: u32,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    instance: u32,
    /// Bits of what stood in it.
    seen: u64,
}

/// A document. Its memory is used again.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub plan: Option<Arc<Plan>>,
    /// Its bytes, behind those of the envelope's segments.
    pub bytes: Vec<u8>,
    /// Where its own begin.
    pub begins: usize,
    pub segments: Vec<Held>,
    /// How many of the segments are the envelope's.
    pub outer: usize,
    pub instances: Vec<Instance>,
    open: Vec<Open>,
    tree: HashMap<[u8; TREE_ID_BYTES_MAX], u32>,
    /// All segments, whether held or not, without the envelope's.
    pub count: u64,
    /// The line of its first segment.
    pub line: u64,
    pub finding: Option<Finding>,
    /// What does not fit: the hash of all and how many bytes.
    pub long: Option<(Sha256, u64)>,
}

impl Document {
    /// Forgets what it holds, keeps the memory.
    pub(super) fn begin(&mut self, plan: Option<Arc<Plan>>) {
        self.plan = plan;
        self.bytes.clear();
        self.begins = 0;
        self.segments.clear();
        self.outer = 0;
        self.instances.clear();
        self.open.clear();
        self.tree.clear();
        self.count = 0;
        self.line = 0;
        self.finding = None;
        self.long = None;
        self.open_loop(0, true, None, 0);
    }

    /// A segment of the envelope around it.
    pub(super) fn push_outer(&mut self, bytes: &[u8], tag: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let plan = self.plan.as_deref();
        let place = plan.and_then(|plan| Some(plan.entry(0, plan.tag(tag)?).own));
        self.segments.push(Held {
            start: start as u32,
            end: self.bytes.len() as u32,
            instance: 0,
            next: u32::MAX,
            place: place.unwrap_or(NONE),
        });
        self.link(0);
        self.begins = self.bytes.len();
        self.outer = self.segments.len();
    }

    /// Its next bytes.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        if let Some((hash, count)) = &mut self.long {
            hash.update(bytes);
            *count += bytes.len() as u64;
            return;
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() - self.begins > DOCUMENT_BYTES_MAX {
            self.give_up();
        }
    }

    /// The next segment: `bytes` end with its terminator and may begin with what stood before it; itself it is `start..end` of them.
    pub(super) fn push<V: View>(&mut self, segment: &V, bytes: &[u8], start: usize, end: usize) {
        if self.count == 0 {
            self.line = segment.line();
        }
        self.count += 1;
        let base = self.bytes.len();
        self.push_bytes(if self.count == 1 {
            &bytes[start..]
        } else {
            bytes
        });
        if self.segments.len() == DOCUMENT_SEGMENTS_MAX && self.long.is_none() {
            self.give_up();
        }
        if self.long.is_some() || self.finding.is_some() {
            return;
        }
        let skipped = if self.count == 1 { start } else { 0 };
        let held = Held {
            start: (base + start - skipped) as u32,
            end: (base + end - skipped) as u32,
            instance: 0,
            next: u32::MAX,
            place: NONE,
        };
        let Some(plan) = self.plan.take() else {
            self.segments.push(held);
            if segment.elements() > SEGMENT_COLUMNS + 1 {
                let what = format!(
                    "segment {} ({}) has more than {SEGMENT_COLUMNS} elements; declare its loops under [[flow.source.format.set]]",
                    self.count,
                    shown(segment.tag())
                );
                self.find(segment.tag(), Rule::TooLarge, what);
            }
            return;
        };
        if let Err((rule, what)) = self.place(&plan, segment, held) {
            self.find(segment.tag(), rule, what);
        }
        self.plan = Some(plan);
    }

    /// Remembers what is wrong with it.
    pub(super) fn find(&mut self, tag: &[u8], rule: Rule, what: String) {
        self.finding.get_or_insert(Finding {
            segment: self.count,
            tag: String::from_utf8_lossy(tag).into_owned(),
            rule,
            what,
        });
    }

    /// It is too large to be held: what was, is cut to what a bad record shows.
    fn give_up(&mut self) {
        let mut hash = Sha256::new();
        hash.update(&self.bytes[self.begins..]);
        self.long = Some((hash, (self.bytes.len() - self.begins) as u64));
        self.bytes.truncate(self.begins + REJECT_BYTES_MAX);
        self.segments.clear();
        let what = format!(
            "a document has at most {DOCUMENT_BYTES_MAX} bytes and {DOCUMENT_SEGMENTS_MAX} segments, and this one has more; ask its sender to divide it"
        );
        self.find(b"", Rule::TooLarge, what);
    }

    fn place<V: View>(
        &mut self,
        plan: &Plan,
        segment: &V,
        mut held: Held,
    ) -> Result<(), (Rule, String)> {
        match plan.tag(segment.tag()) {
            // What begins the document begins its outermost loop.
            _ if self.count == 1 => held.place = plan.loops[0].place,
            None => {
                let innermost = self.open.last().map_or(0, |open| open.instance);
                held.instance = self.instances[innermost as usize].holder;
            }
            Some(tag) => {
                (held.instance, held.place) = self.find_place(plan, segment, tag)?;
            }
        }
        self.segments.push(held);
        let number = self.instances[held.instance as usize].holder;
        self.link(number);
        let holder = &mut self.instances[number as usize];
        holder.bytes += held.end - held.start;
        if holder.bytes as usize > RECORD_BYTES_MAX {
            let what = format!(
                "segment {} ({}): a record has at most {RECORD_BYTES_MAX} bytes, and the loop of {} has more",
                self.count,
                shown(segment.tag()),
                plan.loops[usize::from(holder.loop_)].tag
            );
            return Err((Rule::TooLarge, what));
        }
        Ok(())
    }

    /// Ties the last segment to those of the loop that holds it.
    fn link(&mut self, holder: u32) {
        let number = self.segments.len() as u32 - 1;
        let holder = &mut self.instances[holder as usize];
        if number != holder.first {
            self.segments[holder.last as usize].next = number;
        }
        holder.last = number;
    }

    /// The segments that a loop holds by itself.
    pub(super) fn held_by(&self, instance: u32) -> impl Iterator<Item = usize> + '_ {
        let first = self.instances[instance as usize].first as usize;
        std::iter::successors(Some(first), |at| {
            let next = self.segments[*at].next;
            (next != u32::MAX).then_some(next as usize)
        })
    }

    /// Its last segment was taken.
    pub(super) fn end(&mut self) {
        if self.finding.is_none()
            && let Some(plan) = self.plan.clone()
            && let Err((rule, what)) = self.close(&plan, 0)
        {
            self.find(b"", rule, what);
        }
    }

    /// Bytes of segment `number`.
    pub(super) fn segment(&self, number: usize) -> &[u8] {
        let held = self.segments[number];
        &self.bytes[held.start as usize..held.end as usize]
    }

    /// Bytes of segment `number` with what ends it.
    pub(super) fn ended_segment(&self, number: usize) -> &[u8] {
        let next = self.segments.get(number + 1);
        let end = next.map_or(self.bytes.len(), |next| next.start as usize);
        &self.bytes[self.segments[number].start as usize..end]
    }
}

/// Bytes of a document in a sentence.
pub(super) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned()
}
