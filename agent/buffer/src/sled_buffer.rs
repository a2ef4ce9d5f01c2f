//! The buffer in sled: generations, one writer thread, a sync of our own.
//!
//! ```text
//! buffer/
//!   lock
//!   ballast                    space that is given up when the disk is full
//!   marks/m-<first number>     marks of sealed generations; they outlive the blocks
//!   g-<first number>/          a generation: a sled database
//!     db conf snap.*           sled's
//!     summary                  written when it is sealed
//! ```
//!
//! A generation is closed at [`Options::generation_bytes`]. When its last block is acked, its folder
//! is renamed and deleted, which works on a full disk. Opening reads the summaries and scans the
//! newest generation alone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::api::{
    Append, Appended, Buffer, BufferError, Depth, MarkState, Receipt, Sequence, Space, StoredBlock,
};
use crate::folder;
use crate::generation::{self, Generation};
use crate::layout::{Note, Placed, Record};
use crate::ledger::{Entry, Ledger, refuse};
use crate::marks::MARK_SECONDS;
use crate::writer::{Writer, write_marks};

/// Appends that wait for the writer, at most; a source has two under way.
const QUEUE: usize = 256;
/// Newest blocks that are kept in memory, so that sending them reads no disk.
const RECENT_BYTES: usize = 8 * 1024 * 1024;
/// Sealed generations that are open for reading, at most.
const OPEN_MAX: usize = 2;
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
    /// A generation is closed at this many bytes of values.
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

/// An append on its way to the writer.
pub(crate) struct Waiting {
    pub(crate) append: Append,
    pub(crate) answer: oneshot::Sender<Result<Appended, BufferError>>,
}

/// A generation as the ledger's side sees it.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Blocks that are not acked.
    pub(crate) held: u64,
    pub(crate) sealed: bool,
    /// Bytes on disk, when it was last looked at.
    pub(crate) bytes: u64,
}

/// What readers, acks and the writer share.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) slices: BTreeMap<u64, Slice>,
    pub(crate) stopped: Option<BufferError>,
    pub(crate) waiting: Option<String>,
    recent: HashMap<u64, StoredBlock>,
    recent_order: VecDeque<(u64, usize)>,
    recent_bytes: usize,
    pub(crate) closing: bool,
}

impl State {
    /// Keeps a block in memory for whoever sends it next.
    pub(crate) fn keep_recent(&mut self, number: u64, block: StoredBlock) {
        let bytes = block.block.payload.len();
        self.recent_bytes += bytes;
        self.recent_order.push_back((number, bytes));
        self.recent.insert(number, block);
        while self.recent_bytes > RECENT_BYTES {
            let Some((oldest, bytes)) = self.recent_order.pop_front() else {
                break;
            };
            self.recent.remove(&oldest);
            self.recent_bytes -= bytes;
        }
    }
}

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) epoch: u64,
    pub(crate) state: Mutex<State>,
    /// Space came back, or the buffer closes.
    pub(crate) freed: Condvar,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) bytes: AtomicU64,
    /// Open databases of sealed generations, and of the newest one; the oldest use first.
    pub(crate) open: Mutex<Vec<(u64, Arc<Generation>)>>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding it")
    }

    /// The buffer takes nothing more.
    pub(crate) fn stop(&self, reason: String) -> BufferError {
        let error = BufferError::Stopped {
            folder: self.options.folder.display().to_string(),
            reason,
        };
        tracing::error!(%error, "the buffer stopped");
        self.lock().stopped = Some(error.clone());
        // Opening must work on a full disk, so room is made for it.
        let _ = fs::remove_file(self.options.folder.join("ballast"));
        error
    }

    fn stopped(&self, reason: String) -> BufferError {
        BufferError::Stopped {
            folder: self.options.folder.display().to_string(),
            reason,
        }
    }

    /// The open database of the generation that holds `number`.
    fn generation_of(&self, number: u64) -> Result<Arc<Generation>, BufferError> {
        let state = self.lock();
        let first = state
            .slices
            .range(..=number)
            .next_back()
            .map(|(first, _)| *first);
        let newest = state.slices.last_key_value().map(|(first, _)| *first);
        drop(state);
        let first =
            first.ok_or_else(|| self.stopped(format!("no generation holds number {number}")))?;
        let mut open = self.open.lock().expect("nobody panics holding it");
        if let Some(at) = open.iter().position(|(known, _)| *known == first) {
            let found = open.remove(at);
            open.push(found.clone());
            return Ok(found.1);
        }
        let path = self.options.folder.join(generation::name(first));
        let opened = Arc::new(Generation::open(&path).map_err(|reason| self.stopped(reason))?);
        // The newest stays: the writer has it open, and a second opening would wait for its lock.
        if open.len() > OPEN_MAX
            && let Some(oldest) = open.iter().position(|(known, _)| Some(*known) != newest)
        {
            open.remove(oldest);
        }
        open.push((first, Arc::clone(&opened)));
        Ok(opened)
    }

    /// Deletes generations from the oldest on, as long as nothing of them is held.
    pub(crate) fn drop_acked(&self) {
        let mut gone = Vec::new();
        let mut state = self.lock();
        while let Some((&first, slice)) = state.slices.first_key_value() {
            if slice.held > 0 || !slice.sealed {
                break;
            }
            self.bytes.fetch_sub(slice.bytes, Ordering::Relaxed);
            state.slices.remove(&first);
            gone.push(first);
        }
        drop(state);
        for first in &gone {
            self.open
                .lock()
                .expect("nobody panics holding it")
                .retain(|(known, _)| known != first);
            if let Err(error) = folder::remove(&self.options.folder, &generation::name(*first)) {
                tracing::warn!(generation = first, %error, "an acked generation could not be deleted; it is tried again at the next start");
            }
        }
        if !gone.is_empty() {
            self.freed.notify_all();
        }
    }
}

