//! Whatever bytes come, nothing panics, and how they are cut into windows changes nothing. `PROPTEST_CASES` sets how many are tried.

mod driver;

use dray_formats::cobol::{Copybook, CopybookConfig};
use dray_formats::{Format, FormatConfig, Found, Gather, Sink, Tally, Window, edifact, x12};
use proptest::prelude::*;

const X12: &str = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *200101*1200*^*00501*000000009*0*P*:~\n\
    GS*OW*A*B*20200101*1200*7*X*005010~\nST*940*0001~\nW05*N*4711~\nN1*ST*a:b^c~\nBIN*5*a~b*c~\nSE*5*0001~\nGE*1*7~\nIEA*1*000000009~\n";
const EDIFACT: &str = "UNA:+.? '\nUNB+UNOC:3+A+B+260101:1200+R9'\nUNH+M1+ORDERS:D:96A:UN'\nBGM+220+47?+11'\nFTX+AAI+++it?'s'\n\
    UNT+4+M1'\nUNZ+1+R9'\n";
/// Documents with loops, trees and characters of all kinds.
const X12_DOCUMENTS: &str = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *200101*1200*U*00401*000000009*0*P*:~\n\
    GS*OW*A*B*20200101*1200*7*X*004010~\nST*940*0001~\nW05*N*4711~\nN1*ST*a~\nN4*Bern~\nLX*1~\nW01*5*EA**VN*S-1~\nN9*LI*1~\nSE*8*0001~\n\
    ST*856*0002~\nBSN*00*1~\nHL*1**S~\nHL*2*1*O~\nPRF*P~\nHL*3*2*I~\nLIN**UP*1~\nHL*4*2*I~\nSN1**2*EA~\nSE*10*0002~\n\
    ST*214*0003~\nB10*1~\nSE*3*0003~\nGE*3*7~\nIEA*1*000000009~\n";
const EDIFACT_DOCUMENTS: &str = "UNB+UNOA:4+A+B+260101:1200+R9'\nUNH+M1+ORDERS:D:96A:UN'\nBGM+220+4?'7'\nNAD+BY+1++ü'\nCOM+1:TE*2:EM'\nLIN+1++5:EN'\n\
    QTY+21:5'\nUNS+S'\nUNT+8+M1'\nUNH+M2+DESADV:D:96A:UN'\nBGM+351+1'\nCPS+1'\nCPS+2+1'\nPAC+1'\nLIN+1++5:EN'\nQTY+12:5'\nUNT+8+M2'\nUNZ+2+R9'\n";
const COPYBOOK: &str = "       01  R.\n           05  N PIC 9(2).\n           05  G OCCURS 0 TO 9 TIMES DEPENDING ON N.\n\
    \x20              10  P PIC S9(5)V99 COMP-3.\n               10  T PIC X(4).\n           05  A PIC S9(4) COMP.\n\
    \x20          05  B REDEFINES A PIC X(2).\n           05  Z PIC S9(3) SIGN LEADING SEPARATE.\n";

const FIXED: &str = "H20261123WH1\r\nDSKU-1 00125{\r\nDSKU-2 00000J\r\nSnote\r\nT000200124I\r\nH20261124W\u{fc}\r\nDSKU-3 00001}\r\nT000100001}\r\nE00000008\r\n";
const FIXED_FORMAT: &str = r#"
kind = "fixed"
[[record]]
name = "H"
match = [{ at = 1, text = "H" }]
field = [{ name = "DATE", at = 2, width = 8, digits = true }, { name = "SITE", width = 3 }]
[[record]]
name = "D"
match = [{ at = 1, text = "D" }]
parent = "H"
field = [{ name = "SKU", at = 2, width = 6 }, { name = "AMOUNT", width = 6, decimals = 2, sign = "overpunch" }]
[[record]]
name = "S"
match = [{ at = 1, text = "S" }]
parent = "D"
field = [{ name = "NOTE", at = 2, width = 6 }]
[[record]]
name = "T"
match = [{ at = 1, text = "T" }]
parent = "H"
trailer = true
field = [{ name = "LINES", at = 2, width = 4 }, { name = "AMOUNT", width = 6, decimals = 2, sign = "overpunch" }]
counts = [{ field = "LINES", of = "D" }]
totals = [{ field = "AMOUNT", of = "D", sum = "AMOUNT" }]
[[record]]
name = "E"
match = [{ at = 1, text = "E" }]
trailer = true
field = [{ name = "LINES", at = 2, width = 8 }]
"#;
const TYPED: &str = "some report\nT|A\n#|\n1|B\nH|1\nD|\"2\n|\"\nD|3\nE|3\nTOTAL|\nend\n";
const TYPED_FORMAT: &str = r##"
kind = "csv"
delimiter = "|"
skip_rows = 1
header_rows = 2
comment = "#"
footer_rows = 1
footer = "TOTAL"
ragged = "pad"
type_column = 1
[[record]]
name = "H"
[[record]]
name = "D"
parent = "H"
[[record]]
name = "E"
parent = "H"
trailer = true
counts = [{ field = "A B", of = ["H", "D"] }]
"##;

