//! The `[flow.source.format]` table of a CSV file.

use std::collections::HashSet;

use serde::Deserialize;

use super::types::{CsvRecordConfig, TypeColumn};
use super::{COLUMNS_MAX, FOOTER_ROWS_MAX, HEADER_ROWS_MAX, SKIP_ROWS_MAX};
use crate::typed::{Otherwise, Texts};

/// How a file's lines become records.
///
/// ```toml
/// kind = "csv"
/// delimiter = "|"
/// header = true
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvConfig {
    /// One ASCII character, `,` unless said.
    #[serde(default = "comma")]
    pub delimiter: String,
    /// One ASCII character, `"` unless said; empty where the system knows no quotes.
    #[serde(default = "double_quote")]
    pub quote: String,
    /// Whether the first line names the columns. Default: yes.
    pub header: Option<bool>,
    /// The columns' names, without a header; with one: names that it must have.
    #[serde(default)]
    pub columns: Vec<String>,
    /// How text is encoded, UTF-8 unless said.
    #[serde(default)]
    pub encoding: Encoding,
    /// Lines that begin so are passed over; none unless said.
    #[serde(default)]
    pub comment: String,
    /// So many lines at the file's beginning are passed over, whatever they hold.
    #[serde(default)]
    pub skip_rows: u64,
    /// So many lines name the columns, 1 unless said: the names in a column are joined by a blank.
    pub header_rows: Option<usize>,
    /// So many lines at the file's end are passed over; empty ones and comments aside.
    #[serde(default)]
    pub footer_rows: usize,
    /// Records whose first cell is this text, or one of these, are passed over; behind them only such may follow.
    #[serde(default)]
    pub footer: Texts,
    /// What becomes of a record with too few cells.
    #[serde(default)]
    pub ragged: Ragged,
    /// Where the type of a record stands, if there are several: a column's number, from 1, or its name.
    pub type_column: Option<TypeColumn>,
    /// What becomes of a record that is of none of the types.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// The types of records.
    #[serde(default)]
    pub record: Vec<CsvRecordConfig>,
}

/// What becomes of a record with too few cells. One with too many is always a bad record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ragged {
    /// It is a bad record.
    #[default]
    Reject,
    /// The cells that it lacks are not there; but a record of several lines has all.
    Pad,
}

/// How text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Encoding {
    /// With or without a byte order mark.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// As the byte order mark says; little-endian, as Windows writes it, where there is none.
    #[serde(rename = "utf-16")]
    Utf16,
    /// Little-endian.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// Big-endian.
    #[serde(rename = "utf-16be")]
    Utf16Be,
    /// As the byte order mark says; little-endian where there is none.
    #[serde(rename = "utf-32")]
    Utf32,
    /// Little-endian.
    #[serde(rename = "utf-32le")]
    Utf32Le,
    /// Big-endian.
    #[serde(rename = "utf-32be")]
    Utf32Be,
    /// Microsoft's Western European code page. Its five undefined bytes are errors.
    #[serde(rename = "windows-1252")]
    Windows1252,
    /// Latin-1 as ISO defines it: 0x80 to 0x9F are control characters.
    #[serde(rename = "iso-8859-1")]
    Iso88591,
    /// DOS in the United States.
    #[serde(rename = "cp437")]
    Cp437,
    /// DOS in Western Europe.
    #[serde(rename = "cp850")]
    Cp850,
    /// Japanese, with Microsoft's additions (cp932).
    #[serde(rename = "shift-jis", alias = "cp932")]
    ShiftJis,
    /// Chinese; GBK and GB2312 are parts of it.
    #[serde(rename = "gb18030", alias = "gbk")]
    Gb18030,
}

impl Encoding {
    /// As it is written in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16 => "utf-16",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
            Self::Windows1252 => "windows-1252",
            Self::Iso88591 => "iso-8859-1",
            Self::Utf32 => "utf-32",
            Self::Utf32Le => "utf-32le",
            Self::Utf32Be => "utf-32be",
            Self::Cp437 => "cp437",
            Self::Cp850 => "cp850",
            Self::ShiftJis => "shift-jis",
            Self::Gb18030 => "gb18030",
        }
    }
}

