//! What says by itself what it is: X12, EDIFACT, IDocs and XML.

use std::collections::HashMap;

use super::columns::column;
use super::{COLUMNS_MAX, ROWS_MAX, Suggestion};

/// Nesting that is followed.
const DEPTH_MAX: usize = 64;
/// Paths that are counted.
const PATHS_MAX: usize = 2_000;

/// Both EDI syntaxes, and flat IDocs.
pub(super) fn edi(text: &str) -> Option<Suggestion> {
    let text = text.trim_start();
    let is_mark = |at: usize| {
        text[at..]
            .chars()
            .next()
            .is_some_and(|c| !c.is_alphanumeric())
    };
    if text.starts_with("ISA") && text.len() > 3 && is_mark(3) {
        let separator = text[3..].chars().next().unwrap_or('*');
        let elements = text.split(separator).take(17).count();
        let sure = if elements == 17 { 98 } else { 60 };
        let reason =
            format!("It begins with an ISA segment, whose elements \"{separator}\" separates.");
        let told = Suggestion::of(Some("x12"), sure, reason);
        return Some(match sets(text, separator) {
            Some(sets) => told.and(sets),
            None => told,
        });
    }
    if text.starts_with("UNA")
        && text
            .get(9..)
            .is_some_and(|rest| rest.trim_start().starts_with("UNB"))
    {
        let reason = "It begins with UNA, which names its separators, and UNB.";
        return Some(Suggestion::of(Some("edifact"), 98, reason));
    }
    if text.starts_with("UNB") && text.len() > 3 && is_mark(3) {
        return Some(Suggestion::of(
            Some("edifact"),
            95,
            "It begins with a UNB segment.",
        ));
    }
    if text.starts_with("UNA") || text.starts_with("UNH+") {
        let reason = "It has segments of EDIFACT and no interchange around them (UNB), without which it is refused.";
        return Some(Suggestion::of(Some("edifact"), 50, reason));
    }
    let is_segment = |name: &str| text.starts_with(name) && text.len() > 2 && is_mark(2);
    if (is_segment("GS") || is_segment("ST"))
        && text.len() > 6
        && !text[2..].starts_with([' ', '_', ',', ';'])
    {
        let reason = "It has segments of X12 and no interchange around them (ISA), without which it is refused.";
        return Some(Suggestion::of(Some("x12"), 50, reason));
    }
    if text.starts_with("--")
        && text
            .chars()
            .take(500)
            .collect::<String>()
            .contains("Content-Type:")
    {
        return Some(Suggestion::nothing(
            "It is a MIME message of several parts, as web services and mail send them; have the parts written to files of their own.",
        ));
    }
    let control = ["EDI_DC40", "EDI_DC "]
        .iter()
        .find(|name| text.starts_with(**name));
    control.map(|name| {
        let reason = format!("It begins with an IDoc's control record ({}).", name.trim());
        Suggestion::of(Some("idoc"), 98, reason)
    })
}

/// Which transaction sets there are.
fn sets(text: &str, separator: char) -> Option<String> {
    let end = text.get(105..)?.chars().next()?;
    let mut sets: Vec<&str> = Vec::new();
    for segment in text.split(end).map(str::trim_start) {
        let mut elements = segment.split(separator);
        if let (Some("ST"), Some(set)) = (elements.next(), elements.next())
            && !sets.contains(&set)
            && sets.len() < 20
        {
            sets.push(set);
        }
    }
    (!sets.is_empty()).then(|| format!("Its transaction sets: {}.", sets.join(", ")))
}

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
        return Some(Suggestion::of(
            Some("idoc"),
            95,
            "It is XML with an IDoc's control record (EDI_DC40).",
        ));
    }
    let walked = Walk::over(text);
    let told = Suggestion::of(Some("xml"), sure, "It begins as XML does.");
    let Some((path, count)) = walked.repeated() else {
        return Some(told.and("No element repeats in what was looked at: a file is one record."));
    };
    let columns = walked.columns(&path);
    let reason = format!("{path} repeats: {count} times in what was looked at.");
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
struct Walk<'a> {
    seen: HashMap<String, Seen>,
    /// Texts: the path of the element, its parent's number, the text.
    texts: Vec<(String, usize, &'a str)>,
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
                let parent = starts.last().map_or(0, |(_, number)| *number);
                if !before.is_empty() && walk.texts.len() < ROWS_MAX * 50 && this == number {
                    walk.texts.push((path.clone(), parent, before));
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

    /// Those right below `path` that have texts.
    fn columns(&self, path: &str) -> Vec<super::Column> {
        let below = |text: &&(String, usize, &str)| {
            let name = text
                .0
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('/'));
            name.is_some_and(|name| !name.contains('/'))
        };
        let mut names: Vec<&str> = Vec::new();
        for (path, ..) in self.texts.iter().filter(below) {
            if !names.contains(&path.as_str()) && names.len() < COLUMNS_MAX {
                names.push(path);
            }
        }
        let of = |name: &&str| {
            let values = self
                .texts
                .iter()
                .filter(|text| text.0 == **name)
                .take(ROWS_MAX);
            column(&name[path.len() + 1..], values.map(|text| text.2))
        };
        names.iter().map(of).collect()
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
