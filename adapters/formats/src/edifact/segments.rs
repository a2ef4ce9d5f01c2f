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
}

/// Where no UNA says otherwise.
const USUAL: Marks = Marks {
    component: b':',
    element: b'+',
    release: b'?',
    segment: b'\'',
};
/// Bytes of a UNA: it has no elements of its own.
const UNA_BYTES: usize = 9;

/// Cuts a file into segments. Line ends are passed over wherever they stand, unless they end segments.
#[derive(Debug)]
pub struct Segments {
    marks: Marks,
    begun: bool,
    /// The segment at hand: its components one behind the other, without what separates and releases them.
    text: Vec<u8>,
    components: Vec<FieldAt>,
    /// Which component begins each element.
    elements: Vec<usize>,
    line: u64,
    next_line: u64,
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

    /// Component `part` (from 0) of element `element` (0 is the name, 1 the first behind it); empty where there is none.
    #[must_use]
    pub fn component(&self, element: usize, part: usize) -> &'a [u8] {
        let Some(first) = self.of.elements.get(element) else {
            return &[];
        };
        let next = self.of.elements.get(element + 1);
        let end = next.copied().unwrap_or(self.of.components.len());
        let at = self.of.components[..end].get(first + part);
        at.map_or(&[], |at| &self.of.text[at.start as usize..at.end as usize])
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
            begun: false,
            text: Vec::new(),
            components: Vec::new(),
            elements: Vec::new(),
            line: 1,
            next_line: 1,
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
        if window.len() < start + UNA_BYTES && !end {
            self.next_line += lines(&window[..start]);
            return Ok(Found::More(start));
        }
        // Each interchange may have a UNA of its own.
        if let Some(una) = window[start..].strip_prefix(b"UNA") {
            let &[component, element, _, release, _, segment, ..] = una else {
                return Err(self.fault(lines(&window[..start]), "UNA is cut"));
            };
            self.marks = Marks {
                component,
                element,
                release,
                segment,
            };
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
                Ok(Found::Segment(start + bytes))
            }
            None if window.len() - start > SEGMENT_BYTES_MAX => Err(self.too_long(before)),
            None if end => {
                Err(self.fault(before, "the last segment is not ended: the file is cut"))
            }
            None => Ok(Found::More(0)),
        }
    }

    /// Takes a segment apart; its bytes with its end, or `None` if that is not there.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        self.text.clear();
        self.components.clear();
        self.elements.clear();
        self.elements.push(0);
        let marks = self.marks;
        let mut begin = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                _ if byte == marks.release && byte != b' ' => {
                    self.text.push(*bytes.get(at)?);
                    at += 1;
                    continue;
                }
                _ if byte == marks.segment || byte == marks.element || byte == marks.component => {
                    let end = self.text.len();
                    self.components.push(FieldAt {
                        start: begin as u32,
                        end: end as u32,
                    });
                    begin = end;
                }
                b'\r' | b'\n' => continue,
                _ => {
                    self.text.push(byte);
                    continue;
                }
            }
            if byte == marks.segment {
                return Some(at);
            }
            if byte == marks.element {
                self.elements.push(self.components.len());
            }
        }
        None
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

#[cfg(test)]
mod tests;
