//! What an operator's graphs and alarms read. Labels are flows, targets, consumers and causes:
//! closed sets, made by configuration and enrolment, never by payloads.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use dray_proto::FlowName;

/// From a millisecond, the best that a synced chain does, to an hour of outage.
const LATENCY_S: [f64; 16] = [
    0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0,
    3600.0,
];

/// All metrics of one collector. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Is anybody knocking who shouldn't, or with an expired certificate?
    pub(crate) handshakes_failed: IntCounter,
    /// Are the sites connected?
    pub(crate) agents_connected: IntGauge,
    /// How full is the log?
    pub(crate) log_bytes: IntGauge,
    pub(crate) log_bytes_max: IntGauge,
    /// What did agents report that could not become an event?
    pub(crate) agent_dead_letters: IntCounterVec,
    pub(crate) newest_offset: IntGaugeVec,
    ingested_events: IntCounterVec,
    ingested_bytes: IntCounterVec,
    ingested_blocks: IntCounterVec,
    refused_blocks: IntCounterVec,
    capture_to_log: HistogramVec,
    /// Which consumer falls behind, and pins the log?
    pub(crate) consumer_backlog: IntGaugeVec,
}

/// The counters of one flow's ingest, looked up once a stream.
#[derive(Debug, Clone)]
pub(crate) struct FlowIngest {
    pub(crate) events: IntCounter,
    pub(crate) bytes: IntCounter,
    pub(crate) blocks: IntCounter,
    pub(crate) capture_to_log: Histogram,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// Only if two had the same name.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(format!("dray_collector_{name}"), help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(format!("dray_collector_{name}"), help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric =
                IntCounterVec::new(Opts::new(format!("dray_collector_{name}"), help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let metric =
                IntGaugeVec::new(Opts::new(format!("dray_collector_{name}"), help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let flow = ["flow"];
        let latency = HistogramOpts::new(
            "dray_collector_capture_to_log_seconds",
            "From an event's capture to its stable write here; one observation an append, of its oldest event",
        );
        let capture_to_log = HistogramVec::new(latency.buckets(LATENCY_S.to_vec()), &flow)?;
        registry.register(Box::new(capture_to_log.clone()))?;
        Ok(Self {
            handshakes_failed: counter(
                "handshakes_failed_total",
                "TLS handshakes that came to nothing",
            )?,
            agents_connected: gauge("agents_connected", "Agents with a live uplink")?,
            log_bytes: gauge("log_bytes", "Bytes of the log on disk")?,
            log_bytes_max: gauge("log_bytes_max", "The log's cap; at it, ingest stops")?,
            agent_dead_letters: counters(
                "agent_dead_letters_total",
                "Dead letters that agents sent, since the start",
                &flow,
            )?,
            newest_offset: gauges("log_newest_offset", "The newest offset in the log", &flow)?,
            ingested_events: counters(
                "ingested_events_total",
                "Events taken from agents, repeats included",
                &flow,
            )?,
            ingested_bytes: counters(
                "ingested_bytes_total",
                "Bytes of their blocks as they travelled",
                &flow,
            )?,
            ingested_blocks: counters(
                "ingested_blocks_total",
                "Blocks taken from agents, repeats included",
                &flow,
            )?,
            refused_blocks: counters("refused_blocks_total", "Blocks refused", &["flow", "cause"])?,
            capture_to_log,
            consumer_backlog: gauges(
                "consumer_backlog_events",
                "Events that a consumer has not finished",
                &["consumer"],
            )?,
            registry,
        })
    }

    pub(crate) fn flow(&self, flow: &FlowName) -> FlowIngest {
        let labels = [flow.as_str()];
        FlowIngest {
            events: self.ingested_events.with_label_values(&labels),
            bytes: self.ingested_bytes.with_label_values(&labels),
            blocks: self.ingested_blocks.with_label_values(&labels),
            capture_to_log: self.capture_to_log.with_label_values(&labels),
        }
    }

    /// Counts a refused block; `flow` is empty where the name itself is refused.
    pub(crate) fn refused(&self, flow: &str, cause: &str) {
        self.refused_blocks.with_label_values(&[flow, cause]).inc();
    }

    /// All of it in Prometheus' text format.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
