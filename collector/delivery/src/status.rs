//! What a target tells about itself.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use std::time::Instant;

use dray_proto::FlowName;
use tokio::sync::watch;

use crate::catalogue::{Agreed, Catalogue, Phase};
use crate::gate::Broken;
use crate::phase::Standing;

/// Upper bounds of the latency buckets, in seconds.
pub const LATENCY_BOUNDS_S: [f64; 16] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0, 3600.0,
];
const BOUNDS_US: [i64; 16] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    60_000_000,
    600_000_000,
    3_600_000_000,
];

/// What a target is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It is sent to.
    #[default]
    Running,
    /// It isn't, and will be by itself: it does not answer, or asked for time.
    Waiting,
    /// It isn't until somebody resumes it.
    Paused,
    /// Its engine ended.
    Stopped,
}

impl State {
    /// "running", "waiting", "paused" or "stopped".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// A target at a moment.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Its name.
    pub target: String,
    /// What it is doing.
    pub state: State,
    /// Why it waits or is paused; may be empty.
    pub detail: String,
    /// Events that it accepted since this process started, repeats counted.
    pub delivered: u64,
    /// Requests sent since this process started.
    pub requests: u64,
    /// Requests that failed or were put off.
    pub failures: u64,
    /// Events that were refused or could not be written.
    pub rejected: u64,
    /// Exceptions that are dead, overtaken or about to be retried.
    pub dead: u64,
    /// Exceptions held behind another one.
    pub held: u64,
    /// Events that the target works on, that wait for what they name, or that somebody must agree to.
    pub waiting: u64,
    /// Events that something newer of their key replaced before they were sent, since this process started.
    pub outdated: u64,
    /// Events of flows in shadow that were looked at since this process started.
    pub shadowed: u64,
    /// The open breaker.
    pub broken: Option<Breakage>,
    /// How often the breaker opened since this process started.
    pub breaker_opened: u64,
    /// Events that wait longer for what they name than [`crate::references::HoldsConfig::alarm_after`].
    pub missing_overdue: u64,
    /// Events in the log that are not finished; of what is not read yet also those that the target does not take.
    pub backlog: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// The replay that runs: its id, how many of its events are settled, and of how many; 0: none.
    pub replay: (u64, u64, u64),
    /// When the oldest undelivered event was captured, microseconds since 1970-01-01T00:00:00Z.
    pub oldest_undelivered_us: Option<i64>,
    /// What is wrong now, or the last thing that went wrong; empty if nothing did, or requests failed and are taken again.
    pub last_error: String,
    /// When that was, microseconds since 1970-01-01T00:00:00Z; 0: it is so now.
    pub last_error_us: i64,
    /// Events that failed while others were taken, or may have: they are tried again on their own.
    pub failing: u64,
    /// Per flow.
    pub flows: Vec<FlowMetrics>,
}

/// An open breaker at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breakage {
    /// What opened it, in words.
    pub cause: String,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub since_us: i64,
    /// Tries since.
    pub probes: u32,
}

/// A flow of a target at a moment.
#[derive(Debug, Clone)]
pub struct FlowMetrics {
    /// Its name.
    pub flow: FlowName,
    /// As in [`Metrics`].
    pub delivered: u64,
    /// As in [`Metrics`].
    pub backlog: u64,
    /// As in [`Metrics`].
    pub oldest_undelivered_us: Option<i64>,
    /// From capture to the target's answer.
    pub latency: Latency,
    /// What is agreed about it.
    pub agreed: Arc<Agreed>,
    /// What becomes of its events.
    pub phase: Phase,
    /// Where that began; `None`: it was never anything but live.
    pub standing: Option<Standing>,
    /// Events that wait longer than agreed.
    pub overdue: u64,
}

/// A histogram; `buckets[n]` counts what took at most [`LATENCY_BOUNDS_S`]`[n]`, those below included.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latency {
    /// Cumulative.
    pub buckets: [u64; 16],
    /// All.
    pub count: u64,
    /// Seconds, of all.
    pub sum_s: f64,
}

/// A flow's counters.
#[derive(Debug)]
pub(crate) struct FlowStats {
    flow: FlowName,
    agreed: Arc<Agreed>,
    phase: Phase,
    standing: Option<Standing>,
    delivered: AtomicU64,
    pub(crate) overdue: AtomicU64,
    pub(crate) backlog: AtomicU64,
    /// 0: none.
    pub(crate) oldest_us: AtomicI64,
    buckets: [AtomicU64; 17],
    sum_us: AtomicU64,
}

