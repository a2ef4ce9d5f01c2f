//! notify: the wake-up, and the witness of closed files.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::matcher::Matcher;
use crate::ready::Witnessed;
use crate::scan::takes;

/// Names that wait to be looked at; with more, the folder is scanned instead.
const NAMES_MAX: usize = 100_000;

/// What was seen since the last look.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Of each file, what was told last.
    pub(crate) files: HashMap<OsString, Witnessed>,
    /// Something happened that only a scan tells.
    pub(crate) scan: bool,
}

/// A watched folder.
#[derive(Debug)]
pub(crate) struct Watch {
    heard: Arc<Mutex<Heard>>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches a folder; `wake` is called when a file is closed or something else needs a look.
    pub(crate) fn start(
        folder: &Path,
        matcher: Matcher,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> notify::Result<Self> {
        Self::start_with(folder, matcher, wake, false)
    }

    fn start_with(
        folder: &Path,
        matcher: Matcher,
        wake: Arc<dyn Fn() + Send + Sync>,
        on_writes: bool,
    ) -> notify::Result<Self> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let told = Arc::clone(&heard);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let event = event.as_ref().ok();
                let mut heard = lock(&told);
                let had = heard.files.len();
                // One wake-up for many writes: who looks takes them all.
                let is_first =
                    heard.take_in(&matcher, event) || (on_writes && heard.files.len() > had);
                drop(heard);
                if is_first {
                    wake();
                }
            })?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self {
            heard,
            _watcher: watcher,
        })
    }

    /// The same for files that grow: a write is a wake-up too.
    pub(crate) fn start_for_writes(
        folder: &Path,
        matcher: Matcher,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> notify::Result<Self> {
        Self::start_with(folder, matcher, wake, true)
    }

    /// What was heard since the last time.
    pub(crate) fn take(&self) -> Heard {
        std::mem::take(&mut *lock(&self.heard))
    }
}

impl Heard {
    /// Takes an event in; whether somebody should look now.
    fn take_in(&mut self, matcher: &Matcher, event: Option<&notify::Event>) -> bool {
        let Some(event) = event else {
            self.scan = true;
            return true;
        };
        let name = event.paths.last().and_then(|path| path.file_name());
        let is_lock = name.is_some_and(|name| matcher.is_lock(name));
        let witnessed = match event.kind {
            // A lock that goes is what a file's close is: now it may be complete.
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
                if is_lock =>
            {
                Witnessed::Closed
            }
            _ if is_lock => return false,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Witnessed::Closed,
            EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) => {
                Witnessed::Written
            }
            EventKind::Access(_)
            | EventKind::Modify(_)
            | EventKind::Create(_)
            | EventKind::Remove(_) => return false,
            // A queue that overflowed, or a kind that is not known.
            EventKind::Any | EventKind::Other => {
                self.scan = true;
                return true;
            }
        };
        let Some(name) = name.filter(|name| takes(matcher, name) || matcher.is_beside(name)) else {
            return false;
        };
        if self.files.len() < NAMES_MAX || self.files.contains_key(name) {
            self.files.insert(name.to_owned(), witnessed);
        } else {
            self.scan = true;
        }
        witnessed == Witnessed::Closed
    }
}

/// A poisoned lock is used on: each statement leaves it whole.
fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
