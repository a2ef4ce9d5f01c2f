//! Finds the records in a window.

use std::sync::Arc;

use super::compiled::Compiled;
use super::config::Tail;
use super::framing::{Frame, Frames, Rule};
use super::handing_out::Held;
use super::layout::{Cells, Fault};
use crate::text::Long;
use crate::typed::Tracker;
use crate::{Decoded, FileFault, Sink};

/// Decodes one file. See [`super::Copybook::decoder`].
#[derive(Debug)]
pub struct Decoder {
    pub(super) copybook: Arc<Compiled>,
    frames: Frames,
    pub(super) tracker: Tracker,
    pub(super) is_lines: bool,
    /// Bytes of the file before the window.
    offset: u64,
    /// The record at hand, from 1; where there are lines, its line.
    pub(super) place: u64,
    pub(super) ordinal: u64,
    pub(super) skip: u64,
    /// A line that is too long, being passed over.
    long: Option<Long>,
    /// A record whose occurrences are not all handed out.
    pub(super) held: Option<Held>,
    /// The file's end was checked.
    ended: bool,
    /// Memory that is used again for each record.
    pub(super) cells: Cells,
    text: String,
}

/// Whether a record's length is known.
enum Taken {
    Bytes(usize),
    /// It ends behind these bytes.
    Cut,
}

impl Decoder {
    /// Counts and totals so far.
    pub(crate) fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    pub(super) fn new(copybook: &Arc<Compiled>, skip: u64) -> Self {
        let Compiled {
            types,
            rule,
            header,
            trailer,
            ..
        } = &**copybook;
        let is_lines = *rule == Rule::Lines;
        Self {
            copybook: Arc::clone(copybook),
            frames: Frames::new(*rule, *header, *trailer),
            tracker: Tracker::new(&types.rules, if is_lines { "line" } else { "record" }),
            is_lines,
            offset: 0,
            place: 1,
            ordinal: 0,
            skip,
            long: None,
            held: None,
            ended: false,
            cells: Cells::default(),
            text: String::new(),
        }
    }

