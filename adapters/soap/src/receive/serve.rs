//! Serves connections, in a thread of its own.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use dray_adapter::{CallOutcome, Calls};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::crowd::Crowd;
use super::desk::{Answered, Desk};
use super::exchange::{Exchange, tell};
use super::noted::note;
use super::tls::handshake;
use super::{Dialect, LimitsConfig, Patience};
use crate::fresh::Fresh;

/// How long connections may take to write what is answered when the endpoint is closed.
const ENDING: Duration = Duration::from_secs(1);
/// Threads that read what waits in files, at most.
const READERS_MAX: usize = 8;
/// What the caller is told: after so many seconds there may be room again.
const COME_AGAIN_S: u64 = 5;

/// How an endpoint is served.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: LimitsConfig,
    pub(crate) tls: Option<Arc<Fresh<TlsAcceptor>>>,
    pub(crate) folder: Arc<PathBuf>,
    pub(crate) patience: Patience,
}

/// A thread that serves until it is ended, or dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens, and serves what comes.
    pub(crate) fn start(
        settings: &Settings,
        dialect: Arc<dyn Dialect>,
        exchange: Arc<Exchange>,
        calls: Arc<Calls>,
    ) -> Result<Self, String> {
        let listen = settings.listen;
        let listener = TcpListener::bind(listen).map_err(|error| {
            format!("{listen} can't be listened at: {error}; another program may use the port, or listen names an address that is not this machine's")
        })?;
        let address = listener.local_addr().unwrap_or(listen);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(READERS_MAX)
            .thread_name("dray-receive")
            .enable_all()
            .build()
            .map_err(|error| format!("no thread to serve {listen}: {error}"))?;
        let (stop, stopped) = oneshot::channel();
        let mut answers = exchange.answers();
        let desk = Arc::new(Desk::new(settings, dialect, exchange, calls));
        let line = Line {
            tls: settings.tls.clone(),
            patience: settings.patience,
            connections_max: settings.limits.connections_max,
            seats: Arc::new(Semaphore::new(settings.limits.connections_max)),
        };
        let span = tracing::Span::current();
        let serve = move || {
            let _flow = span.entered();
            runtime.block_on(async {
                tokio::spawn(async move {
                    while let Some(told) = answers.recv().await {
                        tell(told);
                    }
                });
                let (seats, connections) = (Arc::clone(&line.seats), line.connections_max);
                let (end, ends) = watch::channel(());
                let is_ended = tokio::select! {
                    () = accept(listener, desk, line, ends) => false,
                    stopped = stopped => stopped.is_ok(),
                };
                // What was answered before is still written.
                drop(end);
                if is_ended {
                    let _ = timeout(ENDING, seats.acquire_many(connections as u32)).await;
                }
            });
            // A call that is being read from its file is nobody's any more.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new()
            .name("dray-receive".into())
            .spawn(serve)
            .map_err(|error| format!("no thread to serve {listen}: {error}"))?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Server {
    /// Takes nothing more, and gives what is answered a moment to be written.
    pub(crate) fn end(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How connections are taken.
struct Line {
    tls: Option<Arc<Fresh<TlsAcceptor>>>,
    patience: Patience,
    connections_max: usize,
    /// One is taken by each connection.
    seats: Arc<Semaphore>,
}

impl Line {
    /// A seat for a caller who is there: where none is free he waits for one, and the next behind him in the kernel's queue.
    async fn seat(&self, crowd: &mut Crowd) -> Option<OwnedSemaphorePermit> {
        if let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() {
            crowd.found_one(self.seats.available_permits());
            return Some(seat);
        }
        if crowd.is_news() {
            warn!(
                connections = self.connections_max,
                "all connections of the endpoint are taken, and callers wait: look who keeps connections open without calling, or raise limits.connections_max"
            );
        }
        Arc::clone(&self.seats).acquire_owned().await.ok()
    }
}

/// `ends`: closed when nothing more is taken.
async fn accept(listener: TcpListener, desk: Arc<Desk>, line: Line, ends: watch::Receiver<()>) {
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener));
    let Ok(listener) = listener else {
        return;
    };
    let patience = line.patience;
    let mut crowd = Crowd::new(line.connections_max);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                // Out of descriptors, mostly: it passes when connections end.
                debug!(%error, "a connection was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(seat) = line.seat(&mut crowd).await else {
            return;
        };
        let _ = stream.set_nodelay(true);
        let _ = set_tcp_user_timeout(&stream, patience.unread.as_millis() as u32);
        let (desk, tls) = (Arc::clone(&desk), line.tls.as_ref().map(|tls| tls.get()));
        let ends = ends.clone();
        tokio::spawn(async move {
            let _seat = seat;
            match tls {
                None => connection(stream, peer, desk, patience, ends).await,
                Some(tls) => {
                    if let Some(stream) = handshake(stream, peer, &tls, &desk.calls).await {
                        connection(stream, peer, desk, patience, ends).await;
                    }
                }
            }
        });
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: IpAddr,
    desk: Arc<Desk>,
    patience: Patience,
    mut ends: watch::Receiver<()>,
) {
    let calls = Arc::clone(&desk.calls);
    let has_asked = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(response(desk.answer(request, peer).await)) }
    });
    let mut serving = pin!(
        http1::Builder::new()
            // Some end their side once they have sent their call: nc -N, or who writes HTTP by hand.
            .half_close(true)
            .timer(TokioTimer::new())
            .header_read_timeout(patience.idle)
            .serve_connection(TokioIo::new(stream), service)
    );
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = silence(&has_asked, patience.first) => {
            debug!(%peer, "a connection ended whose first request did not come");
            return;
        }
        // Nothing is ever sent: it closes.
        _ = ends.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    match served {
        Err(error) if error.is_parse() => {
            let reason = format!(
                "it is no request of HTTP/1.1: {error}; does the caller use TLS as the endpoint does?"
            );
            note(&calls, peer, CallOutcome::Refused, &reason);
        }
        Err(error) => debug!(%error, "a connection ended"),
        Ok(()) => {}
    }
}

/// Ends where nothing was asked within `first`.
async fn silence(has_asked: &AtomicBool, first: Duration) {
    tokio::time::sleep(first).await;
    if has_asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

pub(super) fn response((reply, ends): Answered) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or_default();
    let headers = response.headers_mut();
    if !reply.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    if reply.later {
        headers.insert(RETRY_AFTER, HeaderValue::from(COME_AGAIN_S));
    }
    if let Some(challenge) = reply.challenge {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if ends {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
