//! The ERP's side: a real HTTP server that keeps what it accepts and answers as its script says.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A request as the script sees it.
pub struct Ask {
    /// From 0.
    pub number: usize,
    pub method: Method,
    /// With its query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub events: Vec<Value>,
}

impl Ask {
    pub fn has_key(&self, key: &str) -> bool {
        self.events.iter().any(|event| event["key"] == key)
    }
}

/// What the ERP does.
pub enum Reply {
    /// Takes the events where 2xx.
    Status(u16),
    /// The same, with a header and a body.
    With(u16, &'static str, String, String),
    /// The same, with these headers and a body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// The same, with these headers.
    Many(u16, Vec<(&'static str, String)>),
    /// The same as [`Self::Status`], once so many requests wait for it.
    Meet(u16, Arc<tokio::sync::Barrier>),
    /// Takes the events, and closes instead of answering.
    TakeAndReset,
    /// Takes the events, and never answers.
    TakeAndHang,
    /// Closes instead of answering.
    Reset,
    /// Never answers.
    Hang,
    /// 200 and a body that never ends.
    Trickle,
}

type Script = Box<dyn FnMut(&Ask) -> Reply + Send>;

/// One accepted event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub flow: String,
    pub key: String,
    pub offset: u64,
    pub id: String,
}

#[derive(Default)]
struct Kept {
    script: Option<Script>,
    arrivals: Vec<Arrival>,
    asks: Vec<Arc<Ask>>,
    live: usize,
    live_max: usize,
}

/// A running ERP; ends with its value.
pub struct Erp {
    pub address: SocketAddr,
    scheme: &'static str,
    shared: Arc<(Mutex<Kept>, watch::Sender<u64>)>,
    task: JoinHandle<()>,
}

impl Erp {
    /// Says 200 to everything.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address")).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        Self::serve(address, None).await
    }

    pub async fn serve(address: SocketAddr, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(address).expect("a free port");
        let listener = socket.listen(128).expect("a listener");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new((Mutex::new(Kept::default()), watch::Sender::new(0)));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Self {
            address,
            scheme,
            shared,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("{}://{}/events", self.scheme, self.address)
    }

    /// From now on it answers like this.
    pub fn script(&self, script: impl FnMut(&Ask) -> Reply + Send + 'static) {
        self.kept().script = Some(Box::new(script));
    }

    pub fn kept_asks(&self) -> Vec<Arc<Ask>> {
        self.kept().asks.clone()
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.kept().arrivals.clone()
    }

    /// Offsets of a key in the order of arrival.
    pub fn offsets(&self, key: &str) -> Vec<u64> {
        self.arrivals()
            .iter()
            .filter(|arrival| arrival.key == key)
            .map(|arrival| arrival.offset)
            .collect()
    }

    /// Waits until this many requests came, answered or not.
    pub async fn wait_asks(&self, count: usize) {
        let mut changed = self.shared.1.subscribe();
        let waiting = async {
            while self.kept().asks.len() < count {
                changed.changed().await.expect("it lives as long as this");
            }
        };
        tokio::time::timeout(super::LIMIT, waiting)
            .await
            .expect("requests come");
    }

    /// The most requests that were in flight at once.
    pub fn live_max(&self) -> usize {
        self.kept().live_max
    }

    /// "POST /items", in order of arrival.
    pub fn lines(&self) -> Vec<String> {
        let asks = self.kept_asks();
        asks.iter()
            .map(|ask| format!("{} {}", ask.method, ask.path))
            .collect()
    }

    /// Waits until this many events were taken, repeats counted.
    pub async fn wait_arrivals(&self, count: usize) {
        let mut changed = self.shared.1.subscribe();
        let waiting = async {
            while self.kept().arrivals.len() < count {
                changed.changed().await.expect("it lives as long as this");
            }
        };
        let waited = tokio::time::timeout(super::LIMIT, waiting).await;
        waited.unwrap_or_else(|_| panic!("{} of {count} came", self.kept().arrivals.len()));
    }

    /// No event came after a later one of its key; returns how many different ones came.
    pub fn check_order(&self) -> usize {
        let mut newest: HashMap<(String, String), u64> = HashMap::new();
        let mut ids = HashMap::new();
        for arrival in self.arrivals() {
            let newest = newest
                .entry((arrival.flow.clone(), arrival.key.clone()))
                .or_default();
            assert!(
                arrival.offset >= *newest,
                "{arrival:?} came after offset {newest}"
            );
            *newest = arrival.offset;
            let place = (arrival.flow, arrival.offset);
            let id = ids.entry(place).or_insert_with(|| arrival.id.clone());
            assert_eq!(*id, arrival.id, "the same event came with another id");
        }
        ids.len()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.0.lock().expect("nobody panics holding it")
    }
}

impl Drop for Erp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = Arc<(Mutex<Kept>, watch::Sender<u64>)>;

async fn accept(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>, shared: Shared) {
    // Ends with this task, so that a stopped ERP leaves no connection open.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        connections.spawn(async move {
            match tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        talk(stream, shared).await;
                    }
                }
                None => talk(stream, shared).await,
            }
        });
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Shared) {
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A body that gives one byte and then waits for ever.
#[derive(Default)]
pub struct Endless {
    begun: bool,
}

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.begun, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{")))))
    }
}

