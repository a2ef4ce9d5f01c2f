//! Reads the log for a target: which flows there are, what is new in them, decoded. Blocks; runs on a
//! thread of its own, one scan at a time.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use dray_proto::event::View;
use dray_proto::{FlowName, Offset, Sequence, block};
use dray_store::{Cursor, LogBlock, Store, StoreError};

use crate::body::Place;
use crate::catalogue::{Catalogue, Phase};
use crate::config::Start;
use crate::phase::{self, Standing};
use crate::select::Selection;
use crate::window::{Loaded, Meta};

/// Payload bytes of one flow that are read before it is another flow's turn.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// What the engine has room for.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Decoded bytes and events; one read more may come.
    pub(crate) bytes: usize,
    pub(crate) events: usize,
    /// Per flow: no block that begins above this offset.
    pub(crate) up_to: Vec<u64>,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Flows that are new to the engine, in the order of their numbers.
    pub(crate) found: Vec<Found>,
    /// Per flow: the newest offset in the log.
    pub(crate) newest: Vec<u64>,
    pub(crate) pieces: Vec<Piece>,
    /// There is more to read than the order had room for.
    pub(crate) more: bool,
    /// There is more to read in flows that may not be read further for now.
    pub(crate) closed: bool,
    /// When what is too young to be compared is old enough, microseconds since 1970-01-01T00:00:00Z.
    pub(crate) young_until_us: Option<i64>,
    /// Why it ended early.
    pub(crate) failed: Option<String>,
}

/// A flow that the engine did not know.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) place: Arc<Place>,
    pub(crate) cursor: Cursor,
    /// False: the target had a cursor in it and doesn't take it any more.
    pub(crate) selected: bool,
    pub(crate) phase: Phase,
    /// Where the phase began; `None`: it was never anything but live.
    pub(crate) standing: Option<Standing>,
}

/// A part of a flow, in order.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A block; the events that the target takes are in `loaded`, `count` is all.
    Block {
        flow: usize,
        loaded: Loaded,
        count: u32,
        first_captured_us: i64,
        last_captured_us: i64,
    },
    /// What cannot be read.
    Lost(Lost),
}

/// A range of offsets that becomes one dead letter.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) flow: usize,
    pub(crate) first: Offset,
    pub(crate) last: Offset,
    pub(crate) epoch: u64,
    pub(crate) sequence: Sequence,
    pub(crate) captured_us: i64,
    pub(crate) reason: String,
    /// The bytes, whole.
    pub(crate) raw: Vec<u8>,
}

struct Flow {
    place: Arc<Place>,
    next: u64,
    /// Its events are wanted.
    reads: bool,
    /// It is in shadow: events wait until they are so old.
    after_us: i64,
    /// No look before this.
    young_until_us: i64,
}

/// What becomes of flows at the target.
#[derive(Debug, Clone)]
pub(crate) struct Phases {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) target: String,
    /// How long after its capture an event in shadow is compared.
    pub(crate) after: Duration,
}

pub(crate) struct Reader {
    store: Arc<dyn Store>,
    selection: Selection,
    phases: Phases,
    lanes: RandomState,
    cursors: HashMap<FlowName, Cursor>,
    /// Where a flow without a cursor begins that is found by the next scan.
    start: Start,
    flows: Vec<Flow>,
    /// `None`: not taken.
    numbers: HashMap<FlowName, Option<usize>>,
    turn: usize,
}

