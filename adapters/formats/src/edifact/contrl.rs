//! Syntax and service reports (CONTRL) of a file's interchanges.
//!
//! ```text
//! UNB+…' UNH+1+CONTRL:D:3:UN'                  an interchange back to each sender
//! UCI+R9+SENDER:14+RECEIVER:14+7'              which interchange, and that it was taken but for what follows
//! UCM+M2+ORDERS:D:96A:UN+4+15'                 which message was rejected and why,
//! UCS+3+15'                                    and at which segment
//! UNT … UNZ
//! ```
//! Source: ISO 9735-4 and the CONTRL message of syntax version 3; codes of data elements 0083 and 0085.

use std::fmt::Write as _;

use crate::FileFault;
use crate::edi::{Finding, Group, Interchange, Party, Receipt, Rule, Stamp};

/// Messages of this type are reports themselves, and are not reported on.
const REPORT: &str = "CONTRL";
/// This level and all below are rejected.
const REJECTED: u8 = 4;
/// This level is acknowledged, and what is not rejected below.
const ACKNOWLEDGED: u8 = 7;

/// The reports on a file, to be sent back as one file. Interchange `stamp.number` is the first, each further one counts one on:
/// [`reported`] says how many there are. With a `fault` all are rejected, as nothing of the file is taken. Empty where there is nothing to
/// report on.
#[must_use]
pub fn contrl(receipt: &Receipt, stamp: &Stamp<'_>, fault: Option<&FileFault>) -> Vec<u8> {
    let mut out = String::new();
    for (number, interchange) in (stamp.number..).zip(wanted(receipt)) {
        write_interchange(&mut out, interchange, stamp, number, fault.is_some());
    }
    out.into_bytes()
}

/// How many interchanges [`contrl`] writes, each with a number of its own.
#[must_use]
pub fn reported(receipt: &Receipt) -> usize {
    wanted(receipt).count()
}

fn wanted(receipt: &Receipt) -> impl Iterator<Item = &Interchange> {
    let is_report = |set: &str| set.split(':').next() == Some(REPORT);
    let is_wanted = move |of: &&Interchange| {
        // Also one that is cut in its first message.
        if is_report(&of.first_set) && of.groups.iter().all(|group| group.documents.is_empty()) {
            return false;
        }
        let mut documents = of
            .groups
            .iter()
            .flat_map(|group| &group.documents)
            .peekable();
        documents.peek().is_none() || documents.any(|document| !is_report(&document.set))
    };
    receipt.interchanges.iter().filter(is_wanted)
}

/// A value between the usual marks, of no more characters than its element has.
fn value(text: &str, length: usize) -> String {
    let mut out = String::new();
    for letter in text.chars().take(length) {
        match letter {
            '+' | ':' | '\'' | '?' => out.extend(['?', letter]),
            letter if letter.is_ascii() && !letter.is_ascii_control() => out.push(letter),
            _ => out.push(' '),
        }
    }
    out
}

/// The components of a value that has some.
fn composite(text: &str) -> String {
    let parts: Vec<String> = text.split(':').map(|part| value(part, 35)).collect();
    parts.join(":")
}

fn party(of: &Party) -> String {
    let qualifier = value(&of.qualifier, 4);
    let colon = if qualifier.is_empty() { "" } else { ":" };
    format!("{}{colon}{qualifier}", value(&of.id, 35))
}

fn write_interchange(
    out: &mut String,
    of: &Interchange,
    stamp: &Stamp<'_>,
    number: u32,
    is_refused: bool,
) {
    let is_refused = is_refused || !of.is_ended;
    let (sender, receiver) = (party(&of.sender), party(&of.receiver));
    let usage = if of.usage.is_empty() {
        String::new()
    } else {
        format!("++++++{}", value(&of.usage, 1))
    };
    let _ = writeln!(
        out,
        "UNB+UNOA:3+{receiver}+{sender}+{}:{}+{number}{usage}'",
        value(stamp.date.get(2..).unwrap_or(""), 6),
        value(stamp.time, 4),
    );
    let start = out.len();
    let action = if is_refused { REJECTED } else { ACKNOWLEDGED };
    let error = if is_refused { "+18" } else { "" };
    let _ = writeln!(
        out,
        "UNH+1+{REPORT}:D:3:UN'\nUCI+{}+{sender}+{receiver}+{action}{error}'",
        value(&of.number, 14)
    );
    for group in of.groups.iter().filter(|_| !is_refused) {
        write_group(out, group);
    }
    let segments = out[start..].matches("'\n").count() + 1;
    let _ = writeln!(out, "UNT+{segments}+1'\nUNZ+1+{number}'");
}

