//! Whether an interchange's counts and references hold.
//!
//! UNB and UNZ, UNG and UNE, UNH and UNT: each end counts what stood in between and repeats its beginning's reference.

use dray_adapter::{FileCheck, FileChecks};

use super::Segment;

/// Follows an interchange's segments.
#[derive(Debug, Default)]
pub struct Envelope {
    /// The brackets that are open, from the outside.
    open: Vec<Open>,
    checks: FileChecks,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    reference: String,
    line: u64,
    messages: u64,
    groups: u64,
    segments: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Kind {
    Interchange,
    Group,
    Message,
}

impl Kind {
    /// Beginning, end, and the element of the beginning that has the reference.
    fn names(self) -> (&'static str, &'static str, usize) {
        match self {
            Self::Interchange => ("UNB", "UNZ", 5),
            Self::Group => ("UNG", "UNE", 5),
            Self::Message => ("UNH", "UNT", 1),
        }
    }
}

impl Envelope {
    /// The next segment.
    ///
    /// # Errors
    /// A sentence with the line and the rule that is broken: the interchange can't be trusted.
    pub fn take(&mut self, segment: &Segment<'_>) -> Result<(), String> {
        self.open.iter_mut().for_each(|open| open.segments += 1);
        match segment.tag() {
            b"UNB" => self.begin(Kind::Interchange, segment),
            b"UNG" => self.begin(Kind::Group, segment),
            b"UNH" => self.begin(Kind::Message, segment),
            b"UNZ" => self.end(Kind::Interchange, segment),
            b"UNE" => self.end(Kind::Group, segment),
            b"UNT" => self.end(Kind::Message, segment),
            tag if self
                .open
                .last()
                .is_none_or(|open| open.kind != Kind::Message) =>
            {
                Err(format!(
                    "line {}: {} stands outside of a message (UNH to UNT)",
                    segment.line(),
                    String::from_utf8_lossy(tag)
                ))
            }
            _ => Ok(()),
        }
    }

    /// The counts that were checked so far; the last may not have held.
    pub fn checks(&self) -> &FileChecks {
        &self.checks
    }

    /// The file is at its end.
    ///
    /// # Errors
    /// A sentence: what is still open.
    pub fn finish(&self) -> Result<(), String> {
        self.open.last().map_or(Ok(()), |open| {
            let (begin, end, _) = open.kind.names();
            Err(format!(
                "line {}: {begin} {} is not ended by {end}: the file is cut",
                open.line, open.reference
            ))
        })
    }

    fn begin(&mut self, kind: Kind, segment: &Segment<'_>) -> Result<(), String> {
        let (name, _, at) = kind.names();
        let around = self.open.last();
        // Groups are left out mostly: messages then stand in the interchange.
        let fits = match around {
            None => kind == Kind::Interchange,
            Some(open) => open.kind < kind,
        };
        if !fits {
            let inside = around.map_or("outside of an interchange".into(), |open| {
                format!(
                    "before {} {} of line {} is ended",
                    open.kind.names().0,
                    open.reference,
                    open.line
                )
            });
            return Err(format!("line {}: {name} stands {inside}", segment.line()));
        }
        for open in &mut self.open {
            open.messages += u64::from(kind == Kind::Message);
            open.groups += u64::from(kind == Kind::Group);
        }
        self.open.push(Open {
            kind,
            reference: text(segment.component(at, 0)),
            line: segment.line(),
            messages: 0,
            groups: 0,
            segments: 1,
        });
        Ok(())
    }

