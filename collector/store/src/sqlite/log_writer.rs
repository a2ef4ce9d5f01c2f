//! The one thread that writes the log: group commit, new files, and the cap.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use dray_proto::v1::Block;
use dray_proto::{FlowName, Offset, Sequence};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::log_file::{self, LogFile};
use super::{Shared, state};
use crate::admission::{self, Admitted};
use crate::api::{AppendError, Held, LogBlock};

/// Payload that one commit takes in, at most, beyond its first append.
const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;

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
        let connection = log_file::open_writer(&folder, number, shared.incarnation, &log.heads)
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
        })
    }

    pub(crate) fn run(mut self, queue: &mpsc::Receiver<Appending>) {
        while let Ok(first) = queue.recv() {
            let mut bytes = payload_bytes(&first);
            let mut waiting = vec![first];
            while bytes < COMMIT_BYTES_MAX {
                let Ok(more) = queue.try_recv() else { break };
                bytes += payload_bytes(&more);
                waiting.push(more);
            }
            self.commit(waiting, bytes as u64);
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
        for mut appending in waiting {
            match self.admit(&mut group, &mut appending) {
                Ok(held) => {
                    accepted.push(appending);
                    answers.push(held);
                }
                Err(error) => {
                    let _ = appending.answer.send(Err(error));
                }
            }
        }
        if let Err(error) = self.write(&group) {
            let _ = self.connection.execute_batch("ROLLBACK");
            tracing::error!(%error, "the log cannot be written");
            return refuse_all(
                accepted,
                &format!(
                    "{error}: look at the disk of {}",
                    self.shared.options.folder.display()
                ),
            );
        }
        self.enter(group);
        for (appending, held) in accepted.into_iter().zip(answers) {
            let _ = appending.answer.send(Ok(held));
        }
    }

    /// Takes one call's blocks into the group, all or none.
    fn admit(&self, group: &mut Group, appending: &mut Appending) -> Result<Held, AppendError> {
        let flow = &appending.flow;
        let known = group
            .heads
            .get(flow)
            .cloned()
            .or_else(|| self.shared.lock().heads.get(flow).cloned());
        let mut held = known.unwrap_or_else(|| Held {
            next_sequence: Sequence(1),
            oldest_offset: Offset(1),
            ..Held::default()
        });
        let mut new = Vec::new();
        for block in appending.blocks.drain(..) {
            let Some(header) = &block.header else {
                return Err(AppendError::Failed("a block came without a header".into()));
            };
            match admission::admit(&appending.agent, flow, &held, header)? {
                Admitted::New => {
                    let first_offset = Offset(held.newest_offset.0 + 1);
                    held = admission::after(&held, &appending.agent, header);
                    new.push((
                        flow.clone(),
                        LogBlock {
                            first_offset,
                            block,
                        },
                    ));
                }
                Admitted::Repeat => {
                    let same = |stored: &dray_proto::v1::BlockHeader| {
                        (stored.count, stored.crc32c, stored.chain_after)
                            == (header.count, header.crc32c, header.chain_after)
                    };
                    let in_group = group.blocks.iter().chain(&new).filter_map(|(of, stored)| {
                        let stored = stored.block.header.as_ref()?;
                        (of == flow
                            && stored.epoch == header.epoch
                            && stored.first_sequence == header.first_sequence)
                            .then_some(stored)
                    });
                    let found = match in_group.last() {
                        Some(stored) => Some(same(stored)),
                        None => self
                            .stored_header(flow, header.epoch, header.first_sequence)?
                            .map(|stored| same(&stored)),
                    };
                    if found != Some(true) {
                        let at = Sequence(header.first_sequence);
                        return Err(AppendError::Forked {
                            flow: flow.clone(),
                            at,
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

    /// The header that stands in the log at this sequence; the newest file first.
    fn stored_header(
        &self,
        flow: &FlowName,
        epoch: u64,
        first: u64,
    ) -> Result<Option<dray_proto::v1::BlockHeader>, AppendError> {
        let failed = |error: rusqlite::Error| AppendError::Failed(error.to_string());
        if let Some(found) =
            log_file::header_at(&self.connection, flow, epoch, first).map_err(failed)?
        {
            return Ok(Some(found));
        }
        let numbers: Vec<u64> = self
            .shared
            .lock()
            .files
            .iter()
            .rev()
            .skip(1)
            .map(|file| file.number)
            .collect();
        for number in numbers {
            let reader =
                log_file::open_reader(&self.shared.log_folder(), number).map_err(failed)?;
            if let Some(found) = log_file::header_at(&reader, flow, epoch, first).map_err(failed)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn write(&mut self, group: &Group) -> rusqlite::Result<()> {
        if group.blocks.is_empty() {
            return Ok(());
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut ids: HashMap<&FlowName, i64> = HashMap::new();
        for (flow, held) in &group.heads {
            log_file::put_head(&self.connection, flow, held)?;
            ids.insert(flow, log_file::flow_id(&self.connection, flow)?);
        }
        for (flow, stored) in &group.blocks {
            if let Some(header) = &stored.block.header {
                log_file::put_block(
                    &self.connection,
                    ids[flow],
                    stored.first_offset,
                    header,
                    &stored.block.payload,
                )?;
            }
        }
        self.connection.execute_batch("COMMIT")
    }

    /// It is on stable storage: readers may see it.
    fn enter(&self, group: Group) {
        if group.blocks.is_empty() {
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
        log.heads.extend(group.heads);
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
        self.connection =
            log_file::open_writer(&folder, number, self.shared.incarnation, &log.heads).map_err(
                |error| format!("{}: {error}", log_file::path(&folder, number).display()),
            )?;
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
        shared
            .readers
            .lock()
            .expect("nobody panics holding it")
            .retain(|(known, _)| *known != number);
        let path = log_file::path(&shared.log_folder(), number);
        for end in ["-wal", "-shm", ""] {
            let mut name = path.clone().into_os_string();
            name.push(end);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        tracing::info!(file = %path.display(), "a log file was dropped");
        dropped += 1;
    }
}
