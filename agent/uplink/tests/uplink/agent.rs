//! An agent's uplink over a buffer in memory, and what it told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use dray_buffer::conformance::{append, block};
use dray_buffer::{Buffer, MemoryBuffer, NewBlock, Sequence};
use dray_uplink::{
    CertificateState, Counters, FlowConfig, Identity, LinkState, Observer, Patience, Uplink,
    UplinkConfig,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::certificates::VALID;
use crate::collector::Collector;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Short waits, so that what never answers is found soon.
pub(crate) const SHORT: Patience = Patience {
    connect: Duration::from_millis(500),
    welcome: Duration::from_millis(500),
    retry_min: Duration::from_millis(10),
    retry_max: Duration::from_millis(100),
};

/// What the observer heard.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) links: Vec<LinkState>,
    pub(crate) positions: Vec<(String, Bytes)>,
    /// Flows that are stopped now, and why.
    pub(crate) stopped: HashMap<String, String>,
    /// Up to where the collector holds what goes on.
    pub(crate) held: HashMap<String, Bytes>,
    pub(crate) reopened: Vec<(String, Option<Bytes>)>,
    pub(crate) certificate: Vec<CertificateState>,
    /// Why the buffer was to be opened again, each time.
    pub(crate) buffer_reopens: Vec<String>,
}

impl Told {
    /// Why the collector was away, each time.
    pub(crate) fn away(&self) -> Vec<&str> {
        let why = |link| match link {
            &LinkState::Connected => None,
            LinkState::Disconnected(why) => Some(why.as_str()),
        };
        self.links.iter().filter_map(why).collect()
    }
}

struct Ear(watch::Sender<Told>);

impl Observer for Ear {
    fn acked(&self, flow: &str, position: Bytes) {
        let at = (flow.to_owned(), position);
        self.0.send_modify(|told| told.positions.push(at));
    }

    fn link(&self, state: LinkState) {
        self.0.send_modify(|told| told.links.push(state));
    }

    fn flow_stopped(&self, flow: &str, reason: &str) {
        let (flow, reason) = (flow.to_owned(), reason.to_owned());
        self.0
            .send_modify(|told| drop(told.stopped.insert(flow, reason)));
    }

    fn flow_goes_on(&self, flow: &str, position: Bytes) {
        self.0.send_modify(|told| {
            told.stopped.remove(flow);
            told.held.insert(flow.to_owned(), position);
        });
    }

    fn flow_reopens(&self, flow: &str, position: Option<Bytes>) {
        let flow = flow.to_owned();
        self.0
            .send_modify(|told| told.reopened.push((flow, position)));
    }

    fn buffer_reopens(&self, why: &str) {
        let why = why.to_owned();
        self.0.send_modify(|told| told.buffer_reopens.push(why));
    }

    fn certificate(&self, state: CertificateState) {
        self.0.send_modify(|told| told.certificate.push(state));
    }
}

pub(crate) struct Agent {
    pub(crate) told: watch::Receiver<Told>,
    pub(crate) counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Agent {
    /// Sends these flows, all of weight 1, to the collector.
    pub(crate) fn start(collector: &Collector, buffer: &Arc<MemoryBuffer>, flows: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = collector.ca.identity(folder.path(), VALID);
        Self::start_as(identity, &collector.address, buffer, flows)
    }

    pub(crate) fn start_as(
        identity: Identity,
        collector: &str,
        buffer: &Arc<MemoryBuffer>,
        flows: &[&str],
    ) -> Self {
        Self::start_waiting(identity, collector, buffer, flows, SHORT)
    }

    pub(crate) fn start_waiting(
        identity: Identity,
        collector: &str,
        buffer: &Arc<MemoryBuffer>,
        flows: &[&str],
        patience: Patience,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flow = |name: &&str| FlowConfig {
            name: (*name).into(),
            weight: 1,
        };
        let config = UplinkConfig {
            collector: collector.into(),
            identity,
            flows: flows.iter().map(flow).collect(),
            version: "test".into(),
            past: folder.path().join("past"),
        };
        let (ear, told) = watch::channel(Told::default());
        let (stop, stopped) = watch::channel(false);
        let uplink = Uplink::new(config, Arc::clone(buffer) as _, Arc::new(Ear(ear)));
        let uplink = uplink.with_patience(patience);
        Self {
            told,
            counters: uplink.counters(),
            stop,
            task: tokio::spawn(uplink.run(stopped)),
            _folder: folder,
        }
    }

    pub(crate) async fn until<T>(&self, what: &str, want: impl Fn(&Told) -> Option<T>) -> T {
        until(&self.told, what, want).await
    }

    /// Waits until the flow is stopped; says why.
    pub(crate) async fn stopped(&self, flow: &str) -> String {
        self.until("the flow stops", |told| told.stopped.get(flow).cloned())
            .await
    }

    pub(crate) fn connections(&self) -> u64 {
        self.counters.connections.load(Ordering::Relaxed)
    }

    /// Ends it. A panic in it is the test's.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("it ends when it is told to").unwrap();
    }
}

/// Waits until `want` finds what it looks for.
pub(crate) async fn until<S, T>(
    state: &watch::Receiver<S>,
    what: &str,
    want: impl Fn(&S) -> Option<T>,
) -> T {
    let mut state = state.clone();
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = want(&state.borrow_and_update()) {
                return found;
            }
            state.changed().await.expect("who tells of it lives");
        }
    });
    found
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Appends blocks of these counts; each stands at "FLOW:LAST_SEQUENCE".
pub(crate) async fn put(buffer: &MemoryBuffer, flow: &str, counts: &[u32]) {
    let mut last = buffer.depth(flow).appended.0;
    let made = |count: &u32| {
        last += u64::from(*count);
        block(*count, 100, &format!("{flow}:{last}"))
    };
    put_blocks(buffer, flow, counts.iter().map(made).collect()).await;
}

pub(crate) async fn put_blocks(buffer: &MemoryBuffer, flow: &str, blocks: Vec<NewBlock>) {
    buffer.append(append(flow, blocks, &[])).await.unwrap();
}

/// The chain that stands before `next`.
pub(crate) fn chain_before(buffer: &MemoryBuffer, flow: &str, next: u64) -> u64 {
    let blocks = buffer.read(flow, Sequence(next - 1), 1).unwrap();
    blocks[0].chain_after
}
