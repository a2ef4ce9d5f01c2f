//! Blocks go up once and in order; acks make the buffer forget.

use std::sync::Arc;

use dray_buffer::{Buffer as _, MemoryBuffer, Sequence};

use crate::agent::{Agent, put};
use crate::collector::Collector;

#[tokio::test]
async fn what_is_appended_before_and_after_connecting_arrives_once_and_in_order() {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[3, 5]).await;
    let kept = buffer.read("a", Sequence(1), usize::MAX).unwrap();
    let agent = Agent::start(&collector, &buffer, &["a"]);
    collector
        .until("the first two", |seen| {
            (seen.blocks.len() == 2).then_some(())
        })
        .await;
    put(&buffer, "a", &[1]).await;
    put(&buffer, "a", &[2, 4]).await;
    let all = collector.until("five", |seen| {
        (seen.blocks.len() == 5).then(|| seen.blocks.clone())
    });
    let all = all.await;

    let mut next = (1, 0);
    for (at, (stream, block)) in all.iter().enumerate() {
        let header = block.header.as_ref().unwrap();
        assert_eq!(
            (*stream, header.flow.as_str(), header.epoch),
            (1, "a", buffer.epoch())
        );
        assert_eq!((header.first_sequence, header.chain), next);
        next = (next.0 + u64::from(header.count), header.chain_after);
        assert_eq!(header.position, format!("a:{}", next.0 - 1));
        if let Some(stored) = kept.get(at) {
            let made = &stored.block;
            assert_eq!(block.payload, made.payload);
            assert_eq!(
                (header.crc32c, header.decoded_bytes, header.codec),
                (made.crc32c, made.decoded_bytes, i32::from(made.codec))
            );
            assert_eq!(
                (
                    header.first_captured_us,
                    header.last_captured_us,
                    header.chain_after
                ),
                (
                    made.first_captured_us,
                    made.last_captured_us,
                    stored.chain_after
                )
            );
        }
    }
    assert_eq!(next.0, 16);
    agent.stop().await;
    assert_eq!(collector.seen.borrow().blocks.len(), 5, "once");
}

#[tokio::test]
async fn the_buffer_forgets_what_is_acked_and_nothing_else() {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[3, 5, 2]).await;
    let agent = Agent::start(&collector, &buffer, &["a"]);
    collector
        .until("all", |seen| (seen.blocks.len() == 3).then_some(()))
        .await;
    assert_eq!(buffer.depth("a").acked, Sequence(0), "sent is not acked");
    let epoch = buffer.epoch();
    collector.ack("a", epoch, 8).await;
    agent
        .until("an ack", |told| {
            (told.positions == [("a".into(), "a:8".into())]).then_some(())
        })
        .await;
    assert_eq!(buffer.depth("a").acked, Sequence(8));
    assert_eq!(
        buffer.read("a", Sequence(9), 1).unwrap().len(),
        1,
        "still held"
    );
    collector.ack("a", epoch, 8).await;
    collector.ack("a", epoch, 3).await;
    collector.ack("a", epoch, 10).await;
    agent
        .until("the last ack", |told| {
            (told.positions.len() == 2).then_some(())
        })
        .await;
    let depth = buffer.depth("a");
    assert_eq!((depth.acked, depth.bytes), (Sequence(10), 0));
    agent.stop().await;
}
