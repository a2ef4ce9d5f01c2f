//! Pure streaming decoders: bytes in, records out.
//!
//! This crate promises bounded memory at any file size, that a bad record hurts no other, and the same
//! result however the bytes are cut into chunks.
//!
//! It refuses to know files, clocks and runtimes.
//!
//! Limits: see [`csv`].

pub mod csv;
mod encoding;
mod lines;

pub use encoding::Encoding;
