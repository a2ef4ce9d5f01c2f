//! A source that does what a test says.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use bytes::Bytes;
use dray_adapter::{
    Batch, IdScope, Mark, Origin, Polled, Position, RawAt, Records, Seen, Shape, Source,
    SourceError,
};

use crate::place::PATIENCE;

/// A source that does what a test says, and tells which calls it got.
pub(crate) struct Scripted {
    script: Receiver<Result<Polled, SourceError>>,
    calls: Sender<String>,
    pub(crate) commit_fails: bool,
}

impl Scripted {
    fn call(&self, call: String) {
        // The test may have seen enough.
        let _ = self.calls.send(call);
    }
}

fn shown(position: &Position) -> String {
    String::from_utf8_lossy(&position.0).into_owned()
}

impl Source for Scripted {
    fn open(
        &mut self,
        resume: Option<Position>,
        _: Arc<dyn Seen>,
        _: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError> {
        self.call(format!(
            "open {}",
            resume.map_or_else(|| "new".into(), |position| shown(&position))
        ));
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        let nothing_yet = Ok(Polled::Idle(Duration::from_millis(1)));
        match self.script.try_recv() {
            Err(TryRecvError::Empty) => nothing_yet,
            Err(TryRecvError::Disconnected) => Ok(Polled::Idle(PATIENCE)),
            Ok(said) => {
                self.call("poll".into());
                said
            }
        }
    }

    fn commit(&mut self, position: &Position) -> Result<(), SourceError> {
        self.call(format!("commit {}", shown(position)));
        if std::mem::take(&mut self.commit_fails) {
            return Err(SourceError::Retry {
                reason: "the archive is away".into(),
                after: Duration::ZERO,
            });
        }
        Ok(())
    }

    fn acked(&mut self, position: &Position) -> Result<(), SourceError> {
        self.call(format!("acked {}", shown(position)));
        Ok(())
    }

    fn refuse(&mut self, why: &str) {
        self.call(format!("refuse {why}"));
    }

    fn close(&mut self) {
        self.call("close".into());
    }
}

/// The two ends of a scripted source.
pub(crate) struct Script {
    pub(crate) say: Sender<Result<Polled, SourceError>>,
    pub(crate) calls: Receiver<String>,
}

impl Script {
    pub(crate) fn new() -> (Self, Scripted) {
        let (say, script) = channel();
        let (told, calls) = channel();
        (
            Self { say, calls },
            Scripted {
                script,
                calls: told,
                commit_fails: false,
            },
        )
    }

    pub(crate) fn say(&self, answer: Result<Polled, SourceError>) {
        self.say.send(answer).expect("the flow runs");
    }

    pub(crate) fn expect(&self, expected: &[&str]) {
        for expected in expected {
            let call = self
                .calls
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("{expected} was never called"));
            assert_eq!(call, *expected);
        }
    }
}

/// One record; its position is `name`.
pub(crate) fn one(name: &'static str) -> Result<Polled, SourceError> {
    one_of(name, "A")
}

/// One record that makes a large block, as its text can't be packed.
pub(crate) fn large(name: &'static str) -> Result<Polled, SourceError> {
    one_of(name, &unpackable(12_000))
}

/// One record of 57,600 bytes, which is not large.
pub(crate) fn medium(name: &'static str) -> Result<Polled, SourceError> {
    one_of(name, &unpackable(3_600))
}

fn unpackable(words: u64) -> String {
    let word = |n: u64| {
        format!(
            "{:016x}",
            n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31)
        )
    };
    (0..words).map(word).collect()
}

fn one_of(name: &'static str, item: &str) -> Result<Polled, SourceError> {
    let columns = vec!["SKU".to_owned(), "QTY".to_owned()];
    let shape = Arc::new(Shape {
        record_type: String::new(),
        columns,
    });
    let mut records = Records::default();
    let text = records.push_text(item);
    records.begin(&shape, 0, 1, RawAt::Text(text));
    records.cell(text);
    Ok(Polled::Batch(Box::new(Batch {
        origin: Origin {
            scope: IdScope::of(&[name.as_bytes()]),
            file: name.into(),
            message_id: "".into(),
            change_position: "".into(),
        },
        records,
        rejects: Vec::new(),
        marks: vec![Mark(name.as_bytes().to_vec())],
        position: Position(Bytes::from_static(name.as_bytes())),
        captured_us: 1,
        ends_unit: true,
        reports: Vec::new(),
    })))
}
