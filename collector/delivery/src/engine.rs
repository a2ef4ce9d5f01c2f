//! One target's engine: a task that reads, sends, and writes down what came of it.
//!
//! ```text
//! log → Reader (a scan at a time, on a blocking thread) → arrive: blocks into the window, events into lanes
//!     → form: the first of each lane into batches → send (a task a request) → settle: outcomes into `Pending`
//!     → persist: one durable step at a time, all that settled meanwhile goes into the next → lanes open
//! ```
//! All state is owned by one task; what blocks or waits for the network is a task that gives its result back.
//! Power fails anywhere: what was sent and is not in a step is sent again, with the same ids.

mod admit;
mod arrive;
mod dying;
mod fault;
mod flow;
mod form;
pub mod holding;
mod losing;
mod masking;
mod opening;
mod pausing;
mod persist;
mod publishing;
mod redo;
mod replaying;
pub(crate) mod seeding;
mod send;
mod settle;
mod shadow;
mod trying;
mod waiting;

use std::collections::hash_map::RandomState;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_proto::{FlowName, Offset};
use dray_store::Store;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::account::Account;
use crate::batch::{Batch, Renderer};
use crate::config::TargetConfig;
use crate::connectors::Connector;
use crate::gate::Gate;
use crate::lanes::Lanes;
use crate::mask::Mask;
use crate::policy::{Counts, KeyId, Keys, Redo};
use crate::reader::{Reader, Scan};
use crate::seldom::Seldom;
use crate::shadow::Shadow;
use crate::status::{Shared, State};
use crate::vet::Vetting;
use crate::window::{Spot, Window};

use dying::Dying;
pub(crate) use fault::guarded;
use flow::Flow;
use holding::Holding;
pub(crate) use pausing::paused_setting;
use persist::{Op, Pending};
use replaying::{Replaying, Work};
use send::{Sent, knock};
pub(crate) use trying::Trials;
use waiting::Due;

/// Batches taken one after the other before one that was halved for its size doubles again.
const GROW_AFTER: u32 = 256;
/// How often the log says that a request failed; `status` has the last one.
const FAILURES_TOLD_EVERY: Duration = Duration::from_secs(1);
/// How often a target that refuses connections is knocked at.
pub const KNOCK_EVERY: Duration = Duration::from_millis(500);
/// How long a stop waits for requests in flight; what isn't answered then is sent again at the next start.
pub const STOP_WAIT: Duration = Duration::from_secs(5);
/// How old figures may be while something happens.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);
/// How often it is counted what is overdue.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// How often a target that has enough looks how much waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait after the store could not be read or written.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What a handle asks for. Answered when it is done and, where that means anything, durable.
pub(crate) enum Control {
    Pause(String, oneshot::Sender<Result<(), String>>),
    Resume(oneshot::Sender<Result<(), String>>),
    Wake,
    /// Replays were approved, paused or ended.
    Replays,
    Stop,
}

/// What a target is made of, from its configuration.
pub(crate) struct Parts {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) renderer: Renderer,
    pub(crate) shadow: Shadow,
    pub(crate) vetting: Vetting,
    pub(crate) account: Option<Arc<Account>>,
}

