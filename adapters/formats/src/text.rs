//! From a file's bytes to its lines of text: what all formats of lines share.

pub(crate) mod encoding;
pub(crate) mod lines;
pub(crate) mod long;

pub(crate) use encoding::Charset;
pub(crate) use lines::Line;
pub(crate) use long::Long;
