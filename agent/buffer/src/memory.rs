//! The twin without a disk: the same rules, for tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::watch;

use crate::api::{
    Append, Appended, Buffer, BufferError, Depth, Loss, MarkState, Receipt, Sequence, Space,
    StoredBlock,
};
use crate::ledger::{Entry, Ledger, Numbering, refuse};
use crate::marks;

/// A buffer in memory. What it answers is gone with the process.
#[derive(Debug)]
pub struct MemoryBuffer {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    numbering: Numbering,
    blocks: HashMap<u64, (Arc<str>, StoredBlock)>,
    next_number: u64,
}

impl Default for MemoryBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBuffer {
    /// An empty one with a new epoch.
    #[must_use]
    pub fn new() -> Self {
        let epoch = rand::random::<u64>() | 1;
        let state = State {
            ledger: Ledger::new(epoch),
            numbering: Numbering::new(epoch),
            blocks: HashMap::new(),
            next_number: 1,
        };
        Self {
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding it")
    }
}

impl Buffer for MemoryBuffer {
    fn epoch(&self) -> u64 {
        self.lock().ledger.epoch
    }

    fn begin_epoch(&self) -> Result<u64, BufferError> {
        let mut state = self.lock();
        let epoch = rand::random::<u64>() | 1;
        let mut blocks: Vec<_> = state
            .blocks
            .iter()
            .map(|(number, (flow, stored))| (flow.to_string(), *number, stored.block.clone()))
            .collect();
        blocks.sort_by_key(|(_, number, _)| *number);
        let renewal = state.ledger.plan(epoch, blocks.into_iter());
        state.ledger.renew(&renewal.expect("all blocks are here"));
        state.numbering = state.ledger.numbering();
        drop(state);
        self.changed.send_modify(|version| *version += 1);
        Ok(epoch)
    }

    fn losses(&self) -> Vec<Loss> {
        Vec::new()
    }

    fn append(&self, append: Append) -> Receipt {
        let (answer, receipt) = Receipt::new();
        if let Some(why) = refuse(&append) {
            let _ = answer.send(Err(BufferError::Refused(why)));
            return receipt;
        }
        let mut state = self.lock();
        let State {
            ledger,
            numbering,
            blocks,
            next_number,
        } = &mut *state;
        for stored in numbering.number(&append) {
            let entry = Entry::new(*next_number, &stored, stored.block.payload.len() as u32);
            ledger
                .push(&append.flow, entry)
                .expect("it was just numbered");
            blocks.insert(*next_number, (Arc::clone(&append.flow), stored));
            *next_number += 1;
        }
        let through = numbering.through(&append.flow);
        let hashes: Vec<_> = append
            .marks
            .iter()
            .map(|mark| marks::hash(&append.flow, mark))
            .collect();
        ledger.note(&append.flow, &append.position, &hashes, 0);
        drop(state);
        self.changed.send_modify(|version| *version += 1);
        let _ = answer.send(Ok(Appended { through }));
        receipt
    }

    fn read(
        &self,
        flow: &str,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<StoredBlock>, BufferError> {
        let state = self.lock();
        let entries = state.ledger.entries(flow, from, bytes_max);
        Ok(entries
            .iter()
            .filter_map(|entry| {
                let (_, stored) = state.blocks.get(&entry.number)?;
                Some(entry.place(state.ledger.epoch, stored.clone()))
            })
            .collect())
    }

    fn ack(&self, flow: &str, epoch: u64, through: Sequence) -> Result<Option<Bytes>, BufferError> {
        let mut state = self.lock();
        if epoch != state.ledger.epoch {
            return Ok(None);
        }
        let (numbers, position) = state.ledger.ack(flow, through);
        for number in numbers {
            state.blocks.remove(&number);
        }
        Ok(position)
    }

    fn seen(&self, flow: &str, mark: &[u8]) -> MarkState {
        self.lock().ledger.seen(flow, mark)
    }

    fn position(&self, flow: &str) -> Option<Bytes> {
        self.lock().ledger.position(flow)
    }

    fn depth(&self, flow: &str) -> Depth {
        self.lock().ledger.depth(flow)
    }

    fn flows(&self) -> Vec<Arc<str>> {
        self.lock().ledger.names()
    }

    fn space(&self) -> Space {
        Space {
            bytes: 0,
            bytes_max: u64::MAX,
            waiting: None,
        }
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
