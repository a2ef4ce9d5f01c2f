//! Lines whose fields stand at fixed columns.
//!
//! ```text
//!          1         2         3
//! 123456789012345678901234567890
//! H20261123WH1                      a type of record is told by text at a column
//! DSKU-0001  0001250{WIDGET         SKU at 2, AMOUNT at 12 with two decimals and a sign: 125.00
//! T000001000012500                  a trailer: how many, and their sum
//! ```
//!
//! Places and widths count characters of the decoded text, from 1; in an encoding of one byte a character, those are the file's
//! bytes. Records end with LF, CRLF or CR, as in [`crate::csv`], or have all the same number of bytes and no line ends. Empty lines are
//! skipped, and so is the 0x1A that DOS programs put at the end.
//!
//! A line that ends early is read as if blanks stood there, for many systems trim them; a line with more than its layout
//! is refused, but for blanks. A number that is blank is no value; a text that is blank is empty.
//!
//! Limits: [`FIELDS_MAX`] fields a type of record, [`crate::RECORD_BYTES_MAX`] bytes a record.

mod config;
mod decoder;
mod layout;
mod number;
mod records;
#[cfg(test)]
mod tests;

pub use config::{FieldConfig, FixedConfig, Long, MatchConfig, RecordConfig, Short, Sign, Trim};
pub use decoder::{Decoder, Fixed};

/// Fields of a type of record, at most.
pub const FIELDS_MAX: usize = crate::csv::COLUMNS_MAX;
