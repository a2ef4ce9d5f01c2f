//! The agent's side, played.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Mark, MarkState, Polled, Position, REJECT_BYTES_MAX,
    RecordView, Seen, Source, SourceError, Value,
};

/// Without anything new for so long, a source is taken to be stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// So often a source must say that there is nothing before it is believed.
const IDLE_ENOUGH: usize = 3;
/// The longest wait for a wake-up: a source may be idle for long, a suite may not.
const WAIT_MAX: Duration = Duration::from_millis(20);
/// Steps of one run, at most.
const STEPS_MAX: usize = 100_000;
/// What the agent's buffer takes as a position.
const POSITION_BYTES_MAX: usize = 32 * 1024;

/// A record or a reject that was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The scope and the ordinal: what the event's id is made of.
    pub id: ([u8; 10], u64),
    /// `file:line: cell|cell` or `file:line! decode`.
    pub shown: String,
}

/// The agent's side.
pub struct Agent {
    source: Option<Box<dyn Source>>,
    marks: Arc<Marks>,
    bell: Arc<Bell>,
    polled: VecDeque<Batch>,
    uncommitted: VecDeque<Position>,
    committed: Option<Position>,
    /// The position of the newest append.
    pub position: Option<Position>,
    /// What was appended, in order.
    pub log: Vec<Entry>,
}

impl Agent {
    /// A new agent with an empty buffer opens the source.
    ///
    /// # Panics
    /// Where it does not open within a minute.
    #[must_use]
    pub fn open(source: Box<dyn Source>) -> Self {
        let mut agent = Self {
            source: None,
            marks: Arc::default(),
            bell: Arc::default(),
            polled: VecDeque::new(),
            uncommitted: VecDeque::new(),
            committed: None,
            position: None,
            log: Vec::new(),
        };
        agent.reopen(source);
        agent
    }

    /// The agent starts again, with what its buffer kept.
    ///
    /// # Panics
    /// Where the source does not open within a minute.
    pub fn reopen(&mut self, mut source: Box<dyn Source>) {
        self.kill();
        let end = Instant::now() + PATIENCE;
        loop {
            let bell = Arc::clone(&self.bell);
            let wake = Arc::new(move || bell.ring());
            let seen = Arc::clone(&self.marks) as Arc<dyn Seen>;
            match source.open(self.position.clone(), seen, wake) {
                Ok(()) => break,
                Err(SourceError::Retry { after, .. }) if Instant::now() < end => {
                    self.bell.wait(after)
                }
                Err(error) => panic!("the source does not open: {error}"),
            }
        }
        self.source = Some(source);
    }

    /// The agent dies: what was polled and not appended is gone, what was not committed never is.
    pub fn kill(&mut self) {
        self.source = None;
        self.polled.clear();
        self.uncommitted.clear();
    }

    /// The source that is open.
    ///
    /// # Panics
    /// After [`Self::kill`].
    pub fn source(&mut self) -> &mut dyn Source {
        self.source.as_deref_mut().expect("a source is open")
    }

    /// Polls once; whether there was a batch. An idle source is waited for, a little.
    ///
    /// # Panics
    /// Where the batch breaks the contract, or the source needs an operator.
    pub fn poll(&mut self) -> PolledOnce {
        match self.source().poll() {
            Ok(Polled::Batch(batch)) => {
                check_batch(&batch);
                self.polled.push_back(*batch);
                PolledOnce::Batch
            }
            Ok(Polled::Idle(Duration::ZERO)) => PolledOnce::Busy,
            Ok(Polled::Idle(time)) => {
                self.bell.wait(time);
                PolledOnce::Idle
            }
            Err(SourceError::Retry { after, .. }) => {
                self.bell.wait(after);
                PolledOnce::Busy
            }
            Err(error @ SourceError::Operator { .. }) => panic!("the source stopped: {error}"),
        }
    }

