//! `Feed.Subscribe`: the normalised stream for central teams, and for `dray-collector tail`.
//!
//! Readers show a certificate for `spiffe://dray/reader/NAME`, or come over the local socket. A
//! durable consumer's cursor goes by the consumer's name; a reader may use its own name and names
//! that begin with it and "-", so that no team moves another's cursor. A second subscription of a
//! consumer takes the first one's place.
//!
//! One message holds one block's chosen events: at most 1,000, and 128 KiB unless a single event is
//! larger (up to 16 MiB: raise the client's limit for messages).

mod progress;
mod scan;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use dray_proto::v1::feed_server::Feed;
use dray_proto::v1::{FromReader, Subscribe, ToReader, from_reader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use crate::core::Shared;
use crate::identity::Peer;
use crate::incoming::Origin;
use subscription::Subscription;

pub(crate) use scan::{micros, timestamp};

/// Subscriptions at once.
const READERS_MAX: usize = 256;
/// How long a reader may take to say what it wants.
const SUBSCRIBE: Duration = Duration::from_secs(10);
/// Messages that the reader has not read, besides those in HTTP/2's window.
const DOWN_MAX: usize = 4;

/// The service.
pub(crate) struct FeedService {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
}

impl FeedService {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            room: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }

    fn sit(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.room).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{READERS_MAX} readers are connected already; try again later"
            ))
        })
    }
}

#[tonic::async_trait]
impl Feed for FeedService {
    type SubscribeStream = ReceiverStream<Result<ToReader, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<FromReader>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let peer = request
            .extensions()
            .get::<Origin>()
            .map(|origin| origin.peer.clone());
        let peer = peer
            .filter(|peer| matches!(peer, Peer::Reader(_) | Peer::Local))
            .ok_or_else(|| {
                Status::unauthenticated(
                    "a reader's certificate is needed; \"dray-collector reader NAME\" makes one",
                )
            })?;
        let seat = self.sit()?;
        let (down, answers) = mpsc::channel(DOWN_MAX);
        let shared = Arc::clone(&self.shared);
        let span = tracing::info_span!("feed", reader = ?peer);
        let run = async move {
            let _seat = seat;
            if let Err(status) = serve(shared, peer, request.into_inner(), down.clone()).await {
                tracing::debug!(code = ?status.code(), reason = status.message(), "the subscription ended");
                let _ = down.send(Err(status)).await;
            }
        };
        tokio::spawn(run.instrument(span));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

async fn serve(
    shared: Arc<Shared>,
    peer: Peer,
    mut inbound: Streaming<FromReader>,
    down: mpsc::Sender<Result<ToReader, Status>>,
) -> Result<(), Status> {
    let subscribe = first(&mut inbound).await?;
    may_use(&peer, &subscribe.consumer)?;
    let mut seat = (!subscribe.consumer.is_empty())
        .then(|| shared.readers.take(&subscribe.consumer, Vec::new()));
    let mut stopping = shared.stopping();
    let subscription = Subscription::open(Arc::clone(&shared), subscribe, down).await?;
    let replaced = async {
        match &mut seat {
            Some(seat) => seat.replaced().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = subscription.run(&mut inbound) => ended,
        () = replaced => Err(Status::aborted("another subscription of this consumer has taken over")),
        () = stopping.wait() => Err(Status::unavailable("the collector is stopping")),
    }
}

async fn first(inbound: &mut Streaming<FromReader>) -> Result<Subscribe, Status> {
    let first = tokio::time::timeout(SUBSCRIBE, inbound.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("no Subscribe within 10 s"))??;
    match first.and_then(|first| first.message) {
        Some(from_reader::Message::Subscribe(subscribe)) => Ok(subscribe),
        _ => Err(Status::invalid_argument("a feed begins with a Subscribe")),
    }
}

fn may_use(peer: &Peer, consumer: &str) -> Result<(), Status> {
    if !consumer.is_empty() && !dray_proto::is_name(consumer) {
        return Err(Status::invalid_argument(format!(
            "\"{consumer}\" cannot name a consumer: use 1 to 63 of a-z, 0-9, - and _"
        )));
    }
    match peer {
        Peer::Reader(name) if !consumer.is_empty() => {
            let own = consumer.strip_prefix(name.as_str());
            if own.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
                return Ok(());
            }
            Err(Status::permission_denied(format!(
                "reader {name} may use the consumers \"{name}\" and \"{name}-...\""
            )))
        }
        _ => Ok(()),
    }
}
