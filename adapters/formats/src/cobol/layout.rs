//! A copybook's record, laid out: which bytes become which cell, as steps that are gone through one by one.
//!
//! ```text
//! 05 N PIC 9.                         Cell N, kept as a count
//! 05 L OCCURS 0 TO 2 DEPENDING ON N.  Only 1 (2 steps), Cell L(1).SKU, Filler 3, Only 2 (2 steps), Cell L(2).SKU, Filler 3
//!    10 SKU PIC X(4).
//!    10 FILLER PIC X(3).
//! 05 A PIC X(4).                      Mark, Cell A
//! 05 B REDEFINES A PIC 9(2).          Back, Cell B, Longest
//! ```
//! Cells have their field's name; where several fields share it, those of their groups stand before it (`SHIP-TO.NAME`).
//! An item that stands there many times has its number behind its name, from 1 as in COBOL (`SKU(2)`, `LINES(2).SKU`), unless each
//! of its occurrences becomes a record. FILLER makes no cell.
//!
//! Where an item redefines another, the same bytes have several meanings, and nobody says which one holds: what can't be read as one
//! of them is no value there. Elsewhere it makes the record a bad one.

mod making;
mod reading;

use super::copybook::{Item, Usage};
use super::number::{Scale, Sign};
use super::picture::Picture;
use crate::RECORD_BYTES_MAX;
use crate::csv::COLUMNS_MAX;
use making::Making;
pub(super) use making::span;
pub(super) use reading::{Cells, Fault, Reader};

/// A record, laid out.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The cells' names, in order.
    pub(super) columns: Vec<String>,
    /// For each cell where it stands, if that is the same in all records.
    pub(super) places: Vec<Place>,
    steps: Vec<Step>,
    /// Counts that other items depend on: their names.
    counts: Vec<String>,
    /// The item of which each occurrence is a record.
    pub(super) each: Option<Each>,
    /// Bytes with every item as often as may be.
    pub(super) bytes_max: usize,
    /// The first item whose number of occurrences depends on a count.
    pub(super) varies: Option<String>,
    /// The first number that is packed or binary.
    pub(super) not_text: Option<String>,
}

/// Where a cell's bytes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its first byte, from 0; `None` where that depends on a count, or it stands in the midst of what each record has of its own.
    pub(super) at: Option<usize>,
    pub(super) field: Kept,
}

/// The item of which each occurrence is a record.
#[derive(Debug, Clone)]
pub(super) struct Each {
    /// Its steps.
    steps: std::ops::Range<usize>,
    /// Its cells.
    pub(super) columns: std::ops::Range<usize>,
}

/// How a field is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Text {
        bytes: usize,
    },
    Packed {
        bytes: usize,
        scale: Scale,
    },
    Zoned {
        bytes: usize,
        scale: Scale,
        sign: Sign,
    },
    Binary {
        bytes: usize,
        scale: Scale,
        signed: bool,
        native: bool,
    },
}

impl Kept {
    fn new(field: &super::copybook::Field) -> Self {
        let bytes = field.bytes();
        let Picture::Number {
            decimals,
            zeros,
            signed,
            ..
        } = field.picture
        else {
            return Self::Text { bytes };
        };
        let scale = Scale { decimals, zeros };
        match field.usage {
            Usage::Packed => Self::Packed { bytes, scale },
            Usage::Display => Self::Zoned {
                bytes,
                scale,
                sign: field.sign,
            },
            Usage::Binary | Usage::Native => Self::Binary {
                bytes,
                scale,
                signed,
                native: field.usage == Usage::Native,
            },
        }
    }

    #[inline]
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Text { bytes }
            | Self::Packed { bytes, .. }
            | Self::Zoned { bytes, .. }
            | Self::Binary { bytes, .. } => bytes,
        }
    }
}

/// What is done in turn to go through a record.
#[derive(Debug, Clone)]
enum Step {
    /// Bytes that make a cell.
    Cell {
        field: Kept,
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
    },
    /// The next `steps` stand there so many times, each for a record of its own.
    Each {
        /// `None`: always `max` times.
        count: Option<usize>,
        min: usize,
        max: usize,
        steps: usize,
    },
}

impl Layout {
    /// Lays out a record of a copybook; `each`: the item of which each occurrence becomes a record.
    pub(super) fn new(record: &Item, each: Option<&str>) -> Result<Self, String> {
        let (_, most) = making::span(record);
        if most > RECORD_BYTES_MAX {
            return Err(format!(
                "line {}: {} has up to {most} bytes, a record at most {RECORD_BYTES_MAX}",
                record.line, record.name
            ));
        }
        let mut making = Making::new(each);
        making.find_names(record);
        making.item(record, &mut Vec::new(), false)?;
        if making.columns.is_empty() || making.columns.len() > COLUMNS_MAX {
            return Err(format!(
                "line {}: {} makes {} cells, 1 to {COLUMNS_MAX} are possible",
                record.line,
                record.name,
                making.columns.len()
            ));
        }
        if let (Some(each), None) = (each, &making.made_each) {
            return Err(format!(
                "each = \"{each}\": no item of {} that occurs many times has this name; those that do are {}",
                record.name,
                making::list(&making.many)
            ));
        }
        making.check_names(record)?;
        Ok(making.finish(most))
    }

    /// The column of this name.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
    }
}
