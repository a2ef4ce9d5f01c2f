//! Delimited host files: types of records, comments, several header lines, footers. Each case is also run in windows of several
//! lengths, from each record on, and a record at a time.

use super::FOOTER_BYTES_MAX;
use crate::driver::{check, check_config, check_fault, format, told_of};

/// An H1 with its H2 rows below it, and a trailer.
const WMS: &str = r#"
kind = "csv"
delimiter = "|"
header = false
type_column = 1
[[record]]
name = "H1"
columns = ["TYPE", "SHIP_NO", "DATE"]
emit = false
[[record]]
name = "H2"
columns = ["TYPE", "SKU", "QUANTITY"]
parent = "H1"
[[record]]
name = "TR"
columns = ["TYPE", "LINES", "QUANTITY"]
trailer = true
required = true
counts = [{ field = "LINES" }]
totals = [{ field = "QUANTITY", of = "H2", sum = "QUANTITY" }]
"#;

fn two(settings: &str) -> String {
    format!("kind = \"csv\"\nheader = false\ncolumns = [\"A\", \"B\"]\n{settings}")
}

fn headed(settings: &str) -> String {
    format!("kind = \"csv\"\n{settings}")
}

#[test]
fn comments_are_passed_over_but_not_within_quotes() {
    check(
        &two("comment = \"#\""),
        b"# one\n1,2\n#\"open\n3,\"x\n# no comment\"\n #,5\n",
        &["2: 1·2", "4: 3·x\n# no comment", "6:  #·5"],
    );
    check(
        &headed("comment = \"--\""),
        b"-- export\nA,B\n--\n-1,2\n",
        &["4: -1·2"],
    );
    let wide: Vec<u8> = "#ü\n1,2\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    check(
        &two("comment = \"#\"\nencoding = \"utf-16le\""),
        &wide,
        &["2: 1·2"],
    );
}

#[test]
fn lines_before_the_header_are_passed_over_whatever_they_hold() {
    check(
        &headed("skip_rows = 3"),
        b"Report \"x\n\n\xFC\nA,B\n1,2\n",
        &["5: 1·2"],
    );
    check(&two("skip_rows = 1"), b"A;B\n1,2\n", &["2: 1·2"]);
    check(&two("skip_rows = 5"), b"A;B\n1,2\n", &[]);
}

#[test]
fn a_header_of_several_lines_names_columns_by_all_of_them() {
    let toml = headed(
        "header_rows = 2\nheader = true\ncolumns = [\"Ship No\", \"Address Street\", \"City\"]",
    );
    check(
        &toml,
        b"Ship,Address,\nNo,Street,City\n1,2,3\n",
        &["3: 1·2·3"],
    );
    check_fault(
        &toml,
        b"Ship,Address\nNo,Street\n1,2\n",
        &["header on line 2 lacks City", "Address Street"],
    );
    check_fault(
        &headed("header_rows = 2"),
        b"A,A\nB,B\n",
        &["names \"A B\" twice"],
    );
}

#[test]
fn a_footer_of_so_many_lines_is_passed_over() {
    let toml = two("footer_rows = 2\ncomment = \"#\"");
    check(&toml, b"1,2\n3,4\nsum\n4,6\n", &["1: 1·2", "2: 3·4"]);
    check(
        &toml,
        b"1,2\n\"3\",4\n\nsum,\n\n#\n4,6\n\n\x1A",
        &["1: 1·2", "2: 3·4"],
    );
    check(&toml, b"sum\n", &[]);
    check(&headed("footer_rows = 1"), b"A,B\n1,2\nEND", &["2: 1·2"]);
    check(&headed("footer_rows = 1"), b"A,B\nEND\n", &[]);
    let wide: Vec<u8> = "1,2\r\nEND\r\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    check(
        &two("footer_rows = 1\nencoding = \"utf-16be\""),
        &wide,
        &["1: 1·2"],
    );
    // What is too long for a footer is none.
    let mut long = b"1,2\n".to_vec();
    long.extend(vec![b'x'; FOOTER_BYTES_MAX + 1]);
    for chunk in [usize::MAX, 1_000] {
        let told = told_of(&format(&two("footer_rows = 1")), &long, chunk).expect("records");
        assert_eq!((told.len(), &told[0][..]), (1, "1: 1·2"));
    }
    let mut long = b"1,2\n".to_vec();
    long.extend(b"x,y\n".repeat(FOOTER_BYTES_MAX / 4 + 3));
    let told = told_of(&format(&two("footer_rows = 100")), &long, 777).expect("records");
    assert_eq!(told.len(), 1 + FOOTER_BYTES_MAX / 4 + 3 - 100);
}

