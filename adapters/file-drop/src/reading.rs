//! One file: hashed and checked in one pass, then read in batches.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use dray_adapter::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Records, Reject};
use dray_formats::csv::{Csv, CsvConfig, FoundRecord, Out};
use sha2::{Digest as _, Sha256};

use crate::position::Content;
use crate::ready::Look;

/// Bytes read at once.
const CHUNK_BYTES: usize = 32 * 1024;
/// Records that one chunk can hold, at most: the shortest takes two bytes.
const CHUNK_RECORDS_MAX: usize = CHUNK_BYTES / 2;
/// A file up to this size is decoded while it is hashed, and not read again.
const SMALL_BYTES: u64 = 1024 * 1024;

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
    /// It already stands among those that wait for the ack.
    pub(crate) in_pending: bool,
    file: File,
    look: Look,
    csv: Option<Csv>,
    kept: Kept,
    /// Records and rejects before this ordinal were appended earlier.
    skip: u64,
    next: u64,
    ended: bool,
}

/// A part of a file.
pub(crate) struct Part {
    pub(crate) records: Records,
    pub(crate) rejects: Vec<Reject>,
    /// The ordinal that comes after it.
    pub(crate) next: u64,
    pub(crate) last: bool,
}

/// Keeps what the decoder finds from `skip` on.
#[derive(Default)]
struct Kept {
    records: Records,
    rejects: Vec<Reject>,
    skip: u64,
    next: u64,
}

impl Out for Kept {
    fn record(&mut self, record: FoundRecord<'_>) {
        self.next = record.ordinal() + 1;
        if record.ordinal() >= self.skip {
            record.keep(&mut self.records);
        }
    }

    fn reject(&mut self, mut reject: Reject) {
        self.next = reject.ordinal + 1;
        if reject.ordinal >= self.skip {
            reject.after = self.records.len();
            self.rejects.push(reject);
        }
    }
}

/// Counts what the decoder finds, and keeps it while the file is small.
struct FirstPass {
    kept: Option<Kept>,
    rejects: u64,
    first_reason: Option<String>,
}

impl Out for FirstPass {
    fn record(&mut self, record: FoundRecord<'_>) {
        if let Some(kept) = &mut self.kept {
            kept.record(record);
        }
    }

    fn reject(&mut self, reject: Reject) {
        self.rejects += 1;
        if self.first_reason.is_none() {
            self.first_reason = Some(reject.reason.clone());
        }
        if let Some(kept) = &mut self.kept {
            kept.reject(reject);
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
    pub(crate) fn check(
        path: PathBuf,
        format: &CsvConfig,
        bad_lines_max: u64,
    ) -> io::Result<Checked> {
        let mut file = File::open(&path)?;
        let look = look_at(&file)?;
        let mut csv = Csv::new(format).map_err(io::Error::other)?;
        let small = look.bytes <= SMALL_BYTES;
        let mut pass = FirstPass {
            kept: small.then(Kept::default),
            rejects: 0,
            first_reason: None,
        };
        let mut hash = Sha256::new();
        let mut chunk =
            vec![0; CHUNK_BYTES.min(usize::try_from(look.bytes).unwrap_or(CHUNK_BYTES) + 1)];
        let mut first_bytes = Vec::new();
        let mut bytes = 0;
        let mut unusable = None;
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            hash.update(&chunk[..read]);
            if first_bytes.is_empty() {
                first_bytes.extend_from_slice(&chunk[..read.min(4_096)]);
            }
            if unusable.is_none() && pass.rejects <= bad_lines_max {
                unusable = csv.push(&chunk[..read], &mut pass).err();
            }
        }
        if unusable.is_none() {
            unusable = csv.finish(&mut pass).err();
        }
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
        if pass.rejects > bad_lines_max {
            let first = pass.first_reason.unwrap_or_default();
            unusable = Some(format!(
                "more than {bad_lines_max} of its lines are bad; the first: {first}"
            ));
        }
        if let Some(reason) = unusable {
            return Ok(Checked::Bad {
                content,
                reason,
                first_bytes,
            });
        }
        let (csv, kept) = match pass.kept {
            Some(kept) => (None, kept),
            None => {
                file.rewind()?;
                (
                    Some(Csv::new(format).map_err(io::Error::other)?),
                    Kept::default(),
                )
            }
        };
        Ok(Checked::Good(Box::new(Self {
            path,
            name,
            content,
            in_pending: false,
            file,
            look,
            csv,
            kept,
            skip: 0,
            next: 0,
            ended: false,
        })))
    }

    /// Goes on at the ordinal at which an earlier run ended.
    pub(crate) fn resume_at(&mut self, next: u64, format: &CsvConfig) -> io::Result<()> {
        self.skip = next;
        self.next = next;
        self.kept = Kept {
            skip: next,
            next,
            ..Kept::default()
        };
        self.file.rewind()?;
        self.csv = Some(Csv::new(format).map_err(io::Error::other)?);
        Ok(())
    }

    /// How many records and rejects were given out.
    pub(crate) fn given(&self) -> u64 {
        self.next
    }

    /// The next part; `None` when the file is not what the first pass read.
    pub(crate) fn part(&mut self) -> io::Result<Option<Part>> {
        if let Some(csv) = &mut self.csv {
            let mut chunk = vec![0; CHUNK_BYTES];
            while !self.ended
                && self.kept.records.len() + self.kept.rejects.len()
                    < BATCH_RECORDS_MAX - CHUNK_RECORDS_MAX
                && self.kept.records.bytes() < BATCH_BYTES_MAX - CHUNK_BYTES * 2
            {
                let read = self.file.read(&mut chunk)?;
                let done = if read == 0 {
                    csv.finish(&mut self.kept)
                } else {
                    csv.push(&chunk[..read], &mut self.kept)
                };
                self.ended = read == 0;
                // The first pass read the same bytes, so only other bytes can fail here.
                if done.is_err() {
                    return Ok(None);
                }
            }
            if look_at(&self.file)? != self.look {
                return Ok(None);
            }
        } else {
            self.ended = true;
        }
        let next = self.kept.next.max(self.next);
        let kept = std::mem::replace(
            &mut self.kept,
            Kept {
                skip: self.skip,
                next,
                ..Kept::default()
            },
        );
        self.next = next;
        Ok(Some(Part {
            records: kept.records,
            rejects: kept.rejects,
            next,
            last: self.ended,
        }))
    }
}
