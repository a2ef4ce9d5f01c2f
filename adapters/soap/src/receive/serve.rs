//! Serves connections, in a thread of its own.

use std::convert::Infallible;
use std::error::Error;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use dray_adapter::{CallOutcome, Calls};
use flate2::write::MultiGzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::exchange::{Answer, ENDED, Exchange, Message, UNKEPT, tell};
use super::noted::{UnderWay, note};
use super::tls::handshake;
use super::{Call, Dialect, LimitsConfig, Reply, Trouble};
use crate::content::{Collector, Content, Room};
use crate::fresh::Fresh;

/// How long a connection may wait for its next request, and that take to come: callers that keep connections use them more often.
const IDLE: Duration = Duration::from_secs(60);
/// How long connections may take to write what is answered when the endpoint is closed.
const ENDING: Duration = Duration::from_secs(1);
/// How long a caller may leave an answer unread.
const UNREAD: Duration = Duration::from_secs(60);
/// Bytes of a body that are unpacked at once.
const PIECE_BYTES: usize = 1024;
/// What is read of a body that is not taken, and for how long.
const LEFT_BYTES_MAX: usize = 128 * 1024 * 1024;
const LEFT_WITHIN: Duration = Duration::from_secs(2);
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
        let tls = settings.tls.clone();
        let span = tracing::Span::current();
        let serve = move || {
            let _flow = span.entered();
            runtime.block_on(async {
                tokio::spawn(async move {
                    while let Some(told) = answers.recv().await {
                        tell(told);
                    }
                });
                let connections = desk.limits.connections_max as u32;
                let seats = Arc::new(Semaphore::new(desk.limits.connections_max));
                let (end, ends) = watch::channel(());
                let is_ended = tokio::select! {
                    () = accept(listener, desk, tls, Arc::clone(&seats), ends) => false,
                    stopped = stopped => stopped.is_ok(),
                };
                // What was answered before is still written.
                drop(end);
                if is_ended {
                    let _ = timeout(ENDING, seats.acquire_many(connections)).await;
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

/// What all connections share.
pub(super) struct Desk {
    dialect: Arc<dyn Dialect>,
    exchange: Arc<Exchange>,
    calls: Arc<Calls>,
    limits: LimitsConfig,
    folder: Arc<PathBuf>,
    /// For what waits in files.
    room: Arc<Room>,
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

/// An answer, and whether the connection ends with it.
type Answered = (Reply, bool);

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

impl Desk {
    pub(super) fn new(
        settings: &Settings,
        dialect: Arc<dyn Dialect>,
        exchange: Arc<Exchange>,
        calls: Arc<Calls>,
    ) -> Self {
        Self {
            dialect,
            exchange,
            calls,
            room: Room::new(settings.limits.waiting_bytes_max.as_u64()),
            limits: settings.limits.clone(),
            folder: Arc::clone(&settings.folder),
        }
    }

    /// Answers one request, however its bytes come.
    pub(super) async fn answer(
        &self,
        request: Request<impl Body<Data = Bytes, Error: Error + 'static> + Unpin>,
        peer: IpAddr,
    ) -> Answered {
        let (parts, body) = request.into_parts();
        let call = UnderWay::new(&self.calls, peer);
        if let Some(page) = self.dialect.page(&parts) {
            match parts.method {
                Method::GET | Method::HEAD | Method::OPTIONS => call.forget(),
                _ => call.answered(&page),
            }
            return (page, false);
        }
        let answered = self.decide(parts, body).await;
        call.answered(&answered.0);
        answered
    }

    async fn decide(
        &self,
        parts: Parts,
        mut body: impl Body<Data = Bytes, Error: Error + 'static> + Unpin,
    ) -> Answered {
        if let Err(reply) = self.dialect.admit(&parts) {
            let is_whole = body.is_end_stream();
            pass_over(&parts, &mut body).await;
            return (reply, !is_whole);
        }
        let collected = timeout(self.limits.body_within, self.collect(&parts, &mut body)).await;
        let content = match collected.unwrap_or(Err(Trouble::Slow)) {
            Ok(content) => content,
            Err(trouble) => {
                let mut reply = self.dialect.trouble(&parts, trouble);
                if trouble == Trouble::Busy {
                    reply.reason = UNKEPT.into();
                }
                if !matches!(trouble, Trouble::Slow | Trouble::Broken | Trouble::Framing) {
                    pass_over(&parts, &mut body).await;
                }
                return (reply, true);
            }
        };
        let parts = Arc::new(parts);
        let (call, content) = match self.read(Arc::clone(&parts), content).await {
            Ok(read) => read,
            Err(reply) => return (reply, false),
        };
        (self.submit(&parts, call, content).await, false)
    }

    async fn collect(
        &self,
        parts: &Parts,
        body: &mut (impl Body<Data = Bytes, Error: Error + 'static> + Unpin),
    ) -> Result<Content, Trouble> {
        let bytes_max = self.limits.message_bytes_max.as_u64();
        if body.size_hint().lower() > bytes_max {
            return Err(Trouble::TooLarge);
        }
        let collector = Collector::new(bytes_max, Arc::clone(&self.folder)).within(&self.room);
        let mut unpacking = match parts
            .headers
            .get(CONTENT_ENCODING)
            .map(HeaderValue::as_bytes)
        {
            None | Some(b"identity") => Unpacking::None(collector),
            Some(coding) if is_gzip(coding) => {
                Unpacking::Gzip(Box::new(MultiGzDecoder::new(collector)))
            }
            Some(_) => return Err(Trouble::Packing),
        };
        let mut packed = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| cut(&error))?.into_data() else {
                continue;
            };
            packed += data.len() as u64;
            if packed > bytes_max {
                return Err(Trouble::TooLarge);
            }
            if matches!(unpacking, Unpacking::None(_)) {
                unpacking.push(&data)?;
                continue;
            }
            // A little may become much: others are served in between.
            let mut pieces = data.chunks(PIECE_BYTES).peekable();
            while let Some(piece) = pieces.next() {
                unpacking.push(piece)?;
                if pieces.peek().is_some() {
                    tokio::task::yield_now().await;
                }
            }
        }
        unpacking.finish()
    }

    /// What waits in a file is read by another thread, so that others are answered meanwhile.
    async fn read(
        &self,
        parts: Arc<Parts>,
        mut content: Content,
    ) -> Result<(Call, Content), Reply> {
        let now_us = jiff::Timestamp::now().as_microsecond();
        if let Content::Memory(_) = content {
            let call = self.dialect.read(&parts, &mut content, now_us)?;
            return Ok((call, content));
        }
        let dialect = Arc::clone(&self.dialect);
        let busy = self.dialect.trouble(&parts, Trouble::Busy);
        let read = tokio::task::spawn_blocking(move || {
            let call = dialect.read(&parts, &mut content, now_us)?;
            Ok((call, content))
        });
        read.await.unwrap_or(Err(busy))
    }

    async fn submit(&self, parts: &Parts, call: Call, content: Content) -> Reply {
        let (reply, answer) = oneshot::channel();
        let call = Arc::new(call);
        let message = Message {
            call: Arc::clone(&call),
            content,
            received_us: jiff::Timestamp::now().as_microsecond(),
            reply,
        };
        if let Err(reason) = self.exchange.submit(message) {
            return Reply {
                reason: reason.into(),
                ..self.dialect.trouble(parts, Trouble::Busy)
            };
        }
        let answer = match timeout(self.limits.answer_within, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::Later(ENDED),
            Err(_) => Answer::Later("it was not stored within limits.answer_within"),
        };
        self.dialect.reply(&call, &answer)
    }
}

/// Why no more of a body comes.
fn cut(error: &(dyn Error + 'static)) -> Trouble {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| matches!(io.kind(), InvalidData | InvalidInput)) {
            return Trouble::Framing;
        }
        cause = error.source();
    }
    Trouble::Broken
}

fn is_gzip(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")
}

/// Reads on for a moment, and keeps nothing: a caller who still sends would find the connection broken, and not the answer. Who asked
/// before sending has not sent.
async fn pass_over(
    parts: &Parts,
    body: &mut (impl Body<Data = Bytes, Error: Error + 'static> + Unpin),
) {
    if parts.headers.contains_key(EXPECT) {
        return;
    }
    let mut bytes = 0;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > LEFT_BYTES_MAX {
                return;
            }
        }
    };
    let _ = timeout(LEFT_WITHIN, read).await;
}

enum Unpacking {
    None(Collector),
    Gzip(Box<MultiGzDecoder<Collector>>),
}

impl Unpacking {
    fn push(&mut self, data: &[u8]) -> Result<(), Trouble> {
        match self {
            Self::None(collector) => collector.write_all(data).map_err(|error| trouble(&error)),
            Self::Gzip(gzip) => gzip.write_all(data).map_err(|error| trouble(&error)),
        }
    }

    fn finish(self) -> Result<Content, Trouble> {
        let collector = match self {
            Self::None(collector) => collector,
            Self::Gzip(gzip) => gzip.finish().map_err(|error| trouble(&error))?,
        };
        collector.finish().map_err(|error| trouble(&error))
    }
}

/// What went wrong while bytes were unpacked and kept.
fn trouble(error: &std::io::Error) -> Trouble {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::FileTooLarge => Trouble::TooLarge,
        // What is behind the end of what is packed is not taken: nothing more can be written.
        ErrorKind::InvalidInput
        | ErrorKind::InvalidData
        | ErrorKind::UnexpectedEof
        | ErrorKind::WriteZero => Trouble::Packing,
        _ => {
            debug!(%error, "a call could not be kept while it waits");
            Trouble::Busy
        }
    }
}
