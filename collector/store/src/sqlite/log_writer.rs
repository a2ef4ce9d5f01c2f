//! The one thread that writes the log: group commit, new files, and the cap.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{SystemTime, UNIX_EPOCH};

use dray_edges::{Plant, edge, is_planted};
use dray_proto::block::Builder;
use dray_proto::v1::{Block, BlockHeader};
use dray_proto::{FlowName, Offset, Sequence};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::log_file::{self, LogFile, rows};
use super::reading::ReadError;
use super::{Shared, salvage, state};
use crate::admission::{self, Admitted};
use crate::api::{AppendError, Gap, Held, LogBlock, StoreError};
use crate::returning::{IDS_MAX, Ids};

/// Payload that one commit takes in, at most, beyond its first append.
const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Flows whose newest ids are kept in memory at once; they are read again where more are in turn.
const RETURNING_MAX: usize = 2;
/// Payload that one read of the log fetches.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What the writer is asked to do.
pub(crate) enum Work {
    Append(Appending),
    Gap(AcceptingGap),
    /// Another agent is to write the flow.
    Move {
        flow: FlowName,
        agent: String,
        answer: oneshot::Sender<Result<bool, AppendError>>,
    },
    /// A reader met damage in this file.
    Mend {
        number: u64,
        reason: String,
        answer: oneshot::Sender<Result<(), String>>,
    },
}

/// A gap that an operator accepted, on its way to the writer.
pub(crate) struct AcceptingGap {
    pub(crate) agent: String,
    pub(crate) flow: FlowName,
    pub(crate) gap: Gap,
    pub(crate) answer: oneshot::Sender<Result<Held, AppendError>>,
}

/// An append on its way to the writer.
pub(crate) struct Appending {
    pub(crate) agent: String,
    pub(crate) flow: FlowName,
    pub(crate) blocks: Vec<Block>,
    pub(crate) answer: oneshot::Sender<Result<Held, AppendError>>,
}

pub(crate) struct LogWriter {
    shared: Arc<Shared>,
    state_path: PathBuf,
    connection: Connection,
    number: u64,
    /// Of flows that changed their epoch lately.
    returning: HashMap<FlowName, Ids>,
    /// Files that were mended: none is twice.
    mended: HashSet<u64>,
}

/// What one commit will have changed.
#[derive(Default)]
struct Group {
    heads: HashMap<FlowName, Held>,
    blocks: Vec<(FlowName, LogBlock)>,
}

impl LogWriter {
    pub(crate) fn open(shared: Arc<Shared>, state_path: PathBuf) -> Result<Self, String> {
        let mut log = shared.lock();
        let number = log.files.last().map_or(1, |file| file.number);
        let folder = shared.log_folder();
        let connection = log_file::open_writer(&folder, number, shared.id, &log.heads)
            .map_err(|error| format!("{}: {error}", log_file::path(&folder, number).display()))?;
        if log.files.is_empty() {
            let file = LogFile::new(number, &log.heads);
            log.files.push(file);
        }
        drop(log);
        Ok(Self {
            shared,
            state_path,
            connection,
            number,
            returning: HashMap::new(),
            mended: HashSet::new(),
        })
    }

    pub(crate) fn run(mut self, queue: &mpsc::Receiver<Work>) {
        while let Ok(first) = queue.recv() {
            let (mut waiting, mut bytes) = (Vec::new(), 0);
            let mut next = Some(first);
            while let Some(Work::Append(append)) = next {
                bytes += payload_bytes(&append);
                waiting.push(append);
                next = (bytes < COMMIT_BYTES_MAX)
                    .then(|| queue.try_recv().ok())
                    .flatten();
            }
            if !waiting.is_empty() {
                self.commit(waiting, bytes as u64);
            }
            match next {
                Some(Work::Gap(gap)) => self.accept_gap(gap),
                Some(Work::Move {
                    flow,
                    agent,
                    answer,
                }) => drop(answer.send(self.move_flow(flow, agent))),
                Some(Work::Mend {
                    number,
                    reason,
                    answer,
                }) => drop(answer.send(self.mend(number, &reason))),
                Some(Work::Append(_)) | None => {}
            }
        }
    }

