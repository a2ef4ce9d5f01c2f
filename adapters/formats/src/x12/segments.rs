//! Bytes to segments.

use super::{ELEMENTS_MAX, SEGMENT_BYTES_MAX};
use crate::edi::{Found, blank, lines};
use crate::{FieldAt, FileFault, RECORD_BYTES_MAX};

/// Elements of an ISA segment besides its name.
const ISA_ELEMENTS: usize = 16;
/// Bytes of a segment that is looked at once; it has fewer than [`ELEMENTS_MAX`] elements.
const PLAIN_BYTES_MAX: usize = 900;
/// Bytes within which an ISA must be over, whatever its elements' lengths; by the standard it has 106.
const ISA_BYTES_MAX: usize = 256;

/// What separates what, as an interchange's ISA says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Separators {
    element: u8,
    /// Within an element; `None` where ISA16 is empty.
    component: Option<u8>,
    /// Between repetitions of an element: ISA11, from version 00402 on.
    repetition: Option<u8>,
    segment: u8,
}

/// Cuts a file into segments. Line ends are passed over wherever they stand, as files are wrapped at 80 columns, unless
/// they end segments.
#[derive(Debug, Default)]
pub struct Segments {
    separators: Option<Separators>,
    /// The segment at hand, without line ends.
    text: Vec<u8>,
    elements: Vec<FieldAt>,
    /// Where that one starts, and where the next one may.
    starts: u64,
    line: u64,
    /// Where it stood in the window, without what ends it.
    place: (usize, usize),
    /// What each byte is.
    kinds: Vec<Kind>,
}

/// What a byte is to segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Element,
    Segment,
    LineEnd,
}

/// The segment that was found last.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    text: &'a [u8],
    elements: &'a [FieldAt],
    separators: Separators,
    /// The line on which it starts, from 1.
    pub line: u64,
}

impl<'a> Segment<'a> {
    /// Element `index`; 0 is the segment's name, 1 is what the standard numbers 01. Empty beyond the last.
    #[must_use]
    pub fn element(&self, index: usize) -> &'a [u8] {
        self.elements
            .get(index)
            .map_or(&[], |at| &self.text[at.start as usize..at.end as usize])
    }

    /// How many elements it has, its name counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Never: it has a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The parts of an element, from 1; one where the interchange knows no parts.
    pub fn components(&self, index: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.parts(self.element(index))
    }

    pub(super) fn parts<'b>(&self, element: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let component = self.separators.component;
        element.split(move |byte| Some(*byte) == component)
    }

    /// The repetitions of an element; one where the interchange's version knows none.
    pub fn repetitions(&self, index: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let repetition = self.separators.repetition;
        self.element(index)
            .split(move |byte| Some(*byte) == repetition)
    }

    /// Without its terminator.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }
}

impl Segments {
    /// At a file's beginning.
    #[must_use]
    pub fn new() -> Self {
        Self {
            line: 1,
            ..Self::default()
        }
    }

