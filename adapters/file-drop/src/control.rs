//! What a companion says of its file, and whether it holds. Pure.

use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};

use crate::signs::DoneConfig;

/// Bytes of a companion that are looked at.
pub(crate) const CONTROL_BYTES_MAX: u64 = 64 * 1024;
/// Characters of a value that a sentence shows.
const SHOWN_MAX: usize = 80;

/// Where the values stand in a companion, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    values: Vec<(Value, Regex)>,
}

/// A value that a companion may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Records,
    Bytes,
    Sha256,
    Md5,
}

/// What a companion says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    companion: String,
    values: Vec<(Value, Option<String>)>,
}

/// What a file is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Records, bad ones among them.
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) md5: Option<[u8; 16]>,
}

/// A setting's expression, compiled: `^` and `$` mean lines, `\d` means 0 to 9.
///
/// # Errors
/// A sentence.
pub(crate) fn expression(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text)
        .unicode(false)
        .multi_line(true)
        .crlf(true)
        .build();
    built.map_err(|error| {
        let lines = error.to_string();
        let reason = lines.lines().last().unwrap_or_default().trim();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        format!("\"{text}\" is no regular expression: {reason}")
    })
}

impl Control {
    /// `None`: nothing is asked of the companion but to be there.
    ///
    /// # Errors
    /// The setting below `done`, and a sentence.
    pub(crate) fn new(config: &DoneConfig) -> Result<Option<Self>, (&'static str, String)> {
        let mut values = Vec::new();
        for (value, text) in [
            (Value::Records, &config.records),
            (Value::Bytes, &config.bytes),
            (Value::Sha256, &config.sha256),
            (Value::Md5, &config.md5),
        ] {
            let Some(text) = text else { continue };
            let regex = expression(text).map_err(|reason| (value.setting(), reason))?;
            if regex.captures_len() != 2 {
                let reason = format!(
                    "\"{text}\" has {} groups; put the value, and only it, in round brackets: e.g. {}",
                    regex.captures_len() - 1,
                    value.example()
                );
                return Err((value.setting(), reason));
            }
            values.push((value, regex));
        }
        Ok((!values.is_empty()).then_some(Self { values }))
    }

    /// What a companion of this name and with these first bytes says.
    pub(crate) fn read(&self, companion: &str, bytes: &[u8]) -> Said {
        let text = text(bytes);
        let found = |regex: &Regex| {
            let group = regex.captures(&text)?.get(1)?;
            Some(String::from_utf8_lossy(group.as_bytes()).trim().to_owned())
        };
        Said {
            companion: companion.to_owned(),
            values: self
                .values
                .iter()
                .map(|(value, regex)| (*value, found(regex)))
                .collect(),
        }
    }
}

impl Said {
    pub(crate) fn asks_md5(&self) -> bool {
        self.values.iter().any(|(value, _)| *value == Value::Md5)
    }

    /// What does not hold, as a sentence; `None`: all of it does.
    pub(crate) fn differs(&self, file: &Measured) -> Option<String> {
        let companion = &self.companion;
        let mut differences = String::new();
        for (value, said) in &self.values {
            let setting = value.setting();
            let Some(said) = said else {
                add(
                    &mut differences,
                    format!(
                        "its companion {companion} does not hold what done.{setting} looks for"
                    ),
                );
                continue;
            };
            let is = value.of(file);
            let holds = match value {
                Value::Records | Value::Bytes => said.parse() == Ok(value.number(file)),
                Value::Sha256 | Value::Md5 => said.eq_ignore_ascii_case(&is),
            };
            if !holds {
                let said: String = said.chars().take(SHOWN_MAX).collect();
                add(
                    &mut differences,
                    format!("its companion {companion} says {}", value.both(&said, &is)),
                );
            }
        }
        (!differences.is_empty()).then_some(differences)
    }
}

fn add(sentence: &mut String, more: String) {
    let and = if sentence.is_empty() { "" } else { ", and " };
    // Writing to a text cannot fail.
    let _ = write!(sentence, "{and}{more}");
}

