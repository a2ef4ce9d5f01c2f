//! The folder as a [`Source`]: what is done when.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_adapter::{
    Batch, FileOutcome, FileReport, Mark, MarkState, Polled, Position, Reported, Seen, Source,
    SourceError,
};
use dray_formats::Gather;
use dray_formats::packed::Packed;

use crate::alarms::Alarms;
use crate::archive::{ARCHIVE, PENDING};
use crate::config::{After, FileDropConfig};
use crate::control::Control;
use crate::duplicates::Duplicates;
use crate::groups::Groups;
use crate::halves::Halves;
use crate::keep::Keeping;
use crate::keeper::Keeper;
use crate::known::Known;
use crate::matcher::Matcher;
use crate::notice::{Notice, now_us, origin};
use crate::position::{At, Content, Goes, Place, shown};
use crate::reading::{Part, Reading};
use crate::ready::Ready;
use crate::redrive::Taking;
use crate::scan::OrderKey;
use crate::sftp::Pickup;
use crate::signs::Patience;
use crate::start::Resume;
use crate::trailer::Trailer;
use crate::under_way::{Held, Moving, Repeated, Waiting, Work};
use crate::watch::Watch;

/// How long a poll works before it returns.
const POLL_MAX: Duration = Duration::from_millis(250);
/// Files that are polled to their end and not committed: more are not begun. It bounds positions, and is how many
/// small batches an agent appends with one sync.
const FINISHED_MAX: usize = 64;
/// How soon to look again for the commit of such a file.
const COMMIT_WAIT: Duration = Duration::from_millis(10);

/// A watched folder.
pub struct FileDrop {
    pub(crate) flow: String,
    pub(crate) config: FileDropConfig,
    pub(crate) matcher: Matcher,
    pub(crate) format: Packed,
    pub(crate) control: Option<Control>,
    pub(crate) trailer: Option<Trailer>,
    pub(crate) began: Instant,
    pub(crate) ready: Ready,
    /// What lies beside files and speaks of them.
    pub(crate) groups: Groups,
    pub(crate) seen: Option<Arc<dyn Seen>>,
    pub(crate) wake: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(crate) watch: Option<Watch>,
    /// What brings files from a server.
    pub(crate) pickup: Option<Pickup>,
    /// Device and inode of the folder that is watched: another one may take its place.
    pub(crate) watched: (u64, u64),
    /// Complete files.
    pub(crate) queue: BTreeSet<OrderKey>,
    /// Files that are not complete yet: those after them in order wait for them.
    pub(crate) incomplete: BTreeSet<OrderKey>,
    /// By time alone: where each file of both stands, as a write moves it.
    pub(crate) stood: HashMap<OsString, i128>,
    pub(crate) work: Work,
    /// Where an earlier run, or a read that failed, ended inside a file.
    pub(crate) resume: Option<Resume>,
    /// Another such file, which comes after it.
    pub(crate) then: Option<At>,
    /// Polled to their end, not yet moved; in order.
    pub(crate) finished: VecDeque<Moving>,
    /// What is to be said of whole files.
    pub(crate) notices: VecDeque<Notice>,
    /// Files found in `archive/pending` at the start that the buffer may not know, in the order in which they
    /// came: no new file is begun before all of them are looked at.
    pub(crate) second_copies: VecDeque<PathBuf>,
    /// What is known of the files in `archive/pending`.
    pub(crate) known: Known,
    /// Whether the buffer knew nothing of the flow's newest files at the start.
    pub(crate) is_new_buffer: bool,
    /// A file that all others wait for can't be read.
    pub(crate) held: Option<Held>,
    /// Files in `archive/pending` that wait for the ack, oldest first.
    pub(crate) pending: VecDeque<Waiting>,
    /// The same, found at the start.
    pub(crate) pending_before: VecDeque<Waiting>,
    /// Whether files went on to the archive whose moves may not last yet.
    pub(crate) released: bool,
    /// Files of the folder whose content was there before.
    pub(crate) repeats: HashMap<OsString, Repeated>,
    /// Symbolic links that were told of.
    pub(crate) links: Vec<OsString>,
    /// Which documents were there before.
    pub(crate) duplicates: Duplicates,
    /// Which files wait for others by their numbers.
    pub(crate) keeper: Keeper,
    /// Files that could not be taken, and why.
    pub(crate) troubles: BTreeMap<OsString, String>,
    /// Files that wait for too long.
    pub(crate) alarms: Alarms,
    /// The source's own folder, below the agent's data folder; made when it is first used.
    pub(crate) own: Option<PathBuf>,
    /// Where nothing moves: what was taken.
    pub(crate) keeping: Option<Keeping>,
    /// Files that were given up in their middle.
    pub(crate) halves: Halves,
    /// What is asked to be read again.
    pub(crate) taking: Taking,
    pub(crate) next_scan: Instant,
    pub(crate) next_prune: Instant,
}

