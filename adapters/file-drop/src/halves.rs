//! Files of which a part was sent, and that were given up: should one come back, it is read on where that ended.
//!
//! ```text
//! halves    a line a file: SHA-256 hex, bytes, repeat, the ordinal that comes next
//! ```
//! A share may be away for longer than anybody waits, or a file may be set aside in its middle because the
//! configuration changed. Read from its beginning again, its first records would go out twice.
//!
//! The file is written anew as a whole and synced before it is told that a file is given up. The newest [`FILES_MAX`]
//! are kept.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::archive::sync;
use crate::position::{At, Content};
use crate::source::FileDrop;

/// One is given up after an outage in the middle of a file, so this is years.
const FILES_MAX: usize = 256;
const HALVES: &str = "halves";

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    path: Option<PathBuf>,
    files: Vec<(Content, u64)>,
}

impl Halves {
    /// None, where there is no file or it can't be read.
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_default();
        Self {
            path: Some(path),
            files: text.lines().filter_map(parse).collect(),
        }
    }

    fn note(&mut self, content: Content, next: u64) -> io::Result<()> {
        self.files.retain(|(known, _)| !known.is_copy_of(&content));
        self.files.push((content, next));
        let spare = self.files.len().saturating_sub(FILES_MAX);
        self.files.drain(..spare);
        self.write()
    }

    fn forget(&mut self, content: &Content) -> io::Result<()> {
        let before = self.files.len();
        self.files.retain(|(known, _)| known != content);
        if self.files.len() == before {
            return Ok(());
        }
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder)?;
        let line = |(content, next): &(Content, u64)| {
            let Content {
                sha256,
                bytes,
                repeat,
            } = content;
            format!("{} {bytes} {repeat} {next}\n", hex::encode(sha256))
        };
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(self.files.iter().map(line).collect::<String>().as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)?;
        sync(folder)?;
        folder.parent().map_or(Ok(()), sync)
    }
}

fn parse(line: &str) -> Option<(Content, u64)> {
    let mut parts = line.split(' ');
    let mut sha256 = [0; 32];
    hex::decode_to_slice(parts.next()?, &mut sha256).ok()?;
    let content = Content {
        sha256,
        bytes: parts.next()?.parse().ok()?,
        repeat: parts.next()?.parse().ok()?,
    };
    let next = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((content, next))
}

impl FileDrop {
    pub(crate) fn read_halves(&mut self) {
        let path = self.own.as_ref().map(|own| own.join(HALVES));
        self.halves = path.map(Halves::read).unwrap_or_default();
    }

    /// The file is given up in its middle.
    pub(crate) fn give_up(&mut self, at: &At) {
        if let Err(error) = self.halves.note(at.file.content, at.next) {
            tracing::warn!(file = ?at.file.name, %error, "it can't be written down how far the file was read: dropped again, it is read from its beginning");
        }
    }

    /// How far a file with this content was read before it was given up, and the number that it is sent under.
    pub(crate) fn given_up_at(&self, content: &Content) -> Option<(u64, u64)> {
        let files = &mut self.halves.files.iter();
        let found = files.find(|(known, _)| known.is_copy_of(content))?;
        Some((found.0.repeat, found.1))
    }

    /// The file was sent to its end.
    pub(crate) fn is_whole(&mut self, content: &Content) {
        if let Err(error) = self.halves.forget(content) {
            tracing::debug!(%error, "what is known of files that were given up can't be written");
        }
    }
}
