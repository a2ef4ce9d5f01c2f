//! The thread that commits: group commit and rolling.

mod aside;
mod renewing;
mod rolling;
mod room;

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use dray_edges::{Plant, edge, is_planted};

use crate::api::{Appended, StoredBlock};
use crate::generation::{Generation, Uncommitted};
use crate::layout::{self, Note, Placed, Record};
use crate::ledger::{Entry, Numbering};
use crate::marks;
use crate::shared::{Shared, Waiting, Work};
use crate::sled_buffer::now_s;
use aside::Aside;
pub(crate) use rolling::write_marks;
use room::{ROLL_BYTES, ROOM_LOOK};

/// Payload that one commit takes in, at most, beyond its first append.
const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A drained generation that takes this much on disk is closed, so that a quiet agent gives the disk
/// back.
pub(crate) const DRAINED_BYTES: u64 = 32 * 1024 * 1024;

/// The tail's records in memory, at most, about: many small blocks close a generation early.
const RECORDS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The next generation is made when the tail is this full, in eighths, or that much on disk of what a drained one is closed at.
const NEARLY_FULL: u64 = 7;

/// The tail's bytes on disk are counted after so many commits, or so many written bytes: far less than a commit's slack at the cap.
const MEASURE_COMMITS: u32 = 16;
const MEASURE_BYTES: u64 = 128 * 1024;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    tail: Arc<Generation>,
    tail_first: u64,
    /// What was written to it.
    tail_bytes: u64,
    /// Of that, what is counted in its bytes on disk; and the commits since.
    measured: (u64, u32),
    /// Its bytes on disk, when they were counted.
    on_disk: u64,
    /// The tail's records without payloads, for its summary.
    placed: Vec<Placed>,
    /// What those take.
    placed_bytes: u64,
    next_number: u64,
    numbering: Numbering,
    aside: Aside,
    /// Appends of flows that hold half the cap, in their order: others go on.
    parked: Vec<Waiting>,
    /// What there is to do.
    queue: mpsc::Receiver<Work>,
    /// What came while an append waited for room, in its order.
    behind: VecDeque<Work>,
}

