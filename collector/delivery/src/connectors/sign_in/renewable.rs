//! A value that is fetched when it is first wanted, and anew before it ends or once it no longer serves: one fetch for
//! all who want it meanwhile. What a failed fetch says is told to all who waited for it, so that an account is not
//! locked by as many wrong logins as there are requests.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::outcome::Outcome;

/// How long before its end a value is renewed; of a short life, its last third.
pub(super) const RENEW_BEFORE: Duration = Duration::from_secs(60);
/// How long a renewal ahead that failed is left alone while the value still serves.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Renewable<T> {
    state: Mutex<State<T>>,
    /// Fetches that ended, however they did.
    tries: AtomicU64,
}

#[derive(Debug)]
struct State<T> {
    value: Option<Arc<T>>,
    /// The fetch that the value is of.
    made: u64,
    renew_at: Option<Instant>,
    ends_at: Option<Instant>,
    failure: Option<Outcome>,
}

/// A value, and what must be said of it where it turns out not to serve.
#[derive(Debug, Clone)]
pub(in crate::connectors) struct Got<T> {
    pub(in crate::connectors) value: Arc<T>,
    pub(super) ticket: Ticket,
}

/// Which fetch a value is of, and how many there had been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    made: u64,
    tries: u64,
}

/// What a fetch makes: the value, and how long it lives where that is known.
pub(super) type Fetched<T> = Result<(T, Option<Duration>), Outcome>;

impl<T> Renewable<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                value: None,
                made: 0,
                renew_at: None,
                ends_at: None,
                failure: None,
            }),
            tries: AtomicU64::new(0),
        }
    }

    /// With a value that needs no fetch at first.
    pub(super) fn with(value: T) -> Self {
        let mut made = Self::new();
        made.state.get_mut().value = Some(Arc::new(value));
        made
    }

    /// The value; `fetch` where there is none, or it ends soon.
    pub(super) async fn current<F: Future<Output = Fetched<T>>>(
        &self,
        now: Instant,
        fetch: impl FnOnce() -> F,
    ) -> Result<Got<T>, Outcome> {
        let before = self.tries.load(SeqCst);
        let mut state = self.state.lock().await;
        let tries = self.tries.load(SeqCst);
        let lives = state.ends_at.is_none_or(|end| now < end);
        if state.renew_at.is_none_or(|at| now < at)
            && lives
            && let Some(got) = state.got(tries)
        {
            return Ok(got);
        }
        if tries != before
            && let Some(failure) = &state.failure
            && state.value.is_none()
        {
            return Err(failure.clone());
        }
        let made = fetch().await;
        let tries = self.tried();
        match (made, state.value.is_some() && lives) {
            (Ok(made), _) => Ok(state.put(made, tries, now)),
            (Err(_), true) => {
                // It serves still: whoever needs it goes on with it.
                state.renew_at = Some(now + TRY_AGAIN_AFTER);
                state
                    .got(tries)
                    .ok_or_else(|| Outcome::Transient("sign-in: there is none".into()))
            }
            (Err(failure), false) => Err(state.fail(failure)),
        }
    }

    /// Another value than that of the ticket, which does not serve: the one that somebody fetched since, or a new one.
    pub(super) async fn renew<F: Future<Output = Fetched<T>>>(
        &self,
        ticket: Ticket,
        now: Instant,
        fetch: impl FnOnce() -> F,
    ) -> Result<Got<T>, Outcome> {
        let mut state = self.state.lock().await;
        let tries = self.tries.load(SeqCst);
        if state.made != ticket.made
            && let Some(got) = state.got(tries)
        {
            return Ok(got);
        }
        if tries != ticket.tries
            && state.value.is_none()
            && let Some(failure) = &state.failure
        {
            return Err(failure.clone());
        }
        let made = fetch().await;
        let tries = self.tried();
        match made {
            Ok(made) => Ok(state.put(made, tries, now)),
            Err(failure) => Err(state.fail(failure)),
        }
    }

    fn tried(&self) -> u64 {
        self.tries.fetch_add(1, SeqCst) + 1
    }
}

