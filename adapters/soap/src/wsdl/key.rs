//! What tells records and messages apart.

use dray_formats::suggest::quoted;

use super::element::{Element, repeating};
use super::fields::{Field, Table, table};
use super::prefixes::Prefixes;
use super::receive::record;
use super::words::{is_id, is_message_id};

/// The `key` of a mapping: the first column that looks like an identity, or else the first that each record has.
pub(super) fn of_mapping(table: &Table) -> (String, String) {
    let all = || table.fields.iter();
    let is_own = |field: &Field| !field.is_around && !field.is_joined;
    let found = all()
        .find(|field| is_id(&field.name) && is_own(field) && !field.is_optional)
        .or_else(|| all().find(|field| is_id(&field.name) && is_own(field)))
        .or_else(|| all().find(|field| !field.is_optional && is_own(field)))
        .or_else(|| all().next());
    match found {
        None => (
            "{ default = \"-\" }".into(),
            "The key is no column yet: name one by which deliveries are kept in order.".into(),
        ),
        Some(Field {
            column,
            is_optional: false,
            ..
        }) => (
            quoted(column),
            format!(
                "By the key, {column}, deliveries are kept in order: choose the column that names the thing."
            ),
        ),
        Some(Field { column, .. }) => (
            format!("{{ from = {}, default = \"-\" }}", quoted(column)),
            format!(
                "By the key, {column}, deliveries are kept in order, and where it is empty the key is \"-\": choose a column that names the thing."
            ),
        ),
    }
}

/// The `key` of a flow that asks, as a line: most services answer the newest record again, and by its mark it is known. More than a
/// comment only where each record has the column: a record without its key is refused.
pub(super) fn of_source(table: &Table) -> String {
    const WITHOUT: &str = "without a key the newest record may come again with each cycle";
    let is_own = |field: &&Field| is_id(&field.name) && !field.is_around && !field.is_joined;
    let mut ids = table.fields.iter().filter(is_own);
    let always = ids.clone().find(|field| !field.is_optional);
    match (always, ids.next()) {
        (Some(field), _) => format!("key = {}\n", quoted(&field.column)),
        (None, Some(field)) => format!(
            "# key = {}  # only if each record has it; {WITHOUT}\n",
            quoted(&field.column)
        ),
        (None, None) => {
            format!("# key = \"...\"  # the column that tells one record from another; {WITHOUT}\n")
        }
    }
}

/// The `key` of a received operation as a line, by paths from the root. Only what is called after messages is more than a comment: two
/// messages about one order are no retries of each other.
pub(super) fn of_message(
    root: &Element,
    way: &[usize],
    prefixes: &mut Prefixes,
) -> (String, Option<String>) {
    let leaves = table(root, &[], prefixes).fields;
    let mut ids = leaves
        .into_iter()
        .filter(|field| is_id(&field.name) && !field.is_joined && field.path != ".");
    let first = ids.clone().next();
    let is_record = repeating(root).is_none();
    // In a message of one record a batch may be the goods'.
    let of_message = |field: &Field| {
        !field.is_optional
            && is_message_id(&field.name)
            && !(is_record && field.name.to_uppercase().contains("BATCH"))
    };
    let told = ids.find(of_message);
    let is_told = told.is_some();
    let Some(field) = told.or(first) else {
        if let Some(path) = of_first_record(root, way, prefixes) {
            return (
                format!(
                    "# key = {path}  # the first record's: only if it is the same in a retry and in no other message\n"
                ),
                None,
            );
        }
        return ("# key = \"...\"  # what is the same in a retry and in no other message, by its path from the root\n".into(), None);
    };
    let path = quoted(&field.path);
    if is_told {
        let doubt = format!(
            "A message whose key {path} has come before counts as a retry of that one, and is not taken again."
        );
        (format!("key = {path}\n"), Some(doubt))
    } else {
        (
            format!(
                "# key = {path}  # only if it is the same in a retry and in no other message\n"
            ),
            None,
        )
    }
}

/// Where nothing around the records looks like an identity: the first record's, by its path from the root.
fn of_first_record(root: &Element, way: &[usize], prefixes: &mut Prefixes) -> Option<String> {
    let record = record(root, way, prefixes);
    let mut own = table(root, way, prefixes).fields.into_iter();
    let id = own.find(|field| {
        is_id(&field.name) && !field.is_around && !field.is_joined && field.path != "."
    })?;
    (!record.is_empty()).then(|| quoted(&format!("{record}/{}", id.path)))
}