/// The durable buffer.
pub struct SledBuffer {
    shared: Arc<Shared>,
    queue: Option<mpsc::SyncSender<Waiting>>,
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
            folder: folder.display().to_string(),
            reason,
        };
        let lock = lock(&folder).map_err(stopped)?;
        let opened = open(&options).map_err(stopped)?;
        let shared = Arc::new(Shared {
            bytes: AtomicU64::new(folder::allocated(&folder)),
            options,
            epoch: opened.epoch,
            state: Mutex::new(State {
                ledger: opened.ledger,
                slices: opened.slices,
                ..State::default()
            }),
            freed: Condvar::new(),
            changed: watch::Sender::new(0),
            open: Mutex::new(vec![(opened.tail_first, Arc::clone(&opened.tail))]),
        });
        shared.drop_acked();
        let numbering = shared.lock().ledger.numbering(shared.epoch);
        let (queue, waiting) = mpsc::sync_channel(QUEUE);
        let writer = Writer::new(
            Arc::clone(&shared),
            opened.tail,
            opened.tail_first,
            opened.placed,
            numbering,
        );
        let writer = std::thread::Builder::new()
            .name("buffer".into())
            .spawn(move || writer.run(&waiting))
            .map_err(|error| stopped(format!("its thread can't be started: {error}")))?;
        Ok(Self {
            shared,
            queue: Some(queue),
            writer: Some(writer),
            _lock: lock,
        })
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

/// What opening finds.
struct Opened {
    epoch: u64,
    ledger: Ledger,
    slices: BTreeMap<u64, Slice>,
    tail: Arc<Generation>,
    tail_first: u64,
    placed: Vec<Placed>,
}

fn open(options: &Options) -> Result<Opened, String> {
    let folder = &options.folder;
    let firsts =
        generations(folder).map_err(|error| format!("its folder can't be read: {error}"))?;
    make_ballast(options);
    let mut ledger = Ledger::default();
    read_marks(folder, &mut ledger)?;
    let mut slices = BTreeMap::new();
    let (mut epoch, mut expected, mut tail) = (0, None, None);
    for (index, first) in firsts.iter().copied().enumerate() {
        let path = folder.join(generation::name(first));
        if expected.is_some_and(|expected| expected != first) {
            return Err(format!(
                "{} does not join the generation before it; what is between is missing. Move the folder away to begin a new buffer: dropped files are read again from archive/pending",
                path.display()
            ));
        }
        let newest = index + 1 == firsts.len();
        let (placed, opened) = match generation::summary(&path)? {
            Some(placed) => (placed, None),
            None => {
                let opened = Generation::open(&path)?;
                // After a kill the kernel may still hold what the disk does not: nobody is told of a
                // block before it is on stable storage.
                opened
                    .sync()
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                (opened.scan(first)?, Some(opened))
            }
        };
        let held = take_in(&placed, &mut ledger, &mut epoch)
            .map_err(|reason| format!("{}: {reason}", path.display()))?;
        let last = placed
            .last()
            .ok_or_else(|| format!("{} is empty", path.display()))?;
        expected = Some(last.number + last.values);
        let sealed = opened.is_none() || !newest;
        slices.insert(
            first,
            Slice {
                held,
                sealed,
                bytes: folder::allocated(&path),
            },
        );
        if newest {
            tail = opened.map(|opened| (first, opened, placed));
        }
    }
    if epoch == 0 {
        epoch = rand::random::<u64>() | 1;
    }
    let (tail_first, tail, placed) = match tail {
        Some(tail) => tail,
        // The newest was sealed and the next one not yet made, or there is none at all.
        None => {
            let first = expected.unwrap_or(1);
            let opening = Record::Opening {
                epoch,
                flows: ledger.standings(),
            };
            let made = Generation::create(folder, first, &opening)?;
            slices.insert(first, Slice::default());
            (
                first,
                made,
                vec![Placed {
                    number: first,
                    values: 1,
                    payload_bytes: 0,
                    record: opening,
                }],
            )
        }
    };
    Ok(Opened {
        epoch,
        ledger,
        slices,
        tail: Arc::new(tail),
        tail_first,
        placed,
    })
}

