//! IDocs: which of their segments are records.

use super::columns::column;
use super::markup::Walk;
use super::{RecordType, Suggestion};
use crate::idoc::{HEAD_LENGTH, SEGMENT_LENGTH, built_in};

/// A flat file.
pub(super) fn flat(text: &str) -> Option<Suggestion> {
    let control = ["EDI_DC40", "EDI_DC "]
        .into_iter()
        .find(|name| text.starts_with(name))?;
    let reason = format!(
        "It begins with an IDoc's control record ({}).",
        control.trim()
    );
    let told = Suggestion::of(Some("idoc"), 98, reason);
    let mut names: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("EDI_DC")) {
        let name = line.get(..30).unwrap_or(line).trim_end();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    let known = with_segments(
        told,
        names.iter().filter_map(|name| built_in(name)).collect(),
    );
    let (Some(first), true) = (names.first(), known.record_types.is_empty()) else {
        return Some(known);
    };
    let values = text.lines().filter(|line| line.starts_with(first));
    let mut data = column(
        "SDATA",
        values.map(|line| line.get(HEAD_LENGTH..).unwrap_or("")),
    );
    data.at = Some((0, SEGMENT_LENGTH));
    Some(not_built_in(known, first, vec![data]))
}

/// XML of the XML port.
pub(super) fn xml(walked: &Walk<'_>) -> Suggestion {
    let reason = "It is XML with an IDoc's control record (EDI_DC40).";
    let told = Suggestion::of(Some("idoc"), 95, reason);
    let of = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let paths = walked.paths();
    let names = paths.iter().filter_map(|path| built_in(&of(path)));
    let known = with_segments(told, names.collect());
    if !known.record_types.is_empty() {
        return known;
    }
    // Below the IDoc: /DELVRY03/IDOC/E1EDL20.
    let segment = paths.iter().find(|path| {
        path.matches('/').count() == 3 && !of(path).starts_with("EDI_DC") && path.contains("/IDOC/")
    });
    let Some(segment) = segment else {
        return known;
    };
    let mut columns = walked.columns(segment);
    columns.retain(|column| column.path.is_none());
    not_built_in(known, &of(segment), columns)
}

/// Of segments that are built in: those that stand below others and have none below them are records.
fn with_segments(
    told: Suggestion,
    mut found: Vec<(&'static str, Option<&'static str>)>,
) -> Suggestion {
    let mut seen = Vec::new();
    found.retain(|(name, _)| {
        let is_new = !seen.contains(name);
        seen.push(*name);
        is_new
    });
    let is_parent = |name: &str| found.iter().any(|(_, parent)| *parent == Some(name));
    let records: Vec<RecordType> = found
        .iter()
        .filter(|(name, _)| !is_parent(name))
        .map(|(name, _)| RecordType {
            name: (*name).to_owned(),
            columns: Vec::new(),
        })
        .collect();
    if records.is_empty() {
        return told;
    }
    let names: Vec<&str> = records.iter().map(|one| one.name.as_str()).collect();
    let reason = format!(
        "Its segments {} are laid out as is built in, and have none below them that is: they are taken for records. Other segments are passed over.",
        names.join(", ")
    );
    Suggestion {
        record_types: records,
        ..told
    }
    .and(reason)
}

fn not_built_in(told: Suggestion, name: &str, columns: Vec<super::Column>) -> Suggestion {
    if columns.is_empty() {
        return told;
    }
    let reason = format!(
        "None of its segments is laid out as is built in; {name} is one of them. The layout of those that are wanted stands in SAP (WE60)."
    );
    let record_types = vec![RecordType {
        name: name.to_owned(),
        columns,
    }];
    Suggestion {
        record_types,
        confidence: 60,
        ..told
    }
    .and(reason)
}
