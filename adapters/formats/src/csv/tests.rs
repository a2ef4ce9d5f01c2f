//! Tables: each case is also run with the bytes cut into small chunks.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::driver::{self, told};
use crate::{FileFault, Format, Gather, RECORD_BYTES_MAX, Sink, Tally, Window};

mod encodings;

fn config(toml: &str) -> CsvConfig {
    toml::from_str(toml).expect("a format")
}

fn two_columns() -> CsvConfig {
    config("delimiter = \"|\"\nheader = false\ncolumns = [\"A\", \"B\"]")
}

fn compiled(config: &CsvConfig) -> Format {
    Format::Csv(Csv::new(config).expect("a good format"))
}

fn run<S: Sink>(
    config: &CsvConfig,
    bytes: &[u8],
    chunk: usize,
    skip: u64,
    sink: &mut S,
    emptied: impl FnMut(&mut S),
) -> Result<u64, FileFault> {
    driver::run(&compiled(config), bytes, chunk, skip, sink, emptied)
}

fn told_of(config: &CsvConfig, bytes: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    driver::told_of(&compiled(config), bytes, chunk)
}

fn check(config: &CsvConfig, bytes: &[u8], expected: &[&str]) {
    driver::check_format(&compiled(config), bytes, expected);
}

fn check_fault(config: &CsvConfig, bytes: &[u8], words: &[&str]) {
    driver::check_format_fault(&compiled(config), bytes, words);
}

#[test]
fn lines_end_as_systems_end_them() {
    let format = two_columns();
    check(&format, b"", &[]);
    check(&format, b"\n\r\n\n", &[]);
    check(&format, b"1|2", &["1: 1·2"]);
    check(&format, b"1|2\n", &["1: 1·2"]);
    check(&format, b"1|2\n3|4", &["1: 1·2", "2: 3·4"]);
    check(&format, b"1|2\r\n3|4\r\n", &["1: 1·2", "2: 3·4"]);
    check(
        &format,
        b"1|2\r\n\r\n3|4\n\n5|6",
        &["1: 1·2", "3: 3·4", "5: 5·6"],
    );
    check(&format, b"1|2\r3|4\r", &["1: 1·2", "2: 3·4"]);
    check(&format, b"1|2\r3|4", &["1: 1·2", "2: 3·4"]);
    check(&format, b"1|2\r", &["1: 1·2"]);
    check(&format, b"1|a\rb\n3|4\n", &["1: 1·a\rb", "2: 3·4"]);
    check(&format, b"1|2\r\n\x1A", &["1: 1·2"]);
    check(
        &format,
        b"1|2\n\x1A\n3|4\n",
        &["1: 1·2", "2! 1 column,", "3: 3·4"],
    );
    check(&format, b"1|2\n\x1A\n", &["1: 1·2", "2! 1 column,"]);
    check(&format, b"1|2\r\x1A", &["1: 1·2"]);
}

#[test]
fn what_ends_a_line_is_seen_in_the_first_64_kib_however_they_arrive() {
    let format = two_columns();
    let text = format!("1|{}\r2|b\n", "a".repeat(64 * 1024));
    for chunk in [1_000, 64 * 1024, usize::MAX] {
        let told = told_of(&format, text.as_bytes(), chunk).expect("records");
        assert_eq!(told.len(), 1, "the CR is behind them: {chunk}");
    }
    let text = format!("1|a\r2|{}\n", "b".repeat(64 * 1024));
    for chunk in [1_000, 64 * 1024, usize::MAX] {
        let told = told_of(&format, text.as_bytes(), chunk).expect("records");
        assert_eq!(told.len(), 2, "the CR is among them: {chunk}");
    }
}

