//! The folder as a [`Source`].
//!
//! ```text
//! FOLDER/                 files that are not yet appended
//!   archive/pending/      appended: on this machine's disk
//!   archive/              acked: on the collector's disk; pruned by age
//!   archive/repeated/     the same content was there before
//!   failed/               could not be read; nothing more of it is sent
//! ```
//!
//! A crash between an append and the move that follows it is mended at the next start: the position
//! names the files that were appended whole. Files in `archive/pending` whose content the buffer does
//! not know are read again: they are the second copy for the day that the agent's disk is lost.
//!
//! Limits: a batch is of one file; names that wait are bounded by the folder.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dray_adapter::{
    Batch, IdScope, Mark, MarkState, Origin, Polled, Position, Records, Reject, RejectStage, Seen,
    Source, SourceError,
};
use dray_formats::csv::Csv;
use globset::GlobMatcher;

use crate::archive;
use crate::config::{FileDropConfig, Order, Repeat};
use crate::position::{At, Content, Finished, Goes, Place};
use crate::reading::{Checked, Reading, look_of};
use crate::ready::{Look, Ready, Verdict};
use crate::watch::Watch;

/// How long a folder that is away is left alone.
const RETRY: Duration = Duration::from_secs(2);
/// How often the archive is pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// The ordinal of a reject that stands for a whole file: beyond every record's.
const WHOLE_FILE: u64 = (1 << 40) - 1;

/// Where a file stands in the order in which files are taken.
type OrderKey = (u128, OsString);

