//! One record at a time, whatever it holds: quotes, line ends, other encodings, a header.

use std::borrow::Cow;
use std::sync::Arc;

use dray_adapter::Shape;

use super::decoder::Decoder;
use super::fields::{AfterQuote, split_plain};
use super::{QUOTED_BYTES_MAX, QUOTED_LINES_MAX, Ragged, header, reasons};
use crate::sink;
use crate::text::{self, Charset, Line, lines};
use crate::{FileFault, GoodRecord, RECORD_BYTES_MAX, Sink};

/// A record's lines.
enum Assembled {
    /// `text` and `fields` of the decoder are filled.
    Record {
        last: Line,
        lines: u64,
        misfit: Option<String>,
    },
    /// More of the file is needed.
    More,
    /// The first line is bad.
    Bad(String),
}

impl Decoder {
    /// Takes one record, whatever it holds; how many bytes it is, 0 where more are needed.
    pub(super) fn record<S: Sink>(
        &mut self,
        charset: Charset,
        rest: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        let Some(first) = self.next_line(charset, rest, 0, end) else {
            if rest.len() > RECORD_BYTES_MAX {
                return self.begin_long(charset, rest, end, sink);
            }
            self.searched = rest.len();
            return Ok(0);
        };
        if first.end > RECORD_BYTES_MAX {
            return self.begin_long(charset, rest, end, sink);
        }
        match self.is_edge(charset, rest, first, end) {
            Some(false) => {}
            Some(true) => {
                self.searched = 0;
                self.line += 1;
                return Ok(first.next);
            }
            None => return Ok(0),
        }
        let mut assembled = self.assemble(charset, rest, first, end);
        if matches!(assembled, Assembled::More) {
            return Ok(0);
        }
        self.searched = 0;
        if self.shape.is_none() {
            return self.take_header(assembled);
        }
        if let Assembled::Record {
            misfit, lines: 2.., ..
        } = &mut assembled
            && misfit.is_some()
        {
            assembled = Assembled::Bad(reasons::never_closed());
        }
        let found = match &assembled {
            Assembled::Record { last, lines, .. } => Some((last.next, *lines)),
            _ => None,
        };
        let is_footer = self.is_told_footer(found.is_some())?;
        if let (true, Some((next, lines))) = (is_footer, found) {
            self.line += lines;
            return Ok(next);
        }
        self.hand_out(rest, first, assembled, sink)
    }

    fn hand_out<S: Sink>(
        &mut self,
        rest: &[u8],
        first: Line,
        assembled: Assembled,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        let (last, lines, bad) = match assembled {
            Assembled::Record {
                last,
                lines,
                misfit,
            } => (last, lines, misfit),
            Assembled::Bad(reason) => (first, 1, Some(reason)),
            Assembled::More => return Ok(0),
        };
        let raw = &rest[..last.end];
        if let Some(types) = self.types.clone() {
            self.typed(&types, lines, bad, raw, sink)?;
            self.line += lines;
            return Ok(last.next);
        }
        let (ordinal, line) = (self.ordinal, self.line);
        let wanted = ordinal >= self.skip;
        self.ordinal += 1;
        self.line += lines;
        match (bad, &self.shape) {
            (Some(reason), _) if wanted => sink::reject(sink, ordinal, line, &reason, raw),
            (None, Some(shape)) if wanted => {
                let same = self.text.as_bytes() == raw;
                let fields = if S::FIELDS {
                    self.fields.as_slice()
                } else {
                    &[]
                };
                let raw = (!same).then_some(raw);
                sink.record(&GoodRecord {
                    shape,
                    ordinal,
                    line,
                    text: &self.text,
                    raw,
                    fields,
                });
            }
            _ => {}
        }
        Ok(last.next)
    }