    /// The segment that was found last; `None` before the first.
    #[must_use]
    pub fn segment(&self) -> Option<Segment<'_>> {
        Some(Segment {
            text: &self.text,
            elements: &self.elements,
            separators: self.separators?,
            line: self.starts,
        })
    }

    /// Looks for the next segment. `end`: nothing follows the window. Takes at least something of a window of
    /// [`crate::WINDOW_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`FileFault`]: from here on nothing tells where a segment ends.
    pub fn next(&mut self, window: &[u8], end: bool) -> Result<Found, FileFault> {
        let (start, new_lines) = blank(window);
        let rest = &window[start..];
        if let Some(length) = self.plain(rest, false) {
            self.starts = self.line + new_lines;
            self.line = self.starts + u64::from(rest[length] == b'\n');
            self.place = (start, start + length);
            return Ok(Found::Segment(start + length + 1));
        }
        if rest.is_empty() {
            self.line += new_lines;
            return Ok(Found::More(start));
        }
        // Each interchange has separators of its own.
        if rest.starts_with(b"ISA")
            && rest
                .get(3)
                .is_some_and(|byte| !byte.is_ascii_alphanumeric())
        {
            match isa(rest, end).map_err(|what| self.fault(new_lines, &what))? {
                Some(separators) => {
                    self.separators = Some(separators);
                    self.kinds = kinds(separators);
                }
                None => return Ok(Found::More(0)),
            }
        } else if rest.len() < 4 && !end {
            return Ok(Found::More(0));
        }
        let Some(separators) = self.separators else {
            return Err(self.fault(
                new_lines,
                "the file does not begin with an ISA segment: it is no X12 interchange",
            ));
        };
        let from = match self.binary(rest, separators) {
            Ok(from) => from,
            Err(what) => return Err(self.fault(new_lines, &what)),
        };
        let ended = rest
            .get(from..)
            .and_then(|rest| memchr::memchr(separators.segment, rest));
        let length = ended.map_or(rest.len(), |at| from + at);
        if length > SEGMENT_BYTES_MAX.max(from) {
            return Err(self.fault(
                new_lines,
                &format!("a segment has no end within {SEGMENT_BYTES_MAX} bytes"),
            ));
        }
        // A line end that ends segments may be left out behind the last one.
        let by_lines = matches!(separators.segment, b'\n' | b'\r');
        if ended.is_none() && end && !by_lines {
            return Err(self.fault(new_lines, "the last segment is not ended: the file is cut"));
        }
        if ended.is_none() && !end {
            return Ok(Found::More(0));
        }
        self.line += new_lines;
        self.starts = self.line;
        self.take(&rest[..length], separators, from);
        if self.elements.len() > ELEMENTS_MAX {
            return Err(self.fault(
                0,
                &format!("a segment has more than {ELEMENTS_MAX} elements"),
            ));
        }
        let used = rest.len().min(length + 1);
        self.line += lines(&rest[..used]);
        self.place = (start, start + length);
        Ok(Found::Segment(start + used))
    }

    /// Takes a segment that is whole, has no line ends and few elements, and is no special one: most are so. Its length. What ends it may
    /// be left out of a `whole` one.
    fn plain(&mut self, rest: &[u8], whole: bool) -> Option<usize> {
        let name = rest.get(..3)?;
        if self.separators.is_none() || matches!(name, b"ISA" | b"BIN" | b"BDS") {
            return None;
        }
        self.elements.clear();
        let mut begin = 0;
        for (at, byte) in rest.iter().take(PLAIN_BYTES_MAX).enumerate() {
            let kind = self.kinds[usize::from(*byte)];
            if kind == Kind::Plain {
                continue;
            }
            if kind == Kind::LineEnd {
                return None;
            }
            self.elements.push(FieldAt {
                start: begin,
                end: at as u32,
            });
            begin = at as u32 + 1;
            if kind == Kind::Segment {
                self.text.clear();
                self.text.extend_from_slice(&rest[..at]);
                return Some(at);
            }
        }
        if !whole || rest.len() > PLAIN_BYTES_MAX {
            return None;
        }
        self.elements.push(FieldAt {
            start: begin,
            end: rest.len() as u32,
        });
        self.text.clear();
        self.text.extend_from_slice(rest);
        Some(rest.len())
    }

    /// Where in the window the segment that was found last stood, without what ends it.
    pub(crate) fn place(&self) -> (usize, usize) {
        self.place
    }

    /// Takes apart once more what stood in that place.
    pub(crate) fn again(&mut self, bytes: &[u8]) {
        if self.plain(bytes, true).is_some() {
            return;
        }
        if let Some(separators) = self.separators {
            let from = self.binary(bytes, separators).unwrap_or(0);
            self.take(bytes, separators, from);
        }
    }

    /// Where to look for a segment's end: behind what a BIN or BDS segment carries, which may hold anything. A length that is not there
    /// yet counts as 0.
    fn binary(&self, rest: &[u8], separators: Separators) -> Result<usize, String> {
        let before = match rest.get(..3) {
            Some(b"BIN") => 1,
            Some(b"BDS") => 2,
            _ => return Ok(0),
        };
        // One that ends before its length carries nothing.
        let head = memchr::memchr(separators.segment, rest).map_or(rest, |end| &rest[..end]);
        let mut at = memchr::memchr_iter(separators.element, head).skip(before - 1);
        let (Some(first), Some(last)) = (at.next(), at.next()) else {
            return Ok(0);
        };
        if rest[3] != separators.element {
            return Ok(0);
        }
        let length = std::str::from_utf8(&rest[first + 1..last]).ok();
        let length: usize = length
            .and_then(|digits| digits.parse().ok())
            .ok_or("the length of a binary segment is no number")?;
        if length > RECORD_BYTES_MAX - SEGMENT_BYTES_MAX {
            return Err(format!("a binary segment of {length} bytes is too long"));
        }
        Ok(last + 1 + length)
    }

    /// Keeps a segment. `from`: where bytes are taken as they are.
    fn take(&mut self, bytes: &[u8], separators: Separators, from: usize) {
        self.text.clear();
        self.elements.clear();
        let carried = from > 0;
        if carried {
            self.text.extend_from_slice(bytes);
        } else {
            let mut from = 0;
            for line_end in memchr::memchr2_iter(b'\r', b'\n', bytes) {
                self.text.extend_from_slice(&bytes[from..line_end]);
                from = line_end + 1;
            }
            self.text.extend_from_slice(&bytes[from..]);
        }
        let mut start = 0;
        let ends = memchr::memchr_iter(separators.element, &self.text);
        // What is carried may hold separators: it is the last element.
        let limit = if !carried {
            usize::MAX
        } else if self.text.starts_with(b"BIN") {
            2
        } else {
            3
        };
        for end in ends.take(limit) {
            self.elements.push(FieldAt {
                start: start as u32,
                end: end as u32,
            });
            start = end + 1;
        }
        self.elements.push(FieldAt {
            start: start as u32,
            end: self.text.len() as u32,
        });
    }

    fn fault(&self, before: u64, what: &str) -> FileFault {
        FileFault(format!("line {}: {what}", self.line + before))
    }
}

