//! One slice of the queue: a small sled database in a folder of its own.
//!
//! sled 0.34.7's `flush()` hands its bytes to the kernel with `sync_file_range`, which is no
//! durability (spacejam/sled#1452); so each commit ends with an `fdatasync` of our own on sled's
//! file. Values stay below 64 KiB, because larger ones go to files that sled never syncs. Nothing is
//! removed inside a generation, because sled's file does not shrink while it runs: whole folders go.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use dray_edges::{Plant, edge, is_planted};

use crate::api::StoredBlock;
use crate::folder;
use crate::layout::{self, Note, Placed, Record};
use crate::unreadable::Unreadable;

const SEGMENT_BYTES: usize = 8 * 1024 * 1024;
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
const SUMMARY: &str = "summary";
/// Where a generation stands until it has a name.
const HIDDEN: &str = "tmp-next";
/// How often a lock that sled drops late is tried again.
const LOCK_TRIES: u32 = 100;

/// A generation whose database is open.
#[derive(Debug)]
pub(crate) struct Generation {
    db: sled::Db,
    /// A second handle on sled's file, for the sync.
    file: File,
    path: PathBuf,
}

/// Why a commit is none.
#[derive(Debug)]
pub(crate) struct Uncommitted {
    pub(crate) reason: String,
    /// Its sync failed: what the kernel shows of it may not be on the disk, now or later.
    pub(crate) unsynced: bool,
}

impl From<String> for Uncommitted {
    fn from(reason: String) -> Self {
        Self {
            reason,
            unsynced: false,
        }
    }
}

/// What a commit wrote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    /// How many numbers it took.
    pub(crate) numbers: u64,
    /// Its values' bytes together.
    pub(crate) bytes: u64,
}

/// The folder's name: the number of its first value.
pub(crate) fn name(first: u64) -> String {
    format!("g-{first:020}")
}

/// The name of the file that keeps its marks.
pub(crate) fn marks_name(first: u64) -> String {
    format!("m-{first:020}")
}

/// The number in a folder's name.
pub(crate) fn parse_name(name: &str) -> Option<u64> {
    name.strip_prefix("g-")
        .filter(|digits| digits.len() == 20)?
        .parse()
        .ok()
}

impl Generation {
    /// Makes an empty one under a name that no opening takes for a generation's, on stable storage but for that name.
    pub(crate) fn prepare(parent: &Path) -> Result<Self, String> {
        let hidden = parent.join(HIDDEN);
        let _ = fs::remove_dir_all(&hidden);
        let open = || Self::open_or_make(&hidden).map_err(|why| why.reason().to_owned());
        drop(open()?);
        // sled fills the first segment when it is opened again. Commits within it leave the file's length alone then, and what is not yet
        // larger can be opened on a full disk.
        let made = open()?;
        let synced = made.sync().and_then(|()| folder::sync_tree(&hidden));
        synced.map_err(|error| format!("{} can't be made: {error}", hidden.display()))?;
        Ok(made)
    }

    /// Removes a prepared one, which must be closed, or what a failure left of it.
    pub(crate) fn remove_prepared(parent: &Path) {
        let _ = fs::remove_dir_all(parent.join(HIDDEN));
    }

    /// What a prepared one takes on disk.
    pub(crate) fn prepared_bytes(parent: &Path) -> u64 {
        folder::allocated(&parent.join(HIDDEN))
    }

    /// Gives a prepared generation its opening record and then its name, durably.
    pub(crate) fn begin(
        mut self,
        parent: &Path,
        first: u64,
        opening: &Record,
    ) -> Result<(Self, Written), String> {
        let path = parent.join(name(first));
        let failed = |error: io::Error| format!("{} can't be made: {error}", path.display());
        let written = self
            .commit(first, [opening])
            .map_err(|uncommitted| uncommitted.reason)?;
        edge!("buffer.before_rename");
        // Left there by a try that failed after this: nothing was ever appended to it.
        let _ = fs::remove_dir_all(&path);
        // sled goes on with the files that it has open, and looks for none by name while it runs.
        fs::rename(&self.path, &path).map_err(failed)?;
        edge!("buffer.before_folder_sync");
        if !is_planted(Plant::UnsyncedFolder) {
            folder::sync(parent).map_err(failed)?;
        }
        self.path = path;
        Ok((self, written))
    }

    /// Opens a generation's database, which must be there: sled would make another.
    pub(crate) fn open(path: &Path) -> Result<Self, Unreadable> {
        let file = path.join("db");
        if !file.is_file() {
            return Err(format!("{} is missing", file.display()).into());
        }
        Self::open_or_make(path)
    }

    /// Makes an empty database.
    pub(crate) fn make(path: &Path) -> Result<Self, Unreadable> {
        Self::open_or_make(path)
    }

