//! How fast lines are split: 148 bytes, 14 columns, in memory, one thread.
//!
//! `cargo run --release -p dray-formats --example csv_rate`

#[path = "rate/pass.rs"]
mod pass;

use std::time::Instant;

use dray_formats::csv::{Csv, CsvConfig, Encoding};
use dray_formats::{Format, Gather, Tally};
use pass::pass;

const LINES: usize = 2_000_000;

fn main() {
    for (what, cell, encoding) in [
        ("utf-8, plain", "PALLET-A7", Encoding::Utf8),
        ("utf-8, one quoted cell", "\"PALLET \"", Encoding::Utf8),
        (
            "windows-1252, umlauts",
            "PALETTEN\u{e4}",
            Encoding::Windows1252,
        ),
    ] {
        let mut file = Vec::new();
        for n in 0..LINES {
            let line = format!(
                "MV{n:010}|IN|WH1|A-01-{:03}|SKU-{:06}|20261123101500|{:>8}|EA|L2406|{cell}|PICK|SO-{:07}|OPERATOR-17|20261123101500 some text here to fill\n",
                n % 1_000,
                n % 50_000,
                n % 97,
                n % 500_000
            );
            match encoding {
                Encoding::Windows1252 => file.extend(line.chars().map(|letter| letter as u8)),
                _ => file.extend_from_slice(line.as_bytes()),
            }
        }
        let format = CsvConfig {
            delimiter: "|".into(),
            header: Some(false),
            columns: (0..14).map(|n| format!("C{n}")).collect(),
            encoding,
            ..CsvConfig::default()
        };
        let format = Format::Csv(Csv::new(&format).expect("a format"));
        let mut tally = Tally::new(0);
        let start = Instant::now();
        pass(&format, &file, &mut tally, |_| ());
        let counted = start.elapsed();
        let mut gather = Gather::default().expecting(file.len() as u64);
        let mut records = 0;
        let start = Instant::now();
        pass(&format, &file, &mut gather, |gather| {
            records += gather.records.len();
            *gather = Gather::default().expecting(file.len() as u64);
        });
        records += gather.records.len();
        let gathered = start.elapsed();
        assert_eq!((tally.records, records), (LINES as u64, LINES));
        let rate = |time: std::time::Duration| LINES as f64 / time.as_secs_f64() / 1e6;
        println!(
            "{what}, {} B a line: pass 1 {:.1} M lines/s, pass 2 {:.1} M lines/s",
            file.len() / LINES,
            rate(counted),
            rate(gathered)
        );
    }
}
