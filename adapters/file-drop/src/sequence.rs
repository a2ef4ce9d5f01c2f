//! Numbers that should follow one another: what is next, what is missing, what came late or again. Pure.
//!
//! A *series* is the numbers of one sender (files have one, interchanges one for each pair of parties), of one day where
//! they begin anew each day. Who is not known yet may begin with any number: the agent may have been put beside a
//! system that runs for years.
//!
//! ```text
//! bytes of the state, in the position
//! series: count u8, each: sender u64 | day u32 | next u64         the one that was used last stands last
//! missing: count u8, each: sender u64 | day u32 | from u64 | to u64 | since i64     the newest stands last
//! ```
//! Limits: [`SERIES_MAX`] series and [`MISSING_MAX`] missing ranges; those before them are forgotten. At the most 3.6 KiB.

use std::collections::BTreeSet;

mod bytes;
mod config;
#[cfg(test)]
mod tests;

pub use config::{Again, Envelope, Gap, Resets, SequenceConfig};
pub(crate) use config::{Found, Watch, shown};

/// Series that are known at once.
pub(crate) const SERIES_MAX: usize = 64;
/// Missing ranges that are known at once.
pub(crate) const MISSING_MAX: usize = 64;

/// How numbers follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The first number of a day, and after the last.
    pub(crate) first: u64,
    /// The last number, after which the first follows.
    pub(crate) last: Option<u64>,
    /// How long files behind a missing one wait for it, in microseconds; `None`: not at all.
    pub(crate) hold_us: Option<i64>,
}

/// A number and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    pub(crate) sender: u64,
    /// E.g. 20261126; 0 where numbers do not begin anew each day.
    pub(crate) day: u32,
    pub(crate) value: u64,
}

impl Number {
    fn series(&self) -> (u64, u32) {
        (self.sender, self.day)
    }
}

/// Numbers that did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) sender: u64,
    pub(crate) day: u32,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// When it was found, or the file that showed it began to wait, in microseconds since 1970-01-01T00:00:00Z.
    pub(crate) since_us: i64,
}

impl Missing {
    fn series(&self) -> (u64, u32) {
        (self.sender, self.day)
    }

    /// Whether numbers are in both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.series() == other.series() && self.from <= other.to && other.from <= self.to
    }

    fn holds(&self, number: &Number) -> bool {
        self.series() == number.series() && (self.from..=self.to).contains(&number.value)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Series {
    sender: u64,
    day: u32,
    next: u64,
}

/// What is known of all series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    series: Vec<Series>,
    missing: Vec<Missing>,
}

/// What becomes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next, or the first of all.
    Next,
    /// It was missing, and came.
    Late,
    /// It came before.
    Again,
    /// It is no number of this sequence: beyond the last, or before the first.
    Outside,
    /// These before it did not come and are not known to be missing: [`State::miss`] them, and look again.
    Gap {
        /// The first.
        from: u64,
        /// The last; before the first where the numbers begin anew in between.
        to: u64,
    },
    /// It waits for those before it until this time.
    Hold(Missing),
    /// It waits for one before it that is here and waits too.
    Behind,
}

impl State {
    /// What becomes of a number, of which nothing changes. `waiting`: numbers that are here and are held.
    pub(crate) fn look(
        &self,
        rules: &Rules,
        number: &Number,
        waiting: &BTreeSet<Number>,
        now_us: i64,
    ) -> Verdict {
        if rules.is_outside(number.value) {
            return Verdict::Outside;
        }
        let held = self
            .missing
            .iter()
            .filter(|missing| rules.is_waited_for(missing, now_us))
            .filter_map(|missing| rules.part_before(missing, number));
        // Until the last of them is given up.
        if let Some(missing) = held.max_by_key(|missing| missing.since_us) {
            return Verdict::Hold(missing);
        }
        if self.missing.iter().any(|missing| missing.holds(number)) {
            return Verdict::Late;
        }
        let Some(expected) = self.expected(rules, number) else {
            return Verdict::Next;
        };
        let from = self.beyond_missing(rules, number, expected);
        match rules.distance(from, number.value) {
            Some(0) => Verdict::Next,
            None => Verdict::Again,
            Some(_) => {
                let to = rules.before(number.value);
                let is_here = rules.ranges(from, to).iter().any(|(from, to)| {
                    let at = |value| Number { value, ..*number };
                    waiting.range(at(*from)..=at(*to)).next().is_some()
                });
                if is_here {
                    return Verdict::Behind;
                }
                Verdict::Gap { from, to }
            }
        }
    }

