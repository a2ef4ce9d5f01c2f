//! The line between agent and collector, or a database: a TCP proxy that can fail on command.
//!
//! It passes bytes until it is told to go silent (nothing is carried and nothing is closed, as when a firewall
//! forgets a connection), to reset, to be narrow, or to end after so many bytes.
//!
//! Limits: it holds 16 KiB a direction, besides `RECEIVE_BYTES` that the kernel may hold.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use tokio::sync::{oneshot, watch};

mod carry;
#[cfg(test)]
mod tests;

/// Little, so that a narrow line is felt by the agent and not by the kernel alone.
const RECEIVE_BYTES: usize = 32 * 1024;

/// What connections are to do. Their numbers count from 1.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    /// Those up to this one carry nothing any more, and stay open.
    silent_through: u64,
    /// New ones are not carried on for now.
    silent: bool,
    /// Those up to this one are reset.
    reset_through: u64,
    /// Those up to this one are closed.
    cut_through: u64,
    /// Bytes a second, each way.
    bytes_s: Option<u64>,
}

/// How a connection ends that does not end by itself.
enum End {
    Silent,
    Reset,
    Cut,
}

impl Orders {
    fn end(&self, number: u64) -> Option<End> {
        if number <= self.reset_through {
            return Some(End::Reset);
        }
        if number <= self.cut_through {
            return Some(End::Cut);
        }
        (number <= self.silent_through).then_some(End::Silent)
    }
}

#[derive(Debug)]
struct Kept {
    connections: u64,
    /// Both ways together.
    passed: u64,
    cut_at: Option<u64>,
    /// Where connections are carried to.
    leads_to: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    orders: watch::Sender<Orders>,
    kept: Mutex<Kept>,
    changed: Condvar,
}

/// A running proxy. It ends with its value, and all its connections with it.
#[derive(Debug)]
pub struct Line {
    port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Line {
    /// Carries connections to `collector`, a port of the loopback.
    ///
    /// # Errors
    /// Those of the network.
    pub fn start(collector: u16) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        sockopt::set_socket_recv_buffer_size(&listener, RECEIVE_BYTES)?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            orders: watch::Sender::default(),
            kept: Mutex::new(Kept {
                connections: 0,
                passed: 0,
                cut_at: None,
                leads_to: loopback(collector),
            }),
            changed: Condvar::new(),
        });
        let (stop, stopped) = oneshot::channel();
        let carried = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("line".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime needs only memory and descriptors");
                runtime.block_on(async {
                    tokio::select! {
                        () = carry::accept(listener, carried) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            port,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections to another port of the loopback, as an address of several servers does; those that are there stay.
    pub fn lead_new_to(&self, port: u16) {
        self.shared.lock().leads_to = loopback(port);
    }

    /// Leads to another port of the loopback from now on, as an address does that moves when another server takes over: connections are reset.
    pub fn lead_to(&self, port: u16) {
        self.lead_new_to(port);
        self.reset();
    }

    /// Carries nothing from now on: connections stay open, and new ones are taken without an answer.
    pub fn go_silent(&self) {
        let through = self.connections();
        self.order(|orders| (orders.silent, orders.silent_through) = (true, through));
    }

    /// Carries new connections again; those that went silent stay so, as behind a firewall that forgot them.
    pub fn speak(&self) {
        self.order(|orders| orders.silent = false);
    }

    /// Resets all connections (RST).
    pub fn reset(&self) {
        let through = self.connections();
        self.order(|orders| orders.reset_through = through);
    }

    /// Bytes a second, each way of each connection; `None` for all that goes.
    pub fn limit(&self, bytes_s: Option<u64>) {
        self.order(|orders| orders.bytes_s = bytes_s);
    }

    /// After so many more bytes, both ways together, all connections are closed, wherever a message stands.
    pub fn cut_after(&self, bytes: u64) {
        let mut kept = self.shared.lock();
        kept.cut_at = Some(kept.passed + bytes.max(1));
    }

    /// Waits until the cut that was ordered has come; false when `limit` passes first.
    #[must_use]
    pub fn wait_cut(&self, limit: Duration) -> bool {
        self.wait(limit, |kept| kept.cut_at.is_none())
    }

    /// Waits until so many connections were taken; false when `limit` passes first.
    #[must_use]
    pub fn wait_connections(&self, limit: Duration, connections: u64) -> bool {
        self.wait(limit, |kept| kept.connections >= connections)
    }

    /// Connections taken so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections
    }

    /// Connections up to this one were reset or cut; 0 for none.
    #[must_use]
    pub fn broken(&self) -> u64 {
        let orders = self.shared.orders.borrow();
        orders.reset_through.max(orders.cut_through)
    }

    /// Bytes carried so far, both ways together.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.shared.lock().passed
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.shared.orders.send_modify(change);
    }

    fn wait(&self, limit: Duration, enough: impl Fn(&Kept) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut kept = self.shared.lock();
        while !enough(&kept) {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            let waited = self.shared.changed.wait_timeout(kept, left);
            kept = waited.expect("nobody panics holding it").0;
        }
        true
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody panics holding it")
    }

    /// How many of these bytes may pass, and whether the line is cut behind them.
    fn pass(&self, bytes: usize) -> (usize, bool) {
        let mut kept = self.lock();
        let left = kept.cut_at.map(|at| at.saturating_sub(kept.passed));
        let passes = left.map_or(bytes as u64, |left| left.min(bytes as u64));
        kept.passed += passes;
        (passes as usize, left == Some(passes))
    }

    fn cut(&self) {
        let mut kept = self.lock();
        let through = kept.connections;
        self.orders
            .send_modify(|orders| orders.cut_through = through);
        kept.cut_at = None;
        self.changed.notify_all();
    }
}