#[test]
fn a_footer_told_by_its_first_cell_is_passed_over_and_nothing_follows() {
    let toml = two("footer = [\"TOTAL\", \"END\"]");
    check(&toml, b"1,2\n\"TOTAL\",2,x\nEND\n", &["1: 1·2"]);
    check_fault(
        &toml,
        b"1,2\nTOTAL\n3,4\n",
        &["line 3: a record stands behind the footer of line 2"],
    );
    check_fault(
        &toml,
        b"1,2\nTOTAL\n\"open\n",
        &["line 3: a record stands behind the footer"],
    );
}

#[test]
fn cells_that_a_record_lacks_are_not_there() {
    let toml = two("ragged = \"pad\"");
    check(
        &toml,
        b"1\n1,\n1,2\n1,2,3\n",
        &["1: 1·∅", "2: 1·", "3: 1·2", "4! 3 columns, 2 are expected"],
    );
    check(
        &toml,
        b"\"1\"\n\"1\n2\",3\n\"4\n5\"\n",
        &["1: 1·∅", "2: 1\n2·3", "4! never closes", "5: 5\"·∅"],
    );
}

#[test]
fn types_of_records_carry_what_stands_above_them() {
    check(
        WMS,
        b"H1|SHP-1|20261123\nH2|SKU-1|2.5\nH2|\"SKU|2\"|3\nH1|SHP-2|20261124\nH2|SKU-1|-1\nTR|6|4.50\n",
        &[
            "2 H2: H2·SKU-1·2.5·H1·SHP-1·20261123",
            "3 H2: H2·SKU|2·3·H1·SHP-1·20261123",
            "5 H2: H2·SKU-1·-1·H1·SHP-2·20261124",
        ],
    );
    let free = WMS.replace("required = true", "").replace("totals =", "#");
    check(
        &free,
        b"H2|SKU-0|1\nH1|SHP-1|20261123\nH2|SKU-1\nH3|x\n\nH2|SKU-1|\"x\nTR|6|0\n",
        &[
            "1! belongs to one of type H1, and none is open",
            "3! 2 columns, 3 are expected in a record of type H2",
            "4! the type \"H3\" in column 1 is none of H1, H2, TR",
            "6! never closes",
        ],
    );
    check(
        &free.replace(
            "type_column = 1",
            "type_column = 1\notherwise = \"skip\"\nragged = \"pad\"",
        ),
        b"H1|SHP-1\nH3|x\nH2|SKU-1\nTR|3\n",
        &["3 H2: H2·SKU-1·∅·H1·SHP-1·∅"],
    );
    check(
        &free.replace("type_column = 1", "type_column = 3"),
        b"a|b|H1\na|b|H2\na\n",
        &[
            "2 H2: a·b·H2·a·b·H1",
            "3! there is no column 3, in which the type",
        ],
    );
}

