//! What the rows of a table were when they were compared last: kept on the agent's disk, and lost without harm. Then every row comes again.
//! The files are drawn in `kept_files.rs`.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::kept_files::{self, damaged, name, put, read_base, read_changes};

/// Rows of a table, at most: about 35 MB of memory.
pub(super) const ROWS_MAX: usize = 500_000;
/// Changes behind a base before the next one is made, at least.
const CHANGES_MIN: usize = 1_000;

/// A row as it was.
#[derive(Debug, Clone, Copy)]
struct Was {
    row: u64,
    /// The newest comparison that found it.
    seen: u32,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    Same,
    New,
    Changed,
}

/// What is kept of a table.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    base: u64,
    rows: HashMap<u128, Was>,
    changes: Option<File>,
    changed: usize,
    round: u32,
}

impl Kept {
    /// Nothing, and no files of before.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn empty(folder: &Path, base: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let kept = Self {
            folder: folder.to_owned(),
            base,
            rows: HashMap::new(),
            changes: None,
            changed: 0,
            round: 0,
        };
        // What follows would be taken for changes of this base, were there some of before.
        match fs::remove_file(kept.changes_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        kept.write_base(std::iter::empty())?;
        kept.forget_others()?;
        Ok(kept)
    }

    /// What was kept of a base and so many batches behind it.
    ///
    /// # Errors
    /// Where it is not there, or damaged.
    pub(super) fn open(folder: &Path, base: u64, batches: u64) -> io::Result<Self> {
        let mut kept = Self {
            folder: folder.to_owned(),
            base,
            rows: HashMap::new(),
            changes: None,
            changed: 0,
            round: 0,
        };
        let file = kept.changes_file();
        let rows = &mut kept.rows;
        read_base(&kept.folder.join(name(base)), &mut |id, row| {
            rows.insert(key(id), Was { row, seen: 0 });
        })?;
        let mut newest = 0;
        let mut changed = 0;
        let end = read_changes(&file, batches, &mut |batch, id, row| {
            newest = batch;
            changed += 1;
            match row {
                0 => rows.remove(&key(id)),
                row => rows.insert(key(id), Was { row, seen: 0 }),
            };
        })?;
        if newest < batches {
            return Err(damaged("changes are missing"));
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(file)?;
        file.set_len(end)?;
        file.sync_all()?;
        kept.changed = changed;
        kept.forget_others()?;
        Ok(kept)
    }

    fn changes_file(&self) -> PathBuf {
        self.folder.join(format!("changes-{}", self.base))
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All rows are compared anew.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// What became of a row, which is found.
    pub(super) fn compare(&mut self, id: &str, row: u64) -> Compared {
        let round = self.round;
        match self.rows.get_mut(&key(id)) {
            None => Compared::New,
            Some(was) => {
                was.seen = round;
                match was.row == row {
                    true => Compared::Same,
                    false => Compared::Changed,
                }
            }
        }
    }

    /// Keeps the changes of a batch, before it is handed over.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn keep(&mut self, batch: u64, changes: &[(String, u64)]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (id, row) in changes {
            let start = bytes.len();
            bytes.extend_from_slice(&batch.to_le_bytes());
            put(&mut bytes, id, *row);
            let digest = Sha256::digest(&bytes[start..]);
            bytes.extend_from_slice(&digest[..4]);
        }
        if self.changes.is_none() {
            let file = self.changes_file();
            let opened = OpenOptions::new().create(true).append(true).open(file)?;
            File::open(&self.folder)?.sync_all()?;
            self.changes = Some(opened);
        }
        if let Some(file) = &mut self.changes {
            file.write_all(&bytes)?;
            file.sync_data()?;
        }
        for (id, row) in changes {
            let seen = self.round;
            match *row {
                0 => self.rows.remove(&key(id)),
                row => self.rows.insert(key(id), Was { row, seen }),
            };
        }
        self.changed += changes.len();
        Ok(())
    }

    /// The ids of the rows that this comparison did not find, ascending as texts.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn gone(&self) -> io::Result<Vec<String>> {
        if self.rows.values().all(|was| was.seen == self.round) {
            return Ok(Vec::new());
        }
        let mut gone = Vec::new();
        self.ids(&mut |id, was| {
            if was.seen != self.round {
                gone.push(id.to_owned());
            }
        })?;
        gone.sort_unstable();
        gone.dedup();
        Ok(gone)
    }

    /// Calls with every id that is kept; with one that was changed, several times.
    fn ids(&self, call: &mut impl FnMut(&str, &Was)) -> io::Result<()> {
        let mut known = |id: &str| {
            if let Some(was) = self.rows.get(&key(id)) {
                call(id, was);
            }
        };
        read_base(&self.folder.join(name(self.base)), &mut |id, _| known(id))?;
        read_changes(&self.changes_file(), u64::MAX, &mut |_, id, _| known(id))?;
        Ok(())
    }

    /// Whether so much changed that the next base should be made.
    pub(super) fn is_long(&self) -> bool {
        self.changed > CHANGES_MIN.max(self.rows.len() / 4)
    }

    /// Makes the next base. The one before stays, until [`Self::forget_others`].
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn rebase(&mut self) -> io::Result<()> {
        let mut all = Vec::with_capacity(self.rows.len());
        self.ids(&mut |id, was| all.push((id.to_owned(), was.row)))?;
        all.sort_unstable();
        all.dedup_by(|one, other| one.0 == other.0);
        self.base += 1;
        self.changes = None;
        self.changed = 0;
        self.write_base(all.iter().map(|(id, row)| (id.as_str(), *row)))
    }

    fn write_base<'r>(&self, rows: impl Iterator<Item = (&'r str, u64)>) -> io::Result<()> {
        kept_files::write_base(&self.folder, self.base, rows)
    }

    /// The files of other bases go.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn forget_others(&self) -> io::Result<()> {
        let own = [name(self.base), format!("changes-{}", self.base)];
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if !own.iter().any(|name| entry.file_name() == name.as_str()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn key(id: &str) -> u128 {
    let digest = Sha256::digest(id);
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
        rows.iter()
            .map(|(id, row)| ((*id).to_owned(), *row))
            .collect()
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn what_changed_is_told_and_what_was_appended_is_known_after_a_kill() {
        let folder = folder();
        let mut kept = Kept::empty(folder.path(), 1).expect("it is made");
        kept.begin_round();
        assert_eq!(kept.compare("a", 1), Compared::New);
        kept.keep(1, &changes(&[("a", 1), ("b", 2), ("c", 3)]))
            .expect("kept");
        kept.begin_round();
        assert_eq!(kept.compare("a", 1), Compared::Same);
        assert_eq!(kept.compare("b", 7), Compared::Changed);
        kept.keep(2, &changes(&[("b", 7)])).expect("kept");
        assert_eq!(kept.gone().expect("read"), ["c"]);
        kept.keep(3, &changes(&[("c", 0)])).expect("kept");
        // The third batch was not appended when it was killed.
        let mut kept = Kept::open(folder.path(), 1, 2).expect("it opens");
        kept.begin_round();
        assert_eq!(kept.compare("a", 1), Compared::Same);
        assert_eq!(kept.compare("b", 7), Compared::Same);
        assert_eq!(kept.gone().expect("read"), ["c"]);
        kept.keep(3, &changes(&[("c", 0)])).expect("kept");
        kept.rebase().expect("it is made");
        // Nor was the position with the next base.
        let kept = Kept::open(folder.path(), 1, 3).expect("the base before is there");
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn a_base_holds_what_the_changes_said() {
        let folder = folder();
        let mut kept = Kept::empty(folder.path(), 1).expect("it is made");
        kept.begin_round();
        kept.keep(1, &changes(&[("a", 1), ("b", 2)])).expect("kept");
        kept.keep(2, &changes(&[("a", 5), ("b", 0)])).expect("kept");
        kept.rebase().expect("it is made");
        kept.forget_others().expect("they go");
        let mut kept = Kept::open(folder.path(), 2, 0).expect("it opens");
        kept.begin_round();
        assert_eq!((kept.len(), kept.compare("a", 5)), (1, Compared::Same));
        assert!(Kept::open(folder.path(), 1, 2).is_err(), "that one is gone");
    }

    #[test]
    fn damage_is_found() {
        let folder = folder();
        let mut kept = Kept::empty(folder.path(), 1).expect("it is made");
        kept.keep(1, &changes(&[("a", 1)])).expect("kept");
        assert!(
            Kept::open(folder.path(), 1, 2).is_err(),
            "a batch is missing"
        );
        kept.rebase().expect("it is made");
        let file = folder.path().join("base-2");
        let good = fs::read(&file).expect("bytes");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file, bad).expect("written");
            assert!(Kept::open(folder.path(), 2, 0).is_err(), "byte {at}");
        }
        fs::write(&file, &good[..good.len() - 1]).expect("written");
        assert!(Kept::open(folder.path(), 2, 0).is_err(), "it is cut");
    }
}