/// A watched folder.
pub struct FileDrop {
    flow: String,
    config: FileDropConfig,
    csv: Csv,
    matcher: GlobMatcher,
    began: Instant,
    ready: Ready,
    seen: Option<Arc<dyn Seen>>,
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
    watch: Option<Watch>,
    /// Complete files, in order.
    queue: BTreeMap<OrderKey, PathBuf>,
    /// Files that are not complete yet: those after them in order wait for them.
    incomplete: HashMap<OsString, OrderKey>,
    reading: Option<Box<Reading>>,
    /// Says that the file that an earlier run was reading is not what it was.
    changed: Option<Batch>,
    /// Appended or about to be, not yet moved; in order.
    finished: Vec<(Finished, PathBuf)>,
    /// Files that wait for the ack, oldest first.
    pending: VecDeque<(PathBuf, Mark)>,
    next_scan: Instant,
    next_prune: Instant,
    /// Files that could not be taken, and why: said once.
    troubled: HashMap<OsString, String>,
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
            csv: Csv::new(&config.format)?,
            matcher: config.matcher()?,
            ready: Ready::new(config.ready, config.quiet),
            config,
            began: now,
            seen: None,
            wake: None,
            watch: None,
            queue: BTreeMap::new(),
            incomplete: HashMap::new(),
            reading: None,
            changed: None,
            finished: Vec::new(),
            pending: VecDeque::new(),
            next_scan: now,
            next_prune: now,
            troubled: HashMap::new(),
        })
    }

    fn folder_trouble(&self, error: &io::Error) -> SourceError {
        SourceError::Retry {
            reason: format!(
                "{} can't be read: {error}; it is looked for again every {} s",
                self.config.folder.display(),
                RETRY.as_secs()
            ),
            after: RETRY,
        }
    }

    fn takes(&self, name: &OsStr) -> bool {
        let text = name.to_string_lossy();
        !text.starts_with('.')
            && !text.ends_with(".tmp")
            && !text.ends_with(".part")
            && self.matcher.is_match(&*text)
    }

    /// A file that cannot be taken now: said once, looked at again at the next scan.
    fn trouble(&mut self, name: &OsStr, reason: String) {
        if self.troubled.get(name) != Some(&reason) {
            tracing::warn!(file = %name.to_string_lossy(), reason, "a file can't be taken; it is tried again");
            self.troubled.insert(name.to_owned(), reason);
        }
        self.ready.forget(name);
    }

    fn mark(content: &Content) -> Mark {
        let mut mark = hex::decode(&content.sha256).unwrap_or_default();
        mark.extend_from_slice(&content.bytes.to_le_bytes());
        mark.extend_from_slice(&content.again.to_le_bytes());
        Mark(mark)
    }

    fn state(&self, content: &Content) -> MarkState {
        self.seen
            .as_ref()
            .map_or(MarkState::New, |seen| seen.seen(&Self::mark(content)))
    }

    fn origin(&self, name: &str, content: &Content) -> Origin {
        origin(&self.flow, name, content)
    }

    /// Looks at one file; queues it when it is complete. How long to wait for it otherwise.
    fn look(&mut self, name: &OsStr, closed: bool) -> Option<Duration> {
        let path = self.config.folder.join(name);
        if !self.takes(name) || self.is_under_way(&path) {
            return None;
        }
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.trouble(name, error.to_string());
                return None;
            }
        };
        let (look, now) = (look_of(&metadata), self.began.elapsed());
        if closed {
            self.ready.closed(name, look, now);
        }
        let age = metadata
            .modified()
            .ok()
            .and_then(|time| time.elapsed().ok())
            .unwrap_or_default();
        match self.ready.look(name, look, age, now) {
            Verdict::Wait(time) => {
                self.incomplete
                    .insert(name.to_owned(), self.order_key(name, look));
                Some(time)
            }
            Verdict::Ready => {
                self.incomplete.remove(name);
                self.queue.insert(self.order_key(name, look), path);
                None
            }
        }
    }

    fn order_key(&self, name: &OsStr, look: Look) -> OrderKey {
        let number = match self.config.order {
            Order::Name => 0,
            Order::Mtime => u128::try_from(look.modified_ns).unwrap_or(0),
            Order::Number => first_number(&name.to_string_lossy()),
        };
        (number, name.to_owned())
    }

    /// The next complete file, unless one before it in order is not complete yet.
    fn next_in_order(&mut self) -> Option<(OrderKey, PathBuf)> {
        let (first, _) = self.queue.first_key_value()?;
        if self.incomplete.values().any(|key| key < first) {
            return None;
        }
        self.queue.pop_first()
    }

    fn is_under_way(&self, path: &Path) -> bool {
        self.finished.iter().any(|(_, finished)| finished == path)
            || self
                .reading
                .as_ref()
                .is_some_and(|reading| reading.path == path)
    }

    /// Scans the folder; how long until a file may be complete.
    fn scan(&mut self) -> Result<Option<Duration>, SourceError> {
        let entries = fs::read_dir(&self.config.folder).map_err(|error| {
            self.watch = None;
            self.folder_trouble(&error)
        })?;
        let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        let waits = names.iter().filter_map(|name| self.look(name, false)).min();
        self.ready.scanned(|name| {
            names
                .binary_search_by(|known| known.as_os_str().cmp(name))
                .is_ok()
        });
        self.troubled
            .retain(|name, _| names.binary_search(name).is_ok());
        self.incomplete
            .retain(|name, _| names.binary_search(name).is_ok());
        Ok(waits)
    }

    /// Watches the folder if it is not watched; without a watch the scan alone finds files.
    fn ensure_watch(&mut self) {
        if self.watch.is_some() {
            return;
        }
        let Some(wake) = &self.wake else { return };
        match Watch::start(&self.config.folder, Arc::clone(wake)) {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => tracing::debug!(%error, "the folder is not watched; it is scanned"),
        }
    }

    /// Finds complete files by what was heard, and by a scan when one is due.
    fn find(&mut self) -> Result<Duration, SourceError> {
        let heard = self.watch.as_ref().map(Watch::take).unwrap_or_default();
        let mut wait = self.config.scan_every;
        for name in &heard.closed {
            wait = wait.min(self.look(name, true).unwrap_or(wait));
        }
        let now = Instant::now();
        if heard.scan || now >= self.next_scan {
            self.ensure_watch();
            self.next_scan = now + self.config.scan_every;
            wait = wait.min(self.scan()?.unwrap_or(wait));
        }
        // What is not complete is looked at again when it may be, not at the next round.
        self.next_scan = self.next_scan.min(now + wait);
        Ok(wait.min(self.next_scan.saturating_duration_since(Instant::now())))
    }

    /// Begins the next complete file. `Some`: it could not be read, and this says so.
    fn begin(&mut self, path: &Path) -> Result<Option<Batch>, String> {
        let in_pending = path.parent() == Some(&self.config.folder.join(archive::PENDING));
        let checked = Reading::check(path.to_owned(), &mut self.csv, self.config.bad_lines_max);
        let mut reading = match checked.map_err(|error| format!("it can't be read: {error}"))? {
            Checked::Changing => {
                return Err("it changes while it is read; it is taken once it is complete".into());
            }
            Checked::Bad {
                content,
                reason,
                first_bytes,
            } => {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                return Ok(Some(self.set_aside(
                    path,
                    &name,
                    content,
                    &reason,
                    first_bytes,
                )));
            }
            Checked::Good(reading) => reading,
        };
        if !in_pending && !self.number_repeat(&mut reading.content) {
            return self.put_repeated(path).map(|()| None);
        }
        self.reading = Some(reading);
        Ok(None)
    }

    /// Gives the content the number of its repeat; false if it was there before and is not to be sent.
    fn number_repeat(&self, content: &mut Content) -> bool {
        let known = |content: &Content| {
            self.state(content) != MarkState::New
                || self.finished.iter().any(|(one, _)| one.content == *content)
        };
        if !known(content) {
            return true;
        }
        if self.config.repeat == Repeat::Report {
            return false;
        }
        while known(content) {
            content.again += 1;
        }
        true
    }

    fn put_repeated(&mut self, path: &Path) -> Result<(), String> {
        let to = archive::move_to(path, &self.config.folder.join(archive::REPEATED));
        let to = to.map_err(|error| {
            format!(
                "its content was sent before, but it can't be moved to archive/repeated: {error}"
            )
        })?;
        tracing::warn!(
            file = %path.display(), moved_to = %to.display(),
            "the same content was dropped again: it is not sent again; set repeat = \"send\" if that is wanted"
        );
        Ok(())
    }

    /// The batch that says that a whole file is set aside; it moves once that is appended.
    fn set_aside(
        &mut self,
        path: &Path,
        name: &str,
        content: Content,
        reason: &str,
        first_bytes: Vec<u8>,
    ) -> Batch {
        let sentence = format!(
            "{name} is set aside in {}: {reason}. Mend it and drop it again",
            archive::FAILED
        );
        tracing::warn!(file = name, reason, "a file is set aside");
        let origin = self.origin(name, &content);
        let reject = Reject {
            after: 0,
            ordinal: WHOLE_FILE,
            line: 0,
            stage: RejectStage::Source,
            reason: sentence,
            raw_bytes: content.bytes,
            raw_sha256: hex::decode(&content.sha256)
                .ok()
                .and_then(|hash| hash.try_into().ok()),
            raw: first_bytes,
        };
        let finished = Finished {
            name: name.to_owned(),
            content,
            goes: Goes::Failed,
        };
        self.finished.push((finished, path.to_owned()));
        Batch {
            origin,
            records: Records::default(),
            rejects: vec![reject],
            marks: Vec::new(),
            position: self.place(None),
            captured_us: now_us(),
            ends_unit: true,
        }
    }

    fn place(&self, at: Option<At>) -> Position {
        let finished = self
            .finished
            .iter()
            .map(|(finished, _)| finished.clone())
            .collect();
        Place { v: 1, finished, at }.encode()
    }

    /// The next part of the file that is being read.
    fn part(&mut self) -> Option<Batch> {
        let mut reading = self.reading.take()?;
        let part = match reading.part() {
            Ok(Some(part)) => part,
            changed => {
                let given = reading.given();
                let cause = changed.err().map_or_else(
                    || "it changed while it was read".to_owned(),
                    |error| error.to_string(),
                );
                let reason = format!(
                    "{cause}; the first {given} of its records were sent as they were before"
                );
                return Some(self.set_aside(
                    &reading.path,
                    &reading.name,
                    reading.content.clone(),
                    &reason,
                    Vec::new(),
                ));
            }
        };
        let origin = self.origin(&reading.name, &reading.content);
        let (marks, position) = if part.last {
            let mark = Self::mark(&reading.content);
            let finished = Finished {
                name: reading.name.clone(),
                content: reading.content.clone(),
                goes: Goes::Pending,
            };
            self.finished.push((finished, reading.path.clone()));
            (vec![mark], self.place(None))
        } else {
            let at = At {
                name: reading.name.clone(),
                content: reading.content.clone(),
                next: part.next,
            };
            let position = self.place(Some(at));
            self.reading = Some(reading);
            (Vec::new(), position)
        };
        Some(Batch {
            origin,
            records: part.records,
            rejects: part.rejects,
            marks,
            position,
            captured_us: now_us(),
            ends_unit: part.last,
        })
    }

    /// Moves a file that was appended whole.
    fn finish(&mut self, finished: &Finished, path: &Path) {
        let pending = self.config.folder.join(archive::PENDING);
        let moved = match finished.goes {
            Goes::Failed => {
                archive::move_to(path, &self.config.folder.join(archive::FAILED)).map(|_| None)
            }
            Goes::Pending if path.parent() == Some(&pending) => Ok(Some(path.to_owned())),
            Goes::Pending => archive::move_to(path, &pending).map(Some),
        };
        if let Some(name) = path.file_name() {
            self.ready.forget(name);
        }
        match moved {
            Ok(Some(to)) => {
                let grew = fs::metadata(&to)
                    .is_ok_and(|metadata| metadata.len() != finished.content.bytes);
                if grew {
                    tracing::warn!(file = %to.display(), "the file changed after it was read: what was added is not sent; it is kept");
                }
                self.pending.push_back((to, Self::mark(&finished.content)));
            }
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(file = %path.display(), "the file was appended, and somebody else moved it before dray could");
            }
            Err(error) => tracing::error!(
                file = %path.display(), %error,
                "the file was appended but can't be moved; give the agent's user the right to write in the folder"
            ),
        }
    }

    /// Moves what an earlier run appended and did not move.
    fn mend(&mut self, place: &Place) -> io::Result<()> {
        for finished in &place.finished {
            let path = self.config.folder.join(&finished.name);
            if !path.is_file() || fs::metadata(&path)?.len() != finished.content.bytes {
                continue;
            }
            if hash(&path)? == finished.content.sha256 {
                self.finish(finished, &path);
            }
        }
        Ok(())
    }

    /// Goes on in the file that an earlier run was reading, at the record at which it ended.
    fn go_on(&mut self, at: &At) -> io::Result<()> {
        let dropped = self.config.folder.join(&at.name);
        let pending = self.config.folder.join(archive::PENDING).join(&at.name);
        let Some(path) = [dropped, pending].into_iter().find(|path| path.is_file()) else {
            tracing::error!(
                file = at.name,
                sent = at.next,
                "the file that was being read is gone: what was left of it can't be sent; drop it again if it is found"
            );
            return Ok(());
        };
        match Reading::check(path.clone(), &mut self.csv, self.config.bad_lines_max)? {
            Checked::Good(mut reading) if is_same(&reading.content, &at.content) => {
                reading.content.again = at.content.again;
                reading.resume_at(at.next, &self.csv)?;
                self.reading = Some(reading);
            }
            Checked::Good(_) | Checked::Bad { .. } | Checked::Changing => {
                let reason = format!(
                    "it changed while it was read; the first {} of its records were sent as they were before",
                    at.next
                );
                self.changed =
                    Some(self.set_aside(&path, &at.name, at.content.clone(), &reason, Vec::new()));
            }
        }
        Ok(())
    }

    /// Looks through `archive/pending`: acked ones move on, unknown ones are read again.
    fn take_up_pending(&mut self) -> io::Result<()> {
        let known: Vec<PathBuf> = self.pending.iter().map(|(path, _)| path.clone()).collect();
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(self.config.folder.join(archive::PENDING))? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file()
                && !known.contains(&entry.path())
                && !self.is_under_way(&entry.path())
            {
                files.push((metadata.modified()?, entry.path()));
            }
        }
        files.sort_by(|a, b| a.1.cmp(&b.1));
        for (_, path) in files {
            let mut content = Content {
                sha256: hash(&path)?,
                bytes: fs::metadata(&path)?.len(),
                again: 0,
            };
            if self.state(&content) == MarkState::New {
                let name = path.file_name().unwrap_or_default().to_owned();
                tracing::info!(file = %path.display(), "the buffer does not know this file: it is read again");
                self.queue.insert((0, name), path);
                continue;
            }
            // The newest repeat of this content is the one that may still wait.
            while self.config.repeat == Repeat::Send {
                let next = Content {
                    again: content.again + 1,
                    ..content.clone()
                };
                if self.state(&next) == MarkState::New {
                    break;
                }
                content = next;
            }
            self.pending.push_back((path, Self::mark(&content)));
        }
        self.release();
        Ok(())
    }

    /// Moves what is acked from `archive/pending` to `archive`, from the oldest on.
    fn release(&mut self) {
        let Some(seen) = self.seen.clone() else {
            return;
        };
        while let Some((path, _)) = self
            .pending
            .pop_front_if(|(_, mark)| seen.seen(mark) == MarkState::Done)
        {
            match archive::move_to(&path, &self.config.folder.join(archive::ARCHIVE)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::warn!(file = %path.display(), "an acked file was moved by somebody else");
                }
                Err(error) => {
                    tracing::error!(file = %path.display(), %error, "an acked file can't be moved to the archive")
                }
            }
        }
    }

    fn prune(&mut self) {
        if Instant::now() < self.next_prune {
            return;
        }
        self.next_prune = Instant::now() + PRUNE_EVERY;
        match archive::prune(&self.config.folder, self.config.archive_days) {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "old files were pruned from the archive"),
            Err(error) => tracing::warn!(%error, "the archive can't be pruned"),
        }
    }
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
        // Before the folder is touched: a folder that is away must not be made anew.
        fs::read_dir(&self.config.folder).map_err(|error| self.folder_trouble(&error))?;
        archive::make(&self.config.folder).map_err(|error| SourceError::Retry {
            reason: format!("the archive in {} can't be made: {error}; give the agent's user the right to write there", self.config.folder.display()),
            after: RETRY,
        })?;
        self.ensure_watch();
        let place = match resume {
            None => Place::default(),
            Some(position) => {
                Place::decode(&position).map_err(|reason| SourceError::Operator { reason })?
            }
        };
        self.mend(&place)
            .map_err(|error| self.folder_trouble(&error))?;
        if let Some(at) = place.at {
            self.go_on(&at)
                .map_err(|error| self.folder_trouble(&error))?;
        }
        self.take_up_pending()
            .map_err(|error| self.folder_trouble(&error))
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        let wait = self.find()?;
        loop {
            if let Some(batch) = self.changed.take().or_else(|| self.part()) {
                return Ok(Polled::Batch(Box::new(batch)));
            }
            let Some((key, path)) = self.next_in_order() else {
                self.prune();
                return Ok(Polled::Idle(wait));
            };
            match self.begin(&path) {
                Ok(Some(batch)) => return Ok(Polled::Batch(Box::new(batch))),
                Ok(None) => {}
                Err(reason) => self.trouble(&key.1, reason),
            }
        }
    }

    fn commit(&mut self, position: &Position) -> Result<(), SourceError> {
        let place = Place::decode(position).map_err(|reason| SourceError::Operator { reason })?;
        let (done, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.finished)
            .into_iter()
            .partition(|(finished, _)| place.finished.contains(finished));
        self.finished = left;
        for (finished, path) in done {
            self.finish(&finished, &path);
        }
        Ok(())
    }

    fn acked(&mut self, _: &Position) -> Result<(), SourceError> {
        self.release();
        Ok(())
    }

    fn refuse(&mut self, _: &str) {}

    fn close(&mut self) {
        self.watch = None;
    }
}

