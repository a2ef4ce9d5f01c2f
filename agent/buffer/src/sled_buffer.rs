//! The buffer in sled: generations, one writer thread, a sync of our own.
//!
//! ```text
//! buffer/
//!   lock
//!   ballast                    space that is given up when the disk is full
//!   witness                    what was answered for last
//!   quarantine/                damaged generations, as they were found
//!   marks/m-<first number>     marks of sealed generations; they outlive the blocks
//!   g-<first number>/          a generation: a sled database
//!     db conf snap.*           sled's
//!     summary                  written when it is sealed, soon after the next one was begun
//!   tmp-next/                  the next generation, made before it is needed
//! ```
//!
//! A generation is closed at [`Options::generation_bytes`]. When its last block is acked, its folder
//! is renamed and deleted, which works on a full disk. Opening reads the summaries and scans the
//! newest generation alone, and one that a cut left without its summary.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dray_edges::{Plant, edge, is_planted};
use tokio::sync::{oneshot, watch};

use crate::api::{
    Append, Buffer, BufferError, Depth, Loss, MarkState, Receipt, Sequence, Space, StoredBlock,
    gone,
};
use crate::databases::Databases;
use crate::generation::{self};
use crate::layout::Placed;
use crate::ledger::{Entry, refuse};
use crate::mending;
use crate::opening;
use crate::shared::{Failing, Shared, State, Waiting, Work};
use crate::unreadable::Unreadable;
use crate::witness::{Said, Witness};
use crate::writer::{DRAINED_BYTES, Writer, write_marks};

/// Appends that wait for the writer, at most; a flow has at most 64 under way.
const QUEUE: usize = 256;
/// How long a disk may refuse a generation before what it refuses counts as damaged.
const DISK_ERROR_MAX: Duration = Duration::from_secs(60);
/// After so long without a failure it was read in between.
const FAILING_GAP: Duration = Duration::from_secs(10);
/// Space that is set aside.
pub(crate) const BALLAST: &str = "ballast";
pub(crate) const MARKS: &str = "marks";

/// Where and how large.
#[derive(Debug, Clone)]
pub struct Options {
    /// The buffer's folder; made if it isn't there.
    pub folder: PathBuf,
    /// The cap: bytes allocated on disk.
    pub bytes_max: u64,
    /// What the file system must keep free.
    pub reserve_bytes: u64,
    /// A generation is closed at this many bytes of values, or earlier where its records take much memory.
    pub generation_bytes: u64,
    /// Space that is given up when the disk is full, so that the buffer can be opened.
    pub ballast_bytes: u64,
}

impl Options {
    /// 4 GiB in `folder`, 64 MiB left free on the file system, generations of 32 MiB.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            folder: folder.into(),
            bytes_max: 4096 * MIB,
            reserve_bytes: 64 * MIB,
            generation_bytes: 32 * MIB,
            ballast_bytes: 16 * MIB,
        }
    }
}

/// The durable buffer.
pub struct SledBuffer {
    shared: Arc<Shared>,
    queue: Option<mpsc::SyncSender<Work>>,
    writer: Option<std::thread::JoinHandle<()>>,
    _lock: File,
}

impl std::fmt::Debug for SledBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SledBuffer({})", self.shared.options.folder.display())
    }
}

