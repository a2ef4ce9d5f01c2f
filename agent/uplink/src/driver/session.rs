//! A welcomed connection: blocks up, acks and refusals down.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dray_buffer::{Sequence, StoredBlock};
use dray_edges::edge;
use dray_proto::v1::{
    Block, BlockHeader, FromAgent, Refusal, RefusalCause, ToAgent, from_agent, to_agent,
};
use tokio::sync::{mpsc, watch};
use tonic::Streaming;

use super::{End, QUEUE, Uplink};
use crate::window::{Turn, Window};

/// How long the collector's reason may take once the sending half has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Session<'a> {
    uplink: &'a Uplink,
    window: Window,
    /// Of all that is sent.
    epoch: u64,
    /// Blocks that were read and wait for the connection.
    ready: VecDeque<FromAgent>,
}

impl<'a> Session<'a> {
    pub(super) fn new(uplink: &'a Uplink, window: Window, epoch: u64) -> Self {
        Self {
            uplink,
            window,
            epoch,
            ready: VecDeque::new(),
        }
    }

    /// Sends until the connection ends; why it did.
    pub(super) async fn send(
        &mut self,
        out: &mpsc::Sender<FromAgent>,
        mut incoming: Streaming<ToAgent>,
        watch: &mut watch::Receiver<u64>,
    ) -> End {
        loop {
            if let Err(end) = self.fill().await {
                return end;
            }
            tokio::select! {
                permit = out.reserve(), if !self.ready.is_empty() => match (permit, self.ready.pop_front()) {
                    (Ok(permit), Some(message)) => {
                        permit.send(message);
                        edge!("uplink.sent");
                    }
                    _ => return self.last_words(incoming).await,
                },
                answer = incoming.message() => if let Err(end) = self.answered(answer) {
                    return end;
                },
                changed = watch.changed() => match changed {
                    // Numbers of another epoch would be taken for old ones.
                    Ok(()) if self.uplink.buffer.epoch() != self.epoch => {
                        return lost("a new epoch began in the buffer");
                    }
                    Ok(()) => self.look_for_new(),
                    Err(_) => return lost("the buffer was closed"),
                },
            }
        }
    }

    /// The sending half ended; why is what the collector says last.
    async fn last_words(&mut self, mut incoming: Streaming<ToAgent>) -> End {
        let said = tokio::time::timeout(LAST_WORDS, async {
            loop {
                if let Err(end) = self.answered(incoming.message().await) {
                    return end;
                }
            }
        });
        said.await
            .unwrap_or_else(|_| lost("the collector takes no more, and does not say why"))
    }

    /// One answer, or the end of them. An error ends the connection.
    fn answered(&mut self, answer: Result<Option<ToAgent>, tonic::Status>) -> Result<(), End> {
        match answer {
            Ok(Some(ToAgent { message })) => message.map_or(Ok(()), |message| self.heard(message)),
            Ok(None) => Err(lost("the collector ended the connection")),
            Err(status) => Err(End::Lost(self.uplink.status_sentence(&status))),
        }
    }

    fn look_for_new(&mut self) {
        for (index, flow) in self.uplink.config.flows.iter().enumerate() {
            self.window
                .appended(index, self.uplink.buffer.depth(&flow.name).appended);
        }
    }

    /// Reads what may be sent next, while less waits than the connection's queue takes.
    async fn fill(&mut self) -> Result<(), End> {
        while self.ready.len() < QUEUE {
            let Some(Turn {
                flow,
                from,
                bytes_max,
            }) = self.window.turn()
            else {
                return Ok(());
            };
            let name = Arc::clone(&self.uplink.config.flows[flow].name);
            let (buffer, of) = (Arc::clone(&self.uplink.buffer), Arc::clone(&name));
            let read = tokio::task::spawn_blocking(move || buffer.read(&of, from, bytes_max)).await;
            let blocks = read.map_err(|_| lost("a read of the buffer ended in a panic"))??;
            if blocks.iter().any(|stored| stored.epoch != self.epoch) {
                return Err(lost("a new epoch began in the buffer"));
            }
            if blocks.is_empty() {
                if self.uplink.buffer.epoch() != self.epoch {
                    return Err(lost("a new epoch began in the buffer"));
                }
                self.window.close(flow);
                self.uplink.stop(
                    &name,
                    &format!("the buffer does not hold event {from}, which is to be sent next"),
                );
            }
            for stored in blocks {
                let last = Sequence(stored.first_sequence.0 + u64::from(stored.block.count) - 1);
                self.window.sent(flow, last, stored.block.payload.len());
                self.count(&stored);
                self.ready.push_back(message(&name, stored));
            }
        }
        Ok(())
    }

