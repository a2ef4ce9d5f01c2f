//! What becomes of calls: counted by the source, shown by the agent.
//!
//! A caller learns from its answer what is wrong, and tells nobody; so the last one of each kind that went wrong is kept with the reason.
//! Counters start at zero with the agent.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Characters of a reason that are kept.
pub const REASON_CHARS_MAX: usize = 300;
/// How long one outcome is only counted after it was logged.
const QUIET_US: i64 = 60_000_000;

/// What became of a call: one that was made to us, or one that we made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// To us: its records are on this machine's disk.
    Stored,
    /// To us: an earlier try had stored them, and it was answered the same.
    Repeated,
    /// Whoever called is at fault, and the same call is refused again: to us a malformed one, by us one that the service does not take.
    Refused,
    /// To us: the caller is not known, or the message is too old or was used before.
    Denied,
    /// To us: the caller was told to come again.
    Later,
    /// To us: the connection ended before there was an answer, or the call came too slowly.
    Broken,
    /// By us: the answer was read whole.
    Answered,
    /// By us: it was read whole, and no record stands in it.
    Empty,
    /// By us: the service, or the way to it, was not there.
    Away,
    /// By us: what came is not the answer that is configured.
    Unreadable,
    /// By us: this machine could not ask, or keep the answer.
    Failed,
}

const OUTCOMES: usize = CallOutcome::Failed as usize + 1;

impl CallOutcome {
    /// What can become of a call that is made to us.
    pub const SERVED: [Self; 6] = [
        Self::Stored,
        Self::Repeated,
        Self::Refused,
        Self::Denied,
        Self::Later,
        Self::Broken,
    ];
    /// And of one that we make.
    pub const MADE: [Self; 6] = [
        Self::Answered,
        Self::Empty,
        Self::Refused,
        Self::Away,
        Self::Unreadable,
        Self::Failed,
    ];

    /// In `status`, metrics and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Later => "later",
            Self::Broken => "broken",
            Self::Answered => "answered",
            Self::Empty => "empty",
            Self::Away => "away",
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
        }
    }
}

/// A call that did not go well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCall {
    /// When it was decided: microseconds since 1970-01-01T00:00:00Z.
    pub at_us: i64,
    /// Who called, where that is known: behind a proxy, the proxy.
    pub peer: Option<IpAddr>,
    /// A sentence of at most [`REASON_CHARS_MAX`] characters on one line.
    pub reason: String,
}

/// One outcome's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCount {
    /// Which.
    pub outcome: CallOutcome,
    /// How many since the agent's start.
    pub count: u64,
    /// The newest of those that were noted with a reason.
    pub last: Option<LastCall>,
}

/// The calls of one flow. The source counts, from any thread; the agent looks.
#[derive(Debug)]
pub struct Calls {
    outcomes: &'static [CallOutcome],
    counts: [AtomicU64; OUTCOMES],
    notes: Mutex<[Note; OUTCOMES]>,
}

#[derive(Debug, Default)]
struct Note {
    last: Option<LastCall>,
    told_us: Option<i64>,
    untold: u64,
}

impl Calls {
    /// Of calls that are made to us.
    #[must_use]
    pub fn served() -> Self {
        Self::of(&CallOutcome::SERVED)
    }

    /// Of calls that we make.
    #[must_use]
    pub fn made() -> Self {
        Self::of(&CallOutcome::MADE)
    }

    fn of(outcomes: &'static [CallOutcome]) -> Self {
        Self {
            outcomes,
            counts: Default::default(),
            notes: Mutex::default(),
        }
    }

    /// One more that went well.
    pub fn count(&self, outcome: CallOutcome) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// One more that did not, and why. The reason must hold neither what a record says nor a secret; it is cut.
    ///
    /// How many of this outcome are to be logged now: the first one at once, then what came within the last minute or longer.
    pub fn note(&self, outcome: CallOutcome, call: LastCall) -> Option<u64> {
        self.count(outcome);
        let note = &mut self.notes()[outcome as usize];
        let quiet =
            |told_us: i64| (told_us..told_us.saturating_add(QUIET_US)).contains(&call.at_us);
        let is_quiet = note.told_us.is_some_and(quiet);
        note.untold += 1;
        let told = (!is_quiet).then(|| {
            note.told_us = Some(call.at_us);
            std::mem::take(&mut note.untold)
        });
        note.last = Some(LastCall {
            reason: one_line(&call.reason),
            ..call
        });
        told
    }

    /// All outcomes that there can be, in the order of their list.
    #[must_use]
    pub fn counts(&self) -> Vec<CallCount> {
        let notes = self.notes();
        let figures = self.outcomes.iter().map(|outcome| CallCount {
            outcome: *outcome,
            count: self.counts[*outcome as usize].load(Ordering::Relaxed),
            last: notes[*outcome as usize].last.clone(),
        });
        figures.collect()
    }

    /// A poisoned lock is used on: what it holds is whole after each statement.
    fn notes(&self) -> MutexGuard<'_, [Note; OUTCOMES]> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without what would break a line or command a terminal.
fn one_line(reason: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    reason.chars().take(REASON_CHARS_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at_us: i64, reason: &str) -> LastCall {
        LastCall {
            at_us,
            peer: Some([10, 1, 1, 7].into()),
            reason: reason.into(),
        }
    }

    #[test]
    fn each_outcome_is_counted_with_its_last_reason() {
        let calls = Calls::served();
        calls.count(CallOutcome::Stored);
        calls.note(CallOutcome::Refused, call(1, "its key is missing"));
        calls.note(CallOutcome::Refused, call(2, "it holds\nno record"));
        let shown: Vec<_> = calls
            .counts()
            .into_iter()
            .map(|one| (one.outcome.word(), one.count, one.last))
            .collect();
        let none = |word| (word, 0, None);
        let expected = [
            ("stored", 1, None),
            none("repeated"),
            ("refused", 2, Some(call(2, "it holds no record"))),
            none("denied"),
            none("later"),
            none("broken"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_first_is_logged_and_then_one_a_minute_with_how_many() {
        let calls = Calls::served();
        let note = |at_s: i64| calls.note(CallOutcome::Refused, call(at_s * 1_000_000, "no"));
        assert_eq!(note(100), Some(1));
        assert_eq!((note(101), note(159)), (None, None));
        assert_eq!(note(160), Some(3));
        assert_eq!(note(161), None);
        // The clock was set back: silence would last until it is where it was.
        assert_eq!(note(10), Some(2));
        let other = calls.note(CallOutcome::Denied, call(11_000_000, "who"));
        assert_eq!(other, Some(1), "outcomes do not silence one another");
    }

    #[test]
    fn a_reason_is_cut() {
        let calls = Calls::made();
        calls.note(CallOutcome::Away, call(1, &"ü".repeat(10_000)));
        let last = calls.counts()[3].last.clone().expect("it is kept");
        assert_eq!(last.reason.chars().count(), REASON_CHARS_MAX);
    }
}
