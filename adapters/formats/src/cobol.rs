//! What COBOL programs write, read by their copybooks: records in EBCDIC or ASCII, with numbers that are packed, zoned or binary.
//!
//! ```text
//! 01  SHIPMENT.                                     D9 C5 C3 ... 01 23 4D F0 F0 F2 ...
//!     05  SHIP-NO   PIC X(10).                      SHIP-NO        "REC0000001"
//!     05  WEIGHT    PIC S9(3)V99 COMP-3.       →    WEIGHT         "-12.34"
//!     05  N         PIC 9(3).                       N              "2"
//!     05  LINES OCCURS 0 TO 50 DEPENDING ON N.      LINES(1).SKU   ...
//!         10  SKU   PIC X(12).
//! ```
//! Records stand one behind the other, have a length before them, or are lines (see [`Framing`]). Their types are told by a field; a type
//! is a record of level 01, or one of the items that redefine each other.
//!
//! Numbers are exact to the digit, with their decimals. One that can't be read makes its record a bad one, and the reason names the
//! field, its byte and its bytes. Where the records' ends can't be found any more, the whole file is refused.
//!
//! Limits: records of [`crate::RECORD_BYTES_MAX`] bytes, copybooks of [`COPYBOOK_BYTES_MAX`], [`crate::csv::COLUMNS_MAX`] cells,
//! [`crate::typed::TYPES_MAX`] types.

mod characters;
mod code_page;
mod compiled;
mod config;
mod copybook;
mod decoder;
mod framing;
mod handing_out;
mod layout;
pub(crate) mod number;
mod picture;
#[cfg(test)]
mod tests;
mod types;

pub use characters::CobolEncoding;
pub use compiled::Copybook;
pub use config::{
    BlankNumbers, CopybookConfig, Framing, Order, RdwConfig, RecordConfig, Tail, Trim, WhenConfig,
};
pub use copybook::COPYBOOK_BYTES_MAX;
pub use decoder::Decoder;
