//! What the log says of a flow that waits: that it does, once in a while, and that it goes on, when it really does.
//!
//! A source that waits for its server has nothing to say between two attempts. That is no going on.

use std::time::{Duration, Instant};

/// After so long without a hindrance the flow goes on.
const GOES_ON_AFTER: Duration = Duration::from_secs(10);
/// The same hindrance is said again after so long.
const SAY_AGAIN: Duration = Duration::from_secs(300);

/// What hinders a flow, as far as it was said.
#[derive(Debug, Default)]
pub(super) struct Hindrance {
    runs_since: Option<Instant>,
    said: Option<(String, Instant)>,
}

impl Hindrance {
    /// The flow waits for this; whether that is to be said.
    pub(super) fn waits(&mut self, reason: &str, now: Instant) -> bool {
        self.runs_since = None;
        let is_said = self.said.as_ref().is_some_and(|(said, at)| {
            said == reason && now.saturating_duration_since(*at) < SAY_AGAIN
        });
        if !is_said {
            self.said = Some((reason.to_owned(), now));
        }
        !is_said
    }

    /// Nothing hinders it; what it waited for, where it is to be said that it goes on.
    pub(super) fn runs(&mut self, now: Instant) -> Option<String> {
        let since = *self.runs_since.get_or_insert(now);
        let goes_on = now.saturating_duration_since(since) >= GOES_ON_AFTER;
        self.said.take_if(|_| goes_on).map(|(reason, _)| reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_for_long_is_said_every_five_minutes_and_its_return_once() {
        let mut hindrance = Hindrance::default();
        let begin = Instant::now();
        let mut said = Vec::new();
        for second in (0..600).step_by(5) {
            let now = begin + Duration::from_secs(second);
            if hindrance.waits("no server", now) {
                said.push(second);
            }
            assert_eq!(hindrance.runs(now), None);
        }
        assert_eq!(said, [0, 300]);
        let at = |second| begin + Duration::from_secs(second);
        assert!(hindrance.waits("wrong password", at(600)), "it is news");
        assert!(!hindrance.waits("wrong password", at(605)));
        assert_eq!(hindrance.runs(at(606)), None);
        assert_eq!(hindrance.runs(at(616)).as_deref(), Some("wrong password"));
        assert_eq!(hindrance.runs(at(617)), None, "once");
    }
}
