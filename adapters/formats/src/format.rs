//! All formats under one name: what a source configures, compiles and decodes with.
//!
//! A new format is a file of its own, and one line in each of the three enums here.

use std::path::Path;

use serde::Deserialize;

use crate::cobol::{self, Copybook, CopybookConfig};
use crate::csv::{self, Csv, CsvConfig};
use crate::edi::{Acknowledged, EdiConfig, Receipt};
use crate::edifact::{self, Edifact};
use crate::fixed::{self, Fixed, FixedConfig};
use crate::idoc::{self, Idoc, IdocConfig};
use crate::json::{self, Json, JsonConfig, JsonLines, JsonLinesConfig};
use crate::x12::{self, X12};
use crate::xlsx::{self, Xlsx, XlsxConfig};
use crate::xml::{self, Xml, XmlConfig};
use crate::{Account, FileFault, Sink};

/// The `[flow.source.format]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FormatConfig {
    /// Lines of cells.
    Csv(CsvConfig),
    /// Lines whose fields stand at fixed columns.
    Fixed(FixedConfig),
    /// What a COBOL copybook describes.
    Copybook(CopybookConfig),
    /// ANSI X12.
    X12(EdiConfig),
    /// UN/EDIFACT.
    Edifact(EdiConfig),
    /// Elements found by a path.
    Xml(XmlConfig),
    /// Elements of an array.
    Json(JsonConfig),
    /// A record a line.
    JsonLines(JsonLinesConfig),
    /// IDocs, flat or as XML.
    Idoc(IdocConfig),
    /// Rows of a workbook's sheet.
    Xlsx(XlsxConfig),
}

impl FormatConfig {
    /// What is wrong with it: the setting's path within the table, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        match self {
            Self::Csv(config) => config.faults(),
            Self::Fixed(config) => config.faults(),
            Self::Copybook(config) => config.faults(),
            Self::X12(config) => X12::faults(config),
            Self::Edifact(config) => Edifact::faults(config),
            Self::Xml(config) => config.faults(),
            Self::Json(config) => config.faults(),
            Self::JsonLines(config) => config.faults(),
            Self::Idoc(config) => config.faults(),
            Self::Xlsx(config) => config.faults(),
        }
    }

    /// The path that finds a column's cells; `None` where none does.
    #[must_use]
    pub fn path(&self, column: &str) -> Option<&str> {
        match self {
            Self::Xml(config) => config.fields.get(column).map(|field| field.path.as_str()),
            Self::Json(config) => config.fields.get(column).map(String::as_str),
            Self::JsonLines(config) => config.fields.get(column).map(String::as_str),
            _ => None,
        }
    }

    /// How its files are acknowledged; `None` where nobody waits for that.
    #[must_use]
    pub fn acknowledged(&self) -> Option<Acknowledged> {
        match self {
            Self::X12(_) => Some(Acknowledged::By997),
            Self::Edifact(_) => Some(Acknowledged::ByContrl),
            _ => None,
        }
    }
}

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub enum Format {
    /// Lines of cells.
    Csv(Csv),
    /// Lines whose fields stand at fixed columns.
    Fixed(Fixed),
    /// What a COBOL copybook describes.
    Copybook(Copybook),
    /// ANSI X12.
    X12(X12),
    /// UN/EDIFACT.
    Edifact(Edifact),
    /// Elements found by a path.
    Xml(Xml),
    /// Elements of an array.
    Json(Json),
    /// A record a line.
    JsonLines(JsonLines),
    /// IDocs, flat or as XML.
    Idoc(Idoc),
    /// Rows of a workbook's sheet.
    Xlsx(Xlsx),
}

