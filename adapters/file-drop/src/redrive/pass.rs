//! A pass over a file that hands out what somebody picks.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Instant;

use dray_formats::packed::{Decoder, Packed};
use dray_formats::{BadRecord, FileFault, Gather, GoodRecord, Sink, Window};
use sha2::{Digest as _, Sha256};

use super::request::Which;
use crate::plain;
use crate::ready::Look;
use crate::scan::look_of;

/// A file that is read.
pub(super) struct Pass {
    file: File,
    pub(super) look: Look,
    decoder: Decoder,
    window: Window,
    hash: Sha256,
    ended: bool,
    /// The sink was full before the decoder was through with the window.
    holds_more: bool,
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Time is up.
    More,
    /// The sink takes no more.
    Full,
    /// The file is read.
    End,
    /// It can't be read further: a sentence.
    Fault(String),
}

impl Pass {
    pub(super) fn begin(path: &Path, format: &Packed) -> io::Result<Self> {
        let file = plain::open(path)?;
        let look = look_of(&file.metadata()?);
        Ok(Self {
            file,
            look,
            decoder: format.decoder(0),
            window: Window::default(),
            hash: Sha256::new(),
            ended: false,
            holds_more: false,
        })
    }

    pub(super) fn step(&mut self, sink: &mut impl Sink, until: Instant) -> io::Result<Step> {
        loop {
            if !self.holds_more {
                let space = self.window.space();
                let count = self.file.read(space)?;
                self.hash.update(&space[..count]);
                self.window.filled(count);
                self.ended = count == 0;
            }
            let decoded = self.decoder.decode(self.window.bytes(), self.ended, sink);
            let decoded = match decoded {
                Ok(decoded) => decoded,
                Err(FileFault(reason)) => return Ok(Step::Fault(reason)),
            };
            self.window.take(decoded.bytes);
            self.holds_more = sink.full();
            if decoded.done {
                return Ok(Step::End);
            }
            if self.holds_more {
                return Ok(Step::Full);
            }
            if Instant::now() >= until {
                return Ok(Step::More);
            }
        }
    }

    /// Whether the file is still what it was when the pass began.
    pub(super) fn is_unchanged(&self) -> io::Result<bool> {
        Ok(look_of(&self.file.metadata()?) == self.look)
    }

    /// Of the whole file. Call at its end.
    pub(super) fn sha256(self) -> [u8; 32] {
        self.hash.finalize().into()
    }
}

/// Takes the records that are picked.
pub(super) struct Picked<'a> {
    pub(super) gather: &'a mut Gather,
    pub(super) which: &'a mut Which,
    /// How many were picked of a range of lines.
    pub(super) count: &'a mut u64,
}

impl Picked<'_> {
    /// The ordinal under which it goes out.
    fn pick(&mut self, ordinal: u64, line: u64) -> Option<u64> {
        match self.which {
            Which::Ordinals(ordinals) => ordinals.remove(&ordinal).then_some(ordinal),
            Which::Lines(first, last) => (*first..=*last).contains(&line).then(|| {
                *self.count += 1;
                *self.count - 1
            }),
        }
    }
}

impl Sink for Picked<'_> {
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        self.gather.full() || matches!(&self.which, Which::Ordinals(left) if left.is_empty())
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        if let Some(ordinal) = self.pick(record.ordinal, record.line) {
            self.gather.record(&GoodRecord { ordinal, ..*record });
        }
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        if let Some(ordinal) = self.pick(bad.ordinal, bad.line) {
            self.gather.reject(&BadRecord { ordinal, ..*bad });
        }
    }
}

/// Finds which records begin on which lines.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Lines that are looked for, both counted.
    pub(super) lines: Vec<(u64, u64)>,
    /// Of each record that begins on one of them: line and ordinal.
    pub(super) found: Vec<(u64, u64)>,
    /// How many records and bad records there are.
    pub(super) count: u64,
}

impl Places {
    fn see(&mut self, ordinal: u64, line: u64) {
        self.count = ordinal + 1;
        let is_wanted = |(first, last): &(u64, u64)| (*first..=*last).contains(&line);
        if self.lines.iter().any(is_wanted) {
            self.found.push((line, ordinal));
        }
    }
}

impl Sink for Places {
    const FIELDS: bool = false;

    fn full(&self) -> bool {
        self.found.len() > super::request::ORDINALS_MAX
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        self.see(record.ordinal, record.line);
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.see(bad.ordinal, bad.line);
    }
}
