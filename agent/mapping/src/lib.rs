//! Records become events, by a table compiled once.
//!
//! A flow's `[[flow.mapping]]` tables are read as [`MappingConfig`], compiled to a [`Mapper`], and
//! from then on a record goes from its columns straight to an event's bytes: names are indexes, the
//! fields stand in ascending number (the bytes are those that `prost` writes), and nothing is
//! allocated per event but where an expression asks for it. All events of a record leave together
//! or none does; what doesn't fit is a [`MapFailure`] with a sentence that names column and value.
//!
//! **Rules that a reader of the configuration relies on**
//! - Texts are trimmed unless `trim = false`, in expressions too. Empty text is no value: `default`
//!   fills it, `required` makes it a failure, otherwise the field is left out.
//! - Quantities and money are exact: text in, text out ([`MappingConfig`] has the options). An
//!   expression that yields a floating point number is refused there.
//! - A local time that occurs twice (clocks go back) is the first of the two; one that doesn't occur
//!   (clocks go forward) is moved by the length of the gap. That is RFC 5545's rule. The time zone
//!   database is the system's, else the one built in.
//! - A format of digits alone, such as `%Y%m%d%H%M%S`, takes texts of just that many digits.
//! - Fields called `..._date` hold ISO 8601 dates: without `type = "date"` and a `format`, the text
//!   must be one already.
//! - A value that the source did not send (a change log's untouched large column) leaves its field
//!   out; a key or a condition over such a value is a failure.
//!
//! - What a value must be (`min`, `max`, `min_length`, `max_length`, `one_of`, `pattern`) is asked of the converted value;
//!   an empty one is asked nothing but `required`.
//!
//! It refuses to know clocks, disks, sockets, configuration files and what becomes of failures.
//!
//! Limits: [`MAPPINGS_MAX`] mappings a flow; a decimal has 64 characters; a key [`KEY_BYTES_MAX`]
//! bytes; an expression [`FUEL`] steps; an event `dray_proto::block::EVENT_BYTES_MAX` bytes.

mod compile;
mod config;
mod convert;
mod dead_letter;
mod error;
mod expression;
mod fields;
mod file_report;
mod mapper;
mod nearest;
mod plan;
mod report;
mod rules;
mod shapes;
mod value;
mod write;

pub use config::{Bound, FieldConfig, Fields, MappingConfig, OperationConfig};
pub use dead_letter::Letter;
pub use error::{MapFailure, MappingError};
pub use expression::FUEL;
pub use mapper::Mapper;

/// Mappings of one flow, at most: an event id has one byte for the mapping, and dead letters and
/// reports have the last of its values.
pub const MAPPINGS_MAX: usize = 254;
/// A business key's bytes, at most: it is held in memory for each delivery under way.
pub const KEY_BYTES_MAX: usize = 1_024;
