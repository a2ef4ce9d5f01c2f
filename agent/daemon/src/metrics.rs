//! The agent's metrics. Each answers an operator's question; labels are the flow's full name, and what became of a call.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use dray_adapter::{CallCount, Kept};
use dray_proto::FlowName;

/// How far behind is it?
pub const OLDEST_UNSENT_SECONDS: &str = "dray_agent_oldest_unsent_seconds";
/// How much waits for the collector?
pub const BACKLOG_EVENTS: &str = "dray_agent_backlog_events";
/// The same in bytes as they will travel.
pub const BACKLOG_BYTES: &str = "dray_agent_backlog_bytes";
/// How full is the disk's share?
pub const BUFFER_BYTES: &str = "dray_agent_buffer_bytes";
/// And how large is it?
pub const BUFFER_MAX_BYTES: &str = "dray_agent_buffer_max_bytes";
/// Do the sources wait for room?
pub const BUFFER_WAITING: &str = "dray_agent_buffer_waiting";
/// What comes in?
pub const APPENDED_EVENTS: &str = "dray_agent_appended_events_total";
/// How many bytes is that on disk and line?
pub const APPENDED_BYTES: &str = "dray_agent_appended_bytes_total";
/// What can't go on?
pub const DEAD_LETTERS: &str = "dray_agent_dead_letters_total";
/// What was left behind, as the configuration says?
pub const SKIPPED_RECORDS: &str = "dray_agent_skipped_records_total";
/// What becomes of the calls that a flow serves or makes?
pub const CALLS: &str = "dray_agent_calls_total";
/// How much of its log does a database keep for the flow? Absent where none does, or that can't be told.
pub const SOURCE_LOG_KEPT_BYTES: &str = "dray_agent_source_log_kept_bytes";
/// How much may still be written before that is dropped? Absent where there is no limit.
pub const SOURCE_LOG_LEFT_BYTES: &str = "dray_agent_source_log_left_bytes";
/// How long does a batch take from being read to the collector's disk?
pub const CAPTURE_TO_ACK_SECONDS: &str = "dray_agent_capture_to_ack_seconds";
/// Does the flow run (1), wait (0.5) or stand still until somebody comes (0)?
pub const FLOW_HEALTH: &str = "dray_agent_flow_health";
/// Is the collector there?
pub const UPLINK_CONNECTED: &str = "dray_agent_uplink_connected";
/// How often was the connection made?
pub const UPLINK_CONNECTS: &str = "dray_agent_uplink_connects_total";
/// How often did it end?
pub const UPLINK_DISCONNECTS: &str = "dray_agent_uplink_disconnects_total";
/// When does the certificate end?
pub const CERTIFICATE_ENDS: &str = "dray_agent_certificate_ends_timestamp_seconds";

/// From what a good day shows (6 and 12 ms are the goals of p50 and p99) to an outage of a day.
const LATENCY_BUCKETS: [f64; 20] = [
    0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    60.0, 300.0, 1_800.0, 14_400.0, 86_400.0,
];

/// All of them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    oldest_unsent: GaugeVec,
    backlog_events: IntGaugeVec,
    backlog_bytes: IntGaugeVec,
    health: GaugeVec,
    appended_events: IntCounterVec,
    appended_bytes: IntCounterVec,
    dead_letters: IntCounterVec,
    skipped: IntCounterVec,
    capture_to_ack: HistogramVec,
    source_log_kept: IntGaugeVec,
    source_log_left: IntGaugeVec,
    /// Locked while what the sources counted is taken over, so that no two pages take the same.
    calls: Mutex<IntCounterVec>,
    buffer_bytes: IntGauge,
    buffer_max_bytes: IntGauge,
    buffer_waiting: IntGauge,
    certificate_ends: Gauge,
    /// 1 while the collector is there.
    pub uplink_connected: IntGauge,
    /// Connections made.
    pub uplink_connects: IntCounter,
    /// Connections lost.
    pub uplink_disconnects: IntCounter,
}

/// One flow's counters, their labels resolved.
#[derive(Debug, Clone)]
pub struct FlowMetrics {
    /// Events on this machine's disk, dead letters among them.
    pub appended_events: IntCounter,
    /// Bytes of their blocks.
    pub appended_bytes: IntCounter,
    /// Records that became a dead letter.
    pub dead_letters: IntCounter,
    /// Records that no mapping took.
    pub skipped: IntCounter,
    /// Per batch.
    pub capture_to_ack: Histogram,
}

