//! A call's body while it waits: short ones in memory, others in a file without a name.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use dray_formats::Window;

/// Bytes of a call that are kept in memory.
pub(crate) const MEMORY_BYTES_MAX: usize = 64 * 1024;

/// Where a long body waits: a file, or what is read as one.
pub(crate) trait Spool: Read + Seek + Debug + Send {}

impl<T: Read + Seek + Debug + Send> Spool for T {}

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
    spool: Option<File>,
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
            bytes: 0,
            bytes_max,
            folder,
        }
    }

    pub(crate) fn finish(self) -> io::Result<Content> {
        Ok(match self.spool {
            Some(mut file) => {
                file.rewind()?;
                Content::Spool(Box::new(file))
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
        if let Some(file) = &mut self.spool {
            file.write_all(bytes)?;
            return Ok(bytes.len());
        }
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > MEMORY_BYTES_MAX {
            std::fs::create_dir_all(self.folder.as_path())?;
            let mut file = tempfile::tempfile_in(self.folder.as_path())?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.spool = Some(file);
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