/// A request that is answered, or given up.
struct Ended(Shared);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.0.lock().expect("nobody panics holding it").live -= 1;
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Shared,
) -> Result<Response<Either<Full<Bytes>, Endless>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let events = if body.is_empty() {
        Vec::new()
    } else {
        match serde_json::from_slice(&body) {
            Ok(Value::Array(events)) => events,
            Ok(event) => vec![event],
            Err(_) => Vec::new(),
        }
    };
    let _ended = Ended(Arc::clone(&shared));
    let reply = {
        let mut kept = shared.0.lock().expect("nobody panics holding it");
        let ask = Arc::new(Ask {
            number: kept.asks.len(),
            method: parts.method,
            path: parts
                .uri
                .path_and_query()
                .map_or(String::new(), ToString::to_string),
            headers: parts.headers,
            body,
            events,
        });
        kept.live += 1;
        kept.live_max = kept.live_max.max(kept.live);
        kept.asks.push(Arc::clone(&ask));
        let reply = kept
            .script
            .as_mut()
            .map_or(Reply::Status(200), |script| script(&ask));
        let takes = match &reply {
            Reply::Status(status)
            | Reply::With(status, ..)
            | Reply::Whole(status, ..)
            | Reply::Many(status, _)
            | Reply::Meet(status, _) => (200..300).contains(status),
            Reply::TakeAndReset | Reply::TakeAndHang => true,
            Reply::Reset | Reply::Hang | Reply::Trickle => false,
        };
        if takes {
            kept.arrivals.extend(ask.events.iter().map(arrival));
        }
        reply
    };
    shared.1.send_modify(|version| *version += 1);
    let (status, headers, body) = match reply {
        Reply::Status(status) => (status, Vec::new(), "{}".to_owned()),
        Reply::With(status, name, value, body) => (status, vec![(name, value)], body),
        Reply::Whole(status, headers, body) => (status, headers, body),
        Reply::Many(status, headers) => (status, headers, String::new()),
        Reply::Meet(status, barrier) => {
            barrier.wait().await;
            (status, Vec::new(), String::new())
        }
        Reply::Trickle => return Ok(Response::new(Either::Right(Endless::default()))),
        Reply::Hang | Reply::TakeAndHang => std::future::pending().await,
        Reply::TakeAndReset | Reply::Reset => {
            return Err(std::io::Error::other("closed on purpose"));
        }
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response
        .body(Either::Left(Full::from(body)))
        .expect("a response"))
}

fn arrival(event: &Value) -> Arrival {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    Arrival {
        flow: format!("{}/{}", text("site"), text("flow")),
        key: text("key"),
        offset: event["offset"].as_u64().unwrap_or(0),
        id: text("id"),
    }
}
