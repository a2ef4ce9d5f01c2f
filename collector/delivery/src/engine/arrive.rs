//! What a scan found, into the window and the lanes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use dray_proto::event::put_place;
use dray_proto::{EventId, FlowName, Offset, Sequence, v1};
use dray_store::{CURSOR_SPAN_MAX, Change, Exception, ExceptionState};
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::task::JoinError;

use super::{COUNT_EVERY, Engine, LOOK_EVERY, PUBLISH_EVERY, STORE_RETRY};
use crate::body::Place;
use crate::budget::Arrivals;
use crate::catalogue::{Agreed, Phase};
use crate::config::OnReject;
use crate::cursor::Finished;
use crate::lanes::Slot;
use crate::policy::Admission;
use crate::reader::{Lost, Order, Phases, Piece, READ_BYTES, Reader, Scan};
use crate::status::FlowStats;
use crate::window::{BYTES_MAX, EVENTS_MAX, Loaded, Meta, Spot};

/// How far above its cursor a flow is read. Half of what the store allows: one read may bring many blocks.
const SPAN_MAX: u64 = CURSOR_SPAN_MAX / 2;
/// How much of what cannot be read a dead letter keeps.
const RAW_BYTES_MAX: usize = 64 * 1024;
/// A flow that the target no longer takes: its cursor follows the log in strides of this many events.
const PASS_BY_EVERY: u64 = 10_000;

/// Longer than this events that are too young are not waited for at once.
const YOUNG_MAX: Duration = Duration::from_secs(10);
/// How many events ahead a target that verifies says that it may send: as many it looks for after a kill, at most.
const SENT_STRIDE: u64 = 500;

/// A flow of the target.
pub(super) struct Flow {
    place: Arc<Place>,
    /// False: only its old cursor is left.
    taken: bool,
    phase: Phase,
    agreed: Arc<Agreed>,
    arrivals: Arrivals,
    /// How much was overdue when that was last counted.
    overdue: u64,
    pub(super) finished: Finished,
    /// Where what was finished before this start ends.
    known_to: u64,
    /// Where the log ended when this start first looked: what the run before it sent is no newer.
    begun_at: u64,
    /// How far it is read.
    read_to: u64,
    newest: u64,
    /// Of its blocks in the window.
    bytes: usize,
    /// Its blocks that may hold unfinished events: last offset, first captured.
    read: VecDeque<(u64, i64)>,
    last_captured_us: i64,
    pub(super) stats: Arc<FlowStats>,
    /// The cursor differs from the one on disk.
    pub(super) dirty: bool,
    /// Up to here the run before this one may have sent events that it wrote no outcome of.
    pub(super) doubt_to: Offset,
    /// Up to here events may be sent, on disk; `None`: the target doesn't ask.
    pub(super) sent: Option<Offset>,
}

impl Flow {
    pub(super) fn name(&self) -> &FlowName {
        &self.place.flow
    }

    /// An event that may have been sent before this start has no outcome yet.
    pub(super) fn has_doubts(&self) -> bool {
        self.finished.through().0 < self.doubt_to.0.min(self.newest)
    }

    /// The run before this one may have sent an event of this offset.
    fn may_have_sent(&self, offset: Offset) -> bool {
        offset.0 <= self.begun_at
    }

    /// Something that the run before this one may have sent is not over.
    fn may_have_sent_more(&self) -> bool {
        self.finished.through().0 < self.begun_at
    }

    /// All that the run before this one may have sent is among the lanes, or over.
    fn has_read_what_was_sent(&self) -> bool {
        let is_sent = self.taken && self.phase.sends();
        !is_sent || self.read_to.max(self.finished.through().0) >= self.begun_at
    }

    /// Something of it is read or to be read.
    fn is_busy(&self) -> bool {
        self.bytes > 0 || self.finished.through().0 < self.newest
    }

    pub(super) fn publish(&mut self) {
        let through = self.finished.through().0;
        while self.read.front().is_some_and(|(last, _)| *last <= through) {
            self.read.pop_front();
        }
        let backlog = self
            .newest
            .saturating_sub(through)
            .saturating_sub(self.finished.above());
        let oldest = self
            .read
            .front()
            .map_or(self.last_captured_us, |(_, captured_us)| *captured_us);
        self.stats.backlog.store(backlog, Relaxed);
        self.stats
            .oldest_us
            .store(if backlog == 0 { 0 } else { oldest }, Relaxed);
    }
}

impl Flow {
    fn sla_us(&self) -> i64 {
        i64::try_from(self.agreed.sla.as_micros()).unwrap_or(i64::MAX)
    }

    fn note_arrivals(&mut self) {
        let (now_us, sla_us) = (jiff::Timestamp::now().as_microsecond(), self.sla_us());
        self.arrivals.note(self.newest, now_us, sla_us);
    }