impl Encoding {
    /// Bytes of a code unit.
    pub(crate) fn unit_bytes(self) -> usize {
        match self {
            Self::Utf16 | Self::Utf16Le | Self::Utf16Be => 2,
            Self::Utf32 | Self::Utf32Le | Self::Utf32Be => 4,
            _ => 1,
        }
    }
}

impl Default for CsvConfig {
    fn default() -> Self {
        Self {
            delimiter: comma(),
            quote: double_quote(),
            header: None,
            columns: Vec::new(),
            encoding: Encoding::Utf8,
            comment: String::new(),
            skip_rows: 0,
            header_rows: None,
            footer_rows: 0,
            footer: Texts::default(),
            ragged: Ragged::Reject,
            type_column: None,
            otherwise: Otherwise::Reject,
            record: Vec::new(),
        }
    }
}

impl CsvConfig {
    /// Whether the first line names the columns.
    #[must_use]
    pub fn has_header(&self) -> bool {
        self.header.unwrap_or(true)
    }

    /// What is wrong with it: the setting, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if let Err(sentence) = self.delimiter_byte() {
            faults.push(("delimiter".into(), sentence));
        }
        if let Err(sentence) = self.quote_byte() {
            faults.push(("quote".into(), sentence));
        }
        if !self.quote.is_empty() && self.quote == self.delimiter {
            faults.push(("quote".into(), "quote and delimiter are the same character; write quote = \"\" if the system knows no quotes".into()));
        }
        faults.extend(
            self.columns_fault()
                .map(|sentence| ("columns".into(), sentence)),
        );
        faults.extend(self.edge_faults());
        faults.extend(self.type_faults());
        faults
    }

    /// The first of the faults.
    ///
    /// # Errors
    /// A sentence that names the setting and the way out.
    pub fn validate(&self) -> Result<(), String> {
        self.faults()
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, sentence)| Err(sentence))
    }

    pub(super) fn delimiter_byte(&self) -> Result<u8, String> {
        let way_out = "write one ASCII character, e.g. delimiter = \"|\", or \"\\t\" for a tab";
        match self.delimiter.as_bytes() {
            [b'\n' | b'\r' | 0] => Err(format!("delimiter can't be a line end or NUL: {way_out}")),
            [byte] if byte.is_ascii() => Ok(*byte),
            _ => Err(format!(
                "delimiter = \"{}\" is not one ASCII character: {way_out}",
                self.delimiter
            )),
        }
    }

    pub(super) fn quote_byte(&self) -> Result<Option<u8>, String> {
        match self.quote.as_bytes() {
            [] => Ok(None),
            [byte] if byte.is_ascii_graphic() => Ok(Some(*byte)),
            _ => Err(format!(
                "quote = \"{}\" is not one visible ASCII character: write quote = \"\\\"\", or quote = \"\" for none",
                self.quote
            )),
        }
    }

    /// What is wrong with lines that are no records.
    fn edge_faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut add = |setting: &str, wrong: bool, sentence: &str| {
            if wrong {
                faults.push((setting.to_owned(), sentence.to_owned()));
            }
        };
        let begins_cell = |byte: &str| !byte.is_empty() && self.comment.starts_with(byte);
        add(
            "comment",
            self.comment.contains(['\n', '\r', '\0'])
                || begins_cell(&self.delimiter)
                || begins_cell(&self.quote),
            "a comment begins with other text than a line end, the delimiter or the quote, e.g. comment = \"#\"",
        );
        add(
            "skip_rows",
            self.skip_rows > SKIP_ROWS_MAX,
            &format!("at most {SKIP_ROWS_MAX} lines can be passed over"),
        );
        add(
            "header_rows",
            self.header_rows.is_some() && !self.has_header(),
            "with header = false no line names the columns; leave header_rows out, or write skip_rows for lines to pass over",
        );
        add(
            "header_rows",
            self.header_rows
                .is_some_and(|rows| !(1..=HEADER_ROWS_MAX).contains(&rows)),
            &format!(
                "from 1 to {HEADER_ROWS_MAX} lines can name the columns; write header = false if none does"
            ),
        );
        add(
            "footer_rows",
            self.footer_rows > FOOTER_ROWS_MAX,
            &format!("at most {FOOTER_ROWS_MAX} lines can be a footer"),
        );
        add(
            "footer",
            self.footer.0.iter().any(|text| text.trim().is_empty()),
            "a footer is told by a text in its first cell, e.g. footer = \"TOTAL\"; write footer_rows = 1 if it has none",
        );
        faults
    }

    fn columns_fault(&self) -> Option<String> {
        if self.columns.is_empty() && self.types_have_columns() {
            return None;
        }
        if self.columns.is_empty() {
            let sentence = "with header = false the columns need names: write columns = [\"A\", \"B\"], in their order";
            return (!self.has_header()).then(|| sentence.into());
        }
        if self.header.is_none() {
            return Some("columns are given, but is the first line data or names? Write header = false (data), or header = true (the names must be in it)".into());
        }
        names_fault(&self.columns)
    }
}

