//! Blocks as they arrive.

use dray_proto::v1::{Block, FromAgent, from_agent};
use tonic::{Status, Streaming};

/// The next block; `None` at the end of the agent's side. May be dropped and called again.
pub(super) async fn next_block(
    inbound: &mut Streaming<FromAgent>,
    waiting: &mut Option<Block>,
) -> Result<Option<Block>, Status> {
    if let Some(block) = waiting.take() {
        return Ok(Some(block));
    }
    match inbound.message().await? {
        None => Ok(None),
        Some(message) => block_of(message).map(Some),
    }
}

/// A block that has arrived already, if there is one.
pub(super) fn waiting_block(inbound: &mut Streaming<FromAgent>) -> Result<Option<Block>, Status> {
    use tokio_stream::Stream as _;
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(inbound).poll_next(&mut context) {
        std::task::Poll::Ready(Some(message)) => block_of(message?).map(Some),
        // The end is seen again by the next read.
        std::task::Poll::Ready(None) | std::task::Poll::Pending => Ok(None),
    }
}

fn block_of(message: FromAgent) -> Result<Block, Status> {
    match message.message {
        Some(from_agent::Message::Block(block)) => Ok(block),
        Some(from_agent::Message::Hello(_)) => {
            Err(Status::invalid_argument("a second Hello in one stream"))
        }
        None => Err(Status::invalid_argument(
            "a message that this collector does not know; update it before its agents",
        )),
    }
}