    /// Appends the oldest polled batch; whether there was one.
    pub fn append(&mut self) -> bool {
        let Some(batch) = self.polled.pop_front() else {
            return false;
        };
        self.log.extend(entries(&batch));
        for mark in batch.marks {
            lock(&self.marks.0).insert(mark, MarkState::Pending);
        }
        self.position = Some(batch.position.clone());
        self.uncommitted.push_back(batch.position);
        true
    }

    /// Commits the oldest append; whether there was one.
    ///
    /// # Panics
    /// Where the source refuses.
    pub fn commit(&mut self) -> bool {
        let Some(position) = self.uncommitted.pop_front() else {
            return false;
        };
        self.source()
            .commit(&position)
            .unwrap_or_else(|error| panic!("commit: {error}"));
        self.committed = Some(position);
        true
    }

    /// Everything that is committed is acked.
    ///
    /// # Panics
    /// Where the source refuses.
    pub fn ack(&mut self) {
        if !self.uncommitted.is_empty() {
            return;
        }
        if let Some(position) = self.committed.clone() {
            self.collector_acks();
            self.source()
                .acked(&position)
                .unwrap_or_else(|error| panic!("acked: {error}"));
        }
    }

    /// The collector holds all that is appended, and the source is not told yet.
    pub fn collector_acks(&mut self) {
        lock(&self.marks.0)
            .values_mut()
            .for_each(|state| *state = MarkState::Done);
    }

    /// Works until so much is appended and nothing more comes.
    ///
    /// # Panics
    /// Where it takes a minute.
    pub fn finish(&mut self, entries: usize, pace: Pace) {
        let mut never = Steps {
            made: 0,
            kill_at: usize::MAX,
        };
        self.work(entries, pace, &mut never);
    }

    /// One way through all steps; `false` if the agent was to be killed on it.
    pub(super) fn work(&mut self, entries: usize, pace: Pace, steps: &mut Steps) -> bool {
        let (mut idle, mut since) = (0, Instant::now());
        while self.log.len() < entries || idle < IDLE_ENOUGH {
            match self.poll() {
                PolledOnce::Batch => (idle, since) = (0, Instant::now()),
                PolledOnce::Idle => idle += 1,
                PolledOnce::Busy => idle = 0,
            }
            assert!(
                since.elapsed() < PATIENCE,
                "stuck with {} of {entries}: {:#?}",
                self.log.len(),
                self.log.last()
            );
            if steps.is_killed() {
                return false;
            }
            // What lags is taken up while the source has nothing.
            let (append_behind, commit_behind) = if idle > 0 {
                (0, 0)
            } else {
                (pace.append_behind, pace.commit_behind)
            };
            while self.polled.len() > append_behind && self.append() {
                if pace.overtakes {
                    self.collector_acks();
                }
                if steps.is_killed() {
                    return false;
                }
            }
            while self.uncommitted.len() > commit_behind && self.commit() {
                if steps.is_killed() {
                    return false;
                }
            }
            if pace.acks {
                self.ack();
                if steps.is_killed() {
                    return false;
                }
            }
        }
        true
    }

    /// # Panics
    /// Where there is something.
    pub fn nothing_more(&mut self, because: &str) {
        let had = self.log.len();
        self.finish(
            had,
            Pace {
                acks: true,
                ..Pace::default()
            },
        );
        assert_eq!(
            self.log.len(),
            had,
            "{because}, and yet: {:#?}",
            &self.log[had..]
        );
    }
}

/// What one poll was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolledOnce {
    /// There was a batch.
    Batch,
    /// The source has nothing.
    Idle,
    /// The source is not done looking, or waits for something.
    Busy,
}

pub(super) struct Steps {
    pub(super) made: usize,
    pub(super) kill_at: usize,
}

impl Steps {
    fn is_killed(&mut self) -> bool {
        self.made += 1;
        assert!(self.made < STEPS_MAX, "it never ends");
        self.made == self.kill_at
    }
}

