//! XML, JSON and IDocs: files that others wrote, what other readers of them say, and damaged ones.

mod corpora;
mod damaged;
#[path = "../driver/mod.rs"]
mod driver;
mod json_suite;
mod xmllint;

use std::fs;
use std::path::PathBuf;

use dray_formats::Format;
use driver::format;

/// As the driver tells it, but no value is `-`.
fn told(format: &Format, bytes: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let told = driver::told_of(format, bytes, chunk)?.into_iter();
    Ok(told.map(|told| told.replace('∅', "-")).collect())
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

fn corpus(path: &str) -> Option<Vec<u8>> {
    let path = corpora()?.join(path);
    Some(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