    fn count(&self, stored: &StoredBlock) {
        let counters = &self.uplink.counters;
        counters.blocks.fetch_add(1, Ordering::Relaxed);
        counters
            .events
            .fetch_add(u64::from(stored.block.count), Ordering::Relaxed);
        counters
            .bytes
            .fetch_add(stored.block.payload.len() as u64, Ordering::Relaxed);
    }

    /// An ack or a refusal. An error ends the connection.
    fn heard(&mut self, message: to_agent::Message) -> Result<(), End> {
        let flows = &self.uplink.config.flows;
        let index = |name: &str| flows.iter().position(|flow| *flow.name == *name);
        match message {
            to_agent::Message::Ack(ack) => {
                edge!("uplink.before_ack");
                let Some(flow) = index(&ack.flow) else {
                    return Err(lost(&format!(
                        "the collector acked flow \"{}\", which was not sent",
                        ack.flow
                    )));
                };
                if ack.epoch != self.epoch {
                    return Err(lost(&format!(
                        "the collector acked flow \"{}\" of another epoch than this agent's",
                        ack.flow
                    )));
                }
                if !self.window.acked(flow, Sequence(ack.through)) {
                    return Err(lost(&format!(
                        "the collector acked event {} of flow \"{}\", which was not sent",
                        ack.through, ack.flow
                    )));
                }
                Ok(self
                    .uplink
                    .ack(&ack.flow, self.epoch, Sequence(ack.through))?)
            }
            to_agent::Message::Refusal(refusal) => self.refused(&refusal, index(&refusal.flow)),
            to_agent::Message::Welcome(_) => Err(lost("the collector said Welcome twice")),
        }
    }

    fn refused(&mut self, refusal: &Refusal, flow: Option<usize>) -> Result<(), End> {
        match (refusal.cause(), flow) {
            // It may pass by itself: what is not acked is sent again by the next connection.
            (RefusalCause::Store, _) | (_, None) => {
                Err(lost(&format!("the collector refuses: {}", refusal.reason)))
            }
            (_, Some(flow)) => {
                self.window.close(flow);
                self.ready
                    .retain(|message| !is_block_of(message, &refusal.flow));
                self.uplink.stop(&refusal.flow, &refusal.reason);
                Ok(())
            }
        }
    }
}

fn lost(reason: &str) -> End {
    End::Lost(reason.into())
}

fn is_block_of(message: &FromAgent, flow: &str) -> bool {
    let Some(from_agent::Message::Block(block)) = &message.message else {
        return false;
    };
    block
        .header
        .as_ref()
        .is_some_and(|header| header.flow == flow)
}

/// The wire's header from what the buffer keeps beside the payload.
fn message(flow: &str, stored: StoredBlock) -> FromAgent {
    let StoredBlock {
        epoch,
        first_sequence,
        chain,
        chain_after,
        block,
    } = stored;
    let header = BlockHeader {
        flow: flow.to_owned(),
        epoch,
        first_sequence: first_sequence.0,
        count: block.count,
        first_captured_us: block.first_captured_us,
        last_captured_us: block.last_captured_us,
        codec: i32::from(block.codec),
        decoded_bytes: block.decoded_bytes,
        crc32c: block.crc32c,
        position: block.position,
        chain,
        chain_after,
        dead_letters: block.dead_letters,
    };
    FromAgent {
        message: Some(from_agent::Message::Block(Block {
            header: Some(header),
            payload: block.payload,
        })),
    }
}
