//! What readers, acks and the writer of the sled buffer share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use dray_edges::edge;
use tokio::sync::{oneshot, watch};

use crate::api::{Append, Appended, BufferError, Loss, StoredBlock};
use crate::compacting::{self, Run};
use crate::databases::Databases;
use crate::folder;
use crate::generation::{self, Generation};
use crate::ledger::Ledger;
use crate::mending;
use crate::sled_buffer::{BALLAST, Options};
use crate::unreadable::{DISK_ERROR, Unreadable};
use crate::witness::Witness;

/// Newest blocks that are kept in memory until they are acked, so that sending them reads no disk: what they take there.
const RECENT_BYTES: usize = 8 * 1024 * 1024;
/// What a block takes besides payload and position: that of one small file holds little else.
const RECENT_BLOCK_BYTES: usize = 320;

/// What the writer is asked to do.
pub(crate) enum Work {
    Append(Waiting),
    /// A new epoch is wanted.
    Renew(oneshot::Sender<Result<u64, BufferError>>),
    /// The generation that begins with this number can't be read.
    Mend(u64, String),
    /// Everything is acked: the disk may be given back.
    Drained,
    /// Appends that were kept back, and what is being sealed, are looked at again.
    Look,
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
    /// It begins a new epoch: the blocks before it stand on disk under other numbers than they have.
    pub(crate) begins_epoch: bool,
}

/// What readers, acks and the writer share.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) slices: BTreeMap<u64, Slice>,
    /// Bytes on disk besides the generations: ballast, marks, the one that is made ahead.
    pub(crate) other_bytes: u64,
    pub(crate) stopped: Option<BufferError>,
    pub(crate) waiting: Option<String>,
    /// Why some flows' appends wait, while others go on.
    pub(crate) parked: Option<String>,
    pub(crate) recent: HashMap<u64, StoredBlock>,
    pub(crate) recent_order: VecDeque<(u64, usize)>,
    pub(crate) recent_bytes: usize,
    pub(crate) closing: bool,
    /// What damage took from the epochs before this one.
    pub(crate) losses: Vec<Loss>,
    /// The generation that is being mended.
    pub(crate) mending: Option<u64>,
    /// What could not be read last.
    pub(crate) failing: Option<Failing>,
    /// Why generations could not be put together, when that was tried last.
    pub(crate) compacting_failed: Option<String>,
}

/// A generation that can't be read for an error that need not last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failing {
    pub(crate) first: u64,
    pub(crate) since: Instant,
    pub(crate) last: Instant,
}

impl State {
    /// Bytes on disk, all told.
    pub(crate) fn bytes(&self) -> u64 {
        self.other_bytes + self.slices.values().map(|slice| slice.bytes).sum::<u64>()
    }

    /// Keeps a block in memory for whoever sends it next.
    pub(crate) fn keep_recent(&mut self, number: u64, block: StoredBlock) {
        let bytes = block.block.payload.len() + block.block.position.len() + RECENT_BLOCK_BYTES;
        self.recent_bytes += bytes;
        self.recent_order.push_back((number, bytes));
        self.recent.insert(number, block);
        while self.recent_bytes > RECENT_BYTES {
            self.forget_oldest_recent();
        }
    }

    /// Nobody sends an acked block again.
    fn forget_recent(&mut self, number: u64) {
        self.recent.remove(&number);
        while let Some((oldest, _)) = self.recent_order.front()
            && !self.recent.contains_key(oldest)
        {
            self.forget_oldest_recent();
        }
    }

    fn forget_oldest_recent(&mut self) {
        if let Some((oldest, bytes)) = self.recent_order.pop_front() {
            self.recent.remove(&oldest);
            self.recent_bytes -= bytes;
        }
    }

    /// A block is acked; whether its generation holds nothing more.
    pub(crate) fn acked(&mut self, number: u64) -> bool {
        self.forget_recent(number);
        let slice = self.slices.range_mut(..=number).next_back();
        slice.is_some_and(|(_, slice)| {
            slice.held -= 1;
            slice.held == 0 && slice.sealed
        })
    }
}

