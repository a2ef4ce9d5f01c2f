//! Bytes to segments.

use super::{COMPONENTS_MAX, SEGMENT_BYTES_MAX};
use crate::edi::{Found, blank, lines};
use crate::{FieldAt, FileFault};

/// What separates what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks {
    component: u8,
    element: u8,
    /// The one behind it stands for itself. A space: there is none.
    release: u8,
    segment: u8,
    /// Between repetitions of an element, from syntax version 4 on.
    repetition: Option<u8>,
}

/// What a byte is to segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Component,
    Element,
    Segment,
    /// A release, a repetition, or a line end.
    Other,
}

/// Where no UNA says otherwise.
const USUAL: Marks = Marks {
    component: b':',
    element: b'+',
    release: b'?',
    segment: b'\'',
    repetition: None,
};
/// Where no UNA says otherwise, from syntax version 4 on.
const USUAL_REPETITION: u8 = b'*';
/// Bytes of a segment that is looked at once; it has fewer than [`COMPONENTS_MAX`] components.
const PLAIN_BYTES_MAX: usize = 900;
/// Bytes of a UNA: it has no elements of its own.
const UNA_BYTES: usize = 9;

/// Cuts a file into segments. Line ends are passed over wherever they stand, unless they end segments.
#[derive(Debug)]
pub struct Segments {
    marks: Marks,
    /// The repetition mark of a UNA, which holds from syntax version 4 on.
    repetition: u8,
    /// What each byte is.
    kinds: Vec<Kind>,
    begun: bool,
    /// The segment at hand: its components one behind the other, without what separates and releases them.
    text: Vec<u8>,
    components: Vec<FieldAt>,
    /// Which component begins each element.
    elements: Vec<usize>,
    /// Which component is one past each element's first repetition; empty where none is repeated.
    firsts: Vec<usize>,
    line: u64,
    next_line: u64,
    /// Where it stood in the window, without what ends it.
    place: (usize, usize),
}

/// The segment that was found last.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    of: &'a Segments,
}

impl<'a> Segment<'a> {
    /// Its name.
    #[must_use]
    pub fn tag(&self) -> &'a [u8] {
        self.component(0, 0)
    }

    /// Component `part` (from 0) of element `element` (0 is the name, 1 the first behind it); empty where there is none. Where an element
    /// is repeated, of the first.
    #[must_use]
    pub fn component(&self, element: usize, part: usize) -> &'a [u8] {
        let Some(first) = self.of.elements.get(element) else {
            return &[];
        };
        let end = self.of.firsts.get(element);
        let end = end.or_else(|| self.of.elements.get(element + 1)).copied();
        let end = end.unwrap_or(self.of.components.len());
        let at = self.of.components[..end].get(first + part);
        at.map_or(&[], |at| &self.of.text[at.start as usize..at.end as usize])
    }

    /// All components of an element, its repetitions' one behind the other.
    pub fn components(&self, element: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let of = self.of;
        let end = of.elements.get(element + 1).copied();
        let end = end.unwrap_or(of.components.len());
        let first = of.elements.get(element).copied().unwrap_or(end);
        let bytes = |at: &FieldAt| &of.text[at.start as usize..at.end as usize];
        of.components[first..end].iter().map(bytes)
    }

    /// How many elements it has, its name counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of.elements.len()
    }

    /// Never: it has a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.elements.is_empty()
    }

    /// The line on which it starts, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.of.line
    }
}

impl Default for Segments {
    fn default() -> Self {
        Self {
            marks: USUAL,
            repetition: b' ',
            kinds: kinds(USUAL),
            begun: false,
            text: Vec::new(),
            components: Vec::new(),
            elements: Vec::new(),
            firsts: Vec::new(),
            line: 1,
            next_line: 1,
            place: (0, 0),
        }
    }
}

