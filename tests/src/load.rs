//! Files that are dropped all the time, by a legacy system that cares for them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt as _;

use crate::drops::{drop_file_synced, movements, sync_names};
use crate::target::Target;

/// Lines of a file, at most.
const LINES_MAX: u64 = 600;
/// Events that are on their way, at most, before the next file waits.
const LEAD_MAX: u64 = 4_000;
/// Between two looks at whether there is room in front, or at whether a file can be dropped now.
const LOOK: Duration = Duration::from_millis(50);
/// How often a file that can't be dropped is tried again once the load is to end.
const LAST_TRIES: u32 = 20;

/// A legacy system that drops one file of movements after another into a folder.
#[derive(Debug)]
pub struct Load {
    folder: PathBuf,
    keys: u64,
    sent: AtomicU64,
    ended: AtomicBool,
}

impl Load {
    /// Drops into `folder`, over so many items.
    #[must_use]
    pub fn new(folder: PathBuf, keys: u64) -> Self {
        Self {
            folder,
            keys,
            sent: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// Movements in files that were dropped, numbered from 0.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Does `act` while files are dropped, a little ahead of what arrives at `erp`.
    pub fn during<T>(&self, erp: &Target, act: impl FnOnce() -> T) -> T {
        self.ended.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| self.drop_files(erp));
            let _end = End(&self.ended);
            act()
        })
    }

    fn drop_files(&self, erp: &Target) {
        let mut random = rand::rng();
        while !self.ended.load(Ordering::Relaxed) {
            let sent = self.sent();
            if !erp.wait(LOOK, |events| sent < events + LEAD_MAX) {
                continue;
            }
            let lines = random.random_range(1..=LINES_MAX);
            let text = movements(sent, lines, self.keys);
            self.drop_one(&format!("{sent:09}.txt"), text.as_bytes());
            // Only now it counts: what was not synced may be lost.
            self.sent.fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// Drops a file, again and again while its disk is dead.
    fn drop_one(&self, name: &str, content: &[u8]) {
        let mut dropped = drop_file_synced(&self.folder, name, content);
        let mut last_tries = 0;
        while let Err(error) = dropped {
            assert!(
                last_tries < LAST_TRIES,
                "{name} can't be dropped into {}: {error}",
                self.folder.display()
            );
            last_tries += u32::from(self.ended.load(Ordering::Relaxed));
            std::thread::park_timeout(LOOK);
            dropped = drop_unless_there(&self.folder, name, content);
        }
    }
}

/// Ends the load, also when what is done meanwhile panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file whose dropping failed may have outlived the cut: it is looked for once the disk takes
/// writes again, on the way that it goes.
fn drop_unless_there(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let probe = File::create(folder.join(".probe"))?;
    probe.sync_all()?;
    let places = ["", "archive/pending", "archive"];
    let there = |place| folder.join(place).join(name).exists();
    if places.into_iter().any(there) {
        return sync_names(folder, &probe);
    }
    drop_file_synced(folder, name, content)
}