/// A file in windows of `step` bytes: what its records and its fault are.
fn read(format: &str, file: &[u8], step: usize) -> Result<Vec<String>, String> {
    driver::told_of(&driver::format(format), file, step)
}
/// Lengths, counts and numbers as they come: mostly bytes that mean something to one framing or the other.
const RECORDS: &str = "\0\x14\0\0\u{30}\u{31}\u{1}\u{23}\u{45}\u{6c}ABCD\0\x05\u{2b}123\n02\u{1}\u{23}\u{45}\u{6c}ABCD\u{1}\u{23}\u{45}\u{6c}EFGH\0\x05-1230\n\
    00\0\x01+123\n\0\x0c\0\x0000\0\x01+123";
const FRAMINGS: [&str; 8] = [
    "encoding = \"ascii\"\nframing = \"layout\"",
    "encoding = \"ascii\"\nframing = \"layout\"\ntail = \"reject\"\n[[record]]\neach = \"G\"",
    "encoding = \"iso-8859-1\"\nframing = \"rdw\"\ntail = \"reject\"",
    "encoding = \"iso-8859-1\"\nframing = \"rdw\"\nrdw = { blocks = true, counts_itself = false }",
    "framing = \"fixed\"\ntail = \"reject\"\nheader_bytes = 3\ntrailer_bytes = 2",
    "framing = \"fixed\"\nrecord_bytes = 120\ntail = \"reject\"",
    "encoding = \"utf-8\"\nframing = \"lines\"",
    "encoding = \"ascii\"\nframing = \"layout\"\ntail = \"reject\"\n[[record]]\nname = \"A\"\nwhen = { field = \"N\", is = \"01\" }\n[[record]]\nname = \"B\"\nparent = \"A\"",
];

