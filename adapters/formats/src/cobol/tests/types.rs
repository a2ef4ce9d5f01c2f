//! Records of several types in one file.

use super::*;

const BOOK: &str = "
       01  HDR-REC.
           05  REC-TYPE     PIC XX.
           05  ORDER-NO     PIC X(4).
           05  LINE-COUNT   PIC 9(2).
       01  DTL-REC.
           05  REC-TYPE     PIC XX.
           05  SKU          PIC X(4).
           05  QTY          PIC S9(3)V9.
       01  TRL-REC.
           05  REC-TYPE     PIC XX.
           05  RECORDS      PIC 9(4).
           05  QUANTITY     PIC S9(5)V9.
";

const TYPES: &str = "
[[record]]
name = \"HDR\"
layout = \"HDR-REC\"
when = { field = \"REC-TYPE\", is = [\"01\", \"H\"] }
emit = false

[[record]]
name = \"DTL\"
layout = \"dtl-rec\"
when = { field = \"rec-type\", is = \"02\" }
parent = \"HDR\"
";

const TRAILER: &str = "
[[record]]
name = \"TRL\"
layout = \"TRL-REC\"
when = { field = \"REC-TYPE\", is = \"99\" }
trailer = true
required = true
counts = [{ field = \"RECORDS\", of = [\"HDR\", \"DTL\"] }]
totals = [{ field = \"QUANTITY\", of = \"DTL\", sum = \"QTY\" }]
";

fn rdw(records: &[&str]) -> Vec<u8> {
    let one = |record: &&str| {
        let [a, b] = (record.len() as u16 + 4).to_be_bytes();
        [&[a, b, 0, 0], record.as_bytes()].concat()
    };
    records.iter().flat_map(one).collect()
}

#[test]
fn types_are_told_by_a_field_and_children_carry_their_parents_cells() {
    let settings = format!("framing = \"rdw\"\n{TYPES}");
    check(
        BOOK,
        &settings,
        &rdw(&[
            "01SO-102",
            "02SKU10012",
            "02SKU2001J",
            "H SO-201",
            "02SKU30100",
        ]),
        &[
            "0 DTL: 02·SKU1·1.2·01·SO-1·2",
            "0 DTL: 02·SKU2·-1.1·01·SO-1·2",
            "0 DTL: 02·SKU3·10.0·H·SO-2·1",
        ],
    );
    // A bad parent's children are bad ones, and so is an orphan.
    check(
        BOOK,
        &settings,
        &rdw(&[
            "02SKU10012",
            "01SO-1xx",
            "02SKU10012",
            "07",
            "01SO-200",
            "02SKU10012",
        ]),
        &[
            "0! record 1 (byte 5 of the file): a record of type DTL belongs to one of type HDR, and none is open before it",
            "0! LINE-COUNT at byte 7 (0x7878): byte 1 (0x78) is no digit",
            "0! record 3 (byte 31 of the file): ",
            "0! none of the types: REC-TYPE at byte 1 is \"07\" (0x3037)",
            "0 DTL: 02·SKU1·1.2·01·SO-2·0",
        ],
    );
}

#[test]
fn trailers_are_held_against_the_records() {
    let settings = format!("framing = \"lines\"\n{TYPES}{TRAILER}");
    let good = b"01SO-102\n02SKU10012\n02SKU2001J\n990003000001\n";
    check(
        BOOK,
        &settings,
        good,
        &[
            "2 DTL: 02·SKU1·1.2·01·SO-1·2",
            "3 DTL: 02·SKU2·-1.1·01·SO-1·2",
        ],
    );
    check_fault(
        BOOK,
        &settings,
        b"01SO-102\n02SKU10012\n990003000012\n",
        &["RECORDS", "3"],
    );
    check_fault(
        BOOK,
        &settings,
        b"01SO-102\n02SKU10012\n990002000013\n",
        &["QUANTITY"],
    );
    check_fault(BOOK, &settings, b"01SO-102\n02SKU10012\n", &["TRL"]);
}

#[test]
fn records_of_one_length_may_be_of_types_of_several_and_skipped() {
    let settings =
        format!("{TYPES}\n[[record]]\nname = \"REST\"\nlayout = \"HDR-REC\"\nskip = true");
    check(
        BOOK,
        &settings,
        b"01SO-102--02SKU1001277xxxxxxxx02SKU2001J",
        &[
            "0 DTL: 02·SKU1·1.2·01·SO-1·2",
            "0 DTL: 02·SKU2·-1.1·01·SO-1·2",
        ],
    );
}

#[test]
fn an_item_that_redefines_may_be_a_type() {
    let book = "01 REC. 05 KIND PIC X. 05 HDR. 10 WHO PIC X(3). 10 WHEN-IT PIC 9(2). 05 DTL REDEFINES HDR. 10 SKU PIC X(2). 10 QTY PIC 9(2). \
        05 REST PIC X.";
    let settings = "[[record]]\nname = \"H\"\nlayout = \"HDR\"\nwhen = { field = \"KIND\", is = \"h\" }\n\
        [[record]]\nname = \"D\"\nlayout = \"DTL\"\nwhen = { field = \"KIND\", is = \"d\" }\nparent = \"H\"";
    check(
        book,
        settings,
        b"hann07rdab12-rhbobxxrdcd1x-r",
        &[
            "0 H: h·ann·7·r",
            "0 D: d·ab·12·r·h·ann·7·r",
            "0! WHEN-IT at byte 5 (0x7878): byte 1 (0x78) is no digit",
            "0! QTY at byte 4 (0x3178): byte 2 (0x78) is no digit",
        ],
    );
    check_refused(
        book,
        "[[record]]\nname = \"H\"\nlayout = \"HEAD\"",
        &["layout = \"HEAD\"", "it has REC, HDR, DTL"],
    );
}

#[test]
fn types_may_be_told_by_numbers() {
    let book = "01 A. 05 K PIC 9(3) COMP-3. 05 X PIC X. 01 B. 05 K PIC 9(3) COMP-3. 05 Y PIC X.";
    let settings = "[[record]]\nname = \"A\"\nwhen = { field = \"K\", is = [\"1\", \"2\"] }\n[[record]]\nname = \"B\"";
    check(
        book,
        settings,
        b"\x00\x2Cx\x00\x3Cy",
        &["0 A: 2·x", "0 B: 3·y"],
    );
}

#[test]
fn layouts_of_several_lengths_one_behind_the_other_need_their_types() {
    let settings = format!("framing = \"layout\"\n{TYPES}");
    check(
        BOOK,
        &settings,
        b"01SO-10202SKU1001202SKU2001J",
        &[
            "0 DTL: 02·SKU1·1.2·01·SO-1·2",
            "0 DTL: 02·SKU2·-1.1·01·SO-1·2",
        ],
    );
    check_fault(
        BOOK,
        &settings,
        b"01SO-10204SKU1",
        &[
            "record 2 (byte 9 of the file): the record is of none of the types: REC-TYPE at byte 1 is \"04\" (0x3034)",
            "can't be known",
        ],
    );
    check_fault(
        BOOK,
        &settings,
        b"01SO-1020",
        &["the file ends after 1 of up to 2 bytes"],
    );
}

#[test]
fn types_that_cannot_be_are_told() {
    check_refused(
        BOOK,
        "",
        &[
            "the copybook describes 3 records (HDR-REC, DTL-REC, TRL-REC)",
            "[[record]]",
        ],
    );
    let one = |when: &str| format!("[[record]]\nname = \"A\"\nlayout = \"HDR-REC\"\nwhen = {when}");
    check_refused(
        BOOK,
        &one("{ field = \"KIND\", is = \"1\" }"),
        &[
            "type A, when.field = \"KIND\"",
            "it has REC-TYPE, ORDER-NO, LINE-COUNT",
        ],
    );
    check_refused(
        BOOK,
        &one("{ field = \"REC-TYPE\", is = \"001\" }"),
        &["it can't be \"001\": it has 2 bytes"],
    );
    let behind = "01 R. 05 N PIC 9. 05 S PIC X OCCURS 0 TO 3 DEPENDING ON N. 05 K PIC X.";
    let settings =
        "framing = \"layout\"\n[[record]]\nname = \"A\"\nwhen = { field = \"K\", is = \"1\" }";
    check_refused(behind, settings, &["where it stands depends on a count"]);
    let settings = format!(
        "{TYPES}{}",
        TRAILER.replace("sum = \"QTY\"", "sum = \"QTYS\"")
    );
    check_refused(
        BOOK,
        &settings,
        &["record.2.totals.0.sum", "DTL has no field \"QTYS\""],
    );
}