    fn end(&mut self, kind: Kind, segment: &Segment<'_>) -> Result<(), String> {
        let ((begin, end, at), line) = (kind.names(), segment.line());
        let Some(open) = self.open.pop_if(|open| open.kind == kind) else {
            return Err(self.open.last().map_or_else(
                || format!("line {line}: {end} ends what no {begin} began"),
                |open| {
                    format!(
                        "line {line}: {end} stands before {} {} of line {} is ended",
                        open.kind.names().0,
                        open.reference,
                        open.line
                    )
                },
            ));
        };
        let (count, of) = match kind {
            Kind::Message => (open.segments, "segments"),
            Kind::Interchange if open.groups > 0 => (open.groups, "groups"),
            _ => (open.messages, "messages"),
        };
        let (said, reference) = (text(segment.component(1, 0)), text(segment.component(2, 0)));
        self.checks.note(|| FileCheck {
            name: format!("{end} of {}", open.reference),
            expected: said.clone(),
            found: count.to_string(),
        });
        if said.parse() != Ok(count) {
            return Err(format!(
                "line {line}: {end} counts {said} {of}, and there are {count}"
            ));
        }
        if reference != open.reference {
            return Err(format!(
                "line {line}: {end} says {reference}, but element {at} of {begin} of line {} is {}",
                open.line, open.reference
            ));
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Found;
    use crate::edifact::Segments;

    fn check(file: &str, expected: Result<(), &str>) {
        let file = file.replace(' ', "\n");
        let (mut segments, mut envelope, mut at) = (Segments::default(), Envelope::default(), 0);
        let found = loop {
            match segments
                .next(&file.as_bytes()[at..], true)
                .expect("segments")
            {
                Found::More(_) => break envelope.finish(),
                Found::Segment(bytes) => at += bytes,
            }
            if let Err(reason) = envelope.take(&segments.segment()) {
                break Err(reason);
            }
        };
        match (found, expected) {
            (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
            (found, expected) => assert_eq!(found.is_ok(), expected.is_ok(), "{found:?}"),
        }
    }

    #[test]
    fn brackets_count_and_repeat_their_references() {
        let good = "UNB+UNOC:3+A+B+260101:1200+R9' UNH+M1+ORDERS:D:96A:UN' BGM+220+4711' UNT+3+M1' UNH+M2+ORDERS:D:96A:UN' UNT+2+M2' UNZ+2+R9'";
        check(good, Ok(()));
        let grouped = good
            .replace("UNH+M1", "UNG+ORDERS+A+B+260101:1200+G1+UN+D:96A' UNH+M1")
            .replace("UNZ+2", "UNE+2+G1' UNZ+1");
        check(&grouped, Ok(()));
        for (from, to, words) in [
            (
                "UNT+3+M1",
                "UNT+4+M1",
                "line 4: UNT counts 4 segments, and there are 3",
            ),
            (
                "UNT+3+M1",
                "UNT+3+M9",
                "line 4: UNT says M9, but element 1 of UNH of line 2 is M1",
            ),
            (
                "UNZ+2",
                "UNZ+1",
                "line 7: UNZ counts 1 messages, and there are 2",
            ),
            (
                "UNZ+2+R9",
                "UNZ+2+R8",
                "line 7: UNZ says R8, but element 5 of UNB of line 1 is R9",
            ),
            (
                " UNT+2+M2'",
                "",
                "line 6: UNZ stands before UNH M2 of line 5 is ended",
            ),
            (" UNZ+2+R9'", "", "line 1: UNB R9 is not ended by UNZ"),
            (
                "UNH+M1+ORDERS:D:96A:UN' ",
                "",
                "line 2: BGM stands outside of a message",
            ),
            (
                "UNT+3+M1' ",
                "",
                "line 4: UNH stands before UNH M1 of line 2 is ended",
            ),
            (
                "UNT+3+M1' ",
                "UNT+3+M1' UNT+3+M1' ",
                "line 5: UNT stands before UNB R9",
            ),
        ] {
            check(&good.replace(from, to), Err(words));
        }
        check(
            &grouped.replace("UNZ+1", "UNZ+2"),
            Err("UNZ counts 2 groups, and there are 1"),
        );
        check(
            "UNB+UNOC:3+A+B+260101:1200+1' UNZ+0+1' UNZ+0+1'",
            Err("line 3: UNZ ends what no UNB began"),
        );
    }
}
