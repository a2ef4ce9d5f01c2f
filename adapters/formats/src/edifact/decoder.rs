//! EDIFACT messages become records.

use super::sets::SETS;
use super::{Envelope, Segment, Segments};
use crate::FileFault;
use crate::edi::{
    Characters, Charset, Found, Group, Interchange, Known, Party, Receipt, Syntax, View, text,
};

/// The syntax: segments and their envelope.
#[derive(Debug, Default)]
pub struct Interchanges {
    segments: Segments,
    envelope: Envelope,
    /// The interchange's syntax identifier: `UNOC`.
    syntax: Vec<u8>,
}

impl Syntax for Interchanges {
    const SETS: &'static [Known] = SETS;
    const BEGIN: &'static str = "UNH";
    const END: &'static str = "UNT";
    const OUTER: &'static [&'static str] = &["UNB", "UNG"];
    const SET: (usize, usize) = (2, 1);
    const NUMBER: usize = 1;

    type Segment<'a> = Segment<'a>;

    fn next(&mut self, window: &[u8], end: bool) -> Result<Found, FileFault> {
        self.segments.next(window, end)
    }

    fn place(&self) -> (usize, usize) {
        self.segments.place()
    }

    fn segment(&self) -> Segment<'_> {
        self.segments.segment()
    }

    fn again(&mut self, bytes: &[u8]) {
        self.segments.again(bytes);
    }

    fn is_binary(_: &[u8]) -> bool {
        false
    }

    fn check(&mut self) -> Result<(), String> {
        let segment = self.segments.segment();
        if segment.tag() == b"UNB" {
            self.syntax.clear();
            self.syntax.extend_from_slice(segment.component(1, 0));
        }
        self.envelope.take(&segment)
    }

    fn finish(&self) -> Result<(), String> {
        self.envelope.finish()
    }

    fn charset(&self, configured: Option<Characters>) -> Charset {
        match (self.syntax.as_slice(), configured) {
            (b"UNOA" | b"UNOB", None) => Charset::Ascii,
            (b"UNOA" | b"UNOB", Some(configured)) => Charset::Known(configured),
            (name, configured) => match Characters::of_syntax(name).or(configured) {
                Some(known) => Charset::Known(known),
                None => Charset::Private(text(name)),
            },
        }
    }

    fn tell(&self, receipt: &mut Receipt) {
        let segment = self.segments.segment();
        let part = |element, part| text(segment.component(element, part));
        let party = |element| Party {
            id: part(element, 0),
            qualifier: part(element, 1),
        };
        match segment.tag() {
            b"UNB" => receipt.begin_interchange(Interchange {
                sender: party(2),
                receiver: party(3),
                number: part(5, 0),
                version: joined(&segment, 1),
                usage: part(11, 0),
                line: segment.line(),
                ..Interchange::default()
            }),
            b"UNG" => receipt.begin_group(Group {
                function: part(1, 0),
                sender: part(2, 0),
                receiver: part(3, 0),
                number: part(5, 0),
                version: joined(&segment, 7),
                ..Group::default()
            }),
            b"UNE" => receipt.end_group(),
            b"UNZ" => receipt.end_interchange(),
            _ => {}
        }
    }

    fn told_set(&self) -> String {
        joined(&self.segments.segment(), 2)
    }
}

/// An element's components with colons in between.
fn joined(segment: &Segment<'_>, element: usize) -> String {
    let parts: Vec<String> = segment.components(element).map(text).collect();
    parts.join(":")
}

impl View for Segment<'_> {
    fn tag(&self) -> &[u8] {
        self.component(0, 0)
    }

    fn value(&self, element: usize, component: usize) -> &[u8] {
        self.component(element, component.saturating_sub(1))
    }

    fn pair(&self, element: usize, qualifier: &[u8]) -> &[u8] {
        let mut elements = element..self.len();
        let found = elements.find(|at| self.component(*at, 1) == qualifier);
        found.map_or(&[], |at| self.component(at, 0))
    }

    fn whole(&self, element: usize, out: &mut Vec<u8>) {
        let mut components = self.components(element);
        let first = components.next().unwrap_or(&[]);
        out.extend_from_slice(first);
        let mut is_alone = true;
        for component in components {
            if is_alone {
                // With others, a colon of its own has to be told from those in between.
                out.clear();
                released(first, out);
                is_alone = false;
            }
            out.push(b':');
            released(component, out);
        }
    }

    fn elements(&self) -> usize {
        self.len()
    }

    fn line(&self) -> u64 {
        Segment::line(self)
    }
}

fn released(component: &[u8], out: &mut Vec<u8>) {
    for byte in component {
        if matches!(byte, b':' | b'?') {
            out.push(b'?');
        }
        out.push(*byte);
    }
}