/// See the module.
pub(crate) struct Engine {
    config: TargetConfig,
    consumer: String,
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    controls: mpsc::Receiver<Control>,
    log: watch::Receiver<u64>,
    connector: Arc<dyn Connector>,
    account: Option<Arc<Account>>,
    renderer: Arc<Renderer>,
    vetting: Arc<Vetting>,
    gate: Gate,
    keys: Keys,
    /// What is told: an exception that a person reads of can be listed.
    counts_on_disk: Counts,
    lane_hash: RandomState,
    lanes: Lanes<Spot>,
    window: Window,
    flows: Vec<Flow>,
    /// Batches to send again, before new ones.
    again: VecDeque<Batch>,
    sending: JoinSet<Sent>,
    /// Bytes of requests in flight, about.
    sending_bytes: usize,
    /// Batches in flight that failed before.
    retrying: usize,
    /// The next one that shows how the target does comes of the newest lane.
    newest_next: bool,
    /// How much the target had taken when something last failed that perhaps would have failed whatever it was.
    failed_at: Option<u64>,
    /// The batch that left last was one of them.
    last_was_retry: bool,
    /// Events in a batch for now: less than configured after a 413.
    batch_now: usize,
    successes: u32,
    /// Batches that the target took.
    taken: u64,
    shadow: Arc<Shadow>,
    pending: Pending,
    op: Option<Op>,
    last_op_was_step: bool,
    reader: Option<Box<Reader>>,
    scan: Option<JoinHandle<(Box<Reader>, Scan)>>,
    /// A scan was whole: each flow's phase is written down.
    scanned: bool,
    /// The log may hold something new.
    scan_due: bool,
    /// The last scan left something, as there was no room or nothing is sent.
    scan_more: bool,
    /// A flow has more than its share of the window: look again when events of it are over.
    scan_once_open: bool,
    /// Not before this, after a failure.
    scan_after: Option<Instant>,
    /// Events in shadow are too young to be compared before this.
    young_until: Option<Instant>,
    /// When it was last counted what is overdue.
    counted: Option<Instant>,
    /// No look at what isn't read for now before this.
    look_after: Option<Instant>,
    redo: VecDeque<Redo>,
    /// Keys in it.
    wanted: HashSet<KeyId>,
    /// Exceptions among the lanes.
    redo_live: usize,
    /// There are more that could be sent again than were found: they are looked for once these are over.
    redo_more: bool,
    /// How many were left when that was last found out; fewer each time, or looking again is of no use.
    redo_left: Option<u64>,
    /// Parked exceptions that are among the lanes or on the way there.
    redoing: HashSet<u64>,
    /// Exceptions among the lanes that somebody discarded: nothing more is written down of them, and nothing counted.
    gone: HashSet<u64>,
    /// When what waits on disk is due.
    waits: BinaryHeap<Due>,
    /// When to look for what may wait no longer.
    holding: Holding,
    /// What became dead letters, and is to be told.
    dying: Dying,
    /// Exceptions were changed from outside: load them again.
    reload_due: bool,
    /// The replay that runs, at most one.
    replay: Option<Replaying>,
    /// Counts those that ran.
    replay_run: u32,
    /// Replays may have changed: look at them.
    replay_look: bool,
    replay_work: Option<JoinHandle<Work>>,
    /// Nothing of a replay is read before this, after a failure.
    replay_after: Option<Instant>,
    /// When the next of a replay is due.
    replay_wait: Option<Instant>,
    /// What its exceptions do not show.
    mask: Mask,
    failures_told: Seldom,
    /// At most one.
    knocking: JoinSet<bool>,
    detached: bool,
    /// Up to where the run before this one may have sent events of a flow.
    doubts: HashMap<FlowName, Offset>,
    stopping: Option<Instant>,
    published: Instant,
    stale: bool,
    /// The store's writer ended: nothing more can be made durable.
    store_gone: bool,
}

impl Engine {
    /// Nothing is read or sent before [`Self::run`].
    pub(crate) fn new(
        config: TargetConfig,
        store: Arc<dyn Store>,
        shared: Arc<Shared>,
        controls: mpsc::Receiver<Control>,
        parts: Parts,
    ) -> Self {
        let Parts {
            connector,
            renderer,
            shadow,
            vetting,
            account,
        } = parts;
        Self {
            consumer: crate::consumer(&config.name),
            log: store.watch(),
            gate: Gate::new(&config.retry, &config.breaker),
            keys: Keys::new(config.on_reject),
            counts_on_disk: Counts::default(),
            batch_now: config.batch,
            store,
            shared,
            controls,
            connector,
            account,
            renderer: Arc::new(renderer),
            vetting: Arc::new(vetting),
            lane_hash: RandomState::new(),
            lanes: Lanes::default(),
            window: Window::of(config.share),
            flows: Vec::new(),
            again: VecDeque::new(),
            sending: JoinSet::new(),
            sending_bytes: 0,
            retrying: 0,
            failed_at: None,
            newest_next: false,
            last_was_retry: false,
            successes: 0,
            taken: 0,
            shadow: Arc::new(shadow),
            pending: Pending::default(),
            op: None,
            last_op_was_step: false,
            reader: None,
            scan: None,
            scanned: false,
            scan_due: true,
            scan_more: false,
            scan_once_open: false,
            scan_after: None,
            young_until: None,
            counted: None,
            look_after: None,
            redo: VecDeque::new(),
            wanted: HashSet::new(),
            redo_live: 0,
            redo_more: false,
            redo_left: None,
            redoing: HashSet::new(),
            gone: HashSet::new(),
            waits: BinaryHeap::new(),
            holding: Holding::default(),
            dying: Dying::default(),
            reload_due: false,
            replay: None,
            replay_run: 0,
            replay_look: true,
            replay_work: None,
            replay_after: None,
            replay_wait: None,
            // It was validated: what is wrong with it was said.
            mask: Mask::new(&config.mask).unwrap_or_default(),
            failures_told: Seldom::every(FAILURES_TOLD_EVERY),
            knocking: JoinSet::new(),
            detached: false,
            doubts: HashMap::new(),
            stopping: None,
            published: Instant::now(),
            stale: true,
            store_gone: false,
            config,
        }
    }

    /// Runs until it is stopped or its handle is gone.
    pub(crate) async fn run(mut self) {
        let _ended = Ended(Arc::clone(&self.shared));
        self.begin().await;
        tracing::info!("target started");
        loop {
            self.settle_doubts();
            if self.is_over() {
                break;
            }
            self.pump();
            self.turn().await;
        }
        self.publish_now(Instant::now());
        tracing::info!("target stopped");
    }

    fn is_over(&self) -> bool {
        let Some(deadline) = self.stopping else {
            return self.store_gone;
        };
        let late = Instant::now() >= deadline;
        self.store_gone
            || late
            || (self.sending.is_empty() && self.op.is_none() && !self.has_pending())
    }

