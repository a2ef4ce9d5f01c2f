//! `shadow`: the report of what would have been sent.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};

use dray_proto::shown;
use dray_proto::v1::{ShadowEntry, ShadowReply, ShadowRequest, ShadowTally};

use super::client::{connect, said};
use super::out::{self, say, unless_nobody_reads};
use super::show;
use crate::cli::ShadowArgs;
use crate::config::Config;
use crate::failure::Failure;

/// Rows of one answer.
const PAGE: u32 = 500;
/// Rows that a person is shown.
const SHOWN: u32 = 20;
/// What is shown to a person who names no verdict: what he may have to do something about.
const TROUBLE: [&str; 4] = ["differs", "missing", "unread", "poison"];

pub(super) async fn run(config: &Config, arguments: ShadowArgs) -> Result<(), Failure> {
    let mut client = connect(config).await?;
    let mut request = ShadowRequest {
        target: arguments.target.clone(),
        flow: arguments.flow.unwrap_or_default(),
        verdicts: arguments.verdicts,
        clear: arguments.clear,
        ..ShadowRequest::default()
    };
    if arguments.clear {
        client.shadow(request).await.map_err(said)?;
        say!("The report of {} begins anew.", arguments.target);
        return Ok(());
    }
    if !arguments.csv && !arguments.json {
        if request.verdicts.is_empty() {
            request.verdicts = TROUBLE.map(str::to_owned).to_vec();
        }
        request.limit = SHOWN;
        let reply = client.shadow(request).await.map_err(said)?.into_inner();
        out::put(format_args!("{}", summary(&reply)));
        return Ok(());
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    if arguments.csv {
        out.write_all(CSV_HEAD.as_bytes())
            .or_else(unless_nobody_reads)?;
    }
    request.limit = PAGE;
    loop {
        let reply = client
            .shadow(request.clone())
            .await
            .map_err(said)?
            .into_inner();
        let line = match arguments.csv {
            true => csv,
            false => object,
        };
        let lines: String = reply.entries.iter().map(line).collect();
        let written = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
        match (written, reply.entries.last()) {
            (Ok(()), Some(last)) => request.after = last.id,
            (written, _) => return written.or_else(unless_nobody_reads),
        }
    }
}

/// Tallies, fields, and the first rows that somebody should look at.
fn summary(reply: &ShadowReply) -> String {
    if reply.tallies.is_empty() {
        return "No event of a flow in shadow was rendered yet; [[flow]] tables of the configuration say which flows are.\n".into();
    }
    let of = |is_field: bool| {
        reply
            .tallies
            .iter()
            .filter(move |tally| tally.is_field == is_field)
    };
    let mut flows: BTreeMap<&str, u64> = BTreeMap::new();
    for tally in of(false) {
        *flows.entry(&tally.flow).or_default() += tally.count;
    }
    let verdict = |tally: &ShadowTally| {
        vec![
            tally.flow.clone(),
            tally.what.clone(),
            tally.count.to_string(),
        ]
    };
    let mut rows: Vec<_> = of(false).map(verdict).collect();
    rows.extend(
        flows
            .iter()
            .map(|(flow, count)| vec![(*flow).to_owned(), "all".into(), count.to_string()]),
    );
    rows.sort_by(|a, b| (&a[0], a[1] == "all").cmp(&(&b[0], b[1] == "all")));
    let mut out = show::table(&["FLOW", "VERDICT", "EVENTS"], &rows) + "\n";
    let fields: Vec<_> = of(true).map(verdict).collect();
    if !fields.is_empty() {
        out += &format!(
            "\n{}\n",
            show::table(&["FLOW", "FIELD", "DIFFERS"], &fields)
        );
    }
    let lines: Vec<_> = reply.entries.iter().flat_map(lines).collect();
    if !lines.is_empty() {
        let head = [
            "FLOW", "OFFSET", "KEY", "VERDICT", "FIELD", "OURS", "THEIRS", "REASON",
        ];
        out += &format!("\n{}\n", show::table(&head, &lines));
        out += "\n--json shows the requests, --csv and --json all rows that are kept.\n";
    }
    out
}

const CSV_HEAD: &str = "flow,offset,key,verdict,field,ours,theirs,reason\r\n";

/// A line a field that differs; one where none does.
fn lines(entry: &ShadowEntry) -> Vec<Vec<String>> {
    let line = |field: &str, ours: Option<&String>, theirs: Option<&String>| {
        vec![
            entry.flow.clone(),
            entry.offset.to_string(),
            entry.key.clone(),
            entry.verdict.clone(),
            field.to_owned(),
            ours.cloned().unwrap_or_default(),
            theirs.cloned().unwrap_or_default(),
            entry.reason.replace(['\n', '\r'], " "),
        ]
    };
    if entry.differences.is_empty() {
        return vec![line("", None, None)];
    }
    let mut lines: Vec<_> = entry
        .differences
        .iter()
        .map(|found| line(&found.field, found.ours.as_ref(), found.theirs.as_ref()))
        .collect();
    if entry.more > 0 {
        lines.push(line(&format!("({} more)", entry.more), None, None));
    }
    lines
}

/// RFC 4180.
fn csv(entry: &ShadowEntry) -> String {
    let cell = |text: &String| {
        if text.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.clone()
        }
    };
    let line = |cells: Vec<String>| cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n";
    lines(entry).into_iter().map(line).collect()
}

