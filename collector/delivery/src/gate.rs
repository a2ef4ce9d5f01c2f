//! When a target may be sent to, and its breaker.
//!
//! After an answer that says "later" there is a wait. After [`BreakerConfig::failures`] of them with nothing else in
//! between, at once where nobody listens or it does not know us, and after so many refused events without one that is
//! taken, the *breaker* is open ([`Broken`]): until something is taken only single first events of lanes leave, one at a
//! time, at intervals that grow. The first that is taken closes it.
//!
//! Pure: time comes in as `now`, chance as a fraction. Every wait begins a new *era*; a result of a request
//! that was sent in an earlier one does not count, so that four requests that fail together are one failure.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::config::{BreakerConfig, Retry};

/// A target's gate.
#[derive(Debug)]
pub struct Gate {
    state: State,
    builder: ExponentialBuilder,
    delays: ExponentialBackoff,
    last_delay: Duration,
    era: u64,
    breaker: BreakerConfig,
    /// The longest wait after a failure that may pass by itself.
    retry_max: Duration,
    /// Failures with no other answer in between.
    failures: u32,
    /// Events refused with none taken in between.
    rejects: u32,
    broken: Option<Broken>,
}

/// An open breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What opened it.
    pub cause: Cause,
    /// When.
    pub since: Instant,
    /// Tries since.
    pub probes: u32,
    /// What the target said last.
    pub why: String,
}

/// What opened a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// So many failures one after the other.
    Failures(u32),
    /// Nobody listens.
    Refused,
    /// It does not know us.
    Auth,
    /// So many events refused one after the other.
    Rejects(u32),
}

impl Cause {
    /// Whether somebody most likely has to do something.
    #[must_use]
    pub fn needs_somebody(self) -> bool {
        matches!(self, Self::Auth | Self::Rejects(_))
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failures(count) => write!(formatter, "{count} failures one after the other"),
            Self::Refused => formatter.write_str("nobody listens"),
            Self::Auth => formatter.write_str("it does not know us"),
            Self::Rejects(count) => {
                write!(formatter, "it refused {count} events one after the other")
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Open,
    /// One request may leave to see how it goes; `true`: it left.
    Trial(bool),
    Wait(Instant, String),
    /// Nobody listens; somebody knocks until it opens.
    Refused(String),
    Paused(String),
}

/// What a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// It is sent to.
    Running,
    /// It isn't, and will be by itself.
    Waiting(String),
    /// It isn't until somebody resumes it.
    Paused(String),
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn new(retry: &Retry, breaker: &BreakerConfig) -> Self {
        let builder = ExponentialBuilder::new()
            .with_min_delay(retry.first)
            .with_max_delay(retry.max)
            .without_max_times();
        Self {
            state: State::Open,
            builder,
            delays: builder.build(),
            last_delay: retry.first,
            era: 0,
            breaker: breaker.clone(),
            retry_max: retry.max,
            failures: 0,
            rejects: 0,
            broken: None,
        }
    }

    /// The open breaker.
    #[must_use]
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// Whether a request may leave.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open | State::Trial(false))
    }

