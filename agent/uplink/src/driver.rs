//! The stream to the collector: dialled, fed, acked, and dialled again.
//!
//! Limits: [`Patience`] says how long a connection may take to be made and welcomed, and the waits
//! between tries, growing, with jitter.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dray_buffer::{Buffer, BufferError, Depth, Sequence, StoredBlock};
use dray_edges::edge;
use dray_proto::protocol::{self, PROTOCOL};
use dray_proto::v1::uplink_client::UplinkClient;
use dray_proto::v1::{FlowState, FromAgent, Hello, Welcome, from_agent, to_agent};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

mod session;

use self::session::Session;
use crate::identity::Identity;
use crate::past::Past;
use crate::patience::Patience;
use crate::renewal::{CertificateState, Renewal};
use crate::tls;
use crate::window::{self, Begin, Held, Own, Place, Window};

/// A connection that lived this long begins again with the first wait, and so does one that moved an ack: a line that
/// breaks often is slow enough.
const LIVED: Duration = Duration::from_secs(5);
/// The wait after the buffer could not be read: it mends itself, or somebody makes room.
const BUFFER_WAIT: Duration = Duration::from_secs(1);
/// What is said when acked events are looked for on disk.
const RESTORED: &str = "the collector needs events that were acked here: its log was restored from an older state. The buffer is opened again, as they \
                        may still stand on disk";
/// Messages between the driver and the connection.
const QUEUE: usize = 32;
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
    /// A file of the uplink's own: what the collector held when the epoch began.
    pub past: PathBuf,
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
    /// The flow goes on. `position`: the newest one that the collector holds; empty where it holds none. A source that
    /// stands nowhere yet begins there.
    fn flow_goes_on(&self, flow: &str, position: Bytes);
    /// A new epoch began: the flow's source is to be opened again, at this position where there is one, else at its own.
    fn flow_reopens(&self, flow: &str, position: Option<Bytes>);
    /// The collector needs events that are acked here and may still stand on disk: the buffer is to be opened again, and everything
    /// with it.
    fn buffer_reopens(&self, why: &str);
    /// The certificate was renewed, or could not be.
    fn certificate(&self, state: CertificateState);
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
    /// The epoch of the connection before this one.
    epoch: AtomicU64,
    /// The collector acked what it had not acked before, since this was last asked.
    acked: AtomicBool,
    /// The epoch that the buffer was opened in, and how far each flow was acked then: before that, nothing is on disk.
    opened: (u64, Vec<Sequence>),
    past: Mutex<Past>,
}

/// A flow whose source is opened anew in a new epoch.
struct Reopen {
    flow: Arc<str>,
    /// Where the collector is ahead: its position.
    at: Option<Bytes>,
    why: String,
}

/// Why a connection ended.
enum End {
    /// The agent stops.
    Shutdown,
    /// To be tried again.
    Lost(String),
    /// The agent's own buffer is in the way, not the line: to be tried again soon.
    Buffer {
        reason: String,
        /// It stopped, and is to be opened again.
        reopen: bool,
    },
    /// To be dialled again at once, with the certificate that is new.
    Renewed,
}

impl From<BufferError> for End {
    fn from(error: BufferError) -> Self {
        Self::Buffer {
            reason: error.to_string(),
            reopen: matches!(error, BufferError::Stopped { reopen: true, .. }),
        }
    }
}

