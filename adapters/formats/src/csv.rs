//! Lines of cells: CSV, TSV, pipe-delimited and the like.
//!
//! ```text
//! SHIP_NO|ORDER_NO|NOTE          a header, unless the columns are configured
//! SHP-1|SO-9|plain               a record
//! SHP-2|SO-9|"a ""b"" | c        a quoted cell goes on over delimiters
//! and lines"                     and over line ends
//! ```
//!
//! Rules, after RFC 4180 and what warehouse systems do: lines end with LF or CRLF, or all with CR where the
//! first 64 KiB hold no LF; a last line needs no end; empty lines are skipped, and so is the 0x1A that DOS
//! programs put at the end. A cell is quoted if the quote is its first character; a quote
//! within an unquoted cell stands for itself (`5" pipe`); after a closing quote the cell ends.
//!
//! Lines before the header, comments and footers are passed over where they are configured. Records may be of several types, told
//! by a column: see [`crate::typed`].
//!
//! A bad line never takes others with it: a quote that isn't closed within [`QUOTED_LINES_MAX`] lines
//! and [`QUOTED_BYTES_MAX`] bytes, or whose record then has a wrong number of columns, rejects the one line on which
//! it opens, and reading goes on with the next line.

mod config;
mod decoder;
mod edges;
mod fields;
mod header;
mod long;
mod reasons;
mod record;
#[cfg(test)]
mod tests;
mod typed_records;
#[cfg(test)]
mod typed_tests;
mod types;

pub use config::{CsvConfig, Encoding, Ragged};
pub use decoder::{Csv, Decoder};
pub use types::{CsvRecordConfig, TypeColumn};

/// Lines that a record with quoted line ends may have.
pub const QUOTED_LINES_MAX: usize = 100;
/// Bytes that a record with quoted line ends may have.
pub const QUOTED_BYTES_MAX: usize = 64 * 1024;
/// Columns, at most.
pub const COLUMNS_MAX: usize = 4_096;
/// Lines at the file's beginning that can be passed over.
pub const SKIP_ROWS_MAX: u64 = 10_000;
/// Lines that can name the columns.
pub const HEADER_ROWS_MAX: usize = 10;
/// Lines that a footer may have; so many are looked at before a record is handed out.
pub const FOOTER_ROWS_MAX: usize = 100;
/// Bytes that a footer of so many lines may have: a window holds it behind the longest record.
pub const FOOTER_BYTES_MAX: usize = 64 * 1024;
