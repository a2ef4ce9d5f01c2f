//! UN/EDIFACT: interchanges of segments.
//!
//! ```text
//! UNA:+.? '                                what separates what, where it is not the usual
//! UNB+UNOC:3+SENDER+RECEIVER+260101:1200+9'   the interchange: its characters, and its reference (0020)
//! UNH+1+ORDERS:D:96A:UN' BGM+220+4711' … UNT+24+1'
//! UNZ+1+9'                                 counts, and the references once more
//! ```
//! Source: ISO 9735 (syntax versions 1 to 4).

mod contrl;
mod decoder;
mod envelope;
mod segments;
mod sets;
#[cfg(test)]
mod tests;

pub use crate::edi::Characters;
pub use contrl::{contrl, reported};
pub use decoder::Interchanges;
pub use envelope::Envelope;
pub use segments::{Segment, Segments};

/// The format, compiled.
pub type Edifact = crate::edi::Edi<Interchanges>;
/// Decodes one file. See [`crate::edi::Edi::decoder`].
pub type Decoder = crate::edi::Decoder<Interchanges>;

/// A segment's bytes, at most.
pub const SEGMENT_BYTES_MAX: usize = 64 * 1024;
/// Components of a segment, at most.
pub const COMPONENTS_MAX: usize = 2_000;