impl Format {
    /// Compiles a format. `read` reads the texts that its configuration names by their paths, or says in a sentence why it can't: this
    /// crate knows no files.
    ///
    /// # Errors
    /// The first of [`FormatConfig::faults`], or what is wrong with such a text.
    pub fn new(
        config: &FormatConfig,
        read: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<Self, String> {
        Ok(match config {
            FormatConfig::Csv(config) => Self::Csv(Csv::new(config)?),
            FormatConfig::Fixed(config) => Self::Fixed(Fixed::new(config)?),
            FormatConfig::Copybook(config) => Self::Copybook(Copybook::new(config, read)?),
            FormatConfig::X12(config) => Self::X12(X12::new(config)?),
            FormatConfig::Edifact(config) => Self::Edifact(Edifact::new(config)?),
            FormatConfig::Xml(config) => Self::Xml(Xml::new(config)?),
            FormatConfig::Json(config) => Self::Json(Json::new(config)?),
            FormatConfig::JsonLines(config) => Self::JsonLines(JsonLines::new(config)?),
            FormatConfig::Idoc(config) => Self::Idoc(Idoc::new(config)?),
            FormatConfig::Xlsx(config) => Self::Xlsx(Xlsx::new(config)?),
        })
    }

    /// The same, its records called so, where they have no type of their own: those of XML and JSON.
    #[must_use]
    pub fn of_type(self, record_type: &str) -> Self {
        match self {
            Self::Xml(xml) => Self::Xml(xml.of_type(record_type)),
            Self::Json(json) => Self::Json(json.of_type(record_type)),
            Self::JsonLines(lines) => Self::JsonLines(lines.of_type(record_type)),
            own => own,
        }
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are
    /// counted and not handed out: so a file is read on where an append ended.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        match self {
            Self::Csv(csv) => Decoder::Csv(Box::new(csv.decoder(skip))),
            Self::Fixed(fixed) => Decoder::Fixed(Box::new(fixed.decoder(skip))),
            Self::Copybook(copybook) => Decoder::Copybook(Box::new(copybook.decoder(skip))),
            Self::X12(x12) => Decoder::X12(Box::new(x12.decoder(skip))),
            Self::Edifact(edifact) => Decoder::Edifact(Box::new(edifact.decoder(skip))),
            Self::Xml(xml) => Decoder::Xml(Box::new(xml.decoder(skip))),
            Self::Json(json) => Decoder::Json(Box::new(json.decoder(skip))),
            Self::JsonLines(lines) => Decoder::JsonLines(Box::new(lines.decoder(skip))),
            Self::Idoc(idoc) => Decoder::Idoc(Box::new(idoc.decoder(skip))),
            Self::Xlsx(xlsx) => Decoder::Xlsx(Box::new(xlsx.decoder(skip))),
        }
    }

    /// Whether its files are zip archives by themselves.
    pub(crate) fn is_zip(&self) -> bool {
        matches!(self, Self::Xlsx(_))
    }

    /// Keeps the names of a decoder's file, so that the next file with the same names shares them
    /// and nobody has to resolve them again.
    pub fn remember(&mut self, decoder: &Decoder) {
        match (self, decoder) {
            (Self::Csv(csv), Decoder::Csv(decoder)) => csv.remember(decoder),
            (Self::Xlsx(xlsx), Decoder::Xlsx(decoder)) => xlsx.remember(decoder),
            // The names of other formats are those of their configuration.
            _ => {}
        }
    }
}

/// How far a window was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes that are done: take them from the window.
    pub bytes: usize,
    /// Whether the file is done. Only ever with `end`.
    pub done: bool,
}

/// Decodes one file. See [`Format::decoder`].
#[derive(Debug)]
pub enum Decoder {
    /// Lines of cells.
    Csv(Box<csv::Decoder>),
    /// Lines whose fields stand at fixed columns.
    Fixed(Box<fixed::Decoder>),
    /// What a COBOL copybook describes.
    Copybook(Box<cobol::Decoder>),
    /// ANSI X12.
    X12(Box<x12::Decoder>),
    /// UN/EDIFACT.
    Edifact(Box<edifact::Decoder>),
    /// Elements found by a path.
    Xml(Box<xml::Decoder>),
    /// Elements of an array.
    Json(Box<json::Decoder>),
    /// A record a line.
    JsonLines(Box<json::LinesDecoder>),
    /// IDocs, flat or as XML.
    Idoc(Box<idoc::Decoder>),
    /// Rows of a workbook's sheet.
    Xlsx(Box<xlsx::Decoder>),
}

