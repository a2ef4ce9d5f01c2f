//! Reading the log: from memory, or from the file that holds the offset; what a file lacks becomes a hole.

use std::sync::Mutex;

use dray_proto::{FlowName, Offset};
use rusqlite::Connection;

use super::log_file::{self, rows};
use super::{Log, Shared};
use crate::api::{LogBlock, StoreError};

/// Idle connections that are kept.
const READERS_MAX: usize = 8;
/// Offsets that one hole stands for, at most.
const HOLE_MAX: u64 = 1_000_000;

/// Connections that nobody uses at the moment, with the file's number.
#[derive(Default)]
pub(super) struct Readers(Mutex<Idle>);

#[derive(Default)]
struct Idle {
    connections: Vec<(u64, Connection)>,
    /// Counts files that were dropped or mended: a connection from before may be one to what is gone.
    changes: u64,
}

impl Readers {
    fn take(&self, number: u64) -> (Option<Connection>, u64) {
        let mut idle = self.0.lock().expect("nobody panics holding it");
        let found = idle
            .connections
            .iter()
            .position(|(known, _)| *known == number)
            .map(|at| idle.connections.swap_remove(at).1);
        (found, idle.changes)
    }

    fn give_back(&self, number: u64, connection: Connection, changes: u64) {
        let mut idle = self.0.lock().expect("nobody panics holding it");
        if idle.connections.len() < READERS_MAX && idle.changes == changes {
            idle.connections.push((number, connection));
        }
    }

    /// Lets go of a file.
    pub(super) fn forget(&self, number: u64) {
        let mut idle = self.0.lock().expect("nobody panics holding it");
        idle.connections.retain(|(known, _)| *known != number);
        idle.changes += 1;
    }
}

/// Why a read failed.
pub(crate) enum ReadError {
    Store(StoreError),
    /// A file is not what was written: it is to be mended.
    Damaged {
        number: u64,
        reason: String,
    },
}

impl ReadError {
    pub(super) fn into_store(self, shared: &Shared) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Damaged { number, reason } => {
                let path = log_file::path(&shared.log_folder(), number);
                shared.failed(format!("{}: {reason}", path.display()))
            }
        }
    }
}

/// Where a read goes.
struct Place {
    number: u64,
    /// The flow's newest offset in this file.
    end: Offset,
}

impl Log {
    /// The newest file that was begun before this offset holds it.
    fn place(&self, flow: &FlowName, from: Offset, newest: Offset) -> Option<Place> {
        let at = self
            .files
            .iter()
            .rposition(|file| file.opened_at(flow) < from)?;
        let next = self.files.get(at + 1);
        Some(Place {
            number: self.files[at].number,
            end: next.map_or(newest, |next| next.opened_at(flow)),
        })
    }
}

impl Shared {
    /// Blocks from the one that holds `from`.
    pub(crate) fn read(
        &self,
        flow: &FlowName,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<LogBlock>, ReadError> {
        let log = self.lock();
        let Some(held) = log.heads.get(flow) else {
            return Ok(Vec::new());
        };
        if from < held.oldest_offset {
            return Err(ReadError::Store(StoreError::Dropped {
                flow: flow.clone(),
                asked: from,
                oldest: held.oldest_offset,
            }));
        }
        if from > held.newest_offset {
            return Ok(Vec::new());
        }
        if let Some(blocks) = log.recent.read(flow, from, bytes_max) {
            return Ok(blocks);
        }
        let newest = held.newest_offset;
        let place = log.place(flow, from, newest);
        drop(log);
        let Some(Place { number, end }) = place else {
            return Ok(vec![hole(flow, from, newest)]);
        };
        let found = self.ask_file(number, |file| rows::read(file, flow, from, bytes_max))?;
        Ok(without_gaps(flow, from, end, found))
    }

    /// Asks a file, by a connection of its own.
    pub(super) fn ask_file<T>(
        &self,
        number: u64,
        ask: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadError> {
        let (found, changes) = self.readers.take(number);
        let opened = found.map_or_else(|| log_file::open_reader(&self.log_folder(), number), Ok);
        let asked = opened.and_then(|connection| {
            let answer = ask(&connection)?;
            self.readers.give_back(number, connection, changes);
            Ok(answer)
        });
        asked.map_err(|error| {
            let reason = error.to_string();
            if rows::is_damage(&error) {
                return ReadError::Damaged { number, reason };
            }
            let path = log_file::path(&self.log_folder(), number);
            ReadError::Store(self.failed(format!("{}: {reason}", path.display())))
        })
    }
}

/// Puts a hole wherever offsets are missing between `from` and the first block after it, and between blocks. Where
/// there is no block, up to `end`.
fn without_gaps(flow: &FlowName, from: Offset, end: Offset, found: Vec<LogBlock>) -> Vec<LogBlock> {
    if found.is_empty() {
        return vec![hole(flow, from, end)];
    }
    let mut whole = Vec::with_capacity(found.len());
    let mut next = from;
    for block in found {
        if block.first_offset > next {
            whole.push(hole(flow, next, Offset(block.first_offset.0 - 1)));
        }
        let count = block.block.header.as_ref().map_or(0, |header| header.count);
        next = Offset(block.first_offset.0 + u64::from(count));
        whole.push(block);
    }
    whole
}

fn hole(flow: &FlowName, first: Offset, last: Offset) -> LogBlock {
    let count = (last.0.max(first.0) - first.0 + 1).min(HOLE_MAX);
    tracing::error!(%flow, %first, last = first.0 + count - 1, "the log's disk lost these offsets");
    LogBlock::hole(flow, first, count as u32)
}
