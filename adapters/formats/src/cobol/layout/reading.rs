//! Goes through a record.

use std::ops::Range;

use super::{Kept, Layout, Step};
use crate::FieldAt;
use crate::cobol::characters::{self, Characters};
use crate::cobol::number;

/// Bytes of a field that a sentence shows.
const SHOWN_BYTES: usize = 32;

/// How fields are read.
#[derive(Debug, Clone)]
pub(in crate::cobol) struct Reader {
    pub(in crate::cobol) characters: Characters,
    /// Whether blanks and zero bytes behind a text are left out.
    pub(in crate::cobol) trim_end: bool,
    /// Whether blanks before it are.
    pub(in crate::cobol) trim_start: bool,
    /// Whether a number of blanks or zero bytes alone is no value; else it is no number.
    pub(in crate::cobol) blank_is_null: bool,
    /// Whether COMP-5 is little-endian.
    pub(in crate::cobol) native_little: bool,
    /// Whether what is missing at a record's end was blanks.
    pub(in crate::cobol) padded: bool,
}

/// A record's cells. Its memory is used again.
#[derive(Debug, Default)]
pub(in crate::cobol) struct Cells {
    /// All cells, one behind the other.
    pub(in crate::cobol) text: String,
    /// One for each of the layout's columns.
    pub(in crate::cobol) fields: Vec<FieldAt>,
    /// Where each occurrence that is a record begins and ends.
    pub(in crate::cobol) each: Vec<(u32, u32)>,
    /// The first field that can't be read.
    pub(in crate::cobol) bad: Option<Fault>,
    counts: Vec<Option<usize>>,
    marks: Vec<(usize, usize)>,
    /// How long `text` is without an occurrence of its own.
    shared: usize,
}

/// Why a record can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cobol) enum Fault {
    /// It ends before a field does.
    Cut { column: Option<usize>, end: usize },
    /// A field means nothing.
    Number {
        column: usize,
        at: usize,
        bytes: usize,
        fault: number::Fault,
    },
    /// A number is blank.
    Blank {
        column: usize,
        at: usize,
        bytes: usize,
    },
    /// A field's bytes are no text.
    Text {
        column: usize,
        at: usize,
        bytes: usize,
        fault: characters::Fault,
    },
    /// A count is not possible, or can't be read.
    Count {
        count: usize,
        found: Option<usize>,
        min: usize,
        max: usize,
    },
}

impl Layout {
    /// Reads a record that begins with these bytes; returns how many are its own. `bytes` may go on with the next record. A field that
    /// can't be read is [`Cells::bad`], and the rest is read on, as the record's end must be found.
    ///
    /// # Errors
    /// Its end can't be found.
    pub(in crate::cobol) fn read(
        &self,
        bytes: &[u8],
        reader: &Reader,
        cells: &mut Cells,
    ) -> Result<usize, Fault> {
        cells.text.clear();
        cells.fields.clear();
        cells.fields.resize(self.columns.len(), FieldAt::NULL);
        cells.counts.clear();
        cells.counts.resize(self.counts.len(), None);
        cells.marks.clear();
        cells.each.clear();
        cells.bad = None;
        let end = self.walk(0..self.steps.len(), 0, bytes, reader, cells)?;
        cells.shared = cells.text.len();
        if end > bytes.len() && !reader.padded {
            return Err(Fault::Cut { column: None, end });
        }
        Ok(end)
    }

    /// Puts the cells of an occurrence behind those that all share.
    pub(in crate::cobol) fn read_each(
        &self,
        nth: usize,
        bytes: &[u8],
        reader: &Reader,
        cells: &mut Cells,
    ) {
        let (Some(each), Some((start, _))) = (&self.each, cells.each.get(nth).copied()) else {
            return;
        };
        cells.text.truncate(cells.shared);
        cells.fields[each.columns.clone()].fill(FieldAt::NULL);
        // It was read before, so it can be.
        let _ = self.walk(each.steps.clone(), start as usize, bytes, reader, cells);
    }

