//! The stream to the collector: dialled, fed, acked, and dialled again.
//!
//! Limits: [`Patience`] says how long a connection may take to be made and welcomed, and the waits
//! between tries, growing, with jitter.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dray_buffer::{Buffer, BufferError, Depth, Sequence, StoredBlock};
use dray_proto::v1::uplink_client::UplinkClient;
use dray_proto::v1::{
    Block, BlockHeader, FlowState, FromAgent, Hello, Refusal, RefusalCause, ToAgent, Welcome,
    from_agent, to_agent,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::identity::Identity;
use crate::patience::Patience;
use crate::tls;
use crate::window::{self, Begin, Held, Own, Place, Turn, Window};

/// A connection that lived this long begins again with the first wait.
const LIVED: Duration = Duration::from_secs(5);
/// How long the collector's reason may take once the sending half has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Messages between the driver and the connection.
const QUEUE: usize = 32;
/// The protocol that is spoken here.
const PROTOCOL: u32 = 1;
/// A message of the collector, at most: a Welcome for all flows of a site.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the uplink is to do.
#[derive(Debug, Clone)]
pub struct UplinkConfig {
    /// `host:port`.
    pub collector: String,
    /// Who we are.
    pub identity: Identity,
    /// What is sent.
    pub flows: Vec<FlowConfig>,
    /// This program's version.
    pub version: String,
}

/// A flow of the uplink.
#[derive(Debug, Clone)]
pub struct FlowConfig {
    /// Its name within the site.
    pub name: Arc<str>,
    /// Its share when the line is narrow.
    pub weight: u32,
}

/// How the link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// The collector welcomed us.
    Connected,
    /// It is away, and why.
    Disconnected(String),
}

/// Who is told. Called from the uplink's task: must not block.
pub trait Observer: Send + Sync {
    /// Everything of the flow up to this position is on the collector's stable storage.
    fn acked(&self, flow: &str, position: Bytes);
    /// The link came or went.
    fn link(&self, state: LinkState);
    /// The collector won't take this flow any more, and why; until the next connection.
    fn flow_stopped(&self, flow: &str, reason: &str);
    /// The flow goes on.
    fn flow_goes_on(&self, flow: &str);
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Blocks sent, repeats counted.
    pub blocks: AtomicU64,
    /// Events in them.
    pub events: AtomicU64,
    /// Payload bytes of them.
    pub bytes: AtomicU64,
    /// Connections that were welcomed.
    pub connections: AtomicU64,
}

/// The agent's end of the line.
pub struct Uplink {
    config: UplinkConfig,
    buffer: Arc<dyn Buffer>,
    observer: Arc<dyn Observer>,
    counters: Arc<Counters>,
    patience: Patience,
}

/// Why a connection ended.
enum End {
    /// The agent stops.
    Shutdown,
    /// To be tried again.
    Lost(String),
}

impl Uplink {
    /// Not yet dialled.
    #[must_use]
    pub fn new(config: UplinkConfig, buffer: Arc<dyn Buffer>, observer: Arc<dyn Observer>) -> Self {
        Self {
            config,
            buffer,
            observer,
            counters: Arc::default(),
            patience: Patience::default(),
        }
    }

