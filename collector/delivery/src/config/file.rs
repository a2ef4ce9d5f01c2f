//! `[target.file]`: files in a folder.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use encoding_rs::Encoding;
use serde::Deserialize;

use super::sftp::SftpConfig;

/// Bytes in a file, at most.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Events in a file, at most.
pub const FILE_EVENTS_MAX: usize = 1_000_000;
/// How long a file may wait for more events.
pub const EVERY_MAX: Duration = Duration::from_secs(600);
/// Letters of a field in a file of fixed width, at most.
pub const WIDTH_MAX: usize = 10_000;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Where finished files appear; with `sftp`, where they are made.
    pub folder: PathBuf,
    /// The server where they go.
    pub sftp: Option<SftpConfig>,
    /// What stands in them.
    pub format: Format,
    /// A file's name without its ending: `{number}` must stand in it, which grows by one a file; `{site}`, `{flow}`, `{first}`, `{last}` (offsets) and `{count}` may.
    #[serde(default = "default_name")]
    pub name: String,
    /// How long a file waits for more events; zero: each delivery is one.
    #[serde(default, with = "humantime_serde")]
    pub every: Duration,
    /// A file of so many events is closed.
    #[serde(default = "default_events_max")]
    pub events_max: usize,
    /// A file of so many bytes is closed.
    #[serde(default = "default_bytes_max")]
    pub bytes_max: ByteSize,
    /// As WHATWG names it: `utf-8`, `windows-1252`, ...
    #[serde(default = "default_encoding")]
    pub encoding: String,
    /// Between lines.
    #[serde(default)]
    pub line_end: LineEnd,
    /// CSV: between fields.
    #[serde(default = "default_separator")]
    pub separator: char,
    /// CSV: whether the first line has the fields' names.
    #[serde(default = "default_names")]
    pub names: bool,
    /// A line before all: `{name}` and all that the name may hold may stand in it.
    #[serde(default)]
    pub header: String,
    /// The same after all.
    #[serde(default)]
    pub trailer: String,
    /// XML: the outermost element.
    #[serde(default = "default_root")]
    pub root: String,
    /// XML: an event's element.
    #[serde(default = "default_record")]
    pub record: String,
    /// In the order of the file. JSON lines: none is the default JSON.
    #[serde(default, rename = "field")]
    pub fields: Vec<FieldConfig>,
}

/// What stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON object a line.
    Jsonl,
    /// RFC 4180.
    Csv,
    /// An element an event.
    Xml,
    /// Fields of fixed width.
    Fixed,
}

/// Between lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineEnd {
    /// Line feed.
    #[default]
    Lf,
    /// Carriage return and line feed.
    Crlf,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldConfig {
    /// Its name: CSV's first line, XML's element, JSON's member.
    pub name: String,
    /// A dotted name of the default JSON, or a template.
    pub value: String,
    /// Fixed width: how many letters.
    #[serde(default)]
    pub width: usize,
    /// Fixed width: where the value stands.
    #[serde(default)]
    pub align: Align,
    /// Fixed width: what fills the rest.
    #[serde(default = "default_pad")]
    pub pad: char,
}

/// Where a value stands in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Align {
    /// At its beginning.
    #[default]
    Left,
    /// At its end.
    Right,
}

fn default_name() -> String {
    "{site}-{flow}-{number}".into()
}

fn default_events_max() -> usize {
    10_000
}

fn default_bytes_max() -> ByteSize {
    ByteSize::mib(16)
}

fn default_encoding() -> String {
    "utf-8".into()
}

fn default_separator() -> char {
    ','
}

fn default_names() -> bool {
    true
}

fn default_root() -> String {
    "events".into()
}

fn default_record() -> String {
    "event".into()
}

fn default_pad() -> char {
    ' '
}

