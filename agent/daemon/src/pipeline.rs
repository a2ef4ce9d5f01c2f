//! The thread of a flow: poll → map → blocks → append → commit → acked.
//!
//! While an append is being synced the next batches are read and mapped: at most [`IN_FLIGHT_MAX`] large or
//! [`SMALL_IN_FLIGHT_MAX`] small ones are between poll and commit. Small ones are gathered until that sync returns and are then
//! appended as one: they share a block, a sync, and the syncs of their move. The order of the calls on the source is that of its contract: batches are committed once their
//! receipts are answered, and a position is acked only after everything up to it was committed.

mod appends;
mod begin;
mod hindrance;
mod telling;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dray_adapter::{Polled, Position, Source, SourceError};
use dray_buffer::{Buffer, BufferError, Sequence};
use tracing::{error, info, warn};

use crate::again::Again;
use crate::bell::{Bell, Rung};
use crate::block_maker::BlockMaker;
use crate::flow_state::{FlowState, Health};
use appends::{Appending, Gathered};
use hindrance::Hindrance;
use telling::Untold;

/// Large batches between poll and commit: one is synced while the next is read.
pub const IN_FLIGHT_MAX: usize = 2;
/// Batches between poll and commit, large ones among them. The syncs of a move take the time of ten to twenty files of a line; positions
/// name the files that are not moved yet, so more would make them longer.
pub const SMALL_IN_FLIGHT_MAX: usize = 64;
/// The longest time without a poll, whatever the source says.
pub const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long an append may take before `status` and the source are told that it waits for room.
pub const SLOW_APPEND: Duration = Duration::from_secs(1);
/// How long a shutdown waits for appends that were begun. What is not answered by then is read
/// again after the restart.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);

/// A flow, ready to run in a thread of its own.
pub struct Pipeline {
    source: Box<dyn Source>,
    maker: BlockMaker,
    buffer: Arc<dyn Buffer>,
    bell: Arc<Bell>,
    state: Arc<FlowState>,
    flow: Arc<str>,
    /// Appends whose receipts are not answered.
    appending: VecDeque<Appending>,
    /// Batches that wait for the last of those, so that they are appended together. Only while there is one.
    gathered: Option<Gathered>,
    /// What is answered and acked, and what the source was not told of.
    untold: Untold,
    /// The newest append, where it held no event: no ack of a block will ever name its position, so
    /// it counts as acked with the events before it.
    without_events: Option<(Sequence, Position)>,
    /// Is told when the buffer must be opened anew.
    again: Again,
    /// A flow that stands nowhere waits for the collector to say where it stood.
    asks_collector: bool,
    /// Up to where the collector holds the flow; `None` until it said so.
    held: Option<Bytes>,
    /// Where the source is to be opened again, if not at its own position.
    reopen_at: Option<Bytes>,
    reopen: bool,
    next_poll: Instant,
    hindrance: Hindrance,
}

/// Why a flow ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The agent ends.
    Asked,
    /// A person is needed: the sentence says what for.
    Stopped(String),
    /// The source is to be opened again.
    Reopened,
    /// The buffer is to be opened again, and everything with it.
    BufferStopped(String),
}

impl Pipeline {
    /// Puts a flow together; nothing is opened yet.
    #[must_use]
    pub fn new(
        source: Box<dyn Source>,
        maker: BlockMaker,
        buffer: Arc<dyn Buffer>,
        bell: Arc<Bell>,
        state: Arc<FlowState>,
    ) -> Self {
        Self {
            source,
            maker,
            buffer,
            bell,
            flow: state.name.flow().into(),
            state,
            appending: VecDeque::new(),
            gathered: None,
            untold: Untold::default(),
            without_events: None,
            again: Again::default(),
            asks_collector: false,
            held: None,
            reopen_at: None,
            reopen: false,
            next_poll: Instant::now(),
            hindrance: Hindrance::default(),
        }
    }

    /// Where the buffer is new, the source is opened only when the collector has said where the flow stood: an agent that lost
    /// its disk goes on there.
    #[must_use]
    pub fn asking_the_collector(mut self) -> Self {
        self.asks_collector = true;
        self
    }

    /// Who is told when the buffer must be opened anew.
    #[must_use]
    pub fn telling(mut self, again: Again) -> Self {
        self.again = again;
        self
    }

    /// Runs until the agent ends or the flow must stop. The source is closed afterwards.
    pub fn run(mut self) {
        loop {
            let ended = match self.open() {
                Ok(()) => self.work(),
                Err(ended) => ended,
            };
            self.source.close();
            self.state.set_doing(None);
            self.end_requests(&ended);
            match ended {
                Ended::Reopened => info!("a new epoch: the source is opened again"),
                Ended::Asked => return info!("closed"),
                Ended::BufferStopped(reason) => {
                    self.state.set(Health::Waiting, &reason);
                    warn!(reason, "the flow waits until the buffer is opened again");
                    return self.again.ask(&reason);
                }
                Ended::Stopped(reason) => {
                    self.state.set(Health::Stopped, &reason);
                    return error!(reason, "the flow stopped");
                }
            }
        }
    }