/// What is measured when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct FlowSample {
    /// Since the oldest unsent event was read.
    pub oldest_unsent: Duration,
    /// Events that wait for the collector.
    pub backlog_events: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// As in [`FLOW_HEALTH`].
    pub health: f64,
}

impl Metrics {
    /// New ones, all zero.
    ///
    /// # Errors
    /// Never in practice: a name stands twice.
    pub fn new() -> Result<Self, prometheus::Error> {
        let made = Maker(Registry::new());
        let latency = "Time from reading a batch to the collector's ack, in seconds";
        let buckets =
            HistogramOpts::new(CAPTURE_TO_ACK_SECONDS, latency).buckets(LATENCY_BUCKETS.to_vec());
        let capture_to_ack = HistogramVec::new(buckets, &["flow"])?;
        made.0.register(Box::new(capture_to_ack.clone()))?;
        let calls = Opts::new(
            CALLS,
            "Calls that the flow serves or makes, by what became of them",
        );
        let calls = IntCounterVec::new(calls, &["flow", "outcome"])?;
        made.0.register(Box::new(calls.clone()))?;
        Ok(Self {
            oldest_unsent: made.gauges(
                OLDEST_UNSENT_SECONDS,
                "Age of the oldest event that the collector has not acked; 0 when it has all",
            )?,
            backlog_events: made
                .int_gauges(BACKLOG_EVENTS, "Events that wait for the collector")?,
            backlog_bytes: made.int_gauges(
                BACKLOG_BYTES,
                "Bytes of the blocks that wait for the collector",
            )?,
            health: made.gauges(
                FLOW_HEALTH,
                "1: runs; 0.5: waits for something that may pass; 0: stopped, a person is needed",
            )?,
            appended_events: made.counters(
                APPENDED_EVENTS,
                "Events on this machine's disk, dead letters among them",
            )?,
            appended_bytes: made
                .counters(APPENDED_BYTES, "Bytes of blocks on this machine's disk")?,
            dead_letters: made.counters(DEAD_LETTERS, "Records that became a dead letter")?,
            skipped: made.counters(
                SKIPPED_RECORDS,
                "Records that no mapping took and that the flow is to skip",
            )?,
            capture_to_ack,
            source_log_kept: made.int_gauges(
                SOURCE_LOG_KEPT_BYTES,
                "Bytes of its log that a database keeps for the flow",
            )?,
            source_log_left: made.int_gauges(
                SOURCE_LOG_LEFT_BYTES,
                "Bytes that the database may still write before it drops what it keeps for the flow",
            )?,
            calls: Mutex::new(calls),
            buffer_bytes: made.int_gauge(BUFFER_BYTES, "Bytes of the buffer on disk")?,
            buffer_max_bytes: made.int_gauge(BUFFER_MAX_BYTES, "The buffer's cap")?,
            buffer_waiting: made.int_gauge(
                BUFFER_WAITING,
                "1 while sources wait because the buffer has no room",
            )?,
            certificate_ends: made.gauge(
                CERTIFICATE_ENDS,
                "When the agent's certificate ends, in seconds since 1970",
            )?,
            uplink_connected: made
                .int_gauge(UPLINK_CONNECTED, "1 while the collector is connected")?,
            uplink_connects: made.counter(
                UPLINK_CONNECTS,
                "Connections to the collector that were made",
            )?,
            uplink_disconnects: made.counter(
                UPLINK_DISCONNECTS,
                "Connections to the collector that ended",
            )?,
            registry: made.0,
        })
    }

    /// The counters of one flow; they are shown from now on, as zero.
    #[must_use]
    pub fn flow(&self, name: &FlowName) -> FlowMetrics {
        let label = &[name.as_str()];
        FlowMetrics {
            appended_events: self.appended_events.with_label_values(label),
            appended_bytes: self.appended_bytes.with_label_values(label),
            dead_letters: self.dead_letters.with_label_values(label),
            skipped: self.skipped.with_label_values(label),
            capture_to_ack: self.capture_to_ack.with_label_values(label),
        }
    }

    /// Sets what is measured when somebody asks.
    pub fn sample_flow(&self, name: &FlowName, sample: &FlowSample) {
        let label = &[name.as_str()];
        self.oldest_unsent
            .with_label_values(label)
            .set(sample.oldest_unsent.as_secs_f64());
        self.backlog_events
            .with_label_values(label)
            .set(whole(sample.backlog_events));
        self.backlog_bytes
            .with_label_values(label)
            .set(whole(sample.backlog_bytes));
        self.health.with_label_values(label).set(sample.health);
    }

