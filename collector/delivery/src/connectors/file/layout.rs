//! Events as lines, and lines as a file: pure.

use std::ops::RangeInclusive;

use encoding_rs::{EncoderResult, Encoding};

use crate::config::file::{Align, FieldConfig, FileConfig, Format, LineEnd};

/// A target's files, compiled.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    format: Format,
    encoding: &'static Encoding,
    /// As XML says it.
    encoding_name: &'static str,
    /// Bytes that it writes and the one that was asked for does not have.
    bytes_refused: Option<RangeInclusive<u8>>,
    line_end: &'static str,
    separator: char,
    names: bool,
    header: String,
    trailer: String,
    root: String,
    record: String,
    fields: Vec<FieldConfig>,
}

/// What may stand in a name, a header and a trailer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) name: &'a str,
    pub(super) number: u64,
    pub(super) flow: &'a str,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) count: usize,
}

impl Facts<'_> {
    /// Numbers have as many digits as there may be, so that names sort as files came.
    pub(super) fn fill(&self, text: &str) -> String {
        let (site, flow) = self.flow.split_once('/').unwrap_or(("", self.flow));
        text.replace("{name}", self.name)
            .replace("{site}", site)
            .replace("{flow}", flow)
            .replace("{number}", &format!("{:012}", self.number))
            .replace("{first}", &self.first.to_string())
            .replace("{last}", &self.last.to_string())
            .replace("{count}", &self.count.to_string())
    }
}

impl Layout {
    pub(super) fn new(config: &FileConfig) -> Result<Self, String> {
        let encoding = Encoding::for_label(config.encoding.as_bytes())
            .ok_or_else(|| format!("file.encoding: there is no {:?}", config.encoding))?;
        let (encoding_name, bytes_refused) = as_asked(&config.encoding, encoding);
        Ok(Self {
            format: config.format,
            encoding,
            encoding_name,
            bytes_refused,
            line_end: match config.line_end {
                LineEnd::Lf => "\n",
                LineEnd::Crlf => "\r\n",
            },
            separator: config.separator,
            names: config.names,
            header: config.header.clone(),
            trailer: config.trailer.clone(),
            root: config.root.clone(),
            record: config.record.clone(),
            fields: config.fields.clone(),
        })
    }