impl FileDrop {
    /// A source of the flow with this full name.
    ///
    /// # Errors
    /// The first fault of the configuration.
    pub fn new(flow: &str, config: FileDropConfig) -> Result<Self, String> {
        if let Some((setting, reason)) = config.faults().into_iter().next() {
            return Err(format!("{setting}: {reason}"));
        }
        let now = Instant::now();
        Ok(Self {
            flow: flow.to_owned(),
            matcher: config.matcher()?,
            format: config.format()?,
            control: config.control()?,
            trailer: config.trailer()?,
            ready: Ready::new(config.ready, config.quiet),
            duplicates: Duplicates::new(config.duplicates.clone()),
            keeper: Keeper::new(config.watch()?),
            groups: Groups::new(Patience::of(&config)),
            known: Known::new(&config.folder, flow),
            config,
            began: now,
            seen: None,
            wake: None,
            watch: None,
            pickup: None,
            watched: (0, 0),
            queue: BTreeSet::new(),
            incomplete: BTreeSet::new(),
            stood: HashMap::new(),
            work: Work::Nothing,
            resume: None,
            then: None,
            finished: VecDeque::new(),
            notices: VecDeque::new(),
            second_copies: VecDeque::new(),
            is_new_buffer: false,
            held: None,
            pending: VecDeque::new(),
            pending_before: VecDeque::new(),
            released: false,
            repeats: HashMap::new(),
            links: Vec::new(),
            troubles: BTreeMap::new(),
            alarms: Alarms::default(),
            own: None,
            keeping: None,
            halves: Halves::default(),
            taking: Taking::default(),
            next_scan: now,
            next_prune: now,
        })
    }

    pub(crate) fn state(&self, content: &Content) -> MarkState {
        let state = |seen: &Arc<dyn Seen>| seen.seen(&content.mark());
        self.seen.as_ref().map_or(MarkState::New, state)
    }

    pub(crate) fn is_pending(&self, path: &Path) -> bool {
        path.parent()
            .is_some_and(|parent| parent == self.config.folder.join(PENDING))
    }

    /// Whether it is a file that was appended before: one that waits for its ack, or is acked.
    pub(crate) fn is_archived(&self, path: &Path) -> bool {
        self.is_pending(path)
            || path
                .parent()
                .is_some_and(|parent| parent == self.config.folder.join(ARCHIVE))
    }

    pub(crate) fn retry(&self, reason: String) -> SourceError {
        SourceError::Retry {
            reason,
            after: self.config.scan_every,
        }
    }

    /// Asks to be polled soon.
    pub(crate) fn ring(&self) {
        if let Some(wake) = &self.wake {
            wake();
        }
    }

