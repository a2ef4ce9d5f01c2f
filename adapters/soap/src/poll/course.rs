//! The course of a source that is open: asks when it is due, hands out what came, and waits where there is trouble.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use dray_adapter::{CallOutcome, LastCall, Polled, Seen, SourceError};
use jiff::Timestamp;
use tracing::{debug, error, warn};

use super::answer::Answer;
use super::asker::Asker;
use super::failure::{Cause, Failure};
use super::page::Page;
use super::plan::Plan;
use super::sieve::{Handed, Sieve};
use super::source::Setup;

/// The first wait after a failure that may pass by itself, and the longest one.
pub(super) const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(5 * 60);
/// The wait after one that a person has to end: long, as each request may count as an attack, and short enough to go on by itself
/// once the service knows us.
const REFUSED_AFTER: Duration = Duration::from_secs(15 * 60);
/// An answer wakes the flow: it looks by itself only in case.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long a poll goes through records that came before.
const POLL_MAX: Duration = Duration::from_millis(250);
/// A service's clock that is further from ours is worth a word.
const SKEW_MAX: Duration = Duration::from_secs(60);

/// What changes while a source is open.
pub(super) struct Course {
    plan: Plan,
    asker: Asker,
    handed: Handed,
    page: Option<Page>,
    state: State,
    /// When the cycle that is under way began.
    began: Instant,
    /// Why there is no answer, until there is one.
    trouble: Option<String>,
    waits: ExponentialBackoff,
    told_of_skew: bool,
    told_of_doubt: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The next request is due then.
    Resting(Instant),
    /// An answer will come.
    Asking,
}

impl Course {
    pub(super) fn new(plan: Plan, asker: Asker, seen: Arc<dyn Seen>) -> Self {
        Self {
            plan,
            asker,
            handed: Handed::new(seen),
            page: None,
            state: State::Resting(Instant::now()),
            began: Instant::now(),
            trouble: None,
            waits: waits(),
            told_of_skew: false,
            told_of_doubt: None,
        }
    }

    /// The next batch.
    pub(super) fn poll(&mut self, setup: &Setup) -> Result<Polled, SourceError> {
        loop {
            let polled = match self.page.take() {
                Some(page) => self.hand_out(page, setup)?,
                None => self.step(setup)?,
            };
            if let Some(polled) = polled {
                return Ok(polled);
            }
        }
    }

    /// All batches up to this one are on the disk.
    pub(super) fn stored(&mut self, through: u64) {
        self.handed.stored(through);
    }

