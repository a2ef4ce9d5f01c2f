//! Batches between poll and commit: gathered while something is being appended, appended as one, and answered in their order.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use dray_adapter::{Batch, Mark, Position};
use dray_buffer::{Append, Receipt};
use dray_edges::{Plant, is_planted};
use tracing::debug;

use super::{Ended, IN_FLIGHT_MAX, Pipeline, SMALL_IN_FLIGHT_MAX};

/// A batch is large from here on, by its bytes as read; and an append, by its blocks' bytes.
pub(super) const LARGE_BYTES: u64 = 64 * 1024;
/// Bytes of small batches that are not appended yet, at most, and one more: they stay in memory while the buffer is full.
const SMALL_BYTES_MAX: u64 = 1024 * 1024;

/// Batches that are mapped and not appended; their events are with the maker.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) batches: usize,
    /// As they were read.
    pub(super) bytes: u64,
    pub(super) marks: Vec<Vec<u8>>,
    /// After the last of them.
    pub(super) position: Position,
    /// The first of them.
    pub(super) captured_us: i64,
    /// The file or message of the last of them.
    pub(super) last: Arc<str>,
}

pub(super) struct Appending {
    pub(super) receipt: Receipt,
    pub(super) since: Instant,
    pub(super) batches: usize,
    pub(super) position: Position,
    pub(super) captured_us: i64,
    pub(super) events: u64,
    pub(super) dead_letters: u64,
    pub(super) bytes: u64,
}

impl Pipeline {
    /// Whether another batch may come between poll and commit.
    pub(super) fn may_poll(&self) -> bool {
        let (mut large, mut small_bytes) = (0, 0);
        let mut batches = self.untold.batches;
        for append in &self.appending {
            batches += append.batches;
            if append.bytes >= LARGE_BYTES {
                large += 1;
            } else {
                small_bytes += append.bytes;
            }
        }
        if let Some(gathered) = &self.gathered {
            batches += gathered.batches;
            small_bytes += gathered.bytes;
        }
        !self.untold.holds_up()
            && large < IN_FLIGHT_MAX
            && small_bytes < SMALL_BYTES_MAX
            && batches < SMALL_IN_FLIGHT_MAX
    }

    /// Maps a batch. It is appended at once where nothing is being appended, else with those that come until that is done.
    pub(super) fn gather(&mut self, batch: Batch) -> Result<(), Ended> {
        let rejected: usize = batch.rejects.iter().map(|reject| reject.raw.len()).sum();
        let bytes = (batch.records.bytes() + rejected) as u64;
        debug!(
            records = batch.records.len(),
            rejects = batch.rejects.len(),
            bytes,
            ends_unit = batch.ends_unit,
            "a batch"
        );
        let before = self.gathered.as_ref().map_or(0, |gathered| gathered.bytes);
        if before + bytes >= LARGE_BYTES {
            self.append()?;
        }
        self.maker.add(&batch);
        if is_planted(Plant::EarlyAck) {
            let _ = self.source.commit(&batch.position);
        }
        let gathered = self.gathered.get_or_insert_default();
        gathered.batches += 1;
        gathered.bytes += bytes;
        gathered
            .marks
            .extend(batch.marks.into_iter().map(|Mark(mark)| mark));
        gathered.position = batch.position;
        if gathered.batches == 1 {
            gathered.captured_us = batch.captured_us;
        }
        gathered.last = match &*batch.origin.file {
            "" => batch.origin.message_id,
            _ => batch.origin.file,
        };
        if bytes >= LARGE_BYTES || self.appending.is_empty() {
            self.append()?;
        }
        Ok(())
    }

    /// Appends what is gathered, as one.
    pub(super) fn append(&mut self) -> Result<(), Ended> {
        let Some(gathered) = self.gathered.take() else {
            return Ok(());
        };
        let made = self.maker.take(&gathered.position);
        if let Some(reason) = made.too_large(&gathered.last) {
            return Err(Ended::Stopped(reason));
        }
        self.state.metrics.skipped.inc_by(made.skipped);
        let receipt = self.buffer.append(Append {
            flow: Arc::clone(&self.flow),
            blocks: made.blocks,
            position: gathered.position.0.clone(),
            marks: gathered.marks,
        });
        self.appending.push_back(Appending {
            receipt,
            since: Instant::now(),
            batches: gathered.batches,
            position: gathered.position,
            captured_us: gathered.captured_us,
            events: made.events,
            dead_letters: made.dead_letters,
            bytes: made.bytes as u64,
        });
        Ok(())
    }

    /// Takes the answers of appends, in their order. After the last of them what is gathered is appended.
    pub(super) fn take_answers(&mut self) -> Result<(), Ended> {
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut context = Context::from_waker(&waker);
        loop {
            let Some(first) = self.appending.front_mut() else {
                if self.gathered.is_none() {
                    return Ok(());
                }
                self.append()?;
                continue;
            };
            let answer = match Pin::new(&mut first.receipt).poll(&mut context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(answer) => answer,
            };
            let Some(first) = self.appending.pop_front() else {
                return Ok(());
            };
            let appended = answer?;
            let metrics = &self.state.metrics;
            metrics.appended_events.inc_by(first.events);
            metrics.dead_letters.inc_by(first.dead_letters);
            metrics.appended_bytes.inc_by(first.bytes);
            self.without_events = None;
            if first.events > 0 {
                self.state.appended(appended.through, first.captured_us);
            } else {
                self.without_events = Some((appended.through, first.position.clone()));
            }
            self.untold
                .answered(first.position, first.batches, first.bytes);
        }
    }
}