#[test]
fn types_share_the_columns_of_a_header() {
    let toml = r#"
kind = "csv"
type_column = "KIND"
[[record]]
name = "order"
match = ["O", "P"]
[[record]]
name = "line"
match = "L"
parent = "order"
totals = []
[[record]]
name = "end"
match = "E"
trailer = true
totals = [{ field = "N", of = ["line", "order"], sum = "N" }]
"#;
    check(
        toml,
        b"N,KIND\n1,O\n2,L\n3, P \n4,L\n10,E\n",
        &[
            "2 order: 1·O",
            "3 line: 2·L·1·O",
            "4 order: 3· P ",
            "5 line: 4·L·3· P ",
        ],
    );
    check_fault(
        toml,
        b"N,KINDS\n1,O\n",
        &["header on line 1", "no column is called \"KIND\""],
    );
    check_fault(
        toml,
        b"M,KIND\n1,O\n",
        &[
            "header on line 1",
            "record.2.totals.0.field",
            "no field \"N\"",
        ],
    );
    check_fault(
        &toml.replace("trailer = true", "trailer = true\nrequired = true"),
        b"",
        &["no end record, which is required"],
    );
    check(toml, b"", &[]);
}

#[test]
fn scenario_16_a_count_of_lines_that_differs_leaves_nothing_visible() {
    check_fault(
        WMS,
        b"H1|SHP-1|D\nH2|SKU-1|2\nTR|4|2\n",
        &["line 3: LINES of the TR record says 4, but there are 3 lines"],
    );
    check_fault(
        WMS,
        b"H1|SHP-1|D\nH2|SKU-1|2\nTR|3|2\nH2|SKU-1|2\n",
        &["line 4: something stands behind the TR record of line 3"],
    );
    check_fault(
        WMS,
        b"H1|SHP-1|D\nH2|SKU-1|2\n",
        &["the file has no TR record, which is required"],
    );
    check_fault(
        WMS,
        b"H1|SHP-1|D\nH2|SKU-1|2\nTR|3\n",
        &["line 3: the TR record can't be read: 2 columns, 3 are expected"],
    );
}

#[test]
fn scenario_17_a_sum_that_differs_leaves_nothing_visible() {
    check_fault(
        WMS,
        b"H1|SHP-1|D\nH2|SKU-1|2\nH2|SKU-2|0.25\nTR|4|2.5\n",
        &[
            "line 4: QUANTITY of the TR record says 2.5, but QUANTITY of the H2 records adds up to 2.25",
        ],
    );
    check_fault(
        WMS,
        b"H1|SHP-1|D\nH2|SKU-1|two\nTR|3|2\n",
        &["line 2: QUANTITY is no number, so that the total can't be checked"],
    );
    let most = "9".repeat(38);
    let lines = format!("H2|SKU-1|{most}\n").repeat(2);
    check_fault(
        WMS,
        format!("H1|SHP-1|D\n{lines}TR|4|{most}\n").as_bytes(),
        &["line 3: the sum of QUANTITY has more than 38 digits"],
    );
}

/// A header may say what follows it.
#[test]
fn what_a_header_says_is_held_against_what_follows() {
    let toml = r#"
kind = "csv"
header = false
type_column = 1
[[record]]
name = "H"
columns = ["T", "N"]
counts = [{ field = "N", of = "D" }]
[[record]]
name = "D"
columns = ["T", "X"]
parent = "H"
"#;
    check(
        toml,
        b"H,1\nD,a\nH,0\nH,2\nD,b\nD,c\n",
        &[
            "1 H: H·1",
            "2 D: D·a·H·1",
            "3 H: H·0",
            "4 H: H·2",
            "5 D: D·b·H·2",
            "6 D: D·c·H·2",
        ],
    );
    check_fault(
        toml,
        b"H,1\nD,a\nH,2\nD,b\n",
        &["line 3: N of the H record says 2, but there are 1 D records from line 3 on"],
    );
    check_fault(
        toml,
        b"H,1\nH,0\n",
        &["line 1: N of the H record says 1, but there are 0 D records"],
    );
}

