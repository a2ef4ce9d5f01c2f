//! Tables: each case is also run in windows of several lengths, from each record on, and a record at a time.

use crate::driver::{check, check_config, check_fault, format, told_of};

/// A header, details with a number, and a trailer with a count and a sum.
const HDT: &str = r#"
kind = "fixed"
[[record]]
name = "H"
match = [{ at = 1, text = "H" }]
emit = false
field = [{ name = "DATE", at = 2, width = 8 }, { name = "SITE", width = 3 }]
[[record]]
name = "D"
match = [{ at = 1, text = "D" }]
parent = "H"
field = [{ name = "SKU", at = 2, width = 6 }, { name = "AMOUNT", width = 6, decimals = 2, sign = "overpunch" }]
[[record]]
name = "T"
match = [{ at = 1, text = "T" }]
parent = "H"
trailer = true
required = true
field = [{ name = "LINES", at = 2, width = 4 }, { name = "AMOUNT", width = 6, decimals = 2, sign = "overpunch" }]
counts = [{ field = "LINES", of = "D" }]
totals = [{ field = "AMOUNT", of = "D", sum = "AMOUNT" }]
"#;

const ONE: &str = r#"
kind = "fixed"
[[record]]
field = [{ name = "A", width = 3 }, { name = "B", at = 5, width = 4 }]
"#;

fn with(settings: &str) -> String {
    format!(
        "kind = \"fixed\"\n{settings}\n{}",
        ONE.replace("kind = \"fixed\"", "")
    )
}

#[test]
fn fields_are_cut_at_their_columns_and_blanks_taken_off() {
    check(ONE, b"abcxdefg\n a   h i\n", &["1: abc·defg", "2: a·h i"]);
    let trims = r#"
kind = "fixed"
trim = "none"
[[record]]
field = [{ name = "A", width = 3 }, { name = "B", width = 3, trim = "left" }, { name = "C", width = 3, trim = "right" }, { name = "D", width = 3, trim = "both" }]
"#;
    check(trims, b" a  b  c  d \n", &["1:  a ·b · c·d"]);
    let digits = r#"
kind = "fixed"
[[record]]
field = [{ name = "A", width = 3, digits = true }, { name = "B", width = 1 }]
"#;
    check(
        digits,
        b"007x\n   x\n 07x\n0A7x\n",
        &[
            "1: 007·x",
            "2: ∅·x",
            "3! A at column 1: \" 07\" is not 3 digits",
            "4! \"0A7\" is not 3 digits",
        ],
    );
}

#[test]
fn short_lines_are_filled_with_blanks_or_refused_and_long_ones_refused_or_cut() {
    check(ONE, b"ab\nabc d\n\n", &["1: ab·", "2: abc·d"]);
    let reject = with("short = \"reject\"");
    check(
        &reject,
        b"abc d\nabc defg\n",
        &["1! 5 characters, and the layout has 8", "2: abc·defg"],
    );
    check(
        ONE,
        b"abc defg  \nabc defgh\n",
        &["1: abc·defg", "2! 9 characters, and the layout ends at 8"],
    );
    check(&with("long = \"ignore\""), b"abc defgh\n", &["1: abc·defg"]);
}

#[test]
fn scenario_20_lines_end_with_crlf_lf_or_cr_and_both_of_the_first_in_one_file() {
    let expected = ["1: a·d", "2: b·e", "4: c·f"];
    for text in [
        &b"a   d\nb   e\n\nc   f\n"[..],
        b"a   d\r\nb   e\r\n\r\nc   f\r\n",
        b"a   d\rb   e\r\rc   f\r",
        b"a   d\r\nb   e\n\r\nc   f",
        b"a   d\nb   e\n\nc   f\r\n\x1A",
    ] {
        check(ONE, text, &expected);
    }
}

#[test]
fn places_count_characters() {
    check(
        ONE,
        "äöüx€uro\nabcxdefg\n".as_bytes(),
        &["1: äöü·€uro", "2: abc·defg"],
    );
    check(
        &with("encoding = \"windows-1252\""),
        b"\xE4\xF6\xFCx\x80uro\nabcx\x81\n",
        &["1: äöü·€uro", "2! byte 5 (0x81) means nothing"],
    );
    let wide: Vec<u8> = "äöüx€uro\r\na\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    check(
        &with("encoding = \"utf-16le\""),
        &wide,
        &["1: äöü·€uro", "2: a·"],
    );
    check(
        ONE,
        b"abcx\xFC\nabcx\0\nok\n",
        &[
            "1! byte 5 (0xFC) is not UTF-8",
            "2! NUL stands at byte 5",
            "3: ok·",
        ],
    );
    check_fault(ONE, b"\xFF\xFEa\0", &["utf-16le"]);
}

