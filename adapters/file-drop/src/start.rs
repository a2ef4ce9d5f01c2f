//! What is done at the start: moves that a crash prevented, and the file that was being read.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dray_adapter::{FileOutcome, FileReport, MarkState, Position, SourceError};
use dray_edges::edge;

use crate::alarms::Alarms;
use crate::archive::{self, ARCHIVE, PENDING};
use crate::first_pass::Checked;
use crate::groups::Groups;
use crate::notice::Notice;
use crate::owners;
use crate::plain;
use crate::position::{At, Finished, Goes, Place};
use crate::ready::{Look, Ready};
use crate::redrive::Taking;
use crate::report::Facts;
use crate::scan::{OrderKey, look_of};
use crate::signs::Patience;
use crate::source::FileDrop;
use crate::under_way::{Moving, Work};

/// How many scans a file that was being read may be missing before it is given up: a share may take a
/// moment to be mounted again.
const MISSING_SCANS: u32 = 10;
/// How long the start may look at files that wait for the ack.
const START_MAX: Duration = Duration::from_millis(500);
/// The least that it is waited for.
const MISSING_MIN: Duration = Duration::from_secs(1);

/// A file that is read on where an earlier run ended.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) at: At,
    /// Whether its turn has come; else second copies that came before it are looked at first.
    pub(crate) is_next: bool,
    /// Where it was found.
    pub(crate) path: Option<PathBuf>,
    /// Since when it is looked for in vain.
    pub(crate) missing_since: Option<Instant>,
}

impl Resume {
    pub(crate) fn now(at: At) -> Self {
        Self {
            is_next: true,
            ..Self::after_second_copies(at)
        }
    }

    pub(crate) fn after_second_copies(at: At) -> Self {
        Self {
            at,
            is_next: false,
            path: None,
            missing_since: None,
        }
    }
}

impl FileDrop {
    pub(crate) fn start(&mut self, resume: Option<Position>) -> Result<(), SourceError> {
        let is_new = resume.is_none();
        let place = resume
            .as_ref()
            .map_or_else(|| Ok(Place::default()), Place::decode);
        let mut place = place.map_err(|reason| SourceError::Operator { reason })?;
        // A position that the collector gave names files of which a new buffer has no marks.
        let is_unknown = |file: &Finished| {
            file.goes == Goes::Pending && self.state(&file.content) == MarkState::New
        };
        self.is_new_buffer = is_new || place.finished.iter().any(is_unknown);
        self.forget();
        // Before anything is made: a folder that is away must not be made anew.
        fs::read_dir(&self.config.folder).map_err(|error| self.folder_away(&error))?;
        self.next_scan = Instant::now();
        self.keeper.restart(std::mem::take(&mut place.sequence));
        self.read_halves();
        if self.keeps() {
            return self.start_keeping(place);
        }
        self.refuse_ledger()?;
        archive::make(&self.config.folder, PENDING).map_err(|error| self.no_archive(&error))?;
        if let Err(error) = archive::sync_all(&self.config.folder) {
            tracing::warn!(folder = %self.config.folder.display(), %error, "earlier moves can't be made to last");
        }
        self.bind()?;
        self.ensure_watch();
        self.resume = place.at.map(Resume::after_second_copies);
        self.then = place.then;
        for (index, file) in self.appended(place.finished).into_iter().enumerate() {
            if index > 0 {
                edge!("file_drop.between_moves");
            }
            self.mend(file)?;
        }
        self.finished.clear();
        self.gather_left_behind()
            .map_err(|error| self.folder_away(&error))?;
        self.find_second_copies()
            .map_err(|error| self.folder_away(&error))?;
        self.release()?;
        self.take_first_copies()?;
        self.begin_pickup()
    }

