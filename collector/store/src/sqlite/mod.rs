//! The store in SQLite.
//!
//! ```text
//! FOLDER/
//!   lock
//!   state.db                 cursors, exceptions, replays, settings, tokens, agents, the incarnation
//!   log/log-0000000001.db    blocks, and each flow's standing when the file was begun and now
//!   log/quarantine/          damaged log files, as they were found
//! ```
//!
//! Everything runs in WAL mode with `synchronous=FULL`: a commit returns after its bytes are synced.
//! One thread writes the log, one the state, each with group commit; readers have connections of
//! their own and wait for nobody.

mod log_file;
mod log_writer;
mod opening;
mod reading;
mod salvage;
mod state;
mod sums;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use dray_proto::v1::Block;
use dray_proto::{FlowName, Offset, Sequence};
use tokio::sync::watch;

use crate::api::{
    Agent, AppendError, Approval, AuditEntry, Cursor, Exception, ExceptionQuery, Gap, Held,
    LogBlock, Receipt, Replay, ReplayMove, ReplayNote, ShadowCount, ShadowQuery, ShadowRow, Step,
    Store, StoreError,
};
use crate::recent::Recent;
use log_file::{LogFile, rows};
use log_writer::{AcceptingGap, Appending, LogWriter, Work};
use reading::{ReadError, Readers};
use state::State;

/// Appends that wait for the writer, at most.
const QUEUE: usize = 256;

/// Where and how large.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store's folder; made if it isn't there.
    pub folder: PathBuf,
    /// The log's cap in bytes on disk.
    pub bytes_max: u64,
    /// How long a log file is kept at least.
    pub keep: Duration,
    /// A log file is closed at this size.
    pub file_bytes: u64,
}

impl Options {
    /// 50 GiB, seven days, files of 1 GiB.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        const GIB: u64 = 1024 * 1024 * 1024;
        Self {
            folder: folder.into(),
            bytes_max: 50 * GIB,
            keep: Duration::from_secs(7 * 24 * 3600),
            file_bytes: GIB,
        }
    }
}

/// What readers and the log's writer share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    /// The store's id, in each of its files.
    pub(crate) id: u64,
    pub(crate) log: Mutex<Log>,
    pub(crate) changed: watch::Sender<u64>,
    readers: Readers,
}

/// The log as it stands on disk.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) heads: HashMap<FlowName, Held>,
    /// Ascending; the last is written.
    pub(crate) files: Vec<LogFile>,
    pub(crate) recent: Recent,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("nobody panics holding it")
    }

    pub(crate) fn log_folder(&self) -> PathBuf {
        self.options.folder.join("log")
    }

    fn failed(&self, error: impl std::fmt::Display) -> StoreError {
        failed(&self.options.folder, error)
    }

    /// Bytes of the log on disk.
    pub(crate) fn log_bytes(&self) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        let Ok(entries) = fs::read_dir(self.log_folder()) else {
            return 0;
        };
        entries
            .flatten()
            .filter_map(|entry| entry.metadata().ok())
            .map(|metadata| metadata.blocks() * 512)
            .sum()
    }

    /// What is held of a flow.
    pub(crate) fn held(&self, flow: &FlowName) -> Held {
        let log = self.lock();
        let none = || Held {
            next_sequence: Sequence(1),
            oldest_offset: Offset(1),
            ..Held::default()
        };
        log.heads.get(flow).cloned().unwrap_or_else(none)
    }
}

/// The one way that a failure of this folder is said.
pub(crate) fn failed(folder: &Path, error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed {
        folder: folder.display().to_string(),
        reason: error.to_string(),
    }
}

/// What is said before a new state would be made beside an old log.
const LOST_STATE: &str = "state.db is missing, but log/ holds events: without it nobody knows what was delivered, and which agents are known. \
                          Restore both from one backup. Where there is none, move log/ away: agents that are enrolled anew send \
                          again what they hold";

/// The store in SQLite.
pub struct SqliteStore {
    shared: Arc<Shared>,
    state: State,
    queue: Option<mpsc::SyncSender<Work>>,
    incarnation: AtomicU64,
    writer: Option<std::thread::JoinHandle<()>>,
    _lock: File,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqliteStore({})", self.shared.options.folder.display())
    }
}

/// Who has a cursor in the store in this folder, also while another process has it open; none where there is no store.
///
/// # Errors
/// [`StoreError::Failed`].
pub fn consumers_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let path = folder.join("state.db");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let cursors = state::all_cursors(&path).map_err(|error| failed(folder, error))?;
    let consumers: BTreeSet<String> = cursors.into_iter().map(|(name, ..)| name).collect();
    Ok(consumers.into_iter().collect())
}

