//! What both sides hold, compared at each Welcome.

use std::sync::Arc;

use dray_buffer::{Buffer as _, MemoryBuffer, Sequence};

use crate::agent::{Agent, chain_before, put};
use crate::collector::Collector;

/// What the collector says that it holds of a flow whose blocks begin at 1, 4, 9 and end with 10.
struct Case {
    /// What the buffer was told to forget before.
    acked: u64,
    ours: bool,
    next: u64,
    chain_differs: bool,
    /// Where sending begins, or words of why the flow stops.
    expected: Result<&'static [u64], &'static str>,
}

async fn check(case: Case) {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[3, 5, 2]).await;
    put(&buffer, "b", &[1]).await;
    let chain = match case.next {
        4 | 9 | 11 => chain_before(&buffer, "a", case.next),
        _ => 0,
    };
    buffer
        .ack("a", buffer.epoch(), Sequence(case.acked))
        .unwrap();
    let before = buffer.depth("a");
    let epoch = buffer.epoch() ^ u64::from(!case.ours);
    collector.holds("a", epoch, case.next, chain ^ u64::from(case.chain_differs));

    let agent = Agent::start(&collector, &buffer, &["a", "b"]);
    let other = collector.until("the other flow", |seen| {
        seen.firsts(1, "b").first().copied()
    });
    assert_eq!(other.await, 1);
    match case.expected {
        Ok(firsts) => {
            let came = collector.until("what is left", |seen| {
                Some(seen.firsts(1, "a")).filter(|came| came.len() == firsts.len())
            });
            assert_eq!(came.await, firsts);
            if case.ours {
                assert_eq!(buffer.depth("a").acked.0, case.next - 1);
            }
            agent.stop().await;
        }
        Err(words) => {
            let why = agent.stopped("a").await;
            assert!(why.contains(words), "{why}");
            assert_eq!(buffer.depth("a"), before, "nothing is forgotten: {words}");
            agent.stop().await;
            assert!(collector.seen.borrow().firsts(1, "a").is_empty(), "{words}");
        }
    }
}

#[tokio::test]
async fn a_collector_that_holds_more_or_less_than_the_agent_knows_of_gets_the_rest() {
    let table: [(u64, bool, u64, &[u64]); 6] = [
        (0, false, 1, &[1, 4, 9]),
        // From a buffer before this one.
        (0, false, 400, &[1, 4, 9]),
        (0, true, 4, &[4, 9]),
        (3, true, 4, &[4, 9]),
        (3, true, 9, &[9]),
        (3, true, 11, &[]),
    ];
    for (acked, ours, next, firsts) in table {
        check(Case {
            acked,
            ours,
            next,
            chain_differs: false,
            expected: Ok(firsts),
        })
        .await;
    }
}

#[tokio::test]
async fn a_collector_with_another_past_stops_the_flow_with_a_sentence_and_no_other() {
    let table = [
        (
            0,
            true,
            12,
            false,
            "holds events up to 11, this agent only up to 10",
        ),
        (8, true, 4, false, "events up to 8 were acked and forgotten"),
        (
            8,
            false,
            1,
            false,
            "has forgotten this flow, of which 8 events were acked",
        ),
        (
            0,
            true,
            4,
            true,
            "other events than this agent under the numbers up to 3",
        ),
        (
            3,
            true,
            4,
            true,
            "other events than this agent under the numbers up to 3",
        ),
        (
            3,
            true,
            11,
            true,
            "other events than this agent under the numbers up to 10",
        ),
        // In the middle of a block of ours.
        (
            3,
            true,
            6,
            false,
            "other events than this agent under the numbers up to 5",
        ),
    ];
    for (acked, ours, next, chain_differs, words) in table {
        check(Case {
            acked,
            ours,
            next,
            chain_differs,
            expected: Err(words),
        })
        .await;
    }
}