/// A file's first batches as the source would read them; nothing moves.
///
/// # Errors
/// A sentence: the file can't be read, or would be set aside.
pub fn preview(
    flow: &str,
    config: &FileDropConfig,
    file: &Path,
    records_max: usize,
) -> Result<Vec<Batch>, String> {
    let mut csv = Csv::new(&config.format)?;
    let checked = Reading::check(file.to_owned(), &mut csv, config.bad_lines_max)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let mut reading = match checked {
        Checked::Changing => return Err(format!("{} changes while it is read", file.display())),
        Checked::Bad { reason, .. } => {
            return Err(format!(
                "{} would be set aside whole: {reason}",
                file.display()
            ));
        }
        Checked::Good(reading) => reading,
    };
    let mut batches = Vec::new();
    let mut records = 0;
    loop {
        let part = reading.part().map_err(|error| error.to_string())?;
        let part = part.ok_or_else(|| format!("{} changed while it was read", file.display()))?;
        records += part.records.len() + part.rejects.len();
        let ends_unit = part.last;
        batches.push(Batch {
            origin: origin(flow, &reading.name, &reading.content),
            records: part.records,
            rejects: part.rejects,
            marks: Vec::new(),
            position: Position::default(),
            captured_us: now_us(),
            ends_unit,
        });
        if ends_unit || records >= records_max {
            return Ok(batches);
        }
    }
}

fn origin(flow: &str, name: &str, content: &Content) -> Origin {
    let numbers = [
        content.bytes.to_le_bytes(),
        u64::from(content.again).to_le_bytes(),
    ]
    .concat();
    Origin {
        scope: IdScope::of(&[flow.as_bytes(), content.sha256.as_bytes(), &numbers]),
        file: name.into(),
        message_id: "".into(),
        change_position: "".into(),
    }
}

fn is_same(a: &Content, b: &Content) -> bool {
    (a.sha256.as_str(), a.bytes) == (b.sha256.as_str(), b.bytes)
}

fn hash(path: &Path) -> io::Result<String> {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    let mut file = fs::File::open(path)?;
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match io::Read::read(&mut file, &mut chunk)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&chunk[..read]),
        }
    }
}

/// The first run of digits in a name; names without one come last.
fn first_number(name: &str) -> u128 {
    let digits: String = name
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(u128::MAX)
}

fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}
