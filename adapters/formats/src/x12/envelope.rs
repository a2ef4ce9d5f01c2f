//! Whether the counts and control numbers of an interchange's brackets hold.
//!
//! ISA and IEA, GS and GE, ST and SE: each end repeats its beginning's control number and counts what stood in between.

use dray_adapter::{FileCheck, FileChecks};

use super::Segment;

/// Follows an interchange's segments.
#[derive(Debug, Default)]
pub struct Envelope {
    interchange: Option<Open>,
    group: Option<Open>,
    document: Option<Open>,
    checks: FileChecks,
}

/// A bracket that is open.
#[derive(Debug)]
struct Open {
    number: String,
    line: u64,
    /// Of an interchange: groups; of a group: documents; of a document: segments.
    count: u64,
}

/// One of the three brackets: beginning, end, and where the control number and the count stand.
struct Bracket {
    begin: &'static str,
    end: &'static str,
    number_in_begin: usize,
}

const INTERCHANGE: Bracket = Bracket {
    begin: "ISA",
    end: "IEA",
    number_in_begin: 13,
};
const GROUP: Bracket = Bracket {
    begin: "GS",
    end: "GE",
    number_in_begin: 6,
};
const DOCUMENT: Bracket = Bracket {
    begin: "ST",
    end: "SE",
    number_in_begin: 2,
};

