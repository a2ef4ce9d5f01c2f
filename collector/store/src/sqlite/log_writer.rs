//! The one thread that writes the log: group commit.

mod admitting;
mod gap;
mod mending;
mod space;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{SystemTime, UNIX_EPOCH};

use dray_edges::{Plant, edge, is_planted};
use dray_proto::v1::Block;
use dray_proto::{FlowName, Offset};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Shared;
use super::log_file::{self, LogFile, rows};
use crate::api::{AppendError, Gap, Held, LogBlock};
use crate::returning::Ids;

pub(crate) use space::drop_files;

/// Payload that one commit takes in, at most, beyond its first append.
const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;

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
            log_file::shorten_wal(&self.connection);
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

/// Microseconds since 1970-01-01T00:00:00Z.
fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
}
