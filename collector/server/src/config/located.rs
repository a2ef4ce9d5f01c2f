//! Where in the file a sentence about a target belongs.

use super::{At, Problem, Text};

impl Text<'_> {
    /// A target's sentence, `target "erp": rule 2: go: there is no call "x"`, at the setting that it names; where that is of
    /// a preset, at the target. `index`: which `[[target]]`, from 0.
    #[must_use]
    pub fn of_target(&self, index: usize, sentence: &str) -> Problem {
        let said = sentence
            .split_once("\": ")
            .map_or(sentence, |(_, said)| said);
        let mut path = vec![At::Key("target"), At::Index(index)];
        for setting in said.split(": ") {
            match steps(setting) {
                Some(steps) => path.extend(steps),
                None => break,
            }
        }
        self.problem(&path, sentence.to_owned(), "")
    }
}

/// `calls.call.find.rule 2` are four keys and an index; `reference 1 (line.item_number)` a key and an index. Names may have
/// capitals, as those of headers have.
fn steps(setting: &str) -> Option<Vec<At<'_>>> {
    let setting = setting.split(" (").next().unwrap_or("");
    // Of several that are wrong together, the first.
    let setting = setting.split(", ").next().unwrap_or("");
    let mut steps = Vec::new();
    for key in setting.split('.') {
        let (name, number) = match key.split_once(' ') {
            Some((name, number)) => (name, Some(number.parse::<usize>().ok()?)),
            None => (key, None),
        };
        let is_key = |letter: char| letter.is_ascii_alphanumeric() || "_-$@".contains(letter);
        if name.is_empty() || !name.chars().all(is_key) {
            return None;
        }
        steps.push(At::Key(name));
        steps.extend(number.map(|number| At::Index(number.saturating_sub(1))));
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = r#"names = ["c"]
[[target]]
name = "erp"
batch = 0
[target.calls]
first = "x"
[target.calls.call.find]
url = "a"
rule = [
    { status = ["200"], go = "find" },
    { status = ["201"], go = "gone" },
]
[[target.rule]]
outcome = "done"
[[target.rule]]
outcome = "great"
[[target.reference]]
body = "shipment"
[[target.reference]]
body = "item"
"#;

    #[test]
    fn a_sentence_points_at_the_line_that_it_is_about() {
        let text = Text::of(Path::new("c.toml"), FILE);
        for (sentence, line) in [
            ("batch: write 1 to 10000", 4),
            ("calls.first: there is no call \"x\"", 6),
            ("calls.call.find.rule 2: go: there is no call \"gone\"", 11),
            ("calls.call.find.rule 1: when.at: no", 10),
            ("rule 2: outcome: no", 16),
            (
                "reference 2 (line.item_number): this target takes no item",
                19,
            ),
            ("cert_file, key_file: write both", 2),
            ("rule 7: of a preset", 13),
        ] {
            let found = text.of_target(0, &format!("target \"erp\": {sentence}"));
            assert_eq!(found.line, line, "{sentence}: {found}");
        }
    }
}
