//! How fast fixed-width lines are decoded: 100 bytes, 10 fields, in memory, one thread.
//!
//! `cargo run --release -p dray-formats --example fixed_rate`

#[path = "rate/pass.rs"]
mod pass;

use std::time::{Duration, Instant};

use dray_formats::fixed::{Fixed, FixedConfig};
use dray_formats::{BadRecord, Format, Gather, GoodRecord, Sink, Tally};
use pass::pass;

const LINES: usize = 2_000_000;

/// Ten fields, all of them text.
const PLAIN: &str = r#"
[[record]]
field = [
  { name = "NO", width = 12 }, { name = "KIND", width = 2 }, { name = "SITE", width = 4 }, { name = "BIN", width = 10 }, { name = "SKU", width = 12 },
  { name = "AT", width = 14 }, { name = "QUANTITY", width = 9 }, { name = "UNIT", width = 3 }, { name = "LOT", width = 14 }, { name = "NOTE", width = 20 },
]
"#;

/// Looks at each cell, and keeps none: what decoding costs by itself.
#[derive(Default)]
struct Look {
    records: u64,
    bytes: u64,
}

impl Sink for Look {
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        false
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        self.records += 1;
        let bytes = record
            .fields
            .iter()
            .map(|field| u64::from(field.end - field.start));
        self.bytes += bytes.sum::<u64>();
    }

    fn reject(&mut self, _: &BadRecord<'_>) {}
}

fn main() {
    let header = "[[record]]\nname = \"H\"\nmatch = [{ at = 1, text = \"H\" }]\nemit = false\nfield = [{ name = \"DATE\", at = 2, width = 8 }]\n";
    let trailer = "[[record]]\nname = \"T\"\nmatch = [{ at = 1, text = \"T\" }]\nparent = \"H\"\ntrailer = true\n\
        field = [{ name = \"LINES\", at = 2, width = 9 }, { name = \"SUM\", width = 18, decimals = 2 }]\ncounts = [{ field = \"LINES\", of = \"D\" }]\n\
        totals = [{ field = \"SUM\", of = \"D\", sum = \"QUANTITY\" }]\n";
    let detail = PLAIN
        .replace(
            "[[record]]",
            "[[record]]\nname = \"D\"\nmatch = [{ at = 1, text = \"MV\" }]\nparent = \"H\"",
        )
        .replace("width = 9 }", "width = 9, decimals = 2 }");
    let number = PLAIN.replace("width = 9 }", "width = 9, decimals = 2 }");
    for (what, toml, is_typed) in [
        ("text alone", PLAIN.to_owned(), false),
        ("one implied decimal", number, false),
        (
            "below a header, counted and added up",
            format!("{header}{trailer}{detail}"),
            true,
        ),
    ] {
        let mut file = Vec::new();
        let mut sum = 0;
        if is_typed {
            file.extend_from_slice(b"H20261123\n");
        }
        for n in 0..LINES {
            let line = format!(
                "MV{n:010}INWH1 A-01-{:03}  SKU-{:06}  20261123101500{:09}EA L2406         {:<20}\n",
                n % 1_000,
                n % 50_000,
                n % 97_000,
                "PICK OPERATOR-17"
            );
            sum += n % 97_000;
            file.extend_from_slice(line.as_bytes());
        }
        if is_typed {
            file.extend_from_slice(format!("T{LINES:09}{sum:018}\n").as_bytes());
        }
        let format: FixedConfig = toml::from_str(&toml).expect("a format");
        let format = Format::Fixed(Fixed::new(&format).expect("a format"));
        let mut tally = Tally::new(0);
        let start = Instant::now();
        pass(&format, &file, &mut tally, |_| ());
        let counted = start.elapsed();
        let mut look = Look::default();
        let start = Instant::now();
        pass(&format, &file, &mut look, |_| ());
        let looked = start.elapsed();
        assert!(look.records == tally.records && look.bytes > 0);
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
        let rate = |time: Duration| LINES as f64 / time.as_secs_f64() / 1e6;
        println!(
            "{what}, {} B a line: pass 1 {:.1} M lines/s, cells found {:.1} M lines/s, pass 2 {:.1} M lines/s",
            file.len() / LINES,
            rate(counted),
            rate(looked),
            rate(gathered)
        );
    }
}
