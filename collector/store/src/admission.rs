//! Which blocks a flow takes. Pure.

use dray_proto::v1::BlockHeader;
use dray_proto::{FlowName, Offset, Sequence};

use crate::api::{AppendError, Held};

/// What becomes of a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It is the flow's next.
    New,
    /// It stands in the log already, if what is held at its first sequence has this chain and CRC.
    Repeat,
}

/// Looks at one block's header. `held`: what is held of the flow, blocks of the same call included.
pub(crate) fn admit(
    agent: &str,
    flow: &FlowName,
    held: &Held,
    header: &BlockHeader,
) -> Result<Admitted, AppendError> {
    if !held.agent.is_empty() && held.agent != agent {
        return Err(AppendError::NotOwner {
            flow: flow.clone(),
            owner: held.agent.clone(),
        });
    }
    let first = Sequence(header.first_sequence);
    let forked = || AppendError::Forked {
        flow: flow.clone(),
        at: first,
    };
    // A flow that was never written, or a buffer that was made anew, begins at 1.
    let (expected, chain) = if held.epoch == header.epoch {
        (held.next_sequence.0, held.chain)
    } else {
        (1, 0)
    };
    if first.0 > expected {
        return Err(AppendError::Gap {
            flow: flow.clone(),
            expected: Sequence(expected),
            found: first,
        });
    }
    if first.0 == expected {
        return if header.chain == chain {
            Ok(Admitted::New)
        } else {
            Err(forked())
        };
    }
    let end = first.0 + u64::from(header.count);
    if first.0 == 0 || end > expected {
        Err(forked())
    } else {
        Ok(Admitted::Repeat)
    }
}

/// What is held once the block is.
pub(crate) fn after(held: &Held, agent: &str, header: &BlockHeader) -> Held {
    let count = u64::from(header.count);
    Held {
        epoch: header.epoch,
        next_sequence: Sequence(header.first_sequence + count),
        chain: header.chain_after,
        position: header.position.clone(),
        newest_offset: Offset(held.newest_offset.0 + count),
        oldest_offset: Offset(held.oldest_offset.0.max(1)),
        last_captured_us: header.last_captured_us,
        agent: agent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_takes_its_next_block_repeats_and_nothing_else() {
        let flow = FlowName::parse("north/a").expect("a name");
        let held = Held {
            epoch: 7,
            next_sequence: Sequence(11),
            chain: 99,
            agent: "a-1".into(),
            newest_offset: Offset(10),
            ..Held::default()
        };
        let check = |agent: &str, epoch, first_sequence, count, chain, expected: &str| {
            let header = BlockHeader {
                epoch,
                first_sequence,
                count,
                chain,
                ..Default::default()
            };
            let found = match admit(agent, &flow, &held, &header) {
                Ok(admitted) => format!("{admitted:?}"),
                Err(AppendError::NotOwner { .. }) => "NotOwner".into(),
                Err(AppendError::Gap { .. }) => "Gap".into(),
                Err(AppendError::Forked { .. }) => "Forked".into(),
                Err(AppendError::Failed(_)) => "Failed".into(),
            };
            assert_eq!(
                found, expected,
                "{agent} {epoch} {first_sequence}+{count} {chain}"
            );
        };
        check("a-1", 7, 11, 5, 99, "New");
        check("a-1", 7, 11, 5, 98, "Forked");
        check("a-1", 7, 12, 5, 99, "Gap");
        check("a-1", 7, 1, 10, 0, "Repeat");
        check("a-1", 7, 6, 6, 0, "Forked");
        check("a-1", 7, 0, 1, 0, "Forked");
        check("a-2", 7, 11, 5, 99, "NotOwner");
        check("a-1", 8, 1, 5, 0, "New");
        check("a-1", 8, 1, 5, 99, "Forked");
        check("a-1", 8, 2, 5, 0, "Gap");
    }
}
