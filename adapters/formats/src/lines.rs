//! Lines out of chunks, in bounded memory.

use dray_adapter::REJECT_BYTES_MAX;
use sha2::{Digest, Sha256};

use crate::encoding::Encoding;

/// A record's bytes, at most; more is a reject. A line this long in a flat file is a missing newline.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// What was found in what is there.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A line without its end. `whole`: how many bytes it takes with it.
    Line { line: &'a [u8], whole: usize },
    /// There is no whole line.
    More,
}

/// The line at the beginning of `bytes`; at the file's `end` what is left is one.
pub(crate) fn first(encoding: Encoding, bytes: &[u8], end: bool) -> Found<'_> {
    let (line, whole) = match encoding.line_feed(bytes) {
        Some(at) => (&bytes[..at], at + encoding.unit()),
        None if end && !bytes.is_empty() => (bytes, bytes.len()),
        None => return Found::More,
    };
    let line = match encoding {
        Encoding::Utf16 | Encoding::Utf16Le => line.strip_suffix(b"\r\0").unwrap_or(line),
        Encoding::Utf16Be => line.strip_suffix(b"\0\r").unwrap_or(line),
        _ => line.strip_suffix(b"\r").unwrap_or(line),
    };
    Found::Line { line, whole }
}

/// A line that is too long to keep: its first bytes, its length and its hash.
#[derive(Debug, Default)]
pub(crate) struct LongLine {
    first: Vec<u8>,
    bytes: u64,
    hash: Sha256,
}

impl LongLine {
    /// Takes more of the line.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = REJECT_BYTES_MAX - self.first.len();
        self.first
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// First bytes, length and SHA-256.
    pub(crate) fn end(self) -> (Vec<u8>, u64, [u8; 32]) {
        (self.first, self.bytes, self.hash.finalize().into())
    }
}