    /// Nothing is in flight at a stop: the next start has no doubts.
    fn settle_doubts(&mut self) {
        if self.stopping.is_none() || !self.sending.is_empty() || !self.again.is_empty() {
            return;
        }
        for (index, flow) in self.flows.iter_mut().enumerate() {
            if !flow.has_doubts() && flow.sent.is_some_and(|sent| sent.max(flow.doubt_to).0 > 0) {
                flow.sent = None;
                self.pending.sent.insert(index, Offset(0));
                self.pending.urgent = true;
            }
        }
    }

    /// Waits for one thing to happen and takes it in.
    async fn turn(&mut self) {
        let frozen = self.reload_due;
        let deadline = self.next_deadline();
        tokio::select! {
            control = self.controls.recv(), if self.stopping.is_none() => self.obey(control).await,
            Some(sent) = self.sending.join_next(), if !frozen => {
                self.take_sent(sent);
                while let Some(sent) = self.sending.try_join_next() {
                    self.take_sent(sent);
                }
            }
            done = finished(&mut self.op) => {
                self.op = None;
                self.op_done(done);
            }
            scan = joined(&mut self.scan), if !frozen => {
                self.scan = None;
                self.take_scan(scan);
            }
            work = joined(&mut self.replay_work), if !frozen => {
                self.replay_work = None;
                self.take_replay_work(work);
            }
            Some(reached) = self.knocking.join_next() => if let Ok(at_once) = reached {
                self.gate.reached(at_once, Instant::now(), rand::random());
            },
            changed = self.log.changed(), if !self.scan_due => match changed {
                Ok(()) => self.scan_due = true,
                Err(_) => self.store_gone = true,
            },
            () = until(deadline) => return,
        }
        self.stale = true;
    }

    /// Starts whatever can start.
    fn pump(&mut self) {
        let now = Instant::now();
        self.stale |= self.gate.tick(now);
        self.tell_dead(now);
        // What has passed is no deadline any more.
        if self.young_until.is_some_and(|until| until <= now) {
            (self.young_until, self.scan_due) = (None, true);
        }
        for after in [&mut self.scan_after, &mut self.look_after] {
            *after = after.filter(|after| now < *after);
        }
        if self.stopping.is_none() && !self.reload_due {
            self.start_scan(now);
            self.start_requests();
        }
        if !self.reload_due && self.gate.is_up() {
            self.start_due();
        }
        // What is live has left: what a replay puts into the lanes now takes the requests that are to spare.
        if self.start_replaying(now) {
            self.start_requests();
        }
        self.look_for_more_redo();
        let was_full = self.pending.is_full();
        self.start_op(now);
        if was_full && self.stopping.is_none() && !self.reload_due {
            self.start_requests();
        }
        if self.gate.is_refused() && self.knocking.is_empty() {
            self.knocking.spawn(knock(Arc::clone(&self.connector)));
        }
        self.stale |= self
            .overdue_deadline()
            .is_some_and(|deadline| deadline <= now);
        if self.stale && now >= self.published + PUBLISH_EVERY {
            self.publish_now(now);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let publish = self.stale.then(|| self.published + PUBLISH_EVERY);
        [
            self.gate.deadline(),
            self.gate
                .is_up()
                .then(|| self.due_deadline(Instant::now()))
                .flatten(),
            self.hold_deadline(Instant::now()),
            publish,
            self.apart_deadline(),
            self.young_until,
            self.overdue_deadline(),
            self.scan_after,
            self.look_after,
            self.stopping,
            self.pending_deadline(),
            self.replay_wait,
            self.dying.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    async fn obey(&mut self, control: Option<Control>) {
        match control {
            Some(Control::Pause(why, answer)) => {
                let _ = answer.send(self.pause_durably(&why).await);
            }
            Some(Control::Resume(answer)) => {
                let done = self.write_setting(None).await;
                if done.is_ok() {
                    tracing::info!("target resumed");
                    self.gate.resume();
                    self.detached = false;
                }
                let _ = answer.send(done);
            }
            Some(Control::Wake) => (self.reload_due, self.redo_left) = (true, None),
            Some(Control::Replays) => self.replay_look = true,
            Some(Control::Stop) | None => self.stopping = Some(Instant::now() + STOP_WAIT),
        }
    }
}

/// Says that the engine ended, however it did.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let why = match std::thread::panicking() {
            true => fault::FELL,
            false => "",
        };
        self.0.show(State::Stopped, why);
        self.0.changed.send_modify(|version| *version += 1);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

async fn joined<T>(handle: &mut Option<JoinHandle<T>>) -> Result<T, tokio::task::JoinError> {
    match handle {
        Some(handle) => handle.await,
        None => pending().await,
    }
}

async fn finished(op: &mut Option<Op>) -> persist::Done {
    match op {
        Some(op) => op.await,
        None => pending().await,
    }
}
