//! `flows`: what is agreed, and where each flow stands.

use std::time::Duration;

use dray_proto::shown;
use dray_proto::v1::{CollectorStatusRequest, FlowAtTarget};

use super::client::{connect, said};
use super::out::say;
use super::show;
use crate::config::Config;
use crate::failure::Failure;

pub(super) async fn run(config: &Config, json: bool) -> Result<(), Failure> {
    let request = CollectorStatusRequest {};
    let status = connect(config).await?.status(request).await;
    let flows = status.map_err(said)?.into_inner().flows_at_targets;
    if json {
        let json = |flow: &FlowAtTarget| shown::json(&object(flow).to_string());
        flows.iter().for_each(|flow| say!("{}", json(flow)));
    } else if flows.is_empty() {
        say!("No target takes a flow yet; \"dray-collector status\" shows both.");
    } else {
        say!("{}", table(&flows));
    }
    Ok(())
}

fn object(flow: &FlowAtTarget) -> serde_json::Value {
    serde_json::json!({
        "flow": flow.flow, "target": flow.target, "phase": flow.phase, "standing": flow.standing,
        "since_us": flow.since_us, "class": flow.class, "sla_ms": flow.sla_ms, "owner": flow.owner,
        "domain": flow.domain, "runbook": flow.runbook, "delivered": flow.delivered,
        "backlog": flow.backlog, "overdue": flow.overdue,
    })
}

fn table(flows: &[FlowAtTarget]) -> String {
    let row = |flow: &FlowAtTarget| {
        let standing = if flow.standing.is_empty() {
            String::new()
        } else {
            format!("{} since {}", flow.standing, show::time_us(flow.since_us))
        };
        vec![
            flow.flow.clone(),
            flow.target.clone(),
            flow.phase.clone(),
            flow.class.clone(),
            humantime::format_duration(Duration::from_millis(flow.sla_ms)).to_string(),
            flow.overdue.to_string(),
            flow.backlog.to_string(),
            dash(&flow.owner),
            dash(&flow.domain),
            dash(&flow.runbook),
            standing,
        ]
    };
    let rows: Vec<_> = flows.iter().map(row).collect();
    let head = [
        "FLOW", "TARGET", "PHASE", "CLASS", "SLA", "OVERDUE", "BACKLOG", "OWNER", "DOMAIN",
        "RUNBOOK", "",
    ];
    show::table(&head, &rows)
}

fn dash(words: &str) -> String {
    if words.is_empty() {
        "-".into()
    } else {
        words.into()
    }
}