    /// Whether something of it is late, or may become so.
    fn may_be_overdue(&self) -> bool {
        let backlog = self.finished.through().0 < self.newest;
        self.taken && self.phase.sends() && (backlog || self.overdue > 0)
    }

    /// Counts what waits longer than its time: by when it was captured, as far as it is read, and by when the log had it.
    pub(super) fn count_overdue(&mut self) {
        if !self.may_be_overdue() {
            return;
        }
        let before_us = jiff::Timestamp::now()
            .as_microsecond()
            .saturating_sub(self.sla_us());
        let captured = self
            .read
            .iter()
            .rev()
            .find(|(_, captured_us)| *captured_us <= before_us);
        let captured = captured.map_or(0, |(last, _)| *last);
        let to = captured.max(self.arrivals.at(before_us));
        let overdue = self.finished.unfinished_to(Offset(to));
        self.stats.overdue.store(overdue, Relaxed);
        let was = std::mem::replace(&mut self.overdue, overdue);
        let (owner, runbook) = (&self.agreed.owner, &self.agreed.runbook);
        let sla = humantime::format_duration(self.agreed.sla);
        if was == 0 && overdue > 0 {
            tracing::warn!(flow = %self.place.flow, overdue, %sla, owner, runbook, "deliveries are overdue");
        } else if was > 0 && overdue == 0 {
            tracing::info!(flow = %self.place.flow, %sla, "nothing is overdue any more");
        }
    }
}

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
        let share = BYTES_MAX / busy.max(1);
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
        bytes >= BYTES_MAX / 4 && events >= EVENTS_MAX / 4
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
                // A cursor from the first moment on keeps the log from being dropped before it is read.
                dirty: false,
            });
            if found.selected {
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
        let of_it = |flow: &Flow| *flow.name() == loaded.place.flow && flow.may_have_sent_more();
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
            match block.flow {
                Some(flow) => self.flows[flow].bytes -= block.bytes.len(),
                None => self.replay_left(&block),
            }
        }
    }

    /// Whether only the newest counts, and something newer of its key waits right behind it.
    pub(super) fn is_outdated(&self, slot: Slot, loaded: &Loaded, meta: &Meta) -> bool {
        if self.config.on_reject != OnReject::Latest || !loaded.is_plain() {
            return false;
        }
        // Keys of several flows may share a lane.
        self.lanes.behind(slot).is_some_and(|spot| {
            self.window.get(spot.block).is_some_and(|later| {
                let behind = &later.events[spot.event as usize];
                later.is_plain()
                    && later.place.flow == loaded.place.flow
                    && later.key(behind) == loaded.key(meta)
            })
        })
    }

    /// Whether it is on disk that this event may be sent now; else it will be soon. Only where the target verifies: after a
    /// kill it is asked about what may have been sent.
    pub(super) fn may_send(&mut self, loaded: &Loaded, meta: &Meta) -> bool {
        let Some(flow) = loaded.flow else {
            return true;
        };
        let offset = loaded.offset(meta);
        let Some(sent) = self.flows[flow].sent else {
            return true;
        };
        // What was in doubt before stays so until it is finished.
        let doubt_to = self.flows[flow].doubt_to;
        if offset > sent {
            self.pending
                .sent
                .insert(flow, Offset(offset.0 + SENT_STRIDE).max(doubt_to));
            self.pending.urgent = true;
        }
        offset <= sent
    }

    /// The run before this one may have sent it.
    pub(super) fn is_doubtful(&self, loaded: &Loaded, meta: &Meta) -> bool {
        loaded
            .flow
            .is_some_and(|flow| loaded.offset(meta) <= self.flows[flow].doubt_to)
    }

    /// Whether an event that came to the head of its lane is sent. Else it has become something else.
    pub(super) fn admit(&mut self, slot: Slot, loaded: &Arc<Loaded>, meta: &Meta) -> bool {
        if let Some(replayed) = loaded.replayed {
            return self.admit_replayed(slot, loaded, meta, replayed);
        }
        let key = self.keys.id(&loaded.place.flow, loaded.key(meta));
        let Some(again) = loaded.redo else {
            if !self.keys.blocks(key) {
                return true;
            }
            if !self.has_room_for_exception() {
                self.lanes.put_back(slot);
                return false;
            }
            if self.keys.admit(key) == Admission::Hold {
                let reason = "it waits behind a dead letter of its key";
                let held = self.exception(
                    loaded,
                    meta,
                    ExceptionState::Held,
                    reason.into(),
                    String::new(),
                );
                self.pending.add(key, held);
                self.finish(loaded, meta);
            }
            self.pending.open(slot);
            return false;
        };
        if again.pass > 0 {
            let current = self.keys.is_current(key, again.pass);
            if !current {
                self.open(slot); // Nothing changed: it stays on disk as it is.
            }
            return current;
        }
        let overtaken = !again.older && self.keys.is_overtaken(key, loaded.offset(meta));
        if overtaken {
            let reason = "a later event of its key was delivered";
            self.pending
                .change(Change::new(again.id, ExceptionState::Overtaken, reason));
            self.redone(again.id, loaded, meta);
            self.pending.open(slot);
        }
        !overtaken
    }

    pub(super) fn finish(&mut self, loaded: &Loaded, meta: &Meta) {
        if let Some(flow) = loaded.flow {
            self.flows[flow].finished.finish(loaded.offset(meta));
            self.mark(flow);
        }
    }

    /// The cursor of this flow is to be written.
    fn mark(&mut self, flow: usize) {
        if !std::mem::replace(&mut self.flows[flow].dirty, true) {
            self.pending.dirty.push(flow);
            self.pending.since.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn exception(
        &self,
        loaded: &Loaded,
        meta: &Meta,
        state: ExceptionState,
        reason: String,
        detail: String,
    ) -> Exception {
        let place = &loaded.place.flow;
        let mut event = loaded.event(meta).to_vec();
        let sequence = Sequence(loaded.first_sequence.0 + u64::from(meta.ordinal));
        put_place(
            &mut event,
            place,
            loaded.epoch,
            sequence,
            loaded.offset(meta),
        );
        Exception {
            id: 0,
            target: self.config.name.clone(),
            flow: place.clone(),
            offset: loaded.offset(meta),
            key: loaded.key(meta).to_owned(),
            state,
            reason,
            at_us: jiff::Timestamp::now().as_microsecond(),
            event: event.into(),
            detail,
        }
    }

    /// What cannot be read becomes one dead letter for all its offsets, and the flow goes on.
    fn lose(&mut self, lost: Lost) {
        let flow = &mut self.flows[lost.flow];
        flow.read_to = flow.read_to.max(lost.last.0);
        if flow.finished.contains(lost.first) {
            return;
        }
        tracing::error!(flow = %flow.name(), offset = lost.first.0, "a block cannot be read");
        let offsets = format!("offsets {} to {}: ", lost.first, lost.last);
        let exception = Exception {
            id: 0,
            target: self.config.name.clone(),
            flow: flow.name().clone(),
            offset: lost.first,
            key: String::new(),
            state: ExceptionState::Dead,
            reason: offsets + &lost.reason,
            at_us: jiff::Timestamp::now().as_microsecond(),
            event: letter(flow.name(), &lost).into(),
            detail: String::new(),
        };
        flow.finished.finish_range(lost.first, lost.last);
        self.mark(lost.flow);
        let key = self.keys.id(&exception.flow, "");
        self.keys.unread();
        self.pending.add(key, exception);
    }
}

/// Whether all of a flow is among the lanes, or over, that the run before this one may have sent. Until then nobody knows
/// what of a key the target has that is newer than what is sent once more.
pub(super) fn has_read_what_was_sent(flows: &[Flow], name: &FlowName) -> bool {
    match flows.iter().find(|flow| flow.name() == name) {
        Some(flow) => flow.has_read_what_was_sent(),
        // All that the log has are found by the first scan.
        None => !flows.is_empty(),
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

/// An event whose body is a dead letter, with the bytes that could not be read.
fn letter(flow: &FlowName, lost: &Lost) -> Vec<u8> {
    let mut scope = [0; 10];
    scope[..8].copy_from_slice(&lost.epoch.to_be_bytes());
    let cut = lost.raw.len() > RAW_BYTES_MAX;
    let body = v1::DeadLetter {
        stage: v1::DeadLetterStage::Decode as i32,
        reason: lost.reason.clone(),
        raw: lost.raw[..lost.raw.len().min(RAW_BYTES_MAX)].to_vec(),
        raw_bytes: lost.raw.len() as u64,
        raw_sha256: if cut {
            Sha256::digest(&lost.raw).to_vec()
        } else {
            Vec::new()
        },
        ..v1::DeadLetter::default()
    };
    let event = v1::Event {
        id: EventId::new(scope, lost.sequence.0, 0).as_bytes().to_vec(),
        captured_at: Some(prost_types::Timestamp {
            seconds: lost.captured_us.div_euclid(1_000_000),
            nanos: lost.captured_us.rem_euclid(1_000_000) as i32 * 1_000,
        }),
        body: Some(v1::event::Body::DeadLetter(body)),
        ..v1::Event::default()
    };
    let mut bytes = event.encode_to_vec();
    put_place(&mut bytes, flow, lost.epoch, lost.sequence, lost.first);
    bytes
}
