//! The uplink's other end: one stream an agent.
//!
//! Who may write is the certificate's word: the site that a flow belongs to is never the payload's.
//! One stream an agent is live: a second one of the same agent takes the first one's place, because
//! an agent that lost its network dials again while its old connection still looks alive from here.
//! What the old one left unanswered is stored or not; the agent sends it again and repeats are ignored.

mod check;
mod inbound;
mod pump;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dray_proto::FlowName;
use dray_proto::protocol::{self, PROTOCOL};
use dray_proto::v1::uplink_server::Uplink;
use dray_proto::v1::{
    FlowState, FromAgent, Held, Hello, RefusalCause, RenewReply, RenewRequest, ToAgent, Welcome,
    from_agent, to_agent,
};
use dray_store::StoreError;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use crate::audit;
use crate::core::{Shared, ask, now_s};
use crate::gaps::{self, Compared};
use crate::identity::{Peer, PeerIdentity};
use crate::incoming::Origin;
use crate::renew;
use pump::{Down, FLOWS_MAX, Pump};

pub(crate) use check::MESSAGE_BYTES_MAX;

/// How long an agent may take for its Hello.
const HELLO: Duration = Duration::from_secs(10);
/// Answers that the agent has not read.
const DOWN_MAX: usize = 256;
/// How often it is noted that a live agent is here.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// The service.
pub(crate) struct Ingest {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
}

impl Ingest {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            room: Arc::new(Semaphore::new(pump::HELD_KIB_MAX)),
        }
    }
}

#[tonic::async_trait]
impl Uplink for Ingest {
    type StreamStream = ReceiverStream<Result<ToAgent, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (peer, address) = agent(&self.shared, &request).await?;
        let (down, answers) = mpsc::channel(DOWN_MAX);
        let span = tracing::info_span!("uplink", site = %peer.site, agent = %peer.agent, address = address.map(tracing::field::display));
        let stream = Stream {
            shared: Arc::clone(&self.shared),
            room: Arc::clone(&self.room),
            peer,
            down: down.clone(),
        };
        let inbound = request.into_inner();
        tokio::spawn(
            async move {
                match stream.run(inbound).await {
                    Ok(()) => tracing::info!("the agent has gone"),
                    Err(status) => {
                        tracing::info!(code = ?status.code(), reason = status.message(), "the stream ended");
                        // Where the agent reads no longer, there is nobody to tell.
                        let _ = down.try_send(Err(status));
                    }
                }
            }
            .instrument(span),
        );
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        let (peer, _) = agent(&self.shared, &request).await?;
        let reply = renew::renew(&self.shared, &peer, &request.into_inner().csr).await?;
        Ok(Response::new(reply))
    }
}

/// What a stream is told when another one takes its seat.
const TAKEN_OVER: &str = "another stream of this agent has taken over, or it was asked to begin again. If this goes on, another machine \
                          runs with a copy of this agent's data_dir: stop one of them, and enrol it anew";
/// What is said here when that goes on.
const CONTESTED: &str = "it connects again and again while it is connected: two machines use its certificate. Stop the copy, and enrol it anew \
                         with an empty data_dir";

/// Who asks, by its certificate, and from where.
async fn agent<T>(
    shared: &Arc<Shared>,
    request: &Request<T>,
) -> Result<(PeerIdentity, Option<SocketAddr>), Status> {
    let origin = request.extensions().get::<Origin>().cloned();
    let Some(Origin {
        peer: Peer::Agent(peer),
        address,
        ..
    }) = origin
    else {
        return Err(Status::unauthenticated(
            "an agent's certificate is needed; \"dray-collector invite SITE\" and \"dray-agent enroll TOKEN\" make one",
        ));
    };
    if let Err(reason) = shared.allow.check(&peer) {
        tracing::info!(site = %peer.site, address = address.map(tracing::field::display), reason, "an agent is turned away");
        audit::refused(shared, &peer.agent, &peer.site, &reason).await;
        return Err(Status::permission_denied(reason));
    }
    Ok((peer, address))
}

/// One agent's stream.
struct Stream {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    peer: PeerIdentity,
    down: Down,
}

