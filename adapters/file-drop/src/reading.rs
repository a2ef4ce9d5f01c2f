//! One file: hashed and checked in one pass, then read in batches.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use dray_adapter::{Records, Reject};
use dray_formats::csv::{Csv, Decoder};
use dray_formats::{BadRecord, FileFault, Gather, GoodRecord, Sink, Tally, Window};
use sha2::{Digest as _, Sha256};

use crate::position::Content;
use crate::ready::Look;

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
    Bad {
        content: Content,
        reason: String,
        first_bytes: Vec<u8>,
    },
}

/// A file that is being read.
pub(crate) struct Reading {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) content: Content,
    file: File,
    look: Look,
    from: From,
    next: u64,
}

/// Where the records come from.
enum From {
    /// The first pass kept them.
    Memory(Gather),
    /// The second pass.
    File {
        decoder: Box<Decoder>,
        window: Window,
        read: u64,
    },
}

/// A part of a file.
pub(crate) struct Part {
    pub(crate) records: Records,
    pub(crate) rejects: Vec<Reject>,
    /// The ordinal that comes after it.
    pub(crate) next: u64,
    pub(crate) last: bool,
}

/// Counts what the decoder finds, and keeps it while it is little.
struct FirstPass {
    tally: Tally,
    kept: Option<Gather>,
}

impl Sink for FirstPass {
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        self.tally.full()
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        self.tally.record(record);
        self.kept = self.kept.take().filter(|kept| !kept.full());
        if let Some(kept) = &mut self.kept {
            kept.record(record);
        }
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.tally.reject(bad);
        self.kept = self.kept.take().filter(|kept| !kept.full());
        if let Some(kept) = &mut self.kept {
            kept.reject(bad);
        }
    }
}

/// Reads and hashes a whole file, and decodes it until `sink` is full or the file proves unusable.
fn first_pass<S: Sink>(
    file: &mut File,
    csv: &mut Csv,
    first_bytes: &mut Vec<u8>,
    hash: &mut Sha256,
    sink: &mut S,
) -> io::Result<(u64, Option<FileFault>)> {
    let mut decoder = csv.decoder(0);
    let mut window = Window::default();
    let mut bytes = 0;
    let mut fault = None;
    loop {
        let space = window.space();
        let read = file.read(space)?;
        hash.update(&space[..read]);
        if first_bytes.is_empty() {
            first_bytes.extend_from_slice(&space[..read.min(FIRST_BYTES)]);
        }
        bytes += read as u64;
        window.filled(read);
        if fault.is_some() || sink.full() {
            window.clear();
        } else {
            match decoder.decode(window.bytes(), read == 0, sink) {
                Ok(decoded) => window.take(decoded.bytes),
                Err(found) => fault = Some(found),
            }
        }
        if read == 0 {
            csv.remember(&decoder);
            return Ok((bytes, fault));
        }
    }
}

pub(crate) fn look_at(file: &File) -> io::Result<Look> {
    file.metadata().map(|metadata| look_of(&metadata))
}

pub(crate) fn look_of(metadata: &std::fs::Metadata) -> Look {
    Look {
        bytes: metadata.len(),
        modified_ns: i128::from(metadata.mtime()) * 1_000_000_000
            + i128::from(metadata.mtime_nsec()),
        inode: metadata.ino(),
    }
}

impl Reading {
    /// The first pass: hashes the whole file and finds its bad lines. Nothing was sent yet.
    pub(crate) fn check(path: PathBuf, csv: &mut Csv, bad_lines_max: u64) -> io::Result<Checked> {
        let mut file = File::open(&path)?;
        let look = look_at(&file)?;
        let mut hash = Sha256::new();
        let mut first_bytes = Vec::new();
        let tally = Tally::new(bad_lines_max);
        let (tally, kept, passed) = if look.bytes <= SMALL_BYTES {
            let kept = Some(Gather::default().expecting(look.bytes));
            let mut both = FirstPass { tally, kept };
            let passed = first_pass(&mut file, csv, &mut first_bytes, &mut hash, &mut both)?;
            (both.tally, both.kept, passed)
        } else {
            let mut tally = tally;
            let passed = first_pass(&mut file, csv, &mut first_bytes, &mut hash, &mut tally)?;
            (tally, None, passed)
        };
        let (bytes, fault) = passed;
        if look_at(&file)? != look || bytes != look.bytes {
            return Ok(Checked::Changing);
        }
        let content = Content {
            sha256: hex::encode(hash.finalize()),
            bytes,
            again: 0,
        };
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let too_bad = tally.is_too_bad().then(|| {
            let first = tally.first_bad.clone().unwrap_or_default();
            format!("more than {bad_lines_max} of its lines are bad; the first: {first}")
        });
        if let Some(reason) = fault.map(|FileFault(reason)| reason).or(too_bad) {
            return Ok(Checked::Bad {
                content,
                reason,
                first_bytes,
            });
        }
        let from = match kept {
            Some(kept) => From::Memory(kept),
            None => second_pass(&mut file, csv, 0)?,
        };
        Ok(Checked::Good(Box::new(Self {
            path,
            name,
            content,
            file,
            look,
            from,
            next: 0,
        })))
    }

    /// Goes on at the ordinal at which an earlier run ended.
    pub(crate) fn resume_at(&mut self, next: u64, csv: &Csv) -> io::Result<()> {
        self.next = next;
        self.from = second_pass(&mut self.file, csv, next)?;
        Ok(())
    }

    /// How many records and rejects were given out.
    pub(crate) fn given(&self) -> u64 {
        self.next
    }

    /// The next part; `None` when the file is not what the first pass read.
    pub(crate) fn part(&mut self) -> io::Result<Option<Part>> {
        let (gather, last) = match &mut self.from {
            From::Memory(kept) => (std::mem::take(kept), true),
            From::File {
                decoder,
                window,
                read,
            } => {
                let mut gather = Gather::default().expecting(self.look.bytes.saturating_sub(*read));
                let last = loop {
                    let count = self.file.read(window.space())?;
                    *read += count as u64;
                    window.filled(count);
                    // The first pass read the same bytes, so only other bytes can fail here.
                    let Ok(decoded) = decoder.decode(window.bytes(), count == 0, &mut gather)
                    else {
                        return Ok(None);
                    };
                    window.take(decoded.bytes);
                    if decoded.done || gather.full() {
                        break decoded.done;
                    }
                };
                if look_at(&self.file)? != self.look {
                    return Ok(None);
                }
                (gather, last)
            }
        };
        self.next = gather.next_ordinal().unwrap_or(self.next);
        Ok(Some(Part {
            records: gather.records,
            rejects: gather.rejects,
            next: self.next,
            last,
        }))
    }
}

fn second_pass(file: &mut File, csv: &Csv, skip: u64) -> io::Result<From> {
    file.rewind()?;
    Ok(From::File {
        decoder: Box::new(csv.decoder(skip)),
        window: Window::default(),
        read: 0,
    })
}
