//! Records that are too long to be one.

use dray_adapter::REJECT_BYTES_MAX;
use sha2::{Digest, Sha256};

use super::decoder::Decoder;
use super::encoding::Charset;
use crate::{BadRecord, FileFault, RECORD_BYTES_MAX, Sink};

/// A record over [`RECORD_BYTES_MAX`], of which little is kept.
#[derive(Debug, Default)]
pub(super) struct Long {
    first: Vec<u8>,
    bytes: u64,
    hash: Sha256,
}

impl Long {
    fn push(&mut self, bytes: &[u8]) {
        let room = REJECT_BYTES_MAX.saturating_sub(self.first.len());
        self.first
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }
}

impl Decoder {
    /// The record at hand is too long; the names of the columns must not be.
    pub(super) fn begin_long<S: Sink>(
        &mut self,
        charset: Charset,
        rest: &[u8],
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        if self.shape.is_none() {
            return Err(FileFault(format!(
                "the header on line {} is longer than {RECORD_BYTES_MAX} bytes; is this a text file with line ends?",
                self.line
            )));
        }
        self.long = Some(Long::default());
        Ok(self.pass_long(charset, rest, sink))
    }

    /// Goes over a record that is too long, up to its line end.
    pub(super) fn pass_long<S: Sink>(
        &mut self,
        charset: Charset,
        rest: &[u8],
        sink: &mut S,
    ) -> usize {
        let terminator = self.terminator.unwrap_or(b'\n');
        self.searched = 0;
        let found = charset.find(terminator, rest, 0);
        // Half a unit waits for its other half.
        let whole = rest.len() - rest.len() % charset.width();
        let (text, next) = match found {
            Some(at) => (at, at + charset.width()),
            None if whole == 0 => (rest.len(), rest.len()),
            None => (whole, whole),
        };
        if let Some(long) = &mut self.long {
            long.push(&rest[..text]);
        }
        if found.is_some()
            && let Some(long) = self.long.take()
        {
            self.reject_long(long, sink);
        }
        next
    }

    pub(super) fn reject_long<S: Sink>(&mut self, long: Long, sink: &mut S) {
        let (ordinal, line) = (self.ordinal, self.line);
        self.ordinal += 1;
        self.line += 1;
        if self.shape.is_none() || ordinal < self.skip {
            return;
        }
        let reason = format!(
            "the line is {} bytes long, at most {RECORD_BYTES_MAX} are possible; a line end or a delimiter may be missing",
            long.bytes
        );
        let digest: [u8; 32] = long.hash.finalize().into();
        sink.reject(&BadRecord {
            ordinal,
            line,
            reason: &reason,
            raw: &long.first,
            raw_bytes: long.bytes,
            raw_sha256: Some(digest),
        });
    }
}