impl Value {
    fn setting(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Bytes => "bytes",
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Records => "'COUNT=(\\d+)'",
            Self::Bytes => "'SIZE=(\\d+)'",
            Self::Sha256 => "'^([0-9a-f]{64})'",
            Self::Md5 => "'^([0-9a-f]{32})'",
        }
    }

    fn number(self, file: &Measured) -> u64 {
        match self {
            Self::Records => file.records,
            Self::Bytes | Self::Sha256 | Self::Md5 => file.bytes,
        }
    }

    fn of(self, file: &Measured) -> String {
        match self {
            Self::Records | Self::Bytes => self.number(file).to_string(),
            Self::Sha256 => hex::encode(file.sha256),
            Self::Md5 => file.md5.map(hex::encode).unwrap_or_default(),
        }
    }

    fn both(self, said: &str, is: &str) -> String {
        match self {
            Self::Records => format!("{said} records, the file has {is}"),
            Self::Bytes => format!("{said} bytes, the file has {is}"),
            Self::Sha256 => format!("SHA-256 {said}, the file has {is}"),
            Self::Md5 => format!("MD5 {said}, the file has {is}"),
        }
    }
}

/// UTF-16 as Windows writes it becomes UTF-8; anything else is what it is.
fn text(bytes: &[u8]) -> Vec<u8> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xFF, 0xFE, ..] => u16::from_le_bytes,
        [0xFE, 0xFF, ..] => u16::from_be_bytes,
        _ => {
            return bytes
                .strip_prefix(b"\xEF\xBB\xBF")
                .unwrap_or(bytes)
                .to_vec();
        }
    };
    let units: Vec<u16> = bytes[2..]
        .chunks_exact(2)
        .map(|pair| unit([pair[0], pair[1]]))
        .collect();
    String::from_utf16_lossy(&units).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Measured = Measured {
        records: 12,
        bytes: 148,
        sha256: [0xAB; 32],
        md5: Some([0xCD; 16]),
    };

    fn config(settings: &str) -> DoneConfig {
        let text = format!("name = \"{{name}}.done\"\n{settings}");
        toml::from_str(&text).expect(settings)
    }

    fn check(settings: &str, companion: &[u8], expected: Option<&str>) {
        let control = Control::new(&config(settings)).expect(settings);
        let said = control.expect("values").read("a.done", companion);
        let differs = said.differs(&FILE);
        assert_eq!(differs.as_deref(), expected, "{settings}");
    }

    #[test]
    fn what_a_companion_says_is_held_to_the_file() {
        let hashes = "sha256 = '^([0-9A-Fa-f]{64})'\nmd5 = 'MD5: (\\S+)'";
        let good = format!("{} a.txt\r\nMD5: {}\r\n", "AB".repeat(32), "cd".repeat(16));
        check(hashes, good.as_bytes(), None);
        let both = "records = 'COUNT=\\s*(\\d+)'\nbytes = '^SIZE=(\\d+)$'";
        check(both, b"COUNT= 0012\r\nSIZE=148\r\n", None);
        check(both, b"\xEF\xBB\xBFSIZE=148\nCOUNT=12", None);
        check(
            both,
            b"COUNT=13\nSIZE=147\n",
            Some(
                "its companion a.done says 13 records, the file has 12, and its companion a.done says 147 bytes, the file has 148",
            ),
        );
        check(
            both,
            b"SIZE=148\n",
            Some("its companion a.done does not hold what done.records looks for"),
        );
        check(
            "records = '(\\S+) lines'",
            b"many lines",
            Some("its companion a.done says many records, the file has 12"),
        );
        check(
            "md5 = '^(\\S+)'",
            b"00ff",
            Some(
                "its companion a.done says MD5 00ff, the file has cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            ),
        );
    }

    #[test]
    fn a_companion_in_utf_16_is_read() {
        for (mark, unit) in [
            (0xFEFF_u16, u16::to_le_bytes as fn(u16) -> [u8; 2]),
            (0xFEFF, u16::to_be_bytes),
        ] {
            let units = std::iter::once(mark).chain("COUNT=12\r\n".encode_utf16());
            let bytes: Vec<u8> = units.flat_map(unit).collect();
            check("records = '^COUNT=(\\d+)$'", &bytes, None);
        }
    }

    #[test]
    fn an_expression_that_cannot_be_meant_is_told_by_its_setting() {
        for (settings, setting, word) in [
            ("records = 'COUNT='", "records", "has 0 groups"),
            ("bytes = '(a)(b)'", "bytes", "has 2 groups"),
            ("md5 = '('", "md5", "no regular expression: unclosed group"),
        ] {
            let fault = Control::new(&config(settings)).expect_err(settings);
            assert_eq!(fault.0, setting);
            assert!(fault.1.contains(word), "{}", fault.1);
        }
        let nothing = Control::new(&config("")).expect("no fault");
        assert!(nothing.is_none());
    }
}