    /// Notes that these are missing: what is new of it, and what is forgotten for it.
    pub(crate) fn miss(
        &mut self,
        rules: &Rules,
        number: &Number,
        (from, to): (u64, u64),
        now_us: i64,
    ) -> (Vec<Missing>, Vec<Missing>) {
        let mut new = Vec::new();
        for (from, to) in rules.ranges(from, to) {
            let mut at = Some(from);
            let mut known: Vec<Missing> = self.missing.clone();
            known.retain(|one| one.series() == number.series() && one.to >= from && one.from <= to);
            known.sort_by_key(|one| one.from);
            for one in known {
                new.extend(range(number, at, one.from.checked_sub(1), now_us));
                at = one.to.checked_add(1);
            }
            new.extend(range(number, at, Some(to), now_us));
        }
        self.missing.extend(&new);
        let over = self.missing.len().saturating_sub(MISSING_MAX);
        (new, self.missing.drain(..over).collect())
    }

    /// The number came and goes on: it is missing no more, and the one after it is next.
    pub(crate) fn take(&mut self, rules: &Rules, number: &Number) {
        if rules.is_outside(number.value) {
            return;
        }
        if let Some(at) = self.missing.iter().position(|one| one.holds(number)) {
            let one = self.missing.remove(at);
            let before = range(
                number,
                Some(one.from),
                number.value.checked_sub(1),
                one.since_us,
            );
            let after = range(
                number,
                number.value.checked_add(1),
                Some(one.to),
                one.since_us,
            );
            self.missing.splice(at..at, before.into_iter().chain(after));
            let over = self.missing.len().saturating_sub(MISSING_MAX);
            self.missing.drain(..over);
        }
        let next = rules.after(number.value);
        let found = self
            .series
            .iter()
            .position(|series| (series.sender, series.day) == number.series());
        let mut series = match found {
            Some(at) => self.series.remove(at),
            None => Series {
                sender: number.sender,
                day: number.day,
                next,
            },
        };
        if rules.distance(series.next, number.value).is_some() {
            series.next = next;
        }
        self.series.push(series);
        let over = self.series.len().saturating_sub(SERIES_MAX);
        self.series.drain(..over);
    }

    /// What is missing, the oldest first.
    pub(crate) fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The number that should come; `None` where any may.
    fn expected(&self, rules: &Rules, number: &Number) -> Option<u64> {
        let mut own = self
            .series
            .iter()
            .filter(|series| series.sender == number.sender);
        if let Some(series) = own.clone().find(|series| series.day == number.day) {
            return Some(series.next);
        }
        // A new day of a known sender begins with the first; a day before all that is known may be anywhere.
        own.any(|series| series.day < number.day)
            .then_some(rules.first)
    }

    /// The next number that is not known to be missing.
    fn beyond_missing(&self, rules: &Rules, number: &Number, expected: u64) -> u64 {
        let mut at = expected;
        // Each range is passed once at the most.
        for _ in 0..self.missing.len() {
            let here = Number {
                value: at,
                ..*number
            };
            match self.missing.iter().find(|one| one.holds(&here)) {
                Some(one) => at = rules.after(one.to),
                None => break,
            }
        }
        at
    }
}

fn range(number: &Number, from: Option<u64>, to: Option<u64>, since_us: i64) -> Option<Missing> {
    let (from, to) = (from?, to?);
    (from <= to).then_some(Missing {
        sender: number.sender,
        day: number.day,
        from,
        to,
        since_us,
    })
}

impl Rules {
    fn is_outside(&self, value: u64) -> bool {
        self.last
            .is_some_and(|last| value < self.first || value > last)
    }

    /// How far a number lies ahead; `None` where it lies behind. Where numbers begin anew, half the circle is ahead
    /// (RFC 1982 does the same).
    fn distance(&self, from: u64, to: u64) -> Option<u64> {
        let Some(last) = self.last else {
            return to.checked_sub(from);
        };
        let circle = u128::from(last - self.first) + 1;
        let ahead = (u128::from(to) + circle - u128::from(from) % circle) % circle;
        (ahead <= circle / 2).then_some(ahead as u64)
    }

    /// From one number to another, in pieces that do not begin anew.
    fn ranges(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        match self.last {
            Some(last) if to < from => vec![(from, last), (self.first, to)],
            _ => vec![(from, to)],
        }
    }

    fn after(&self, value: u64) -> u64 {
        if Some(value) == self.last {
            self.first
        } else {
            value.saturating_add(1)
        }
    }

    fn before(&self, value: u64) -> u64 {
        match self.last {
            Some(last) if value == self.first => last,
            _ => value.saturating_sub(1),
        }
    }

    fn is_waited_for(&self, missing: &Missing, now_us: i64) -> bool {
        self.hold_us
            .is_some_and(|hold| now_us < missing.since_us.saturating_add(hold))
    }

    /// What of a missing range comes before a number.
    fn part_before(&self, missing: &Missing, number: &Number) -> Option<Missing> {
        if missing.holds(number) {
            let to = number.value.checked_sub(1);
            return range(number, Some(missing.from), to, missing.since_us);
        }
        let is_before = missing.sender == number.sender
            && (missing.day < number.day
                || missing.day == number.day
                    && self
                        .distance(missing.to, number.value)
                        .is_some_and(|distance| distance > 0));
        is_before.then_some(*missing)
    }
}
