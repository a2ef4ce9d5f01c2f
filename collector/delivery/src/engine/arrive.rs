//! What a scan found, into the window and the lanes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_proto::Offset;
use dray_store::CURSOR_SPAN_MAX;
use tokio::task::JoinError;

use super::flow::Flow;
use super::{COUNT_EVERY, Engine, LOOK_EVERY, PUBLISH_EVERY, STORE_RETRY};
use crate::budget::Arrivals;
use crate::catalogue::Phase;
use crate::cursor::Finished;
use crate::lanes::Slot;
use crate::reader::{Order, Phases, Piece, READ_BYTES, Reader, Scan};
use crate::status::FlowStats;
use crate::window::{Loaded, Meta, Spot};

/// How far above its cursor a flow is read. Half of what the store allows: one read may bring many blocks.
const SPAN_MAX: u64 = CURSOR_SPAN_MAX / 2;
/// A flow that the target no longer takes: its cursor follows the log in strides of this many events.
const PASS_BY_EVERY: u64 = 10_000;

/// Longer than this events that are too young are not waited for at once.
const YOUNG_MAX: Duration = Duration::from_secs(10);

impl Engine {
    /// When to look again at what is late.
    pub(super) fn overdue_deadline(&self) -> Option<Instant> {
        let any = self.flows.iter().any(Flow::may_be_overdue);
        let counted = self.counted.unwrap_or(self.published);
        any.then(|| (counted + COUNT_EVERY).max(self.published + PUBLISH_EVERY))
    }

    /// What the reader knows of phases.
    pub(super) fn phases(&self) -> Phases {
        Phases {
            catalogue: Arc::clone(&self.config.catalogue),
            target: self.config.name.clone(),
            after: self.shadow.after,
        }
    }

    /// Whether an event is rendered and compared, not sent.
    pub(super) fn is_in_shadow(&self, loaded: &Loaded) -> bool {
        let of = |flow: usize| self.flows[flow].phase == Phase::Shadow;
        loaded.flow.is_some_and(of)
    }

    /// Reading costs, and the targets that are sent to need the time: one that is not sent to reads the
    /// beginning of what waits in each flow and then only looks how much there is, as one does that has enough.
    pub(super) fn start_scan(&mut self, now: Instant) {
        let (bytes, events) = self.window.room();
        let room = self.has_room_for_scan();
        let reads = room && self.gate.is_up();
        let wait = self.scan_after.is_some() || (!reads && self.look_after.is_some());
        let due = self.scan_due || (self.scan_more && reads);
        if !due || wait || self.detached {
            return;
        }
        let Some(mut reader) = self.reader.take() else {
            return;
        };
        let busy = self.flows.iter().filter(|flow| flow.is_busy()).count();
        let share = self.window.size().0 / busy.max(1);
        let up_to = |flow: &Flow| {
            let through = flow.finished.through().0;
            match (reads, flow.bytes) {
                (true, bytes) if bytes <= share => through + SPAN_MAX,
                (false, 0) => through + 1,
                _ => 0,
            }
        };
        let order = Order {
            bytes: match (reads, room) {
                (true, _) => bytes,
                (false, true) => READ_BYTES,
                (false, false) => 0,
            },
            events,
            up_to: self.flows.iter().map(up_to).collect(),
        };
        self.scan_due = false;
        // What a look left is read once it is sent to again or has room.
        self.scan_more = !reads;
        let every = if room { PUBLISH_EVERY } else { LOOK_EVERY };
        self.look_after = (!reads).then(|| now + every);
        self.scan = Some(tokio::task::spawn_blocking(move || {
            let scan = reader.scan(&order);
            (reader, scan)
        }));
    }

    /// In quarters of the window, so that reading and sending overlap and no scan is for a single block.
    fn has_room_for_scan(&self) -> bool {
        let (bytes, events) = self.window.room();
        let (bytes_max, events_max) = self.window.size();
        bytes >= bytes_max / 4 && events >= events_max / 4
    }

