//! JSON: the elements of an array that are records, or a record a line.
//!
//! ```text
//! {"orders": [                                       kind = "json", record = "/orders/*/lines"
//!   {"number": "SO-1",                               ORDER = "../number"
//!    "lines": [{"item": {"sku": "A-1"}, "qty": 12.50},     SKU = "/item/sku" or "item.sku", QTY = "qty"
//!              {"item": {"sku": "A-2"}, "lots": ["L1"]}]}]}     LOT = "/lots/0"
//!
//! {"sku": "A-1", "qty": 5}                           kind = "json-lines"
//! {"sku": "A-2", "qty": 6}
//! ```
//!
//! After RFC 8259 and RFC 6901 (JSON pointers), in UTF-8. Numbers, `true` and `false` are the text that the file writes (`12.50`, `1e3`);
//! `null` and what isn't there is no value; an object or array is its JSON text. Where the path of the records leads to
//! something other than an array, that one value is a record; `null` is none.
//!
//! A key that stands twice in an object makes a bad record, and so does half a pair of surrogates. A file
//! that is not JSON to its end is set aside with line and column; of lines, only the one. A value of
//! an object around the records must stand before them: one that comes after sets the file aside, as silence would look like no value.

mod around;
mod array;
mod cells;
mod config;
mod lines;
mod path;
mod scan;
#[cfg(test)]
mod tests;

pub use array::{Decoder, Json};
pub use config::{JsonConfig, JsonLinesConfig};
pub use lines::{JsonLines, LinesDecoder};

/// Objects and arrays in one another, at most: far more than any message has, and little memory.
pub const DEPTH_MAX: usize = 256;
/// Bytes of a number, at most.
pub const NUMBER_BYTES_MAX: usize = 4_096;
/// Bytes of a key outside of records that a path can name, at most.
pub const KEY_BYTES_MAX: usize = 1_000;
/// Bytes of a value around the records that is kept, at most.
pub const AROUND_BYTES_MAX: usize = 64 * 1024;
