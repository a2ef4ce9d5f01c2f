//! Finds the records in a window.

use std::sync::Arc;

use super::layout::Layout;
use super::{FixedConfig, Long as LongLine, Short};
use crate::csv::Encoding;
use crate::text::{Charset, Long, encoding, lines};
use crate::typed::{Otherwise, Rules, Tracker};
use crate::{Decoded, FieldAt, FileFault, RECORD_BYTES_MAX, Sink};

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct Fixed(Arc<Compiled>);

#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) encoding: Encoding,
    pub(super) record_bytes: Option<usize>,
    pub(super) short: Short,
    pub(super) long: LongLine,
    pub(super) otherwise: Otherwise,
    /// In the order of the rules' types.
    pub(super) layouts: Vec<Layout>,
    pub(super) rules: Arc<Rules>,
}

impl Fixed {
    /// Compiles a format.
    ///
    /// # Errors
    /// The first of [`FixedConfig::faults`].
    pub fn new(config: &FixedConfig) -> Result<Self, String> {
        if let Some((_, sentence)) = config.faults().into_iter().next() {
            return Err(sentence);
        }
        let columns = config.columns();
        let rules = Rules::new(&config.definitions(&columns));
        let layouts = config.record.iter().zip(&rules.types);
        Ok(Self(Arc::new(Compiled {
            encoding: config.encoding,
            record_bytes: config.record_bytes,
            short: config.short,
            long: config.long,
            otherwise: config.otherwise,
            layouts: layouts
                .map(|(record, one)| Layout::new(config, record, &one.needed))
                .collect(),
            rules: Arc::new(rules),
        })))
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are
    /// counted and not handed out: so a file is read on where an append ended.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        let is_blocks = self.0.record_bytes.is_some();
        Decoder {
            fixed: Arc::clone(&self.0),
            tracker: Tracker::new(&self.0.rules, if is_blocks { "record" } else { "line" }),
            charset: None,
            terminator: None,
            place: 1,
            ordinal: 0,
            skip,
            long: None,
            searched: 0,
            ended: false,
            starts: Vec::new(),
            fields: Vec::new(),
            numbers: String::new(),
            text: String::new(),
        }
    }
}

/// Decodes one file. See [`Fixed::decoder`].
#[derive(Debug)]
pub struct Decoder {
    pub(super) fixed: Arc<Compiled>,
    pub(super) tracker: Tracker,
    charset: Option<Charset>,
    /// What ends a line: LF or CR.
    terminator: Option<u8>,
    /// The line at hand, from 1; where there are no lines, the record.
    pub(super) place: u64,
    pub(super) ordinal: u64,
    pub(super) skip: u64,
    /// A line that is too long, being passed over.
    long: Option<Long>,
    /// Bytes of the line at hand that hold no line end.
    searched: usize,
    /// The file's end was checked.
    ended: bool,
    /// Memory that is used again for each record.
    pub(super) starts: Vec<u32>,
    pub(super) fields: Vec<FieldAt>,
    pub(super) numbers: String,
    pub(super) text: String,
}

impl Decoder {
    /// Counts and totals so far.
    pub(crate) fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Decodes what it can of `window`, which begins with what the call before left; `end`: nothing
    /// follows. Stops early when `sink` is full. Takes at least something of a window of
    /// [`crate::WINDOW_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`FileFault`] when the byte order mark disagrees, the file is cut, or a header's or trailer's figures don't hold.
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        let mut at = 0;
        if self.charset.is_none() && (end || !encoding::may_be_a_mark(window)) {
            let (charset, mark) = encoding::begin(self.fixed.encoding, window)?;
            (self.charset, at) = (Some(charset), mark);
        }
        if let Some(charset) = self.charset {
            at += match self.fixed.record_bytes {
                Some(bytes) => self.blocks(charset, bytes, &window[at..], end, sink)?,
                None => self.lines(charset, &window[at..], end, sink)?,
            };
        }
        let all = end && at == window.len();
        if all
            && !sink.full()
            && let Some(long) = self.long.take()
        {
            self.reject_long(long, sink)?;
        }
        let done = all && self.long.is_none();
        if done && !self.ended {
            self.ended = true;
            self.tracker.finish()?;
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
        self.place
    }

