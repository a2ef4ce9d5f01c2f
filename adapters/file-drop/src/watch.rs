//! notify: the wake-up, and the witness of closed files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

/// Names that wait to be looked at; with more, the folder is scanned instead.
const NAMES_MAX: usize = 10_000;

/// What was seen since the last look.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) closed: BTreeSet<OsString>,
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
    /// Watches a folder; `wake` is called after each thing heard.
    pub(crate) fn start(folder: &Path, wake: Arc<dyn Fn() + Send + Sync>) -> notify::Result<Self> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let told = Arc::clone(&heard);
        let mut watcher = notify::recommended_watcher(
            move |event: notify::Result<notify::Event>| {
                let mut heard = told.lock().expect("nobody panics holding it");
                match event {
                    Ok(event) => match event.kind {
                        EventKind::Access(AccessKind::Close(AccessMode::Write))
                        | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                            let name = event.paths.last().and_then(|path| path.file_name());
                            if heard.closed.len() < NAMES_MAX {
                                heard.closed.extend(name.map(OsString::from));
                            } else {
                                heard.scan = true;
                            }
                        }
                        EventKind::Access(_)
                        | EventKind::Modify(_)
                        | EventKind::Create(_)
                        | EventKind::Remove(_) => return,
                        // A queue that overflowed, or a kind that is not known.
                        EventKind::Any | EventKind::Other => heard.scan = true,
                    },
                    Err(_) => heard.scan = true,
                }
                drop(heard);
                wake();
            },
        )?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self {
            heard,
            _watcher: watcher,
        })
    }

    /// What was heard since the last time.
    pub(crate) fn take(&self) -> Heard {
        std::mem::take(&mut self.heard.lock().expect("nobody panics holding it"))
    }
}
