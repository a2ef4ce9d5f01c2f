//! The bytes on disk.
//!
//! A generation is a sled tree from number (u64, big-endian) to value. A record (a block, a note, an
//! opening) is cut into values of at most [`VALUE_BYTES_MAX`], under consecutive numbers:
//!
//! ```text
//! first value   | kind u8 | record bytes u32 | record, first part |
//! next values   | 0       | record, next part                     |
//! group         | kind u8 | ( kind u8 | record bytes u32 | record ) of each          |
//!
//! block    | flow text | epoch u64 | first u64 | count u32 | captured first i64 | last i64 | codec u8
//!          | decoded u32 | crc u32 | dead letters u32 | chain u64 | chain after u64 | position bytes
//!          | payload bytes |
//! note     | flow text | through u64 | seconds u64 | position bytes | marks u32 × 16 bytes |
//! opening  | epoch u64 | flows u32 × ( flow text | next u64 | chain u64 | position bytes ) |
//! renewal  | epoch u64 | flows u32 × ( flow text | next u64 | chain u64 | position bytes
//!          |   blocks u32 × ( number u64 | first u64 | chain u64 ) )
//!          | losses u32 × ( flow text | epoch u64 | first u64 | last u64, 0 for unknown ) |
//! lost     | (nothing: its place in a summary says which numbers can't be read)
//! compacted| epoch u64 | end u64 | flows u32 × ( flow text | next u64 | chain u64 | position bytes ) |
//! ```
//!
//! A group is one commit's records where one value holds them all. The first has the value's number, each of the others the
//! number after the one before it; no value stands under those.
//!
//! Numbers are little-endian; text and bytes have their length (u32) before them. A sealed
//! generation's summary is the same records without payloads, each with its number and number of
//! values before it, and a CRC-32C of all at the end.

mod record;

use std::borrow::Cow;
use std::io::{self, Write};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::api::{Loss, NewBlock, Sequence, StoredBlock};
use crate::marks::MarkHash;
use record::{Reader, decode, encode, put_bytes};

/// A value's bytes, at most: far below what makes sled write unsynced files beside its log.
pub(crate) const VALUE_BYTES_MAX: usize = 64 * 1024;
const CONTINUED: u8 = 0;
const BLOCK: u8 = 1;
const NOTE: u8 = 2;
const OPENING: u8 = 3;
const RENEWAL: u8 = 4;
const LOST: u8 = 5;
const COMPACTED: u8 = 6;
const GROUP: u8 = 7;
/// The kind and the length in front of a value's bytes.
const VALUE_HEAD: usize = 5;

/// A flow's standing at the beginning of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) flow: String,
    pub(crate) next: Sequence,
    pub(crate) chain: u64,
    pub(crate) position: Bytes,
}

/// The first record of a generation that begins a new epoch: blocks of the generations before it are held under new
/// sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renewal {
    pub(crate) epoch: u64,
    pub(crate) flows: Vec<Renewed>,
    /// What the epoch before lost.
    pub(crate) losses: Vec<Loss>,
}

/// One flow of a [`Renewal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renewed {
    pub(crate) standing: Standing,
    /// The blocks that were held; all others are acked.
    pub(crate) blocks: Vec<Renumbered>,
}

/// A block's new place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Renumbered {
    pub(crate) number: u64,
    pub(crate) first: Sequence,
    pub(crate) chain: u64,
}

/// The first record of a generation that stands for several: what it does not hold of their numbers is acked. Only in
/// its summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compacted {
    pub(crate) epoch: u64,
    /// The number behind all of them.
    pub(crate) end: u64,
    /// Where flows stand behind what is left out; what is before is acked.
    pub(crate) flows: Vec<Standing>,
}

/// What a generation holds besides blocks: where a source stands, and its marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) flow: String,
    /// The flow's newest sequence at that append.
    pub(crate) through: Sequence,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(crate) at_s: u64,
    /// Empty where the block before it has the same.
    pub(crate) position: Bytes,
    pub(crate) marks: Vec<MarkHash>,
}

