//! What is said of a whole file: a dead letter that the centre sees, or a report alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dray_adapter::{
    Batch, FileReport, IdScope, Origin, Position, Records, Reject, RejectStage, Reported,
};
use dray_formats::edi::Acknowledgement;

use crate::archive::FAILED;
use crate::config::After;
use crate::position::{Content, Finished, Goes, shown};

/// The ordinal of a reject that stands for a whole file: beyond every record's.
pub(crate) const WHOLE_FILE: u64 = (1 << 40) - 1;

/// Something to say of a file, and where it goes once that is appended.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) file: Finished,
    /// Where it is now; `None` where it is gone.
    pub(crate) path: Option<PathBuf>,
    /// A sentence without the file's name, for its dead letter; `None`: there is none.
    pub(crate) reason: Option<String>,
    /// Whether it is set aside; else it is gone, or was there before.
    aside: bool,
    pub(crate) first_bytes: Vec<u8>,
    pub(crate) report: Option<Box<FileReport>>,
    /// What its sender is told.
    pub(crate) acknowledgements: Vec<Acknowledgement>,
}

impl Notice {
    /// The file is set aside.
    pub(crate) fn set_aside(
        mut file: Finished,
        path: PathBuf,
        from_pending: bool,
        reason: &str,
        first_bytes: Vec<u8>,
    ) -> Self {
        let name = shown(&file.name);
        file.goes = if from_pending {
            Goes::FailedFromPending
        } else {
            Goes::Failed
        };
        tracing::warn!(file = name, reason, "a file is set aside");
        Self {
            file,
            path: Some(path),
            reason: Some(reason.to_owned()),
            aside: true,
            first_bytes,
            report: None,
            acknowledgements: Vec::new(),
        }
    }

    /// Its sender is told as well.
    pub(crate) fn acknowledged(self, acknowledgements: Vec<Acknowledgement>) -> Self {
        Self {
            acknowledgements,
            ..self
        }
    }

    /// The file is gone.
    pub(crate) fn gone(file: Finished, reason: &str) -> Self {
        tracing::warn!(file = shown(&file.name), reason, "a file is gone");
        Self {
            file,
            path: None,
            reason: Some(reason.to_owned()),
            aside: false,
            first_bytes: Vec::new(),
            report: None,
            acknowledgements: Vec::new(),
        }
    }

    /// The file was there before: it goes to the others of its kind, and nobody has to act.
    pub(crate) fn repeated(file: Finished, path: PathBuf, report: Option<Box<FileReport>>) -> Self {
        Self {
            file: Finished {
                goes: Goes::Repeated,
                ..file
            },
            path: Some(path),
            reason: None,
            aside: false,
            first_bytes: Vec::new(),
            report,
            acknowledgements: Vec::new(),
        }
    }

    /// This is the last that is said of the file.
    pub(crate) fn closing(self, report: Option<Box<FileReport>>) -> Self {
        Self { report, ..self }
    }

    /// As the agent appends it.
    pub(crate) fn batch(self, flow: &str, position: Position, after: After) -> Batch {
        let name = shown(&self.file.name);
        let content = self.file.content;
        let sentence = |reason| match after {
            _ if !self.aside => format!("{name}: {reason}"),
            After::Move => format!("{name} is set aside in {FAILED}/: {reason}"),
            After::Keep => format!("{name} stays where it is and is not read: {reason}"),
        };
        let reject = |reason| Reject {
            after: 0,
            ordinal: WHOLE_FILE,
            line: 0,
            stage: RejectStage::Source,
            reason: sentence(reason),
            raw: self.first_bytes,
            raw_bytes: content.bytes,
            raw_sha256: Some(content.sha256),
        };
        Batch {
            origin: match self.file.goes {
                Goes::Repeated => repeat_origin(flow, &name, &self.file),
                _ => origin(flow, &name, &content),
            },
            records: Records::default(),
            rejects: self.reason.map(reject).into_iter().collect(),
            marks: Vec::new(),
            position,
            captured_us: now_us(),
            ends_unit: true,
            reports: self
                .report
                .map(|report| Reported::of_file(0, *report))
                .into_iter()
                .collect(),
        }
    }
}

pub(crate) fn origin(flow: &str, name: &str, content: &Content) -> Origin {
    let (bytes, repeat) = (content.bytes.to_le_bytes(), content.repeat.to_le_bytes());
    of_file(name, &[flow.as_bytes(), &content.sha256, &bytes, &repeat])
}

/// A repeat is told apart from the file that it repeats, and from other repeats of it.
fn repeat_origin(flow: &str, name: &str, file: &Finished) -> Origin {
    let modified = file.look.modified_us.to_le_bytes();
    of_file(
        name,
        &[
            flow.as_bytes(),
            b"repeated",
            &file.content.sha256,
            name.as_bytes(),
            &modified,
        ],
    )
}

pub(crate) fn of_file(name: &str, identity: &[&[u8]]) -> Origin {
    Origin {
        scope: IdScope::of(identity),
        file: Arc::from(name),
        message_id: Arc::from(""),
        change_position: Arc::from(""),
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
