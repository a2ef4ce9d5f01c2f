//! Which blocks a flow takes. Pure.

use bytes::Bytes;
use dray_proto::v1::BlockHeader;
use dray_proto::{FlowName, Offset, Sequence};

use crate::WATCH;
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

/// What is held once the block is, of which `kept` events were not left out.
pub(crate) fn after(
    held: &Held,
    agent: &str,
    header: &BlockHeader,
    kept: u64,
    now_us: i64,
) -> Held {
    Held {
        epoch: header.epoch,
        next_sequence: Sequence(header.first_sequence + u64::from(header.count)),
        chain: header.chain_after,
        position: position_after(held.position.clone(), &header.position),
        newest_offset: Offset(held.newest_offset.0 + kept),
        oldest_offset: Offset(held.oldest_offset.0.max(1)),
        last_captured_us: header.last_captured_us,
        agent: agent.to_owned(),
        epoch_since_us: if changes_epoch(held, header) {
            now_us.max(1)
        } else {
            held.epoch_since_us
        },
    }
}

/// Where the source stands after a block: where it stood, if that does not say it.
pub(crate) fn position_after(before: Bytes, said: &Bytes) -> Bytes {
    if said.is_empty() {
        before
    } else {
        said.clone()
    }
}

/// Whether the block begins another epoch than the one before it.
pub(crate) fn changes_epoch(held: &Held, header: &BlockHeader) -> bool {
    held.epoch != 0 && held.epoch != header.epoch
}

/// Whether a flow's blocks may hold what the log has already. A clock that went back lengthens the time.
pub(crate) fn is_watched(held: &Held, header: &BlockHeader, now_us: i64) -> bool {
    let watch_us = i64::try_from(WATCH.as_micros()).unwrap_or(i64::MAX);
    changes_epoch(held, header)
        || (held.epoch_since_us != 0 && now_us < held.epoch_since_us.saturating_add(watch_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_epoch_is_watched_for_a_day() {
        let header = |epoch| BlockHeader {
            epoch,
            first_sequence: 1,
            count: 5,
            ..Default::default()
        };
        let day = 24 * 3600 * 1_000_000;
        let none = Held::default();
        assert!(!is_watched(&none, &header(7), 10));
        let first = after(&none, "a-1", &header(7), 5, 10);
        assert_eq!(
            first.epoch_since_us, 0,
            "a flow's first epoch brings nothing again"
        );
        assert!(is_watched(&first, &header(8), 20));
        let second = after(&first, "a-1", &header(8), 2, 20);
        assert_eq!(
            (second.epoch_since_us, second.newest_offset),
            (20, Offset(7))
        );
        assert!(is_watched(&second, &header(8), 20 + day - 1));
        assert!(!is_watched(&second, &header(8), 20 + day));
        assert!(is_watched(&second, &header(8), -day), "the clock went back");
        assert_eq!(after(&second, "a-1", &header(8), 5, 30).epoch_since_us, 20);
    }

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
