//! What others tell a flow's thread, and how it waits for them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::Duration;

use bytes::Bytes;
use dray_adapter::LoadRequest;

/// Requests that a flow's thread has not taken yet, at most: a person makes them.
const REQUESTS_MAX: usize = 16;

/// Rung by the source's watcher, by answered receipts, by the uplink's acks and by the shutdown.
///
/// Nothing queues up: rings add to each other, and of the acked positions only the newest counts.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<Rung>,
    changed: Condvar,
    requests: Mutex<Requests>,
}

#[derive(Debug, Default)]
struct Requests {
    waiting: Vec<LoadRequest>,
    /// Why nobody takes any; empty: somebody does.
    closed: String,
}

/// What was told since it was last asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rung {
    /// Something happened that has no field here: a receipt was answered.
    any: bool,
    /// The source has something to poll.
    pub woken: bool,
    /// The newest known position that the collector acked; empty where none is known.
    pub acked: Option<Bytes>,
    /// The collector takes the flow, and holds it up to this position; empty where it holds nothing.
    pub held: Option<Bytes>,
    /// The source is to be opened again, at this position or else at its own.
    pub reopen: Option<Option<Bytes>>,
    /// The agent ends. Stays told.
    pub stop: bool,
}

impl Bell {
    /// The source has something.
    pub fn wake_source(&self) {
        self.ring(|rung| rung.woken = true);
    }

    /// Everything up to `position` is on the collector's disk; where that is empty, up to some place that nobody kept.
    pub fn acked(&self, position: Bytes) {
        self.ring(|rung| {
            if rung.acked.is_none() || !position.is_empty() {
                rung.acked = Some(position);
            }
        });
    }

    /// The collector takes the flow, and holds it up to `position`.
    pub fn held(&self, position: Bytes) {
        self.ring(|rung| rung.held = Some(position));
    }

    /// A new epoch began: the source is to be opened again.
    pub fn reopen(&self, position: Option<Bytes>) {
        self.ring(|rung| rung.reopen = Some(position));
    }

    /// A table's rows are wanted again, or not any more. Refused where [`REQUESTS_MAX`] wait, and where the flow's thread has ended.
    pub fn ask(&self, request: LoadRequest) {
        let mut requests = self.requests();
        if !requests.closed.is_empty() {
            return request.refuse(&requests.closed);
        }
        if requests.waiting.len() >= REQUESTS_MAX {
            return request.refuse("too many requests wait already: ask again later");
        }
        requests.waiting.push(request);
        drop(requests);
        self.ring(|_| ());
    }

    /// What was asked for since this was last asked.
    pub fn asked(&self) -> Vec<LoadRequest> {
        std::mem::take(&mut self.requests().waiting)
    }

    /// The flow's thread ends: what waits, and what is asked for from now on, is refused for this reason.
    pub fn close(&self, reason: &str) {
        let mut requests = self.requests();
        reason.clone_into(&mut requests.closed);
        let waiting = std::mem::take(&mut requests.waiting);
        drop(requests);
        waiting
            .into_iter()
            .for_each(|request| request.refuse(reason));
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent ends.
    pub fn stop(&self) {
        self.ring(|rung| rung.stop = true);
    }

    fn ring(&self, tell: impl FnOnce(&mut Rung)) {
        let mut rung = self.lock();
        tell(&mut rung);
        rung.any = true;
        drop(rung);
        self.changed.notify_all();
    }

    /// What was told; it counts as heard.
    pub fn take(&self) -> Rung {
        let mut rung = self.lock();
        let stop = rung.stop;
        std::mem::replace(
            &mut *rung,
            Rung {
                stop,
                ..Rung::default()
            },
        )
    }

    /// Waits until anything is told that was not yet taken, or until the time is over.
    pub fn wait(&self, time: Duration) {
        let rung = self.lock();
        drop(
            self.changed
                .wait_timeout_while(rung, time, |rung| !rung.any),
        );
    }

    /// A poisoned lock is used on: each field stands for itself.
    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So that a receipt's future can be polled by a thread without a runtime.
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring(|_| ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard_once_and_stop_for_ever() {
        let bell = Bell::default();
        bell.acked(Bytes::from_static(b"1"));
        bell.acked(Bytes::from_static(b"2"));
        bell.acked(Bytes::new());
        bell.wake_source();
        bell.wait(Duration::MAX);
        let rung = bell.take();
        assert_eq!(
            (rung.woken, rung.acked),
            (true, Some(Bytes::from_static(b"2")))
        );
        assert_eq!(bell.take(), Rung::default());
        bell.stop();
        assert!(bell.take().stop && bell.take().stop);
    }

    #[test]
    fn a_request_is_answered_also_where_the_flow_has_ended() {
        let bell = Bell::default();
        let (tell, told) = std::sync::mpsc::channel();
        let ask = || {
            let tell = tell.clone();
            bell.ask(LoadRequest::new("public.stock", move |said| {
                tell.send(said).expect("it is heard");
            }));
        };
        ask();
        assert!(told.try_recv().is_err(), "it waits");
        bell.close("the buffer is opened again");
        ask();
        for _ in 0..2 {
            let said = told.try_recv().expect("an answer");
            assert_eq!(said, Err("the buffer is opened again".into()));
        }
        assert!(bell.asked().is_empty());
    }

    #[test]
    fn a_ring_from_another_thread_ends_the_wait() {
        let bell = Arc::new(Bell::default());
        let other = Arc::clone(&bell);
        let thread = std::thread::spawn(move || std::task::Waker::from(other).wake());
        bell.wait(Duration::from_secs(3_600));
        thread.join().expect("it only rings");
    }
}