    /// Decodes what it can of `window`, which begins with what the call before left; `end`: nothing
    /// follows. Stops early when `sink` is full. Takes at least something of a window of
    /// [`crate::WINDOW_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`FileFault`] when the file is cut, when where records end can't be known, or when a header's or trailer's figures don't hold.
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        let copybook = Arc::clone(&self.copybook);
        let mut at = 0;
        while !sink.full() {
            if let Some(held) = self.held.take() {
                self.go_on(&copybook, held, sink);
                continue;
            }
            let rest = &window[at..];
            let offset = self.offset + at as u64;
            if self.long.is_some() {
                match self.pass_long(rest, end, sink)? {
                    0 => break,
                    bytes => at += bytes,
                }
                continue;
            }
            at += match self.frames.next(rest, offset, end)? {
                Frame::More => break,
                Frame::Other(bytes) => bytes,
                Frame::EmptyLine(bytes) => {
                    self.place += 1;
                    bytes
                }
                Frame::Long => {
                    self.long = Some(Long::default());
                    0
                }
                Frame::Cut(bytes) => self.cut(&copybook, bytes, rest, offset, sink)?,
                Frame::End(bytes) => {
                    if !self.ended {
                        self.ended = true;
                        self.tracker.finish()?;
                    }
                    return Ok(Decoded {
                        bytes: at + bytes,
                        done: true,
                    });
                }
                Frame::Record { start, .. } if copybook.rule == Rule::Layout => {
                    let usable = rest.len() - copybook.trailer;
                    match self.by_layout(&copybook, &rest[start..usable], offset, end, sink)? {
                        Some(bytes) => bytes,
                        None => break,
                    }
                }
                Frame::Record { start, end, next } => {
                    let offset = offset + start as u64;
                    self.record(&copybook, &rest[start..end], offset, sink)?;
                    next
                }
            };
        }
        self.offset += at as u64;
        Ok(Decoded {
            bytes: at,
            done: false,
        })
    }

    /// The ordinal of the next record or bad record.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Takes a record whose bytes are known.
    fn record<S: Sink>(
        &mut self,
        copybook: &Compiled,
        bytes: &[u8],
        offset: u64,
        sink: &mut S,
    ) -> Result<(), FileFault> {
        let types = &copybook.types;
        let Some(kind) = types.find(bytes, &copybook.reader, &mut self.text) else {
            let reason = types.told(bytes, &copybook.reader);
            return self.reject(None, &reason, bytes, offset, sink);
        };
        if types.rules.types[kind].skip {
            self.place += 1;
            return Ok(());
        }
        let layout = &types.types[kind].layout;
        let read = layout.read(bytes, &copybook.reader, &mut self.cells);
        let wrong = match read {
            Err(fault) => Some(layout.sentence(fault, bytes)),
            Ok(used) => match self.cells.bad {
                Some(fault) => Some(layout.sentence(fault, bytes)),
                None => copybook.excess(kind, used, bytes),
            },
        };
        match wrong {
            Some(reason) => self.reject(Some(kind), &reason, bytes, offset, sink),
            None => self.hand_out(copybook, kind, bytes, offset, sink),
        }
    }

    /// Takes a record whose layout says how long it is; `None` where more is needed.
    fn by_layout<S: Sink>(
        &mut self,
        copybook: &Compiled,
        rest: &[u8],
        offset: u64,
        end: bool,
        sink: &mut S,
    ) -> Result<Option<usize>, FileFault> {
        let types = &copybook.types;
        if rest.len() < types.told_by && !end {
            return Ok(None);
        }
        let place = self.place;
        let unknown = |sentence: String| {
            FileFault(format!(
                "record {place} (byte {} of the file): {sentence}; so where the next one begins can't be known",
                offset + 1
            ))
        };
        let Some(kind) = types.find(rest, &copybook.reader, &mut self.text) else {
            if rest.len() < types.told_by {
                return self
                    .cut(copybook, types.told_by, rest, offset, sink)
                    .map(Some);
            }
            return Err(unknown(types.told(rest, &copybook.reader)));
        };
        let layout = &types.types[kind].layout;
        let taken = match layout.read(rest, &copybook.reader, &mut self.cells) {
            Ok(bytes) => Taken::Bytes(bytes),
            Err(Fault::Cut { .. }) => Taken::Cut,
            Err(fault) => return Err(unknown(layout.sentence(fault, rest))),
        };
        let bytes = match taken {
            Taken::Bytes(bytes) => bytes,
            Taken::Cut if end => {
                return self
                    .cut(copybook, layout.bytes_max, rest, offset, sink)
                    .map(Some);
            }
            Taken::Cut => return Ok(None),
        };
        let own = &rest[..bytes];
        if types.rules.types[kind].skip {
            self.place += 1;
        } else if let Some(fault) = self.cells.bad {
            let reason = layout.sentence(fault, own);
            self.reject(Some(kind), &reason, own, offset, sink)?;
        } else {
            self.hand_out(copybook, kind, own, offset, sink)?;
        }
        Ok(Some(bytes))
    }

    /// The file ends within a record of up to so many bytes.
    fn cut<S: Sink>(
        &mut self,
        copybook: &Compiled,
        bytes: usize,
        rest: &[u8],
        offset: u64,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        let rest = &rest[..rest.len() - copybook.trailer];
        let up_to = if copybook.rule == Rule::Layout {
            "up to "
        } else {
            ""
        };
        let reason = format!(
            "the file ends after {} of {up_to}{bytes} bytes of a record",
            rest.len()
        );
        if copybook.tail == Tail::Refuse {
            return Err(FileFault(format!(
                "record {} (byte {} of the file): {reason}; it is cut, or framing is wrong. If a cut last record may be left out, write tail = \"reject\"",
                self.place,
                offset + 1
            )));
        }
        self.reject(None, &reason, rest, offset, sink)?;
        self.frames.forget_block();
        Ok(rest.len())
    }

    /// Goes over a line that is too long; how many bytes, 0 where more are needed.
    fn pass_long<S: Sink>(
        &mut self,
        rest: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        let mut long = self.long.take().unwrap_or_default();
        let usable = rest.len().saturating_sub(self.copybook.trailer);
        let (bytes, ended) = self.frames.pass(&mut long, &rest[..usable], end);
        if !ended {
            self.long = Some(long);
            return Ok(bytes);
        }
        self.tracker.bad(None, self.place, "it is too long", None)?;
        let (ordinal, line) = (self.ordinal, self.place);
        self.ordinal += 1;
        self.place += 1;
        if ordinal >= self.skip {
            long.reject(ordinal, line, sink);
        }
        Ok(bytes)
    }
}