fn object(entry: &ShadowEntry) -> String {
    let differences: Vec<_> = entry
        .differences
        .iter()
        .map(|found| serde_json::json!({"field": found.field, "ours": found.ours, "theirs": found.theirs}))
        .collect();
    let object = serde_json::json!({
        "flow": entry.flow, "offset": entry.offset, "key": entry.key, "verdict": entry.verdict,
        "at_us": entry.at_us, "differences": differences, "more": entry.more,
        "reason": entry.reason, "request": entry.request,
    });
    shown::json(&object.to_string()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use dray_proto::v1::FieldDifference;

    fn entry() -> ShadowEntry {
        ShadowEntry {
            flow: "north/shipments".into(),
            offset: 7,
            key: "SHP,1".into(),
            verdict: "differs".into(),
            differences: vec![FieldDifference {
                field: "/carrier".into(),
                ours: Some("\"DHL\"".into()),
                theirs: None,
            }],
            ..ShadowEntry::default()
        }
    }

    #[test]
    fn a_line_of_csv_is_a_field_that_differs_and_is_quoted_where_it_must() {
        assert_eq!(
            csv(&entry()),
            "north/shipments,7,\"SHP,1\",differs,/carrier,\"\"\"DHL\"\"\",,\r\n"
        );
        let same = ShadowEntry {
            verdict: "same".into(),
            differences: Vec::new(),
            ..entry()
        };
        assert_eq!(csv(&same), "north/shipments,7,\"SHP,1\",same,,,,\r\n");
    }

    #[test]
    fn the_summary_counts_events_and_fields_of_each_flow() {
        let tally = |what: &str, is_field: bool, count: u64| ShadowTally {
            flow: "north/shipments".into(),
            what: what.into(),
            is_field,
            count,
        };
        let reply = ShadowReply {
            entries: vec![entry()],
            tallies: vec![
                tally("differs", false, 1),
                tally("same", false, 99),
                tally("/carrier", true, 1),
            ],
        };
        let said = summary(&reply);
        for line in [
            "north/shipments  differs       1",
            "north/shipments  same         99",
            "north/shipments  all         100",
            "north/shipments  /carrier        1",
        ] {
            assert!(
                said.lines().any(|found| found == line),
                "{line} is not in\n{said}"
            );
        }
        assert!(summary(&ShadowReply::default()).contains("[[flow]]"));
    }
}
