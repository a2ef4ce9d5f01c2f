//! ANSI X12: interchanges of segments.
//!
//! ```text
//! ISA*00*…*00401*000000905*0*T*:~      the interchange; its own bytes say what separates what
//! GS*OW*…*1*X*004010~                  a group of documents of one kind
//! ST*940*0001~ W05*N*…~ … SE*24*0001~  a document
//! GE*1*1~ IEA*1*000000905~             counts, and the control numbers once more
//! ```
//! Source: ASC X12.5 (interchange control structures) and X12.6 (application control structures).

mod acknowledge;
mod decoder;
mod envelope;
mod segments;
mod sets;
#[cfg(test)]
mod tests;

pub use acknowledge::{acknowledge, acknowledged};
pub use decoder::Interchanges;
pub use envelope::Envelope;
pub use segments::{Segment, Segments};

/// The format, compiled.
pub type X12 = crate::edi::Edi<Interchanges>;
/// Decodes one file. See [`crate::edi::Edi::decoder`].
pub type Decoder = crate::edi::Decoder<Interchanges>;

/// A segment's bytes, at most, but for what a BIN or BDS segment carries.
pub const SEGMENT_BYTES_MAX: usize = 64 * 1024;
/// Elements of a segment, at most.
pub const ELEMENTS_MAX: usize = 1_000;
