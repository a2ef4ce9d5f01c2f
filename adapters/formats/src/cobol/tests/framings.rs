//! Where records begin and end, and what is said when they don't.

use super::*;
use crate::RECORD_BYTES_MAX;
use crate::driver::told_of;

const BOOK: &str = "01 R. 05 A PIC X(3). 05 N PIC 9(2).";

/// Records with their lengths before them, as `word` writes these.
fn with_words(records: &[&[u8]], word: impl Fn(u16) -> [u8; 4]) -> Vec<u8> {
    let one = |record: &&[u8]| [&word(record.len() as u16)[..], record].concat();
    records.iter().flat_map(one).collect()
}

fn big(length: u16) -> [u8; 4] {
    let [a, b] = (length + 4).to_be_bytes();
    [a, b, 0, 0]
}

#[test]
fn records_of_one_length_are_cut_or_the_file_is_refused() {
    check(BOOK, "", b"abc01def02", &["0: abc·1", "0: def·2"]);
    check(BOOK, "", b"", &[]);
    check(
        BOOK,
        "record_bytes = 8",
        b"abc01---def02***",
        &["0: abc·1", "0: def·2"],
    );
    check_fault(
        BOOK,
        "",
        b"abc01de",
        &[
            "record 2 (byte 6 of the file): the file ends after 2 of 5 bytes of a record",
            "tail = \"reject\"",
        ],
    );
    check(
        BOOK,
        "tail = \"reject\"",
        b"abc01de",
        &[
            "0: abc·1",
            "0! record 2 (byte 6 of the file): the file ends after 2 of 5 bytes",
        ],
    );
    check_refused(
        BOOK,
        "record_bytes = 4",
        &["record_bytes = 4, and the longest record has 5"],
    );
    check(
        BOOK,
        "header_bytes = 3\ntrailer_bytes = 2",
        b"HHHabc01def02TT",
        &["0: abc·1", "0: def·2"],
    );
    check_fault(
        BOOK,
        "header_bytes = 3\ntrailer_bytes = 2",
        b"HHHabc01def0TT",
        &["after 4 of 5 bytes"],
    );
    check_fault(BOOK, "header_bytes = 3", b"HH", &["header_bytes"]);
    check_fault(BOOK, "trailer_bytes = 3", b"TT", &["trailer_bytes"]);
}

/// Scenario 26.
#[test]
fn records_with_a_length_before_them_and_a_short_tail() {
    let settings = "framing = \"rdw\"";
    let file = with_words(&[b"abc01", b"def02"], big);
    check(BOOK, settings, &file, &["0: abc·1", "0: def·2"]);
    for cut in [1, 2, 5, 8] {
        let cut = &file[..file.len() - cut];
        check_fault(
            BOOK,
            settings,
            cut,
            &["record 2 (byte 10 of the file): the file ends after"],
        );
        check(
            BOOK,
            "framing = \"rdw\"\ntail = \"reject\"",
            cut,
            &[
                "0: abc·1",
                "0! record 2 (byte 10 of the file): the file ends after",
            ],
        );
    }
    check(
        BOOK,
        settings,
        &with_words(&[b"abc0", b"def02x", b"ghi03  ", b"", b"jkl04"], big),
        &[
            "0! record 1 (byte 5 of the file): the record is cut: N ends at byte 5, and there are 4",
            "0! the record has 6 bytes, and the layout ends at 5; describe what follows",
            "0: ghi·3",
            "0! the record is cut: A ends at byte 3, and there are 0",
            "0: jkl·4",
        ],
    );
    check_fault(
        BOOK,
        settings,
        b"\0\x03\0\0",
        &["0x00030000 at byte 1 is no length of a record"],
    );
    check_fault(
        BOOK,
        settings,
        b"\x20\x09\x20\x20abc01",
        &["0x20092020 at byte 1 is no length"],
    );
    check_fault(
        BOOK,
        settings,
        b"\0\x09\x01\0abc01",
        &["one of several pieces (0x00090100)", "write the file as VB"],
    );
}

#[test]
fn lengths_are_read_in_both_orders_and_with_or_without_their_own_bytes() {
    let expected = ["0: abc·1", "0: def·2"];
    let records: [&[u8]; 2] = [b"abc01", b"def02"];
    for (settings, word) in [
        (
            "{ counts_itself = false }",
            (|length| [0, length as u8, 0, 0]) as fn(u16) -> [u8; 4],
        ),
        ("{ counts_itself = false }", |length| {
            [0, 0, 0, length as u8]
        }),
        ("{ order = \"little\" }", |length| {
            [length as u8 + 4, 0, 0, 0]
        }),
        // The whole word was turned around.
        ("{ order = \"little\" }", |length| {
            [0, 0, length as u8 + 4, 0]
        }),
        ("{ order = \"little\", counts_itself = false }", |length| {
            [length as u8, 0, 0, 0]
        }),
    ] {
        let settings = format!("framing = \"rdw\"\nrdw = {settings}");
        check(BOOK, &settings, &with_words(&records, word), &expected);
    }
}

