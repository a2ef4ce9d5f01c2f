//! Functional acknowledgements (997) of a file's interchanges.
//!
//! ```text
//! ISA … GS*FA*…          an interchange back to each sender
//! ST*997*0001~           for each of its groups
//! AK1*OW*7~              which group
//! AK2*940*0001~          which document,
//! AK3*N3*4**2~           where it is wrong,
//! AK5*R*5~               and whether it was accepted
//! AK9*P*2*2*1~           the group: documents said, found and accepted
//! SE … GE … IEA
//! ```
//! Source: ASC X12.20, set 997; codes of data elements 715 to 720.

use std::fmt::Write as _;

use crate::FileFault;
use crate::edi::{Group, Interchange, Receipt, Rule, Stamp, Verdict};

/// Groups with this function are acknowledgements themselves, and are not acknowledged.
const ACKNOWLEDGEMENT: &str = "FA";

/// The acknowledgements of a file, to be sent back as one file. Interchange and group `stamp.number` are the first, each further
/// interchange counts one on: [`acknowledged`] says how many there are. With a `fault` all are rejected, as nothing of the file is taken.
/// Empty where there is nothing to acknowledge.
#[must_use]
pub fn acknowledge(receipt: &Receipt, stamp: &Stamp<'_>, fault: Option<&FileFault>) -> Vec<u8> {
    let mut out = String::new();
    for (number, interchange) in (stamp.number..).zip(wanted(receipt)) {
        write_interchange(&mut out, interchange, stamp, number, fault.is_some());
    }
    out.into_bytes()
}

/// How many interchanges [`acknowledge`] writes, each with a number of its own.
#[must_use]
pub fn acknowledged(receipt: &Receipt) -> usize {
    wanted(receipt).count()
}

fn wanted(receipt: &Receipt) -> impl Iterator<Item = &Interchange> {
    let is_wanted = |of: &&Interchange| {
        of.groups
            .iter()
            .any(|group| group.function != ACKNOWLEDGEMENT)
    };
    receipt.interchanges.iter().filter(is_wanted)
}

/// A value among `*`, `>` and `~`, of no more characters than its element has.
fn value(text: &str, length: usize) -> String {
    let plain = |letter: char| match letter {
        '*' | '>' | '~' | '^' => ' ',
        letter if letter.is_ascii() && !letter.is_ascii_control() => letter,
        _ => ' ',
    };
    text.chars().take(length).map(plain).collect()
}

fn write_interchange(
    out: &mut String,
    of: &Interchange,
    stamp: &Stamp<'_>,
    number: u32,
    is_refused: bool,
) {
    // From version 00402 on ISA11 is what separates repetitions.
    let version = if of.version.is_empty() {
        "00401"
    } else {
        &of.version
    };
    let repetition = if version < "00402" { 'U' } else { '^' };
    let usage = if of.usage.is_empty() { "P" } else { &of.usage };
    let number = number % 1_000_000_000;
    let _ = writeln!(
        out,
        "ISA*00*          *00*          *{:<2}*{:<15}*{:<2}*{:<15}*{}*{}*{repetition}*{:<5}*{number:09}*0*{:<1}*>~",
        value(&of.receiver.qualifier, 2),
        value(&of.receiver.id, 15),
        value(&of.sender.qualifier, 2),
        value(&of.sender.id, 15),
        value(stamp.date.get(2..).unwrap_or(""), 6),
        value(stamp.time, 4),
        value(version, 5),
        value(usage, 1),
    );
    let groups: Vec<&Group> = of
        .groups
        .iter()
        .filter(|group| group.function != ACKNOWLEDGEMENT)
        .collect();
    let first = groups[0];
    let version = if first.version.is_empty() {
        "004010"
    } else {
        &first.version
    };
    let _ = writeln!(
        out,
        "GS*{ACKNOWLEDGEMENT}*{}*{}*{}*{}*{number}*X*{}~",
        value(&first.receiver, 15),
        value(&first.sender, 15),
        value(stamp.date, 8),
        value(stamp.time, 4),
        value(version, 6).trim_end(),
    );
    for (index, group) in groups.iter().enumerate() {
        write_group(out, group, index + 1, is_refused || !group.is_ended);
    }
    let _ = writeln!(out, "GE*{}*{number}~\nIEA*1*{number:09}~", groups.len());
}

