//! What is packed: a suggestion for what is inside.

use super::{LOOKED_BYTES, Suggestion, unpacked};
use crate::packed::{Begun, Compression, begin_gzip, begin_zip};

/// `None` where nothing is packed.
pub(super) fn packed(name: &str, bytes: &[u8]) -> Option<Suggestion> {
    if bytes.starts_with(b"\x1F\x8B") {
        let begun = begin_gzip(bytes, LOOKED_BYTES);
        let inner = name.strip_suffix(".gz").unwrap_or(name);
        return Some(inside(Compression::Gzip, "gzip file", inner, begun));
    }
    if !bytes.starts_with(b"PK\x03\x04") {
        return None;
    }
    let begun = begin_zip(bytes, LOOKED_BYTES);
    let is_part = |file: &String| {
        file == "[Content_Types].xml" || file.starts_with("xl/") || file.starts_with("_rels/")
    };
    let is_workbook = name.to_ascii_lowercase().ends_with(".xlsx");
    if begun.names.iter().any(is_part) || is_workbook {
        let told = Suggestion::of(
            Some("xlsx"),
            97,
            "It is a zip archive with the parts of an Excel workbook.",
        );
        return Some(Suggestion {
            header: Some(true),
            ..told
        });
    }
    let inner = begun.names.first().cloned().unwrap_or_default();
    let mut told = inside(Compression::Zip, "zip archive", &inner, begun);
    told.reasons.push(format!(
        "What is proposed is for its first file, {inner}; all its files are read with one format."
    ));
    Some(told)
}

fn inside(compression: Compression, what: &str, name: &str, begun: Begun) -> Suggestion {
    let more = if begun.whole { 0 } else { 1 };
    let told = match &begun.bytes[..] {
        [] => Suggestion::nothing(format!(
            "There is nothing in it that can be read: {}",
            begun.said
        )),
        bytes if bytes.starts_with(b"\x1F\x8B") || bytes.starts_with(b"PK\x03\x04") => {
            Suggestion::nothing("What is in it is packed once more; have it packed once.")
        }
        bytes => unpacked(name, bytes, bytes.len() as u64 + more),
    };
    Suggestion {
        compression,
        ..told
    }
    .and(format!("It is a {what}."))
}
