//! The folder's disk: whole files appear, and what a kill left is told apart. See the module above for the layout.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dray_proto::{FlowName, Offset};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::gather::Record;
use super::layout::{Facts, Layout};
use super::sftp::Remote;
use crate::outcome::Outcome;

/// Other files of the same name that are gone around: after a store was restored, offsets come again.
const NAMESAKES_MAX: usize = 1_000;
/// The first word of a list of ids, and its version.
const MAGIC: &str = "dray-ids-1";

/// See the module.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    own: PathBuf,
    /// Where files go from here.
    remote: Option<Remote>,
    open: Mutex<Option<Open>>,
    /// Flows whose cursor moved.
    settled: Mutex<HashMap<FlowName, Offset>>,
}

/// What is known of the folder while its lock is held.
#[derive(Debug)]
struct Open {
    _lock: File,
    kept: Vec<Ids>,
    /// Of the last file.
    number: u64,
    /// Flow and id of all events in `kept`: of those that were replayed, and of the others.
    replayed: HashSet<(String, String)>,
    known: HashSet<(String, String)>,
}

/// The events of a file that may come again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ids {
    name: String,
    /// Files of a later number appeared later.
    number: u64,
    flow: String,
    last: u64,
    again: bool,
    replayed: bool,
    ids: Vec<String>,
}

/// How a list says that its events were exceptions, or were replayed.
const AGAIN: &str = "1";
const REPLAYED: &str = "2";

impl Ids {
    fn of(name: &str, number: u64, flow: &str, records: &[&Record]) -> Self {
        Self {
            name: name.to_owned(),
            number,
            flow: flow.to_owned(),
            last: records
                .iter()
                .map(|record| record.offset)
                .max()
                .unwrap_or(0),
            again: records.iter().any(|record| record.again),
            replayed: records.iter().any(|record| record.replayed),
            ids: records.iter().map(|record| record.id.to_string()).collect(),
        }
    }

    fn text(&self) -> String {
        let (number, flow, last) = (self.number, &self.flow, self.last);
        let kind = match (self.again, self.replayed) {
            (true, _) => AGAIN,
            (false, true) => REPLAYED,
            (false, false) => "0",
        };
        let mut text = format!("{MAGIC} {number} {flow} {last} {kind}\n{}\n", self.name);
        for id in &self.ids {
            text.push_str(id);
            text.push('\n');
        }
        // Without it, the list was not finished.
        text.push_str(&format!("end {}\n", self.ids.len()));
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let head: Vec<_> = lines.next()?.split(' ').collect();
        let [MAGIC, number, flow, last, kind] = head.as_slice() else {
            return None;
        };
        let name = lines.next()?.to_owned();
        let mut ids: Vec<_> = lines.map(str::to_owned).collect();
        let end = ids.pop()?;
        (end == format!("end {}", ids.len()) && text.ends_with('\n')).then_some(())?;
        Some(Self {
            name,
            number: number.parse().ok()?,
            flow: (*flow).to_owned(),
            last: last.parse().ok()?,
            again: *kind == AGAIN,
            replayed: *kind == REPLAYED,
            ids,
        })
    }
}

