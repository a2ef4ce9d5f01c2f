//! A store in memory whose power can fail: what the SQLite store cannot do within a process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dray_proto::v1::Block;
use dray_proto::{FlowName, Offset, Sequence};
use dray_store::{
    Agent, AppendError, Approval, AuditEntry, Cursor, Exception, ExceptionQuery, Gap, Held,
    LogBlock, Receipt, Replay, ReplayMove, ReplayNote, ReplayState, ShadowCount, ShadowQuery,
    ShadowRow, Step, Store, StoreError,
};
use tokio::sync::{oneshot, watch};

use super::remembered::Remembered;

#[derive(Debug, Default)]
pub(super) struct Kept {
    log: BTreeMap<FlowName, Vec<LogBlock>>,
    cursors: HashMap<String, BTreeMap<FlowName, Cursor>>,
    sent: BTreeMap<FlowName, Offset>,
    pub(super) exceptions: BTreeMap<u64, Exception>,
    last_id: u64,
    settings: HashMap<String, String>,
    replays: Vec<Replay>,
    pub(super) remembered: Remembered,
}

impl Kept {
    fn take(&mut self, step: Step) {
        let over = step.change.iter().map(|change| change.id);
        self.remembered
            .over(over.chain(step.remove.iter().copied()));
        if !step.cursors.is_empty() {
            self.cursors
                .entry(step.consumer.clone())
                .or_default()
                .extend(step.cursors);
        }
        for (flow, through) in step.sent {
            self.sent.insert(flow, through);
        }
        self.settings.extend(step.settings);
        for mut exception in step.add {
            let same = |held: &Exception| {
                held.target == exception.target
                    && held.flow == exception.flow
                    && held.offset == exception.offset
            };
            assert!(
                !self.exceptions.values().any(same),
                "an exception is added twice: {exception:?}"
            );
            self.last_id += 1;
            exception.id = self.last_id;
            let id = self.last_id;
            self.exceptions.insert(id, exception);
        }
        for change in step.change {
            // What an operator discarded meanwhile is gone.
            if let Some(exception) = self.exceptions.get_mut(&change.id) {
                (exception.state, exception.reason) = (change.state, change.reason);
                if let Some(detail) = change.detail {
                    exception.detail = detail;
                }
            }
        }
        if let Some(step) = step.replay {
            let found = self.replays.iter_mut().find(|one| one.id == step.id);
            let found = found.expect("it was planned");
            found.progress = step.progress;
            if let Some((state, _)) = step.becomes {
                found.state = state;
            }
        }
        for id in step.remove {
            self.exceptions
                .remove(&id)
                .expect("only what is there is removed");
        }
        self.remembered.take(step.remember, &self.exceptions);
    }
}

type Waiting = (Step, oneshot::Sender<Result<(), StoreError>>);

/// See the module.
#[derive(Debug)]
pub struct Memory {
    kept: Mutex<Kept>,
    watch: watch::Sender<u64>,
    /// Steps that are not "on disk" yet.
    waiting: Mutex<VecDeque<Waiting>>,
    /// Bytes of events of exceptions that were read.
    event_bytes: AtomicU64,
    /// Times that exceptions of a key were read, and that it was counted what waits.
    key_reads: AtomicU64,
    pub(super) counts: AtomicU64,
    /// Nothing reaches the "disk".
    held: AtomicBool,
}

/// What one commit of a slow store takes, as a disk's sync would.
const SYNC: Duration = Duration::from_millis(2);

impl Memory {
    /// A store whose steps take a while, and may be lost by [`Self::crash`] until they are answered.
    pub fn slow() -> Arc<Self> {
        let store = Arc::new(Self {
            kept: Mutex::default(),
            watch: watch::Sender::new(0),
            waiting: Mutex::default(),
            event_bytes: AtomicU64::new(0),
            key_reads: AtomicU64::new(0),
            counts: AtomicU64::new(0),
            held: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&store);
        std::thread::spawn(move || {
            loop {
                std::thread::park_timeout(SYNC);
                let Some(store) = weak.upgrade() else { return };
                if !store.held.load(Ordering::Relaxed) {
                    store.commit();
                }
            }
        });
        store
    }

    /// Bytes of events of exceptions that were read so far.
    pub fn event_bytes(&self) -> u64 {
        self.event_bytes.load(Ordering::Relaxed)
    }

    /// How often exceptions of a key were read so far.
    pub fn key_reads(&self) -> u64 {
        self.key_reads.load(Ordering::Relaxed)
    }

    /// How often it was counted so far what waits.
    pub fn counts(&self) -> u64 {
        self.counts.load(Ordering::Relaxed)
    }

    /// Power fails: what was not answered is on disk or not.
    pub fn crash(&self, keeps: bool) {
        if keeps {
            self.commit();
        }
        self.waiting().clear();
    }

    /// No step is answered until it is let go.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    fn commit(&self) {
        let mut waiting = self.waiting();
        let mut kept = self.kept();
        for (step, answer) in waiting.drain(..) {
            kept.take(step);
            let _ = answer.send(Ok(()));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().expect("nobody panics holding it")
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody panics holding it")
    }
}

fn answered<T>(value: T) -> Receipt<T> {
    let (sender, receipt) = Receipt::new();
    let _ = sender.send(value);
    receipt
}

impl Store for Memory {
    fn incarnation(&self) -> u64 {
        1
    }