/// One record.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Block { flow: String, block: StoredBlock },
    Note(Note),
    Opening { epoch: u64, flows: Vec<Standing> },
    Renewal(Renewal),
    Lost,
    Compacted(Compacted),
}

/// `chain_after`: the first 8 bytes, little-endian, of SHA-256 over the chain before and the header's
/// numbers in the order of the layout above. The position and the flow's name are not part of it.
pub(crate) fn chain_after(chain: u64, epoch: u64, first: Sequence, block: &NewBlock) -> u64 {
    let mut hash = Sha256::new();
    hash.update(chain.to_le_bytes());
    hash.update(epoch.to_le_bytes());
    hash.update(first.0.to_le_bytes());
    hash.update(block.count.to_le_bytes());
    hash.update(block.first_captured_us.to_le_bytes());
    hash.update(block.last_captured_us.to_le_bytes());
    hash.update([block.codec]);
    hash.update(block.decoded_bytes.to_le_bytes());
    hash.update(block.crc32c.to_le_bytes());
    let mut first_bytes = [0; 8];
    first_bytes.copy_from_slice(&hash.finalize()[..8]);
    u64::from_le_bytes(first_bytes)
}

/// The length of a record's bytes, as it is: with its payload only if that was not taken out.
pub(crate) fn record_bytes(record: &Record) -> usize {
    encode(record, true).1.len()
}

/// The record as values to insert under consecutive numbers.
pub(crate) fn values(record: &Record) -> Vec<Vec<u8>> {
    let (kind, bytes) = encode(record, true);
    let (head, rest) = bytes.split_at(bytes.len().min(VALUE_BYTES_MAX - VALUE_HEAD));
    let mut first = Vec::with_capacity(head.len() + VALUE_HEAD);
    first.push(kind);
    first.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    first.extend_from_slice(head);
    let more = rest
        .chunks(VALUE_BYTES_MAX - 1)
        .map(|part| [&[CONTINUED], part].concat());
    std::iter::once(first).chain(more).collect()
}

/// Records as values to insert under consecutive numbers: one for all of them where they fit, because sled takes a lone value to
/// the disk in one write, and a batch in two. With how many numbers they take.
pub(crate) fn commit_values(records: &[Cow<'_, Record>]) -> (Vec<Vec<u8>>, u64) {
    let mut values: Vec<_> = records.iter().flat_map(|record| values(record)).collect();
    let numbers = values.len() as u64;
    let bytes = 1 + values.iter().map(Vec::len).sum::<usize>();
    if records.len() > 1 && bytes <= VALUE_BYTES_MAX {
        let mut group = vec![GROUP];
        group.extend(values.concat());
        values = vec![group];
    }
    (values, numbers)
}

/// How many values a record without its payload was cut into.
pub(crate) fn value_count(record: &Record, payload_bytes: u32) -> u64 {
    let bytes = record_bytes(record) + payload_bytes as usize;
    let rest = bytes.saturating_sub(VALUE_BYTES_MAX - VALUE_HEAD);
    1 + rest.div_ceil(VALUE_BYTES_MAX - 1) as u64
}

/// A group's records; `None` if the value is no group.
pub(crate) fn group(value: &[u8]) -> Option<Members<'_>> {
    let (&GROUP, group) = value.split_first()? else {
        return None;
    };
    Some(Members(group))
}

/// Each record of a group, as the value that would hold it alone. Nothing comes after damage.
pub(crate) struct Members<'a>(&'a [u8]);

