//! Where records begin and end.
//!
//! ```text
//! fixed    record | record | record                 all of one length
//! layout   record | longer record | record          each as long as its own counts say
//! rdw      LL LL 00 00 record | LL LL 00 00 record   the length before each, which mostly counts its own four bytes
//! blocks   BB BB 00 00 ( LL LL 00 00 record )...     the same, in blocks with a length of their own
//! lines    record LF | record CR LF | record
//! ```
//! A length is a word of four bytes. On z/OS it stands in the first two; where a word was turned around on its way to a PC it stands in
//! the last two. A block's first bit says that its length has 31 bits.
//! Source: z/OS DFSMS Using Data Sets, "Variable-length record formats".

use super::config::{Order, RdwConfig};
use crate::text::{Charset, Long, lines};
use crate::{FileFault, RECORD_BYTES_MAX};

/// Bytes of a length.
const WORD: usize = 4;

/// How records are told from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Records of so many bytes.
    Fixed(usize),
    /// Their layouts tell.
    Layout,
    Rdw(RdwConfig),
    Lines,
}

/// What stands at a window's beginning.
#[derive(Debug)]
pub(super) enum Frame {
    /// A record's bytes, and where what follows it begins. With [`Rule::Layout`] they go on with the next.
    Record {
        start: usize,
        end: usize,
        next: usize,
    },
    /// So many bytes that are none.
    Other(usize),
    /// A line without anything, of so many bytes.
    EmptyLine(usize),
    /// A line that is too long for a record: it is passed over from here on.
    Long,
    /// A record of so many bytes of which only these are there: the file ends.
    Cut(usize),
    /// More is needed.
    More,
    /// Nothing follows but these bytes.
    End(usize),
}

/// Goes through one file.
#[derive(Debug)]
pub(super) struct Frames {
    rule: Rule,
    /// Bytes before the records that are still to be passed over.
    header: usize,
    trailer: usize,
    /// Bytes of the block at hand that are left.
    block: usize,
    terminator: Option<u8>,
    /// Bytes of the line at hand that hold no line end.
    searched: usize,
}

impl Frames {
    pub(super) fn new(rule: Rule, header: usize, trailer: usize) -> Self {
        Self {
            rule,
            header,
            trailer,
            block: 0,
            terminator: None,
            searched: 0,
        }
    }

    /// What stands at the beginning of `window`, which begins at byte `offset` of the file; `end`: nothing follows it.
    #[inline]
    pub(super) fn next(
        &mut self,
        window: &[u8],
        offset: u64,
        end: bool,
    ) -> Result<Frame, FileFault> {
        if self.header > 0 {
            return self.header(window, end);
        }
        let Some(usable) = window.len().checked_sub(self.trailer) else {
            return if end {
                Err(FileFault(format!(
                    "the file ends within the {} bytes of trailer_bytes",
                    self.trailer
                )))
            } else {
                Ok(Frame::More)
            };
        };
        let rest = &window[..usable];
        if rest.is_empty() {
            return if end {
                self.end(window.len(), offset)
            } else {
                Ok(Frame::More)
            };
        }
        Ok(match self.rule {
            Rule::Fixed(bytes) if rest.len() >= bytes => Frame::Record {
                start: 0,
                end: bytes,
                next: bytes,
            },
            Rule::Fixed(bytes) if end => Frame::Cut(bytes),
            Rule::Fixed(_) => Frame::More,
            Rule::Layout => Frame::Record {
                start: 0,
                end: rest.len(),
                next: rest.len(),
            },
            Rule::Rdw(rdw) => self.word(rdw, rest, offset, end)?,
            Rule::Lines => self.line(rest, end),
        })
    }

    fn header(&mut self, window: &[u8], end: bool) -> Result<Frame, FileFault> {
        if end && window.len() < self.header {
            return Err(FileFault(
                "the file ends within the bytes of header_bytes".into(),
            ));
        }
        if window.is_empty() {
            return Ok(Frame::More);
        }
        let bytes = self.header.min(window.len());
        self.header -= bytes;
        Ok(Frame::Other(bytes))
    }

    fn end(&self, bytes: usize, offset: u64) -> Result<Frame, FileFault> {
        if self.block > 0 {
            return Err(FileFault(format!(
                "the file ends at byte {offset}, and {} bytes of its last block are missing",
                self.block
            )));
        }
        Ok(Frame::End(bytes))
    }