impl SledBuffer {
    /// Opens the buffer in its folder, or makes one with a new epoch.
    ///
    /// # Errors
    /// [`BufferError::Stopped`] with what is wrong with the folder and the way out.
    pub fn open(options: Options) -> Result<Self, BufferError> {
        let folder = options.folder.clone();
        let stopped = |reason: String| BufferError::Stopped {
            reopen: true,
            folder: folder.display().to_string(),
            reason,
        };
        let lock = lock(&folder).map_err(stopped)?;
        let opened = opening::open(&options).map_err(stopped)?;
        let next_number = opened
            .placed
            .last()
            .map_or(opened.tail_first, |last| last.number + last.values);
        let said = Said {
            epoch: opened.ledger.epoch,
            oldest: opened
                .slices
                .first_key_value()
                .map_or(opened.tail_first, |(first, _)| *first),
            newest: opened.tail_first,
            next: next_number,
        };
        let witness = Witness::open(&folder, said)
            .map_err(|error| stopped(format!("its witness can't be written: {error}")))?;
        let shared = Arc::new(Shared {
            options,
            state: Mutex::new(State {
                ledger: opened.ledger,
                slices: opened.slices,
                losses: opened.losses,
                other_bytes: opening::other_bytes(&folder),
                ..State::default()
            }),
            witness: Mutex::new(witness),
            dropping: Mutex::new(()),
            freed: Condvar::new(),
            changed: watch::Sender::new(0),
            open: Mutex::new(Databases::of(opened.tail_first, Arc::clone(&opened.tail))),
        });
        shared.drop_acked();
        if is_planted(Plant::ReusedSequence) {
            shared.lock().ledger.forget_newest();
        }
        let numbering = shared.lock().ledger.numbering();
        let (queue, waiting) = mpsc::sync_channel(QUEUE);
        let writer = Writer::new(
            Arc::clone(&shared),
            opened.tail,
            opened.tail_first,
            opened.placed,
            numbering,
            waiting,
        );
        let writer = std::thread::Builder::new()
            .name("buffer".into())
            .spawn(move || writer.run())
            .map_err(|error| stopped(format!("its thread can't be started: {error}")))?;
        Ok(Self {
            shared,
            queue: Some(queue),
            writer: Some(writer),
            _lock: lock,
        })
    }
}

impl SledBuffer {
    /// Has the writer mend a generation, once, unless something else may be why it can't be read.
    fn unread(&self, first: u64, why: Unreadable) -> BufferError {
        let mut state = self.shared.lock();
        if let Some(stopped) = &state.stopped {
            return stopped.clone();
        }
        let now = Instant::now();
        let since = match state.failing {
            Some(failing) if failing.first == first && now - failing.last < FAILING_GAP => {
                failing.since
            }
            _ => now,
        };
        state.failing = Some(Failing {
            first,
            since,
            last: now,
        });
        drop(state);
        let path = self.shared.options.folder.join(generation::name(first));
        if let Some(hindrance) = mending::hindrance(&path) {
            // What can be read again can be sent, acked and deleted: that makes room by itself.
            self.shared.drop_ballast();
            return BufferError::Hindered(hindrance);
        }
        let lasts = why.is_of_disk() && since.elapsed() >= DISK_ERROR_MAX;
        let reason = match why {
            Unreadable::Failed(reason) if !lasts => return BufferError::Hindered(reason),
            Unreadable::Unwritten(reason) => return BufferError::Hindered(reason),
            Unreadable::Failed(reason) | Unreadable::Damaged(reason) => reason,
        };
        let news = self.shared.lock().mending.replace(first) != Some(first);
        if let (true, Some(queue)) = (news, &self.queue) {
            let _ = queue.send(Work::Mend(first, reason.clone()));
        }
        BufferError::Damaged(reason)
    }
}

impl Drop for SledBuffer {
    fn drop(&mut self) {
        self.queue = None;
        self.shared.lock().closing = true;
        self.shared.freed.notify_all();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        let witness = self.shared.witness.lock();
        let _ = witness.map(|witness| witness.sync());
    }
}

