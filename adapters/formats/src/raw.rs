//! The bytes of the record at hand, gathered over windows: all of them, or what tells the whole of one that is too long.

use dray_adapter::REJECT_BYTES_MAX;
use sha2::{Digest as _, Sha256};

use crate::{BadRecord, RECORD_BYTES_MAX, Sink};

/// A record's bytes. Its memory is used again.
#[derive(Debug)]
pub(crate) struct Raw {
    max: usize,
    bytes: Vec<u8>,
    length: u64,
    hash: Option<Sha256>,
}

impl Default for Raw {
    fn default() -> Self {
        Self::up_to(RECORD_BYTES_MAX)
    }
}

impl Raw {
    /// So many bytes are kept whole.
    pub(crate) fn up_to(max: usize) -> Self {
        Self {
            max,
            bytes: Vec::new(),
            length: 0,
            hash: None,
        }
    }

    /// Forgets what it holds, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.length = 0;
        self.hash = None;
    }

    /// More of the record.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        } else if self.is_too_long() {
            let mut hash = Sha256::new();
            hash.update(&self.bytes);
            hash.update(bytes);
            self.hash = Some(hash);
        } else {
            self.bytes.extend_from_slice(bytes);
            return;
        }
        let room = REJECT_BYTES_MAX.saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.bytes.truncate(REJECT_BYTES_MAX);
    }

    /// Whether there are more than a record may have.
    pub(crate) fn is_too_long(&self) -> bool {
        self.length > self.max as u64
    }

    /// How many bytes were pushed.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes, where they are not too many.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Hands them out as a bad record.
    pub(crate) fn reject<S: Sink>(&self, sink: &mut S, ordinal: u64, line: u64, reason: &str) {
        let Some(hash) = &self.hash else {
            crate::sink::reject(sink, ordinal, line, reason, &self.bytes);
            return;
        };
        sink.reject(&BadRecord {
            ordinal,
            line,
            reason,
            raw: &self.bytes,
            raw_bytes: self.length,
            raw_sha256: Some(hash.clone().finalize().into()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gather;

    #[test]
    fn a_long_record_is_its_beginning_its_length_and_its_hash_however_it_came() {
        let long: Vec<u8> = (0..RECORD_BYTES_MAX + 10).map(|n| n as u8).collect();
        for piece in [1_000, 70_000, RECORD_BYTES_MAX, long.len()] {
            let mut raw = Raw::default();
            long.chunks(piece).for_each(|piece| raw.push(piece));
            let mut gather = Gather::default();
            raw.reject(&mut gather, 0, 1, "long");
            let reject = &gather.rejects[0];
            assert_eq!(
                (&reject.raw[..], reject.raw_bytes),
                (&long[..REJECT_BYTES_MAX], long.len() as u64)
            );
            assert_eq!(reject.raw_sha256, Some(Sha256::digest(&long).into()));
        }
    }
}
