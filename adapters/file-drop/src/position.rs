//! Where the source stands, as the bytes of a position.
//!
//! ```text
//! version u8 = 2 | finished: count u8, entries | reading: count u8, at most 2, each an entry and the next ordinal u64 | sequence
//! entry: goes u8 | SHA-256 32 | bytes u64 | repeat u64 | modified i64 | inode u64 | born i64 | name length u8 | name
//! ```
//! The sequence is drawn in [`crate::sequence`], and empty where none is watched. Version 1 has none.
//! Integers are little-endian. Without the sequence, with the 64 files that an agent has under way this is at most
//! 66 × 330 + 19 bytes; small files with usual names make it some 5,800.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use dray_adapter::{Mark, Position};

use crate::ready::Look;
use crate::sequence::State;

const VERSION: u8 = 2;
/// As it was before there were sequences.
const VERSION_1: u8 = 1;

/// What identifies content: SHA-256, length, and which time it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) sha256: [u8; 32],
    pub(crate) bytes: u64,
    /// 0; with `repeat = "send"` the time at which the file was modified, in microseconds, or the next
    /// free number after it: so a file read again has the number that it had.
    pub(crate) repeat: u64,
}

impl Content {
    /// As the buffer remembers it.
    pub(crate) fn mark(&self) -> Mark {
        Mark(
            [
                &self.sha256[..],
                &self.bytes.to_le_bytes(),
                &self.repeat.to_le_bytes(),
            ]
            .concat(),
        )
    }

    /// Whether the bytes are the same.
    pub(crate) fn is_copy_of(&self, other: &Self) -> bool {
        (self.sha256, self.bytes) == (other.sha256, other.bytes)
    }
}

/// Where a file goes when its last batch is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    /// To the archive of what waits for the ack.
    Pending = 0,
    /// To what could not be read.
    Failed = 1,
    /// Likewise, from the archive of what waits for the ack.
    FailedFromPending = 2,
    /// To what was there before.
    Repeated = 3,
}

/// A file whose last batch was polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) name: OsString,
    pub(crate) content: Content,
    /// As it was when it was read.
    pub(crate) look: Look,
    pub(crate) goes: Goes,
}

/// A file that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) file: Finished,
    /// The ordinal of the record or reject that comes next.
    pub(crate) next: u64,
}

/// The whole position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Appended whole by this position, and perhaps not moved yet.
    pub(crate) finished: Vec<Finished>,
    pub(crate) at: Option<At>,
    /// Read in part too, and to be gone on with when the second copies that came before it are read.
    pub(crate) then: Option<At>,
    /// What is known of the numbers that files should have.
    pub(crate) sequence: State,
}

impl Place {
    pub(crate) fn encode(&self) -> Position {
        let mut out = vec![VERSION, self.finished.len() as u8];
        for finished in &self.finished {
            put(&mut out, finished);
        }
        let reading = [&self.at, &self.then].into_iter().flatten();
        out.push(reading.clone().count() as u8);
        for at in reading {
            put(&mut out, &at.file);
            out.extend_from_slice(&at.next.to_le_bytes());
        }
        self.sequence.encode(&mut out);
        // Many are kept: without room to grow.
        Position(out.into_boxed_slice().into())
    }

    /// Reads a position; the error is a sentence for an operator.
    pub(crate) fn decode(position: &Position) -> Result<Self, String> {
        match position.0.first() {
            None => return Ok(Self::default()),
            Some(&(VERSION_1 | VERSION)) => {}
            Some(other) => {
                return Err(format!(
                    "the position in the buffer has form {other}, this version reads form {VERSION}; start the agent's newer version again, or give the flow another name if its source was of another kind"
                ));
            }
        }
        let mut rest = Rest(&position.0[1..]);
        let place = rest.place().and_then(|place| {
            let has_sequence = position.0[0] != VERSION_1;
            let sequence = State::decode(rest.0).filter(|_| has_sequence || rest.0.is_empty())?;
            Some(Self { sequence, ..place })
        });
        place.ok_or_else(|| {
            "the position in the buffer can't be read; the data folder may be damaged: restore it, or move it away to read archive/pending again".into()
        })
    }
}

