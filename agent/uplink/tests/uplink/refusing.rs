//! A collector that won't: what it says reaches the status.

use std::sync::Arc;

use dray_buffer::conformance::block;
use dray_buffer::{Buffer as _, MemoryBuffer, Sequence};
use dray_proto::v1::RefusalCause;
use dray_uplink::LinkState;
use tonic::Status;

use crate::agent::{Agent, put, put_blocks};
use crate::collector::Collector;

#[tokio::test]
async fn a_refused_flow_stops_with_the_collectors_sentence_and_the_others_go_on() {
    for (cause, reason) in [
        (
            RefusalCause::Malformed,
            "the block at sequence 1 is refused: its CRC-32C differs",
        ),
        (
            RefusalCause::NotOwner,
            "flow \"a\" is written by agent a-2 of site south",
        ),
        (RefusalCause::Gap, "sequence 1 is past what is expected"),
        (RefusalCause::Forked, "sequence 1 differs from what is held"),
    ] {
        let collector = Collector::start().await;
        let buffer = Arc::new(MemoryBuffer::new());
        put(&buffer, "a", &[2]).await;
        let agent = Agent::start(&collector, &buffer, &["a", "b"]);
        let came = |stream: usize, flow: &'static str, count: usize| {
            collector.until("blocks", move |seen| {
                (seen.firsts(stream, flow).len() == count).then_some(())
            })
        };
        came(1, "a", 1).await;
        collector.refuse("a", cause, reason).await;
        assert_eq!(agent.stopped("a").await, reason);
        put(&buffer, "a", &[1]).await;
        put(&buffer, "b", &[1]).await;
        came(1, "b", 1).await;
        put(&buffer, "b", &[1]).await;
        came(1, "b", 2).await;
        assert_eq!(
            collector.seen.borrow().firsts(1, "a").len(),
            1,
            "no more of it"
        );
        assert_eq!(buffer.depth("a").acked, Sequence(0));

        collector.cut();
        came(2, "a", 2).await;
        agent
            .until("it goes on", |told| told.stopped.is_empty().then_some(()))
            .await;
        agent.stop().await;
    }
}

#[tokio::test]
async fn what_the_collector_says_when_it_ends_the_line_reaches_the_status() {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[2]).await;
    let table = [
        Status::permission_denied("agent a-1 of site north was revoked; invite it anew"),
        Status::unauthenticated("an agent's certificate is needed"),
        Status::failed_precondition(
            "the agent speaks protocol 1 and the collector protocol 2: update the agent",
        ),
        Status::unavailable("the collector is stopping"),
        Status::aborted("another stream of this agent has taken over"),
    ];
    for status in table {
        let said = status.message().to_owned();
        collector.ends_with(Some(status));
        let agent = Agent::start(&collector, &buffer, &["a"]);
        let why = agent.until("three tries", |told| Some(told.away().get(2)?.to_string()));
        assert_eq!(why.await, format!("{}: {said}", collector.address));
        assert_eq!(agent.connections(), 0);
        agent.stop().await;
    }
    collector.ends_with(None);
    let agent = Agent::start(&collector, &buffer, &["a"]);
    agent
        .until("it is welcome", |told| {
            told.links.contains(&LinkState::Connected).then_some(())
        })
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn a_collector_of_another_protocol_is_told_as_that_and_tried_until_it_is_updated() {
    let collector = Collector::start().await;
    collector.acks_each();
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[2]).await;
    // What else it says is not believed: this would be another past.
    collector.holds("a", buffer.epoch(), 40, 7);
    for (protocol, older) in [(0, "collector"), (2, "agent")] {
        collector.speaks(protocol);
        let agent = Agent::start(&collector, &buffer, &["a"]);
        let why = agent.until("three tries", |told| Some(told.away().get(2)?.to_string()));
        let expected = format!(
            "{}: the agent speaks protocol 1 and the collector protocol {protocol}: update the {older}",
            collector.address
        );
        assert_eq!(why.await, expected);
        assert_eq!(agent.connections(), 0);
        assert!(agent.told.borrow().reopened.is_empty());
        agent.stop().await;
    }
    assert!(collector.seen.borrow().blocks.is_empty());
    let agent = Agent::start(&collector, &buffer, &["a"]);
    agent
        .until("a try", |told| told.away().first().map(drop))
        .await;
    collector.holds("a", 0, 1, 0);
    collector.speaks(1);
    agent
        .until("an ack", |told| (!told.positions.is_empty()).then_some(()))
        .await;
    agent.stop().await;
}

/// Each round is a coin's throw: the end of the sending half may be noticed first.
#[tokio::test]
async fn a_collector_that_ends_the_line_while_blocks_are_sent_is_heard() {
    let collector = Collector::start().await;
    for round in 1..=40 {
        let buffer = Arc::new(MemoryBuffer::new());
        // More than the line takes at once: it is still being sent when it ends.
        put_blocks(&buffer, "a", vec![block(1, 64 * 1024, "p"); 120]).await;
        let agent = Agent::start(&collector, &buffer, &["a"]);
        collector
            .until("a block", |seen| seen.firsts(round, "a").first().copied())
            .await;
        let reason = format!("agent a-1 was revoked, {round}");
        let status = Status::permission_denied(reason.clone());
        collector.end(status).await;
        let why = agent.until("why", |told| told.away().first().map(ToString::to_string));
        assert_eq!(why.await, format!("{}: {reason}", collector.address));
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_collector_that_cannot_store_now_is_tried_again_and_gets_everything() {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[2, 2]).await;
    let agent = Agent::start(&collector, &buffer, &["a"]);
    let firsts = |stream| {
        collector.until("blocks", move |seen| {
            Some(seen.firsts(stream, "a")).filter(|firsts| firsts.len() == 2)
        })
    };
    assert_eq!(firsts(1).await, [1, 3]);
    collector
        .refuse("a", RefusalCause::Store, "the collector's disk is full")
        .await;
    assert_eq!(firsts(2).await, [1, 3]);
    let why = agent.until("why", |told| told.away().first().map(ToString::to_string));
    assert!(why.await.contains("the collector's disk is full"));
    agent.stop().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_true_ends_the_line_and_forgets_nothing() {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[2]).await;
    let agent = Agent::start(&collector, &buffer, &["a"]);
    let epoch = buffer.epoch();
    let table = [
        (
            "a",
            epoch,
            3,
            "acked event 3 of flow \"a\", which was not sent",
        ),
        ("a", epoch ^ 1, 2, "acked flow \"a\" of another epoch"),
        ("z", epoch, 1, "acked flow \"z\", which was not sent"),
    ];
    for (at, (flow, epoch, through, words)) in table.into_iter().enumerate() {
        collector
            .until("the block", |seen| {
                seen.firsts(at + 1, "a").first().copied()
            })
            .await;
        collector.ack(flow, epoch, through).await;
        let why = agent.until("why", |told| Some(told.away().get(at)?.to_string()));
        let why = why.await;
        assert!(why.contains(words), "{why}");
        assert_eq!(buffer.depth("a").acked, Sequence(0));
    }
    agent.stop().await;
}
