//! Delimited text.
//!
//! A line without a quote is split by its delimiter alone; only lines with one go through csv-core's
//! state machine. A quote that opens and does not close within [`QUOTED_LINES_MAX`] lines, or that
//! closes to a record with another number of columns, makes its *first line* the bad record: what
//! follows is read again by itself, so that one stray quote does not swallow a file.
//!
//! Limits: a record has at most [`RECORD_BYTES_MAX`] bytes and [`QUOTED_LINES_MAX`] lines, a file at most
//! [`COLUMNS_MAX`] columns.

mod config;

use std::sync::Arc;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use dray_adapter::{REJECT_BYTES_MAX, RawAt, Records, Reject, RejectStage, Shape};
use sha2::{Digest as _, Sha256};

use crate::encoding::Encoding;
pub use crate::lines::RECORD_BYTES_MAX;
use crate::lines::{self, Found, LongLine};
pub use config::CsvConfig;

/// Lines that one quoted record may span.
pub const QUOTED_LINES_MAX: u64 = 100;
/// Columns of a file, at most.
pub const COLUMNS_MAX: usize = 4_096;

/// Takes what the decoder finds.
pub trait Out {
    /// A record.
    fn record(&mut self, record: FoundRecord<'_>);
    /// Something that is none.
    fn reject(&mut self, reject: Reject);
}

/// A record as it was found.
#[derive(Debug)]
pub struct FoundRecord<'a> {
    shape: &'a Arc<Shape>,
    ordinal: u64,
    line: u64,
    raw: &'a [u8],
    /// The record's text; the cells are parts of it where nothing was quoted.
    text: &'a str,
    delimiter: u8,
    /// Unquoted cells, one after the other, and where each ends.
    unquoted: Option<(&'a str, &'a [usize])>,
}

impl FoundRecord<'_> {
    /// The record's number in the file, rejects counted, from 0.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Puts the record into an arena.
    pub fn keep(&self, records: &mut Records) {
        let text = records.push_text(self.text);
        let is_text = self.raw.as_ptr() == self.text.as_ptr();
        let raw = if is_text {
            RawAt::Text(text)
        } else {
            RawAt::Bytes(records.push_raw(self.raw))
        };
        records.begin(self.shape, self.ordinal, self.line, raw);
        match self.unquoted {
            None => {
                let mut start = 0;
                for end in memchr::memchr_iter(self.delimiter, self.text.as_bytes()) {
                    records.cell(text.part(start, end));
                    start = end + 1;
                }
                records.cell(text.part(start, self.text.len()));
            }
            Some((cells, ends)) => {
                let cells = records.push_text(cells);
                let mut start = 0;
                for end in ends {
                    records.cell(cells.part(start, *end));
                    start = *end;
                }
            }
        }
    }
}

/// A decoder of one file.
#[derive(Debug)]
pub struct Csv {
    delimiter: u8,
    quote: Option<u8>,
    encoding: Encoding,
    begun: bool,
    shape: Option<Arc<Shape>>,
    ordinal: u64,
    line: u64,
    /// Bytes of a record whose end is not there yet.
    rest: Vec<u8>,
    long: Option<LongLine>,
    reader: Reader,
    scratch: String,
    cells: Vec<u8>,
    ends: Vec<usize>,
}

/// How csv-core read a record's text.
enum Quoted {
    Columns(usize),
    Open,
}

/// A record's bytes and what was made of them.
struct Whole<'a> {
    raw: &'a [u8],
    text: &'a str,
    columns: usize,
    quoted: bool,
    lines: u64,
}

impl Csv {
    /// A decoder for a configuration without faults.
    ///
    /// # Errors
    /// The first of [`CsvConfig::faults`].
    pub fn new(config: &CsvConfig) -> Result<Self, String> {
        if let Some((setting, reason)) = config.faults().into_iter().next() {
            return Err(format!("{setting}: {reason}"));
        }
        let byte = |text: &str| text.bytes().next();
        let delimiter = byte(&config.delimiter).unwrap_or(b',');
        let quote = byte(&config.quote);
        let named = !config.columns.is_empty();
        Ok(Self {
            delimiter,
            quote,
            encoding: Encoding::named(&config.encoding)?,
            begun: false,
            shape: named
                .then(|| config::shape(config.columns.iter().map(String::as_str)))
                .transpose()?,
            ordinal: 0,
            line: 1,
            rest: Vec::new(),
            long: None,
            reader: ReaderBuilder::new()
                .delimiter(delimiter)
                .quote(quote.unwrap_or(b'"'))
                .quoting(quote.is_some())
                .build(),
            scratch: String::new(),
            cells: Vec::new(),
            ends: Vec::new(),
        })
    }

    /// The columns, once they are known.
    #[must_use]
    pub fn shape(&self) -> Option<&Arc<Shape>> {
        self.shape.as_ref()
    }