    /// Does what there is to do without waiting; `None`: there may be more.
    fn step(&mut self, setup: &Setup) -> Result<Option<Polled>, SourceError> {
        match self.state {
            State::Resting(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    self.ask()?;
                    return Ok(None);
                }
                self.idle(left).map(Some)
            }
            State::Asking => match self.asker.found() {
                None if self.asker.has_ended() => Err(ended()),
                None => self.idle(LOOK_AGAIN).map(Some),
                Some(Ok(answer)) => self.take(answer, setup).map(|()| None),
                Some(Err(failure)) => Err(self.no_answer(failure, setup)),
            },
        }
    }

    /// There is nothing now; where there is trouble, that is still so.
    fn idle(&self, time: Duration) -> Result<Polled, SourceError> {
        match &self.trouble {
            None => Ok(Polled::Idle(time)),
            Some(reason) => Err(SourceError::Retry {
                reason: reason.clone(),
                after: time,
            }),
        }
    }

    fn ask(&mut self) -> Result<(), SourceError> {
        if !self.plan.is_under_way() {
            self.began = Instant::now();
        }
        let asked = self
            .plan
            .ask(Timestamp::now())
            .map(|ask| self.asker.ask(ask));
        self.state = State::Asking;
        match asked {
            Ok(true) => Ok(()),
            Ok(false) => Err(ended()),
            Err(reason) => Err(self.wait(reason, REFUSED_AFTER)),
        }
    }

    /// An answer is whole: its records come next.
    fn take(&mut self, answer: Answer, setup: &Setup) -> Result<(), SourceError> {
        let facts = &answer.facts;
        let turn = match self.plan.answered(facts) {
            Ok(turn) => turn,
            Err(reason) => return Err(self.no_answer(Failure::new(Cause::Answer, reason), setup)),
        };
        let (cycle, page) = (self.plan.cycle(), self.plan.page());
        // A last page may be empty.
        match page == 0 && facts.records + facts.rejects == 0 {
            true => self.empty(answer.doubt.as_deref(), setup),
            false => setup.calls.count(CallOutcome::Answered),
        }
        debug!(
            cycle,
            page,
            records = facts.records,
            rejects = facts.rejects,
            "a page"
        );
        (self.trouble, self.waits) = (None, waits());
        if answer.passed_over > 0 {
            warn!(
                records = answer.passed_over,
                "records whose watermark can't be read, or lies more than a day ahead: the watermark does not follow them"
            );
        }
        if turn.differs && setup.service.key.is_empty() {
            warn!(
                page,
                "a page changed while it was taken, and no key is configured: some of its records may come twice"
            );
        }
        self.look_at_clock(facts.served);
        let scope = setup.scope(cycle, page, &facts.content);
        let read_us = Timestamp::now().as_microsecond();
        self.page = Some(Page::new(
            &setup.service.format,
            answer.content,
            turn,
            scope,
            read_us,
        ));
        Ok(())
    }

    /// A first page without a record. A service may have nothing to tell, and a path that is wrong looks the same: `status` has it each time, the log once.
    fn empty(&mut self, doubt: Option<&str>, setup: &Setup) {
        let Some(reason) = doubt else {
            return setup.calls.count(CallOutcome::Empty);
        };
        let call = LastCall {
            at_us: Timestamp::now().as_microsecond(),
            peer: None,
            reason: reason.to_owned(),
        };
        setup.calls.note(CallOutcome::Empty, call);
        if self.told_of_doubt.as_deref() != Some(reason) {
            self.told_of_doubt = Some(reason.to_owned());
            warn!(reason, "an answer without a record, and not an empty one");
        }
    }

    fn look_at_clock(&mut self, served: Option<Timestamp>) {
        let Some(served) = served.filter(|_| !self.told_of_skew) else {
            return;
        };
        let seconds = Timestamp::now().duration_since(served).as_secs();
        if seconds.unsigned_abs() > SKEW_MAX.as_secs() {
            self.told_of_skew = true;
            warn!(
                seconds,
                "the service's clock differs from this machine's; so far it is behind"
            );
        }
    }

    /// The page's next batch; `None` where it ended without one.
    fn hand_out(&mut self, mut page: Page, setup: &Setup) -> Result<Option<Polled>, SourceError> {
        let began = Instant::now();
        let mut sieve = Sieve::new(&setup.service.key, &mut self.handed, setup.records_max);
        let filled = page.fill(&mut sieve, &|| began.elapsed() > POLL_MAX);
        let (gather, marks, next) = sieve.into_parts();
        let ended = match filled {
            Ok(ended) => ended,
            Err(reason) => {
                // The page is asked for again.
                self.handed.take_back(&marks);
                return Err(self.fail(Failure::new(Cause::Here, reason), setup));
            }
        };
        let position = if ended {
            let moved = self.plan.turn(&page.turn);
            self.turned(setup.every);
            if gather.is_empty() && !moved {
                return Ok(None);
            }
            self.plan.position()
        } else if gather.is_empty() {
            self.page = Some(page);
            return Ok(Some(Polled::Idle(Duration::ZERO)));
        } else {
            self.plan.within(&page.turn, next)
        };
        self.handed.out(self.plan.batch(), &marks);
        let batch = page.batch(gather, marks, position, ended);
        self.page = (!ended).then_some(page);
        Ok(Some(Polled::Batch(Box::new(batch))))
    }

    /// On to the next page at once, or to the next cycle when it is due.
    fn turned(&mut self, every: Duration) {
        let now = Instant::now();
        let due = if self.plan.is_under_way() {
            now
        } else {
            now.max(self.began + every)
        };
        self.state = State::Resting(due);
    }

    /// A request went for nothing. It is logged and shown as the flow's state is, so here it is only counted.
    fn no_answer(&mut self, failure: Failure, setup: &Setup) -> SourceError {
        let call = LastCall {
            at_us: Timestamp::now().as_microsecond(),
            peer: None,
            reason: failure.reason.clone(),
        };
        setup.calls.note(failure.cause.outcome(), call);
        self.fail(failure, setup)
    }

    fn fail(&mut self, mut failure: Failure, setup: &Setup) -> SourceError {
        let short = self.waits.next().unwrap_or(RETRY_MAX);
        if failure.cause != Cause::Refused {
            return self.wait(failure.reason, failure.after.unwrap_or(short));
        }
        if !setup.service.key.is_empty() && self.plan.begin_again() {
            let reason = format!(
                "{}; as its earlier pages were taken, they are asked for again",
                failure.reason
            );
            return self.wait(reason, short);
        }
        if self.plan.page() > 0 && setup.service.key.is_empty() {
            failure.reason += "; it is a later page that is refused, and with a key its cycle could begin again: name the columns that tell one record from another, e.g. key = [\"ID\"]";
        }
        if self.trouble.as_ref() != Some(&failure.reason) {
            error!(
                reason = failure.reason,
                "the service refuses what it is asked"
            );
        }
        self.wait(failure.reason, REFUSED_AFTER)
    }

    fn wait(&mut self, reason: String, after: Duration) -> SourceError {
        self.state = State::Resting(Instant::now() + after);
        self.trouble = Some(reason.clone());
        SourceError::Retry { reason, after }
    }
}

fn ended() -> SourceError {
    SourceError::Operator {
        reason: "the thread that asks the service has ended; restart the agent, and report what its log says".into(),
    }
}

/// Jitter adds up to as much again, so half of each bound is grown from.
fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(RETRY_MIN / 2)
        .with_max_delay(RETRY_MAX / 2)
        .with_jitter()
        .without_max_times()
        .build()
}
