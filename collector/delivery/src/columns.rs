//! An event's values by column: what tables, files and messages are made of.
//!
//! A value is a dotted name of the default JSON (`data.line.quantity`), or a template (with `{{` or `{%`). What an event
//! lacks, and what a template makes nothing of, is no value. Decimals and times stay the texts that they are in JSON;
//! an object or a list is its JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::body::Poison;
use crate::template::{Fields, Templates};

/// A target's columns, compiled.
#[derive(Debug)]
pub(crate) struct Columns {
    templates: Templates,
    sources: Vec<Source>,
}

#[derive(Debug)]
enum Source {
    Path(Vec<String>),
    /// One of `vars`.
    Fixed(Option<String>),
    /// By its name among the templates.
    Template(String),
}

/// An event, read once.
#[derive(Debug)]
pub(crate) struct Event {
    json: Value,
    fields: Option<Fields>,
}

impl Columns {
    /// `setting`: what the sentences begin with, e.g. `sql.columns`. `sources`: each column's name and value.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn compile<'a>(
        setting: &str,
        sources: impl Iterator<Item = (&'a str, &'a str)>,
        vars: &toml::Table,
        bodies: &[String],
    ) -> Result<Self, String> {
        let mut templates = Templates::new(vars);
        let mut compiled = Vec::new();
        for (column, source) in sources {
            let name = format!("{setting}.{column}");
            if source.contains("{{") || source.contains("{%") {
                let added = templates.add(&name, source);
                compiled.push(Source::Template(
                    added.map_err(|reason| format!("{name}: {reason}"))?,
                ));
                continue;
            }
            let parts: Vec<_> = source.split('.').map(str::to_owned).collect();
            if parts.iter().any(String::is_empty) {
                return Err(format!(
                    "{name}: {source:?} is no value; write e.g. \"data.item_number\" or a template with {{{{ }}}}"
                ));
            }
            let known = templates.check_name(source, bodies);
            known.map_err(|reason| format!("{name}: {reason}"))?;
            compiled.push(match parts[0].as_str() {
                "vars" => Source::Fixed(fixed(vars, &parts[1..])),
                "event" => Source::Path(parts[1..].to_vec()),
                _ => Source::Path(parts),
            });
        }
        templates.try_samples(bodies)?;
        Ok(Self {
            templates,
            sources: compiled,
        })
    }

    /// The event of this default JSON.
    ///
    /// # Errors
    /// [`Poison`] where it is none.
    pub(crate) fn read(&self, json: &[u8]) -> Result<Event, Poison> {
        let is_template = |source: &Source| matches!(source, Source::Template(_));
        let fields = match self.sources.iter().any(is_template) {
            true => Some(Fields::of(json)?),
            false => None,
        };
        let json = serde_json::from_slice(json)
            .map_err(|error| Poison(format!("the event's JSON cannot be read: {error}")))?;
        Ok(Event { json, fields })
    }

    /// A value a column.
    ///
    /// # Errors
    /// [`Poison`] where a template fails.
    pub(crate) fn values(&self, event: &Event) -> Result<Vec<Option<String>>, Poison> {
        let of = |source: &Source| match (source, &event.fields) {
            (Source::Path(path), _) => Ok(event.at(path.iter().map(String::as_str))),
            (Source::Fixed(value), _) => Ok(value.clone()),
            (Source::Template(name), Some(fields)) => {
                let made = self.templates.render(name, fields, &BTreeMap::new())?;
                Ok((!made.is_empty()).then_some(made))
            }
            (Source::Template(_), None) => Ok(None),
        };
        self.sources.iter().map(of).collect()
    }
}

/// Values by their names, as JSON.
pub(crate) fn document<'a>(
    names: impl IntoIterator<Item = &'a str>,
    values: Vec<Option<String>>,
) -> Bytes {
    let named = names.into_iter().zip(values);
    let named = named.map(|(name, value)| (name.to_owned(), value.into()));
    Value::Object(named.collect()).to_string().into()
}

impl Event {
    /// `site/flow`.
    pub(crate) fn flow(&self) -> String {
        let part = |name| self.at([name].into_iter()).unwrap_or_default();
        format!("{}/{}", part("site"), part("flow"))
    }

    /// Its offset in the log.
    pub(crate) fn offset(&self) -> u64 {
        self.json["offset"].as_u64().unwrap_or(0)
    }

    /// Whether its operation is `delete`.
    pub(crate) fn is_delete(&self) -> bool {
        self.json["operation"] == "delete"
    }

    fn at<'a>(&self, path: impl Iterator<Item = &'a str>) -> Option<String> {
        let mut value = &self.json;
        for name in path {
            value = match value {
                Value::Array(list) => list.get(name.parse::<usize>().ok()?)?,
                other => other.get(name)?,
            };
        }
        match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

fn fixed(vars: &toml::Table, path: &[String]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let mut value = vars.get(first)?;
    for name in rest {
        value = value.get(name)?;
    }
    match value {
        toml::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &[u8] =
        br#"{"id":"07","site":"north","flow":"stock","offset":17,"key":"A","operation":"delete",
        "data":{"item_number":"A","quantity":"12.50","lines":[{"n":"1"},{"n":"2"}]}}"#;

    fn compile(source: &str) -> Result<Columns, String> {
        let vars = toml::from_str("company = \"DE01\"\ndepth = 3").expect("a table");
        let sources = [("a", source)].into_iter();
        Columns::compile("sql.columns", sources, &vars, &[])
    }

    fn check(source: &str, expected: Option<&str>) {
        let columns = compile(source).expect("it compiles");
        let event = columns.read(EVENT).expect("an event");
        let values = columns.values(&event).expect("it renders");
        assert_eq!(values, [expected.map(str::to_owned)], "{source}");
    }

    #[test]
    fn a_value_is_a_name_or_a_template() {
        check("key", Some("A"));
        check("offset", Some("17"));
        check("data.quantity", Some("12.50"));
        check("event.data.item_number", Some("A"));
        check("data.lot", None);
        check("vars.company", Some("DE01"));
        check("vars.depth", Some("3"));
        check("{{ vars.company }}-{{ data.item_number }}", Some("DE01-A"));
        check("{{ data.lot }}", None);
    }

    #[test]
    fn a_typing_error_is_refused_with_its_setting() {
        for (source, said) in [
            ("data.quantty", "sql.columns.a: no event of this target has"),
            ("colour", "sql.columns.a: there is no \"colour\""),
            ("vars.nothing", "sql.columns.a: [vars] has no"),
            ("data..x", "sql.columns.a: \"data..x\" is no value"),
            (
                "{{ data.quantty }}",
                "sql.columns.a: no event of this target has",
            ),
            ("{{ data", "sql.columns.a: "),
        ] {
            let wrong = compile(source).expect_err(source);
            assert!(wrong.starts_with(said), "{source}: {wrong}");
        }
    }

    #[test]
    fn an_event_knows_its_place() {
        let event = compile("key")
            .expect("it compiles")
            .read(EVENT)
            .expect("one");
        assert_eq!(
            (event.flow().as_str(), event.offset(), event.is_delete()),
            ("north/stock", 17, true)
        );
    }
}
