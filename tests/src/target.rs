//! The ERP's side: an HTTP server that keeps what arrives, and can misbehave on request.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::drops::now_us;
use crate::verdict::Arrival;

/// How the target answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// 200 to everything.
    Accept,
    /// 422 to a request that holds this key; 200 to others.
    RejectKey(String),
    /// 503 to everything.
    Unavailable,
    /// Takes the request and never answers.
    Hang,
    /// 200 with a body that trickles for ever.
    SlowBody,
    /// 302 to elsewhere.
    Redirect,
    /// Bytes that are not HTTP.
    Garbage,
    /// Closes the connection instead of answering, after taking in what came.
    Reset,
}

/// What the target knows.
#[derive(Debug, Default)]
struct Kept {
    arrivals: Vec<Arrival>,
    documents: HashMap<String, Value>,
    /// Microseconds from the time in a document's reference to its arrival.
    latencies_us: Vec<u64>,
    requests: u64,
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    kept: Mutex<Kept>,
    changed: Condvar,
    events: AtomicU64,
    keep_documents: bool,
    reference_is_time: AtomicBool,
}

/// A running target. It ends with its value.
#[derive(Debug)]
pub struct Target {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Target {
    /// Listens on a free port of the loopback. `keep_documents`: keep each document whole.
    ///
    /// # Errors
    /// Those of the network.
    pub fn start(keep_documents: bool) -> anyhow::Result<Self> {
        Self::start_at("127.0.0.1:0".parse()?, keep_documents)
    }

    /// The same, at a given address: to come back where an earlier one was.
    ///
    /// # Errors
    /// Those of the network.
    pub fn start_at(address: SocketAddr, keep_documents: bool) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Accept),
            kept: Mutex::default(),
            changed: Condvar::new(),
            events: AtomicU64::new(0),
            keep_documents,
            reference_is_time: AtomicBool::new(false),
        });
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("target".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime needs only memory and descriptors");
                runtime.block_on(async {
                    tokio::select! {
                        () = serve(listener, served) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a collector's configuration calls it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// From now on it answers like this.
    pub fn behave(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
    }

    /// Measure from the microseconds that each document's `reference` holds.
    pub fn reference_is_time(&self) {
        self.shared.reference_is_time.store(true, Ordering::Relaxed);
    }

    /// Events accepted so far, repeats counted.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.shared.events.load(Ordering::Relaxed)
    }

    /// Requests seen so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        lock(&self.shared.kept).requests
    }

    /// All accepted events in the order in which they came.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.shared.kept).arrivals.clone()
    }

    /// A document, by the record's number at the source.
    #[must_use]
    pub fn document(&self, number: &str) -> Option<Value> {
        lock(&self.shared.kept).documents.get(number).cloned()
    }

    /// Measured latencies in microseconds, unsorted.
    #[must_use]
    pub fn latencies_us(&self) -> Vec<u64> {
        lock(&self.shared.kept).latencies_us.clone()
    }

    /// Waits until `enough(events accepted)`; false when `limit` passes first.
    pub fn wait(&self, limit: Duration, enough: impl Fn(u64) -> bool) -> bool {
        self.wait_on(limit, |_| enough(self.events()))
    }

    /// Waits until so many requests were seen, answered or not.
    pub fn wait_requests(&self, limit: Duration, requests: u64) -> bool {
        self.wait_on(limit, |kept| kept.requests >= requests)
    }

    fn wait_on(&self, limit: Duration, enough: impl Fn(&Kept) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut kept = lock(&self.shared.kept);
        while !enough(&kept) {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            kept = self
                .shared
                .changed
                .wait_timeout(kept, left)
                .expect("nobody panics holding it")
                .0;
        }
        true
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics holding it")
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a bound listener");
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if *lock(&shared.manner) == Manner::Garbage {
                let _ = stream.writable().await;
                let _ = stream.try_write(b"\x15\x03\x01 this is no HTTP\r\n\r\n");
                note_request(&shared);
                return;
            }
            let service = service_fn(|request| answer(request, Arc::clone(&shared)));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// A body that is whole at once, or never ends.
type Body = http_body_util::Either<Full<Bytes>, Endless>;

/// A body that gives one byte and then waits for ever.
#[derive(Debug, Default)]
pub struct Endless {
    begun: bool,
}

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        if self.begun {
            return std::task::Poll::Pending;
        }
        self.begun = true;
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(b"{")))))
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Body>, std::io::Error> {
    let bytes = request
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let manner = lock(&shared.manner).clone();
    let status = match manner {
        Manner::Accept => take(&shared, &bytes, None),
        Manner::RejectKey(key) => take(&shared, &bytes, Some(&key)),
        Manner::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Manner::Redirect => StatusCode::FOUND,
        Manner::Hang => {
            note_request(&shared);
            std::future::pending().await
        }
        Manner::SlowBody => {
            note_request(&shared);
            return Ok(Response::new(Body::Right(Endless::default())));
        }
        Manner::Reset | Manner::Garbage => {
            note_request(&shared);
            return Err(std::io::Error::other("closed on purpose"));
        }
    };
    note_request(&shared);
    let reply = if status == StatusCode::UNPROCESSABLE_ENTITY {
        "{\"error\":\"unknown item\"}"
    } else {
        "{}"
    };
    let mut response = Response::new(Body::Left(Full::from(reply)));
    *response.status_mut() = status;
    if status == StatusCode::FOUND {
        response.headers_mut().insert(
            "location",
            hyper::header::HeaderValue::from_static("http://127.0.0.1:9/"),
        );
    }
    Ok(response)
}

fn note_request(shared: &Shared) {
    lock(&shared.kept).requests += 1;
    shared.changed.notify_all();
}

/// What is looked at of a document. The rest is passed over: a target must not be what a figure measures.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    id: Value,
    key: Value,
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    reference: Value,
    movement_number: Value,
    shipment_number: Value,
}

/// One document, or many.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<Vec<T>> {
    if bytes.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(bytes)
    } else {
        serde_json::from_slice(bytes).map(|document| vec![document])
    }
}

/// Takes a request whole or not at all.
fn take(shared: &Shared, bytes: &[u8], reject: Option<&str>) -> StatusCode {
    let now = now_us();
    let Ok(documents) = parse::<Document>(bytes) else {
        return StatusCode::BAD_REQUEST;
    };
    if documents
        .iter()
        .any(|document| reject.is_some_and(|key| document.key == key))
    {
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    let whole = if shared.keep_documents {
        parse::<Value>(bytes).unwrap_or_default()
    } else {
        Vec::new()
    };
    let mut whole = whole.into_iter();
    let mut kept = lock(&shared.kept);
    for Document { id, key, data } in documents {
        let text = |value: Value| match value {
            Value::String(text) => text,
            _ => String::new(),
        };
        let order = text(data.reference).parse().unwrap_or(0);
        if shared.reference_is_time.load(Ordering::Relaxed) {
            kept.latencies_us.push(now.saturating_sub(order));
        }
        let number = if data.movement_number.is_string() {
            text(data.movement_number)
        } else {
            text(data.shipment_number)
        };
        if let Some(document) = whole.next() {
            kept.documents.insert(number.clone(), document);
        }
        kept.arrivals.push(Arrival {
            id: text(id),
            key: text(key),
            number,
            order,
        });
        shared.events.fetch_add(1, Ordering::Relaxed);
    }
    StatusCode::OK
}