fn lock(folder: &Path) -> Result<File, String> {
    fs::create_dir_all(folder.join(MARKS))
        .map_err(|error| format!("its folder can't be made: {error}"))?;
    let lock = File::create(folder.join("lock"))
        .map_err(|error| format!("its lock can't be made: {error}"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(
            "another dray-agent uses it; stop that one, or give this one another data_dir".into(),
        ),
        Err(fs::TryLockError::Error(error)) => Err(format!("its lock can't be taken: {error}")),
    }
}

/// Seconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Seals a generation: its marks first, as they outlive it, then its summary.
pub(crate) fn seal(folder: &Path, first: u64, placed: &[Placed]) -> Result<(), String> {
    write_marks(folder, first, placed)?;
    edge!("buffer.before_summary");
    generation::seal(&folder.join(generation::name(first)), placed)?;
    edge!("buffer.sealed");
    Ok(())
}

impl Buffer for SledBuffer {
    fn epoch(&self) -> u64 {
        self.shared.lock().ledger.epoch
    }

    fn begin_epoch(&self) -> Result<u64, BufferError> {
        let (answer, done) = oneshot::channel();
        if let Some(queue) = &self.queue {
            // An error means that the writer ended: the answer says so by itself.
            let _ = queue.send(Work::Renew(answer));
        }
        done.blocking_recv().unwrap_or_else(|_| Err(gone()))
    }

    fn losses(&self) -> Vec<Loss> {
        self.shared.lock().losses.clone()
    }

    fn append(&self, append: Append) -> Receipt {
        let (answer, receipt) = Receipt::new();
        if let Some(why) = refuse(&append) {
            let _ = answer.send(Err(BufferError::Refused(why)));
            return receipt;
        }
        if let Some(error) = self.shared.lock().stopped.clone() {
            let _ = answer.send(Err(error));
            return receipt;
        }
        if let Some(queue) = &self.queue {
            // An error means that the writer ended: the receipt says so by itself.
            let _ = queue.send(Work::Append(Waiting { append, answer }));
        }
        receipt
    }

    fn read(
        &self,
        flow: &str,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<StoredBlock>, BufferError> {
        loop {
            let state = self.shared.lock();
            if state.ledger.has_lost(flow) {
                // What is left joins again under the next epoch's numbers only.
                let reason = "a part of it is lost; a new epoch begins with what is left";
                return Err(BufferError::Damaged(reason.into()));
            }
            let entries = state.ledger.entries(flow, from, bytes_max);
            let epoch = state.ledger.epoch;
            let found: Vec<(Entry, Option<StoredBlock>)> = entries
                .into_iter()
                .map(|entry| {
                    let recent = state.recent.get(&entry.number).cloned();
                    (entry, recent)
                })
                .collect();
            drop(state);
            let fetch = |(entry, recent): (Entry, Option<StoredBlock>)| {
                let stored = match recent {
                    Some(block) => Some(block),
                    None => match self.shared.fetch(entry.number) {
                        Ok(stored) => stored,
                        // Acked since, and left out when generations were put together.
                        Err(_) if !self.shared.lock().ledger.holds(flow, entry.number) => None,
                        Err((first, why)) => return Err(self.unread(first, why)),
                    },
                };
                Ok::<_, BufferError>(stored.map(|stored| entry.place(epoch, stored)))
            };
            let blocks: Option<Vec<StoredBlock>> =
                found.into_iter().map(fetch).collect::<Result<_, _>>()?;
            // One that was acked since the lock was let go is not held any more: look again.
            if let Some(blocks) = blocks {
                return Ok(blocks);
            }
        }
    }

    fn ack(&self, flow: &str, epoch: u64, through: Sequence) -> Result<Option<Bytes>, BufferError> {
        let mut state = self.shared.lock();
        if epoch != state.ledger.epoch {
            return Ok(None);
        }
        let (numbers, position) = state.ledger.ack(flow, through);
        let mut emptied = false;
        for number in numbers {
            emptied |= state.acked(number);
        }
        let newest = state
            .slices
            .last_key_value()
            .map_or(0, |(_, slice)| slice.bytes);
        let drained = newest >= DRAINED_BYTES && state.ledger.is_drained();
        drop(state);
        if emptied {
            self.shared.drop_acked();
        }
        if let (true, Some(queue)) = (drained, &self.queue) {
            // Where it is full, an append comes, and that looks too.
            let _ = queue.try_send(Work::Drained);
        }
        Ok(position)
    }

    fn seen(&self, flow: &str, mark: &[u8]) -> MarkState {
        self.shared.lock().ledger.seen(flow, mark)
    }

    fn position(&self, flow: &str) -> Option<Bytes> {
        self.shared.lock().ledger.position(flow)
    }

    fn depth(&self, flow: &str) -> Depth {
        self.shared.lock().ledger.depth(flow)
    }

    fn flows(&self) -> Vec<Arc<str>> {
        self.shared.lock().ledger.names()
    }

    fn space(&self) -> Space {
        let state = self.shared.lock();
        Space {
            bytes: state.bytes(),
            bytes_max: self.shared.options.bytes_max,
            waiting: state.waiting.clone().or_else(|| state.parked.clone()),
        }
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }
}
