//! From a parser's words to a sentence that an operator can act on.
//!
//! The examples that the sentences give are the lines of the shipped configuration itself, so that
//! they cannot grow apart from it; a test parses that file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The shipped example.
pub const EXAMPLE: &str = include_str!("../../../packaging/agent.toml");

/// `section.setting` → the example's line of it, active or commented out.
static EXAMPLES: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| examples(EXAMPLE));

fn examples(text: &'static str) -> BTreeMap<String, &'static str> {
    let mut section = "";
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let line = line.strip_prefix('#').unwrap_or(line).trim();
        if line.starts_with('[') && line.ends_with(']') && !line.contains(' ') {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        let Some((name, _)) = line.split_once(" = ") else {
            continue;
        };
        if is_setting(name) {
            let path = join(section, name.trim_matches('"'));
            found.entry(path).or_insert(line);
        }
    }
    found
}

fn is_setting(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || "_.\"".contains(letter);
    !name.is_empty() && name.chars().all(plain)
}

/// `section.name`, or the name alone at the top.
#[must_use]
pub fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

/// The shipped example's line for a setting, or for another one of the same section.
#[must_use]
pub fn example(section: &str, name: &str) -> Option<&'static str> {
    let exact = EXAMPLES.get(&join(section, name));
    let first_of_section = || {
        let prefix = join(section, "");
        EXAMPLES
            .range(prefix.clone()..)
            .next()
            .filter(|(path, _)| path.starts_with(&prefix) && section.ends_with("fields"))
            .map(|(_, line)| line)
    };
    exact.or_else(first_of_section).copied()
}

/// Says what a parser meant. `section` and `name` are where: `flow.source`, `quiet`.
#[must_use]
pub fn explain(message: &str, section: &str, name: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") => {
            format!(
                "unknown setting \"{unknown}\"{}; {}",
                within(section),
                instead(unknown, known)
            )
        }
        Some((unknown, known)) if message.starts_with("unknown variant") => {
            format!(
                "{name} = \"{unknown}\" is not known; {}",
                instead(unknown, known)
            )
        }
        Some((missing, _)) if message.starts_with("missing field") => {
            format!(
                "\"{missing}\" is missing{}{}",
                within(section),
                write_example(section, missing, "; write")
            )
        }
        _ => format!(
            "{name}: {}{}",
            plain(message),
            write_example(section, name, "; write for example")
        ),
    }
}

fn within(section: &str) -> String {
    if section.is_empty() {
        String::new()
    } else {
        format!(" in [{section}]")
    }
}

/// `; write for example quiet = "2s"`, where there is an example.
#[must_use]
pub fn write_example(section: &str, name: &str, lead: &str) -> String {
    example(section, name).map_or_else(String::new, |line| format!("{lead} {line}"))
}

/// The nearest of the known names, or all of them.
#[must_use]
pub fn instead(unknown: &str, known: &[&str]) -> String {
    match nearest(unknown, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if known.is_empty() => "there is nothing to set here: delete it".into(),
        None => format!("possible are {}", known.join(", ")),
    }
}

/// Rust's words for types, in the reader's.
fn plain(message: &str) -> String {
    let mut said = message.to_owned();
    for (rust, word) in [
        ("invalid type: ", "this is "),
        ("invalid value: ", "this is "),
        ("invalid length ", "this has length "),
        ("map, expected", "table, expected"),
        ("sequence, expected", "list, expected"),
        ("expected a sequence", "a list is needed"),
        ("expected a map", "a table is needed"),
        ("expected a boolean", "true or false is needed"),
        ("expected a string", "a text in quotes is needed"),
        ("expected a character", "a single character is needed"),
        ("expected a duration", "a time with its unit is needed"),
        ("expected u32", "a whole number is needed"),
        ("expected u64", "a whole number is needed"),
        ("expected usize", "a whole number is needed"),
    ] {
        said = said.replace(rust, word);
    }
    said
}

/// The name in `known` that is at most a third of its letters away.
#[must_use]
pub fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), *name))
        .filter(|(distance, name)| *distance <= name.len().max(unknown.len()).div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_shipped_example_gives_examples() {
        for (section, name, expected) in [
            ("", "site", "site = \"north\""),
            ("", "metrics", "metrics = \"127.0.0.1:9464\""),
            ("buffer", "bytes_max", "bytes_max = \"4GiB\""),
            ("flow", "timeliness", "timeliness = \"urgent\""),
            ("flow.source", "quiet", "quiet = \"2s\""),
            ("flow.source.format", "delimiter", "delimiter = \"|\""),
            ("flow.mapping", "key", "key = \"SHIP_NO\""),
        ] {
            assert_eq!(example(section, name), Some(expected));
        }
        assert_eq!(example("flow.source", "nonsense"), None);
        assert!(example("flow.mapping.fields", "anything").is_some());
    }

    #[test]
    fn a_parsers_words_become_sentences() {
        for (message, expected) in [
            (
                "unknown field `quite`, expected one of `kind`, `quiet`",
                "unknown setting \"quite\" in [flow.source]; did you mean \"quiet\"?",
            ),
            (
                "unknown field `zzzzzz`, expected `kind` or `quiet`",
                "unknown setting \"zzzzzz\" in [flow.source]; possible are kind, quiet",
            ),
            (
                "missing field `folder`",
                "\"folder\" is missing in [flow.source]; write folder = \"/srv/wms/out\"",
            ),
            (
                "unknown variant `closed`, expected `close` or `quiet`",
                "quiet = \"closed\" is not known; did you mean \"close\"?",
            ),
            (
                "invalid type: integer `2`, expected a string",
                "quiet: this is integer `2`, a text in quotes is needed; write for example quiet = \"2s\"",
            ),
        ] {
            assert_eq!(explain(message, "flow.source", "quiet"), expected);
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["timeliness", "name", "otherwise"];
        for (unknown, expected) in [
            ("timelines", Some("timeliness")),
            ("nmae", Some("name")),
            ("other-wise", Some("otherwise")),
            ("colour", None),
        ] {
            assert_eq!(nearest(unknown, &known), expected, "{unknown}");
        }
    }
}
