//! Fixed-width files. Their READMEs state no contents; what is expected is read off the files, and their own figures must hold.

use super::corpus;
use super::driver::{check, check_fault, format, told_of};

/// The layout of an ACH file, after the Nacha rules: records of 94 characters; a batch is opened by 5 and ended by 8, the
/// file by 1 and 9; lines of nines fill up the last block of ten.
const ACH: &str = r#"
kind = "fixed"

[[record]]
name = "FILLER"
match = [{ at = 1, text = "999999999999999999999999" }]
skip = true

[[record]]
name = "FILE"
match = [{ at = 1, text = "1" }]
emit = false
field = [
  { name = "DESTINATION", at = 4, width = 10 }, { name = "ORIGIN", width = 10 }, { name = "DATE", width = 6, digits = true },
  { name = "TIME", width = 4 }, { name = "REST", at = 35, width = 60 },
]

[[record]]
name = "BATCH"
match = [{ at = 1, text = "5" }]
parent = "FILE"
emit = false
field = [
  { name = "COMPANY", at = 5, width = 16 }, { name = "COMPANY_ID", at = 41, width = 10 }, { name = "CLASS", width = 3 },
  { name = "EFFECTIVE", at = 70, width = 6 }, { name = "NUMBER", at = 88, width = 7, digits = true },
]

[[record]]
name = "ENTRY"
match = [{ at = 1, text = "6" }]
parent = "BATCH"
field = [
  { name = "CODE", at = 2, width = 2, digits = true }, { name = "RDFI", width = 8, digits = true }, { name = "ACCOUNT", at = 13, width = 17 },
  { name = "AMOUNT", width = 10, decimals = 2 }, { name = "ID", width = 15 }, { name = "NAME", width = 22 },
  { name = "TRACE", at = 80, width = 15, digits = true },
]

[[record]]
name = "ADDENDA"
match = [{ at = 1, text = "7" }]
parent = "ENTRY"
field = [
  { name = "CODE", at = 2, width = 2 }, { name = "INFO", width = 80 }, { name = "SEQUENCE", width = 4, digits = true },
  { name = "ENTRY", width = 7, digits = true },
]

[[record]]
name = "BATCH_END"
match = [{ at = 1, text = "8" }]
parent = "BATCH"
trailer = true
required = true
field = [
  { name = "ENTRIES", at = 5, width = 6 }, { name = "HASH", width = 10 }, { name = "DEBITS", width = 12, decimals = 2 },
  { name = "CREDITS", width = 12, decimals = 2 }, { name = "REST", width = 50 },
]
counts = [{ field = "ENTRIES", of = ["ENTRY", "ADDENDA"] }]
totals = [
  { field = "HASH", of = "ENTRY", sum = "RDFI", last_digits = 10 },
  { field = "DEBITS", of = "ENTRY", sum = "AMOUNT", where = { field = "CODE", is = ["27", "37", "47", "55"] } },
  { field = "CREDITS", of = "ENTRY", sum = "AMOUNT", where = { field = "CODE", is = ["22", "32", "42", "52"] } },
]

[[record]]
name = "FILE_END"
match = [{ at = 1, text = "9" }]
parent = "FILE"
trailer = true
required = true
field = [
  { name = "BATCHES", at = 2, width = 6 }, { name = "BLOCKS", width = 6 }, { name = "ENTRIES", width = 8 }, { name = "HASH", width = 10 },
  { name = "DEBITS", width = 12, decimals = 2 }, { name = "CREDITS", width = 12, decimals = 2 },
]
counts = [{ field = "BATCHES", of = "BATCH" }, { field = "ENTRIES", of = ["ENTRY", "ADDENDA"] }]
totals = [
  { field = "HASH", of = "ENTRY", sum = "RDFI", last_digits = 10 },
  { field = "DEBITS", of = "ENTRY", sum = "AMOUNT", where = { field = "CODE", is = ["27", "37", "47", "55"] } },
  { field = "CREDITS", of = "ENTRY", sum = "AMOUNT", where = { field = "CODE", is = ["22", "32", "42", "52"] } },
]
"#;

