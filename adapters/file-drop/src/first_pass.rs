//! The first pass over a file: its hash, and whether it can be read. Nothing is sent yet.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use dray_formats::edi::Acknowledgement;
use dray_formats::packed::{Decoder, Packed};
use dray_formats::{BadRecord, FileFault, Gather, GoodRecord, Sink, Tally, Window};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::acknowledge::Acknowledges;
use crate::control::{Measured, Said};
use crate::duplicates::{Keys, Watching};
use crate::notice::now_us;
use crate::position::Content;
use crate::reading::Reading;
use crate::ready::Look;
use crate::report::Facts;
use crate::scan::look_of;

/// A file up to this size is decoded while it is hashed, and not read again.
const SMALL_BYTES: u64 = 1024 * 1024;
/// Bytes of a file that is set aside which its dead letter shows.
const FIRST_BYTES: usize = 4_096;

/// What the first pass found.
pub(crate) enum Checked {
    /// It can be read.
    Good(Box<Reading>),
    /// It changed while it was read: it is not complete.
    Changing,
    /// It has too many bad lines, or its header is unusable.
    Bad(Box<BadFile>),
}

/// A file that can't be read.
pub(crate) struct BadFile {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
    pub(crate) look: Look,
    pub(crate) reason: String,
    pub(crate) first_bytes: Vec<u8>,
    pub(crate) facts: Box<Facts>,
    /// What its sender is told.
    pub(crate) acknowledgements: Vec<Acknowledgement>,
}

/// A first pass under way.
pub(crate) struct FirstPass {
    pub(crate) path: PathBuf,
    file: File,
    look: Look,
    decoder: Decoder,
    window: Window,
    hash: Sha256,
    md5: Option<Md5>,
    said: Option<Said>,
    bytes: u64,
    first_bytes: Vec<u8>,
    sink: CountOrKeep,
    /// What names documents, where it stands in columns and is watched.
    keys: Option<Keys>,
    bad_lines_max: u64,
    acknowledges: Option<Acknowledges>,
    fault: Option<FileFault>,
    began: Instant,
}

/// Counts what the decoder finds, and keeps it while it is little.
struct CountOrKeep {
    tally: Tally,
    kept: Option<Gather>,
}

impl CountOrKeep {
    fn room(&mut self) -> Option<&mut Gather> {
        self.kept.take_if(|kept| kept.full());
        self.kept.as_mut()
    }
}

impl Sink for CountOrKeep {
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        self.tally.full()
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        self.tally.record(record);
        if let Some(kept) = self.room() {
            kept.record(record);
        }
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.tally.reject(bad);
        if let Some(kept) = self.room() {
            kept.reject(bad);
        }
    }
}

impl FirstPass {
    pub(crate) fn begin(
        path: &Path,
        file: File,
        format: &Packed,
        bad_lines_max: u64,
    ) -> io::Result<Self> {
        let look = look_of(&file.metadata()?);
        let kept = (look.bytes <= SMALL_BYTES).then(|| Gather::default().expecting(look.bytes));
        Ok(Self {
            path: path.to_owned(),
            file,
            look,
            decoder: format.decoder(0),
            window: Window::default(),
            hash: Sha256::new(),
            md5: None,
            said: None,
            bytes: 0,
            first_bytes: Vec::new(),
            sink: CountOrKeep {
                tally: Tally::new(bad_lines_max),
                kept,
            },
            keys: None,
            bad_lines_max,
            acknowledges: None,
            fault: None,
            began: Instant::now(),
        })
    }

    /// The file is held to what its companion says.
    pub(crate) fn held_to(mut self, said: Option<Said>) -> Self {
        let asks_md5 = said.as_ref().is_some_and(Said::asks_md5);
        self.md5 = asks_md5.then(Md5::new);
        self.said = said;
        self
    }

    /// Collects what names documents.
    pub(crate) fn watching(self, keys: Option<Keys>) -> Self {
        Self { keys, ..self }
    }

    pub(crate) fn look(&self) -> Look {
        self.look
    }

    /// Makes acknowledgements too. The file is then read to its end also where it has too many bad documents: all of its senders wait.
    pub(crate) fn acknowledging(mut self, acknowledges: Option<Acknowledges>) -> Self {
        if acknowledges.is_some() {
            self.sink.tally = Tally::new(u64::MAX);
        }
        self.acknowledges = acknowledges;
        self
    }

