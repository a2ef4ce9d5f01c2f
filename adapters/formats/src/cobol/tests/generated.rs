//! Records of all kinds of fields, written by a small writer of our own, are read back to the digit.

use proptest::prelude::*;
use std::process::Command;

use super::*;
use crate::driver::told_of;

const BOOK: &str = "01 R. 05 T PIC X(6). 05 P PIC S9(5)V99 COMP-3. 05 Q PIC 9(4) COMP-3. 05 Z PIC S9(4)V9. 05 L PIC S9(5) SIGN LEADING SEPARATE. \
    05 H PIC S9(4) COMP. 05 W PIC S9(9)V99 COMP. 05 D PIC S9(18) COMP. 05 N PIC 9(2). 05 G OCCURS 0 TO 4 DEPENDING ON N. 10 K PIC X(2). \
    10 V PIC S9(3) COMP-3.";

/// What a record holds: units of the last decimal.
#[derive(Debug, Clone)]
struct Values {
    text: String,
    numbers: [i64; 7],
    items: Vec<(String, i64)>,
}

/// A number as the decoder tells it.
fn shown(units: i64, decimals: usize) -> String {
    let digits = format!("{:0>1$}", units.unsigned_abs(), decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if units < 0 { "-" } else { "" };
    let point = if decimals > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

fn text_of(text: &str, bytes: usize) -> Vec<u8> {
    let ebcdic = |letter: u8| match letter {
        b'A'..=b'I' => letter - b'A' + 0xC1,
        b'J'..=b'R' => letter - b'J' + 0xD1,
        b'S'..=b'Z' => letter - b'S' + 0xE2,
        b'0'..=b'9' => letter - b'0' + 0xF0,
        _ => 0x40,
    };
    let mut written: Vec<u8> = text.bytes().map(ebcdic).collect();
    written.resize(bytes, 0x40);
    written
}

fn packed(units: i64, digits: usize, signed: bool) -> Vec<u8> {
    let bytes = digits / 2 + 1;
    let sign = match (signed, units < 0) {
        (false, _) => "F",
        (true, true) => "D",
        (true, false) => "C",
    };
    let halves = format!("{:0>1$}{sign}", units.unsigned_abs(), 2 * bytes - 1);
    let byte = |at: usize| {
        u8::from_str_radix(&halves[2 * at..2 * at + 2], 16).expect("two hexadecimal digits")
    };
    (0..bytes).map(byte).collect()
}

fn zoned(units: i64, digits: usize) -> Vec<u8> {
    let mut written: Vec<u8> = format!("{:0>digits$}", units.unsigned_abs())
        .bytes()
        .map(|digit| digit + 0xC0)
        .collect();
    if let Some(last) = written.last_mut() {
        *last = (*last & 0x0F) | if units < 0 { 0xD0 } else { 0xC0 };
    }
    written
}

impl Values {
    fn written(&self) -> Vec<u8> {
        let [p, q, z, l, h, w, d] = self.numbers;
        let mut record = text_of(&self.text, 6);
        record.extend(packed(p, 7, true));
        record.extend(packed(q, 4, false));
        record.extend(zoned(z, 5));
        record.push(if l < 0 { 0x60 } else { 0x4E });
        record.extend(text_of(&format!("{:05}", l.unsigned_abs()), 5));
        record.extend((h as i16).to_be_bytes());
        record.extend(w.to_be_bytes());
        record.extend(d.to_be_bytes());
        record.extend(text_of(&format!("{:02}", self.items.len()), 2));
        for (text, value) in &self.items {
            record.extend(text_of(text, 2));
            record.extend(packed(*value, 3, true));
        }
        record
    }

    fn told(&self) -> String {
        let [p, q, z, l, h, w, d] = self.numbers;
        let numbers = [(p, 2), (q, 0), (z, 1), (l, 0), (h, 0), (w, 2), (d, 0)];
        let mut cells = vec![self.text.trim_end().to_owned()];
        cells.extend(numbers.map(|(units, decimals)| shown(units, decimals)));
        cells.push(self.items.len().to_string());
        for nth in 0..4 {
            match self.items.get(nth) {
                Some((text, value)) => {
                    cells.extend([text.trim_end().to_owned(), value.to_string()])
                }
                None => cells.extend(["∅".to_owned(), "∅".to_owned()]),
            }
        }
        format!("0: {}", cells.join("·"))
    }
}

fn values() -> impl Strategy<Value = Values> {
    let numbers = (
        -9_999_999..=9_999_999_i64,
        0..=9_999_i64,
        -99_999..=99_999_i64,
        -99_999..=99_999_i64,
        -9_999..=9_999_i64,
        -99_999_999_999..=99_999_999_999_i64,
        -999_999_999_999_999_999..=999_999_999_999_999_999_i64,
    );
    let items = prop::collection::vec(("[A-Z0-9]{1,2}", -999..=999_i64), 0..=4);
    ("[A-Z0-9 ]{0,6}", numbers, items).prop_map(|(text, (p, q, z, l, h, w, d), items)| Values {
        text,
        numbers: [p, q, z, l, h, w, d],
        items,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_to_the_digit(all in prop::collection::vec(values(), 0..8), chunk in 1..200_usize) {
        let expected: Vec<String> = all.iter().map(Values::told).collect();
        let behind: Vec<u8> = all.iter().flat_map(Values::written).collect();
        let words: Vec<u8> = all.iter().flat_map(|one| {
            let record = one.written();
            let [a, b] = (record.len() as u16 + 4).to_be_bytes();
            [vec![a, b, 0, 0], record].concat()
        }).collect();
        for (framing, file) in [("layout", &behind), ("rdw", &words)] {
            let format = format_with(&format!("{EBCDIC}framing = \"{framing}\""), BOOK).expect("a format");
            prop_assert_eq!(told_of(&format, file, chunk), Ok(expected.clone()));
        }
    }
}

/// The tables of others agree, byte by byte, but for one: in 273, 0xBC is a macron to glibc, ICU and Java, and an overline to Python. Python has no code page 1047; that one is compared with 037 in `code_page`.
#[test]
fn code_pages_are_those_of_python() {
    let script = "import json\nprint(json.dumps([bytes(range(256)).decode(c) for c in ('cp037','cp273','cp500','cp1140')]))";
    let run = Command::new("python3").args(["-c", script]).output();
    let run = run.expect(
        "python3 is needed to compare the code pages; install it (apt-get install python3)",
    );
    let pages: Vec<String> = serde_json::from_slice(&run.stdout).expect("JSON");
    for (page, encoding) in pages.iter().zip(["cp037", "cp273", "cp500", "cp1140"]) {
        let settings = format!("{EBCDIC}encoding = \"{encoding}\"\ntrim = \"none\"");
        let format = format_with(&settings, "01 R. 05 A PIC X(256).").expect("a format");
        let all: Vec<u8> = (0..=255).collect();
        let told = told_of(&format, &all, usize::MAX).expect("records");
        let page = page.replace('\u{203E}', "\u{AF}");
        assert_eq!(told, [format!("0: {page}")], "{encoding}");
    }
}