/// Cells of the file and batch header that each entry of a file carries.
fn ach(file: &str, entries: &[&str], above: &str) {
    let Some(bytes) = corpus(&format!("fixed/ach/{file}")) else {
        return;
    };
    let expected: Vec<String> = entries
        .iter()
        .map(|entry| format!("{entry}·{above}"))
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(ACH, &bytes, &expected);
    // The same as a file without line ends.
    let blocks: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| *byte != b'\n')
        .collect();
    let unlined: Vec<String> = expected
        .iter()
        .map(|told| format!("0 {}", told.split_once(' ').expect("a line").1))
        .collect();
    let toml = ACH.replacen("kind = \"fixed\"", "kind = \"fixed\"\nrecord_bytes = 94", 1);
    check(
        &toml,
        &blocks,
        &unlined.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    // Each digit of the controls is held against the entries.
    for (line, places) in [
        (entries.len() + 2, 4..44),
        (entries.len() + 3, 1..7),
        (entries.len() + 3, 13..55),
    ] {
        for at in places {
            let mut other = bytes.clone();
            let at = line * 95 + at;
            other[at] = if other[at] == b'9' {
                b'8'
            } else {
                other[at] + 1
            };
            check_fault(
                ACH,
                &other,
                &[&format!("line {}: ", line + 1), " record says "],
            );
        }
    }
    for (line, gone) in bytes
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
        .take(entries.len() + 4)
    {
        let at = line * 95;
        let cut = [&bytes[..at], &bytes[at + gone.len()..]].concat();
        assert!(
            told_of(&format(ACH), &cut, 1_000).is_err(),
            "without line {}",
            line + 1
        );
    }
}

#[test]
fn a_ccd_file_holds_its_counts_hashes_and_totals() {
    ach(
        "ccd-debit.ach",
        &[
            "3 ENTRY: 27·23138010·744-5678-99·5000.00·location1234567·Best Co. #123456789012·031300010000001",
            "4 ENTRY: 27·23138010·744-5678-99·1.25·Fee123456789012·Best Co. #123456789012·031300010000002",
        ],
        "Name on Account·231380104·CCD·190816·0000001·031300012·0231380104·190816·1055·094101Federal Reserve Bank   My Bank Name           12345678",
    );
}

#[test]
fn a_ctx_file_holds_its_addenda_too() {
    let entry = "27·23138010·12345678·1000000.00·45689033·0002Receiver Company·121042880000001";
    let head = "Name on Account·231380104·CTX·190816·0000001·031300012·0231380104·190816·1055·094101Federal Reserve Bank   My Bank Name           12345678";
    ach(
        "ctx-debit.ach",
        &[
            &format!("3 ENTRY: {entry}"),
            &format!("4 ADDENDA: 05·Debit First Account·0001·0000001·{entry}"),
            &format!("5 ADDENDA: 05·Debit Second Account·0002·0000001·{entry}"),
        ],
        head,
    );
}

#[test]
fn a_ppd_file_adds_up_debits_and_credits_apart() {
    ach(
        "ppd-mixedDebitCredit.ach",
        &[
            "3 ENTRY: 27·23138010·123456789·2000000.00··Debit Account·121042880000001",
            "4 ENTRY: 22·23138010·987654321·1000000.00··Credit Account 1·121042880000002",
            "5 ENTRY: 22·23138010·837098765·1000000.00··Credit Account 2·121042880000003",
        ],
        "Name on Account·121042882·PPD·190719·0000001·231380104·0121042882·190718·1055·094101Federal Reserve Bank   My Bank Name",
    );
}

/// A line among them is none: it is passed over by its text, or a bad record.
#[test]
fn a_weather_file_of_one_layout() {
    let Some(bytes) = corpus("fixed/omniparser/1_single_row.input.txt") else {
        return;
    };
    let toml = r#"
kind = "fixed"
[[record]]
name = "NOTE"
match = [{ at = 1, text = "DO NOT PROCESS" }]
skip = true
[[record]]
name = "W"
field = [
  { name = "DATE", width = 24 }, { name = "HIGH", width = 5 }, { name = "LOW", width = 5 }, { name = "WIND", width = 3 },
  { name = "SPEED", width = 3 }, { name = "LAT", width = 9 }, { name = "LONG", width = 9 },
]
"#;
    let first = "1 W: 2019/01/31T12:34:56-0800·10.5·30.2·N·33·37.7749·122.4194";
    let last = "3 W: 2020/07/31T01:23:45-0500·39·95·SE·8·32.7767·96.7970";
    check(toml, &bytes, &[first, last]);
    let strict = toml
        .replace("DO NOT", "DON'T")
        .replace("kind = \"fixed\"", "kind = \"fixed\"\nshort = \"reject\"");
    check(
        &strict,
        &bytes,
        &[
            first,
            "2! the line has 14 characters, and the layout of W has 58",
            last,
        ],
    );
}

