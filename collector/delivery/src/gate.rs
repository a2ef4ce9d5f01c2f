//! When a target may be sent to.
//!
//! Pure: time comes in as `now`, chance as a fraction. Every wait begins a new *era*; a result of a request
//! that was sent in an earlier one does not count, so that four requests that fail together are one failure.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::config::Retry;

/// A target's gate.
#[derive(Debug)]
pub struct Gate {
    state: State,
    builder: ExponentialBuilder,
    delays: ExponentialBackoff,
    last_delay: Duration,
    era: u64,
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
    pub fn new(retry: &Retry) -> Self {
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
        }
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

    /// The target answered something other than "later".
    pub fn answered(&mut self, era: u64) {
        if era == self.era && self.is_up() {
            self.state = State::Open;
            self.delays = self.builder.build();
        }
    }

    /// It failed, or asked for another try. `fraction`: 0 to 1, of the bound that doubles (full jitter).
    pub fn failed(&mut self, era: u64, now: Instant, fraction: f64, why: &str) {
        if era == self.era && self.is_up() {
            self.back_off(now, fraction, why);
        }
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

    /// No connection could be made. True: somebody should knock and call [`Self::reached`].
    pub fn refused(&mut self, era: u64, why: &str) -> bool {
        let counts = era == self.era && self.is_up();
        if counts {
            self.era += 1;
            self.state = State::Refused(why.into());
        }
        counts
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
            State::Open | State::Trial(_) => Shown::Running,
            State::Wait(_, why) | State::Refused(why) => Shown::Waiting(why.clone()),
            State::Paused(why) => Shown::Paused(why.clone()),
        }
    }

    fn back_off(&mut self, now: Instant, fraction: f64, why: &str) {
        self.era += 1;
        self.last_delay = self.delays.next().unwrap_or(self.last_delay);
        self.state = State::Wait(
            now + self.last_delay.mul_f64(fraction.clamp(0.0, 1.0)),
            why.into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> (Gate, Instant) {
        let retry = Retry {
            first: Duration::from_millis(500),
            max: Duration::from_secs(3),
        };
        (Gate::new(&retry), Instant::now())
    }

    #[test]
    fn requests_that_fail_together_are_one_failure() {
        let (mut gate, now) = gate();
        let eras: Vec<_> = (0..4).map(|_| gate.sent()).collect();
        for era in &eras {
            gate.failed(*era, now, 1.0, "500");
        }
        assert_eq!(gate.deadline(), Some(now + Duration::from_millis(500)));
        gate.answered(eras[0]);
        assert!(!gate.is_open(), "an older answer doesn't end the wait");
    }

    #[test]
    fn waits_double_up_to_the_bound_and_begin_anew_after_a_success() {
        let (mut gate, mut now) = gate();
        for expected in [500, 1_000, 2_000, 3_000, 3_000] {
            let era = gate.sent();
            gate.failed(era, now, 1.0, "500");
            assert_eq!(gate.deadline(), Some(now + Duration::from_millis(expected)));
            now += Duration::from_millis(expected - 1);
            gate.tick(now);
            assert!(!gate.is_open());
            now += Duration::from_millis(1);
            gate.tick(now);
            assert!(gate.is_open());
        }
        let era = gate.sent();
        assert!(!gate.is_open(), "one at a time until it answers");
        gate.answered(era);
        assert!(gate.is_open());
        let era = gate.sent();
        gate.failed(era, now, 0.5, "500");
        assert_eq!(gate.deadline(), Some(now + Duration::from_millis(250)));
    }

    #[test]
    fn a_throttle_waits_as_asked_and_uses_no_attempt() {
        let (mut gate, now) = gate();
        let era = gate.sent();
        gate.throttled(now, Duration::from_secs(7), "429");
        gate.throttled(now, Duration::from_secs(5), "429");
        assert_eq!(gate.deadline(), Some(now + Duration::from_secs(7)));
        gate.failed(era, now, 1.0, "500");
        assert_eq!(gate.deadline(), Some(now + Duration::from_secs(7)));
        gate.tick(now + Duration::from_secs(7));
        let era = gate.sent();
        gate.failed(era, now, 1.0, "500");
        assert_eq!(gate.deadline(), Some(now + Duration::from_millis(500)));
    }

    #[test]
    fn a_refusal_waits_for_a_knock_that_opens() {
        let (mut gate, now) = gate();
        let era = gate.sent();
        assert!(gate.refused(era, "nobody listens"));
        assert!(!gate.refused(era, "nobody listens"), "one knocks, not four");
        assert_eq!(gate.shown(), Shown::Waiting("nobody listens".into()));
        gate.reached(false, now, 1.0);
        assert!(gate.is_open());
        let era = gate.sent();
        assert!(gate.refused(era, "TLS"));
        gate.reached(true, now, 1.0);
        assert_eq!(gate.deadline(), Some(now + Duration::from_millis(500)));
    }

    #[test]
    fn a_pause_lasts_until_it_is_resumed() {
        let (mut gate, now) = gate();
        let era = gate.sent();
        gate.pause("404");
        gate.answered(era);
        gate.failed(era, now, 1.0, "500");
        gate.throttled(now, Duration::ZERO, "429");
        gate.tick(now + Duration::from_secs(100));
        assert_eq!(gate.shown(), Shown::Paused("404".into()));
        gate.resume();
        assert!(gate.is_open());
        let era = gate.sent();
        gate.unsent(era);
        assert!(
            gate.is_open(),
            "nothing left, so the trial is still to come"
        );
    }
}