#[test]
fn records_may_have_no_line_ends() {
    let blocks = with("record_bytes = 8");
    check(
        &blocks,
        b"abcxdefgabcxhijk",
        &["0: abc·defg", "0: abc·hijk"],
    );
    check(&blocks, b"abcxdefg\r\n\x1A", &["0: abc·defg"]);
    check(
        &blocks,
        b"abcxdefga\xFCcxhijk",
        &["0: abc·defg", "0! record 2: byte 2 (0xFC)"],
    );
    check_fault(
        &blocks,
        b"abcxdefgabc",
        &["record 2 has 3 bytes, and 8 are expected"],
    );
    check_fault(
        &blocks,
        b"abcxdefg\nabcxdefg\n",
        &["leave record_bytes out"],
    );
}

#[test]
fn a_line_is_of_the_first_type_that_it_matches() {
    let types = r#"
kind = "fixed"
[[record]]
name = "PAD"
match = [{ at = 1, text = "999" }]
skip = true
[[record]]
name = "DEBIT"
match = [{ at = 1, text = "6" }, { at = 2, text = ["27", "37"] }]
field = [{ name = "A", at = 4, width = 2 }]
[[record]]
name = "BLANK"
match = [{ at = 1, text = "6" }, { at = 2, text = "  " }]
field = [{ name = "A", at = 4, width = 2 }]
"#;
    check(
        types,
        b"627ab\n637ab\n6\n622ab\n999\n",
        &[
            "1 DEBIT: ab",
            "2 DEBIT: ab",
            "3 BLANK: ",
            "4! none of the types",
        ],
    );
    let skipping = types.replace("kind = \"fixed\"", "kind = \"fixed\"\notherwise = \"skip\"");
    check(
        &skipping,
        b"x\n637ab\n\xFC\n",
        &["2 DEBIT: ab", "3! not UTF-8"],
    );
}

#[test]
fn scenario_27_overpunch_and_implied_decimals_are_exact_to_the_digit() {
    check(
        HDT,
        b"H20261123WH1\nDSKU-1 00125{\nDSKU-2 00000J\nDSKU-3 \nDSKU-4 98765D\nT000498890C\n",
        &[
            "2 D: SKU-1·12.50·20261123·WH1",
            "3 D: SKU-2·-0.01·20261123·WH1",
            "4 D: SKU-3·∅·20261123·WH1",
            "5 D: SKU-4·9876.54·20261123·WH1",
        ],
    );
}

#[test]
fn scenario_16_a_count_that_differs_leaves_nothing_visible() {
    check_fault(
        HDT,
        b"H20261123WH1\nDSKU-1 00125{\nT000200125{\n",
        &["line 3: LINES of the T record says 2, but there are 1 D records from line 1 on"],
    );
    check_fault(
        HDT,
        b"H20261123WH1\nDSKU-1 00125{\nXSKU-2 00125{\nT000200250{\n",
        &[
            "there are 1 D records",
            "line 3 is bad and of no known type",
        ],
    );
    check_fault(
        HDT,
        b"H20261123WH1\nDSKU-1 00125{\n",
        &["line 1: this H record has no T record before the file ends"],
    );
    check_fault(
        HDT,
        b"H20261123WH1\nH20261123WH1\nT000000000{\n",
        &["line 1: this H record has no T record before line 2"],
    );
    check_fault(HDT, b"", &["the file has no T record"]);
    check_fault(
        HDT,
        b"H20261123WH1\nT000000000{\nDSKU-1 00125{\n",
        &["line 3: something stands behind the T record of line 2"],
    );
    check_fault(
        HDT,
        b"T000000000{\n",
        &["line 1: a record of type T belongs to one of type H"],
    );
    check_fault(
        HDT,
        b"H\nTABCD00000{\n",
        &["LINES of the T record is \"ABCD\", which is no number"],
    );
    check_fault(
        HDT,
        b"H\nT000000000*\n",
        &["line 2: the T record can't be read: AMOUNT at column 6"],
    );
}

#[test]
fn scenario_17_a_total_that_differs_leaves_nothing_visible() {
    check_fault(
        HDT,
        b"H20261123WH1\nDSKU-1 00125{\nDSKU-1 00125{\nT000200250A\n",
        &[
            "line 4: AMOUNT of the T record says 25.01, but AMOUNT of the D records adds up to 25.00 from line 1 on",
        ],
    );
    check_fault(
        HDT,
        b"H20261123WH1\nDSKU-1 0012x{\nT000100000{\n",
        &["line 2: AMOUNT is no number, so that the total can't be checked"],
    );
    let hash = HDT.replace("sum = \"AMOUNT\"", "sum = \"AMOUNT\", last_digits = 3");
    check(
        &hash,
        b"H\nD      00999{\nD      00002{\nT000200001{\n",
        &["2 D: ·99.90··", "3 D: ·0.20··"],
    );
    check_fault(
        &hash,
        b"H\nD      00999{\nD      00002{\nT000200002{\n",
        &[
            "line 4: AMOUNT of the T record says 0.20, but AMOUNT of the D records adds up to 0.10 from line 1 on",
        ],
    );
}

