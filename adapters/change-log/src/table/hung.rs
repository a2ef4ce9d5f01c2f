//! Threads of ODBC drivers that were given up while they waited: nobody can end them, so they are counted, and there is a limit to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Threads that hang, at most: each holds a connection, its buffers and a stack. With so many, no further session is begun.
const HUNG_MAX: usize = 16;

/// Those that hang now.
static HUNG: AtomicUsize = AtomicUsize::new(0);

/// A session's side. Dropped while it waits, its thread is one that hangs.
#[derive(Debug)]
pub(super) struct Hung {
    thread: Arc<Thread>,
    waits: bool,
}

/// The thread's side: dropped when it ends.
#[derive(Debug)]
pub(super) struct Ends(Arc<Thread>);

#[derive(Debug)]
struct Thread {
    /// Either side is gone.
    is_over: AtomicBool,
    all: &'static AtomicUsize,
}

impl Hung {
    /// Both sides of a thread that is about to be started.
    ///
    /// # Errors
    /// A sentence: too many hang.
    pub(super) fn new() -> Result<(Self, Ends), String> {
        Self::among(&HUNG)
    }

    fn among(all: &'static AtomicUsize) -> Result<(Self, Ends), String> {
        if all.load(Ordering::Relaxed) >= HUNG_MAX {
            return Err(format!(
                "{HUNG_MAX} threads hang in ODBC drivers whose databases do not answer, and no further one is begun until one of them comes back; look at the network and the driver's own timeouts, then restart the agent"
            ));
        }
        let thread = Arc::new(Thread {
            is_over: AtomicBool::new(false),
            all,
        });
        let session = Self {
            thread: Arc::clone(&thread),
            waits: false,
        };
        Ok((session, Ends(thread)))
    }

    /// The thread was asked something, or has answered.
    pub(super) fn waits(&mut self, waits: bool) {
        self.waits = waits;
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        if !self.waits {
            return;
        }
        // Counted first: the thread may end just now and take it off.
        self.thread.all.fetch_add(1, Ordering::AcqRel);
        if self.thread.is_over.swap(true, Ordering::AcqRel) {
            self.thread.all.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        if self.0.is_over.swap(true, Ordering::AcqRel) {
            self.0.all.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_threads_may_hang_and_no_more_until_one_comes_back() {
        static ALL: AtomicUsize = AtomicUsize::new(0);
        let begin = || Hung::among(&ALL);
        let hang = || {
            let (mut session, ends) = begin().expect("there is room");
            session.waits(true);
            ends
        };
        let mut hung: Vec<_> = (0..HUNG_MAX).map(|_| hang()).collect();
        let told = begin().expect_err("too many hang");
        assert!(told.contains("16 threads hang"), "{told}");
        hung.pop();
        let (mut session, ends) = begin().expect("one came back");
        session.waits(true);
        session.waits(false);
        drop((session, ends));
        let (mut session, ends) = begin().expect("that one had answered");
        session.waits(true);
        drop(ends);
        drop(session);
        assert_eq!(
            ALL.load(Ordering::Relaxed),
            HUNG_MAX - 1,
            "it had ended first"
        );
        drop(hung);
        assert_eq!(ALL.load(Ordering::Relaxed), 0);
    }
}
