use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dray_formats::FormatConfig;

use super::super::place::Node;
use super::*;

/// A file in memory, whose content may be another after a read.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    then: VecDeque<Vec<u8>>,
}

impl Memory {
    fn with(bytes: &[u8]) -> Self {
        let memory = Self::default();
        memory.change(|content| content.bytes = bytes.to_vec());
        memory
    }

    fn change<T>(&self, change: impl FnOnce(&mut Content) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Text for Memory {
    fn size(&self) -> io::Result<u64> {
        Ok(self.change(|content| content.bytes.len() as u64))
    }

    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize> {
        Ok(self.change(|content| {
            let rest = content.bytes.get(at as usize..).unwrap_or_default();
            let count = rest.len().min(out.len());
            out[..count].copy_from_slice(&rest[..count]);
            if let Some(then) = content.then.pop_front() {
                content.bytes = then;
            }
            count
        }))
    }
}

fn format(settings: &str) -> Format {
    let config: FormatConfig = toml::from_str(settings).expect("a format");
    Format::new(&config, &|_| Ok(String::new())).expect("a format")
}

fn plain() -> Format {
    format("kind = \"csv\"\nheader = false\ncolumns = [\"N\"]\n")
}

fn entry() -> Entry {
    let node = Node {
        born_us: 1,
        inode: 1,
    };
    Entry::new(node, 1, "app.log".into())
}

fn open(memory: &Memory, entry: &Entry, format: &Format) -> Option<Box<Reading>> {
    match Reading::open(Box::new(memory.clone()), entry, 0, format).expect("it can be read") {
        Opened::Open(reading) => Some(reading),
        Opened::Replaced => None,
        Opened::Refused(reason) => panic!("{reason}"),
    }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// The cells and lines of the next batch, and where it stands then.
fn next(reading: &mut Reading, entry: &mut Entry, records_max: usize) -> Vec<String> {
    reading.limit(records_max);
    reading.begin_turn().expect("it can be read");
    let step = reading.step(later()).expect("it can be read");
    let mut found = Vec::new();
    if let Step::Batch(gather, _) = step {
        for record in gather.records.iter() {
            let row = record.row();
            found.push(format!(
                "{}@{}: {:?}",
                row.ordinal,
                row.line,
                record.value(0)
            ));
        }
        found.extend(
            gather
                .rejects
                .iter()
                .map(|bad| format!("{}@{}!", bad.ordinal, bad.line)),
        );
    }
    reading.settle(entry);
    found
}

#[test]
fn a_file_rewritten_between_two_reads_of_a_batch_hands_nothing_out() {
    let old = "an old line\n".repeat(20_000);
    let new = "some new line\n".repeat(30_000);
    let memory = Memory::with(old.as_bytes());
    let mut entry = entry();
    let mut reading = open(&memory, &entry, &plain()).expect("the file");
    let first = next(&mut reading, &mut entry, 10);
    assert_eq!(first.len(), 10);
    let before = entry.clone();
    memory.change(|content| {
        content.bytes = old.repeat(2).into_bytes();
        content.then.push_back(new.into_bytes());
    });
    reading.limit(usize::MAX);
    reading.begin_turn().expect("it can be read");
    // What the window held by then is handed out only if the file still is the one that it was.
    let step = reading.step(later()).expect("it can be read");
    assert!(matches!(step, Step::Replaced));
    assert_eq!(entry, before);
    assert!(
        open(&memory, &entry, &plain()).is_none(),
        "nor is it taken for the old one"
    );
}

#[test]
fn a_file_is_told_by_its_first_bytes_by_those_before_the_place_and_by_its_length() {
    let text: String = (0..2_000).map(|line| format!("line {line}\n")).collect();
    let memory = Memory::with(text.as_bytes());
    let mut entry = entry();
    let mut reading = open(&memory, &entry, &plain()).expect("the file");
    assert_eq!(next(&mut reading, &mut entry, usize::MAX).len(), 2_000);
    let length = text.len();
    assert_eq!(entry.offset, length as u64);
    for (at, is_same) in [
        (0, false),
        (PREFIX_BYTES - 1, false),
        (PREFIX_BYTES, true),
        (length - TAIL_BYTES - 1, true),
        (length - TAIL_BYTES, false),
        (length - 1, false),
    ] {
        let mut other = text.clone().into_bytes();
        other[at] ^= 1;
        other.extend_from_slice(b"more\n");
        assert_eq!(
            open(&Memory::with(&other), &entry, &plain()).is_some(),
            is_same,
            "{at}"
        );
    }
    let shorter = &text.as_bytes()[..length - 1];
    assert!(open(&Memory::with(shorter), &entry, &plain()).is_none());
}

#[test]
fn the_first_bytes_grow_with_the_file_until_there_are_enough() {
    let memory = Memory::with(b"a\n");
    let mut entry = entry();
    for (text, expected) in [
        ("a\n", 2),
        ("a\nb\nhalf", 8),
        (&"a\nb\nhalf".repeat(200)[..], PREFIX_BYTES),
    ] {
        memory.change(|content| content.bytes = text.as_bytes().to_vec());
        let mut reading = open(&memory, &entry, &plain()).expect("the file");
        next(&mut reading, &mut entry, usize::MAX);
        assert_eq!(usize::from(entry.prefix_bytes), expected, "{text}");
    }
}

#[test]
fn from_every_place_the_same_follows() {
    let long = "x".repeat(dray_formats::RECORD_BYTES_MAX + 5);
    let header = "\u{FEFF}# first\nA,B\n";
    let rows = format!("1,2\r\n\r\nbad\n\"3\n3\",4\n# no record\n{long}\n5,6\nü,\"x\"\"y\"\nlast,");
    let csv = "kind = \"csv\"\nskip_rows = 1\ncomment = \"#\"\n";
    let cr = "a\rb\r".repeat(40_000);
    let json = "{\"a\":1}\n\n{\"a\n{\"a\":\"ü\"}\r\n";
    let fixed = "H 1\nD22\n\nD33\nX\n";
    let cases = [
        (csv.to_owned(), format!("{header}{rows}")),
        ("kind = \"csv\"\nheader = false\ncolumns = [\"A\"]\n".to_owned(), "a\nb\n".to_owned()),
        ("kind = \"csv\"\nheader = false\ncolumns = [\"A\"]\n".to_owned(), cr),
        ("kind = \"json-lines\"\nfields = { A = \"/a\" }\n".to_owned(), json.to_owned()),
        (
            "kind = \"fixed\"\n[[record]]\nname = \"H\"\nemit = false\nmatch = [{ at = 1, text = \"H\" }]\nfield = [{ name = \"A\", at = 2, width = 2 }]\n[[record]]\nname = \"D\"\nmatch = [{ at = 1, text = \"D\" }]\nfield = [{ name = \"A\", at = 2, width = 2 }]\n".to_owned(),
            fixed.to_owned(),
        ),
    ];
    for (settings, text) in cases {
        let format = format(&settings);
        let memory = Memory::with(text.as_bytes());
        let mut whole = Vec::new();
        let mut places = vec![(entry(), 0)];
        let mut at = entry();
        let mut reading = open(&memory, &at, &format).expect("the file");
        let step = if text.len() > 100_000 { 997 } else { 1 };
        loop {
            let found = next(&mut reading, &mut at, step);
            if found.is_empty() {
                break;
            }
            whole.extend(found);
            places.push((at.clone(), whole.len()));
        }
        assert!(whole.len() > 1, "{settings}");
        for (place, had) in places {
            let mut at = place.clone();
            let mut reading = open(&memory, &place, &format).expect("the file");
            let mut rest = Vec::new();
            loop {
                let found = next(&mut reading, &mut at, 40_000);
                if found.is_empty() {
                    break;
                }
                rest.extend(found);
            }
            rest.sort();
            let mut expected = whole[had..].to_vec();
            expected.sort();
            assert_eq!(rest, expected, "{settings} from {place:?}");
        }
    }
}