impl<'a> Members<'a> {
    fn member(&mut self) -> Result<&'a [u8], Damage> {
        let mut head = Reader(self.0);
        head.u8()?;
        let bytes = head.u32()? as usize;
        let (member, rest) = self
            .0
            .split_at_checked(VALUE_HEAD.saturating_add(bytes))
            .ok_or("a record is cut")?;
        self.0 = rest;
        Ok(member)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<&'a [u8], Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let member = self.member();
        if member.is_err() {
            self.0 = &[];
        }
        Some(member)
    }
}

/// What is wrong with bytes that should be a record.
pub(crate) type Damage = &'static str;

/// No damage: it is whole, and written later than this program.
pub(crate) const NEWER: Damage = "a newer version of dray-agent wrote it; install that one again, or let it send what it holds first";

/// Joins values to a record. `next` gives the values that follow, in order.
pub(crate) fn join(
    first: &[u8],
    mut next: impl FnMut() -> Option<Vec<u8>>,
) -> Result<(Record, u64), Damage> {
    let mut reader = Reader(first);
    let kind = reader.u8()?;
    let length = reader.u32()? as usize;
    if reader.0.len() == length {
        return Ok((decode(kind, reader.0, true)?, 1));
    }
    let mut bytes = reader.0.to_vec();
    let mut values = 1;
    while bytes.len() < length {
        let more = next().ok_or("a part of a block is missing")?;
        match more.split_first() {
            Some((&CONTINUED, part)) => bytes.extend_from_slice(part),
            _ => return Err("a part of a block is missing"),
        }
        values += 1;
    }
    if bytes.len() != length {
        return Err("a record has another length than it says");
    }
    Ok((decode(kind, &bytes, true)?, values))
}

/// One line of a summary: a record without its payload, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) number: u64,
    pub(crate) values: u64,
    pub(crate) payload_bytes: u32,
    pub(crate) record: Record,
}

impl Placed {
    /// What it takes in memory, about: of small files more than on disk.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let position = match &self.record {
            Record::Block { block, .. } => block.block.position.len(),
            Record::Note(note) => note.position.len() + note.marks.len() * size_of::<MarkHash>(),
            _ => 0,
        };
        (size_of::<Self>() + position) as u64
    }
}

/// Writes a sealed generation's summary, a record at a time: all of it may be as long as the generation.
pub(crate) fn write_summary(out: &mut dyn Write, placed: &[&Placed]) -> io::Result<()> {
    let mut crc = 0;
    let mut put = |bytes: &[u8]| {
        crc = crc32c::crc32c_append(crc, bytes);
        out.write_all(bytes)
    };
    put(b"DRAYSUM1")?;
    put(&(placed.len() as u32).to_le_bytes())?;
    let mut line = Vec::new();
    for one in placed {
        let (kind, bytes) = encode(&one.record, false);
        line.clear();
        line.extend_from_slice(&one.number.to_le_bytes());
        line.extend_from_slice(&one.values.to_le_bytes());
        line.extend_from_slice(&one.payload_bytes.to_le_bytes());
        line.push(kind);
        put_bytes(&mut line, &bytes);
        put(&line)?;
    }
    out.write_all(&crc.to_le_bytes())
}

/// Reads a summary.
pub(crate) fn decode_summary(bytes: &[u8]) -> Result<Vec<Placed>, Damage> {
    let body = bytes.len().checked_sub(4).ok_or("the summary is cut")?;
    let (body, crc) = bytes.split_at(body);
    if crc != crc32c::crc32c(body).to_le_bytes() {
        return Err("the summary's CRC is wrong");
    }
    let mut reader = Reader(body.strip_prefix(b"DRAYSUM1").ok_or("this is no summary")?);
    let count = reader.u32()?;
    let mut one = || {
        let (number, values, payload_bytes, kind) =
            (reader.u64()?, reader.u64()?, reader.u32()?, reader.u8()?);
        Ok(Placed {
            number,
            values,
            payload_bytes,
            record: decode(kind, reader.bytes()?, false)?,
        })
    };
    (0..count).map(|_| one()).collect()
}

#[cfg(test)]
mod tests;