    fn was_restored(&self) -> Result<u64, StoreError> {
        Ok(2)
    }

    fn accept_gap(&self, _: &str, flow: &FlowName, _: Gap) -> Receipt<Result<Held, AppendError>> {
        answered(Ok(self.held(flow)))
    }

    fn append(
        &self,
        _: &str,
        flow: &FlowName,
        blocks: Vec<Block>,
    ) -> Receipt<Result<Held, AppendError>> {
        let mut next = self.held(flow).newest_offset.0 + 1;
        let mut kept = self.kept();
        let log = kept.log.entry(flow.clone()).or_default();
        for block in blocks {
            let count = u64::from(block.header.as_ref().expect("a header").count);
            log.push(LogBlock {
                first_offset: Offset(next),
                block,
            });
            next += count;
        }
        drop(kept);
        self.watch.send_modify(|version| *version += 1);
        answered(Ok(self.held(flow)))
    }

    fn held(&self, flow: &FlowName) -> Held {
        let kept = self.kept();
        let Some(last) = kept.log.get(flow).and_then(|log| log.last()) else {
            return Held::default();
        };
        let header = last.block.header.as_ref().expect("a header");
        Held {
            epoch: header.epoch,
            next_sequence: Sequence(header.first_sequence + u64::from(header.count)),
            chain: header.chain_after,
            newest_offset: Offset(last.first_offset.0 + u64::from(header.count) - 1),
            oldest_offset: Offset(1),
            last_captured_us: header.last_captured_us,
            ..Held::default()
        }
    }

    fn knows_epoch(&self, flow: &FlowName, epoch: u64) -> Result<bool, StoreError> {
        Ok(self.held(flow).epoch == epoch)
    }

    fn flows(&self) -> Vec<FlowName> {
        self.kept().log.keys().cloned().collect()
    }

    fn read(
        &self,
        flow: &FlowName,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<LogBlock>, StoreError> {
        let kept = self.kept();
        let mut bytes = 0;
        let blocks = kept.log.get(flow).into_iter().flatten().filter(|held| {
            held.first_offset.0 + u64::from(held.block.header.as_ref().expect("a header").count)
                > from.0
        });
        Ok(blocks
            .take_while(|held| {
                let first = bytes == 0;
                bytes += held.block.payload.len();
                first || bytes <= bytes_max
            })
            .cloned()
            .collect())
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.watch.subscribe()
    }

    fn cursors(&self, consumer: &str) -> Result<Vec<(FlowName, Cursor)>, StoreError> {
        let kept = self.kept();
        Ok(kept
            .cursors
            .get(consumer)
            .into_iter()
            .flatten()
            .map(|(flow, cursor)| (flow.clone(), cursor.clone()))
            .collect())
    }

    fn sent(&self, _: &str) -> Result<Vec<(FlowName, Offset)>, StoreError> {
        let sent = self.kept().sent.clone().into_iter();
        Ok(sent.filter(|(_, through)| through.0 > 0).collect())
    }

    fn consumers(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.kept().cursors.keys().cloned().collect())
    }

    fn step(&self, step: Step) -> Receipt<Result<(), StoreError>> {
        let (answer, receipt) = Receipt::new();
        self.waiting().push_back((step, answer));
        receipt
    }

    fn detach(&self, consumer: &str) -> Result<(), StoreError> {
        let mut kept = self.kept();
        kept.cursors.remove(consumer);
        let target = consumer.strip_prefix("target:").unwrap_or("").to_owned();
        kept.exceptions
            .retain(|_, exception| exception.target != target);
        kept.remembered = Remembered::default();
        Ok(())
    }