    fn word(
        &mut self,
        rdw: RdwConfig,
        rest: &[u8],
        offset: u64,
        end: bool,
    ) -> Result<Frame, FileFault> {
        let Some(word) = rest.first_chunk::<WORD>() else {
            return Ok(if end { Frame::Cut(WORD) } else { Frame::More });
        };
        let own = if rdw.counts_itself { WORD } else { 0 };
        if rdw.blocks && self.block == 0 {
            let length = block_length(*word, rdw.order).and_then(|length| length.checked_sub(own));
            let length = length.filter(|length| *length > 0);
            self.block = length.ok_or_else(|| wrong("block", *word, offset))?;
            return Ok(Frame::Other(WORD));
        }
        let length = record_length(*word, rdw.order).map_err(|spanned| {
            if spanned {
                FileFault(format!(
                    "the record at byte {} is one of several pieces (0x{}); spanned records can't be read, write the file as VB",
                    offset + 1,
                    hex(*word)
                ))
            } else {
                wrong("record", *word, offset)
            }
        })?;
        let bytes = length
            .checked_sub(own)
            .ok_or_else(|| wrong("record", *word, offset))?;
        if rdw.blocks && self.block < WORD + bytes {
            return Err(FileFault(format!(
                "the record at byte {} has {bytes} bytes and its length, and only {} are left of its block; is rdw right?",
                offset + 1,
                self.block
            )));
        }
        if rest.len() < WORD + bytes {
            return Ok(if end {
                Frame::Cut(WORD + bytes)
            } else {
                Frame::More
            });
        }
        if rdw.blocks {
            self.block -= WORD + bytes;
        }
        Ok(Frame::Record {
            start: WORD,
            end: WORD + bytes,
            next: WORD + bytes,
        })
    }

    /// Line ends are the same single bytes in all encodings of lines.
    fn line(&mut self, rest: &[u8], end: bool) -> Frame {
        if self.terminator.is_none() {
            self.terminator = lines::terminator(Charset::Latin1, rest, end);
        }
        let Some(terminator) = self.terminator else {
            return Frame::More;
        };
        let found = lines::line(Charset::Latin1, terminator, rest, 0, self.searched, end);
        if found.map_or(rest.len(), |line| line.end) > RECORD_BYTES_MAX {
            self.searched = 0;
            return Frame::Long;
        }
        let Some(line) = found else {
            self.searched = rest.len();
            return Frame::More;
        };
        self.searched = 0;
        // DOS programs put a 0x1A at the end.
        if line.end == 0 || (end && rest == [0x1A]) {
            return Frame::EmptyLine(line.next);
        }
        Frame::Record {
            start: 0,
            end: line.end,
            next: line.next,
        }
    }

    /// A record is cut, and with it its block.
    pub(super) fn forget_block(&mut self) {
        self.block = 0;
    }

    /// Goes over what there is of a line that is too long; how many bytes that is, and whether it ends there.
    pub(super) fn pass(&mut self, long: &mut Long, rest: &[u8], end: bool) -> (usize, bool) {
        let (bytes, ended) =
            long.pass(Charset::Latin1, self.terminator.unwrap_or(b'\n'), rest, end);
        (bytes, ended || (end && bytes == rest.len()))
    }
}

fn wrong(of: &str, word: [u8; WORD], offset: u64) -> FileFault {
    FileFault(format!(
        "0x{} at byte {} is no length of a {of}; is framing right, or rdw's order, counts_itself or blocks?",
        hex(word),
        offset + 1
    ))
}

fn hex(word: [u8; WORD]) -> String {
    word.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A record's length; else whether the word is that of a piece of a record.
fn record_length(word: [u8; WORD], order: Order) -> Result<usize, bool> {
    let [a, b, c, d] = word;
    let (first, second) = match order {
        Order::Big => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        Order::Little => (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])),
    };
    match (first, second) {
        (length, 0) | (0, length) => Ok(usize::from(length)),
        // Segment control codes: first, last, middle.
        _ => Err(order == Order::Big && (1..=3).contains(&c) && d == 0),
    }
}

fn block_length(word: [u8; WORD], order: Order) -> Option<usize> {
    if order == Order::Big && word[0] & 0x80 != 0 {
        return usize::try_from(u32::from_be_bytes(word) & 0x7FFF_FFFF).ok();
    }
    record_length(word, order).ok()
}