    /// A name's end.
    pub(super) fn ending(&self) -> &'static str {
        match self.format {
            Format::Jsonl => ".jsonl",
            Format::Csv => ".csv",
            Format::Xml => ".xml",
            Format::Fixed => ".txt",
        }
    }

    /// The line of an event as it is.
    pub(super) fn plain(&self, json: &[u8]) -> Result<Vec<u8>, String> {
        self.encoded(&String::from_utf8_lossy(json), true)
    }

    /// The line of an event with these values, its end included.
    ///
    /// # Errors
    /// A sentence: a value has no place in such a file. Nothing is cut, and nothing replaced.
    pub(super) fn record(&self, values: &[Option<String>]) -> Result<Vec<u8>, String> {
        let line = match self.format {
            Format::Jsonl => self.json(values),
            Format::Csv => self.csv(values.iter().map(|value| value.as_deref().unwrap_or(""))),
            Format::Xml => self.xml(values)?,
            Format::Fixed => self.fixed(values)?,
        };
        self.encoded(&line, true)
    }

    /// The whole file.
    ///
    /// # Errors
    /// A sentence: the header or the trailer has no place in it.
    pub(super) fn file<'a>(
        &self,
        facts: Facts<'_>,
        lines: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut put = |text: &str| -> Result<(), String> {
            out.extend(self.encoded(text, true)?);
            Ok(())
        };
        if self.format == Format::Xml {
            let encoding = self.encoding_name;
            put(&format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>"))?;
            put(&format!("<{} count=\"{}\">", self.root, facts.count))?;
        }
        if !self.header.is_empty() {
            put(&facts.fill(&self.header))?;
        }
        if self.format == Format::Csv && self.names {
            put(&self.csv(self.fields.iter().map(|field| field.name.as_str())))?;
        }
        lines.for_each(|line| out.extend_from_slice(line));
        let mut put = |text: &str| -> Result<(), String> {
            out.extend(self.encoded(text, true)?);
            Ok(())
        };
        if !self.trailer.is_empty() {
            put(&facts.fill(&self.trailer))?;
        }
        if self.format == Format::Xml {
            put(&format!("</{}>", self.root))?;
        }
        Ok(out)
    }

    fn json(&self, values: &[Option<String>]) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let members: Vec<_> = self
            .fields
            .iter()
            .zip(values)
            .map(|(field, value)| {
                let value = value.as_deref().map_or("null".into(), text);
                format!("{}:{value}", text(&field.name))
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// RFC 4180: quoted where it must be.
    fn csv<'a>(&self, values: impl Iterator<Item = &'a str>) -> String {
        let quoted = |value: &str| {
            let must = value.contains([self.separator, '"', '\r', '\n'])
                || value.starts_with(' ')
                || value.ends_with(' ');
            match must {
                true => format!("\"{}\"", value.replace('"', "\"\"")),
                false => value.to_owned(),
            }
        };
        let values: Vec<_> = values.map(quoted).collect();
        values.join(&self.separator.to_string())
    }

    fn xml(&self, values: &[Option<String>]) -> Result<String, String> {
        let mut line = format!("<{}>", self.record);
        for (field, value) in self.fields.iter().zip(values) {
            let Some(value) = value else { continue };
            let name = &field.name;
            line.push_str(&format!("<{name}>"));
            for letter in value.chars() {
                match letter {
                    '<' => line.push_str("&lt;"),
                    '>' => line.push_str("&gt;"),
                    '&' => line.push_str("&amp;"),
                    '\r' => line.push_str("&#13;"),
                    '\t' | '\n' => line.push(letter),
                    letter if letter < ' ' || matches!(letter, '\u{FFFE}' | '\u{FFFF}') => {
                        return Err(format!(
                            "field {name}: it holds the character U+{:04X}, which no XML may",
                            u32::from(letter)
                        ));
                    }
                    letter => line.push(letter),
                }
            }
            line.push_str(&format!("</{name}>"));
        }
        line.push_str(&format!("</{}>", self.record));
        Ok(line)
    }

    fn fixed(&self, values: &[Option<String>]) -> Result<String, String> {
        let mut line = String::new();
        for (field, value) in self.fields.iter().zip(values) {
            let value = value.as_deref().unwrap_or("");
            let letters = value.chars().count();
            if letters > field.width || value.contains(['\r', '\n']) {
                return Err(format!(
                    "field {}: its value has {letters} letters or a line break, and there is room for {} in a line; nothing is cut",
                    field.name, field.width
                ));
            }
            let pad = std::iter::repeat_n(field.pad, field.width - letters);
            match field.align {
                Align::Left => {
                    line.push_str(value);
                    line.extend(pad);
                }
                Align::Right => {
                    line.extend(pad);
                    line.push_str(value);
                }
            }
        }
        Ok(line)
    }

    fn encoded(&self, text: &str, ends: bool) -> Result<Vec<u8>, String> {
        let mut encoder = self.encoding.new_encoder();
        let room = encoder
            .max_buffer_length_from_utf8_without_replacement(text.len() + 2)
            .ok_or("the line is too long")?;
        let mut out = Vec::with_capacity(room);
        let (result, _) = encoder.encode_from_utf8_to_vec_without_replacement(text, &mut out, true);
        if let EncoderResult::Unmappable(letter) = result {
            return Err(format!(
                "{:?} has no place in {}; nothing is replaced",
                letter, self.encoding_name
            ));
        }
        // Of these a letter is a byte.
        if let Some(refused) = &self.bytes_refused
            && let Some(at) = out.iter().position(|byte| refused.contains(byte))
        {
            return Err(format!(
                "{:?} has no place in {}; nothing is replaced",
                text.chars().nth(at).unwrap_or_default(),
                self.encoding_name
            ));
        }
        if ends {
            out.extend_from_slice(self.line_end.as_bytes());
        }
        Ok(out)
    }
}

