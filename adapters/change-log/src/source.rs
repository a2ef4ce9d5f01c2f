//! A database as a source.

mod asked;

use std::sync::Arc;
use std::time::Duration;

use dray_adapter::{
    Batch, IdScope, KeptLog, LoadRequest, Origin, Polled, Position, Records, Reported, Seen,
    Source, SourceError,
};

use self::asked::Asked;
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
    asked: Vec<Asked>,
    /// Why nothing could be read. It holds until the database answers: the thread may wait for it for long.
    hindered: Option<String>,
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
            asked: Vec::new(),
            hindered: None,
        }
    }

    /// Why nothing can be read now.
    fn retry(&mut self, reason: String) -> SourceError {
        self.hindered = Some(reason.clone());
        SourceError::Retry {
            reason,
            after: RETRY_AFTER,
        }
    }

    /// That nothing came, or why it can't.
    fn idle(&mut self) -> Result<Polled, SourceError> {
        if self.reader.as_ref().is_some_and(Reader::is_well) {
            self.hindered = None;
        }
        match &self.hindered {
            None => Ok(Polled::Idle(LOOK_AGAIN)),
            Some(reason) => Err(SourceError::Retry {
                reason: reason.clone(),
                after: LOOK_AGAIN,
            }),
        }
    }

    fn looked(&mut self, place: L::Place, said_us: i64) -> Polled {
        let scope = IdScope::of(&[self.flow.as_bytes(), b"looked"]);
        self.between(scope, place, Vec::new(), said_us)
    }

    fn batch(&mut self, ready: Ready<L::Place>, captured_us: i64) -> Polled {
        let position = ready.place.position();
        for asked in self
            .asked
            .iter_mut()
            .filter(|asked| !asked.request.cancels())
        {
            let standing = ready.place.queue();
            let standing = standing.and_then(|queue| queue.of(asked.request.table()));
            let number = standing.map(|standing| standing.number);
            let number = number.filter(|number| *number > asked.before);
            asked.number = asked.number.or(number);
        }
        self.place = Some(ready.place);
        self.hindered = None;
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
        for asked in &mut self.asked {
            asked.number = None;
        }
        self.log.watch_kept();
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        if self.reader.is_none() {
            if let Some(polled) = self.cancel_here() {
                return Ok(polled);
            }
            let reader = Reader::start(
                &self.flow,
                Arc::clone(&self.log),
                self.place.clone(),
                self.appended.clone(),
                Arc::clone(&self.wake),
            );
            let reader = reader.map_err(|reason| self.retry(reason))?;
            for asked in self.asked.iter().filter(|asked| asked.number.is_none()) {
                reader.ask(asked.wish());
            }
            self.reader = Some(reader);
        }
        let mut told = self.reader.as_mut().and_then(Reader::told);
        loop {
            match told {
                Some(Told::Refused(table, reason)) => self.refused(&table, &reason),
                Some(Told::Cancelled(table)) => self.cancelled(&table),
                _ => break,
            }
            told = self.reader.as_mut().and_then(Reader::told);
        }
        match told {
            Some(Told::Refused(..) | Told::Cancelled(_)) => Ok(Polled::Idle(Duration::ZERO)),
            None => self.idle(),
            Some(Told::Ready(ready, captured_us)) => Ok(self.batch(*ready, captured_us)),
            Some(Told::Looked(place, said_us)) => Ok(self.looked(*place, said_us)),
            Some(Told::Said(said, said_us)) => {
                let reports = vec![Reported::alone(said.report)];
                Ok(self.between(said.scope, said.place, reports, said_us))
            }
            Some(Told::Ended(trouble)) => {
                self.reader = None;
                Err(match trouble {
                    Trouble::Passing(reason) => self.retry(reason),
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
            let queue = place.queue();
            let (taken, cancelled) = queue.map_or((0, 0), |queue| (queue.taken, queue.cancelled));
            let stands = |asked: &mut Asked| {
                let most = match asked.request.cancels() {
                    true => cancelled,
                    false => taken,
                };
                asked.number.is_some_and(|number| number <= most)
            };
            for asked in self.asked.extract_if(.., stands) {
                asked.request.stands();
            }
            self.appended = Some(place);
        }
        Ok(())
    }

    fn acked(&mut self, _: &Position) -> Result<(), SourceError> {
        Ok(())
    }

    fn refuse(&mut self, _: &str) {}

    fn load_again(&mut self, request: LoadRequest) {
        if request.cancels() && !self.log.tables().is_empty() {
            return self.cancel(request);
        }
        if let Some(reason) = self.refusal(request.table()) {
            return request.refuse(&reason);
        }
        self.hand_on(request);
    }

    fn doing(&self) -> Option<String> {
        self.appended.as_ref()?.queue()?.doing()
    }

    fn close(&mut self) {
        self.reader = None;
        self.asked.clear();
    }
}