#[test]
fn orders_of_several_lines_carry_their_first() {
    let Some(bytes) = corpus("fixed/omniparser/2_multi_rows.input.txt") else {
        return;
    };
    let toml = r#"
kind = "fixed"
long = "ignore"
[[record]]
name = "H001"
match = [{ at = 1, text = "H001" }]
emit = false
field = [{ name = "ORDER", at = 25, width = 10 }, { name = "SHIPPER", at = 84, width = 20 }, { name = "AT", at = 142, width = 14 }]
[[record]]
name = "H002"
match = [{ at = 1, text = "H002" }]
parent = "H001"
field = [{ name = "ORDER", at = 5, width = 10 }, { name = "KIND", at = 24, width = 3 }, { name = "VALUE", width = 30 }]
"#;
    let told = told_of(&format(toml), &bytes, 1_000).expect("records");
    assert_eq!(told.len(), 20);
    assert_eq!(
        told[0],
        "2 H002: 0689311345·BM·040670500067120·0689311345·HMDEPOT·20190826124704"
    );
    assert_eq!(
        told[11],
        "14 H002: 0689311348·CN··0689311348·HMDEPOT·20190826124704"
    );
    assert_eq!(
        told[19],
        "22 H002: 0689311348·PO·6816137C·0689311348·HMDEPOT·20190826124704"
    );
    assert!(
        told.iter()
            .all(|line| line.matches("0689311345").count() != 1),
        "each carries its own order"
    );
}

#[test]
fn a_postal_file_has_a_head_shipments_and_an_end() {
    let Some(bytes) = corpus("fixed/omniparser/3_header_footer.input.txt") else {
        return;
    };
    let field =
        "field = [{ name = \"CODE\", width = 4 }, { name = \"VALUE\", at = 6, width = 40 }]";
    let of = |name: &str, text: &str, rest: &str| {
        format!(
            "[[record]]\nname = \"{name}\"\nmatch = [{{ at = 1, text = \"{text}\" }}]\n{field}\n{rest}\n"
        )
    };
    let toml = |count: &str| {
        [
            "kind = \"fixed\"\n".to_owned(),
            of("A", "A", ""),
            of("V010", "V010", ""),
            of(
                "V999",
                "V999",
                "parent = \"V010\"\ntrailer = true\nrequired = true",
            ),
            of("V", "V", "parent = \"V010\""),
            of("Z001", "Z001", &format!("trailer = true\n{count}")),
            of("Z999", "Z999", "trailer = true\nrequired = true"),
        ]
        .concat()
    };
    let told = told_of(&format(&toml("")), &bytes, 100).expect("records");
    // 7 of the head, and 86 of shipments, whose 4 ends are not handed out.
    assert_eq!(told.len(), 7 + 86 - 4);
    assert_eq!(told[8], "9 V: V020·3SDMNN0129791·V010·V");
    assert_eq!(told[6], "7 A: A999·");
    assert_eq!(told[88], "92 V: V200·NL·V010·V");
    // Somebody took a line out, or put one in, when the names were changed for publication.
    check_fault(
        &toml("counts = [{ field = \"VALUE\", of = [\"V010\", \"V\", \"V999\"] }]"),
        &bytes,
        &[
            "line 94: VALUE of the Z001 record says 85, but there are 86 V010 and V and V999 records",
        ],
    );
}

