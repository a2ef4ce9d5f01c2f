//! Whose request goes next, and when. Pure: time comes in as `now`.
//!
//! *Rate*: requests leave evenly (the generic cell rate algorithm), so many at once as [`BURST_MAX`] says. *Concurrency*:
//! so many are in flight. *Throttled*: nothing leaves until the time that the account asked for, and afterwards half of
//! the rate and of the concurrency, down to a [`FLOOR`]; each success gives a [`STEP`] back. *Turns*: of those who wait,
//! each class goes as often as its weight says (stride scheduling), in order within a class; bulk never takes the last
//! place in flight, so that what is urgent does not wait for a slow request of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::{AccountConfig, Rate, Timeliness};

/// Requests that may leave at once after a pause, where the rate allows as many in a second.
pub const BURST_MAX: u32 = 10;
/// What is left of the limits at least, however often the account throttles.
pub const FLOOR: f64 = 1.0 / 16.0;
/// What a success gives back of the limits: after a throttling 32 make them whole again.
pub const STEP: f64 = 1.0 / 64.0;
/// Throttlings so soon after one another are one: they answer requests that were in flight together.
const ONE_THROTTLING: Duration = Duration::from_secs(1);
/// Who asks for less time than this, or for a time that has passed, is given it, doubled each time in a row up to
/// [`HASTY_MAX`]: a server whose clock is behind would be asked without end.
pub const HASTY: Duration = Duration::from_millis(500);
/// See [`HASTY`].
pub const HASTY_MAX: Duration = Duration::from_secs(60);
/// Turns of urgent, normal and bulk.
const WEIGHTS: [u64; 3] = [16, 4, 1];
/// What all weights divide.
const STRIDE: u64 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    rate: Option<Rate>,
    concurrency: usize,
    /// What is left of both, [`FLOOR`] to 1.
    ease: f64,
    live: usize,
    /// When the next request would leave at the rate, had all come evenly.
    due: Option<Instant>,
    paused: Option<(Instant, String)>,
    throttled_at: Option<Instant>,
    /// Throttlings in a row that asked for less than [`HASTY`].
    hasty: u32,
    queues: [VecDeque<u64>; 3],
    /// Each class's place in the order of turns; the lowest goes next.
    passes: [u64; 3],
    now_at: u64,
    last: u64,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    class: usize,
    number: u64,
}

/// Whether a request may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It counts as in flight until [`Turns::ended`].
    Go,
    /// Not before this; `None`: when another one ended, or went.
    Wait(Option<Instant>),
}

impl Turns {
    pub(super) fn new(config: &AccountConfig) -> Self {
        Self {
            rate: config.rate,
            concurrency: config.concurrency,
            ease: 1.0,
            live: 0,
            due: None,
            paused: None,
            throttled_at: None,
            hasty: 0,
            queues: Default::default(),
            passes: [0; 3],
            now_at: 0,
            last: 0,
        }
    }

    /// Queues a request.
    pub(super) fn queue(&mut self, timeliness: Timeliness) -> Ticket {
        let class = timeliness as usize;
        if self.queues[class].is_empty() {
            // Who had nothing to send has saved no turns up.
            self.passes[class] = self.passes[class].max(self.now_at);
        }
        self.last += 1;
        self.queues[class].push_back(self.last);
        Ticket {
            class,
            number: self.last,
        }
    }

