//! Finds the records of a file.

use std::sync::Arc;

use dray_adapter::Shape;

use super::XmlConfig;
use super::cells::Cells;
use super::document::{At, Document, Handler};
use super::elements::{Elements, Event};
use super::input::Input;
use super::plan::Plan;
use super::walk::unexplained;
use crate::raw::Raw;
use crate::{Decoded, FileFault, GoodRecord, RECORD_BYTES_MAX, Sink};

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct Xml {
    plan: Arc<Plan>,
    shape: Arc<Shape>,
    namespaces: Arc<[String]>,
    encoding: Option<crate::csv::Encoding>,
}

impl Xml {
    /// Compiles a format.
    ///
    /// # Errors
    /// The first of [`XmlConfig::faults`].
    pub fn new(config: &XmlConfig) -> Result<Self, String> {
        let plan = Arc::new(Plan::new(config)?);
        Ok(Self {
            plan,
            shape: Arc::new(Shape {
                record_type: String::new(),
                columns: config.fields.names(),
            }),
            namespaces: config.namespaces.values().cloned().collect(),
            encoding: config.encoding,
        })
    }

    /// The same, its records called so.
    #[must_use]
    pub fn of_type(mut self, record_type: &str) -> Self {
        self.shape = Arc::new(Shape {
            record_type: record_type.to_owned(),
            columns: self.shape.columns.clone(),
        });
        self
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are counted and not handed out.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        Decoder {
            document: Document::new(
                Input::new(self.encoding),
                Elements::new(Arc::clone(&self.namespaces)),
            ),
            records: Records {
                cells: Cells::default(),
                plan: Arc::clone(&self.plan),
                shape: Arc::clone(&self.shape),
                ordinal: 0,
                skip,
                record: None,
                raw: Raw::default(),
                bytes: Vec::new(),
            },
        }
    }
}

/// Decodes one file. See [`Xml::decoder`].
#[derive(Debug)]
pub struct Decoder {
    document: Document,
    records: Records,
}

impl Decoder {
    /// Decodes what it can of `window`: see [`crate::Decoder::decode`].
    ///
    /// # Errors
    /// [`FileFault`] where the file is not well-formed, is cut, or has a value behind records that need it.
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        self.document.decode(window, end, &mut self.records, sink)
    }

    /// The ordinal of the next record or bad record.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.records.ordinal
    }
}

/// The record at hand.
#[derive(Debug)]
struct Open {
    depth: usize,
    line: u64,
    /// Where in the text at hand it begins, or goes on.
    from: usize,
    /// Why it is a bad one.
    bad: Option<String>,
}

#[derive(Debug)]
struct Records {
    plan: Arc<Plan>,
    shape: Arc<Shape>,
    cells: Cells,
    ordinal: u64,
    skip: u64,
    record: Option<Open>,
    raw: Raw,
    bytes: Vec<u8>,
}

impl Handler for Records {
    #[inline]
    fn event<S: Sink>(
        &mut self,
        event: &Event<'_>,
        elements: &Elements,
        at: &mut At<'_>,
        sink: &mut S,
    ) -> Result<(), String> {
        match *event {
            Event::Passed => Ok(()),
            Event::Text(piece) => {
                self.cells.text(&self.plan, piece);
                Ok(())
            }
            Event::Letter(letter) => {
                self.cells.letter(&self.plan, letter);
                Ok(())
            }
            Event::Unknown(name) => self.unknown(name),
            Event::Start { tag, unknown } => {
                if self.record.is_some() {
                    self.cells.open(&self.plan, elements, tag)?;
                } else if self.plan.is_at(elements, 0) {
                    self.begin::<S>(elements, tag, at)?;
                } else {
                    self.check_root(elements)?;
                    self.cells.open(&self.plan, elements, tag)?;
                }
                unknown.map_or(Ok(()), |name| self.unknown(name))
            }
            Event::End => {
                let depth = elements.depth() + 1;
                self.cells.close(&self.plan, depth)?;
                match self.record.take_if(|record| record.depth == depth) {
                    Some(record) => {
                        self.end(&record, at, sink);
                        Ok(())
                    }
                    None => Ok(()),
                }
            }
        }
    }

    fn pause(&mut self, at: &At<'_>) {
        if let Some(record) = &mut self.record {
            at.keep(record.from, at.end, &mut self.raw, &mut self.bytes);
            record.from = 0;
        }
    }
}

impl Records {
    fn begin<S: Sink>(
        &mut self,
        elements: &Elements,
        tag: &str,
        at: &mut At<'_>,
    ) -> Result<(), String> {
        self.raw.clear();
        self.record = Some(Open {
            depth: elements.depth(),
            line: at.line(),
            from: at.start,
            bad: None,
        });
        let wanted = (S::FIELDS || self.plan.repeats) && self.ordinal >= self.skip;
        self.cells.open_record(&self.plan, elements, tag, wanted)
    }

    /// Another root than the path's is another kind of file, not one without records.
    fn check_root(&self, elements: &Elements) -> Result<(), String> {
        let first = &self.plan.record.steps[0];
        if self.plan.record.anywhere || elements.depth() > 1 {
            return Ok(());
        }
        let (namespace, name) = elements.name(1);
        if first.is(namespace, name) {
            return Ok(());
        }
        let of = if first.namespace.is_some() {
            ", or of another namespace,"
        } else {
            ""
        };
        Err(format!(
            "the root element is {name}{of} and record begins with /{}",
            first.local.as_deref().unwrap_or("*")
        ))
    }

    fn unknown(&mut self, name: &str) -> Result<(), String> {
        let what = unexplained(name);
        match &mut self.record {
            Some(record) => {
                record.bad.get_or_insert(what);
                Ok(())
            }
            None => Err(what),
        }
    }

    fn end<S: Sink>(&mut self, record: &Open, at: &At<'_>, sink: &mut S) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        let whole = at
            .bytes(record.from)
            .filter(|bytes| self.raw.length() == 0 && bytes.len() <= RECORD_BYTES_MAX);
        if whole.is_none() {
            at.keep(record.from, at.end, &mut self.raw, &mut self.bytes);
        }
        let cells = self.cells.end_record(&self.plan);
        if ordinal < self.skip {
            return;
        }
        let long = || {
            format!(
                "the record is {} bytes long, at most {RECORD_BYTES_MAX} are possible",
                self.raw.length()
            )
        };
        let bad = if self.raw.is_too_long() {
            Some(long())
        } else {
            record.bad.clone()
        };
        match cells {
            Ok((text, fields)) if bad.is_none() => sink.record(&GoodRecord {
                shape: &self.shape,
                ordinal,
                line: record.line,
                text,
                raw: Some(whole.unwrap_or(self.raw.bytes())),
                fields: if S::FIELDS { fields } else { &[] },
            }),
            other => {
                let reason = bad.or(other.err()).unwrap_or_default();
                match whole {
                    Some(bytes) => crate::sink::reject(sink, ordinal, record.line, &reason, bytes),
                    None => self.raw.reject(sink, ordinal, record.line, &reason),
                }
            }
        }
    }
}