    /// Bytes already taken of a record that is too long and has not ended yet, else 0.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.long.as_ref().map_or(0, Long::bytes)
    }

    /// Takes records that have all the same number of bytes.
    fn blocks<S: Sink>(
        &mut self,
        charset: Charset,
        bytes: usize,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        let mut at = 0;
        while at < window.len() && !sink.full() {
            let rest = &window[at..];
            // A line end may follow: two bytes more tell.
            if rest.len() <= bytes + 2 && !end {
                break;
            }
            if rest.len() < bytes {
                if rest.iter().all(is_padding) {
                    return Ok(window.len());
                }
                return Err(FileFault(format!(
                    "record {} has {} bytes, and {bytes} are expected; the file is cut, or record_bytes is wrong",
                    self.place,
                    rest.len()
                )));
            }
            if self.place == 1 && charset.width() == 1 && has_line_end(rest, bytes) {
                return Err(FileFault(format!(
                    "a line end stands behind the first {bytes} bytes; records are lines here, so leave record_bytes out"
                )));
            }
            self.bytes(charset, &rest[..bytes], sink)?;
            at += bytes;
        }
        Ok(at)
    }

    /// Takes records that are lines.
    fn lines<S: Sink>(
        &mut self,
        charset: Charset,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        if self.terminator.is_none() {
            self.terminator = lines::terminator(charset, window, end);
        }
        let Some(terminator) = self.terminator else {
            return Ok(0);
        };
        let mut at = 0;
        let mut surveyed = lines::Survey::default();
        while at < window.len() && !sink.full() {
            if self.long.is_some() {
                match self.pass_long(charset, terminator, &window[at..], end, sink)? {
                    0 => break,
                    bytes => at += bytes,
                }
                continue;
            }
            if at >= surveyed.end {
                surveyed = lines::survey(charset, terminator, window, at);
            }
            if let Some(text) = surveyed.text {
                let bytes = self.clean_lines(terminator, &text[at - surveyed.start..], sink)?;
                if bytes > 0 {
                    self.searched = 0;
                    at += bytes;
                    continue;
                }
            }
            match self.line(charset, terminator, &window[at..], end, sink)? {
                0 => break,
                bytes => at += bytes,
            }
        }
        Ok(at)
    }

    /// Takes whole lines that are text; how many bytes they are. Stops before one that is too long.
    fn clean_lines<S: Sink>(
        &mut self,
        terminator: u8,
        text: &str,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        let bytes = text.as_bytes();
        let mut at = 0;
        for found in memchr::memchr_iter(terminator, bytes) {
            let has_cr = found > at && bytes[found - 1] == b'\r';
            let line = &text[at..found - usize::from(has_cr)];
            if line.len() > RECORD_BYTES_MAX {
                break;
            }
            at = found + 1;
            if !line.is_empty() {
                self.record(line, None, sink)?;
            }
            self.place += 1;
            if sink.full() {
                break;
            }
        }
        Ok(at)
    }

    /// Takes one line, whatever it holds; how many bytes it is, 0 where more are needed.
    fn line<S: Sink>(
        &mut self,
        charset: Charset,
        terminator: u8,
        rest: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        let found = lines::line(charset, terminator, rest, 0, self.searched, end);
        let length = found.map_or(rest.len(), |line| line.end);
        if length > RECORD_BYTES_MAX {
            self.long = Some(Long::default());
            return self.pass_long(charset, terminator, rest, end, sink);
        }
        let Some(line) = found else {
            self.searched = rest.len();
            return Ok(0);
        };
        self.searched = 0;
        // A line without an end stands only at the file's end, however its bytes arrive.
        if line.end == 0 || rest == [0x1A] {
            self.place += 1;
        } else {
            self.bytes(charset, &rest[..line.end], sink)?;
        }
        Ok(line.next)
    }

    fn pass_long<S: Sink>(
        &mut self,
        charset: Charset,
        terminator: u8,
        rest: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        self.searched = 0;
        let mut long = self.long.take().unwrap_or_default();
        let (bytes, ended) = long.pass(charset, terminator, rest, end);
        if ended {
            self.reject_long(long, sink)?;
        } else {
            self.long = Some(long);
        }
        Ok(bytes)
    }

    fn reject_long<S: Sink>(&mut self, long: Long, sink: &mut S) -> Result<(), FileFault> {
        self.tracker.bad(None, self.place, "it is too long", None)?;
        let (ordinal, line) = (self.ordinal, self.place);
        self.ordinal += 1;
        self.place += 1;
        if ordinal >= self.skip {
            long.reject(ordinal, line, sink);
        }
        Ok(())
    }
}

/// What stands behind the last of records without line ends.
fn is_padding(byte: &u8) -> bool {
    b"\n\r\x1A\0".contains(byte)
}

/// Whether a line ends behind the first `bytes`, and another follows.
fn has_line_end(rest: &[u8], bytes: usize) -> bool {
    let next = match rest[bytes..] {
        [b'\r', b'\n', next, ..] | [b'\n' | b'\r', next, ..] => next,
        _ => return false,
    };
    !is_padding(&next)
}
