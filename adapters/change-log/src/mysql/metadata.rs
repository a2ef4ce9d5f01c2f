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
            let labels = labels.map(|labels| {
                let charset = known(self.labels.of(next(&mut labelled)));
                texts(labels, charset.unwrap_or(Charset::Utf8))
            });
            let name = self.names.as_ref().and_then(|names| names.get(at));
            Column {
                name: name.copied().unwrap_or_default().to_owned(),
                keeping: plain.keeping(),
                kind: plain.kind(is_unsigned, charset, labels.unwrap_or_default()),
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

fn texts(labels: &[&[u8]], charset: Charset) -> Vec<String> {
    let text = |bytes: &&[u8]| {
        let mut text = String::new();
        match charset.put(&mut text, bytes) {
            true => text,
            false => String::from_utf8_lossy(bytes).into_owned(),
        }
    };
    labels.iter().map(text).collect()
}