    /// Checks, writes and syncs a group, then answers. A call that is refused hurts no other.
    fn commit(&mut self, waiting: Vec<Appending>, bytes: u64) {
        let room = self
            .make_room(bytes)
            .and_then(|()| self.begin_file_if_due());
        if let Err(reason) = room {
            return refuse_all(waiting, &reason);
        }
        let mut group = Group::default();
        let mut answers = Vec::with_capacity(waiting.len());
        let mut accepted = Vec::with_capacity(waiting.len());
        let now_us = now_us();
        for mut appending in waiting {
            match self.admit(&mut group, &mut appending, now_us) {
                Ok(held) => {
                    accepted.push(appending);
                    answers.push(held);
                }
                Err(error) => {
                    let _ = appending.answer.send(Err(error));
                }
            }
        }
        if is_planted(Plant::EarlyAck) {
            answer_all(&mut accepted, &mut answers);
            let_acks_leave();
        }
        if let Err(error) = self.write(&group) {
            let _ = self.connection.execute_batch("ROLLBACK");
            tracing::error!(%error, "the log cannot be written");
            if rows::is_damage(&error)
                && let Err(reason) = self.mend(self.number, &error.to_string())
            {
                tracing::error!(reason, "the log file can't be mended");
            }
            // They hold ids of what is not in the log.
            self.returning.clear();
            return refuse_all(
                accepted,
                &format!(
                    "{error}: look at the disk of {}",
                    self.shared.options.folder.display()
                ),
            );
        }
        edge!("store.after_log_commit");
        self.enter(group);
        answer_all(&mut accepted, &mut answers);
    }

    /// Takes one call's blocks into the group, all or none.
    fn admit(
        &mut self,
        group: &mut Group,
        appending: &mut Appending,
        now_us: i64,
    ) -> Result<Held, AppendError> {
        let flow = &appending.flow;
        let mut held = self.head(group, flow);
        let mut new = Vec::new();
        for block in appending.blocks.drain(..) {
            let Some(header) = block.header.clone() else {
                return Err(AppendError::Failed("a block came without a header".into()));
            };
            let watched = admission::is_watched(&held, &header, now_us);
            match admission::admit(&appending.agent, flow, &held, &header)? {
                Admitted::New => {
                    if admission::changes_epoch(&held, &header) {
                        tracing::warn!(%flow, agent = appending.agent, "a new epoch begins: the agent lost its buffer or was restored; what it sends again is left out for a day");
                    }
                    let blocks = if watched {
                        let stripped = self.ids(group, &new, flow)?.strip(block);
                        if stripped.left_out > 0 {
                            tracing::info!(%flow, events = stripped.left_out, "left out what the log has already");
                        }
                        stripped.runs
                    } else {
                        vec![block]
                    };
                    let mut next = held.newest_offset.0 + 1;
                    for block in blocks {
                        let count = block.header.as_ref().map_or(0, |header| header.count);
                        let first_offset = Offset(next);
                        next += u64::from(count);
                        new.push((
                            flow.clone(),
                            LogBlock {
                                first_offset,
                                block,
                            },
                        ));
                    }
                    let kept = next - held.newest_offset.0 - 1;
                    held = admission::after(&held, &appending.agent, &header, kept, now_us);
                }
                Admitted::Repeat => {
                    // While it is watched, what is held may be written otherwise than it came.
                    let known = self.is_held(group, &new, flow, &header)?
                        || (watched && self.ids(group, &new, flow)?.has_all_of(&block));
                    if !known {
                        return Err(AppendError::Forked {
                            flow: flow.clone(),
                            at: Sequence(header.first_sequence),
                        });
                    }
                }
            }
        }
        group.blocks.extend(new);
        if held.epoch != 0 {
            group.heads.insert(flow.clone(), held.clone());
        }
        Ok(held)
    }

    /// What is held of a flow once the group is written.
    fn head(&self, group: &Group, flow: &FlowName) -> Held {
        let known = group.heads.get(flow).cloned();
        known.unwrap_or_else(|| self.shared.held(flow))
    }

    /// The ids of what the log has of a flow, and of what the group will add.
    fn ids(
        &mut self,
        group: &Group,
        new: &[(FlowName, LogBlock)],
        flow: &FlowName,
    ) -> Result<&mut Ids, AppendError> {
        if !self.returning.contains_key(flow) {
            if self.returning.len() >= RETURNING_MAX {
                self.returning.clear();
            }
            let mut ids = self
                .newest_ids(flow)
                .map_err(|error| AppendError::Failed(error.to_string()))?;
            let waiting = group.blocks.iter().chain(new);
            waiting
                .filter(|(of, _)| of == flow)
                .for_each(|(_, stored)| ids.learn(&stored.block));
            self.returning.insert(flow.clone(), ids);
        }
        Ok(self.returning.entry(flow.clone()).or_default())
    }