fn put(out: &mut Vec<u8>, file: &Finished) {
    out.push(file.goes as u8);
    out.extend_from_slice(&file.content.sha256);
    out.extend_from_slice(&file.content.bytes.to_le_bytes());
    out.extend_from_slice(&file.content.repeat.to_le_bytes());
    out.extend_from_slice(&file.look.modified_us.to_le_bytes());
    out.extend_from_slice(&file.look.inode.to_le_bytes());
    out.extend_from_slice(&file.look.born_us.to_le_bytes());
    // A name has at most 255 bytes on every file system that Linux has.
    let name = &file.name.as_bytes()[..file.name.len().min(255)];
    out.push(name.len() as u8);
    out.extend_from_slice(name);
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn place(&mut self) -> Option<Place> {
        let count = self.byte()?;
        let finished = (0..count)
            .map(|_| self.entry())
            .collect::<Option<Vec<_>>>()?;
        let (at, then) = match self.byte()? {
            0 => (None, None),
            1 => (Some(self.at()?), None),
            2 => (Some(self.at()?), Some(self.at()?)),
            _ => return None,
        };
        Some(Place {
            finished,
            at,
            then,
            sequence: State::default(),
        })
    }

    fn at(&mut self) -> Option<At> {
        Some(At {
            file: self.entry()?,
            next: self.number()?,
        })
    }

    fn entry(&mut self) -> Option<Finished> {
        let goes = match self.byte()? {
            0 => Goes::Pending,
            1 => Goes::Failed,
            2 => Goes::FailedFromPending,
            3 => Goes::Repeated,
            _ => return None,
        };
        let sha256 = self.take(32)?.try_into().ok()?;
        let (bytes, repeat) = (self.number()?, self.number()?);
        let modified_us = i64::from_le_bytes(self.take(8)?.try_into().ok()?);
        let inode = self.number()?;
        let born_us = i64::from_le_bytes(self.take(8)?.try_into().ok()?);
        let length = usize::from(self.byte()?);
        let name = OsString::from_vec(self.take(length)?.to_vec());
        Some(Finished {
            name,
            content: Content {
                sha256,
                bytes,
                repeat,
            },
            look: Look {
                bytes,
                modified_us,
                inode,
                born_us,
            },
            goes,
        })
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

/// A name as a person reads it.
pub(crate) fn shown(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, goes: Goes) -> Finished {
        Finished {
            name: name.into(),
            content: Content {
                sha256: [7; 32],
                bytes: 148,
                repeat: 3,
            },
            look: Look {
                bytes: 148,
                modified_us: -5,
                inode: 9,
                born_us: 4,
            },
            goes,
        }
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let whole = Place {
            finished: vec![
                entry("a", Goes::Pending),
                entry("ü", Goes::Failed),
                entry("", Goes::FailedFromPending),
                entry("d", Goes::Repeated),
            ],
            at: Some(At {
                file: entry("b", Goes::Pending),
                next: u64::MAX,
            }),
            then: Some(At {
                file: entry("c", Goes::Pending),
                next: 1,
            }),
            sequence: State::default(),
        };
        for place in [
            Place::default(),
            Place {
                at: None,
                then: None,
                ..whole.clone()
            },
            Place {
                then: None,
                ..whole.clone()
            },
            whole.clone(),
        ] {
            assert_eq!(Place::decode(&place.encode()), Ok(place));
        }
        assert_eq!(Place::decode(&Position::default()), Ok(Place::default()));
        let bytes = whole.encode().0;
        for cut in 1..bytes.len() {
            Place::decode(&Position(bytes.slice(..cut))).expect_err("it is cut");
        }
    }

    #[test]
    fn a_position_of_the_version_before_is_still_read() {
        let place = Place {
            finished: vec![entry("a", Goes::Pending)],
            ..Place::default()
        };
        let mut bytes = place.encode().0.to_vec();
        bytes[0] = VERSION_1;
        assert_eq!(Place::decode(&Position(bytes.clone().into())), Ok(place));
        bytes.extend([0, 0]);
        Place::decode(&Position(bytes.into())).expect_err("it knew no sequences");
    }

    #[test]
    fn two_batches_under_way_fit_a_kibibyte() {
        let longest = "x".repeat(255);
        let place = Place {
            finished: vec![
                entry(&longest, Goes::Pending),
                entry(&longest, Goes::Pending),
            ],
            at: Some(At {
                file: entry(&longest, Goes::Pending),
                next: 1,
            }),
            then: None,
            sequence: State::default(),
        };
        assert!(
            place.encode().0.len() <= 1_024,
            "{}",
            place.encode().0.len()
        );
    }
}
