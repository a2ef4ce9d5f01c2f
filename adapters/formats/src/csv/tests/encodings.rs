//! Files in the encodings of warehouses: made with Python's codecs, and each read in windows of every length.

use super::*;

fn with(encoding: &str) -> CsvConfig {
    CsvConfig {
        encoding: config(&format!("encoding = \"{encoding}\"")).encoding,
        ..two_columns()
    }
}

fn utf32(text: &str, big: bool) -> Vec<u8> {
    let bytes = |unit: u32| {
        if big {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    };
    text.chars()
        .flat_map(|letter| bytes(letter.into()))
        .collect()
}

/// Scenario 23.
#[test]
fn utf_16le_with_a_byte_order_mark_is_read() {
    let format = CsvConfig {
        header: Some(true),
        columns: Vec::new(),
        ..with("utf-16le")
    };
    let file = utf16(
        "\u{feff}SKU|NAME\r\nA-1|\"Größe |\r\n7\"\r\nB-2|\u{a0a}\u{d0d}\r\n",
        false,
    );
    check(
        &format,
        &file,
        &["2: A-1·Größe |\r\n7", "4: B-2·\u{a0a}\u{d0d}"],
    );
    let mut broken = file.clone();
    let cut = broken.len() - 6;
    broken[cut..cut + 2].copy_from_slice(&[0, 0xDC]);
    check(
        &format,
        &broken,
        &["2: A-1·Größe |\r\n7", "4! byte 11 is not UTF-16"],
    );
}

/// Scenario 24.
#[test]
fn an_invalid_byte_makes_its_own_line_a_bad_one_and_says_where_it_is() {
    // "é", "Ä" and a box's corner, which are all of DOS.
    check(
        &with("cp437"),
        b"\x82|\x8E\r\n\xC9|\x9B\r\n\x1A",
        &["1: é·Ä", "2: ╔·¢"],
    );
    check(
        &with("cp850"),
        b"\x82|\x9B\r\n\"\xD5|\"|\xB8\r\n",
        &["1: é·ø", "2: ı|·©"],
    );
    check(
        &with("windows-1252"),
        b"\x80|\xE9\n1|ab\x81\n2|3\n",
        &[
            "1: €·é",
            "2! byte 5 (0x81) means nothing in windows-1252",
            "3: 2·3",
        ],
    );
    // "ポ", "ソ" and "表": their second bytes are a bar and backslashes.
    check(
        &with("shift-jis"),
        b"\x83\x7C|\x83\x5C\n\"\x95\x5C|\x83\x7C\"|\xB1\n1|a\x83\xFF\n\x83|2\n3|\x83\n4|5\n",
        &[
            "1: ポ·ソ",
            "2: 表|ポ·ｱ",
            "3! byte 4 (0x83) is not Shift_JIS",
            "4! 1 column, 2 are expected",
            "5! byte 3 (0x83) is not Shift_JIS",
            "6: 4·5",
        ],
    );
}

#[test]
fn what_stands_behind_a_first_byte_is_no_delimiter_quote_or_line_end() {
    // A quote of Shift-JIS can't be a second byte, a backtick and an "A" can.
    let odd = CsvConfig {
        delimiter: "A".into(),
        quote: "`".into(),
        ..with("shift-jis")
    };
    check(
        &odd,
        b"\x83\x41A\x83\x60\n`\x83\x60A``\x83\x41`Ax\n",
        &["1: ア·チ", "2: チA`ア·x"],
    );
    // U+4E85 ends with a bar, U+1F4A9 and the euro sign have digits in them.
    let digits = CsvConfig {
        delimiter: "9".into(),
        ..with("gb18030")
    };
    check(
        &with("gb18030"),
        b"\x81\x7C|\xC4\xE3\n1|\x81\x30\xFF\n",
        &["1: 亅·你", "2! byte 3 (0x81) is not gb18030"],
    );
    check(&digits, b"\x94\x39\xDA\x339\xA2\xE3\n", &["1: 💩·€"]);
    check(&digits, b"\x84\x31\x95\x33x9y\n", &["1: x·y"]);
}

#[test]
fn utf_32_is_read_in_both_orders() {
    let text = "ü|\u{a0d}\r\n\"a\r\n|\"|😀\n\n3\n";
    let expected = ["1: ü·\u{a0d}", "2: a\r\n|·😀", "5! 1 column"];
    check(&with("utf-32"), &utf32(text, false), &expected);
    for (encoding, big) in [("utf-32le", false), ("utf-32be", true)] {
        check(&with(encoding), &utf32(text, big), &expected);
        check(
            &with("utf-32"),
            &utf32(&format!("\u{feff}{text}"), big),
            &expected,
        );
        let mut cut = utf32("1|2\n3|\u{1}\n5|6", big);
        let beyond = 4 * 6 + if big { 0 } else { 3 };
        cut[beyond] = 0x7F;
        cut.pop();
        check(
            &with(encoding),
            &cut,
            &[
                "1: 1·2",
                "2! byte 9 is not UTF-32",
                "3! byte 9 is not UTF-32",
            ],
        );
    }
    check_fault(
        &with("utf-8"),
        &utf32("\u{feff}1|2\n", false),
        &["encoding = \"utf-32le\""],
    );
}

#[test]
fn a_line_that_is_too_long_ends_at_its_line_end_however_units_are_cut() {
    let text = format!("1|2\n{}\n3|4\n", "x".repeat(RECORD_BYTES_MAX));
    for (encoding, file) in [
        ("utf-16be", utf16(&text, true)),
        ("utf-16le", utf16(&text, false)),
        ("utf-32le", utf32(&text, false)),
        ("utf-32be", utf32(&text, true)),
    ] {
        for chunk in [99_991, 65_537, 130_000] {
            let told = told_of(&with(encoding), &file, chunk).expect("records");
            assert_eq!(told.len(), 3, "{encoding} in chunks of {chunk}");
            assert!(told[1].starts_with("2! the line is"), "{}", told[1]);
            assert_eq!(told[2], "3: 3·4");
        }
    }
}

/// Tables of others agree, character by character.
#[test]
fn code_pages_are_those_of_python() {
    let script = "import json,sys\nprint(json.dumps([[bytes([b]).decode(c) for b in range(128,256)] for c in ('cp437','cp850')]))";
    let run = std::process::Command::new("python3")
        .args(["-c", script])
        .output();
    let run = run.expect(
        "python3 is needed to compare the code pages; install it (apt-get install python3)",
    );
    let pages: Vec<Vec<String>> = serde_json::from_slice(&run.stdout).expect("JSON");
    for (page, encoding) in pages.iter().zip(["cp437", "cp850"]) {
        for (above, expected) in page.iter().enumerate() {
            let line = [128 + above as u8, b'|', b'x', b'\n'];
            let told = told_of(&with(encoding), &line, usize::MAX).expect("records");
            assert_eq!(told, [format!("1: {expected}·x")], "{encoding} {above}");
        }
    }
}
