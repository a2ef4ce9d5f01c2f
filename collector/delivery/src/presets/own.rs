//! Presets of the user's own: files beside the configuration, in the format of those that are shipped.
//!
//! A name that ends in `.toml` is a path: from the folder of the file that names it on, which is the configuration or another
//! preset of the user's. A preset's own file may lie on a shipped one, as these lie on each other.
//!
//! What stands in such a file is shown there when it is wrong. A document's values know where in *one* text they stand; so the
//! files count as if each followed the text of the targets: the first begins one byte behind its end, and so on.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::lay::{Refused, preset_of};
use super::{DEPTH_MAX, Preset};

/// The largest file: thirty times the longest that is shipped.
pub const OWN_BYTES_MAX: u64 = 256 * 1024;

/// Whether a preset's name is a path.
#[must_use]
pub fn is_path(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|ending| ending == "toml")
}

/// All the files that the targets of a text name as presets, as they were when it was read.
#[derive(Debug, Default)]
pub struct Own {
    folder: PathBuf,
    files: BTreeMap<PathBuf, Result<OwnFile, String>>,
}

/// A preset's file.
#[derive(Debug)]
pub struct OwnFile {
    path: PathBuf,
    text: String,
    start: usize,
}

impl Own {
    /// Reads those that `text`, the content of a file in `folder`, names. What cannot be read is told where it is laid.
    #[must_use]
    pub fn of(text: &str, folder: &Path) -> Self {
        let mut own = Self {
            folder: folder.to_owned(),
            files: BTreeMap::new(),
        };
        let mut start = text.len() + 1;
        for name in names_in(text) {
            own.read(name, &mut start);
        }
        own
    }

    /// Reads a file, and those that it lies on.
    fn read(&mut self, name: String, start: &mut usize) {
        let (mut folder, mut next) = (self.folder.clone(), Some(name));
        for _ in 0..DEPTH_MAX {
            let Some(name) = next.take().filter(|name| is_path(name)) else {
                return;
            };
            let path = folder.join(&name);
            let file = self.files.entry(path.clone()).or_insert_with(|| {
                let text = text_of(&path)?;
                let file = OwnFile {
                    path: path.clone(),
                    text,
                    start: *start,
                };
                *start += file.text.len() + 1;
                Ok(file)
            });
            if let Ok(file) = file {
                folder = file.folder().to_owned();
                next = lies_on(&file.text);
            }
        }
    }

    /// Where the text's file stands.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that somebody in `folder` calls so; `None`: that is no path.
    pub(super) fn find(&self, folder: &Path, name: &str) -> Option<Result<&OwnFile, &str>> {
        if !is_path(name) {
            return None;
        }
        let file = self.files.get(&folder.join(name));
        Some(match file {
            Some(file) => file.as_ref().map_err(String::as_str),
            None => Err("it was not read"),
        })
    }

    /// The file that a position lies in: its path, its text, and the position there.
    #[must_use]
    pub fn place(&self, at: usize) -> Option<(&Path, &str, usize)> {
        let mut files = self.files.values().flatten();
        let file = files.find(|file| (file.start..=file.start + file.text.len()).contains(&at))?;
        Some((&file.path, &file.text, at - file.start))
    }

    /// What is wrong, with the file and the line where that is one of these.
    pub(super) fn said(&self, at: usize, what: &str) -> String {
        match self.place(at) {
            Some((path, text, at)) => {
                let before = text.get(..at).unwrap_or("");
                let line = before.matches('\n').count() + 1;
                format!("{}:{line}: {what}", path.display())
            }
            None => what.to_owned(),
        }
    }
}

impl OwnFile {
    /// Where those stand that it names.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where it begins: see the module.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// What it says, or where that shows and what is wrong.
    pub(super) fn preset(&self) -> Result<Preset, Refused> {
        toml::from_str(&self.text).map_err(|error| {
            let within = error.span().unwrap_or(0..0);
            let at = self.start + within.start..self.start + within.end;
            (at, error.message().trim().replace('\n', " "), "")
        })
    }
}

/// A file's text, or a sentence.
fn text_of(path: &Path) -> Result<String, String> {
    let refused = |reason: &dyn std::fmt::Display| {
        Err(format!("{} cannot be read: {reason}", path.display()))
    };
    // A pipe, or a device, is never at its end.
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return refused(&"it is no file"),
        Err(error) => return refused(&error),
        Ok(_) => {}
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return refused(&error),
    };
    let mut text = String::new();
    if let Err(error) = file.take(OWN_BYTES_MAX + 1).read_to_string(&mut text) {
        return refused(&error);
    }
    if text.len() as u64 > OWN_BYTES_MAX {
        return refused(&format!("a preset has at most {OWN_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The presets that the targets of a text name.
fn names_in(text: &str) -> Vec<String> {
    let Ok(root) = DeTable::parse(text) else {
        return Vec::new();
    };
    let Some(DeValue::Array(targets)) = root.get_ref().get("target").map(Spanned::get_ref) else {
        return Vec::new();
    };
    let tables = targets
        .iter()
        .filter_map(|target| target.get_ref().as_table());
    let named = tables.filter_map(preset_of);
    named.map(|(name, _)| name).collect()
}

/// The preset that one lies on.
fn lies_on(text: &str) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    let table = document.get_ref().get("target")?.get_ref().as_table()?;
    preset_of(table).map(|(name, _)| name)
}

#[cfg(test)]
mod tests;
