//! A gap that an operator accepted: an event of its own stands where the missing ones should be.

use std::collections::HashMap;

use dray_proto::block::Builder;
use dray_proto::v1::{Block, BlockHeader};
use dray_proto::{FlowName, Offset, Sequence};

use super::{AcceptingGap, Group, LogWriter, now_us};
use crate::admission;
use crate::api::{AppendError, Gap, Held, LogBlock};

impl LogWriter {
    /// Writes a gap's event where the missing ones should be.
    pub(super) fn accept_gap(&mut self, accepting: AcceptingGap) {
        let AcceptingGap {
            agent,
            flow,
            gap,
            answer,
        } = accepting;
        let _ = answer.send(self.write_gap(&agent, &flow, &gap));
    }

    fn write_gap(&mut self, agent: &str, flow: &FlowName, gap: &Gap) -> Result<Held, AppendError> {
        let before = self.shared.held(flow);
        let expected = if before.epoch == gap.epoch {
            before.next_sequence
        } else {
            Sequence(1)
        };
        // What stood before an epoch may be missing, and nothing of the epoch itself.
        if gap.next < expected || (gap.next == expected && before.epoch == gap.epoch) {
            return Err(AppendError::Failed(format!(
                "there is no gap: event {expected} is expected, and the agent holds events from {} on",
                gap.next
            )));
        }
        let mut builder = Builder::default();
        builder.push_dead_letter(&gap.event, gap.at_us);
        let Some(encoded) = builder.close() else {
            return Err(AppendError::Failed("a gap without an event".into()));
        };
        let header = BlockHeader {
            flow: flow.flow().to_owned(),
            epoch: gap.epoch,
            first_sequence: expected.0,
            count: encoded.count,
            first_captured_us: encoded.first_captured_us,
            last_captured_us: encoded.last_captured_us,
            codec: encoded.codec as i32,
            decoded_bytes: encoded.decoded_bytes,
            crc32c: encoded.crc32c,
            dead_letters: encoded.dead_letters,
            position: before.position.clone(),
            chain: before.chain,
            chain_after: gap.chain,
        };
        let mut held = admission::after(&before, agent, &header, 1, now_us());
        held.next_sequence = gap.next;
        let block = LogBlock {
            first_offset: Offset(before.newest_offset.0 + 1),
            block: Block {
                header: Some(header),
                payload: encoded.payload,
            },
        };
        let group = Group {
            heads: HashMap::from([(flow.clone(), held.clone())]),
            blocks: vec![(flow.clone(), block)],
        };
        self.write_alone(group)?;
        Ok(held)
    }
}