/// What is wrong with the names of columns.
pub(super) fn names_fault(columns: &[String]) -> Option<String> {
    if columns.len() > COLUMNS_MAX {
        return Some(format!(
            "{} columns are named, at most {COLUMNS_MAX} are possible",
            columns.len()
        ));
    }
    let mut seen = HashSet::new();
    for (index, name) in columns.iter().enumerate() {
        if name.trim().is_empty() {
            return Some(format!(
                "column {} has no name; name what nobody needs too, e.g. \"UNUSED_{}\"",
                index + 1,
                index + 1
            ));
        }
        if !seen.insert(name.as_str()) {
            return Some(format!(
                "column {} is called \"{name}\" like an earlier one; each needs its own name",
                index + 1
            ));
        }
    }
    None
}

fn comma() -> String {
    ",".into()
}

fn double_quote() -> String {
    "\"".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str, words: &[&str]) {
        let said = match toml::from_str::<CsvConfig>(toml) {
            Ok(config) => config.validate().err().unwrap_or_else(|| "(fine)".into()),
            Err(error) => error.to_string(),
        };
        for word in words {
            assert!(
                said.contains(word),
                "{toml}: \"{word}\" is missing in: {said}"
            );
        }
    }

    #[test]
    fn a_format_is_checked_in_words() {
        check("", &["(fine)"]);
        check(
            "delimiter = \"\\t\"\nquote = \"\"\nheader = false\ncolumns = [\"A\"]\nencoding = \"iso-8859-1\"",
            &["(fine)"],
        );
        check("header = true\ncolumns = [\"A\"]", &["(fine)"]);
        check(
            "delimiter = \"||\"",
            &["delimiter = \"||\"", "one ASCII character"],
        );
        check("delimiter = \"\"", &["delimiter = \"\""]);
        check("delimiter = \"§\"", &["one ASCII character"]);
        check("delimiter = \"\\n\"", &["line end"]);
        check(
            "quote = \"''\"",
            &["quote = \"''\"", "quote = \"\" for none"],
        );
        check("delimiter = \"'\"\nquote = \"'\"", &["the same character"]);
        check("header = false", &["columns = [\"A\", \"B\"]"]);
        check("columns = [\"A\"]", &["header = false (data)"]);
        check(
            "header = false\ncolumns = [\"A\", \" \"]",
            &["column 2 has no name", "UNUSED_2"],
        );
        check(
            "header = false\ncolumns = [\"A\", \"A\"]",
            &["column 2", "like an earlier one"],
        );
        check(
            "encoding = \"latin9\"",
            &["unknown variant `latin9`", "`iso-8859-1`"],
        );
        check(
            "delimeter = \";\"",
            &["unknown field `delimeter`", "`delimiter`"],
        );
    }
}
