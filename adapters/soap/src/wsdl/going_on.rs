//! How a request goes on where the last answer ended: tables for a person to take out of their comments.

use dray_formats::suggest::quoted;

use super::element::Element;
use super::fields::{Field, Table, table};
use super::prefixes::Prefixes;
use super::words::{Asked, is_change, is_id, is_more, is_next, is_time};

/// Records of a page until somebody says better.
const PAGE_SIZE: usize = 100;

/// Each line is a comment, and without its mark a line of the configuration. Nothing where the request asks for nothing of the kind.
pub(super) fn tables(
    input: &Element,
    answer: &Element,
    records: &Table,
    prefixes: &mut Prefixes,
) -> String {
    let leaves = table(input, &[], &mut Prefixes::default()).fields;
    let leaf = |wanted: Asked| {
        let mut all = leaves.iter();
        all.find(|leaf| Asked::of(&leaf.name, &leaf.type_name) == Some(wanted))
    };
    let mut lines = Vec::new();
    if let Some(since) = leaf(Asked::Watermark) {
        lines.extend(watermark(since, records));
    }
    let by = match (leaf(Asked::Token), leaf(Asked::Page), next(answer)) {
        (Some(token), ..) => Some((token, token_lines(answer, prefixes))),
        (None, Some(page), Some(_)) => Some((page, token_lines(answer, prefixes))),
        (None, Some(page), None) => {
            Some((page, vec!["by = \"number\"".into(), "first = 1".into()]))
        }
        (None, None, _) => None,
    };
    if let Some((leaf, by)) = by {
        lines.push(format!(
            "[flow.source.pages]  # in the request: {}",
            leaf.name
        ));
        lines.extend(by);
    }
    if let Some(size) =
        leaf(Asked::PageSize).filter(|_| lines.iter().any(|line| line.starts_with("by")))
    {
        lines.push(format!(
            "size = {PAGE_SIZE}  # in the request: {}",
            size.name
        ));
    }
    lines.iter().map(|line| format!("# {line}\n")).collect()
}

fn watermark(since: &Field, records: &Table) -> Vec<String> {
    let column = match grows(&since.type_name, records) {
        Some(field) => quoted(&field.column),
        None => "\"...\"  # the column that grows from record to record".into(),
    };
    let start = match since.type_name.as_str() {
        "date" => "1970-01-01",
        kind if is_time(kind) || kind == "string" => "1970-01-01T00:00:00Z",
        _ => "0",
    };
    vec![
        format!("[flow.source.watermark]  # in the request: {}", since.name),
        format!("column = {column}"),
        format!("start = {}  # the first one", quoted(start)),
    ]
}

/// The column that the next watermark may come from.
fn grows<'t>(type_name: &str, records: &'t Table) -> Option<&'t Field> {
    let own = || records.fields.iter().filter(|field| !field.is_around);
    if !is_time(type_name) && type_name != "string" {
        return own().find(|field| is_id(&field.name));
    }
    let times = || own().filter(|field| is_time(&field.type_name));
    let changed = times().find(|field| is_change(&field.name));
    changed
        .or_else(|| times().next())
        .or_else(|| own().find(|field| is_change(&field.name)))
}

/// Where an answer says what its next page is asked with.
pub(super) fn next(answer: &Element) -> Option<Field> {
    next_of(table(answer, &[], &mut Prefixes::default()))
}

fn next_of(table: Table) -> Option<Field> {
    let mut leaves = table.fields.into_iter();
    leaves.find(|leaf| is_next(&leaf.name, &leaf.type_name) && leaf.path != ".")
}

fn token_lines(answer: &Element, prefixes: &mut Prefixes) -> Vec<String> {
    let path = match next_of(table(answer, &[], prefixes)) {
        Some(leaf) => quoted(&leaf.path),
        None => "\"...\"  # where the answer has the token of the next page".into(),
    };
    vec!["by = \"token\"".into(), format!("path = {path}")]
}

/// What a person has to know of an answer's pages that the request has no place for, or that the answer tells in another way.
pub(super) fn doubts(input: Option<&Element>, answer: &Element) -> Vec<String> {
    let leaves = |element: &Element| table(element, &[], &mut Prefixes::default()).fields;
    let asked = input.map(leaves).unwrap_or_default();
    let asks = |wanted: Asked| {
        asked
            .iter()
            .any(|leaf| Asked::of(&leaf.name, &leaf.type_name) == Some(wanted))
    };
    let (has_token, has_page) = (asks(Asked::Token), asks(Asked::Page));
    let mut doubts = Vec::new();
    match next(answer) {
        Some(next) if !has_token && !has_page => doubts.push(format!(
            "The answer has {}, and nothing in the request is known to take it: if the answer has pages, put {{{{ token }}}} where the request expects it, and write pages = {{ by = \"token\", path = {} }}.",
            next.name,
            quoted(&next.path)
        )),
        _ => {}
    }
    let mut answered = leaves(answer).into_iter();
    let more = answered.find(|leaf| is_more(&leaf.name, &leaf.type_name));
    // A token is taken before a page: only without one it goes by number.
    let by_number = has_page && !has_token && next(answer).is_none();
    if let Some(more) = more.filter(|_| by_number) {
        doubts.push(format!(
            "The answer's {} is not looked at: by number, the last page is the first one that has no record, or fewer than size.",
            more.name
        ));
    }
    doubts
}
