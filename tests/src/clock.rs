//! A wall clock of a test's own, by libfaketime: it may be set while the process runs. Timers go on as they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Where Debian's and others' package puts the library, below the folder of libraries or of an architecture's.
const LIBRARY: &str = "faketime/libfaketime.so.1";
const FOLDERS: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// A clock that processes read; it runs at its usual speed.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// A clock that is right, kept in this file.
    ///
    /// # Errors
    /// If libfaketime is not installed (`make tools` does), or the file can't be written.
    pub fn new(file: PathBuf) -> anyhow::Result<Self> {
        let library = library().context(
            "clocks are set with libfaketime, which is not installed: run \"make tools\"",
        )?;
        let clock = Self { library, file };
        clock.set_days(0)?;
        Ok(clock)
    }

    /// What a process that is to read it finds in its environment.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let file = self.file.display().to_string();
        let variables = [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
            // The times of files stay what the kernel says.
            ("NO_FAKE_STAT", "1".into()),
        ];
        variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// From now on it is so many days ahead, or behind.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn set_days(&self, days: i64) -> io::Result<()> {
        // Whole or not at all: it is being read.
        let hidden = self.file.with_extension("new");
        fs::write(&hidden, format!("{days:+}d\n"))?;
        fs::rename(hidden, &self.file)
    }
}

fn library() -> Option<PathBuf> {
    FOLDERS.into_iter().map(Path::new).find_map(|folder| {
        let below = fs::read_dir(folder).ok()?.flatten();
        let below = below.map(|entry| entry.path());
        let mut places = std::iter::once(folder.to_owned()).chain(below);
        places
            .find(|place| place.join(LIBRARY).is_file())
            .map(|place| place.join(LIBRARY))
    })
}