impl Decoder {
    /// Decodes what it can of `window`, which begins with what the call before left; `end`: nothing
    /// follows. Stops early when `sink` is full. Takes at least something of a window of
    /// [`crate::WINDOW_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`FileFault`] where the whole file can't be read, or what it says of itself does not hold.
    #[inline]
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        match self {
            Self::Csv(decoder) => decoder.decode(window, end, sink),
            Self::Fixed(decoder) => decoder.decode(window, end, sink),
            Self::Copybook(decoder) => decoder.decode(window, end, sink),
            Self::X12(decoder) => decoder.decode(window, end, sink),
            Self::Edifact(decoder) => decoder.decode(window, end, sink),
            Self::Xml(decoder) => decoder.decode(window, end, sink),
            Self::Json(decoder) => decoder.decode(window, end, sink),
            Self::JsonLines(decoder) => decoder.decode(window, end, sink),
            Self::Idoc(decoder) => decoder.decode(window, end, sink),
            Self::Xlsx(decoder) => decoder.decode(window, end, sink),
        }
    }

    /// The ordinal of the next record or bad record.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        match self {
            Self::Csv(decoder) => decoder.ordinal(),
            Self::Fixed(decoder) => decoder.ordinal(),
            Self::Copybook(decoder) => decoder.ordinal(),
            Self::X12(decoder) => decoder.ordinal(),
            Self::Edifact(decoder) => decoder.ordinal(),
            Self::Xml(decoder) => decoder.ordinal(),
            Self::Json(decoder) => decoder.ordinal(),
            Self::JsonLines(decoder) => decoder.ordinal(),
            Self::Idoc(decoder) => decoder.ordinal(),
            Self::Xlsx(decoder) => decoder.ordinal(),
        }
    }

    /// What the file says of itself, as far as it was read: for its report, the watch over sequences and that over documents that
    /// come again.
    #[must_use]
    pub fn account(&self) -> Account {
        match self {
            Self::Csv(decoder) => Account::of_types(decoder.tracker()),
            Self::Fixed(decoder) => Account::of_types(Some(decoder.tracker())),
            Self::Copybook(decoder) => Account::of_types(Some(decoder.tracker())),
            Self::X12(decoder) => decoder.account(),
            Self::Edifact(decoder) => decoder.account(),
            Self::Idoc(decoder) => Account::of_documents(decoder.documents()),
            Self::Xml(_) | Self::Json(_) | Self::JsonLines(_) | Self::Xlsx(_) => Account::default(),
        }
    }

    /// The line at which the next record begins, from 1; 0 where records are not lines.
    #[must_use]
    pub fn at_line(&self) -> u64 {
        match self {
            Self::Csv(decoder) => decoder.at_line(),
            Self::Fixed(decoder) => decoder.at_line(),
            Self::JsonLines(decoder) => decoder.at_line(),
            _ => 0,
        }
    }

    /// Bytes already taken of a record that has not ended yet. Where records are lines that is one which is too long, so
    /// that a file can be read on at the bytes taken less these; 0 for all other formats.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        match self {
            Self::Csv(decoder) => decoder.held_bytes(),
            Self::Fixed(decoder) => decoder.held_bytes(),
            Self::JsonLines(decoder) => decoder.held_bytes(),
            _ => 0,
        }
    }

    /// The interchanges and documents that were read so far, for acknowledgements and the watch over sequences; of EDI alone.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::X12(decoder) => Some(decoder.receipt()),
            Self::Edifact(decoder) => Some(decoder.receipt()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_documentation_are_good() {
        let page = concat!(
            include_str!("../../../docs/files.md"),
            include_str!("../../../docs/formats.md")
        );
        let blocks = page.split("```toml\n").skip(1);
        let blocks = blocks.filter_map(|rest| rest.split("```").next());
        // A format alone, or as a flow has it.
        let format = |block: &str| match block.contains("[flow.source.format]") {
            true => {
                let flow: toml::Table = toml::from_str(block).expect(block);
                let format = flow["flow"]["source"]["format"].clone();
                Some(format.try_into().expect(block))
            }
            false if block.starts_with("kind = ") => Some(toml::from_str(block).expect(block)),
            false => None,
        };
        let examples: Vec<FormatConfig> = blocks.filter_map(format).collect();
        for config in &examples {
            assert_eq!(config.faults(), [], "{config:?}");
            let copybook = "       01  STOCK.\n           05  SKU PIC X(8).\n";
            Format::new(config, &|_| Ok(copybook.into())).expect("a good format");
        }
        assert!(examples.len() >= 6, "{}", examples.len());
    }
}
