//! Which bytes become which cell.

use super::*;
use crate::driver::told_of;

/// The columns of a format's first record.
fn columns(copybook: &str, settings: &str, bytes: &[u8]) -> String {
    let format = format_with(&format!("{ASCII}{settings}"), copybook).expect("a format");
    let mut gather = crate::Gather::default();
    crate::driver::run(&format, bytes, usize::MAX, 0, &mut gather, |_| ()).expect("records");
    let record = gather.records.get(0).expect("a record");
    record.shape().columns.join(" ")
}

#[test]
fn fields_become_cells_and_filler_none() {
    let book = "01 R. 05 A PIC X(3). 05 FILLER PIC X. 05 B PIC S9(3)V9. 05 C PIC 9(3)P(2).";
    assert_eq!(columns(book, "", b"ab -012M123"), "A B C");
    check(book, "", b"ab -012M123", &["0: ab·-12.4·12300"]);
    check(book, "", b"ab -    000", &["0: ab·∅·0"]);
    check(
        book,
        "",
        b"a\x00\x00-\x00\x00\x00\x00000   -0000001",
        &["0: a·∅·0", "0: ·0.0·100"],
    );
    check(
        book,
        "",
        b"ab -01x2123ab -012M000",
        &[
            "0! record 1 (byte 1 of the file): B at byte 5 (0x30317832): byte 3 (0x78) is no digit",
            "0: ab·-12.4·0",
        ],
    );
}

#[test]
fn blanks_are_trimmed_and_blank_numbers_are_none_as_configured() {
    let book = "01 R. 05 A PIC X(4). 05 N PIC 9(2).";
    check(book, "", b" a  12", &["0:  a·12"]);
    check(
        book,
        "trim = \"both\"",
        b" a  12    12",
        &["0: a·12", "0: ·12"],
    );
    check(book, "trim = \"none\"", b" a  12", &["0:  a  ·12"]);
    check(book, "", b" a    ", &["0:  a·∅"]);
    check(
        book,
        "blank_numbers = \"reject\"",
        b" a    ",
        &["0! N at byte 5 (0x2020) is blank, and blank_numbers = \"reject\""],
    );
    check(
        book,
        "",
        b"abcd 1",
        &["0! N at byte 5 (0x2031): byte 1 (0x20) is no digit"],
    );
    let packed = "01 R. 05 P PIC S9(3) COMP-3. 05 B PIC S9(4) COMP. 05 N PIC S9(4) COMP-5.";
    check(
        packed,
        "",
        b"\0\0\0\0\x01\0  \0\x05\x01\0\x12\x3D  \x01\0",
        &["0: ∅·0·256", "0: ∅·5·256", "0: -123·8224·256"],
    );
    check(
        packed,
        "comp_5 = \"little\"",
        b"\x12\x3D\0\x05\xFE\xFF",
        &["0: -123·5·-2"],
    );
}

/// Scenario 27.
#[test]
fn zoned_and_implied_decimals_are_exact_to_the_digit() {
    let book = "01 R. 05 A PIC S9(3)V99. 05 B PIC S9(3)V99 SIGN LEADING. 05 C PIC S9(3)V99 SIGN TRAILING SEPARATE. \
        05 D PIC S9(3) SIGN LEADING SEPARATE. 05 E PIC 9(3)V9(4). 05 F PIC VP(2)9. 05 G PIC V99.";
    check(
        book,
        "",
        b"0123MJ234500123-+04500012345070123{A234599999+-0000000001907",
        &[
            "0: -12.34·-123.45·-1.23·45·0.1234·0.005·0.07",
            "0: 12.30·123.45·999.99·0·0.0001·0.009·0.07",
        ],
    );
    let format = format_with(EBCDIC, book).expect("a format");
    let bytes = b"\xF0\xF1\xF2\xF3\xD4\xD1\xF2\xF3\xF4\xF5\xF0\xF0\xF1\xF2\xF3\x60\x4E\xF0\xF4\xF5\xF0\xF0\xF0\xF1\xF2\xF3\xF4\xF5\xF0\xF7";
    check_format(
        &format,
        bytes,
        &["0: -12.34·-123.45·-1.23·45·0.1234·0.005·0.07"],
    );
    // A sign where none belongs, in a number without S and in the midst of one.
    let plain = "01 R. 05 N PIC 9(2). 05 M PIC S9(2).";
    check(
        plain,
        "",
        b"1J01",
        &["0! N at byte 1 (0x314A): byte 2 (0x4A) is no digit"],
    );
    check(
        plain,
        "",
        b"01J1",
        &["0! M at byte 3 (0x4A31): byte 1 (0x4A) is no digit"],
    );
}

