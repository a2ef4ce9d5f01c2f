//! JSON: one document, or one a line.

use std::collections::HashSet;

use super::columns::column;
use super::{COLUMNS_MAX, ROWS_MAX, Suggestion};

/// Nesting that is followed.
const DEPTH_MAX: usize = 64;

/// Objects in one another whose values are columns.
const NESTED_MAX: usize = 4;

/// JSON of either kind.
pub(super) fn json(text: &str, whole: bool) -> Option<Suggestion> {
    let text = text.trim();
    let opens = text.starts_with('{') || text.starts_with('[');
    let inside = text.get(1..)?.trim_start().bytes().next()?;
    if !opens
        || !matches!(
            inside,
            b'"' | b'{' | b'[' | b'}' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'
        )
    {
        return None;
    }
    let mut lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if !whole && lines.len() > 1 {
        lines.pop();
    }
    let is_object = |line: &&str| line.starts_with('{') && line.ends_with('}');
    let objects = lines.iter().filter(|line| is_object(line)).count();
    let of = |kind, sure, reason: String, rows: Vec<Object<'_>>| {
        let columns = columns(&rows);
        Suggestion {
            columns,
            ..Suggestion::of(Some(kind), sure, reason)
        }
    };
    if objects > 1 && objects * 10 >= lines.len() * 9 {
        let rows = lines
            .iter()
            .take(ROWS_MAX)
            .filter_map(|line| object(line).map(|found| found.0));
        let reason = format!("{objects} of {} lines are an object each.", lines.len());
        return Some(of("json-lines", 96, reason, rows.collect()));
    }
    if let Some(items) = text.strip_prefix('[') {
        let rows = objects_of(items);
        let reason = format!(
            "It begins with an array; {} objects of it were looked at.",
            rows.len()
        );
        return Some(of("json", 92, reason, rows));
    }
    let (outer, _) = object(text).unwrap_or_default();
    let list = outer.iter().find(|(_, value)| {
        value
            .strip_prefix('[')
            .is_some_and(|items| items.trim_start().starts_with('{'))
    });
    Some(match list {
        Some((name, items)) => {
            let rows = objects_of(&items[1..]);
            let mut reason = format!(
                "It is an object, in which /{name} lists {} objects in what was looked at.",
                rows.len()
            );
            let is_list = |(_, value): &&(&str, &str)| {
                let items = value.strip_prefix('[').unwrap_or_default();
                items.trim_start().starts_with('{')
            };
            if let Some((inner, _)) = rows.iter().flatten().find(is_list) {
                reason += &format!(
                    " Each may list others: if each of those is a record, it is record = \"/{name}/*/{inner}\", and \"../\" before a path leads out of it."
                );
            }
            let told = of("json", 88, reason, rows);
            Suggestion {
                record_path: Some(format!("/{}", name.replace('~', "~0").replace('/', "~1"))),
                ..told
            }
        }
        None => of(
            "json",
            88,
            "It is an object: a file is one record.".into(),
            vec![outer],
        ),
    })
}

/// Names and values as written, of an object's own members.
type Object<'a> = Vec<(&'a str, &'a str)>;

/// A value that is no object or array: its name, its path and its text.
type Leaf<'a> = (String, String, &'a str);

/// What is in objects within an object has its name behind theirs: `item.sku`.
fn leaves<'a>(members: &Object<'a>, name: &str, path: &str, depth: usize, out: &mut Vec<Leaf<'a>>) {
    for (key, value) in members {
        // What is written with escapes has no plain name.
        if key.contains('\\') || key.is_empty() || out.len() == COLUMNS_MAX {
            continue;
        }
        let step = key.replace('~', "~0").replace('/', "~1");
        let (name, path) = match name.is_empty() {
            true => ((*key).to_owned(), format!("/{step}")),
            false => (format!("{name}.{key}"), format!("{path}/{step}")),
        };
        match object(value) {
            Some((inner, _)) if depth < NESTED_MAX => leaves(&inner, &name, &path, depth + 1, out),
            _ if value.starts_with(['{', '[']) => {}
            _ => out.push((name, path, value)),
        }
    }
}

fn columns(rows: &[Object<'_>]) -> Vec<super::Column> {
    let all: Vec<Vec<Leaf<'_>>> = rows
        .iter()
        .map(|row| {
            let mut found = Vec::new();
            leaves(row, "", "", 0, &mut found);
            found
        })
        .collect();
    let mut names: Vec<(&str, &str)> = Vec::new();
    let mut known = HashSet::new();
    for (name, path, _) in all.iter().flatten() {
        if names.len() < COLUMNS_MAX && known.insert(name) {
            names.push((name, path));
        }
    }
    let of = |(name, path): &(&str, &str)| {
        let value = |row: &Vec<Leaf<'_>>| {
            let found = row.iter().find(|(known, ..)| known == name);
            match found.map_or("", |(_, _, value)| value.trim_matches('"')) {
                "null" => String::new(),
                value => value.to_owned(),
            }
        };
        let values: Vec<String> = all.iter().map(value).collect();
        let plain = name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        super::Column {
            path: (!plain).then(|| (*path).to_owned()),
            ..column(name, values.iter().map(String::as_str))
        }
    };
    names.iter().map(of).collect()
}

/// The objects of an array, as far as they are there.
fn objects_of(mut items: &str) -> Vec<Object<'_>> {
    let mut found = Vec::new();
    while found.len() < ROWS_MAX {
        items = items.trim_start().trim_start_matches(',').trim_start();
        let Some((members, bytes)) = object(items) else {
            break;
        };
        found.push(members);
        items = &items[bytes..];
    }
    found
}

/// An object's members, and its bytes; what is cut off ends with the text.
fn object(text: &str) -> Option<(Object<'_>, usize)> {
    let mut members = Vec::new();
    let mut at = text.strip_prefix('{').map(|_| 1)?;
    loop {
        at += space(&text[at..]);
        match text.as_bytes().get(at) {
            Some(b'}') => return Some((members, at + 1)),
            Some(b',') => at += 1,
            Some(b'"') => {
                let name = at + 1..at + string(&text[at..])? - 1;
                at = name.end + 1;
                at += space(&text[at..]);
                at += text[at..].strip_prefix(':').map(|_| 1)?;
                at += space(&text[at..]);
                let length = value(&text[at..])?;
                if members.len() < COLUMNS_MAX {
                    members.push((&text[name], text[at..at + length].trim_end()));
                }
                at += length;
            }
            None => return Some((members, at)),
            Some(_) => return None,
        }
    }
}

fn space(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// A string's bytes, quotes included.
fn string(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// A value's bytes; one that is cut off ends with the text.
fn value(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at += string(&text[at..]).unwrap_or(text.len() - at) - 1,
            b'{' | b'[' if depth == DEPTH_MAX => return None,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
    Some(text.len())
}
