//! One subscription: a sending half, a half that hears acks, and one that writes cursors.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dray_proto::v1::{FeedAck, FromReader, Subscribe, ToReader, from_reader, subscribe::Start};
use dray_proto::{FlowName, Offset};
use dray_store::{Cursor, Step, Store, StoreError};
use tokio::sync::{Notify, mpsc};
use tonic::{Status, Streaming};

use super::progress::Progress;
use super::scan::{self, Choice, Scanned};
use crate::core::{Shared, ask, take};

/// Payload read from the log at once, of one flow.
const READ_BYTES: usize = 512 * 1024;
/// The least time between two writes of a consumer's cursors.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// How long a durable consumer with `stop_at_end` may take for its last acks.
const LAST_ACKS: Duration = Duration::from_secs(60);

pub(super) struct Subscription {
    shared: Arc<Shared>,
    down: mpsc::Sender<Result<ToReader, Status>>,
    choice: Choice,
    /// What the store calls the consumer; `None`: nothing is kept.
    consumer: Option<String>,
    start: Start,
    /// Where to stop, for each flow that was there at the beginning.
    ends: Option<BTreeMap<FlowName, u64>>,
    flows: Mutex<BTreeMap<FlowName, Progress>>,
    changed: Notify,
}

impl Subscription {
    pub(super) async fn open(
        shared: Arc<Shared>,
        subscribe: Subscribe,
        down: mpsc::Sender<Result<ToReader, Status>>,
    ) -> Result<Self, Status> {
        let choice = Choice::of(&subscribe).map_err(Status::invalid_argument)?;
        let consumer =
            (!subscribe.consumer.is_empty()).then(|| format!("feed:{}", subscribe.consumer));
        let start = subscribe.start.unwrap_or(Start::Offset(0));
        let stop_at_end = subscribe.stop_at_end;
        let (name, takes) = (consumer.clone(), choice.clone());
        let (flows, newest) = ask(&shared.store, move |store| {
            begin(store, name.as_deref(), &takes, &start)
        })
        .await
        .map_err(failed)?;
        let subscription = Self {
            shared,
            down,
            choice,
            consumer,
            start,
            ends: stop_at_end.then_some(newest),
            flows: Mutex::new(flows),
            changed: Notify::new(),
        };
        // From now on the log is kept for this consumer, even if it never acks.
        subscription.write(true).await?;
        Ok(subscription)
    }

    /// Runs until the reader has gone, or the end is reached and asked for.
    pub(super) async fn run(&self, inbound: &mut Streaming<FromReader>) -> Result<(), Status> {
        tokio::select! {
            ended = self.send_all() => ended,
            ended = self.hear(inbound) => ended,
            ended = self.keep_writing() => ended,
        }
    }

    async fn send_all(&self) -> Result<(), Status> {
        let mut commits = self.shared.store.watch();
        loop {
            commits.mark_unchanged();
            while self.send_round().await? {}
            if self.at_end() {
                return self.last_acks().await;
            }
            commits
                .changed()
                .await
                .map_err(|_| Status::unavailable("the collector's store has ended"))?;
        }
    }

