//! Delimited text as systems write it, in chunks of every size.

use dray_adapter::{Records, Reject, Value};
use dray_formats::csv::{Csv, CsvConfig, FoundRecord, Out, RECORD_BYTES_MAX};
use serde::Deserialize;
use serde::de::value::{Error, MapDeserializer};

#[derive(Default)]
struct Kept {
    records: Records,
    rejects: Vec<Reject>,
}

impl Out for Kept {
    fn record(&mut self, record: FoundRecord<'_>) {
        record.keep(&mut self.records);
    }

    fn reject(&mut self, reject: Reject) {
        self.rejects.push(reject);
    }
}

fn config(settings: &[(&'static str, &'static str)]) -> CsvConfig {
    let all = [("kind", "csv"), ("delimiter", "|")]
        .into_iter()
        .filter(|(name, _)| !settings.iter().any(|(set, _)| set == name));
    CsvConfig::deserialize(MapDeserializer::<_, Error>::new(
        all.chain(settings.iter().copied()),
    ))
    .expect("settings")
}

fn decode(config: &CsvConfig, bytes: &[u8], chunk: usize) -> Result<Kept, String> {
    let mut csv = Csv::new(config).expect("a good configuration");
    let mut kept = Kept::default();
    for part in bytes.chunks(chunk) {
        csv.push(part, &mut kept)?;
    }
    csv.finish(&mut kept)?;
    Ok(kept)
}

/// `line: cell / cell` per record and `line! words` per reject, by ordinal.
fn shown(kept: &Kept) -> Vec<String> {
    let mut all: Vec<(u64, String)> = Vec::new();
    for record in kept.records.iter() {
        let cells: Vec<&str> = (0..record.len())
            .map(|index| match record.value(index) {
                Value::Text(text) => text,
                _ => "(none)",
            })
            .collect();
        all.push((
            record.row().ordinal,
            format!("{}: {}", record.row().line, cells.join(" / ")),
        ));
    }
    for reject in &kept.rejects {
        all.push((
            reject.ordinal,
            format!("{}! {}", reject.line, reject.reason),
        ));
    }
    all.sort();
    assert!(
        all.iter()
            .enumerate()
            .all(|(at, (ordinal, _))| at as u64 == *ordinal),
        "ordinals have no gaps"
    );
    all.into_iter().map(|(_, text)| text).collect()
}

/// Each case is decoded in chunks of many sizes, with the same result. `!` rows: words that the
/// reason must hold.
fn check(settings: &[(&'static str, &'static str)], bytes: &[u8], expected: &[&str]) {
    for chunk in [1, 2, 3, 7, 64, usize::MAX] {
        let found = shown(
            &decode(&config(settings), bytes, chunk.min(bytes.len().max(1)))
                .expect("a usable header"),
        );
        assert_eq!(found.len(), expected.len(), "chunks of {chunk}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            match expected.split_once('!') {
                Some((line, words)) => {
                    assert!(
                        found.starts_with(&format!("{line}! ")) && found.contains(words.trim()),
                        "{found} / {expected}"
                    );
                }
                None => assert_eq!(found, expected, "chunks of {chunk}"),
            }
        }
    }
}

#[test]
fn lines_become_records_with_their_place() {
    check(&[], b"A|B\n1|2\n3|4\n", &["2: 1 / 2", "3: 3 / 4"]);
    check(&[], b"A|B\r\n1|2\r\n\r\n3|4", &["2: 1 / 2", "4: 3 / 4"]);
    check(&[], b"\xEF\xBB\xBFA|B\n1|\n", &["2: 1 / "]);
    check(&[], b"", &[]);
    check(&[], b"A|B", &[]);
    check(&[("delimiter", "\t")], b"A\tB\nx y\t \n", &["2: x y /  "]);
}

#[test]
fn quotes_hold_delimiters_quotes_and_newlines() {
    check(&[], b"A|B\n\"x|y\"|2\n", &["2: x|y / 2"]);
    check(&[], b"A|B\n\"say \"\"hi\"\"\"|2\n", &["2: say \"hi\" / 2"]);
    check(
        &[],
        b"A|B\n\"two\nlines\"|2\n3|4\n",
        &["2: two\nlines / 2", "4: 3 / 4"],
    );
    check(
        &[],
        b"A|B\r\n\"two\r\nlines\"|2\r\n3|4\r\n",
        &["2: two\nlines / 2", "4: 3 / 4"],
    );
    check(&[], b"\"A\"|\"B\"\n1|2\n", &["2: 1 / 2"]);
    check(&[], b"A|B\n5\" pipe|2\n", &["2: 5\" pipe / 2"]);
    check(&[("quote", "")], b"A|B\n\"x|y\n", &["2: \"x / y"]);
}

