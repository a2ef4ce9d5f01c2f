//! What begins as EDI does: X12, EDIFACT and flat IDocs.

use super::{Suggestion, idoc};
use crate::edi::Found;
use crate::{edifact, x12};

/// Sets and messages that are told.
const SETS_MAX: usize = 20;

/// Both EDI syntaxes, and flat IDocs.
pub(super) fn edi(text: &str) -> Option<Suggestion> {
    let text = text.trim_start();
    let is_mark = |at: usize| {
        text[at..]
            .chars()
            .next()
            .is_some_and(|c| !c.is_alphanumeric())
    };
    if text.starts_with("ISA") && text.len() > 3 && is_mark(3) {
        let separator = text[3..].chars().next().unwrap_or('*');
        let elements = text.split(separator).take(17).count();
        let sure = if elements == 17 { 98 } else { 60 };
        let reason =
            format!("It begins with an ISA segment, whose elements \"{separator}\" separates.");
        let sets = sets(text);
        return Some(with_sets(Suggestion::of(Some("x12"), sure, reason), sets));
    }
    if text.starts_with("UNA")
        && text
            .get(9..)
            .is_some_and(|rest| rest.trim_start().starts_with("UNB"))
    {
        let reason = "It begins with UNA, which names its separators, and UNB.";
        let told = Suggestion::of(Some("edifact"), 98, reason);
        return Some(with_sets(told, messages(text)));
    }
    if text.starts_with("UNB") && text.len() > 3 && is_mark(3) {
        let told = Suggestion::of(Some("edifact"), 95, "It begins with a UNB segment.");
        return Some(with_sets(told, messages(text)));
    }
    if text.starts_with("UNA") || text.starts_with("UNH+") {
        let reason = "It has segments of EDIFACT and no interchange around them (UNB), without which it is refused.";
        return Some(Suggestion::of(Some("edifact"), 50, reason));
    }
    let is_segment = |name: &str| text.starts_with(name) && text.len() > 2 && is_mark(2);
    if (is_segment("GS") || is_segment("ST"))
        && text.len() > 6
        && !text[2..].starts_with([' ', '_', ',', ';'])
    {
        let reason = "It has segments of X12 and no interchange around them (ISA), without which it is refused.";
        return Some(Suggestion::of(Some("x12"), 50, reason));
    }
    if text.starts_with("--")
        && text
            .chars()
            .take(500)
            .collect::<String>()
            .contains("Content-Type:")
    {
        return Some(Suggestion::nothing(
            "It is a MIME message of several parts, as web services and mail send them; have the parts written to files of their own.",
        ));
    }
    idoc::flat(text)
}

fn with_sets(told: Suggestion, sets: Vec<String>) -> Suggestion {
    if sets.is_empty() {
        return told;
    }
    let reason = format!("What it has: {}.", sets.join(", "));
    Suggestion { sets, ..told }.and(reason)
}

/// Which transaction sets there are.
fn sets(text: &str) -> Vec<String> {
    let (mut sets, mut segments, mut at) = (Vec::new(), x12::Segments::new(), 0);
    while let Ok(Found::Segment(bytes)) = segments.next(&text.as_bytes()[at..], true) {
        at += bytes;
        if let Some(segment) = segments.segment().filter(|it| it.element(0) == b"ST") {
            note(&mut sets, segment.element(1));
        }
    }
    sets
}

/// Which messages there are.
fn messages(text: &str) -> Vec<String> {
    let (mut sets, mut segments, mut at) = (Vec::new(), edifact::Segments::default(), 0);
    while let Ok(Found::Segment(bytes)) = segments.next(&text.as_bytes()[at..], true) {
        at += bytes;
        let segment = segments.segment();
        if segment.component(0, 0) == b"UNH" {
            note(&mut sets, segment.component(2, 0));
        }
    }
    sets
}

fn note(sets: &mut Vec<String>, set: &[u8]) {
    let set = String::from_utf8_lossy(set);
    let set = set.trim();
    let is_name = (1..=10).contains(&set.len()) && set.chars().all(char::is_alphanumeric);
    if is_name && sets.len() < SETS_MAX && !sets.iter().any(|known| known == set) {
        sets.push(set.to_owned());
    }
}
