//! A record a line.

use std::sync::Arc;

use super::cells::{Cells, Plan};
use super::config::JsonLinesConfig;
use super::scan::Scan;
use crate::raw::Raw;
use crate::sink;
use crate::{Decoded, FieldAt, FileFault, GoodRecord, RECORD_BYTES_MAX, Sink};

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct JsonLines {
    plan: Arc<Plan>,
}

impl JsonLines {
    /// Compiles a format.
    ///
    /// # Errors
    /// The first of [`JsonLinesConfig::faults`].
    pub fn new(config: &JsonLinesConfig) -> Result<Self, String> {
        if let Some((_, sentence)) = config.faults().into_iter().next() {
            return Err(sentence);
        }
        Ok(Self {
            plan: Arc::new(Plan::new(&config.fields)?),
        })
    }

    /// The same, its records called so.
    #[must_use]
    pub fn of_type(mut self, record_type: &str) -> Self {
        self.plan = Arc::new(self.plan.of_type(record_type));
        self
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are counted and not handed out.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> LinesDecoder {
        LinesDecoder {
            plan: Arc::clone(&self.plan),
            begun: false,
            line: 1,
            ordinal: 0,
            skip,
            long: Raw::default(),
            cells: Cells::default(),
            text: String::new(),
            fields: Vec::new(),
        }
    }
}

/// Decodes one file. See [`JsonLines::decoder`].
#[derive(Debug)]
pub struct LinesDecoder {
    plan: Arc<Plan>,
    begun: bool,
    line: u64,
    ordinal: u64,
    skip: u64,
    /// A line that is too long, being passed over.
    long: Raw,
    cells: Cells,
    text: String,
    fields: Vec<FieldAt>,
}

impl LinesDecoder {
    /// Decodes what it can of `window`: see [`crate::Decoder::decode`].
    ///
    /// # Errors
    /// [`FileFault`] where the file is not in UTF-8 as a whole.
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        let mut at = 0;
        if !self.begun {
            let Some(mark) = super::array::mark(window, end).map_err(FileFault)? else {
                return Ok(Decoded {
                    bytes: 0,
                    done: false,
                });
            };
            (self.begun, at) = (true, mark);
        }
        while !sink.full() {
            let rest = &window[at..];
            match memchr::memchr(b'\n', rest) {
                Some(length) => {
                    self.whole(&rest[..length], sink);
                    at += length + 1;
                }
                None if end => {
                    if !rest.is_empty() || self.long.length() > 0 {
                        self.whole(rest, sink);
                    }
                    return Ok(Decoded {
                        bytes: window.len(),
                        done: true,
                    });
                }
                None => {
                    if self.long.length() > 0 || rest.len() > RECORD_BYTES_MAX {
                        self.long.push(rest);
                        at = window.len();
                    }
                    break;
                }
            }
        }
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

    /// The line at which the next record or bad record begins, from 1, or an empty line before it.
    #[must_use]
    pub fn at_line(&self) -> u64 {
        self.line
    }

    /// Bytes already taken of a record that is too long and has not ended yet, else 0.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.long.length()
    }

    /// A line, or the rest of one that is too long.
    fn whole<S: Sink>(&mut self, rest: &[u8], sink: &mut S) {
        let line = self.line;
        self.line += 1;
        if self.long.length() > 0 || rest.len() > RECORD_BYTES_MAX {
            self.long.push(rest);
            let ordinal = self.ordinal;
            self.ordinal += 1;
            if ordinal >= self.skip {
                let reason = format!(
                    "the line is {} bytes long, at most {RECORD_BYTES_MAX} are possible",
                    self.long.length()
                );
                self.long.reject(sink, ordinal, line, &reason);
            }
            self.long.clear();
            return;
        }
        let text = rest.strip_suffix(b"\r").unwrap_or(rest);
        if text
            .iter()
            .any(|byte| !matches!(byte, b' ' | b'\t' | b'\r'))
        {
            self.record(text, line, sink);
        }
    }

    fn record<S: Sink>(&mut self, bytes: &[u8], line: u64, sink: &mut S) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal < self.skip {
            return;
        }
        let found = valid(bytes).and_then(|text| {
            let value = text.trim_matches([' ', '\t', '\r']);
            self.cells.find(&self.plan, value).map(|()| value)
        });
        match found {
            Err(reason) => sink::reject(sink, ordinal, line, &reason, bytes),
            Ok(value) => {
                self.fields.clear();
                let mut record = GoodRecord {
                    shape: &self.plan.shape,
                    ordinal,
                    line,
                    text: value,
                    raw: None,
                    fields: &[],
                };
                if S::FIELDS {
                    self.text.clear();
                    if self.cells.resolved.is_empty() {
                        self.cells.fields(&mut self.text, &mut self.fields);
                    } else {
                        self.text.push_str(value);
                        self.cells.fields(&mut self.text, &mut self.fields);
                        (record.text, record.raw) = (&self.text, Some(value.as_bytes()));
                    }
                    record.fields = &self.fields;
                }
                sink.record(&record);
            }
        }
    }
}

/// The text, if it is one JSON value.
fn valid(bytes: &[u8]) -> Result<&str, String> {
    let (mut scan, mut at) = (Scan::new(), 0);
    loop {
        match scan.next(&bytes[at..], true) {
            Ok(Some((_, length))) => at += length,
            Ok(None) => break,
            Err(wrong) => {
                let before = String::from_utf8_lossy(&bytes[..at + wrong.at])
                    .chars()
                    .count();
                return Err(format!("column {}: {}", before + 1, wrong.what));
            }
        }
    }
    Ok(std::str::from_utf8(bytes).expect("the grammar was held"))
}