    /// Goes on until the file's end or until `until`; whether the end is reached.
    pub(crate) fn step(&mut self, until: Instant) -> io::Result<bool> {
        loop {
            let space = self.window.space();
            let count = self.file.read(space)?;
            self.hash.update(&space[..count]);
            if let Some(md5) = &mut self.md5 {
                md5.update(&space[..count]);
            }
            let room = FIRST_BYTES.saturating_sub(self.first_bytes.len());
            self.first_bytes
                .extend_from_slice(&space[..count.min(room)]);
            self.bytes += count as u64;
            self.window.filled(count);
            self.decode(count == 0);
            if count == 0 {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }

    fn decode(&mut self, end: bool) {
        if self.fault.is_some() || self.sink.full() {
            // It is set aside; only its hash is still wanted.
            self.window.clear();
            return;
        }
        let decoded = if let Some(keys) = &mut self.keys {
            let sink = &mut self.sink;
            let mut sink = Watching { keys, sink };
            self.decoder.decode(self.window.bytes(), end, &mut sink)
        } else if self.sink.kept.is_some() {
            self.decoder
                .decode(self.window.bytes(), end, &mut self.sink)
        } else {
            self.decoder
                .decode(self.window.bytes(), end, &mut self.sink.tally)
        };
        match decoded {
            Ok(decoded) => self.window.take(decoded.bytes),
            Err(fault) => self.fault = Some(fault),
        }
    }

    /// What became of it. Call when [`Self::step`] reached the end.
    pub(crate) fn end(self, format: &mut Packed) -> io::Result<Checked> {
        if look_of(&self.file.metadata()?) != self.look || self.bytes != self.look.bytes {
            return Ok(Checked::Changing);
        }
        format.remember(&self.decoder);
        let content = Content {
            sha256: self.hash.finalize().into(),
            bytes: self.bytes,
            repeat: 0,
        };
        let tally = self.sink.tally;
        let facts = Box::new(Facts {
            content,
            look: self.look,
            records: tally.records,
            bad_records: tally.rejects,
            account: self.decoder.account(),
            keys: self.keys,
            duplicates: 0,
            checked: self.began.elapsed(),
            read_us: now_us(),
        });
        let measured = Measured {
            records: tally.records + tally.rejects,
            bytes: content.bytes,
            sha256: content.sha256,
            md5: self.md5.map(|md5| md5.finalize().into()),
        };
        // A document that is bad is answered, and tells what is wrong with it; nobody hears of a line.
        let is_of_lines = self.decoder.receipt().is_none();
        let first_bad = tally.first_bad.unwrap_or_default();
        let reason = match self.fault {
            Some(FileFault(reason)) => Some(reason),
            None if tally.rejects > self.bad_lines_max => Some(format!(
                "more than {} of its lines are bad (bad_lines_max); the first: {first_bad}",
                self.bad_lines_max
            )),
            None if tally.rejects > 1 && tally.records == 0 && is_of_lines => Some(format!(
                "not one of its {} records can be read: that is another format than the configured one, rather than bad lines; the first: {first_bad}",
                tally.rejects
            )),
            None => self.said.and_then(|said| said.differs(&measured)),
        };
        let told = |reason: Option<&String>| {
            self.acknowledges.map_or_else(Vec::new, |acknowledges| {
                let fault = reason.cloned().map(FileFault);
                acknowledges.of(&self.path, &self.decoder, self.look, fault.as_ref())
            })
        };
        let acknowledgements = told(reason.as_ref());
        if let Some(reason) = reason {
            let Self {
                path,
                look,
                first_bytes,
                ..
            } = self;
            return Ok(Checked::Bad(Box::new(BadFile {
                path,
                content,
                look,
                reason,
                first_bytes,
                facts,
                acknowledgements,
            })));
        }
        let refusals = told(Some(&String::new()));
        let records = tally.records + tally.rejects;
        if records == 0 {
            tracing::info!(file = %self.path.display(), bytes = self.bytes, "the file has no records; it is archived");
        }
        let kept = self.sink.kept.filter(|kept| {
            kept.records.len() + kept.rejects.len()
                == usize::try_from(records).unwrap_or(usize::MAX)
        });
        let mut reading = Reading::new(self.path, self.file, facts, kept, format)?;
        (reading.acknowledgements, reading.refusals) = (acknowledgements, refusals);
        Ok(Checked::Good(Box::new(reading)))
    }
}
