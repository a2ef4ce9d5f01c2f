//! Pure streaming decoders from bytes to records.
//!
//! A decoder looks at a [`Window`] of a file, says how much of it is done, and hands records and bad
//! records to a [`Sink`]. The same decoder runs twice over a file: once into a [`Tally`], which only
//! counts, and once into a [`Gather`], which keeps what a batch needs.
//!
//! [`FormatConfig`] says which there are. What several types of records in one file share is [`typed`]; what the two EDI syntaxes share is
//! [`edi`].
//!
//! A source configures a [`FormatConfig`], and how its files are [`packed`].
//!
//! This crate promises the same records, rejects and ordinals however the bytes are cut into windows.
//! It refuses to know files, clocks and the network.
//!
//! Limits: a record holds at most [`RECORD_BYTES_MAX`] bytes; a window grows to
//! [`WINDOW_BYTES_MAX`], whatever the file's size.

mod account;
#[cfg(test)]
mod cases;
pub mod cobol;
mod columns;
pub mod csv;
#[cfg(test)]
extern crate self as dray_formats;
#[cfg(test)]
#[path = "../tests/driver/mod.rs"]
mod driver;
pub mod edi;
pub mod edifact;
pub mod fixed;
mod format;
pub mod idoc;
pub mod json;
pub mod packed;
mod raw;
mod sink;
pub mod suggest;
mod text;
pub mod typed;
mod window;
pub mod x12;
pub mod xlsx;
pub mod xml;

pub use account::{Account, IDENTITIES_MAX, Identity, IdentityKind};
pub use columns::{Columns, FIELDS_MAX};
pub use edi::Found;
pub use format::{Decoded, Decoder, Format, FormatConfig};
pub use sink::{BadRecord, FieldAt, FileFault, Gather, GoodRecord, Names, Sink, Tally};
pub use window::{WINDOW_BYTES_MAX, Window};

/// A record's bytes, at most; longer ones are rejected with their first 64 KiB, length and SHA-256.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
