//! The events of one request, and its body.

mod cut;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dray_proto::EventId;
use dray_proto::event::View;
use dray_store::ExceptionState;

use crate::body::{Poison, Writer};
use crate::connectors::{Delivery, Piece};
use crate::engine::Trials;
use crate::lanes::Slot;
use crate::template::Template;
use crate::window::{Loaded, Meta};

/// How an event becomes JSON.
#[derive(Debug)]
pub(crate) enum Renderer {
    Plan,
    Template(Box<Template>),
}

/// What stands in a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One event, an object.
    Single,
    /// An array of events.
    Array,
}

/// One event of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) slot: Slot,
    /// Index into the batch's blocks.
    block: u32,
    /// Index into the block's events.
    event: u32,
}

/// Events with different keys that travel together. Once encoded, it is sent with the same bytes each time.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    blocks: Vec<Arc<Loaded>>,
    pub(crate) items: Vec<Item>,
    body: Bytes,
    /// Where each item's JSON ends in the body; empty until encoded.
    ends: Vec<u32>,
    /// An earlier try may have had its effect.
    pub(crate) in_doubt: bool,
    /// About how many bytes its request has, while it is in flight.
    pub(crate) weight: usize,
    /// Times that it was sent since it was formed.
    pub(crate) attempts: u32,
    /// What it went through.
    pub(crate) trials: Trials,
    /// Its one event is rendered and compared, not sent.
    pub(crate) shadow: bool,
    /// What is kept of the key of its one event, by name.
    pub(crate) kept: BTreeMap<String, String>,
    /// A later event of its key waits behind it; only told in shadow.
    pub(crate) has_later: bool,
}

/// What encoding left out.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    pub(crate) poisoned: Vec<(Item, Poison)>,
    pub(crate) unsent: Vec<Item>,
}

impl Batch {
    /// Adds an event. Neighbours mostly share a block.
    pub(crate) fn push(&mut self, slot: Slot, loaded: &Arc<Loaded>, event: u32) {
        if self
            .blocks
            .last()
            .is_none_or(|last| !Arc::ptr_eq(last, loaded))
        {
            self.blocks.push(Arc::clone(loaded));
        }
        self.items.push(Item {
            slot,
            block: (self.blocks.len() - 1) as u32,
            event,
        });
    }

    /// An item's block and its place in it.
    pub(crate) fn event(&self, item: &Item) -> (&Arc<Loaded>, &Meta) {
        let loaded = &self.blocks[item.block as usize];
        (loaded, &loaded.events[item.event as usize])
    }

    /// Its events.
    pub(crate) fn events(&self) -> impl Iterator<Item = (&Arc<Loaded>, &Meta)> {
        self.items.iter().map(|item| self.event(item))
    }

    /// Takes the events out, before it is encoded, of which something is said.
    pub(crate) fn take_out<T>(
        &mut self,
        mut said: impl FnMut(&[u8], &Loaded) -> Option<T>,
    ) -> Vec<(Item, T)> {
        let (mut out, mut left) = (Vec::new(), Vec::with_capacity(self.items.len()));
        for item in std::mem::take(&mut self.items) {
            let (loaded, meta) = self.event(&item);
            match said(loaded.event(meta), loaded) {
                Some(why) => out.push((item, why)),
                None => left.push(item),
            }
        }
        self.items = left;
        out
    }

    /// About how many bytes its request has.
    pub(crate) fn weigh(&self) -> usize {
        match self.is_encoded() {
            true => self.body.len(),
            false => self.events().map(|(_, meta)| meta.json_bytes()).sum(),
        }
    }

    /// Not encoded, with these events; whatever was done with it meanwhile.
    pub(crate) fn reset(&mut self, items: Vec<Item>) {
        self.items = items;
        (self.body, self.ends) = (Bytes::new(), Vec::new());
    }

