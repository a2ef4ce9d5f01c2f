//! The events of one request, and its body.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dray_proto::EventId;
use dray_proto::event::View;
use dray_store::ExceptionState;

use crate::body::{Poison, Writer};
use crate::connectors::{Delivery, Fate, Piece};
use crate::engine::Trials;
use crate::lanes::Slot;
use crate::outcome::Outcome;
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
        self.items = left;
        (self.body, self.ends) = (Bytes::new(), Vec::new());
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

    /// The batch taken apart by outcome: neighbours with the same one stay together, but for what concerns each alone.
    /// Encoded again where it is sent again.
    pub(crate) fn sorted(self, fates: Vec<Fate>) -> Vec<(Self, Fate)> {
        debug_assert_eq!(self.items.len(), fates.len(), "a fate an event");
        // An event without one would close its lane for ever.
        let unsaid = || Outcome::Unknown("the connector said nothing of the event".into()).into();
        let fates = fates.into_iter().chain(std::iter::repeat_with(unsaid));
        let mut parts: Vec<(Self, Fate)> = Vec::new();
        for (item, fate) in self.items.iter().zip(fates) {
            match parts.last_mut() {
                Some((part, same)) if same.outcome == fate.outcome && !is_one_s(&fate.outcome) => {
                    part.items.push(*item);
                }
                _ => parts.push((
                    Self {
                        blocks: self.blocks.clone(),
                        items: vec![*item],
                        in_doubt: self.in_doubt,
                        attempts: self.attempts,
                        trials: self.trials.clone(),
                        kept: self.kept.clone(),
                        ..Self::default()
                    },
                    fate,
                )),
            }
        }
        parts
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

    /// Its first event alone, and the rest, where there is one.
    pub(crate) fn head(self) -> impl Iterator<Item = Self> {
        let middle = self.items.len().min(1);
        self.parts(middle)
    }

    /// In two halves.
    pub(crate) fn apart(self) -> impl Iterator<Item = Self> {
        let middle = self.items.len() / 2;
        self.parts(middle)
    }

    /// Those before an item, and the others; what is cut is encoded again.
    fn parts(mut self, middle: usize) -> impl Iterator<Item = Self> {
        let rest = self.items.split_off(middle);
        let right = (!rest.is_empty()).then(|| Self {
            blocks: self.blocks.clone(),
            items: rest,
            in_doubt: self.in_doubt,
            attempts: self.attempts,
            trials: self.trials.clone(),
            ..Self::default()
        });
        if right.is_some() {
            (self.body, self.ends) = (Bytes::new(), Vec::new());
        }
        std::iter::once(self)
            .filter(|left| !left.items.is_empty())
            .chain(right)
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

    /// Two batches of half the items each, of an encoded array of at least two.
    pub(crate) fn halves(mut self) -> [Self; 2] {
        let middle = self.items.len() / 2;
        let right_items = self.items.split_off(middle);
        let start = self.ends[middle - 1] as usize;
        let rebuilt = |range: std::ops::Range<usize>| {
            let mut body = BytesMut::with_capacity(range.len() + 2);
            body.extend_from_slice(b"[");
            body.extend_from_slice(&self.body[range]);
            body.extend_from_slice(b"]");
            body.freeze()
        };
        let (left_body, right_body) = (rebuilt(1..start), rebuilt(start + 1..self.body.len() - 1));
        let right_ends = self
            .ends
            .split_off(middle)
            .into_iter()
            .map(|end| end - start as u32)
            .collect();
        let right = Self {
            blocks: self.blocks.clone(),
            items: right_items,
            body: right_body,
            ends: right_ends,
            in_doubt: self.in_doubt,
            attempts: self.attempts,
            trials: self.trials.clone(),
            ..Self::default()
        };
        [
            Self {
                body: left_body,
                ..self
            },
            right,
        ]
    }
}

/// Whether an outcome of one event is not shared with its neighbours: what is refused has a reason and a request of its
/// own, and is not looked for among others.
fn is_one_s(outcome: &Outcome) -> bool {
    use Outcome::{Accepted, Confirm, Conflict, Poison, Rejected, TooLarge};
    matches!(
        outcome,
        Accepted(..) | Confirm(..) | Conflict(_) | Poison(_) | Rejected(_) | TooLarge(_)
    )
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
mod tests {
    use super::*;
    use crate::body::{Place, sample};
    use crate::lanes::Lanes;
    use dray_proto::{FlowName, Offset, Sequence};
    use serde_json::Value;

    fn batch(count: u32, poison: &[u32]) -> Batch {
        let good = sample("shipment").expect("a body");
        let mut bytes = good.clone();
        bytes.extend_from_slice(&[0xFF; 4]);
        let good_end = good.len() as u32;
        let events = (0..count)
            .map(|ordinal| Meta {
                start: if poison.contains(&ordinal) {
                    good_end
                } else {
                    0
                },
                end: if poison.contains(&ordinal) {
                    good_end + 4
                } else {
                    good_end
                },
                key_start: 0,
                key_end: 0,
                ordinal,
                lane: u64::from(ordinal),
                captured_us: 0,
            })
            .collect();
        let loaded = Arc::new(Loaded {
            flow: Some(0),
            place: Arc::new(Place::new(FlowName::parse("north/s").expect("a name"))),
            first_offset: Offset(100),
            first_sequence: Sequence(1),
            epoch: 1,
            bytes,
            events,
            redo: None,
            told: None,
            replayed: None,
        });
        let (mut batch, mut lanes) = (Batch::default(), Lanes::default());
        for ordinal in 0..count {
            lanes.push(u64::from(ordinal), ordinal);
            let (slot, event) = lanes.take().expect("a lane of its own");
            batch.push(slot, &loaded, event);
        }
        batch
    }

    fn offsets(body: &[u8]) -> Vec<u64> {
        let json: Value = serde_json::from_slice(body).expect("JSON");
        json.as_array()
            .expect("an array")
            .iter()
            .map(|event| event["offset"].as_u64().expect("a number"))
            .collect()
    }

    #[test]
    fn a_body_is_an_array_without_its_poisoned_events() {
        let mut batch = batch(5, &[0, 3]);
        let left_out = batch.encode(&Renderer::Plan, Shape::Array, 1 << 20);
        assert_eq!(offsets(&batch.body()), [101, 102, 104]);
        assert_eq!(
            (
                left_out.poisoned.len(),
                left_out.unsent.len(),
                batch.items.len()
            ),
            (2, 0, 3)
        );
    }

    #[test]
    fn a_single_event_is_an_object() {
        let mut batch = batch(1, &[]);
        batch.encode(&Renderer::Plan, Shape::Single, 1);
        let json: Value = serde_json::from_slice(&batch.body()).expect("JSON");
        assert_eq!(json["offset"], 100);
    }

    #[test]
    fn a_body_stops_before_it_gets_too_long_but_holds_one_event() {
        let mut whole = batch(10, &[]);
        whole.encode(&Renderer::Plan, Shape::Array, 1 << 20);
        let one = whole.body().len() / 10;
        for (bytes_max, expected) in [(1, 1), (one * 3 + one / 2, 3), (one * 20, 10)] {
            let mut batch = batch(10, &[]);
            let left_out = batch.encode(&Renderer::Plan, Shape::Array, bytes_max);
            assert_eq!(
                (batch.items.len(), left_out.unsent.len()),
                (expected, 10 - expected)
            );
            assert_eq!(offsets(&batch.body()).len(), expected);
        }
    }

    #[test]
    fn halves_hold_the_same_events_down_to_one() {
        let mut whole = batch(7, &[2]);
        whole.encode(&Renderer::Plan, Shape::Array, 1 << 20);
        let mut queue = vec![whole];
        let mut seen = Vec::new();
        while let Some(batch) = queue.pop() {
            let here = offsets(&batch.body());
            assert_eq!(here.len(), batch.items.len());
            if here.len() == 1 {
                assert_eq!(
                    batch
                        .event(&batch.items[0])
                        .0
                        .offset(batch.event(&batch.items[0]).1)
                        .0,
                    here[0]
                );
                seen.push(here[0]);
            } else {
                let [left, right] = batch.halves();
                queue.extend([right, left]);
            }
        }
        assert_eq!(seen, [100, 101, 103, 104, 105, 106]);
    }

    #[test]
    fn a_delivery_names_each_event_where_somebody_looks_at_each() {
        let mut batch = batch(4, &[1]);
        assert!(batch.delivery(true).is_none(), "it is not encoded");
        batch.encode(&Renderer::Plan, Shape::Array, 1 << 20);
        let whole = batch.delivery(true).expect("events");
        let offsets: Vec<_> = whole
            .events
            .iter()
            .map(|piece| {
                let json = serde_json::from_slice::<Value>(&whole.body[piece.json.clone()]);
                json.expect("JSON")["offset"].as_u64().expect("a number")
            })
            .collect();
        assert_eq!(offsets, [100, 102, 103]);
        assert_eq!(batch.delivery(false).expect("events").events.len(), 1);
    }

    #[test]
    fn what_is_over_is_left_out_of_a_batch() {
        let mut batch = batch(3, &[]);
        batch.encode(&Renderer::Plan, Shape::Array, 1 << 20);
        assert!(batch.leave_out(|_| false).is_empty() && batch.is_encoded());
        assert_eq!(batch.leave_out(|_| true).len(), 3);
        assert!(batch.items.is_empty() && !batch.is_encoded());
    }

    #[test]
    fn a_batch_is_taken_apart_by_what_came_of_each_event() {
        let mut batch = batch(5, &[]);
        batch.encode(&Renderer::Plan, Shape::Array, 1 << 20);
        let refused = Outcome::Rejected("no such item".into());
        let outcomes = [
            Outcome::Done,
            Outcome::Done,
            refused.clone(),
            refused.clone(),
            Outcome::Done,
        ];
        let parts = batch.sorted(outcomes.map(Fate::from).into());
        let found: Vec<_> = parts
            .iter()
            .map(|(part, fate)| (part.items.len(), &fate.outcome))
            .collect();
        assert_eq!(
            found,
            [
                (2, &Outcome::Done),
                (1, &refused),
                (1, &refused),
                (1, &Outcome::Done)
            ]
        );
        assert!(parts.iter().all(|(part, _)| !part.is_encoded()));
    }
}