fn kinds(separators: Separators) -> Vec<Kind> {
    let mut kinds = vec![Kind::Plain; 256];
    kinds[usize::from(b'\r')] = Kind::LineEnd;
    kinds[usize::from(b'\n')] = Kind::LineEnd;
    kinds[usize::from(separators.element)] = Kind::Element;
    kinds[usize::from(separators.segment)] = Kind::Segment;
    kinds
}

/// What an ISA segment says; `None` where more of it is needed.
fn isa(bytes: &[u8], end: bool) -> Result<Option<Separators>, String> {
    let element = bytes[3];
    // Whatever more there is in the window: what is said of a file does not depend on how it is cut.
    let head = &bytes[..bytes.len().min(ISA_BYTES_MAX)];
    let last = memchr::memchr_iter(element, head).nth(ISA_ELEMENTS - 1);
    // Its last element is one byte, and one more ends it.
    let (Some(last), Some(&one), Some(&two)) = (
        last,
        last.and_then(|last| bytes.get(last + 1)),
        last.and_then(|last| bytes.get(last + 2)),
    ) else {
        let cut = end || (last.is_none() && bytes.len() >= ISA_BYTES_MAX);
        let what = format!(
            "the ISA segment has fewer than {ISA_ELEMENTS} elements in its first {ISA_BYTES_MAX} bytes"
        );
        return if cut { Err(what) } else { Ok(None) };
    };
    // Some systems leave ISA16 out: then its terminator stands there, which is mostly a tilde.
    let is_left_out = one == b'~' || one.is_ascii_control() || two.is_ascii_alphanumeric();
    let (component, segment) = if is_left_out {
        (None, one)
    } else {
        (Some(one), two)
    };
    if segment.is_ascii_alphanumeric() || segment == element || Some(segment) == component {
        return Err(format!(
            "the ISA segment names 0x{segment:02X} as what ends a segment"
        ));
    }
    let nth = |index: usize| {
        bytes[..last]
            .split(|byte| *byte == element)
            .nth(index)
            .unwrap_or(&[])
    };
    let version = nth(12);
    let repetition = match nth(11) {
        [byte] if version >= b"00402".as_slice() && !byte.is_ascii_alphanumeric() => Some(*byte),
        _ => None,
    };
    Ok(Some(Separators {
        element,
        component,
        repetition,
        segment,
    }))
}

#[cfg(test)]
mod tests;
