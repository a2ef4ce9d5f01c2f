//! What a reader of the events has in the end.

use std::collections::BTreeMap;

use serde_json::Value;

/// A row by its key, and what it holds.
pub(super) type Rows = BTreeMap<String, String>;

/// The rows that are left when all events are done one after the other. `key` and `held`: the columns.
pub(super) fn replay(events: &[Value], key: &[&str], held: &[&str]) -> Rows {
    let mut rows = Rows::new();
    for fields in events {
        let texts = |names: &[&str]| {
            let texts = names.iter().map(|name| text(fields, name));
            texts.collect::<Vec<_>>().join(" ")
        };
        match &*text(fields, "_op") {
            "delete" => rows.remove(&texts(key)),
            _ => rows.insert(texts(key), texts(held)),
        };
    }
    rows
}

/// The same of what a server told: `key|held` in lines.
pub(super) fn told(lines: &str) -> Rows {
    let lines = lines.lines().filter_map(|line| line.split_once('|'));
    lines
        .map(|(key, held)| (key.to_owned(), held.to_owned()))
        .collect()
}

pub(super) fn text(fields: &Value, name: &str) -> String {
    fields[name].as_str().unwrap_or("~").to_owned()
}