    fn walk(
        &self,
        steps: Range<usize>,
        from: usize,
        bytes: &[u8],
        reader: &Reader,
        cells: &mut Cells,
    ) -> Result<usize, Fault> {
        let (mut next, mut at) = (steps.start, from);
        while let Some(step) = self.steps[..steps.end].get(next) {
            next += 1;
            match step {
                Step::Cell {
                    field,
                    column,
                    lenient,
                    count,
                } => {
                    at = self.cell(*field, *column, *lenient, *count, at, bytes, reader, cells)?;
                }
                Step::Filler(count) => at += count,
                Step::Mark => cells.marks.push((at, at)),
                Step::Back => {
                    if let Some((start, end)) = cells.marks.last_mut() {
                        *end = at.max(*end);
                        at = *start;
                    }
                }
                Step::Longest => {
                    if let Some((_, end)) = cells.marks.pop() {
                        at = at.max(end);
                    }
                }
                Step::Only {
                    count,
                    nth,
                    min,
                    max,
                    steps,
                } => {
                    if times(Some(*count), *min, *max, cells)? < *nth {
                        next += steps;
                    }
                }
                Step::Each {
                    count,
                    min,
                    max,
                    steps,
                } => {
                    for _ in 0..times(*count, *min, *max, cells)? {
                        let (start, kept) = (at, cells.text.len());
                        at = self.walk(next..next + steps, at, bytes, reader, cells)?;
                        cells.text.truncate(kept);
                        cells.each.push((start as u32, at as u32));
                    }
                    if let Some(each) = &self.each {
                        cells.fields[each.columns.clone()].fill(FieldAt::NULL);
                    }
                    next += steps;
                }
            }
        }
        Ok(at)
    }

    /// A field; where it ends.
    #[expect(clippy::too_many_arguments, reason = "what a step says, one by one")]
    #[inline]
    fn cell(
        &self,
        field: Kept,
        column: usize,
        lenient: bool,
        count: Option<usize>,
        at: usize,
        bytes: &[u8],
        reader: &Reader,
        cells: &mut Cells,
    ) -> Result<usize, Fault> {
        let end = at + field.bytes();
        let cut = || Fault::Cut {
            column: Some(column),
            end,
        };
        let (own, whole) = match bytes.get(at..end) {
            Some(own) => (own, true),
            None if reader.padded => (&bytes[at.min(bytes.len())..], false),
            None => return Err(cut()),
        };
        let start = cells.text.len();
        // Half a number is none; blanks may be missing.
        let read = if whole || matches!(field, Kept::Text { .. }) || reader.characters.is_blank(own)
        {
            reader.field(field, own, &mut cells.text)
        } else {
            Err(Wrong::Cut(end))
        };
        if let (Ok(true), Some(count)) = (&read, count) {
            cells.counts[count] = cells.text[start..].parse().ok();
        } else if let Some(count) = count {
            cells.counts[count] = None;
        }
        cells.fields[column] = match read {
            Ok(true) => FieldAt {
                start: start as u32,
                end: cells.text.len() as u32,
            },
            Ok(false) => FieldAt::NULL,
            Err(wrong) => {
                cells.text.truncate(start);
                if !lenient && cells.bad.is_none() {
                    cells.bad = Some(wrong.at(column, at, own.len()));
                }
                FieldAt::NULL
            }
        };
        Ok(end)
    }

