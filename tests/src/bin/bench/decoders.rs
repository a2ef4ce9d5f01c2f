//! Decoders alone, in memory, on one thread: how fast bytes become segments, and records that are checked.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use dray_agent::dray_formats::{
    Format, FormatConfig, Found, Gather, Sink, Tally, Window, edifact, x12,
};
use dray_tests::families::FAMILIES;

use crate::formats::own_time;
use crate::row::{Figure, Row};

/// Movements of a document: one has at most 500,000 segments.
const DOCUMENT_LINES: u64 = 100_000;
/// How often a file is read; the best counts, as others only ever slow it down.
const PASSES: usize = 5;
const COPYBOOK_RECORDS: u64 = 500_000;

/// A movement of 100 bytes: text, dates, zoned, packed and binary numbers.
const COPYBOOK: &str = "
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
           05  UNIT           PIC X(4).
";

/// The tokenizers of documents and a copybook's records, against the design's goals.
pub(crate) fn measure(row: &mut Row) -> anyhow::Result<()> {
    row.say(format!("alone, best of {PASSES}:"));
    for name in ["x12", "edifact", "idoc"] {
        let family = FAMILIES.iter().find(|family| family.name == name);
        let family = family.with_context(|| format!("no family {name}"))?;
        let file = family.file(0, DOCUMENT_LINES, DOCUMENT_LINES);
        let format = format_of(family.format())?;
        let cut = match name {
            "x12" => best(|| x12_segments(&file))?,
            "edifact" => best(|| edifact_segments(&file))?,
            // Its lines are its tokens: what cuts them checks them.
            _ => best(|| checked(&format, &file, DOCUMENT_LINES))?,
        };
        let what = format!("{name} cut");
        row.at_least(&what, Figure::new(mb_s(&file, cut), 0, "MB/s"), 150.0);
        if name != "idoc" {
            let whole = best(|| checked(&format, &file, DOCUMENT_LINES))?;
            row.say(format!("(and checked {:.0})", mb_s(&file, whole)));
        }
    }
    let file = records();
    let format = format_of("kind = \"copybook\"\ncopybook = \"/MOVE.cpy\"\n")?;
    let took = best(|| gathered(&format, &file, COPYBOOK_RECORDS))?;
    let figure = Figure::new(mb_s(&file, took), 0, "MB/s");
    row.at_least("copybook records", figure, 80.0);
    Ok(())
}

fn format_of(text: &str) -> anyhow::Result<Format> {
    // Its further tables have their full names.
    let text = format!("[flow.source.format]\n{text}");
    let table: toml::Table = toml::from_str(&text)?;
    let config: FormatConfig = table["flow"]["source"]["format"].clone().try_into()?;
    Format::new(&config, &|_| Ok(COPYBOOK.to_owned())).map_err(|why| anyhow!(why))
}

fn mb_s(file: &[u8], took: Duration) -> f64 {
    file.len() as f64 / took.as_secs_f64() / 1e6
}

fn best(mut pass: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..PASSES {
        let began = own_time();
        pass()?;
        best = best.min(own_time() - began);
    }
    Ok(best)
}

fn x12_segments(file: &[u8]) -> anyhow::Result<()> {
    let mut segments = x12::Segments::new();
    cut(file, |window, end| {
        segments.next(window, end).map_err(|fault| fault.0)
    })
}

fn edifact_segments(file: &[u8]) -> anyhow::Result<()> {
    let mut segments = edifact::Segments::default();
    cut(file, |window, end| {
        segments.next(window, end).map_err(|fault| fault.0)
    })
}

