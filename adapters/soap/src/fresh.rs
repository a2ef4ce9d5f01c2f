//! What is made of files, and made anew when they change: certificates are renewed and passwords changed without a restart.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

/// How often files are looked at, at most: so soon after a change it holds.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What tells that a file is another one or was written to; `None`: it is not there.
type Stamp = Option<(u64, u64, i64, i64)>;

/// When to look at files, and whether they changed since.
#[derive(Debug)]
struct Watch {
    looked: Instant,
    seen: Vec<Stamp>,
}

impl Watch {
    fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.looked) >= LOOK_EVERY
    }

    /// Whether these are not the stamps of the last look.
    fn look(&mut self, now: Instant, found: Vec<Stamp>) -> bool {
        self.looked = now;
        let changed = found != self.seen;
        self.seen = found;
        changed
    }
}

type Make<T> = dyn Fn() -> Result<T, String> + Send + Sync;

/// A value that is as new as its files.
pub(crate) struct Fresh<T> {
    files: Vec<PathBuf>,
    make: Box<Make<T>>,
    state: Mutex<(Watch, Arc<T>)>,
}

impl<T> Fresh<T> {
    /// Makes it of what the files hold now.
    ///
    /// # Errors
    /// As `make`.
    pub(crate) fn new(
        files: impl IntoIterator<Item = PathBuf>,
        make: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let files: Vec<PathBuf> = files.into_iter().collect();
        let watch = Watch {
            looked: Instant::now(),
            seen: stamps(&files),
        };
        let value = Arc::new(make()?);
        Ok(Self {
            files,
            make: Box::new(make),
            state: Mutex::new((watch, value)),
        })
    }

    pub(crate) fn get(&self) -> Arc<T> {
        self.get_at(Instant::now())
    }

    /// Files that can't be used change nothing, which is told once: the value stays as it is until they change again.
    fn get_at(&self, now: Instant) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (watch, value) = &mut *state;
        // Stamps first: what is written while the files are read is found by the next look.
        if watch.is_due(now) && watch.look(now, stamps(&self.files)) {
            let first = self.files.first().map(|file| file.display().to_string());
            match (self.make)() {
                Ok(made) => {
                    info!(
                        file = first,
                        "files of an endpoint changed and were read again"
                    );
                    *value = Arc::new(made);
                }
                Err(reason) => warn!(
                    reason,
                    "files of an endpoint changed and can't be used: what they held before stays in use; mend them, a restart is not needed"
                ),
            }
        }
        Arc::clone(value)
    }
}

impl<T> fmt::Debug for Fresh<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fresh").field(&self.files).finish()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let found = fs::metadata(file).ok()?;
        Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    };
    files.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret;

    #[test]
    fn a_file_that_changes_is_read_again_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        let write = |text: &str| fs::write(&file, text).expect("a file");
        write("one\n");
        let read = file.clone();
        let made = move || secret::read("key_file", &read);
        let fresh = Fresh::new([file.clone()], made).expect("a secret");
        let mut now = Instant::now() + LOOK_EVERY;
        let mut later = || {
            now += LOOK_EVERY;
            fresh.get_at(now)
        };
        let first = later();
        assert_eq!(*first, "one");
        assert!(Arc::ptr_eq(&first, &later()), "nothing was read again");
        write("two and more\n");
        assert_eq!(*later(), "two and more");
        write("");
        let kept = later();
        assert_eq!(*kept, "two and more");
        fs::remove_file(&file).expect("removed");
        assert!(Arc::ptr_eq(&kept, &later()));
        let other = folder.path().join("new");
        fs::write(&other, "three\n").expect("a file");
        fs::rename(&other, &file).expect("moved");
        assert_eq!(*later(), "three");
    }

    #[test]
    fn files_are_not_looked_at_with_each_call() {
        let start = Instant::now();
        let stamp = |size: u64| vec![Some((1, size, 0, 0))];
        let mut watch = Watch {
            looked: start,
            seen: stamp(1),
        };
        let almost = start + LOOK_EVERY - Duration::from_nanos(1);
        assert!(!watch.is_due(start) && !watch.is_due(almost));
        assert!(watch.is_due(start + LOOK_EVERY));
        assert!(!watch.look(start + LOOK_EVERY, stamp(1)));
        assert!(!watch.is_due(start + LOOK_EVERY));
        assert!(watch.look(start + LOOK_EVERY * 2, stamp(2)));
        assert!(!watch.look(start + LOOK_EVERY * 3, stamp(2)), "told once");
        assert!(watch.look(start + LOOK_EVERY * 4, vec![None]));
    }
}
