//! XML, with what repeats in it.

use std::collections::HashMap;

use super::columns::column;
use super::{COLUMNS_MAX, Column, ROWS_MAX, Suggestion, idoc};

/// Nesting that is followed.
const DEPTH_MAX: usize = 64;
/// Paths that are counted.
const PATHS_MAX: usize = 2_000;

/// An element that stands somewhere: its path, how often, and the texts of those below it.
#[derive(Default)]
struct Seen {
    order: usize,
    count: usize,
    depth: usize,
}

/// XML, with what repeats in it.
pub(super) fn xml(text: &str) -> Option<Suggestion> {
    let text = text.trim_start();
    let next = text.strip_prefix('<')?.chars().next()?;
    if !(next == '?' || next == '!' || next.is_alphabetic() || next == '_') {
        return None;
    }
    let sure = if text.starts_with("<?xml") { 97 } else { 90 };
    if text
        .get(..9)
        .is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"))
        && text.to_ascii_lowercase().contains("<html")
    {
        return Some(Suggestion::nothing(
            "It is an HTML page, maybe an error page instead of the file.",
        ));
    }
    if text.contains("<EDI_DC40") || text.contains("<EDI_DC ") {
        return Some(idoc::xml(&Walk::over(text)));
    }
    let walked = Walk::over(text);
    let told = Suggestion::of(Some("xml"), sure, "It begins as XML does.");
    let Some((path, count)) = walked.repeated() else {
        let root = walked.root.clone();
        let told = told.and("No element repeats in what was looked at: a file is one record.");
        return Some(Suggestion {
            columns: walked.columns(&root),
            record_path: Some(root),
            ..told
        });
    };
    let columns = walked.columns(&path);
    let mut reason = format!("{path} repeats: {count} times in what was looked at.");
    if let Some(inner) = walked.repeated_below(&path) {
        reason += &format!(
            " Within it {inner} repeats: if each of those is a record, it is record = \"{inner}\", and \"../\" before a path leads out of it."
        );
    }
    Some(
        Suggestion {
            columns,
            record_path: Some(path),
            ..told
        }
        .and(reason),
    )
}

/// A walk over tags. It trusts nothing: what doesn't fit ends it.
#[derive(Default)]
pub(super) struct Walk<'a> {
    root: String,
    seen: HashMap<String, Seen>,
    /// Texts: the path of the element or attribute, and the text.
    texts: Vec<(String, &'a str)>,
}

impl<'a> Walk<'a> {
    fn over(text: &'a str) -> Self {
        let mut walk = Self::default();
        let (mut rest, mut path, mut starts, mut number) = (text, String::new(), Vec::new(), 0);
        while let Some(at) = rest.find('<') {
            let before = rest[..at].trim();
            rest = &rest[at..];
            if let Some((skipped, after)) = passed_over(rest) {
                if after.is_none() {
                    return walk;
                }
                rest = &rest[skipped..];
                continue;
            }
            let Some(end) = rest.find('>') else {
                return walk;
            };
            let tag = &rest[1..end];
            rest = &rest[end + 1..];
            if tag.starts_with('/') {
                let Some((start, this)) = starts.pop() else {
                    return walk;
                };
                // An element within which others ended has no text of its own.
                if this == number {
                    walk.text(&path, before);
                }
                path.truncate(start);
                continue;
            }
            let name: &str = tag
                .split([' ', '\t', '\n', '\r', '/'])
                .next()
                .unwrap_or_default();
            let name = name.rsplit(':').next().unwrap_or_default();
            starts.push((path.len(), number + 1));
            number += 1;
            path.push('/');
            path.push_str(name);
            if starts.len() > DEPTH_MAX || walk.seen.len() > PATHS_MAX {
                return walk;
            }
            let order = walk.seen.len();
            let seen = walk.seen.entry(path.clone()).or_insert(Seen {
                order,
                count: 0,
                depth: starts.len(),
            });
            seen.count += 1;
            if walk.root.is_empty() {
                walk.root.clone_from(&path);
            }
            walk.attributes(&path, tag);
            if tag.ends_with('/') {
                let (start, _) = starts.pop().expect("it was pushed");
                path.truncate(start);
            }
        }
        walk
    }

