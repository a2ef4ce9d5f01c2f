//! A real loopback service, asked by the source as the agent drives it.

mod conformance;
mod messages;
mod scenarios;
mod service;
mod tls;
mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use dray_adapter::{Batch, Mark, MarkState, Polled, Position, Seen, Source, SourceError};
use tempfile::TempDir;

use super::{Poller, SoapPollConfig};
use service::Service;

/// Without an answer for so long, a test is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// A flow's source over a service.
pub(super) struct Flow {
    pub(super) folder: TempDir,
    pub(super) text: String,
}

impl Flow {
    /// `more`: settings besides those that every test needs; `request`: the template.
    pub(super) fn new(service: &Service, request: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("request.xml");
        std::fs::write(&file, request).expect("a file");
        let text = format!(
            "kind = 'soap-poll'\nurl = '{}'\naction = 'urn:example:wms/List'\nrequest = '{}'\nroot = 'w:ListResponse'\nrecord = 'w:Movement'\nnamespaces = {{ w = 'urn:example:wms' }}\nfields = {{ ID = 'w:Id', QTY = 'w:Qty', SEQ = 'w:Seq' }}\n{more}",
            service.url(),
            file.display(),
        );
        Self { folder, text }
    }

    pub(super) fn config(&self) -> SoapPollConfig {
        let config: SoapPollConfig =
            toml::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text));
        assert_eq!(config.faults(), [], "{}", self.text);
        config
    }

    /// With small batches, and a next cycle at once.
    pub(super) fn source(&self) -> Poller {
        let own = self.folder.path().join("own");
        let poller = self
            .config()
            .make("site/flow", own)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text));
        poller.hurried(Duration::from_millis(1), 2)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Drives a source by hand.
pub(super) struct Driven {
    source: Poller,
    woken: Receiver<()>,
}

struct NothingSeen;

impl Seen for NothingSeen {
    fn seen(&self, _: &Mark) -> MarkState {
        MarkState::New
    }
}

impl Driven {
    pub(super) fn open(mut source: Poller, resume: Option<Position>) -> Self {
        let (wake, woken) = sync_channel(100);
        let wake = Arc::new(move || {
            let _ = wake.try_send(());
        });
        source
            .open(resume, Arc::new(NothingSeen), wake)
            .expect("it opens");
        Self { source, woken }
    }

    /// The next batch, or what is wrong.
    pub(super) fn next(&mut self) -> Result<Batch, (String, Duration)> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.source.poll() {
                Ok(Polled::Batch(batch)) => return Ok(*batch),
                Ok(Polled::Idle(time)) => drop(self.woken.recv_timeout(time.min(PATIENCE))),
                Err(SourceError::Retry { reason, after }) => return Err((reason, after)),
                Err(SourceError::Operator { reason }) => panic!("{reason}"),
            }
        }
        panic!("stuck");
    }

    /// What is wrong: the sentence, and when it is tried again.
    pub(super) fn trouble(&mut self) -> (String, Duration) {
        self.next()
            .map(|batch| batch.position)
            .expect_err("there is trouble")
    }

    /// The batch that comes once the trouble has passed.
    pub(super) fn after_trouble(&mut self) -> Batch {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.next() {
                Ok(batch) => return batch,
                Err((_, after)) => drop(self.woken.recv_timeout(after.min(Duration::from_secs(2)))),
            }
        }
        panic!("it does not pass");
    }
}

/// The first cells of a batch's records.
pub(super) fn ids(batch: &Batch) -> Vec<String> {
    let shown = dray_adapter::conformance::entries(batch);
    let first = |text: &str| {
        text.rsplit(' ')
            .next()
            .unwrap_or_default()
            .split('|')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    shown.iter().map(|entry| first(&entry.shown)).collect()
}