/// Scenario 25.
#[test]
fn packed_numbers_of_ebcdic_records_are_exact_and_an_invalid_half_byte_is_told() {
    let book = "01 STOCK. 05 SKU PIC X(4). 05 QTY PIC S9(5)V99 COMP-3. 05 PRICE PIC S9(9)V9(4) PACKED-DECIMAL. 05 AGE PIC S9(4) COMP.";
    let format = format_with(&format!("{EBCDIC}encoding = \"cp273\""), book).expect("a format");
    let good = b"\xC1\x60\xF1\x40\x01\x23\x45\x6D\x00\x00\x00\x01\x23\x45\x6C\xFF\xF4";
    let half = b"\xC1\x60\xF2\x40\x01\x2A\x45\x6D\x00\x00\x00\x01\x23\x45\x6C\xFF\xF4";
    let sign = b"\xC1\x60\xF3\x40\x01\x23\x45\x67\x00\x00\x00\x01\x23\x45\x6C\xFF\xF4";
    let unsigned = b"\xC1\x4A\xF4\x40\x00\x00\x00\x0F\x99\x99\x99\x99\x99\x99\x9D\x00\x00";
    let file = [&good[..], half, sign, unsigned].concat();
    check_format(
        &format,
        &file,
        &[
            "0: A-1·-1234.56·12.3456·-12",
            "0! record 2 (byte 18 of the file): QTY at byte 5 (0x012A456D): the lower half of byte 2 (0x2A) is no digit of a packed number",
            "0! record 3 (byte 35 of the file): QTY at byte 5 (0x01234567): a packed number ends with 0x67, whose lower half is no sign",
            "0: AÄ4·0.00·-999999999.9999·0",
        ],
    );
}

#[test]
fn what_occurs_has_its_number_and_may_depend_on_a_count() {
    let nested = "01 R. 05 N PIC 9. 05 G OCCURS 0 TO 2 DEPENDING ON N. 10 M PIC 9. 10 H OCCURS 0 TO 2 DEPENDING ON M PIC X.";
    let by_layout = "framing = \"layout\"";
    assert_eq!(
        columns(nested, by_layout, b"0"),
        "N G(1).M G(1).H(1) G(1).H(2) G(2).M G(2).H(1) G(2).H(2)"
    );
    check(
        nested,
        by_layout,
        b"21a2bc0",
        &["0: 2·1·a·∅·2·b·c", "0: 0·∅·∅·∅·∅·∅·∅"],
    );
    let book =
        "01 R. 05 N PIC 9. 05 G OCCURS 0 TO 2 DEPENDING ON N. 10 S PIC X(2). 05 E PIC X OCCURS 2.";
    check(
        book,
        by_layout,
        b"0yz1abyz2abcdyz",
        &["0: 0·∅·∅·y·z", "0: 1·ab·∅·y·z", "0: 2·ab·cd·y·z"],
    );
    check_fault(
        book,
        by_layout,
        b"0yz3abcdefyz",
        &[
            "record 2 (byte 4 of the file): N is 3, and 0 to 2 are possible",
            "can't be known",
        ],
    );
    check_fault(
        book,
        by_layout,
        b"0yz yz",
        &["record 2 (byte 4 of the file): N says how often something occurs, and is no number"],
    );
    check(
        book,
        "framing = \"fixed\"",
        b"0yz    1abyz  2abcdyz",
        &["0: 0·∅·∅·y·z", "0: 1·ab·∅·y·z", "0: 2·ab·cd·y·z"],
    );
    check(
        book,
        "framing = \"fixed\"",
        b"9yz    0yz    ",
        &["0! N is 9, and 0 to 2 are possible", "0: 0·∅·∅·y·z"],
    );
    check_refused(
        book,
        "",
        &[
            "/etc/dray/R.cpy: records have several lengths, by how often G occurs",
            "framing = \"rdw\"",
        ],
    );
    let many = "01 R. 05 A PIC X OCCURS 3. 05 FILLER OCCURS 1000. 10 FILLER PIC X(2). 05 B PIC X.";
    check(
        many,
        "",
        &[&b"abc"[..], &[b'-'; 2000], b"d"].concat(),
        &["0: a·b·c·d"],
    );
}

