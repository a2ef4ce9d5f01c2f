//! The targets' metrics, written as Prometheus' text: they are delivery's own counters, already
//! cumulative, and nothing is gained by counting them twice.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write as _;

use dray_delivery::status::LATENCY_BOUNDS_S;
use dray_delivery::{FlowMetrics, Metrics, State};

use crate::core::now_us;

type PerTarget = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Metrics) -> u64,
);
type PerFlow = (
    &'static str,
    &'static str,
    &'static str,
    fn(&FlowMetrics, i64) -> f64,
);

const TARGET: [PerTarget; 14] = [
    (
        "target_running",
        "gauge",
        "1 unless the target waits, is paused or has stopped",
        |metrics| u64::from(metrics.state == State::Running),
    ),
    (
        "target_paused",
        "gauge",
        "1 until somebody resumes it",
        |metrics| u64::from(metrics.state == State::Paused),
    ),
    (
        "target_requests_total",
        "counter",
        "Requests sent",
        |metrics| metrics.requests,
    ),
    (
        "target_request_failures_total",
        "counter",
        "Requests that failed or were put off",
        |metrics| metrics.failures,
    ),
    (
        "target_rejected_events_total",
        "counter",
        "Events that the target refused or that could not be written",
        |metrics| metrics.rejected,
    ),
    (
        "target_dead_letters",
        "gauge",
        "Dead letters that wait for somebody",
        |metrics| metrics.dead,
    ),
    (
        "target_held_events",
        "gauge",
        "Events held behind a dead one of their key",
        |metrics| metrics.held,
    ),
    (
        "target_waiting_events",
        "gauge",
        "Events that the target works on, that wait for what they name, or for somebody's word",
        |metrics| metrics.waiting,
    ),
    (
        "target_replay_left_events",
        "gauge",
        "Events of the replay that runs that are not settled",
        |metrics| metrics.replay.2.saturating_sub(metrics.replay.1),
    ),
    (
        "target_breaker_open",
        "gauge",
        "1 while the target is only tried now and then",
        |metrics| u64::from(metrics.broken.is_some()),
    ),
    (
        "target_breaker_opened_total",
        "counter",
        "How often the target's breaker opened",
        |metrics| metrics.breaker_opened,
    ),
    (
        "target_outdated_events_total",
        "counter",
        "Events of a target that wants the newest only (on_reject = \"latest\") that were not sent, as something newer of their key waited",
        |metrics| metrics.outdated,
    ),
    (
        "target_shadowed_events_total",
        "counter",
        "Events of flows in shadow that were rendered and compared",
        |metrics| metrics.shadowed,
    ),
    (
        "target_missing_overdue_events",
        "gauge",
        "Events that wait longer for what they name than the target's alarm_after",
        |metrics| metrics.missing_overdue,
    ),
];

const FLOW: [PerFlow; 4] = [
    (
        "target_delivered_events_total",
        "counter",
        "Events that the target accepted",
        |flow, _| flow.delivered as f64,
    ),
    (
        "target_backlog_events",
        "gauge",
        "Events in the log that the target has not finished",
        |flow, _| flow.backlog as f64,
    ),
    (
        "target_oldest_undelivered_seconds",
        "gauge",
        "Age by capture of the oldest undelivered event; 0: none",
        |flow, now_us| {
            flow.oldest_undelivered_us
                .map_or(0.0, |oldest| (now_us - oldest).max(0) as f64 / 1e6)
        },
    ),
    (
        "target_overdue_events",
        "gauge",
        "Events that wait longer than agreed",
        |flow, _| flow.overdue as f64,
    ),
];

/// Appends all targets' metrics.
pub(super) fn put(out: &mut String, targets: &[Metrics]) {
    // Writing to a String cannot fail.
    let _ = try_put(out, targets, now_us());
}