/// The generations' first numbers, ascending; what a cut left half done is removed.
fn generations(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("tmp-") || name.starts_with(".gone-") {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?
            } else {
                fs::remove_file(entry.path())?
            }
        }
        firsts.extend(generation::parse_name(&name));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Takes a generation's records into the ledger; how many blocks it holds.
fn take_in(placed: &[Placed], ledger: &mut Ledger, epoch: &mut u64) -> Result<u64, String> {
    let mut held = 0;
    for one in placed {
        match &one.record {
            Record::Opening {
                epoch: found,
                flows,
            } => {
                if *epoch != 0 && epoch != found {
                    return Err("it belongs to another buffer: its epoch differs".into());
                }
                *epoch = *found;
                flows
                    .iter()
                    .try_for_each(|standing| ledger.stand(standing))?;
            }
            Record::Block { flow, block } => {
                let entry = Entry::new(one.number, block, one.payload_bytes);
                ledger.push(flow, entry, block.chain, block.chain_after)?;
                held += 1;
            }
            Record::Note(note) => ledger.note(
                &note.flow,
                &note.position,
                &note.marks,
                note.through,
                note.at_s,
            ),
        }
    }
    Ok(held)
}

/// Reads the marks of generations that are gone; files that are too old go.
fn read_marks(folder: &Path, ledger: &mut Ledger) -> Result<(), String> {
    let failed =
        |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let marks = folder.join(MARKS);
    let mut files: Vec<PathBuf> = fs::read_dir(&marks)
        .map_err(|error| failed(&marks, &error))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    for path in files {
        let age = path
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("tmp-"));
        if hidden || age.is_some_and(|age| age.as_secs() > MARK_SECONDS) {
            fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| failed(&path, &error))?;
        for one in crate::layout::decode_summary(&bytes).map_err(|what| failed(&path, &what))? {
            if let Record::Note(Note {
                flow,
                marks,
                through,
                at_s,
                ..
            }) = one.record
            {
                ledger.remember(&flow, &marks, through, at_s);
            }
        }
    }
    Ok(())
}

/// Space to give up later; made only where there is plenty.
fn make_ballast(options: &Options) {
    let path = options.folder.join("ballast");
    if options.ballast_bytes == 0
        || path.exists()
        || folder::free(&options.folder) < options.ballast_bytes * 2 + options.reserve_bytes
    {
        return;
    }
    let made = File::create(&path).and_then(|file| {
        rustix::fs::fallocate(
            &file,
            rustix::fs::FallocateFlags::empty(),
            0,
            options.ballast_bytes,
        )
        .map_err(io::Error::from)
    });
    if let Err(error) = made {
        tracing::debug!(%error, "no ballast could be set aside");
        let _ = fs::remove_file(path);
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
    generation::seal(&folder.join(generation::name(first)), placed)
}

impl Buffer for SledBuffer {
    fn epoch(&self) -> u64 {
        self.shared.epoch
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
            let _ = queue.send(Waiting { append, answer });
        }
        receipt
    }

    fn read(
        &self,
        flow: &str,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<StoredBlock>, BufferError> {
        let state = self.shared.lock();
        let entries = state.ledger.entries(flow, from, bytes_max);
        let found: Vec<(u64, Option<StoredBlock>)> = entries
            .iter()
            .map(|entry| (entry.number, state.recent.get(&entry.number).cloned()))
            .collect();
        drop(state);
        let fetch = |(number, recent): (u64, Option<StoredBlock>)| match recent {
            Some(block) => Ok(block),
            None => {
                let generation = self.shared.generation_of(number)?;
                generation
                    .block(number)
                    .map_err(|reason| self.shared.stopped(reason))
            }
        };
        found.into_iter().map(fetch).collect()
    }

    fn ack(&self, flow: &str, through: Sequence) -> Result<Option<Bytes>, BufferError> {
        let mut state = self.shared.lock();
        let (numbers, position) = state.ledger.ack(flow, through);
        let mut emptied = false;
        for number in numbers {
            if let Some((_, slice)) = state.slices.range_mut(..=number).next_back() {
                slice.held -= 1;
                emptied |= slice.held == 0 && slice.sealed;
            }
        }
        drop(state);
        if emptied {
            self.shared.drop_acked();
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
        Space {
            bytes: self.shared.bytes.load(Ordering::Relaxed),
            bytes_max: self.shared.options.bytes_max,
            waiting: self.shared.lock().waiting.clone(),
        }
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }
}
