//! The suite that every source runs.
//!
//! A source is driven as the agent drives it, over a real place (a folder, a database), and killed
//! after every single step: what it hands out must be the same records and rejects with the same ids,
//! each once and in order, whatever had been polled, appended, committed or acked when it died.
//!
//! Only the agent's side is played: an [`Agent`] keeps what was appended, the newest position and the
//! marks, as the buffer would. A source is killed by dropping it without [`Source::close`].
//!
//! ```text
//! #[test]
//! fn conforms() {
//!     dray_adapter::conformance::run(|| MyPlace::new());
//! }
//! ```

use std::collections::HashSet;
use std::time::Instant;

mod agent;

pub use agent::{Agent, Entry, Pace, PolledOnce, entries, shown};
use agent::{PATIENCE, Steps};

use crate::{Position, Source};

/// Somewhere that records come from.
pub trait Place {
    /// A source over this place, as the agent makes it at its start. Not opened.
    fn source(&self) -> Box<dyn Source>;

    /// Adds the next unit (a file, a message, a transaction): what must be appended of it, in order,
    /// as [`Entry::shown`] writes it. `None` when there are no more. At least three units, one of
    /// several batches. Every fresh place adds the same ones.
    fn add(&mut self) -> Option<Vec<String>>;
}

/// Runs all of it; `fresh` makes a place of its own each time.
///
/// # Panics
/// With a sentence, where the source breaks the contract.
pub fn run<P: Place>(mut fresh: impl FnMut() -> P) {
    let whole = undisturbed(&mut fresh);
    for pace in PACES {
        killed_after_each_step(&mut fresh, &whole, pace);
    }
    repeats_change_nothing(&mut fresh, &whole);
    units_may_come_one_by_one(&mut fresh, &whole);
}

/// For sources that keep a second copy until the ack: what was appended and not acked is read again,
/// with the same ids, by an agent whose buffer was lost.
///
/// # Panics
/// With a sentence, where it is not.
pub fn run_second_copy<P: Place>(mut fresh: impl FnMut() -> P) {
    let mut place = fresh();
    let expected = add_all(&mut place);
    let mut first = Agent::open(place.source());
    first.finish(expected.len(), Pace::default());
    first.kill();
    let mut second = Agent::open(place.source());
    second.finish(expected.len(), Pace::default());
    assert_eq!(second.log, first.log, "the second copy is not the first");
    second.ack();
    second.kill();
    let mut third = Agent::open(place.source());
    third.nothing_more("all of it was acked before the buffer was lost");
}

const PROMPT: Pace = Pace {
    append_behind: 0,
    commit_behind: 0,
    acks: true,
    overtakes: false,
};

const PACES: [Pace; 5] = [
    PROMPT,
    Pace {
        acks: false,
        ..PROMPT
    },
    Pace {
        append_behind: 1,
        ..PROMPT
    },
    Pace {
        commit_behind: 1,
        ..PROMPT
    },
    Pace {
        commit_behind: 1,
        overtakes: true,
        ..PROMPT
    },
];

fn add_all(place: &mut impl Place) -> Vec<String> {
    std::iter::from_fn(|| place.add()).flatten().collect()
}

/// Everything once and in order, and nothing after it, closed or not.
fn undisturbed<P: Place>(fresh: &mut impl FnMut() -> P) -> Vec<Entry> {
    let mut place = fresh();
    let expected = add_all(&mut place);
    let mut agent = Agent::open(place.source());
    agent.finish(expected.len(), Pace::default());
    assert_eq!(shown(&agent.log), expected, "undisturbed");
    let ids: HashSet<_> = agent.log.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), agent.log.len(), "two entries share an id");
    agent.ack();
    agent.nothing_more("all of it was acked");
    agent.source().close();
    agent.reopen(place.source());
    agent.nothing_more("all of it was acked before the restart");
    agent.log
}

fn killed_after_each_step<P: Place>(fresh: &mut impl FnMut() -> P, whole: &[Entry], pace: Pace) {
    for kill_at in 1.. {
        let mut place = fresh();
        let expected = add_all(&mut place);
        let mut agent = Agent::open(place.source());
        let mut steps = Steps { made: 0, kill_at };
        if agent.work(expected.len(), pace, &mut steps) {
            assert!(
                kill_at > whole.len().min(3),
                "a run has few steps: {kill_at}"
            );
            return;
        }
        let had = agent.log.len();
        agent.reopen(place.source());
        agent.finish(expected.len(), pace);
        assert_same(
            &agent.log,
            whole,
            &format!("killed after step {kill_at} with {had} appended, {pace:?}"),
        );
        agent.ack();
        agent.reopen(place.source());
        agent.nothing_more("all of it was acked");
    }
}

fn repeats_change_nothing<P: Place>(fresh: &mut impl FnMut() -> P, whole: &[Entry]) {
    let mut place = fresh();
    add_all(&mut place);
    let mut agent = Agent::open(place.source());
    let mut earlier: Vec<Position> = Vec::new();
    let end = Instant::now() + PATIENCE;
    while agent.log.len() < whole.len() {
        assert!(
            Instant::now() < end,
            "stuck with {} of {}",
            agent.log.len(),
            whole.len()
        );
        agent.poll();
        while agent.append() {
            agent.commit();
            agent.ack();
            let newest = agent.position.clone().expect("something was appended");
            earlier.push(newest.clone());
            for position in [&newest, &earlier[0], &newest] {
                agent
                    .source()
                    .commit(position)
                    .unwrap_or_else(|error| panic!("a repeated commit: {error}"));
                agent
                    .source()
                    .acked(position)
                    .unwrap_or_else(|error| panic!("a repeated ack: {error}"));
            }
        }
    }
    agent.nothing_more("commit and acked were only repeated");
    assert_same(&agent.log, whole, "commit and acked were repeated");
}

fn units_may_come_one_by_one<P: Place>(fresh: &mut impl FnMut() -> P, whole: &[Entry]) {
    let mut place = fresh();
    let mut agent = Agent::open(place.source());
    let mut expected = 0;
    let mut unit = 0;
    while let Some(added) = place.add() {
        expected += added.len();
        agent.finish(
            expected,
            Pace {
                acks: true,
                ..Pace::default()
            },
        );
        unit += 1;
        if unit % 2 == 0 {
            agent.reopen(place.source());
        }
    }
    assert!(unit >= 3, "the suite needs at least three units");
    assert_same(&agent.log, whole, "units came one by one");
}

fn assert_same(log: &[Entry], whole: &[Entry], when: &str) {
    let first = log.iter().zip(whole).position(|(one, other)| one != other);
    let at = first.unwrap_or_else(|| log.len().min(whole.len()));
    assert!(
        first.is_none() && log.len() == whole.len(),
        "{when}: entry {at} of {} is {:?}, it should be {:?} (of {})",
        log.len(),
        log.get(at),
        whole.get(at),
        whole.len()
    );
}