    /// With other waits than an agent's.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The counts, to be kept.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Sends until `shutdown` turns true.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let mut wait = self.patience.waits();
        let mut said = String::new();
        while !*shutdown.borrow() {
            let began = Instant::now();
            let reason = match self.connection(&mut shutdown).await {
                End::Shutdown => return,
                End::Lost(reason) => reason,
            };
            if reason != said {
                tracing::warn!(reason, "the collector is away; it is tried again");
                said.clone_from(&reason);
            }
            self.observer.link(LinkState::Disconnected(reason));
            if began.elapsed() >= LIVED {
                wait = self.patience.waits();
                said.clear();
            }
            tokio::select! {
                () = tokio::time::sleep(wait.next().unwrap_or(self.patience.retry_max)) => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One connection, from dialling to its end.
    async fn connection(&self, shutdown: &mut watch::Receiver<bool>) -> End {
        tokio::select! {
            end = self.dial_and_send() => end,
            _ = shutdown.wait_for(|stop| *stop) => End::Shutdown,
        }
    }

    async fn dial_and_send(&self) -> End {
        let collector = &self.config.collector;
        let tls = match tls::with_identity(&self.config.identity) {
            Ok(tls) => tls,
            Err(reason) => return End::Lost(reason),
        };
        let channel = match tls::connect(collector, tls, self.patience.connect).await {
            Ok(channel) => channel,
            Err(reason) => return End::Lost(reason),
        };
        let mut watch = self.buffer.watch();
        let (out, outgoing) = mpsc::channel(QUEUE);
        let hello = FromAgent {
            message: Some(from_agent::Message::Hello(self.hello())),
        };
        if out.send(hello).await.is_err() {
            return End::Lost("the connection ended".into());
        }
        let mut client = UplinkClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let welcomed = tokio::time::timeout(self.patience.welcome, async {
            let mut incoming = client
                .stream(ReceiverStream::new(outgoing))
                .await?
                .into_inner();
            let welcome = incoming.message().await?;
            Ok::<_, tonic::Status>((incoming, welcome))
        });
        let (incoming, welcome) = match welcomed.await {
            Err(_) => {
                return End::Lost(format!(
                    "{collector}: it did not say Welcome in {} s",
                    self.patience.welcome.as_secs_f32()
                ));
            }
            Ok(Err(status)) => return End::Lost(self.status_sentence(&status)),
            Ok(Ok(welcomed)) => welcomed,
        };
        let Some(to_agent::Message::Welcome(welcome)) = welcome.and_then(|message| message.message)
        else {
            return End::Lost(format!(
                "{collector}: it did not say Welcome; is it a dray-collector of another version?"
            ));
        };
        let mut session = match self.begin(&welcome) {
            Ok(session) => session,
            Err(error) => return End::Lost(error.to_string()),
        };
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            collector = collector.as_str(),
            version = welcome.version,
            "connected"
        );
        self.observer.link(LinkState::Connected);
        session.send(&out, incoming, &mut watch).await
    }

    fn hello(&self) -> Hello {
        let state = |flow: &FlowConfig| {
            let depth = self.buffer.depth(&flow.name);
            FlowState {
                flow: flow.name.to_string(),
                next_sequence: depth.appended.0 + 1,
                oldest_sequence: depth.acked.0 + 1,
            }
        };
        Hello {
            protocol: PROTOCOL,
            version: self.config.version.clone(),
            epoch: self.buffer.epoch(),
            flows: self.config.flows.iter().map(state).collect(),
        }
    }

    /// Compares what both sides hold, and opens the flows that agree.
    fn begin(&self, welcome: &Welcome) -> Result<Session<'_>, BufferError> {
        let weights: Vec<u32> = self.config.flows.iter().map(|flow| flow.weight).collect();
        let mut window = Window::new(&weights);
        for (index, flow) in self.config.flows.iter().enumerate() {
            let held = welcome.flows.iter().find(|held| *held.flow == *flow.name);
            let held = held.map_or(
                Held {
                    epoch: 0,
                    next: Sequence(1),
                    chain: 0,
                },
                |held| Held {
                    epoch: held.epoch,
                    next: Sequence(held.next_sequence),
                    chain: held.chain,
                },
            );
            let depth = self.buffer.depth(&flow.name);
            let place = self.place(&flow.name, held.next, depth)?;
            match window::begin(
                self.buffer.epoch(),
                Own {
                    acked: depth.acked,
                    appended: depth.appended,
                    place,
                },
                held,
            ) {
                Begin::At(next) => {
                    self.ack(&flow.name, Sequence(next.0 - 1))?;
                    window.open(index, next, depth.appended);
                    self.observer.flow_goes_on(&flow.name);
                }
                Begin::Stop(reason) => self.stop(&flow.name, &reason),
            }
        }
        Ok(Session {
            uplink: self,
            window,
            ready: VecDeque::new(),
        })
    }

    /// What the blocks held here say of the place before `next`.
    fn place(&self, flow: &str, next: Sequence, depth: Depth) -> Result<Place, BufferError> {
        if next <= depth.acked || next.0 > depth.appended.0 + 1 {
            return Ok(Place::Unknown);
        }
        let at_end = next > depth.appended;
        let from = if at_end { depth.appended } else { next };
        let place = |block: &StoredBlock| match (at_end, block.first_sequence == next) {
            (true, _) => Place::Chain(block.chain_after),
            (false, true) => Place::Chain(block.chain),
            (false, false) => Place::Inside,
        };
        let blocks = self.buffer.read(flow, from, 0)?;
        Ok(blocks.first().map_or(Place::Unknown, place))
    }

