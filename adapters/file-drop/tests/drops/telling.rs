//! A source driven as the agent drives it, for what it says of whole files: records, dead letters and reports.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dray_adapter::conformance::entries;
use dray_adapter::{
    Batch, FileReport, Mark, MarkState, Polled, Position, Report, Seen, Source, SourceError,
};

use crate::support::Drops;

/// The longest wait for what should come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which marks were appended, and whether they are acked.
#[derive(Default)]
struct Kept(Mutex<(HashSet<Vec<u8>>, bool)>);

impl Seen for Kept {
    fn seen(&self, mark: &Mark) -> MarkState {
        let kept = self.0.lock().expect("nobody panics with it");
        match (kept.0.contains(&mark.0), kept.1) {
            (true, true) => MarkState::Done,
            (true, false) => MarkState::Pending,
            (false, _) => MarkState::New,
        }
    }
}

pub(crate) struct Runner {
    source: Option<Box<dyn Source>>,
    kept: Arc<Kept>,
    position: Option<Position>,
    /// Everything that was appended.
    pub(crate) batches: Vec<Batch>,
    /// Why the source waits.
    pub(crate) waits: Option<String>,
    /// Whether what is committed is acked at once.
    pub(crate) acks: bool,
}

impl Runner {
    pub(crate) fn open(drops: &Drops) -> Self {
        let mut runner = Self {
            source: None,
            kept: Arc::default(),
            position: None,
            batches: Vec::new(),
            waits: None,
            acks: true,
        };
        runner.reopen(drops);
        runner
    }

    /// The agent is killed and starts again with what its buffer kept.
    pub(crate) fn reopen(&mut self, drops: &Drops) {
        let mut source = drops.source();
        let seen = Arc::clone(&self.kept) as Arc<dyn Seen>;
        source
            .open(self.position.clone(), seen, Arc::new(|| ()))
            .expect("it opens");
        self.source = Some(source);
    }

    fn source(&mut self) -> &mut dyn Source {
        self.source.as_deref_mut().expect("it is open")
    }

    /// Polls once; what comes is appended, and committed unless the agent is to die before.
    fn poll(&mut self, commit: bool) -> bool {
        match self.source().poll() {
            Ok(Polled::Batch(batch)) => {
                let marks = batch.marks.iter().map(|mark| mark.0.clone());
                self.kept.0.lock().expect("nobody panics").0.extend(marks);
                self.position = Some(batch.position.clone());
                if commit {
                    let position = batch.position.clone();
                    self.source().commit(&position).expect("a commit");
                    if self.acks {
                        self.ack();
                    }
                }
                self.batches.push(*batch);
                true
            }
            Ok(Polled::Idle(_)) => {
                self.waits = None;
                false
            }
            Err(SourceError::Retry { reason, .. }) => {
                self.waits = Some(reason);
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Everything that was appended is acked.
    pub(crate) fn ack(&mut self) {
        self.kept.0.lock().expect("nobody panics").1 = true;
        let position = self.position.clone().expect("something was appended");
        self.source().acked(&position).expect("an ack");
    }

    /// Polls until it is so.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < end,
                "{what}: {:#?}, waits: {:?}",
                self.told(),
                self.waits
            );
            if !self.poll(true) {
                std::thread::yield_now();
            }
        }
    }

    /// Polls until so many files or parts of files were told of, and nothing more comes for several scans.
    pub(crate) fn work(&mut self, batches: usize) -> Vec<String> {
        self.until("it does not come", |runner| runner.batches.len() >= batches);
        self.rest();
        assert_eq!(self.batches.len(), batches, "{:#?}", self.told());
        self.told()
    }

    /// Polls for several scans' time, whatever comes.
    pub(crate) fn rest(&mut self) {
        let end = Instant::now() + Duration::from_millis(150);
        while Instant::now() < end {
            if !self.poll(true) {
                std::thread::yield_now();
            }
        }
    }

    /// Polls until the next batch is appended, and dies before it is committed.
    pub(crate) fn append_and_die(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.poll(false) {
            assert!(Instant::now() < end, "nothing comes: {:?}", self.waits);
            std::thread::yield_now();
        }
        self.source = None;
    }

    /// Everything that was told, a line each: `file:line: cells`, `file! sentence`, `file = outcome records/bad`.
    pub(crate) fn told(&self) -> Vec<String> {
        self.batches.iter().flat_map(told).collect()
    }

    /// The reports, in order.
    pub(crate) fn reports(&self) -> Vec<&FileReport> {
        self.batches.iter().flat_map(reports).collect()
    }

    /// The sentences of dead letters, in order.
    pub(crate) fn letters(&self) -> Vec<&str> {
        let rejects = self.batches.iter().flat_map(|batch| &batch.rejects);
        rejects.map(|reject| reject.reason.as_str()).collect()
    }
}

fn reports(batch: &Batch) -> impl Iterator<Item = &FileReport> {
    let all = batch.reports.iter();
    all.filter_map(|reported| match &reported.report {
        Report::File(report) => Some(report),
        _ => None,
    })
}

fn told(batch: &Batch) -> Vec<String> {
    let mut told: Vec<String> = entries(batch)
        .into_iter()
        .map(|entry| entry.shown)
        .collect();
    for report in reports(batch) {
        let outcome = format!("{:?}", report.outcome).to_lowercase();
        told.push(format!(
            "{} = {outcome} {}/{}",
            batch.origin.file, report.records, report.bad_records
        ));
    }
    told
}
