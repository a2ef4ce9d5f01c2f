//! Tables: what documents become, with the bytes cut into windows of many lengths.

use dray_adapter::{REJECT_BYTES_MAX, RecordView, Value};
use sha2::{Digest as _, Sha256};

use super::{
    DOCUMENT_BYTES_MAX, DOCUMENT_SEGMENTS_MAX, INTERCHANGES_MAX, Party, Receipt, VERDICTS_MAX,
};
pub(crate) use crate::driver::format;
use crate::driver::run;
use crate::{Format, FormatConfig, Gather, Tally};

/// A record: `line type NAME=cell NAME=cell`, without cells that are not there.
pub(crate) fn shown(record: &RecordView<'_>) -> String {
    let shape = record.shape();
    let mut told = format!("{} {}", record.row().line, shape.record_type);
    for (index, name) in shape.columns.iter().enumerate() {
        if let Value::Text(text) = record.value(index) {
            told += &format!(" {name}={text}");
        }
    }
    told
}

/// Records and `line! reason`, in the file's order.
pub(crate) fn told(gather: &Gather) -> Vec<(u64, String)> {
    let records = gather
        .records
        .iter()
        .map(|record| (record.row().ordinal, shown(&record)));
    let rejects = gather.rejects.iter().map(|reject| {
        let told = format!("{}! {}", reject.line, reject.reason);
        (reject.ordinal, told)
    });
    let mut all: Vec<(u64, String)> = records.chain(rejects).collect();
    all.sort_unstable_by_key(|(ordinal, _)| *ordinal);
    all
}

pub(crate) fn told_of(format: &Format, bytes: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let mut gather = Gather::default();
    let gathered = run(format, bytes, chunk, 0, &mut gather, |_| {
        panic!("a case fits a batch")
    });
    let mut tally = Tally::new(u64::MAX);
    let tallied = run(format, bytes, chunk, 0, &mut tally, |_| ());
    assert_eq!(gathered, tallied, "both passes agree");
    assert_eq!(tally.records, gather.records.len() as u64);
    assert_eq!(tally.rejects, gather.rejects.len() as u64);
    gathered.map_err(|fault| fault.0)?;
    let told = told(&gather);
    assert!(
        (0..)
            .zip(&told)
            .all(|(expected, (ordinal, _))| expected == *ordinal)
    );
    // Batches of one record, and each beginning in the middle, are parts of the same.
    let mut single = Gather::with_limits(1, usize::MAX);
    let mut parts = Vec::new();
    run(format, bytes, chunk, 0, &mut single, |full| {
        parts.extend(self::told(full));
        *full = Gather::with_limits(1, usize::MAX);
    })
    .expect("as before");
    parts.extend(self::told(&single));
    assert_eq!(parts, told, "in batches of one");
    for skip in 0..=told.len().min(4) {
        let mut rest = Gather::default();
        run(format, bytes, chunk, skip as u64, &mut rest, |_| ()).expect("as before");
        assert_eq!(self::told(&rest), told[skip..], "from {skip} on");
    }
    Ok(told.into_iter().map(|(_, told)| told).collect())
}

/// Each expected text is a whole record, or the beginning `line! ` and then words of a reason.
pub(crate) fn check(toml: &str, bytes: &[u8], expected: &[&str]) {
    let format = format(toml);
    for chunk in [usize::MAX, 1, 2, 3, 7, 100] {
        let told = told_of(&format, bytes, chunk).unwrap_or_else(|said| panic!("{said}"));
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            let fits = match expected.split_once("! ") {
                Some((line, words)) => {
                    told.starts_with(&format!("{line}! ")) && told.contains(words)
                }
                None => told == expected,
            };
            assert!(
                fits,
                "in windows of {chunk}:\n{told}\nshould be\n{expected}"
            );
        }
    }
}

/// The whole file is refused with these words.
pub(crate) fn refused(toml: &str, bytes: &[u8], words: &str) {
    let format = format(toml);
    for chunk in [usize::MAX, 1, 7] {
        let said = told_of(&format, bytes, chunk).expect_err("it is broken");
        assert!(said.contains(words), "{said}");
    }
}

/// What is said of a configuration: `path: sentence`, first fault only.
pub(crate) fn fault(toml: &str, words: &[&str]) {
    let said = match toml::from_str::<FormatConfig>(toml) {
        Ok(config) => config
            .faults()
            .first()
            .map_or_else(|| "(fine)".into(), |(path, said)| format!("{path}: {said}")),
        Err(error) => error.to_string(),
    };
    for word in words {
        assert!(
            said.contains(word),
            "{toml}: \"{word}\" is missing in: {said}"
        );
    }
}

/// What a file's receipt says when it was read as far as possible.
pub(crate) fn receipt_of(toml: &str, file: &str) -> Receipt {
    let mut decoder = format(toml).decoder(0);
    let mut tally = Tally::new(u64::MAX);
    let _ = decoder.decode(file.as_bytes(), true, &mut tally);
    decoder.receipt().expect("EDI has one").clone()
}

pub(crate) fn shown_of(format: &Format, file: &str) -> Vec<String> {
    told_of(format, file.as_bytes(), usize::MAX).expect("a good file")
}