impl Shelf {
    /// Opens nothing yet.
    pub(super) fn new(folder: &Path, target: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            own: folder.join(format!(".dray-{target}")),
            remote: None,
            open: Mutex::default(),
            settled: Mutex::default(),
        }
    }

    /// Files go to a server from here.
    pub(super) fn leading_to(mut self, remote: Remote) -> Self {
        self.remote = Some(remote);
        self
    }

    /// Up to here only what is [`Record::again`] or [`Record::replayed`] comes another time.
    pub(super) fn settled(&self, through: &[(FlowName, Offset)]) {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.extend(through.iter().cloned());
    }

    /// Makes a file of those that are in none; durable on return.
    pub(super) fn publish(
        &self,
        layout: &Layout,
        name: &str,
        flow: &str,
        records: Vec<&Record>,
    ) -> Result<(), Outcome> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_none() {
            *open = Some(self.open()?);
        }
        let done = self.put(&mut open, layout, name, flow, records);
        if done.is_err() {
            // What was begun is thrown away or finished when it is opened again.
            *open = None;
        }
        done
    }

    fn put(
        &self,
        open: &mut MutexGuard<'_, Option<Open>>,
        layout: &Layout,
        name: &str,
        flow: &str,
        records: Vec<&Record>,
    ) -> Result<(), Outcome> {
        let Some(open) = open.as_mut() else {
            return Err(Outcome::Transient("the folder is not open".into()));
        };
        self.forget(open);
        let is_new = |record: &&Record| {
            let event = (flow.to_owned(), record.id.to_string());
            let is_known = open.known.contains(&event) && !record.replayed;
            !is_known && !open.replayed.contains(&event)
        };
        let records: Vec<_> = records.into_iter().filter(is_new).collect();
        let offsets = || records.iter().map(|record| record.offset);
        let (Some(first), Some(last)) = (offsets().min(), offsets().max()) else {
            return Ok(());
        };
        let number = open.number + 1;
        let facts = |name| Facts {
            name,
            number,
            flow,
            first,
            last,
            count: records.len(),
        };
        let name = self.free_name(&facts("").fill(name), layout.ending())?;
        let lines = records.iter().map(|record| record.line.as_slice());
        let bytes = layout.file(facts(&name), lines).map_err(|reason| {
            Outcome::Misconfigured(format!("file.header or trailer: {reason}"))
        })?;
        let ids = Ids::of(&name, number, flow, &records);
        self.write(&name, &bytes, &ids)
            .map_err(|error| self.said(&error))?;
        self.hand_over(&name)?;
        open.know(ids);
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8], ids: &Ids) -> io::Result<()> {
        let (part, list) = (self.part(name), self.list(name));
        write_synced(&part, bytes)?;
        // After the part, so that whoever finds ids finds the whole part, or a file that was handed over.
        self.note(&list, ids.text().as_bytes())
    }

    /// Writes what is believed where it is found. What was not synced must not be believed later: it goes.
    fn note(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let noted = write_synced(path, bytes).and_then(|()| sync(&self.own));
        if noted.is_err() {
            match fs::remove_file(path) {
                // It was not even made: why that is, is what matters.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                gone => gone.and_then(|()| sync(&self.own))?,
            }
        }
        noted
    }

    /// The file gets its name: what is done last is durable, and known by the part being gone.
    fn hand_over(&self, name: &str) -> Result<(), Outcome> {
        let Some(remote) = &self.remote else {
            return self.rename(name).map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => Outcome::Misconfigured(format!(
                    "{} is in the way of a file that dray was about to name so: move it away",
                    self.folder.join(name).display()
                )),
                _ => self.said(&error),
            });
        };
        let said = |error: io::Error| self.said(&error);
        let (part, sent) = (self.part(name), self.own.join(format!("{name}.sent")));
        let is_sent = sent.try_exists().map_err(said)?;
        remote.put(&part, name, is_sent, || self.note(&sent, b""))?;
        fs::remove_file(&part).map_err(said)?;
        sync(&self.own).map_err(said)?;
        // Only now: without it, the part would be sent again.
        fs::remove_file(&sent).map_err(said)
    }

    /// Never over another file.
    fn rename(&self, name: &str) -> io::Result<()> {
        let (from, to) = (self.part(name), self.folder.join(name));
        match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            // File systems that cannot: the name was free when it was chosen.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !to.try_exists()? => {
                fs::rename(&from, &to)?;
            }
            renamed => renamed?,
        }
        sync(&self.folder)?;
        sync(&self.own)
    }

    fn free_name(&self, stem: &str, ending: &str) -> Result<String, Outcome> {
        let numbered = (2..=NAMESAKES_MAX).map(|number| format!("{stem}-{number}{ending}"));
        for name in std::iter::once(format!("{stem}{ending}")).chain(numbered) {
            let places = [self.folder.join(&name), self.part(&name), self.list(&name)];
            let mut taken = false;
            for place in &places {
                taken |= place.try_exists().map_err(|error| self.said(&error))?;
            }
            if !taken {
                return Ok(name);
            }
        }
        Err(Outcome::Misconfigured(format!(
            "{} holds {NAMESAKES_MAX} files of the name {stem}: move them away",
            self.folder.display()
        )))
    }

    fn part(&self, name: &str) -> PathBuf {
        self.own.join(format!("{name}.part"))
    }

    fn list(&self, name: &str) -> PathBuf {
        self.own.join(format!("{name}.ids"))
    }

    /// Takes the lock and tells apart what is there.
    fn open(&self) -> Result<Open, Outcome> {
        match fs::create_dir(&self.own) {
            Ok(()) => sync(&self.folder).map_err(|error| self.said(&error))?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(self.said(&error)),
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.own.join("lock"))
            .map_err(|error| self.said(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Outcome::Transient(format!(
                    "another process writes files there: it holds {}",
                    self.own.join("lock").display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(self.said(&error)),
        }
        let mut open = Open {
            _lock: lock,
            kept: Vec::new(),
            number: 0,
            replayed: HashSet::new(),
            known: HashSet::new(),
        };
        self.recover(&mut open)?;
        Ok(open)
    }

    fn recover(&self, open: &mut Open) -> Result<(), Outcome> {
        let names = |end: &str| -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.own)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                names.extend(name.strip_suffix(end).map(str::to_owned));
            }
            Ok(names)
        };
        for name in names(".ids").map_err(|error| self.said(&error))? {
            if let Some(ids) = self.recover_list(&name)? {
                open.know(ids);
            }
        }
        // What has ids was renamed just now: these have none.
        let remove = || -> io::Result<()> {
            for name in names(".part")? {
                fs::remove_file(self.part(&name))?;
            }
            for name in names(".sent")? {
                fs::remove_file(self.own.join(format!("{name}.sent")))?;
            }
            sync(&self.own)
        };
        remove().map_err(|error| self.said(&error))
    }

    fn recover_list(&self, name: &str) -> Result<Option<Ids>, Outcome> {
        let said = |error: io::Error| self.said(&error);
        let list = self.list(name);
        let text = fs::read(&list).map_err(said)?;
        let has_part = self.part(name).try_exists().map_err(said)?;
        match (Ids::parse(&String::from_utf8_lossy(&text)), has_part) {
            (Some(ids), false) => Ok(Some(ids)),
            (Some(ids), true) => {
                self.hand_over(name)?;
                Ok(Some(ids))
            }
            (None, true) => {
                fs::remove_file(&list).map_err(said)?;
                sync(&self.own).map_err(said)?;
                Ok(None)
            }
            (None, false) => Err(Outcome::Misconfigured(format!(
                "{} is damaged: its file may be delivered or not. Look whether {name} arrived; move the list away, or discard the file that comes again",
                list.display()
            ))),
        }
    }

    /// Lists of events that cannot come again go, but for the newest: the numbers go on from it. Where one cannot be removed it stays for the next time.
    fn forget(&self, open: &mut Open) {
        let settled = {
            let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *settled)
        };
        let through: HashMap<&str, u64> = settled
            .iter()
            .map(|(flow, through)| (flow.as_str(), through.0))
            .collect();
        let mut kept = Vec::new();
        for ids in std::mem::take(&mut open.kept) {
            let is_over = through
                .get(ids.flow.as_str())
                .is_some_and(|through| ids.last <= *through);
            let is_newest = ids.number == open.number;
            if is_over && !is_newest && !ids.again && fs::remove_file(self.list(&ids.name)).is_ok()
            {
                let known = match ids.replayed {
                    true => &mut open.replayed,
                    false => &mut open.known,
                };
                for id in ids.ids {
                    known.remove(&(ids.flow.clone(), id));
                }
            } else {
                kept.push(ids);
            }
        }
        open.kept = kept;
    }

    fn said(&self, error: &io::Error) -> Outcome {
        let folder = self.folder.display();
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Outcome::Misconfigured(format!(
                "the folder {folder} is not there: make it, writable by the user that runs the collector, or mend file.folder"
            )),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Outcome::Misconfigured(format!(
                    "the folder {folder} may not be written: {error}; make it writable by the user that runs the collector"
                ))
            }
            ErrorKind::InvalidFilename => Outcome::Misconfigured(
                "a file's name is longer than the file system takes: shorten file.name".into(),
            ),
            _ => Outcome::Transient(format!("{folder}: {error}")),
        }
    }
}

impl Open {
    fn know(&mut self, ids: Ids) {
        let events = ids.ids.iter().map(|id| (ids.flow.clone(), id.clone()));
        match ids.replayed {
            true => self.replayed.extend(events),
            false => self.known.extend(events),
        }
        self.number = self.number.max(ids.number);
        self.kept.push(ids);
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