impl Segments {
    /// The segment that was found last.
    #[must_use]
    pub fn segment(&self) -> Segment<'_> {
        Segment { of: self }
    }

    /// Looks for the next segment. `end`: nothing follows the window.
    ///
    /// # Errors
    /// [`FileFault`]: from here on nothing tells where a segment ends.
    pub fn next(&mut self, window: &[u8], end: bool) -> Result<Found, FileFault> {
        let (mut start, mut before) = blank(window);
        // Each interchange may have a UNA of its own; one may stand behind another, as after an interchange that is empty.
        loop {
            if window.len() < start + UNA_BYTES && !end {
                self.next_line += before;
                return Ok(Found::More(start));
            }
            let Some(una) = window[start..].strip_prefix(b"UNA") else {
                break;
            };
            let &[component, element, _, release, repetition, segment, ..] = una else {
                return Err(self.fault(before, "UNA is cut"));
            };
            self.marks = Marks {
                component,
                element,
                release,
                segment,
                repetition: None,
            };
            self.repetition = repetition;
            self.kinds = kinds(self.marks);
            before += lines(&window[start..start + UNA_BYTES]);
            start += UNA_BYTES;
            let (blanks, line_ends) = blank(&window[start..]);
            start += blanks;
            before += line_ends;
            self.begun = true;
        }
        if start == window.len() {
            self.next_line += before;
            return Ok(Found::More(start));
        }
        if !self.begun && !window[start..].starts_with(b"UNB") {
            return Err(self.fault(
                before,
                "the file begins with neither UNA nor UNB: it is no EDIFACT interchange",
            ));
        }
        self.begun = true;
        let rest = &window[start..];
        let (taken, is_plain) = match self.take_plain(rest, false) {
            Some(bytes) => (Some(bytes), true),
            None => (self.take(rest), false),
        };
        match taken {
            Some(bytes) if bytes > SEGMENT_BYTES_MAX => Err(self.too_long(before)),
            Some(_) if self.components.len() > COMPONENTS_MAX => {
                let what = format!("a segment has more than {COMPONENTS_MAX} components");
                Err(self.fault(before, &what))
            }
            Some(bytes) => {
                self.line = self.next_line + before;
                // A plain one has no line end but the one that ends it.
                let within = if is_plain {
                    &rest[bytes - 1..bytes]
                } else {
                    &rest[..bytes]
                };
                self.next_line = self.line + lines(within);
                self.place = (start, start + bytes - 1);
                if self.segment().tag() == b"UNB" {
                    self.begin_interchange();
                }
                Ok(Found::Segment(start + bytes))
            }
            None if window.len() - start > SEGMENT_BYTES_MAX => Err(self.too_long(before)),
            None if end => {
                Err(self.fault(before, "the last segment is not ended: the file is cut"))
            }
            None => Ok(Found::More(0)),
        }
    }

    /// Repetitions are known from syntax version 4 on.
    fn begin_interchange(&mut self) {
        let version = self.segment().component(1, 1);
        let mark = match self.repetition {
            b' ' => USUAL_REPETITION,
            mark => mark,
        };
        self.marks.repetition = (version >= b"4".as_slice()).then_some(mark);
        self.kinds = kinds(self.marks);
    }

    /// Where in the window the segment that was found last stood, without what ends it.
    pub(crate) fn place(&self) -> (usize, usize) {
        self.place
    }

    /// Takes apart once more what stood in that place.
    pub(crate) fn again(&mut self, bytes: &[u8]) {
        if self.take_plain(bytes, true).is_none() && self.take(bytes).is_none() {
            self.end_component();
            self.end_element();
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.components.clear();
        self.elements.clear();
        self.firsts.clear();
        self.elements.push(0);
    }

    /// Takes a segment that is whole and has no line ends, nothing released and nothing repeated: most are so. Its bytes with its end,
    /// which may be left out of a `whole` one.
    fn take_plain(&mut self, bytes: &[u8], whole: bool) -> Option<usize> {
        self.clear();
        let mut begin = 0;
        for (at, byte) in bytes.iter().take(PLAIN_BYTES_MAX).enumerate() {
            let kind = self.kinds[usize::from(*byte)];
            if kind == Kind::Plain {
                continue;
            }
            if kind == Kind::Other {
                return None;
            }
            self.components.push(FieldAt {
                start: begin,
                end: at as u32,
            });
            begin = at as u32 + 1;
            if kind == Kind::Element {
                self.elements.push(self.components.len());
            } else if kind == Kind::Segment {
                self.text.extend_from_slice(&bytes[..at]);
                return Some(at + 1);
            }
        }
        if !whole || bytes.len() > PLAIN_BYTES_MAX {
            return None;
        }
        self.components.push(FieldAt {
            start: begin,
            end: bytes.len() as u32,
        });
        self.text.extend_from_slice(bytes);
        Some(bytes.len())
    }

    /// Takes a segment apart; its bytes with its end, or `None` if that is not there.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        self.clear();
        let marks = self.marks;
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let plain = rest
                .iter()
                .position(|byte| self.kinds[usize::from(*byte)] != Kind::Plain);
            let plain = plain.unwrap_or(rest.len());
            self.text.extend_from_slice(&rest[..plain]);
            let byte = *rest.get(plain)?;
            at += plain + 1;
            if byte == marks.release && byte != b' ' {
                self.text.push(*bytes.get(at)?);
                at += 1;
            } else if byte == marks.segment {
                self.end_component();
                self.end_element();
                return Some(at);
            } else if byte == marks.element {
                self.end_component();
                self.end_element();
                self.elements.push(self.components.len());
            } else if byte == marks.component {
                self.end_component();
            } else if Some(byte) == marks.repetition {
                self.end_component();
                if self.firsts.len() < self.elements.len() {
                    self.firsts.push(self.components.len());
                }
            }
        }
    }

    fn end_component(&mut self) {
        self.components.push(FieldAt {
            start: self.components.last().map_or(0, |last| last.end),
            end: self.text.len() as u32,
        });
    }

    fn end_element(&mut self) {
        if self.firsts.len() < self.elements.len() {
            self.firsts.push(self.components.len());
        }
    }

    fn too_long(&self, before: u64) -> FileFault {
        let what = format!("a segment has no end within {SEGMENT_BYTES_MAX} bytes");
        self.fault(before, &what)
    }

    /// `before`: line ends of the window before what is wrong.
    fn fault(&self, before: u64, what: &str) -> FileFault {
        FileFault(format!("line {}: {what}", self.next_line + before))
    }
}

fn kinds(marks: Marks) -> Vec<Kind> {
    let mut kinds = vec![Kind::Plain; 256];
    let others = (marks.release != b' ').then_some(marks.release);
    let others = others.into_iter().chain(marks.repetition).chain(*b"\r\n");
    let marks = [
        (marks.component, Kind::Component),
        (marks.element, Kind::Element),
        (marks.segment, Kind::Segment),
    ];
    let others = others.map(|byte| (byte, Kind::Other));
    // What stands for two things is the first that is asked for: release, segment, element, component.
    let is_double = |byte: u8| marks.iter().filter(|(mark, _)| *mark == byte).count() > 1;
    for (byte, kind) in marks {
        kinds[usize::from(byte)] = if is_double(byte) { Kind::Other } else { kind };
    }
    for (byte, kind) in others {
        let known = &mut kinds[usize::from(byte)];
        // Line ends may end segments.
        if !(matches!(byte, b'\r' | b'\n') && *known == Kind::Segment) {
            *known = kind;
        }
    }
    kinds
}

#[cfg(test)]
mod tests;
