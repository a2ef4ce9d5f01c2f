//! How fast EBCDIC records are read: 100 bytes, 16 fields of all kinds, in memory, one thread; time on a core (Linux), whatever else runs.
//!
//! `cargo run --release -p dray-formats --example copybook_rate`

#[path = "rate/pass.rs"]
mod pass;

use std::time::Duration;

use dray_formats::cobol::{Copybook, CopybookConfig};
use dray_formats::{Format, Gather, Tally};
use pass::pass;

const RECORDS: usize = 1_000_000;

const BOOK: &str = "
       01  MOVEMENT.
           05  MOVE-NO        PIC X(12).
           05  SITE           PIC X(4).
           05  SKU            PIC X(14).
           05  LOT            PIC X(8).
           05  FROM-BIN       PIC X(8).
           05  TO-BIN         PIC X(8).
           05  QTY            PIC S9(7)V99 COMP-3.
           05  WEIGHT         PIC S9(7)V9(4) COMP-3.
           05  PRICE          PIC S9(9)V99 COMP-3.
           05  MOVED-ON       PIC 9(8).
           05  MOVED-AT       PIC 9(6).
           05  BALANCE        PIC S9(7)V99.
           05  PIECES         PIC S9(4) COMP.
           05  CASES          PIC S9(9) COMP.
           05  UNIT           PIC X(2).
           05  FILLER         PIC X(2).
";

/// The dearest to read.
const PACKED: &str = "
       01  FIGURES.
           05  KEY-NO         PIC 9(9) COMP-3.
           05  FIGURE         PIC S9(7)V99 COMP-3 OCCURS 19 TIMES.
";

fn ebcdic(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().map(|letter| match letter {
        b'0'..=b'9' => letter - b'0' + 0xF0,
        b'A'..=b'I' => letter - b'A' + 0xC1,
        b'J'..=b'R' => letter - b'J' + 0xD1,
        b'S'..=b'Z' => letter - b'S' + 0xE2,
        b'-' => 0x60,
        _ => 0x40,
    })
}

fn packed(value: usize, bytes: usize, file: &mut Vec<u8>) {
    let halves = format!("{value:0>width$}", width = 2 * bytes - 1);
    let mut halves = halves.bytes().map(|half| half - b'0');
    for _ in 1..bytes {
        let upper = halves.next().unwrap_or(0) << 4;
        file.push(upper | halves.next().unwrap_or(0));
    }
    file.push(halves.next().unwrap_or(0) << 4 | if value.is_multiple_of(3) { 0xD } else { 0xC });
}

fn movement(n: usize, file: &mut Vec<u8>) {
    let head = format!(
        "MV{n:010}WH01SKU-{:06}    L{:05}  A-01-{:03}B-07-{:03}",
        n % 50_000,
        n % 999,
        n % 1_000,
        n % 777
    );
    file.extend(ebcdic(&head));
    packed(n % 100_000, 5, file);
    packed(n % 1_000_000, 6, file);
    packed(n * 7 % 10_000_000, 6, file);
    file.extend(ebcdic(&format!("20261123{:06}", n % 240_000)));
    file.extend(ebcdic(&format!("{:08}", n % 100_000_000)));
    file.push(0xD0 + (n % 10) as u8);
    file.extend((n as i16).to_be_bytes());
    file.extend((n as i32).to_be_bytes());
    file.extend(ebcdic("EA  "));
}

fn figures(n: usize, file: &mut Vec<u8>) {
    for nth in 0..20 {
        packed((n * 31 + nth * 7_919) % 1_000_000_000, 5, file);
    }
}

/// How long this thread has been on a core.
fn on_a_core() -> Duration {
    let figures =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel's figures");
    let nanoseconds = figures
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("nanoseconds come first"))
}

fn main() {
    type Write = fn(usize, &mut Vec<u8>);
    for (what, book, write) in [
        ("text and numbers", BOOK, movement as Write),
        ("packed numbers alone", PACKED, figures),
    ] {
        let format = Copybook::new(&CopybookConfig::new("/MOVE.cpy"), &|_| Ok(book.to_owned()));
        let format = Format::Copybook(format.expect("a format"));
        let mut file = Vec::new();
        (0..RECORDS).for_each(|n| write(n, &mut file));
        let mut tally = Tally::new(0);
        let start = on_a_core();
        pass(&format, &file, &mut tally, |_| ());
        let counted = on_a_core() - start;
        let mut gather = Gather::default().expecting(file.len() as u64);
        let mut records = 0;
        let start = on_a_core();
        pass(&format, &file, &mut gather, |gather| {
            records += gather.records.len();
            *gather = Gather::default().expecting(file.len() as u64);
        });
        records += gather.records.len();
        let gathered = on_a_core() - start;
        assert_eq!((tally.records, records), (RECORDS as u64, RECORDS));
        let rate = |time: Duration| file.len() as f64 / time.as_secs_f64() / 1e6;
        println!(
            "{what}, {} B a record: pass 1 {:.0} MB/s, pass 2 {:.0} MB/s",
            file.len() / RECORDS,
            rate(counted),
            rate(gathered)
        );
    }
}