/// How far appends, commits and acks stay behind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// Batches that are polled before the first of them is appended.
    pub append_behind: usize,
    /// Batches that are appended before the first of them is committed.
    pub commit_behind: usize,
    /// Whether what is committed is acked at once; else at the very end.
    pub acks: bool,
    /// Whether the collector is faster than the commit: marks are done by then, and the source is told afterwards as ever.
    pub overtakes: bool,
}

/// What is shown of each.
#[must_use]
pub fn shown(log: &[Entry]) -> Vec<&str> {
    log.iter().map(|entry| entry.shown.as_str()).collect()
}

/// A batch's records and rejects in their order.
#[must_use]
pub fn entries(batch: &Batch) -> Vec<Entry> {
    let origin = &batch.origin;
    let unit = [&origin.file, &origin.message_id, &origin.change_position]
        .map(|part| &**part)
        .concat();
    let mut entries = Vec::new();
    let mut rejects = batch.rejects.iter().peekable();
    for index in 0..=batch.records.len() {
        while let Some(reject) = rejects.next_if(|reject| reject.after == index) {
            let stage = format!("{:?}", reject.stage).to_lowercase();
            let shown = format!("{unit}:{}! {stage}", reject.line);
            entries.push(Entry {
                id: (origin.scope.0, reject.ordinal),
                shown,
            });
        }
        if let Some(record) = batch.records.get(index) {
            let cell = |index| match record.value(index) {
                Value::Text(text) => text.to_owned(),
                other => format!("<{other:?}>"),
            };
            let cells: Vec<String> = (0..record.len()).map(cell).collect();
            let shown = format!("{unit}:{}: {}", record.row().line, cells.join("|"));
            entries.push(Entry {
                id: (origin.scope.0, record.row().ordinal),
                shown,
            });
        }
    }
    assert_eq!(
        rejects.next(),
        None,
        "a reject stands after more records than there are"
    );
    entries
}

fn check_batch(batch: &Batch) {
    let count = batch.records.len() + batch.rejects.len();
    assert!(count <= BATCH_RECORDS_MAX, "{count} records in a batch");
    // A record below others carries their cells, which are not among its own bytes.
    let cells = |record: RecordView<'_>| -> usize {
        let values = (0..record.len()).map(|index| record.value(index));
        let texts = values.filter_map(|value| match value {
            Value::Text(text) => Some(text.len()),
            _ => None,
        });
        texts.sum()
    };
    let sizes = batch
        .records
        .iter()
        .map(|record| record.raw().len().max(cells(record)));
    let largest = sizes.max().unwrap_or(0);
    // A record of another encoding is held twice: as it was, and as text of up to three bytes for one.
    assert!(
        batch.records.bytes() <= BATCH_BYTES_MAX + 4 * largest,
        "{} bytes in a batch",
        batch.records.bytes()
    );
    assert!(
        batch
            .rejects
            .iter()
            .all(|reject| reject.raw.len() <= REJECT_BYTES_MAX),
        "a reject keeps too much"
    );
    assert!(
        batch.position.0.len() <= POSITION_BYTES_MAX,
        "a position of {} bytes",
        batch.position.0.len()
    );
    assert!(batch.captured_us > 0, "a batch without a time");
    let entries = entries(batch);
    let ordinals = entries.windows(2).all(|pair| pair[0].id.1 < pair[1].id.1);
    assert!(ordinals, "ordinals go up within a batch: {entries:#?}");
}

#[derive(Default)]
struct Marks(Mutex<HashMap<Mark, MarkState>>);

impl Seen for Marks {
    fn seen(&self, mark: &Mark) -> MarkState {
        lock(&self.0).get(mark).copied().unwrap_or(MarkState::New)
    }
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *lock(&self.rung) = true;
        self.heard.notify_all();
    }

    fn wait(&self, time: Duration) {
        let mut rung = lock(&self.rung);
        if !*rung {
            (rung, _) = self
                .heard
                .wait_timeout(rung, time.min(WAIT_MAX))
                .unwrap_or_else(PoisonError::into_inner);
        }
        *rung = false;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
