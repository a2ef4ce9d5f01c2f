//! What a target says that it lacks: where an answer names it.

use dray_store::Reference;
use regex::Regex;
use serde::Deserialize;

use crate::answer::{Answer, Place};
use crate::references::NAME_BYTES_MAX;

/// What a target says that it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingConfig {
    /// The body of the event that it waits for; none: the event is sent again after a while.
    #[serde(default)]
    pub of: Option<String>,
    /// Where in the answer the key of that event stands.
    pub at: String,
    /// A regular expression whose first group is the key; none: all that stands there.
    #[serde(default)]
    pub matches: Option<String>,
}

/// The same, compiled.
#[derive(Debug)]
pub struct Lacking {
    of: Option<String>,
    at: Place,
    matches: Option<Regex>,
}

impl Lacking {
    /// Compiles it.
    ///
    /// # Errors
    /// A sentence that begins with the setting.
    pub fn compile(config: &MissingConfig) -> Result<Self, String> {
        let matches = config.matches.as_deref().map(Regex::new).transpose();
        let matches = matches.map_err(|error| format!("matches: {error}"))?;
        if matches
            .as_ref()
            .is_some_and(|pattern| pattern.captures_len() < 2)
        {
            return Err(
                "matches: put what names it into a group, e.g. \"item ([^ ]+) is unknown\"".into(),
            );
        }
        Ok(Self {
            of: config.of.clone(),
            at: Place::parse(&config.at).map_err(|reason| format!("at: {reason}"))?,
            matches,
        })
    }

    /// What the answer names, where it names what an event can bring.
    #[must_use]
    pub fn found(&self, answer: &Answer<'_>) -> Option<Reference> {
        let said = answer.value(&self.at)?;
        let name = match &self.matches {
            Some(pattern) => pattern.captures(&said)?.get(1)?.as_str(),
            None => said.as_str(),
        };
        let name = name.trim();
        let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
        is_name.then(|| Reference {
            of: self.of.clone().unwrap_or_default(),
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn found(table: &str, body: &str) -> Option<(String, String)> {
        let config: MissingConfig = toml::from_str(table).expect(table);
        let headers = HeaderMap::new();
        let answer = Answer::new(422, &headers, body.as_bytes());
        let found = Lacking::compile(&config).expect(table).found(&answer)?;
        Some((found.of, found.name))
    }

    #[test]
    fn what_is_missing_is_found_in_json_xml_and_text() {
        let item = |name: &str| Some(("item".to_owned(), name.to_owned()));
        for (at, matches, body, expected) in [
            ("/item", "", "{\"item\": \" SKU-1 \"}", item("SKU-1")),
            ("/item", "", "{}", None),
            (
                "/error",
                "item ([^ ]+) is",
                "{\"error\": \"the item SKU-1 is unknown\"}",
                item("SKU-1"),
            ),
            ("/error", "item ([^ ]+) is", "{\"error\": \"closed\"}", None),
            (
                "xpath://item",
                "",
                "<e><item>SKU-1</item></e>",
                item("SKU-1"),
            ),
            ("text", "no item (.+)!", "no item A 1!", item("A 1")),
        ] {
            let matches = match matches {
                "" => String::new(),
                pattern => format!("matches = '{pattern}'"),
            };
            let table = format!("of = \"item\"\nat = \"{at}\"\n{matches}");
            assert_eq!(found(&table, body), expected, "{table} {body}");
        }
        let long = "x".repeat(2_000);
        assert_eq!(found("at = \"text\"", &long), None, "no key is so long");
        assert_eq!(
            found("at = \"text\"", "A"),
            Some((String::new(), "A".into()))
        );
    }

    #[test]
    fn a_pattern_needs_a_group() {
        for (table, said) in [
            ("at = \"x\"", "at: "),
            (
                "at = \"text\"\nmatches = \"item\"",
                "matches: put what names it into a group",
            ),
            ("at = \"text\"\nmatches = \"(\"", "matches: "),
        ] {
            let config: MissingConfig = toml::from_str(table).expect(table);
            let wrong = Lacking::compile(&config).expect_err(table);
            assert!(wrong.contains(said), "{table}: {wrong}");
        }
    }
}
