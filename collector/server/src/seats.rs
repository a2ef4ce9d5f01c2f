//! One live stream a name: the newest one sits, the one before it is told to go.
//!
//! An agent that lost its network dials again while its old connection still looks alive here; were
//! the old one to keep the seat, the agent would wait for keepalive to find it dead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dray_proto::FlowName;
use tokio::sync::oneshot;

/// So often within [`CONTEST_TIME`] a seat may be taken from somebody who sits: a bad line does that, too.
const CONTESTS_MAX: u32 = 5;
const CONTEST_TIME: Duration = Duration::from_secs(60);

/// Who sits where.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    taken: HashMap<String, Taken>,
    contests: HashMap<String, Contest>,
}

/// How often a seat was taken from somebody who sat, since when.
#[derive(Debug)]
struct Contest {
    since: Instant,
    count: u32,
}

#[derive(Debug)]
struct Taken {
    id: u64,
    flows: Vec<FlowName>,
    /// Dropped when somebody else sits down.
    _stay: oneshot::Sender<()>,
}

/// A seat, held until it is dropped or taken over.
#[derive(Debug)]
pub(crate) struct Seat {
    id: u64,
    name: String,
    seats: Arc<Seats>,
    contested: bool,
    stay: oneshot::Receiver<()>,
}

impl Seats {
    /// Sits down, in place of whoever sat there.
    pub(crate) fn take(self: &Arc<Self>, name: &str, flows: Vec<FlowName>) -> Seat {
        let mut state = self.state();
        state.next += 1;
        let (id, (sender, stay)) = (state.next, oneshot::channel());
        let contested = state.taken.contains_key(name) && state.contest(name, Instant::now());
        state.taken.insert(
            name.to_owned(),
            Taken {
                id,
                flows,
                _stay: sender,
            },
        );
        Seat {
            id,
            name: name.to_owned(),
            seats: Arc::clone(self),
            contested,
            stay,
        }
    }

    /// Whoever sits there is told to go.
    pub(crate) fn clear(&self, name: &str) {
        self.state().taken.remove(name);
    }

    /// Whether somebody sits there.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.state().taken.contains_key(name)
    }

    /// Whether the owner of a flow sits there with it; anybody, where nobody owns it yet.
    pub(crate) fn sends(&self, owner: &str, flow: &FlowName) -> bool {
        let state = self.state();
        let mut sitting = state.taken.iter();
        sitting
            .any(|(name, taken)| (owner.is_empty() || name == owner) && taken.flows.contains(flow))
    }

    /// How many sit.
    pub(crate) fn count(&self) -> usize {
        self.state().taken.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Somebody is sent away; whether that happens too often.
    fn contest(&mut self, name: &str, now: Instant) -> bool {
        self.contests
            .retain(|_, contest| now.duration_since(contest.since) < CONTEST_TIME);
        let contest = self.contests.entry(name.to_owned());
        let contest = contest.or_insert(Contest {
            since: now,
            count: 0,
        });
        contest.count += 1;
        contest.count > CONTESTS_MAX
    }
}

impl Seat {
    /// Whether two take it from each other: a machine and its copy.
    pub(crate) fn is_contested(&self) -> bool {
        self.contested
    }

    /// Returns when somebody else took the seat.
    pub(crate) async fn replaced(&mut self) {
        let _ = (&mut self.stay).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.state();
        if state
            .taken
            .get(&self.name)
            .is_some_and(|taken| taken.id == self.id)
        {
            state.taken.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_sits_and_the_older_is_told() {
        let seats = Arc::new(Seats::default());
        let mut old = seats.take("a-1", vec![]);
        let new = seats.take("a-1", vec![]);
        old.replaced().await;
        drop(old);
        assert!(
            seats.is_taken("a-1"),
            "the old one's leaving does not free the new one's seat"
        );
        drop(new);
        assert_eq!((seats.is_taken("a-1"), seats.count()), (false, 0));
    }

    #[test]
    fn a_flow_is_sent_by_its_owner_and_by_nobody_else() {
        let flow = FlowName::parse("north/a").expect("a name");
        let seats = Arc::new(Seats::default());
        let _seat = seats.take("a-2", vec![flow.clone()]);
        assert!(seats.sends("a-2", &flow) && seats.sends("", &flow));
        assert!(
            !seats.sends("a-1", &flow),
            "another agent has its name only"
        );
    }

    #[test]
    fn two_that_take_a_seat_from_each_other_are_told_from_a_bad_line() {
        let seats = Arc::new(Seats::default());
        let mut sitting = Vec::new();
        for _ in 0..=CONTESTS_MAX {
            sitting.push(seats.take("a-1", vec![]));
            assert!(!sitting.iter().any(Seat::is_contested));
        }
        assert!(seats.take("a-1", vec![]).is_contested());
        assert!(!seats.take("a-2", vec![]).is_contested());
        let later = Instant::now() + CONTEST_TIME;
        assert!(!seats.state().contest("a-1", later), "it is forgotten");
    }
}