#[test]
fn scenario_21_quoted_line_ends_may_stand_at_the_border_of_a_window() {
    check(
        &two(""),
        b"1,\"a\nb\"\n\"c\r\n\"\"d\",2\n",
        &["1: 1·a\nb", "3: c\r\n\"d·2"],
    );
    let lines: String = (0..40_000)
        .map(|n| format!("{n},\"line\nend of {n}\"\n"))
        .collect();
    let whole =
        told_of(&format(&two("")), &lines.as_bytes()[..100_000], usize::MAX).expect("records");
    for chunk in [127, 4_096, 65_537] {
        assert_eq!(
            told_of(&format(&two("")), &lines.as_bytes()[..100_000], chunk).expect("records"),
            whole
        );
    }
}

#[test]
fn scenario_22_a_quote_that_never_closes_takes_its_own_line_and_no_other() {
    let lines: Vec<String> = (1..=1_000)
        .map(|n| {
            if n == 10 {
                format!("{n},\"open")
            } else {
                format!("{n},\"x\"")
            }
        })
        .collect();
    let told = told_of(&format(&two("")), lines.join("\n").as_bytes(), 333).expect("records");
    assert_eq!(told.len(), 1_000);
    for (index, told) in told.iter().enumerate() {
        let expected = if index == 9 {
            "10! a quote opens a cell and never closes it".into()
        } else {
            format!("{0}: {0}·x", index + 1)
        };
        assert!(told.starts_with(&expected), "{told}");
    }
}

#[test]
fn scenario_28_a_detail_without_its_header_is_a_bad_record_in_a_delimited_file() {
    let free = WMS.replace("required = true", "");
    check(
        &free,
        b"H2|SKU-0|1\nH1|SHP-1|D\nH2|SKU-1|1\n",
        &[
            "1! a record of type H2 belongs to one of type H1, and none is open before it",
            "3 H2: H2·SKU-1·1·H1·SHP-1·D",
        ],
    );
}

#[test]
fn a_configuration_is_checked_in_words() {
    check_config(&two("comment = \"\\n\""), "comment", &["comment = \"#\""]);
    check_config(&two("comment = \",x\""), "comment", &["the delimiter"]);
    check_config(&two("skip_rows = 10001"), "skip_rows", &["at most 10000"]);
    check_config(&two("header_rows = 2"), "header_rows", &["header = false"]);
    check_config(&headed("header_rows = 0"), "header_rows", &["from 1 to 10"]);
    check_config(
        &headed("footer_rows = 101"),
        "footer_rows",
        &["at most 100"],
    );
    check_config(&headed("footer = \" \""), "footer", &["footer_rows = 1"]);
    check_config(
        &headed("ragged = \"fill\""),
        "",
        &["unknown variant `fill`", "`pad`"],
    );
    check_config(&headed("type_column = 0"), "", &["columns count from 1"]);
    check_config(
        &headed("type_column = true"),
        "",
        &["a column's number, from 1, or its name"],
    );
    check_config(&headed("type_column = 1"), "record", &["[[record]]"]);
    let broken = |from: &str, to: &str| WMS.replacen(from, to, 1);
    check_config(
        &broken("type_column = 1", ""),
        "type_column",
        &["type_column = 1"],
    );
    check_config(
        &broken("type_column = 1", "type_column = \"SKU\""),
        "type_column",
        &["not the same column"],
    );
    check_config(
        &broken("header = false", ""),
        "record.0.columns",
        &["header = false (data)"],
    );
    check_config(
        &broken("columns = [\"TYPE\", \"SHIP_NO\", \"DATE\"]", ""),
        "columns",
        &["the columns need names"],
    );
    check_config(
        &broken("\"SHIP_NO\"", "\"TYPE\""),
        "record.0.columns",
        &["like an earlier one"],
    );
    check_config(
        &broken("name = \"H2\"", "name = \"H2\"\nmatch = \"H1\""),
        "record.1.match",
        &["stands for an earlier type"],
    );
    check_config(
        &broken("parent = \"H1\"", "parent = \"H9\""),
        "record.1.parent",
        &["H1, H2, TR"],
    );
    check_config(
        &broken("sum = \"QUANTITY\"", "sum = \"QTY\""),
        "record.2.totals.0.sum",
        &["no field \"QTY\""],
    );
}
