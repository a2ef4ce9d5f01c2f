//! The front door: TCP and TLS connections for everything that gRPC serves.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dray_delivery::seldom::Seldom;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::core::{Shared, now_s};
use crate::identity::Peer;
use crate::refusal;
use crate::tls::Door;

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once; whoever comes next waits in the kernel's queue.
const HANDSHAKES_MAX: usize = 64;
/// Connections at once: the fleet that we plan for, with room for reconnects.
const CONNECTIONS_MAX: usize = 16_384;
/// Of them, those without a certificate: they have come to enrol, and that takes a moment.
const STRANGERS_MAX: usize = 256;
const STRANGER: Duration = Duration::from_secs(60);
/// How long sent bytes may stay unacknowledged before the kernel gives the link up.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait after `accept` failed, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the log says so.
const FAILURES_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Accepts until the collector stops; hands on what shook hands.
pub(crate) fn accept(
    listener: TcpListener,
    mut door: Door,
    shared: Arc<Shared>,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, connections) = mpsc::channel(1);
    let mut stopping = shared.stopping();
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
    let mut failures = Seldom::every(FAILURES_TOLD_EVERY);
    tokio::spawn(async move {
        loop {
            let next = async {
                let handshake = Arc::clone(&handshakes).acquire_owned().await;
                let seat = Arc::clone(&room).acquire_owned().await;
                (handshake, seat, listener.accept().await)
            };
            let (handshake, seat, accepted) = tokio::select! {
                next = next => next,
                () = stopping.wait() => return,
            };
            let (Ok(handshake), Ok(seat)) = (handshake, seat) else {
                return;
            };
            match accepted {
                Ok((stream, address)) => {
                    let (acceptor, sender) =
                        (door.acceptor(&shared.authority, now_s()), sender.clone());
                    let metrics = shared.metrics.clone();
                    let strangers = Arc::clone(&strangers);
                    tokio::spawn(async move {
                        let shaken = shake(stream, address, acceptor, seat, &strangers).await;
                        drop(handshake);
                        match shaken {
                            Ok(connection) => drop(sender.send(Ok(connection)).await),
                            Err(reason) => {
                                metrics.handshakes_failed.inc();
                                tracing::info!(%address, %reason, "a connection was refused");
                            }
                        }
                    });
                }
                Err(error) => {
                    if let Some(unsaid) = failures.happened(Instant::now()) {
                        tracing::warn!(%error, unsaid, "a connection could not be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    ReceiverStream::new(connections)
}

async fn shake(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    seat: OwnedSemaphorePermit,
    strangers: &Arc<Semaphore>,
) -> Result<Connection, String> {
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    socket2::SockRef::from(&stream)
        .set_tcp_user_timeout(Some(USER_TIMEOUT))
        .map_err(|error| error.to_string())?;
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream))
        .await
        .map_err(|_| format!("no TLS handshake within {} s", HANDSHAKE.as_secs()))?
        .map_err(|error| refusal::sentence(&error))?;
    let peer = match stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
    {
        None => Peer::Unknown,
        Some(certificate) => Peer::of_certificate(certificate)
            .ok_or("its certificate is of our CA but names neither an agent nor a reader")?,
    };
    let mut seats = vec![seat];
    let mut ends = None;
    if peer == Peer::Unknown {
        let seat = Arc::clone(strangers).try_acquire_owned();
        seats.push(seat.map_err(|_| {
            format!("{STRANGERS_MAX} clients without a certificate are connected already")
        })?);
        ends = Some(Box::pin(tokio::time::sleep(STRANGER)));
    }
    Ok(Connection {
        stream,
        from: Origin {
            peer,
            address: Some(address),
            uid: None,
        },
        ends,
        _seats: seats,
    })
}

/// Where a request comes from; stands in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) peer: Peer,
    pub(crate) address: Option<SocketAddr>,
    /// Of the process, where it came over the local socket.
    pub(crate) uid: Option<u32>,
}

/// A connection after its handshake.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    from: Origin,
    /// When a stranger's time is up.
    ends: Option<Pin<Box<Sleep>>>,
    _seats: Vec<OwnedSemaphorePermit>,
}

impl Connected for Connection {
    type ConnectInfo = Origin;

    fn connect_info(&self) -> Origin {
        self.from.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(ends) = &mut self.ends
            && ends.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
