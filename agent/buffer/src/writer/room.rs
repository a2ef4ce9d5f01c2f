//! Waiting for room: at the cap, on a full disk, and of a flow that holds too much.

use std::collections::HashSet;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::Writer;
use crate::folder;
use crate::mending;
use crate::shared::{Waiting, Work};
use crate::unreadable::DISK_ERROR;

/// How often room is looked for while there is none.
pub(super) const ROOM_LOOK: Duration = Duration::from_millis(200);
/// What a commit takes on disk besides its payload, generously.
const ROOM_SLACK: u64 = 1024 * 1024;
/// What a new generation takes on disk before anything is in it, generously.
pub(super) const ROLL_BYTES: u64 = 24 * 1024 * 1024;
impl Writer {
    /// Keeps appends of flows that hold half the cap back, with all that come after them of their flow.
    pub(super) fn park(&mut self, waiting: Vec<Waiting>) -> Vec<Waiting> {
        let share = self.shared.options.bytes_max / 2;
        let state = self.shared.lock();
        let mut full: HashSet<Arc<str>> = HashSet::new();
        full.extend(self.parked.iter().map(|one| Arc::clone(&one.append.flow)));
        let is_alone = state.ledger.flow_count() < 2;
        let mut is_full = |one: &Waiting| {
            let flow = &one.append.flow;
            // sled takes about twice what it is given.
            let holds = state.ledger.held_bytes(flow) * 2 >= share && !is_alone;
            holds && full.insert(Arc::clone(flow)) || full.contains(flow)
        };
        let (parked, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(&mut is_full);
        drop(state);
        self.parked.extend(parked);
        let names: Vec<&str> = full.iter().map(|flow| &**flow).collect();
        let said = (!names.is_empty()).then(|| {
            let names = names.join(", ");
            format!("{names}: half of the buffer is held already; other flows go on, and this waits for the collector")
        });
        let mut state = self.shared.lock();
        if said.is_some() != state.parked.is_some() {
            let reason = said.as_deref().unwrap_or("there is room again");
            tracing::warn!(reason, "a flow's appends wait");
        }
        state.parked = said;
        rest
    }

    /// Closes a drained tail, if there is room for the next one: on a full disk it can wait.
    pub(super) fn give_back(&mut self) -> Result<(), String> {
        if folder::free(&self.shared.options.folder) < ROLL_BYTES {
            return Ok(());
        }
        self.patiently(Self::roll_if_due)
    }

    /// Does what makes files, as often as it takes while rights, descriptors or a full disk are in the way: those pass, and what
    /// is held is whole. An error is of another kind, or the agent stops first.
    pub(super) fn patiently<T>(
        &mut self,
        mut step: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut waited = false;
        loop {
            let reason = match step(self) {
                Ok(done) => {
                    if waited {
                        tracing::info!("nothing is in the way any more: appends go on");
                        self.shared.lock().waiting = None;
                    }
                    return Ok(done);
                }
                Err(reason) => reason,
            };
            let folder = &self.shared.options.folder;
            // What failed on the disk itself is not tried again, whatever else is in the way.
            let passes = !reason.contains(DISK_ERROR);
            let hindrance = mending::hindrance_to_write(folder, ROLL_BYTES).filter(|_| passes);
            let Some(hindrance) = hindrance else {
                return Err(reason);
            };
            let mut state = self.shared.lock();
            if !waited {
                tracing::warn!(reason, hindrance, "appends wait");
            }
            waited = true;
            state.waiting = Some(hindrance);
            if state.closing {
                return Err("the agent is stopping".into());
            }
            drop(
                self.shared
                    .freed
                    .wait_timeout(state, ROOM_LOOK)
                    .expect("nobody panics holding it"),
            );
        }
    }

    /// Waits until the append fits below the cap and above the file system's reserve. An error when
    /// the agent stops first.
    pub(super) fn wait_for_room(&mut self, bytes: u64) -> Result<(), String> {
        let options = self.shared.options.clone();
        loop {
            self.settle_if_done()?;
            let used = self.shared.lock().bytes();
            let free = folder::free(&options.folder);
            // sled writes what it is given about twice.
            let wanted = bytes * 2 + ROOM_SLACK;
            let why = if used + wanted > options.bytes_max {
                Some(format!(
                    "the buffer holds {used} bytes of {}: it waits for the collector",
                    options.bytes_max
                ))
            } else if free < options.reserve_bytes + wanted {
                let needed = options.reserve_bytes + wanted;
                Some(folder::lacks_room(&options.folder, free, needed))
            } else {
                None
            };
            if why.is_some() && self.aside.is_sealing() {
                // All of it may be acked: then it goes once it is sealed.
                self.patiently(|writer| writer.aside.settle())?;
                continue;
            }
            let mut state = self.shared.lock();
            if state.waiting.is_none() != why.is_none() {
                tracing::warn!(
                    reason = why.as_deref().unwrap_or("there is room again"),
                    "appends wait"
                );
            }
            let waits = why.is_some();
            state.waiting = why;
            if !waits {
                return Ok(());
            }
            // A drained tail is given back even when nothing new fits.
            let give_back = self.tail_bytes > 0 && state.ledger.is_drained() && free >= ROLL_BYTES;
            if give_back {
                drop(state);
                self.tail_bytes = self.tail_bytes.max(options.generation_bytes);
                self.patiently(Self::roll_if_due)?;
                self.patiently(|writer| writer.aside.settle())?;
                continue;
            }
            if state.closing {
                return Err("the agent is stopping".into());
            }
            drop(state);
            if self.shared.compact() {
                continue;
            }
            self.work_meanwhile()?;
        }
    }

    /// While there is no room: a new epoch or a mend must not wait behind the append, as without it nothing may be sent, and so no
    /// room be made. Other appends wait in their order.
    fn work_meanwhile(&mut self) -> Result<(), String> {
        match self.queue.recv_timeout(ROOM_LOOK) {
            Ok(Work::Renew(answer)) => {
                let _ = answer.send(self.renew());
            }
            Ok(Work::Mend(first, reason)) => {
                // Its failure has stopped the buffer, which says so.
                let _ = self.mend(first, &reason);
            }
            Ok(Work::Append(append)) => self.behind.push_back(Work::Append(append)),
            Ok(Work::Drained | Work::Look) | Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err("the agent is stopping".into()),
        }
        match &self.shared.lock().stopped {
            Some(stopped) => Err(stopped.to_string()),
            None => Ok(()),
        }
    }
}
