//! X12 documents become records.

use super::sets::SETS;
use super::{Envelope, Segment, Segments};
use crate::FileFault;
use crate::edi::{
    Characters, Charset, Found, Group, Interchange, Known, Party, Receipt, Syntax, View, text,
};

/// The syntax: segments and their envelope.
#[derive(Debug)]
pub struct Interchanges {
    segments: Segments,
    envelope: Envelope,
}

impl Default for Interchanges {
    fn default() -> Self {
        Self {
            segments: Segments::new(),
            envelope: Envelope::default(),
        }
    }
}

impl Interchanges {
    fn at_hand(&self) -> Segment<'_> {
        self.segments.segment().expect("a segment was found")
    }
}

impl Syntax for Interchanges {
    const SETS: &'static [Known] = SETS;
    const BEGIN: &'static str = "ST";
    const END: &'static str = "SE";
    const OUTER: &'static [&'static str] = &["ISA", "GS"];
    const SET: (usize, usize) = (1, 0);
    const NUMBER: usize = 2;

    type Segment<'a> = Segment<'a>;

    fn next(&mut self, window: &[u8], end: bool) -> Result<Found, FileFault> {
        self.segments.next(window, end)
    }

    fn place(&self) -> (usize, usize) {
        self.segments.place()
    }

    fn segment(&self) -> Segment<'_> {
        self.at_hand()
    }

    fn again(&mut self, bytes: &[u8]) {
        self.segments.again(bytes);
    }

    fn is_binary(bytes: &[u8]) -> bool {
        bytes.starts_with(b"BIN") || bytes.starts_with(b"BDS")
    }

    fn check(&mut self) -> Result<(), String> {
        let segment = self.segments.segment().expect("a segment was found");
        self.envelope.take(&segment)
    }

    fn finish(&self) -> Result<(), String> {
        self.envelope.end()
    }

    fn charset(&self, configured: Option<Characters>) -> Charset {
        Charset::Known(configured.unwrap_or(Characters::UTF_8))
    }

    fn tell(&self, receipt: &mut Receipt) {
        let segment = self.at_hand();
        let element = |index| text(segment.element(index));
        match segment.element(0) {
            b"ISA" => receipt.begin_interchange(Interchange {
                sender: Party {
                    qualifier: element(5),
                    id: element(6),
                },
                receiver: Party {
                    qualifier: element(7),
                    id: element(8),
                },
                version: element(12),
                number: element(13),
                usage: element(15),
                line: segment.line,
                ..Interchange::default()
            }),
            b"GS" => receipt.begin_group(Group {
                function: element(1),
                sender: element(2),
                receiver: element(3),
                number: element(6),
                version: element(8),
                ..Group::default()
            }),
            b"GE" => receipt.end_group(),
            b"IEA" => receipt.end_interchange(),
            _ => {}
        }
    }

    fn told_set(&self) -> String {
        text(self.at_hand().element(1))
    }
}

impl View for Segment<'_> {
    fn tag(&self) -> &[u8] {
        self.element(0)
    }

    fn value(&self, element: usize, component: usize) -> &[u8] {
        if component == 0 {
            return self.element(element);
        }
        let first = self.repetitions(element).next().unwrap_or(&[]);
        self.parts(first).nth(component - 1).unwrap_or(&[])
    }

    fn pair(&self, element: usize, qualifier: &[u8]) -> &[u8] {
        let mut qualifiers = (element..self.len()).step_by(2);
        let found = qualifiers.find(|at| self.element(*at).trim_ascii_end() == qualifier);
        found.map_or(&[], |at| self.element(at + 1))
    }

    fn whole(&self, element: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.element(element));
    }

    fn elements(&self) -> usize {
        self.len()
    }

    fn line(&self) -> u64 {
        self.line
    }
}