    /// Takes over what a flow's source counted since its start.
    pub fn sample_calls(&self, name: &FlowName, counts: &[CallCount]) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        for one in counts {
            let counter = calls.with_label_values(&[name.as_str(), one.outcome.word()]);
            counter.inc_by(one.count.saturating_sub(counter.get()));
        }
    }

    /// Sets what a database keeps of its log for the flow; what can't be told is not shown.
    pub fn sample_kept(&self, name: &FlowName, kept: Option<Kept>) {
        let label = &[name.as_str()];
        let figures = [
            (&self.source_log_kept, kept.map(|kept| kept.bytes)),
            (&self.source_log_left, kept.and_then(|kept| kept.left_bytes)),
        ];
        for (gauge, bytes) in figures {
            match bytes {
                Some(bytes) => gauge.with_label_values(label).set(whole(bytes)),
                // It fails where it was not shown, which is as well.
                None => drop(gauge.remove_label_values(label)),
            }
        }
    }

    /// Sets the buffer's.
    pub fn sample_buffer(&self, bytes: u64, bytes_max: u64, waiting: bool) {
        self.buffer_bytes.set(whole(bytes));
        self.buffer_max_bytes.set(whole(bytes_max));
        self.buffer_waiting.set(i64::from(waiting));
    }

    /// Sets the certificate's end, in seconds since 1970.
    pub fn sample_certificate(&self, ends_s: i64) {
        self.certificate_ends.set(ends_s as f64);
    }

    /// The page, in Prometheus' text format.
    ///
    /// # Errors
    /// Never in practice: it is written to memory.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Makes and registers.
struct Maker(Registry);

impl Maker {
    fn gauges(&self, name: &str, help: &str) -> Result<GaugeVec, prometheus::Error> {
        let made = GaugeVec::new(Opts::new(name, help), &["flow"])?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn int_gauges(&self, name: &str, help: &str) -> Result<IntGaugeVec, prometheus::Error> {
        let made = IntGaugeVec::new(Opts::new(name, help), &["flow"])?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counters(&self, name: &str, help: &str) -> Result<IntCounterVec, prometheus::Error> {
        let made = IntCounterVec::new(Opts::new(name, help), &["flow"])?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        let made = Gauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn int_gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let made = IntGauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let made = IntCounter::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_answers_per_flow() {
        let metrics = Metrics::new().expect("each name stands once");
        let name = FlowName::new("north", "shipments").expect("a name");
        let flow = metrics.flow(&name);
        flow.appended_events.inc_by(7);
        flow.capture_to_ack.observe(0.005);
        metrics.sample_flow(
            &name,
            &FlowSample {
                oldest_unsent: Duration::from_millis(1_500),
                backlog_events: 3,
                backlog_bytes: 900,
                health: 0.5,
            },
        );
        metrics.sample_buffer(10, 100, true);
        let mut kept = Kept {
            bytes: 1_048_576,
            left_bytes: Some(7),
            worry: "",
        };
        metrics.sample_kept(&name, Some(kept));
        let page = String::from_utf8(metrics.text().expect("a page")).expect("UTF-8");
        for line in [
            "dray_agent_oldest_unsent_seconds{flow=\"north/shipments\"} 1.5",
            "dray_agent_backlog_events{flow=\"north/shipments\"} 3",
            "dray_agent_appended_events_total{flow=\"north/shipments\"} 7",
            "dray_agent_dead_letters_total{flow=\"north/shipments\"} 0",
            "dray_agent_capture_to_ack_seconds_bucket{flow=\"north/shipments\",le=\"0.006\"} 1",
            "dray_agent_flow_health{flow=\"north/shipments\"} 0.5",
            "dray_agent_buffer_waiting 1",
            "dray_agent_source_log_kept_bytes{flow=\"north/shipments\"} 1048576",
            "dray_agent_source_log_left_bytes{flow=\"north/shipments\"} 7",
            "dray_agent_uplink_connected 0",
        ] {
            assert!(
                page.lines().any(|shown| shown == line),
                "{line} is missing in\n{page}"
            );
        }
        kept.left_bytes = None;
        metrics.sample_kept(&name, Some(kept));
        let page = String::from_utf8(metrics.text().expect("a page")).expect("UTF-8");
        assert!(page.contains("log_kept_bytes{") && !page.contains("log_left_bytes{"));
        metrics.sample_kept(&name, None);
        let page = String::from_utf8(metrics.text().expect("a page")).expect("UTF-8");
        assert!(
            !page.contains("log_kept_bytes{"),
            "a figure that is old says nothing"
        );
    }
}