#[test]
fn a_receipt_names_interchanges_and_is_bounded() {
    let unb = |number: usize| format!("UNB+UNOC:3+S:14+R:9+260101:1200+{number}'");
    let one = |number: usize| {
        format!(
            "{}UNH+1+ORDERS:D:96A:UN'BGM+220+A'UNT+3+1'UNZ+1+{number}'",
            unb(number)
        )
    };
    let receipt = receipt_of("kind = \"edifact\"", &one(7));
    let interchange = &receipt.interchanges[0];
    let party = |of: &Party| format!("{}:{}", of.id, of.qualifier);
    assert_eq!(
        (party(&interchange.sender), party(&interchange.receiver)),
        ("S:14".into(), "R:9".into())
    );
    assert_eq!(
        (
            interchange.number.as_str(),
            interchange.line,
            interchange.is_ended
        ),
        ("7", 1, true)
    );
    assert_eq!((receipt.left_out, interchange.groups[0].accepted), (0, 1));
    let many: String = (0..INTERCHANGES_MAX + 2).map(one).collect();
    let receipt = receipt_of("kind = \"edifact\"", &many);
    assert_eq!(receipt.interchanges.len(), INTERCHANGES_MAX);
    assert_eq!(receipt.left_out, 4, "two interchanges and two documents");
    // None of them is known: twice as many are told as of good ones.
    let messages: String = (0..=2 * VERDICTS_MAX)
        .map(|number| format!("UNH+{number}+X:D'UNT+2+{number}'"))
        .collect();
    let long = format!("{}{messages}UNZ+{}+7'", unb(7), 2 * VERDICTS_MAX + 1);
    let receipt = receipt_of("kind = \"edifact\"", &long);
    let group = &receipt.interchanges[0].groups[0];
    assert_eq!(
        (group.documents.len(), group.rejected, receipt.left_out),
        (2 * VERDICTS_MAX, 2 * VERDICTS_MAX as u64 + 1, 1)
    );
}

/// A file of one long document and a short one.
fn long(segments: &str, count: usize) -> Vec<u8> {
    let unb = "UNB+UNOC:3+S:14+R:9+260101:1200+7'\n";
    let short = "UNH+2+ORDERS:D'BGM+220+B'UNT+3+2'";
    format!(
        "{unb}UNH+1+ORDERS:D'BGM+220+A'{segments}UNT+{}+1'{short}UNZ+2+7'",
        count + 3
    )
    .into_bytes()
}

#[test]
fn what_is_too_large_is_one_bad_record_with_its_first_bytes() {
    let line = format!("LIN+1'FTX+AAI+++{}'", "x".repeat(500));
    let lines = DOCUMENT_BYTES_MAX / line.len() + 2;
    let fat = format!("FTX+AAI+++{}'", "x".repeat(60_000));
    for (segments, count, words) in [
        (
            line.repeat(lines),
            2 * lines,
            "at most 16777216 bytes and 500000 segments",
        ),
        (
            "LIN+1'".repeat(DOCUMENT_SEGMENTS_MAX),
            DOCUMENT_SEGMENTS_MAX,
            "at most 16777216 bytes",
        ),
        (
            "\n".repeat(DOCUMENT_BYTES_MAX) + "FTX+AAI'",
            1,
            "at most 16777216 bytes",
        ),
        (
            fat.repeat(20),
            20,
            "segment 20 (FTX): a record has at most 1048576 bytes, and the loop of UNH has more",
        ),
    ] {
        let file = long(&segments, count);
        let document = &file[file.iter().position(|byte| *byte == b'\n').expect("there") + 1
            ..file.len() - "UNH+2+ORDERS:D'BGM+220+B'UNT+3+2'UNZ+2+7'".len()];
        for chunk in [usize::MAX, 70_001] {
            let mut gather = Gather::default();
            let ordinal = run(
                &format("kind = \"edifact\""),
                &file,
                chunk,
                0,
                &mut gather,
                |_| panic!("it fits"),
            );
            assert_eq!(ordinal, Ok(2));
            let bad = &gather.rejects[0];
            assert!(bad.reason.contains(words), "{}", bad.reason);
            assert_eq!((bad.line, bad.raw_bytes), (2, document.len() as u64));
            assert_eq!(bad.raw, document[..REJECT_BYTES_MAX]);
            assert_eq!(bad.raw_sha256, Some(Sha256::digest(document).into()));
            let good = gather.records.get(0).expect("the short one");
            assert_eq!(
                (good.row().ordinal, good.raw()),
                (1, b"UNH+2+ORDERS:D'BGM+220+B'UNT+3+2'".as_slice())
            );
        }
    }
}

#[test]
fn a_record_keeps_its_own_bytes() {
    let file = long("NAD+BY+1'\nLIN+1'QTY+21:5'\nLIN+2'UNS+S'CNT+2:2'", 6);
    let mut gather = Gather::default();
    run(
        &format("kind = \"edifact\""),
        &file,
        3,
        0,
        &mut gather,
        |_| panic!("it fits"),
    )
    .expect("fine");
    let raw: Vec<String> = gather
        .records
        .iter()
        .map(|record| record.raw().escape_ascii().to_string())
        .collect();
    let header = "UNH+1+ORDERS:D'BGM+220+A'NAD+BY+1'\\nUNS+S'CNT+2:2'UNT+9+1'";
    let told: Vec<String> = raw.iter().map(|raw| raw.replace("\\'", "'")).collect();
    assert_eq!(told[..3], [header, "LIN+1'QTY+21:5'\\n", "LIN+2'"]);
}