impl Uplink {
    /// Not yet dialled.
    #[must_use]
    pub fn new(config: UplinkConfig, buffer: Arc<dyn Buffer>, observer: Arc<dyn Observer>) -> Self {
        let acked = |flow: &FlowConfig| buffer.depth(&flow.name).acked;
        let opened = (buffer.epoch(), config.flows.iter().map(acked).collect());
        Self {
            opened,
            past: Mutex::new(Past::read(config.past.clone())),
            config,
            buffer,
            observer,
            counters: Arc::default(),
            patience: Patience::default(),
            epoch: AtomicU64::new(0),
            acked: AtomicBool::new(false),
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
        let mut renewal = Renewal::new(self.config.identity.clone());
        while !*shutdown.borrow() {
            let began = Instant::now();
            let (reason, own) = match self.connection(&mut renewal, &mut shutdown).await {
                End::Shutdown => return,
                End::Renewed => continue,
                End::Lost(reason) => (reason, None),
                End::Buffer { reason, reopen } => {
                    if reopen {
                        self.observer.buffer_reopens(&reason);
                    }
                    (reason, Some(BUFFER_WAIT))
                }
            };
            if reason != said {
                match own {
                    None => tracing::warn!(reason, "the collector is away; it is tried again"),
                    Some(_) => tracing::warn!(reason, "nothing can be sent for now"),
                }
                said.clone_from(&reason);
            }
            self.observer.link(LinkState::Disconnected(reason));
            let lived = began.elapsed() >= LIVED;
            if self.acked.swap(false, Ordering::Relaxed) || lived {
                wait = self.patience.waits();
            }
            if lived {
                said.clear();
            }
            let time = own.or_else(|| wait.next());
            tokio::select! {
                () = tokio::time::sleep(time.unwrap_or(self.patience.retry_max)) => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One connection, from dialling to its end.
    async fn connection(&self, renewal: &mut Renewal, shutdown: &mut watch::Receiver<bool>) -> End {
        tokio::select! {
            end = self.dial_and_send(renewal) => end,
            _ = shutdown.wait_for(|stop| *stop) => End::Shutdown,
        }
    }

    async fn dial_and_send(&self, renewal: &mut Renewal) -> End {
        let collector = &self.config.collector;
        let tls = match tls::with_identity(&renewal.identity) {
            Ok(tls) => tls,
            Err(reason) => return End::Lost(reason),
        };
        let channel = match tls::connect(collector, tls, self.patience.connect).await {
            Ok(channel) => channel,
            Err(reason) => return End::Lost(reason),
        };
        let mut watch = self.buffer.watch();
        let epoch = self.buffer.epoch();
        if ![0, epoch].contains(&self.epoch.swap(epoch, Ordering::Relaxed)) {
            // Damage began it: what was lost may be read again.
            let flows = &self.config.flows;
            flows
                .iter()
                .for_each(|flow| self.observer.flow_reopens(&flow.name, None));
        }
        let (out, outgoing) = mpsc::channel(QUEUE);
        let hello = FromAgent {
            message: Some(from_agent::Message::Hello(self.hello(epoch))),
        };
        if out.send(hello).await.is_err() {
            return End::Lost("the connection ended".into());
        }
        let mut client =
            UplinkClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
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
        // Before anything else of it is believed.
        if let Some(reason) = protocol::mismatch(PROTOCOL, welcome.protocol) {
            return End::Lost(format!("{collector}: {reason}"));
        }
        let mut session = match self.begin(&welcome, epoch) {
            Ok(Ok(session)) => session,
            Ok(Err(reopen)) => return self.begin_epoch(reopen).await,
            Err(end) => return end,
        };
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            collector = collector.as_str(),
            version = welcome.version,
            "connected"
        );
        self.observer.link(LinkState::Connected);
        // What is on its way when the new certificate is there is sent again by the next connection.
        tokio::select! {
            end = session.send(&out, incoming, &mut watch) => end,
            () = self.renewed(renewal, &channel) => End::Renewed,
        }
    }

    /// Returns when there is another certificate to connect with.
    async fn renewed(&self, renewal: &mut Renewal, channel: &Channel) {
        loop {
            let state = renewal.next(&self.config.collector, channel).await;
            let is_new = matches!(state, CertificateState::Renewed { .. });
            match &state {
                CertificateState::Renewed { ends_s } => {
                    tracing::info!(ends_s, "the certificate is renewed")
                }
                CertificateState::Failing(reason) => tracing::warn!(
                    reason,
                    "the certificate could not be renewed; it is tried again"
                ),
            }
            self.observer.certificate(state);
            if is_new {
                return;
            }
        }
    }

    fn hello(&self, epoch: u64) -> Hello {
        let state = |flow: &FlowConfig| {
            let depth = self.buffer.depth(&flow.name);
            let after = self.past().get(epoch, &flow.name);
            let (after_epoch, after_sequence) = after.unwrap_or_default();
            FlowState {
                after_epoch,
                after_sequence,
                flow: flow.name.to_string(),
                next_sequence: depth.appended.0 + 1,
                oldest_sequence: depth.acked.0 + 1,
                oldest_chain: depth.oldest_chain,
            }
        };
        Hello {
            protocol: PROTOCOL,
            version: self.config.version.clone(),
            epoch,
            flows: self.config.flows.iter().map(state).collect(),
        }
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether events that are acked may be held again once the buffer is opened anew: a part of it is deleted when all of it is
    /// acked, and what is acked since it was opened may share a part with what is not.
    fn may_stand_on_disk(&self, flow: usize, acked: Sequence) -> bool {
        let (epoch, opened) = &self.opened;
        *epoch != self.buffer.epoch() || opened.get(flow).is_none_or(|opened| acked > *opened)
    }

    /// Compares what both sides hold, and opens the flows that agree. Or else: the flows that are to be opened anew, and
    /// where.
    fn begin(
        &self,
        welcome: &Welcome,
        epoch: u64,
    ) -> Result<Result<Session<'_>, Vec<Reopen>>, End> {
        let weights: Vec<u32> = self.config.flows.iter().map(|flow| flow.weight).collect();
        let mut window = Window::new(&weights);
        let (mut reopen, mut news) = (Vec::new(), Vec::new());
        for (index, flow) in self.config.flows.iter().enumerate() {
            let said = welcome.flows.iter().find(|held| *held.flow == *flow.name);
            let held = Held {
                epoch: said.map_or(0, |held| held.epoch),
                next: Sequence(said.map_or(1, |held| held.next_sequence)),
                chain: said.map_or(0, |held| held.chain),
                knows_epoch: said.is_some_and(|held| held.knows_epoch),
                lacks_earlier: said.is_some_and(|held| held.lacks_earlier),
            };
            let position = said.map(|held| held.position.clone()).unwrap_or_default();
            let depth = self.buffer.depth(&flow.name);
            let own = Own {
                acked: depth.acked,
                appended: depth.appended,
                place: self.place(&flow.name, held.next, depth)?,
            };
            match window::begin(epoch, own, held) {
                Begin::At(next) => {
                    if held.epoch != epoch && !held.knows_epoch {
                        news.push((&*flow.name, (held.epoch, held.next.0)));
                    }
                    self.ack(&flow.name, epoch, Sequence(next.0 - 1))?;
                    window.open(index, next, depth.appended);
                    self.observer.flow_goes_on(&flow.name, position);
                }
                Begin::NewEpoch { why, behind } => {
                    tracing::error!(flow = &*flow.name, reason = why, "a new epoch is needed");
                    reopen.push(Reopen {
                        flow: Arc::clone(&flow.name),
                        at: (behind && !position.is_empty()).then_some(position),
                        why,
                    });
                }
                Begin::Stop(_) if self.may_stand_on_disk(index, depth.acked) => {
                    // The other flows go on meanwhile: what is sent of them makes room.
                    self.stop(&flow.name, RESTORED);
                    self.observer.buffer_reopens(RESTORED);
                }
                Begin::Stop(reason) => self.stop(&flow.name, &reason),
            }
        }
        self.past().note(epoch, &news).map_err(|error| {
            let file = self.config.past.display();
            End::Lost(format!("{file} can't be written: {error}; give the agent's data folder room and its user the right to write there"))
        })?;
        if reopen.is_empty() {
            Ok(Ok(Session::new(self, window, epoch)))
        } else {
            Ok(Err(reopen))
        }
    }

    /// All that is held gets new numbers; the next connection sends it.
    async fn begin_epoch(&self, reopen: Vec<Reopen>) -> End {
        let buffer = Arc::clone(&self.buffer);
        let begun = tokio::task::spawn_blocking(move || buffer.begin_epoch()).await;
        match begun {
            Ok(Ok(epoch)) => self.epoch.store(epoch, Ordering::Relaxed),
            Ok(Err(error)) => return error.into(),
            Err(error) => return End::Lost(error.to_string()),
        }
        let why = reopen.first().map(|reopen| reopen.why.clone());
        for Reopen { flow, at, .. } in reopen {
            self.observer.flow_reopens(&flow, at);
        }
        End::Lost(format!("a new epoch begins: {}", why.unwrap_or_default()))
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
    fn ack(&self, flow: &str, epoch: u64, through: Sequence) -> Result<(), BufferError> {
        edge!("uplink.before_forgetting");
        if let Some(position) = self.buffer.ack(flow, epoch, through)? {
            edge!("uplink.after_forgetting");
            self.acked.store(true, Ordering::Relaxed);
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