    pub(crate) fn place(&self, at: Option<At>) -> Position {
        let finished = self
            .finished
            .iter()
            .map(|moving| moving.file.clone())
            .collect();
        // A file that is to be gone on with stays named until it is begun, also while second copies before it are read.
        let resume = self.resume.as_ref().map(|resume| resume.at.clone());
        let mut reading = [at, resume, self.then.clone()].into_iter().flatten();
        Place {
            finished,
            at: reading.next(),
            then: reading.next(),
            sequence: self.keeper.state.clone(),
        }
        .encode()
    }

    /// A file that cannot be taken now: said once, tried again at the next scan.
    pub(crate) fn trouble(&mut self, path: &Path, reason: String) {
        if self.is_pending(path) || self.is_resumed(path) || self.is_read_again(path) {
            return self.hold(path, &reason);
        }
        let name = path.file_name().unwrap_or_default().to_owned();
        if self.troubles.get(&name) != Some(&reason) {
            tracing::warn!(file = %path.display(), reason, "a file can't be taken now; it is tried again");
        }
        self.ready.forget(&name);
        self.troubles.insert(name, reason);
    }

    /// The place between batches. A file that is read in part stays named, whatever else is told meanwhile.
    pub(crate) fn stands(&self) -> Position {
        self.place(match &self.work {
            Work::Reading(reading) if reading.given() > 0 => Some(reading.at()),
            _ => None,
        })
    }

    pub(crate) fn changed_while_read(&self, given: u64) -> String {
        let way_out = match self.config.after {
            After::Move => "compare, and drop what is missing as a new file",
            After::Keep => "as it is now, it is read as a file of its own",
        };
        format!(
            "it changed while it was read. Its first {given} records were sent as they were before; {way_out}"
        )
    }

    fn say(&mut self, mut notice: Notice) -> Batch {
        self.remember_reason(&notice);
        self.finished.push_back(Moving {
            file: notice.file.clone(),
            path: notice.path.clone(),
            renamed: None,
            acknowledgements: std::mem::take(&mut notice.acknowledgements),
        });
        notice.batch(&self.flow, self.stands(), self.config.after)
    }

    /// Goes on with the file at hand; `None` when there is nothing to hand out of it.
    pub(crate) fn go_on(&mut self, until: Instant) -> Result<Option<Polled>, SourceError> {
        match std::mem::take(&mut self.work) {
            Work::Nothing => Ok(None),
            Work::Reading(reading) => self.read(reading, until),
            Work::Redriving(redriving) => self.go_on_redriving(redriving, until),
            Work::Checking(mut pass) => {
                match pass.step(until) {
                    Ok(false) => self.work = Work::Checking(pass),
                    Ok(true) => {
                        let path = pass.path.clone();
                        match pass.end(&mut self.format) {
                            Ok(checked) => self.take_checked(&path, checked)?,
                            Err(error) => self.trouble(&path, unreadable(&error)),
                        }
                    }
                    Err(error) => self.trouble(&pass.path, unreadable(&error)),
                }
                Ok(None)
            }
        }
    }

    fn read(
        &mut self,
        mut reading: Box<Reading>,
        until: Instant,
    ) -> Result<Option<Polled>, SourceError> {
        match reading.step(until) {
            Ok(Part::More) => self.work = Work::Reading(reading),
            Ok(Part::Batch(gather, last)) => {
                let batch = self.batch(&mut reading, gather, last);
                if !last {
                    self.work = Work::Reading(reading);
                }
                return Ok(Some(Polled::Batch(Box::new(batch))));
            }
            Ok(Part::Changed) if reading.given() == 0 => self.give_back(&mut reading, changing()),
            Ok(Part::Changed) => {
                let reason = self.changed_while_read(reading.given());
                let pending = self.is_pending(&reading.path);
                let file = reading.finished(Goes::Failed);
                let report = self.report(&reading.facts, FileOutcome::CutShort, &reason);
                self.notices.push_back(
                    Notice::set_aside(file, reading.path, pending, &reason, Vec::new())
                        .closing(report),
                );
            }
            Err(error) if reading.given() == 0 => {
                self.give_back(&mut reading, unreadable(&error));
            }
            Err(error) => {
                // A share that went away: the file is looked for again, and read on at this record.
                self.resume_now(reading.at());
                return Err(self.retry(format!(
                    "{} can't be read further: {error}; it is tried again",
                    reading.path.display()
                )));
            }
        }
        Ok(None)
    }