/// Each movement is three segments, and some stand around them. A file comes in windows.
fn cut(
    file: &[u8],
    mut next: impl FnMut(&[u8], bool) -> Result<Found, String>,
) -> anyhow::Result<()> {
    let (mut window, mut rest, mut count) = (Window::default(), file, 0);
    loop {
        let end = rest.is_empty();
        match next(window.bytes(), end).map_err(|why| anyhow!(why))? {
            Found::Segment(bytes) => {
                window.take(bytes);
                count += 1;
            }
            Found::More(bytes) => {
                window.take(bytes);
                if end {
                    break;
                }
                rest = fill(&mut window, rest);
            }
        }
    }
    ensure!(count > 3 * DOCUMENT_LINES, "{count} segments");
    Ok(())
}

fn fill<'a>(window: &mut Window, rest: &'a [u8]) -> &'a [u8] {
    let space = window.space();
    let count = space.len().min(rest.len());
    space[..count].copy_from_slice(&rest[..count]);
    window.filled(count);
    &rest[count..]
}

/// As the first pass over a file: counts, totals and envelopes are checked, no record is kept.
fn checked(format: &Format, file: &[u8], lines: u64) -> anyhow::Result<()> {
    let mut tally = Tally::new(0);
    decode(format, file, &mut tally, |_| ())?;
    ensure!(
        (tally.records, tally.rejects) == (lines, 0),
        "{} records",
        tally.records
    );
    Ok(())
}

fn gathered(format: &Format, file: &[u8], lines: u64) -> anyhow::Result<()> {
    let fresh = || Gather::default().expecting(file.len() as u64);
    let (mut gather, mut records) = (fresh(), 0);
    decode(format, file, &mut gather, |full| {
        records += full.records.len();
        *full = fresh();
    })?;
    records += gather.records.len();
    ensure!(records as u64 == lines, "{records} records");
    Ok(())
}

fn decode<S: Sink>(
    format: &Format,
    file: &[u8],
    sink: &mut S,
    mut emptied: impl FnMut(&mut S),
) -> anyhow::Result<()> {
    let mut decoder = format.decoder(0);
    let (mut window, mut rest) = (Window::default(), file);
    loop {
        let decoded = decoder.decode(window.bytes(), rest.is_empty(), sink);
        let decoded = decoded.map_err(|fault| anyhow!(fault.0))?;
        window.take(decoded.bytes);
        if decoded.done {
            return Ok(());
        }
        if sink.full() {
            emptied(sink);
        } else {
            rest = fill(&mut window, rest);
        }
    }
}

/// Records of [`COPYBOOK`] in code page 037.
fn records() -> Vec<u8> {
    let mut file = Vec::new();
    for n in 0..COPYBOOK_RECORDS {
        let text = format!(
            "MV{n:010}WH01SKU-{:06}    L{:05}  A-01-{:03}B-07-{:03}",
            n % 50_000,
            n % 999,
            n % 1_000,
            n % 777
        );
        file.extend(text.bytes().map(ebcdic));
        packed(n % 100_000, 5, &mut file);
        packed(n % 1_000_000, 6, &mut file);
        packed(n * 7 % 10_000_000, 6, &mut file);
        let dated = format!("20261123{:06}{:08}", n % 240_000, n % 100_000_000);
        file.extend(dated.bytes().map(ebcdic));
        // The last digit of BALANCE carries its sign.
        file.push(0xD0 + (n % 10) as u8);
        file.extend((n as i16).to_be_bytes());
        file.extend("EA  ".bytes().map(ebcdic));
    }
    file
}

fn ebcdic(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0' + 0xF0,
        b'A'..=b'I' => letter - b'A' + 0xC1,
        b'J'..=b'R' => letter - b'J' + 0xD1,
        b'S'..=b'Z' => letter - b'S' + 0xE2,
        b'-' => 0x60,
        _ => 0x40,
    }
}

/// Two digits a byte, and the sign.
fn packed(value: u64, bytes: usize, file: &mut Vec<u8>) {
    let digits = format!("{value:0>width$}", width = 2 * bytes - 1);
    let halves: Vec<u8> = digits
        .bytes()
        .map(|digit| digit - b'0')
        .chain([0xC])
        .collect();
    file.extend(halves.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
}