    /// Writes one record; [`Self::sync`] takes it to stable storage.
    pub(crate) fn put(&self, first: u64, record: &Record) -> Result<(), String> {
        self.insert(first, layout::values(record))
            .map_err(|error| format!("{}: {error}", self.path.display()))
    }

    /// The number after the last value; `None` where there is none.
    pub(crate) fn end(&self) -> Result<Option<u64>, Unreadable> {
        let Some((key, value)) = self.db.last()? else {
            return Ok(None);
        };
        // Of a damaged group those that can be told: the witness knows how many there were.
        let numbers = layout::group(&value).map_or(1, |group| group.count().max(1));
        Ok(Some(number(&key)? + numbers as u64))
    }

    /// What stands under this number: a value of its own, or its place in a group.
    fn value(&self, wanted: u64) -> Result<Option<sled::IVec>, Unreadable> {
        let key = wanted.to_be_bytes();
        let (first, value) = match self.db.get(key)? {
            Some(value) => (wanted, value),
            None => match self.db.get_lt(key)? {
                Some((before, value)) => (number(&before)?, value),
                None => return Ok(None),
            },
        };
        let Some(group) = layout::group(&value) else {
            return Ok((first == wanted).then_some(value));
        };
        for (member, at) in group.zip(first..) {
            let member = member?;
            if at == wanted {
                return Ok(Some(member.into()));
            }
        }
        Ok(None)
    }

    /// The record at this number and its values, if it is whole and its CRC is right.
    pub(crate) fn readable(&self, number: u64) -> Option<(Record, u64)> {
        let get = |number: u64| self.value(number).ok().flatten();
        let mut next = number;
        let joined = layout::join(&get(number)?, || {
            next += 1;
            get(next).map(|value| value.to_vec())
        });
        let (record, values) = joined.ok()?;
        match &record {
            Record::Block { block, .. }
                if crc32c::crc32c(&block.block.payload) != block.block.crc32c =>
            {
                None
            }
            _ => Some((record, values)),
        }
    }

    fn open_or_make(path: &Path) -> Result<Self, Unreadable> {
        // A snapshot that was being written when the process ended blocks opening (sled#1527).
        if let Ok(entries) = fs::read_dir(path) {
            for entry in entries.flatten() {
                if entry.file_name().to_string_lossy().ends_with(".generating") {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        let config = sled::Config::new()
            .path(path)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None);
        let mut tries = 0;
        let db = loop {
            match config.open() {
                Ok(db) => break db,
                // The lock of a database that was dropped is let go a little later.
                Err(sled::Error::Io(error))
                    if error.to_string().contains("lock") && tries < LOCK_TRIES =>
                {
                    tries += 1;
                    std::thread::park_timeout(std::time::Duration::from_millis(20));
                }
                Err(error) => {
                    let place = format!("{} can't be opened", path.display());
                    return Err(Unreadable::from(error).at(place));
                }
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.join("db"));
        let file = file.map_err(|error| Unreadable::from(error).at(path.join("db").display()))?;
        Ok(Self {
            db,
            file,
            path: path.to_owned(),
        })
    }

    /// Writes records under consecutive numbers from `first`, all or none, and returns once they are
    /// on stable storage.
    pub(crate) fn commit<'a>(
        &self,
        first: u64,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Written, Uncommitted> {
        let records: Vec<_> = records.into_iter().map(written).collect();
        let (values, numbers) = layout::commit_values(&records);
        let bytes = values.iter().map(|value| value.len() as u64).sum();
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.path.display());
        self.insert(first, values).map_err(|error| failed(&error))?;
        // sled's flush is a sync too, only not of everything.
        let unsynced = |error: io::Error| Uncommitted {
            reason: failed(&error),
            unsynced: true,
        };
        self.flush().map_err(unsynced)?;
        edge!("buffer.before_sync");
        self.sync_data().map_err(unsynced)?;
        if self.is_deleted() {
            return Err(failed(&"it was deleted while the agent ran").into());
        }
        Ok(Written { numbers, bytes })
    }

    /// Inserts values under consecutive numbers, all or none. A lone value needs no batch, which sled writes in two pieces.
    fn insert(&self, first: u64, values: Vec<Vec<u8>>) -> Result<(), sled::Error> {
        match <[_; 1]>::try_from(values) {
            Ok([lone]) => self.db.insert(first.to_be_bytes(), lone).map(drop),
            Err(values) => {
                let mut batch = sled::Batch::default();
                for (number, value) in (first..).zip(values) {
                    batch.insert(&number.to_be_bytes(), value);
                }
                self.db.apply_batch(batch)
            }
        }
    }

    /// Whether sled's file has no name any more: what is written to it goes with the process.
    pub(crate) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.nlink() == 0)
    }