impl<T> State<T> {
    fn got(&self, tries: u64) -> Option<Got<T>> {
        let ticket = Ticket {
            made: self.made,
            tries,
        };
        let value = Arc::clone(self.value.as_ref()?);
        Some(Got { value, ticket })
    }

    fn put(&mut self, (value, lives): (T, Option<Duration>), tries: u64, now: Instant) -> Got<T> {
        let value = Arc::new(value);
        *self = Self {
            value: Some(Arc::clone(&value)),
            made: tries,
            renew_at: lives.map(|lives| now + (lives - RENEW_BEFORE.min(lives / 3))),
            ends_at: lives.map(|lives| now + lives),
            failure: None,
        };
        let ticket = Ticket { made: tries, tries };
        Got { value, ticket }
    }

    fn fail(&mut self, failure: Outcome) -> Outcome {
        self.value = None;
        self.failure = Some(failure.clone());
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn minute() -> Option<Duration> {
        Some(Duration::from_secs(600))
    }

    #[tokio::test]
    async fn all_who_were_refused_at_once_wait_for_one_fetch() {
        let (cell, fetches) = (Renewable::new(), AtomicUsize::new(0));
        let now = Instant::now();
        let fetch = || async {
            tokio::task::yield_now().await;
            Ok((fetches.fetch_add(1, SeqCst), None))
        };
        let (a, b) = tokio::join!(cell.current(now, fetch), cell.current(now, fetch));
        let (a, b) = (a.expect("a value"), b.expect("a value"));
        assert_eq!((*a.value, *b.value, a.ticket == b.ticket), (0, 0, true));
        let (a, b, c) = tokio::join!(
            cell.renew(a.ticket, now, fetch),
            cell.renew(b.ticket, now, fetch),
            cell.renew(b.ticket, now, fetch)
        );
        let values = [a, b, c].map(|got| *got.expect("a value").value);
        assert_eq!((values, fetches.load(SeqCst)), ([1, 1, 1], 2));
    }

    #[tokio::test]
    async fn a_failed_fetch_is_told_to_all_who_wanted_it_and_tried_again_by_the_next() {
        let (cell, fetches) = (Renewable::<u8>::new(), AtomicUsize::new(0));
        let now = Instant::now();
        let fail = || async {
            tokio::task::yield_now().await;
            fetches.fetch_add(1, SeqCst);
            Err(Outcome::Auth("no".into()))
        };
        let (a, b) = tokio::join!(cell.current(now, fail), cell.current(now, fail));
        assert!(a.is_err() && b.is_err());
        assert_eq!(fetches.load(SeqCst), 1);
        let good = cell
            .current(now, || async { Ok((7, None)) })
            .await
            .expect("a value");
        let other = good.clone();
        assert!(cell.renew(good.ticket, now, fail).await.is_err());
        assert!(cell.renew(other.ticket, now, fail).await.is_err());
        assert_eq!(fetches.load(SeqCst), 2, "one for all that wore it");
        assert!(cell.current(now, || async { Ok((8, None)) }).await.is_ok());
    }

    #[tokio::test]
    async fn it_is_renewed_before_it_ends_and_serves_until_then() {
        let cell = Renewable::new();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let good = |value| move || async move { Ok((value, minute())) };
        let fail = || async { Err(Outcome::Transient("down".into())) };
        assert_eq!(*cell.current(now, good(1)).await.expect("it").value, 1);
        assert_eq!(*cell.current(at(539), good(2)).await.expect("it").value, 1);
        assert_eq!(*cell.current(at(540), fail).await.expect("it").value, 1);
        assert_eq!(*cell.current(at(549), good(2)).await.expect("it").value, 1);
        assert_eq!(*cell.current(at(551), good(2)).await.expect("it").value, 2);
        assert!(
            cell.current(at(551 + 600), fail).await.is_err(),
            "it has ended"
        );
    }
}