    /// What is wrong, for a person. `record`: its bytes.
    pub(in crate::cobol) fn sentence(&self, fault: Fault, record: &[u8]) -> String {
        let field = |column: usize, at: usize, bytes: usize| {
            let own = record.get(at..at + bytes).unwrap_or_default();
            let shown: String = own
                .iter()
                .take(SHOWN_BYTES)
                .map(|byte| format!("{byte:02X}"))
                .collect();
            let more = if own.len() > SHOWN_BYTES { "..." } else { "" };
            format!(
                "{} at byte {} (0x{shown}{more})",
                self.columns[column],
                at + 1
            )
        };
        match fault {
            Fault::Cut {
                column: Some(column),
                end,
            } => format!(
                "the record is cut: {} ends at byte {end}, and there are {}",
                self.columns[column],
                record.len()
            ),
            Fault::Cut { column: None, end } => {
                format!(
                    "the record is cut: it has {end} bytes, and there are {}",
                    record.len()
                )
            }
            Fault::Number {
                column,
                at,
                bytes,
                fault,
            } => format!("{}: {fault}", field(column, at, bytes)),
            Fault::Text {
                column,
                at,
                bytes,
                fault,
            } => format!("{}: {fault}", field(column, at, bytes)),
            Fault::Blank { column, at, bytes } => format!(
                "{} is blank, and blank_numbers = \"reject\"",
                field(column, at, bytes)
            ),
            Fault::Count {
                count,
                found: Some(found),
                min,
                max,
            } => {
                format!(
                    "{} is {found}, and {min} to {max} are possible",
                    self.counts[count]
                )
            }
            Fault::Count {
                count, found: None, ..
            } => {
                format!(
                    "{} says how often something occurs, and is no number",
                    self.counts[count]
                )
            }
        }
    }
}

/// How often something occurs.
#[inline]
fn times(count: Option<usize>, min: usize, max: usize, cells: &Cells) -> Result<usize, Fault> {
    let Some(count) = count else {
        return Ok(max);
    };
    let found = cells.counts[count];
    found
        .filter(|found| (min..=max).contains(found))
        .ok_or(Fault::Count {
            count,
            found,
            min,
            max,
        })
}

/// What is wrong with a field, before it is known which.
enum Wrong {
    Number(number::Fault),
    Text(characters::Fault),
    Blank,
    Cut(usize),
}

impl Wrong {
    fn at(self, column: usize, at: usize, bytes: usize) -> Fault {
        match self {
            Self::Number(fault) => Fault::Number {
                column,
                at,
                bytes,
                fault,
            },
            Self::Text(fault) => Fault::Text {
                column,
                at,
                bytes,
                fault,
            },
            Self::Blank => Fault::Blank { column, at, bytes },
            Self::Cut(end) => Fault::Cut {
                column: Some(column),
                end,
            },
        }
    }
}

impl Reader {
    /// Appends a field's text; false where it has no value.
    #[inline]
    fn field(&self, field: Kept, bytes: &[u8], text: &mut String) -> Result<bool, Wrong> {
        let characters = &self.characters;
        match field {
            Kept::Text { .. } => {
                let mut bytes = bytes;
                if self.trim_end {
                    bytes = characters.trimmed(bytes);
                }
                if self.trim_start {
                    let first = bytes.iter().position(|byte| *byte != characters.space);
                    bytes = &bytes[first.unwrap_or(bytes.len())..];
                }
                characters.push(bytes, text).map_err(Wrong::Text)?;
                return Ok(true);
            }
            Kept::Binary {
                scale,
                signed,
                native,
                ..
            } => {
                let little = native && self.native_little;
                number::binary(bytes, signed, little, scale, text)
            }
            _ if characters.is_blank(bytes) => {
                return if self.blank_is_null {
                    Ok(false)
                } else {
                    Err(Wrong::Blank)
                };
            }
            Kept::Packed { scale, .. } => number::packed(bytes, scale, text),
            Kept::Zoned { scale, sign, .. } => {
                number::zoned(bytes, characters.zones, sign, scale, text)
            }
        }
        .map_err(Wrong::Number)?;
        Ok(true)
    }

    /// A field's text as it is compared with others: without blanks and zero bytes around it.
    pub(in crate::cobol) fn compared(&self, field: Kept, bytes: &[u8], text: &mut String) -> bool {
        self.field(field, bytes, text).unwrap_or(false)
    }
}