    /// Nothing of an earlier life counts: what was found is found again, what was to be said follows from the
    /// position, and what notify told is out of date, as nobody listened since. What was appended and has not moved
    /// stays until it is moved.
    fn forget(&mut self) {
        self.work = Work::Nothing;
        self.pickup = None;
        self.watch = None;
        self.ready = Ready::new(self.config.ready, self.config.quiet);
        self.groups = Groups::new(Patience::of(&self.config));
        self.alarms = Alarms::default();
        self.held = None;
        self.queue.clear();
        self.incomplete.clear();
        self.notices.clear();
        self.taking = Taking::default();
        self.repeats.clear();
        self.troubles.clear();
        self.pending.clear();
        self.pending_before.clear();
    }

    /// What the position names as appended whole, and what an earlier life of this source appended and did not move:
    /// where the source goes on at an older place, the position does not name that, but the buffer has its mark.
    pub(crate) fn appended(&self, mut named: Vec<Finished>) -> Vec<Finished> {
        let earlier = self.finished.iter().map(|moving| &moving.file);
        for file in earlier.filter(|file| file.goes == Goes::Pending) {
            if !named.contains(file) && self.state(&file.content) != MarkState::New {
                named.push(file.clone());
            }
        }
        named
    }

    /// Stops where files of another flow wait: they would be taken for second copies.
    fn bind(&self) -> Result<(), SourceError> {
        let (folder, flow) = (&self.config.folder, &self.flow);
        let foreign = owners::foreign(folder, flow, &self.matcher)
            .map_err(|error| self.folder_away(&error))?;
        if let Some(foreign) = foreign {
            return Err(SourceError::Operator {
                reason: foreign.sentence(folder, flow),
            });
        }
        if let Err(error) = owners::bind(folder, flow, &self.config.pattern) {
            tracing::warn!(folder = %folder.display(), %error, "it can't be written down that this flow reads here");
        }
        Ok(())
    }

