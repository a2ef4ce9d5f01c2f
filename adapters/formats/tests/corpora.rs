//! Files that others wrote, decoded to what they say themselves that those hold. Where the files are not there, which is so in a
//! clone by itself, there is nothing to read.

#[path = "corpora/csv.rs"]
mod csv;
mod driver;
#[path = "corpora/fixed.rs"]
mod fixed;

use std::fs;
use std::path::{Path, PathBuf};

#[path = "corpora/cobrix.rs"]
mod cobrix;

#[path = "corpora/listed.rs"]
mod listed;

#[path = "corpora/edi.rs"]
mod edi;

/// A file of the corpora.
fn corpus(path: &str) -> Option<Vec<u8>> {
    let path = corpora()?.join(path);
    Some(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The corpora: in the folder that `DRAY_CORPORA` names, or beside this project.
fn corpora() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let folder = std::env::var_os("DRAY_CORPORA").map_or_else(beside, PathBuf::from);
    let found = folder.is_dir();
    if !found {
        println!("there are no corpora to read");
    }
    found.then_some(folder)
}

/// All files below a folder, by their paths from there.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() != "README.md" {
                let path = entry.path();
                let path = path.strip_prefix(folder).expect("below it");
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Whether two values are the same, as text or as numbers.
fn is_same(text: &str, expected: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok().filter(|_| text.len() <= 16);
    // Up to 15 digits, two equal decimals are equal floats.
    text == expected || number(text).is_some_and(|one| number(expected) == Some(one))
}
