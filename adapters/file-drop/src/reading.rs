//! The second pass: a file's records, a batch at a time.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::PathBuf;
use std::time::Instant;

use dray_formats::edi::Acknowledgement;
use dray_formats::packed::{Decoder, Packed};
use dray_formats::{Gather, Sink as _, Window};

use crate::duplicates::{Dropping, Key, Without};
use crate::position::{At, Content, Finished, Goes};
use crate::ready::Look;
use crate::report::Facts;
use crate::scan::look_of;
use crate::sequence::State;

/// A file that is being read.
pub(crate) struct Reading {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
    /// What the first pass learned of it.
    pub(crate) facts: Box<Facts>,
    /// What its report says when it was sent.
    pub(crate) said: String,
    /// What was known of the numbers before its own were taken.
    pub(crate) numbers_before: Option<State>,
    /// Documents to be remembered with its last batch.
    pub(crate) remember: Vec<Key>,
    /// Records that are left out.
    dropping: Option<Box<Dropping>>,
    /// What its sender is told once it is appended.
    pub(crate) acknowledgements: Vec<Acknowledgement>,
    /// What its sender is told if it is set aside after all.
    pub(crate) refusals: Vec<Acknowledgement>,
    file: File,
    look: Look,
    from: From,
    gather: Gather,
    next: u64,
}

/// Where the records come from.
enum From {
    /// The first pass kept them.
    Memory,
    /// The file, once more.
    File {
        decoder: Box<Decoder>,
        window: Window,
        read: u64,
        /// Nothing follows what the window holds.
        ended: bool,
        /// The batch was full before the decoder was through with the window: it may hold many more records, however few
        /// bytes it takes, so nothing is read behind them yet.
        holds_more: bool,
    },
}

/// What a step came to.
pub(crate) enum Part {
    /// A batch; whether it is the last.
    Batch(Gather, bool),
    /// Time is up; there is no whole batch yet.
    More,
    /// The file is not what the first pass read.
    Changed,
}

impl Reading {
    pub(crate) fn new(
        path: PathBuf,
        file: File,
        facts: Box<Facts>,
        kept: Option<Gather>,
        format: &Packed,
    ) -> io::Result<Self> {
        let mut reading = Self {
            path,
            content: facts.content,
            look: facts.look,
            facts,
            said: String::new(),
            numbers_before: None,
            remember: Vec::new(),
            dropping: None,
            acknowledgements: Vec::new(),
            refusals: Vec::new(),
            file,
            from: From::Memory,
            gather: Gather::default(),
            next: 0,
        };
        match kept {
            Some(kept) => reading.gather = kept,
            None => reading.go_on_at(0, format)?,
        }
        Ok(reading)
    }

    /// Reads again from the file's beginning, and hands out what comes from the ordinal `next` on: exact
    /// for every encoding, and far faster than sending.
    pub(crate) fn go_on_at(&mut self, next: u64, format: &Packed) -> io::Result<()> {
        self.file.rewind()?;
        self.from = From::File {
            decoder: Box::new(format.decoder(next)),
            window: Window::default(),
            read: 0,
            ended: false,
            holds_more: false,
        };
        self.gather = Gather::default().expecting(self.look.bytes);
        self.next = next;
        Ok(())
    }

    /// Leaves out the records of these documents.
    pub(crate) fn leave_out(
        &mut self,
        hashes: HashSet<[u8; 16]>,
        format: &Packed,
    ) -> io::Result<()> {
        let keys = self.facts.keys.as_ref();
        self.dropping = keys.map(|keys| Box::new(Dropping::new(keys, hashes)));
        self.go_on_at(self.next, format)
    }

    /// Fewer records in a batch, for a person who looks at them.
    pub(crate) fn limit(&mut self, records_max: usize, format: &Packed) -> io::Result<()> {
        self.go_on_at(self.next, format)?;
        self.gather = Gather::with_limits(records_max, usize::MAX);
        Ok(())
    }

    /// How many records and rejects were handed out, in this life and before.
    pub(crate) fn given(&self) -> u64 {
        self.next
    }

    /// The next batch. Nothing is handed out unless the file is still the one that the first pass saw.
    pub(crate) fn step(&mut self, until: Instant) -> io::Result<Part> {
        let last = match &mut self.from {
            From::Memory => true,
            From::File {
                decoder,
                window,
                read,
                ended,
                holds_more,
            } => loop {
                if !*holds_more {
                    let count = self.file.read(window.space())?;
                    *read += count as u64;
                    window.filled(count);
                    *ended = count == 0;
                }
                // The first pass read the same bytes, so only other bytes can fail here.
                let decoded = match &mut self.dropping {
                    None => decoder.decode(window.bytes(), *ended, &mut self.gather),
                    Some(dropping) => {
                        let sink = &mut self.gather;
                        let mut sink = Without { dropping, sink };
                        decoder.decode(window.bytes(), *ended, &mut sink)
                    }
                };
                let Ok(decoded) = decoded else {
                    return Ok(Part::Changed);
                };
                window.take(decoded.bytes);
                *holds_more = self.gather.full();
                if decoded.done || *holds_more {
                    break decoded.done;
                }
                if Instant::now() >= until {
                    return Ok(Part::More);
                }
            },
        };
        if look_of(&self.file.metadata()?) != self.look {
            return Ok(Part::Changed);
        }
        let left = match &self.from {
            From::Memory => 0,
            From::File { read, .. } => self.look.bytes.saturating_sub(*read),
        };
        let gather = std::mem::replace(&mut self.gather, Gather::default().expecting(left));
        self.next = gather.next_ordinal().unwrap_or(self.next);
        Ok(Part::Batch(gather, last))
    }

    pub(crate) fn name(&self) -> OsString {
        self.path.file_name().unwrap_or_default().to_owned()
    }

    pub(crate) fn finished(&self, goes: Goes) -> Finished {
        Finished {
            name: self.name(),
            content: self.content,
            look: self.look,
            goes,
        }
    }

    pub(crate) fn at(&self) -> At {
        At {
            file: self.finished(Goes::Pending),
            next: self.next,
        }
    }
}
