//! What is said of a whole file, as a dead letter that the centre sees.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dray_adapter::{Batch, IdScope, Origin, Position, Records, Reject, RejectStage};

use crate::archive::FAILED;
use crate::config::After;
use crate::position::{Content, Finished, Goes, shown};

/// The ordinal of a reject that stands for a whole file: beyond every record's.
const WHOLE_FILE: u64 = (1 << 40) - 1;

/// Something to say of a file, and where it goes once that is appended.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) file: Finished,
    /// Where it is now; `None` where it is gone.
    pub(crate) path: Option<PathBuf>,
    /// A sentence without the file's name.
    pub(crate) reason: String,
    /// Whether it is set aside; else it is gone.
    aside: bool,
    pub(crate) first_bytes: Vec<u8>,
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
            reason: reason.to_owned(),
            aside: true,
            first_bytes,
        }
    }

    /// The file is gone.
    pub(crate) fn gone(file: Finished, reason: &str) -> Self {
        tracing::warn!(file = shown(&file.name), reason, "a file is gone");
        Self {
            file,
            path: None,
            reason: reason.to_owned(),
            aside: false,
            first_bytes: Vec::new(),
        }
    }

    /// As the agent appends it.
    pub(crate) fn batch(self, flow: &str, position: Position, after: After) -> Batch {
        let (name, reason) = (shown(&self.file.name), &self.reason);
        let reason = match after {
            _ if !self.aside => format!("{name}: {reason}"),
            After::Move => format!("{name} is set aside in {FAILED}/: {reason}"),
            After::Keep => format!("{name} stays where it is and is not read: {reason}"),
        };
        let reject = Reject {
            after: 0,
            ordinal: WHOLE_FILE,
            line: 0,
            stage: RejectStage::Source,
            reason,
            raw: self.first_bytes,
            raw_bytes: self.file.content.bytes,
            raw_sha256: Some(self.file.content.sha256),
        };
        Batch {
            origin: origin(flow, &shown(&self.file.name), &self.file.content),
            records: Records::default(),
            rejects: vec![reject],
            marks: Vec::new(),
            position,
            captured_us: now_us(),
            ends_unit: true,
        }
    }
}

pub(crate) fn origin(flow: &str, name: &str, content: &Content) -> Origin {
    let (bytes, repeat) = (content.bytes.to_le_bytes(), content.repeat.to_le_bytes());
    Origin {
        scope: IdScope::of(&[flow.as_bytes(), &content.sha256, &bytes, &repeat]),
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
