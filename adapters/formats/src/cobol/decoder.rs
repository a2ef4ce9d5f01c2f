//! Finds the records in a window.

use std::path::Path;
use std::sync::Arc;

use super::characters::Characters;
use super::config::{BlankNumbers, CopybookConfig, Framing, Order, Tail, Trim};
use super::copybook;
use super::framing::{Frame, Frames, Rule};
use super::layout::{Cells, Fault, Reader};
use super::types::Types;
use crate::sink;
use crate::text::Long;
use crate::typed::{self, Tracker, Verdict};
use crate::{Decoded, FileFault, GoodRecord, Sink};

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct Copybook(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    types: Types,
    reader: Reader,
    rule: Rule,
    header: usize,
    trailer: usize,
    tail: Tail,
}

impl Copybook {
    /// Compiles a format. `read` reads the copybook's text.
    ///
    /// # Errors
    /// The first of [`CopybookConfig::faults`]; that the copybook can't be read; what is wrong with it, by its line.
    pub fn new(
        config: &CopybookConfig,
        read: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<Self, String> {
        if let Some((_, sentence)) = config.faults().into_iter().next() {
            return Err(sentence);
        }
        let text = read(&config.copybook)?;
        let of = |sentence: String| format!("{}: {sentence}", config.copybook.display());
        let records = copybook::parse(&text).map_err(of)?;
        let reader = Reader {
            characters: Characters::new(config.encoding),
            trim_end: config.trim != Trim::None,
            trim_start: config.trim == Trim::Both,
            blank_is_null: config.blank_numbers == BlankNumbers::Null,
            native_little: config.comp_5 == Order::Little,
            padded: config.framing == Some(Framing::Lines),
        };
        let types = Types::new(config, &records, &reader).map_err(of)?;
        let rule = rule(config, &types).map_err(of)?;
        Ok(Self(Arc::new(Compiled {
            types,
            reader,
            rule,
            header: config.header_bytes,
            trailer: config.trailer_bytes,
            tail: config.tail,
        })))
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are
    /// counted and not handed out: so a file is read on where an append ended.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        let Compiled {
            types,
            rule,
            header,
            trailer,
            ..
        } = &*self.0;
        let is_lines = *rule == Rule::Lines;
        Decoder {
            copybook: Arc::clone(&self.0),
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
}

/// How records are told from each other, as configured or as the layouts ask for.
fn rule(config: &CopybookConfig, types: &Types) -> Result<Rule, String> {
    let layouts = || types.types.iter().map(|one| &one.layout);
    let longest = layouts().map(|layout| layout.bytes_max).max().unwrap_or(0);
    let varies = layouts().find_map(|layout| layout.varies.as_ref());
    let rule = match (config.framing, config.record_bytes) {
        (None, None) if let Some(varies) = varies => {
            return Err(format!(
                "records have several lengths, by how often {varies} occurs; say how they are told from each other: framing = \"rdw\" (a length before each), \
                 \"layout\" (one behind the other, as long as their counts say), or \"fixed\" (the longest one's length)"
            ));
        }
        (None | Some(Framing::Fixed), bytes) => Rule::Fixed(bytes.unwrap_or(longest)),
        (Some(Framing::Layout), _) => Rule::Layout,
        (Some(Framing::Rdw), _) => Rule::Rdw(config.rdw.unwrap_or_default()),
        (Some(Framing::Lines), _) => Rule::Lines,
    };
    if let Rule::Fixed(bytes) = rule
        && bytes < longest
    {
        return Err(format!(
            "record_bytes = {bytes}, and the longest record has {longest}"
        ));
    }
    let not_text = layouts().find_map(|layout| layout.not_text.as_ref());
    match (rule, not_text) {
        (Rule::Lines, Some(field)) => Err(format!(
            "{field} is packed or binary, and its bytes could be a line end; lines hold text alone"
        )),
        _ => Ok(rule),
    }
}

/// Decodes one file. See [`Copybook::decoder`].
#[derive(Debug)]
pub struct Decoder {
    copybook: Arc<Compiled>,
    frames: Frames,
    tracker: Tracker,
    is_lines: bool,
    /// Bytes of the file before the window.
    offset: u64,
    /// The record at hand, from 1; where there are lines, its line.
    place: u64,
    ordinal: u64,
    skip: u64,
    /// A line that is too long, being passed over.
    long: Option<Long>,
    /// A record whose occurrences are not all handed out.
    held: Option<Held>,
    /// The file's end was checked.
    ended: bool,
    /// Memory that is used again for each record.
    cells: Cells,
    text: String,
}

/// A record of which each occurrence is a record, of which not all are handed out.
#[derive(Debug)]
struct Held {
    kind: usize,
    next: usize,
    bytes: Vec<u8>,
}

/// Whether a record's length is known.
enum Taken {
    Bytes(usize),
    /// It ends behind these bytes.
    Cut,
}

impl Decoder {
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

    /// Takes a record that is read, and fine by itself.
    fn hand_out<S: Sink>(
        &mut self,
        copybook: &Compiled,
        kind: usize,
        bytes: &[u8],
        offset: u64,
        sink: &mut S,
    ) -> Result<(), FileFault> {
        let types = &copybook.types;
        let keep = S::FIELDS && types.rules.types[kind].is_inherited();
        let cells = typed::Cells {
            text: &self.cells.text,
            fields: &self.cells.fields,
        };
        let verdict = self.tracker.take(kind, self.place, cells, keep)?;
        match verdict {
            Verdict::Silent => {}
            Verdict::Bad(reason) => {
                let reason = self.placed(&reason, offset);
                self.hand_out_bad(&reason, bytes, sink);
            }
            Verdict::Record if types.types[kind].layout.each.is_none() => {
                self.hand_out_one(copybook, kind, bytes, sink);
            }
            Verdict::Record => {
                let next = self.hand_out_each(copybook, kind, 0, bytes, sink);
                if next < self.cells.each.len() {
                    let bytes = bytes.to_vec();
                    self.held = Some(Held { kind, next, bytes });
                    return Ok(());
                }
            }
        }
        self.place += 1;
        Ok(())
    }

    /// Goes on with a record's occurrences.
    fn go_on<S: Sink>(&mut self, copybook: &Compiled, mut held: Held, sink: &mut S) {
        let layout = &copybook.types.types[held.kind].layout;
        // It was read before, so it can be.
        let _ = layout.read(&held.bytes, &copybook.reader, &mut self.cells);
        held.next = self.hand_out_each(copybook, held.kind, held.next, &held.bytes, sink);
        if held.next < self.cells.each.len() {
            self.held = Some(held);
        } else {
            self.place += 1;
        }
    }

    /// Hands out a record's occurrences from `next` on; which is the next one.
    fn hand_out_each<S: Sink>(
        &mut self,
        copybook: &Compiled,
        kind: usize,
        mut next: usize,
        bytes: &[u8],
        sink: &mut S,
    ) -> usize {
        let layout = &copybook.types.types[kind].layout;
        while next < self.cells.each.len() && !sink.full() {
            if S::FIELDS && self.ordinal >= self.skip {
                layout.read_each(next, bytes, &copybook.reader, &mut self.cells);
            }
            let (start, end) = self.cells.each[next];
            let own = bytes.get(start as usize..end as usize);
            self.hand_out_one(copybook, kind, own.unwrap_or_default(), sink);
            next += 1;
        }
        next
    }

    #[inline]
    fn hand_out_one<S: Sink>(
        &mut self,
        copybook: &Compiled,
        kind: usize,
        raw: &[u8],
        sink: &mut S,
    ) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal < self.skip {
            return;
        }
        let own = self.cells.fields.len();
        if S::FIELDS && self.tracker.inherits(kind) {
            let Cells { text, fields, .. } = &mut self.cells;
            self.tracker.inherit(kind, text, fields);
        }
        sink.record(&GoodRecord {
            shape: &copybook.types.rules.types[kind].shape,
            ordinal,
            line: if self.is_lines { self.place } else { 0 },
            text: &self.cells.text,
            raw: Some(raw),
            fields: if S::FIELDS { &self.cells.fields } else { &[] },
        });
        self.cells.fields.truncate(own);
    }

    /// Hands out a bad record that is not known to the figures yet.
    #[cold]
    fn reject<S: Sink>(
        &mut self,
        kind: Option<usize>,
        reason: &str,
        raw: &[u8],
        offset: u64,
        sink: &mut S,
    ) -> Result<(), FileFault> {
        self.tracker.bad(kind, self.place, reason, None)?;
        let reason = self.placed(reason, offset);
        self.hand_out_bad(&reason, raw, sink);
        self.place += 1;
        Ok(())
    }

    /// A reason with its place, where a line does not say that.
    fn placed(&self, reason: &str, offset: u64) -> String {
        if self.is_lines {
            reason.to_owned()
        } else {
            format!(
                "record {} (byte {} of the file): {reason}",
                self.place,
                offset + 1
            )
        }
    }

    fn hand_out_bad<S: Sink>(&mut self, reason: &str, raw: &[u8], sink: &mut S) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal >= self.skip {
            let line = if self.is_lines { self.place } else { 0 };
            sink::reject(sink, ordinal, line, reason, raw);
        }
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

impl Compiled {
    /// Why bytes behind a record's layout make it a bad one: a length of its own says that they belong to it.
    fn excess(&self, kind: usize, used: usize, bytes: &[u8]) -> Option<String> {
        let behind = bytes.get(used..).filter(|behind| !behind.is_empty())?;
        let is_fixed = matches!(self.rule, Rule::Fixed(_));
        if is_fixed || self.reader.characters.trimmed(behind).is_empty() {
            return None;
        }
        let name = self.types.rules.types[kind].name();
        let of = if name.is_empty() {
            String::new()
        } else {
            format!(" of {name}")
        };
        Some(format!(
            "the record has {} bytes, and the layout{of} ends at {used}; describe what follows in the copybook, if only as FILLER",
            bytes.len()
        ))
    }
}