    fn batch(&mut self, reading: &mut Reading, gather: Gather, last: bool) -> Batch {
        let report = last
            .then(|| self.report(&reading.facts, FileOutcome::Sent, &reading.said))
            .flatten();
        let reported = |report: Box<FileReport>| Reported::of_file(gather.records.len(), *report);
        let reports = report.map(reported).into_iter().collect();
        let (marks, position): (Vec<Mark>, _) = if last {
            let file = reading.finished(Goes::Pending);
            self.finished.push_back(Moving {
                file,
                path: Some(reading.path.clone()),
                renamed: None,
                acknowledgements: std::mem::take(&mut reading.acknowledgements),
            });
            let mut marks = vec![reading.content.mark()];
            marks.extend(self.duplicates.marks(&reading.remember));
            (marks, self.place(None))
        } else {
            (Vec::new(), self.place(Some(reading.at())))
        };
        Batch {
            origin: origin(&self.flow, &shown(&reading.name()), &reading.content),
            records: gather.records,
            rejects: gather.rejects,
            marks,
            position,
            captured_us: now_us(),
            ends_unit: last,
            reports,
        }
    }
}

pub(crate) fn changing() -> String {
    "it changes while it is read; it is taken once it is complete".into()
}

pub(crate) fn unreadable(error: &std::io::Error) -> String {
    let way_out = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "; give the agent's user the right to read it",
        _ => "",
    };
    format!("it can't be read: {error}{way_out}")
}

impl Source for FileDrop {
    fn open(
        &mut self,
        resume: Option<Position>,
        seen: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError> {
        self.seen = Some(seen);
        self.wake = Some(wake);
        self.start(resume)
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        let until = Instant::now() + POLL_MAX;
        loop {
            if self.finished.len() >= FINISHED_MAX {
                return Ok(Polled::Idle(COMMIT_WAIT));
            }
            if let Some(told) = self.tell_missing() {
                return Ok(Polled::Batch(Box::new(told)));
            }
            if let Some(notice) = self.notices.pop_front() {
                return Ok(Polled::Batch(Box::new(self.say(notice))));
            }
            if matches!(self.work, Work::Nothing) {
                if let Some(wait) = self.begin_next()? {
                    return Ok(Polled::Idle(wait));
                }
            } else if let Some(polled) = self.go_on(until)? {
                return Ok(polled);
            }
            if Instant::now() >= until {
                return Ok(Polled::Idle(Duration::ZERO));
            }
        }
    }

    fn commit(&mut self, position: &Position) -> Result<(), SourceError> {
        let place = Place::decode(position).map_err(|reason| SourceError::Operator { reason })?;
        let mut renamed = Vec::new();
        let moved = loop {
            let named = |moving: &mut Moving| place.finished.contains(&moving.file);
            let Some(mut moving) = self.finished.pop_front_if(named) else {
                break self.end_moves(&renamed);
            };
            let moved = self.move_finished(&mut moving);
            if moved.is_err() || moving.renamed.is_some() {
                renamed.push(moving);
            }
            if moved.is_err() {
                break moved;
            }
        };
        if moved.is_err() {
            // The next commit ends them.
            renamed
                .into_iter()
                .rev()
                .for_each(|moving| self.finished.push_front(moving));
        }
        moved
    }

    fn acked(&mut self, _: &Position) -> Result<(), SourceError> {
        if self.keeps() {
            return self.take_acks();
        }
        self.release()
    }

    fn refuse(&mut self, _: &str) {}

    fn close(&mut self) {
        self.close_ledger();
        self.pickup = None;
        self.watch = None;
        self.work = Work::Nothing;
    }
}
