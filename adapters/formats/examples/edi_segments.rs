//! How EDI files are cut, for a comparison with other implementations: a line of JSON for each file that is named.
//!
//! `cargo run -p dray-formats --example edi_segments -- FILE...`, which `tests/peers/edi.py` does.

use dray_formats::{Format, FormatConfig, Found, Tally, edifact, x12};
use serde_json::{Value, json};

fn text(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// Segments as lists of elements, these as lists of components.
fn x12_segments(file: &[u8]) -> Vec<Value> {
    let (mut segments, mut at, mut found) = (x12::Segments::new(), 0, Vec::new());
    while let Ok(Found::Segment(bytes)) = segments.next(&file[at..], true) {
        at += bytes;
        let segment = segments.segment().expect("it was found");
        let is_isa = segment.element(0) == b"ISA";
        let components = |index: usize| -> Value {
            let whole = std::iter::once(segment.element(index));
            if is_isa {
                return whole.map(text).collect();
            }
            segment.components(index).map(text).collect()
        };
        found.push((0..segment.len()).map(components).collect());
    }
    found
}

fn edifact_segments(file: &[u8]) -> Vec<Value> {
    let (mut segments, mut at, mut found) = (edifact::Segments::default(), 0, Vec::new());
    while let Ok(Found::Segment(bytes)) = segments.next(&file[at..], true) {
        at += bytes;
        let segment = segments.segment();
        let components = |index| -> Value { segment.components(index).map(text).collect() };
        found.push((0..segment.len()).map(components).collect());
    }
    found
}

/// Why a whole file is refused, if it is.
fn refused(kind: &str, file: &[u8]) -> Option<String> {
    let config: FormatConfig = toml::from_str(&format!("kind = \"{kind}\"")).expect("a format");
    let mut decoder = Format::new(&config, &|_| Err("no text is named".into()))
        .expect("a good format")
        .decoder(0);
    let decoded = decoder.decode(file, true, &mut Tally::new(u64::MAX));
    decoded.err().map(|fault| fault.0)
}

/// The line of a file.
pub(crate) fn told(path: &str) -> Value {
    let file = std::fs::read(path).expect("a file that can be read");
    let head = String::from_utf8_lossy(&file[..file.len().min(200)]).into_owned();
    let kind = if head.contains("UNB") {
        "edifact"
    } else {
        "x12"
    };
    let segments = match kind {
        "x12" => x12_segments(&file),
        _ => edifact_segments(&file),
    };
    let refused = refused(kind, &file);
    json!({"file": path, "kind": kind, "segments": segments, "refused": refused})
}

fn main() {
    for path in std::env::args().skip(1) {
        println!("{}", told(&path));
    }
}