    /// A queued request is not wanted any more.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.queues[ticket.class].retain(|number| *number != ticket.number);
    }

    /// Whether this one may leave now.
    pub(super) fn turn(&mut self, ticket: Ticket, now: Instant) -> Turn {
        if let Some((until, _)) = &self.paused {
            if now < *until {
                return Turn::Wait(Some(*until));
            }
            self.paused = None;
        }
        let places = ((self.concurrency as f64 * self.ease) as usize).max(1);
        let room = places.saturating_sub(self.live);
        // Of two places and more, the last is not for bulk.
        let bulk_waits = places > 1 && room <= 1;
        let next = (0..self.queues.len())
            .filter(|class| !(self.queues[*class].is_empty() || *class == 2 && bulk_waits))
            .min_by_key(|class| self.passes[*class]);
        let is_next =
            next == Some(ticket.class) && self.queues[ticket.class].front() == Some(&ticket.number);
        if room == 0 || !is_next {
            return Turn::Wait(None);
        }
        if let Some(rate) = self.rate {
            let every = rate.time.div_f64(f64::from(rate.count) * self.ease);
            let a_second = Duration::from_secs(1).as_secs_f64() / every.as_secs_f64();
            let burst = (a_second as u32).clamp(1, BURST_MAX);
            let due = self.due.map_or(now, |due| due.max(now));
            let early = every * (burst - 1);
            if due > now + early {
                return Turn::Wait(Some(due - early));
            }
            self.due = Some(due + every);
        }
        self.queues[ticket.class].pop_front();
        self.now_at = self.passes[ticket.class];
        self.passes[ticket.class] += STRIDE / WEIGHTS[ticket.class];
        self.live += 1;
        Turn::Go
    }

    /// A request that went was answered, or given up.
    pub(super) fn ended(&mut self) {
        self.live = self.live.saturating_sub(1);
    }

    /// The account does what it is asked for.
    pub(super) fn succeeded(&mut self) {
        self.hasty = 0;
        self.ease = (self.ease + STEP).min(1.0);
    }

    /// The account asks for time.
    pub(super) fn throttled(&mut self, now: Instant, wait: Duration, why: &str) {
        let again = self
            .throttled_at
            .is_some_and(|at| now < at + ONE_THROTTLING);
        if !again && self.paused.as_ref().is_none_or(|(until, _)| *until <= now) {
            self.ease = (self.ease / 2.0).max(FLOOR);
            self.throttled_at = Some(now);
        }
        let mut until = now + wait;
        if wait < HASTY {
            if self.paused(now).is_some() {
                return;
            }
            until = now + HASTY.saturating_mul(1 << self.hasty.min(16)).min(HASTY_MAX);
            self.hasty += 1;
        }
        if self.paused.as_ref().is_none_or(|(other, _)| *other < until) {
            self.paused = Some((until, why.to_owned()));
        }
    }

    /// Until when nothing leaves, and why, where the account asked for time.
    pub(super) fn paused(&self, now: Instant) -> Option<(Instant, &str)> {
        let (until, why) = self.paused.as_ref()?;
        (now < *until).then_some((*until, why))
    }

    /// Somebody knows better: what is asked next shows it. The limits stay as low as they are.
    pub(super) fn go_on(&mut self) {
        (self.paused, self.hasty) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Timeliness::{Bulk, Normal, Urgent};

    fn turns(more: &str) -> (Turns, Instant) {
        let config = toml::from_str(&format!("name = \"a\"\n{more}")).expect("a table");
        (Turns::new(&config), Instant::now())
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Lets one go and come back.
    fn through(turns: &mut Turns, now: Instant) -> Turn {
        let ticket = turns.queue(Normal);
        let turn = turns.turn(ticket, now);
        match turn {
            Turn::Go => turns.ended(),
            Turn::Wait(_) => turns.leave(ticket),
        }
        turn
    }

    #[test]
    fn requests_leave_at_the_rate() {
        let (mut turns, now) = turns("rate = \"2/s\"");
        for _ in 0..2 {
            assert_eq!(through(&mut turns, now), Turn::Go);
        }
        assert_eq!(through(&mut turns, now), Turn::Wait(Some(now + ms(500))));
        let mut left = 2;
        for at in 1..=10_000 {
            left += u32::from(through(&mut turns, now + ms(at)) == Turn::Go);
        }
        assert_eq!(left, 2 + 20);
    }

    #[test]
    fn a_long_time_is_spread_and_a_pause_saves_only_a_burst() {
        let (mut turns, now) = turns("rate = \"6000/5m\"");
        let late = now + Duration::from_secs(3_600);
        let left = (0..100)
            .filter(|_| through(&mut turns, late) == Turn::Go)
            .count();
        assert_eq!(left, BURST_MAX as usize);
        assert_eq!(through(&mut turns, late), Turn::Wait(Some(late + ms(50))));
    }

    #[test]
    fn the_cap_holds_and_who_ended_makes_room() {
        let (mut turns, now) = turns("concurrency = 2");
        let tickets: Vec<_> = (0..3).map(|_| turns.queue(Normal)).collect();
        assert_eq!(turns.turn(tickets[1], now), Turn::Wait(None), "in order");
        assert_eq!(turns.turn(tickets[0], now), Turn::Go);
        assert_eq!(turns.turn(tickets[1], now), Turn::Go);
        assert_eq!(turns.turn(tickets[2], now), Turn::Wait(None));
        turns.ended();
        assert_eq!(turns.turn(tickets[2], now), Turn::Go);
    }

    #[test]
    fn a_throttling_pauses_halves_once_and_is_recovered_from() {
        let (mut turns, now) = turns("concurrency = 8");
        turns.throttled(now, ms(2_000), "429");
        turns.throttled(now + ms(5), ms(1_000), "429 of another that was in flight");
        assert_eq!(
            turns.paused(now + ms(1_999)),
            Some((now + ms(2_000), "429"))
        );
        assert_eq!(
            through(&mut turns, now + ms(1_999)),
            Turn::Wait(Some(now + ms(2_000)))
        );
        let later = now + ms(2_000);
        let room = |turns: &mut Turns, at: Instant| {
            let mut went = 0;
            loop {
                let ticket = turns.queue(Normal);
                if turns.turn(ticket, at) != Turn::Go {
                    turns.leave(ticket);
                    break;
                }
                went += 1;
            }
            (0..went).for_each(|_| turns.ended());
            went
        };
        assert_eq!(turns.paused(later), None);
        assert_eq!(room(&mut turns, later), 4);
        for round in 0..10 {
            turns.throttled(later + ms(10_000) * round, ms(1_000), "429");
        }
        let later = later + ms(100_000);
        assert_eq!((room(&mut turns, later), turns.ease), (1, FLOOR));
        (0..60).for_each(|_| turns.succeeded());
        assert_eq!((room(&mut turns, later), turns.ease), (8, 1.0));
    }

    #[test]
    fn a_throttling_of_no_time_pauses_all_the_same_and_longer_each_time() {
        let (mut turns, mut now) = turns("concurrency = 8");
        for expected in [500, 1_000, 2_000] {
            turns.throttled(now, Duration::ZERO, "429");
            turns.throttled(now, Duration::ZERO, "429 of another that was in flight");
            let until = now + ms(expected);
            assert_eq!(turns.paused(now), Some((until, "429")));
            assert_eq!(through(&mut turns, now), Turn::Wait(Some(until)));
            now = until;
            assert_eq!(through(&mut turns, now), Turn::Go);
        }
        turns.succeeded();
        turns.throttled(now, Duration::ZERO, "429");
        assert_eq!(turns.paused(now), Some((now + ms(500), "429")));
        turns.go_on();
        assert_eq!(through(&mut turns, now), Turn::Go);
    }

    #[test]
    fn each_class_has_its_turns_and_none_starves() {
        let (mut turns, now) = turns("concurrency = 64");
        let mut waiting: Vec<_> = [Bulk, Normal, Urgent]
            .into_iter()
            .flat_map(|class| std::iter::repeat_n(class, 100))
            .map(|class| (class, turns.queue(class)))
            .collect();
        let mut went = [0; 3];
        for _ in 0..42 {
            let at = waiting
                .iter()
                .position(|(_, ticket)| turns.turn(*ticket, now) == Turn::Go);
            let (class, _) = waiting.remove(at.expect("one is next"));
            went[class as usize] += 1;
            turns.ended();
        }
        assert_eq!(went, [32, 8, 2]);
    }

    #[test]
    fn bulk_leaves_the_last_place_to_others_and_saves_no_turns_up() {
        let (mut turns, now) = turns("concurrency = 2");
        let bulk = [Bulk; 2].map(|class| turns.queue(class));
        assert_eq!(turns.turn(bulk[0], now), Turn::Go);
        assert_eq!(turns.turn(bulk[1], now), Turn::Wait(None));
        let urgent = turns.queue(Urgent);
        assert_eq!(
            turns.turn(urgent, now),
            Turn::Go,
            "a ship confirm waits for no bulk"
        );
        turns.ended();
        turns.ended();
        assert_eq!(turns.turn(bulk[1], now), Turn::Go);
        let (mut alone, now) = self::turns("concurrency = 1");
        let bulk = alone.queue(Bulk);
        assert_eq!(
            alone.turn(bulk, now),
            Turn::Go,
            "of one place it may have that"
        );
    }
}
