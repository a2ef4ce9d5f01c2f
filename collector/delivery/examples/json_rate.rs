//! What one event costs on its way to JSON: `cargo run --release -p dray-delivery --example json_rate`.
//!
//! One thread, batches of 500 as the engine forms them, bodies as real drops fill them.

use std::hint::black_box;
use std::time::Instant;

use dray_delivery::body::{Place, Writer, sample};
use dray_delivery::template::Template;
use dray_proto::event::number;
use dray_proto::{EventId, FlowName, Offset, schema, wire};

const EVENTS: usize = 500;
const ROUNDS: usize = 4_000;

/// A movement as 148 bytes of a pipe-delimited line make it.
fn movement(n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_bytes(
        &mut out,
        number::ID,
        EventId::new([0xA5; 10], n, 0).as_bytes(),
    );
    wire::put_text(&mut out, number::KEY, &format!("WH1/SKU-{:06}", n % 50_000));
    wire::put_integer(&mut out, number::OPERATION, 1);
    wire::put_timestamp(
        &mut out,
        number::OCCURRED_AT,
        1_790_000_000_000_000 + n as i64 * 1_000_000,
    );
    wire::put_timestamp(
        &mut out,
        number::CAPTURED_AT,
        1_790_000_001_250_000 + n as i64,
    );
    wire::put_integer(&mut out, number::SCHEMA_VERSION, 1);
    wire::put_message(&mut out, number::PROVENANCE, |out| {
        wire::put_text(out, number::FILE, "MOV_20261123_0007.txt");
        wire::put_integer(out, number::LINE, n + 2);
    });
    let body = schema::body("inventory_movement").map_or(24, |body| body.number);
    wire::put_message(&mut out, body, |out| {
        wire::put_text(out, 1, &format!("M{n:010}"));
        wire::put_text(out, 2, &format!("SKU-{:06}", n % 50_000));
        wire::put_text(out, 3, "WH1");
        wire::put_text(out, 4, "A-01-17-3");
        wire::put_decimal(out, 5, "-12.500");
        wire::put_text(out, 6, "EA");
        wire::put_text(out, 7, "CYCLE_COUNT");
        wire::put_timestamp(out, 8, 1_790_000_000_000_000 + n as i64 * 1_000_000);
        wire::put_text(out, 9, "L2406");
        wire::put_text(out, 11, "SO-0009981");
        wire::put_text(out, 12, "JDOE");
    });
    out
}

fn measure(
    name: &str,
    rounds: usize,
    events: &[Vec<u8>],
    mut put: impl FnMut(&mut Vec<u8>, u64, &[u8]),
) {
    let mut out = Vec::new();
    let begin = Instant::now();
    for _ in 0..rounds {
        out.clear();
        for (offset, event) in (1..).zip(events) {
            put(&mut out, offset, event);
        }
        black_box(&out);
    }
    let each = begin.elapsed().as_nanos() as f64 / (rounds * events.len()) as f64;
    let (wire, json) = (
        events.iter().map(Vec::len).sum::<usize>() / events.len(),
        out.len() / events.len(),
    );
    println!("{name:<34} {each:>8.0} ns an event   {wire} B encoded, {json} B JSON");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = Place::new(FlowName::new("north", "movements").ok_or("a name")?);
    let mut writer = Writer::default();
    let movements: Vec<_> = (0..EVENTS as u64).map(movement).collect();
    let full = vec![sample("shipment").ok_or("a body")?; EVENTS];
    for (name, events) in [
        ("inventory_movement, plan", &movements),
        ("shipment, every field, plan", &full),
    ] {
        measure(name, ROUNDS, events, |out, offset, event| {
            black_box(writer.put(out, &place, Offset(offset), event).is_ok());
        });
    }
    let source = r#"{"no": {{ data.movement_number | tojson }}, "sku": {{ data.item_number | tojson }}, "qty": {{ data.quantity }}}"#;
    let template = Template::compile(
        source,
        &toml::Table::new(),
        &[].into(),
        &["inventory_movement".into()],
    )?;
    let mut plain = Vec::new();
    measure(
        "inventory_movement, template",
        ROUNDS / 50,
        &movements,
        |out, offset, event| {
            plain.clear();
            black_box(
                writer
                    .put(&mut plain, &place, Offset(offset), event)
                    .is_ok(),
            );
            black_box(template.put(out, &plain, &[].into()).is_ok());
        },
    );
    Ok(())
}
