//! Where the source stands, as the bytes of a position.
//!
//! ```text
//! version u8 = 1 | generations u64 | past: 0 u8, or 1 u8, born i64, inode u64, modified i64 | count u8, entries
//! entry: flags u8 | inode u64 | born i64 | since i64 | prefix length u16, hash 16 | offset u64 | seen u64 | tail hash 16
//!        | ordinal u64 | line u64 | scope 10 | name length u8 | name
//! ```
//! Integers are little-endian. An entry is 118 bytes and the name. The number of the device is not kept: a share that is
//! mounted again gets another one, and inode, birth and content tell the file without it.

use bytes::Bytes;
use dray_adapter::{IdScope, Position};
use sha2::{Digest as _, Sha256};

const VERSION: u8 = 1;

const NUMBERED: u8 = 1;
const REFUSED: u8 = 2;
const AGAIN: u8 = 4;
const MISSED: u8 = 8;

/// A hash of a file's bytes, as far as it is kept: 128 bits of SHA-256.
pub(super) type Print = [u8; 16];

pub(super) fn print(bytes: &[u8]) -> Print {
    let mut print = [0; 16];
    print.copy_from_slice(&Sha256::digest(bytes)[..16]);
    print
}

/// Which file it is, without its content: inode, and when it was born, in microseconds (0 where the file system does not say).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) born_us: i64,
    pub(super) inode: u64,
}

/// What is known of a file that is followed, after the last batch of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) node: Node,
    /// Files are taken in this order: the birth, or when it was found that the file was begun again.
    pub(super) since_us: i64,
    /// How many of the first bytes are known, at most [`super::PREFIX_BYTES`].
    pub(super) prefix_bytes: u16,
    pub(super) prefix: Print,
    /// Where the next record begins.
    pub(super) offset: u64,
    /// How long the file was.
    pub(super) seen: u64,
    /// Of the last bytes before `offset`, at most [`super::TAIL_BYTES`].
    pub(super) tail: Print,
    /// Of the next record or bad record.
    pub(super) ordinal: u64,
    /// Of the next record.
    pub(super) line: u64,
    /// The generation's part of every id, once there is a record.
    pub(super) scope: Option<IdScope>,
    /// It can't be read until it is begun again.
    pub(super) is_refused: bool,
    /// The file was there before in another generation: without this entry it would be taken for read.
    pub(super) is_again: bool,
    /// It was told that it is missing.
    pub(super) is_missed: bool,
    /// Under which its records are sent.
    pub(super) name: String,
}

impl Entry {
    pub(super) fn new(node: Node, since_us: i64, name: String) -> Self {
        Self {
            node,
            since_us,
            prefix_bytes: 0,
            prefix: print(b""),
            offset: 0,
            seen: 0,
            tail: print(b""),
            ordinal: 0,
            line: 1,
            scope: None,
            is_refused: false,
            is_again: false,
            is_missed: false,
            name,
        }
    }

    /// How many bytes of it are known to be there, or to have been, and are not read.
    pub(super) fn unread(&self) -> u64 {
        if self.is_refused {
            return 0;
        }
        self.seen.saturating_sub(self.offset)
    }
}

/// Files up to here were read to their end and are kept in mind no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past {
    /// The last of them.
    pub(super) node: Node,
    /// None of them was modified later.
    pub(super) modified_us: i64,
}

/// The whole position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// How many generations have had a record or a notice: the next one's number.
    pub(super) generations: u64,
    pub(super) past: Option<Past>,
    /// The one that was read last comes last.
    pub(super) entries: Vec<Entry>,
}

impl Place {
    pub(super) fn encode(&self) -> Position {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.generations.to_le_bytes());
        out.push(u8::from(self.past.is_some()));
        if let Some(past) = &self.past {
            out.extend_from_slice(&past.node.born_us.to_le_bytes());
            out.extend_from_slice(&past.node.inode.to_le_bytes());
            out.extend_from_slice(&past.modified_us.to_le_bytes());
        }
        out.push(self.entries.len() as u8);
        for entry in &self.entries {
            put(&mut out, entry);
        }
        Position(Bytes::from(out))
    }

    /// Reads a position; the error is a sentence for an operator.
    pub(super) fn decode(position: &Position) -> Result<Self, String> {
        match position.0.first() {
            None => return Ok(Self::default()),
            Some(&VERSION) => {}
            Some(other) => {
                return Err(format!(
                    "the position in the buffer has form {other}, this version reads form {VERSION}; start the agent's newer version again, or give the flow a new name if it had another kind of source"
                ));
            }
        }
        let mut rest = Rest(&position.0[1..]);
        rest.place().filter(|_| rest.0.is_empty()).ok_or_else(|| {
            "the position in the buffer can't be read; the data folder may be damaged, or the flow had another kind of source: restore it, or give the flow a new name to read its files from their beginning".into()
        })
    }
}

