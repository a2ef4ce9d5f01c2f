//! XML, JSON and IDocs: files that others wrote, what other readers of them say, and damaged ones.

mod corpora;
mod damaged;
mod json_suite;
mod xmllint;

use std::fs;
use std::path::PathBuf;

use dray_adapter::Value;
use dray_formats::{FileFault, Format, FormatConfig, Gather, Sink, Tally, Window};

fn format(toml: &str) -> Format {
    let config: FormatConfig =
        toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
    Format::new(&config, &|_| Err("no text is named".into()))
        .unwrap_or_else(|said| panic!("{toml}: {said}"))
}

/// A pass over bytes that arrive `chunk` at a time.
fn pass(format: &Format, bytes: &[u8], chunk: usize, sink: &mut impl Sink) -> Result<u64, String> {
    let mut decoder = format.decoder(0);
    let mut window = Window::default();
    let mut rest = bytes;
    loop {
        let decoded = decoder
            .decode(window.bytes(), rest.is_empty(), sink)
            .map_err(|FileFault(said)| said)?;
        window.take(decoded.bytes);
        if decoded.done {
            return Ok(decoder.ordinal());
        }
        let space = window.space();
        let count = space.len().min(chunk).min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        window.filled(count);
        rest = &rest[count..];
    }
}

/// Records as `line: cell·cell`, bad ones as `line! reason`, in their order; both passes agree. No value is `-`.
fn told(format: &Format, bytes: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let (mut gather, mut tally) = (Gather::default(), Tally::new(u64::MAX));
    let gathered = pass(format, bytes, chunk, &mut gather);
    assert_eq!(gathered, pass(format, bytes, chunk, &mut tally));
    assert_eq!(
        (tally.records, tally.rejects),
        (gather.records.len() as u64, gather.rejects.len() as u64)
    );
    gathered?;
    let mut told: Vec<(u64, String)> = gather
        .rejects
        .iter()
        .map(|reject| {
            (
                reject.ordinal,
                format!("{}! {}", reject.line, reject.reason),
            )
        })
        .collect();
    told.extend(gather.records.iter().map(|record| {
        let cells: Vec<&str> = (0..record.len())
            .map(|index| match record.value(index) {
                Value::Text(text) => text,
                _ => "-",
            })
            .collect();
        (
            record.row().ordinal,
            format!("{}: {}", record.row().line, cells.join("·")),
        )
    }));
    told.sort();
    Ok(told.into_iter().map(|(_, told)| told).collect())
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
