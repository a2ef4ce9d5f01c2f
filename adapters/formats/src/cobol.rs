//! What COBOL programs write: copybooks, EBCDIC, and numbers that are packed, zoned or binary.

pub mod code_page;
pub mod copybook;
pub mod layout;
pub mod number;
pub mod picture;