    /// Takes what sled holds to stable storage.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.flush()?;
        self.sync_data()
    }

    fn flush(&self) -> io::Result<()> {
        self.db.flush().map(drop).map_err(io::Error::other)
    }

    /// [`Self::flush`] is not durable by itself: see the top of this file.
    fn sync_data(&self) -> io::Result<()> {
        if is_planted(Plant::MissingFdatasync) {
            return Ok(());
        }
        self.file.sync_data()
    }

    /// A block, its CRC checked.
    pub(crate) fn block(&self, number: u64) -> Result<StoredBlock, Unreadable> {
        let damaged = |what: layout::Damage| {
            let place = format!("{}: the block at number {number}", self.path.display());
            Unreadable::of(what).at(place)
        };
        let failed = |why: Unreadable| {
            let place = format!("{}: the block at number {number}", self.path.display());
            why.at(place)
        };
        let get = |number: u64| self.value(number);
        let first = get(number)
            .map_err(failed)?
            .ok_or_else(|| damaged("it is missing"))?;
        let mut next = number;
        let mut refused = None;
        let joined = layout::join(&first, || {
            next += 1;
            let value = get(next).unwrap_or_else(|error| {
                refused = Some(error);
                None
            });
            value.map(|value| value.to_vec())
        });
        if let Some(error) = refused {
            return Err(failed(error));
        }
        match joined.map_err(damaged)?.0 {
            Record::Block { block, .. }
                if crc32c::crc32c(&block.block.payload) == block.block.crc32c =>
            {
                Ok(block)
            }
            Record::Block { .. } => Err(damaged("its CRC is wrong")),
            _ => Err(damaged("another record stands there")),
        }
    }

    /// All records with their places, in order, without payloads. `first`: the number that the
    /// folder's name says.
    pub(crate) fn scan(&self, first: u64) -> Result<Vec<Placed>, Unreadable> {
        let place = |number: u64| format!("{}: the record at number {number}", self.path.display());
        let damaged = |number: u64, what: layout::Damage| Unreadable::of(what).at(place(number));
        let mut values = self.db.iter().map(|pair| {
            let (key, value) = pair?;
            Ok::<_, Unreadable>((number(&key)?, value))
        });
        let mut placed: Vec<Placed> = Vec::new();
        let mut expected = first;
        while let Some(pair) = values.next() {
            let (number, value) = pair.map_err(|why| why.at(place(expected)))?;
            if number != expected {
                return Err(damaged(expected, "it is missing"));
            }
            let mut place_one = |member: &[u8]| {
                let joined = layout::join(member, || {
                    values.next()?.ok().map(|(_, value)| value.to_vec())
                });
                let (record, used) = joined?;
                placed.push(placed_at(expected, record, used)?);
                expected += used;
                Ok(())
            };
            let all = match layout::group(&value) {
                Some(mut group) => group.try_for_each(|member| place_one(member?)),
                None => place_one(&value),
            };
            all.map_err(|what| damaged(expected, what))?;
        }
        Ok(placed)
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn number(key: &sled::IVec) -> Result<u64, Unreadable> {
    let key = key.as_ref().try_into().map_err(|_| "a key is no number")?;
    Ok(u64::from_be_bytes(key))
}

/// A record without its payload, whose CRC is checked before.
fn placed_at(number: u64, mut record: Record, values: u64) -> Result<Placed, layout::Damage> {
    let mut payload_bytes = 0;
    if let Record::Block { block, .. } = &mut record {
        payload_bytes = block.block.payload.len() as u32;
        if crc32c::crc32c(&block.block.payload) != block.block.crc32c {
            return Err("its CRC is wrong");
        }
        block.block.payload = bytes::Bytes::new();
    }
    Ok(Placed {
        number,
        values,
        payload_bytes,
        record,
    })
}

/// A record as it goes to the disk.
fn written(record: &Record) -> Cow<'_, Record> {
    match record {
        Record::Note(note) if is_planted(Plant::LostMark) => Cow::Owned(Record::Note(Note {
            marks: Vec::new(),
            ..note.clone()
        })),
        record => Cow::Borrowed(record),
    }
}

/// Writes a generation's summary: from now on it is sealed.
pub(crate) fn seal(path: &Path, placed: &[Placed]) -> Result<(), String> {
    let placed: Vec<&Placed> = placed.iter().collect();
    folder::write_whole(path, SUMMARY, |out| layout::write_summary(out, &placed))
        .map_err(|error| format!("{}: {error}", path.join(SUMMARY).display()))
}

/// A sealed generation's records; `None` if it isn't sealed.
pub(crate) fn summary(path: &Path) -> Result<Option<Vec<Placed>>, Unreadable> {
    let file = path.join(SUMMARY);
    match fs::read(&file) {
        Ok(bytes) => layout::decode_summary(&bytes)
            .map(Some)
            .map_err(|what| Unreadable::of(what).at(file.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unreadable::from(error).at(file.display())),
    }
}

#[cfg(test)]
mod tests;