    /// One read of each flow that has something; `false` if none had.
    async fn send_round(&self) -> Result<bool, Status> {
        let mut any = false;
        for (flow, next) in self.due() {
            any = true;
            let (choice, name) = (self.choice.clone(), flow.clone());
            let scanned = ask(&self.shared.store, move |store| {
                let mut memory = Vec::new();
                let blocks = store.read(&name, Offset(next), READ_BYTES)?;
                Ok(blocks
                    .iter()
                    .map(|block| scan::scan(&name, block, next, &choice, &mut memory))
                    .collect::<Vec<_>>())
            });
            match scanned.await {
                Ok(scanned) if scanned.is_empty() => return Ok(false),
                Ok(scanned) => self.send_scanned(&flow, scanned).await?,
                // Nothing pins the log for a reader without a name: it goes on with what there is.
                Err(StoreError::Dropped { oldest, .. }) if self.consumer.is_none() => {
                    tracing::warn!(%flow, %oldest, "the reader was slower than the log's retention");
                    self.progress()
                        .insert(flow, Progress::after(oldest.0.saturating_sub(1).max(next)));
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(any)
    }

    async fn send_scanned(&self, flow: &FlowName, scanned: Vec<Scanned>) -> Result<(), Status> {
        for Scanned { events, through } in scanned {
            let sent = events.last().map(|event| event.offset);
            // Noted before it is sent: the reader's ack may be faster than we are.
            if let Some(progress) = self.progress().get_mut(flow) {
                progress.look(through, sent);
            }
            if !events.is_empty() {
                let message = ToReader {
                    incarnation: self.shared.store.incarnation(),
                    event: events,
                };
                self.down
                    .send(Ok(message))
                    .await
                    .map_err(|_| Status::cancelled("the reader has gone"))?;
            }
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Flows with something to look at, and where.
    fn due(&self) -> Vec<(FlowName, u64)> {
        let store = &self.shared.store;
        let mut flows = self.progress();
        if self.ends.is_none() {
            for flow in store.flows() {
                if self.choice.takes_flow(&flow) && !flows.contains_key(&flow) {
                    // It came to be after the subscription: all of it is new.
                    let first = if let Start::Offset(offset) = self.start {
                        offset.saturating_sub(1)
                    } else {
                        0
                    };
                    flows.insert(flow, Progress::after(first));
                }
            }
        }
        let due = |(flow, progress): (&FlowName, &Progress)| {
            let newest = store.held(flow).newest_offset.0;
            let end = self
                .ends
                .as_ref()
                .and_then(|ends| ends.get(flow))
                .map_or(newest, |end| (*end).min(newest));
            (progress.next() <= end).then(|| (flow.clone(), progress.next()))
        };
        flows.iter().filter_map(due).collect()
    }

    fn at_end(&self) -> bool {
        let Some(ends) = &self.ends else { return false };
        let flows = self.progress();
        ends.iter().all(|(flow, end)| {
            flows
                .get(flow)
                .is_none_or(|progress| progress.next() > *end)
        })
    }

    /// Waits until what was sent is acked, for a consumer that acks.
    async fn last_acks(&self) -> Result<(), Status> {
        if self.consumer.is_none() {
            return Ok(());
        }
        let all_acked = async {
            while !self.progress().values().all(Progress::all_acked) {
                self.changed.notified().await;
            }
        };
        let ended = tokio::time::timeout(LAST_ACKS, all_acked).await;
        self.write(false).await?;
        ended.map_err(|_| {
            Status::deadline_exceeded(
                "the last events were not acked within 60 s; they come again next time",
            )
        })
    }

    async fn hear(&self, inbound: &mut Streaming<FromReader>) -> Result<(), Status> {
        while let Some(message) = inbound.message().await? {
            match message.message {
                Some(from_reader::Message::Ack(ack)) => self.acked(&ack)?,
                _ => return Err(Status::invalid_argument("after Subscribe come acks only")),
            }
        }
        // A reader that has nothing to say may still listen.
        std::future::pending().await
    }

    fn acked(&self, ack: &FeedAck) -> Result<(), Status> {
        let known = FlowName::parse(&ack.flow).and_then(|flow| {
            self.progress()
                .get_mut(&flow)
                .map(|progress| progress.ack(ack.offset))
        });
        self.changed.notify_waiters();
        self.changed.notify_one();
        match known {
            Some(true) => Ok(()),
            _ => Err(Status::invalid_argument(format!(
                "{} {} is acked but was never sent",
                ack.flow, ack.offset
            ))),
        }
    }

    async fn keep_writing(&self) -> Result<(), Status> {
        if self.consumer.is_none() {
            return std::future::pending().await;
        }
        loop {
            self.changed.notified().await;
            tokio::time::sleep(WRITE_EVERY).await;
            self.write(false).await?;
        }
    }

    /// Takes the cursors that moved (or all) to stable storage.
    async fn write(&self, all: bool) -> Result<(), Status> {
        let Some(consumer) = &self.consumer else {
            return Ok(());
        };
        let cursor = |through| Cursor {
            through: Offset(through),
            ..Cursor::default()
        };
        let cursors: Vec<_> = self
            .progress()
            .iter_mut()
            .filter_map(|(flow, progress)| {
                let moved = progress.take_unwritten();
                let through = if all {
                    Some(progress.finished())
                } else {
                    moved
                };
                through.map(|through| (flow.clone(), cursor(through)))
            })
            .collect();
        if cursors.is_empty() {
            return Ok(());
        }
        let step = Step {
            consumer: consumer.clone(),
            cursors,
            ..Step::default()
        };
        take(&self.shared.store, step).await.map_err(failed)
    }

    fn progress(&self) -> MutexGuard<'_, BTreeMap<FlowName, Progress>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Begun = (BTreeMap<FlowName, Progress>, BTreeMap<FlowName, u64>);

/// Where each flow begins, and its newest offset.
fn begin(
    store: &dyn Store,
    consumer: Option<&str>,
    choice: &Choice,
    start: &Start,
) -> Result<Begun, StoreError> {
    let cursors: BTreeMap<FlowName, Cursor> = match consumer {
        Some(consumer) => store.cursors(consumer)?.into_iter().collect(),
        None => BTreeMap::new(),
    };
    let (mut flows, mut newest) = Begun::default();
    for flow in store
        .flows()
        .into_iter()
        .filter(|flow| choice.takes_flow(flow))
    {
        let held = store.held(&flow);
        let oldest = held.oldest_offset.0.max(1);
        let first = match (cursors.get(&flow), start) {
            (Some(cursor), _) => cursor.through.0 + 1,
            // The consumer exists: a flow without a cursor came to be after it.
            (None, _) if !cursors.is_empty() => oldest,
            (None, Start::Newest(true)) => held.newest_offset.0 + 1,
            (None, Start::Newest(false)) => oldest,
            (None, Start::CapturedFrom(time)) => scan::seek(store, &flow, scan::micros(time))?,
            (None, Start::Offset(offset)) => (*offset).max(oldest),
        };
        newest.insert(flow.clone(), held.newest_offset.0);
        flows.insert(flow, Progress::after(first - 1));
    }
    Ok((flows, newest))
}

fn failed(error: StoreError) -> Status {
    match error {
        StoreError::Dropped { .. } => {
            Status::data_loss(format!("{error}; detach the consumer to begin anew"))
        }
        StoreError::Failed { .. } | StoreError::Newer { .. } => {
            Status::unavailable(error.to_string())
        }
    }
}