/// WHATWG's encodings are what browsers read: of ISO 8859-1 and ASCII, Windows' superset of both. Who asks for one of these
/// gets no letter that is not in it.
fn as_asked(
    label: &str,
    encoding: &'static Encoding,
) -> (&'static str, Option<RangeInclusive<u8>>) {
    let label = label.trim().to_ascii_lowercase();
    let (above_ascii, controls) = (Some(0x80..=0xFF), Some(0x80..=0x9F));
    let is_windows = label.contains("windows") || label.contains("cp125");
    match encoding.name() {
        "windows-1252" if ["ascii", "us-ascii", "ansi_x3.4-1968"].contains(&&*label) => {
            ("US-ASCII", above_ascii)
        }
        "windows-1252" if !is_windows => ("ISO-8859-1", controls),
        "windows-1254" if !is_windows => ("ISO-8859-9", controls),
        "windows-874" if !is_windows => ("ISO-8859-11", controls),
        name => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(more: &str) -> Layout {
        let text = format!(
            "folder = \"/out\"\n{more}\n[[field]]\nname = \"sku\"\nvalue = \"key\"\nwidth = 4\n[[field]]\nname = \"qty\"\nvalue = \"offset\"\nwidth = 5\nalign = \"right\"\npad = \"0\"\n"
        );
        Layout::new(&toml::from_str(&text).expect("it parses")).expect("it compiles")
    }

    fn check(more: &str, values: &[&str; 2], expected: &str) {
        let values = values.map(|value| (!value.is_empty()).then(|| value.to_owned()));
        let layout = layout(more);
        let line = layout.record(&values).expect("it fits");
        let facts = Facts {
            name: "f",
            number: 7,
            flow: "north/moves",
            first: 1,
            last: 9,
            count: 1,
        };
        let file = layout
            .file(facts, [line.as_slice()].into_iter())
            .expect("it fits");
        assert_eq!(String::from_utf8_lossy(&file), expected, "{more}");
    }

    #[test]
    fn events_stand_in_files_of_each_format() {
        check(
            "format = \"jsonl\"",
            &["A\"1", ""],
            "{\"sku\":\"A\\\"1\",\"qty\":null}\n",
        );
        check(
            "format = \"csv\"\nseparator = \";\"\nline_end = \"crlf\"\ntrailer = \"END;{count}\"",
            &["A;\"1", "2"],
            "sku;qty\r\n\"A;\"\"1\";2\r\nEND;1\r\n",
        );
        check(
            "format = \"xml\"",
            &["<A&", "2"],
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<events count=\"1\">\n<event><sku>&lt;A&amp;</sku><qty>2</qty></event>\n</events>\n",
        );
        check(
            "format = \"fixed\"\nheader = \"H{site}{flow}{count} {number}\"",
            &["Ä", "2"],
            "Hnorthmoves1 000000000007\nÄ   00002\n",
        );
    }

    #[test]
    fn what_has_no_place_is_refused_and_neither_cut_nor_replaced() {
        let some = |text: &str| Some(text.to_owned());
        for (more, value, said) in [
            ("format = \"fixed\"", "ABCDE", "nothing is cut"),
            ("format = \"fixed\"", "A\nB", "nothing is cut"),
            ("format = \"xml\"", "A\u{1}", "U+0001"),
            (
                "format = \"csv\"\nencoding = \"windows-1252\"",
                "Ω",
                "windows-1252",
            ),
        ] {
            let refused = layout(more).record(&[some(value), None]);
            assert!(refused.expect_err(value).contains(said), "{value}");
        }
        for (encoding, value, fits) in [
            ("iso-8859-1", "ä", true),
            ("iso-8859-1", "€", false),
            ("latin1", "€", false),
            ("iso-8859-15", "€", true),
            ("iso-8859-9", "ğ", true),
            ("iso-8859-9", "€", false),
            ("us-ascii", "a", true),
            ("us-ascii", "ä", false),
            ("cp1252", "€", true),
            ("utf-8", "€", true),
        ] {
            let made = layout(&format!("format = \"csv\"\nencoding = \"{encoding}\""));
            let made = made.record(&[some(value), None]);
            assert_eq!(made.is_ok(), fits, "{value} in {encoding}: {made:?}");
        }
        check(
            "format = \"xml\"\nencoding = \"latin1\"",
            &["A", "2"],
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<events count=\"1\">\n<event><sku>A</sku><qty>2</qty></event>\n</events>\n",
        );
        let latin = layout("format = \"csv\"\nencoding = \"windows-1252\"");
        assert_eq!(
            latin.record(&[some("ä€"), None]),
            Ok(b"\xE4\x80,\n".to_vec())
        );
    }
}
