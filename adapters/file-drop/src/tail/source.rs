//! The growing files of a folder as a [`Source`]: what is done when.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_adapter::{Batch, IdScope, Polled, Position, Records, Seen, Source, SourceError};
use dray_formats::Format;

use super::config::{Begin, FileTailConfig};
use super::known::Files;
use super::names::Names;
use super::notice::{Change, Notice, origin};
use super::place::{Node, Place};
use crate::notice::now_us;
use crate::plain;
use crate::scan::look_of;
use crate::watch::Watch;

/// How long a poll works before it returns.
const POLL_MAX: Duration = Duration::from_millis(250);

/// The growing files of a folder.
pub struct FileTail {
    pub(super) flow: String,
    pub(super) config: FileTailConfig,
    pub(super) names: Names,
    pub(super) format: Format,
    pub(super) wake: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(super) watch: Option<Watch>,
    /// Device and inode of the folder that is watched: another one may take its place.
    pub(super) watched: (u64, u64),
    pub(super) files: Files,
    /// Files that are not kept in mind as they were read to their end, and how long they were then.
    pub(super) resting: HashMap<Node, u64>,
    /// Files to look at, in this order.
    pub(super) turns: VecDeque<Node>,
    /// Whether the first of them is under way.
    pub(super) is_turn_begun: bool,
    pub(super) notices: VecDeque<Notice>,
    /// Files that could not be read, and why.
    pub(super) troubles: BTreeMap<String, String>,
    /// Symbolic links that were told of.
    pub(super) links: Vec<OsString>,
    pub(super) first: First,
    pub(super) next_scan: Instant,
    /// Scans in a row that were asked for because a file was not what a scan had seen.
    pub(super) rescans: u32,
}

/// The very first start, with `begin = "end"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// The folder was not looked at yet.
    Unseen,
    /// What is there is passed over.
    Passing,
    /// It is not the first, or all of it is passed over.
    Over,
}

impl FileTail {
    /// A source of the flow with this full name.
    ///
    /// # Errors
    /// The first fault of the configuration.
    pub fn new(flow: &str, config: FileTailConfig) -> Result<Self, String> {
        if let Some((setting, reason)) = config.faults().into_iter().next() {
            return Err(format!("{setting}: {reason}"));
        }
        Ok(Self {
            flow: flow.to_owned(),
            names: config.names().map_err(|(_, reason)| reason)?,
            format: config.format()?,
            config,
            wake: None,
            watch: None,
            watched: (0, 0),
            files: Files::default(),
            resting: HashMap::new(),
            turns: VecDeque::new(),
            is_turn_begun: false,
            notices: VecDeque::new(),
            troubles: BTreeMap::new(),
            links: Vec::new(),
            first: First::Over,
            next_scan: Instant::now(),
            rescans: 0,
        })
    }

    pub(super) fn path(&self, file: &OsStr) -> PathBuf {
        self.config.folder.join(file)
    }

    /// Opens a file by its name, if that still is its name; else there is none.
    pub(super) fn open_file(&self, file: &OsStr, node: Node) -> io::Result<File> {
        let text = plain::open(&self.path(file))?;
        let look = look_of(&text.metadata()?);
        let there = Node {
            born_us: look.born_us,
            inode: look.inode,
        };
        if there == node {
            Ok(text)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    pub(super) fn retry(&self, reason: String) -> SourceError {
        SourceError::Retry {
            reason,
            after: self.config.scan_every,
        }
    }

    /// A file that can't be read now: said once, tried again at the next scan.
    pub(super) fn trouble(&mut self, name: &str, reason: String) {
        if self.troubles.get(name) != Some(&reason) {
            tracing::warn!(
                file = name,
                reason,
                "a file can't be read now; it is tried again"
            );
        }
        self.troubles.insert(name.to_owned(), reason);
    }

    fn say(&mut self, mut notice: Notice) -> Batch {
        let node = notice.node;
        let mut name = String::new();
        if let Some(index) = self.files.find(node) {
            let known = &mut self.files.all[index];
            name.clone_from(&known.entry.name);
            match std::mem::replace(&mut notice.change, Change::Passed) {
                Change::Again(entry) => {
                    known.entry = entry;
                    self.next_scan = Instant::now();
                }
                Change::Missed => known.entry.is_missed = true,
                Change::Refused => known.entry.is_refused = true,
                Change::Passed => (known.skip_to, known.is_gap) = (0, false),
                Change::Gone => drop(self.files.all.swap_remove(index)),
            }
        }
        let number = self.files.next_number();
        let position = self.files.position();
        notice.batch(&self.flow, &name, number, position)
    }

    /// What is there at the very first start is passed over: from now on the position says so.
    fn passed_over(&mut self) -> Batch {
        self.first = First::Over;
        for known in &mut self.files.all {
            known.skip_to = 0;
        }
        Batch {
            origin: origin(IdScope::of(&[self.flow.as_bytes(), b"begin"]), ""),
            records: Records::default(),
            rejects: Vec::new(),
            marks: Vec::new(),
            position: self.files.position(),
            captured_us: now_us(),
            ends_unit: true,
            reports: Vec::new(),
        }
    }

    fn next_batch(&mut self, until: Instant) -> Result<Polled, SourceError> {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Ok(Polled::Batch(Box::new(self.say(notice))));
            }
            if let Some(&node) = self.turns.front() {
                if let Some(batch) = self.turn(node, until) {
                    return Ok(Polled::Batch(Box::new(batch)));
                }
            } else if self.first == First::Passing {
                return Ok(Polled::Batch(Box::new(self.passed_over())));
            } else {
                let wait = self.find()?;
                if self.turns.is_empty() && self.notices.is_empty() && self.first != First::Passing
                {
                    return self.idle(wait);
                }
            }
            if Instant::now() >= until {
                return Ok(Polled::Idle(Duration::ZERO));
            }
        }
    }

    fn idle(&self, wait: Duration) -> Result<Polled, SourceError> {
        let Some((name, reason)) = self.troubles.iter().next() else {
            return Ok(Polled::Idle(wait));
        };
        let more = match self.troubles.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        Err(SourceError::Retry {
            reason: format!("{name}: {reason}{more}"),
            after: wait,
        })
    }
}

impl Source for FileTail {
    fn open(
        &mut self,
        resume: Option<Position>,
        _: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError> {
        self.wake = Some(wake);
        let is_first = resume.is_none();
        let place =
            resume.map_or_else(|| Ok(Place::default()), |position| Place::decode(&position));
        let place = place.map_err(|reason| SourceError::Operator { reason })?;
        std::fs::read_dir(&self.config.folder).map_err(|error| self.folder_away(&error))?;
        // Nothing of an earlier life counts: the position says all.
        self.files = Files::from_place(place);
        self.resting.clear();
        self.turns.clear();
        self.is_turn_begun = false;
        self.notices.clear();
        self.troubles.clear();
        self.watch = None;
        self.first = if is_first && self.config.begin == Begin::End {
            First::Unseen
        } else {
            First::Over
        };
        self.ensure_watch();
        self.next_scan = Instant::now();
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        self.next_batch(Instant::now() + POLL_MAX)
    }

    /// Nothing moves: what was read is said by the position, which went with the append.
    fn commit(&mut self, _: &Position) -> Result<(), SourceError> {
        Ok(())
    }

    fn acked(&mut self, _: &Position) -> Result<(), SourceError> {
        Ok(())
    }

    fn refuse(&mut self, _: &str) {}

    fn close(&mut self) {
        self.watch = None;
        self.turns.clear();
        for known in &mut self.files.all {
            known.reading = None;
        }
    }
}