impl Reader {
    /// `start`: for the flows that the first scan finds without a cursor; later ones are read whole.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        selection: Selection,
        phases: Phases,
        lanes: RandomState,
        cursors: Vec<(FlowName, Cursor)>,
        start: Start,
    ) -> Self {
        Self {
            store,
            selection,
            phases,
            lanes,
            cursors: cursors.into_iter().collect(),
            start,
            flows: Vec::new(),
            numbers: HashMap::new(),
            turn: 0,
        }
    }

    pub(crate) fn scan(&mut self, order: &Order) -> Scan {
        let mut scan = Scan::default();
        for name in self.store.flows() {
            if !self.numbers.contains_key(&name) {
                match self.discover(name) {
                    Ok(found) => scan.found.extend(found),
                    Err(error) => {
                        scan.failed = Some(error.to_string());
                        return scan;
                    }
                }
            }
        }
        self.start = Start::Oldest;
        scan.newest = self
            .flows
            .iter()
            .map(|flow| self.store.held(&flow.place.flow).newest_offset.0)
            .collect();
        let (mut bytes, mut events) = (order.bytes, order.events);
        let now_us = jiff::Timestamp::now().as_microsecond();
        let mut idle = 0;
        while idle < self.flows.len() {
            let flow = self.turn % self.flows.len();
            let up_to = order.up_to.get(flow).copied().unwrap_or(u64::MAX);
            let next = self.flows[flow].next;
            let young_until_us = self.flows[flow].young_until_us;
            if !self.flows[flow].reads || next > scan.newest[flow] {
                idle += 1;
            } else if young_until_us > now_us {
                let first = scan.young_until_us.unwrap_or(i64::MAX);
                scan.young_until_us = Some(first.min(young_until_us));
                idle += 1;
            } else if next > up_to {
                scan.closed = true;
                idle += 1;
            } else if bytes == 0 || events == 0 {
                scan.more = true;
                idle += 1;
            } else {
                idle = 0;
                let from = scan.pieces.len();
                if let Err(reason) = self.read(flow, bytes, &mut scan) {
                    scan.failed = Some(reason);
                    return scan;
                }
                for piece in &scan.pieces[from..] {
                    if let Piece::Block { loaded, .. } = piece {
                        bytes = bytes.saturating_sub(loaded.bytes.len());
                        events = events.saturating_sub(loaded.events.len());
                    }
                }
            }
            self.turn = self.turn.wrapping_add(1);
        }
        scan
    }

    fn discover(&mut self, name: FlowName) -> Result<Option<Found>, StoreError> {
        let selected = self.selection.takes_flow(&name);
        let known = self.cursors.get(&name).cloned();
        if !selected && known.is_none() {
            self.numbers.insert(name, None);
            return Ok(None);
        }
        let held = self.store.held(&name);
        let cursor = known.unwrap_or_else(|| Cursor {
            through: match self.start {
                Start::Newest => held.newest_offset,
                Start::Oldest => Offset(held.oldest_offset.0.saturating_sub(1)),
            },
            ..Cursor::default()
        });
        let Phases {
            catalogue, target, ..
        } = &self.phases;
        let phase = catalogue.phase(&name, target);
        let sends = selected && phase.sends();
        phase::passed::note(&*self.store, target, &name, sends, &cursor)?;
        let standing = if selected {
            phase::enter(&*self.store, target, &name, phase, &cursor)?
        } else {
            None
        };
        let after_us = match phase {
            Phase::Shadow => i64::try_from(self.phases.after.as_micros()).unwrap_or(i64::MAX),
            _ => 0,
        };
        self.cursors.remove(&name);
        let place = Arc::new(Place::marked(name.clone(), phase));
        self.numbers.insert(name, Some(self.flows.len()));
        self.flows.push(Flow {
            place: Arc::clone(&place),
            next: cursor.through.0 + 1,
            reads: selected && phase.reads(),
            after_us,
            young_until_us: 0,
        });
        Ok(Some(Found {
            place,
            cursor,
            selected,
            phase,
            standing,
        }))
    }

    /// Reads one turn of a flow.
    fn read(&mut self, flow: usize, bytes: usize, scan: &mut Scan) -> Result<(), String> {
        let (place, from) = (Arc::clone(&self.flows[flow].place), self.flows[flow].next);
        let blocks = match self
            .store
            .read(&place.flow, Offset(from), READ_BYTES.min(bytes))
        {
            Ok(blocks) => blocks,
            Err(StoreError::Dropped { oldest, .. }) if oldest.0 > from => {
                scan.pieces
                    .push(Piece::Lost(gone(flow, from, oldest.0 - 1)));
                self.flows[flow].next = oldest.0;
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        };
        if blocks.is_empty() {
            return Err(format!(
                "flow {} has offset {from} but no block that holds it",
                place.flow
            ));
        }
        for LogBlock {
            first_offset,
            block,
        } in blocks
        {
            let header = block.header.as_ref().filter(|header| header.count > 0);
            let Some(header) = header else {
                return Err(format!(
                    "flow {}: the block at offset {first_offset} has no header",
                    place.flow
                ));
            };
            let after_us = self.flows[flow].after_us;
            if after_us > 0 {
                let old_us = header.last_captured_us.saturating_add(after_us);
                if old_us > jiff::Timestamp::now().as_microsecond() {
                    self.flows[flow].young_until_us = old_us;
                    return Ok(());
                }
            }
            let next = self.flows[flow].next;
            if first_offset.0 > next {
                scan.pieces
                    .push(Piece::Lost(gone(flow, next, first_offset.0 - 1)));
            }
            let last = first_offset.0 + u64::from(header.count) - 1;
            if last < next {
                return Err(format!(
                    "flow {}: a read from offset {next} gave an earlier block",
                    place.flow
                ));
            }
            self.decode(flow, &place, first_offset, &block, scan);
            self.flows[flow].next = last + 1;
        }
        Ok(())
    }

    fn decode(
        &self,
        flow: usize,
        place: &Arc<Place>,
        first: Offset,
        block: &dray_proto::v1::Block,
        scan: &mut Scan,
    ) {
        let Some(header) = block.header.as_ref() else {
            return;
        };
        let mut bytes = Vec::new();
        let opened = block::check_crc(&block.payload, header.crc32c)
            .and_then(|()| {
                block::open(
                    &block.payload,
                    header.codec,
                    header.decoded_bytes,
                    &mut bytes,
                )
            })
            .and_then(|()| block::split(&bytes, header.count));
        let lost = |ordinals: Range<u32>, reason: String, raw: &[u8]| {
            Piece::Lost(Lost {
                flow,
                first: Offset(first.0 + u64::from(ordinals.start)),
                last: Offset(first.0 + u64::from(ordinals.end) - 1),
                epoch: header.epoch,
                sequence: Sequence(header.first_sequence + u64::from(ordinals.start)),
                captured_us: header.first_captured_us,
                reason,
                raw: raw.to_vec(),
            })
        };
        let ranges = match opened {
            Ok(ranges) => ranges,
            Err(error) => {
                let stored = LogBlock {
                    first_offset: first,
                    block: block.clone(),
                };
                let count = header.count;
                let unopened = || format!("the block of {count} events does not open: {error}");
                let reason = stored.lost().unwrap_or_else(unopened);
                scan.pieces
                    .push(lost(0..header.count, reason, &block.payload));
                return;
            }
        };
        let mut events = Vec::with_capacity(ranges.len());
        for (ordinal, range) in (0_u32..).zip(ranges) {
            let event = &bytes[range.start as usize..range.end as usize];
            match View::of(event) {
                Ok(view)
                    if self
                        .selection
                        .takes_body(view.body.map(|(body, _)| body.number)) =>
                {
                    events.push(self.meta(&bytes, &view, ordinal, range));
                }
                Ok(_) => {}
                Err(error) => {
                    let reason = format!("the event is not one: {error}");
                    scan.pieces.push(lost(ordinal..ordinal + 1, reason, event));
                }
            }
        }
        if events.is_empty() {
            bytes = Vec::new();
        }
        let loaded = Loaded {
            flow: Some(flow),
            place: Arc::clone(place),
            first_offset: first,
            first_sequence: Sequence(header.first_sequence),
            epoch: header.epoch,
            bytes,
            events,
            redo: None,
            told: None,
            replayed: None,
        };
        let (first_captured_us, last_captured_us) =
            (header.first_captured_us, header.last_captured_us);
        scan.pieces.push(Piece::Block {
            flow,
            loaded,
            count: header.count,
            first_captured_us,
            last_captured_us,
        });
    }

    fn meta(&self, bytes: &[u8], view: &View<'_>, ordinal: u32, range: Range<u32>) -> Meta {
        meta(&self.lanes, bytes, view, ordinal, range)
    }
}

/// An event's place in `bytes`, of which it and its key are parts.
pub(crate) fn meta(
    lanes: &RandomState,
    bytes: &[u8],
    view: &View<'_>,
    ordinal: u32,
    range: Range<u32>,
) -> Meta {
    // An absent key is a static "", which lies outside of the block.
    let key_start = (view.key.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
    let key_start = if view.key.is_empty() {
        range.start
    } else {
        key_start as u32
    };
    Meta {
        start: range.start,
        end: range.end,
        key_start,
        key_end: key_start + view.key.len() as u32,
        ordinal,
        lane: lanes.hash_one(view.key),
        captured_us: view.captured_us,
    }
}

fn gone(flow: usize, first: u64, last: u64) -> Lost {
    Lost {
        flow,
        first: Offset(first),
        last: Offset(last),
        epoch: 0,
        sequence: Sequence(0),
        captured_us: 0,
        reason: format!("the offsets {first} to {last} are no longer in the log"),
        raw: Vec::new(),
    }
}