#[test]
fn records_stand_in_blocks_that_they_fill() {
    let settings = "framing = \"rdw\"\nrdw = { blocks = true }";
    let block = |records: &[&[u8]]| {
        let inside = with_words(records, big);
        [&big(inside.len() as u16)[..], &inside].concat()
    };
    let file = [block(&[b"abc01", b"def02"]), block(&[b"ghi03"])].concat();
    let expected = ["0: abc·1", "0: def·2", "0: ghi·3"];
    check(BOOK, settings, &file, &expected);
    let inside = with_words(&[b"abc01", b"def02", b"ghi03"], big);
    let extended = [
        &(0x8000_0000_u32 + 4 + inside.len() as u32).to_be_bytes()[..],
        &inside,
    ]
    .concat();
    check(BOOK, settings, &extended, &expected);
    let mut short = file.clone();
    short[1] -= 1;
    check_fault(
        BOOK,
        settings,
        &short,
        &["the record at byte 14 has 5 bytes and its length, and only 8 are left of its block"],
    );
    check_fault(
        BOOK,
        settings,
        &file[..13],
        &["the file ends at byte 13, and 9 bytes of its last block are missing"],
    );
    check_fault(
        BOOK,
        settings,
        &file[..20],
        &["the file ends after 7 of 9 bytes"],
    );
    check(
        BOOK,
        "framing = \"rdw\"\nrdw = { blocks = true }\ntail = \"reject\"",
        &file[..20],
        &["0: abc·1", "0! the file ends after 7 of 9 bytes"],
    );
}

#[test]
fn records_that_vary_may_have_their_length_before_them() {
    let book = "01 R. 05 A PIC X. 05 N PIC 9. 05 S PIC X(2) OCCURS 0 TO 3 DEPENDING ON N.";
    check(
        book,
        "framing = \"rdw\"",
        &with_words(&[b"a0", b"b2xxyy", b"c2xxyyzz", b"d9xx", b"e1xx"], big),
        &[
            "0: a·0·∅·∅·∅",
            "0: b·2·xx·yy·∅",
            "0! the record has 8 bytes, and the layout ends at 6",
            "0! N is 9, and 0 to 3",
            "0: e·1·xx·∅·∅",
        ],
    );
    check_fault(
        book,
        "framing = \"layout\"",
        b"a0b2xxy",
        &["record 2 (byte 3 of the file): the file ends after 5 of up to 8 bytes"],
    );
    check(
        book,
        "framing = \"layout\"\ntail = \"reject\"",
        b"a0b2xxy",
        &["0: a·0·∅·∅·∅", "0! the file ends after 5 of up to 8 bytes"],
    );
}

#[test]
fn lines_are_records_whose_blanks_at_the_end_may_be_missing() {
    let settings = "framing = \"lines\"";
    let book = "01 R. 05 A PIC X(3). 05 N PIC S9(2)V9. 05 T PIC X(2).";
    check(
        book,
        settings,
        b"abc01Mxy\r\n\r\ndef   \nghi\n\xFCkl123\n-\x1A",
        &[
            "1: abc·-1.4·xy",
            "3: def·∅·",
            "4: ghi·∅·",
            "5: \u{fc}kl·12.3·",
            "6: -\u{1a}·∅·",
        ],
    );
    check(book, settings, b"abc123xy\x0D\x0A\x1A", &["1: abc·12.3·xy"]);
    check(
        book,
        settings,
        b"abc12\nabc123xyz\nabc123xy   \n",
        &[
            "1! the record is cut: N ends at byte 6, and there are 5",
            "2! the record has 9 bytes, and the layout ends at 8",
            "3: abc·12.3·xy",
        ],
    );
    check_refused(
        "01 R.\n 05 A PIC X.\n 05 P PIC 9(3) COMP-3.",
        settings,
        &["line 3: P is packed or binary, and its bytes could be a line end"],
    );
}

#[test]
fn a_line_that_never_ends_is_one_reject() {
    let long = vec![b'x'; 2 * RECORD_BYTES_MAX];
    let file = [b"abc01\n", &long[..], b"\ndef02\n"].concat();
    let format = format_with(&format!("{ASCII}framing = \"lines\""), BOOK).expect("a format");
    for chunk in [99_991, usize::MAX] {
        let told = told_of(&format, &file, chunk).expect("records");
        assert_eq!(
            (told.len(), &told[0][..], &told[2][..]),
            (3, "1: abc·1", "3: def·2")
        );
        assert!(
            told[1].starts_with("2! the line is 2097152 bytes long"),
            "{}",
            told[1]
        );
    }
    let told = told_of(&format, &file[..file.len() - 7], 65_537).expect("records");
    assert_eq!(told.len(), 2);
}