#[test]
fn quotes_hold_delimiters_line_ends_and_quotes() {
    let format = two_columns();
    check(&format, b"\"a|b\"|\"c\"\n", &["1: a|b·c"]);
    check(&format, b"\"a\"\"b\"|\"\"\n3|4\n", &["1: a\"b·", "2: 3·4"]);
    check(&format, b"\"\"\"\"|\"\"\"a\"\"\"\n", &["1: \"·\"a\""]);
    check(&format, b"\"a\nb\"|c\n3|4\n", &["1: a\nb·c", "3: 3·4"]);
    check(
        &format,
        b"a|\"b\r\n\r\nc\"\r\n3|4\r\n",
        &["1: a·b\r\n\r\nc", "4: 3·4"],
    );
    check(&format, b"5\" pipe|a\"b\n", &["1: 5\" pipe·a\"b"]);
    check(
        &format,
        "\"gr\u{fc}\u{df}e\"|\"\u{20ac}\"\"\"\n".as_bytes(),
        &["1: grüße·€\""],
    );
    let mut none = two_columns();
    none.quote = String::new();
    check(&none, b"\"a|b\"\n", &["1: \"a·b\""]);
    let mut single = two_columns();
    single.quote = "'".into();
    check(&single, b"'it''s'|\"\n", &["1: it's·\""]);
}

#[test]
fn a_bad_quote_takes_its_own_line_and_no_other() {
    let format = two_columns();
    check(
        &format,
        b"1|2\n\"3|4\n5|6\n7|8\n",
        &["1: 1·2", "2! never closes", "3: 5·6", "4: 7·8"],
    );
    check(&format, b"1|\"2\n3|4\n", &["1! never closes", "2: 3·4"]);
    check(&format, b"1|\"2", &["1! never closes"]);
    check(
        &format,
        b"\"1|2\n3|\"4\"\n5|6\n",
        &["1! never closes", "2: 3·4", "3: 5·6"],
    );
    check(
        &format,
        b"1|\"2\n3|4|5\n\"6\"|7\n",
        &["1! never closes", "2! 3 columns", "3: 6·7"],
    );
    check(
        &format,
        b"\"1\" |2\n3|4\n",
        &["1! follows the closing quote of cell 1", "2: 3·4"],
    );
    check(&format, b"1|\"2\"\"\n3|4\n", &["1! never closes", "2: 3·4"]);
    // It would close five lines on, with too few columns.
    check(
        &format,
        b"\"1|2\n3|4\n\"5\"|6\n",
        &["1! never closes", "2: 3·4", "3: 5·6"],
    );
    let mut long = b"\"1|2\n".to_vec();
    let mut expected = vec!["1! never closes".to_owned()];
    for line in 0..2 * QUOTED_LINES_MAX {
        long.extend_from_slice(b"x|y\n");
        expected.push(format!("{}: x·y", line + 2));
    }
    long.extend_from_slice(b"\"");
    expected.push(format!("{}! never closes", 2 * QUOTED_LINES_MAX + 2));
    let told = told_of(&format, &long, 7).expect("records");
    assert_eq!(told.len(), expected.len());
    assert!(
        told.iter()
            .zip(&expected)
            .all(|(told, expected)| told.starts_with(&expected[..3])),
        "{told:?}"
    );
    let wide = format!(
        "a|\"{}\n{}\"\n3|4\n",
        "x".repeat(QUOTED_BYTES_MAX),
        "y".repeat(100)
    );
    let told = told_of(&format, wide.as_bytes(), 1_000).expect("records");
    assert_eq!(
        (told.len(), &told[2][..]),
        (3, "3: 3·4"),
        "over the limit of bytes each line is for itself"
    );
}

#[test]
fn bad_lines_are_told_in_words() {
    let format = two_columns();
    check(
        &format,
        b"1\n2|3\n4|5|6\n",
        &[
            "1! 1 column, 2 are expected",
            "2: 2·3",
            "3! 3 columns, 2 are expected",
        ],
    );
    check(
        &format,
        b"1|\xFC\n2|3\n",
        &["1! byte 3 (0xFC) is not UTF-8", "2: 2·3"],
    );
    check(
        &format,
        b"1|\0\n2|3\n",
        &["1! NUL stands at byte 3", "2: 2·3"],
    );
    check(&format, b"|\n \n", &["1: ·", "2! 1 column"]);
    let gathered = {
        let mut gather = Gather::default();
        run(
            &format,
            b"1|2\n\xFF\xFE\x80|\r\n3|4\n",
            5,
            0,
            &mut gather,
            |_| (),
        )
        .expect("records");
        gather
    };
    let reject = &gathered.rejects[0];
    assert_eq!((reject.after, reject.ordinal, reject.line), (1, 1, 2));
    assert_eq!(
        (&reject.raw[..], reject.raw_bytes, reject.raw_sha256),
        (&b"\xFF\xFE\x80|"[..], 4, None)
    );
}

