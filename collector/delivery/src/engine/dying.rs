//! That events become dead letters, for the log: the first at once, then how many there were, once a minute. No contents.

use std::time::{Duration, Instant};

use super::Engine;
use crate::outcome::Class;

/// How long after such a line the next may follow.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What is to be told.
#[derive(Debug, Default)]
pub(super) struct Dying {
    untold: u64,
    /// Of the last one.
    class: Option<Class>,
    told: Option<Instant>,
}

impl Dying {
    /// One more.
    pub(super) fn add(&mut self, class: Class) {
        (self.untold, self.class) = (self.untold + 1, Some(class));
    }

    /// When to call [`Self::take`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        let told = self.told.filter(|_| self.untold > 0)?;
        Some(told + TELL_EVERY)
    }

    /// How many there were since the last line, where one is due.
    fn take(&mut self, now: Instant) -> Option<(u64, Class)> {
        let class = self.class.filter(|_| self.untold > 0)?;
        if self.told.is_some_and(|told| now < told + TELL_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some((std::mem::take(&mut self.untold), class))
    }
}

impl Engine {
    /// Says that there are new dead letters, where it is time.
    pub(super) fn tell_dead(&mut self, now: Instant) {
        if let Some((count, class)) = self.dying.take(now) {
            let class = class.to_string();
            tracing::warn!(
                count,
                class,
                "events became dead letters; \"dray-collector dead-letters list\" shows them"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_by_count_once_a_minute() {
        let (mut dying, now) = (Dying::default(), Instant::now());
        assert_eq!((dying.take(now), dying.deadline()), (None, None));
        dying.add(Class::Rejected);
        assert_eq!(dying.take(now), Some((1, Class::Rejected)));
        assert_eq!((dying.take(now), dying.deadline()), (None, None));
        dying.add(Class::Rejected);
        dying.add(Class::Invalid);
        assert_eq!(dying.deadline(), Some(now + TELL_EVERY));
        let early = now + TELL_EVERY - Duration::from_millis(1);
        assert_eq!(dying.take(early), None);
        assert_eq!(dying.take(now + TELL_EVERY), Some((2, Class::Invalid)));
        dying.add(Class::Rejected);
        let late = now + TELL_EVERY * 9;
        assert_eq!(dying.take(late), Some((1, Class::Rejected)));
    }
}
