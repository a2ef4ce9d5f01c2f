//! Proposes a format for a file that nobody has seen before.
//!
//! ```text
//! bytes ──► unpacked? ──► a signature? ──► encoding ──► text ──► markup, EDI, or lines ──► columns and their types
//!           gzip, zip      .xlsx, .xls     by marks     first    what it begins with,      at most
//!                                          and counts   256 KiB  or how lines agree        1,000 rows
//! ```
//!
//! [`suggest`] looks at the file's beginning alone, keeps to it, and says in sentences what led it. It is a proposal: what a
//! decoder then finds is the truth. Formats are called as in `kind = "..."`, and types and date formats as a mapping takes them.
//!
//! Limits: [`LOOKED_BYTES`] of bytes, [`ROWS_MAX`] rows, [`COLUMNS_MAX`] columns.

mod binary;
mod columns;
mod dates;
mod edi;
mod encoding;
mod idoc;
mod json;
mod layers;
mod lines;
mod markup;
mod table;
mod values;

pub use columns::{Column, ColumnType, column};
pub use table::quoted;

use crate::packed::Compression;

/// Bytes that are looked at, packed and unpacked.
pub const LOOKED_BYTES: usize = 256 * 1024;
/// Rows that are looked at.
pub const ROWS_MAX: usize = 1_000;
/// Columns that are told.
pub const COLUMNS_MAX: usize = 500;

/// What a file seems to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// How it is packed.
    pub compression: Compression,
    /// The format's `kind`: `csv`, `fixed`, `x12`, `edifact`, `idoc`, `xml`, `json`, `json-lines`, `copybook` or `xlsx`; `None`
    /// where nothing fits, and then the reasons say what there is.
    pub kind: Option<&'static str>,
    /// How text is encoded, as a format's `encoding` calls it; `None` for what is no text, or says so by itself.
    pub encoding: Option<&'static str>,
    /// Of CSV: what stands between cells.
    pub delimiter: Option<char>,
    /// Of CSV: what stands around cells; `None` where nothing does.
    pub quote: Option<char>,
    /// Of CSV: whether quotes stand in it that are text.
    pub quotes_are_text: bool,
    /// Of CSV and workbooks: whether the first line names the columns.
    pub header: Option<bool>,
    /// Of records without line ends: the bytes of one, or of the longest with their length before them.
    pub record_bytes: Option<usize>,
    /// Whether records have their length before them (RDW).
    pub is_prefixed: bool,
    /// Of XML and JSON: the path of what repeats, e.g. `/orders/order`.
    pub record_path: Option<String>,
    /// Of EDI: the sets or messages that it has, of those that were looked at.
    pub sets: Vec<String>,
    /// The columns, as far as they can be told without a description of the file.
    pub columns: Vec<Column>,
    /// Where records are of several types: each with its columns. Then there are no others.
    pub record_types: Vec<RecordType>,
    /// How sure it is, in percent.
    pub confidence: u8,
    /// What led to it, in sentences, and what a person should look at.
    pub reasons: Vec<String>,
}

/// A type of record: of CSV what stands in the first cell, of fixed lines what they begin with, of IDocs a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordType {
    /// The code.
    pub name: String,
    /// Its columns; of a segment whose layout is built in: none.
    pub columns: Vec<Column>,
}

impl Suggestion {
    fn of(kind: Option<&'static str>, confidence: u8, reason: impl Into<String>) -> Self {
        Self {
            compression: Compression::None,
            kind,
            encoding: None,
            delimiter: None,
            quote: None,
            quotes_are_text: false,
            header: None,
            record_bytes: None,
            is_prefixed: false,
            record_path: None,
            sets: Vec::new(),
            columns: Vec::new(),
            record_types: Vec::new(),
            confidence,
            reasons: vec![reason.into()],
        }
    }

    fn nothing(reason: impl Into<String>) -> Self {
        Self::of(None, 0, reason)
    }

    fn and(mut self, reason: impl Into<String>) -> Self {
        self.reasons.push(reason.into());
        self
    }
}

/// Proposes a format: `name` is the file's, `first_bytes` its beginning, and `whole_len` the bytes of all of it.
#[must_use]
pub fn suggest(name: &str, first_bytes: &[u8], whole_len: u64) -> Suggestion {
    let bytes = &first_bytes[..first_bytes.len().min(LOOKED_BYTES)];
    if bytes.is_empty() {
        return Suggestion::nothing("The file is empty.");
    }
    layers::packed(name, bytes).unwrap_or_else(|| unpacked(name, bytes, whole_len))
}

/// As [`suggest`], of what is packed no further.
fn unpacked(name: &str, bytes: &[u8], whole_len: u64) -> Suggestion {
    let whole = bytes.len() as u64 >= whole_len;
    if bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        return Suggestion::nothing(
            "It is a workbook or document of the old kind (.xls, .doc), or one with a password; have it saved as .xlsx, without one.",
        );
    }
    if bytes.starts_with(b"%PDF") {
        return Suggestion::nothing("It is a PDF: a picture of data. Ask for the data themselves.");
    }
    let found = encoding::guess(bytes);
    if found.is_ebcdic {
        return binary::ebcdic(bytes, whole_len, found.reason);
    }
    let Some(text) = encoding::text(found.name, bytes) else {
        return binary::unknown(bytes, whole_len);
    };
    let text = text.trim_start_matches('\u{feff}');
    let told = edi::edi(text)
        .or_else(|| markup::xml(text))
        .or_else(|| json::json(text, whole))
        .unwrap_or_else(|| lines::lines(name, text, whole, whole_len));
    let Some(kind) = told.kind else {
        return told.and(found.reason);
    };
    match table::encoding(kind, found.name, text) {
        Ok(encoding) => Suggestion { encoding, ..told }.and(found.reason),
        Err(sentence) => Suggestion::nothing(sentence).and(found.reason),
    }
}
