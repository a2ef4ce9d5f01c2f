//! What is wrong with a configuration, said so that it can be mended: file, line, column, the
//! line's text and the way out.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use dray_delivery::presets::{Missing, Own};
use thiserror::Error;
use toml::de::{DeTable, DeValue};

/// The file can't be used as it is.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {reason}; name another with --config FILE", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The file says something that can't be.
    #[error("{}", each_on_its_own(.0))]
    Invalid(Vec<Problem>),
}

fn each_on_its_own(problems: &[Problem]) -> String {
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    said.join("\n")
}

/// One thing that is wrong, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line as it stands; empty where the place is the whole file.
    pub text: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub way_out: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, .. } = self;
        write!(f, "{}:{line}:{column}: {}", self.file.display(), self.what)?;
        if !self.text.trim().is_empty() {
            let gutter = line.to_string();
            let pad = " ".repeat(gutter.len());
            write!(f, "\n  {gutter} | {}", self.text)?;
            write!(f, "\n  {pad} | {}^", " ".repeat(column.saturating_sub(1)))?;
        }
        if !self.way_out.is_empty() {
            write!(f, "\n  way out: {}", self.way_out)?;
        }
        Ok(())
    }
}

/// A step from the document's root to a value.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// A table's key.
    Key(&'a str),
    /// An array's element, from 0.
    Index(usize),
}

/// A configuration's text, to say where in it something stands.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The file.
    pub file: &'a Path,
    /// Its content.
    pub text: &'a str,
    /// The user's own presets that it names.
    own: Option<&'a Own>,
    /// What it says with presets beneath its targets.
    laid: Option<&'a DeTable<'a>>,
}

impl<'a> Text<'a> {
    /// A file's content.
    #[must_use]
    pub fn of(file: &'a Path, text: &'a str) -> Self {
        Self {
            file,
            text,
            own: None,
            laid: None,
        }
    }

    /// The same with what lies beneath its targets: what is wrong in a preset's file is shown in that.
    #[must_use]
    pub fn beneath<'b>(self, own: &'b Own, laid: Option<&'b DeTable<'b>>) -> Text<'b>
    where
        'a: 'b,
    {
        Text {
            file: self.file,
            text: self.text,
            own: Some(own),
            laid,
        }
    }

    /// A problem with the value at `path`; where that isn't in the file, with the nearest table above it.
    #[must_use]
    pub fn problem(&self, path: &[At<'_>], what: String, way_out: &str) -> Problem {
        let span = match self.laid {
            Some(laid) => span_of(laid, path),
            None => DeTable::parse(self.text).map_or(0..0, |root| span_of(root.get_ref(), path)),
        };
        self.at(span, what, way_out.to_owned())
    }

    /// What a target with a preset does not say, or what is wrong with that.
    #[must_use]
    pub fn unsaid(&self, missing: &Missing) -> Problem {
        let what = format!("target {:?}: {}", missing.target, missing.what);
        let way_out = match missing.way_out.as_str() {
            "" => way_out_of(&missing.what),
            way_out => way_out.to_owned(),
        };
        self.at(missing.at.clone(), what, way_out)
    }

    /// What TOML or serde found, with the way out where we know one.
    #[must_use]
    pub fn refused(&self, error: &toml::de::Error) -> Problem {
        let what = error.message().trim().replace('\n', " ");
        let way_out = way_out_of(&what);
        self.at(error.span().unwrap_or(0..0), what, way_out)
    }

    fn at(&self, span: Range<usize>, what: String, way_out: String) -> Problem {
        let place = self.own.and_then(|own| own.place(span.start));
        let (file, text, start) = place.unwrap_or((self.file, self.text, span.start));
        let start = text.floor_char_boundary(start.min(text.len()));
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Problem {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..].lines().next().unwrap_or("").to_owned(),
            what,
            way_out,
        }
    }
}

fn span_of(root: &DeTable<'_>, path: &[At<'_>]) -> Range<usize> {
    let Some((At::Key(first), rest)) = path.split_first() else {
        return 0..0;
    };
    let Some(mut value) = root.get(*first) else {
        return 0..0;
    };
    for step in rest {
        let next = match (step, value.get_ref()) {
            (At::Key(key), DeValue::Table(table)) => table.get(*key),
            (At::Index(index), DeValue::Array(array)) => array.get(*index),
            _ => None,
        };
        let Some(next) = next else { break };
        value = next;
    }
    value.span()
}

