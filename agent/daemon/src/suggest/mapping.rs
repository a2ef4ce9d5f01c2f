//! Mappings for records whose columns are known by name and by what stands in them.

use std::fmt::Write as _;

use dray_formats::suggest::{Column, ColumnType, quoted};

use super::columns::Records;
use super::names::{BODIES, DOCUMENT_NUMBERS, ENVELOPES, Known, Takes, plain};

/// Mappings, and what of them a person has to look at.
#[derive(Debug)]
pub(super) struct Mapped {
    pub(super) toml: String,
    pub(super) doubts: Vec<String>,
}

impl Mapped {
    /// For records that could not be read.
    pub(super) fn of_any() -> Self {
        Self {
            toml: of_any(),
            doubts: vec![
                "The key is no column yet: name one by which deliveries are kept in order.".into(),
            ],
        }
    }
}

/// The column that deliveries are kept in order by: a document's number, what is different in each record, what is in each.
fn key(columns: &[Column]) -> Option<&Column> {
    let filled = |column: &&Column| !column.has_empty && !column.name.trim().is_empty();
    let last = |column: &Column| {
        column
            .name
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let is_document = |column: &&Column| DOCUMENT_NUMBERS.contains(&last(column).as_str());
    let is_text = |column: &&Column| column.kind == ColumnType::Text;
    let is_envelope = |column: &&Column| {
        let last = last(column);
        ENVELOPES.iter().any(|start| last.starts_with(start))
    };
    let all = || columns.iter().filter(filled);
    all()
        .find(is_document)
        .or_else(|| all().find(|column| column.is_unique && is_text(column)))
        .or_else(|| all().find(|column| column.is_unique))
        .or_else(|| all().find(|column| !is_envelope(column)))
        .or_else(|| all().next())
}

/// Takes any record whatever its columns are.
pub(super) fn of_any() -> String {
    "[[flow.mapping]]\nbody = \"generic\"\nkey = { default = \"-\" }\nall_columns = true\n".into()
}

/// One mapping for each type of record.
pub(super) fn of(all: &[Records]) -> Mapped {
    if all.iter().all(|records| records.columns.is_empty()) {
        return Mapped::of_any();
    }
    let mut mapped = Mapped {
        toml: String::new(),
        doubts: Vec::new(),
    };
    for records in all.iter().filter(|records| !records.columns.is_empty()) {
        if !mapped.toml.is_empty() {
            mapped.toml.push('\n');
        }
        match BODIES
            .iter()
            .find_map(|known| Canonical::of(known, &records.columns))
        {
            Some(canonical) => mapped.canonical(records, &canonical),
            None => mapped.generic(records),
        }
    }
    mapped
}

/// A body whose fields the columns' names say.
struct Canonical<'a> {
    known: &'static Known,
    /// Path, and the column.
    fields: Vec<(&'static str, Takes, &'a Column)>,
    /// Columns that no field is for.
    rest: Vec<&'a Column>,
}

impl<'a> Canonical<'a> {
    fn of(known: &'static Known, columns: &'a [Column]) -> Option<Self> {
        let names: Vec<String> = columns.iter().map(|column| plain(&column.name)).collect();
        let mut taken = vec![false; columns.len()];
        let mut fields = Vec::new();
        for (path, takes, meant) in known.fields {
            let named = meant
                .split(' ')
                .find_map(|meant| names.iter().position(|name| name == meant));
            if let Some(at) = named.filter(|at| !taken[*at] && fits(*takes, &columns[*at].kind)) {
                taken[at] = true;
                fields.push((*path, *takes, &columns[at]));
            }
        }
        let has = |wanted: &str| fields.iter().any(|(path, ..)| *path == wanted);
        if !(known.all.split(' ').all(has) && known.any.split(' ').any(has)) {
            return None;
        }
        let rest = columns
            .iter()
            .zip(taken)
            .filter(|(_, taken)| !taken)
            .map(|(column, _)| column)
            .collect();
        Some(Self {
            known,
            fields,
            rest,
        })
    }

    fn column(&self, path: &str) -> Option<&'a Column> {
        self.fields
            .iter()
            .find(|(known, ..)| *known == path)
            .map(|(.., column)| *column)
    }
}

fn fits(takes: Takes, kind: &ColumnType) -> bool {
    match takes {
        Takes::Text => true,
        Takes::Decimal => matches!(kind, ColumnType::Integer | ColumnType::Decimal { .. }),
        Takes::Date => matches!(kind, ColumnType::Date { .. }),
        Takes::Time => matches!(kind, ColumnType::Timestamp { .. }),
    }
}