/// A text with some bytes replaced, left out or doubled.
fn damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    prop::collection::vec(change, 0..6).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte, how) in changes {
            let at = at
                .index(bytes.len().max(1))
                .min(bytes.len().saturating_sub(1));
            match how {
                _ if bytes.is_empty() => {}
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, bytes[at]),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

/// Segments' lines and bytes, or the fault; `next` looks at a window. Windows grow by `step` bytes.
fn cut(
    file: &[u8],
    step: usize,
    mut next: impl FnMut(&[u8], bool) -> Result<(Found, String), String>,
) -> Vec<Result<String, String>> {
    let (mut at, mut read, mut found) = (0, 0, Vec::new());
    loop {
        let end = read == file.len();
        match next(&file[at..read], end) {
            Err(fault) => {
                found.push(Err(fault));
                return found;
            }
            Ok((Found::Segment(bytes), shown)) => {
                assert!(bytes > 0);
                at += bytes;
                found.push(Ok(shown));
            }
            Ok((Found::More(_), _)) if end => return found,
            Ok((Found::More(bytes), _)) => {
                at += bytes;
                read = file.len().min(read + step);
            }
        }
    }
}

fn x12_cut(file: &[u8], step: usize) -> Vec<Result<String, String>> {
    let (mut segments, mut envelope) = (x12::Segments::new(), x12::Envelope::default());
    cut(file, step, |window, end| {
        let found = segments.next(window, end).map_err(|fault| fault.0)?;
        let shown = match (&found, segments.segment()) {
            (Found::Segment(_), Some(segment)) => {
                let elements: Vec<_> = (0..segment.len())
                    .map(|index| segment.element(index))
                    .collect();
                format!(
                    "{} {elements:?} {:?}",
                    segment.line,
                    envelope.take(&segment)
                )
            }
            _ => String::new(),
        };
        Ok((found, shown))
    })
}

fn edifact_cut(file: &[u8], step: usize) -> Vec<Result<String, String>> {
    let (mut segments, mut envelope) = (edifact::Segments::default(), edifact::Envelope::default());
    cut(file, step, |window, end| {
        let found = segments.next(window, end).map_err(|fault| fault.0)?;
        let shown = match &found {
            Found::Segment(_) => {
                let segment = segments.segment();
                let elements: Vec<_> = (0..segment.len())
                    .map(|index| segment.component(index, 0))
                    .collect();
                format!(
                    "{} {elements:?} {:?}",
                    segment.line(),
                    envelope.take(&segment)
                )
            }
            Found::More(_) => String::new(),
        };
        Ok((found, shown))
    })
}

/// Runs a decoder over bytes that arrive `step` at a time, from an ordinal on, into what holds little.
fn pass<S: Sink>(
    format: &Format,
    file: &[u8],
    (step, skip): (usize, u64),
    mut sink: S,
    mut emptied: impl FnMut(&mut S),
) -> (S, Result<u64, String>) {
    let (mut decoder, mut window, mut rest) = (format.decoder(skip), Window::default(), file);
    loop {
        let decoded = match decoder.decode(window.bytes(), rest.is_empty(), &mut sink) {
            Ok(decoded) => decoded,
            Err(fault) => return (sink, Err(fault.0)),
        };
        window.take(decoded.bytes);
        if decoded.done {
            return (sink, Ok(decoder.ordinal()));
        }
        if sink.full() {
            emptied(&mut sink);
        } else {
            let space = window.space();
            let count = space.len().min(step).min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            window.filled(count);
            rest = &rest[count..];
        }
    }
}

/// Records and bad ones, with their bytes.
fn told(gather: &Gather) -> Vec<String> {
    let record = |record: dray_adapter::RecordView<'_>| {
        let cells: Vec<_> = (0..record.len()).map(|index| record.value(index)).collect();
        let (row, raw) = (record.row(), record.raw().escape_ascii());
        format!(
            "{} {} {} {cells:?} {raw}",
            row.ordinal,
            row.line,
            record.shape().record_type
        )
    };
    let mut all: Vec<String> = gather.records.iter().map(record).collect();
    all.extend(gather.rejects.iter().map(|reject| format!("{reject:?}")));
    all
}

/// Both passes agree, in windows of any length, and so do batches of few records.
fn decode_damaged(
    format: &Format,
    file: &[u8],
    step: usize,
    skip: u64,
) -> Result<(), TestCaseError> {
    let whole = pass(format, file, (usize::MAX, 0), Gather::default(), |_| ());
    let cut = pass(format, file, (step, 0), Gather::default(), |_| ());
    prop_assert_eq!(told(&whole.0), told(&cut.0));
    prop_assert_eq!(&whole.1, &cut.1);
    let tally = pass(format, file, (step, 0), Tally::new(u64::MAX), |_| ());
    prop_assert_eq!(&tally.1, &whole.1);
    let counts = (whole.0.records.len() as u64, whole.0.rejects.len() as u64);
    prop_assert_eq!((tally.0.records, tally.0.rejects), counts);
    let mut parts = 0;
    let few = || Gather::with_limits(2, usize::MAX);
    let (last, end) = pass(format, file, (step, skip), few(), |full| {
        parts += full.records.len() + full.rejects.len();
        *full = few();
    });
    parts += last.records.len() + last.rejects.len();
    prop_assert_eq!(parts as u64, (counts.0 + counts.1).saturating_sub(skip));
    prop_assert_eq!(end, whole.1);
    Ok(())
}