    /// Looks at the second copies as far as a moment allows, so that an ack that comes at once finds
    /// them; the others are looked at by polls.
    pub(crate) fn take_first_copies(&mut self) -> Result<(), SourceError> {
        let until = Instant::now() + START_MAX;
        while self.held.is_none() && Instant::now() < until {
            match &self.work {
                Work::Checking(_) => {
                    self.go_on(until)?;
                }
                Work::Reading(_) | Work::Redriving(_) => break,
                Work::Nothing => {
                    if !self.begin_second_copy() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn no_archive(&self, error: &io::Error) -> SourceError {
        self.retry(format!(
            "{} can't be made: {error}; give the agent's user the right to write in {}, and let nothing else be called \"archive\" there",
            self.config.folder.join(PENDING).display(),
            self.config.folder.display()
        ))
    }

    /// Moves a file that was appended whole, if it is still where it was.
    fn mend(&mut self, mut file: Finished) -> Result<(), SourceError> {
        let folder = match file.goes {
            Goes::FailedFromPending => self.config.folder.join(PENDING),
            Goes::Pending | Goes::Failed | Goes::Repeated => self.config.folder.clone(),
        };
        let path = folder.join(&file.name);
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            return Ok(());
        };
        let look = look_of(&metadata);
        let same_file = look.is_same_file(&file.look);
        let same_times = look.is_unchanged(&file.look);
        let is_it = match file.goes {
            // It changed: only the inode tells that it is the one.
            Goes::Failed | Goes::FailedFromPending => same_file,
            Goes::Repeated => same_file && same_times,
            // A folder that was copied, or mounted again, has other inodes.
            Goes::Pending => same_file || (same_times && has_hash(&path, &file.content.sha256)),
        };
        if !metadata.is_file() || !is_it {
            return Ok(());
        }
        tracing::info!(file = %path.display(), "the file was appended before the restart; it is moved now");
        let acknowledgements = self.acknowledge_again(&file, &path)?;
        file.look = Look {
            bytes: file.look.bytes,
            modified_us: file.look.modified_us,
            ..look
        };
        let mut moving = Moving {
            file,
            path: Some(path),
            renamed: None,
            acknowledgements,
        };
        self.move_finished(&mut moving)?;
        self.end_moves(&[moving])
    }

    /// Begins the file that was being read.
    pub(crate) fn begin_resumed(&mut self) -> Result<Option<Duration>, SourceError> {
        let found = self
            .find_half_read()
            .map_err(|error| self.folder_away(&error))?;
        if let Some(resume) = &mut self.resume {
            resume.path.clone_from(&found);
        }
        if let Some(path) = found {
            // A scan took it for a new file before its turn came.
            let is_other = |(_, name): &OrderKey| Some(name.as_os_str()) != path.file_name();
            self.queue.retain(is_other);
            self.incomplete.retain(is_other);
            self.check(&path);
            return Ok(None);
        }
        let wait = (self.config.scan_every * MISSING_SCANS).max(MISSING_MIN);
        let folder = self.config.folder.display().to_string();
        let Some(resume) = &mut self.resume else {
            return Ok(None);
        };
        let since = *resume.missing_since.get_or_insert_with(Instant::now);
        let (name, next) = (
            resume.at.file.name.to_string_lossy().into_owned(),
            resume.at.next,
        );
        if since.elapsed() < wait {
            return Err(self.retry(format!(
                "{name} is not in {folder} any more, but only its first {next} records were sent; put it back. Others go on in {} s",
                wait.as_secs()
            )));
        }
        let at = resume.at.clone();
        self.give_up(&at);
        let file = at.file;
        self.take_resume();
        let reason = format!(
            "it is not in {folder} any more. Its first {next} records were sent, the others can't be until it comes back"
        );
        let report = self.cut_short(&file, next, &reason);
        self.notices
            .push_back(Notice::gone(file, &reason).closing(report));
        Ok(None)
    }

    /// Where the file that was being read is now: under its name, or renamed, or in the archive. It may even be acked: a machine that lost
    /// its disk goes on where the collector last heard of a place, which may be before that file's end.
    fn find_half_read(&self) -> io::Result<Option<PathBuf>> {
        let Some(Resume { at, .. }) = &self.resume else {
            return Ok(None);
        };
        let is_it = |path: &Path| is_it(path, &at.file);
        // Second copies before it are done with: this is the one whose place it took, whatever else looks like it.
        if let Some(copy) = self.second_copies.front().filter(|copy| is_it(copy)) {
            return Ok(Some(copy.clone()));
        }
        let folders = self.folders_of_half_read();
        // A power cut may have taken it before its name was on stable storage: it is dropped again.
        let is_copy = |path: &Path| {
            fs::symlink_metadata(path).is_ok_and(|metadata| {
                metadata.is_file()
                    && metadata.len() == at.file.look.bytes
                    && has_hash(path, &at.file.content.sha256)
            })
        };
        let by_name: Vec<PathBuf> = folders
            .iter()
            .map(|folder| folder.join(&at.file.name))
            .collect();
        let found = by_name.iter().find(|path| is_it(path));
        if let Some(path) = found.or_else(|| by_name.iter().find(|path| is_copy(path))) {
            return Ok(Some(path.clone()));
        }
        for folder in folders {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if is_it(&path) {
                    return Ok(Some(path));
                }
            }
        }
        if self.keeps() {
            return Ok(None);
        }
        let Finished { name, content, .. } = &at.file;
        let own = archive::own_name(name, &content.sha256);
        let candidates = |own: OsString| {
            (0..)
                .map(move |number| archive::candidate(&own, &content.sha256, number))
                .map(|name| self.config.folder.join(ARCHIVE).join(name))
                .take_while(|path| fs::symlink_metadata(path).is_ok())
        };
        let mut acked = archive::called(&own).flat_map(candidates);
        Ok(acked.find(|path| is_it(path) || is_copy(path)))
    }

    /// The file that was being read has its turn now.
    fn take_resume(&mut self) -> Option<At> {
        let then = self.then.take().map(Resume::after_second_copies);
        let resume = std::mem::replace(&mut self.resume, then);
        resume.map(|resume| resume.at)
    }

    /// Goes on here as soon as the file can be read again.
    pub(crate) fn resume_now(&mut self, at: At) {
        let then = self.resume.replace(Resume::now(at));
        self.then = then.map(|then| then.at);
    }

    /// Whether this is the file that was being read, found again.
    pub(crate) fn is_resumed(&self, path: &Path) -> bool {
        let resume = self.resume.as_ref();
        resume.is_some_and(|resume| resume.path.as_deref() == Some(path))
    }

    /// Goes on in the file that was being read, if it is still what it was.
    pub(crate) fn take_resumed(
        &mut self,
        path: &Path,
        checked: Checked,
    ) -> Result<(), SourceError> {
        let Some(at) = self.take_resume() else {
            return Ok(());
        };
        self.held = None;
        self.second_copies.retain(|copy| copy != path);
        let pending = self.config.folder.join(PENDING);
        self.pending_before
            .retain(|before| pending.join(&*before.name) != path);
        match checked {
            Checked::Good(mut reading) if reading.content.is_copy_of(&at.file.content) => {
                reading.content.repeat = at.file.content.repeat;
                let went_on = self
                    .note_documents(&mut reading)
                    .and_then(|_| reading.go_on_at(at.next, &self.format));
                if let Err(error) = went_on {
                    self.resume_now(at);
                    return Err(self.retry(format!("{} can't be read: {error}", path.display())));
                }
                self.work = Work::Reading(reading);
            }
            Checked::Bad(bad) if bad.content.is_copy_of(&at.file.content) => {
                let reason = format!(
                    "{}. Its first {} records were sent before the configuration changed",
                    bad.reason, at.next
                );
                self.give_up(&at);
                let report = self.report(&bad.facts, FileOutcome::CutShort, &reason);
                let pending = self.is_pending(path);
                self.notices.push_back(
                    Notice::set_aside(at.file, path.to_owned(), pending, &reason, bad.first_bytes)
                        .closing(report),
                );
            }
            Checked::Good(_) | Checked::Bad(_) | Checked::Changing => {
                self.resumed_is_another(path, at.next, at.file)
            }
        }
        Ok(())
    }

    fn resumed_is_another(&mut self, path: &Path, next: u64, file: Finished) {
        let same_file = fs::symlink_metadata(path)
            .is_ok_and(|metadata| look_of(&metadata).is_same_file(&file.look));
        let reason = if same_file {
            self.changed_while_read(next)
        } else {
            format!(
                "another file is in its place. Its first {next} records were sent, the others can't be"
            )
        };
        let report = self.cut_short(&file, next, &reason);
        let notice = if same_file {
            let pending = self.is_pending(path);
            Notice::set_aside(file, path.to_owned(), pending, &reason, Vec::new())
        } else {
            Notice::gone(file, &reason)
        };
        self.notices.push_back(notice.closing(report));
    }

    /// What is said of a file of which only the first `next` records could be sent.
    fn cut_short(&self, file: &Finished, next: u64, reason: &str) -> Option<Box<FileReport>> {
        let facts = Facts::of_gone(file.content, file.look, next);
        self.report(&facts, FileOutcome::CutShort, reason)
    }
}

/// Whether this is the file that was read: in its place, changed or not, or a copy of it with its time.
pub(crate) fn is_it(path: &Path, file: &Finished) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        let look = look_of(&metadata);
        let is_copy = || look.is_unchanged(&file.look) && has_hash(path, &file.content.sha256);
        metadata.is_file() && (look.is_same_file(&file.look) || is_copy())
    })
}

/// Whether a file's content is this now.
pub(crate) fn has_hash(path: &Path, sha256: &[u8; 32]) -> bool {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    let hashed =
        plain::open(path).and_then(|mut file| io::copy(&mut file, &mut HashWriter(&mut hash)));
    hashed.is_ok() && <[u8; 32]>::from(hash.finalize()) == *sha256
}

struct HashWriter<'a>(&'a mut sha2::Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sha2::Digest::update(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
