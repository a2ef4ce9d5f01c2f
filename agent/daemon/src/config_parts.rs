//! Reads a TOML document part by part, so that all mistakes are found and not only the first.
//!
//! Each part (a flow's head, its source, each mapping) is given to its own `serde` struct. What the
//! struct refuses is noted with its place, cut out of a copy, and the rest is tried again.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error, ValueDeserializer};

use crate::advice;
use crate::config_error::{MISTAKES_MAX, Mistake};

/// A value with its place.
pub(crate) type Part<'t> = Spanned<DeValue<'t>>;

/// Collects mistakes while parts are read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    mistakes: Vec<Mistake>,
}

/// Where a part stands: for the sentence and for its examples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Within<'a> {
    /// `flow "shipments": ` or nothing.
    pub(crate) prefix: &'a str,
    /// As in the file, without brackets: `flow.source`.
    pub(crate) section: &'a str,
}

impl Reader {
    /// Notes a mistake.
    pub(crate) fn note(&mut self, span: Option<Range<usize>>, within: Within<'_>, sentence: &str) {
        let sentence = format!("{}{sentence}", within.prefix);
        self.mistakes.push(Mistake { span, sentence });
    }

    /// What was noted.
    #[must_use]
    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }

    /// Reads a part; `None` if there is anything wrong with it, all of which is then noted.
    pub(crate) fn read<'t, T>(
        &mut self,
        part: &Part<'t>,
        within: Within<'_>,
        read: &dyn Fn(ValueDeserializer<'t>) -> Result<T, Error>,
    ) -> Option<T> {
        let mut part = part.clone();
        let mut cut: Vec<String> = Vec::new();
        for _ in 0..MISTAKES_MAX {
            let error = match read(ValueDeserializer::from(part.clone())) {
                Ok(whole) => return cut.is_empty().then_some(whole),
                Err(error) => error,
            };
            let found = Found::of(&error, &part);
            if found.misses_one_of(&cut) {
                return None;
            }
            let section = found.section(within.section);
            let sentence = advice::explain(error.message(), &section, found.name());
            self.note(Some(found.span), within, &sentence);
            let (Some(name), true) = (found.path.last(), found.missing.is_none()) else {
                return None;
            };
            cut.push(name.clone());
            if !remove(&mut part, &found.path) {
                return None;
            }
        }
        None
    }
}

/// Where in a part an error belongs.
struct Found {
    path: Vec<String>,
    span: Range<usize>,
    missing: Option<String>,
}

impl Found {
    fn of(error: &Error, part: &Part<'_>) -> Self {
        let message = error.message();
        let missing = message
            .starts_with("missing field")
            .then(|| quoted(message).to_owned());
        let span = error.span().unwrap_or_else(|| part.span());
        let mut path = if span == part.span() {
            Vec::new()
        } else {
            path_at(part, &span)
        };
        let mut place = span;
        // A tagged table is read as a whole before it is known what it is, and its inner places are
        // lost with that: look for what the message quotes.
        let within =
            at_path(part, &path).filter(|part| matches!(part.get_ref(), DeValue::Table(_)));
        let quoted = quoted(message);
        let deeper = within.and_then(|part| match message {
            said if said.starts_with("unknown field") => find_key(part, quoted),
            said if said.starts_with("missing field") => None,
            _ => find_value(part, quoted),
        });
        if let Some((deeper, found)) = deeper {
            path.extend(deeper);
            place = found;
        }
        if missing.is_some() {
            // A table's span is its header, or the whole of an inline table: its first line says it.
            place.end = place.end.max(place.start + 1);
        }
        Self {
            path,
            span: place,
            missing,
        }
    }

    fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The section of the setting: the part's own, and the tables on the way to it.
    fn section(&self, own: &str) -> String {
        let tables = match (&self.missing, self.path.split_last()) {
            (Some(_), _) => self.path.as_slice(),
            (None, Some((_, tables))) => tables,
            (None, None) => &[],
        };
        tables.iter().fold(own.to_owned(), |section, table| {
            advice::join(&section, table)
        })
    }

    /// Whether what is missing is only missing because it was cut out before.
    fn misses_one_of(&self, cut: &[String]) -> bool {
        self.missing.as_ref().is_some_and(|name| cut.contains(name))
    }
}

