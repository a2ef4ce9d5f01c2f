//! How fast a replay goes.

use std::time::{Duration, Instant};

/// Turns, so many a second, evenly: what was not used is lost, so that a replay never catches up in a burst.
#[derive(Debug)]
pub struct Pace {
    rate: u32,
    /// Turns that are made up for where the loop looked late.
    burst: u32,
    /// When the next turn is.
    next: Option<Instant>,
}

/// How late a turn may be and still count: what one look of a busy engine takes.
const LATE: Duration = Duration::from_millis(20);

impl Pace {
    /// `rate`: turns a second, at least 1.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        let rate = rate.max(1);
        let burst = (f64::from(rate) * LATE.as_secs_f64()) as u32;
        Self {
            rate,
            burst,
            next: None,
        }
    }

    /// Whether it is time for a turn.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// A turn is taken.
    pub fn take(&mut self, now: Instant) {
        let every = Duration::from_secs(1) / self.rate;
        let earliest = now.checked_sub(every * self.burst).unwrap_or(now);
        let from = self.next.map_or(now, |next| next.max(earliest));
        self.next = Some(from + every);
    }

    /// When the next turn is; `None`: now.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns within `seconds`, looked at every `look`.
    fn turns(rate: u32, seconds: u64, look: Duration) -> u32 {
        let begin = Instant::now();
        let (mut pace, mut now, mut turns) = (Pace::new(rate), begin, 0);
        while now < begin + Duration::from_secs(seconds) {
            while pace.is_due(now) {
                pace.take(now);
                turns += 1;
            }
            now += look;
        }
        turns
    }

    #[test]
    fn there_are_as_many_turns_a_second_as_the_rate_says() {
        for (rate, look_us) in [
            (1, 100),
            (50, 100),
            (50, 15_000),
            (1_000, 10_000),
            (10_000, 5_000),
        ] {
            let found = turns(rate, 10, Duration::from_micros(look_us));
            let wanted = rate * 10;
            assert!(
                (wanted - wanted / 50..=wanted + 1 + rate / 50).contains(&found),
                "{rate}/s, a look every {look_us} us: {found}"
            );
        }
    }

    #[test]
    fn what_was_not_used_is_lost() {
        let (mut pace, begin) = (Pace::new(1_000), Instant::now());
        pace.take(begin);
        let later = begin + Duration::from_secs(60);
        let mut turns = 0;
        while pace.is_due(later) {
            pace.take(later);
            turns += 1;
        }
        assert!(turns <= 22, "{turns} at once after a minute of nothing");
    }
}