#[test]
fn a_stray_quote_costs_its_own_line_only() {
    check(
        &[],
        b"A|B\n1|2\n\"open|3\n4|5\n6|7\n",
        &["2: 1 / 2", "3! does not close", "4: 4 / 5", "5: 6 / 7"],
    );
    check(
        &[],
        b"A|B\n\"open|3\n4|5\n6|\"7\"\n8|9\n",
        &["2! does not close", "3: 4 / 5", "4: 6 / 7", "5: 8 / 9"],
    );
}

#[test]
fn bad_lines_are_told_apart() {
    check(
        &[],
        b"A|B\n1\n1|2|3\n",
        &["2! 1 column, 2 were expected", "3! 3 columns"],
    );
    check(
        &[],
        b"A|B\nK\xF6ln|2\n3|4\n",
        &["2! not utf-8: byte 2", "3: 3 / 4"],
    );
    check(&[], b"A|B\na\0b|2\n3|4\n", &["2! NUL", "3: 3 / 4"]);
}

#[test]
fn other_encodings_are_read_and_their_raw_bytes_kept() {
    let western = b"A|B\nK\xF6ln|\x80\n\x81|1\n";
    check(
        &[("encoding", "windows-1252")],
        western,
        &["2: Köln / €", "3! not windows-1252"],
    );
    let kept = decode(&config(&[("encoding", "windows-1252")]), western, 1).expect("a header");
    assert_eq!(kept.records.get(0).expect("one").raw(), b"K\xF6ln|\x80");
    check(
        &[("encoding", "iso-8859-1")],
        b"A|B\nK\xF6ln|\x80\n",
        &["2: Köln / \u{80}"],
    );
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    };
    let text = "A|B\r\nKöln|\"x|😀\"\r\n1|2\n";
    for (mark, name, big) in [
        (true, "utf-16", false),
        (true, "utf-16", true),
        (false, "utf-16le", false),
        (false, "utf-16be", true),
    ] {
        let marked = if mark {
            format!("\u{FEFF}{text}")
        } else {
            text.to_owned()
        };
        let name = if name == "utf-16" {
            "utf-16"
        } else if big {
            "utf-16be"
        } else {
            "utf-16le"
        };
        check(
            &[("encoding", name)],
            &utf16(&marked, big),
            &["2: Köln / x|😀", "3: 1 / 2"],
        );
    }
}

#[test]
fn a_line_without_end_stays_in_bounds() {
    let mut bytes = b"A|B\n1|2\n".to_vec();
    bytes.extend(std::iter::repeat_n(b'x', 20 * RECORD_BYTES_MAX));
    bytes.extend_from_slice(b"\n3|4\n");
    let kept = decode(&config(&[]), &bytes, 65_536).expect("a header");
    assert_eq!(shown(&kept).len(), 3);
    let reject = &kept.rejects[0];
    assert_eq!(
        (reject.raw.len(), reject.raw_bytes),
        (65_536, 20 * RECORD_BYTES_MAX as u64)
    );
    assert!(reject.reason.contains("too long") && reject.raw_sha256.is_some());
    // The same at the file's end, and inside a quote.
    let end = bytes.len() - 5;
    assert_eq!(
        decode(&config(&[]), &bytes[..end], 4_096)
            .expect("a header")
            .rejects
            .len(),
        1
    );
    bytes[8] = b'"';
    assert_eq!(
        decode(&config(&[]), &bytes, 65_536)
            .expect("a header")
            .rejects
            .len(),
        1
    );
}

#[test]
fn unusable_headers_and_settings_are_sentences() {
    for (header, words) in [
        ("A|A\n1|2\n", "two columns"),
        ("A||B\n", "column 2 has no name"),
    ] {
        let refused = decode(&config(&[]), header.as_bytes(), 64)
            .err()
            .expect("unusable");
        assert!(refused.contains(words), "{refused}");
    }
    for (settings, setting) in [
        (&[("delimiter", "||")][..], "delimiter"),
        (&[("quote", "|")], "quote"),
        (&[("encoding", "ebcdic")], "encoding"),
        (&[("kind", "cvs")], "kind"),
    ] {
        let faults = config(settings).faults();
        assert!(
            faults.iter().any(|(name, _)| *name == setting),
            "{setting}: {faults:?}"
        );
    }
}
