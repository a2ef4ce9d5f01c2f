//! Finds the records in a window.

use std::sync::Arc;

use dray_adapter::Shape;

use super::fields::{Splitter, split_plain};
use super::reasons;
use super::types::Types;
use super::{CsvConfig, Encoding, Ragged};
use crate::sink;
use crate::text::{Charset, Long, encoding, lines};
use crate::typed::Tracker;
use crate::{Decoded, FieldAt, FileFault, GoodRecord, RECORD_BYTES_MAX, Sink};

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct Csv {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    header: bool,
    encoding: Encoding,
    pub(super) config: Arc<CsvConfig>,
    /// Whether each line has to be looked at: not all are records of one type.
    careful: bool,
    pub(super) shape: Option<Arc<Shape>>,
    /// `None` where there is one type, or the header is needed to compile them.
    pub(super) types: Option<Arc<Types>>,
}

impl Csv {
    /// Compiles a format.
    ///
    /// # Errors
    /// The sentence of [`CsvConfig::validate`].
    pub fn new(config: &CsvConfig) -> Result<Self, String> {
        config.validate()?;
        let header = config.has_header();
        let shape = (!header).then(|| {
            Arc::new(Shape {
                record_type: String::new(),
                columns: config.columns.clone(),
            })
        });
        Ok(Self {
            delimiter: config.delimiter_byte()?,
            quote: config.quote_byte()?,
            header,
            encoding: config.encoding,
            careful: !config.comment.is_empty()
                || config.footer_rows > 0
                || !config.footer.0.is_empty()
                || config.ragged == Ragged::Pad
                || !config.record.is_empty(),
            config: Arc::new(config.clone()),
            shape,
            types: if header {
                None
            } else {
                Types::new(config, &config.columns)?.map(Arc::new)
            },
        })
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are
    /// counted and not handed out: so a file is read on where an append ended.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        let types = self.types.clone().filter(|_| !self.header);
        Decoder {
            csv: self.clone(),
            skip_lines: self.config.skip_rows,
            header: Vec::new(),
            footed: None,
            tracker: types
                .as_ref()
                .map(|types| Tracker::new(&types.rules, "line")),
            types,
            charset: None,
            terminator: None,
            shape: if self.header {
                None
            } else {
                self.shape.clone()
            },
            line: 1,
            ordinal: 0,
            skip,
            long: None,
            searched: 0,
            quotes: self.quote.map(|quote| Splitter::new(self.delimiter, quote)),
            fields: Vec::new(),
            text: String::new(),
        }
    }

    /// Keeps the names of a decoder's file, so that the next file with the same header shares them
    /// and nobody has to resolve them again.
    pub fn remember(&mut self, decoder: &Decoder) {
        if decoder.shape.is_some() {
            self.shape.clone_from(&decoder.shape);
            self.types.clone_from(&decoder.types);
        }
    }
}

/// Decodes one file. See [`Csv::decoder`].
#[derive(Debug)]
pub struct Decoder {
    pub(super) csv: Csv,
    charset: Option<Charset>,
    /// Lines still to pass over at the beginning.
    pub(super) skip_lines: u64,
    /// The header's lines so far.
    pub(super) header: Vec<Vec<String>>,
    /// The line of the last footer.
    pub(super) footed: Option<u64>,
    pub(super) types: Option<Arc<Types>>,
    /// With `types`.
    pub(super) tracker: Option<Tracker>,
    /// What ends a line: LF or CR.
    pub(super) terminator: Option<u8>,
    pub(super) shape: Option<Arc<Shape>>,
    pub(super) line: u64,
    pub(super) ordinal: u64,
    pub(super) skip: u64,
    /// A record that is too long, being passed over.
    pub(super) long: Option<Long>,
    /// Bytes of the record at hand that hold no line end.
    pub(super) searched: usize,
    /// `None` where the system knows no quotes.
    pub(super) quotes: Option<Splitter>,
    /// The cells of the record at hand, as places in `text`.
    pub(super) fields: Vec<FieldAt>,
    pub(super) text: String,
}

impl Decoder {
    /// Counts and totals so far.
    pub(crate) fn tracker(&self) -> Option<&Tracker> {
        self.tracker.as_ref()
    }

