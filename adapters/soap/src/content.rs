//! A call's body while it waits: short ones in memory, others in a file without a name.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dray_formats::Window;

/// Bytes of a call that are kept in memory.
pub(crate) const MEMORY_BYTES_MAX: usize = 64 * 1024;

/// Where a long body waits: a file, or what is read as one.
pub(crate) trait Spool: Read + Seek + Debug + Send {}

impl<T: Read + Seek + Debug + Send> Spool for T {}

/// Bytes that may wait in files together.
#[derive(Debug)]
pub(crate) struct Room {
    bytes_max: u64,
    taken: AtomicU64,
}

impl Room {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            taken: AtomicU64::new(0),
        })
    }
}

/// What a file takes of it, until it is gone.
#[derive(Debug)]
struct Share {
    room: Arc<Room>,
    bytes: u64,
}

impl Share {
    fn take(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes += bytes;
        let before = self.room.taken.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.room.bytes_max {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A file without a name, and what it takes.
#[derive(Debug)]
struct Kept {
    file: File,
    share: Option<Share>,
}

impl Kept {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(share) = &mut self.share {
            share.take(bytes.len() as u64)?;
        }
        self.file.write_all(bytes)
    }
}

impl Read for Kept {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into)
    }
}

impl Seek for Kept {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// A body that is whole.
#[derive(Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    Spool(Box<dyn Spool>),
}

/// Takes a body's bytes, already unpacked.
#[derive(Debug)]
pub(crate) struct Collector {
    memory: Vec<u8>,
    spool: Option<Kept>,
    /// What files may take together, where that has an end.
    room: Option<Arc<Room>>,
    bytes: u64,
    bytes_max: u64,
    /// Where files are made, if need be.
    folder: Arc<PathBuf>,
}

impl Collector {
    pub(crate) fn new(bytes_max: u64, folder: Arc<PathBuf>) -> Self {
        Self {
            memory: Vec::new(),
            spool: None,
            room: None,
            bytes: 0,
            bytes_max,
            folder,
        }
    }

    /// Where others' bodies wait too.
    pub(crate) fn within(mut self, room: &Arc<Room>) -> Self {
        self.room = Some(Arc::clone(room));
        self
    }

    pub(crate) fn finish(self) -> io::Result<Content> {
        Ok(match self.spool {
            Some(mut kept) => {
                kept.rewind()?;
                Content::Spool(Box::new(kept))
            }
            None => Content::Memory(self.memory.into()),
        })
    }
}

impl Write for Collector {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Some(kept) = &mut self.spool {
            kept.keep(bytes)?;
            return Ok(bytes.len());
        }
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > MEMORY_BYTES_MAX {
            std::fs::create_dir_all(self.folder.as_path())?;
            let room = self.room.clone();
            let mut kept = Kept {
                file: tempfile::tempfile_in(self.folder.as_path())?,
                share: room.map(|room| Share { room, bytes: 0 }),
            };
            kept.keep(&std::mem::take(&mut self.memory))?;
            self.spool = Some(kept);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader of windows, which says what it took and whether it is done.
pub(crate) type Step<'s, E> = dyn FnMut(&[u8], bool) -> Result<(usize, bool), E> + 's;

impl Content {
    /// Hands all of it to `step`, window by window, until that is done.
    pub(crate) fn read<E: From<io::Error>>(&mut self, step: &mut Step<'_, E>) -> Result<(), E> {
        let mut part = Part::default();
        while !part.next(self, step)? {}
        Ok(())
    }

    /// Back to its beginning.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Spool(file) => file.rewind(),
        }
    }
}

/// How far a body was read.
#[derive(Debug, Default)]
pub(crate) struct Part {
    taken: usize,
    window: Window,
    ended: bool,
}

impl Part {
    /// Hands the next window out once; whether `step` was done with all.
    pub(crate) fn next<E: From<io::Error>>(
        &mut self,
        content: &mut Content,
        step: &mut Step<'_, E>,
    ) -> Result<bool, E> {
        match content {
            Content::Memory(bytes) => {
                let (taken, done) = step(&bytes[self.taken..], true)?;
                self.taken += taken;
                Ok(done)
            }
            Content::Spool(file) => {
                let (taken, done) = step(self.window.bytes(), self.ended)?;
                self.window.take(taken);
                if !done && taken == 0 && !self.ended {
                    let count = file.read(self.window.space())?;
                    self.window.filled(count);
                    self.ended = count == 0;
                }
                Ok(done)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_files_has_an_end_together_and_is_given_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Arc::new(folder.path().to_owned());
        let room = Room::new(250_000);
        let collector = || Collector::new(u64::MAX, Arc::clone(&folder)).within(&room);
        let (mut first, mut second) = (collector(), collector());
        first.write_all(&[b'x'; 150_000]).expect("room");
        // Short ones are in memory.
        second.write_all(&[b'x'; 60_000]).expect("memory");
        let refused = second.write_all(&[b'x'; 60_000]).expect_err("no room");
        assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
        drop(second);
        let content = first.finish().expect("it is whole");
        assert_eq!(room.taken.load(Ordering::Relaxed), 150_000);
        drop(content);
        collector()
            .write_all(&[b'x'; 250_000])
            .expect("all of it again");
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }
}
