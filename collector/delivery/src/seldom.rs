//! What may happen thousands of times a second is said now and then, with how often it was not.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct Seldom {
    every: Duration,
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// Says the first, and from then on one in so long.
    #[must_use]
    pub fn every(every: Duration) -> Self {
        Self {
            every,
            last: None,
            unsaid: 0,
        }
    }

    /// It happened. `Some`: it is to be said, and how many like it were not since the last one was.
    pub fn happened(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + self.every) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_line_now_and_then_that_says_how_much_it_stands_for() {
        let (mut seldom, now) = (Seldom::every(Duration::from_secs(1)), Instant::now());
        let said: Vec<_> = (0..2_500)
            .filter_map(|ms| seldom.happened(now + Duration::from_millis(ms)))
            .collect();
        assert_eq!(said, [0, 999, 999]);
    }
}
