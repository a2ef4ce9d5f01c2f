//! A line that is cut: sending goes on where the collector says.

use std::sync::Arc;
use std::time::Duration;

use dray_buffer::{Buffer as _, MemoryBuffer, Sequence};
use dray_uplink::Patience;

use crate::agent::{Agent, SHORT, chain_before, put};
use crate::certificates::VALID;
use crate::collector::Collector;

#[tokio::test]
async fn after_a_cut_with_blocks_in_flight_sending_goes_on_where_the_collector_says() {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[1, 2, 3, 4, 5]).await;
    let agent = Agent::start(&collector, &buffer, &["a"]);
    let firsts = |stream, count| {
        collector.until("blocks", move |seen| {
            Some(seen.firsts(stream, "a")).filter(|firsts| firsts.len() == count)
        })
    };
    assert_eq!(firsts(1, 5).await, [1, 2, 4, 7, 11]);
    // Two of five are stored, and the line is cut before an ack of them leaves.
    collector.holds("a", buffer.epoch(), 4, chain_before(&buffer, "a", 4));
    put(&buffer, "a", &[6]).await;
    collector.cut();
    assert_eq!(firsts(2, 4).await, [4, 7, 11, 16]);
    assert_eq!(
        buffer.depth("a").acked,
        Sequence(3),
        "the Welcome is an ack"
    );

    // All of it is stored: nothing is sent again, and what comes later follows.
    collector.holds("a", buffer.epoch(), 22, chain_before(&buffer, "a", 22));
    collector.cut();
    agent
        .until("all acked", |told| {
            (told.positions.last()?.1 == "a:21").then_some(())
        })
        .await;
    put(&buffer, "a", &[1]).await;
    assert_eq!(firsts(3, 1).await, [22]);

    let hellos = collector
        .until("hellos", |seen| Some(seen.hellos.clone()))
        .await;
    let said = |at: usize| {
        let flow = &hellos[at].flows[0];
        (flow.oldest_sequence, flow.next_sequence)
    };
    assert_eq!(said(0), (1, 16));
    assert_eq!(said(1).0, 1);
    assert_eq!(said(2), (4, 22));
    assert_eq!(agent.connections(), 3);
    let why = agent.until("a reason", |told| {
        told.away().first().map(ToString::to_string)
    });
    let why = why.await;
    assert!(why.starts_with(&collector.address), "{why}");
    agent.stop().await;
}

#[tokio::test]
async fn a_line_that_is_cut_again_and_again_brings_every_event_once() {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    let agent = Agent::start(&collector, &buffer, &["a"]);
    let mut stored = Vec::new();
    for round in 0..10_u64 {
        put(&buffer, "a", &[1, 1, 1]).await;
        let stream = round as usize + 1;
        // What it has of this stream when it is cut is what it holds.
        let came = collector.until("one block", |seen| {
            Some(seen.firsts(stream, "a")).filter(|firsts| !firsts.is_empty())
        });
        stored.extend(came.await);
        let next = stored.last().unwrap() + 1;
        collector.holds("a", buffer.epoch(), next, chain_before(&buffer, "a", next));
        collector.cut();
    }
    assert!(
        stored.iter().copied().eq(1..=stored.len() as u64),
        "{stored:?}"
    );
    agent.stop().await;
}

/// Waits that grew from cut to cut would be minutes long at the end.
#[tokio::test]
async fn a_line_that_breaks_often_is_tried_again_soon_while_acks_come() {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience {
        retry_max: Duration::from_secs(3_600),
        ..SHORT
    };
    let agent = Agent::start_waiting(
        collector.ca.identity(folder.path(), VALID),
        &collector.address,
        &buffer,
        &["a"],
        patience,
    );
    for cut in 1..=16 {
        put(&buffer, "a", &[1]).await;
        collector
            .until("the block", |seen| {
                (seen.firsts(cut, "a") == [cut as u64]).then_some(())
            })
            .await;
        let (through, next) = (cut as u64, cut as u64 + 1);
        // Read before the ack: the buffer forgets what is acked.
        let chain = chain_before(&buffer, "a", next);
        collector.ack("a", buffer.epoch(), through).await;
        let position = format!("a:{through}");
        agent
            .until("an ack", |told| {
                (told.positions.last()?.1 == position).then_some(())
            })
            .await;
        collector.holds("a", buffer.epoch(), next, chain);
        collector.cut();
    }
    agent.stop().await;
}