#[test]
fn a_header_names_the_columns_or_the_file_is_unreadable() {
    let format = config("delimiter = \";\"");
    check(&format, b"A;B\n1;2\n", &["2: 1·2"]);
    check(
        &format,
        b"\n\n A ;\"B\"\n1;2\n3\n",
        &["4: 1·2", "5! 1 column, 2 are expected"],
    );
    check(&format, b"A;B;\n1;2;\n", &["2: 1·2·"]);
    check(&format, b"\xEF\xBB\xBF\"A\";B\n1;2\n", &["2: 1·2"]);
    check(&format, b"A;B\n", &[]);
    check_fault(
        &format,
        b"A;;C\n1;2;3\n",
        &["header on line 1", "no name for column 2"],
    );
    check_fault(&format, b"A;B;A\n", &["names \"A\" twice"]);
    check_fault(
        &format,
        b"\nA;\"B\n1;2\n",
        &["header on line 2", "never closes"],
    );
    check_fault(&format, b"A;\xFC\n", &["header on line 1", "not UTF-8"]);
    check_fault(&format, &b"A;".repeat(COLUMNS_MAX + 1), &["4096"]);
    let said = told_of(&format, &vec![b'A'; RECORD_BYTES_MAX + 1], 100_000);
    let said = said.expect_err("the whole file is unreadable");
    assert!(said.contains("header on line 1 is longer"), "{said}");
    let required = config("delimiter = \";\"\nheader = true\ncolumns = [\"B\", \"C\"]");
    check(&required, b"C;A;B\n1;2;3\n", &["2: 1·2·3"]);
    check_fault(
        &required,
        b"A,B,C\n1,2,3\n",
        &["lacks B, C", "split at \";\""],
    );
    let mut decoder = Csv::new(&format).expect("a format").decoder(0);
    let mut gather = Gather::default();
    decoder
        .decode(b"A;B\n1;2\n", true, &mut gather)
        .expect("records");
    assert_eq!(
        gather.records.get(0).expect("one").shape().columns,
        ["A", "B"]
    );
    let mut csv = Csv::new(&format).expect("a format");
    csv.remember(&decoder);
    let mut next = csv.decoder(0);
    let mut second = Gather::default();
    next.decode(b"A;B\n3;4\n", true, &mut second)
        .expect("records");
    let shapes = [&gather, &second]
        .map(|gather| std::sync::Arc::clone(gather.records.get(0).expect("one").shape()));
    assert!(
        std::sync::Arc::ptr_eq(&shapes[0], &shapes[1]),
        "the same header shares its names"
    );
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let bytes = |unit: u16| {
        if big {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    };
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn text_is_read_in_its_encoding() {
    let with = |encoding: &str| CsvConfig {
        encoding: config(&format!("encoding = \"{encoding}\"")).encoding,
        ..two_columns()
    };
    check(&with("utf-8"), "ü|€\n".as_bytes(), &["1: ü·€"]);
    check(&with("utf-8"), "\u{feff}ü|€\n".as_bytes(), &["1: ü·€"]);
    check(
        &with("windows-1252"),
        b"\xFC|\x80\n1|2\n",
        &["1: ü·€", "2: 1·2"],
    );
    check(
        &with("windows-1252"),
        b"\xFC|\x81\n1|\"\xFC\n\"\"\"\n",
        &["1! byte 3 (0x81)", "2: 1·ü\n\""],
    );
    check(&with("iso-8859-1"), b"\xFC|\x80\n", &["1: ü·\u{80}"]);
    let text = "ü|\u{a0d}\r\n\"a\r\n|\"|😀\n\n3\n";
    let expected = ["1: ü·\u{a0d}", "2: a\r\n|·😀", "5! 1 column"];
    check(&with("utf-16le"), &utf16(text, false), &expected);
    check(&with("utf-16be"), &utf16(text, true), &expected);
    check(&with("utf-16"), &utf16(text, false), &expected);
    for big in [false, true] {
        check(
            &with("utf-16"),
            &utf16(&format!("\u{feff}{text}"), big),
            &expected,
        );
        check(
            &with("utf-16"),
            &utf16("\u{feff}1|2\r3|4\r", big),
            &["1: 1·2", "2: 3·4"],
        );
    }
    let mut cut = utf16("1|2\n3|4", false);
    cut.pop();
    check(
        &with("utf-16le"),
        &cut,
        &["1: 1·2", "2! byte 5 is not UTF-16"],
    );
    check(
        &with("utf-16le"),
        &utf16("1|\0\n3|4\n", false),
        &["1! NUL", "2: 3·4"],
    );
    check_fault(
        &with("utf-8"),
        &utf16("\u{feff}1|2\n", false),
        &["utf-16le", "encoding = \"utf-8\""],
    );
    check_fault(
        &with("iso-8859-1"),
        "\u{feff}1|2\n".as_bytes(),
        &["encoding = \"utf-8\""],
    );
}

#[test]
fn raw_bytes_are_those_of_the_file() {
    let raw = |encoding: &str, bytes: &[u8]| {
        let format = CsvConfig {
            encoding: config(&format!("encoding = \"{encoding}\"")).encoding,
            ..two_columns()
        };
        let mut gather = Gather::default();
        run(&format, bytes, 5, 0, &mut gather, |_| ()).expect("records");
        gather
            .records
            .iter()
            .map(|record| record.raw().to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        raw("utf-8", b"1|2\r\n\"a\"\"\r\n\"|4\r\n"),
        [&b"1|2"[..], b"\"a\"\"\r\n\"|4"]
    );
    assert_eq!(
        raw("windows-1252", b"1|\xFC\n1|2\n"),
        [&b"1|\xFC"[..], b"1|2"]
    );
    assert_eq!(
        raw("utf-16", &utf16("\u{feff}1|ü\r\n", true)),
        [utf16("1|ü", true)]
    );
}

#[test]
fn a_line_that_never_ends_is_one_reject_and_little_memory() {
    let format = two_columns();
    let long = vec![b'x'; 5 * RECORD_BYTES_MAX];
    for (before, after) in [(&b""[..], &b""[..]), (b"1|2\n", b"\n3|4\n")] {
        let bytes = [before, &long, after].concat();
        let mut gather = Gather::default();
        let mut decoder = Csv::new(&format).expect("a format").decoder(0);
        let mut window = Window::default();
        let mut rest = &bytes[..];
        loop {
            let decoded = decoder
                .decode(window.bytes(), rest.is_empty(), &mut gather)
                .expect("records");
            window.take(decoded.bytes);
            if decoded.done {
                break;
            }
            let space = window.space();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            window.filled(count);
            rest = &rest[count..];
            assert!(window.bytes().len() <= crate::WINDOW_BYTES_MAX);
        }
        let reject = &gather.rejects[0];
        assert!(
            reject.reason.contains("5242880 bytes long"),
            "{}",
            reject.reason
        );
        assert_eq!(
            (reject.raw.len(), reject.raw_bytes),
            (dray_adapter::REJECT_BYTES_MAX, long.len() as u64)
        );
        assert_eq!(reject.raw_sha256, Some(Sha256::digest(&long).into()));
        assert_eq!(gather.records.len(), if before.is_empty() { 0 } else { 2 });
    }
    // One whole window holds it, or a chunk ends exactly at the limit.
    for over in [0, 1] {
        let mut bytes = vec![b'y'; RECORD_BYTES_MAX + over];
        bytes[0] = b'|';
        bytes.extend_from_slice(b"\n3|4\n");
        let told = told_of(&format, &bytes, usize::MAX).expect("records");
        assert_eq!((told.len(), told[0].contains("bytes long")), (2, over == 1));
    }
}

#[test]
fn a_full_sink_stops_the_decoder_and_nothing_is_lost() {
    let format = two_columns();
    let lines: Vec<String> = (0..100)
        .map(|n| {
            if n % 7 == 3 {
                format!("bad {n}")
            } else {
                format!("{n}|\"x\"")
            }
        })
        .collect();
    let bytes = lines.join("\n").into_bytes();
    let whole = told_of(&format, &bytes, usize::MAX).expect("records");
    for (records_max, bytes_max) in [(1, usize::MAX), (3, usize::MAX), (1_000, 20)] {
        let mut parts = Vec::new();
        let mut gather = Gather::with_limits(records_max, bytes_max);
        let ordinals = run(&format, &bytes, 11, 0, &mut gather, |gather| {
            assert_eq!(
                gather.next_ordinal().expect("it is full"),
                parts.len() as u64 + told(gather).len() as u64
            );
            parts.extend(told(gather));
            *gather = Gather::with_limits(records_max, bytes_max);
        })
        .expect("records");
        parts.extend(told(&gather));
        assert_eq!((parts, ordinals), (whole.clone(), 100));
    }
    let mut tally = Tally::new(2);
    let mut decoder = Csv::new(&format).expect("a format").decoder(0);
    decoder.decode(&bytes, true, &mut tally).expect("records");
    assert!(
        tally.is_too_bad()
            && tally
                .first_bad
                .as_deref()
                .is_some_and(|said| said.contains("line 4: 1 column"))
    );
}

/// What `csv-core` makes of well-formed input.
fn oracle(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv_core::ReaderBuilder::new().delimiter(b'|').build();
    let (mut out, mut ends) = (vec![0; 10_000], vec![0; 100]);
    let mut rest = bytes;
    let mut records = Vec::new();
    loop {
        let (result, read, _, fields) = reader.read_record(rest, &mut out, &mut ends);
        rest = &rest[read..];
        match result {
            csv_core::ReadRecordResult::Record => {
                let cell = |index: usize| {
                    out[if index == 0 { 0 } else { ends[index - 1] }..ends[index]].to_vec()
                };
                records.push(
                    (0..fields)
                        .map(|index| String::from_utf8(cell(index)).expect("UTF-8"))
                        .collect(),
                );
            }
            csv_core::ReadRecordResult::InputEmpty => {}
            csv_core::ReadRecordResult::End => return records,
            other => panic!("{other:?}"),
        }
    }
}

/// `csv-core` forgives, and tells nobody. Here it makes one record of three lines, with the right number
/// of columns; and drops quotes that belong to the text.
#[test]
fn what_csv_core_forgives_is_told() {
    let format = two_columns();
    let open = b"\"1|2\n3|4\n\"5\"|6\n";
    assert_eq!(oracle(open), [["1|2\n3|4\n5\"", "6"]]);
    check(&format, open, &["1! never closes", "2: 3·4", "3: 5·6"]);
    let behind = b"\"Big\" bolt|2\n";
    assert_eq!(oracle(behind), [["Big bolt", "2"]]);
    check(&format, behind, &["1! follows the closing quote"]);
}

proptest! {
    #[test]
    fn well_formed_records_are_what_csv_core_reads(
        rows in prop::collection::vec((("[a-zü€]{0,3}|[a|\"\n\r ]{0,4}"), ("[a-z]{1,4}|[|\"\n]{1,4}"), any::<bool>()), 0..12),
        chunk in 1_usize..40,
        crlf: bool,
    ) {
        let quoted = |cell: &str, always: bool| {
            if always || cell.contains(['|', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
        };
        let end = if crlf { "\r\n" } else { "\n" };
        let text: String = rows.iter().map(|(a, b, always)| format!("{}|{}{end}", quoted(a, *always), quoted(b, *always))).collect();
        let told = told_of(&two_columns(), text.as_bytes(), chunk).expect("records");
        let cells: Vec<String> = told.iter().map(|told| told.split_once(": ").expect("a record").1.to_owned()).collect();
        let expected: Vec<String> = oracle(text.as_bytes()).iter().map(|cells| cells.join("·")).collect();
        prop_assert_eq!(cells, expected);
    }

    #[test]
    fn any_bytes_give_the_same_however_they_are_cut(
        bytes in prop::collection::vec(prop::sample::select(b"a|\"\n\r\0\xFC\xC3\x1A,".to_vec()), 0..80),
        chunk in 1_usize..20,
        encoding in prop::sample::select(vec!["utf-8", "utf-16", "utf-16be", "utf-32", "windows-1252", "cp850", "shift-jis", "gb18030"]),
    ) {
        let format = CsvConfig { encoding: config(&format!("encoding = \"{encoding}\"")).encoding, ..two_columns() };
        prop_assert_eq!(told_of(&format, &bytes, chunk), told_of(&format, &bytes, usize::MAX));
    }
}
