//! COBOL copybooks: the data descriptions that a mainframe's programs share, read as they are.
//!
//! ```text
//!        01  SHIPMENT.
//!            05  SHIP-NO         PIC X(10).
//!            05  WEIGHT          PIC S9(7)V99 COMP-3.
//!            05  LINE-COUNT      PIC 9(3).
//!            05  LINES           OCCURS 1 TO 50 TIMES DEPENDING ON LINE-COUNT.
//!                10  SKU         PIC X(12).
//! ```
//! Columns 1 to 6 and 73 to 80 are not looked at, and lines with `*` or `/` in column 7 are comments. Conditions (88), VALUE, JUSTIFIED,
//! BLANK and INDEXED change no byte and are passed over. What would change bytes in a way that is not read here (SYNCHRONIZED, COMP-1, COMP-2,
//! RENAMES, double-byte characters) is refused by its line.
//! Source: IBM Enterprise COBOL for z/OS, Language Reference, "Data division".

mod parser;

use super::number::Sign;
use super::picture::Picture;

/// Bytes of a copybook, at most.
pub const COPYBOOK_BYTES_MAX: usize = 1024 * 1024;
/// Groups inside groups, at most: COBOL has the levels 1 to 49.
const LEVEL_MAX: u8 = 49;

/// A data description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// In capitals; `FILLER` where it has none.
    pub(super) name: String,
    /// 1 to 49; 77 counts as 1.
    pub(super) level: u8,
    /// Its line in the copybook, from 1.
    pub(super) line: usize,
    /// The item before it whose bytes it describes once more.
    pub(super) redefines: Option<String>,
    /// If it stands there many times.
    pub(super) occurs: Option<Occurs>,
    /// What it is.
    pub(super) what: What,
}

impl Item {
    /// Bytes that say nothing, behind an item.
    pub(super) fn filler(behind: &Self, bytes: usize) -> Self {
        Self {
            name: "FILLER".into(),
            level: behind.level,
            line: behind.line,
            redefines: None,
            occurs: None,
            what: What::Field(Field {
                picture: Picture::Text { characters: bytes },
                usage: Usage::Display,
                sign: Sign::Unsigned,
            }),
        }
    }
}

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// Items in their order.
    Group(Vec<Item>),
    /// Bytes with a meaning.
    Field(Field),
}

/// How many times an item stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Occurs {
    /// At least.
    pub(super) min: usize,
    /// At most.
    pub(super) max: usize,
    /// The field that says how many; `None`: always `max`.
    pub(super) depends_on: Option<String>,
}

/// An elementary item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Its PICTURE.
    pub(super) picture: Picture,
    /// How its digits are kept.
    pub(super) usage: Usage,
    /// Where its sign stands, if it is zoned.
    pub(super) sign: Sign,
}

/// How a number's digits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// A character a digit.
    Display,
    /// COMP-3, PACKED-DECIMAL.
    Packed,
    /// COMP, COMP-4, BINARY: big-endian.
    Binary,
    /// COMP-5: as the machine keeps it.
    Native,
}

impl Field {
    /// The bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let Picture::Number { digits, .. } = self.picture else {
            let Picture::Text { characters } = self.picture else {
                return 0;
            };
            return characters;
        };
        match (self.usage, self.sign) {
            (Usage::Packed, _) => digits / 2 + 1,
            (Usage::Binary | Usage::Native, _) => match digits {
                0..=4 => 2,
                5..=9 => 4,
                _ => 8,
            },
            (Usage::Display, Sign::LeadingSeparate | Sign::TrailingSeparate) => digits + 1,
            (Usage::Display, _) => digits,
        }
    }
}

/// Reads a copybook: its records, which are its items of level 01.
///
/// # Errors
/// A sentence that names the line.
pub(super) fn parse(text: &str) -> Result<Vec<Item>, String> {
    if text.len() > COPYBOOK_BYTES_MAX {
        return Err(format!(
            "a copybook has at most {COPYBOOK_BYTES_MAX} bytes, this one {}",
            text.len()
        ));
    }
    parser::parse(text)
}

#[cfg(test)]
mod tests;
