//! One agent's blocks on their way into the store, and the acks on their way back.
//!
//! ```text
//! inbound → check → group (one flow, what already waits) → store.append → in flight → ack
//! ```
//! Several appends are in flight; answers are taken in the order of the appends. After a refusal the
//! flow's later blocks are passed over until the stream ends. After a refusal for want of storage
//! the agent may go on in the same stream, with the very block that could not be stored.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use dray_proto::FlowName;
use dray_proto::v1::{Ack, Block, FromAgent, Refusal, RefusalCause, ToAgent, to_agent};
use dray_store::{AppendError, Held, Receipt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::{Status, Streaming};

use super::check;
use super::inbound::{next_block, waiting_block};
use crate::audit;
use crate::core::{Shared, now_us};
use crate::identity::PeerIdentity;
use crate::metrics::FlowIngest;

/// Appends of one stream that the store has not answered.
const IN_FLIGHT_MAX: usize = 16;
/// Payload in one append, unless a single block is larger.
const GROUP_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Blocks in one append.
const GROUP_BLOCKS_MAX: usize = 64;
/// Flows of one agent.
pub(super) const FLOWS_MAX: usize = 1_000;
/// Blocks of all streams that the store has not answered, in KiB: what ingest may hold in memory.
pub(crate) const HELD_KIB_MAX: usize = 96 * 1024;

/// Appends of all streams that the store has not answered: fewer than its queue takes (256), so that
/// an append never makes the runtime's thread wait.
const APPENDS_MAX: usize = 240;

/// Where answers to the agent go.
pub(super) type Down = mpsc::Sender<Result<ToAgent, Status>>;

/// One stream's state.
pub(super) struct Pump {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    peer: PeerIdentity,
    down: Down,
    flows: HashMap<String, usize>,
    slots: Vec<Slot>,
}

/// One flow in this stream.
struct Slot {
    name: FlowName,
    metrics: FlowIngest,
    /// Its blocks are passed over.
    refused: bool,
    /// The block with which the agent may go on.
    resume_at: Option<u64>,
    /// How often it went on: answers to appends from before are of no interest.
    generation: u32,
}

/// Blocks of one flow that go to the store together.
struct Group {
    slot: usize,
    blocks: Vec<Block>,
    payload: usize,
}

impl Group {
    fn kib(&self) -> u32 {
        (self.payload / 1024 + 1).clamp(HELD_KIB_MAX / APPENDS_MAX, HELD_KIB_MAX) as u32
    }
}

/// An append that the store has not answered.
struct InFlight {
    slot: usize,
    generation: u32,
    epoch: u64,
    first: u64,
    through: u64,
    events: u64,
    blocks: u64,
    payload: u64,
    oldest_us: i64,
    receipt: Receipt<Result<Held, AppendError>>,
    _room: OwnedSemaphorePermit,
}

impl Pump {
    pub(super) fn new(
        shared: Arc<Shared>,
        room: Arc<Semaphore>,
        peer: PeerIdentity,
        down: Down,
    ) -> Self {
        Self {
            shared,
            room,
            peer,
            down,
            flows: HashMap::new(),
            slots: Vec::new(),
        }
    }

    /// Runs until the agent's side ends or an answer can't be had.
    pub(super) async fn run(mut self, mut inbound: Streaming<FromAgent>) -> Result<(), Status> {
        // Answers and new blocks are handled in one task: they share the slots, and neither computes
        // for long. An append that waits for room never keeps the answers of earlier ones from
        // being taken: they are what makes room.
        let mut flying: VecDeque<InFlight> = VecDeque::with_capacity(IN_FLIGHT_MAX);
        let mut group: Option<Group> = None;
        let mut waiting: Option<Block> = None;
        let mut open = true;
        while open || group.is_some() || !flying.is_empty() {
            let room =
                Arc::clone(&self.room).acquire_many_owned(group.as_ref().map_or(0, Group::kib));
            tokio::select! {
                answer = landing(&mut flying), if !flying.is_empty() => {
                    if let Some(flight) = flying.pop_front() {
                        self.landed(flight, answer).await?;
                    }
                }
                room = room, if group.is_some() && flying.len() < IN_FLIGHT_MAX => {
                    let room = room.map_err(|_| Status::unavailable("the collector is stopping"))?;
                    if let Some(group) = group.take() {
                        flying.push_back(self.append(group, room));
                    }
                }
                next = next_block(&mut inbound, &mut waiting), if open && group.is_none() => match next? {
                    None => open = false,
                    Some(block) => group = self.group(block, &mut inbound, &mut waiting).await?,
                },
            }
        }
        Ok(())
    }

    /// The block and those behind it that are already here and of the same flow.
    async fn group(
        &mut self,
        block: Block,
        inbound: &mut Streaming<FromAgent>,
        waiting: &mut Option<Block>,
    ) -> Result<Option<Group>, Status> {
        let Some(slot) = self.admit(&block).await? else {
            return Ok(None);
        };
        let mut group = Group {
            slot,
            payload: block.payload.len(),
            blocks: vec![block],
        };
        while group.payload < GROUP_BYTES_MAX && group.blocks.len() < GROUP_BLOCKS_MAX {
            let Some(next) = waiting_block(inbound)? else {
                break;
            };
            let fits = self.slot_of(&next) == Some(slot)
                && group.payload + next.payload.len() <= GROUP_BYTES_MAX;
            if !fits {
                *waiting = Some(next);
                break;
            }
            if self.admit(&next).await?.is_none() {
                break;
            }
            group.payload += next.payload.len();
            group.blocks.push(next);
        }
        Ok(Some(group))
    }

    fn slot_of(&self, block: &Block) -> Option<usize> {
        self.flows.get(&block.header.as_ref()?.flow).copied()
    }

    /// Checks a block; `None` where it is passed over or was just refused.
    async fn admit(&mut self, block: &Block) -> Result<Option<usize>, Status> {
        let flow = block
            .header
            .as_ref()
            .map_or("", |header| header.flow.as_str());
        let Some(slot) = self.slot(flow) else {
            self.shared.metrics.refused("", "malformed");
            let reason = bad_name(flow);
            self.refuse(flow.to_owned(), RefusalCause::Malformed, reason)
                .await?;
            return Ok(None);
        };
        let state = &mut self.slots[slot];
        if state.refused {
            let first = block.header.as_ref().map(|header| header.first_sequence);
            if state.resume_at.is_none() || first != state.resume_at {
                return Ok(None);
            }
            state.refused = false;
            state.resume_at = None;
            state.generation += 1;
        }
        if let Err(reason) = check::check(block) {
            self.refuse_slot(slot, RefusalCause::Malformed, reason, None)
                .await?;
            return Ok(None);
        }
        Ok(Some(slot))
    }

    /// The flow's slot, made at its first block; `None` for a name that can't be one.
    fn slot(&mut self, flow: &str) -> Option<usize> {
        if let Some(slot) = self.flows.get(flow) {
            return Some(*slot);
        }
        if self.slots.len() >= FLOWS_MAX {
            return None;
        }
        let name = FlowName::new(&self.peer.site, flow)?;
        let metrics = self.shared.metrics.flow(&name);
        self.slots.push(Slot {
            name,
            metrics,
            refused: false,
            resume_at: None,
            generation: 0,
        });
        self.flows.insert(flow.to_owned(), self.slots.len() - 1);
        Some(self.slots.len() - 1)
    }

    fn append(&self, group: Group, room: OwnedSemaphorePermit) -> InFlight {
        let slot = &self.slots[group.slot];
        let headers = || {
            group
                .blocks
                .iter()
                .filter_map(|block| block.header.as_ref())
        };
        let last = headers().last();
        let (epoch, through) = last.map_or((0, 0), |last| {
            (last.epoch, last.first_sequence + u64::from(last.count) - 1)
        });
        InFlight {
            slot: group.slot,
            generation: slot.generation,
            epoch,
            first: headers().next().map_or(0, |first| first.first_sequence),
            through,
            events: headers().map(|header| u64::from(header.count)).sum(),
            blocks: group.blocks.len() as u64,
            payload: group.payload as u64,
            oldest_us: headers().next().map_or(0, |first| first.first_captured_us),
            receipt: self
                .shared
                .store
                .append(&self.peer.agent, &slot.name, group.blocks),
            _room: room,
        }
    }

    async fn landed(
        &mut self,
        flight: InFlight,
        answer: Option<Result<Held, AppendError>>,
    ) -> Result<(), Status> {
        let slot = &self.slots[flight.slot];
        match answer {
            None => Err(Status::unavailable(
                "the collector's store has ended; it is restarting",
            )),
            Some(Ok(held)) => {
                slot.metrics.events.inc_by(flight.events);
                slot.metrics.blocks.inc_by(flight.blocks);
                slot.metrics.bytes.inc_by(flight.payload);
                slot.metrics
                    .capture_to_log
                    .observe((now_us() - flight.oldest_us).max(0) as f64 / 1e6);
                let newer = held.epoch == flight.epoch && held.next_sequence.0 > flight.through;
                let through = if newer {
                    held.next_sequence.0 - 1
                } else {
                    flight.through
                };
                let ack = Ack {
                    flow: slot.name.flow().to_owned(),
                    epoch: flight.epoch,
                    through,
                };
                self.send(to_agent::Message::Ack(ack)).await
            }
            // What followed a refused append is refused too; the agent was told once.
            Some(Err(_)) if slot.refused || flight.generation != slot.generation => Ok(()),
            Some(Err(error)) => {
                let resume_at = matches!(error, AppendError::Failed(_)).then_some(flight.first);
                self.refuse_slot(flight.slot, cause_of(&error), error.to_string(), resume_at)
                    .await
            }
        }
    }

    async fn refuse_slot(
        &mut self,
        slot: usize,
        cause: RefusalCause,
        reason: String,
        resume_at: Option<u64>,
    ) -> Result<(), Status> {
        let slot = &mut self.slots[slot];
        slot.refused = true;
        slot.resume_at = resume_at;
        let (name, flow) = (slot.name.clone(), slot.name.flow().to_owned());
        self.shared.metrics.refused(name.as_str(), label(cause));
        tracing::error!(flow = %name, cause = label(cause), %reason, "blocks refused");
        self.refuse(flow, cause, reason).await
    }

    pub(super) async fn refuse(
        &self,
        flow: String,
        cause: RefusalCause,
        reason: String,
    ) -> Result<(), Status> {
        if matches!(cause, RefusalCause::NotOwner | RefusalCause::Malformed) {
            audit::refused(&self.shared, &self.peer.agent, &flow, &reason).await;
        }
        self.send(to_agent::Message::Refusal(Refusal {
            flow,
            cause: cause as i32,
            reason,
        }))
        .await
    }

    /// Waits while the agent takes nothing: it gets no more acks than it reads.
    pub(super) async fn send(&self, message: to_agent::Message) -> Result<(), Status> {
        let sent = self
            .down
            .send(Ok(ToAgent {
                message: Some(message),
            }))
            .await;
        sent.map_err(|_| Status::cancelled("the agent has gone"))
    }
}

/// Why a flow's name is refused.
pub(super) fn bad_name(flow: &str) -> String {
    format!(
        "\"{}\" cannot name a flow: use 1 to 63 of a-z, 0-9, - and _, without the site, and at most {FLOWS_MAX} flows; mend the agent's configuration",
        flow.chars().take(80).collect::<String>()
    )
}

/// The answer to the oldest append; never called without one.
async fn landing(flying: &mut VecDeque<InFlight>) -> Option<Result<Held, AppendError>> {
    match flying.front_mut() {
        Some(flight) => (&mut flight.receipt).await,
        None => std::future::pending().await,
    }
}

fn cause_of(error: &AppendError) -> RefusalCause {
    match error {
        AppendError::NotOwner { .. } => RefusalCause::NotOwner,
        AppendError::Gap { .. } => RefusalCause::Gap,
        AppendError::Forked { .. } => RefusalCause::Forked,
        AppendError::Failed(_) => RefusalCause::Store,
    }
}

fn label(cause: RefusalCause) -> &'static str {
    match cause {
        RefusalCause::Unspecified => "unspecified",
        RefusalCause::NotOwner => "not_owner",
        RefusalCause::Gap => "gap",
        RefusalCause::Forked => "forked",
        RefusalCause::Malformed => "malformed",
        RefusalCause::Store => "store",
    }
}
