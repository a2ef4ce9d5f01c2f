//! Finds complete files: by what notify told, and by scans.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_adapter::SourceError;

use crate::config::{Order, ReadyWhen};
use crate::notice::now_us;
use crate::ready::{Look, Verdict, Witnessed};
use crate::scan::{FILES_MAX, Listed, list, look_of, order_key, takes};
use crate::source::FileDrop;
use crate::under_way::Work;
use crate::watch::Watch;

/// A scan takes at most one part in so many of the time.
const SCAN_SHARE: u32 = 20;

/// What is said where the folder can't be read.
pub(crate) fn folder_away(folder: &Path, error: &io::Error) -> String {
    let folder = folder.display();
    let way_out = match error.kind() {
        io::ErrorKind::NotFound => "make it or mount its share",
        io::ErrorKind::PermissionDenied => "give the agent's user the right to read and enter it",
        io::ErrorKind::NotADirectory => "it must be a folder",
        _ => "look at its disk or share",
    };
    format!(
        "{folder} can't be read: {error}; {way_out}. The flow goes on by itself when it is back"
    )
}

impl FileDrop {
    pub(crate) fn folder_away(&self, error: &io::Error) -> SourceError {
        self.retry(folder_away(&self.config.folder, error))
    }

    /// Watches the folder if it is not watched; without a watch the scan alone finds files.
    pub(crate) fn ensure_watch(&mut self) {
        let Ok(metadata) = fs::metadata(&self.config.folder) else {
            self.watch = None;
            return;
        };
        let id = (metadata.dev(), metadata.ino());
        if self.watch.is_some() && self.watched == id {
            return;
        }
        let Some(wake) = &self.wake else { return };
        match Watch::start(&self.config.folder, self.matcher.clone(), Arc::clone(wake)) {
            Ok(watch) => {
                self.watch = Some(watch);
                self.watched = id;
            }
            Err(error) => {
                self.watch = None;
                tracing::debug!(%error, "the folder is not watched; it is scanned");
            }
        }
    }

