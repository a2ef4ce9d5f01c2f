//! What is wrong with a configuration, where, and the way out.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file's mistakes that are shown, at most; whoever has more wants to see the first ones.
pub const MISTAKES_MAX: usize = 50;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where, in bytes of the file; `None` where it is nowhere in particular.
    pub span: Option<Range<usize>>,
    /// A sentence with the way out.
    pub sentence: String,
}

/// A configuration file and everything that is wrong with it.
#[derive(Debug, Error)]
pub struct ConfigError {
    file: PathBuf,
    text: String,
    mistakes: Vec<Mistake>,
}

impl ConfigError {
    /// Of `file`, whose content is `text`. The mistakes are shown in the file's order.
    #[must_use]
    pub fn new(file: &Path, text: &str, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.span.as_ref().map_or(0, |span| span.start));
        mistakes.dedup();
        mistakes.truncate(MISTAKES_MAX);
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            mistakes,
        }
    }

    /// A file that cannot even be read.
    #[must_use]
    pub fn unreadable(file: &Path, sentence: String) -> Self {
        Self::new(
            file,
            "",
            vec![Mistake {
                span: None,
                sentence,
            }],
        )
    }

    /// How many mistakes there are.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    fn write_mistake(&self, f: &mut fmt::Formatter<'_>, mistake: &Mistake) -> fmt::Result {
        let file = self.file.display();
        let Some(span) = &mistake.span else {
            return write!(f, "{file}: {}", mistake.sentence);
        };
        let place = Place::of(&self.text, span.start);
        let (line, column) = (place.line, place.column);
        writeln!(f, "{file}:{line}:{column}: {}", mistake.sentence)?;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "  {number} | {}", place.text)?;
        let indent: String = place.text.chars().take(column - 1).map(blank).collect();
        let marked = self.text.get(span.clone()).unwrap_or_default();
        let marked = marked.lines().next().unwrap_or_default().chars().count();
        write!(f, "  {margin} | {indent}{}", "^".repeat(marked.max(1)))
    }
}

/// Keeps tabs, so that the caret stands below its place.
fn blank(letter: char) -> char {
    if letter == '\t' { '\t' } else { ' ' }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            self.write_mistake(f, mistake)?;
        }
        Ok(())
    }
}

/// A place in a text as editors count it.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    text: &'a str,
}

impl<'a> Place<'a> {
    /// Of byte `at`, or of the end where the text is shorter.
    fn of(text: &'a str, at: usize) -> Self {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[at..].find('\n').map_or(text.len(), |more| at + more);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[start..at].chars().count() + 1,
            text: text[start..end].trim_end_matches('\r'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "größe = 1\r\n\tx = 2\n";
        for (at, line, column, of) in [
            (0, 1, 1, "größe = 1"),
            (8, 1, 7, "größe = 1"),
            (14, 2, 2, "\tx = 2"),
            (500, 3, 1, ""),
        ] {
            let expected = Place {
                line,
                column,
                text: of,
            };
            assert_eq!(Place::of(text, at), expected, "byte {at}");
        }
    }

    #[test]
    fn a_mistake_is_shown_with_its_line_and_a_caret() {
        let error = ConfigError::new(
            Path::new("agent.toml"),
            "site = \"north\"\ndata = 3\n",
            vec![Mistake {
                span: Some(15..19),
                sentence: "unknown setting".into(),
            }],
        );
        assert_eq!(
            error.to_string(),
            "agent.toml:2:1: unknown setting\n  2 | data = 3\n    | ^^^^"
        );
    }
}
