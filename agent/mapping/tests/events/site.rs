//! A flow's table and records for it.

use std::sync::Arc;

use dray_adapter::{IdScope, Origin, RawAt, Records, Shape};
use dray_mapping::{MapFailure, Mapper, MappingConfig, MappingError};
use dray_proto::v1::event::Body;
use dray_proto::v1::{Decimal, Event, Operation, Provenance};
use prost::Message as _;
use prost_types::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
struct Flow {
    mapping: Vec<MappingConfig>,
}

/// 2026-11-23T07:15:00Z.
pub(crate) const CAPTURED_US: i64 = 1_795_418_100_000_000;

pub(crate) fn compile(toml: &str) -> Result<Mapper, Vec<MappingError>> {
    let flow: Flow = toml::from_str(toml).unwrap_or_else(|error| panic!("{error}"));
    Mapper::compile(&flow.mapping, 3)
}

pub(crate) fn mapper(toml: &str) -> Mapper {
    compile(toml).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

pub(crate) fn origin() -> Origin {
    Origin {
        scope: IdScope([7; 10]),
        file: "INV_7.txt".into(),
        message_id: "".into(),
        change_position: "".into(),
    }
}

pub(crate) fn shape(record_type: &str, columns: &[&str]) -> Arc<Shape> {
    let columns = columns.iter().map(|name| (*name).to_owned()).collect();
    Arc::new(Shape {
        record_type: record_type.into(),
        columns,
    })
}

/// One record: `None` is a value that the source did not send.
pub(crate) fn record(shape: &Arc<Shape>, values: &[Option<&str>]) -> Records {
    let mut records = Records::default();
    let whole: Vec<&str> = values
        .iter()
        .map(|value| value.unwrap_or_default())
        .collect();
    let raw = records.push_text(&whole.join("|"));
    records.begin(shape, 4, 5, RawAt::Text(raw));
    for value in values {
        match value {
            Some(text) => {
                let span = records.push_text(text);
                records.cell(span);
            }
            None => records.cell_unchanged(),
        }
    }
    records
}

/// Columns and values in pairs.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Records {
    let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    let values: Vec<Option<&str>> = pairs.iter().map(|(_, value)| Some(*value)).collect();
    record(&shape("", &names), &values)
}

/// Maps the record and decodes its events. Each must be what `prost` writes, byte for byte (maps of
/// several entries aside, whose order `prost` leaves to chance).
pub(crate) fn map(mapper: &mut Mapper, records: &Records) -> Result<Vec<Event>, MapFailure> {
    let mut events = Vec::new();
    let record = records.get(0).expect("one record");
    let count = mapper.map(&origin(), CAPTURED_US, record, &mut |bytes| {
        let event = Event::decode(bytes).expect("an event");
        let written = event.encode_to_vec();
        assert_eq!(written.len(), bytes.len(), "{event:?}");
        if !has_larger_map(&event) {
            assert_eq!(written, bytes, "{event:?}");
        }
        events.push(event);
    })?;
    assert_eq!(count, events.len());
    Ok(events)
}

fn has_larger_map(event: &Event) -> bool {
    format!("{event:?}").contains("\", \"")
}

/// The only event of the record.
pub(crate) fn one(mapper: &mut Mapper, records: &Records) -> Event {
    let mut events = map(mapper, records).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(events.len(), 1);
    events.remove(0)
}

/// Why the record does not become an event.
pub(crate) fn refused(mapper: &mut Mapper, records: &Records) -> MapFailure {
    map(mapper, records).expect_err("a failure")
}

/// A decimal of these digits.
pub(crate) fn decimal(value: &str) -> Option<Decimal> {
    Some(Decimal {
        value: value.into(),
    })
}

/// A moment.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().expect("a timestamp");
    Some(Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    })
}

/// The event of [`record`] under the first mapping.
pub(crate) fn envelope(key: &str, body: Body) -> Event {
    Event {
        id: [vec![7; 10], vec![0, 0, 0, 0, 4, 0]].concat(),
        key: key.into(),
        operation: Operation::Create as i32,
        captured_at: time("2026-11-23T07:15:00Z"),
        schema_version: 3,
        provenance: Some(Provenance {
            file: "INV_7.txt".into(),
            line: 5,
            ..Default::default()
        }),
        body: Some(body),
        ..Default::default()
    }
}