fn put(out: &mut Vec<u8>, entry: &Entry) {
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    out.push(
        flag(entry.scope.is_some(), NUMBERED)
            | flag(entry.is_refused, REFUSED)
            | flag(entry.is_again, AGAIN)
            | flag(entry.is_missed, MISSED),
    );
    out.extend_from_slice(&entry.node.inode.to_le_bytes());
    out.extend_from_slice(&entry.node.born_us.to_le_bytes());
    out.extend_from_slice(&entry.since_us.to_le_bytes());
    out.extend_from_slice(&entry.prefix_bytes.to_le_bytes());
    out.extend_from_slice(&entry.prefix);
    out.extend_from_slice(&entry.offset.to_le_bytes());
    out.extend_from_slice(&entry.seen.to_le_bytes());
    out.extend_from_slice(&entry.tail);
    out.extend_from_slice(&entry.ordinal.to_le_bytes());
    out.extend_from_slice(&entry.line.to_le_bytes());
    out.extend_from_slice(&entry.scope.map_or([0; 10], |scope| scope.0));
    // A name has at most 255 bytes on every file system that Linux has; one that is no text is shown longer.
    let mut length = entry.name.len().min(255);
    while !entry.name.is_char_boundary(length) {
        length -= 1;
    }
    out.push(length as u8);
    out.extend_from_slice(&entry.name.as_bytes()[..length]);
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn place(&mut self) -> Option<Place> {
        let generations = self.number()?;
        let past = match self.take::<1>()? {
            [0] => None,
            [1] => Some(Past {
                node: Node {
                    born_us: self.time()?,
                    inode: self.number()?,
                },
                modified_us: self.time()?,
            }),
            _ => return None,
        };
        let [count] = self.take()?;
        let entries = (0..count).map(|_| self.entry()).collect::<Option<_>>()?;
        Some(Place {
            generations,
            past,
            entries,
        })
    }

    fn entry(&mut self) -> Option<Entry> {
        let [flags] = self.take()?;
        if flags > NUMBERED | REFUSED | AGAIN | MISSED {
            return None;
        }
        let (inode, born_us) = (self.number()?, self.time()?);
        Some(Entry {
            node: Node { born_us, inode },
            since_us: self.time()?,
            prefix_bytes: u16::from_le_bytes(self.take()?),
            prefix: self.take()?,
            offset: self.number()?,
            seen: self.number()?,
            tail: self.take()?,
            ordinal: self.number()?,
            line: self.number()?,
            scope: Some(IdScope(self.take()?)).filter(|_| flags & NUMBERED > 0),
            is_refused: flags & REFUSED > 0,
            is_again: flags & AGAIN > 0,
            is_missed: flags & MISSED > 0,
            name: {
                let [length] = self.take()?;
                let (name, rest) = self.0.split_at_checked(usize::from(length))?;
                self.0 = rest;
                std::str::from_utf8(name).ok()?.to_owned()
            },
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        let node = Node {
            born_us: -7,
            inode: 9,
        };
        Entry {
            prefix_bytes: 1_024,
            prefix: print(b"a"),
            offset: 70,
            seen: 80,
            tail: print(b"b"),
            ordinal: 5,
            line: 6,
            scope: Some(IdScope([3; 10])),
            is_again: true,
            ..Entry::new(node, 12, name.into())
        }
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let node = entry("").node;
        let fresh = Entry {
            is_refused: true,
            is_missed: true,
            ..Entry::new(node, 1, "ü".into())
        };
        let whole = Place {
            generations: u64::MAX,
            past: Some(Past {
                node,
                modified_us: 4,
            }),
            entries: vec![entry("app.log"), fresh],
        };
        for place in [Place::default(), whole.clone()] {
            assert_eq!(Place::decode(&place.encode()), Ok(place));
        }
        assert_eq!(Place::decode(&Position::default()), Ok(Place::default()));
        let bytes = whole.encode().0;
        for cut in 1..bytes.len() {
            Place::decode(&Position(bytes.slice(..cut))).expect_err("it is cut");
        }
    }

    #[test]
    fn sixteen_files_fit_two_and_a_half_kibibytes() {
        let place = Place {
            entries: vec![entry("warehouse-interface.log"); super::super::LIVE_MAX],
            ..Place::default()
        };
        let bytes = place.encode().0.len();
        assert!(bytes <= 2_560, "{bytes}");
        let longest = Place {
            entries: vec![entry(&"ü".repeat(200)); super::super::ENTRIES_MAX],
            ..Place::default()
        };
        assert!(longest.encode().0.len() <= 12 * 1_024);
    }
}
