//! `dray-agent status`: asks the running agent and shows what it says.

use std::fmt::Write as _;

use bytesize::ByteSize;
use dray_proto::shown::line;
use dray_proto::v1::{AgentCalls, AgentKeptLog, AgentStatus};
use serde_json::json;
use tonic::{Code, Status};

use crate::admin;
use crate::config::Config;
use crate::failure::Failure;
use crate::{out, render};

/// Runs the command.
///
/// # Errors
/// [`Failure::Unreachable`] where no agent answers.
pub fn command(config: &Config, as_json: bool) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("no runtime: {error}")))?;
    let socket = config.socket();
    let status = runtime.block_on(admin::ask_status(&socket));
    let status = status.map_err(|status| unanswered(config, &status))?;
    if as_json {
        out::put(&format!("{}\n", as_json_value(&status)));
    } else {
        out::put(&text(&status));
    }
    Ok(())
}

/// Why the running agent did not answer.
pub(crate) fn unanswered(config: &Config, status: &Status) -> Failure {
    let socket = config.socket();
    let socket = socket.display();
    match status.code() {
        Code::PermissionDenied => Failure::Failed(status.message().to_owned()),
        _ if status.message().contains("ermission denied") => Failure::Failed(format!(
            "{socket}: uid {} may not ask; ask as root (sudo), or as the user whom the agent runs as",
            rustix::process::getuid().as_raw()
        )),
        _ => Failure::Unreachable(format!(
            "no agent answers on {socket} ({}); start it with \"dray-agent run --config {}\"",
            status.message(),
            config.file.display()
        )),
    }
}

/// For a person.
#[must_use]
pub fn text(status: &AgentStatus) -> String {
    let mut out = String::new();
    let link = if status.connected {
        "connected".to_owned()
    } else {
        format!("not connected: {}", line(&status.link))
    };
    // Writing to a string never fails.
    let _ = writeln!(
        out,
        "agent        {} at site {}, dray {}",
        status.agent, status.site, status.version
    );
    let _ = writeln!(out, "collector    {}, {link}", status.collector);
    let _ = writeln!(
        out,
        "certificate  until {}",
        render::time(status.certificate_ends_s.saturating_mul(1_000_000))
    );
    if !status.renewal.is_empty() {
        let why = line(&status.renewal);
        let _ = writeln!(out, "             not renewed yet: {why}");
    }
    let _ = writeln!(
        out,
        "buffer       {} of {}",
        ByteSize(status.buffer_bytes),
        ByteSize(status.buffer_bytes_max)
    );
    let width = status
        .flows
        .iter()
        .map(|flow| flow.flow.len())
        .max()
        .unwrap_or(0)
        .max(4);
    let _ = writeln!(
        out,
        "\n{:width$}  {:8}{:>14}{:>14}{:>11}{:>14}{:>15}",
        "FLOW", "STATE", "APPENDED", "ACKED", "WAITING", "DEAD LETTERS", "OLDEST UNSENT"
    );
    for flow in &status.flows {
        let _ = writeln!(
            out,
            "{:width$}  {:8}{:>14}{:>14}{:>11}{:>14}{:>15}",
            flow.flow,
            flow.state,
            flow.appended,
            flow.acked,
            flow.appended.saturating_sub(flow.acked),
            flow.dead_letters,
            age(flow.oldest_unsent_ms)
        );
        if !flow.detail.is_empty() {
            let _ = writeln!(out, "{:width$}  {}", "", line(&flow.detail));
        }
        if !flow.doing.is_empty() {
            let _ = writeln!(out, "{:width$}  {}", "", line(&flow.doing));
        }
        if let Some(kept) = &flow.kept_log {
            let _ = writeln!(out, "{:width$}  {}", "", line(&kept_line(kept)));
        }
        for said in call_lines(&flow.calls) {
            let _ = writeln!(out, "{:width$}  {}", "", line(&said));
        }
    }
    if status.flows.iter().any(|flow| flow.dead_letters > 0) {
        out.push_str("\nDead letters are counted since the agent's start. The collector keeps them: dray-collector dead-letters list\n");
    }
    out
}

fn kept_line(kept: &AgentKeptLog) -> String {
    let limit = match kept.left_bytes {
        Some(left) => format!(", and drops it after {} more", ByteSize(left)),
        None => ", without a limit".to_owned(),
    };
    let worry = match kept.worry.as_str() {
        "" => String::new(),
        worry => format!(": {worry}"),
    };
    format!(
        "the database keeps {} of its log for the flow{limit}{worry}",
        ByteSize(kept.bytes)
    )
}

/// How many of each, then the newest of each kind that did not go well. Nothing where a flow has no calls.
fn call_lines(calls: &[AgentCalls]) -> Vec<String> {
    if calls.is_empty() {
        return Vec::new();
    }
    let seen = calls.iter().filter(|one| one.count > 0);
    let counts: Vec<_> = seen
        .map(|one| format!("{} {}", one.count, one.outcome))
        .collect();
    let counts = match counts.is_empty() {
        true => "none since the agent's start".to_owned(),
        false => counts.join(", "),
    };
    let mut lines = vec![format!("calls: {counts}")];
    lines.extend(calls.iter().filter(|one| one.last_us > 0).map(|one| {
        let from = match one.last_peer.as_str() {
            "" => String::new(),
            peer => format!(" from {peer}"),
        };
        let second = one.last_us - one.last_us.rem_euclid(1_000_000);
        format!(
            "{}, last {}{from}: {}",
            one.outcome,
            render::time(second),
            one.last_reason
        )
    }));
    lines
}

fn age(ms: u64) -> String {
    match ms {
        0 => "-".into(),
        1..1_000 => format!("{ms} ms"),
        _ => humantime::format_duration(std::time::Duration::from_secs(ms / 1_000)).to_string(),
    }
}

fn as_json_value(status: &AgentStatus) -> serde_json::Value {
    let flows: Vec<serde_json::Value> = status
        .flows
        .iter()
        .map(|flow| {
            json!({
                "flow": flow.flow, "state": flow.state, "detail": flow.detail, "doing": flow.doing,
                "appended": flow.appended, "acked": flow.acked,
                "dead_letters": flow.dead_letters, "oldest_unsent_ms": flow.oldest_unsent_ms,
                "calls": flow.calls.iter().map(calls_as_json).collect::<Vec<_>>(),
                "kept_log": flow.kept_log.as_ref().map(|kept| json!({
                    "bytes": kept.bytes, "left_bytes": kept.left_bytes, "worry": kept.worry,
                })),
            })
        })
        .collect();
    json!({
        "version": status.version, "site": status.site, "agent": status.agent,
        "collector": status.collector, "connected": status.connected, "link": status.link,
        "certificate_ends_s": status.certificate_ends_s, "renewal": status.renewal,
        "buffer_bytes": status.buffer_bytes, "buffer_bytes_max": status.buffer_bytes_max,
        "flows": flows,
    })
}

fn calls_as_json(one: &AgentCalls) -> serde_json::Value {
    json!({
        "outcome": one.outcome, "count": one.count, "last_us": one.last_us,
        "last_peer": one.last_peer, "last_reason": one.last_reason,
    })
}
