//! Several flows on one line.

use std::sync::Arc;

use dray_buffer::conformance::block;
use dray_buffer::{Buffer as _, MemoryBuffer};
use dray_uplink::window::{FLOW_BYTES_MAX, TURN_BYTES};

use crate::agent::{Agent, put, put_blocks};
use crate::collector::Collector;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_bulk_flow_that_nobody_acks_leaves_room_for_another() {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    let full = FLOW_BYTES_MAX / MIB;
    for _ in 0..full + 4 {
        put_blocks(&buffer, "bulk", vec![block(1, MIB, "p")]).await;
    }
    let agent = Agent::start(&collector, &buffer, &["bulk", "urgent"]);
    let bulk = |count: usize| {
        collector.until("bulk", move |seen| {
            (seen.firsts(1, "bulk").len() == count).then_some(())
        })
    };
    bulk(full).await;
    put(&buffer, "urgent", &[1]).await;
    let urgent = collector.until("urgent", |seen| seen.firsts(1, "urgent").first().copied());
    assert_eq!(urgent.await, 1);
    assert_eq!(
        collector.seen.borrow().firsts(1, "bulk").len(),
        full,
        "no more was sent"
    );
    collector.ack("bulk", buffer.epoch(), 3).await;
    bulk(full + 3).await;
    collector.ack("bulk", buffer.epoch(), full as u64 + 3).await;
    bulk(full + 4).await;
    agent.stop().await;
}

#[tokio::test]
async fn flows_of_one_weight_take_turns_through_their_backlogs() {
    let collector = Collector::start().await;
    collector.acks_each();
    let buffer = Arc::new(MemoryBuffer::new());
    let counted = 24;
    for flow in ["a", "b", "c"] {
        for _ in 0..counted {
            put_blocks(&buffer, flow, vec![block(1, TURN_BYTES / 2, "p")]).await;
        }
    }
    let agent = Agent::start(&collector, &buffer, &["a", "b", "c"]);
    let order = collector.until("all", |seen| {
        let flow = |(_, block): &(usize, dray_proto::v1::Block)| block.header.clone().unwrap().flow;
        let flows: Vec<_> = seen.blocks.iter().map(flow).collect();
        (flows.len() == 3 * counted).then_some(flows)
    });
    let order = order.await;
    // A turn is two of these blocks, so in any ten each flow had one at least.
    for (at, ten) in order.windows(10).enumerate() {
        for flow in ["a", "b", "c"] {
            assert!(
                ten.iter().any(|of| of == flow),
                "{flow} had no turn at {at}: {order:?}"
            );
        }
    }
    for flow in ["a", "b", "c"] {
        let firsts = collector.seen.borrow().firsts(1, flow);
        assert!(firsts.iter().copied().eq(1..=counted as u64), "{firsts:?}");
    }
    agent.stop().await;
}
