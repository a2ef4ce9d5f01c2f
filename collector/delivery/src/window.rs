//! What a target holds in memory: decoded blocks with events that are not finished.

use std::sync::Arc;

use dray_proto::{Offset, Sequence};
use dray_store::ExceptionState;

use crate::body::Place;
use crate::detail::Detail;
use crate::share::Share;

/// Decoded bytes in a target's window, at most ([`crate::share`] says how many); one read more may be under way. A block counts whole while one
/// of its events is unfinished.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Events in a target's window: at 100 bytes of bookkeeping each, 20 MB.
pub const EVENTS_MAX: usize = 200_000;

/// A decoded block of the log, or one exception that is sent again.
#[derive(Debug)]
pub struct Loaded {
    /// Which of the engine's flows; `None`: an exception, which no cursor waits for.
    pub flow: Option<usize>,
    /// Its name, and what its JSON begins with.
    pub place: Arc<Place>,
    /// The offset of ordinal 0.
    pub first_offset: Offset,
    /// The sequence of ordinal 0.
    pub first_sequence: Sequence,
    /// The sequence's epoch.
    pub epoch: u64,
    /// The block, decoded.
    pub bytes: Vec<u8>,
    /// The events that the target takes.
    pub events: Vec<Meta>,
    /// Set where it is an exception.
    pub redo: Option<Again>,
    /// What the exception keeps of earlier tries.
    pub told: Option<Box<Detail>>,
    /// Set where it is of a replay.
    pub replayed: Option<Replayed>,
}

/// An event of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// Which run of this process; of one that is over it is sent no more.
    pub run: u32,
    /// Its number in the replay, from 1.
    pub number: u64,
}

/// An exception that is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// The store's id.
    pub id: u64,
    /// The pass of its blocked key; 0: parked.
    pub pass: u32,
    /// It was asked for although a later event was delivered.
    pub older: bool,
    /// What it was before.
    pub was: ExceptionState,
}

/// One event in a [`Loaded`].
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    /// Its bytes, from `start` to `end`.
    pub start: u32,
    /// See `start`.
    pub end: u32,
    /// Its key's bytes, from `key_start` to `key_end`.
    pub key_start: u32,
    /// See `key_start`.
    pub key_end: u32,
    /// Its number in the block, from 0.
    pub ordinal: u32,
    /// The hash of its key.
    pub lane: u64,
    /// When it was captured, microseconds since 1970-01-01T00:00:00Z.
    pub captured_us: i64,
}

impl Loaded {
    /// An event's bytes.
    #[must_use]
    pub fn event(&self, meta: &Meta) -> &[u8] {
        &self.bytes[meta.start as usize..meta.end as usize]
    }

    /// An event's key; it was read as UTF-8 when the block was decoded.
    #[must_use]
    pub fn key(&self, meta: &Meta) -> &str {
        std::str::from_utf8(&self.bytes[meta.key_start as usize..meta.key_end as usize])
            .unwrap_or("")
    }

    /// One of its events, without the others' bytes.
    #[must_use]
    pub fn only(&self, meta: &Meta) -> Self {
        let alone = Meta {
            start: 0,
            end: meta.end - meta.start,
            key_start: meta.key_start - meta.start,
            key_end: meta.key_end - meta.start,
            ..*meta
        };
        Self {
            flow: self.flow,
            place: Arc::clone(&self.place),
            first_offset: self.first_offset,
            first_sequence: self.first_sequence,
            epoch: self.epoch,
            bytes: self.event(meta).to_vec(),
            events: vec![alone],
            redo: self.redo,
            told: self.told.clone(),
            replayed: self.replayed,
        }
    }

    /// It comes from the log and for the first time: neither an exception nor a replay.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.redo.is_none() && self.replayed.is_none()
    }

    /// What an exception keeps of its event as somebody changed it.
    #[must_use]
    pub fn edited(&self) -> String {
        let told = self.told.as_ref();
        told.map_or_else(String::new, |told| told.edited.clone())
    }

    /// Somebody said that it is sent whatever it names.
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.unchecked)
    }

    /// The target has it already: a conversation about it goes on.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.later.is_some())
    }

    /// An event's offset.
    #[must_use]
    pub fn offset(&self, meta: &Meta) -> Offset {
        Offset(self.first_offset.0 + u64::from(meta.ordinal))
    }
}

impl Meta {
    /// About how long its JSON is: twice the wire format. The writer cuts exactly.
    #[must_use]
    pub fn json_bytes(&self) -> usize {
        (self.end - self.start) as usize * 2 + 256
    }
}

/// Where an event stands in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The block's number in the window.
    pub block: u32,
    /// The index into [`Loaded::events`].
    pub event: u32,
}

/// The blocks.
#[derive(Debug)]
pub struct Window {
    bytes_max: usize,
    events_max: usize,
    blocks: Vec<Option<Entry>>,
    free: Vec<u32>,
    bytes: usize,
    events: usize,
}

#[derive(Debug)]
struct Entry {
    loaded: Arc<Loaded>,
    left: u32,
}

impl Window {
    /// An empty one of this size.
    #[must_use]
    pub fn of(share: Share) -> Self {
        Self {
            bytes_max: share.window_bytes,
            events_max: share.events,
            blocks: Vec::new(),
            free: Vec::new(),
            bytes: 0,
            events: 0,
        }
    }

    /// Bytes and events that it takes, empty.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.bytes_max, self.events_max)
    }

    /// Takes a block of which `left` events, at least one, are unfinished.
    pub fn add(&mut self, loaded: Loaded, left: u32) -> u32 {
        self.bytes += loaded.bytes.len();
        self.events += left as usize;
        let entry = Some(Entry {
            loaded: Arc::new(loaded),
            left,
        });
        if let Some(block) = self.free.pop() {
            self.blocks[block as usize] = entry;
            return block;
        }
        self.blocks.push(entry);
        (self.blocks.len() - 1) as u32
    }

    /// A block that has unfinished events.
    #[must_use]
    pub fn get(&self, block: u32) -> Option<&Arc<Loaded>> {
        self.blocks
            .get(block as usize)?
            .as_ref()
            .map(|entry| &entry.loaded)
    }

    /// All that have unfinished events.
    pub fn blocks(&self) -> impl Iterator<Item = &Loaded> {
        self.blocks
            .iter()
            .flatten()
            .map(|entry| entry.loaded.as_ref())
    }

    /// One event of the block is finished; the block, if it was the last.
    pub fn release(&mut self, block: u32) -> Option<Arc<Loaded>> {
        let entry = self.blocks.get_mut(block as usize)?;
        self.events -= 1;
        let left = &mut entry.as_mut()?.left;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        let loaded = entry.take()?.loaded;
        self.bytes -= loaded.bytes.len();
        self.free.push(block);
        Some(loaded)
    }

    /// Bytes and events that it may still take.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        (
            self.bytes_max.saturating_sub(self.bytes),
            self.events_max.saturating_sub(self.events),
        )
    }

    /// Unfinished events.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }
}
