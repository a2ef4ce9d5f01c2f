//! A target for the bench: it counts ids and looks at nothing else, so that the figures are dray's.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use tokio::net::TcpListener;

/// What arrived. An id is a unit's scope, an ordinal and an output: see `dray_proto::EventId`.
#[derive(Debug, Default)]
pub struct Counts {
    /// Different ids.
    pub events: u64,
    /// Ids that came again.
    pub repeats: u64,
    /// Ids whose ordinal is below one that came before from the same unit *and* that were not
    /// repeats: not an error, as keys differ; it shows how far lanes let events overtake.
    pub overtaken: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
    /// Of so many requests one is taken, the others are refused with 422; 0: all are taken.
    pub taken_of: u64,
    units: HashMap<[u8; 10], Unit>,
}

#[derive(Debug, Default)]
struct Unit {
    seen: Vec<u64>,
    newest: u64,
}

impl Counts {
    fn note(&mut self, id: &[u8; 16]) {
        let mut scope = [0; 10];
        scope.copy_from_slice(&id[..10]);
        let ordinal = id[10..15]
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte));
        let unit = self.units.entry(scope).or_default();
        let (word, bit) = ((ordinal / 64) as usize, 1 << (ordinal % 64));
        if unit.seen.len() <= word {
            unit.seen.resize(word + 1, 0);
        }
        if unit.seen[word] & bit != 0 {
            self.repeats += 1;
            return;
        }
        unit.seen[word] |= bit;
        self.events += 1;
        if ordinal < unit.newest {
            self.overtaken += 1;
        }
        unit.newest = unit.newest.max(ordinal);
    }

    /// Whether the request is taken.
    fn take(&mut self, body: &[u8], finder: &Finder<'_>) -> bool {
        self.requests += 1;
        if self.taken_of > 0 && !self.requests.is_multiple_of(self.taken_of) {
            return false;
        }
        self.bytes += body.len() as u64;
        for at in finder.find_iter(body) {
            let text = body.get(at + 6..at + 38);
            let mut id = [0; 16];
            if text.is_some_and(|text| hex::decode_to_slice(text, &mut id).is_ok()) {
                self.note(&id);
            }
        }
        true
    }
}

/// A running counter.
#[derive(Debug)]
pub struct Counter {
    address: SocketAddr,
    counts: Arc<(Mutex<Counts>, Condvar)>,
}

impl Counter {
    /// Listens on a free port of the loopback until the program ends.
    ///
    /// # Errors
    /// Those of the network.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// The same, at a given address: where a target was named before it was there.
    ///
    /// # Errors
    /// Those of the network.
    pub fn start_at(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let counts = Arc::new((Mutex::new(Counts::default()), Condvar::new()));
        let shared = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("counter".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime
                    .expect("a runtime needs only memory and descriptors")
                    .block_on(serve(listener, shared));
            })?;
        Ok(Self { address, counts })
    }

    /// What a collector's configuration calls it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Waits until so many different events arrived; the number that did.
    #[must_use]
    pub fn wait(&self, events: u64, limit: Duration) -> u64 {
        let end = Instant::now() + limit;
        let mut counts = self.counts.0.lock().expect("nobody panics holding it");
        while counts.events < events {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                break;
            };
            counts = self
                .counts
                .1
                .wait_timeout(counts, left)
                .expect("nobody panics holding it")
                .0;
        }
        counts.events
    }

    /// From now on one request of so many is taken, and the others are refused.
    pub fn take_one_of(&self, requests: u64) {
        let mut counts = self.counts.0.lock().expect("nobody panics holding it");
        counts.taken_of = requests;
    }

    /// Looks at the counts.
    pub fn with<T>(&self, look: impl FnOnce(&Counts) -> T) -> T {
        look(&self.counts.0.lock().expect("nobody panics holding it"))
    }
}

async fn serve(listener: std::net::TcpListener, counts: Arc<(Mutex<Counts>, Condvar)>) {
    let listener = TcpListener::from_std(listener).expect("a bound listener");
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&counts)));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    counts: Arc<(Mutex<Counts>, Condvar)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    match request.into_body().collect().await {
        Ok(body) => {
            let finder = Finder::new(b"\"id\":\"");
            let body = body.to_bytes();
            let taken = {
                let mut counts = counts.0.lock().expect("nobody panics holding it");
                counts.take(&body, &finder)
            };
            counts.1.notify_all();
            if !taken {
                *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            }
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}
