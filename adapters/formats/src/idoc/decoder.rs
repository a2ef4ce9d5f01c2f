//! Tells flat files and XML apart, and decodes either.

use std::sync::Arc;

use super::config::IdocConfig;
use super::flat::Flat;
use super::hold::Hold;
use super::plan::Plan;
use super::tree::Tree;
use crate::csv::Encoding;
use crate::xml::{Document, Elements, Input};
use crate::{Decoded, FileFault, Sink};

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct Idoc {
    plan: Arc<Plan>,
    encoding: Option<Encoding>,
}

impl Idoc {
    /// Compiles a format.
    ///
    /// # Errors
    /// The first of [`IdocConfig::faults`].
    pub fn new(config: &IdocConfig) -> Result<Self, String> {
        Ok(Self {
            plan: Arc::new(Plan::new(config)?),
            encoding: config.encoding,
        })
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are counted and not handed out.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        Decoder {
            plan: Arc::clone(&self.plan),
            encoding: self.encoding,
            skip,
            form: Form::Unknown,
        }
    }
}

#[derive(Debug)]
enum Form {
    Unknown,
    Flat(Box<(Flat, Hold)>),
    Xml(Box<(Document, Tree)>),
}

/// Decodes one file. See [`Idoc::decoder`].
#[derive(Debug)]
pub struct Decoder {
    plan: Arc<Plan>,
    skip: u64,
    encoding: Option<Encoding>,
    form: Form,
}

impl Decoder {
    /// Decodes what it can of `window`: see [`crate::Decoder::decode`].
    ///
    /// # Errors
    /// [`FileFault`] where a flat file does not begin with a control record, or XML is not well-formed or holds something other than IDocs.
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        if let Form::Unknown = self.form {
            let Some(is_xml) = is_xml(window, end) else {
                return Ok(Decoded {
                    bytes: 0,
                    done: false,
                });
            };
            self.choose(is_xml);
        }
        match &mut self.form {
            Form::Unknown => Ok(Decoded {
                bytes: 0,
                done: false,
            }),
            Form::Flat(flat) => {
                let (flat, hold) = &mut **flat;
                if !hold.hand_out(sink) {
                    return Ok(Decoded {
                        bytes: 0,
                        done: false,
                    });
                }
                flat.decode(window, end, hold, sink)
            }
            Form::Xml(xml) => {
                let (document, tree) = &mut **xml;
                if !tree.hold.hand_out(sink) {
                    return Ok(Decoded {
                        bytes: 0,
                        done: false,
                    });
                }
                document.decode(window, end, tree, sink)
            }
        }
    }

    fn choose(&mut self, is_xml: bool) {
        let hold = Hold::new(Arc::clone(&self.plan), self.skip);
        self.form = if is_xml {
            let document = Document::new(Input::new(self.encoding), Elements::new(Arc::from([])));
            Form::Xml(Box::new((document, Tree::new(hold))))
        } else {
            Form::Flat(Box::new((
                Flat::new(self.encoding.unwrap_or_default()),
                hold,
            )))
        };
    }

    /// The DOCNUMs of the file's IDocs so far, in their order, bad ones too; the first [`super::DOCUMENTS_MAX`].
    #[must_use]
    pub fn documents(&self) -> &[String] {
        match &self.form {
            Form::Unknown => &[],
            Form::Flat(flat) => &flat.1.documents,
            Form::Xml(xml) => &xml.1.hold.documents,
        }
    }

    /// The ordinal of the next record or bad record.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        match &self.form {
            Form::Unknown => 0,
            Form::Flat(flat) => flat.1.ordinal,
            Form::Xml(xml) => xml.1.hold.ordinal,
        }
    }
}

/// Whether a file is XML: its first character is `<`. `None`: more bytes are needed.
fn is_xml(window: &[u8], end: bool) -> Option<bool> {
    if window.len() < 4 && !end {
        return None;
    }
    let before = |byte: &u8| {
        matches!(
            byte,
            b' ' | b'\t' | b'\r' | b'\n' | 0 | 0xEF | 0xBB | 0xBF | 0xFE | 0xFF
        )
    };
    match window.iter().find(|byte| !before(byte)) {
        Some(first) => Some(*first == b'<'),
        None if end || window.len() > super::LINE_BYTES_MAX => Some(false),
        None => None,
    }
}