    /// The ids of a flow's newest events in the log.
    fn newest_ids(&mut self, flow: &FlowName) -> Result<Ids, StoreError> {
        let held = self.shared.held(flow);
        let mut from = Offset(
            (held.newest_offset.0 + 1)
                .saturating_sub(IDS_MAX as u64)
                .max(held.oldest_offset.0),
        );
        let mut ids = Ids::default();
        loop {
            let blocks = match self.shared.read(flow, from, READ_BYTES) {
                Ok(blocks) => blocks,
                Err(ReadError::Damaged { number, reason }) => {
                    let mended = self.mend(number, &reason);
                    mended.map_err(|reason| self.shared.failed(reason))?;
                    continue;
                }
                Err(error) => return Err(error.into_store(&self.shared)),
            };
            let Some(last) = blocks.last() else {
                return Ok(ids);
            };
            let count = last.block.header.as_ref().map_or(1, |header| header.count);
            from = Offset(last.first_offset.0 + u64::from(count));
            blocks.iter().for_each(|stored| ids.learn(&stored.block));
        }
    }

    fn move_flow(&mut self, flow: FlowName, agent: String) -> Result<bool, AppendError> {
        let held = self.shared.held(&flow);
        if held.agent.is_empty() {
            return Ok(false);
        }
        let group = Group {
            heads: HashMap::from([(flow, Held { agent, ..held })]),
            ..Group::default()
        };
        self.write_alone(group).map(|()| true)
    }

    /// Writes a group that no append made.
    fn write_alone(&mut self, group: Group) -> Result<(), AppendError> {
        self.begin_file_if_due().map_err(AppendError::Failed)?;
        self.write(&group).map_err(|error| {
            let _ = self.connection.execute_batch("ROLLBACK");
            AppendError::Failed(error.to_string())
        })?;
        self.enter(group);
        Ok(())
    }

    /// Writes a gap's event where the missing ones should be.
    fn accept_gap(&mut self, accepting: AcceptingGap) {
        let AcceptingGap {
            agent,
            flow,
            gap,
            answer,
        } = accepting;
        let _ = answer.send(self.write_gap(&agent, &flow, &gap));
    }

    fn write_gap(&mut self, agent: &str, flow: &FlowName, gap: &Gap) -> Result<Held, AppendError> {
        let before = self.shared.held(flow);
        let expected = if before.epoch == gap.epoch {
            before.next_sequence
        } else {
            Sequence(1)
        };
        if gap.next <= expected {
            return Err(AppendError::Failed(format!(
                "there is no gap: event {expected} is expected, and the agent holds events from {} on",
                gap.next
            )));
        }
        let mut builder = Builder::default();
        builder.push_dead_letter(&gap.event, gap.at_us);
        let Some(encoded) = builder.close() else {
            return Err(AppendError::Failed("a gap without an event".into()));
        };
        let header = BlockHeader {
            flow: flow.flow().to_owned(),
            epoch: gap.epoch,
            first_sequence: expected.0,
            count: encoded.count,
            first_captured_us: encoded.first_captured_us,
            last_captured_us: encoded.last_captured_us,
            codec: encoded.codec as i32,
            decoded_bytes: encoded.decoded_bytes,
            crc32c: encoded.crc32c,
            dead_letters: encoded.dead_letters,
            position: before.position.clone(),
            chain: before.chain,
            chain_after: gap.chain,
        };
        let mut held = admission::after(&before, agent, &header, 1, now_us());
        held.next_sequence = gap.next;
        let block = LogBlock {
            first_offset: Offset(before.newest_offset.0 + 1),
            block: Block {
                header: Some(header),
                payload: encoded.payload,
            },
        };
        let group = Group {
            heads: HashMap::from([(flow.clone(), held.clone())]),
            blocks: vec![(flow.clone(), block)],
        };
        self.write_alone(group)?;
        Ok(held)
    }

