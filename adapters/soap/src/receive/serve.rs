//! Serves connections, in a thread of its own.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
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
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::desk::{Answered, Desk};
use super::exchange::{Exchange, tell};
use super::noted::note;
use super::tls::handshake;
use super::{Dialect, LimitsConfig};
use crate::fresh::Fresh;

/// How long a connection may wait for its next request, and that take to come: callers that keep connections use them more often.
const IDLE: Duration = Duration::from_secs(60);
/// How long connections may take to write what is answered when the endpoint is closed.
const ENDING: Duration = Duration::from_secs(1);
/// How long a caller may leave an answer unread.
const UNREAD: Duration = Duration::from_secs(60);
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
        let (tls, connections) = (settings.tls.clone(), settings.limits.connections_max);
        let span = tracing::Span::current();
        let serve = move || {
            let _flow = span.entered();
            runtime.block_on(async {
                tokio::spawn(async move {
                    while let Some(told) = answers.recv().await {
                        tell(told);
                    }
                });
                let seats = Arc::new(Semaphore::new(connections));
                let (end, ends) = watch::channel(());
                let is_ended = tokio::select! {
                    () = accept(listener, desk, tls, Arc::clone(&seats), ends) => false,
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

/// `ends`: closed when nothing more is taken.
async fn accept(
    listener: TcpListener,
    desk: Arc<Desk>,
    tls: Option<Arc<Fresh<TlsAcceptor>>>,
    seats: Arc<Semaphore>,
    ends: watch::Receiver<()>,
) {
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener));
    let Ok(listener) = listener else {
        return;
    };
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                // Out of descriptors, mostly: it passes when connections end.
                debug!(%error, "a connection was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let _ = set_tcp_user_timeout(&stream, UNREAD.as_millis() as u32);
        let (desk, tls) = (Arc::clone(&desk), tls.as_ref().map(|tls| tls.get()));
        let ends = ends.clone();
        tokio::spawn(async move {
            let _seat = seat;
            match tls {
                None => connection(stream, peer, desk, ends).await,
                Some(tls) => {
                    if let Some(stream) = handshake(stream, peer, &tls, &desk.calls).await {
                        connection(stream, peer, desk, ends).await;
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
    mut ends: watch::Receiver<()>,
) {
    let calls = Arc::clone(&desk.calls);
    let service = service_fn(move |request: Request<Incoming>| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(response(desk.answer(request, peer).await)) }
    });
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .serve_connection(TokioIo::new(stream), service)
    );
    let served = tokio::select! {
        served = serving.as_mut() => served,
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
