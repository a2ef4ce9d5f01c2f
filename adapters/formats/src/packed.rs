//! Packed files: gzip and zip, unpacked as they are read, under whatever format.
//!
//! ```text
//! window of the file ──► Gzip or Zip ──► 64 KiB ──► Window ──► the format's decoder ──► sink
//!                        CRC, lengths,   at a time   its own    one for each file of an archive;
//!                        limits                                 ordinals go on from one to the next
//! ```
//!
//! A gzip file (RFC 1952) is one file, also where it has several members. A zip archive (PKWARE's APPNOTE 6.3) is as many files
//! as it holds, each decoded by itself, e.g. with a header of its own; folders are passed over, and so is what macOS adds.
//! Sentences about such a file name it. An archive within an archive stays packed.
//!
//! Whatever doesn't hold makes the whole file untrustworthy: a CRC or a length, a missing end, something behind the end, an archive's
//! directory that says anything else than its files do, a name that leads out of a folder, a link, a password. What says that is always in pass 1,
//! before anything of the file is visible.
//!
//! The zip reader is our own because the file is read once, forwards: the `zip` crate begins at the directory at the archive's end
//! and jumps from there, and its reader for streams trusts local headers, refuses data descriptors and never sees the
//! directory. Read forwards, files can't overlap, which is what the worst archives live from.
//!
//! Limits: [`RATIO_MAX`] beyond [`RATIO_FREE_BYTES`], [`Packing::inflated_bytes_max`], [`ENTRIES_MAX`] files an archive, names of
//! [`NAME_BYTES_MAX`]. Memory: some 300 KiB besides the format's own window.

mod begin;
mod config;
mod decoder;
mod gzip;
mod inflate;
mod limits;
#[cfg(test)]
pub(crate) mod tests;
mod zip;

pub(crate) use begin::{Begun, begin_gzip, begin_zip};
pub use config::{Compression, Packing};
pub use decoder::{Decoder, Packed};
pub(crate) use zip::survey;

/// How many times its packed size a file may have once it is over [`RATIO_FREE_BYTES`]. Zeros come to 1,028; records of 2,000 bytes
/// that are blank but for eight digits to 334, IDoc segments padded to 1,063 to 186.
pub const RATIO_MAX: u64 = 500;
/// Unpacked bytes up to which no ratio is too high: that much is read in a blink.
pub const RATIO_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Files and folders of an archive: what is known of each is kept until the directory comes.
pub const ENTRIES_MAX: usize = 1_000;
/// Bytes of a file's name in an archive.
pub const NAME_BYTES_MAX: usize = 1_024;
