//! Until when something is waited for, and what is said of that.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::pace::{Pace, RETRY_AFTER};

/// How long a chunk waits for its place: one that the stream comes to later, or never, is read again.
pub(crate) const HELD_MAX: Duration = Duration::from_secs(600);

/// What keeps a table from coming.
#[derive(Debug, Default)]
pub(super) struct Waits {
    rests_until: Option<Instant>,
    held_until: Option<Instant>,
    pace: Pace,
    /// Why it does not go on; empty: it does.
    said: String,
}

impl Waits {
    /// Waits until a wait is over; whether it was that of a chunk for its place. May be dropped and called again.
    pub(super) async fn over(&mut self) -> bool {
        tokio::select! {
            () = until(self.rests_until) => {
                self.rests_until = None;
                false
            }
            () = until(self.held_until) => {
                self.held_until = None;
                true
            }
        }
    }

    /// Nothing is to be asked now.
    pub(super) fn is_resting(&self) -> bool {
        self.rests_until.is_some()
    }

    /// How long a question waits behind the place that it is asked for at.
    pub(super) fn lead(&self) -> Duration {
        self.pace.lead()
    }

    /// Why it does not go on; empty: it does.
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    pub(super) fn says_nothing(&mut self) {
        self.said.clear();
    }

    /// Rows come, or no more are to.
    pub(super) fn goes_on(&mut self) {
        self.pace.goes_on();
        self.said.clear();
    }

    /// Another table is at hand.
    pub(super) fn leave(&mut self) {
        (self.rests_until, self.held_until) = (None, None);
        self.goes_on();
    }

    /// A chunk waits for its place.
    pub(super) fn holds(&mut self) {
        self.pace.seen();
        self.held_until = Some(Instant::now() + HELD_MAX);
    }

    pub(super) fn holds_no_more(&mut self) {
        self.held_until = None;
    }

    /// It waited in vain.
    pub(super) fn was_held(&mut self) {
        let reason = format!(
            "the stream did not come within {} s to what was read of it: it is behind, or its log does not lead there; it is read again",
            HELD_MAX.as_secs()
        );
        self.rest(RETRY_AFTER, &reason);
    }

    /// A chunk did not see all that was told before it.
    pub(super) fn is_unseen(&mut self, reason: &str) {
        if self.pace.unseen() {
            self.says(reason);
        }
    }

    /// The table is not what it was when it was read.
    pub(super) fn was_spoilt(&mut self) {
        let (time, is_news) = self.pace.spoilt();
        self.rests_until = Some(Instant::now() + time);
        if is_news {
            self.says("it was altered while it was read, more rows changed in part than are kept, or its log does not tell its key: a part is read again");
        }
    }

    /// It could not be read; whether another table is to go first.
    pub(super) fn has_failed(&mut self, reason: &str) -> bool {
        self.rest(RETRY_AFTER, reason);
        self.pace.failed()
    }

    fn rest(&mut self, time: Duration, reason: &str) {
        self.rests_until = Some(Instant::now() + time);
        self.says(reason);
    }

    fn says(&mut self, reason: &str) {
        if self.said != reason {
            warn!(reason, "a table's rows can't be read again yet");
            reason.clone_into(&mut self.said);
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        None => std::future::pending().await,
        Some(time) => sleep_until(time).await,
    }
}
