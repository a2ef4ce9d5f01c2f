//! Paths: to the array whose elements are records, and to a record's cells.

use super::DEPTH_MAX;

/// A step to the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// To an object's member.
    Key(String),
    /// To each element of an array.
    Each,
}

/// Where a cell is, seen from its record: `/item/sku`, `item.sku`, `/lots/0`, `../number`; empty: the record itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldPath {
    /// How many objects up.
    pub(super) up: usize,
    pub(super) steps: Vec<String>,
}

/// `~1` and `~0` of a JSON pointer, RFC 6901.
fn unescaped(step: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut letters = step.chars();
    while let Some(letter) = letters.next() {
        text.push(match (letter, letter == '~') {
            (letter, false) => letter,
            _ => match letters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err("after ~ stands 0 (for ~) or 1 (for /)".into()),
            },
        });
    }
    Ok(text)
}

pub(super) fn record(text: &str) -> Result<Vec<Step>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err(format!(
            "record = \"{text}\" does not begin with a slash: write e.g. \"/data/items\", \"/orders/*/lines\", or nothing where the file is the array"
        ));
    };
    let step = |step| match step {
        "*" => Ok(Step::Each),
        step => unescaped(step).map(Step::Key),
    };
    let steps: Vec<Step> = rest
        .split('/')
        .map(step)
        .collect::<Result<_, _>>()
        .map_err(|what| format!("record = \"{text}\": {what}"))?;
    if steps.len() > DEPTH_MAX {
        return Err(format!(
            "record = \"{text}\" is longer than {DEPTH_MAX} steps"
        ));
    }
    Ok(steps)
}

pub(super) fn field(text: &str) -> Result<FieldPath, String> {
    let (mut up, mut rest) = (0, text);
    while let Some(inner) = rest.strip_prefix("../") {
        (up, rest) = (up + 1, inner);
    }
    if rest == ".." || (up > 0 && rest.is_empty()) {
        return Err(format!(
            "\"{text}\" is a whole object around the record: name what is wanted of it, e.g. \"../number\""
        ));
    }
    let steps: Vec<String> = match rest.strip_prefix('/') {
        _ if rest.is_empty() => Ok(Vec::new()),
        Some(rest) => rest.split('/').map(unescaped).collect(),
        None if rest.contains('/') => rest.split('/').map(unescaped).collect(),
        None => Ok(rest.split('.').map(str::to_owned).collect()),
    }
    .map_err(|what: String| format!("\"{text}\": {what}"))?;
    if rest.starts_with('.') || (!rest.starts_with('/') && steps.iter().any(String::is_empty)) {
        return Err(format!(
            "\"{text}\" has an empty step; a name with a dot is written as \"/the.name\""
        ));
    }
    if up.max(steps.len()) > DEPTH_MAX {
        return Err(format!("\"{text}\" is longer than {DEPTH_MAX} steps"));
    }
    Ok(FieldPath { up, steps })
}
