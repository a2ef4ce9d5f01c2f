//! What is said beside a proposal.

use std::fmt::Write as _;
use std::path::Path;

use dray_file_drop::{FOLDER, Proposal};
use dray_formats::suggest::{Suggestion, quoted};

/// Where nothing fits: what it is, and what was tried.
pub(super) fn nothing(file: &Path, told: &Suggestion) -> String {
    format!(
        "{} is none of the formats that are read. {}\nTried were: gzip and zip; the signatures of Excel and PDF; text in UTF-8, UTF-16, UTF-32, windows-1252, DOS and EBCDIC; X12, EDIFACT, IDocs, XML and JSON by how they begin; lines cut at , ; tab | ^ ~ # and at fixed places; records of one length, or with their length before them",
        file.display(),
        told.reasons.join(" ")
    )
}

/// The flow as it stands in a configuration.
pub(super) fn flow(name: &str, source: &str, mappings: &str) -> String {
    format!("[[flow]]\nname = {}\n\n{source}\n{mappings}", quoted(name))
}

/// What led to it and what to look at, as comments.
pub(super) fn about(
    file: &Path,
    proposal: &Proposal,
    doubts: &[String],
    stand_in: Option<&str>,
) -> String {
    let told = &proposal.told;
    let sure = match told.confidence {
        90.. => "This is sure",
        70.. => "This is likely",
        40.. => "This is a guess",
        _ => "This is little more than nothing",
    };
    let mut out = String::new();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    comment(
        &mut out,
        "",
        &format!(
            "Proposed for {name}: kind = \"{}\". {sure} ({} %):",
            told.kind.unwrap_or_default(),
            told.confidence
        ),
    );
    for reason in &told.reasons {
        comment(&mut out, "- ", reason);
    }
    comment(&mut out, "", "To look at before it runs:");
    comment(
        &mut out,
        "- ",
        &format!(
            "The folder is not {FOLDER}. The pattern {} is the file's name with stars for numbers.",
            quoted(&proposal.pattern)
        ),
    );
    for doubt in doubts {
        comment(&mut out, "- ", doubt);
    }
    if let Some(text) = stand_in {
        comment(
            &mut out,
            "- ",
            "There must be a copybook, the sender's. With --copybook FILE it is used here; until it is there this one takes a record as one text:",
        );
        for line in text.lines() {
            let _ = writeln!(out, "# {line}");
        }
    }
    out.push('\n');
    out
}

/// Lines of a comment; what would end one or hide in it is not let through.
fn comment(out: &mut String, mark: &str, text: &str) {
    const WIDTH: usize = 110;
    let clean: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let mut line = format!("# {mark}");
    for word in clean.split(' ') {
        if line.chars().count() + word.chars().count() > WIDTH && line.len() > 4 {
            let _ = writeln!(out, "{}", line.trim_end());
            line = if mark.is_empty() {
                "# ".into()
            } else {
                "#   ".into()
            };
        }
        line.push_str(word);
        line.push(' ');
    }
    let _ = writeln!(out, "{}", line.trim_end());
}
