//! A record as bytes, and back.

use bytes::Bytes;

use super::{
    BLOCK, COMPACTED, CONTINUED, Compacted, Damage, GROUP, LOST, NEWER, NOTE, Note, OPENING,
    RENEWAL, Record, Renewal, Renewed, Renumbered, Standing,
};
use crate::api::{Loss, NewBlock, Sequence, StoredBlock};
use crate::marks::MarkHash;

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn put_standing(out: &mut Vec<u8>, standing: &Standing) {
    put_bytes(out, standing.flow.as_bytes());
    out.extend_from_slice(&standing.next.0.to_le_bytes());
    out.extend_from_slice(&standing.chain.to_le_bytes());
    put_bytes(out, &standing.position);
}

fn put_renewal(out: &mut Vec<u8>, renewal: &Renewal) {
    out.extend_from_slice(&renewal.epoch.to_le_bytes());
    out.extend_from_slice(&(renewal.flows.len() as u32).to_le_bytes());
    for flow in &renewal.flows {
        put_standing(out, &flow.standing);
        out.extend_from_slice(&(flow.blocks.len() as u32).to_le_bytes());
        for block in &flow.blocks {
            for number in [block.number, block.first.0, block.chain] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    }
    out.extend_from_slice(&(renewal.losses.len() as u32).to_le_bytes());
    for loss in &renewal.losses {
        put_bytes(out, loss.flow.as_bytes());
        let last = loss.last.map_or(0, |last| last.0);
        for number in [loss.epoch, loss.first.0, last] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

fn put_standings(out: &mut Vec<u8>, flows: &[Standing]) {
    out.extend_from_slice(&(flows.len() as u32).to_le_bytes());
    flows
        .iter()
        .for_each(|standing| put_standing(out, standing));
}

/// The record's bytes; `payload` false leaves a block's payload out.
pub(super) fn encode(record: &Record, payload: bool) -> (u8, Vec<u8>) {
    let mut out = Vec::new();
    match record {
        Record::Block {
            flow,
            block: stored,
        } => {
            let block = &stored.block;
            out.reserve(block.payload.len() + block.position.len() + flow.len() + 96);
            put_bytes(&mut out, flow.as_bytes());
            out.extend_from_slice(&stored.epoch.to_le_bytes());
            out.extend_from_slice(&stored.first_sequence.0.to_le_bytes());
            out.extend_from_slice(&block.count.to_le_bytes());
            out.extend_from_slice(&block.first_captured_us.to_le_bytes());
            out.extend_from_slice(&block.last_captured_us.to_le_bytes());
            out.push(block.codec);
            out.extend_from_slice(&block.decoded_bytes.to_le_bytes());
            out.extend_from_slice(&block.crc32c.to_le_bytes());
            out.extend_from_slice(&block.dead_letters.to_le_bytes());
            out.extend_from_slice(&stored.chain.to_le_bytes());
            out.extend_from_slice(&stored.chain_after.to_le_bytes());
            put_bytes(&mut out, &block.position);
            out.extend_from_slice(&(block.payload.len() as u32).to_le_bytes());
            if payload {
                out.extend_from_slice(&block.payload);
            }
            (BLOCK, out)
        }
        Record::Note(note) => {
            put_bytes(&mut out, note.flow.as_bytes());
            out.extend_from_slice(&note.through.0.to_le_bytes());
            out.extend_from_slice(&note.at_s.to_le_bytes());
            put_bytes(&mut out, &note.position);
            out.extend_from_slice(&(note.marks.len() as u32).to_le_bytes());
            note.marks
                .iter()
                .for_each(|mark| out.extend_from_slice(mark));
            (NOTE, out)
        }
        Record::Opening { epoch, flows } => {
            out.extend_from_slice(&epoch.to_le_bytes());
            put_standings(&mut out, flows);
            (OPENING, out)
        }
        Record::Renewal(renewal) => {
            put_renewal(&mut out, renewal);
            (RENEWAL, out)
        }
        Record::Lost => (LOST, out),
        Record::Compacted(compacted) => {
            out.extend_from_slice(&compacted.epoch.to_le_bytes());
            out.extend_from_slice(&compacted.end.to_le_bytes());
            put_standings(&mut out, &compacted.flows);
            (COMPACTED, out)
        }
    }
}

/// Reads a record's bytes.
pub(super) fn decode(kind: u8, bytes: &[u8], payload: bool) -> Result<Record, Damage> {
    let mut reader = Reader(bytes);
    let record = match kind {
        BLOCK => {
            let flow = reader.text()?;
            let epoch = reader.u64()?;
            let first_sequence = Sequence(reader.u64()?);
            let count = reader.u32()?;
            let first_captured_us = reader.u64()? as i64;
            let last_captured_us = reader.u64()? as i64;
            let codec = reader.u8()?;
            let (decoded_bytes, crc32c, dead_letters) =
                (reader.u32()?, reader.u32()?, reader.u32()?);
            let (chain, chain_after) = (reader.u64()?, reader.u64()?);
            let position = Bytes::copy_from_slice(reader.bytes()?);
            let payload_bytes = reader.u32()? as usize;
            let payload = if payload {
                Bytes::copy_from_slice(reader.take(payload_bytes)?)
            } else {
                Bytes::new()
            };
            let block = NewBlock {
                count,
                first_captured_us,
                last_captured_us,
                codec,
                decoded_bytes,
                crc32c,
                dead_letters,
                position,
                payload,
            };
            Record::Block {
                flow,
                block: StoredBlock {
                    epoch,
                    first_sequence,
                    chain,
                    chain_after,
                    block,
                },
            }
        }
        NOTE => {
            let flow = reader.text()?;
            let (through, at_s) = (Sequence(reader.u64()?), reader.u64()?);
            let position = Bytes::copy_from_slice(reader.bytes()?);
            let count = reader.u32()?;
            let marks = (0..count)
                .map(|_| reader.mark())
                .collect::<Result<_, _>>()?;
            Record::Note(Note {
                flow,
                through,
                at_s,
                position,
                marks,
            })
        }
        OPENING => {
            let (epoch, flows) = (reader.u64()?, reader.standings()?);
            Record::Opening { epoch, flows }
        }
        COMPACTED => Record::Compacted(Compacted {
            epoch: reader.u64()?,
            end: reader.u64()?,
            flows: reader.standings()?,
        }),
        RENEWAL => Record::Renewal(reader.renewal()?),
        LOST => Record::Lost,
        // A later piece, or a group within one: both are known, and neither begins a record.
        CONTINUED | GROUP => return Err("another piece stands where a record begins"),
        _ => return Err(NEWER),
    };
    if reader.0.is_empty() {
        Ok(record)
    } else {
        Err("bytes follow a record")
    }
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("a record is cut")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        self.take(N)?.try_into().map_err(|_| "a record is cut")
    }

    pub(super) fn u8(&mut self) -> Result<u8, Damage> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, Damage> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Damage> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, Damage> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| "a name is not UTF-8")
    }

    fn standings(&mut self) -> Result<Vec<Standing>, Damage> {
        let count = self.u32()?;
        (0..count).map(|_| self.standing()).collect()
    }

    fn standing(&mut self) -> Result<Standing, Damage> {
        Ok(Standing {
            flow: self.text()?,
            next: Sequence(self.u64()?),
            chain: self.u64()?,
            position: Bytes::copy_from_slice(self.bytes()?),
        })
    }

    fn renewal(&mut self) -> Result<Renewal, Damage> {
        let epoch = self.u64()?;
        let mut flows = Vec::new();
        for _ in 0..self.u32()? {
            let standing = self.standing()?;
            let mut blocks = Vec::new();
            for _ in 0..self.u32()? {
                blocks.push(Renumbered {
                    number: self.u64()?,
                    first: Sequence(self.u64()?),
                    chain: self.u64()?,
                });
            }
            flows.push(Renewed { standing, blocks });
        }
        let mut losses = Vec::new();
        for _ in 0..self.u32()? {
            losses.push(Loss {
                flow: self.text()?.into(),
                epoch: self.u64()?,
                first: Sequence(self.u64()?),
                last: Some(Sequence(self.u64()?)).filter(|last| last.0 != 0),
            });
        }
        Ok(Renewal {
            epoch,
            flows,
            losses,
        })
    }

    fn mark(&mut self) -> Result<MarkHash, Damage> {
        self.array()
    }
}
