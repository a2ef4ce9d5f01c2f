//! Texts with holes, as an operator writes them: requests, answers.
//!
//! minijinja, with fuel; what is filled in is escaped for XML. A name that nothing stands for is an error.

use std::collections::{BTreeSet, HashSet};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

/// Instructions that one rendering may use, and the end of an endless loop.
pub const FUEL: u64 = 100_000;
/// Bytes of what is made, at most.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
const NAME: &str = "message";
/// What may stand behind a name that nothing stands for.
const HARMLESS: [&str; 4] = [
    "is defined",
    "is not defined",
    "is undefined",
    "is not undefined",
];

/// A compiled template.
#[derive(Debug)]
pub struct Template(Environment<'static>);

impl Template {
    /// Compiles it. `xml`: whether what is filled in is escaped for XML; otherwise it is JSON.
    ///
    /// # Errors
    /// A sentence with the line.
    pub fn new(source: &str, xml: bool) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(move |_| match xml {
            true => AutoEscape::Html,
            false => AutoEscape::Json,
        });
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| sentence(&error))?;
        Ok(Self(environment))
    }

    /// Fills it in.
    ///
    /// # Errors
    /// A sentence.
    pub fn render(&self, values: Value) -> Result<String, String> {
        let template = self
            .0
            .get_template(NAME)
            .map_err(|error| sentence(&error))?;
        let known: BTreeSet<String> = values.try_iter().map_or_else(
            |_| BTreeSet::new(),
            |names| names.map(|name| name.to_string()).collect(),
        );
        let made = template
            .render(values)
            .map_err(|error| match error.kind() {
                ErrorKind::UndefinedError => self.unknown(&error, &known),
                _ => sentence(&error),
            })?;
        if made.len() > OUTPUT_BYTES_MAX {
            return Err(format!(
                "the template makes more than {OUTPUT_BYTES_MAX} bytes"
            ));
        }
        Ok(made)
    }
}

impl Template {
    /// What the line that fails names that nothing stands for, and what there is.
    fn unknown(&self, error: &minijinja::Error, known: &BTreeSet<String>) -> String {
        let template = self.0.get_template(NAME).ok();
        let template = template.as_ref();
        let named = template.map_or_else(HashSet::new, |one| one.undeclared_variables(false));
        let source = template.map_or("", |one| one.source());
        let failing = error.line().and_then(|line| line.checked_sub(1));
        let failing = failing.and_then(|line| source.lines().nth(line));
        let is_known =
            |name: &str| known.contains(name) || self.0.globals().any(|(global, _)| global == name);
        let unknown: BTreeSet<String> = named
            .into_iter()
            .filter(|name| !is_known(name) && failing.is_none_or(|line| needs(line, name)))
            .collect();
        if unknown.is_empty() {
            return sentence(error);
        }
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        format!(
            "{}nothing stands for {}; it may name {}",
            line(error),
            list(&unknown),
            list(known)
        )
    }
}

/// Whether a line names this, and not only to ask whether something stands for it.
fn needs(line: &str, name: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(name).any(|(at, _)| {
        let (before, behind) = (&line[..at], &line[at + name.len()..]);
        let is_longer = before.ends_with(is_letter) || behind.starts_with(is_letter);
        let behind = behind.trim_start();
        // Behind a dot it is of something else.
        let is_own = !is_longer && !before.ends_with('.');
        is_own && !HARMLESS.iter().any(|test| behind.starts_with(test))
    })
}

fn line(error: &minijinja::Error) -> String {
    error
        .line()
        .map_or_else(String::new, |line| format!("line {line}: "))
}

fn sentence(error: &minijinja::Error) -> String {
    let line = line(error);
    let detail = error
        .detail()
        .map_or_else(String::new, |detail| format!(": {detail}"));
    format!("{line}{}{detail}", error.kind())
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[test]
    fn a_name_that_nothing_stands_for_is_told_with_those_that_there_are() {
        for (source, expected) in [
            (
                "<a>\n{{ recrods }}</a>",
                "line 2: nothing stands for recrods; it may name id, records",
            ),
            (
                "{% for n in range(records) %}{{ n }}{{ idd }}{% endfor %}",
                "line 1: nothing stands for idd; it may name id, records",
            ),
            ("{{ id.name }}", "line 1: undefined value"),
            (
                "{{ id.name }}{% if foo is defined %}{% endif %}",
                "line 1: undefined value",
            ),
            (
                "{{ id }}\n{{ recrods }}\n{{ idd }}",
                "line 2: nothing stands for recrods; it may name id, records",
            ),
        ] {
            let template = Template::new(source, true).expect("a template");
            let why = template.render(context! { records => 1, id => "a" });
            let why = why.expect_err(source);
            assert!(why.starts_with(expected), "{why}");
        }
    }
}