    /// Decodes more of the file.
    ///
    /// # Errors
    /// A sentence: the header is unusable, so the file is.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl Out) -> Result<(), String> {
        self.take(bytes, false, out)
    }

    /// Decodes what is left: a last line needs no newline.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self, out: &mut impl Out) -> Result<(), String> {
        self.take(&[], true, out)?;
        if let Some(long) = self.long.take() {
            self.reject_long(long, out);
        }
        Ok(())
    }

    fn take(&mut self, mut bytes: &[u8], end: bool, out: &mut impl Out) -> Result<(), String> {
        if let Some(long) = &mut self.long {
            let Some(at) = self.encoding.line_feed(bytes) else {
                long.push(bytes);
                return Ok(());
            };
            long.push(&bytes[..at]);
            bytes = &bytes[at + self.encoding.unit()..];
            if let Some(long) = self.long.take() {
                self.reject_long(long, out);
            }
        }
        // What was left over is completed line by line, so that no more than needed is copied.
        while !self.rest.is_empty() && self.long.is_none() && (end || !bytes.is_empty()) {
            let upto = self.line_end_after_rest(bytes);
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(&bytes[..upto]);
            bytes = &bytes[upto..];
            let last = end && bytes.is_empty();
            let used = self.whole_records(&rest, last, out)?;
            self.keep_rest(rest, used);
            if last {
                break;
            }
        }
        if let Some(long) = &mut self.long {
            long.push(bytes);
        } else if !bytes.is_empty() {
            let used = self.whole_records(bytes, end, out)?;
            self.keep_rest(bytes[used..].to_vec(), 0);
        }
        Ok(())
    }

    /// How much of `bytes` completes the line that `rest` begins; a unit may lie across the border.
    fn line_end_after_rest(&self, bytes: &[u8]) -> usize {
        let unit = self.encoding.unit();
        let odd = self.rest.len() % unit;
        let from = (unit - odd) % unit;
        let found = bytes
            .get(from..)
            .and_then(|aligned| self.encoding.line_feed(aligned));
        found.map_or(bytes.len(), |at| from + at + unit)
    }

    fn keep_rest(&mut self, mut bytes: Vec<u8>, used: usize) {
        bytes.drain(..used);
        if bytes.len() > RECORD_BYTES_MAX {
            let mut long = LongLine::default();
            long.push(&bytes);
            self.long = Some(long);
            bytes.clear();
        }
        self.rest = bytes;
    }

    /// Decodes the whole records at the beginning of `bytes`; how many bytes they take.
    fn whole_records(
        &mut self,
        bytes: &[u8],
        end: bool,
        out: &mut impl Out,
    ) -> Result<usize, String> {
        let mut at = 0;
        if !self.begun {
            // A byte order mark needs up to three bytes to be seen.
            if bytes.len() < 3 && !end {
                return Ok(0);
            }
            let (encoding, mark) = self.encoding.begin(bytes);
            (self.encoding, self.begun, at) = (encoding, true, mark);
        }
        loop {
            let used = self.record(&bytes[at..], end, out)?;
            if used == 0 {
                return Ok(at);
            }
            at += used;
        }
    }

    /// Decodes one record; the bytes it takes, 0 when it is not whole.
    fn record(&mut self, bytes: &[u8], end: bool, out: &mut impl Out) -> Result<usize, String> {
        let Found::Line { line, whole } = lines::first(self.encoding, bytes, end) else {
            return Ok(0);
        };
        if line.is_empty() {
            self.line += 1;
            return Ok(whole);
        }
        if line.len() > RECORD_BYTES_MAX {
            let mut long = LongLine::default();
            long.push(line);
            self.reject_long(long, out);
            return Ok(whole);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let used = match self.encoding.text(line, &mut scratch) {
            Err(reason) => {
                self.reject(line, &reason, out);
                Ok(whole)
            }
            Ok(text) if memchr::memchr(0, text.as_bytes()).is_some() => {
                self.reject(line, "it holds a NUL character", out);
                Ok(whole)
            }
            Ok(text) => match self.quote {
                Some(quote) if memchr::memchr(quote, text.as_bytes()).is_some() => {
                    self.quoted(bytes, line, text, whole, end, out)
                }
                _ => {
                    let columns = memchr::memchr_iter(self.delimiter, text.as_bytes()).count() + 1;
                    let found = Whole {
                        raw: line,
                        text,
                        columns,
                        quoted: false,
                        lines: 1,
                    };
                    self.found(&found, out).map(|()| whole)
                }
            },
        };
        self.scratch = scratch;
        used
    }

    /// A record with quotes: as many lines as they hold together.
    fn quoted(
        &mut self,
        bytes: &[u8],
        line: &[u8],
        text: &str,
        whole: usize,
        end: bool,
        out: &mut impl Out,
    ) -> Result<usize, String> {
        if let Quoted::Columns(columns) = self.unquote(text) {
            return self
                .found(
                    &Whole {
                        raw: line,
                        text,
                        columns,
                        quoted: true,
                        lines: 1,
                    },
                    out,
                )
                .map(|()| whole);
        }
        let mut joined = text.to_owned();
        let mut scratch = String::new();
        let (mut used, mut lines) = (whole, 1);
        let closed = loop {
            let next = match lines::first(self.encoding, &bytes[used..], end) {
                Found::More if !end && bytes.len() <= RECORD_BYTES_MAX => return Ok(0),
                Found::Line { line, whole }
                    if lines < QUOTED_LINES_MAX && used + whole <= RECORD_BYTES_MAX =>
                {
                    (line, whole)
                }
                _ => break None,
            };
            used += next.1;
            lines += 1;
            let Ok(text) = self.encoding.text(next.0, &mut scratch) else {
                break None;
            };
            joined.push('\n');
            joined.push_str(text);
            if let Quoted::Columns(columns) = self.unquote(&joined) {
                break Some(columns);
            }
        };
        let fits = |columns: &usize| {
            self.shape
                .as_ref()
                .is_none_or(|shape| shape.columns.len() == *columns)
        };
        match closed.filter(fits) {
            Some(columns) => {
                let raw = bytes[..used].strip_suffix(b"\n").unwrap_or(&bytes[..used]);
                self.found(
                    &Whole {
                        raw,
                        text: &joined,
                        columns,
                        quoted: true,
                        lines,
                    },
                    out,
                )
                .map(|()| used)
            }
            None => {
                self.reject(line, "a quote opens in it and does not close", out);
                Ok(whole)
            }
        }
    }

    /// Reads a record's text by csv-core into `cells` and `ends`.
    fn unquote(&mut self, text: &str) -> Quoted {
        self.reader.reset();
        self.cells.resize(text.len() + 1, 0);
        self.ends.resize(COLUMNS_MAX + 1, 0);
        let (mut read, mut written, mut columns) = (0, 0, 0);
        for input in [text.as_bytes(), b"\n"] {
            let (result, used, out, ends) = self.reader.read_record(
                input,
                &mut self.cells[written..],
                &mut self.ends[columns..],
            );
            read += used;
            written += out;
            columns += ends;
            match result {
                ReadRecordResult::Record => {
                    // A record that ends before its text does was torn at a newline inside.
                    self.cells.truncate(written);
                    self.ends.truncate(columns);
                    return if read >= text.len() {
                        Quoted::Columns(columns)
                    } else {
                        Quoted::Open
                    };
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull
                | ReadRecordResult::OutputEndsFull
                | ReadRecordResult::End => break,
            }
        }
        Quoted::Open
    }

    /// A whole record: the header, a record, or one with the wrong number of columns.
    fn found(&mut self, whole: &Whole<'_>, out: &mut impl Out) -> Result<(), String> {
        let cells = if whole.quoted {
            std::str::from_utf8(&self.cells).ok()
        } else {
            None
        };
        let Some(shape) = &self.shape else {
            let names: Vec<&str> = match cells {
                None => whole.text.split(char::from(self.delimiter)).collect(),
                Some(cells) => {
                    let starts = std::iter::once(0).chain(self.ends.iter().copied());
                    starts
                        .zip(&self.ends)
                        .map(|(start, end)| &cells[start..*end])
                        .collect()
                }
            };
            let unusable =
                |reason| format!("its header in line {} is unusable: {reason}", self.line);
            self.shape = Some(config::shape(names.into_iter()).map_err(unusable)?);
            self.line += whole.lines;
            return Ok(());
        };
        let (found, expected) = (whole.columns, shape.columns.len());
        if found != expected {
            let plural = if found == 1 { "" } else { "s" };
            self.reject(
                whole.raw,
                &format!("it has {found} column{plural}, {expected} were expected"),
                out,
            );
            self.line += whole.lines - 1;
            return Ok(());
        }
        out.record(FoundRecord {
            shape,
            ordinal: self.ordinal,
            line: self.line,
            raw: whole.raw,
            text: whole.text,
            delimiter: self.delimiter,
            unquoted: cells.map(|cells| (cells, self.ends.as_slice())),
        });
        self.ordinal += 1;
        self.line += whole.lines;
        Ok(())
    }

    /// A bad line; `reason` follows its place in a sentence.
    fn reject(&mut self, raw: &[u8], reason: &str, out: &mut impl Out) {
        let cut = raw.len() > REJECT_BYTES_MAX;
        let sha256 = cut.then(|| Sha256::digest(raw).into());
        self.reject_with(
            raw[..raw.len().min(REJECT_BYTES_MAX)].to_vec(),
            raw.len() as u64,
            sha256,
            reason,
            out,
        );
    }

    fn reject_long(&mut self, long: LongLine, out: &mut impl Out) {
        let (raw, bytes, sha256) = long.end();
        let reason = format!(
            "it is too long: {bytes} bytes, at most {RECORD_BYTES_MAX} are read; is a newline missing?"
        );
        self.reject_with(raw, bytes, Some(sha256), &reason, out);
    }

    fn reject_with(
        &mut self,
        raw: Vec<u8>,
        raw_bytes: u64,
        raw_sha256: Option<[u8; 32]>,
        reason: &str,
        out: &mut impl Out,
    ) {
        out.reject(Reject {
            after: 0,
            ordinal: self.ordinal,
            line: self.line,
            stage: RejectStage::Decode,
            reason: format!("line {}: {reason}", self.line),
            raw,
            raw_bytes,
            raw_sha256,
        });
        self.ordinal += 1;
        self.line += 1;
    }
}
