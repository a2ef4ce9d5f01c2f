//! Whether a call's blocks go into the log: each against what is held, and against what the same commit will add.

use dray_proto::v1::BlockHeader;
use dray_proto::{FlowName, Offset, Sequence};
use rusqlite::Connection;

use super::{Appending, Group, LogWriter};
use crate::admission::{self, Admitted};
use crate::api::{AppendError, Held, LogBlock, StoreError};
use crate::returning::{IDS_MAX, Ids};
use crate::sqlite::log_file::rows;
use crate::sqlite::reading::ReadError;

/// Flows whose newest ids are kept in memory at once; they are read again where more are in turn.
const RETURNING_MAX: usize = 2;
/// Payload that one read of the log fetches.
const READ_BYTES: usize = 4 * 1024 * 1024;

impl LogWriter {
    /// Takes one call's blocks into the group, all or none.
    pub(super) fn admit(
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
}