impl Envelope {
    /// The next segment.
    ///
    /// # Errors
    /// A sentence with the line and the rule that is broken: the interchange can't be trusted.
    pub fn take(&mut self, segment: &Segment<'_>) -> Result<(), String> {
        if let Some(document) = &mut self.document {
            document.count += 1;
        }
        match segment.element(0) {
            b"ISA" => begin(&mut self.interchange, &INTERCHANGE, segment, None),
            b"GS" => begin(
                &mut self.group,
                &GROUP,
                segment,
                Some((&mut self.interchange, &INTERCHANGE)),
            ),
            b"ST" => {
                begin(
                    &mut self.document,
                    &DOCUMENT,
                    segment,
                    Some((&mut self.group, &GROUP)),
                )?;
                self.document
                    .iter_mut()
                    .for_each(|document| document.count = 1);
                Ok(())
            }
            b"SE" => end(
                &mut self.document,
                &DOCUMENT,
                segment,
                "segments",
                &mut self.checks,
            ),
            b"GE" => {
                closed(&self.document, &DOCUMENT, segment)?;
                end(
                    &mut self.group,
                    &GROUP,
                    segment,
                    "documents",
                    &mut self.checks,
                )
            }
            b"IEA" => {
                closed(&self.document, &DOCUMENT, segment)?;
                closed(&self.group, &GROUP, segment)?;
                end(
                    &mut self.interchange,
                    &INTERCHANGE,
                    segment,
                    "groups",
                    &mut self.checks,
                )
            }
            // TA1 acknowledges an interchange, outside of any group.
            b"TA1" if self.interchange.is_some() => Ok(()),
            name if self.document.is_none() => Err(format!(
                "line {}: {} stands outside of a document (ST to SE)",
                segment.line,
                String::from_utf8_lossy(name)
            )),
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
    pub fn end(&self) -> Result<(), String> {
        let open = [
            (&self.document, &DOCUMENT),
            (&self.group, &GROUP),
            (&self.interchange, &INTERCHANGE),
        ];
        open.into_iter().try_for_each(|(open, bracket)| match open {
            None => Ok(()),
            Some(open) => Err(format!(
                "line {}: {} {} is not ended by {}: the file is cut",
                open.line, bracket.begin, open.number, bracket.end
            )),
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn begin(
    open: &mut Option<Open>,
    bracket: &Bracket,
    segment: &Segment<'_>,
    around: Option<(&mut Option<Open>, &Bracket)>,
) -> Result<(), String> {
    if let Some(open) = open {
        return Err(format!(
            "line {}: a second {} before {} {} of line {} is ended by {}",
            segment.line, bracket.begin, bracket.begin, open.number, open.line, bracket.end
        ));
    }
    if let Some((around, outer)) = around {
        let around = around.as_mut().ok_or_else(|| {
            format!(
                "line {}: {} stands outside of {} and {}",
                segment.line, bracket.begin, outer.begin, outer.end
            )
        })?;
        around.count += 1;
    }
    *open = Some(Open {
        number: text(segment.element(bracket.number_in_begin)),
        line: segment.line,
        count: 0,
    });
    Ok(())
}

fn closed(open: &Option<Open>, bracket: &Bracket, segment: &Segment<'_>) -> Result<(), String> {
    open.as_ref().map_or(Ok(()), |open| {
        Err(format!(
            "line {}: {} stands before {} {} of line {} is ended by {}",
            segment.line,
            text(segment.element(0)),
            bracket.begin,
            open.number,
            open.line,
            bracket.end
        ))
    })
}

fn end(
    open: &mut Option<Open>,
    bracket: &Bracket,
    segment: &Segment<'_>,
    of: &str,
    checks: &mut FileChecks,
) -> Result<(), String> {
    let (name, line) = (bracket.end, segment.line);
    let Some(open) = open.take() else {
        return Err(format!(
            "line {line}: {name} ends what no {} began",
            bracket.begin
        ));
    };
    let (said, number) = (text(segment.element(1)), text(segment.element(2)));
    checks.note(|| FileCheck {
        name: format!("{name}01 of {}", open.number),
        expected: said.clone(),
        found: open.count.to_string(),
    });
    if said.parse() != Ok(open.count) {
        return Err(format!(
            "line {line}: {name}01 counts {said} {of}, and there are {}",
            open.count
        ));
    }
    // Some systems pad one of the two.
    let same =
        |one: &str, other: &str| one.trim_start_matches('0') == other.trim_start_matches('0');
    if !same(&number, &open.number) {
        return Err(format!(
            "line {line}: {name}02 is {number}, but {}{:02} of line {} is {}",
            bracket.begin, bracket.number_in_begin, open.line, open.number
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Found;
    use crate::x12::Segments;

    const ISA: &str = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *200101*1200*U*00401*000000009*0*P*:~\n";

    fn check(rest: &str, expected: Result<(), &str>) {
        let file = format!("{ISA}{}", rest.replace(' ', "\n"));
        let (mut segments, mut envelope, mut at) = (Segments::new(), Envelope::default(), 0);
        let found = loop {
            match segments
                .next(&file.as_bytes()[at..], true)
                .expect("segments")
            {
                Found::More(_) => break envelope.end(),
                Found::Segment(bytes) => at += bytes,
            }
            let segment = segments.segment().expect("found");
            if let Err(reason) = envelope.take(&segment) {
                break Err(reason);
            }
        };
        match (found, expected) {
            (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
            (found, expected) => assert_eq!(found.is_ok(), expected.is_ok(), "{found:?}"),
        }
    }

    #[test]
    fn brackets_count_and_repeat_their_numbers() {
        let good = "GS*OW*A*B*200101*1200*7*X*004010~ ST*940*0001~ W05*N~ SE*3*0001~ ST*940*0002~ SE*2*0002~ GE*2*7~ IEA*1*000000009~";
        check(good, Ok(()));
        check(&format!("TA1*1*200101*1200*A*000~ {good}"), Ok(()));
        for (from, to, words) in [
            (
                "SE*3*0001",
                "SE*4*0001",
                "line 5: SE01 counts 4 segments, and there are 3",
            ),
            (
                "SE*3*0001",
                "SE*3*0009",
                "line 5: SE02 is 0009, but ST02 of line 3 is 0001",
            ),
            (
                "GE*2*7",
                "GE*1*7",
                "line 8: GE01 counts 1 documents, and there are 2",
            ),
            (
                "GE*2*7",
                "GE*2*8",
                "line 8: GE02 is 8, but GS06 of line 2 is 7",
            ),
            (
                "IEA*1*000000009",
                "IEA*2*000000009",
                "line 9: IEA01 counts 2 groups, and there are 1",
            ),
            (
                "IEA*1*000000009",
                "IEA*1*000000008",
                "line 9: IEA02 is 000000008, but ISA13 of line 1 is 000000009",
            ),
            (
                " SE*2*0002~",
                "",
                "line 7: GE stands before ST 0002 of line 6",
            ),
            (" GE*2*7~", "", "line 8: IEA stands before GS 7 of line 2"),
            (
                " IEA*1*000000009~",
                "",
                "line 1: ISA 000000009 is not ended by IEA",
            ),
            (
                "ST*940*0001~ ",
                "",
                "line 3: W05 stands outside of a document",
            ),
            (
                "GS*OW*A*B*200101*1200*7*X*004010~ ",
                "",
                "line 2: ST stands outside of GS",
            ),
            (
                "SE*3*0001~ ST*940*0002~",
                "ST*940*0002~",
                "line 5: a second ST before ST 0001 of line 3",
            ),
            (
                "SE*3*0001~ ",
                "SE*3*0001~ SE*3*0001~ ",
                "line 6: SE ends what no ST began",
            ),
        ] {
            check(&good.replace(from, to), Err(words));
        }
    }
}