impl FileConfig {
    /// What is wrong, a sentence each.
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if !self.folder.is_absolute() {
            wrong.push("file.folder: write its path from the root".into());
        }
        if !self.name.contains("{number}") {
            wrong.push(
                "file.name: {number} must stand in it, so that no file has the name of another"
                    .into(),
            );
        }
        if self.name.starts_with('.') || self.name.contains(['/', '\0']) {
            wrong.push("file.name: it begins with a dot or holds a \"/\"".into());
        }
        if self.every > EVERY_MAX {
            wrong.push("file.every: write at most \"10m\"".into());
        }
        if !(1..=FILE_EVENTS_MAX).contains(&self.events_max) {
            wrong.push(format!("file.events_max: write 1 to {FILE_EVENTS_MAX}"));
        }
        if !(1024..=FILE_BYTES_MAX).contains(&self.bytes_max.as_u64()) {
            wrong.push(format!(
                "file.bytes_max: write \"1KiB\" to \"{}\"",
                ByteSize(FILE_BYTES_MAX)
            ));
        }
        match Encoding::for_label(self.encoding.as_bytes()) {
            // It decodes these, and writes UTF-8 instead.
            Some(known) if known.output_encoding() == known => {}
            _ => wrong.push(format!(
                "file.encoding: {:?} is none that can be written; there are e.g. utf-8, windows-1252, iso-8859-15",
                self.encoding
            )),
        }
        if matches!(self.separator, '"' | '\r' | '\n') {
            wrong.push("file.separator: a quote or a line break cannot separate".into());
        }
        if let Some(sftp) = &self.sftp {
            sftp.check(wrong);
        }
        self.check_fields(wrong);
    }

    fn check_fields(&self, wrong: &mut Vec<String>) {
        if self.fields.is_empty() && self.format != Format::Jsonl {
            wrong.push("file.field: write a [[target.file.field]] for each field".into());
        }
        for field in &self.fields {
            let fits = (1..=WIDTH_MAX).contains(&field.width);
            if (self.format == Format::Fixed) != fits {
                wrong.push(format!(
                    "file.field {}: a width (1 to {WIDTH_MAX}) belongs to format = \"fixed\", and only there",
                    field.name
                ));
            }
        }
        if self.format == Format::Xml {
            let names = self.fields.iter().map(|field| &field.name);
            for name in names.chain([&self.root, &self.record]) {
                if !is_element(name) {
                    wrong.push(format!("file: {name:?} is no name of an XML element"));
                }
            }
        }
    }
}

/// Of the names that XML allows, those that every reader does.
fn is_element(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(more: &str, expected: &[&str]) {
        let text = format!("folder = \"/out\"\n{more}");
        let config: FileConfig = toml::from_str(&text).expect("it parses");
        let mut wrong = Vec::new();
        config.check(&mut wrong);
        assert_eq!(wrong.len(), expected.len(), "{more}: {wrong:?}");
        for (sentence, begin) in wrong.iter().zip(expected) {
            assert!(sentence.starts_with(begin), "{sentence}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence_that_names_the_setting() {
        check("format = \"jsonl\"", &[]);
        check("format = \"csv\"", &["file.field"]);
        check("format = \"jsonl\"\nname = \"{flow}\"", &["file.name"]);
        check(
            "format = \"jsonl\"\nencoding = \"utf-16le\"",
            &["file.encoding"],
        );
        check(
            "format = \"jsonl\"\nencoding = \"ebcdic\"",
            &["file.encoding"],
        );
        check("format = \"jsonl\"\nevery = \"1h\"", &["file.every"]);
        check(
            "format = \"jsonl\"\nbytes_max = \"1B\"",
            &["file.bytes_max"],
        );
        let field = "[[field]]\nname = \"a b\"\nvalue = \"key\"\n";
        check(&format!("format = \"xml\"\n{field}"), &["file: \"a b\""]);
        check(&format!("format = \"fixed\"\n{field}"), &["file.field a b"]);
    }
}
