//! What may be under way: the work at hand, and files between two of their places.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Instant;

use dray_adapter::FileReport;
use dray_formats::edi::Acknowledgement;

use crate::first_pass::FirstPass;
use crate::position::{Content, Finished};
use crate::reading::Reading;
use crate::ready::Look;
use crate::redrive::Redriving;

/// What is under way.
#[derive(Default)]
pub(crate) enum Work {
    #[default]
    Nothing,
    Checking(Box<FirstPass>),
    Reading(Box<Reading>),
    Redriving(Box<Redriving>),
}

/// Why nothing else is begun.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) reason: String,
    /// When to try again.
    pub(crate) until: Instant,
}

/// A file that moves once its last batch is committed.
#[derive(Debug)]
pub(crate) struct Moving {
    pub(crate) file: Finished,
    /// `None`: it is gone.
    pub(crate) path: Option<PathBuf>,
    /// It was renamed, and the folders could not be synced yet.
    pub(crate) renamed: Option<Renamed>,
    /// What its sender is told before it moves.
    pub(crate) acknowledgements: Vec<Acknowledgement>,
}

/// A file that was there before, and moves once it has stood still.
#[derive(Debug)]
pub(crate) struct Repeated {
    pub(crate) content: Content,
    pub(crate) look: Look,
    pub(crate) since: Instant,
    pub(crate) report: Box<FileReport>,
}

/// A file, and where it is now.
#[derive(Debug, Clone)]
pub(crate) struct Renamed {
    pub(crate) file: Finished,
    /// Below the drop folder.
    pub(crate) folder: &'static str,
    pub(crate) path: PathBuf,
}

/// A file in `archive/pending` that waits for the ack. There may be hundreds of thousands, so it is little.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) name: Box<OsStr>,
    pub(crate) content: Content,
    pub(crate) bytes: u64,
    pub(crate) modified_us: i64,
}

impl Waiting {
    pub(crate) fn new(name: &OsStr, content: Content, look: Look) -> Self {
        Self {
            name: name.into(),
            content,
            bytes: look.bytes,
            modified_us: look.modified_us,
        }
    }

    /// Whether it is as it was when it was appended.
    pub(crate) fn is_unchanged(&self, look: Look) -> bool {
        (self.bytes, self.modified_us) == (look.bytes, look.modified_us)
    }
}