    /// Puts a record's lines together, as many as its quotes ask for.
    fn assemble(&mut self, charset: Charset, rest: &[u8], first: Line, end: bool) -> Assembled {
        self.text.clear();
        self.fields.clear();
        let (mut line, mut lines) = (first, 1);
        loop {
            match charset.decode(&rest[line.start..line.end]) {
                Ok(text) => self.text.push_str(&text),
                Err(reason) if lines == 1 => return Assembled::Bad(reason),
                Err(_) => return Assembled::Bad(reasons::never_closed()),
            }
            if let Some(at) = memchr::memchr(0, self.text.as_bytes()) {
                return Assembled::Bad(if lines == 1 {
                    text::a_nul(at)
                } else {
                    reasons::never_closed()
                });
            }
            let has_quotes = |quote| memchr::memchr(quote, self.text.as_bytes()).is_some();
            let quotes = match &mut self.quotes {
                Some(quotes) if lines > 1 || self.csv.quote.is_some_and(has_quotes) => quotes,
                _ => {
                    split_plain(self.text.as_bytes(), self.csv.delimiter, &mut self.fields);
                    break;
                }
            };
            if lines == 1 {
                quotes.begin();
            }
            match quotes.split(self.text.as_bytes(), &mut self.fields) {
                Ok(true) => {
                    let cells = std::str::from_utf8(quotes.cells());
                    self.text.clear();
                    self.text
                        .push_str(cells.expect("text without ASCII characters is text"));
                    break;
                }
                Ok(false) => {}
                Err(AfterQuote(cell)) if lines == 1 => {
                    return Assembled::Bad(reasons::after_quote(cell));
                }
                Err(AfterQuote(_)) => return Assembled::Bad(reasons::never_closed()),
            }
            let columns = self.columns_max();
            if lines == QUOTED_LINES_MAX as u64
                || line.next > QUOTED_BYTES_MAX
                || self.fields.len() >= columns
            {
                return Assembled::Bad(reasons::never_closed());
            }
            self.push_line_end(charset, &rest[line.end..line.next]);
            line = match self.next_line(charset, rest, line.next, end) {
                Some(next) => next,
                None if end || rest.len() > QUOTED_BYTES_MAX => {
                    return Assembled::Bad(reasons::never_closed());
                }
                None => return Assembled::More,
            };
            lines += 1;
        }
        let misfit = if self.types.is_some() || self.shape.is_none() {
            None
        } else {
            let columns = self.columns_max();
            if lines == 1 && self.csv.config.ragged == Ragged::Pad {
                self.pad(columns);
            }
            let found = self.fields.len();
            (found != columns).then(|| reasons::wrong_columns(found, columns))
        };
        Assembled::Record {
            last: line,
            lines,
            misfit,
        }
    }

    /// Columns that a record has at most.
    fn columns_max(&self) -> usize {
        match (&self.types, &self.shape) {
            (Some(types), _) => types.columns_max,
            (None, Some(shape)) => shape.columns.len(),
            (None, None) => usize::MAX,
        }
    }

    /// A line end within quotes is part of the cell.
    fn push_line_end(&mut self, charset: Charset, bytes: &[u8]) {
        // Line ends are ASCII in every charset.
        let text = charset.decode(bytes).unwrap_or(Cow::Borrowed("\n"));
        self.text.push_str(&text);
    }

    fn take_header(&mut self, assembled: Assembled) -> Result<usize, FileFault> {
        let (last, lines) = match assembled {
            Assembled::Record { last, lines, .. } => (last, lines),
            Assembled::Bad(reason) => {
                return Err(FileFault(format!(
                    "the header on line {} can't be read: {reason}",
                    self.line
                )));
            }
            Assembled::More => return Ok(0),
        };
        self.header.push(header::names(&self.text, &self.fields));
        if self.header.len() < self.csv.config.header_rows.unwrap_or(1) {
            self.line += lines;
            return Ok(last.next);
        }
        let names = header::joined(&std::mem::take(&mut self.header));
        header::check(
            &names,
            &self.csv.config.columns,
            self.line,
            char::from(self.csv.delimiter),
        )?;
        self.begin_types(&names)?;
        let known = self
            .csv
            .shape
            .as_ref()
            .filter(|shape| shape.columns == names);
        let shape = known.map_or_else(
            || {
                Arc::new(Shape {
                    record_type: String::new(),
                    columns: names.clone(),
                })
            },
            Arc::clone,
        );
        self.shape = Some(shape);
        self.line += lines;
        Ok(last.next)
    }

    /// The line that begins at `start`; `None` where its end is not in the window.
    fn next_line(&self, charset: Charset, rest: &[u8], start: usize, end: bool) -> Option<Line> {
        let terminator = self.terminator.unwrap_or(b'\n');
        let from = if start == 0 { self.searched } else { start };
        lines::line(charset, terminator, rest, start, from, end)
    }
}
