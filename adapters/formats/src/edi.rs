//! What the two EDI syntaxes share: how documents become records.
//!
//! ```text
//! segments -> Document (bytes, and which loop each segment belongs to) -> end and counts hold -> records
//!                |                                                                                  |
//!                Plan: a Schema's loops and the columns' addresses, compiled                        Cells
//! ```

mod acknowledgement;
mod address;
mod cells;
mod characters;
mod config;
mod decoder;
mod document;
mod format;
mod making;
mod plan;
mod receipt;
mod schema;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt::Debug;

use dray_adapter::FileChecks;

pub use acknowledgement::{Acknowledged, Acknowledgement, acknowledgements};
pub use characters::Characters;
use config::Plans;
pub use config::{EdiConfig, Known, Otherwise, RecordConfig, SetConfig};
pub use decoder::{Charset, Decoder};
pub use document::{DOCUMENT_BYTES_MAX, DOCUMENT_SEGMENTS_MAX};
pub use format::Edi;
pub use receipt::{
    Finding, Group, INTERCHANGES_MAX, Interchange, Party, Receipt, Rule, Stamp, VERDICTS_MAX,
    Verdict,
};

use crate::FileFault;

/// What a look at a window found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A segment that ends after so many bytes.
    Segment(usize),
    /// So many bytes that are none; more is needed.
    More(usize),
}

/// A segment, however it was written.
pub trait View {
    /// Its name.
    fn tag(&self) -> &[u8];
    /// A component of an element, from 1; 0 is what the syntax means by the element alone. Empty where there is none.
    fn value(&self, element: usize, component: usize) -> &[u8];
    /// Of the pairs of a qualifier and a value from an element on, the value that has this qualifier.
    fn pair(&self, element: usize, qualifier: &[u8]) -> &[u8];
    /// An element with all that it has.
    fn whole(&self, element: usize, out: &mut Vec<u8>);
    /// How many elements it has, its name counted.
    fn elements(&self) -> usize;
    /// The line on which it starts, from 1.
    fn line(&self) -> u64;
}

/// A syntax: how bytes become segments, and what stands around documents.
pub trait Syntax: Debug + Default {
    /// The sets whose loops are built in.
    const SETS: &'static [Known];
    /// The segment that begins a document.
    const BEGIN: &'static str;
    /// The segment that ends one.
    const END: &'static str;
    /// The segments that stand around documents, the outermost first.
    const OUTER: &'static [&'static str];
    /// Where [`Self::BEGIN`] says which set it is: element and component.
    const SET: (usize, usize);
    /// Where it has the document's number.
    const NUMBER: usize;

    /// A segment at hand.
    type Segment<'a>: View
    where
        Self: 'a;

    /// Looks for the next segment, as the syntax's own module says.
    fn next(&mut self, window: &[u8], end: bool) -> Result<Found, FileFault>;
    /// Where in that window it stood, without what ends it.
    fn place(&self) -> (usize, usize);
    /// The segment at hand.
    fn segment(&self) -> Self::Segment<'_>;
    /// Makes one that was found before the one at hand: its bytes without what ends it.
    fn again(&mut self, bytes: &[u8]);
    /// Whether it carries bytes that are no text.
    fn is_binary(bytes: &[u8]) -> bool;
    /// Checks the segment at hand against the envelope.
    fn check(&mut self) -> Result<(), String>;
    /// Checks that nothing is open at the file's end.
    fn finish(&self) -> Result<(), String>;
    /// Which characters documents have here.
    fn charset(&self, configured: Option<Characters>) -> Charset;
    /// Tells of the segment at hand, which stands around documents.
    fn tell(&self, receipt: &mut Receipt);
    /// The counts that were checked so far.
    fn checks(&self) -> &FileChecks;
    /// What a document says that it is, for a receipt.
    fn told_set(&self) -> String;
}

/// Line ends in these bytes.
pub(crate) fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// What Windows editors begin a file with; files that were joined have it in their middle.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How many bytes of white space and byte order marks they begin with, and how many line ends are among them. It asks nothing of where
/// in the file they stand: how a file is cut into windows must not matter.
pub(crate) fn blank(bytes: &[u8]) -> (usize, u64) {
    let (mut at, mut line_ends) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            byte if byte.is_ascii_whitespace() => {
                line_ends += u64::from(*byte == b'\n');
                at += 1;
            }
            _ if bytes[at..].starts_with(BYTE_ORDER_MARK) => at += BYTE_ORDER_MARK.len(),
            _ => break,
        }
    }
    (at, line_ends)
}

/// A number or name of an envelope, without the blanks that pad it.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