/// Latencies of one batch and flow, before they are added: one addition a batch, not an event.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    buckets: [u64; 17],
    sum_us: u64,
    count: u64,
}

impl Tally {
    pub(crate) fn note(&mut self, latency_us: i64) {
        let latency_us = latency_us.max(0);
        self.buckets[BOUNDS_US.partition_point(|bound| *bound < latency_us)] += 1;
        self.sum_us = self.sum_us.saturating_add(latency_us as u64);
        self.count += 1;
    }
}

impl FlowStats {
    pub(crate) fn new(
        flow: FlowName,
        agreed: Arc<Agreed>,
        phase: Phase,
        standing: Option<Standing>,
    ) -> Self {
        Self {
            flow,
            agreed,
            phase,
            standing,
            delivered: AtomicU64::new(0),
            overdue: AtomicU64::new(0),
            backlog: AtomicU64::new(0),
            oldest_us: AtomicI64::new(0),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_us: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, tally: &Tally) {
        self.delivered.fetch_add(tally.count, Relaxed);
        self.sum_us.fetch_add(tally.sum_us, Relaxed);
        for (bucket, count) in self
            .buckets
            .iter()
            .zip(tally.buckets)
            .filter(|(_, count)| *count > 0)
        {
            bucket.fetch_add(count, Relaxed);
        }
    }

    fn snapshot(&self) -> FlowMetrics {
        let mut count = 0;
        let mut latency = Latency::default();
        for (index, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Relaxed);
            if let Some(cumulative) = latency.buckets.get_mut(index) {
                *cumulative = count;
            }
        }
        latency.count = count;
        latency.sum_s = self.sum_us.load(Relaxed) as f64 / 1e6;
        FlowMetrics {
            flow: self.flow.clone(),
            delivered: self.delivered.load(Relaxed),
            backlog: self.backlog.load(Relaxed),
            oldest_undelivered_us: Some(self.oldest_us.load(Relaxed)).filter(|micros| *micros != 0),
            latency,
            agreed: Arc::clone(&self.agreed),
            phase: self.phase,
            standing: self.standing.clone(),
            overdue: self.overdue.load(Relaxed),
        }
    }
}

/// What the engine writes and the handle reads.
#[derive(Debug)]
pub(crate) struct Shared {
    target: String,
    pub(crate) delivered: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) dead: AtomicU64,
    pub(crate) held: AtomicU64,
    pub(crate) waiting: AtomicU64,
    pub(crate) outdated: AtomicU64,
    pub(crate) shadowed: AtomicU64,
    breaker_opened: AtomicU64,
    pub(crate) missing_overdue: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) failing: AtomicU64,
    /// The last error is that a request failed, which passes: looked at with each success.
    has_failure: AtomicBool,
    pub(crate) replay_id: AtomicU64,
    pub(crate) replay_settled: AtomicU64,
    pub(crate) replay_total: AtomicU64,
    words: Mutex<Words>,
    flows: RwLock<Vec<Arc<FlowStats>>>,
    /// Counts what was published.
    pub(crate) changed: watch::Sender<u64>,
}

#[derive(Debug, Default, Clone)]
struct Words {
    state: State,
    detail: String,
    last_error: String,
    last_error_us: i64,
    /// That some wait too long, as long as they do.
    overdue: String,
    broken: Option<Breakage>,
}