fn write_group(out: &mut String, group: &Group) {
    if !group.function.is_empty() {
        let _ = writeln!(
            out,
            "UCF+{}+{}+{}+{ACKNOWLEDGED}'",
            value(&group.number, 14),
            value(&group.sender, 35),
            value(&group.receiver, 35)
        );
    }
    for message in &group.documents {
        let (action, error) = match &message.finding {
            None => (ACKNOWLEDGED, String::new()),
            Some(finding) => (REJECTED, format!("+{}", error_of(finding))),
        };
        let _ = writeln!(
            out,
            "UCM+{}+{}+{action}{error}'",
            value(&message.number, 14),
            composite(&message.set)
        );
        if let Some(finding) = &message.finding {
            let _ = writeln!(out, "UCS+{}+{}'", finding.segment, error_of(finding));
        }
    }
}

/// Data element 0085.
fn error_of(finding: &Finding) -> u8 {
    match finding.rule {
        Rule::Tree => 12,
        Rule::Missing(_) => 13,
        Rule::Misplaced => 15,
        Rule::UnknownSet => 17,
        Rule::TooLarge => 18,
        Rule::Text => 21,
        Rule::TooOften => 35,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edi::tests::receipt_of;

    const STAMP: Stamp<'_> = Stamp {
        number: 41,
        date: "20261126",
        time: "0930",
    };
    const FILE: &str = "UNB+UNOC:3+S?+1:14+R:14+260101:1200+R9'\nUNH+M1+ORDERS:D:96A:UN'\nBGM+220+A'\nUNT+3+M1'\n\
        UNH+M2+ORDERS:D:96A:UN:EAN008'\nBGM+220+A'\nPIA+1+x'\nUNT+4+M2'\nUNZ+2+R9'\n";

    fn check(file: &str, fault: Option<&FileFault>, expected: &str) {
        let receipt = receipt_of("kind = \"edifact\"", file);
        let written = contrl(&receipt, &STAMP, fault);
        assert_eq!(String::from_utf8(written).expect("text"), expected);
    }

    #[test]
    fn each_message_is_acknowledged_or_rejected_with_its_place() {
        check(
            FILE,
            None,
            "UNB+UNOA:3+R:14+S?+1:14+261126:0930+41'\nUNH+1+CONTRL:D:3:UN'\nUCI+R9+S?+1:14+R:14+7'\n\
            UCM+M1+ORDERS:D:96A:UN+7'\nUCM+M2+ORDERS:D:96A:UN:EAN008+4+15'\nUCS+3+15'\nUNT+6+1'\nUNZ+1+41'\n",
        );
        let grouped = FILE
            .replace("UNH+M1", "UNG+ORDERS+S+R+260101:1200+G1+UN+D:96A'\nUNH+M1")
            .replace("UNZ+2", "UNE+2+G1'\nUNZ+1");
        let receipt = receipt_of("kind = \"edifact\"", &grouped);
        let written = String::from_utf8(contrl(&receipt, &STAMP, None)).expect("text");
        assert!(written.contains("\nUCF+G1+S+R+7'\nUCM+M1"), "{written}");
    }

    #[test]
    fn a_file_that_is_refused_is_rejected_whole() {
        let expected = "UNB+UNOA:3+R:14+S?+1:14+261126:0930+41'\nUNH+1+CONTRL:D:3:UN'\nUCI+R9+S?+1:14+R:14+4+18'\nUNT+3+1'\nUNZ+1+41'\n";
        check(&FILE.replace("UNZ+2", "UNZ+3"), None, expected);
        check(FILE, Some(&FileFault(String::new())), expected);
    }

    #[test]
    fn reports_are_not_reported_on() {
        check(
            "UNB+UNOA:3+S+R+260101:1200+1'UNH+1+CONTRL:D:3:UN'UCI+9+S+R+7'UNT+3+1'UNZ+1+1'",
            None,
            "",
        );
        check(
            "UNB+UNOA:3+S+R+260101:1200+1'UNH+1+CONTRL:D:3:UN'UCI+9+S",
            Some(&FileFault(String::new())),
            "",
        );
    }
}
