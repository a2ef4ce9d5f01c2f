//! Excel workbooks (.xlsx, ECMA-376 and ISO/IEC 29500): the rows of one sheet.
//!
//! ```text
//!      A          B       C
//!  1   Orders of the night            skip_rows = 2
//!  2
//!  3   Order      Qty     Due         the header: the first row with a value, unless the columns are configured
//!  4   4711       12.5    2026-03-01  a record; its line is Excel's row number
//!  5                                  no value in any cell: passed over
//!  6   4712       #N/A                a bad record
//! ```
//!
//! What a cell becomes:
//! - text: as it is; a cell without a value is none, a formula counts with the value that Excel left with it, and is a fault of its row
//!   where there is none (a program wrote it, and Excel never opened it).
//! - a number: its value, not its looks (`0.15` where Excel shows `15 %`), with up to 15 significant digits as Excel itself counts:
//!   `12.5`, `12`, `0.3` although the file says `0.30000000000000004`. Whole numbers up to 2^53 keep all digits.
//! - a number in a cell with a date's or time's format: `2026-03-01` where there is no time of day, `2026-03-01T08:15:00`, with
//!   milliseconds where there are any, `08:15:00` on day 0. The workbook says whether its days count from 1900 (with the 29 February that
//!   1900 did not have: that day is a fault) or from 1904. A duration (`[h]:mm`) is hours, minutes and seconds: `255:10:10`.
//! - `TRUE` or `FALSE`. An error such as `#N/A` makes the row a bad record.
//! - merged cells: the value stands in the upper left one, and the others have none.
//!
//! A record's bytes, for the day that it is a dead letter, are its texts with tabs between them.
//!
//! `calamine` reads the sheet; it does so from the whole file, which is therefore kept: up to [`XLSX_BYTES_MAX`], and, unpacked,
//! [`INFLATED_BYTES_MAX`] in all and [`STRINGS_BYTES_MAX`] of shared strings. What is in the archive is checked before `calamine` sees
//! it, also that it holds together, by the rules of [`crate::packed`]. Cells are streamed, never laid out as a rectangle, so that two
//! cells far apart take no room between them. Up to [`HELD_BYTES_MAX`] of rows wait for a batch with room.
//!
//! The old .xls and workbooks with a password are refused, each by its sentence; so are .xlsb and .ods.

mod config;
mod decoder;
mod held;
mod package;
mod rows;
#[cfg(test)]
mod tests;
mod values;

pub use config::{SheetConfig, XlsxConfig};
pub use decoder::{Decoder, Xlsx};

/// Bytes of a workbook's file: some 200,000 rows of ten columns.
pub const XLSX_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of all its parts: Excel packs a sheet to a tenth.
pub const INFLATED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of the part with the texts that cells share, which is kept in memory.
pub const STRINGS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of rows that wait for room. With less of it, a sheet is gone over more often.
pub const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;
