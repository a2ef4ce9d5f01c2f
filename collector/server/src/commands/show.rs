//! Answers as a person reads them.

use dray_proto::shown::{json as plain_json, line};
use dray_proto::v1::{AuditEntry, CollectorStatus, DeadLetterEntry, FlowAtTarget, SiteStatus};

use super::out::say;

/// Sentences about flows that `status` shows: some thousand may be off at once.
const CONCERNS_SHOWN: usize = 30;

/// Characters of a reason in a list: `dead-letters show` has all of it.
const REASON_SHOWN: usize = 160;

/// Lines under a head, columns as wide as their widest cell; numbers to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| line(cell)).collect())
        .collect();
    let numeric = |column: usize| {
        !rows.is_empty()
            && rows.iter().all(|row| {
                row[column]
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b' ')
            })
    };
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let columns: Vec<(usize, bool)> = (0..head.len())
        .map(|column| (width(column), numeric(column)))
        .collect();
    let joined = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&columns).map(|(cell, (width, right))| {
            if *right {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![joined(&mut head.iter().copied())];
    lines.extend(
        rows.iter()
            .map(|row| joined(&mut row.iter().map(String::as_str))),
    );
    lines.join("\n")
}

pub(super) fn audit(entries: &[AuditEntry], json: bool) {
    if json {
        for entry in entries {
            let line = serde_json::json!({
                "id": entry.id, "at_us": entry.at_us, "actor": entry.actor, "action": entry.action,
                "subject": entry.subject, "detail": entry.detail, "hash": entry.hash,
            });
            say!("{}", plain_json(&line.to_string()));
        }
        return;
    }
    let row = |entry: &AuditEntry| {
        vec![
            time_s(entry.at_us.div_euclid(1_000_000)),
            entry.actor.clone(),
            entry.action.clone(),
            entry.subject.clone(),
            entry.detail.clone(),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    say!("{}", table(&["AT", "WHO", "WHAT", "TO", "DETAIL"], &rows));
}

pub(super) fn sites(sites: &[SiteStatus]) {
    if sites.is_empty() {
        say!("No agent has enrolled yet; \"dray-collector invite SITE\" prints a token for one.");
        return;
    }
    let row = |site: &SiteStatus| {
        let state = match (site.revoked, site.connected) {
            (true, _) => "revoked",
            (false, true) => "connected",
            (false, false) => "away",
        };
        let seen = if site.last_seen_s == 0 {
            "never".to_owned()
        } else {
            time_s(site.last_seen_s)
        };
        vec![
            site.site.clone(),
            site.agent.clone(),
            state.to_owned(),
            seen,
            time_s(site.certificate_ends_s),
            site.version.clone(),
        ]
    };
    let rows: Vec<_> = sites.iter().map(row).collect();
    say!(
        "{}",
        table(
            &[
                "SITE",
                "AGENT",
                "STATE",
                "LAST SEEN",
                "CERTIFICATE ENDS",
                "VERSION"
            ],
            &rows
        )
    );
}

pub(super) fn status(status: &CollectorStatus) {
    let share = (status.log_bytes * 100)
        .checked_div(status.log_bytes_max)
        .unwrap_or(0);
    say!(
        "dray-collector {}; the log holds {} of {} ({share} %)\n",
        line(&status.version),
        bytesize::ByteSize(status.log_bytes),
        bytesize::ByteSize(status.log_bytes_max)
    );
    let flows: Vec<_> = status
        .flows
        .iter()
        .map(|flow| {
            let link = if flow.connected { "connected" } else { "away" };
            vec![
                flow.flow.clone(),
                link.to_owned(),
                flow.newest_offset.to_string(),
                time_us(flow.last_captured_us),
            ]
        })
        .collect();
    if flows.is_empty() {
        say!("No agent has sent anything yet; \"dray-collector sites\" shows who is connected.\n");
    } else {
        say!(
            "{}\n",
            table(&["FLOW", "AGENT", "EVENTS", "LAST CAPTURED"], &flows)
        );
    }
    for flow in status.flows.iter().filter(|flow| !flow.gap.is_empty()) {
        say!("{} is stopped: {}\n", line(&flow.flow), line(&flow.gap));
    }
    if status.agent_dead_letters > 0 {
        say!(
            "Dead letters from agents: {}; \"dray-collector dead-letters list\" shows them.\n",
            status.agent_dead_letters
        );
    }
    let targets: Vec<_> = status
        .targets
        .iter()
        .map(|target| {
            let numbers = [
                target.delivered,
                target.backlog,
                target.dead,
                target.held,
                target.waiting,
            ];
            let [delivered, backlog, dead, held, mut waiting] =
                numbers.map(|number| number.to_string());
            if target.missing_overdue > 0 {
                waiting += &format!(" ({} too long)", target.missing_overdue);
            }
            let oldest = match target.oldest_undelivered_ms {
                0 => "-".to_owned(),
                ms => age(std::time::Duration::from_millis(ms)),
            };
            vec![
                target.target.clone(),
                target.state.clone(),
                delivered,
                backlog,
                oldest,
                dead,
                held,
                waiting,
                target.detail.clone(),
            ]
        })
        .collect();
    if targets.is_empty() {
        say!("No targets; [[target]] tables of the configuration make some.");
    } else {
        say!(
            "{}",
            table(
                &[
                    "TARGET",
                    "STATE",
                    "DELIVERED",
                    "BACKLOG",
                    "OLDEST",
                    "DEAD",
                    "HELD",
                    "WAITING",
                    ""
                ],
                &targets
            )
        );
    }
    let concerns = concerns(status);
    for concern in concerns.iter().take(CONCERNS_SHOWN) {
        say!("\n{}", line(concern));
    }
    if concerns.len() > CONCERNS_SHOWN {
        let more = concerns.len() - CONCERNS_SHOWN;
        say!("\n... and {more} more; \"dray-collector flows\" shows all of them");
    }
    if !status.consumers.is_empty() {
        let rows: Vec<_> = status
            .consumers
            .iter()
            .map(|consumer| vec![consumer.consumer.clone(), consumer.backlog.to_string()])
            .collect();
        say!("\n{}", table(&["CONSUMER", "BACKLOG"], &rows));
    }
}

/// What somebody should know of targets and flows, a sentence each, with who answers for it.
fn concerns(status: &CollectorStatus) -> Vec<String> {
    let broken = status
        .targets
        .iter()
        .filter(|target| !target.breaker.is_empty());
    let broken = broken.map(|target| {
        format!(
            "{}: the breaker is open since {} ({}), tried {} time(s) since",
            target.target,
            time_us(target.breaker_since_us),
            target.breaker,
            target.breaker_probes
        )
    });
    let flows = status.flows_at_targets.iter();
    let overdue = flows.clone().filter(|flow| flow.overdue > 0).map(|flow| {
        let sla = humantime::format_duration(std::time::Duration::from_millis(flow.sla_ms));
        let said = format!(
            "{} is overdue at {}: {} event(s) wait longer than {sla}",
            flow.flow, flow.target, flow.overdue
        );
        said + &who(flow)
    });
    let phases = flows.filter(|flow| flow.phase != "live").map(|flow| {
        let said = format!(
            "{} is in {} at {}: {}",
            flow.flow, flow.phase, flow.target, flow.standing
        );
        said + &who(flow)
    });
    broken.chain(overdue).chain(phases).collect()
}

fn who(flow: &FlowAtTarget) -> String {
    let mut said = String::new();
    for (title, words) in [("owner", &flow.owner), ("runbook", &flow.runbook)] {
        if !words.is_empty() {
            said += &format!("; {title} {words}");
        }
    }
    said
}

pub(super) fn dead_letters(entries: &[DeadLetterEntry], total: u64) {
    if entries.is_empty() {
        say!("No dead letters.");
        return;
    }
    let row = |entry: &DeadLetterEntry| {
        let target = if entry.target.is_empty() {
            "(agent)".to_owned()
        } else {
            entry.target.clone()
        };
        let mut reason: String = entry.reason.chars().take(REASON_SHOWN).collect();
        if reason.len() < entry.reason.len() {
            reason.push_str(&format!(" … (dead-letters show {})", entry.id));
        }
        vec![
            entry.id.to_string(),
            entry.state.clone(),
            target,
            entry.flow.clone(),
            entry.offset.to_string(),
            entry.key.clone(),
            entry.held_behind.to_string(),
            time_us(entry.at_us),
            reason.replace(['\n', '\r'], " "),
            entry.owner.clone(),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    say!(
        "{}",
        table(
            &[
                "ID", "STATE", "TARGET", "FLOW", "OFFSET", "KEY", "BEHIND", "SINCE", "REASON",
                "OWNER"
            ],
            &rows
        )
    );
    if total > entries.len() as u64 {
        say!("... {} of {total}; --limit shows more", entries.len());
    }
}

/// E.g. "2026-11-23 08:15:00Z"; "-" for 0.
pub(super) fn time_s(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) if seconds != 0 => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        _ => "-".to_owned(),
    }
}

/// The same from microseconds.
pub(super) fn time_us(micros: i64) -> String {
    time_s(micros.div_euclid(1_000_000))
}

/// Two units at most: "3h 12m".
fn age(age: std::time::Duration) -> String {
    let whole = if age.as_secs() > 0 {
        std::time::Duration::from_secs(age.as_secs())
    } else {
        age
    };
    humantime::format_duration(whole)
        .to_string()
        .split(' ')
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_and_numbers_stand_to_the_right() {
        let rows = vec![
            vec!["north/shipments".to_owned(), "7".to_owned()],
            vec!["a".to_owned(), "1200".to_owned()],
        ];
        let expected = "FLOW             EVENTS\nnorth/shipments       7\na                  1200";
        assert_eq!(table(&["FLOW", "EVENTS"], &rows), expected);
    }

    #[test]
    fn what_others_wrote_is_no_row_of_its_own_and_moves_no_cursor() {
        let rows = vec![vec!["A\nhash 00".to_owned(), "\u{1b}[2J\t1".to_owned()]];
        assert_eq!(
            table(&["KEY", "WHY"], &rows),
            "KEY         WHY\nA\\nhash 00  \\u{1b}[2J\\t1"
        );
    }

    #[test]
    fn times_read_as_a_person_writes_them() {
        assert_eq!(time_us(1_795_000_000_999_999), "2026-11-18 11:06:40Z");
        assert_eq!(
            (time_s(0), age(std::time::Duration::from_millis(11_525_250))),
            ("-".into(), "3h 12m".into())
        );
    }
}