impl SqliteStore {
    /// Opens the store in its folder, or makes one.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with the file and the way out.
    pub fn open(options: Options) -> Result<Self, StoreError> {
        let folder = options.folder.clone();
        let lock = lock(&folder)?;
        if !folder.join("state.db").exists() && opening::has_files(&folder.join("log")) {
            return Err(failed(&folder, LOST_STATE));
        }
        let state = State::open(&folder)?;
        let id = state.id()?;
        let (files, heads) =
            opening::open_all(&folder.join("log"), id).map_err(|error| failed(&folder, error))?;
        let newest = |flow: &FlowName| heads.get(flow).map_or(Offset(0), |held| held.newest_offset);
        if state.cut_back(newest)? {
            state.renew_incarnation()?;
        }
        let incarnation = AtomicU64::new(state.incarnation()?);
        let shared = Arc::new(Shared {
            options,
            id,
            log: Mutex::new(Log {
                heads,
                files,
                recent: Recent::default(),
            }),
            changed: watch::Sender::new(0),
            readers: Readers::default(),
        });
        let (queue, waiting) = mpsc::sync_channel(QUEUE);
        let writer = LogWriter::open(Arc::clone(&shared), state.path())
            .map_err(|error| failed(&folder, error))?;
        let writer = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.run(&waiting))
            .map_err(|error| failed(&folder, error))?;
        Ok(Self {
            shared,
            state,
            queue: Some(queue),
            incarnation,
            writer: Some(writer),
            _lock: lock,
        })
    }

    /// Asks the log's files; a damaged one is mended first, once.
    fn mending<T>(&self, ask: impl Fn() -> Result<T, ReadError>) -> Result<T, StoreError> {
        match ask() {
            Ok(found) => Ok(found),
            Err(ReadError::Store(error)) => Err(error),
            Err(ReadError::Damaged { number, reason }) => {
                let (answer, receipt) = Receipt::new();
                let work = Work::Mend {
                    number,
                    reason,
                    answer,
                };
                if let Some(queue) = &self.queue {
                    let _ = queue.send(work);
                }
                match receipt.wait() {
                    Some(Ok(())) => ask().map_err(|error| error.into_store(&self.shared)),
                    Some(Err(reason)) => Err(self.shared.failed(reason)),
                    None => Err(self.shared.failed("its writer ended")),
                }
            }
        }
    }

    /// Drops log files that are older than `keep` and below every cursor; returns how many. `now_us`:
    /// microseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn retain(&self, now_us: i64) -> Result<usize, StoreError> {
        let keep_us = i64::try_from(self.shared.options.keep.as_micros()).unwrap_or(i64::MAX);
        let cursors =
            state::all_cursors(&self.state.path()).map_err(|error| self.shared.failed(error))?;
        log_writer::drop_files(&self.shared, &cursors, |file| {
            file.last_captured_us.saturating_add(keep_us) < now_us
        })
        .map_err(|error| self.shared.failed(error))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    fs::create_dir_all(folder.join("log"))
        .map_err(|error| failed(folder, format!("it can't be made: {error}")))?;
    let lock = File::create(folder.join("lock"))
        .map_err(|error| failed(folder, format!("its lock can't be made: {error}")))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(failed(
            folder,
            "another dray-collector uses it; stop that one, or give this one another data_dir",
        )),
        Err(fs::TryLockError::Error(error)) => {
            Err(failed(folder, format!("its lock can't be taken: {error}")))
        }
    }
}

