//! A type of record's places, compiled.

use super::config::{FixedConfig, RecordConfig};
use super::{MatchConfig, Sign, Trim, number};
use crate::FieldAt;

/// A line of text whose characters are counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) text: &'a str,
    /// Where each character begins; `None` where each is one byte.
    starts: Option<&'a [u32]>,
}

impl<'a> Columns<'a> {
    /// `starts` is memory for its places.
    pub(super) fn new(text: &'a str, starts: &'a mut Vec<u32>) -> Self {
        if text.is_ascii() {
            return Self { text, starts: None };
        }
        starts.clear();
        starts.extend(text.char_indices().map(|(at, _)| at as u32));
        Self {
            text,
            starts: Some(starts),
        }
    }

    pub(super) fn count(self) -> usize {
        self.starts.map_or(self.text.len(), <[u32]>::len)
    }

    /// Where character `column` (from 0) begins; the text's end behind the last.
    #[inline]
    fn place(self, column: usize) -> usize {
        match self.starts {
            None => column.min(self.text.len()),
            Some(starts) => starts
                .get(column)
                .map_or(self.text.len(), |start| *start as usize),
        }
    }

    pub(super) fn from(self, column: usize) -> &'a str {
        &self.text[self.place(column)..]
    }

    /// Whether `text` stands there; what a line lacks is blank.
    fn has(self, column: usize, text: &str) -> bool {
        let there = self.from(column);
        there.starts_with(text)
            || text
                .strip_prefix(there)
                .is_some_and(|lacking| lacking.bytes().all(|byte| byte == b' '))
    }
}

/// A type of record.
#[derive(Debug)]
pub(super) struct Layout {
    /// Where any of these texts stands, all of them.
    matches: Vec<(usize, Vec<String>)>,
    fields: Vec<Field>,
    /// Where its last field ends, or the last text by which it is told.
    pub(super) width: usize,
    /// Whether a pass that only counts looks at any field.
    looks: bool,
}

#[derive(Debug)]
struct Field {
    name: String,
    start: usize,
    end: usize,
    trim: Trim,
    kind: Kind,
    /// Whether the file's totals need it.
    needed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Digits,
    Number { decimals: usize, sign: Option<Sign> },
}

/// Why a record is bad.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) reason: String,
    /// Whether a total needs what could not be read.
    pub(super) spoils: bool,
}

impl Layout {
    pub(super) fn new(format: &FixedConfig, record: &RecordConfig, needed: &[bool]) -> Self {
        let mut next = 0;
        let fields = record.field.iter().zip(needed).map(|(field, needed)| {
            let start = field.at.map_or(next, |at| at.saturating_sub(1));
            next = start + field.width;
            Field {
                name: field.name.clone(),
                start,
                end: next,
                trim: field.trim.unwrap_or(format.trim),
                kind: match field.decimals {
                    _ if field.is_number() => Kind::Number {
                        decimals: field.decimals.unwrap_or(0),
                        sign: field.sign,
                    },
                    _ if field.digits => Kind::Digits,
                    _ => Kind::Text,
                },
                needed: *needed,
            }
        });
        let fields: Vec<Field> = fields.collect();
        let matches = record.matches.iter();
        Self {
            matches: matches
                .clone()
                .map(|one| (one.at.saturating_sub(1), one.text.0.clone()))
                .collect(),
            width: fields
                .iter()
                .map(|field| field.end)
                .chain(matches.flat_map(told_until))
                .max()
                .unwrap_or(0),
            looks: fields
                .iter()
                .any(|field| field.needed || field.kind != Kind::Text),
            fields,
        }
    }

    /// Whether a line is of this type.
    #[inline]
    pub(super) fn fits(&self, line: Columns<'_>) -> bool {
        self.matches
            .iter()
            .all(|(at, texts)| texts.iter().any(|text| line.has(*at, text)))
    }

    /// Finds the cells: places in the line, and behind it in `numbers`. `all`: those that nothing checks too.
    pub(super) fn read(
        &self,
        line: Columns<'_>,
        all: bool,
        fields: &mut Vec<FieldAt>,
        numbers: &mut String,
    ) -> Option<Misfit> {
        let mut misfit: Option<Misfit> = None;
        if !all && !self.looks {
            return None;
        }
        for field in &self.fields {
            if !all && !field.needed && field.kind == Kind::Text {
                fields.push(FieldAt::NULL);
                continue;
            }
            match field.read(line, numbers) {
                Ok(at) => fields.push(at),
                Err(said) => {
                    fields.push(FieldAt::NULL);
                    let spoils =
                        field.needed || misfit.as_ref().is_some_and(|misfit| misfit.spoils);
                    let reason = misfit.map_or_else(
                        || format!("{} at column {}: {said}", field.name, field.start + 1),
                        |first| first.reason,
                    );
                    misfit = Some(Misfit { reason, spoils });
                }
            }
        }
        misfit
    }
}

/// Where the texts end by which a record is told.
fn told_until(one: &MatchConfig) -> impl Iterator<Item = usize> {
    let before = one.at.saturating_sub(1);
    let texts = one.text.0.iter();
    texts.map(move |text| before + text.chars().count())
}

impl Field {
    #[inline]
    fn read(&self, line: Columns<'_>, numbers: &mut String) -> Result<FieldAt, String> {
        let (start, end) = (line.place(self.start), line.place(self.end));
        match self.kind {
            Kind::Text => Ok(self.trimmed(line.text, start, end)),
            Kind::Digits => self.digits(line, start, end),
            Kind::Number { decimals, sign } => {
                let from = line.text.len() + numbers.len();
                let cell = &line.text[start..end];
                let is_there = number::write(cell, decimals, sign, numbers)?;
                Ok(if is_there {
                    FieldAt {
                        start: from as u32,
                        end: (line.text.len() + numbers.len()) as u32,
                    }
                } else {
                    FieldAt::NULL
                })
            }
        }
    }

    #[inline]
    fn trimmed(&self, text: &str, mut start: usize, mut end: usize) -> FieldAt {
        let bytes = text.as_bytes();
        if matches!(self.trim, Trim::Both | Trim::Right) {
            while end > start && bytes[end - 1] == b' ' {
                end -= 1;
            }
        }
        if matches!(self.trim, Trim::Both | Trim::Left) {
            while start < end && bytes[start] == b' ' {
                start += 1;
            }
        }
        FieldAt {
            start: start as u32,
            end: end as u32,
        }
    }

    /// All of the field's width, or it is blank.
    fn digits(&self, line: Columns<'_>, start: usize, end: usize) -> Result<FieldAt, String> {
        let cell = &line.text[start..end];
        if cell.bytes().all(|byte| byte == b' ') {
            return Ok(FieldAt::NULL);
        }
        let width = self.end - self.start;
        if cell.len() == width && cell.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(FieldAt {
                start: start as u32,
                end: end as u32,
            });
        }
        Err(format!("\"{cell}\" is not {width} digits"))
    }
}
