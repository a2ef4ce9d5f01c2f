//! A batch taken apart: by what came of its events, or to find the one that its target does not take.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Batch, Item};
use crate::connectors::Fate;
use crate::outcome::Outcome;
use crate::window::Loaded;

impl Batch {
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
                _ => parts.push((self.alone(item), fate)),
            }
        }
        parts
    }

    /// One of its events, as it stands after what the batch went through.
    pub(crate) fn alone(&self, item: &Item) -> Self {
        Self {
            blocks: self.blocks.clone(),
            items: vec![*item],
            in_doubt: self.in_doubt,
            attempts: self.attempts,
            trials: self.trials.clone(),
            kept: self.kept.clone(),
            ..Self::default()
        }
    }

    /// The same of one event that stands in another block now, the only one there.
    pub(crate) fn moved(self, loaded: Arc<Loaded>) -> Self {
        let items = self.items.iter().take(1);
        let items = items.map(|item| Item {
            block: 0,
            event: 0,
            ..*item
        });
        Self {
            items: items.collect(),
            blocks: vec![loaded],
            ..self
        }
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
