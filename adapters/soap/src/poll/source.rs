//! A service as a source.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dray_adapter::{Calls, IdScope, Polled, Position, Seen, Source, SourceError};

use super::SoapPollConfig;
use super::asker::Asker;
use super::course::{Course, LOOK_AGAIN, RETRY_MIN};
use super::place::Place;
use super::plan::Plan;
use super::service::Service;
use super::sieve::RECORDS_MAX;

/// A service that is asked.
pub struct Poller {
    setup: Setup,
    open: Option<Course>,
}

/// What stays as it was configured.
pub(super) struct Setup {
    flow: Arc<str>,
    pub(super) calls: Arc<Calls>,
    pub(super) service: Arc<Service>,
    pub(super) every: Duration,
    /// Of a batch.
    pub(super) records_max: usize,
}

impl SoapPollConfig {
    /// The source, not opened. `own`: where long answers are kept while they are read.
    ///
    /// # Errors
    /// A sentence: a file that it names can't be read, or holds something else.
    pub fn make(&self, flow: &str, own: PathBuf) -> Result<Poller, String> {
        let setup = Setup {
            flow: flow.into(),
            calls: Arc::new(Calls::made()),
            service: Arc::new(Service::new(self, own)?),
            every: self.every,
            records_max: RECORDS_MAX,
        };
        Ok(Poller { setup, open: None })
    }
}

impl Poller {
    /// With another time between cycles than may be configured, and other batches.
    #[cfg(test)]
    pub(super) fn hurried(mut self, every: Duration, records_max: usize) -> Self {
        (self.setup.every, self.setup.records_max) = (every, records_max);
        self
    }
}

impl Setup {
    /// With a key, the same records have the same ids whenever they come. Without one, what a later cycle brings is another event.
    pub(super) fn scope(&self, cycle: u64, page: u64, content: &str) -> IdScope {
        let (flow, content) = (self.flow.as_bytes(), content.as_bytes());
        match self.service.key.is_empty() {
            false => IdScope::of(&[flow, b"asked by key", content]),
            true => IdScope::of(&[
                flow,
                b"asked",
                &cycle.to_be_bytes(),
                &page.to_be_bytes(),
                content,
            ]),
        }
    }
}

impl Source for Poller {
    fn calls(&self) -> Option<Arc<Calls>> {
        Some(Arc::clone(&self.setup.calls))
    }

    fn open(
        &mut self,
        resume: Option<Position>,
        seen: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError> {
        self.open = None;
        let operator = |reason: String| SourceError::Operator { reason };
        let resume = resume.filter(|position| !position.0.is_empty());
        let place = resume
            .as_ref()
            .map(Place::read)
            .transpose()
            .map_err(operator)?;
        let (rule, pages) = (
            self.setup.service.rule.clone(),
            self.setup.service.config.pages.clone(),
        );
        let plan = Plan::new(rule, pages, place).map_err(operator)?;
        let asker = Asker::start(Arc::clone(&self.setup.service), wake).map_err(|reason| {
            SourceError::Retry {
                reason,
                after: RETRY_MIN,
            }
        })?;
        self.open = Some(Course::new(plan, asker, seen));
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        let Some(open) = &mut self.open else {
            return Ok(Polled::Idle(LOOK_AGAIN));
        };
        open.poll(&self.setup)
    }

    fn commit(&mut self, position: &Position) -> Result<(), SourceError> {
        if let (Some(open), Ok(place)) = (&mut self.open, Place::read(position)) {
            open.stored(place.batch);
        }
        Ok(())
    }

    fn acked(&mut self, _: &Position) -> Result<(), SourceError> {
        Ok(())
    }

    fn refuse(&mut self, _: &str) {}

    fn close(&mut self) {
        self.open = None;
    }
}