    fn exceptions(&self, query: &ExceptionQuery) -> Result<Vec<Exception>, StoreError> {
        let kept = self.kept();
        let meant = |found: &&Exception| {
            query
                .target
                .as_ref()
                .is_none_or(|target| *target == found.target)
                && query.flow.as_ref().is_none_or(|flow| *flow == found.flow)
                && query.key.as_ref().is_none_or(|key| *key == found.key)
                && (query.states.is_empty() || query.states.contains(&found.state))
        };
        self.key_reads
            .fetch_add(u64::from(query.key.is_some()), Ordering::Relaxed);
        let mut found: Vec<Exception> = kept
            .exceptions
            .range(query.after + 1..)
            .map(|(_, found)| found)
            .filter(meant)
            .take(query.limit)
            .cloned()
            .collect();
        for one in &mut found {
            if query.without_events {
                one.event = bytes::Bytes::new();
            }
            self.event_bytes
                .fetch_add(one.event.len() as u64, Ordering::Relaxed);
        }
        Ok(found)
    }

    fn exception_count(&self, target: Option<&str>) -> Result<u64, StoreError> {
        let kept = self.kept();
        Ok(kept
            .exceptions
            .values()
            .filter(|found| target.is_none_or(|target| target == found.target))
            .count() as u64)
    }

    fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.kept().settings.get(name).cloned())
    }

    fn set(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        let mut kept = self.kept();
        match value {
            Some(value) => kept.settings.insert(name.to_owned(), value.to_owned()),
            None => kept.settings.remove(name),
        };
        Ok(())
    }

    fn add_token(&self, _: &str, _: &str, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    fn enrol(&self, _: &str, _: i64, _: Agent) -> Result<Option<Agent>, StoreError> {
        Ok(None)
    }

    fn token_site(&self, _: &str, _: i64) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    fn agents(&self) -> Result<Vec<Agent>, StoreError> {
        Ok(Vec::new())
    }

    fn saw_agent(&self, _: &str, _: i64, _: Option<&str>) -> Result<(), StoreError> {
        Ok(())
    }

    fn audit(&self, _: &AuditEntry) -> Result<(), StoreError> {
        Ok(())
    }

    fn audit_entries(&self, _: usize) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(Vec::new())
    }

    fn move_flow(&self, _: &FlowName, _: &str) -> Receipt<Result<bool, AppendError>> {
        let (answer, receipt) = Receipt::new();
        answer.send(Ok(false)).expect("it waits");
        receipt
    }

    fn renew_agent(&self, _: &str, _: &str, _: i64) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn revoke_agent(&self, _: &str) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn add_replay(&self, replay: &Replay, _: &AuditEntry) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let id = kept.replays.len() as u64 + 1;
        kept.replays.push(Replay {
            id,
            ..replay.clone()
        });
        Ok(id)
    }

    fn replays(&self, target: Option<&str>, _: usize) -> Result<Vec<Replay>, StoreError> {
        let kept = self.kept();
        let is_its = |one: &&Replay| target.is_none_or(|target| target == one.target);
        Ok(kept.replays.iter().filter(is_its).cloned().collect())
    }

    fn replay(&self, id: u64) -> Result<Option<Replay>, StoreError> {
        let kept = self.kept();
        Ok(kept.replays.iter().find(|one| one.id == id).cloned())
    }

    fn approve_replay(&self, approval: &Approval, _: &AuditEntry) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let found = kept.replays.iter_mut().find(|one| one.id == approval.id);
        let found = found.expect("it was planned");
        found.state = ReplayState::Approved;
        found.approved_by.clone_from(&approval.by);
        Ok(true)
    }

    fn move_replay(&self, change: &ReplayMove, _: &AuditEntry) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let found = kept.replays.iter_mut().find(|one| one.id == change.id);
        found.expect("it was planned").state = change.to;
        Ok(true)
    }

    fn replay_notes(&self, _: u64, _: usize) -> Result<Vec<ReplayNote>, StoreError> {
        Ok(Vec::new())
    }

    fn shadow_rows(&self, _: &ShadowQuery) -> Result<Vec<(FlowName, ShadowRow)>, StoreError> {
        Ok(Vec::new())
    }

    fn shadow_counts(&self, _: &str) -> Result<Vec<ShadowCount>, StoreError> {
        Ok(Vec::new())
    }

    fn clear_shadow(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn log_bytes(&self) -> (u64, u64) {
        (0, 0)
    }
}