fn try_put(out: &mut String, targets: &[Metrics], now_us: i64) -> std::fmt::Result {
    for (name, kind, help, value) in TARGET {
        head(out, name, kind, help)?;
        for metrics in targets {
            writeln!(
                out,
                "dray_collector_{name}{{target=\"{}\"}} {}",
                metrics.target,
                value(metrics)
            )?;
        }
    }
    for (name, kind, help, value) in FLOW {
        head(out, name, kind, help)?;
        for (labels, flow) in flows(targets) {
            writeln!(
                out,
                "dray_collector_{name}{{{labels}}} {}",
                value(flow, now_us)
            )?;
        }
    }
    head(
        out,
        "flow_info",
        "gauge",
        "1; what is agreed about a flow, to be joined by target and flow",
    )?;
    for (labels, FlowMetrics { agreed, phase, .. }) in flows(targets) {
        let class = agreed.class.as_str();
        let [owner, domain, runbook] =
            [&agreed.owner, &agreed.domain, &agreed.runbook].map(|text| escaped(text));
        writeln!(
            out,
            "dray_collector_flow_info{{{labels},phase=\"{phase}\",class=\"{class}\",owner=\"{owner}\",domain=\"{domain}\",runbook=\"{runbook}\"}} 1"
        )?;
    }
    let name = "capture_to_delivered_seconds";
    head(
        out,
        name,
        "histogram",
        "From an event's capture to the target's answer",
    )?;
    for (labels, FlowMetrics { latency, .. }) in flows(targets) {
        for (bound, count) in LATENCY_BOUNDS_S.iter().zip(latency.buckets) {
            writeln!(
                out,
                "dray_collector_{name}_bucket{{{labels},le=\"{bound}\"}} {count}"
            )?;
        }
        writeln!(
            out,
            "dray_collector_{name}_bucket{{{labels},le=\"+Inf\"}} {}",
            latency.count
        )?;
        writeln!(
            out,
            "dray_collector_{name}_sum{{{labels}}} {}",
            latency.sum_s
        )?;
        writeln!(
            out,
            "dray_collector_{name}_count{{{labels}}} {}",
            latency.count
        )?;
    }
    Ok(())
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(
        out,
        "# HELP dray_collector_{name} {help}\n# TYPE dray_collector_{name} {kind}"
    )
}

/// A label's value as Prometheus' text wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Names of targets and flows are plain: nothing in them needs escaping.
fn flows(targets: &[Metrics]) -> impl Iterator<Item = (String, &FlowMetrics)> {
    targets.iter().flat_map(|metrics| {
        metrics.flows.iter().map(|flow| {
            (
                format!("target=\"{}\",flow=\"{}\"", metrics.target, flow.flow),
                flow,
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dray_delivery::Phase;
    use dray_delivery::catalogue::Agreed;
    use dray_proto::FlowName;
    use std::sync::Arc;

    #[test]
    fn a_target_shows_its_counters_and_its_histogram() {
        let flow = FlowMetrics {
            flow: FlowName::parse("north/stock").expect("a name"),
            delivered: 3,
            backlog: 2,
            oldest_undelivered_us: Some(1_000_000),
            latency: dray_delivery::Latency {
                buckets: [1; 16],
                count: 3,
                sum_s: 0.5,
            },
            agreed: Arc::new(Agreed {
                owner: "the \"WMS\" team".into(),
                runbook: "https://wiki.example/stock".into(),
                ..Agreed::default()
            }),
            phase: Phase::Parallel,
            standing: None,
            overdue: 7,
        };
        let metrics = Metrics {
            target: "erp".into(),
            dead: 4,
            broken: Some(dray_delivery::status::Breakage::default()),
            missing_overdue: 2,
            flows: vec![flow],
            ..Metrics::default()
        };
        let mut out = String::new();
        try_put(&mut out, &[metrics], 3_500_000).expect("a String takes all");
        for line in [
            "dray_collector_target_running{target=\"erp\"} 1",
            "dray_collector_target_dead_letters{target=\"erp\"} 4",
            "dray_collector_target_breaker_open{target=\"erp\"} 1",
            "dray_collector_target_overdue_events{target=\"erp\",flow=\"north/stock\"} 7",
            "dray_collector_flow_info{target=\"erp\",flow=\"north/stock\",phase=\"parallel\",class=\"normal\",owner=\"the \\\"WMS\\\" team\",domain=\"\",runbook=\"https://wiki.example/stock\"} 1",
            "dray_collector_target_missing_overdue_events{target=\"erp\"} 2",
            "dray_collector_target_oldest_undelivered_seconds{target=\"erp\",flow=\"north/stock\"} 2.5",
            "dray_collector_capture_to_delivered_seconds_bucket{target=\"erp\",flow=\"north/stock\",le=\"0.001\"} 1",
            "dray_collector_capture_to_delivered_seconds_bucket{target=\"erp\",flow=\"north/stock\",le=\"+Inf\"} 3",
        ] {
            assert!(
                out.lines().any(|found| found == line),
                "{line} is not in\n{out}"
            );
        }
    }
}
