//! What a flow's new epoch brings again.
//!
//! An agent that lost its buffer, or whose machine was restored, begins a new epoch and sends what it
//! finds: mostly events that the log has. For [`WATCH`] after a flow's change of epoch its blocks are
//! opened, and events whose ids stand among the flow's last [`IDS_MAX`] are left out. What is left keeps
//! its sequences: a block becomes one block for each run of neighbours. This is the one place where a block is
//! written again.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use dray_proto::block::{self, Builder};
use dray_proto::event::View;
use dray_proto::v1::{Block, BlockHeader};

/// How long after its change of epoch a flow is watched.
pub const WATCH: Duration = Duration::from_secs(24 * 3600);
/// How many ids of a flow are compared with; about 50 MiB.
pub const IDS_MAX: usize = 1_000_000;

/// The ids of a flow's newest events.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    known: HashSet<[u8; 16]>,
    order: VecDeque<[u8; 16]>,
}

/// What is left of a block.
#[derive(Debug)]
pub(crate) struct Stripped {
    /// Runs of neighbours, with their sequences.
    pub(crate) runs: Vec<Block>,
    /// How many events were left out.
    pub(crate) left_out: u64,
}

impl Ids {
    /// Takes in a block of the log. One that does not open is passed over: its events have no ids.
    pub(crate) fn learn(&mut self, block: &Block) {
        let Some(header) = &block.header else { return };
        let mut decoded = Vec::new();
        for event in events(header, block, &mut decoded).unwrap_or_default() {
            self.add(*event.id.as_bytes());
        }
    }

    /// Whether each of the block's events is known.
    pub(crate) fn has_all_of(&self, block: &Block) -> bool {
        let Some(header) = &block.header else {
            return false;
        };
        let mut decoded = Vec::new();
        events(header, block, &mut decoded).is_some_and(|events| {
            events
                .iter()
                .all(|event| self.known.contains(event.id.as_bytes()))
        })
    }

    fn add(&mut self, id: [u8; 16]) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Leaves out what is known, and learns the rest. A block that does not open is left as it is: delivery makes
    /// a dead letter of it.
    pub(crate) fn strip(&mut self, block: Block) -> Stripped {
        let whole = |block| Stripped {
            runs: vec![block],
            left_out: 0,
        };
        let Some(header) = block.header.clone() else {
            return whole(block);
        };
        let mut decoded = Vec::new();
        let Some(events) = events(&header, &block, &mut decoded) else {
            return whole(block);
        };
        let news: Vec<bool> = events
            .iter()
            .map(|event| self.add(*event.id.as_bytes()))
            .collect();
        let left_out = news.iter().filter(|new| !**new).count();
        if left_out == 0 {
            return whole(block);
        }
        let mut runs = Vec::new();
        let mut builder = Builder::default();
        for (index, event) in events.iter().enumerate() {
            if !news[index] {
                continue;
            }
            if event.is_dead_letter {
                builder.push_dead_letter(event.bytes, event.captured_us);
            } else {
                builder.push(event.bytes, event.captured_us);
            }
            if news.get(index + 1) != Some(&true) {
                runs.extend(run(&mut builder, &header, index));
            }
        }
        Stripped {
            runs,
            left_out: left_out as u64,
        }
    }
}

/// The block of a run that ends with the event of this index.
fn run(builder: &mut Builder, of: &BlockHeader, last: usize) -> Option<Block> {
    let encoded = builder.close()?;
    let header = BlockHeader {
        first_sequence: of.first_sequence + last as u64 + 1 - u64::from(encoded.count),
        count: encoded.count,
        first_captured_us: encoded.first_captured_us,
        last_captured_us: encoded.last_captured_us,
        codec: encoded.codec as i32,
        decoded_bytes: encoded.decoded_bytes,
        crc32c: encoded.crc32c,
        dead_letters: encoded.dead_letters,
        ..of.clone()
    };
    Some(Block {
        header: Some(header),
        payload: encoded.payload,
    })
}

struct Event<'a> {
    id: dray_proto::EventId,
    captured_us: i64,
    is_dead_letter: bool,
    bytes: &'a [u8],
}

