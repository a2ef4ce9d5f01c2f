//! Serves connections, in a thread of its own.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use flate2::write::GzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::exchange::{Answer, Exchange, Message};
use super::{Call, Dialect, LimitsConfig, Reply, Trouble};
use crate::content::{Collector, Content};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may wait for its next request, and that take to come: callers that keep connections use them more often.
const IDLE: Duration = Duration::from_secs(60);
/// What the caller is told: after so many seconds there may be room again.
const COME_AGAIN_S: u64 = 5;

/// How an endpoint is served.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: LimitsConfig,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) folder: Arc<PathBuf>,
}

/// A thread that serves until it is dropped.
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
    ) -> Result<Self, String> {
        let listen = settings.listen;
        let listener = TcpListener::bind(listen).map_err(|error| {
            format!("{listen} can't be listened at: {error}; another program may use the port, or listen names an address that is not this machine's")
        })?;
        let address = listener.local_addr().unwrap_or(listen);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("no thread to serve {listen}: {error}"))?;
        let (stop, stopped) = oneshot::channel();
        let desk = Arc::new(Desk {
            dialect,
            exchange,
            limits: settings.limits.clone(),
            folder: Arc::clone(&settings.folder),
        });
        let tls = settings.tls.clone();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, desk, tls) => {}
                    _ = stopped => {}
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

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What all connections share.
struct Desk {
    dialect: Arc<dyn Dialect>,
    exchange: Arc<Exchange>,
    limits: LimitsConfig,
    folder: Arc<PathBuf>,
}

async fn accept(listener: TcpListener, desk: Arc<Desk>, tls: Option<TlsAcceptor>) {
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener));
    let Ok(listener) = listener else {
        return;
    };
    let room = Arc::new(Semaphore::new(desk.limits.connections_max));
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, mostly: it passes when connections end.
                debug!(%error, "a connection was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (desk, tls) = (Arc::clone(&desk), tls.clone());
        tokio::spawn(async move {
            let _seat = seat;
            match tls {
                None => connection(stream, desk).await,
                Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, desk).await,
                    Ok(Err(error)) => debug!(%error, "a connection's handshake failed"),
                    Err(_) => debug!("a connection's handshake took too long"),
                },
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, desk: Arc<Desk>) {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(response(desk.answer(request).await)) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection ended");
    }
}

/// An answer, and whether the connection ends with it.
type Answered = (Reply, bool);

fn response((reply, ends): Answered) -> Response<Full<Bytes>> {
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
    async fn answer(&self, request: Request<Incoming>) -> Answered {
        let (parts, body) = request.into_parts();
        if let Some(page) = self.dialect.page(&parts) {
            return (page, false);
        }
        // What is left of a body is not read: the connection ends.
        if let Err(reply) = self.dialect.admit(&parts) {
            return (reply, !body.is_end_stream());
        }
        let collected = timeout(self.limits.body_within, self.collect(&parts, body)).await;
        let content = match collected.unwrap_or(Err(Trouble::Slow)) {
            Ok(content) => content,
            Err(trouble) => return (self.dialect.trouble(&parts, trouble), true),
        };
        let (call, content) = match self.read(parts.clone(), content).await {
            Ok(read) => read,
            Err(reply) => return (reply, false),
        };
        (self.submit(&parts, call, content).await, false)
    }

    async fn collect(&self, parts: &Parts, mut body: Incoming) -> Result<Content, Trouble> {
        let bytes_max = self.limits.message_bytes_max.as_u64();
        if body.size_hint().lower() > bytes_max {
            return Err(Trouble::TooLarge);
        }
        let collector = Collector::new(bytes_max, Arc::clone(&self.folder));
        let mut unpacking = match parts
            .headers
            .get(CONTENT_ENCODING)
            .map(HeaderValue::as_bytes)
        {
            None | Some(b"identity") => Unpacking::None(collector),
            Some(b"gzip" | b"x-gzip") => Unpacking::Gzip(Box::new(GzDecoder::new(collector))),
            Some(_) => return Err(Trouble::Packing),
        };
        let mut packed = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Trouble::Slow)?.into_data() else {
                continue;
            };
            packed += data.len() as u64;
            if packed > bytes_max {
                return Err(Trouble::TooLarge);
            }
            unpacking.push(&data)?;
        }
        unpacking.finish()
    }

    /// Long ones are read elsewhere, so that others are answered meanwhile.
    async fn read(&self, parts: Parts, mut content: Content) -> Result<(Call, Content), Reply> {
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
        let message = Message {
            call: call.clone(),
            content,
            received_us: jiff::Timestamp::now().as_microsecond(),
            reply,
        };
        if !self.exchange.submit(message) {
            return self.dialect.trouble(parts, Trouble::Busy);
        }
        let answer = match timeout(self.limits.answer_within, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Answer::Later,
        };
        self.dialect.reply(&call, &answer)
    }
}

enum Unpacking {
    None(Collector),
    Gzip(Box<GzDecoder<Collector>>),
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
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            Trouble::Packing
        }
        _ => {
            tracing::warn!(%error, "a call could not be kept while it waits; its caller is to come again");
            Trouble::Busy
        }
    }
}