#[test]
fn each_occurrence_may_be_a_record_of_its_own() {
    let book = "01 R. 05 ORDER-NO PIC X(2). 05 N PIC 9. 05 L OCCURS 0 TO 3 DEPENDING ON N. 10 SKU PIC X(2). 10 QTY PIC S9. 10 FILLER PIC X. \
        10 T PIC X OCCURS 2. 05 REST PIC X.";
    let settings = "framing = \"layout\"\n[[record]]\nname = \"LINE\"\neach = \"L\"";
    assert_eq!(
        columns(book, settings, b"o11aa1-xyr"),
        "ORDER-NO N SKU QTY T(1) T(2) REST"
    );
    check(
        book,
        settings,
        b"o12aa1-xyb J-  ro20ro31c 9-zzr",
        &[
            "0 LINE: o1·2·aa·1·x·y·r",
            "0 LINE: o1·2·b·-1···r",
            "0 LINE: o3·1·c·9·z·z·r",
        ],
    );
    // One that can't be read takes its whole record.
    check(
        book,
        settings,
        b"o12aa1-xybb?-xyro31c 9-zzr",
        &[
            "0! QTY at byte 12 (0x3F): byte 1 (0x3F) is no digit",
            "0 LINE: o3·1·c·9·z·z·r",
        ],
    );
    check(
        "01 R. 05 A PIC X. 05 S PIC 9 OCCURS 3.",
        "[[record]]\neach = \"S\"",
        b"a123b4 6",
        &["0: a·1", "0: a·2", "0: a·3", "0: b·4", "0: b·∅", "0: b·6"],
    );
    let raw = |settings: &str| {
        let format = format_with(&format!("{ASCII}{settings}"), book).expect("a format");
        let mut gather = crate::Gather::default();
        crate::driver::run(&format, b"o11aa1-xyr", 3, 0, &mut gather, |_| ()).expect("records");
        gather.records.get(0).expect("a record").raw().to_vec()
    };
    assert_eq!(raw(settings), b"aa1-xy", "the occurrence's own bytes");
    assert_eq!(raw("framing = \"layout\""), b"o11aa1-xyr");
    check_refused(
        book,
        "framing = \"layout\"\n[[record]]\neach = \"REST\"",
        &["each = \"REST\"", "those that do are L, T"],
    );
    check_refused(
        book,
        "framing = \"layout\"\n[[record]]\neach = \"T\"",
        &["line 1: each = \"T\" can't be read: it stands in what occurs many times"],
    );
}

#[test]
fn a_record_of_many_records_goes_on_where_a_full_sink_stopped_it() {
    let book = "01 R. 05 A PIC X(4). 05 S PIC 9(4) OCCURS 20000.";
    let numbers: String = (0..20_000).map(|n| format!("{:04}", n % 10_000)).collect();
    let file = format!("abcd{numbers}efgh{numbers}");
    let format = format_with(&format!("{ASCII}[[record]]\neach = \"S\""), book).expect("a format");
    let (mut records, mut gather) = (0, crate::Gather::default());
    let mut seen = |gather: &mut crate::Gather| {
        for record in gather.records.iter() {
            let expected = (records % 20_000 % 10_000).to_string();
            assert_eq!(record.value(1), dray_adapter::Value::Text(&expected));
            assert_eq!(record.row().ordinal, records);
            records += 1;
        }
        *gather = crate::Gather::default();
    };
    let count = crate::driver::run(
        &format,
        file.as_bytes(),
        usize::MAX,
        0,
        &mut gather,
        &mut seen,
    )
    .expect("records");
    seen(&mut gather);
    assert_eq!((count, records), (40_000, 40_000));
}

