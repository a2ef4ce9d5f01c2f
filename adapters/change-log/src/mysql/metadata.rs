//! What the log says of a table's columns besides their types: names, signs, character sets, labels, the key.
//!
//! Layout: the optional metadata of MySQL's `Table_map_event`, which is there with `binlog_row_metadata = FULL`.

use std::collections::HashMap;

use super::charset::Charset;
use super::reading::{Reading, Short};
use super::table_map::{BINARY, Charsets, Column, Plain, code};

/// Collations of some of the columns.
#[derive(Debug, Default)]
struct Collations {
    default: u64,
    others: HashMap<usize, u64>,
}

impl Collations {
    /// One for all, but for some.
    fn default(mut said: Reading<'_>) -> Result<Self, Short> {
        let mut collations = Self {
            default: said.number()?,
            ..Self::default_none()
        };
        while !said.is_empty() {
            let at = said.count()?;
            collations.others.insert(at, said.number()?);
        }
        Ok(collations)
    }

    /// One for each.
    fn each(mut said: Reading<'_>) -> Result<Self, Short> {
        let mut collations = Self::default_none();
        while !said.is_empty() {
            let at = collations.others.len();
            collations.others.insert(at, said.number()?);
        }
        Ok(collations)
    }

    fn default_none() -> Self {
        Self {
            default: BINARY,
            others: HashMap::new(),
        }
    }

    fn of(&self, at: usize) -> u64 {
        self.others.get(&at).copied().unwrap_or(self.default)
    }
}

/// What the event says besides: fields of a type, a length and a value.
#[derive(Debug, Default)]
pub(super) struct Said<'e> {
    unsigned: &'e [u8],
    pub(super) names: Option<Vec<&'e str>>,
    texts: Collations,
    enums: Vec<Vec<&'e [u8]>>,
    sets: Vec<Vec<&'e [u8]>>,
    labels: Collations,
    keys: Vec<usize>,
}

impl<'e> Said<'e> {
    pub(super) fn read(mut event: Reading<'e>) -> Result<Self, Short> {
        let mut said = Self::default();
        while !event.is_empty() {
            let field = event.byte()?;
            let bytes = event.counted()?;
            let mut value = Reading(bytes);
            match field {
                1 => said.unsigned = bytes,
                2 => said.texts = Collations::default(value)?,
                3 => said.texts = Collations::each(value)?,
                4 => {
                    let mut names = Vec::new();
                    while !value.is_empty() {
                        names.push(value.text()?);
                    }
                    said.names = Some(names);
                }
                5 => said.sets = labels(value)?,
                6 => said.enums = labels(value)?,
                8 => {
                    while !value.is_empty() {
                        said.keys.push(value.count()?);
                    }
                }
                9 => {
                    while !value.is_empty() {
                        said.keys.push(value.count()?);
                        value.number()?;
                    }
                }
                10 => said.labels = Collations::default(value)?,
                11 => said.labels = Collations::each(value)?,
                _ => {}
            }
        }
        Ok(said)
    }

    pub(super) fn columns(&self, plain: Vec<Plain>, charsets: &Charsets) -> Vec<Column> {
        let (mut numbers, mut with_charset, mut enums, mut sets, mut labelled) = (0, 0, 0, 0, 0);
        let next = |count: &mut usize| {
            *count += 1;
            *count - 1
        };
        let all = plain.into_iter().enumerate();
        all.map(|(at, plain)| {
            let is_unsigned = plain.is_number() && {
                let at = next(&mut numbers);
                // Here the highest bit comes first.
                self.unsigned
                    .get(at / 8)
                    .is_some_and(|byte| byte << (at % 8) & 0x80 != 0)
            };
            let charset = plain
                .is_text()
                .then(|| self.texts.of(next(&mut with_charset)));
            let charset = charset.filter(|collation| *collation != BINARY);
            let known = |collation: u64| charsets.get(&collation).copied();
            let charset = charset.map(|collation| known(collation).unwrap_or(Charset::Unknown));
            let labels = match plain.code {
                code::ENUM => self.enums.get(next(&mut enums)),
                code::SET => self.sets.get(next(&mut sets)),
                _ => None,
            };
            let labels = labels.and_then(|labels| {
                let charset = match self.labels.of(next(&mut labelled)) {
                    // Of bytes: they are what was typed.
                    BINARY => Some(Charset::Utf8),
                    collation => known(collation),
                };
                texts(labels, charset.unwrap_or(Charset::Unknown))
            });
            let name = self.names.as_ref().and_then(|names| names.get(at));
            Column {
                name: name.copied().unwrap_or_default().to_owned(),
                keeping: plain.keeping(),
                kind: plain.kind(is_unsigned, charset, labels),
                is_key: self.keys.contains(&at),
            }
        })
        .collect()
    }
}

/// For each column the number of its labels, and these.
fn labels(mut value: Reading<'_>) -> Result<Vec<Vec<&[u8]>>, Short> {
    let mut all = Vec::new();
    while !value.is_empty() {
        let count = value.count()?;
        let labels: Result<Vec<_>, _> = (0..count).map(|_| value.counted()).collect();
        all.push(labels?);
    }
    Ok(all)
}

/// `None`: one of them is no text that is known here.
fn texts(labels: &[&[u8]], charset: Charset) -> Option<Vec<String>> {
    let text = |bytes: &&[u8]| {
        let mut text = String::new();
        let is_text = match charset {
            // These are the same in all sets of one byte a letter.
            Charset::Unknown if bytes.iter().all(|byte| is_plain(*byte)) => {
                Charset::Utf8.put(&mut text, bytes)
            }
            charset => charset.put(&mut text, bytes),
        };
        is_text.then_some(text)
    };
    labels.iter().map(text).collect()
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_' | b'.' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_texts_that_they_are_or_are_not_read() {
        for (charset, bytes, expected) in [
            ("utf8mb4", &b"gr\xc3\xb6\xc3\x9fer"[..], Some("größer")),
            ("latin1", b"gr\xf6\xdfer", Some("größer")),
            ("utf8mb4", b"gr\xf6\xdfer", None),
            ("cp850", b"gr\x94\xe1er", None),
            ("cp850", b"held back-2", Some("held back-2")),
            // Of the Swedish seven bits a bracket is a letter.
            ("swe7", b"[held]", None),
            ("utf32", b"\0\0\0a", None),
        ] {
            let found = texts(&[b"a", bytes], Charset::named(charset));
            let found = found.map(|labels| labels[1].clone());
            assert_eq!(found.as_deref(), expected, "{charset}");
        }
    }
}
