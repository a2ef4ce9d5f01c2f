//! How a flow begins: where its source is opened, and what is told of before that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dray_adapter::{Mark, MarkState, Position, Seen};
use dray_buffer::{Append, Buffer, NewBlock};
use tracing::info;

use super::telling::Untold;
use super::{Ended, IDLE_MAX, Pipeline};
use crate::flow_state::{Health, now_us};

impl Pipeline {
    /// Opens the source, again and again while it says that it may pass.
    pub(super) fn open(&mut self) -> Result<(), Ended> {
        (self.reopen, self.without_events) = (false, None);
        self.untold = Untold::default();
        self.appending.clear();
        self.gathered = None;
        self.maker.forget();
        let resume = self.resume()?;
        self.tell_of_losses()?;
        loop {
            let seen = Arc::new(BufferSeen {
                buffer: Arc::clone(&self.buffer),
                flow: Arc::clone(&self.flow),
            });
            let bell = Arc::clone(&self.bell);
            let wake = Arc::new(move || bell.wake_source());
            match self.source.open(resume.clone().map(Position), seen, wake) {
                Ok(()) => {
                    self.state.set_doing(self.source.doing());
                    info!("the source is open");
                    self.running();
                    return Ok(());
                }
                Err(error) => self.next_poll = self.held_up(error)?,
            }
            while Instant::now() < self.next_poll {
                let left = self.next_poll.saturating_duration_since(Instant::now());
                self.pause(left)?;
            }
        }
    }

    /// Where the source is to go on: where it was told to, or where its newest append ended, or, in a new buffer, where the collector
    /// says that it stood.
    fn resume(&mut self) -> Result<Option<Bytes>, Ended> {
        let position = |bytes: Option<Bytes>| bytes.filter(|position| !position.is_empty());
        let own = position(self.buffer.position(&self.flow));
        let told = match position(self.reopen_at.take()) {
            Some(told) => told,
            None if own.is_some() || !self.asks_collector => return Ok(own),
            None => {
                let why = "the buffer is new: the collector is asked where this flow stands";
                while self.held.is_none() {
                    self.state.set(Health::Waiting, why);
                    self.pause(IDLE_MAX)?;
                }
                match position(self.held.clone()) {
                    Some(held) => held,
                    None => return Ok(None),
                }
            }
        };
        info!("goes on where the collector says that this flow stood");
        self.keep(Vec::new(), told.clone(), Vec::new())?;
        Ok(Some(told))
    }

    /// Tells the centre of what the buffer lost, once.
    fn tell_of_losses(&mut self) -> Result<(), Ended> {
        for loss in self.buffer.losses() {
            let mark = format!("lost:{:016x}:{}", loss.epoch, loss.first).into_bytes();
            let is_ours = loss.flow.is_empty() || loss.flow == self.flow;
            let is_told = self.buffer.seen(&self.flow, &mark) != dray_buffer::MarkState::New;
            if !is_ours || is_told {
                continue;
            }
            let blocks = self.maker.lost(&self.flow, &loss, now_us());
            let position = self.buffer.position(&self.flow).unwrap_or_default();
            self.keep(blocks, position, vec![mark])?;
            self.state.metrics.dead_letters.inc();
        }
        Ok(())
    }

    /// Appends something that no source gave, and waits for it.
    fn keep(
        &mut self,
        blocks: Vec<NewBlock>,
        position: Bytes,
        marks: Vec<Vec<u8>>,
    ) -> Result<(), Ended> {
        let receipt = self.buffer.append(Append {
            flow: Arc::clone(&self.flow),
            blocks,
            position,
            marks,
        });
        receipt.wait()?;
        Ok(())
    }

    /// Waits, unless the agent ends.
    fn pause(&mut self, time: Duration) -> Result<(), Ended> {
        self.bell.wait(time);
        if self.listen().stop {
            return Err(Ended::Asked);
        }
        for request in self.bell.asked() {
            let (_, why) = self.state.get();
            request.refuse(&format!(
                "the flow is not open yet ({why}): ask again when it runs"
            ));
        }
        Ok(())
    }
}

/// The buffer's memory of a flow's marks.
struct BufferSeen {
    buffer: Arc<dyn Buffer>,
    flow: Arc<str>,
}

impl Seen for BufferSeen {
    fn seen(&self, mark: &Mark) -> MarkState {
        match self.buffer.seen(&self.flow, &mark.0) {
            dray_buffer::MarkState::New => MarkState::New,
            dray_buffer::MarkState::Pending => MarkState::Pending,
            dray_buffer::MarkState::Done => MarkState::Done,
        }
    }
}
