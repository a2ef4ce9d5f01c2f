//! What fuzzers reach, and nobody else needs to: an endpoint without connections, an answer without a service, parts without HTTP. Bytes
//! come whole, or cut at places that a number chooses.
//!
//! Behind the feature `fuzzing`, which no daemon is built with.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

pub use crate::poll::fuzzing::Asked;
pub use crate::receive::fuzzing::{Called, Endpoint};

use crate::content::Content;
use crate::multipart;

/// Where bytes are cut: mostly in short pieces. `None`: nowhere.
#[derive(Debug, Clone)]
pub struct Cuts(Option<u32>);

impl Cuts {
    /// Others for each number.
    #[must_use]
    pub fn new(number: Option<u16>) -> Self {
        Self(number.map(|number| 0x9E37_79B9 ^ u32::from(number)))
    }

    /// The next piece's length, at least 1.
    pub fn next_length(&mut self) -> usize {
        let Some(state) = &mut self.0 else {
            return usize::MAX;
        };
        // Xorshift.
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        let most = [1, 3, 16, 200][*state as usize % 4];
        1 + (*state >> 8) as usize % most
    }

    /// A body that is there whole, or comes from a file in pieces.
    pub(crate) fn content(self, bytes: &[u8]) -> Content {
        let bytes = Bytes::copy_from_slice(bytes);
        match self.0 {
            None => Content::Memory(bytes),
            Some(_) => Content::Spool(Box::new(Cut {
                bytes: Cursor::new(bytes),
                cuts: self,
            })),
        }
    }
}

/// A file that gives a few bytes at a time.
#[derive(Debug)]
struct Cut {
    bytes: Cursor<Bytes>,
    cuts: Cuts,
}

impl Read for Cut {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = to.len().min(self.cuts.next_length());
        self.bytes.read(&mut to[..most])
    }
}

impl Seek for Cut {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// The message that the parts of a body make together; `None`: the type is none of several parts.
pub fn joined(
    content_type: &str,
    body: &[u8],
    cuts: Cuts,
    bytes_max: u64,
    folder: PathBuf,
) -> Option<Result<Vec<u8>, String>> {
    let related = multipart::boundary(content_type)?;
    let joined = multipart::joined(cuts.content(body), &related, bytes_max, &Arc::new(folder));
    Some(joined.map_err(sentence).and_then(|mut content| {
        let mut bytes = Vec::new();
        let read = content.read::<multipart::Fault>(&mut |window, end| {
            bytes.extend_from_slice(window);
            Ok((window.len(), end))
        });
        read.map(|()| bytes).map_err(sentence)
    }))
}

fn sentence(fault: multipart::Fault) -> String {
    match fault {
        multipart::Fault::Wrong(reason) => reason,
        multipart::Fault::Disk(error) => error.to_string(),
    }
}