    /// The outermost element that repeats.
    fn repeated(&self) -> Option<(String, usize)> {
        let repeated = self
            .seen
            .iter()
            .filter(|(_, seen)| seen.count > 1 && seen.depth > 1);
        let first = repeated.min_by_key(|(_, seen)| (seen.depth, seen.order))?;
        Some((first.0.clone(), first.1.count))
    }

    /// The outermost element below `path` that stands more often than it.
    fn repeated_below(&self, path: &str) -> Option<String> {
        let count = self.seen.get(path)?.count;
        let inner = self.seen.iter().filter(|(known, seen)| {
            seen.count > count && known.starts_with(path) && known[path.len()..].starts_with('/')
        });
        let first = inner.min_by_key(|(_, seen)| (seen.depth, seen.order))?;
        Some(first.0.clone())
    }

    fn text(&mut self, path: &str, text: &'a str) {
        if self.texts.len() < ROWS_MAX * 50 {
            self.texts.push((path.to_owned(), text));
        }
    }

    fn attributes(&mut self, path: &str, tag: &'a str) {
        let mut rest = tag
            .split_once([' ', '\t', '\n', '\r'])
            .map_or("", |(_, rest)| rest);
        while let Some((name, value)) = rest.split_once('=') {
            let value = value.trim_start();
            let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
                return;
            };
            let Some((value, after)) = value[1..].split_once(quote) else {
                return;
            };
            rest = after;
            let name = name.trim();
            let local = name.rsplit(':').next().unwrap_or_default();
            if !name.starts_with("xmlns") && !name.starts_with("xsi:") {
                self.text(&format!("{path}/@{local}"), value);
            }
        }
    }

    /// What is below `path` and stands no more often than it, called by its way from there.
    pub(super) fn columns(&self, path: &str) -> Vec<Column> {
        let count = self.seen.get(path).map_or(0, |seen| seen.count);
        let repeats = |at: &str| self.seen.get(at).is_some_and(|seen| seen.count > count);
        let mut values: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        for (at, text) in &self.texts {
            let Some(below) = at
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('/'))
            else {
                continue;
            };
            let ends = below
                .match_indices('/')
                .map(|(end, _)| end)
                .chain([below.len()]);
            if ends.map(|end| &at[..path.len() + 1 + end]).any(repeats) {
                continue;
            }
            let number = *known.entry(below).or_insert(values.len());
            if number == values.len() {
                values.push((below, Vec::new()));
            }
            if values[number].1.len() < ROWS_MAX {
                values[number].1.push(text);
            }
        }
        let mut names: Vec<String> = Vec::new();
        let mut columns = Vec::new();
        for (below, values) in values.into_iter().take(COLUMNS_MAX) {
            let mut name = below.replace('@', "").replace('/', ".");
            if names.contains(&name) {
                name = below.to_owned();
            }
            let mut found = column(&name, values.into_iter());
            found.path = (name != below).then(|| below.to_owned());
            columns.push(found);
            names.push(name);
        }
        columns
    }

    /// The elements, outermost first: their paths.
    pub(super) fn paths(&self) -> Vec<&str> {
        let mut paths: Vec<(usize, &str)> = self
            .seen
            .iter()
            .map(|(path, seen)| (seen.order, path.as_str()))
            .collect();
        paths.sort_unstable();
        paths.into_iter().map(|(_, path)| path).collect()
    }
}

/// A comment, a declaration or a CDATA section: its length, and what follows if it ends.
fn passed_over(text: &str) -> Option<(usize, Option<&str>)> {
    let (_, end) = [
        ("<!--", "-->"),
        ("<![CDATA[", "]]>"),
        ("<?", "?>"),
        ("<!", ">"),
    ]
    .into_iter()
    .find(|(start, _)| text.starts_with(start))?;
    let length = text.find(end).map_or(text.len(), |at| at + end.len());
    Some((length, text.get(length..).filter(|rest| !rest.is_empty())))
}