/// One commit's records, and what the ledger learns once they are on stable storage.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    answers: Vec<(Waiting, Appended)>,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        tail: Arc<Generation>,
        tail_first: u64,
        placed: Vec<Placed>,
        numbering: Numbering,
        queue: mpsc::Receiver<Work>,
    ) -> Self {
        let next_number = placed
            .last()
            .map_or(tail_first, |last| last.number + last.values);
        let written =
            |one: &Placed| layout::record_bytes(&one.record) as u64 + u64::from(one.payload_bytes);
        let found = shared.lock().slices.get(&tail_first).map(|tail| tail.bytes);
        let on_disk = found.unwrap_or(0);
        Self {
            aside: Aside::new(Arc::clone(&shared)),
            shared,
            tail,
            tail_first,
            tail_bytes: placed.iter().map(written).sum(),
            measured: (0, 0),
            on_disk,
            placed_bytes: placed.iter().map(Placed::memory_bytes).sum(),
            placed,
            next_number,
            numbering,
            parked: Vec::new(),
            queue,
            behind: VecDeque::new(),
        }
    }

    pub(crate) fn run(mut self) {
        while let Some(first) = self.next_work() {
            // What stopped the buffer answers for everything that comes after it.
            let stopped = self.shared.lock().stopped.clone();
            match (first, stopped) {
                (Work::Append(first), stopped) => {
                    let mut bytes = payload_bytes(&first);
                    let mut waiting = vec![first];
                    while bytes < COMMIT_BYTES_MAX
                        && let Some(append) = self.next_append()
                    {
                        bytes += payload_bytes(&append);
                        waiting.push(append);
                    }
                    let result = match stopped {
                        Some(error) => Err((error, waiting)),
                        None => self.commit(waiting, bytes as u64),
                    };
                    if let Err((error, waiting)) = result {
                        for Waiting { answer, .. } in waiting {
                            let _ = answer.send(Err(error.clone()));
                        }
                    }
                }
                (Work::Renew(answer), stopped) => {
                    let renewed = stopped.map_or_else(|| self.renew(), Err);
                    let _ = answer.send(renewed);
                }
                (Work::Mend(first, reason), None) => {
                    // Its failure has stopped the buffer, which says so.
                    let _ = self.mend(first, &reason);
                }
                (Work::Drained, None) => {
                    if let Err(reason) = self.give_back() {
                        self.shared.stop(reason);
                    }
                }
                (Work::Look, None) => {
                    let waiting = std::mem::take(&mut self.parked);
                    let bytes = waiting.iter().map(payload_bytes).sum::<usize>();
                    if let Err((error, waiting)) = self.commit(waiting, bytes as u64) {
                        for Waiting { answer, .. } in waiting {
                            let _ = answer.send(Err(error.clone()));
                        }
                    }
                }
                (Work::Mend(..) | Work::Drained | Work::Look, Some(_)) => {}
            }
        }
    }

    /// What is to be done next; `None` when the buffer closes. While appends are parked, or a generation is being sealed, they are
    /// looked at again.
    fn next_work(&mut self) -> Option<Work> {
        if let Some(work) = self.behind.pop_front() {
            return Some(work);
        }
        if self.parked.is_empty() && !self.aside.is_sealing() {
            return self.queue.recv().ok();
        }
        match self.queue.recv_timeout(ROOM_LOOK) {
            Ok(work) => Some(work),
            Err(mpsc::RecvTimeoutError::Timeout) => Some(Work::Look),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The next append, if that is what comes next.
    fn next_append(&mut self) -> Option<Waiting> {
        let next = self.behind.pop_front();
        match next.or_else(|| self.queue.try_recv().ok())? {
            Work::Append(append) => Some(append),
            other => {
                self.behind.push_front(other);
                None
            }
        }
    }

    fn commit(
        &mut self,
        waiting: Vec<Waiting>,
        bytes: u64,
    ) -> Result<(), (crate::BufferError, Vec<Waiting>)> {
        if let Err(reason) = self.settle_if_done() {
            return Err((self.shared.stop(reason), waiting));
        }
        let waiting = self.park(waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        if let Err(reason) = self.wait_for_room(bytes) {
            return Err((self.shared.stop(reason), waiting));
        }
        if let Err(reason) = self.patiently(Self::roll_if_due) {
            return Err((self.shared.stop(reason), waiting));
        }
        let group = self.group(waiting);
        let (tail, next) = (&self.tail, self.next_number);
        edge!("buffer.before_write");
        // sled panics where it should fail; its state is not looked at again after that.
        let committed =
            std::panic::catch_unwind(AssertUnwindSafe(|| tail.commit(next, &group.records)));
        let committed = committed
            .unwrap_or_else(|_| Err("sled panicked; see the lines before".to_owned().into()))
            .and_then(|written| {
                self.testify(written.numbers)?;
                Ok(written)
            });
        match committed {
            Ok(written) => self.tail_bytes += written.bytes,
            Err(uncommitted) => {
                let waiting = group.answers.into_iter().map(|(waiting, _)| waiting);
                return Err((self.not_committed(uncommitted), waiting.collect()));
            }
        }
        edge!("buffer.before_receipts");
        self.enter(group);
        Ok(())
    }

    /// Stops the buffer: a commit failed, and how far it came is only known when it is opened anew.
    fn not_committed(&self, uncommitted: Uncommitted) -> crate::BufferError {
        let Uncommitted { reason, unsynced } = uncommitted;
        if unsynced {
            return self.shared.stop_for_a_person(format!(
                "{reason}. Nothing that was accepted is lost; mend the disk, then restart the agent"
            ));
        }
        let way_out = if self.tail.is_deleted() {
            "It is opened again, tells what is missing, and files in archive/pending are read again"
        } else {
            "Nothing that was accepted is lost; it is opened again"
        };
        self.shared.stop(format!("{reason}. {way_out}"))
    }

    /// Numbers the appends and lays out their records.
    fn group(&mut self, waiting: Vec<Waiting>) -> Group {
        let mut group = Group::default();
        let at_s = now_s();
        // Of each flow, the last append, and the last one with blocks.
        let (mut newest, mut carrier) = (HashMap::new(), HashMap::new());
        for (at, Waiting { append, .. }) in waiting.iter().enumerate() {
            newest.insert(Arc::clone(&append.flow), at);
            if !append.blocks.is_empty() {
                carrier.insert(Arc::clone(&append.flow), at);
            }
        }
        for (at, one) in waiting.into_iter().enumerate() {
            let append = &one.append;
            let mut stored = self.numbering.number(append);
            let through = self.numbering.through(&append.flow);
            // All of the group lasts here or none of it, so nothing is ever gone on from a place within it. Nor at the collector, which
            // may hold a part of it: there the flow stands where it stood, and what is read again is known by its ids.
            let carries = carrier.get(&append.flow) == Some(&at);
            if let (false, Some(last)) = (carries, stored.last_mut()) {
                last.block.position = Bytes::new();
            }
            let said = newest.get(&append.flow) != Some(&at)
                || stored
                    .last()
                    .is_some_and(|last| last.block.position == append.position);
            let block = |block: StoredBlock| Record::Block {
                flow: append.flow.to_string(),
                block,
            };
            group.records.extend(stored.into_iter().map(block));
            if !said || !append.marks.is_empty() {
                group.records.push(Record::Note(Note {
                    flow: append.flow.to_string(),
                    through,
                    at_s,
                    // The block before it says it already, or an append behind it.
                    position: if said {
                        Bytes::new()
                    } else {
                        append.position.clone()
                    },
                    marks: append
                        .marks
                        .iter()
                        .map(|mark| marks::hash(&append.flow, mark))
                        .collect(),
                }));
            }
            group.answers.push((one, Appended { through }));
        }
        group
    }

    /// The witness learns of a commit before anybody else does.
    fn testify(&self, numbers: u64) -> Result<(), String> {
        edge!("buffer.before_witness");
        let mut witness = self
            .shared
            .witness
            .lock()
            .expect("nobody panics holding it");
        witness
            .committed(self.next_number + numbers)
            .map_err(|error| format!("its witness can't be written: {error}"))
    }

    /// It is on stable storage: readers may see it, and the answers leave.
    fn enter(&mut self, group: Group) {
        let mut state = self.shared.lock();
        for mut record in group.records {
            let number = self.next_number;
            let mut payload_bytes = 0;
            match &mut record {
                Record::Block { flow, block } => {
                    payload_bytes = block.block.payload.len() as u32;
                    let entry = Entry::new(number, block, payload_bytes);
                    state
                        .ledger
                        .push(flow, entry)
                        .expect("the writer numbered it");
                    state.keep_recent(number, block.clone());
                    state.slices.entry(self.tail_first).or_default().held += 1;
                    block.block.payload = Bytes::new();
                }
                Record::Note(note) => {
                    state
                        .ledger
                        .note(&note.flow, &note.position, &note.marks, note.at_s);
                }
                Record::Opening { .. }
                | Record::Renewal(_)
                | Record::Lost
                | Record::Compacted(_) => {}
            }
            if let (Record::Note(note), true) = (&mut record, is_planted(Plant::LostMark)) {
                note.marks.clear();
            }
            let values = layout::value_count(&record, payload_bytes);
            self.next_number += values;
            let placed = Placed {
                number,
                values,
                payload_bytes,
                record,
            };
            self.placed_bytes += placed.memory_bytes();
            self.placed.push(placed);
        }
        drop(state);
        self.measured.1 += 1;
        let unmeasured = self.tail_bytes - self.measured.0;
        if unmeasured >= MEASURE_BYTES || self.measured.1 >= MEASURE_COMMITS {
            self.measure();
        }
        if self.is_full(NEARLY_FULL) || self.on_disk * 8 >= DRAINED_BYTES * NEARLY_FULL {
            self.aside.prepare(ROLL_BYTES);
        }
        self.shared.changed.send_modify(|version| *version += 1);
        for (Waiting { answer, .. }, appended) in group.answers {
            let _ = answer.send(Ok(appended));
        }
    }
}

fn payload_bytes(waiting: &Waiting) -> usize {
    waiting
        .append
        .blocks
        .iter()
        .map(|block| block.payload.len())
        .sum()
}