impl Stream {
    async fn run(self, mut inbound: Streaming<FromAgent>) -> Result<(), Status> {
        let hello = hello(&mut inbound).await?;
        let (names, bad): (Vec<_>, Vec<_>) = self
            .names(&hello)
            .into_iter()
            .partition(|(_, name)| name.is_some());
        let names: Vec<FlowName> = names.into_iter().filter_map(|(_, name)| name).collect();
        let mut seat = self.shared.uplinks.take(&self.peer.agent, names.clone());
        tracing::info!(version = %hello.version, flows = names.len(), "the agent is connected");
        if seat.is_contested() {
            tracing::error!(reason = CONTESTED, "an agent is connected twice");
            audit::refused(&self.shared, &self.peer.agent, &self.peer.site, CONTESTED).await;
        }
        self.shared
            .allow
            .saw(&self.peer.agent, Some(hello.version.clone()), now_s());

        let Self {
            shared,
            room,
            peer,
            down,
        } = self;
        let pump = Pump::new(Arc::clone(&shared), room, peer.clone(), down);
        let held = held(&shared, names, &hello)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        gaps::compare(&shared, &peer.agent, &held)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        pump.send(to_agent::Message::Welcome(welcome(&shared, held)))
            .await?;
        for (flow, _) in bad {
            let reason = pump::bad_name(&flow);
            tracing::error!(flow, reason, "a flow is refused");
            pump.refuse(flow, RefusalCause::Malformed, reason).await?;
        }
        let mut stopping = shared.stopping();
        let ended = tokio::select! {
            ended = pump.run(inbound) => ended,
            () = seat.replaced() => Err(Status::aborted(TAKEN_OVER)),
            reason = revoked(&shared, &peer) => {
                audit::note(&shared, &peer.agent, "cut off", &peer.site, &reason).await;
                Err(Status::permission_denied(reason))
            }
            () = stopping.wait() => Err(Status::unavailable("the collector is stopping")),
            never = keep_seen(&shared, &peer) => match never {},
        };
        shared.allow.saw(&peer.agent, None, now_s());
        ended
    }

    fn names(&self, hello: &Hello) -> Vec<(String, Option<FlowName>)> {
        let name = |flow: &String| (flow.clone(), FlowName::new(&self.peer.site, flow));
        hello.flows.iter().map(|state| name(&state.flow)).collect()
    }
}

async fn hello(inbound: &mut Streaming<FromAgent>) -> Result<Hello, Status> {
    let first = tokio::time::timeout(HELLO, inbound.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("no Hello within 10 s"))??;
    let Some(from_agent::Message::Hello(hello)) = first.and_then(|first| first.message) else {
        return Err(Status::invalid_argument("a stream begins with a Hello"));
    };
    if let Some(reason) = protocol::mismatch(hello.protocol, PROTOCOL) {
        return Err(Status::failed_precondition(reason));
    }
    if hello.flows.len() > FLOWS_MAX {
        return Err(Status::invalid_argument(format!(
            "{} flows; an agent may have {FLOWS_MAX}",
            hello.flows.len()
        )));
    }
    Ok(hello)
}

/// What the log holds of the Hello's flows.
async fn held(
    shared: &Shared,
    names: Vec<FlowName>,
    hello: &Hello,
) -> Result<Vec<Compared>, StoreError> {
    let states = names.into_iter().filter_map(|name| {
        let state = hello.flows.iter().find(|state| state.flow == name.flow());
        state.map(|state| (name, state.clone()))
    });
    let (states, epoch) = (states.collect::<Vec<_>>(), hello.epoch);
    ask(&shared.store, move |store| {
        let held = |(flow, state): (FlowName, FlowState)| {
            Ok(Compared {
                held: store.held(&flow),
                knows_epoch: store.knows_epoch(&flow, epoch)?,
                knows_earlier: store.knows_epoch(&flow, state.after_epoch)?,
                flow,
                epoch,
                state,
            })
        };
        states.into_iter().map(held).collect()
    })
    .await
}

fn welcome(shared: &Shared, compared: Vec<Compared>) -> Welcome {
    let of = |compared: Compared| Held {
        lacks_earlier: compared.earlier().is_some(),
        flow: compared.flow.flow().to_owned(),
        epoch: compared.held.epoch,
        next_sequence: compared.held.next_sequence.0.max(1),
        chain: compared.held.chain,
        position: compared.held.position,
        knows_epoch: compared.knows_epoch,
    };
    Welcome {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: shared.store.incarnation(),
        flows: compared.into_iter().map(of).collect(),
    }
}

/// Returns the reason once the agent may no longer be connected.
async fn revoked(shared: &Shared, peer: &PeerIdentity) -> String {
    let mut changes = shared.allow.changes();
    loop {
        if let Err(reason) = shared.allow.check(peer) {
            return reason;
        }
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

async fn keep_seen(shared: &Shared, peer: &PeerIdentity) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(SEEN_EVERY).await;
        shared.allow.saw(&peer.agent, None, now_s());
    }
}
