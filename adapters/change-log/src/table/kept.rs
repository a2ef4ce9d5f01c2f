//! What the rows of a table were when they were compared last: kept on the agent's disk, and lost without harm. Then every row comes again.
//!
//! ```text
//! base-7      "dray-base 1\n", then for each row: length of its id (u32), the id, hash of the row (u64); then SHA-256 of all that
//! changes-7   for each change since: its batch (u64), the same three (a hash of 0: the row is gone), and 4 bytes of SHA-256 of all that
//! ```
//! Numbers are little-endian. A batch's changes are synced here before the batch is handed over, and the position says how many batches are
//! appended: those behind it are cut off, and found again. A base is synced under another name before it gets its own.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Rows of a table, at most: about 35 MB of memory.
pub(super) const ROWS_MAX: usize = 500_000;
/// Bytes of an id, at most: a longer one is damage.
const ID_BYTES_MAX: usize = 64 * 1024;
/// What a base begins with.
const HEAD: &[u8] = b"dray-base 1\n";
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
        let making = self.folder.join("making");
        let mut file = BufWriter::new(File::create(&making)?);
        let mut hash = Sha256::new();
        let mut write = |bytes: &[u8]| {
            hash.update(bytes);
            file.write_all(bytes)
        };
        write(HEAD)?;
        let mut bytes = Vec::new();
        for (id, row) in rows {
            bytes.clear();
            put(&mut bytes, id, row);
            write(&bytes)?;
        }
        file.write_all(&hash.finalize())?;
        file.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        fs::rename(making, self.folder.join(name(self.base)))?;
        File::open(&self.folder)?.sync_all()
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

fn name(base: u64) -> String {
    format!("base-{base}")
}

fn key(id: &str) -> u128 {
    let digest = Sha256::digest(id);
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(key)
}

fn put(bytes: &mut Vec<u8>, id: &str, row: u64) {
    bytes.extend_from_slice(&(id.len() as u32).to_le_bytes());
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(&row.to_le_bytes());
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// One row, and its bytes.
fn take(from: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<(String, u64)> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    bytes.extend_from_slice(&length);
    let length = u32::from_le_bytes(length) as usize;
    if length > ID_BYTES_MAX {
        return Err(damaged("an id is too long"));
    }
    let mut id = vec![0; length];
    from.read_exact(&mut id)?;
    bytes.extend_from_slice(&id);
    let mut row = [0; 8];
    from.read_exact(&mut row)?;
    bytes.extend_from_slice(&row);
    let id = String::from_utf8(id).map_err(|_| damaged("an id is no text"))?;
    Ok((id, u64::from_le_bytes(row)))
}

fn read_base(file: &Path, call: &mut impl FnMut(&str, u64)) -> io::Result<()> {
    let file = File::open(file)?;
    let length = file.metadata()?.len();
    let hash_bytes = Sha256::output_size() as u64;
    let Some(mut left) = length.checked_sub(hash_bytes + HEAD.len() as u64) else {
        return Err(damaged("a base is too short"));
    };
    let mut from = BufReader::new(file);
    let mut head = [0; HEAD.len()];
    from.read_exact(&mut head)?;
    let mut hash = Sha256::new_with_prefix(head);
    let mut bytes = Vec::new();
    while left > 0 {
        bytes.clear();
        let (id, row) = take(&mut from, &mut bytes)?;
        let taken = bytes.len() as u64;
        left = left
            .checked_sub(taken)
            .ok_or_else(|| damaged("a base is cut"))?;
        hash.update(&bytes);
        call(&id, row);
    }
    let mut told = Vec::new();
    from.read_to_end(&mut told)?;
    match head == HEAD && told[..] == hash.finalize()[..] {
        true => Ok(()),
        false => Err(damaged("a base's checksum differs")),
    }
}

/// The changes of so many batches; where they end. What a kill cut off ends them.
fn read_changes(
    file: &Path,
    batches: u64,
    call: &mut impl FnMut(u64, &str, u64),
) -> io::Result<u64> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut from = BufReader::new(opened);
    let mut end = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut batch = [0; 8];
        let mut check = [0; 4];
        let taken = from.read_exact(&mut batch).and_then(|()| {
            bytes.extend_from_slice(&batch);
            let row = take(&mut from, &mut bytes)?;
            from.read_exact(&mut check)?;
            Ok(row)
        });
        let batch = u64::from_le_bytes(batch);
        match taken {
            Ok((id, row)) if Sha256::digest(&bytes)[..4] == check && batch <= batches => {
                call(batch, &id, row);
                end += bytes.len() as u64 + 4;
            }
            _ => return Ok(end),
        }
    }
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