fn encloses(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The keys that lead to `span`: of a key, of a value, or of something inside a value.
fn path_at(part: &Part<'_>, span: &Range<usize>) -> Vec<String> {
    let entries: Vec<(Option<&str>, Range<usize>, &Part<'_>)> = match part.get_ref() {
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (Some(key.get_ref().as_ref()), key.span(), value))
            .collect(),
        DeValue::Array(items) => items.iter().map(|item| (None, 0..0, item)).collect(),
        _ => Vec::new(),
    };
    for (key, key_span, value) in entries {
        let inner = path_at(value, span);
        let here = !inner.is_empty()
            || (key.is_some() && encloses(&key_span, span))
            || encloses(&value.span(), span);
        if here {
            return key.map(str::to_owned).into_iter().chain(inner).collect();
        }
    }
    Vec::new()
}

fn at_path<'p, 't>(part: &'p Part<'t>, path: &[String]) -> Option<&'p Part<'t>> {
    path.iter()
        .try_fold(part, |part, key| match part.get_ref() {
            DeValue::Table(table) => table.get(key.as_str()),
            _ => None,
        })
}

/// What a message shows first: a name in backticks, a text in quotes.
fn quoted(message: &str) -> &str {
    let start = message.find(['`', '"']).map_or(message.len(), |at| at + 1);
    let rest = &message[start..];
    let close = message[..start].chars().next_back().unwrap_or('`');
    rest.find(close).map_or("", |end| &rest[..end])
}

/// The first text or number below a part that reads `wanted`: its path and its place.
fn find_value(part: &Part<'_>, wanted: &str) -> Option<(Vec<String>, Range<usize>)> {
    let reads = match part.get_ref() {
        DeValue::String(text) => text == wanted,
        DeValue::Integer(number) => number.to_string() == wanted,
        DeValue::Float(number) => number.to_string() == wanted,
        DeValue::Boolean(truth) => truth.to_string() == wanted,
        DeValue::Array(items) => {
            return items.iter().find_map(|item| find_value(item, wanted));
        }
        DeValue::Table(table) => {
            return table.iter().find_map(|(key, value)| {
                let (mut path, span) = find_value(value, wanted)?;
                path.insert(0, key.get_ref().to_string());
                Some((path, span))
            });
        }
        _ => false,
    };
    reads.then(|| (Vec::new(), part.span()))
}

/// The first key called `name` below a part: its path and its place.
fn find_key(part: &Part<'_>, name: &str) -> Option<(Vec<String>, Range<usize>)> {
    if let DeValue::Array(items) = part.get_ref() {
        return items.iter().find_map(|item| find_key(item, name));
    }
    let DeValue::Table(table) = part.get_ref() else {
        return None;
    };
    if let Some((key, _)) = table.get_key_value(name) {
        return Some((vec![name.to_owned()], key.span()));
    }
    table.iter().find_map(|(key, value)| {
        let (mut path, span) = find_key(value, name)?;
        path.insert(0, key.get_ref().to_string());
        Some((path, span))
    })
}

fn remove(part: &mut Part<'_>, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return false;
    };
    match part.get_mut() {
        DeValue::Table(table) if rest.is_empty() => table.remove(first.as_str()).is_some(),
        DeValue::Table(table) => table
            .get_mut(first.as_str())
            .is_some_and(|part| remove(part, rest)),
        _ => false,
    }
}

/// The place of a key in a table, or of the table. An array's item goes by its number, from 0.
#[must_use]
pub(crate) fn key_span(part: &Part<'_>, path: &[&str]) -> Range<usize> {
    let mut here = part;
    let mut span = part.span();
    for key in path {
        let (found, value) = match here.get_ref() {
            DeValue::Table(table) => match table.get_key_value(*key) {
                Some((key, value)) => (key.span(), value),
                None => break,
            },
            DeValue::Array(items) => match key.parse().ok().and_then(|at: usize| items.get(at)) {
                Some(item) => (item.span(), item),
                None => break,
            },
            _ => break,
        };
        (span, here) = (found, value);
    }
    span
}

/// Takes an entry out of a table, with the key's place.
pub(crate) fn take<'t>(table: &mut DeTable<'t>, name: &str) -> Option<(Range<usize>, Part<'t>)> {
    table
        .remove_entry(name)
        .map(|(key, value)| (key.span(), value))
}