/// The block's events; `None` unless all of them can be read.
fn events<'d>(
    header: &BlockHeader,
    block: &Block,
    decoded: &'d mut Vec<u8>,
) -> Option<Vec<Event<'d>>> {
    block::open(&block.payload, header.codec, header.decoded_bytes, decoded).ok()?;
    let decoded: &'d [u8] = decoded;
    let ranges = block::split(decoded, header.count).ok()?;
    let event = |range: std::ops::Range<u32>| {
        let bytes = &decoded[range.start as usize..range.end as usize];
        let view = View::of(bytes).ok()?;
        Some(Event {
            id: view.id,
            captured_us: view.captured_us,
            is_dead_letter: view
                .body
                .is_some_and(|(body, _)| body.name == "dead_letter"),
            bytes,
        })
    };
    ranges.into_iter().map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dray_proto::event::number;
    use dray_proto::{EventId, wire};

    fn block(first_sequence: u64, ordinals: &[u64]) -> Block {
        let mut builder = Builder::default();
        for ordinal in ordinals {
            let mut event = Vec::new();
            wire::put_bytes(
                &mut event,
                number::ID,
                EventId::new([7; 10], *ordinal, 0).as_bytes(),
            );
            wire::put_timestamp(&mut event, number::CAPTURED_AT, *ordinal as i64);
            builder.push(&event, *ordinal as i64);
        }
        let encoded = builder.close().expect("events");
        Block {
            header: Some(BlockHeader {
                first_sequence,
                count: encoded.count,
                codec: encoded.codec as i32,
                decoded_bytes: encoded.decoded_bytes,
                crc32c: encoded.crc32c,
                chain: 5,
                chain_after: 6,
                ..Default::default()
            }),
            payload: encoded.payload,
        }
    }

    fn shown(stripped: &Stripped) -> Vec<(u64, u32, i64, i64)> {
        let header = |block: &Block| block.header.clone().expect("a header");
        stripped
            .runs
            .iter()
            .map(header)
            .map(|run| {
                (
                    run.first_sequence,
                    run.count,
                    run.first_captured_us,
                    run.last_captured_us,
                )
            })
            .collect()
    }

    #[test]
    fn what_is_known_is_left_out_and_the_rest_keeps_its_sequences() {
        let mut ids = Ids::default();
        ids.learn(&block(1, &[1, 2, 3, 4, 5]));
        let all = ids.strip(block(1, &[1, 2, 3]));
        assert_eq!((all.runs.len(), all.left_out), (0, 3));
        let some = ids.strip(block(101, &[11, 12, 4, 13, 5, 5]));
        assert_eq!(shown(&some), [(101, 2, 11, 12), (104, 1, 13, 13)]);
        assert_eq!(some.left_out, 3);
        let again = ids.strip(block(201, &[20, 11, 12, 13, 21]));
        assert_eq!(shown(&again), [(201, 1, 20, 20), (205, 1, 21, 21)]);
        assert!(ids.has_all_of(&block(1, &[5, 13, 20])));
        assert!(!ids.has_all_of(&block(1, &[5, 99])));
        let new = block(301, &[31, 32]);
        let kept = ids.strip(new.clone());
        assert_eq!(
            (kept.runs[0].payload.clone(), kept.left_out),
            (new.payload, 0)
        );
        let run = &some.runs[0];
        let header = run.header.as_ref().expect("a header");
        assert_eq!((header.chain, header.chain_after), (5, 6));
        block::check_crc(&run.payload, header.crc32c).expect("a CRC of its own");
    }

    #[test]
    fn what_does_not_open_stays_as_it_is() {
        let mut broken = block(1, &[1, 2]);
        broken.payload = bytes::Bytes::from_static(b"no block");
        let kept = Ids::default().strip(broken.clone());
        assert_eq!((kept.runs.len(), kept.left_out), (1, 0));
        assert_eq!(kept.runs[0].payload, broken.payload);
    }

    #[test]
    fn only_the_newest_ids_are_kept() {
        let mut ids = Ids::default();
        for ordinal in 0..=IDS_MAX as u64 {
            ids.add(*EventId::new([1; 10], ordinal, 0).as_bytes());
        }
        assert_eq!(ids.known.len(), IDS_MAX);
        assert!(
            ids.add(*EventId::new([1; 10], 0, 0).as_bytes()),
            "the oldest was forgotten"
        );
    }
}