impl Mapped {
    fn canonical(&mut self, records: &Records, canonical: &Canonical<'_>) {
        let known = canonical.known;
        self.head(known.body, records);
        let key = canonical.column(known.key);
        let within = known.key_within.and_then(|path| canonical.column(path));
        match (key, within) {
            (Some(key), Some(within)) => {
                let expr = format!(
                    "{} ~ '/' ~ {}",
                    reference(&within.name),
                    reference(&key.name)
                );
                self.line(&format!("key = {{ expr = {} }}", quoted(&expr)));
            }
            (key, _) => self.line(&format!(
                "key = {}",
                quoted(key.map_or("", |key| &key.name))
            )),
        }
        self.line(&format!("operation = {}", quoted(known.operation)));
        self.line("[flow.mapping.fields]");
        for (path, takes, column) in &canonical.fields {
            let required = *path == known.key;
            let value = self.value(*takes, column, required);
            self.line(&format!("{} = {value}", key_of(path)));
        }
        let mut names = Vec::new();
        for column in &canonical.rest {
            let words = column.name.to_lowercase();
            let mut name = words.split_whitespace().collect::<Vec<_>>().join("_");
            if names.contains(&name) {
                name.clone_from(&column.name);
            }
            if !name.is_empty() && !names.contains(&name) {
                let path = quoted(&format!("attributes.{name}"));
                self.line(&format!("{path} = {}", quoted(&column.name)));
                names.push(name);
            }
        }
        self.doubts.push(format!(
            "The body {} is taken from the columns' names, and the operation \"{}\" from the body.",
            known.body, known.operation
        ));
    }

    fn generic(&mut self, records: &Records) {
        self.head("generic", records);
        let of = match records.record_type.as_str() {
            "" => String::new(),
            name => format!(" of {name}"),
        };
        match key(&records.columns) {
            Some(key) => {
                self.line(&format!("key = {}", quoted(&key.name)));
                self.doubts.push(match key.is_unique {
                    true => format!("The key{of}, {}, is different in each record that was looked at. By it deliveries are kept in order: choose the column that names the thing.", key.name),
                    false => format!("No column{of} is different in each record; {} is in each, and is taken for the key. By it deliveries are kept in order.", key.name),
                });
            }
            None => {
                let key = records
                    .columns
                    .iter()
                    .find(|column| !column.name.trim().is_empty());
                let name = key.map_or("", |key| key.name.as_str());
                self.line(&format!(
                    "key = {{ from = {}, default = \"-\" }}",
                    quoted(name)
                ));
                self.doubts.push(format!("No column{of} is filled in each record; where {name} is empty the key is \"-\"."));
            }
        }
        self.line("all_columns = true");
    }

    fn head(&mut self, body: &str, records: &Records) {
        self.line("[[flow.mapping]]");
        self.line(&format!("body = {}", quoted(body)));
        if !records.record_type.is_empty() {
            self.line(&format!("record_type = {}", quoted(&records.record_type)));
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a string never fails.
        let _ = writeln!(self.toml, "{line}");
    }

    /// Where a field's value comes from and what is done to it.
    fn value(&mut self, takes: Takes, column: &Column, required: bool) -> String {
        let name = quoted(&column.name);
        let mut options = Vec::new();
        match (takes, &column.kind) {
            (Takes::Decimal, ColumnType::Decimal { comma: true, .. }) => {
                options.push("decimal_comma = true".to_owned())
            }
            (Takes::Date, ColumnType::Date { format, ambiguous }) => {
                self.order(column, *ambiguous);
                if *format != "iso8601" {
                    options.push(format!("type = \"date\", format = {}", quoted(format)));
                }
            }
            (Takes::Time, ColumnType::Timestamp { format, ambiguous }) => {
                self.order(column, *ambiguous);
                options.push(format!("format = {}", quoted(format)));
                if !format.contains("%z") && !format.starts_with("unix") {
                    options.push("zone = \"UTC\"".into());
                    self.doubts.push(format!("The times of {} are taken for UTC: write the zone of the system's clock, e.g. zone = \"Europe/Berlin\".", column.name));
                }
            }
            _ => {}
        }
        if required {
            options.push("required = true".into());
        }
        match options.is_empty() {
            true => name,
            false => format!("{{ from = {name}, {} }}", options.join(", ")),
        }
    }

    fn order(&mut self, column: &Column, ambiguous: bool) {
        if ambiguous {
            self.doubts.push(format!("In {} day and month may be the other way round: no value that was looked at tells.", column.name));
        }
    }
}

fn key_of(path: &str) -> String {
    if path.contains('.') {
        quoted(path)
    } else {
        path.to_owned()
    }
}

/// A column in an expression.
fn reference(name: &str) -> String {
    let plain = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    match plain && !name.starts_with(|letter: char| letter.is_ascii_digit()) {
        true => format!("rec.{name}"),
        false => format!("rec['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}
