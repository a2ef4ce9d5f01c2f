//! A copybook's record, laid out: which bytes become which cell.
//!
//! Cells have their field's name; where several fields share it, those of their groups stand before it (`SHIP-TO.NAME`).
//! An item that stands there many times has its number behind its name, from 1 as in COBOL (`SKU(2)`, `LINES(2).SKU`). FILLER makes no cell.
//!
//! Where an item redefines another, the same bytes have several meanings, and nobody says which one holds: what can't be read as one
//! of them is an empty cell there. Elsewhere it makes the record a bad one. A number of spaces or of zero bytes alone is empty.

mod making;

use super::code_page::Characters;
use super::copybook::{Field, Item, Usage};
use super::number::{self, Zones};
use super::picture::Picture;
use crate::FieldAt;
use crate::csv::COLUMNS_MAX;
use making::Making;

/// A record's bytes, at most.
const RECORD_BYTES_MAX: usize = crate::RECORD_BYTES_MAX;

/// A record, laid out.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The cells' names, in order.
    pub columns: Vec<String>,
    steps: Vec<Step>,
    /// Counts that other items depend on.
    counts: usize,
    /// Bytes with every item as seldom as may be.
    pub bytes_min: usize,
    /// Bytes with every item as often as may be.
    pub bytes_max: usize,
}

/// What is done in turn to go through a record.
#[derive(Debug, Clone)]
enum Step {
    /// Bytes that make a cell.
    Cell {
        field: Field,
        column: usize,
        /// Whether it may be unreadable.
        lenient: bool,
        /// Where its value is kept, if something depends on it.
        count: Option<usize>,
    },
    /// Bytes that say nothing.
    Filler(usize),
    /// The place is kept, for items that redefine what follows.
    Mark,
    /// Back to the place that was kept.
    Back,
    /// What follows the longest of the items at one place goes on here.
    Longest,
    /// The next `steps` stand there if the count is at least `nth`.
    Only {
        count: usize,
        nth: usize,
        min: usize,
        max: usize,
        steps: usize,
        /// The count's name.
        of: String,
    },
}

/// How characters are kept.
#[derive(Debug, Clone)]
pub enum Text {
    /// In EBCDIC.
    Ebcdic(Box<Characters>),
    /// In ASCII, and Latin-1 above it.
    Latin,
}

impl Text {
    fn zones(&self) -> Zones {
        match self {
            Self::Ebcdic(_) => Zones::Ebcdic,
            Self::Latin => Zones::Ascii,
        }
    }

    fn space(&self) -> u8 {
        match self {
            Self::Ebcdic(_) => 0x40,
            Self::Latin => b' ',
        }
    }

    fn push(&self, bytes: &[u8], text: &mut String) {
        match self {
            Self::Ebcdic(characters) => characters.push(bytes, text),
            Self::Latin => text.extend(bytes.iter().copied().map(char::from)),
        }
    }
}

/// A record's cells. Its memory is used again.
#[derive(Debug, Default)]
pub struct Cells {
    /// All cells, one behind the other.
    pub text: String,
    /// One for each of [`Layout::columns`].
    pub fields: Vec<FieldAt>,
    counts: Vec<usize>,
}

impl Layout {
    /// Lays out a record of a copybook.
    ///
    /// # Errors
    /// A sentence that names the item and its line.
    pub fn new(record: &Item) -> Result<Self, String> {
        let mut making = Making::default();
        making.find_names(record);
        let (min, max) = making.item(record, &mut Vec::new(), false)?;
        if max > RECORD_BYTES_MAX {
            return Err(format!(
                "line {}: {} has up to {max} bytes, a record at most {RECORD_BYTES_MAX}",
                record.line, record.name
            ));
        }
        if making.columns.is_empty() || making.columns.len() > COLUMNS_MAX {
            return Err(format!(
                "line {}: {} makes {} cells, 1 to {COLUMNS_MAX} are possible",
                record.line,
                record.name,
                making.columns.len()
            ));
        }
        Ok(Self {
            columns: making.columns,
            steps: making.steps,
            counts: making.counts.len(),
            bytes_min: min,
            bytes_max: max,
        })
    }

    /// Reads a record that begins with these bytes; returns how many are its own. `bytes` may go on with the next record.
    ///
    /// # Errors
    /// A sentence: the record is cut, or which field can't be read and where it stands.
    pub fn read(&self, bytes: &[u8], text: &Text, cells: &mut Cells) -> Result<usize, String> {
        cells.text.clear();
        cells.fields.clear();
        cells
            .fields
            .resize(self.columns.len(), FieldAt { start: 0, end: 0 });
        cells.counts.clear();
        cells.counts.resize(self.counts, 0);
        let (mut at, mut skip) = (0_usize, 0_usize);
        let mut marks: Vec<(usize, usize)> = Vec::new();
        for step in &self.steps {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            match step {
                Step::Filler(count) => at += count,
                Step::Mark => marks.push((at, at)),
                Step::Back => {
                    if let Some((start, end)) = marks.last_mut() {
                        *end = at.max(*end);
                        at = *start;
                    }
                }
                Step::Longest => {
                    if let Some((_, end)) = marks.pop() {
                        at = at.max(end);
                    }
                }
                Step::Only {
                    count,
                    nth,
                    min,
                    max,
                    steps,
                    of,
                } => {
                    let found = cells.counts[*count];
                    if found < *min || found > *max {
                        return Err(format!("{of} is {found}, and {min} to {max} are possible"));
                    }
                    skip = if found < *nth { *steps } else { 0 };
                }
                Step::Cell {
                    field,
                    column,
                    lenient,
                    count,
                } => {
                    let end = at + field.bytes();
                    let own = bytes.get(at..end).ok_or_else(|| {
                        format!(
                            "the record is cut: {} ends at byte {end}, and there are {}",
                            self.columns[*column],
                            bytes.len()
                        )
                    })?;
                    let start = cells.text.len();
                    match read_field(field, own, text, &mut cells.text) {
                        Err(reason) if !lenient => {
                            return Err(format!(
                                "{} at byte {}: {reason}",
                                self.columns[*column],
                                at + 1
                            ));
                        }
                        Err(_) => cells.text.truncate(start),
                        Ok(()) => {}
                    }
                    if let Some(count) = count {
                        cells.counts[*count] = cells.text[start..].parse().unwrap_or(0);
                    }
                    cells.fields[*column] = FieldAt {
                        start: start as u32,
                        end: cells.text.len() as u32,
                    };
                    at = end;
                }
            }
        }
        if at > bytes.len() {
            return Err(format!(
                "the record is cut: it has {at} bytes, and there are {}",
                bytes.len()
            ));
        }
        Ok(at)
    }
}

fn read_field(field: &Field, bytes: &[u8], kept: &Text, text: &mut String) -> Result<(), String> {
    let Picture::Number {
        decimals,
        zeros,
        signed,
        ..
    } = field.picture
    else {
        // LOW-VALUES behind a text are no text.
        let end = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        kept.push(&bytes[..end], text);
        return Ok(());
    };
    let space = kept.space();
    let is_empty = bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| *byte == space);
    if is_empty && field.usage != Usage::Binary {
        return Ok(());
    }
    let start = text.len();
    match field.usage {
        Usage::Packed => number::packed(bytes, decimals, text)?,
        Usage::Binary => number::binary(bytes, signed, decimals, text)?,
        Usage::Display => number::zoned(bytes, kept.zones(), field.sign, decimals, text)?,
    }
    // 9(3)P(2): 123 means 12300.
    if text[start..] != *"0" {
        (0..zeros).for_each(|_| text.push('0'));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
