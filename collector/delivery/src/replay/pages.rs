//! A replay's events from the log, a page at a time, in their order. Blocks.

use std::hash::RandomState;
use std::iter::Peekable;
use std::sync::Arc;

use dray_proto::event::View;
use dray_proto::{FlowName, Offset, Sequence};
use dray_store::{Exception, ExceptionQuery, LogBlock, Store, StoreError};
use sha2::{Digest, Sha256};

use super::Picked;
use super::walk::open;
use crate::body::Place;
use crate::catalogue::Phase;
use crate::cursor::Finished;
use crate::reader::meta;
use crate::window::{Loaded, Replayed};

/// Events of a page: what a second at the default rate needs, and what a fast one reads in a millisecond.
const PAGE: usize = 500;
/// Bytes after which a page ends; one event more may come.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// One of a replay.
#[derive(Debug)]
pub(crate) struct Item {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Event(Box<Loaded>),
    Letter(Box<Exception>),
    /// It cannot be sent, and why.
    Gone(FlowName, Offset, String),
}

type Wanted = Peekable<Box<dyn Iterator<Item = (u64, Stand)> + Send>>;

/// Where one stands.
#[derive(Debug, Clone, PartialEq)]
enum Stand {
    Log(Arc<Place>, u64),
    Letter(u64),
}

/// See the module.
pub(crate) struct Pages {
    store: Arc<dyn Store>,
    lanes: RandomState,
    run: u32,
    wanted: Wanted,
}