    /// Whether exactly this block stands in the log, or will.
    fn is_held(
        &self,
        group: &Group,
        new: &[(FlowName, LogBlock)],
        flow: &FlowName,
        header: &BlockHeader,
    ) -> Result<bool, AppendError> {
        let same = |stored: &BlockHeader| {
            (stored.count, stored.crc32c, stored.chain_after)
                == (header.count, header.crc32c, header.chain_after)
        };
        let waiting = group.blocks.iter().chain(new).filter_map(|(of, stored)| {
            let stored = stored.block.header.as_ref()?;
            (of == flow
                && stored.epoch == header.epoch
                && stored.first_sequence == header.first_sequence)
                .then_some(stored)
        });
        if let Some(stored) = waiting.last() {
            return Ok(same(stored));
        }
        let stored = self.stored_header(flow, header.epoch, header.first_sequence)?;
        Ok(stored.is_some_and(|stored| same(&stored)))
    }

    /// The header that stands in the log at this sequence; the newest file first.
    fn stored_header(
        &self,
        flow: &FlowName,
        epoch: u64,
        first: u64,
    ) -> Result<Option<BlockHeader>, AppendError> {
        let numbers: Vec<u64> = {
            let log = self.shared.lock();
            log.files.iter().rev().map(|file| file.number).collect()
        };
        for number in numbers {
            let asked = |file: &Connection| rows::header_at(file, flow, epoch, first);
            let found = match self.shared.ask_file(number, asked) {
                // What is damaged there is not found; whoever reads it has it mended.
                Err(ReadError::Damaged { .. }) => continue,
                found => found.map_err(|error| {
                    AppendError::Failed(error.into_store(&self.shared).to_string())
                })?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn write(&mut self, group: &Group) -> rusqlite::Result<()> {
        if group.heads.is_empty() {
            return Ok(());
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut ids: HashMap<&FlowName, i64> = HashMap::new();
        for (flow, held) in &group.heads {
            let opened_at = self.opened_at(flow);
            rows::put_head(&self.connection, flow, opened_at, held)?;
            let id = rows::flow_id(&self.connection, flow)?;
            ids.insert(flow, id.ok_or(rusqlite::Error::QueryReturnedNoRows)?);
        }
        for (flow, stored) in &group.blocks {
            if let Some(header) = &stored.block.header {
                rows::put_block(
                    &self.connection,
                    (ids[flow], flow),
                    stored.first_offset,
                    header,
                    &stored.block.payload,
                )?;
            }
        }
        edge!("store.before_log_commit");
        self.connection.execute_batch("COMMIT")
    }

    /// The flow's newest offset when the file that is written was begun.
    fn opened_at(&self, flow: &FlowName) -> Offset {
        let log = self.shared.lock();
        log.files
            .last()
            .map_or(Offset(0), |file| file.opened_at(flow))
    }

    /// Makes a damaged file anew, from what can be read of it.
    fn mend(&mut self, number: u64, reason: &str) -> Result<(), String> {
        if !self.mended.insert(number) {
            return Err(format!(
                "log file {number} is damaged again: {reason}. Look at the disk"
            ));
        }
        let is_tail = number == self.number;
        if is_tail {
            // Nothing may be written to the file that goes away.
            self.connection = Connection::open_in_memory().map_err(|error| error.to_string())?;
        }
        let (folder, heads) = (self.shared.log_folder(), self.shared.lock().heads.clone());
        let kept = salvage::salvage(&folder, number, self.shared.id, &heads, reason);
        self.shared.readers.forget(number);
        if is_tail {
            self.open_tail(&heads).map_err(|error| error.to_string())?;
        } else if kept == Ok(false) {
            let mut log = self.shared.lock();
            log.files.retain(|file| file.number != number);
        }
        kept.map(drop)
    }

    /// Opens the file that is written, and says in it how flows stand.
    fn open_tail(&mut self, heads: &HashMap<FlowName, Held>) -> rusqlite::Result<()> {
        let folder = self.shared.log_folder();
        self.connection = log_file::open_writer(&folder, self.number, self.shared.id, heads)?;
        for (flow, held) in heads {
            rows::put_head(&self.connection, flow, self.opened_at(flow), held)?;
        }
        Ok(())
    }

    /// It is on stable storage: readers may see it.
    fn enter(&self, group: Group) {
        if group.heads.is_empty() {
            return;
        }
        let mut log = self.shared.lock();
        for (flow, stored) in group.blocks {
            log.recent.push(&flow, stored);
        }
        let last = group
            .heads
            .values()
            .map(|held| held.last_captured_us)
            .max()
            .unwrap_or(0);
        for (flow, mut held) in group.heads {
            // Files may have gone since the group was admitted.
            let known = log.heads.get(&flow);
            let oldest = known.map_or(held.oldest_offset, |known| known.oldest_offset);
            held.oldest_offset = held.oldest_offset.max(oldest);
            log.heads.insert(flow, held);
        }
        if let Some(file) = log.files.last_mut() {
            file.last_captured_us = file.last_captured_us.max(last);
        }
        drop(log);
        self.shared.changed.send_modify(|version| *version += 1);
    }

    fn begin_file_if_due(&mut self) -> Result<(), String> {
        let folder = self.shared.log_folder();
        let path = log_file::path(&folder, self.number);
        let bytes = |end: &str| {
            let mut name = path.clone().into_os_string();
            name.push(end);
            std::fs::metadata(name).map_or(0, |metadata| metadata.len())
        };
        if bytes("") + bytes("-wal") < self.shared.options.file_bytes {
            return Ok(());
        }
        // The old file is left whole, so that readers of it need no WAL.
        let _ = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let mut log = self.shared.lock();
        let number = self.number + 1;
        self.connection = log_file::open_writer(&folder, number, self.shared.id, &log.heads)
            .map_err(|error| format!("{}: {error}", log_file::path(&folder, number).display()))?;
        self.number = number;
        let file = LogFile::new(number, &log.heads);
        log.files.push(file);
        Ok(())
    }

    /// Below the cap, or with room made by files that nobody needs any more.
    fn make_room(&self, bytes: u64) -> Result<(), String> {
        let max = self.shared.options.bytes_max;
        let fits = || self.shared.log_bytes().saturating_add(bytes * 2) <= max;
        if fits() {
            return Ok(());
        }
        let cursors = state::all_cursors(&self.state_path).map_err(|error| error.to_string())?;
        let dropped =
            drop_files(&self.shared, &cursors, |_| true).map_err(|error| error.to_string())?;
        if dropped > 0 && fits() {
            return Ok(());
        }
        let newest = |flow: &FlowName| {
            self.shared
                .lock()
                .heads
                .get(flow)
                .map_or(0, |held| held.newest_offset.0)
        };
        let behind = cursors
            .iter()
            .max_by_key(|(_, flow, through)| newest(flow).saturating_sub(through.0));
        let who = behind.map_or_else(
            || "raise log.bytes_max".to_owned(),
            |(consumer, flow, _)| format!("{consumer} is farthest behind, in flow {flow}: mend it, detach it, or raise log.bytes_max"),
        );
        Err(format!("the log has reached its cap of {max} bytes; {who}"))
    }
}

fn payload_bytes(appending: &Appending) -> usize {
    appending
        .blocks
        .iter()
        .map(|block| block.payload.len())
        .sum()
}

fn answer_all(accepted: &mut Vec<Appending>, answers: &mut Vec<Held>) {
    for (appending, held) in accepted.drain(..).zip(answers.drain(..)) {
        let _ = appending.answer.send(Ok(held));
    }
}

/// A planted bug must be there long enough to be seen.
#[expect(
    clippy::disallowed_methods,
    reason = "never in a build without failpoints"
)]
fn let_acks_leave() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}

fn refuse_all(waiting: Vec<Appending>, reason: &str) {
    for appending in waiting {
        let _ = appending
            .answer
            .send(Err(AppendError::Failed(reason.to_owned())));
    }
}

/// Deletes files from the oldest on, as long as each is below every cursor and `may` agrees; never
/// the one that is written.
pub(crate) fn drop_files(
    shared: &Shared,
    cursors: &[(String, FlowName, Offset)],
    may: impl Fn(&LogFile) -> bool,
) -> std::io::Result<usize> {
    let mut dropped = 0;
    loop {
        let mut log = shared.lock();
        let [oldest, next, ..] = log.files.as_slice() else {
            return Ok(dropped);
        };
        let needed = cursors
            .iter()
            .any(|(_, flow, through)| *through < next.opened_at(flow));
        if needed || !may(oldest) {
            return Ok(dropped);
        }
        let number = oldest.number;
        let next = next.clone();
        log.files.remove(0);
        for (flow, held) in &mut log.heads {
            held.oldest_offset = held.oldest_offset.max(Offset(next.opened_at(flow).0 + 1));
        }
        drop(log);
        shared.readers.forget(number);
        let path = log_file::path(&shared.log_folder(), number);
        edge!("store.before_file_removal");
        for end in ["-wal", "-shm", ""] {
            let mut name = path.clone().into_os_string();
            name.push(end);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            edge!("store.between_file_removals");
        }
        tracing::info!(file = %path.display(), "a log file was dropped");
        dropped += 1;
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
}
