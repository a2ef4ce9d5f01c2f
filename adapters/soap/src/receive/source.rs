//! The flow's side of an endpoint: decodes calls, and answers them once they are appended.
//!
//! A position is a number that counts batches: nothing has to be found again by it, as a call that was not answered is made again by its
//! caller. What was appended of it is found by its [`marks`](super::marks).

mod appending;
mod taking;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dray_adapter::{BATCH_RECORDS_MAX, Calls, Polled, Position, Seen, Source, SourceError};
use dray_edges::edge;
use tracing::info;

#[cfg(feature = "fuzzing")]
use super::desk::Desk;
use super::exchange::{Answer, ENDED, Exchange, FULL, tell};
use super::serve::{Server, Settings};
use super::{Patience, Spoken};
use appending::Appending;
use taking::Long;

/// How long to wait before an address is tried again that could not be listened at.
const AGAIN: Duration = Duration::from_secs(5);
/// Calls wake the flow: it looks by itself only in case.
const IDLE: Duration = Duration::from_secs(60);

/// What becomes of a call some of whose records can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRecords {
    /// The call is refused, whole, with the reason.
    #[default]
    Refuse,
    /// They become dead letters, the others go on.
    DeadLetter,
}

/// An endpoint as a source.
pub struct Receiver {
    flow: Arc<str>,
    spoken: Spoken,
    bad_records: BadRecords,
    /// Of a batch.
    records_max: usize,
    settings: Settings,
    exchange: Arc<Exchange>,
    calls: Arc<Calls>,
    server: Option<Server>,
    seen: Option<Arc<dyn Seen>>,
    /// Told apart from every other start of the agent.
    life: [u8; 16],
    counter: u64,
    /// A call of which there is more than was handed out.
    long: Option<Long>,
    appending: Appending,
}

impl Receiver {
    pub(crate) fn new(
        flow: &str,
        spoken: Spoken,
        bad_records: BadRecords,
        settings: Settings,
    ) -> Self {
        Self {
            flow: flow.into(),
            spoken,
            bad_records,
            records_max: BATCH_RECORDS_MAX,
            settings,
            exchange: Arc::default(),
            calls: Arc::new(Calls::served()),
            server: None,
            seen: None,
            life: rand::random(),
            counter: 0,
            long: None,
            appending: Appending::default(),
        }
    }

    /// Where calls that are not short wait.
    #[must_use]
    pub fn with_own_folder(mut self, own: PathBuf) -> Self {
        self.settings.folder = Arc::new(own);
        self
    }

    /// Smaller batches than the contract allows.
    #[must_use]
    pub fn with_batches_of(mut self, records_max: usize) -> Self {
        self.records_max = records_max;
        self
    }

    /// Other times than callers are given by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Forgets all calls.
    pub(super) fn start_over(
        &mut self,
        resume: Option<Position>,
        seen: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) {
        let counted =
            |position: &Position| Some(u64::from_be_bytes(position.0[..].try_into().ok()?));
        let resumed = resume.as_ref().and_then(counted);
        self.counter = self.counter.max(resumed.unwrap_or(0));
        self.seen = Some(seen);
        (self.long, self.exchange) = (None, Arc::default());
        self.appending = Appending::default();
        self.exchange.wakes(wake);
    }

    /// What connections share, without one.
    #[cfg(feature = "fuzzing")]
    pub(super) fn desk(&self) -> Desk {
        let dialect = Arc::clone(&self.spoken.dialect);
        Desk::new(
            &self.settings,
            dialect,
            Arc::clone(&self.exchange),
            Arc::clone(&self.calls),
        )
    }

    /// Who has an id comes again without harm. Others wait: what was taken of them may still be appended, and a second try would be
    /// appended too.
    fn turn_away(&mut self, why: &'static str) {
        self.exchange.set_busy(Some(why));
        let replies = self.appending.leave_known();
        tell(replies.map(|reply| (reply, Answer::Later(why))));
        // Of this one, what is appended is known by its marks.
        let has_id = |long: &mut Long| long.taken.call.identity.is_some();
        if let Some(long) = self.long.take_if(has_id) {
            let _ = long.taken.reply.send(Answer::Later(why));
        }
    }

    /// Whoever was not answered is told to come again, as far as there is time for it.
    fn end(&mut self) {
        self.turn_away(ENDED);
        let replies = self.appending.leave();
        tell(replies.map(|reply| (reply, Answer::Later(ENDED))));
        if let Some(long) = self.long.take() {
            let _ = long.taken.reply.send(Answer::Later(ENDED));
        }
        if let Some(server) = self.server.take() {
            server.end();
        }
    }
}

impl Source for Receiver {
    fn calls(&self) -> Option<Arc<Calls>> {
        Some(Arc::clone(&self.calls))
    }

    fn open(
        &mut self,
        resume: Option<Position>,
        seen: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError> {
        self.start_over(resume, seen, wake);
        let dialect = Arc::clone(&self.spoken.dialect);
        let (exchange, calls) = (Arc::clone(&self.exchange), Arc::clone(&self.calls));
        let server = Server::start(&self.settings, dialect, exchange, calls);
        let server = server.map_err(|reason| SourceError::Retry {
            reason,
            after: AGAIN,
        })?;
        info!(address = %server.address(), "listening");
        self.server = Some(server);
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        if let Some(long) = self.long.take()
            && let Some(batch) = self.go_on(long)
        {
            return Ok(Polled::Batch(Box::new(batch)));
        }
        while let Some(message) = self.exchange.next() {
            if let Some(batch) = self.begin(message) {
                return Ok(Polled::Batch(Box::new(batch)));
            }
        }
        Ok(Polled::Idle(IDLE))
    }

    fn commit(&mut self, position: &Position) -> Result<(), SourceError> {
        let Ok(through) = position.0[..].try_into().map(u64::from_be_bytes) else {
            return Ok(());
        };
        // There was room for it.
        self.exchange.set_busy(None);
        edge!("soap.before_answer");
        let told = self.appending.committed(through);
        self.exchange.answer(told);
        Ok(())
    }

    fn is_waited_for(&self) -> bool {
        true
    }

    fn acked(&mut self, _: &Position) -> Result<(), SourceError> {
        Ok(())
    }

    fn refuse(&mut self, why: &str) {
        info!(why, "callers are told to come again later");
        self.turn_away(FULL);
    }

    fn close(&mut self) {
        self.end();
    }
}