#[test]
fn bytes_that_are_redefined_have_all_their_meanings() {
    let book = "01 R. 05 A PIC X(4). 05 B REDEFINES A PIC 9(4). 05 C REDEFINES A. 10 D PIC 99. 10 E PIC X. 05 F PIC X.";
    check(book, "", b"1234z", &["0: 1234·1234·12·3·z"]);
    check(book, "", b"12x4z", &["0: 12x4·∅·12·x·z"]);
    let longer = "01 R. 05 A PIC X. 05 B REDEFINES A PIC X(3). 05 C PIC X.";
    check(longer, "", b"abcd", &["0: a·abc·d"]);
    // Nobody else claims these bytes.
    let plain = "01 R. 05 A PIC 9(2). 05 FILLER REDEFINES A PIC X(2).";
    check(
        plain,
        "",
        b"x1",
        &["0! A at byte 1 (0x7831): byte 1 (0x78) is no digit"],
    );
}

#[test]
fn names_that_are_shared_have_their_groups() {
    let book = "01 R. 05 FROM-IT. 10 NAME PIC X. 05 TO-IT. 10 NAME PIC X. 10 CITY PIC X.";
    assert_eq!(columns(book, "", b"abc"), "FROM-IT.NAME TO-IT.NAME CITY");
    check(book, "", b"abc", &["0: a·b·c"]);
}

#[test]
fn copybooks_without_a_record_or_margins_are_read() {
    check("05 A PIC X.\n05 B PIC X.\n", "", b"ab", &["0: a·b"]);
    check(
        "    05 A PIC X. *> a comment\n    05 B PIC X.\n",
        "",
        b"ab",
        &["0: a·b"],
    );
    check(
        "CR4711 01  R.\nCR4711*     a comment\n           05 A PIC X.\n      EJECT\n000300     05 B PIC X.\n",
        "",
        b"ab",
        &["0: a·b"],
    );
}

#[test]
fn layouts_that_cannot_be_are_told_by_their_line() {
    for (copybook, words) in [
        (
            "01 R.\n 05 G PIC X OCCURS 2 DEPENDING ON N.\n 05 N PIC 9.",
            "line 2: G depends on N",
        ),
        (
            "01 R.\n 05 A PIC X.\n 05 B PIC X.\n 05 C REDEFINES A PIC X.",
            "line 4: C redefines A",
        ),
        (
            "01 R.\n 05 A PIC X(9) OCCURS 5000.",
            "line 2: A makes more than 4096 cells; make a record of each with each = \"A\"",
        ),
        ("01 R.\n 05 FILLER PIC X.", "line 1: R makes 0 cells"),
        (
            "01 R.\n 05 A PIC X(32767) OCCURS 40.",
            "line 1: R has up to 1310680 bytes",
        ),
        (
            "01 R.\n 05 A OCCURS 60000. 10 B OCCURS 60000. 15 C OCCURS 60000. 20 FILLER PIC X.",
            "line 1: R has up to",
        ),
        (
            "01 R.\n 05 A PIC X.\n 05 A PIC X.",
            "line 1: R has two fields called A",
        ),
        (
            "01 R.\n 05 A PIC 9(19) COMP.",
            "line 2: A is binary and has more than 18 digits",
        ),
        ("01 R.\n 05 A COMP-1.", "line 2: COMP-1 can't be read"),
    ] {
        check_refused(copybook, "", &["/etc/dray/R.cpy: ", words]);
    }
}

#[test]
fn characters_that_are_none_are_told() {
    let book = "01 R. 05 A PIC X(3). 05 B PIC X(2).";
    let format = format_with(
        "kind = \"copybook\"\ncopybook = \"/R\"\nencoding = \"utf-8\"",
        book,
    )
    .expect("a format");
    check_format(
        &format,
        b"a\xC3\xBCxxabc\xEF\xBF",
        &[
            "0: aü·xx",
            "0! B at byte 4 (0xEFBF): it is no text in this encoding",
        ],
    );
    let format = format_with(
        "kind = \"copybook\"\ncopybook = \"/R\"\nencoding = \"ascii\"",
        book,
    )
    .expect("a format");
    let told = told_of(&format, b"ab\xFCxx", 1).expect("records");
    assert!(
        told[0].contains("A at byte 1 (0x6162FC): byte 3 (0xFC) is no character; check encoding"),
        "{told:?}"
    );
}
