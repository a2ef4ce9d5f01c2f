//! SAP's intermediate documents (IDocs), as flat files of a port and as XML.
//!
//! ```text
//! EDI_DC40  800000000000012345670030 2...    control record: 524 characters, DOCNUM in 14 to 29
//! E2EDL20006                    80000000000001234567000001000000010080001516  ...
//! E2EDL24009                    800000000000012345670000020000010200010MAT-1 ...
//! |SEGNAM 30                    |M3|DOCNUM 16      |SEGN6|PSGN6|H2|SDATA, up to 1000
//!
//! <DELVRY03><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><DOCNUM>0000000001234567</DOCNUM>...</EDI_DC40>
//!   <E1EDL20 SEGMENT="1"><VBELN>0080001516</VBELN><E1EDL24 SEGMENT="1"><POSNR>000010</POSNR>...
//! ```
//!
//! After the IDoc record types 4.x (EDI_DC40, EDI_DD40; SAP Help, "Structure of a control/data record") and the XML port. Lines
//! end with LF or CRLF; trailing blanks may be missing; several IDocs stand in a file.
//! Which form a file has is seen from its first character, and both give the same records: the type is the segment's, the columns
//! are its fields (`POSNR`), those of the segments that it carries (`E1EDL20.VBELN`) and of the control record (`DC40.DOCNUM`).
//! A blank field and one that isn't there are no value. A carried segment is the nearest before the record among
//! those that it stands below and their neighbours of the same level.
//!
//! **One IDoc is the unit of trust**: it is held until it is whole. A gap in SEGNUM, another DOCNUM, a parent (PSGNUM) that isn't there, an unknown
//! segment or a line that is too long make the whole IDoc one bad record, and the file goes on with the next one.

mod config;
mod decoder;
mod flat;
mod hold;
mod layouts;
mod plan;
#[cfg(test)]
mod tests;
mod tree;

pub use config::{FieldConfig, IdocConfig, SegmentConfig};
pub use decoder::{Decoder, Idoc};

/// The segment that is built in under this name of a type or a definition, and the one that it stands below.
pub(crate) fn built_in(name: &str) -> Option<(&'static str, Option<&'static str>)> {
    let is = |known: &&layouts::BuiltIn| {
        let digits = |rest: &str| rest.len() <= 3 && rest.bytes().all(|byte| byte.is_ascii_digit());
        let definition = name
            .strip_prefix("E2")
            .and_then(|rest| rest.strip_prefix(&known.name[2..]));
        known.name == name || definition.is_some_and(digits)
    };
    let known = layouts::BUILT_IN.iter().find(is)?;
    Some((known.name, known.parent))
}

/// Bytes of an IDoc, at most: it is held until it is whole.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// DOCNUMs of a file that are told, at most: for who looks for gaps and doubles.
pub const DOCUMENTS_MAX: usize = 10_000;
/// Segments in one another, at most: HLEVEL has two digits.
pub const DEPTH_MAX: usize = 99;
/// Bytes of a line, at most: 1,063 characters of four bytes, and room to say that one is too long.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Characters of a control record.
pub const CONTROL_LENGTH: usize = 524;
/// Characters of a data record before SDATA.
pub const HEAD_LENGTH: usize = 63;
/// Characters of SDATA.
pub const SEGMENT_LENGTH: usize = 1_000;
