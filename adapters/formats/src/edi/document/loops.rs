//! To which loop a segment belongs: loops are begun and closed, their segments counted, and those of a tree tied to the one above.

use super::{Document, Instance, Open, TREE_ID_BYTES_MAX, View, shown};
use crate::edi::plan::{NONE, Plan};
use crate::edi::receipt::Rule;

/// Levels of a tree, at most: a shipment has five.
const TREE_DEPTH_MAX: u8 = 20;
/// The rule that is broken, and a sentence.
type Fault = (Rule, String);

impl Document {
    /// The loop and place of a segment that some loop lists.
    pub(super) fn find_place<V: View>(
        &mut self,
        plan: &Plan,
        segment: &V,
        tag: usize,
    ) -> Result<(u32, u16), Fault> {
        let mut begun = false;
        for depth in (0..self.open.len()).rev() {
            let instance = self.open[depth].instance;
            let entry = plan.entry(self.instances[instance as usize].loop_, tag);
            let begins = entry.begins.iter().copied().find(|inner| {
                let test = &plan.loops[usize::from(*inner)].test;
                test.as_ref().is_none_or(|test| test.holds(segment))
            });
            begun |= !entry.begins.is_empty();
            if let Some(inner) = begins {
                self.close(plan, depth + 1)?;
                let of = &plan.loops[usize::from(inner)];
                self.count_in(depth, of.bit, of.is_single, segment, plan)?;
                let parent = if of.is_tree {
                    self.above(plan, segment, instance)?
                } else {
                    instance
                };
                let line = u32::try_from(segment.line() - self.line).unwrap_or(u32::MAX);
                let opened = self.open_loop(inner, of.is_holder, Some(parent), line);
                self.name_in_tree(plan, segment, of.is_tree, opened)?;
                return Ok((opened, of.place));
            }
            if entry.own != NONE {
                self.close(plan, depth + 1)?;
                let place = &plan.places[usize::from(entry.own)];
                self.count_in(depth, place.bit, place.is_single, segment, plan)?;
                return Ok((instance, entry.own));
            }
        }
        let name = shown(segment.tag());
        let what = if begun {
            format!(
                "segment {} ({name}) has a value for which set {} has no loop here; declare one with loops under [[flow.source.format.set]]",
                self.count, plan.set
            )
        } else {
            format!(
                "segment {} ({name}) stands outside of the loops that may hold it: {}",
                self.count,
                plan.loops_with(tag).join(", ")
            )
        };
        Err((Rule::Misplaced, what))
    }

    pub(super) fn open_loop(
        &mut self,
        loop_: u16,
        is_holder: bool,
        parent: Option<u32>,
        line: u32,
    ) -> u32 {
        let number = self.instances.len() as u32;
        let above = parent.map(|parent| self.instances[parent as usize]);
        let holder = above
            .filter(|_| !is_holder)
            .map_or(number, |above| above.holder);
        self.instances.push(Instance {
            loop_,
            depth: above.map_or(0, |above| above.depth.saturating_add(1)),
            parent: parent.unwrap_or(number),
            holder,
            first: self.segments.len() as u32,
            last: self.segments.len() as u32,
            line,
            bytes: 0,
        });
        self.open.push(Open {
            instance: number,
            seen: 0,
        });
        number
    }

    fn count_in<V: View>(
        &mut self,
        depth: usize,
        bit: u64,
        is_single: bool,
        segment: &V,
        plan: &Plan,
    ) -> Result<(), Fault> {
        let open = &mut self.open[depth];
        if is_single && open.seen & bit != 0 {
            let of = self.instances[open.instance as usize];
            let what = format!(
                "segment {} ({}) is one too many: it may stand once in {}",
                self.count,
                shown(segment.tag()),
                self.named(plan, of)
            );
            return Err((Rule::TooOften, what));
        }
        open.seen |= bit;
        Ok(())
    }

    /// Closes loops from a depth on, the innermost first.
    pub(super) fn close(&mut self, plan: &Plan, depth: usize) -> Result<(), Fault> {
        while self.open.len() > depth {
            let Some(open) = self.open.pop() else { break };
            let of = self.instances[open.instance as usize];
            let required = &plan.loops[usize::from(of.loop_)].required;
            if let Some((_, tag)) = required.iter().find(|(bit, _)| open.seen & bit == 0) {
                let what = format!("{} has no {tag}, which it must have", self.named(plan, of));
                return Err((Rule::Missing(tag.clone()), what));
            }
        }
        Ok(())
    }

    /// A loop in words.
    fn named(&self, plan: &Plan, of: Instance) -> String {
        if of.loop_ == 0 {
            return "the document".into();
        }
        format!(
            "the loop of {} that begins at segment {}",
            plan.loops[usize::from(of.loop_)].tag,
            of.first as usize + 1 - self.outer
        )
    }

    /// The loop above one of a tree.
    fn above<V: View>(&self, plan: &Plan, segment: &V, around: u32) -> Result<u32, Fault> {
        let Some(tree) = &plan.tree else {
            return Ok(around);
        };
        let id = segment.value(tree.parent.0.into(), tree.parent.1.into());
        if id.trim_ascii().is_empty() {
            return Ok(around);
        }
        let found = tree_id(id).and_then(|id| self.tree.get(&id));
        let of = |rest: &str| format!("segment {} ({}) {rest}", self.count, shown(segment.tag()));
        match found {
            None => {
                let what = format!("belongs to number {}, which none before it has", shown(id));
                Err((Rule::Tree, of(&what)))
            }
            Some(found) if self.instances[*found as usize].depth >= TREE_DEPTH_MAX => {
                let what = format!("is deeper than {TREE_DEPTH_MAX} levels");
                Err((Rule::Tree, of(&what)))
            }
            Some(found) => Ok(*found),
        }
    }

    fn name_in_tree<V: View>(
        &mut self,
        plan: &Plan,
        segment: &V,
        is_tree: bool,
        instance: u32,
    ) -> Result<(), Fault> {
        let Some(tree) = plan.tree.as_ref().filter(|_| is_tree) else {
            return Ok(());
        };
        let id = segment.value(tree.id.0.into(), tree.id.1.into());
        let known = tree_id(id).map(|id| self.tree.insert(id, instance));
        let what = match known {
            Some(None) => return Ok(()),
            Some(Some(_)) => format!("has number {}, which one before it has", shown(id)),
            None => format!("has no number of 1 to {TREE_ID_BYTES_MAX} characters"),
        };
        let what = format!("segment {} ({}) {what}", self.count, shown(segment.tag()));
        Err((Rule::Tree, what))
    }
}

fn tree_id(id: &[u8]) -> Option<[u8; TREE_ID_BYTES_MAX]> {
    let id = id.trim_ascii();
    let mut padded = [0; TREE_ID_BYTES_MAX];
    padded
        .get_mut(..id.len())
        .filter(|id| !id.is_empty())?
        .copy_from_slice(id);
    Some(padded)
}
