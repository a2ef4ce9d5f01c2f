//! Lines that are too long to be a record.

use dray_adapter::REJECT_BYTES_MAX;
use sha2::{Digest, Sha256};

use super::Charset;
use crate::{BadRecord, RECORD_BYTES_MAX, Sink};

/// A line over [`RECORD_BYTES_MAX`], of which little is kept.
#[derive(Debug, Default)]
pub(crate) struct Long {
    first: Vec<u8>,
    bytes: u64,
    hash: Sha256,
}

impl Long {
    /// Goes over what there is of it; how many bytes that is, 0 where more are needed, and whether it ends there. `end`: nothing follows.
    pub(crate) fn pass(
        &mut self,
        charset: Charset,
        terminator: u8,
        rest: &[u8],
        end: bool,
    ) -> (usize, bool) {
        let found = charset.find(terminator, rest, 0);
        // A cut unit waits for its rest.
        let whole = rest.len() - rest.len() % charset.width();
        let (text, next) = match found {
            Some(at) => (at, at + charset.width()),
            None if end => (rest.len(), rest.len()),
            None => (whole, whole),
        };
        self.push(&rest[..text]);
        (next, found.is_some())
    }

    /// How many bytes were passed over.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = REJECT_BYTES_MAX.saturating_sub(self.first.len());
        self.first
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// Hands it out as a bad record.
    pub(crate) fn reject<S: Sink>(self, ordinal: u64, line: u64, sink: &mut S) {
        let reason = format!(
            "the line is {} bytes long, at most {RECORD_BYTES_MAX} are possible; a line end or a delimiter may be missing",
            self.bytes
        );
        let digest: [u8; 32] = self.hash.finalize().into();
        sink.reject(&BadRecord {
            ordinal,
            line,
            reason: &reason,
            raw: &self.first,
            raw_bytes: self.bytes,
            raw_sha256: Some(digest),
        });
    }
}
