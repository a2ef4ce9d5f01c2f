//! Files that others wrote, decoded to what they say themselves that those hold. Where the files are not there, which is so in a
//! clone by itself, there is nothing to read.

#[path = "corpora/csv.rs"]
mod csv;
mod driver;
#[path = "corpora/fixed.rs"]
mod fixed;

use std::fs;
use std::path::{Path, PathBuf};

use dray_formats::{Found, edifact, x12};

#[path = "corpora/cobrix.rs"]
mod cobrix;

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

/// How many segments an X12 file has, if its envelopes hold.
fn x12_segments(file: &[u8]) -> Result<usize, String> {
    let (mut segments, mut envelope) = (x12::Segments::new(), x12::Envelope::default());
    let (mut at, mut count) = (0, 0);
    loop {
        match segments.next(&file[at..], true).map_err(|fault| fault.0)? {
            Found::More(_) => return envelope.end().map(|()| count),
            Found::Segment(bytes) => at += bytes,
        }
        envelope.take(&segments.segment().expect("it was found"))?;
        count += 1;
    }
}

/// Files whose envelopes do not hold, each with the rule: their authors wrote them to show something else.
const X12_REFUSED: [(&str, &str); 16] = [
    (
        "EDI.Net/x12.832.edi",
        "line 14: SE01 counts 17 segments, and there are 12",
    ),
    (
        "EDI.Net/x12.850.edi",
        "line 15: IEA02 is 000000001, but ISA13 of line 1 is 000000055",
    ),
    (
        "EDI.Net/x12.850a.edi",
        "line 54: IEA02 is 000000001, but ISA13 of line 1 is 000000055",
    ),
    (
        "gozer/po850.txt",
        "line 23: SE01 counts 33 segments, and there are 21",
    ),
    (
        "x12-types/004010_940_1.edi",
        "line 32: GE02 is 575103, but GS06 of line 2 is 3317",
    ),
    // Its ISA ends after ten elements.
    (
        "x12-types/004010_940_6.edi",
        "line 1: the ISA segment names 0x34 as what ends a segment",
    ),
    (
        "x12-types/004010_940_7.edi",
        "line 5: SE01 counts 4 segments, and there are 3",
    ),
    // A bar stands where an asterisk should.
    (
        "x12-types/004010_940_8.edi",
        "line 1: the ISA segment names 0x4F as what ends a segment",
    ),
    (
        "x12-types/004010_940_9.edi",
        "line 1: the file does not begin with an ISA segment",
    ),
    (
        "x12-types/004010_945_1.edi",
        "line 1: the file does not begin with an ISA segment",
    ),
    (
        "x12-types/004010_945_2.edi",
        "line 1: the file does not begin with an ISA segment",
    ),
    (
        "x12-types/004010_945_3.edi",
        "line 1: the file does not begin with an ISA segment",
    ),
    (
        "x12-types/004010_945_4.edi",
        "line 7: SE01 counts 4 segments, and there are 5",
    ),
    (
        "x12-types/004010_945_5.edi",
        "line 18: SE01 counts 12 segments, and there are 16",
    ),
    (
        "x12-types/004010_945_6.edi",
        "line 18: SE01 counts 12 segments, and there are 16",
    ),
    (
        "gozer/asn856.txt",
        "line 35: IEA02 is 000000049, but ISA13 of line 1 is 000003438",
    ),
];

/// All files of a folder are whole, or refused with these words.
fn held_or_refused(
    folder: &str,
    refused: &[(&str, &str)],
    whole: usize,
    read: impl Fn(&[u8]) -> Result<usize, String>,
) {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join(folder);
    let mut found_whole = 0;
    for name in files(&folder) {
        let file = fs::read(folder.join(&name)).expect("readable");
        let words = refused.iter().find(|(refused, _)| *refused == name);
        match (read(&file), words) {
            (Ok(_), None) => found_whole += 1,
            (Err(found), Some((_, words))) => assert!(found.contains(words), "{name}: {found}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
    assert_eq!(found_whole, whole);
}

#[test]
fn x12_files_hold_what_their_envelopes_say_or_are_refused_by_a_rule() {
    held_or_refused("x12", &X12_REFUSED, 18, x12_segments);
}

/// How many segments an EDIFACT file has, if its envelopes hold.
fn edifact_segments(file: &[u8]) -> Result<usize, String> {
    let mut segments = edifact::Segments::default();
    let (mut envelope, mut at, mut count) = (edifact::Envelope::default(), 0, 0);
    loop {
        match segments.next(&file[at..], true).map_err(|fault| fault.0)? {
            Found::More(_) => return envelope.finish().map(|()| count),
            Found::Segment(bytes) => at += bytes,
        }
        envelope.take(&segments.segment())?;
        count += 1;
    }
}

/// As above. Three are not EDIFACT: what a converter made of some.
const EDIFACT_REFUSED: [(&str, &str); 15] = [
    (
        "EDI.Net/edifact.01.multi-message.edi",
        "UNT counts 158 segments, and there are 31",
    ),
    (
        "EDI.Net/edifact.ORDRSP-formatted.edi",
        "UNT counts 17 segments, and there are 30",
    ),
    (
        "EDI.Net/edifact.ORDRSP.edi",
        "UNT counts 17 segments, and there are 31",
    ),
    (
        "edifact-rs/d96a_invoic_conforming.edi",
        "line 2: UNH stands outside of an interchange",
    ),
    (
        "edifact-rs/d96a_invoic_malformed.edi",
        "line 2: UNH stands outside of an interchange",
    ),
    (
        "edifact-rs/d96a_orders_conforming.edi",
        "line 2: UNH stands outside of an interchange",
    ),
    (
        "edifact-rs/d96a_orders_malformed.edi",
        "line 2: BGM stands outside of a message",
    ),
    ("pydifact/order.edi", "line 2: UNB 807 is not ended by UNZ"),
    (
        "pydifact/order2.edi",
        "line 1: UNB 000000001 is not ended by UNZ",
    ),
    (
        "pydifact/wikipedia_de.edi",
        "UNZ says 1234567, but element 5 of UNB of line 2 is 1",
    ),
    (
        "smooks-edi-cartridge/INVOIC_D.03B_Interchange_with_UNA.txt",
        "UNT counts 36 segments, and there are 35",
    ),
    (
        "smooks-edi-cartridge/INVOIC_D.03B_Interchange_with_UNA.xml",
        "neither UNA nor UNB",
    ),
    (
        "smooks-edi-cartridge/ORDERS_D.03B_Interchange.xml",
        "neither UNA nor UNB",
    ),
    ("smooks-edi-cartridge/expected.xml", "neither UNA nor UNB"),
    (
        "staedi/orders-with-group.edi",
        "UNT counts 21 segments, and there are 18",
    ),
];

#[test]
fn edifact_files_hold_what_their_envelopes_say_or_are_refused_by_a_rule() {
    held_or_refused("edifact", &EDIFACT_REFUSED, 8, edifact_segments);
}