impl Store for SqliteStore {
    fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Relaxed)
    }

    fn was_restored(&self) -> Result<u64, StoreError> {
        let renewed = self.state.renew_incarnation()?;
        self.incarnation.store(renewed, Ordering::Relaxed);
        Ok(renewed)
    }

    fn append(
        &self,
        agent: &str,
        flow: &FlowName,
        blocks: Vec<Block>,
    ) -> Receipt<Result<Held, AppendError>> {
        let (answer, receipt) = Receipt::new();
        if let Some(queue) = &self.queue {
            // An error means that the writer ended: the receipt says so by itself.
            let _ = queue.send(Work::Append(Appending {
                agent: agent.to_owned(),
                flow: flow.clone(),
                blocks,
                answer,
            }));
        }
        receipt
    }

    fn accept_gap(
        &self,
        agent: &str,
        flow: &FlowName,
        gap: Gap,
    ) -> Receipt<Result<Held, AppendError>> {
        let (answer, receipt) = Receipt::new();
        if let Some(queue) = &self.queue {
            let _ = queue.send(Work::Gap(AcceptingGap {
                agent: agent.to_owned(),
                flow: flow.clone(),
                gap,
                answer,
            }));
        }
        receipt
    }

    fn move_flow(&self, flow: &FlowName, agent: &str) -> Receipt<Result<bool, AppendError>> {
        let (answer, receipt) = Receipt::new();
        if let Some(queue) = &self.queue {
            let _ = queue.send(Work::Move {
                flow: flow.clone(),
                agent: agent.to_owned(),
                answer,
            });
        }
        receipt
    }

    fn held(&self, flow: &FlowName) -> Held {
        self.shared.held(flow)
    }

    fn knows_epoch(&self, flow: &FlowName, epoch: u64) -> Result<bool, StoreError> {
        let log = self.shared.lock();
        if log.heads.get(flow).is_none_or(|held| held.epoch == epoch) {
            return Ok(log.heads.contains_key(flow));
        }
        let numbers: Vec<u64> = log.files.iter().rev().map(|file| file.number).collect();
        drop(log);
        for number in numbers {
            let known = self.mending(|| {
                let asked = |reader: &_| rows::has_epoch(reader, flow, epoch);
                self.shared.ask_file(number, asked)
            });
            if known? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn flows(&self) -> Vec<FlowName> {
        let mut flows: Vec<_> = self.shared.lock().heads.keys().cloned().collect();
        flows.sort();
        flows
    }

    fn read(
        &self,
        flow: &FlowName,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<LogBlock>, StoreError> {
        self.mending(|| self.shared.read(flow, from, bytes_max))
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    fn cursors(&self, consumer: &str) -> Result<Vec<(FlowName, Cursor)>, StoreError> {
        self.state.cursors(consumer)
    }

    fn sent(&self, consumer: &str) -> Result<Vec<(FlowName, Offset)>, StoreError> {
        self.state.sent(consumer)
    }

    fn consumers(&self) -> Result<Vec<String>, StoreError> {
        self.state.consumers()
    }

    fn step(&self, step: Step) -> Receipt<Result<(), StoreError>> {
        self.state.step(step)
    }

    fn detach(&self, consumer: &str) -> Result<(), StoreError> {
        self.state.detach(consumer)
    }

    fn exceptions(&self, query: &ExceptionQuery) -> Result<Vec<Exception>, StoreError> {
        self.state.exceptions(query)
    }

    fn exception_count(&self, target: Option<&str>) -> Result<u64, StoreError> {
        self.state.exception_count(target)
    }

    fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.state.setting(name)
    }

    fn set(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.state.set(name, value)
    }

    fn add_token(&self, secret_sha256: &str, site: &str, ends_s: i64) -> Result<(), StoreError> {
        self.state.add_token(secret_sha256, site, ends_s)
    }

    fn enrol(
        &self,
        secret_sha256: &str,
        now_s: i64,
        agent: Agent,
    ) -> Result<Option<Agent>, StoreError> {
        self.state.enrol(secret_sha256, now_s, agent)
    }

    fn token_site(&self, secret_sha256: &str, now_s: i64) -> Result<Option<String>, StoreError> {
        self.state.token_site(secret_sha256, now_s)
    }

    fn agents(&self) -> Result<Vec<Agent>, StoreError> {
        self.state.agents()
    }

    fn saw_agent(
        &self,
        agent: &str,
        last_seen_s: i64,
        version: Option<&str>,
    ) -> Result<(), StoreError> {
        self.state.saw_agent(agent, last_seen_s, version)
    }

    fn renew_agent(&self, agent: &str, key_sha256: &str, ends_s: i64) -> Result<bool, StoreError> {
        self.state.renew_agent(agent, key_sha256, ends_s)
    }

    fn revoke_agent(&self, agent: &str) -> Result<bool, StoreError> {
        self.state.revoke_agent(agent)
    }

    fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.state.audit(entry)
    }

    fn audit_entries(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.state.audit_entries(limit)
    }

    fn add_replay(&self, replay: &Replay, entry: &AuditEntry) -> Result<u64, StoreError> {
        self.state.add_replay(replay, entry)
    }

    fn replays(&self, target: Option<&str>, limit: usize) -> Result<Vec<Replay>, StoreError> {
        self.state.replays(target, limit)
    }

    fn replay(&self, id: u64) -> Result<Option<Replay>, StoreError> {
        self.state.replay(id)
    }

    fn approve_replay(&self, approval: &Approval, entry: &AuditEntry) -> Result<bool, StoreError> {
        self.state.approve_replay(approval, entry)
    }

    fn move_replay(&self, change: &ReplayMove, entry: &AuditEntry) -> Result<bool, StoreError> {
        self.state.move_replay(change, entry)
    }

    fn replay_notes(&self, id: u64, limit: usize) -> Result<Vec<ReplayNote>, StoreError> {
        self.state.replay_notes(id, limit)
    }

    fn shadow_rows(&self, query: &ShadowQuery) -> Result<Vec<(FlowName, ShadowRow)>, StoreError> {
        self.state.shadow_rows(query)
    }

    fn shadow_counts(&self, target: &str) -> Result<Vec<ShadowCount>, StoreError> {
        self.state.shadow_counts(target)
    }

    fn clear_shadow(&self, target: &str) -> Result<(), StoreError> {
        self.state.clear_shadow(target)
    }

    fn log_bytes(&self) -> (u64, u64) {
        (self.shared.log_bytes(), self.shared.options.bytes_max)
    }
}
