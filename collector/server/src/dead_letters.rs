//! An internal consumer of the log: copies agents' dead letters to where the operator looks for them.
//!
//! A block's header says how many dead letters it holds, so that almost all blocks are passed by
//! unopened. The cursor is written with each dead letter, and every few seconds otherwise: what was passed
//! by since is passed by again after a restart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dray_proto::v1::DeadLetter;
use dray_proto::{FlowName, Offset, Sequence, block, event};
use dray_store::{
    Cursor, EXCEPTIONS_MAX, Exception, ExceptionState, LogBlock, Step, Store, StoreError,
};
use prost::Message as _;

use crate::core::{Shared, ask, now_us, take};

/// What the store calls this consumer.
pub(crate) const CONSUMER: &str = "agent-dead-letters";
/// Payload read at once, of one flow.
const READ_BYTES: usize = 1024 * 1024;
/// The least time between two looks at the log.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often a cursor is written that only passed by.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// How long to wait after the store failed, or while there are too many exceptions.
const PAUSE: Duration = Duration::from_secs(5);
/// What is kept of a reason.
const REASON_CHARS_MAX: usize = 1_000;

/// Runs until the collector stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut stopping = shared.stopping();
    let follow = async {
        let mut reader = Reader {
            shared: Arc::clone(&shared),
            looked: HashMap::new(),
            written: HashMap::new(),
        };
        loop {
            if let Err(error) = reader.follow().await {
                tracing::error!(%error, "agents' dead letters are not copied; trying again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = follow => {}
        () = stopping.wait() => {}
    }
}

struct Reader {
    shared: Arc<Shared>,
    looked: HashMap<FlowName, u64>,
    written: HashMap<FlowName, u64>,
}

impl Reader {
    async fn follow(&mut self) -> Result<(), StoreError> {
        let cursors = ask(&self.shared.store, |store| store.cursors(CONSUMER)).await?;
        self.looked = cursors
            .into_iter()
            .map(|(flow, cursor)| (flow, cursor.through.0))
            .collect();
        self.written = self.looked.clone();
        let mut commits = self.shared.store.watch();
        let mut wrote = Instant::now();
        loop {
            commits.mark_unchanged();
            while self.round().await? {}
            if wrote.elapsed() >= WRITE_EVERY {
                self.write(Vec::new()).await?;
                wrote = Instant::now();
            }
            let unwritten = self.looked != self.written;
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(WRITE_EVERY), if unwritten => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// One read of each flow that has something new; `false` if none had.
    async fn round(&mut self) -> Result<bool, StoreError> {
        let mut any = false;
        for flow in self.shared.store.flows() {
            let held = self.shared.store.held(&flow);
            let looked = self
                .looked
                .get(&flow)
                .copied()
                .unwrap_or(held.oldest_offset.0.saturating_sub(1));
            if held.newest_offset.0 <= looked {
                continue;
            }
            let name = flow.clone();
            let found = ask(&self.shared.store, move |store| {
                look(store, &name, looked + 1)
            })
            .await;
            let (through, found) = match found {
                Err(StoreError::Dropped { oldest, .. }) => (oldest.0.saturating_sub(1), Vec::new()),
                found => found?,
            };
            any |= through > looked;
            self.looked.insert(flow.clone(), through.max(looked));
            if !found.is_empty() {
                self.shared
                    .metrics
                    .agent_dead_letters
                    .with_label_values(&[flow.as_str()])
                    .inc_by(found.len() as u64);
                tracing::warn!(%flow, count = found.len(), "the agent sent dead letters; \"dray-collector dead-letters list\" shows them");
                self.write(found).await?;
            }
        }
        Ok(any)
    }

    async fn write(&mut self, add: Vec<Exception>) -> Result<(), StoreError> {
        if !add.is_empty() {
            self.room().await?;
        }
        let moved = self
            .looked
            .iter()
            .filter(|(flow, looked)| self.written.get(*flow) != Some(*looked));
        let cursor = |through: u64| Cursor {
            through: Offset(through),
            ..Cursor::default()
        };
        let cursors: Vec<_> = moved
            .map(|(flow, looked)| (flow.clone(), cursor(*looked)))
            .collect();
        if cursors.is_empty() && add.is_empty() {
            return Ok(());
        }
        let step = Step {
            consumer: CONSUMER.to_owned(),
            cursors,
            add,
            ..Step::default()
        };
        take(&self.shared.store, step).await?;
        self.written = self.looked.clone();
        Ok(())
    }

    /// Waits while nobody clears away the ones that are there; the log keeps what waits.
    async fn room(&self) -> Result<(), StoreError> {
        while ask(&self.shared.store, |store| store.exception_count(Some(""))).await?
            >= EXCEPTIONS_MAX
        {
            tracing::error!(
                max = EXCEPTIONS_MAX,
                "too many dead letters from agents; discard some with \"dray-collector dead-letters discard\""
            );
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// Looks at the next blocks: how far it came, and the dead letters in them.
fn look(
    store: &dyn Store,
    flow: &FlowName,
    from: u64,
) -> Result<(u64, Vec<Exception>), StoreError> {
    let (mut through, mut found, mut memory) = (from - 1, Vec::new(), Vec::new());
    for log in store.read(flow, Offset(from), READ_BYTES)? {
        let Some(header) = &log.block.header else {
            continue;
        };
        through = log.first_offset.0 + u64::from(header.count.max(1)) - 1;
        if header.dead_letters > 0 {
            copy(flow, &log, from, &mut memory, &mut found);
        }
    }
    Ok((through, found))
}

fn copy(
    flow: &FlowName,
    log: &LogBlock,
    from: u64,
    memory: &mut Vec<u8>,
    found: &mut Vec<Exception>,
) {
    let Some(header) = &log.block.header else {
        return;
    };
    let opened = block::open(
        &log.block.payload,
        header.codec,
        header.decoded_bytes,
        memory,
    );
    let Ok(ranges) = opened.and_then(|()| block::split(memory, header.count)) else {
        tracing::error!(%flow, offset = %log.first_offset, "a block of the log does not open");
        return;
    };
    for (index, range) in ranges.into_iter().enumerate() {
        let offset = log.first_offset.0 + index as u64;
        let bytes = &memory[range.start as usize..range.end as usize];
        let Ok(view) = event::View::of(bytes) else {
            continue;
        };
        let Some((_, body)) = view.body.filter(|(body, _)| body.name == "dead_letter") else {
            continue;
        };
        if offset < from {
            continue;
        }
        let reason = DeadLetter::decode(body)
            .map(|letter| letter.reason)
            .unwrap_or_default();
        let mut event = bytes.to_vec();
        let sequence = Sequence(header.first_sequence + index as u64);
        event::put_place(&mut event, flow, header.epoch, sequence, Offset(offset));
        found.push(Exception {
            id: 0,
            target: String::new(),
            flow: flow.clone(),
            offset: Offset(offset),
            key: view.key.to_owned(),
            state: ExceptionState::Agent,
            reason: reason.chars().take(REASON_CHARS_MAX).collect(),
            at_us: now_us(),
            event: Bytes::from(event),
            detail: String::new(),
        });
    }
}