/// A generation's first number and its open database.
type Open = (u64, Arc<Generation>);

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) state: Mutex<State>,
    pub(crate) witness: Mutex<Witness>,
    /// Held by whoever deletes generations.
    pub(crate) dropping: Mutex<()>,
    /// Space came back, or the buffer closes.
    pub(crate) freed: Condvar,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) open: Mutex<Databases>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding it")
    }

    /// The buffer takes nothing more until it is opened anew; after an I/O error of the disk, until a person has looked at it.
    pub(crate) fn stop(&self, reason: String) -> BufferError {
        let is_of_disk = reason.contains(DISK_ERROR);
        self.stop_and(reason, !is_of_disk)
    }

    /// The buffer takes nothing more until a person has looked at the disk.
    pub(crate) fn stop_for_a_person(&self, reason: String) -> BufferError {
        self.stop_and(reason, false)
    }

    fn stop_and(&self, reason: String, reopen: bool) -> BufferError {
        let error = BufferError::Stopped {
            folder: self.options.folder.display().to_string(),
            reason,
            reopen,
        };
        tracing::error!(%error, "the buffer stopped");
        self.lock().stopped = Some(error.clone());
        // Opening must work on a full disk, so room is made for it.
        self.drop_ballast();
        error
    }

    /// Gives up the space that was set aside.
    pub(crate) fn drop_ballast(&self) {
        let _ = fs::remove_file(self.options.folder.join(BALLAST));
    }

    /// A block from the disk; `None` if it is acked. The error: its generation, and what is wrong.
    pub(crate) fn fetch(&self, number: u64) -> Result<Option<StoredBlock>, (u64, Unreadable)> {
        let Some((first, generation)) = self.generation_of(number)? else {
            return Ok(None);
        };
        let block = generation.block(number);
        block.map(Some).map_err(|reason| (first, reason))
    }

    /// The open database of the generation that holds `number`; `None` if all of it is acked.
    fn generation_of(&self, number: u64) -> Result<Option<Open>, (u64, Unreadable)> {
        // Held while it is opened: a folder that is being dropped must not be made again.
        let mut open = self.open.lock().expect("nobody panics holding it");
        let state = self.lock();
        let first = state.slices.range(..=number).next_back();
        let Some(first) = first.map(|(first, _)| *first) else {
            return Ok(None);
        };
        drop(state);
        if let Some(found) = open.read(first) {
            return Ok(Some((first, found)));
        }
        let path = self.options.folder.join(generation::name(first));
        let of = path.clone();
        let opened = mending::guarded(&path, move || Generation::open(&of));
        let opened = Arc::new(opened.map_err(|reason| (first, reason))?);
        open.keep(first, Arc::clone(&opened));
        Ok(Some((first, opened)))
    }

    /// Deletes generations from the oldest on, as long as nothing of them is held.
    pub(crate) fn drop_acked(&self) {
        let _one = self.dropping.lock().expect("nobody panics holding it");
        while let Some((first, next)) = self.oldest_acked() {
            if let Err(error) = self.drop_generation(first, next) {
                tracing::warn!(generation = first, %error, "an acked generation could not be deleted; it is tried again");
                return;
            }
            self.freed.notify_all();
        }
    }

    /// Puts generations together of which little is held, when more than half of the cap is used; whether any were. A failure
    /// leaves all as it was.
    pub(crate) fn compact(&self) -> bool {
        let _one = self.dropping.lock().expect("nobody panics holding it");
        let state = self.lock();
        if state.bytes() * 2 < self.options.bytes_max {
            return false;
        }
        let held_bytes_max = self.options.generation_bytes;
        let Some(run) = compacting::choose(&state.slices, &state.ledger, held_bytes_max) else {
            return false;
        };
        drop(state);
        match self.compact_run(&run) {
            Ok(()) => true,
            Err(reason) => {
                let mut state = self.lock();
                if state.compacting_failed.as_ref() != Some(&reason) {
                    tracing::warn!(
                        reason,
                        "acked parts of the buffer could not be given back; it is tried again"
                    );
                    state.compacting_failed = Some(reason);
                }
                false
            }
        }
    }

    fn compact_run(&self, run: &Run) -> Result<(), String> {
        let folder = &self.options.folder;
        let mut records = Vec::new();
        for first in &run.firsts {
            let placed = generation::summary(&folder.join(generation::name(*first)))
                .map_err(|why| why.reason().to_owned())?;
            records.extend(placed.ok_or("a generation is not sealed")?);
        }
        let placed = compacting::plan(run, &records, &self.lock().ledger);
        compacting::copy(folder, run, &placed, |number| self.fetch(number))?;
        let mut open = self.open.lock().expect("nobody panics holding it");
        run.firsts.iter().for_each(|first| open.close(*first));
        let mut state = self.lock();
        let first = run.firsts[0];
        let numbers = first..run.end;
        let held = state
            .ledger
            .numbers()
            .filter(|number| numbers.contains(number));
        let held = held.count() as u64;
        for other in &run.firsts[1..] {
            state.slices.remove(other);
        }
        if let Some(slice) = state.slices.get_mut(&first) {
            slice.held = held;
            slice.bytes = folder::allocated(&folder.join(generation::name(first)));
        }
        drop(state);
        drop(open);
        compacting::remove(folder, run).map_err(|error| error.to_string())?;
        tracing::info!(
            generations = run.firsts.len(),
            blocks = held,
            "acked parts of the buffer were given back"
        );
        Ok(())
    }

    /// The oldest generation if nothing of it is held, and the one after it.
    fn oldest_acked(&self) -> Option<(u64, u64)> {
        let state = self.lock();
        let mut slices = state.slices.iter();
        let (&first, slice) = slices.next()?;
        let (&next, _) = slices.next()?;
        (slice.held == 0 && slice.sealed).then_some((first, next))
    }

    fn drop_generation(&self, first: u64, next: u64) -> io::Result<()> {
        // Said before it goes: what the witness names must be there, even after a power cut.
        let mut witness = self.witness.lock().expect("nobody panics holding it");
        let newest = witness.said.newest;
        witness.generations(next, newest)?;
        drop(witness);
        edge!("buffer.before_putting_away");
        let mut open = self.open.lock().expect("nobody panics holding it");
        open.close(first);
        let gone = folder::put_away(&self.options.folder, &generation::name(first))?;
        self.lock().slices.remove(&first);
        drop(open);
        edge!("buffer.before_delete");
        fs::remove_dir_all(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{NewBlock, Sequence};

    fn block(payload: usize) -> StoredBlock {
        StoredBlock {
            epoch: 1,
            first_sequence: Sequence(1),
            chain: 0,
            chain_after: 0,
            block: NewBlock {
                count: 2,
                first_captured_us: 0,
                last_captured_us: 0,
                codec: 0,
                decoded_bytes: 0,
                crc32c: 0,
                dead_letters: 0,
                payload: vec![0; payload].into(),
                position: vec![0; 1_500].into(),
            },
        }
    }

    #[test]
    fn recent_blocks_go_when_they_are_acked_and_are_few_when_they_are_not() {
        let mut state = State::default();
        for number in 0..40 {
            state.keep_recent(number, block(180));
        }
        for number in (0..40).step_by(2).chain((1..40).step_by(2)) {
            state.acked(number);
        }
        assert_eq!((state.recent.len(), state.recent_order.len()), (0, 0));
        assert_eq!(state.recent_bytes, 0);
        for number in 0..10_000 {
            state.keep_recent(number, block(180));
        }
        let most = RECENT_BYTES / (180 + 1_500 + RECENT_BLOCK_BYTES);
        assert_eq!(state.recent.len(), most);
        assert!(state.recent.contains_key(&9_999));
    }
}
