//! A name that is made of a file's name. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// `{name}.done`, `{stem}.ctl`, or a fixed name as `850_LOCK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    before: Vec<u8>,
    part: Option<Part>,
    after: Vec<u8>,
}

/// What of the file's name stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Name,
    /// All before the last dot.
    Stem,
}

impl Template {
    /// Reads a setting; the error is a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('/') {
            return Err(format!(
                "\"{text}\" is no name: it lies in the folder of the files, and is called e.g. \"{{name}}.done\""
            ));
        }
        let found = [("{name}", Part::Name), ("{stem}", Part::Stem)]
            .into_iter()
            .find_map(|(mark, part)| Some((text.split_once(mark)?, part)));
        let (before, part, after) = match found {
            Some(((before, after), part)) => (before, Some(part), after),
            None => (text, None, ""),
        };
        if [before, after].concat().contains(['{', '}']) {
            return Err(format!(
                "\"{text}\": of a file's name, {{name}} or {{stem}} can stand in it, once; braces have no other use"
            ));
        }
        if part.is_some() && before.is_empty() && after.is_empty() {
            return Err(format!(
                "\"{text}\" is the file's own name; add what tells them apart, e.g. \"{text}.done\""
            ));
        }
        Ok(Self {
            before: before.into(),
            part,
            after: after.into(),
        })
    }

    /// The name for this file.
    pub(crate) fn of(&self, file: &OsStr) -> OsString {
        let part = match self.part {
            None => OsStr::new(""),
            Some(Part::Name) => file,
            Some(Part::Stem) => Path::new(file).file_stem().unwrap_or(file),
        };
        OsString::from_vec([&self.before, part.as_bytes(), &self.after].concat())
    }

    /// What stands for the file's name or stem in a name of this form; of a fixed one, nothing does.
    pub(crate) fn part_of<'a>(&self, name: &'a OsStr) -> Option<&'a OsStr> {
        let part = name
            .as_bytes()
            .strip_prefix(&self.before[..])?
            .strip_suffix(&self.after[..])?;
        (self.part.is_some() != part.is_empty()).then(|| OsStr::from_bytes(part))
    }

    /// What of the file's name stands in it.
    pub(crate) fn part(&self) -> Option<Part> {
        self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_a_files_and_known_again() {
        for (template, file, made, part) in [
            ("{name}.done", "a.txt", "a.txt.done", "a.txt"),
            ("{stem}.ctl", "a.b.txt", "a.b.ctl", "a.b"),
            ("{stem}.ctl", "a", "a.ctl", "a"),
            (".~lock.{name}#", "a.txt", ".~lock.a.txt#", "a.txt"),
            ("850_LOCK", "a.txt", "850_LOCK", ""),
        ] {
            let template = Template::parse(template).expect("a template");
            assert_eq!(template.of(OsStr::new(file)), made);
            assert_eq!(template.part_of(OsStr::new(made)), Some(OsStr::new(part)));
            for other in ["b.txt", "x850_LOCK", "850_LOCKx", ".done", ".ctl"] {
                assert_eq!(template.part_of(OsStr::new(other)), None, "{other}");
            }
        }
    }

    #[test]
    fn a_template_that_cannot_be_meant_is_refused() {
        for (text, word) in [
            ("", "is no name"),
            ("done/{name}", "is no name"),
            ("{name}", "own name"),
            ("{stem}", "own name"),
            ("{name}{stem}", "once"),
            ("{nmae}.done", "{name} or {stem}"),
        ] {
            let said = Template::parse(text).expect_err(text);
            assert!(said.contains(word), "{said}");
        }
    }
}
