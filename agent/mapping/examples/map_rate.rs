//! What one event costs: an inventory movement of 14 columns and 148 bytes, 10 fields mapped.
//!
//! `cargo run --release -p dray-mapping --example map_rate`

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use dray_adapter::{IdScope, Origin, RawAt, Records, Shape};
use dray_mapping::{Mapper, MappingConfig};
use serde::Deserialize;

const RECORDS: usize = 10_000;
const ROUNDS: usize = 40;

const COLUMNS: [&str; 14] = [
    "TYPE", "MOVE_NO", "SKU", "WH", "BIN", "QTY", "UOM", "REASON", "TS", "LOT", "SERIAL", "REF",
    "USER", "TEXT",
];

const FIELDS: &str = r#"
    [mapping.fields]
    movement_number = "MOVE_NO"
    item_number = { from = "SKU", required = true }
    warehouse = "WH"
    location = "BIN"
    quantity = { from = "QTY", IMPLIED }
    unit = "UOM"
    reason = { from = "REASON", lookup = { CC = "CYCLE_COUNT", PK = "PICK", RC = "RECEIPT", AD = "ADJUST" } }
    moved_at = { from = "TS", format = "%Y%m%d%H%M%S", zone = "Europe/Berlin" }
    lot = "LOT"
    user = "USER"
"#;

#[derive(Deserialize)]
struct Flow {
    mapping: Vec<MappingConfig>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (records, bytes) = records();
    println!("{RECORDS} records of {bytes} bytes, {ROUNDS} rounds, best round of each:");
    let head = "[[mapping]]\nbody = \"inventory_movement\"\n";
    for (name, settings, implied) in [
        ("columns only", "key = \"SKU\"", "trim = true"),
        (
            "with implied decimals",
            "key = \"SKU\"",
            "implied_decimals = 3",
        ),
        (
            "simple when and key",
            "key = { expr = \"rec.WH ~ '/' ~ rec.SKU\" }\nwhen = \"rec.TYPE == 'M'\"",
            "trim = true",
        ),
        (
            "one expression of the engine",
            "key = { expr = \"rec.SKU | replace('-', '')\" }",
            "trim = true",
        ),
        ("generic, all columns", "", ""),
    ] {
        let toml = if implied.is_empty() {
            "[[mapping]]\nbody = \"generic\"\nkey = \"SKU\"\nall_columns = true".to_owned()
        } else {
            format!("{head}{settings}\n{}", FIELDS.replace("IMPLIED", implied))
        };
        let flow: Flow = toml::from_str(&toml)?;
        let mapper = Mapper::compile(&flow.mapping, 1).map_err(|errors| format!("{errors:?}"))?;
        measure(name, mapper, &records)?;
    }
    Ok(())
}

fn measure(
    name: &str,
    mut mapper: Mapper,
    records: &Records,
) -> Result<(), Box<dyn std::error::Error>> {
    let origin = Origin {
        scope: IdScope([1; 10]),
        file: "INV_20261123_0007.txt".into(),
        message_id: "".into(),
        change_position: "".into(),
    };
    let mut best = f64::MAX;
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        bytes = 0;
        let start = Instant::now();
        for record in records.iter() {
            mapper.map(&origin, 1_795_418_100_000_000, record, &mut |event| {
                bytes += black_box(event).len()
            })?;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / RECORDS as f64);
    }
    println!(
        "{name:30} {best:7.0} ns/event, {} bytes an event",
        bytes / RECORDS
    );
    Ok(())
}

fn records() -> (Records, usize) {
    let columns = COLUMNS.map(str::to_owned).to_vec();
    let shape = Arc::new(Shape {
        record_type: String::new(),
        columns,
    });
    let mut records = Records::default();
    let mut line = String::new();
    for n in 0..RECORDS {
        line.clear();
        let (minute, second) = (n / 60 % 60, n % 60);
        let reason = ["CC", "PK", "RC", "AD"][n % 4];
        let sign = if n % 2 == 0 { "" } else { "-" };
        let _ = write!(
            line,
            "M|MV-{n:010}|SKU-{:06}|WH{}|A-{:02}-{:02}-{:02}|{sign}{}|EA|{reason}|2026112307{minute:02}{second:02}|L2406-{:04}|SN{n:010}|SO-{n:08}|OPERATOR{:02}|carried by hand",
            n * 7 % 50_000,
            n % 9,
            n % 90,
            n % 70,
            n % 50,
            n % 900 + 1,
            n % 1_000,
            n % 40,
        );
        while line.len() < 148 {
            line.push('.');
        }
        let span = records.push_text(&line);
        records.begin(&shape, n as u64, n as u64 + 1, RawAt::Text(span));
        let mut start = 0;
        for cell in line.split('|') {
            records.cell(span.part(start, start + cell.len()));
            start += cell.len() + 1;
        }
    }
    (records, line.len())
}