    /// Finds complete files by what was heard, and by a scan when one is due; how long until the next.
    pub(crate) fn find(&mut self) -> Result<Duration, SourceError> {
        let heard = self.watch.as_ref().map(Watch::take).unwrap_or_default();
        // All of it before any look: a file and its companion are closed one after the other.
        for (name, witnessed) in &heard.files {
            self.ready.witnessed(name, *witnessed);
        }
        let mut is_due = heard.scan;
        for (name, witnessed) in heard.files {
            match witnessed {
                // What has just been begun holds up those behind it from now on, not from the next scan on.
                Witnessed::Written if self.config.ready == ReadyWhen::Rename => {}
                Witnessed::Written => {
                    if let Some(look) = self.meet(&name)
                        && self.waits_elsewhere(&name, look).is_none()
                    {
                        self.place_file(&name, look, Verdict::Wait(Duration::ZERO));
                    }
                }
                Witnessed::Closed => match self.concerned(&name) {
                    None => is_due = true,
                    Some(name) => {
                        if let Some(look) = self.meet(&name) {
                            self.sort_in(&name, look);
                        }
                    }
                },
            }
        }
        let now = Instant::now();
        if is_due || now >= self.next_scan {
            let soonest = self.scan()?;
            let took = now.elapsed();
            self.next_scan = now
                + self
                    .config
                    .scan_every
                    .max(took * SCAN_SHARE)
                    .min(soonest.max(took));
        }
        Ok(self
            .next_scan
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1)))
    }

    /// Looks at a file that something was heard of, if it is one of the flow's and not under way.
    fn meet(&self, name: &OsStr) -> Option<Look> {
        let path = self.config.folder.join(name);
        let metadata = fs::symlink_metadata(&path).ok()?;
        let is_ours = metadata.is_file() && takes(&self.matcher, name) && !self.is_under_way(&path);
        is_ours.then(|| look_of(&metadata))
    }

    /// Scans the folder; how long until a file may be complete.
    fn scan(&mut self) -> Result<Duration, SourceError> {
        self.take_requests()?;
        let mut keeping = self.keeping.as_mut();
        if let Some(keeping) = &mut keeping {
            keeping.begin_scan();
        }
        let mut taken = Vec::new();
        let mut is_taken = |name: &OsStr, look| {
            let is_taken = keeping
                .as_mut()
                .is_some_and(|keeping| keeping.saw(name, look));
            if is_taken && self.matcher.has_beside() {
                taken.push(name.to_owned());
            }
            is_taken
        };
        let (folder, order) = (&self.config.folder, self.config.order);
        let listed = list(folder, &self.matcher, order, &mut is_taken);
        let Listed {
            files,
            links,
            beside,
        } = match listed {
            Ok(listed) => listed,
            Err(error) => {
                self.watch = None;
                return Err(self.folder_away(&error));
            }
        };
        self.ensure_watch();
        self.queue.clear();
        self.incomplete.clear();
        self.stood.clear();
        let under_way = self.under_way();
        self.groups.scan();
        // Those of files that stay where they are belong to them still.
        for name in files.keys().map(|(_, name)| name).chain(&taken) {
            if let Some(done) = self.matcher.done_of(name) {
                self.groups.claim(&done, name);
            }
        }
        let mut soonest = Duration::MAX;
        for ((_, name), look) in &files {
            if !under_way.iter().any(|path| path.file_name() == Some(name)) {
                soonest = soonest.min(self.sort_in(name, *look));
            }
        }
        if files.len() < FILES_MAX {
            self.look_for_orphans(&beside);
        }
        self.groups.scanned();
        self.alarms.scanned();
        let names = files.keys().map(|(_, name)| name).chain(&beside);
        let names: HashSet<&OsStr> = names.map(OsString::as_os_str).collect();
        self.ready.scanned(|name| names.contains(name));
        self.keeper.scanned(|name| names.contains(name));
        self.troubles
            .retain(|name, _| names.contains(name.as_os_str()));
        for name in links.iter().filter(|name| !self.links.contains(name)) {
            tracing::warn!(file = %self.config.folder.join(name).display(), "a symbolic link is not followed, and a pipe is not read; drop the file itself");
        }
        self.links = links;
        Ok(soonest)
    }

    /// Puts a file among the complete or the incomplete ones; how long until it may be complete.
    fn sort_in(&mut self, name: &OsStr, look: Look) -> Duration {
        if let Some(wait) = self.waits_elsewhere(name, look) {
            return wait;
        }
        let verdict = self.judge(name, look);
        self.place_file(name, look, verdict)
    }

    /// How long a file waits that is taken, a repeat, or held for its number; `None` where it is none of these.
    fn waits_elsewhere(&mut self, name: &OsStr, look: Look) -> Option<Duration> {
        let keeping = self.keeping.as_ref();
        if keeping.is_some_and(|keeping| keeping.is_taken(name, look)) {
            return Some(Duration::MAX);
        }
        let repeat = self.repeat_waits(name, look);
        let wait = repeat.or_else(|| self.keeper.waits(name, look, now_us()))?;
        Some(wait.max(Duration::from_millis(1)))
    }

    pub(crate) fn place_file(&mut self, name: &OsStr, look: Look, verdict: Verdict) -> Duration {
        let key = order_key(self.config.order, name, look);
        if self.config.order == Order::Mtime
            && let Some(time) = self.stood.insert(name.to_owned(), key.0)
        {
            // It stood elsewhere before it was written to.
            let before = (time, name.to_owned());
            self.queue.remove(&before);
            self.incomplete.remove(&before);
        }
        if let Verdict::Late(late) = verdict {
            self.queue.remove(&key);
            self.incomplete.remove(&key);
            self.tell_late(name, late);
            return Duration::MAX;
        }
        self.alarms.clear(name);
        match verdict {
            Verdict::Wait(time) => {
                self.queue.remove(&key);
                self.incomplete.insert(key);
                time
            }
            Verdict::Ready | Verdict::Late(_) => {
                self.incomplete.remove(&key);
                self.queue.insert(key);
                Duration::MAX
            }
        }
    }

    /// Files that waited for others and need not any more are complete ones again.
    pub(crate) fn sort_in_released(&mut self) {
        for name in self.keeper.release(now_us()) {
            if let Ok(metadata) = fs::symlink_metadata(self.config.folder.join(&name)) {
                self.sort_in(&name, look_of(&metadata));
            }
        }
    }

    /// The next complete file, unless one before it in order is not complete yet.
    pub(crate) fn next_in_order(&mut self) -> Option<PathBuf> {
        loop {
            let first = self.queue.first()?;
            let before = self.incomplete.first();
            if let Some((_, name)) = before.filter(|before| *before < first) {
                let gone = fs::symlink_metadata(self.config.folder.join(name))
                    .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
                // All are gone where the share is.
                if !gone || !self.config.folder.is_dir() {
                    return None;
                }
                self.incomplete.pop_first();
                continue;
            }
            let (_, name) = self.queue.pop_first()?;
            let path = self.config.folder.join(&name);
            if !self.is_under_way(&path) && self.is_still_complete(&name) {
                return Some(path);
            }
        }
    }

    /// Files of the drop folder that are being read, or were and have not moved.
    fn under_way(&self) -> Vec<PathBuf> {
        let working = match &self.work {
            Work::Nothing | Work::Redriving(_) => None,
            Work::Checking(pass) => Some(&pass.path),
            Work::Reading(reading) => Some(&reading.path),
        };
        let finished = self
            .finished
            .iter()
            .filter_map(|moving| moving.path.as_ref());
        let told = self
            .notices
            .iter()
            .filter_map(|notice| notice.path.as_ref());
        let all = working.into_iter().chain(finished).chain(told);
        all.filter(|path| !self.is_pending(path)).cloned().collect()
    }

    fn is_under_way(&self, path: &Path) -> bool {
        self.under_way().iter().any(|other| other == path)
    }
}