/// serde says what it found and what it expected; this adds what to do.
fn way_out_of(what: &str) -> String {
    if let Some(rest) = what.strip_prefix("unknown field ") {
        return secret_of(rest)
            .unwrap_or_else(|| of_names(rest, "write one that is known, or remove it"));
    }
    if let Some(rest) = what.strip_prefix("unknown variant ") {
        return of_names(rest, "write one of those");
    }
    if let Some(name) = what.strip_prefix("missing field ") {
        let name = name.split('`').nth(1).unwrap_or("");
        return format!("add \"{name} = ...\" to this table");
    }
    for (found, hint) in [
        (
            "a duration",
            "write a number with its unit, in quotes: \"500ms\", \"30s\", \"5m\", \"7d\"",
        ),
        (
            "expected number",
            "write a number with its unit, in quotes: \"500ms\", \"30s\", \"7d\"",
        ),
        (
            "unknown time unit",
            "write a number with its unit, in quotes: \"500ms\", \"30s\", \"7d\"",
        ),
        (
            "time unit needed",
            "write a number with its unit, in quotes: \"500ms\", \"30s\", \"7d\"",
        ),
        (
            "couldn't parse",
            "write a number with its unit, in quotes: \"64MiB\", \"50GiB\"",
        ),
        (
            "parsable string",
            "write a number with its unit, in quotes: \"64MiB\", \"50GiB\"",
        ),
        ("a decimal in quotes", "put the number in quotes"),
        (
            " is no uid",
            "operators are users of this machine, by number",
        ),
        ("duplicate key", "keep one of the two"),
        ("expected a string", "put it in quotes"),
        (
            "expected a sequence",
            "put it in brackets, e.g. [\"a\", \"b\"]",
        ),
        ("expected a boolean", "write true or false, without quotes"),
    ] {
        if what.contains(found) {
            return hint.to_owned();
        }
    }
    if what.contains("expected u") || what.contains("expected usize") {
        return "write a whole number without quotes".to_owned();
    }
    "correct this line; \"dray-collector check\" tries the file again".to_owned()
}

/// Of a secret that was written where a file with it is to be named.
fn secret_of(rest: &str) -> Option<String> {
    let mut names = rest.split('`').skip(1).step_by(2);
    let file = format!("{}_file", names.next()?);
    names.any(|known| known == file).then(|| {
        format!("secrets stand in files of their own: write {file} = \"/etc/dray/...\", a file that only the collector's user can read")
    })
}

/// From "`bacth`, expected one of `batch`, `url`": the nearest, or all of them.
fn of_names(rest: &str, otherwise: &str) -> String {
    let mut names = rest.split('`').skip(1).step_by(2);
    let found = names.next().unwrap_or("");
    let known: Vec<&str> = names.collect();
    match nearest(found, &known) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None if known.is_empty() => otherwise.to_owned(),
        None => format!("{otherwise}; known here: {}", known.join(", ")),
    }
}

/// The known name that `found` most likely was meant to be.
fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, name) = known
        .iter()
        .map(|name| (distance(found, name), *name))
        .min()?;
    (distance <= 2.max(found.len() / 3)).then_some(name)
}

/// Damerau-Levenshtein, with swaps of neighbours counted once.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    for (index, cell) in rows[0].iter_mut().enumerate() {
        *cell = index;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let known = ["name", "url", "batch", "batch_bytes", "concurrency"];
        for (found, expected) in [
            ("bacth", Some("batch")),
            ("URL", None),
            ("concurency", Some("concurrency")),
            ("batchbytes", Some("batch_bytes")),
            ("frobnicate", None),
        ] {
            assert_eq!(nearest(found, &known), expected, "{found}");
        }
    }

    #[test]
    fn a_problem_shows_its_line_and_points_at_its_place() {
        let text = Text::of(
            Path::new("c.toml"),
            "a = 1\nb = [\n  { c = \"ü\", d = 2 },\n]\n",
        );
        let path = [At::Key("b"), At::Index(0), At::Key("d")];
        let said = text
            .problem(&path, "d is too small".into(), "write 3")
            .to_string();
        let expected = "c.toml:3:18: d is too small\n  3 |   { c = \"ü\", d = 2 },\n    |                  ^\n  way out: write 3";
        assert_eq!(said, expected);
    }
}