fn format(toml: &str) -> Format {
    let config: FormatConfig = toml::from_str(toml).expect("a format");
    Format::new(&config, &|_| Err("no text is named".into())).expect("a good format")
}

proptest! {
    #[test]
    fn damaged_x12_documents_are_the_same_in_windows_of_any_length(file in damaged(X12_DOCUMENTS), step in 1..200_usize, skip in 0..4_u64, segments: bool) {
        let otherwise = if segments { "segments" } else { "reject" };
        decode_damaged(&format(&format!("kind = \"x12\"\notherwise = \"{otherwise}\"")), &file, step, skip)?;
    }

    #[test]
    fn damaged_edifact_messages_are_the_same_in_windows_of_any_length(file in damaged(EDIFACT_DOCUMENTS), step in 1..200_usize, skip in 0..4_u64) {
        decode_damaged(&format("kind = \"edifact\""), &file, step, skip)?;
    }

    #[test]
    fn loops_of_any_text_are_read_or_refused(loops in "[NLXW0-9 ():+!?a-c\\[\\]=up]{0,60}", column in "[NLXW0-9.#/=\\[\\]|-]{0,12}") {
        let toml = format!("kind = \"x12\"\n[[set]]\nset = \"999\"\nloops = \"{loops}\"\n[[record]]\ntype = \"999\"\ncolumns = [\"{column}\"]");
        let config: FormatConfig = toml::from_str(&toml).expect("a format");
        prop_assert_eq!(Format::new(&config, &|_| Err("no text is named".into())).is_err(), !config.faults().is_empty());
    }

    #[test]
    fn damaged_x12_is_the_same_in_windows_of_any_length(file in damaged(X12), step in 1..200_usize) {
        prop_assert_eq!(x12_cut(&file, step), x12_cut(&file, usize::MAX / 2));
    }

    #[test]
    fn damaged_edifact_is_the_same_in_windows_of_any_length(file in damaged(EDIFACT), step in 1..200_usize) {
        prop_assert_eq!(edifact_cut(&file, step), edifact_cut(&file, usize::MAX / 2));
    }

    #[test]
    fn damaged_fixed_width_lines_are_the_same_in_windows_of_any_length(file in damaged(FIXED), step in 1..200_usize) {
        let blocks = FIXED_FORMAT.replacen("kind = \"fixed\"", "kind = \"fixed\"\nrecord_bytes = 13", 1);
        let strict = FIXED_FORMAT.replacen("kind = \"fixed\"", "kind = \"fixed\"\nencoding = \"utf-16\"\notherwise = \"skip\"", 1);
        for format in [FIXED_FORMAT, &blocks, &strict] {
            prop_assert_eq!(read(format, &file, step), read(format, &file, usize::MAX));
        }
    }

    #[test]
    fn damaged_records_of_several_types_are_the_same_in_windows_of_any_length(file in damaged(TYPED), step in 1..80_usize) {
        let wide = TYPED_FORMAT.replacen("kind = \"csv\"", "kind = \"csv\"\nencoding = \"windows-1252\"\notherwise = \"skip\"", 1);
        for format in [TYPED_FORMAT, &wide] {
            prop_assert_eq!(read(format, &file, step), read(format, &file, usize::MAX));
        }
    }

    #[test]
    fn damaged_copybooks_are_read_or_refused(text in damaged(COPYBOOK)) {
        let text = String::from_utf8_lossy(&text).into_owned();
        let _ = Copybook::new(&CopybookConfig::new("/R.cpy"), &|_| Ok(text.clone()));
    }

    #[test]
    fn damaged_records_are_the_same_in_windows_of_any_length(
        text in prop_oneof![Just(COPYBOOK.as_bytes().to_vec()), damaged(COPYBOOK)],
        settings in prop::sample::select(FRAMINGS.to_vec()),
        file in damaged(RECORDS),
        step in 1..60_usize,
    ) {
        let settings = format!("kind = \"copybook\"\ncopybook = \"/R.cpy\"\n{settings}");
        if let Ok(format) = driver::format_with(&settings, &String::from_utf8_lossy(&text)) {
            prop_assert_eq!(driver::told_of(&format, &file, step), driver::told_of(&format, &file, usize::MAX));
        }
    }
}