    /// Decodes what it can of `window`, which begins with what the call before left; `end`: nothing
    /// follows. Stops early when `sink` is full. Takes at least something of a window of
    /// [`crate::WINDOW_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`FileFault`] when the header or the byte order mark makes the whole file unreadable, or what the file says of itself does
    /// not hold.
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        let Some((charset, mut at)) = self.begin(window, end)? else {
            return Ok(Decoded {
                bytes: 0,
                done: false,
            });
        };
        if !self.find_terminator(charset, &window[at..], end) {
            return Ok(Decoded {
                bytes: at,
                done: false,
            });
        }
        let terminator = self.terminator.unwrap_or(b'\n');
        let careful = self.csv.careful;
        let (mut surveyed, mut quotes) = (lines::Survey::default(), false);
        while at < window.len() && !sink.full() {
            if self.long.is_some() {
                match self.pass_long(charset, &window[at..], end, sink)? {
                    0 => break,
                    bytes => at += bytes,
                }
                continue;
            }
            if !careful && at >= surveyed.end {
                surveyed = lines::survey(charset, terminator, window, at);
                let text = surveyed.text.unwrap_or("").as_bytes();
                quotes = self
                    .csv
                    .quote
                    .is_some_and(|quote| memchr::memchr(quote, text).is_some());
            }
            if let (Some(text), Some(shape)) = (surveyed.text, self.shape.clone())
                && self.skip_lines == 0
            {
                let bytes = self.plain_lines(&text[at - surveyed.start..], quotes, &shape, sink);
                if bytes > 0 {
                    self.searched = 0;
                    at += bytes;
                }
                if at >= surveyed.end || sink.full() {
                    continue;
                }
            }
            match self.record(charset, &window[at..], end, sink)? {
                0 => break,
                bytes => at += bytes,
            }
        }
        let all = end && at == window.len();
        if all
            && !sink.full()
            && let Some(long) = self.long.take()
        {
            self.reject_long(long, sink)?;
        }
        let done = all && self.long.is_none();
        if done {
            self.finish()?;
        }
        Ok(Decoded { bytes: at, done })
    }

    /// The ordinal of the next record or bad record.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// The line at which the next record or bad record begins, from 1, or an empty line before it.
    #[must_use]
    pub fn at_line(&self) -> u64 {
        self.line
    }

    /// Bytes already taken of a record that is too long and has not ended yet, else 0.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.long.as_ref().map_or(0, Long::bytes)
    }

    /// Byte order mark and charset, once enough is there to tell.
    fn begin(&mut self, window: &[u8], end: bool) -> Result<Option<(Charset, usize)>, FileFault> {
        if let Some(charset) = self.charset {
            return Ok(Some((charset, 0)));
        }
        if !end && encoding::may_be_a_mark(window) {
            return Ok(None);
        }
        let (charset, mark) = encoding::begin(self.csv.encoding, window)?;
        self.charset = Some(charset);
        Ok(Some((charset, mark)))
    }

    /// Whether it is known what ends a line: LF, unless there is none for long and there are CRs.
    fn find_terminator(&mut self, charset: Charset, rest: &[u8], end: bool) -> bool {
        if self.terminator.is_some() {
            return true;
        }
        self.terminator = lines::terminator(charset, rest, end);
        self.terminator.is_some()
    }

    /// Splits clean lines up to one with a quote; how many bytes they are.
    fn plain_lines<S: Sink>(
        &mut self,
        text: &str,
        quotes: bool,
        shape: &Arc<Shape>,
        sink: &mut S,
    ) -> usize {
        let terminator = self.terminator.unwrap_or(b'\n');
        let quote = self.csv.quote.filter(|_| quotes);
        let bytes = text.as_bytes();
        let mut at = 0;
        for found in memchr::memchr_iter(terminator, bytes) {
            let end = if found > at && bytes[found - 1] == b'\r' {
                found - 1
            } else {
                found
            };
            let line = &text[at..end];
            if line.len() > RECORD_BYTES_MAX
                || quote.is_some_and(|quote| memchr::memchr(quote, line.as_bytes()).is_some())
            {
                break;
            }
            if !line.is_empty() {
                self.plain_line(line, shape, sink);
            }
            at = found + 1;
            self.line += 1;
            if sink.full() {
                break;
            }
        }
        at
    }

    #[inline]
    fn plain_line<S: Sink>(&mut self, line: &str, shape: &Arc<Shape>, sink: &mut S) {
        let ordinal = self.ordinal;
        let columns = if S::FIELDS && ordinal >= self.skip {
            self.fields.clear();
            split_plain(line.as_bytes(), self.csv.delimiter, &mut self.fields);
            self.fields.len()
        } else {
            memchr::memchr_iter(self.csv.delimiter, line.as_bytes()).count() + 1
        };
        self.ordinal += 1;
        if ordinal < self.skip {
            return;
        }
        if columns == shape.columns.len() {
            let fields = if S::FIELDS {
                self.fields.as_slice()
            } else {
                &[]
            };
            sink.record(&GoodRecord {
                shape,
                ordinal,
                line: self.line,
                text: line,
                raw: None,
                fields,
            });
        } else {
            let reason = reasons::wrong_columns(columns, shape.columns.len());
            sink::reject(sink, ordinal, self.line, &reason, line.as_bytes());
        }
    }
}
