//! From a file's bytes to its lines of text: what all formats of lines share.

pub(crate) mod encoding;
pub(crate) mod lines;
pub(crate) mod long;

pub(crate) use encoding::Charset;
pub(crate) use lines::Line;
pub(crate) use long::Long;

/// Why a record with a NUL is a bad one.
pub(crate) fn a_nul(at: usize) -> String {
    format!(
        "a NUL stands at byte {}; the file may be cut, or not be text",
        at + 1
    )
}