#[test]
fn scenario_28_a_detail_without_its_header_is_a_bad_record() {
    let free = HDT.replace("required = true", "");
    check(
        &free,
        b"DSKU-0 00001{\nH20261123WH1\nDSKU-1 00125{\nT000100125{\nH20261124WH2\nDSKU-2 00001}\nT000100001}\n",
        &[
            "1! a record of type D belongs to one of type H, and none is open before it",
            "3 D: SKU-1·12.50·20261123·WH1",
            "6 D: SKU-2·-0.10·20261124·WH2",
        ],
    );
    // A header that is bad itself takes its details with it.
    let strict = HDT
        .replace("emit = false", "")
        .replace("width = 8 }", "width = 8, digits = true }");
    check(
        &strict,
        b"H2026XX23WH1\nDSKU-1 00125{\nT000100125{\nH20261124WH2\nDSKU-2 00001}\nT000100001}\n",
        &[
            "1! \"2026XX23\" is not 8 digits",
            "2! the H record of line 1, to which it belongs, is bad",
            "4 H: 20261124·WH2",
            "5 D: SKU-2·-0.10·20261124·WH2",
        ],
    );
}

#[test]
fn a_configuration_is_checked_in_words() {
    let record = |field: &str| format!("kind = \"fixed\"\n[[record]]\nfield = [{field}]");
    check_config("kind = \"fixed\"", "record", &["write a [[record]]"]);
    check_config(
        &record("{ name = \"A\", width = 0 }"),
        "record.0.field.0.width",
        &["from 1"],
    );
    check_config(
        &record("{ name = \"A\", at = 0, width = 1 }"),
        "record.0.field.0.at",
        &["from 1"],
    );
    check_config(
        &record("{ name = \" \", width = 1 }"),
        "record.0.field.0.name",
        &["no name"],
    );
    check_config(
        &record("{ name = \"A\", width = 1 }, { name = \"A\", width = 1 }"),
        "record.0.field.1.name",
        &["like an earlier one"],
    );
    check_config(
        &record("{ name = \"A\", width = 2, decimals = 3 }"),
        "record.0.field.0.decimals",
        &["more decimals"],
    );
    check_config(
        &record("{ name = \"A\", width = 2, digits = true, sign = \"leading\" }"),
        "record.0.field.0.digits",
        &["leave digits out"],
    );
    check_config(
        &format!(
            "record_bytes = 0\n{}",
            record("{ name = \"A\", width = 2 }")
        ),
        "record_bytes",
        &["from 1"],
    );
    check_config(
        &format!(
            "encoding = \"utf-16\"\nrecord_bytes = 9\n{}",
            record("{ name = \"A\", width = 2 }")
        ),
        "record_bytes",
        &["a multiple of that"],
    );
    let broken = |from: &str, to: &str| HDT.replacen(from, to, 1);
    check_config(
        &broken("match = [{ at = 1, text = \"H\" }]", ""),
        "record.0.match",
        &["put it last"],
    );
    check_config(
        &broken("text = \"H\"", "text = []"),
        "record.0.match.0.text",
        &["which text"],
    );
    check_config(
        &broken("text = \"H\"", "text = 5"),
        "",
        &["a text in quotes, or a list"],
    );
    check_config(
        &broken("name = \"D\"", "name = \"H\""),
        "record.1.name",
        &["two types"],
    );
    check_config(
        &broken("parent = \"H\"", "parent = \"X\""),
        "record.1.parent",
        &["\"X\"", "H, D, T"],
    );
    check_config(
        &broken("parent = \"H\"", "parent = \"T\""),
        "record.1.parent",
        &["trailer"],
    );
    check_config(
        &broken("parent = \"H\"", "parent = \"D\""),
        "record.1.parent",
        &["itself"],
    );
    check_config(
        &broken("of = \"D\" }]", "of = \"E\" }]"),
        "record.2.counts.0.of",
        &["\"E\""],
    );
    check_config(
        &broken("sum = \"AMOUNT\"", "sum = \"SUM\""),
        "record.2.totals.0.sum",
        &["no field \"SUM\"", "SKU, AMOUNT"],
    );
    check_config(
        &broken("field = \"LINES\", of", "field = \"LINE\", of"),
        "record.2.counts.0.field",
        &["no field \"LINE\""],
    );
    check_config(
        &broken("name = \"SKU\"", "name = \"H.DATE\""),
        "record.1.parent",
        &["two columns called \"H.DATE\""],
    );
    check_config(
        &broken("emit = false", "skip = true"),
        "record.1.parent",
        &["passed over"],
    );
    check_config(
        &broken("emit = false", "emitt = false"),
        "",
        &["unknown field `emitt`"],
    );
}

#[test]
fn a_line_that_never_ends_is_one_reject() {
    let mut file = vec![b'x'; 3 * crate::RECORD_BYTES_MAX];
    file.extend_from_slice(b"\nabc defg\n");
    for chunk in [usize::MAX, 100_000] {
        let told = told_of(&format(ONE), &file, chunk).expect("records");
        assert_eq!(told.len(), 2);
        assert!(
            told[0].contains("3145728 bytes long") && told[1] == "2: abc·defg",
            "{told:?}"
        );
    }
}