    /// Nobody waits for an answer from a thread that has ended.
    fn end_requests(&self, ended: &Ended) {
        match ended {
            Ended::Reopened => {}
            Ended::Asked => self.bell.close("the agent ends: ask again when it runs"),
            Ended::BufferStopped(reason) => self.bell.close(&format!(
                "the flow waits until the buffer is opened again ({reason}): ask again when it runs"
            )),
            Ended::Stopped(reason) => self.bell.close(&format!(
                "the flow is stopped ({reason}): mend that, restart the agent, and ask again"
            )),
        }
    }

    fn work(&mut self) -> Ended {
        loop {
            if self.listen().stop {
                return self.drain();
            }
            if self.reopen {
                return match self.drain() {
                    Ended::Asked => Ended::Reopened,
                    stopped => stopped,
                };
            }
            self.pass_requests();
            match self.step() {
                Ok(true) => {}
                Ok(false) => self.wait(),
                Err(ended) => {
                    // What is answered is on disk, whatever ends the flow.
                    let _ = self.tell_source();
                    return ended;
                }
            }
        }
    }

    /// Hears the bell.
    fn listen(&mut self) -> Rung {
        let mut rung = self.bell.take();
        if let Some(position) = rung.acked.take() {
            self.untold.acked(Position(position));
        }
        if rung.woken {
            self.next_poll = Instant::now();
        }
        if let Some(held) = rung.held.take() {
            self.held = Some(held);
        }
        if let Some(position) = rung.reopen.take() {
            self.reopen = true;
            self.reopen_at = position.or(self.reopen_at.take());
        }
        rung
    }

    /// Hands on which tables are wanted again.
    fn pass_requests(&mut self) {
        for request in self.bell.asked() {
            self.source.load_again(request);
        }
    }

    /// Does what there is to do; whether a batch was polled, so that there may be more.
    fn step(&mut self) -> Result<bool, Ended> {
        self.take_answers()?;
        if self.tell_due().is_some_and(|due| due <= Instant::now()) {
            self.tell_source()?;
        }
        if self.may_poll() && Instant::now() >= self.next_poll {
            return self.poll();
        }
        Ok(false)
    }

    fn poll(&mut self) -> Result<bool, Ended> {
        match self.source.poll() {
            Ok(Polled::Batch(batch)) => {
                self.running();
                self.gather(*batch)?;
                Ok(true)
            }
            Ok(Polled::Idle(time)) => {
                self.running();
                self.next_poll = Instant::now() + time.min(IDLE_MAX);
                Ok(false)
            }
            Err(error) => {
                self.next_poll = self.held_up(error)?;
                Ok(false)
            }
        }
    }

    /// Notes why the source can't go on; when to try again.
    fn held_up(&mut self, error: SourceError) -> Result<Instant, Ended> {
        match error {
            SourceError::Retry { reason, after } => {
                self.waits(&reason);
                Ok(Instant::now() + after.min(IDLE_MAX))
            }
            SourceError::Operator { reason } => Err(Ended::Stopped(reason)),
        }
    }

    fn running(&mut self) {
        self.state.set(Health::Running, "");
        if let Some(was) = self.hindrance.runs(Instant::now()) {
            info!(was, "goes on");
        }
    }

    /// Notes that the flow can't go on; whether that is news.
    fn waits(&mut self, reason: &str) -> bool {
        if self.hindrance.waits(reason, Instant::now()) {
            warn!(reason, "waiting");
        }
        self.state.set(Health::Waiting, reason)
    }

    /// Until something is told, or the next poll or the next attempt is due.
    fn wait(&mut self) {
        let now = Instant::now();
        let mut until = now + IDLE_MAX;
        if self.may_poll() {
            until = until.min(self.next_poll);
        }
        if let Some(due) = self.tell_due() {
            until = until.min(due);
        }
        if let Some(first) = self.appending.front() {
            let slow = now.saturating_duration_since(first.since) >= SLOW_APPEND;
            if slow {
                self.tell_of_full_buffer();
            }
            until = until.min(now + SLOW_APPEND);
        }
        self.bell.wait(until.saturating_duration_since(now));
    }

    fn tell_of_full_buffer(&mut self) {
        let Some(why) = self.buffer.space().waiting else {
            return;
        };
        if self.waits(&why) {
            self.source.refuse(&why);
        }
    }

    /// Lets begun appends end, so that the next start has less to read again.
    fn drain(&mut self) -> Ended {
        let end = Instant::now() + DRAIN_MAX;
        while !self.appending.is_empty() {
            if let Err(ended) = self.take_answers() {
                return ended;
            }
            let left = end.saturating_duration_since(Instant::now());
            if self.appending.is_empty() || left.is_zero() {
                break;
            }
            self.bell.wait(left);
            self.listen();
        }
        self.tell_source().err().unwrap_or(Ended::Asked)
    }
}

impl From<BufferError> for Ended {
    fn from(error: BufferError) -> Self {
        let reason = error.to_string();
        match error {
            BufferError::Refused(_) => Self::Stopped(format!(
                "{reason}; this is a defect of the agent, please report it"
            )),
            BufferError::Stopped { reopen: true, .. } => Self::BufferStopped(reason),
            BufferError::Stopped { .. } | BufferError::Damaged(_) | BufferError::Hindered(_) => {
                Self::Stopped(reason)
            }
        }
    }
}
