//! Where the cells of a record are. The quoting rules are `csv-core`'s; what it forgives in silence is
//! found here.

use csv_core::{ReadFieldResult, Reader, ReaderBuilder, Terminator};

use crate::FieldAt;

/// Ends a record for `csv-core`: text never holds a NUL, the decoder refuses it before.
const RECORD_END: u8 = 0;

/// Something stands between the closing quote of this cell (from 1) and the delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AfterQuote(pub(super) usize);

/// Splits records that have quotes: once for each record, [`Self::begin`], then
/// [`Self::split`] for each of its lines until one ends it.
#[derive(Debug)]
pub(super) struct Splitter {
    reader: Reader,
    quote: u8,
    /// Where the cell at hand begins in the text, and up to where it was read.
    cell: usize,
    at: usize,
    /// The cells without their quotes, and where the cell at hand begins.
    out: Vec<u8>,
    out_cell: usize,
    out_end: usize,
}

impl Splitter {
    pub(super) fn new(delimiter: u8, quote: u8) -> Self {
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .quote(quote)
            .terminator(Terminator::Any(RECORD_END))
            .build();
        Self {
            reader,
            quote,
            cell: 0,
            at: 0,
            out: Vec::new(),
            out_cell: 0,
            out_end: 0,
        }
    }

    /// A new record begins.
    pub(super) fn begin(&mut self) {
        self.reader.reset();
        // At its first read it would pass over a byte order mark, which is text here.
        self.reader.read_field(&[RECORD_END], &mut []);
        (self.cell, self.at, self.out_cell, self.out_end) = (0, 0, 0, 0);
    }

    /// Goes on to the end of `text`, which begins with what was split before. Whether the record may
    /// end there: no quote is open.
    pub(super) fn split(
        &mut self,
        text: &[u8],
        fields: &mut Vec<FieldAt>,
    ) -> Result<bool, AfterQuote> {
        // Cells are never longer than what they are written as; `RECORD_END` may join an open one.
        self.out.resize(self.out.len().max(text.len() + 1), 0);
        while self.at < text.len() {
            if self.read(&text[self.at..]) {
                self.end_cell(&text[self.cell..self.at - 1], fields)?;
            }
        }
        if self.read(&[RECORD_END]) {
            self.end_cell(&text[self.cell..], fields)?;
            return Ok(true);
        }
        // Within quotes it was taken for text, and changed nothing else.
        (self.at, self.out_end) = (text.len(), self.out_end - 1);
        Ok(false)
    }

    /// The cells without their quotes, one behind the other: what the fields point at.
    pub(super) fn cells(&self) -> &[u8] {
        &self.out[..self.out_end]
    }

    /// Whether a cell ended.
    fn read(&mut self, text: &[u8]) -> bool {
        let (result, read, written) = self.reader.read_field(text, &mut self.out[self.out_end..]);
        self.at += read;
        self.out_end += written;
        matches!(result, ReadFieldResult::Field { .. })
    }

    /// `written`: the cell as the file has it.
    fn end_cell(&mut self, written: &[u8], fields: &mut Vec<FieldAt>) -> Result<(), AfterQuote> {
        let cell = &self.out[self.out_cell..self.out_end];
        if written.first() == Some(&self.quote) {
            // Each quote of the cell is written twice, and two stand around it: anything else is
            // text behind the closing quote.
            let quotes = memchr::memchr_iter(self.quote, cell).count();
            let closed = written.last() == Some(&self.quote);
            if !closed || written.len() != cell.len() + quotes + 2 {
                return Err(AfterQuote(fields.len() + 1));
            }
        }
        fields.push(FieldAt {
            start: self.out_cell as u32,
            end: self.out_end as u32,
        });
        (self.cell, self.out_cell) = (self.at, self.out_end);
        Ok(())
    }
}

/// Splits text that has no quotes.
#[inline]
pub(super) fn split_plain(text: &[u8], delimiter: u8, fields: &mut Vec<FieldAt>) {
    let mut start = 0;
    for at in memchr::memchr_iter(delimiter, text) {
        fields.push(FieldAt {
            start,
            end: at as u32,
        });
        start = at as u32 + 1;
    }
    fields.push(FieldAt {
        start,
        end: text.len() as u32,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cells, or `None` while a quote is open.
    fn cells(splitter: &mut Splitter, text: &str) -> Result<Option<Vec<String>>, AfterQuote> {
        let mut fields = Vec::new();
        splitter.begin();
        let ended = splitter.split(text.as_bytes(), &mut fields)?;
        let cell = |at: &FieldAt| {
            let bytes = &splitter.cells()[at.start as usize..at.end as usize];
            String::from_utf8(bytes.to_vec()).expect("UTF-8")
        };
        Ok(ended.then(|| fields.iter().map(cell).collect()))
    }

    #[test]
    fn cells_are_found_with_and_without_quotes() {
        let mut splitter = Splitter::new(b',', b'"');
        for (text, expected) in [
            (",", Ok(Some(vec!["", ""]))),
            ("a,b", Ok(Some(vec!["a", "b"]))),
            ("\u{feff}a,b", Ok(Some(vec!["\u{feff}a", "b"]))),
            ("\"a\",\"b,c\"", Ok(Some(vec!["a", "b,c"]))),
            ("\"\",\"\"", Ok(Some(vec!["", ""]))),
            ("\"a\"\"b\",c", Ok(Some(vec!["a\"b", "c"]))),
            ("\"\"\"\",\"\"\"\"\"\"", Ok(Some(vec!["\"", "\"\""]))),
            ("5\" pipe,x\"\"y", Ok(Some(vec!["5\" pipe", "x\"\"y"]))),
            ("a,\"b", Ok(None)),
            ("\"", Ok(None)),
            ("a,\"b\"\"", Ok(None)),
            ("\"a\" ,b", Err(AfterQuote(1))),
            ("\"a\"b", Err(AfterQuote(1))),
            ("x,\"a\"b", Err(AfterQuote(2))),
            ("x,\"a\"b\"", Err(AfterQuote(2))),
            ("x,\"a\"b\"\",c", Err(AfterQuote(2))),
            ("x,\"\"a\"\",c", Err(AfterQuote(2))),
        ] {
            let expected = expected
                .map(|cells| cells.map(|cells| cells.into_iter().map(String::from).collect()));
            assert_eq!(cells(&mut splitter, text), expected, "{text}");
        }
    }

    #[test]
    fn a_record_may_come_line_by_line() {
        let mut splitter = Splitter::new(b',', b'"');
        let mut fields = Vec::new();
        splitter.begin();
        assert_eq!(splitter.split(b"1,\"a", &mut fields), Ok(false));
        assert_eq!(fields.len(), 1);
        assert_eq!(splitter.split(b"1,\"a\nb\"\"", &mut fields), Ok(false));
        assert_eq!(splitter.split(b"1,\"a\nb\"\"\",c", &mut fields), Ok(true));
        assert_eq!((fields.len(), splitter.cells()), (3, &b"1a\nb\"c"[..]));
    }
}
