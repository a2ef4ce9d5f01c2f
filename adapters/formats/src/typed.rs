//! Records of several types in one file: which belongs to which, and what headers and trailers say of the others.
//!
//! ```text
//! H 2026-11-23 WH1            a parent; its cells go with each record below it as H.DATE, H.SITE
//! D SKU-1  10                 a record: SKU, QUANTITY, H.DATE, H.SITE
//! D SKU-2   5
//! T 0002   15                 a trailer: a count of the D records, and the sum of their QUANTITY
//! ```
//!
//! A record belongs to the nearest record of its parent type before it. One whose parent is missing, or bad, is a bad record itself.
//! A trailer ends its parent: what belongs to that can't follow. One without a parent ends the file, and nothing may follow.
//! What a header or trailer says is held against all lines that are there, bad ones too: where a figure differs, or can't be
//! read, the whole file is refused.
//!
//! Pure: it sees records that a format found, and knows neither bytes nor places in a line.
//!
//! Limits: [`TYPES_MAX`] types; sums are exact, up to 38 digits.

mod config;
mod decimal;
mod figures;
mod rules;
mod tracker;

pub use config::{CountConfig, OnlyConfig, Otherwise, Texts, TotalConfig};
pub(crate) use decimal::Decimal;
pub(crate) use rules::{Definition, Rules, faults};
pub(crate) use tracker::{Cells, Tracker, Verdict};

/// Types of records in one format: each line is held against each, and a parent notes the figures of all.
pub const TYPES_MAX: usize = 100;
/// Characters of a number with implied decimals: 38 digits and a sign, and blanks.
pub(crate) const NUMBER_WIDTH_MAX: usize = 60;