fn write_group(out: &mut String, group: &Group, number: usize, is_refused: bool) {
    let start = out.len();
    let _ = writeln!(
        out,
        "ST*997*{number:04}~\nAK1*{}*{}~",
        value(&group.function, 2),
        value(&group.number, 9)
    );
    // Of a group that is rejected as a whole, no document is accepted.
    for document in group.documents.iter().filter(|_| !is_refused) {
        write_document(out, document);
    }
    let all = group.accepted + group.rejected;
    let accepted = if is_refused { 0 } else { group.accepted };
    let code = match (accepted, group.rejected) {
        (_, 0) if !is_refused => "A",
        (0, _) => "R",
        _ => "P",
    };
    let _ = writeln!(out, "AK9*{code}*{all}*{all}*{accepted}~");
    let segments = out[start..].matches("~\n").count() + 1;
    let _ = writeln!(out, "SE*{segments}*{number:04}~");
}

fn write_document(out: &mut String, document: &Verdict) {
    let _ = writeln!(
        out,
        "AK2*{}*{}~",
        value(&document.set, 3),
        value(&document.number, 9)
    );
    let Some(finding) = &document.finding else {
        out.push_str("AK5*A~\n");
        return;
    };
    let (tag, code) = match &finding.rule {
        // The set is not supported.
        Rule::UnknownSet => {
            out.push_str("AK5*R*1~\n");
            return;
        }
        Rule::TooLarge => ("", ""),
        Rule::Misplaced => (finding.tag.as_str(), "2"),
        Rule::Missing(tag) => (tag.as_str(), "3"),
        Rule::TooOften => (finding.tag.as_str(), "5"),
        Rule::Tree | Rule::Text => (finding.tag.as_str(), "8"),
    };
    if !tag.is_empty() {
        let _ = writeln!(out, "AK3*{}*{}**{code}~", value(tag, 3), finding.segment);
    }
    out.push_str("AK5*R*5~\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edi::tests::{format, receipt_of, shown_of};

    const STAMP: Stamp<'_> = Stamp {
        number: 41,
        date: "20261126",
        time: "0930",
    };
    const FILE: &str = "ISA*00*          *00*          *ZZ*SENDER         *01*RECEIVER       *200101*1200*U*00401*000000009*0*T*:~\n\
        GS*OW*A*B*20200101*1200*7*X*004010~\n\
        ST*940*0001~\nW05*N*1~\nSE*3*0001~\nST*940*0002~\nW05*N*1~\nN3*x~\nSE*4*0002~\nST*940*0003~\nSE*2*0003~\nST*214*0004~\nB10*1~\nSE*3*0004~\n\
        GE*4*7~\nGS*FA*A*B*20200101*1200*8*X*004010~\nST*997*0001~\nAK1*OW*1~\nAK9*A*1*1*1~\nSE*4*0001~\nGE*1*8~\nIEA*2*000000009~\n";

    fn check(file: &str, fault: Option<&FileFault>, expected: &str) {
        let receipt = receipt_of("kind = \"x12\"", file);
        let written = acknowledge(&receipt, &STAMP, fault);
        assert_eq!(String::from_utf8(written).expect("text"), expected);
    }

    #[test]
    fn each_document_is_accepted_or_rejected_with_its_place() {
        let expected = "ISA*00*          *00*          *01*RECEIVER       *ZZ*SENDER         *261126*0930*U*00401*000000041*0*T*>~\n\
            GS*FA*B*A*20261126*0930*41*X*004010~\nST*997*0001~\nAK1*OW*7~\n\
            AK2*940*0001~\nAK5*A~\nAK2*940*0002~\nAK3*N3*3**2~\nAK5*R*5~\nAK2*940*0003~\nAK3*W05*2**3~\nAK5*R*5~\nAK2*214*0004~\nAK5*R*1~\n\
            AK9*P*4*4*1~\nSE*14*0001~\nGE*1*41~\nIEA*1*000000041~\n";
        check(FILE, None, expected);
        // What we write, we can read.
        let records = shown_of(
            &format("kind = \"x12\"\nrecords = [\"997.document\"]"),
            expected,
        );
        assert_eq!(records.len(), 4, "{records:#?}");
    }

    #[test]
    fn a_file_that_is_refused_is_rejected_whole() {
        let cut = FILE.replace("GE*4*7", "GE*5*7");
        let fault = FileFault("counts".into());
        let expected = "ISA*00*          *00*          *01*RECEIVER       *ZZ*SENDER         *261126*0930*U*00401*000000041*0*T*>~\n\
            GS*FA*B*A*20261126*0930*41*X*004010~\nST*997*0001~\nAK1*OW*7~\nAK9*R*4*4*0~\nSE*4*0001~\nGE*1*41~\nIEA*1*000000041~\n";
        check(&cut, Some(&fault), expected);
        check(&cut, None, expected);
    }

    #[test]
    fn acknowledgements_are_not_acknowledged() {
        let (head, tail) = (
            FILE.split("GS*OW").next().expect("ISA"),
            FILE.split("GE*4*7~\n").nth(1).expect("FA"),
        );
        check(
            &format!("{head}{}", tail.replace("IEA*2", "IEA*1")),
            None,
            "",
        );
    }
}
