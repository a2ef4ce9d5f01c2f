//! Files of cobrix, through the decoder: each cell is what is expected of it, to the digit.

use dray_adapter::Value;
use dray_formats::Gather;

use super::corpus;
use super::driver::{format_with, run};

/// A cell: its name without groups and numbers, as cobrix writes it, and its text.
type Cell = (String, String);

/// A file's records or why one can't be read, and what is expected of each.
struct Sample {
    found: Vec<Result<Vec<Cell>, String>>,
    expected: Vec<Vec<Cell>>,
}

/// The values of a line of JSON with their names, as they are written there: numbers are not made floats of.
fn leaves(line: &str) -> Vec<Cell> {
    let (mut found, mut name, mut rest) = (Vec::new(), String::new(), line);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let mut end = 1;
                while !rest[end..].starts_with('"') {
                    end += if rest[end..].starts_with('\\') {
                        2
                    } else {
                        rest[end..].chars().next().map_or(1, char::len_utf8)
                    };
                }
                end + 1
            }
            '-' | '0'..='9' => rest.find([',', '}', ']']).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match first {
            '"' if after.starts_with(':') => name = serde_json::from_str(token).expect("a name"),
            '"' => found.push((name.clone(), serde_json::from_str(token).expect("a text"))),
            '-' | '0'..='9' => found.push((name.clone(), token.to_owned())),
            _ => {}
        }
        rest = after;
    }
    found
}

/// A text as cobrix writes it: blanks for what can't be printed, and none around it.
fn shown(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.trim().to_owned()
}

impl Sample {
    /// `None` where there are no corpora. `settings`: beside the copybook's.
    fn read(copybook: &str, data: &str, expected: &str, settings: &str) -> Option<Self> {
        let of = |path: &str| corpus(&format!("ebcdic/cobrix/{path}"));
        let (copybook, data, expected) = (of(copybook)?, of(data)?, of(expected)?);
        let settings = format!("kind = \"copybook\"\ncopybook = \"/cobrix.cob\"\n{settings}");
        let format = format_with(&settings, &String::from_utf8_lossy(&copybook)).expect("a format");
        let read = |chunk| {
            let mut gather = Gather::default();
            run(&format, &data, chunk, 0, &mut gather, |_| {
                panic!("a sample fits a batch")
            })
            .expect("records");
            Self::told(&gather)
        };
        let found = read(usize::MAX);
        assert_eq!(found, read(7), "in small windows");
        let expected = String::from_utf8(expected).expect("UTF-8");
        let expected = expected.lines().map(|line| {
            let mut found = leaves(line);
            // Cobrix numbers files and records, and makes texts of groups where it is asked to.
            found.retain(|(name, _)| {
                !["File_Id", "Record_Id"].contains(&&name[..]) && !name.ends_with("_NT")
            });
            found
                .iter_mut()
                .for_each(|(_, value)| *value = shown(value));
            found
        });
        Some(Self {
            found,
            expected: expected.collect(),
        })
    }

    fn told(gather: &Gather) -> Vec<Result<Vec<Cell>, String>> {
        let mut told = Vec::new();
        for record in gather.records.iter() {
            let names = record.shape().columns.iter().enumerate();
            let cells = names.filter_map(|(at, name)| match record.value(at) {
                Value::Text(text) => {
                    let name = name.rsplit('.').next().unwrap_or(name);
                    let name = name.split('(').next().unwrap_or(name).replace('-', "_");
                    Some((name, shown(text)))
                }
                _ => None,
            });
            told.push((record.row().ordinal, Ok(cells.collect())));
        }
        let rejects = gather.rejects.iter();
        told.extend(rejects.map(|bad| (bad.ordinal, Err(bad.reason.clone()))));
        told.sort_by_key(|(ordinal, _)| *ordinal);
        told.into_iter().map(|(_, told)| told).collect()
    }

    /// Each record has the cells that are expected in its place, and no others.
    fn check(&self, records: std::ops::Range<usize>) {
        assert!(records.end <= self.expected.len() && !records.is_empty());
        for at in records {
            assert_eq!(
                self.found[at].as_ref(),
                Ok(&self.expected[at]),
                "record {at}"
            );
        }
    }
}

/// An edited number is a text to us, as it is written.
fn without_zeros(cells: &[Cell], name: &str) -> Vec<Cell> {
    let cut = |(of, text): &Cell| {
        let text = if of == name {
            text.trim_start_matches('0')
        } else {
            text
        };
        (of.clone(), text.to_owned())
    };
    cells.iter().map(cut).collect()
}

#[test]
fn numbers_that_are_shown_decode_to_the_digit() {
    let sample = Sample::read(
        "test19_display_num.cob",
        "test19_display_num/data.dat",
        "test19_display_num_expected/test19.txt",
        "",
    );
    let Some(mut sample) = sample else { return };
    assert_eq!((sample.found.len(), sample.expected.len()), (7, 7));
    for cells in sample.found.iter_mut().flatten() {
        *cells = without_zeros(cells, "WS_AMOUNT_FRACTION2");
    }
    sample.check(0..5);
    // Numbers that are blank: cobrix makes 0.00 of the one with decimals and nothing of the others. To us a blank is no value.
    sample.expected[5].retain(|(name, _)| name != "WS_AMOUNT_FRACTION");
    sample.check(5..6);
    // Letters in a number: cobrix leaves the number out. To us the record is a bad one.
    let letters = sample.found[6].as_ref().expect_err("a bad record");
    let words = "record 7 (byte 481 of the file): WS-DATE-NUM at byte 1 (0xC1";
    assert!(
        letters.starts_with(words) && letters.ends_with("byte 1 (0xC1) is no digit"),
        "{letters}"
    );
}

#[test]
fn binary_amounts_and_code_page_037_decode_to_the_digit() {
    let sample = Sample::read(
        "test9_copybook.cob",
        "test9_data/TRAN.APR14.NPT.DATA.dat",
        "test9_expected/test9_cp037.txt",
        "",
    );
    let Some(sample) = sample else { return };
    assert_eq!(sample.found.len(), 1_000);
    sample.check(0..sample.expected.len());
}

/// A header of 10 bytes and a footer of 12; the expected records are in another order.
#[test]
fn records_between_a_header_and_a_footer_decode_to_the_digit() {
    let sample = Sample::read(
        "test13a_file_header_footer.cob",
        "test13a_data/TRAN2.JUN24.DATA.dat",
        "test13_expected/test13a.txt",
        "header_bytes = 10\ntrailer_bytes = 12",
    );
    let Some(mut sample) = sample else { return };
    assert_eq!((sample.found.len(), sample.expected.len()), (50, 50));
    sample.found.sort();
    sample.expected.sort();
    sample.check(0..50);
}

#[test]
fn records_whose_length_depends_on_counts_are_cut_right() {
    let sample = Sample::read(
        "test21_copybook.cob",
        "test21_data/data.dat",
        "test21_expected/test21.txt",
        "encoding = \"ascii\"\nframing = \"layout\"",
    );
    let Some(sample) = sample else { return };
    assert_eq!((sample.found.len(), sample.expected.len()), (5, 5));
    sample.check(0..5);
}

#[test]
fn groups_with_filler_decode_in_ascii() {
    let sample = Sample::read(
        "test10_copybook.cob",
        "test10_data/data.dat",
        "test10_expected/test10.txt",
        "encoding = \"ascii\"",
    );
    let Some(sample) = sample else { return };
    assert_eq!((sample.found.len(), sample.expected.len()), (1, 1));
    sample.check(0..1);
}
