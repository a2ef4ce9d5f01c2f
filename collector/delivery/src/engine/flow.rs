//! A flow of a target, and what of it is late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use dray_proto::{FlowName, Offset};

use super::holding::micros;
use crate::body::Place;
use crate::budget::Arrivals;
use crate::catalogue::{Agreed, Phase};
use crate::cursor::Finished;
use crate::status::FlowStats;

/// A flow of the target.
pub(super) struct Flow {
    pub(super) place: Arc<Place>,
    /// False: only its old cursor is left.
    pub(super) taken: bool,
    pub(super) phase: Phase,
    pub(super) agreed: Arc<Agreed>,
    pub(super) arrivals: Arrivals,
    /// How much was overdue when that was last counted.
    pub(super) overdue: u64,
    pub(super) finished: Finished,
    /// Where what was finished before this start ends.
    pub(super) known_to: u64,
    /// Where the log ended when this start first looked: what the run before it sent is no newer.
    pub(super) begun_at: u64,
    /// How far it is read.
    pub(super) read_to: u64,
    pub(super) newest: u64,
    /// Of its blocks in the window.
    pub(super) bytes: usize,
    /// Its blocks that may hold unfinished events: last offset, first captured.
    pub(super) read: VecDeque<(u64, i64)>,
    pub(super) last_captured_us: i64,
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
    pub(super) fn may_have_sent(&self, offset: Offset) -> bool {
        offset.0 <= self.begun_at
    }

    /// Something that the run before this one may have sent is not over.
    pub(super) fn may_have_sent_more(&self) -> bool {
        self.finished.through().0 < self.begun_at
    }

    /// All that the run before this one may have sent is among the lanes, or over.
    fn has_read_what_was_sent(&self) -> bool {
        let is_sent = self.taken && self.phase.sends();
        !is_sent || self.read_to.max(self.finished.through().0) >= self.begun_at
    }

    /// Something of it is read or to be read.
    pub(super) fn is_busy(&self) -> bool {
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
        micros(self.agreed.sla)
    }

    pub(super) fn note_arrivals(&mut self) {
        let (now_us, sla_us) = (jiff::Timestamp::now().as_microsecond(), self.sla_us());
        self.arrivals.note(self.newest, now_us, sla_us);
    }

    /// Whether something of it is late, or may become so.
    pub(super) fn may_be_overdue(&self) -> bool {
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

/// Whether all of a flow is among the lanes, or over, that the run before this one may have sent. Until then nobody knows
/// what of a key the target has that is newer than what is sent once more.
pub(super) fn has_read_what_was_sent(flows: &[Flow], name: &FlowName) -> bool {
    match flows.iter().find(|flow| flow.name() == name) {
        Some(flow) => flow.has_read_what_was_sent(),
        // All that the log has are found by the first scan.
        None => !flows.is_empty(),
    }
}
