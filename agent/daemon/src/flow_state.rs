//! What is known of a flow outside its thread.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use dray_adapter::{Calls, KeptLog};
use dray_buffer::Sequence;
use dray_proto::FlowName;

use crate::bell::Bell;
use crate::metrics::FlowMetrics;

/// Appends whose way to the ack is timed at once. During an outage the oldest are no longer timed:
/// `dray_agent_oldest_unsent_seconds` tells of those.
pub const TIMED_MAX: usize = 4_096;

/// How a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It works, or has nothing to do.
    Running,
    /// Something is in the way that may pass by itself.
    Waiting,
    /// It ended; a person is needed.
    Stopped,
}

impl Health {
    /// As `status` shows it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }
}

/// One flow, for `status`, metrics and the uplink.
#[derive(Debug)]
pub struct FlowState {
    /// `site/flow`.
    pub name: FlowName,
    /// Its counters.
    pub metrics: FlowMetrics,
    /// It is configured no more.
    left_over: bool,
    calls: Option<Arc<Calls>>,
    /// Rings its thread; `None` where it has none.
    bell: Option<Arc<Bell>>,
    kept_log: Option<Arc<KeptLog>>,
    said: Mutex<Said>,
    timed: Mutex<Timed>,
}

#[derive(Debug)]
struct Said {
    source: (Health, String),
    /// Why the collector takes nothing of this flow; empty while it does.
    refused: String,
    /// What the source does besides reading on.
    doing: Option<String>,
}

#[derive(Debug, Default)]
struct Timed {
    appends: VecDeque<(Sequence, i64)>,
    acked: Sequence,
}

impl FlowState {
    /// A flow that is about to start.
    #[must_use]
    pub fn new(name: FlowName, metrics: FlowMetrics) -> Self {
        Self {
            name,
            metrics,
            left_over: false,
            calls: None,
            bell: None,
            kept_log: None,
            said: Mutex::new(Said {
                source: (Health::Running, String::new()),
                refused: String::new(),
                doing: None,
            }),
            timed: Mutex::default(),
        }
    }

    /// It has no source any more, only events that are held.
    #[must_use]
    pub fn left_over(mut self) -> Self {
        self.left_over = true;
        self
    }

    /// Its source serves or makes calls, where there are any to look at.
    #[must_use]
    pub fn with_calls(mut self, calls: Option<Arc<Calls>>) -> Self {
        self.calls = calls;
        self
    }

    /// Its thread hears this.
    #[must_use]
    pub fn with_bell(mut self, bell: Arc<Bell>) -> Self {
        self.bell = Some(bell);
        self
    }

    /// What rings its thread.
    #[must_use]
    pub fn bell(&self) -> Option<&Bell> {
        self.bell.as_deref()
    }

    /// Sets what its source does besides reading on.
    pub fn set_doing(&self, doing: Option<String>) {
        lock(&self.said).doing = doing;
    }

    /// What its source does besides reading on, in a sentence.
    #[must_use]
    pub fn doing(&self) -> Option<String> {
        lock(&self.said).doing.clone()
    }

    /// A database keeps its log for it, where one does.
    #[must_use]
    pub fn with_kept_log(mut self, kept_log: Option<Arc<KeptLog>>) -> Self {
        self.kept_log = kept_log;
        self
    }

    /// How much of its log a database keeps for it; `None` where none does.
    #[must_use]
    pub fn kept_log(&self) -> Option<&KeptLog> {
        self.kept_log.as_deref()
    }

    /// What became of its calls; `None` where it has none.
    #[must_use]
    pub fn calls(&self) -> Option<&Calls> {
        self.calls.as_deref()
    }

    /// Whether it is only shown while events of it are held.
    #[must_use]
    pub fn is_left_over(&self) -> bool {
        self.left_over
    }

    /// Sets how the source's side is; `true` if that is news.
    pub fn set(&self, health: Health, detail: &str) -> bool {
        let mut said = lock(&self.said);
        let news = said.source.0 != health || said.source.1 != detail;
        if news {
            said.source = (health, detail.to_owned());
        }
        news
    }

    /// The collector takes nothing of this flow, or (with an empty reason) takes it again.
    pub fn set_refused(&self, reason: &str) {
        let mut said = lock(&self.said);
        if said.refused != reason {
            said.refused = reason.to_owned();
        }
    }

    /// How it is, with a sentence when there is something to say.
    #[must_use]
    pub fn get(&self) -> (Health, String) {
        let said = lock(&self.said);
        match &said.source {
            (Health::Running, _) if !said.refused.is_empty() => (
                Health::Waiting,
                format!("the collector refuses it: {}", said.refused),
            ),
            (health, detail) => (*health, detail.clone()),
        }
    }

    /// Events up to `through`, the oldest captured at `captured_us`, are on this machine's disk.
    pub fn appended(&self, through: Sequence, captured_us: i64) {
        let mut timed = lock(&self.timed);
        if through <= timed.acked {
            // The ack overtook the flow's thread.
            drop(timed);
            self.observe(captured_us);
            return;
        }
        if timed.appends.len() == TIMED_MAX {
            timed.appends.pop_front();
        }
        timed.appends.push_back((through, captured_us));
    }

    /// Events up to `through` are on the collector's disk.
    pub fn acked(&self, through: Sequence) {
        let mut timed = lock(&self.timed);
        timed.acked = timed.acked.max(through);
        while let Some(&(appended, captured_us)) = timed.appends.front() {
            if appended > through {
                break;
            }
            timed.appends.pop_front();
            self.observe(captured_us);
        }
    }

    /// Sequences begin anew: what is timed under the old ones is not timed any more.
    pub fn renumbered(&self) {
        *lock(&self.timed) = Timed::default();
    }

    fn observe(&self, captured_us: i64) {
        let took_us = now_us().saturating_sub(captured_us).max(0);
        self.metrics.capture_to_ack.observe(took_us as f64 / 1e6);
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
}

/// A poisoned lock is used on: what it holds is whole after each statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn state() -> FlowState {
        let name = FlowName::new("north", "shipments").expect("a name");
        FlowState::new(name.clone(), Metrics::new().expect("metrics").flow(&name))
    }

    #[test]
    fn news_is_told_once() {
        let state = state();
        assert!(state.set(Health::Waiting, "the folder is gone"));
        assert!(!state.set(Health::Waiting, "the folder is gone"));
        assert_eq!(state.get(), (Health::Waiting, "the folder is gone".into()));
        assert!(state.set(Health::Running, ""));
        state.set_refused("its disk is full");
        let (health, detail) = state.get();
        assert_eq!(health, Health::Waiting);
        assert!(detail.contains("its disk is full"));
        state.set_refused("");
        assert_eq!(state.get().0, Health::Running);
    }

    #[test]
    fn each_append_is_timed_once_whoever_is_first() {
        let state = state();
        let timed = || state.metrics.capture_to_ack.get_sample_count();
        state.appended(Sequence(10), now_us());
        state.appended(Sequence(20), now_us());
        state.acked(Sequence(15));
        assert_eq!(timed(), 1);
        state.acked(Sequence(30));
        assert_eq!(timed(), 2);
        state.appended(Sequence(30), now_us());
        assert_eq!(timed(), 3, "the ack came first");
        for through in 100..100 + 2 * TIMED_MAX as u64 {
            state.appended(Sequence(through), now_us());
        }
        state.acked(Sequence(u64::MAX));
        assert_eq!(
            timed(),
            3 + TIMED_MAX as u64,
            "an outage keeps a bounded number"
        );
    }
}
