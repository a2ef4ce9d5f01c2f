//! What the old way sent, a JSON document a line, in a file that it goes on writing.
//!
//! The file is read once; then only what is new of it. What is kept is where each document stands, by a hash of its name;
//! of two with one name the later counts.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;

use super::compare::name_at;

/// Documents in a file, at most: 32 MB of places.
const DOCUMENTS_MAX: usize = 1_000_000;
/// The longest line.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    /// Where a line's name stands.
    key: String,
    hashers: (RandomState, RandomState),
    places: HashMap<(u64, u64), (u64, u32)>,
    /// The file that was read, and how far.
    inode: u64,
    read_to: u64,
    /// Lines that were read.
    lines: u64,
    /// Lines that are no JSON, or have no name; and which was the first, from 1.
    unread: u64,
    first_unread: u64,
}

impl Ledger {
    /// Opens nothing yet.
    #[must_use]
    pub(super) fn new(path: PathBuf, key: String) -> Self {
        Self {
            path,
            key,
            hashers: (RandomState::new(), RandomState::new()),
            places: HashMap::new(),
            inode: 0,
            read_to: 0,
            lines: 0,
            unread: 0,
            first_unread: 0,
        }
    }

    /// What of the file nobody could read; empty: nothing. What is missing may stand there.
    #[must_use]
    pub(super) fn unread(&self) -> String {
        match self.unread {
            0 => String::new(),
            unread => format!(
                "{unread} line(s) of {} are no JSON or have nothing at {:?}, the first is line {}: it may stand there",
                self.path.display(),
                self.key,
                self.first_unread
            ),
        }
    }

    /// The newest document of this name. Blocks on the file.
    ///
    /// # Errors
    /// A sentence: the file can't be read, or is too large.
    pub(super) fn find(&mut self, name: &str) -> Result<Option<String>, String> {
        let path = self.path.display().to_string();
        let said = |error: std::io::Error| format!("shadow.file {path}: {error}");
        let file = File::open(&self.path).map_err(said)?;
        self.read_on(&file)?;
        let Some((start, length)) = self.places.get(&self.hash(name)).copied() else {
            return Ok(None);
        };
        let mut line = vec![0; length as usize];
        file.read_exact_at(&mut line, start).map_err(said)?;
        let line = String::from_utf8(line)
            .map_err(|_| format!("shadow.file {path} changed where it was read already"))?;
        Ok(Some(line).filter(|line| name_at(line, &self.key).as_deref() == Some(name)))
    }

    fn hash(&self, name: &str) -> (u64, u64) {
        (self.hashers.0.hash_one(name), self.hashers.1.hash_one(name))
    }

    fn read_on(&mut self, file: &File) -> Result<(), String> {
        let path = self.path.display().to_string();
        let said = |error: std::io::Error| format!("shadow.file {path}: {error}");
        let metadata = file.metadata().map_err(said)?;
        if metadata.ino() != self.inode || metadata.len() < self.read_to {
            self.places.clear();
            (self.inode, self.read_to) = (metadata.ino(), 0);
            (self.lines, self.unread, self.first_unread) = (0, 0, 0);
        }
        if metadata.len() == self.read_to {
            return Ok(());
        }
        let mut reader = BufReader::new(file);
        reader.seek(SeekFrom::Start(self.read_to)).map_err(said)?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader
                .by_ref()
                .take(LINE_BYTES_MAX + 1)
                .read_until(b'\n', &mut line)
                .map_err(said)?;
            if line.last() != Some(&b'\n') {
                if length as u64 > LINE_BYTES_MAX {
                    return Err(format!(
                        "shadow.file {path}: the line at byte {} has more than {LINE_BYTES_MAX} bytes",
                        self.read_to
                    ));
                }
                // Its end is still to come.
                return Ok(());
            }
            self.lines += 1;
            let text = std::str::from_utf8(&line[..length - 1]).ok();
            match text.and_then(|text| name_at(text, &self.key)) {
                Some(name) => {
                    if self.places.len() >= DOCUMENTS_MAX {
                        return Err(format!(
                            "shadow.file {path}: it has more than {DOCUMENTS_MAX} documents; begin a new one"
                        ));
                    }
                    let hash = self.hash(&name);
                    self.places.insert(hash, (self.read_to, length as u32 - 1));
                }
                None if line.trim_ascii().is_empty() => {}
                None => self.note_unread(),
            }
            self.read_to += length as u64;
        }
    }

    fn note_unread(&mut self) {
        if self.unread == 0 {
            self.first_unread = self.lines;
            tracing::warn!(
                file = %self.path.display(),
                line = self.lines,
                key = self.key,
                "a line of the shadow file is no JSON or has no name; documents in such lines are missing"
            );
        }
        self.unread += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_is_written_later_is_found_and_half_a_line_waits_for_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sent.jsonl");
        let mut ledger = Ledger::new(path.clone(), "/no".into());
        assert!(
            ledger
                .find("A")
                .expect_err("there is none yet")
                .contains("sent.jsonl")
        );
        let mut file = File::create(&path).expect("a file");
        write!(
            file,
            "{{\"no\":\"A\",\"v\":1}}\nnonsense\n\n{{\"no\":7}}\n{{\"no\":\"B\""
        )
        .expect("room");
        assert_eq!(
            ledger.find("A").expect("read").as_deref(),
            Some("{\"no\":\"A\",\"v\":1}")
        );
        assert_eq!(
            ledger.find("7").expect("read").as_deref(),
            Some("{\"no\":7}")
        );
        assert_eq!(ledger.find("B").expect("read"), None);
        let unread = ledger.unread();
        for said in ["1 line(s) of ", "nothing at \"/no\"", "the first is line 2"] {
            assert!(unread.contains(said), "{unread}");
        }
        write!(file, ",\"v\":2}}\n{{\"no\":\"A\",\"v\":3}}\n").expect("room");
        assert_eq!(
            ledger.find("B").expect("read").as_deref(),
            Some("{\"no\":\"B\",\"v\":2}")
        );
        assert_eq!(
            ledger.find("A").expect("read").as_deref(),
            Some("{\"no\":\"A\",\"v\":3}")
        );

        // Another file in its place is read from its beginning.
        std::fs::remove_file(&path).expect("it is there");
        std::fs::write(&path, "{\"no\":\"C\"}\n").expect("room");
        assert_eq!(ledger.find("A").expect("read"), None);
        assert_eq!(ledger.unread(), "");
        assert_eq!(
            ledger.find("C").expect("read").as_deref(),
            Some("{\"no\":\"C\"}")
        );
    }
}
