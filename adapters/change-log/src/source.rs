//! A database as a source.

use std::sync::Arc;
use std::time::Duration;

use dray_adapter::{
    Batch, IdScope, KeptLog, Origin, Polled, Position, Records, Reported, Seen, Source, SourceError,
};

use crate::reader::{Log, Place, Reader, Ready, Told, Trouble};

/// What came wakes the flow: it looks by itself only in case.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The wait before the server is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A database that is read by a thread of its own.
pub(crate) struct LogSource<L: Log> {
    flow: Arc<str>,
    log: Arc<L>,
    wake: Arc<dyn Fn() + Send + Sync>,
    reader: Option<Reader<L::Place>>,
    /// After the newest batch that was polled.
    place: Option<L::Place>,
    /// After the newest batch that is appended.
    appended: Option<L::Place>,
}

impl<L: Log> LogSource<L> {
    /// Not opened. `flow`: its full name.
    pub(crate) fn new(flow: &str, log: L) -> Self {
        Self {
            flow: flow.into(),
            log: Arc::new(log),
            wake: Arc::new(|| ()),
            reader: None,
            place: None,
            appended: None,
        }
    }

    fn batch(&mut self, ready: Ready<L::Place>, captured_us: i64) -> Polled {
        let position = ready.place.position();
        self.place = Some(ready.place);
        Polled::Batch(Box::new(Batch {
            origin: Origin {
                scope: ready.scope,
                file: "".into(),
                message_id: "".into(),
                change_position: ready.change_position,
            },
            records: ready.records,
            rejects: ready.rejects,
            marks: Vec::new(),
            position,
            captured_us,
            ends_unit: ready.ends,
            reports: ready.reports,
        }))
    }

    /// What came between two transactions: no record.
    fn between(
        &mut self,
        scope: IdScope,
        place: L::Place,
        reports: Vec<Reported>,
        said_us: i64,
    ) -> Polled {
        let ready = Ready {
            records: Records::default(),
            rejects: Vec::new(),
            reports,
            scope,
            change_position: place.written(),
            place,
            ends: true,
        };
        self.batch(ready, said_us)
    }
}

impl<L: Log> Source for LogSource<L> {
    fn kept_log(&self) -> Option<Arc<KeptLog>> {
        self.log.kept_log()
    }

    fn open(
        &mut self,
        resume: Option<Position>,
        _: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError> {
        self.reader = None;
        let resume = resume.filter(|position| !position.0.is_empty());
        let place = resume.as_ref().map(L::Place::read).transpose();
        self.place = place.map_err(|reason| SourceError::Operator { reason })?;
        self.appended = self.place.clone();
        self.wake = wake;
        self.log.watch_kept();
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        if self.reader.is_none() {
            let reader = Reader::start(
                &self.flow,
                Arc::clone(&self.log),
                self.place.clone(),
                self.appended.clone(),
                Arc::clone(&self.wake),
            );
            self.reader = Some(reader.map_err(|reason| SourceError::Retry {
                reason,
                after: RETRY_AFTER,
            })?);
        }
        let told = self.reader.as_mut().and_then(Reader::told);
        match told {
            None => Ok(Polled::Idle(LOOK_AGAIN)),
            Some(Told::Ready(ready, captured_us)) => Ok(self.batch(*ready, captured_us)),
            Some(Told::Looked(place, said_us)) => {
                let scope = IdScope::of(&[self.flow.as_bytes(), b"looked"]);
                Ok(self.between(scope, *place, Vec::new(), said_us))
            }
            Some(Told::Said(said, said_us)) => {
                let reports = vec![Reported::alone(said.report)];
                Ok(self.between(said.scope, said.place, reports, said_us))
            }
            Some(Told::Ended(trouble)) => {
                self.reader = None;
                Err(match trouble {
                    Trouble::Passing(reason) => SourceError::Retry {
                        reason,
                        after: RETRY_AFTER,
                    },
                    Trouble::Person(reason) => SourceError::Operator { reason },
                })
            }
        }
    }

    fn commit(&mut self, position: &Position) -> Result<(), SourceError> {
        if let Ok(place) = L::Place::read(position) {
            if let Some(reader) = &self.reader {
                reader.confirm(place.clone());
            }
            self.appended = Some(place);
        }
        Ok(())
    }

    fn acked(&mut self, _: &Position) -> Result<(), SourceError> {
        Ok(())
    }

    fn refuse(&mut self, _: &str) {}

    fn close(&mut self) {
        self.reader = None;
    }
}
