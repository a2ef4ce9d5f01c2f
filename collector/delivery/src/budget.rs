//! How long things may take: by timeliness class, in elapsed time and not in tries.
//!
//! Pure: times come in. [`Arrivals`] says how far a flow's log was a while ago, so that what waits longer than that
//! can be counted without looking at each event.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize;

use crate::catalogue::Timeliness;

/// Moments that [`Arrivals`] remembers of a flow, at most.
const MOMENTS_MAX: usize = 64;

/// `[budgets]`: a table a class.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    urgent: BudgetConfig,
    normal: BudgetConfig,
    bulk: BudgetConfig,
}

/// One class; what is absent is as by default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BudgetConfig {
    #[serde(with = "humantime_serde::option")]
    deliver: Option<Duration>,
    #[serde(with = "humantime_serde::option")]
    retry: Option<Duration>,
    then: Option<Then>,
}

/// What a class may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// From capture to delivered; longer is overdue.
    pub deliver: Duration,
    /// How long an event is tried that the target does not answer well while it takes others.
    pub retry: Duration,
    /// What follows.
    pub then: Then,
}

/// What becomes of an event whose tries are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// A dead letter; `on_reject` says what becomes of its key.
    DeadLetter,
    /// It is tried on, its key waits, and the log says so once.
    Hold,
}

impl Budgets {
    /// A class's budget.
    #[must_use]
    pub fn of(&self, class: Timeliness) -> Budget {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        let (said, deliver_s, retry_s) = match class {
            Timeliness::Urgent => (&self.urgent, 5 * MINUTE, 15 * MINUTE),
            Timeliness::Normal => (&self.normal, HOUR, 4 * HOUR),
            Timeliness::Bulk => (&self.bulk, 24 * HOUR, 24 * HOUR),
        };
        Budget {
            deliver: said.deliver.unwrap_or(Duration::from_secs(deliver_s)),
            retry: said.retry.unwrap_or(Duration::from_secs(retry_s)),
            then: said.then.unwrap_or(Then::DeadLetter),
        }
    }

    /// What is wrong: class, setting and a sentence.
    #[must_use]
    pub fn validate(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut wrong = Vec::new();
        for (class, said) in [
            ("urgent", &self.urgent),
            ("normal", &self.normal),
            ("bulk", &self.bulk),
        ] {
            if said.deliver.is_some_and(|deliver| deliver.is_zero()) {
                wrong.push((
                    class,
                    "deliver",
                    "write a time above zero, e.g. \"5m\"".into(),
                ));
            }
        }
        wrong
    }
}

/// How far a flow's log was when, for one span of time.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Offset and when it was the newest, microseconds of any clock; ascending.
    moments: VecDeque<(u64, i64)>,
}

impl Arrivals {
    /// The log's newest offset is this. `span_us`: how far back somebody asks.
    pub fn note(&mut self, newest: u64, now_us: i64, span_us: i64) {
        let step_us = span_us / (MOMENTS_MAX as i64 - 2);
        let grows = self.moments.back().is_none_or(|(last, _)| newest > *last);
        if !grows {
            return;
        }
        // Within a step only the newest counts, as of the step's end: told late by a step rather than early.
        let is_open = |moments: &VecDeque<(u64, i64)>| match moments.len() {
            0 | 1 => false,
            length => moments[length - 1].1 - moments[length - 2].1 < step_us,
        };
        if is_open(&self.moments) {
            self.moments.pop_back();
        }
        self.moments.push_back((newest, now_us));
        if self.moments.len() > MOMENTS_MAX {
            self.moments.pop_front();
        }
    }

    /// The newest offset that was there at `then_us`; 0: none.
    pub fn at(&mut self, then_us: i64) -> u64 {
        while self.moments.len() > 1 && self.moments[1].1 <= then_us {
            self.moments.pop_front();
        }
        match self.moments.front() {
            Some((newest, at_us)) if *at_us <= then_us => *newest,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_its_defaults_and_keeps_those_that_are_not_said() {
        let budgets: Budgets =
            toml::from_str("[urgent]\nretry = \"2m\"\nthen = \"hold\"").expect("a table");
        let urgent = budgets.of(Timeliness::Urgent);
        assert_eq!(urgent.deliver, Duration::from_secs(300));
        assert_eq!(
            (urgent.retry, urgent.then),
            (Duration::from_secs(120), Then::Hold)
        );
        let bulk = budgets.of(Timeliness::Bulk);
        assert_eq!(
            (bulk.retry, bulk.then),
            (Duration::from_secs(86_400), Then::DeadLetter)
        );
        assert!(budgets.validate().is_empty());
        let zero: Budgets = toml::from_str("[bulk]\ndeliver = \"0s\"").expect("a table");
        assert_eq!(zero.validate().len(), 1);
        assert!(toml::from_str::<Budgets>("[prompt]\n").is_err());
    }

    #[test]
    fn what_was_there_a_while_ago_is_known_within_a_step_and_never_too_early() {
        let mut arrivals = Arrivals::default();
        let span_us = 62_000;
        assert_eq!(arrivals.at(0), 0);
        for time in 0..500 {
            arrivals.note(time + 1, time as i64 * 500, span_us);
        }
        assert!(arrivals.moments.len() <= MOMENTS_MAX);
        let now_us = 499 * 500;
        let then_us = now_us - span_us;
        let told = arrivals.at(then_us);
        let exact = then_us as u64 / 500 + 1;
        assert!((exact - 4..=exact).contains(&told), "{told} of {exact}");
        // Nothing new for long: all is older.
        assert_eq!(arrivals.at(now_us + span_us), 500);
        assert_eq!(arrivals.at(now_us + span_us), 500);
    }
}