impl Shared {
    pub(crate) fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            delivered: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            held: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            outdated: AtomicU64::new(0),
            shadowed: AtomicU64::new(0),
            breaker_opened: AtomicU64::new(0),
            missing_overdue: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            failing: AtomicU64::new(0),
            has_failure: AtomicBool::new(false),
            replay_id: AtomicU64::new(0),
            replay_settled: AtomicU64::new(0),
            replay_total: AtomicU64::new(0),
            words: Mutex::default(),
            flows: RwLock::default(),
            changed: watch::Sender::new(0),
        }
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_flow(&self, flow: &Arc<FlowStats>) {
        self.flows
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(flow));
    }

    /// So much waits of a flow, which may be one that nobody has read yet.
    pub(crate) fn recount(&self, flow: &FlowName, catalogue: &Catalogue, backlog: u64) {
        let mut flows = self.flows.write().unwrap_or_else(PoisonError::into_inner);
        let known = flows.iter().position(|stats| stats.flow == *flow);
        let at = known.unwrap_or_else(|| {
            let phase = catalogue.phase(flow, &self.target);
            let agreed = Arc::new(catalogue.of(flow));
            flows.push(Arc::new(FlowStats::new(flow.clone(), agreed, phase, None)));
            flows.len() - 1
        });
        flows[at].backlog.store(backlog, Relaxed);
    }

    pub(crate) fn show(&self, state: State, detail: &str) {
        let mut words = self.words();
        words.state = state;
        if words.detail != detail {
            words.detail = detail.to_owned();
        }
    }

    /// The breaker is open.
    pub(crate) fn note_broken(&self, broken: &Broken, now: Instant) {
        let mut words = self.words();
        let lasted_us = i64::try_from((now - broken.since).as_micros()).unwrap_or(0);
        let now_us = jiff::Timestamp::now().as_microsecond();
        let opened = words.broken.is_none();
        let before = words.broken.take().map(|before| before.since_us);
        words.broken = Some(Breakage {
            cause: broken.cause.to_string(),
            since_us: before.unwrap_or(now_us - lasted_us),
            probes: broken.probes,
        });
        if opened {
            self.breaker_opened.fetch_add(1, Relaxed);
        }
    }

    /// It is closed.
    pub(crate) fn note_whole(&self) {
        self.words().broken = None;
    }

    /// Something is wrong that does not pass by itself.
    pub(crate) fn note_error(&self, sentence: &str) {
        let mut words = self.words();
        words.last_error = sentence.to_owned();
        words.last_error_us = jiff::Timestamp::now().as_microsecond();
        self.has_failure.store(false, Relaxed);
    }

    /// A request failed.
    pub(crate) fn note_failure(&self, sentence: &str) {
        self.note_error(sentence);
        self.has_failure.store(true, Relaxed);
    }

    /// Something was taken, and nothing fails: requests that failed before are over.
    pub(crate) fn forget_failure(&self) {
        if self.has_failure.swap(false, Relaxed) {
            self.words().last_error.clear();
        }
    }

    /// Some wait too long for what they name; empty: none does.
    pub(crate) fn note_overdue(&self, sentence: String) {
        self.words().overdue = sentence;
    }

    pub(crate) fn snapshot(&self) -> Metrics {
        let words = self.words().clone();
        let flows: Vec<_> = {
            let flows = self.flows.read().unwrap_or_else(PoisonError::into_inner);
            flows.iter().map(|flow| flow.snapshot()).collect()
        };
        Metrics {
            target: self.target.clone(),
            state: words.state,
            detail: words.detail,
            delivered: self.delivered.load(Relaxed),
            requests: self.requests.load(Relaxed),
            failures: self.failures.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            dead: self.dead.load(Relaxed),
            held: self.held.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            outdated: self.outdated.load(Relaxed),
            shadowed: self.shadowed.load(Relaxed),
            broken: words.broken,
            breaker_opened: self.breaker_opened.load(Relaxed),
            missing_overdue: self.missing_overdue.load(Relaxed),
            backlog: flows.iter().map(|flow| flow.backlog).sum(),
            in_flight: self.in_flight.load(Relaxed),
            replay: (
                self.replay_id.load(Relaxed),
                self.replay_settled.load(Relaxed),
                self.replay_total.load(Relaxed),
            ),
            oldest_undelivered_us: flows
                .iter()
                .filter_map(|flow| flow.oldest_undelivered_us)
                .min(),
            last_error_us: match words.overdue.is_empty() {
                true => words.last_error_us,
                false => 0,
            },
            last_error: match words.overdue.is_empty() {
                true => words.last_error,
                false => words.overdue,
            },
            failing: self.failing.load(Relaxed),
            flows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_counted_cumulatively() {
        let stats = FlowStats::new(
            FlowName::parse("north/stock").expect("a name"),
            Arc::default(),
            Phase::Live,
            None,
        );
        let mut tally = Tally::default();
        for latency_us in [-5, 1_000, 1_001, 3_000_000, i64::MAX] {
            tally.note(latency_us);
        }
        stats.add(&tally);
        let latency = stats.snapshot().latency;
        assert_eq!(latency.buckets[..2], [2, 3]);
        assert_eq!(
            (
                latency.buckets[10],
                latency.buckets[11],
                latency.buckets[15],
                latency.count
            ),
            (3, 4, 4, 5)
        );
        for (bound, seconds) in BOUNDS_US.iter().zip(LATENCY_BOUNDS_S) {
            assert!((*bound as f64 / 1e6 - seconds).abs() < 1e-9);
        }
    }
}