    /// The collector has it: the buffer may forget it, and the source learns of it.
    fn ack(&self, flow: &str, through: Sequence) -> Result<(), BufferError> {
        if let Some(position) = self.buffer.ack(flow, through)? {
            self.observer.acked(flow, position);
        }
        Ok(())
    }

    fn stop(&self, flow: &str, reason: &str) {
        tracing::error!(flow, reason, "the flow is stopped");
        self.observer.flow_stopped(flow, reason);
    }

    fn status_sentence(&self, status: &tonic::Status) -> String {
        tls::status_sentence(&self.config.collector, status)
    }
}

/// A welcomed connection.
struct Session<'a> {
    uplink: &'a Uplink,
    window: Window,
    /// Blocks that were read and wait for the connection.
    ready: VecDeque<FromAgent>,
}

impl Session<'_> {
    async fn send(
        &mut self,
        out: &mpsc::Sender<FromAgent>,
        mut incoming: Streaming<ToAgent>,
        watch: &mut watch::Receiver<u64>,
    ) -> End {
        loop {
            if let Err(error) = self.fill().await {
                return End::Lost(error.to_string());
            }
            tokio::select! {
                permit = out.reserve(), if !self.ready.is_empty() => match (permit, self.ready.pop_front()) {
                    (Ok(permit), Some(message)) => permit.send(message),
                    _ => return End::Lost(self.last_words(incoming).await),
                },
                answer = incoming.message() => if let Err(reason) = self.answered(answer) {
                    return End::Lost(reason);
                },
                changed = watch.changed() => match changed {
                    Ok(()) => self.look_for_new(),
                    Err(_) => return End::Lost("the buffer was closed".into()),
                },
            }
        }
    }

    /// The sending half ended; why is what the collector says last.
    async fn last_words(&mut self, mut incoming: Streaming<ToAgent>) -> String {
        let said = tokio::time::timeout(LAST_WORDS, async {
            loop {
                if let Err(reason) = self.answered(incoming.message().await) {
                    return reason;
                }
            }
        });
        said.await
            .unwrap_or_else(|_| "the collector takes no more, and does not say why".into())
    }

    /// One answer, or the end of them. An error ends the connection.
    fn answered(&mut self, answer: Result<Option<ToAgent>, tonic::Status>) -> Result<(), String> {
        match answer {
            Ok(Some(ToAgent { message })) => message.map_or(Ok(()), |message| self.heard(message)),
            Ok(None) => Err("the collector ended the connection".into()),
            Err(status) => Err(self.uplink.status_sentence(&status)),
        }
    }

    fn look_for_new(&mut self) {
        for (index, flow) in self.uplink.config.flows.iter().enumerate() {
            self.window
                .appended(index, self.uplink.buffer.depth(&flow.name).appended);
        }
    }

    /// Reads what may be sent next, while less waits than the connection's queue takes.
    async fn fill(&mut self) -> Result<(), BufferError> {
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
            let blocks = read.unwrap_or_else(|_| Ok(Vec::new()))?;
            if blocks.is_empty() {
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
    fn heard(&mut self, message: to_agent::Message) -> Result<(), String> {
        let flows = &self.uplink.config.flows;
        let index = |name: &str| flows.iter().position(|flow| *flow.name == *name);
        match message {
            to_agent::Message::Ack(ack) => {
                let Some(flow) = index(&ack.flow) else {
                    return Err(format!(
                        "the collector acked flow \"{}\", which was not sent",
                        ack.flow
                    ));
                };
                if ack.epoch != self.uplink.buffer.epoch() {
                    return Err(format!(
                        "the collector acked flow \"{}\" of another epoch than this agent's",
                        ack.flow
                    ));
                }
                if !self.window.acked(flow, Sequence(ack.through)) {
                    return Err(format!(
                        "the collector acked event {} of flow \"{}\", which was not sent",
                        ack.through, ack.flow
                    ));
                }
                self.uplink
                    .ack(&ack.flow, Sequence(ack.through))
                    .map_err(|error| error.to_string())
            }
            to_agent::Message::Refusal(refusal) => self.refused(&refusal, index(&refusal.flow)),
            to_agent::Message::Welcome(_) => Err("the collector said Welcome twice".into()),
        }
    }

    fn refused(&mut self, refusal: &Refusal, flow: Option<usize>) -> Result<(), String> {
        match (refusal.cause(), flow) {
            // It may pass by itself: what is not acked is sent again by the next connection.
            (RefusalCause::Store, _) | (_, None) => {
                Err(format!("the collector refuses: {}", refusal.reason))
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