    pub(crate) fn is_encoded(&self) -> bool {
        !self.ends.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// Leaves out the events that are not to be sent any more, and returns them; what is left is encoded anew.
    pub(crate) fn leave_out(&mut self, mut is_over: impl FnMut(&Loaded) -> bool) -> Vec<Item> {
        let is_over: Vec<bool> = self.blocks.iter().map(|block| is_over(block)).collect();
        if !is_over.contains(&true) {
            return Vec::new();
        }
        let (over, left) = std::mem::take(&mut self.items)
            .into_iter()
            .partition(|item| is_over[item.block as usize]);
        self.reset(left);
        over
    }

    /// What a connector gets; `None`: nothing is left to send. `each`: it looks at each event.
    pub(crate) fn delivery(&self, each: bool) -> Option<Delivery> {
        let in_array = usize::from(self.body.first() == Some(&b'['));
        let mut start = in_array;
        let ends = self.items.iter().zip(&self.ends);
        let wanted = if each { self.items.len() } else { 1 };
        let events: Vec<_> = ends
            .take(wanted)
            .map(|(item, end)| {
                let (loaded, meta) = self.event(item);
                let id = View::of(loaded.event(meta))
                    .map_or(EventId::new([0xFF; 10], 0, 0), |view| view.id);
                let json = start..*end as usize;
                start = json.end + in_array;
                Piece {
                    id,
                    json,
                    again: loaded.redo.is_some(),
                    replayed: loaded.replayed.is_some(),
                }
            })
            .collect();
        let loaded = self.blocks.first()?;
        let later = loaded.told.as_ref().and_then(|told| told.later.clone());
        // Who asks how far it is does not mind asking again; of what else was sent before a kill no step may tell.
        let polls = loaded
            .redo
            .is_some_and(|again| again.was == ExceptionState::Accepted);
        let was_sent = loaded.redo.is_some() && later.is_none();
        (!events.is_empty()).then(|| Delivery {
            body: self.body.clone(),
            events,
            in_doubt: !polls && (self.in_doubt || was_sent),
            later,
            kept: self.kept.clone(),
        })
    }

    /// The default JSON of its first event.
    pub(crate) fn plain(&self) -> Result<Vec<u8>, Poison> {
        let mut plain = Vec::new();
        if let Some(item) = self.items.first() {
            let (loaded, meta) = self.event(item);
            let (offset, event) = (loaded.offset(meta), loaded.event(meta));
            Writer::default().put(&mut plain, &loaded.place, offset, event)?;
        }
        Ok(plain)
    }

    /// Writes the body: the events up to the first that would make it longer than `bytes_max`, at least one.
    pub(crate) fn encode(
        &mut self,
        renderer: &Renderer,
        shape: Shape,
        bytes_max: usize,
    ) -> LeftOut {
        let mut left_out = LeftOut::default();
        let wire: usize = self
            .items
            .iter()
            .map(|item| (self.event(item).1.end - self.event(item).1.start) as usize)
            .sum();
        let mut out =
            Vec::with_capacity((wire * 2 + self.items.len() * 256).min(bytes_max + 64 * 1024));
        let (mut writer, mut scratch) = (Writer::default(), Vec::new());
        let items = std::mem::take(&mut self.items);
        let mut rest = items.iter();
        for item in rest.by_ref() {
            let start = out.len();
            if shape == Shape::Array {
                out.push(if self.items.is_empty() { b'[' } else { b',' });
            }
            let (loaded, meta) = self.event(item);
            let made = render(
                renderer,
                &mut writer,
                &mut scratch,
                &mut out,
                (loaded, meta),
                &self.kept,
            );
            if let Err(poison) = made {
                out.truncate(start);
                left_out.poisoned.push((*item, poison));
            } else if out.len() >= bytes_max && !self.items.is_empty() {
                out.truncate(start);
                left_out.unsent.push(*item);
                break;
            } else {
                self.ends.push(out.len() as u32);
                self.items.push(*item);
            }
        }
        left_out.unsent.extend(rest);
        if shape == Shape::Array && !self.items.is_empty() {
            out.push(b']');
        }
        self.body = Bytes::from(out);
        left_out
    }
}

fn render(
    renderer: &Renderer,
    writer: &mut Writer,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
    (loaded, meta): (&Loaded, &Meta),
    kept: &BTreeMap<String, String>,
) -> Result<(), Poison> {
    let (offset, event) = (loaded.offset(meta), loaded.event(meta));
    match renderer {
        Renderer::Plan => writer.put(out, &loaded.place, offset, event),
        Renderer::Template(template) => {
            scratch.clear();
            writer.put(scratch, &loaded.place, offset, event)?;
            template.put(out, scratch, kept)
        }
    }
}

#[cfg(test)]
mod tests;
