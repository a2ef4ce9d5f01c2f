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
/// Bytes of a UNA: it has no elements of its own.
const UNA_BYTES: usize = 9;

/// Cuts a file into segments. Line ends are passed over wherever they stand, unless they end segments.
#[derive(Debug)]
pub struct Segments {
    marks: Marks,
    /// The repetition mark of a UNA, which holds from syntax version 4 on.
    repetition: u8,
    /// Whether a byte is none of the marks and no line end.
    is_plain: Box<[bool; 256]>,
    begun: bool,
    /// The segment at hand: its components one behind the other, without what separates and releases them.
    text: Vec<u8>,
    components: Vec<FieldAt>,
    /// Which component begins each element.
    elements: Vec<usize>,
    /// Which component is one past its first repetition.
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
        let (Some(first), Some(end)) = (self.of.elements.get(element), self.of.firsts.get(element))
        else {
            return &[];
        };
        let at = self.of.components[..*end].get(first + part);
        at.map_or(&[], |at| &self.of.text[at.start as usize..at.end as usize])
    }

    /// All components of an element, its repetitions' one behind the other.
    pub(super) fn components(&self, element: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
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
            is_plain: plain(USUAL),
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
        let mut start = if window.starts_with(b"\xEF\xBB\xBF") {
            3
        } else {
            0
        };
        start += blank(&window[start..]);
        // Each interchange may have a UNA of its own; one may stand behind another, as after an interchange that is empty.
        loop {
            if window.len() < start + UNA_BYTES && !end {
                self.next_line += lines(&window[..start]);
                return Ok(Found::More(start));
            }
            let Some(una) = window[start..].strip_prefix(b"UNA") else {
                break;
            };
            let &[component, element, _, release, repetition, segment, ..] = una else {
                return Err(self.fault(lines(&window[..start]), "UNA is cut"));
            };
            self.marks = Marks {
                component,
                element,
                release,
                segment,
                repetition: None,
            };
            self.repetition = repetition;
            self.is_plain = plain(self.marks);
            start += UNA_BYTES;
            start += blank(&window[start..]);
            self.begun = true;
        }
        if start == window.len() {
            self.next_line += lines(window);
            return Ok(Found::More(start));
        }
        if !self.begun && !window[start..].starts_with(b"UNB") {
            return Err(self.fault(
                lines(&window[..start]),
                "the file begins with neither UNA nor UNB: it is no EDIFACT interchange",
            ));
        }
        self.begun = true;
        let before = lines(&window[..start]);
        match self.take(&window[start..]) {
            Some(bytes) if bytes > SEGMENT_BYTES_MAX => Err(self.too_long(before)),
            Some(_) if self.components.len() > COMPONENTS_MAX => {
                let what = format!("a segment has more than {COMPONENTS_MAX} components");
                Err(self.fault(before, &what))
            }
            Some(bytes) => {
                self.line = self.next_line + before;
                self.next_line += lines(&window[..start + bytes]);
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
        self.is_plain = plain(self.marks);
    }

    /// Where in the window the segment that was found last stood, without what ends it.
    pub(crate) fn place(&self) -> (usize, usize) {
        self.place
    }

    /// Takes apart once more what stood in that place.
    pub(crate) fn again(&mut self, bytes: &[u8]) {
        let whole = self.take(bytes);
        debug_assert!(whole.is_none(), "what ends a segment is left out");
        self.end_component();
        self.end_element();
    }

    /// Takes a segment apart; its bytes with its end, or `None` if that is not there.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        self.text.clear();
        self.components.clear();
        self.elements.clear();
        self.firsts.clear();
        self.elements.push(0);
        let marks = self.marks;
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let plain = rest
                .iter()
                .position(|byte| !self.is_plain[usize::from(*byte)]);
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

fn plain(marks: Marks) -> Box<[bool; 256]> {
    let mut plain = Box::new([true; 256]);
    let marks = [marks.component, marks.element, marks.segment]
        .into_iter()
        .chain((marks.release != b' ').then_some(marks.release))
        .chain(marks.repetition)
        .chain(*b"\r\n");
    marks.for_each(|mark| plain[usize::from(mark)] = false);
    plain
}

#[cfg(test)]
mod tests;