#[test]
fn customers_in_two_fields() {
    let Some(bytes) = corpus("fixed/spring-batch/fixedLength.txt") else {
        return;
    };
    let toml = "kind = \"fixed\"\n[[record]]\nfield = [{ name = \"NAME\", width = 9 }, { name = \"CREDIT\", width = 2, decimals = 0 }]";
    let expected: Vec<String> = (1..=6).map(|n| format!("{n}: customer{n}·{n}0")).collect();
    check(
        toml,
        &bytes,
        &expected.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

#[test]
fn customers_and_trades_in_one_file() {
    let Some(bytes) = corpus("fixed/spring-batch/multiRecordType.txt") else {
        return;
    };
    let toml = r#"
kind = "fixed"
[[record]]
name = "CUST"
match = [{ at = 1, text = "CUST" }]
field = [{ name = "ID", at = 5, width = 5 }, { name = "NAME", width = 9 }, { name = "CREDIT", width = 8 }]
[[record]]
name = "TRAD"
match = [{ at = 1, text = "TRAD" }]
field = [{ name = "ISIN", at = 5, width = 12 }, { name = "QUANTITY", width = 3 }, { name = "PRICE", width = 6 }, { name = "CUSTOMER", width = 9 }]
"#;
    check(
        toml,
        &bytes,
        &[
            "1 CUST: 42001·customer1·00012000",
            "2 CUST: 42002·customer2·00022000",
            "3 CUST: 42003·customer3·00032000",
            "4 TRAD: UK21341EAH45·978·98.34·customer1",
            "5 TRAD: UK21341EAH46·112·18.12·customer2",
            "6 CUST: 42004·customer4·00042000",
            "7 CUST: 42005·customer5·00052000",
            "8 TRAD: UK21341EAH47·245·12.78·customer3",
            "9 TRAD: UK21341EAH48·108·109.25·customer4",
            "10 TRAD: UK21341EAH49·854·123.39·customer5",
            "11 CUST: 42006·customer6·00062000",
            "12 TRAD: UK21341EAH50·234·32.45·customer6",
        ],
    );
}

#[test]
fn trades_between_a_begin_and_an_end() {
    let Some(bytes) = corpus("fixed/spring-batch/multilineStep.txt") else {
        return;
    };
    let toml = r#"
kind = "fixed"
[[record]]
name = "BEGIN"
match = [{ at = 1, text = "BEGIN" }]
emit = false
[[record]]
name = "END"
match = [{ at = 1, text = "END" }]
parent = "BEGIN"
trailer = true
required = true
[[record]]
name = "TRADE"
parent = "BEGIN"
field = [{ name = "ISIN", width = 12 }, { name = "QUANTITY", width = 3 }, { name = "PRICE", width = 5 }, { name = "CUSTOMER", width = 9 }]
"#;
    check(
        toml,
        &bytes,
        &[
            "2 TRADE: UK21341EAH45·978·98.34·customer1",
            "3 TRADE: UK21341EAH46·112·18.12·customer2",
            "6 TRADE: UK21341EAH47·245·12.78·customer2",
            "7 TRADE: UK21341EAH48·108·09.25·customer3",
            "8 TRADE: UK21341EAH49·854·23.39·customer4",
        ],
    );
    check_fault(
        toml,
        &bytes[..bytes.len() - 4],
        &["line 5: this BEGIN record has no END record before the file ends"],
    );
}

/// Its lines are delimited. Each order's end says how many items there are, of how many pieces, and what they cost.
#[test]
fn orders_add_up_to_what_their_ends_say() {
    let Some(bytes) = corpus("fixed/spring-batch/multilineOrderInput.txt") else {
        return;
    };
    let toml = r#"
kind = "csv"
delimiter = ";"
quote = ""
header = false
type_column = 1
[[record]]
name = "HEA"
columns = ["T", "ORDER", "DATE"]
emit = false
[[record]]
name = "CUSTOMER"
match = "NCU"
columns = ["T", "LAST", "FIRST", "MIDDLE", "REGISTERED", "ID", "VIP"]
parent = "HEA"
[[record]]
name = "COMPANY"
match = "BCU"
columns = ["T", "NAME", "ID", "VIP"]
parent = "HEA"
[[record]]
name = "ADDRESS"
match = ["BAD", "SAD"]
columns = ["T", "NAME", "STREET", "STREET_2", "CITY", "ZIP", "STATE", "COUNTRY"]
parent = "HEA"
[[record]]
name = "BILLING"
match = "BIN"
columns = ["T", "CARD", "NUMBER"]
parent = "HEA"
[[record]]
name = "SHIPPING"
match = "SIN"
columns = ["T", "SHIPPER", "KIND", "NOTE"]
parent = "HEA"
[[record]]
name = "ITEM"
match = "LIT"
columns = ["T", "ITEM", "PRICE", "PERCENT", "DISCOUNT", "SHIPPING", "HANDLING", "PIECES", "TOTAL"]
parent = "HEA"
[[record]]
name = "FOT"
columns = ["T", "ITEMS", "PIECES", "TOTAL"]
parent = "HEA"
trailer = true
required = true
counts = [{ field = "ITEMS", of = "ITEM" }]
totals = [{ field = "PIECES", of = "ITEM", sum = "PIECES" }, { field = "TOTAL", of = "ITEM", sum = "TOTAL" }]
"#;
    let padded = toml.replace("kind = \"csv\"", "kind = \"csv\"\nragged = \"pad\"");
    let told = told_of(&format(&padded), &bytes, 50).expect("records");
    let kinds: Vec<&str> = told
        .iter()
        .filter_map(|line| line.split([' ', ':']).nth(1))
        .collect();
    assert_eq!(
        (
            kinds.len(),
            kinds.iter().filter(|kind| **kind == "ITEM").count()
        ),
        (16, 7)
    );
    assert_eq!(
        told[0],
        "2 CUSTOMER: NCU·Smith·Peter··T·20014539·F·HEA·0013100345·2007-02-15"
    );
    assert!(
        told[15].ends_with("·HEA·0013100346·2007-02-15"),
        "{}",
        told[15]
    );
    let text = String::from_utf8(bytes).expect("text");
    for (from, to) in [
        ("FOT;5;36", "FOT;4;36"),
        ("FOT;5;36", "FOT;5;37"),
        ("14043.74", "14043.75"),
        ("4.99;2.99;4;", "4.99;2.99;5;"),
    ] {
        check_fault(
            &padded,
            text.replacen(from, to, 1).as_bytes(),
            &["line 20: ", "of the FOT record says", "from line 10 on"],
        );
    }
}