impl Pages {
    /// Of what is not settled. `run`: what its events carry. `phase`: a flow's at the target.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        lanes: RandomState,
        run: u32,
        picked: Picked,
        settled: Finished,
        phase: impl Fn(&FlowName) -> Phase + Send + 'static,
    ) -> Self {
        let events = picked.flows.into_iter().flat_map(move |(flow, offsets)| {
            let phase = phase(&flow);
            let place = Arc::new(Place::marked(flow, phase));
            let at = move |offset| Stand::Log(Arc::clone(&place), offset);
            offsets.into_iter().map(at)
        });
        let letters = picked.letters.into_iter().map(Stand::Letter);
        let left = (1..)
            .zip(events.chain(letters))
            .filter(move |(number, _)| !settled.contains(Offset(*number)));
        let wanted: Box<dyn Iterator<Item = (u64, Stand)> + Send> = Box::new(left);
        Self {
            store,
            lanes,
            run,
            wanted: wanted.peekable(),
        }
    }

    /// The next page; empty at the end. What a failed one held comes again with the next.
    pub(crate) fn next_page(&mut self) -> Result<Vec<Item>, String> {
        let mut page = Vec::new();
        let mut bytes = 0;
        while page.len() < PAGE && bytes < PAGE_BYTES {
            let Some((number, wanted)) = self.wanted.peek().cloned() else {
                break;
            };
            match wanted {
                Stand::Letter(id) => {
                    page.push(self.letter(number, id)?);
                    self.wanted.next();
                }
                Stand::Log(place, offset) => {
                    bytes += self.events(&place, offset, &mut page)?;
                }
            }
        }
        Ok(page)
    }

    fn letter(&self, number: u64, id: u64) -> Result<Item, String> {
        let query = ExceptionQuery {
            after: id.saturating_sub(1),
            limit: 1,
            ..ExceptionQuery::default()
        };
        let found = self
            .store
            .exceptions(&query)
            .map_err(|error| error.to_string())?;
        let what = match found.into_iter().find(|found| found.id == id) {
            Some(found) => What::Letter(Box::new(found)),
            None => {
                let flow = FlowName::parse("dead/letters").expect("a name");
                What::Gone(
                    flow,
                    Offset(id),
                    format!("dead letter {id} is settled already"),
                )
            }
        };
        Ok(Item { number, what })
    }

    /// All that is wanted of the block that holds `offset`; returns its bytes.
    fn events(
        &mut self,
        place: &Arc<Place>,
        offset: u64,
        page: &mut Vec<Item>,
    ) -> Result<usize, String> {
        let (last, stored) = match self.store.read(&place.flow, Offset(offset), 1) {
            Ok(blocks) => match blocks.into_iter().next() {
                Some(stored) if stored.first_offset.0 <= offset => (last_of(&stored), Ok(stored)),
                Some(stored) => (
                    stored.first_offset.0 - 1,
                    Err("it is no longer in the log".to_owned()),
                ),
                None => (offset, Err("it is not in the log".to_owned())),
            },
            Err(StoreError::Dropped { oldest, .. }) if oldest.0 > offset => {
                (oldest.0 - 1, Err("it is no longer in the log".to_owned()))
            }
            Err(error) => return Err(error.to_string()),
        };
        let opened = stored.and_then(|stored| {
            let (header, bytes, ranges) = open(&stored)?;
            Ok((
                header.epoch,
                header.first_sequence,
                stored.first_offset.0,
                bytes,
                ranges,
            ))
        });
        let mut length = 0;
        while let Some((number, offset)) = self.next_of(place, last) {
            let what = match &opened {
                Ok((epoch, first_sequence, first, bytes, ranges)) => {
                    let ordinal = offset - first;
                    let range = ranges[ordinal as usize].clone();
                    let event = bytes[range.start as usize..range.end as usize].to_vec();
                    length += event.len();
                    self.loaded(
                        place,
                        number,
                        offset,
                        (*epoch, first_sequence + ordinal),
                        event,
                    )
                }
                Err(reason) => What::Gone(place.flow.clone(), Offset(offset), reason.clone()),
            };
            page.push(Item { number, what });
        }
        Ok(length)
    }

    /// The next one that is wanted, where it is in this flow and not behind `last`.
    fn next_of(&mut self, place: &Arc<Place>, last: u64) -> Option<(u64, u64)> {
        let is_here = |wanted: &(u64, Stand)| matches!(&wanted.1, Stand::Log(other, offset) if other.flow == place.flow && *offset <= last);
        match self.wanted.next_if(is_here)? {
            (number, Stand::Log(_, offset)) => Some((number, offset)),
            (_, Stand::Letter(_)) => None,
        }
    }

    fn loaded(
        &self,
        place: &Arc<Place>,
        number: u64,
        offset: u64,
        (epoch, sequence): (u64, u64),
        bytes: Vec<u8>,
    ) -> What {
        let meta = match View::of(&bytes) {
            Ok(view) => meta(&self.lanes, &bytes, &view, 0, 0..bytes.len() as u32),
            Err(error) => {
                let reason = format!("the event is not one: {error}");
                return What::Gone(place.flow.clone(), Offset(offset), reason);
            }
        };
        What::Event(Box::new(Loaded {
            flow: None,
            place: Arc::clone(place),
            first_offset: Offset(offset),
            first_sequence: Sequence(sequence),
            epoch,
            bytes,
            events: vec![meta],
            redo: None,
            told: None,
            replayed: Some(Replayed {
                run: self.run,
                number,
            }),
        }))
    }
}

fn last_of(stored: &LogBlock) -> u64 {
    let count = stored
        .block
        .header
        .as_ref()
        .map_or(1, |header| header.count.max(1));
    stored.first_offset.0 + u64::from(count) - 1
}

/// SHA-256 over all events of a selection as the log and the exceptions hold them, hex.
///
/// # Errors
/// A sentence: one of them is gone, or the store cannot be read.
pub(super) fn content(store: &Arc<dyn Store>, picked: &Picked) -> Result<String, String> {
    let (lanes, settled) = (RandomState::new(), Finished::default());
    let (store, any) = (Arc::clone(store), |_: &FlowName| Phase::default());
    let mut pages = Pages::new(store, lanes, 0, picked.clone(), settled, any);
    let mut hasher = Sha256::new();
    loop {
        let page = pages.next_page()?;
        if page.is_empty() {
            return Ok(hex::encode(hasher.finalize()));
        }
        for item in page {
            let event: &[u8] = match &item.what {
                What::Event(loaded) => &loaded.bytes,
                What::Letter(letter) => &letter.event,
                What::Gone(flow, offset, reason) => {
                    return Err(format!("{flow}, offset {offset}: {reason}"));
                }
            };
            hasher.update((event.len() as u64).to_be_bytes());
            hasher.update(event);
        }
    }
}
