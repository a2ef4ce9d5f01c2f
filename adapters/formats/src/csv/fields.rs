//! Where the cells of a record are: the quoting rules, a piece of text at a time.

use crate::FieldAt;

/// Why a record's quotes don't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misquoted {
    /// Something stands between a closing quote and the delimiter, at this byte.
    AfterQuote(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    CellStart,
    Unquoted,
    Quoted,
    /// A quote within quotes: the end of the cell, or the first of two.
    QuoteInQuoted,
}

/// Splits text that has quotes. The text may come in pieces: each call goes on where the last ended.
#[derive(Debug)]
pub(super) struct Splitter {
    delimiter: u8,
    quote: u8,
    state: State,
    at: usize,
    cell: FieldAt,
}

impl Splitter {
    pub(super) fn new(delimiter: u8, quote: u8) -> Self {
        let cell = FieldAt {
            start: 0,
            end: 0,
            doubled: false,
        };
        Self {
            delimiter,
            quote,
            state: State::CellStart,
            at: 0,
            cell,
        }
    }

    /// Whether a quote is open where the last piece ended.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Quoted
    }

    /// Goes on to the end of `text`, which begins with what was split before.
    pub(super) fn split(
        &mut self,
        text: &[u8],
        fields: &mut Vec<FieldAt>,
    ) -> Result<(), Misquoted> {
        while self.at < text.len() {
            match self.state {
                State::CellStart if text[self.at] == self.quote => {
                    self.state = State::Quoted;
                    self.cell = FieldAt {
                        start: self.at as u32 + 1,
                        end: 0,
                        doubled: false,
                    };
                }
                State::CellStart if text[self.at] != self.delimiter => {
                    self.cell = FieldAt {
                        start: self.at as u32,
                        end: 0,
                        doubled: false,
                    };
                    self.state = State::Unquoted;
                }
                State::CellStart => fields.push(FieldAt {
                    start: self.at as u32,
                    end: self.at as u32,
                    doubled: false,
                }),
                State::Unquoted => {
                    let rest = &text[self.at..];
                    let Some(found) = memchr::memchr(self.delimiter, rest) else {
                        self.at = text.len();
                        break;
                    };
                    self.at += found;
                    self.end_cell(self.at, fields);
                }
                State::Quoted => {
                    let rest = &text[self.at..];
                    let Some(found) = memchr::memchr(self.quote, rest) else {
                        self.at = text.len();
                        break;
                    };
                    self.at += found;
                    self.state = State::QuoteInQuoted;
                }
                State::QuoteInQuoted if text[self.at] == self.quote => {
                    self.cell.doubled = true;
                    self.state = State::Quoted;
                }
                State::QuoteInQuoted if text[self.at] == self.delimiter => {
                    self.end_cell(self.at - 1, fields)
                }
                State::QuoteInQuoted => return Err(Misquoted::AfterQuote(self.at)),
            }
            self.at += 1;
        }
        Ok(())
    }

    /// The record ends here; no quote is open.
    pub(super) fn end(&mut self, fields: &mut Vec<FieldAt>) {
        match self.state {
            State::CellStart => fields.push(FieldAt {
                start: self.at as u32,
                end: self.at as u32,
                doubled: false,
            }),
            State::QuoteInQuoted => self.end_cell(self.at - 1, fields),
            State::Unquoted | State::Quoted => self.end_cell(self.at, fields),
        }
    }

    fn end_cell(&mut self, end: usize, fields: &mut Vec<FieldAt>) {
        self.cell.end = end as u32;
        fields.push(self.cell);
        self.state = State::CellStart;
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
            doubled: false,
        });
        start = at as u32 + 1;
    }
    fields.push(FieldAt {
        start,
        end: text.len() as u32,
        doubled: false,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Result<Vec<&str>, Misquoted> {
        let mut fields = Vec::new();
        let mut splitter = Splitter::new(b',', b'"');
        splitter.split(text.as_bytes(), &mut fields)?;
        splitter.end(&mut fields);
        Ok(fields
            .iter()
            .map(|field| &text[field.start as usize..field.end as usize])
            .collect())
    }

    #[test]
    fn cells_are_found_with_and_without_quotes() {
        for (text, expected) in [
            ("", Ok(vec![""])),
            (",", Ok(vec!["", ""])),
            ("a,b", Ok(vec!["a", "b"])),
            ("\"a\",\"b,c\"", Ok(vec!["a", "b,c"])),
            ("\"\",\"\"", Ok(vec!["", ""])),
            ("\"a\"\"b\",c", Ok(vec!["a\"\"b", "c"])),
            ("5\" pipe,x\"\"y", Ok(vec!["5\" pipe", "x\"\"y"])),
            ("\"a\" ,b", Err(Misquoted::AfterQuote(3))),
            ("x,\"a\"b", Err(Misquoted::AfterQuote(5))),
        ] {
            assert_eq!(cells(text), expected, "{text}");
            if !text.contains('"') {
                let mut plain = Vec::new();
                split_plain(text.as_bytes(), b',', &mut plain);
                assert_eq!(plain.len(), expected.expect("it is plain").len(), "{text}");
            }
        }
    }
}
