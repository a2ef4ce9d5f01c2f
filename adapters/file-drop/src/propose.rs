//! A proposal for a file that nobody has seen before: the `[flow.source]` that would read it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use dray_formats::packed::Compression;
use dray_formats::suggest::{LOOKED_BYTES, Suggestion, quoted, suggest};

/// Stands for the folder, which a file alone does not tell.
pub const FOLDER: &str = "/srv/legacy/out";

/// What a file seems to be, and how it would be read.
#[derive(Debug)]
pub struct Proposal {
    /// What led to it.
    pub told: Suggestion,
    /// The glob that takes the file's name and those of others like it.
    pub pattern: String,
}

/// Looks at a file's beginning.
///
/// # Errors
/// A sentence: the file can't be read.
pub fn propose(file: &Path) -> Result<Proposal, String> {
    let failed = |error: io::Error| format!("{} can't be read: {error}", file.display());
    let mut opened = File::open(file).map_err(failed)?;
    let whole_len = opened.metadata().map_err(failed)?.len();
    let mut first_bytes = Vec::new();
    opened
        .by_ref()
        .take(LOOKED_BYTES as u64)
        .read_to_end(&mut first_bytes)
        .map_err(failed)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(Proposal {
        told: suggest(&name, &first_bytes, whole_len),
        pattern: pattern(&name),
    })
}

impl Proposal {
    /// `[flow.source]` and what is below it; `None` where nothing fits. `copybook`: where that of a mainframe's file is.
    #[must_use]
    pub fn source(&self, copybook: &str) -> Option<String> {
        let format = self.told.to_toml("flow.source.format", copybook)?;
        let compression = match self.told.compression {
            Compression::Gzip => "compression = \"gzip\"\n",
            Compression::Zip => "compression = \"zip\"\n",
            _ => "",
        };
        let folder = quoted(FOLDER);
        let pattern = quoted(&self.pattern);
        Some(format!(
            "[flow.source]\nkind = \"file-drop\"\n# Yours instead: where the system writes its files.\nfolder = {folder}\npattern = {pattern}\n{compression}\n{format}"
        ))
    }
}

/// The name with a star for each number in it: `SHP_20261123_0007.txt` is `SHP_*.txt`. An ending that begins with a letter
/// stays: `.x12`, `.mt940`.
fn pattern(name: &str) -> String {
    let ending = name.rfind('.').filter(|at| {
        let ending = &name[at + 1..];
        ending.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let (mut rest, ending) = name.split_at(ending.unwrap_or(name.len()));
    let mut pattern = String::new();
    while let Some(letter) = rest.chars().next() {
        let length = number(rest);
        rest = &rest[length.max(letter.len_utf8())..];
        pattern.push(match letter {
            _ if length > 0 => '*',
            // What a glob takes for more than itself.
            '*' | '?' | '[' | ']' | '{' | '}' | '\\' | ',' | '!' => '?',
            letter => letter,
        });
    }
    pattern.push_str(ending);
    if pattern.is_empty() {
        pattern.push('*');
    }
    pattern
}

/// The bytes of the digits that a text begins with, and of those behind them with a separator between: dates and counters.
fn number(text: &str) -> usize {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match text.as_bytes().get(digits) {
        Some(b'_' | b'-' | b'.') if digits > 0 => match number(&text[digits + 1..]) {
            0 => digits,
            more => digits + 1 + more,
        },
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_the_file_and_its_successors() {
        for (name, expected) in [
            ("SHP_20261123_0007.txt", "SHP_*.txt"),
            ("orders.csv", "orders.csv"),
            ("x12-940.edi", "x*.edi"),
            ("945_0001.x12", "*.x12"),
            ("a.7", "a.*"),
            ("a[1]{b}.txt", "a?*??b?.txt"),
            ("20261123", "*"),
        ] {
            let pattern = pattern(name);
            assert_eq!(pattern, expected);
            let glob = globset::Glob::new(&pattern)
                .expect("a glob")
                .compile_matcher();
            assert!(glob.is_match(name), "{pattern} takes {name}");
        }
    }
}