    pub(super) fn take_scan(&mut self, joined: Result<(Box<Reader>, Scan), JoinError>) {
        let scan = match joined {
            Ok((reader, scan)) => {
                self.reader = Some(reader);
                scan
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        for found in scan.found {
            let name = found.place.flow.clone();
            let agreed = Arc::new(self.config.catalogue.of(&name));
            let (phase, standing) = (found.phase, found.standing);
            let stats = FlowStats::new(name, Arc::clone(&agreed), phase, standing);
            let stats = Arc::new(stats);
            if found.selected {
                self.shared.add_flow(&stats);
            }
            let doubt_to = self.doubts.get(&found.place.flow).copied();
            let doubt_to = doubt_to.unwrap_or(Offset(0));
            self.flows.push(Flow {
                finished: Finished::new(&found.cursor),
                taken: found.selected,
                phase,
                agreed,
                arrivals: Arrivals::default(),
                overdue: 0,
                place: found.place,
                known_to: found.cursor.through.0 + u64::from(found.cursor.above.max().unwrap_or(0)),
                begun_at: 0,
                read_to: 0,
                newest: 0,
                bytes: 0,
                read: VecDeque::new(),
                last_captured_us: 0,
                stats,
                doubt_to,
                sent: self.connector.verifies().then_some(Offset(0)),
                dirty: false,
            });
            if found.selected {
                // A cursor from the first moment on keeps the log from being dropped before it is read.
                self.mark(self.flows.len() - 1);
                self.pending.urgent = true;
            }
        }
        for (index, newest) in scan.newest.iter().enumerate() {
            self.see_newest(index, *newest);
        }
        for piece in scan.pieces {
            match piece {
                Piece::Block {
                    flow,
                    loaded,
                    count,
                    first_captured_us,
                    last_captured_us,
                } => {
                    let last = loaded.first_offset.0 + u64::from(count) - 1;
                    self.flows[flow].read_to = last;
                    self.flows[flow].read.push_back((last, first_captured_us));
                    self.flows[flow].last_captured_us = last_captured_us;
                    self.take_block(flow, loaded, count);
                }
                Piece::Lost(lost) => self.lose(lost),
            }
        }
        self.scanned |= scan.failed.is_none();
        self.scan_more |= scan.more;
        if let Some(until_us) = scan.young_until_us {
            let left_us = until_us - jiff::Timestamp::now().as_microsecond();
            let left = Duration::from_micros(u64::try_from(left_us).unwrap_or(0));
            // A clock that was set shows itself soon; a millisecond more, as the timer is no finer.
            let left = left.min(YOUNG_MAX) + Duration::from_millis(1);
            self.young_until = Some(Instant::now() + left);
        }
        self.scan_once_open = scan.closed;
        // A look reads little at once: it goes on until the beginning of each flow is here.
        let is_unread =
            |flow: &Flow| flow.phase.sends() && flow.taken && flow.bytes == 0 && flow.is_busy();
        if !self.gate.is_up() && self.has_room_for_scan() {
            self.scan_due |= self.flows.iter().any(is_unread);
        }
        if let Some(reason) = scan.failed {
            tracing::error!(reason, "the log cannot be read");
            self.shared.note_error(&reason);
            self.scan_due = true;
            self.scan_after = Some(Instant::now() + STORE_RETRY);
        }
    }

    fn see_newest(&mut self, index: usize, newest: u64) {
        let flow = &mut self.flows[index];
        let had_all = flow.newest <= flow.finished.through().0;
        if had_all && newest > flow.newest && flow.last_captured_us != 0 {
            // Nothing of it may be read for long: it came about now.
            flow.last_captured_us = jiff::Timestamp::now().as_microsecond();
        }
        if flow.newest == 0 {
            flow.begun_at = newest;
        }
        flow.newest = newest;
        flow.note_arrivals();
        if !flow.taken && flow.finished.through().0 + PASS_BY_EVERY <= newest {
            flow.finished
                .finish_range(flow.finished.through(), Offset(newest));
            self.mark(index);
        }
        let flow = &mut self.flows[index];
        if flow.taken && !flow.phase.reads() && flow.finished.through().0 < newest {
            flow.finished
                .finish_range(Offset(flow.finished.through().0 + 1), Offset(newest));
            self.mark(index);
        }
    }

    fn take_block(&mut self, index: usize, loaded: Loaded, count: u32) {
        let flow = &mut self.flows[index];
        let (first, length) = (loaded.first_offset.0, loaded.bytes.len());
        let fresh: Vec<bool> = if first > flow.known_to {
            Vec::new()
        } else {
            loaded
                .events
                .iter()
                .map(|meta| !flow.finished.contains(loaded.offset(meta)))
                .collect()
        };
        let is_fresh = |event: usize| fresh.get(event).copied().unwrap_or(true);
        let left = (0..loaded.events.len())
            .filter(|event| is_fresh(*event))
            .count() as u32;
        if finish_untaken(flow, &loaded, count) {
            self.mark(index);
        }
        if left == 0 {
            return;
        }
        self.flows[index].bytes += length;
        let block = self.window.add(loaded, left);
        let Some(loaded) = self.window.get(block) else {
            return;
        };
        for (event, meta) in loaded.events.iter().enumerate() {
            if is_fresh(event) {
                self.lanes.push(
                    meta.lane,
                    Spot {
                        block,
                        event: event as u32,
                    },
                );
            }
        }
    }

    /// Puts an event that is sent once more before what waits in its lane, but behind the event of its key that the run
    /// before this one may have sent: a target that drops repeats would drop that one, and stay with the older.
    pub(super) fn push_before(&mut self, spot: Spot) {
        let Some(loaded) = self.window.get(spot.block) else {
            return;
        };
        let meta = &loaded.events[spot.event as usize];
        let (window, flows) = (&self.window, &self.flows);
        let of_it = |flow: &Flow| flow.may_have_sent_more() && *flow.name() == loaded.place.flow;
        if !flows.iter().any(of_it) {
            return self.lanes.push_first(meta.lane, spot);
        }
        let may_be_there = |other: Spot| {
            window.get(other.block).is_some_and(|live| {
                let is_flows = |flow: usize| {
                    let offset = live.offset(&live.events[other.event as usize]);
                    *flows[flow].name() == loaded.place.flow && flows[flow].may_have_sent(offset)
                };
                live.flow.is_some_and(is_flows)
            })
        };
        self.lanes.push_behind(meta.lane, spot, may_be_there);
    }

    /// An event is over, on disk.
    pub(super) fn open(&mut self, slot: Slot) {
        let spot = self.lanes.open(slot);
        if let Some(block) = self.window.release(spot.block) {
            if let Some(again) = block.redo {
                self.gone.remove(&again.id);
                self.redo_live = self.redo_live.saturating_sub(1);
            }
            match block.flow {
                Some(flow) => self.flows[flow].bytes -= block.bytes.len(),
                None => self.replay_left(&block),
            }
        }
    }

    pub(super) fn finish(&mut self, loaded: &Loaded, meta: &Meta) {
        if let Some(flow) = loaded.flow {
            self.flows[flow].finished.finish(loaded.offset(meta));
            self.mark(flow);
        }
    }

    /// The cursor of this flow is to be written.
    pub(super) fn mark(&mut self, flow: usize) {
        if !std::mem::replace(&mut self.flows[flow].dirty, true) {
            self.pending.dirty.push(flow);
            self.pending.since.get_or_insert_with(Instant::now);
        }
    }
}

/// The events of a block that the target doesn't take are finished as they come; returns whether there are any.
fn finish_untaken(flow: &mut Flow, loaded: &Loaded, count: u32) -> bool {
    let at = |ordinal: u32| Offset(loaded.first_offset.0 + u64::from(ordinal));
    let (mut next, mut any) = (0, false);
    for ordinal in loaded.events.iter().map(|meta| meta.ordinal).chain([count]) {
        if ordinal > next {
            flow.finished.finish_range(at(next), at(ordinal - 1));
            any = true;
        }
        next = ordinal + 1;
    }
    any
}