    /// Whether it is sent to: requests leave, or the one leaves that shows how it goes.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Open | State::Trial(_))
    }

    /// A request leaves; keep the era with it.
    pub fn sent(&mut self) -> u64 {
        if self.state == State::Trial(false) {
            self.state = State::Trial(true);
        }
        self.era
    }

    /// It turned out that nothing was sent.
    pub fn unsent(&mut self, era: u64) {
        if era == self.era && self.state == State::Trial(true) {
            self.state = State::Trial(false);
        }
    }

    /// The target took something: what was broken, if anything was, is healed.
    pub fn taken(&mut self, era: u64) -> Option<Broken> {
        self.rejects = 0;
        let heals = era == self.era && self.is_up();
        let healed = heals.then(|| self.broken.take()).flatten();
        self.answered(era);
        healed
    }

    /// The target answered something other than "later". That it does heals all but what it refuses.
    pub fn answered(&mut self, era: u64) -> Option<Broken> {
        if era != self.era || !self.is_up() {
            return None;
        }
        self.failures = 0;
        let refuses = |broken: &Broken| matches!(broken.cause, Cause::Rejects(_));
        if self.broken.as_ref().is_some_and(refuses) {
            return None;
        }
        self.state = State::Open;
        self.delays = self.builder.build();
        self.broken.take()
    }

    /// It answered, and nothing is delivered yet: it works on the event, asks about it, or lacks what it names. That heals what an answer
    /// heals; where it refuses what it gets, it waits as long as before the first try, and the next one may show more.
    pub fn undecided(&mut self, era: u64, now: Instant, fraction: f64) -> Option<Broken> {
        let healed = self.answered(era);
        if era == self.era
            && self.is_up()
            && let Some(broken) = &self.broken
        {
            let wait = self.retry_max.mul_f64(0.5 + fraction.clamp(0.0, 1.0) / 2.0);
            self.state = State::Wait(now + wait, broken.why.clone());
            self.era += 1;
        }
        healed
    }

    /// It refused one event; call it after [`Self::answered`]. True: that opened the breaker.
    pub fn rejected(&mut self, now: Instant, fraction: f64, why: &str) -> bool {
        self.rejects += 1;
        if !self.is_up() || (self.broken.is_none() && self.rejects < self.breaker.rejects) {
            return false;
        }
        let opens = self.trip(Cause::Rejects(self.rejects), now, why);
        self.back_off(now, fraction, why);
        opens
    }

    /// It failed, or asked for another try. `fraction`: 0 to 1, of the bound that doubles (full jitter). True: that opened
    /// the breaker.
    pub fn failed(&mut self, era: u64, now: Instant, fraction: f64, why: &str) -> bool {
        if era != self.era || !self.is_up() {
            return false;
        }
        self.failures += 1;
        let is_enough = self.failures >= self.breaker.failures || self.broken.is_some();
        let opens = is_enough && self.trip(Cause::Failures(self.failures), now, why);
        self.back_off(now, fraction, why);
        opens
    }

    /// It does not know us, also with the secret as it stands now. True: that opened the breaker.
    pub fn unknown_to(&mut self, era: u64, now: Instant, fraction: f64, why: &str) -> bool {
        if era != self.era || !self.is_up() {
            return false;
        }
        let opens = self.trip(Cause::Auth, now, why);
        self.back_off(now, fraction, why);
        opens
    }

    /// Opens the breaker, or counts a try of one that is open.
    fn trip(&mut self, cause: Cause, now: Instant, why: &str) -> bool {
        let opens = self.broken.is_none();
        let broken = self.broken.get_or_insert_with(|| Broken {
            cause,
            since: now,
            probes: 0,
            why: String::new(),
        });
        broken.why = why.into();
        if !opens {
            broken.probes += 1;
        }
        opens
    }

    /// It asked for this wait.
    pub fn throttled(&mut self, now: Instant, wait: Duration, why: &str) {
        let until = now + wait;
        match &self.state {
            State::Paused(_) | State::Refused(_) => {}
            State::Wait(other, _) if *other >= until => {}
            _ => {
                self.era += 1;
                self.state = State::Wait(until, why.into());
            }
        }
    }

    /// No connection could be made: somebody should knock and call [`Self::reached`]. True: that opened the breaker.
    pub fn refused(&mut self, era: u64, now: Instant, why: &str) -> bool {
        if era != self.era || !self.is_up() {
            return false;
        }
        self.era += 1;
        self.state = State::Refused(why.into());
        self.trip(Cause::Refused, now, why)
    }

    /// A bare connection was made. `at_once`: by the first knock, so that it is not the listening that fails
    /// (TLS, or a proxy without a target): then it is a failure like any other.
    pub fn reached(&mut self, at_once: bool, now: Instant, fraction: f64) {
        let State::Refused(why) = &self.state else {
            return;
        };
        if at_once {
            let why = why.clone();
            self.back_off(now, fraction, &why);
        } else {
            self.state = State::Trial(false);
        }
    }

    /// When [`Self::tick`] should be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Wait(until, _) => Some(until),
            _ => None,
        }
    }

    /// Time went by; true: a wait ended.
    pub fn tick(&mut self, now: Instant) -> bool {
        let over = self.deadline().is_some_and(|until| until <= now);
        if over {
            self.state = State::Trial(false);
        }
        over
    }

    /// Somebody, or a rule, stops it.
    pub fn pause(&mut self, why: &str) {
        self.era += 1;
        self.broken = None;
        (self.failures, self.rejects) = (0, 0);
        self.state = State::Paused(why.into());
    }

    /// Somebody lets it go on; also ends a wait.
    pub fn resume(&mut self) {
        if !matches!(self.state, State::Open | State::Refused(_)) {
            self.era += 1;
            self.delays = self.builder.build();
            self.state = State::Trial(false);
        }
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused(_))
    }

    /// Whether somebody should be knocking.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused(_))
    }

    /// What a person is told.
    #[must_use]
    pub fn shown(&self) -> Shown {
        match &self.state {
            State::Open | State::Trial(_) => match &self.broken {
                Some(broken) => Shown::Waiting(broken.why.clone()),
                None => Shown::Running,
            },
            State::Wait(_, why) | State::Refused(why) => Shown::Waiting(why.clone()),
            State::Paused(why) => Shown::Paused(why.clone()),
        }
    }

    fn back_off(&mut self, now: Instant, fraction: f64, why: &str) {
        self.era += 1;
        let fraction = fraction.clamp(0.0, 1.0);
        let delay = match &self.broken {
            // Where somebody has to do something, hurry only fills his log, or locks his account.
            Some(broken) if broken.cause.needs_somebody() => {
                let doubled = self.retry_max.saturating_mul(1 << broken.probes.min(16));
                doubled
                    .min(self.breaker.probe_max)
                    .mul_f64(0.5 + fraction / 2.0)
            }
            _ => {
                self.last_delay = self.delays.next().unwrap_or(self.last_delay);
                self.last_delay.mul_f64(fraction)
            }
        };
        self.state = State::Wait(now + delay, why.into());
    }
}

#[cfg(test)]
mod tests;
